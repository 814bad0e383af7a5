/* `check`: says everything that is wrong with a settings file, and nothing else. */
#ifndef COMMANDS_CHECK_H
#define COMMANDS_CHECK_H

/* Returns the exit status: 0 when the daemon would start with it, 1 when not. */
int command_check(const char *path);

#endif
