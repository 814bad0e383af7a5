#include "log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

/* So much fits into a pipe whole as soon as it takes anything. */
_Static_assert(LINE_MAX_BYTES + sizeof "WARNING: \n" <= PIPE_BUF, "a line is written in one piece");

static enum log_level threshold = LOG_INFO;
static bool to_stderr;
static const char *stamp;
static unsigned long lost; /* lines, since the last that said so */

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

/* True when all of it is out. Whoever waits for a reader that has stopped (multilog does while its disk is
 * full) leaves its limits on the bus for ever: nothing is written that would have to wait. */
static bool write_at_once(const char *text, size_t length)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) && !(out.revents & POLLERR) &&
           write(STDOUT_FILENO, text, length) == (ssize_t)length;
}

static void say_lost(void)
{
    char line[128];
    int length;

    if (lost == 0)
        return;
    length = snprintf(line, sizeof line, "WARNING: %lu line%s of the log %s lost, for nobody read %s\n", lost,
                      lost == 1 ? "" : "s", lost == 1 ? "is" : "are", lost == 1 ? "it" : "them");
    if (write_at_once(line, (size_t)length))
        lost = 0;
}

void log_at(enum log_level level, const char *format, ...)
{
    static const char *const prefixes[] = {"ERROR: ", "WARNING: ", "INFO: ", "DEBUG: "};
    char text[LINE_MAX_BYTES];
    char line[LINE_MAX_BYTES + sizeof "WARNING: \n"];
    va_list arguments;
    int length;

    if (level > threshold)
        return;
    va_start(arguments, format);
    length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        snprintf(text, sizeof text, "a line that cannot be formatted: %s", format);
    if (length >= (int)sizeof text)
        memcpy(text + sizeof text - sizeof "...", "...", sizeof "...");
    replace_control_characters(text);
    if (to_stderr) {
        fprintf(stderr, "%s%s%s%s\n", stamp ? stamp : "", stamp ? " " : "", prefixes[level], text);
        return;
    }
    length = snprintf(line, sizeof line, "%s%s\n", prefixes[level], text);
    say_lost();
    if (lost > 0 || !write_at_once(line, (size_t)length))
        lost++;
}
