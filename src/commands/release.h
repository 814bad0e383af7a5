/* release: pays by hand what the guard over DC feed-in owes the user, for when the daemon will not run
 * again (uninstall) or should not. */
#ifndef COMMANDS_RELEASE_H
#define COMMANDS_RELEASE_H

#include "commands/arguments.h"

/* Reads the debt in arguments->data_directory, writes OvervoltageFeedIn = 1, reads it back and strikes the
 * debt out. The exit status: 0 when nothing is owed (any more); 1 when it still is, with the reason: the
 * daemon runs, no settings service, it refused, the file cannot be written. */
int command_release(const struct command_arguments *arguments);

#endif
