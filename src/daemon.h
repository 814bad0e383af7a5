/* The wiring: bus, devices, the rooms of core/, outputs, files. The only room that knows all others. */
#ifndef DAEMON_H
#define DAEMON_H

#include <stdbool.h>

#include "core/config.h"

struct daemon_options {
    const char *settings_path;
    bool settings_named; /* by the user: then the file must be there */
    const char *data_directory;
    const char *bus_address;         /* NULL = as Venus programs choose it */
    const enum log_level *log_level; /* NULL = as the settings say */
};

/* Runs until SIGTERM or SIGINT. Returns the exit status: 0, or 1 when it could not start. */
int daemon_run(const struct daemon_options *options);

#endif
