#include "settings_value.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "settings.h"
#include "settings_list.h"

enum { NUMBERS_MAX = 32 };

bool settings_value_is_list(const struct key *key)
{
    return key->type == KEY_MONTHS || key->type == KEY_CURVE_X || key->type == KEY_CURVE_Y;
}

bool settings_value_is_names(const struct key *key)
{
    return key->type == KEY_TEXTS || key->type == KEY_PACKS || key->type == KEY_PACK_SHUNTS ||
           key->type == KEY_SOURCES || key->type == KEY_SHAPE || key->type == KEY_SHUNTS;
}

bool settings_value_is_text(const struct key *key)
{
    return key->type == KEY_TEXT || key->type == KEY_TEXT_PATH || settings_value_is_names(key);
}

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* ---- numbers ---- */

/* A finite decimal number at *text, which is left behind it. No inf, nan or hexadecimal: strtod knows
 * them, users' files do not. */
static bool parse_number(const char **text, double *number)
{
    char *end;

    *text = skip_space(*text);
    *number = strtod(*text, &end);
    if (end == *text || !isfinite(*number) || strspn(*text, "0123456789.+-eE") < (size_t)(end - *text))
        return false;
    *text = end;
    return true;
}

/* A number, or the name of a key that is one. */
static bool parse_term(const struct config *config, const char **text, double *number)
{
    const struct key *key;
    char name[64];
    size_t length;

    *text = skip_space(*text);
    if (!isalpha((unsigned char)**text))
        return parse_number(text, number);
    length = strspn(*text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");
    if (length >= sizeof name)
        return false;
    memcpy(name, *text, length);
    name[length] = '\0';
    key = settings_find_key(name);
    if (!key || (key->type != KEY_REAL && key->type != KEY_REAL_SET))
        return false;
    memcpy(number, (const char *)config + key->offset, sizeof *number);
    *text += length;
    return true;
}

/* A term, or terms with + and - between them, as files of the 3.x generation have. */
static bool parse_sum(const struct config *config, const char **text, double *number)
{
    double term;

    if (!parse_term(config, text, number))
        return false;
    for (*text = skip_space(*text); **text == '+' || **text == '-'; *text = skip_space(*text)) {
        double sign = *(*text)++ == '-' ? -1 : 1;

        if (!parse_term(config, text, &term))
            return false;
        *number += sign * term;
    }
    return true;
}

/* What is wrong, and where: the text from there on. */
static const char *tell_place(const char *what, const char *where, char *wrong)
{
    if (*where)
        snprintf(wrong, SETTINGS_WRONG_MAX, "%s (at '%.40s')", what, where);
    else
        snprintf(wrong, SETTINGS_WRONG_MAX, "%s (at its end)", what);
    return wrong;
}

/* What is wrong at the end of a list that began with a bracket or without one; NULL = nothing. */
static const char *wrong_end(bool bracket, const char **text)
{
    bool closed = **text == ']';

    if (bracket && !closed)
        return "the ']' is missing";
    if (!bracket && closed)
        return "the '[' at the beginning is missing";
    *text = skip_space(*text + closed);
    return **text ? "something stands behind the ']'" : NULL;
}

/* Numbers with commas between them, with or without brackets and a comma at the end. Returns NULL, or what is
 * wrong; *text is then where. */
static const char *parse_numbers(const struct config *config, const char **text, double *numbers, int *count)
{
    bool bracket;

    *text = skip_space(*text);
    bracket = **text == '[';
    *text = skip_space(*text + bracket);
    for (*count = 0; **text && **text != ']'; ++*count) {
        if (*count == NUMBERS_MAX || !parse_sum(config, text, &numbers[*count]))
            return "not a list of numbers";
        *text = skip_space(*text);
        if (**text == ',')
            *text = skip_space(*text + 1);
        else if (**text && **text != ']')
            return "not a list of numbers";
    }
    return wrong_end(bracket, text);
}

static const char *store_number(const struct key *key, const char *text, struct config *config, void *member)
{
    double number;

    if (key->type == KEY_COUNT && (!*text || strcmp(text, "-1") == 0)) {
        *(int *)member = CONFIG_NOT_SET;
        return NULL;
    }
    if (key->type == KEY_REAL_SET) {
        *(bool *)(void *)((char *)config + key->set_offset) = *text != '\0';
        if (!*text) {
            *(double *)member = SETTINGS_DEFAULT_CURRENT_A;
            return NULL;
        }
    }
    if (!parse_number(&text, &number))
        return isalpha((unsigned char)*text) && settings_nearest_key(text)
                   ? "not a number (names of other settings may stand in lists only)"
                   : "not a number";
    if (*text == ',')
        return "not a number (decimals are written with a point)";
    if (*skip_space(text))
        return "not a number";
    if (!(number >= key->min && number <= key->max))
        return "out of range";
    if (key->type == KEY_REAL || key->type == KEY_REAL_SET) {
        *(double *)member = number;
        return NULL;
    }
    if (number != floor(number))
        return "not a whole number";
    *(int *)member = (int)number;
    return NULL;
}

static const char *store_numbers(const struct key *key, const char *text, struct config *config, void *member,
                                 size_t *points, char *wrong)
{
    double numbers[NUMBERS_MAX];
    struct curve *curve = member;
    int count;
    const char *why = parse_numbers(config, &text, numbers, &count);

    if (why)
        return tell_place(why, text, wrong);
    for (int i = 0; i < count; i++) {
        if (numbers[i] >= key->min && numbers[i] <= key->max)
            continue;
        snprintf(wrong, SETTINGS_WRONG_MAX, "number %d (%g) is out of range", i + 1, numbers[i]);
        return wrong;
    }
    if (key->type == KEY_MONTHS) {
        if (count != 12) {
            snprintf(wrong, SETTINGS_WRONG_MAX, "%d number%s where 12 belong, one a month", count,
                     count == 1 ? "" : "s");
            return wrong;
        }
        memcpy(member, numbers, 12 * sizeof *numbers);
        return NULL;
    }
    if (count > CURVE_POINTS_MAX || count == 1)
        return count == 1 ? "one point is no curve" : "too many points";
    memcpy(key->type == KEY_CURVE_X ? curve->x : curve->y, numbers, (size_t)count * sizeof *numbers);
    *points = (size_t)count;
    return NULL;
}

/* ---- words ---- */

static bool parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

static bool parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* One of "smooth or reference", "degrade, hold or stop": its place in the list. */
static bool parse_choice(const char *text, const char *words, int *choice)
{
    size_t length = strlen(text);

    for (*choice = 0; *words; (*choice)++) {
        size_t word = strcspn(words, ", ");

        if (word == length && strncasecmp(text, words, word) == 0)
            return true;
        words += word;
        words += strspn(words, ", ");
        if (strncmp(words, "or ", 3) == 0)
            words += 3;
    }
    return false;
}

static bool store_choice(const struct key *key, const char *text, void *member)
{
    int choice;

    if (!parse_choice(text, key->unit, &choice))
        return false;
    memcpy(member, &choice, sizeof choice);
    return true;
}
_Static_assert(sizeof(enum cvl_control) == sizeof(int), "a choice is stored as the number of its word");

/* ---- texts ---- */

static const char *store_text(const struct key *key, const char *text, char *member)
{
    size_t length = strlen(text);

    if (*text == '"' || *text == '\'') {
        if (length < 2 || text[length - 1] != *text)
            return "a quote is missing (what stands behind a blank and ';' is a comment)";
        text++;
        length -= 2;
    }
    if (length >= CONFIG_TEXT_MAX)
        return "too long";
    if (length < (size_t)key->min)
        return "empty";
    memcpy(member, text, length);
    member[length] = '\0';
    if (key->type == KEY_TEXT_PATH && strcmp(member, "/ProductName") != 0 &&
        strcmp(member, "/CustomName") != 0 && strcmp(member, "/Serial") != 0)
        return "no path that holds a name";
    return NULL;
}

/* One element of a list of shunts, without its quotes or the # of an instance. Leaves *text behind it and its
 * comma. */
static bool parse_shunt(const char **text, char *name)
{
    char quote = **text == '"' || **text == '\'' ? *(*text)++ : '\0';
    const char ends[] = {quote ? quote : ',', quote ? '\0' : ']', '\0'};
    size_t length = strcspn(*text, ends);
    size_t used = length;

    while (!quote && used > 0 && isspace((unsigned char)(*text)[used - 1]))
        used--;
    if (used == 0 || used >= CONFIG_TEXT_MAX || (quote && (*text)[length] != quote))
        return false;
    if (!quote && **text == '#' && used > 1 && strspn(*text + 1, "0123456789") == used - 1)
        snprintf(name, CONFIG_TEXT_MAX, "%.*s", (int)used - 1, *text + 1);
    else
        snprintf(name, CONFIG_TEXT_MAX, "%.*s", (int)used, *text);
    *text = skip_space(*text + length + (quote != '\0'));
    if (**text == ',')
        *text = skip_space(*text + 1);
    else if (**text && **text != ']')
        return false;
    return true;
}

static const char *store_shunts(const char *text, struct config *config, char *wrong)
{
    static const char no_list[] = "neither True, False nor a list of instances or names";
    struct name_list *list = &config->smartshunts;
    const char *why;
    bool all;
    bool bracket;

    list->count = 0;
    if (parse_bool(text, &all)) {
        config->use_smartshunts = all ? SHUNTS_ALL : SHUNTS_NONE;
        return NULL;
    }
    bracket = *text == '[';
    if (!bracket && isalpha((unsigned char)*text)) /* "Flase" is no name of a shunt */
        return no_list;
    text = skip_space(text + bracket);
    while (*text && *text != ']') {
        if (list->count == CONFIG_NAMES_MAX || !parse_shunt(&text, list->name[list->count]))
            return no_list;
        list->count++;
    }
    why = wrong_end(bracket, &text);
    config->use_smartshunts = list->count > 0 ? SHUNTS_LISTED : SHUNTS_NONE;
    return why ? tell_place(why, text, wrong) : NULL;
}

/* ---- by type ---- */

const char *settings_value_store(const struct key *key, const char *text, struct config *config,
                                 size_t *points, char wrong[SETTINGS_WRONG_MAX])
{
    void *member = (char *)config + key->offset;

    switch (key->type) {
    case KEY_BOOL:
        return parse_bool(text, member) ? NULL : "neither True nor False";
    case KEY_COUNT:
    case KEY_WHOLE:
    case KEY_REAL:
    case KEY_REAL_SET:
        return store_number(key, text, config, member);
    case KEY_TEXT:
    case KEY_TEXT_PATH:
        return store_text(key, text, member);
    case KEY_MONTHS:
    case KEY_CURVE_X:
    case KEY_CURVE_Y:
        return store_numbers(key, text, config, member, points, wrong);
    case KEY_SHAPE:
        return shape_parse(text, member, wrong);
    case KEY_SHUNTS:
        return store_shunts(text, config, wrong);
    case KEY_TEXTS:
        return settings_list_texts(text, member, wrong);
    case KEY_PACKS:
        return settings_list_packs(text, member, wrong);
    case KEY_PACK_SHUNTS:
        return settings_list_pack_shunts(text, member, wrong);
    case KEY_SOURCES:
        return settings_list_sources(text, member, wrong);
    case KEY_LEVEL:
        return parse_level(text, member) ? NULL : "no log level";
    case KEY_CHOICE:
        return store_choice(key, text, member) ? NULL : "none of the words that are known";
    case KEY_NOT_NEEDED:
        break;
    }
    return NULL;
}
