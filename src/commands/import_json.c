#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "commands/import_read.h"

struct reader {
    const char *at;
    int line;
};

static void skip(struct reader *reader)
{
    for (; isspace((unsigned char)*reader->at); reader->at++)
        reader->line += *reader->at == '\n';
}

static bool take_sign(struct reader *reader, char sign)
{
    skip(reader);
    if (*reader->at != sign)
        return false;
    reader->at++;
    return true;
}

/* A text without escapes; longer ones are cut off. False: there is none, or it does not end. */
static bool read_text(struct reader *reader, char *text, size_t size)
{
    size_t used = 0;

    if (!take_sign(reader, '"'))
        return false;
    for (; *reader->at && *reader->at != '"'; reader->at++) {
        if (*reader->at == '\\' && reader->at[1])
            reader->at++;
        if (used + 1 < size)
            text[used++] = *reader->at;
    }
    text[used] = '\0';
    return take_sign(reader, '"');
}

/* Over a list or an object and all in it. */
static bool skip_nested(struct reader *reader)
{
    char text[IMPORT_NAME_MAX];
    int depth = 0;

    do {
        skip(reader);
        if (*reader->at == '"') {
            if (!read_text(reader, text, sizeof text))
                return false;
            continue;
        }
        if (!*reader->at)
            return false;
        depth += strchr("[{", *reader->at) ? 1 : strchr("]}", *reader->at) ? -1 : 0;
        reader->at++;
    } while (depth > 0);
    return true;
}

static bool read_value(struct reader *reader, char *value, size_t size)
{
    size_t length;

    skip(reader);
    if (*reader->at == '"')
        return read_text(reader, value, size);
    if (*reader->at == '[' || *reader->at == '{') {
        strcpy(value, *reader->at == '[' ? "[...]" : "{...}");
        return skip_nested(reader);
    }
    length = strcspn(reader->at, ",}] \t\r\n");
    if (length == 0 || length >= size)
        return false;
    memcpy(value, reader->at, length);
    value[length] = '\0';
    reader->at += length;
    return true;
}

void import_read_json(const char *text, import_line_fn take, void *ctx)
{
    struct reader reader = {text, 1};
    char name[IMPORT_NAME_MAX];
    char value[IMPORT_VALUE_MAX];
    bool good = take_sign(&reader, '{');

    if (good && take_sign(&reader, '}'))
        return;
    while (good) {
        struct import_line found = {0, name, value};

        good = read_text(&reader, name, sizeof name) && take_sign(&reader, ':');
        found.line = reader.line;
        good = good && read_value(&reader, value, sizeof value);
        if (good)
            take(ctx, &found);
        if (good && !take_sign(&reader, ',')) {
            if (take_sign(&reader, '}'))
                return;
            good = false;
        }
    }
    take(ctx, &(struct import_line){reader.line, "", NULL});
}
