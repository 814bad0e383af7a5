#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "commands/import_read.h"

struct reader {
    int line; /* where the setting begins; 0 = there is none yet */
    char name[IMPORT_NAME_MAX];
    char value[IMPORT_VALUE_MAX];
    bool too_long;
    import_line_fn take;
    void *ctx;
};

static void finish(struct reader *reader)
{
    const struct import_line found = {reader->line, reader->name, reader->too_long ? NULL : reader->value};

    if (reader->line > 0)
        reader->take(reader->ctx, &found);
    reader->line = 0;
}

/* Without blanks at both ends and without a comment: a ';' at the beginning or behind a blank. */
static size_t trim(const char **text, size_t length)
{
    const char *begin = *text;
    size_t used = 0;

    for (; length > 0 && isspace((unsigned char)*begin); length--)
        begin++;
    while (used < length && !(begin[used] == ';' && (used == 0 || isspace((unsigned char)begin[used - 1]))))
        used++;
    while (used > 0 && isspace((unsigned char)begin[used - 1]))
        used--;
    *text = begin;
    return used;
}

static void append(struct reader *reader, const char *text, size_t length)
{
    size_t used = strlen(reader->value);

    if (length == 0)
        return;
    if (used + length + 2 > sizeof reader->value) {
        reader->too_long = true;
        return;
    }
    if (used > 0)
        reader->value[used++] = ' ';
    memcpy(reader->value + used, text, length);
    reader->value[used + length] = '\0';
}

static void begin(struct reader *reader, int line, const char *text, size_t length)
{
    size_t sign = 0;
    size_t name;
    const char *value;

    finish(reader);
    while (sign < length && text[sign] != '=' && text[sign] != ':')
        sign++;
    for (name = sign; name > 0 && isspace((unsigned char)text[name - 1]);)
        name--;
    reader->line = line;
    reader->value[0] = reader->name[0] = '\0';
    reader->too_long = sign == length || name >= sizeof reader->name;
    if (reader->too_long)
        return;
    memcpy(reader->name, text, name);
    reader->name[name] = '\0';
    value = text + sign + 1;
    append(reader, value, trim(&value, length - sign - 1));
}

static void read_line(struct reader *reader, int line, const char *text, size_t length)
{
    bool indented = length > 0 && (*text == ' ' || *text == '\t');
    size_t used = trim(&text, length);

    if (used == 0 || *text == '#')
        return;
    if (*text == '[' && !indented)
        finish(reader);
    else if (indented && reader->line > 0)
        append(reader, text, used);
    else
        begin(reader, line, text, used);
}

void import_read_ini(const char *text, import_line_fn take, void *ctx)
{
    struct reader reader = {.take = take, .ctx = ctx};
    size_t length;

    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0)
        text += 3;
    for (int line = 1; *text; line++) {
        length = strcspn(text, "\n");
        read_line(&reader, line, text, length);
        text += length + (text[length] == '\n');
    }
    finish(&reader);
}
