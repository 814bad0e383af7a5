/* `status`: what the running daemon shows on the bus, for people and for programs. Reads the bus like
 * any other client, so it needs nothing of the daemon but its name. */
#ifndef COMMANDS_STATUS_H
#define COMMANDS_STATUS_H

#include <stdbool.h>

struct status_options {
    const char *bus_address; /* NULL = as Venus programs choose it */
    bool watch;              /* again every second, until the reader goes or Ctrl-C */
    bool table;              /* a row a pack; redrawn in place on a terminal */
    bool json;
};

/* Returns the exit status: 0, 1 when no daemon runs, 2 when the options contradict. */
int command_status(const struct status_options *options);

#endif
