#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/import_read.h"

enum { VARIABLES_MAX = 128, DEPTH_MAX = 16 };

struct variable {
    char name[IMPORT_NAME_MAX];
    double number; /* NAN: it is none */
};

struct reader {
    const char *at;
    int line;
    int brackets; /* inside them a line may end anywhere */
    int depth;
    struct variable variables[VARIABLES_MAX];
    size_t variable_count;
};

static bool parse_sum(struct reader *reader, double *number);

static void skip_comment(struct reader *reader)
{
    if (*reader->at == '#')
        reader->at += strcspn(reader->at, "\n");
}

/* Blanks and comments; inside brackets also the ends of lines. */
static void skip(struct reader *reader)
{
    for (;;) {
        skip_comment(reader);
        if (*reader->at == '\n' && reader->brackets > 0)
            reader->line++;
        else if (!*reader->at || !strchr(" \t\r\f", *reader->at))
            return;
        reader->at++;
    }
}

static bool take_sign(struct reader *reader, char sign)
{
    skip(reader);
    if (*reader->at != sign)
        return false;
    reader->at++;
    return true;
}

static size_t name_length(const char *text)
{
    size_t length = 0;

    if (isdigit((unsigned char)*text))
        return 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '_')
        length++;
    return length;
}

static bool take_name(struct reader *reader, char name[IMPORT_NAME_MAX])
{
    size_t length = name_length(reader->at);

    if (length == 0 || length >= IMPORT_NAME_MAX)
        return false;
    memcpy(name, reader->at, length);
    name[length] = '\0';
    reader->at += length;
    return true;
}

/* ---- numbers ---- */

static struct variable *find_variable(struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->variable_count; i++) {
        if (strcmp(reader->variables[i].name, name) == 0)
            return &reader->variables[i];
    }
    return NULL;
}

static void set_variable(struct reader *reader, const char *name, double number)
{
    struct variable *variable = find_variable(reader, name);

    if (!variable && reader->variable_count < VARIABLES_MAX)
        variable = &reader->variables[reader->variable_count++];
    if (!variable)
        return;
    snprintf(variable->name, sizeof variable->name, "%s", name);
    variable->number = number;
}

static bool parse_literal(struct reader *reader, double *number)
{
    char *end;

    if (!isdigit((unsigned char)*reader->at) && *reader->at != '.')
        return false;
    *number = strtod(reader->at, &end);
    if (end == reader->at || isalnum((unsigned char)*end) || *end == '_' ||
        memchr(reader->at, 'x', (size_t)(end - reader->at)))
        return false;
    reader->at = end;
    return isfinite(*number);
}

static bool parse_factor(struct reader *reader, double *number)
{
    char name[IMPORT_NAME_MAX];
    const struct variable *variable;
    bool good;

    *number = 0;
    if (take_sign(reader, '-')) {
        good = ++reader->depth < DEPTH_MAX && parse_factor(reader, number);
        reader->depth--;
        *number = -*number;
        return good;
    }
    if (take_sign(reader, '(')) {
        reader->brackets++;
        good = ++reader->depth < DEPTH_MAX && parse_sum(reader, number) && take_sign(reader, ')');
        reader->depth--;
        reader->brackets--;
        return good;
    }
    if (name_length(reader->at) == 0)
        return parse_literal(reader, number);
    if (!take_name(reader, name))
        return false;
    variable = find_variable(reader, name);
    if (!variable || isnan(variable->number))
        return false;
    *number = variable->number;
    return true;
}

static bool parse_product(struct reader *reader, double *number)
{
    double factor;

    if (!parse_factor(reader, number))
        return false;
    for (;;) {
        char sign;

        skip(reader);
        if (*reader->at != '*' && *reader->at != '/')
            return true;
        sign = *reader->at++;
        if (!parse_factor(reader, &factor) || (sign == '/' && factor == 0))
            return false;
        *number = sign == '*' ? *number * factor : *number / factor;
    }
}

static bool parse_sum(struct reader *reader, double *number)
{
    double term;

    *number = 0;
    if (!parse_product(reader, number))
        return false;
    for (;;) {
        bool minus;

        skip(reader);
        if (*reader->at != '+' && *reader->at != '-')
            return true;
        minus = *reader->at++ == '-';
        if (!parse_product(reader, &term))
            return false;
        *number += minus ? -term : term;
    }
}

/* ---- other values ---- */

static bool append(char *value, const char *text, size_t length)
{
    size_t used = strlen(value);

    if (used + length + 1 > IMPORT_VALUE_MAX)
        return false;
    memcpy(value + used, text, length);
    value[used + length] = '\0';
    return true;
}

/* A text in single or double quotes, on one line and without escapes. With `quoted` it keeps quotes. */
static bool parse_text(struct reader *reader, bool quoted, char *value)
{
    char quote = *reader->at++;
    const char ends[] = {quote, '\\', '\n', '\0'};
    size_t length = strcspn(reader->at, ends);
    const char *text = reader->at;
    bool good;

    if (text[length] != quote)
        return false;
    good = (!quoted || append(value, &quote, 1)) && append(value, text, length) &&
           (!quoted || append(value, &quote, 1));
    reader->at += length + 1;
    skip(reader);
    return good && *reader->at != quote;
}

static bool parse_word(struct reader *reader, char *value)
{
    static const char *const words[] = {"True", "False"};
    size_t length = name_length(reader->at);

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == length && strncmp(reader->at, words[i], length) == 0) {
            reader->at += length;
            return append(value, words[i], length);
        }
    }
    return false;
}

static bool parse_number(struct reader *reader, char *value, double *number)
{
    char text[32];

    if (!parse_sum(reader, number))
        return false;
    snprintf(text, sizeof text, "%.9g", *number);
    return append(value, text, strlen(text));
}

/* [1, 2] or ["Front", "Rear"], also empty; a list of ours has the elements only, names in quotes. */
static bool parse_list(struct reader *reader, char *value)
{
    double number;

    reader->at++;
    reader->brackets++;
    while (!take_sign(reader, ']')) {
        if (*value && !append(value, ", ", 2))
            return false;
        if (!(*reader->at == '"' || *reader->at == '\'' ? parse_text(reader, true, value)
                                                        : parse_number(reader, value, &number)))
            return false;
        skip(reader);
        if (*reader->at != ']' && !take_sign(reader, ','))
            return false;
    }
    reader->brackets--;
    return true;
}

static bool parse_value(struct reader *reader, char *value, double *number)
{
    *number = NAN;
    *value = '\0';
    reader->brackets = reader->depth = 0;
    skip(reader);
    if (*reader->at == '"' || *reader->at == '\'')
        return parse_text(reader, false, value);
    if (*reader->at == '[')
        return parse_list(reader, value);
    return parse_word(reader, value) || parse_number(reader, value, number);
}

/* ---- lines ---- */

static bool at_end_of_line(struct reader *reader)
{
    reader->brackets = 0;
    skip(reader);
    return !*reader->at || *reader->at == '\n';
}

static void next_line(struct reader *reader)
{
    reader->at += strcspn(reader->at, "\n");
    if (*reader->at) {
        reader->at++;
        reader->line++;
    }
}

/* A text over several lines stands alone as a comment. */
static bool skip_long_text(struct reader *reader)
{
    const char quotes[] = {*reader->at, *reader->at, *reader->at, '\0'};
    const char *end;

    if ((*quotes != '"' && *quotes != '\'') || strncmp(reader->at, quotes, 3) != 0)
        return false;
    end = strstr(reader->at + 3, quotes);
    end = end ? end + 3 : reader->at + strlen(reader->at);
    for (; reader->at < end; reader->at++)
        reader->line += *reader->at == '\n';
    return at_end_of_line(reader);
}

/* NAME =, perhaps with the type in between. */
static bool take_target(struct reader *reader, char name[IMPORT_NAME_MAX])
{
    if (!take_name(reader, name))
        return false;
    if (take_sign(reader, ':'))
        reader->at += strcspn(reader->at, "=#\n");
    return take_sign(reader, '=') && *reader->at != '=';
}

static void read_line(struct reader *reader, import_line_fn take, void *ctx)
{
    char name[IMPORT_NAME_MAX];
    char value[IMPORT_VALUE_MAX];
    struct import_line found = {reader->line, "", NULL};
    double number;

    if (!strchr(" \t", *reader->at) && take_target(reader, name)) {
        found.name = name;
        if (parse_value(reader, value, &number) && at_end_of_line(reader))
            found.value = value;
        set_variable(reader, name, found.value ? number : NAN);
    }
    take(ctx, &found);
}

void import_read_python(const char *text, import_line_fn take, void *ctx)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return;
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    reader->at = text;
    for (reader->line = 1; *reader->at; next_line(reader)) {
        const char *begin = reader->at;

        if (at_end_of_line(reader) || skip_long_text(reader))
            continue;
        reader->at = begin;
        read_line(reader, take, ctx);
    }
    free(reader);
}
