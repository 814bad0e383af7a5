/* What several commands need of the command line: the settings that they run with. */
#ifndef COMMANDS_ARGUMENTS_H
#define COMMANDS_ARGUMENTS_H

#include <stdbool.h>

#include "core/config.h"

struct command_arguments {
    const char *settings_path;
    bool settings_named;             /* by the user: then the file must be there */
    const char *bus_address;         /* NULL = as Venus programs choose it */
    const char *data_directory;      /* of the daemon */
    const enum log_level *log_level; /* NULL = the command's own */
    const char *file;                /* the command's argument, NULL = none */
};

/* Reads the settings on top of the defaults; what is wrong with them goes to stderr. False: they have
 * errors. */
bool arguments_read_settings(const struct command_arguments *arguments, struct config *config);

#endif
