#include "bus/items.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/items_tree.h"

enum {
    ITEMS_AT_ONCE = 128,
    KINDS_AT_ONCE = 32,
    WORDS_AT_ONCE = 64,
    LETTERS_BLOCK = 2000,
    DECIMALS_MAX = 6,
    TEXT_TYPE_DECIMALS = 3,
};

#define ROUND_DOWN_TOLERANCE 1e-6 /* of the last digit: 52.8 is 52.80 and not 52.79 */
#define FIXED_POINT_MAX 1e15      /* larger numbers have no decimals anyway */

static const char invalid_text[] = "---";

struct items *items_new(items_set_fn set, void *ctx)
{
    struct items *items = calloc(1, sizeof *items);

    if (!items)
        return NULL;
    items->set = set;
    items->ctx = ctx;
    return items;
}

/* ---- what items share ---- */

/* Words are many, short and never freed alone. */
struct item_letters {
    struct item_letters *before;
    size_t used, size;
    char text[];
};

static const char *keep_letters(struct items *items, const char *word, size_t length)
{
    struct item_letters *block = items->letters;
    char *kept;

    if (!block || block->size - block->used < length + 1) {
        size_t size = length + 1 > LETTERS_BLOCK ? length + 1 : LETTERS_BLOCK;

        block = malloc(sizeof *block + size);
        if (!block)
            return NULL;
        *block = (struct item_letters){.before = items->letters, .size = size};
        items->letters = block;
    }
    kept = block->text + block->used;
    block->used += length + 1;
    memcpy(kept, word, length);
    kept[length] = '\0';
    return kept;
}

/* The index of the word that these length bytes are, a new one if need be; -1 when out of memory. An item is
 * mostly added beside the one before it: the newest word is the first to look at. */
static int keep_word(struct items *items, struct item_words *words, const char *word, size_t length)
{
    size_t count = words->count;

    for (size_t i = count; i-- > 0;) {
        if (strncmp(words->word[i], word, length) == 0 && words->word[i][length] == '\0')
            return (int)i;
    }
    if (count == ITEMS_COUNT_MAX)
        return -1;
    if (count % WORDS_AT_ONCE == 0) {
        const char **more = realloc(words->word, (count + WORDS_AT_ONCE) * sizeof *more);

        if (!more)
            return -1;
        words->word = more;
    }
    words->word[count] = keep_letters(items, word, length);
    if (!words->word[count])
        return -1;
    return (int)words->count++;
}

static bool is_same_kind(const struct item_kind *a, const struct item_kind *b)
{
    return a->unit == b->unit && a->names == b->names && a->description == b->description &&
           a->room == b->room && a->type == b->type && a->decimals == b->decimals &&
           a->rounds_down == b->rounds_down && a->writable == b->writable;
}

/* The index of that kind, a new one if need be; -1 when out of memory. */
static int keep_kind(struct items *items, const struct item_kind *kind)
{
    size_t count = items->kind_count;

    for (size_t i = 0; i < count; i++) {
        if (is_same_kind(&items->kinds[i], kind))
            return (int)i;
    }
    if (count == ITEMS_COUNT_MAX)
        return -1;
    if (count % KINDS_AT_ONCE == 0) {
        struct item_kind *kinds = realloc(items->kinds, (count + KINDS_AT_ONCE) * sizeof *kinds);

        if (!kinds)
            return -1;
        items->kinds = kinds;
    }
    items->kinds[count] = *kind;
    return (int)items->kind_count++;
}

const struct item_kind *items_kind(const struct items *items, int item)
{
    return &items->kinds[items->item[item].kind];
}

void items_free(struct items *items)
{
    if (!items)
        return;
    for (size_t i = 0; i < items->count; i++) {
        if (items_kind(items, (int)i)->type == 's')
            free(items->item[i].text);
    }
    while (items->letters) {
        struct item_letters *before = items->letters->before;

        free(items->letters);
        items->letters = before;
    }
    free(items->branches.word);
    free(items->leaves.word);
    free(items->kinds);
    free(items->item);
    free(items->sorted);
    free(items->changes);
    free(items);
}

/* ---- the tree ---- */

static bool is_path(const char *path)
{
    if (*path != '/' || path[1] == '\0')
        return false;
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;

        if (c == '/' ? path[1] == '/' || path[1] == '\0' : !(c < 0x80 && (isalnum(c) || c == '_')))
            return false;
    }
    return true;
}

/* As strcmp has it for the whole path of the item. */
static int compare_path(const struct items *items, int item, const char *path)
{
    const char *branch = items->branches.word[items->item[item].branch];
    size_t length = strlen(branch);
    int order = strncmp(branch, path, length);

    return order != 0 ? order : strcmp(items->leaves.word[items->item[item].leaf], path + length);
}

/* The first position in sorted whose path is not before path. */
static size_t lower_bound(const struct items *items, const char *path)
{
    size_t low = 0;
    size_t high = items->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_path(items, items->sorted[middle], path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t items_below(const struct items *items, const char *node, size_t *first)
{
    size_t length = strlen(node);
    char edge[ITEMS_PATH_MAX];

    if (length >= sizeof edge - 1)
        return 0;
    memcpy(edge, node, length + 1);
    if (edge[length - 1] != '/')
        strcpy(edge + length++, "/");
    *first = lower_bound(items, edge);
    edge[length - 1] = '/' + 1; /* behind everything that goes on with a '/' */
    return lower_bound(items, edge) - *first;
}

int items_find(const struct items *items, const char *path)
{
    size_t at = lower_bound(items, path);

    if (at == items->count || compare_path(items, items->sorted[at], path) != 0)
        return -1;
    return items->sorted[at];
}

static bool grow(struct items *items)
{
    size_t room = items->room + ITEMS_AT_ONCE;
    struct item *item = realloc(items->item, room * sizeof *item);
    uint16_t *sorted;
    uint16_t *changes;

    if (item)
        items->item = item;
    sorted = realloc(items->sorted, room * sizeof *sorted);
    if (sorted)
        items->sorted = sorted;
    changes = realloc(items->changes, room * sizeof *changes);
    if (changes)
        items->changes = changes;
    if (!item || !sorted || !changes)
        return false;
    items->room = room;
    return true;
}

/* A leaf above or below another leaf would make its path two things at once. */
static bool is_free(const struct items *items, const char *path)
{
    char above[ITEMS_PATH_MAX];
    size_t first;

    if (strlen(path) >= sizeof above || items_find(items, path) >= 0 || items_below(items, path, &first) > 0)
        return false;
    strcpy(above, path);
    for (char *slash = strrchr(above, '/'); slash && slash != above; slash = strrchr(above, '/')) {
        *slash = '\0';
        if (items_find(items, above) >= 0)
            return false;
    }
    return true;
}

/* A fresh value of that kind, invalid. False when out of memory; the item is as it was then. */
static bool give_kind(struct items *items, struct item *item, const struct item_kind *kind)
{
    int index = keep_kind(items, kind);

    if (index < 0)
        return false;
    if (kind->type == 's') {
        char *text = calloc(1, kind->room);

        if (!text)
            return false;
        item->text = text;
    } else {
        item->number = NAN;
    }
    item->kind = (uint16_t)index;
    return true;
}

static bool make_item(struct items *items, const struct item_def *def, size_t room, struct item *item)
{
    const char *leaf = strrchr(def->path, '/') + 1;
    int branch_index = keep_word(items, &items->branches, def->path, (size_t)(leaf - def->path));
    int leaf_index = keep_word(items, &items->leaves, leaf, strlen(leaf));
    const struct item_kind kind = {
        .unit = def->unit,
        .names = def->names,
        .description = def->description ? def->description : "",
        .room = (unsigned char)room,
        .type = def->type,
        .decimals = def->decimals,
        .rounds_down = def->rounding == ROUND_DOWN,
        .writable = def->writable,
    };

    if (branch_index < 0 || leaf_index < 0)
        return false;
    item->branch = (uint16_t)branch_index;
    item->leaf = (uint16_t)leaf_index;
    return give_kind(items, item, &kind);
}

int items_add_short(struct items *items, const struct item_def *def, size_t room)
{
    struct item item = {0};
    size_t at;

    if (items->count == ITEMS_COUNT_MAX || !is_path(def->path) || !is_free(items, def->path) ||
        def->decimals < 0 || def->decimals > DECIMALS_MAX)
        return -1;
    if (items->count == items->room && !grow(items))
        return -1;
    if (!make_item(items, def, room, &item))
        return -1;
    at = lower_bound(items, def->path);
    memmove(&items->sorted[at + 1], &items->sorted[at], (items->count - at) * sizeof *items->sorted);
    items->sorted[at] = (uint16_t)items->count;
    items->item[items->count] = item;
    return (int)items->count++;
}

int items_add(struct items *items, const struct item_def *def)
{
    return items_add_short(items, def, ITEMS_TEXT_MAX);
}

bool items_set_type(struct items *items, int index, char type)
{
    struct item *item = &items->item[index];
    struct item_kind kind = *items_kind(items, index);
    char *text = kind.type == 's' ? item->text : NULL;

    if (type == kind.type)
        return true;
    items_set_invalid(items, index);
    if (type == 'd' && kind.type == 's')
        kind.decimals = TEXT_TYPE_DECIMALS; /* a text has none of its own */
    kind.type = type;
    kind.room = ITEMS_TEXT_MAX;
    if (!give_kind(items, item, &kind))
        return false;
    free(text);
    return true;
}

size_t items_count(const struct items *items)
{
    return items->count;
}

const char *items_path(const struct items *items, int index, char *buf)
{
    const struct item *item = &items->item[index];

    strcpy(buf, items->branches.word[item->branch]);
    return strcat(buf, items->leaves.word[item->leaf]);
}

struct item_def items_def(const struct items *items, int item)
{
    const struct item_kind *kind = items_kind(items, item);

    return (struct item_def){
        .type = kind->type,
        .decimals = kind->decimals,
        .rounding = kind->rounds_down ? ROUND_DOWN : ROUND_NEAREST,
        .unit = kind->unit,
        .names = kind->names,
        .description = kind->description,
        .writable = kind->writable,
    };
}

/* ---- values ---- */

static void mark(struct items *items, int item)
{
    if (items->item[item].changed)
        return;
    items->item[item].changed = true;
    items->changes[items->change_count++] = (uint16_t)item;
}

static double power_of_ten(int exponent)
{
    static const double powers[DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

    return powers[exponent];
}

static int decimals_of(const struct item_kind *kind)
{
    return kind->type == 'i' ? 0 : kind->decimals;
}

static double round_to(const struct item_kind *kind, double number)
{
    int decimals = decimals_of(kind);
    double scaled = number * power_of_ten(decimals);
    double rounded;

    if (fabs(scaled) >= FIXED_POINT_MAX)
        return number;
    rounded = kind->rounds_down ? floor(scaled + ROUND_DOWN_TOLERANCE) : round(scaled);
    return rounded / power_of_ten(decimals) + 0.0; /* -0 becomes 0 */
}

void items_set_number(struct items *items, int index, double number)
{
    struct item *item = &items->item[index];
    const struct item_kind *kind = items_kind(items, index);

    if (!isfinite(number) || kind->type == 's') {
        items_set_invalid(items, index);
        return;
    }
    number = round_to(kind, number);
    if (kind->type == 'i')
        number = fmin(fmax(number, INT32_MIN), INT32_MAX);
    if (item->known && number == item->number)
        return;
    item->known = true;
    item->number = number;
    mark(items, index);
}

/* Length of the UTF-8 character at text, 0 when it is none. Overlong forms and surrogates are none. */
static size_t character(const unsigned char *text)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high;
        size_t length;
    } forms[] = {{0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3}, {0xE1, 0xEC, 0x80, 0xBF, 3},
                 {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4},
                 {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4}};

    if (*text < 0x80)
        return 1;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        size_t good = 1;

        if (*text < forms[i].first_low || *text > forms[i].first_high)
            continue;
        if (text[1] < forms[i].second_low || text[1] > forms[i].second_high)
            return 0;
        while (good < forms[i].length && (text[good] & 0xC0) == 0x80)
            good++;
        return good == forms[i].length ? good : 0;
    }
    return 0;
}

/* libdbus takes UTF-8 only, and would abort the program over anything else. */
static void copy_text(char *to, size_t size, const char *from)
{
    size_t used = 0;

    while (*from) {
        size_t length = character((const unsigned char *)from);

        if (used + (length ? length : 1) >= size)
            break;
        if (length == 0) {
            to[used++] = '?';
            from++;
        } else {
            memcpy(to + used, from, length);
            used += length;
            from += length;
        }
    }
    to[used] = '\0';
}

void items_set_text(struct items *items, int index, const char *text)
{
    struct item *item = &items->item[index];
    const struct item_kind *kind = items_kind(items, index);
    char copy[ITEMS_TEXT_MAX];

    if (!text || kind->type != 's') {
        items_set_invalid(items, index);
        return;
    }
    copy_text(copy, kind->room, text);
    if (item->known && strcmp(copy, item->text) == 0)
        return;
    item->known = true;
    strcpy(item->text, copy);
    mark(items, index);
}

void items_set_known_text(struct items *items, int index, const char *text)
{
    items_set_text(items, index, *text ? text : NULL);
}

void items_set_invalid(struct items *items, int index)
{
    struct item *item = &items->item[index];

    if (!item->known)
        return;
    item->known = false;
    mark(items, index);
}

struct value items_value(const struct items *items, int index)
{
    const struct item *item = &items->item[index];

    if (!item->known)
        return value_invalid();
    return items_kind(items, index)->type == 's' ? value_text(item->text) : value_number(item->number);
}

/* ---- text for a person ---- */

/* "-12.30": the digits of the scaled number, which round_to has made whole. printf would do the same in
 * ten times the time, and in the locale's spelling. */
static void number_text(char *buf, double number, int decimals)
{
    double scaled = round(fabs(number) * power_of_ten(decimals));
    char digits[32];
    int count = 0;

    if (scaled >= FIXED_POINT_MAX) {
        snprintf(buf, ITEMS_TEXT_MAX, "%.0f", number);
        return;
    }
    for (uint64_t rest = (uint64_t)scaled; rest > 0 || count <= decimals; rest /= 10) {
        if (decimals > 0 && count == decimals)
            digits[count++] = '.';
        digits[count++] = (char)('0' + rest % 10);
    }
    if (number < 0)
        *buf++ = '-';
    while (count > 0)
        *buf++ = digits[--count];
    *buf = '\0';
}

/* The name of an enumerated value, NULL when it has none. */
static const char *value_name(const char *const *names, double number)
{
    if (!names || number < 0)
        return NULL;
    for (int i = 0; names[i]; i++) {
        if (i == number)
            return names[i];
    }
    return NULL;
}

const char *items_text(const struct items *items, int index, char *buf)
{
    const struct item *item = &items->item[index];
    const struct item_kind *kind = items_kind(items, index);
    const char *name;

    if (!item->known)
        return strcpy(buf, invalid_text);
    if (kind->type == 's')
        return strcpy(buf, item->text);
    name = value_name(kind->names, item->number);
    if (name) {
        snprintf(buf, ITEMS_TEXT_MAX, "%s", name);
        return buf;
    }
    number_text(buf, item->number, decimals_of(kind));
    if (kind->unit)
        strncat(buf, kind->unit, ITEMS_TEXT_MAX - 1 - strlen(buf));
    return buf;
}

const char *items_number(const struct items *items, int index, char *buf)
{
    const struct item *item = &items->item[index];
    const struct item_kind *kind = items_kind(items, index);

    *buf = '\0';
    if (item->known && kind->type != 's')
        number_text(buf, item->number, decimals_of(kind));
    return buf;
}

size_t items_take_changes(struct items *items, void (*each)(void *ctx, int item), void *ctx)
{
    size_t count = items->change_count;

    for (size_t i = 0; i < count; i++) {
        items->item[items->changes[i]].changed = false;
        if (each)
            each(ctx, items->changes[i]);
    }
    items->change_count = 0;
    return count;
}
