/* `import`: the settings of a Python aggregator as a settings.ini of ours. Its files are read as text and
 * never executed; what is taken, what is not and why is told line by line. */
#ifndef COMMANDS_IMPORT_H
#define COMMANDS_IMPORT_H

#include <stdio.h>

/* path is config.ini (dbus-aggregate-batteries 4.x), settings.py (3.x), config.json (BatteryAggregator), or a
 * folder with one of them. Writes settings.ini to out and what became of each setting to said. Returns 0;
 * 1 when a setting that we know could not be read, or when the result would not start the daemon (nothing is
 * written to out then but in the second case, so that it can be mended); 2 when there is nothing to import.
 */
int import_settings(const char *path, FILE *out, FILE *said);

/* The same to stdout and stderr; path NULL = the folders where they are on Venus OS. */
int command_import(const char *path);

/* For documentation: each key of BatteryAggregator's JSON, what it becomes (NULL = nothing), and why. */
struct import_json_key {
    const char *name;
    const char *becomes;
    const char *why;
};
extern const struct import_json_key import_json_keys[];
extern const size_t import_json_key_count;

/* A name that only an older settings.py had: ours; NULL when it is none of them. */
const char *import_python_name(const char *name);

#endif
