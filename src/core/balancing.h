/* The charge voltage of the day: the month's target, and every BALANCING_REPETITION days a cycle that
 * raises it until the cells are even. Counts days by time that passed, so that a clock that jumps
 * neither causes a cycle nor loses one. */
#ifndef CORE_BALANCING_H
#define CORE_BALANCING_H

#include <stdbool.h>

#include "core/calendar.h"
#include "core/config.h"

enum balancing_state {
    BALANCING_IDLE,    /* target: the month's */
    BALANCING_RAISING, /* target: BALANCING_VOLTAGE, until V >= it and the cells are even */
    BALANCING_HOLDING, /* reached: target still raised, until V has sunk to the month's */
};

const char *balancing_state_name(enum balancing_state state);

enum { BALANCING_REASON_MAX = 64 };

struct balancing {
    enum balancing_state state;
    long last_success_day; /* date of the last success, CALENDAR_NONE = never */
    double age_days;       /* time that passed since, by our own count; NAN = never succeeded */
    long seen_day;         /* the last trusted date, to count what passed while we were off */
    double last_time_s;    /* monotonic, of the last step; NAN before */
    bool dated;            /* a trusted date was seen since the start */
    int day_of_year;       /* of the last success as another program stored it: a date once today's is
                              known; 0 = none */
};

struct balancing_input {
    double time_s; /* monotonic */
    struct calendar today;
    double voltage_V;   /* of the bank, NAN unknown */
    double cell_diff_V; /* highest - lowest cell, NAN unknown */
    double cells;       /* in series, > 0 */
};

struct balancing_target {
    double voltage_V;   /* what holds now, of the bank */
    double normal_V;    /* the month's (the lowest of all months while the clock is not trusted) */
    double balancing_V; /* cells * BALANCING_VOLTAGE */
    bool changed;       /* state or date changed: store it */
    bool succeeded;     /* the goal was reached in this step */
    char reason[BALANCING_REASON_MAX]; /* "Monthly target (November)", "Balancing: raising, 12 mV to go" */
};

/* Begins from what was stored (state, last_success_day, age_days, seen_day; see the members). */
void balancing_init(struct balancing *balancing);

/* One step. With BALANCING_VOLTAGE <= the month's there is no cycle: whenever V reaches balancing_V with
 * even cells, and a day has passed, the date is stored. At the first step days between seen_day and
 * today are added to age_days if they are between 0 and 400, else the clock has jumped and none are.
 * Source: the reference behaviour, "Own charge control". */
void balancing_step(struct balancing *balancing, const struct config *config,
                    const struct balancing_input *in, struct balancing_target *out);

#endif
