/* `work`, `capacity`, `status --history` and `set`: what the running daemon tells of its past, and what it is
 * told by those who calibrate. They ask its methods on the bus, and need nothing of it but its name. */
#ifndef COMMANDS_WORK_H
#define COMMANDS_WORK_H

#include <stdbool.h>
#include <stdio.h>

/* Exit status: 0, 1 when no daemon runs or it refuses (said on stderr), 2 when the words are wrong. */
int command_work(const char *bus_address, bool clear);
int command_capacity(const char *bus_address);
int command_history(const char *bus_address);
int command_set(const char *bus_address, const char *what, const char *number);

/* What GetWork answered. */
struct work_pair {
    char key[160]; /* of a pack: "<name>/<key>" */
    double number;
};
struct work_view {
    size_t count;
    struct work_pair *pair;
};

/* The same for people. */
void work_write_history(FILE *out, const struct work_view *view);
void work_write_capacity(FILE *out, const struct work_view *view);

#endif
