/* The text format of record and replay: what services say, line by line, in time. A line is
 * `seconds<TAB>service<TAB>path<TAB>value`; lines of equal time are one instant. */
#ifndef RECORDING_H
#define RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bus/value.h"

enum {
    RECORDING_LINE_MAX = 4096, /* bytes of a line with its end */
    RECORDING_TIME_MAX = 32,   /* bytes of a time with its NUL */
};

enum recording_kind {
    RECORDING_VALUE,   /* of a path */
    RECORDING_HERE,    /* empty path, `here`: the service came */
    RECORDING_GONE,    /* empty path, `gone`: it left */
    RECORDING_SILENT,  /* empty path, `silent`: it neither says nor answers anything */
    RECORDING_HEARD,   /* empty path, `heard`: it does again */
    RECORDING_END,     /* service `.`: the instant is complete */
    RECORDING_COMMENT, /* an empty line, or one that begins with # */
};

/* A line in parts. The strings lie in the line that was parsed, which is changed for it. Zero-initialise
 * it before the first line and keep it from line to line: most lines have the time of the one before. */
struct recording_line {
    enum recording_kind kind;
    double time_s; /* since the epoch */
    char time_text[RECORDING_TIME_MAX];
    size_t time_length;
    const char *service; /* NUL-terminated, as path is */
    size_t service_length;
    const char *path; /* RECORDING_VALUE only */
    size_t path_length;
    struct value value; /* a text is unescaped */
};

/* Parses one line of length bytes (without its end; line[length] is overwritten). NULL, or what is wrong
 * with it ("a path begins with /"); out is half filled then. */
const char *recording_parse(char *line, size_t length, struct recording_line *out);

/* Writes a value: a number in the fewest digits that read back the same, a quoted text with \\, \", \t, \n
 * and \r escaped, `-` for invalid, `?` for an array or structure that nobody can use. The text of a time
 * comes from recording_time. */
void recording_write_value(FILE *to, const char *time, const char *service, const char *path,
                           const struct value *value);
/* kind: HERE, GONE, SILENT, HEARD, or END (service is ignored then). */
void recording_write_event(FILE *to, const char *time, const char *service, enum recording_kind kind);

/* The text of a time, with microseconds where it has them; text must hold RECORDING_TIME_MAX. */
void recording_time(double time_s, char *text);

#endif
