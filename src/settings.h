/* settings.ini: one table of keys (type, range, default, help) and every check in it. A wrong setting
 * is named with file, line, key, what was found and what is allowed; all of them at once. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stdio.h>

#include "core/config.h"

#define SETTINGS_DEFAULT_CURRENT_A 200.0 /* MAX_CHARGE_CURRENT and MAX_DISCHARGE_CURRENT left empty */

enum settings_severity { SETTINGS_NOTE, SETTINGS_WARNING, SETTINGS_ERROR };

/* Receives each finding, one line without its end: "settings.ini:12: MAX_CELL_VOLTAGE = 34: ...". */
typedef void (*settings_report_fn)(void *ctx, enum settings_severity severity, const char *message);

/* The defaults of every key, LFP. */
void settings_default(struct config *config);

/* Reads path into *config on top of the defaults. Returns the number of errors (0 = *config is good and
 * complete; otherwise *config is left untouched). A file that is missing or unreadable is an error. */
int settings_read(const char *path, struct config *config, settings_report_fn report, void *ctx);

/* The same from text in memory, named `name` in messages. */
int settings_read_text(const char *name, const char *text, size_t length, struct config *config,
                       settings_report_fn report, void *ctx);

/* For documentation: calls each for every key in the order of the file. */
struct settings_key_help {
    const char *section, *key;
    const char *alias; /* its name in an older generation, or NULL */
    const char *range, *unit, *default_text, *help;
    bool not_needed; /* accepted and ignored */
};
void settings_each_key(void (*each)(void *ctx, const struct settings_key_help *key), void *ctx);

#endif
