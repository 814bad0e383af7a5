#include "settings_list.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INSTANCE_MAX = 1000000, INSTANCE_DIGITS_MAX = 7 };

/* A walk over the elements of a list. */
struct walk {
    const char *at;
    bool bracket;
    char *wrong;
};

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* What is wrong, and where: the text from there on, a few words of it. */
static const char *refuse(const struct walk *walk, const char *what, const char *where)
{
    if (*where)
        snprintf(walk->wrong, SETTINGS_WRONG_MAX, "%.110s (at '%.24s%s')", what, where,
                 strlen(where) > 24 ? "..." : "");
    else
        snprintf(walk->wrong, SETTINGS_WRONG_MAX, "%.110s (at its end)", what);
    return walk->wrong;
}

static struct walk walk_begin(const char *text, char *wrong)
{
    struct walk walk = {skip_space(text), false, wrong};

    walk.bracket = *walk.at == '[';
    walk.at = skip_space(walk.at + walk.bracket);
    return walk;
}

static bool ends_here(const struct walk *walk)
{
    return !*walk->at || (walk->bracket && *walk->at == ']');
}

/* Behind an element: its comma, or the end. */
static const char *walk_on(struct walk *walk)
{
    walk->at = skip_space(walk->at);
    if (*walk->at == ',') {
        walk->at = skip_space(walk->at + 1);
        return *walk->at == ',' ? refuse(walk, "nothing stands between two commas", walk->at) : NULL;
    }
    return ends_here(walk) ? NULL : refuse(walk, "a comma is missing", walk->at);
}

static const char *walk_end(const struct walk *walk)
{
    if (!walk->bracket)
        return NULL;
    if (!*walk->at)
        return refuse(walk, "the ']' is missing", walk->at);
    if (*skip_space(walk->at + 1))
        return refuse(walk, "something stands behind the ']'", skip_space(walk->at + 1));
    return NULL;
}

/* A name, in quotes or up to one of `ends`. */
static const char *take_name(struct walk *walk, const char *ends, char name[CONFIG_TEXT_MAX])
{
    const char *begin = walk->at;
    char quote = *begin == '"' || *begin == '\'' ? *begin : '\0';
    const char *text = begin + (quote != '\0');
    const char closing[] = {quote, '\0'};
    size_t length = strcspn(text, quote ? closing : ends);

    walk->at = text + length + (quote != '\0');
    if (quote && text[length] != quote)
        return refuse(walk, "a quote is missing (what stands behind a blank and ';' is a comment)", begin);
    while (!quote && length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length == 0)
        return refuse(walk, "a name is missing", begin);
    if (length >= CONFIG_TEXT_MAX)
        return refuse(walk, "too long", begin);
    memcpy(name, text, length);
    name[length] = '\0';
    return NULL;
}

/* "289" */
static bool take_instance(struct walk *walk, int *instance)
{
    size_t digits = strspn(walk->at, "0123456789");

    if (digits == 0 || digits > INSTANCE_DIGITS_MAX)
        return false;
    *instance = (int)strtol(walk->at, NULL, 10);
    walk->at += digits;
    return *instance <= INSTANCE_MAX;
}

static bool is_instance(const char *name)
{
    size_t digits = strspn(name + 1, "0123456789");

    return digits > 0 && digits <= INSTANCE_DIGITS_MAX && !name[1 + digits];
}

/* Names of packs: what begins with # is an instance. */
static const char *take_pack(struct walk *walk, const char *ends, char name[CONFIG_TEXT_MAX])
{
    const char *begin = walk->at;
    const char *why = take_name(walk, ends, name);

    if (!why && *begin == '#' && !is_instance(name))
        return refuse(walk, "behind # stands an instance, a number; put a name that begins with # in quotes",
                      begin);
    return why;
}

static const char *list_patterns(const char *text, bool packs, struct pattern_list *list, char *wrong)
{
    struct walk walk = walk_begin(text, wrong);

    memset(list, 0, sizeof *list);
    if (strcmp(text, "\"\"") == 0 || strcmp(text, "''") == 0)
        return NULL;
    while (!ends_here(&walk)) {
        const char *ends = walk.bracket ? ",]" : ",";
        const char *why;

        if (list->count == CONFIG_PATTERNS_MAX)
            return refuse(&walk, "too many names: let * stand for some of them", walk.at);
        why = packs ? take_pack(&walk, ends, list->pattern[list->count])
                    : take_name(&walk, ends, list->pattern[list->count]);
        if (!why)
            why = walk_on(&walk);
        if (why)
            return why;
        list->count++;
    }
    return walk_end(&walk);
}

const char *settings_list_texts(const char *text, struct pattern_list *list, char wrong[SETTINGS_WRONG_MAX])
{
    return list_patterns(text, false, list, wrong);
}

const char *settings_list_packs(const char *text, struct pattern_list *list, char wrong[SETTINGS_WRONG_MAX])
{
    return list_patterns(text, true, list, wrong);
}

/* ---- packs and their shunts ---- */

/* "279", "#279", "-279", each perhaps with " soc" behind it. */
static const char *take_shunt(struct walk *walk, struct pack_shunt *shunt)
{
    const char *begin = walk->at;

    shunt->inverted = *walk->at == '-';
    walk->at += *walk->at == '-' || *walk->at == '+';
    walk->at += *walk->at == '#';
    if (!take_instance(walk, &shunt->instance))
        return refuse(walk, "behind the ':' stands the instance of a shunt, a number: \"House 1\": 279",
                      begin);
    walk->at = skip_space(walk->at);
    shunt->soc = strncmp(walk->at, "soc", 3) == 0 && !isalnum((unsigned char)walk->at[3]);
    walk->at += shunt->soc ? 3 : 0;
    if (isalpha((unsigned char)*walk->at))
        return refuse(walk, "behind the instance only soc may stand", walk->at);
    return NULL;
}

static const char *take_pack_shunt(struct walk *walk, struct pack_shunts *list)
{
    struct pack_shunt *shunt = &list->shunt[list->count];
    const char *begin = walk->at;
    const char *why = take_pack(walk, walk->bracket ? ":,]" : ":,", shunt->pack);

    if (why)
        return why;
    walk->at = skip_space(walk->at);
    if (*walk->at != ':')
        return refuse(walk, "the shunt of this pack is missing, as in \"House 1\": 279", begin);
    walk->at = skip_space(walk->at + 1);
    why = take_shunt(walk, shunt);
    for (size_t i = 0; i < list->count && !why; i++) {
        if (strcmp(list->shunt[i].pack, shunt->pack) == 0)
            return refuse(walk, "this pack stands twice: keep one of its shunts", begin);
        if (list->shunt[i].instance == shunt->instance)
            return refuse(walk, "this shunt stands twice: it measures one pack only", begin);
    }
    return why;
}

const char *settings_list_pack_shunts(const char *text, struct pack_shunts *list,
                                      char wrong[SETTINGS_WRONG_MAX])
{
    struct walk walk = walk_begin(text, wrong);

    memset(list, 0, sizeof *list);
    while (!ends_here(&walk)) {
        const char *why;

        if (list->count == CONFIG_NAMES_MAX)
            return refuse(&walk, "too many shunts", walk.at);
        why = take_pack_shunt(&walk, list);
        if (!why)
            why = walk_on(&walk);
        if (why)
            return why;
        list->count++;
    }
    return walk_end(&walk);
}

/* ---- sources of current ---- */

/* "vebus", "dcload#31", "#30", each perhaps with a sign. */
static const char *take_source(struct walk *walk, struct current_sources *list)
{
    struct current_source *source = &list->source[list->count];
    const char *begin = walk->at;
    size_t length;

    source->sign = *walk->at == '-' ? -1 : *walk->at == '+';
    walk->at = skip_space(walk->at + (source->sign != 0));
    length = strspn(walk->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_.");
    source->dc_class = dc_class_find(walk->at, length);
    if (length > 0 && source->dc_class == DC_ANY)
        return refuse(walk, "no class of services on the DC side", begin);
    walk->at += length;
    source->instance = CONFIG_NOT_SET;
    if (*walk->at == '#') {
        walk->at++;
        if (!take_instance(walk, &source->instance))
            return refuse(walk, "behind # stands an instance, a number", begin);
    } else if (length == 0) {
        return refuse(walk, "neither a class of services nor #INSTANCE", begin);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (list->source[i].dc_class == source->dc_class && list->source[i].instance == source->instance)
            return refuse(walk, "this stands twice: keep one of them", begin);
    }
    return NULL;
}

const char *settings_list_sources(const char *text, struct current_sources *list,
                                  char wrong[SETTINGS_WRONG_MAX])
{
    struct walk walk = walk_begin(text, wrong);

    memset(list, 0, sizeof *list);
    while (!ends_here(&walk)) {
        const char *why;

        if (list->count == CONFIG_NAMES_MAX)
            return refuse(&walk, "too many sources: name their classes", walk.at);
        why = take_source(&walk, list);
        if (!why)
            why = walk_on(&walk);
        if (why)
            return why;
        list->count++;
    }
    return walk_end(&walk);
}

/* ---- what looks like something else ---- */

bool settings_list_is_between(char character)
{
    return !character || strchr(",:+|()[]", character);
}

/* The length of "#289" when nothing else of a name follows, else 0. */
static size_t instance_length(const char *text)
{
    size_t digits = *text == '#' ? strspn(text + 1, "0123456789") : 0;

    return digits > 0 && settings_list_is_between(*skip_space(text + 1 + digits)) ? 1 + digits : 0;
}

const char *settings_list_doubtful(const char *text, bool instances)
{
    bool named = false; /* a name has begun */

    for (const char *at = text; *at; at++) {
        if (!named && (*at == '"' || *at == '\'')) {
            at = strchr(at + 1, *at);
            if (!at)
                return NULL;
        }
        if (settings_list_is_between(*at))
            named = false;
        else if (named && *at == ';' && isspace((unsigned char)at[1]))
            return at;
        else if (named && *at == '#' && isspace((unsigned char)at[-1]) &&
                 (isspace((unsigned char)at[1]) || (instances && instance_length(at) > 0)))
            return at;
        else if (!isspace((unsigned char)*at))
            named = true;
    }
    return NULL;
}

bool settings_list_is_of_names(const char *text)
{
    const char *end = *text == '"' || *text == '\'' ? strchr(text + 1, *text) : NULL;

    return end ? settings_list_is_between(*skip_space(end + 1)) : instance_length(text) > 0;
}
