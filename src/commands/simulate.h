/* simulate: what would these settings do to my battery? A house in virtual time under our control or the
 * reference's, with a verdict in numbers, a drawing and a table. */
#ifndef COMMANDS_SIMULATE_H
#define COMMANDS_SIMULATE_H

/* The command's own arguments, argv[0] being its name. The exit status: 0; 1 when a file cannot be
 * written; 2 for wrong arguments or settings. */
int command_simulate(int argc, char *argv[]);

#endif
