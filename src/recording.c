#include "recording.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TIME_LARGEST_S 1e11             /* the year 5138: later ones are no time, and no calendar has them */
#define WHOLE_EXACT (UINT64_C(1) << 53) /* up to here a double holds every whole number */

enum { DIGITS_EXACT = 15, DIGITS_ALL = 17, PLAIN_LENGTH = 18 };

static const struct {
    const char *word;
    enum recording_kind kind;
} events[] = {{"here", RECORDING_HERE},
              {"gone", RECORDING_GONE},
              {"silent", RECORDING_SILENT},
              {"heard", RECORDING_HEARD}};

/* ---- reading ---- */

/* The plain numbers that most lines carry, in a tenth of strtod's time: digits with a point, few enough
 * that a double holds them and one division rounds right. False for any other form. */
static bool parse_plain(const char *text, const char *end, double *number)
{
    static const double powers[DIGITS_EXACT + 1] = {1,   1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *at = text + (*text == '-');
    const char *point = NULL;
    uint64_t digits = 0;

    if (end - at > PLAIN_LENGTH || at == end)
        return false;
    for (; at < end; at++) {
        unsigned digit = (unsigned)(*at - '0');

        if (digit <= 9) {
            digits = digits * 10 + digit;
        } else if (*at == '.' && !point && at + 1 < end) {
            point = at + 1;
        } else {
            return false;
        }
    }
    if (digits > WHOLE_EXACT || (point && end - point > DIGITS_EXACT))
        return false;
    *number = (double)digits / powers[point ? end - point : 0];
    if (*text == '-')
        *number = -*number;
    return true;
}

/* text ends with a NUL at end. */
static bool parse_number(const char *text, const char *end, double *number)
{
    char *stopped;

    if (parse_plain(text, end, number))
        return true;
    if (text == end || strpbrk(text, " xX"))
        return false;
    *number = strtod(text, &stopped);
    return stopped == end;
}

/* The text between the quotes, unescaped in its place; NULL when it is not well formed. */
static const char *parse_text(char *quoted, char *end)
{
    char *to = quoted + 1;
    const char *text = to;

    if (end - quoted < 2 || end[-1] != '"')
        return NULL;
    end[-1] = '\0';
    if (!memchr(text, '\\', (size_t)(end - 1 - text)))
        return memchr(text, '"', (size_t)(end - 1 - text)) ? NULL : text;
    for (const char *from = text; *from; from++) {
        if (*from == '"')
            return NULL;
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        switch (*++from) {
        case '\\':
        case '"':
            *to++ = *from;
            break;
        case 't':
            *to++ = '\t';
            break;
        case 'n':
            *to++ = '\n';
            break;
        case 'r':
            *to++ = '\r';
            break;
        default:
            return NULL;
        }
    }
    *to = '\0';
    return text;
}

static const char *parse_time(char *line, char *tab, struct recording_line *out)
{
    size_t length = (size_t)(tab - line);

    if (length > 0 && length == out->time_length && memcmp(line, out->time_text, length) == 0)
        return NULL;
    if (length >= RECORDING_TIME_MAX || !parse_number(line, tab, &out->time_s) ||
        !(fabs(out->time_s) <= TIME_LARGEST_S)) {
        out->time_length = 0;
        return "the time is no number of seconds since 1970";
    }
    memcpy(out->time_text, line, length + 1);
    out->time_length = length;
    return NULL;
}

static const char *parse_value(char *text, char *end, struct value *value)
{
    if (*text == '"') {
        *value = value_text(parse_text(text, end));
        return value->text ? NULL : "the text is not well quoted";
    }
    if (end - text == 1 && *text == '-') {
        *value = value_invalid();
        return NULL;
    }
    if (end - text == 1 && *text == '?') {
        *value = (struct value){VALUE_UNUSABLE, NAN, NULL};
        return NULL;
    }
    *value = value_number(NAN);
    return parse_number(text, end, &value->number)
               ? NULL
               : "the value is neither a number, a quoted text, nor - for invalid";
}

static const char *parse_event(const char *word, struct recording_line *out)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (strcmp(word, events[i].word) == 0) {
            out->kind = events[i].kind;
            return NULL;
        }
    }
    return "without a path the value must be here, gone, silent or heard";
}

const char *recording_parse(char *line, size_t length, struct recording_line *out)
{
    char *end = line + length;
    char *tab[3];
    char *at = line;
    const char *wrong;

    *end = '\0';
    out->kind = RECORDING_COMMENT;
    if (length == 0 || *line == '#')
        return NULL;
    for (int i = 0; i < 3; i++) {
        tab[i] = memchr(at, '\t', (size_t)(end - at));
        if (!tab[i])
            return "a line has four parts: seconds, service, path and value, with a tab between";
        *tab[i] = '\0';
        at = tab[i] + 1;
    }
    wrong = parse_time(line, tab[0], out);
    if (wrong)
        return wrong;
    out->service = tab[0] + 1;
    out->service_length = (size_t)(tab[1] - out->service);
    out->path = tab[1] + 1;
    out->path_length = (size_t)(tab[2] - out->path);
    if (out->service_length == 1 && *out->service == '.') {
        out->kind = RECORDING_END;
        return NULL;
    }
    if (out->service_length == 0)
        return "the service is empty";
    if (out->path_length == 0)
        return parse_event(at, out);
    if (*out->path != '/')
        return "a path begins with /";
    out->kind = RECORDING_VALUE;
    return parse_value(at, end, &out->value);
}

/* ---- writing ---- */

void recording_time(double time_s, char *text)
{
    size_t length = (size_t)snprintf(text, RECORDING_TIME_MAX, "%.6f", time_s);

    if (length >= RECORDING_TIME_MAX)
        length = RECORDING_TIME_MAX - 1;
    while (length > 0 && text[length - 1] == '0')
        length--;
    if (length > 0 && text[length - 1] == '.')
        length--;
    text[length] = '\0';
}

static void write_number(FILE *to, double number)
{
    char text[40];

    snprintf(text, sizeof text, "%.*g", DIGITS_EXACT, number);
    if (isfinite(number) && strtod(text, NULL) != number)
        snprintf(text, sizeof text, "%.*g", DIGITS_ALL, number);
    fputs(text, to);
}

static void write_text(FILE *to, const char *text)
{
    static const char escaped[] = "\\\"\t\n\r";
    static const char letters[] = "\\\"tnr";

    putc('"', to);
    for (; *text; text++) {
        const char *found = strchr(escaped, *text);

        if (found) {
            putc('\\', to);
            putc(letters[found - escaped], to);
        } else {
            putc(*text, to);
        }
    }
    putc('"', to);
}

void recording_write_value(FILE *to, const char *time, const char *service, const char *path,
                           const struct value *value)
{
    fprintf(to, "%s\t%s\t%s\t", time, service, path);
    switch (value->kind) {
    case VALUE_NUMBER:
        write_number(to, value->number);
        break;
    case VALUE_TEXT:
        write_text(to, value->text);
        break;
    case VALUE_INVALID:
        putc('-', to);
        break;
    case VALUE_UNUSABLE:
        putc('?', to);
        break;
    }
    putc('\n', to);
}

void recording_write_event(FILE *to, const char *time, const char *service, enum recording_kind kind)
{
    if (kind == RECORDING_END) {
        fprintf(to, "%s\t.\t\t\n", time);
        return;
    }
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        if (events[i].kind == kind)
            fprintf(to, "%s\t%s\t\t%s\n", time, service, events[i].word);
    }
}
