/* Draws a simulated year and one of its days as an SVG that explains itself: axes with units, a legend,
 * marks where the cells were balanced. */
#ifndef COMMANDS_PLOT_SVG_H
#define COMMANDS_PLOT_SVG_H

#include "sim/year.h"

enum { PLOT_HIGHEST_DAY = -1 }; /* draw the day on which a cell was highest */

struct plot;

/* day: from 0 on, or PLOT_HIGHEST_DAY. NULL when there is no memory; free with plot_free. */
struct plot *plot_new(const struct year_options *options, int day);
void plot_free(struct plot *plot);

/* Fed in virtual time, minutes before their day ends. */
void plot_minute(struct plot *plot, const struct year_sample *sample);
void plot_day(struct plot *plot, const struct year_day *day);

/* 0, or -1 with errno. */
int plot_write(const struct plot *plot, const char *path);

#endif
