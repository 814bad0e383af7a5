/* What `simulate` tells: the verdict for people or programs, and the drawing. */
#ifndef COMMANDS_SIMULATE_VIEW_H
#define COMMANDS_SIMULATE_VIEW_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/year.h"

enum { VIEW_DAYS_MAX = 3660, VIEW_MINUTES = 1440 };

/* A day in short. */
struct view_day {
    double soc_least, soc_most, highest_V, cvl_least_V, cvl_most_V, held_h;
    bool balanced;
};

/* What is kept of the samples. */
struct view {
    struct view_day day[VIEW_DAYS_MAX];
    size_t days;
    long plot_day; /* the day that is kept minute by minute, 0-based */
    struct year_sample minute[VIEW_MINUTES];
    size_t minutes;
};

void view_sample(struct view *view, const struct year_sample *sample);

void view_verdict(FILE *to, const struct year_options *options, const struct year_result *result,
                  double cpu_s);
void view_json(FILE *to, const struct year_options *options, const struct year_result *result, double cpu_s);
void view_plot(FILE *to, const struct view *view, const struct year_options *options,
               const struct year_result *result);

#endif
