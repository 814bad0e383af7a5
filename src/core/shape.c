#include "core/shape.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct parser {
    const char *at;
    struct shape *shape;
    char *wrong;
};

static const char *skip_space(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

static bool take(struct parser *parser, char sign)
{
    parser->at = skip_space(parser->at);
    if (*parser->at != sign)
        return false;
    parser->at++;
    return true;
}

static bool fail(struct parser *parser, const char *what)
{
    if (*parser->at)
        snprintf(parser->wrong, SHAPE_WRONG_MAX, "%s at \"%.20s\"", what, parser->at);
    else
        snprintf(parser->wrong, SHAPE_WRONG_MAX, "%s at its end", what);
    return false;
}

/* The text of a name, in quotes or up to the next sign; its length, 0 when there is none. */
static size_t name_length(struct parser *parser, bool *closed)
{
    char quote = *parser->at == '"' || *parser->at == '\'' ? *parser->at : '\0';
    const char ends[] = {quote, '\0'};
    size_t length;

    parser->at += quote != '\0';
    length = strcspn(parser->at, quote ? ends : "+|(),\"'");
    *closed = !quote || parser->at[length] == quote;
    while (!quote && length > 0 && isspace((unsigned char)parser->at[length - 1]))
        length--;
    return length;
}

/* "#289"; is_called would take "#abc" for instance 0. */
static bool is_instance(const char *name)
{
    size_t digits = strspn(name + 1, "0123456789");

    return digits > 0 && !name[1 + digits];
}

static bool parse_name(struct parser *parser)
{
    struct shape *shape = parser->shape;
    const char *begin = parser->at = skip_space(parser->at);
    bool closed;
    size_t length = name_length(parser, &closed);
    char *name;

    if (!closed)
        return fail(parser, "a quote is not closed");
    if (length == 0)
        return fail(parser, "the name of a pack is missing");
    if (length >= SHAPE_NAME_MAX)
        return fail(parser, "this name is too long");
    if (shape->packs == SHAPE_PACKS_MAX)
        return fail(parser, "too many packs");
    name = shape->pack[shape->packs];
    memcpy(name, parser->at, length);
    name[length] = '\0';
    if (*name == '#' && !is_instance(name))
        return fail(parser, "behind # stands an instance, a number");
    for (size_t i = 0; i < shape->packs; i++) {
        if (strcmp(shape->pack[i], name) == 0)
            return fail(parser, "this pack is there twice");
    }
    shape->packs++;
    parser->at += length + (*begin == '"' || *begin == '\'');
    return true;
}

static bool parse_string(struct parser *parser)
{
    struct shape *shape = parser->shape;
    bool bracket = take(parser, '(');

    if (shape->strings == SHAPE_STRINGS_MAX)
        return fail(parser, "too many strings");
    shape->string[shape->strings].first = shape->packs;
    do {
        if (!parse_name(parser))
            return false;
    } while (take(parser, '+'));
    shape->string[shape->strings].count = shape->packs - shape->string[shape->strings].first;
    shape->strings++;
    if (!bracket || take(parser, ')'))
        return true;
    return fail(parser, *parser->at == '|' ? "only + may stand in a bracket" : "a bracket is not closed");
}

const char *shape_parse(const char *text, struct shape *shape, char wrong[SHAPE_WRONG_MAX])
{
    struct parser parser = {skip_space(text), shape, wrong};
    bool good = true;

    memset(shape, 0, sizeof *shape);
    if (!*parser.at)
        return NULL;
    do
        good = parse_string(&parser);
    while (good && take(&parser, '|'));
    if (good && *skip_space(parser.at))
        good = fail(&parser, *parser.at == ','
                                 ? "between packs stands + (in series) or | (in parallel), no comma"
                                 : "+ or | is missing");
    if (good)
        return NULL;
    memset(shape, 0, sizeof *shape);
    return wrong;
}

static bool is_called(const char *called, const char *name, const char *serial, double instance)
{
    if (*called == '#')
        return strtod(called + 1, NULL) == instance;
    return strcmp(called, name) == 0 || strcmp(called, serial) == 0;
}

bool shape_calls(const struct shape *shape, size_t place, const char *name, const char *serial,
                 double instance)
{
    return is_called(shape->pack[place], name, serial, instance);
}

int shape_find(const struct shape *shape, const char *name, const char *serial, double instance)
{
    for (size_t i = 0; i < shape->packs; i++) {
        if (is_called(shape->pack[i], name, serial, instance))
            return (int)i;
    }
    return -1;
}

int shape_string_of(const struct shape *shape, int place)
{
    for (size_t s = 0; s < shape->strings; s++) {
        if (place >= (int)shape->string[s].first &&
            place < (int)(shape->string[s].first + shape->string[s].count))
            return (int)s;
    }
    return -1;
}
