/* record: what the daemon would read on the live bus, written down as it comes (see recording.h), until
 * SIGINT or SIGTERM. A user's bug report becomes a file that reproduces it. */
#ifndef COMMANDS_RECORD_H
#define COMMANDS_RECORD_H

#include "commands/arguments.h"

/* arguments->file: where to, which must not be there yet; NULL or "-" is stdout. The exit status: 0; 1
 * when it cannot be written or there is no bus; 2 for wrong settings. */
int command_record(const struct command_arguments *arguments);

#endif
