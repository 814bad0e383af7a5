/* `check`: says everything that is wrong with a settings file, and nothing else. */
#ifndef COMMANDS_CHECK_H
#define COMMANDS_CHECK_H

#include <stdbool.h>

/* Returns the exit status: 0 when the daemon would start with it, 1 when not. named: the user named the
 * file, so it must be there. */
int command_check(const char *path, bool named);

#endif
