#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 1024 };

static enum log_level threshold = LOG_INFO;
static bool to_stderr;
static const char *stamp;

void log_set_level(enum log_level level)
{
    threshold = level;
}

void log_to_stderr(const char *text)
{
    to_stderr = true;
    stamp = text;
}

/* Names and texts come from the bus: no line of theirs may look like one of ours. */
static void replace_control_characters(char *line)
{
    for (; *line; line++) {
        if ((unsigned char)*line < 0x20 || *line == 0x7f)
            *line = '?';
    }
}

void log_at(enum log_level level, const char *format, ...)
{
    static const char *const prefixes[] = {"ERROR: ", "WARNING: ", "INFO: ", "DEBUG: "};
    char line[LINE_MAX_BYTES];
    va_list arguments;
    int length;

    if (level > threshold)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0)
        snprintf(line, sizeof line, "a line that cannot be formatted: %s", format);
    if (length >= (int)sizeof line)
        memcpy(line + sizeof line - sizeof "...", "...", sizeof "...");
    replace_control_characters(line);
    if (to_stderr) {
        fprintf(stderr, "%s%s%s%s\n", stamp ? stamp : "", stamp ? " " : "", prefixes[level], line);
        return;
    }
    printf("%s%s\n", prefixes[level], line); /* in one write: stdout is buffered by line or more */
    fflush(stdout);
}
