/* One line per fact, to stdout, where multilog or journald stamps it with the time. It never waits: lines
 * that nobody takes are counted, and their number is said when somebody reads again. */
#ifndef LOG_H
#define LOG_H

#include "core/config.h"

void log_set_level(enum log_level level);

/* To stderr instead, each line after *stamp (NULL = none): for commands whose stdout is their result. */
void log_to_stderr(const char *stamp);
void log_at(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
