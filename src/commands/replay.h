/* replay: a recording through the rooms of the daemon, in the recording's own time and as fast as it
 * goes; stdout tells what would have been published. */
#ifndef COMMANDS_REPLAY_H
#define COMMANDS_REPLAY_H

#include "commands/arguments.h"

/* arguments->file: the recording; NULL or "-" is stdin. The exit status: 0; 1 when a line was wrong (the
 * rest is replayed) or it cannot be read; 2 for wrong settings. */
int command_replay(const struct command_arguments *arguments);

#endif
