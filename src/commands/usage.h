/* What the command line is, of the whole program and of each command. `simulate` has its own. */
#ifndef COMMANDS_USAGE_H
#define COMMANDS_USAGE_H

#include <stdbool.h>
#include <stdio.h>

/* To stdout; NULL = of the whole program. False when there is no such command. */
bool usage_print(const char *command);

/* To stderr, for who got it wrong: how the command is used, and where there is more. */
void usage_hint(const char *command);

#endif
