/* `simulate`: what these settings would do to a battery, tried on a simulated house before the real one is
 * asked. */
#ifndef COMMANDS_SIMULATE_H
#define COMMANDS_SIMULATE_H

#include <stdio.h>

#include "sim/year.h"

/* argv[0] is "simulate"; its options follow. Returns the exit status: 0, 1 (cannot), 2 (wrong options). */
int command_simulate(int argc, char *argv[]);

/* The report for a person, and as one object of JSON on one line. took_s: how long one core was busy with it.
 */
void simulate_print(FILE *file, const struct year_options *options, const struct year_report *report,
                    double took_s);
void simulate_print_json(FILE *file, const struct year_options *options, const struct year_report *report,
                         double took_s);

#endif
