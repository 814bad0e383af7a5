/* What a bank or a pack really holds: a short record of sweeps from full down to an anchor, and the usable
 * capacity that follows from them, with its uncertainty. Plain arithmetic, fed by work.h. */
#ifndef CORE_CAPACITY_H
#define CORE_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/calendar.h"

enum { CAPACITY_SWEEPS_MAX = 6 };

#define CAPACITY_NEXT_HOURS 12.0  /* the sweep that capacity_next_deviation_Ah speaks of */
#define CAPACITY_GOOD 0.03        /* share of the capacity: a deviation that is good enough */
#define CAPACITY_USABLE_LEAST 0.5 /* of the nameplate; outside these bounds it is no capacity */
#define CAPACITY_USABLE_MOST 1.15

/* Charge and energy that went in and out, as the sensors have it, and in how many hours. */
struct work_count {
    double in_Ah, out_Ah, in_kWh, out_kWh, hours;
};

/* One sweep. */
struct capacity_sweep {
    long day;            /* CALENDAR_NONE = nobody knew the date */
    double capacity_Ah;  /* that follows from it */
    double deviation_Ah; /* one standard deviation, without the gain of the sensor, which all sweeps share */
    double depth;        /* 0..1: 1 ended with an empty cell, less with the voltage at rest */
    double installed_Ah; /* nameplate at that time */
};

/* The newest first. */
struct capacity_record {
    size_t count;
    struct capacity_sweep sweep[CAPACITY_SWEEPS_MAX];
};

/* What the current sensor shows too much, as stretches from full to full tell: as much went in as out. */
struct capacity_sensor {
    double offset_A, deviation_A;
};
struct capacity_sensor capacity_sensor(const struct work_count *full_to_full, double installed_Ah);

/* The capacity by what went out since the bank was full, down to an anchor at that depth (0..1) which is
 * itself uncertain by that share of the capacity. False when it is too uncertain to be worth keeping, or
 * outside the bounds. */
bool capacity_measure(const struct work_count *from_full, const struct capacity_sensor *sensor,
                      double installed_Ah, double depth, double anchor, struct capacity_sweep *out);

/* At the front of the record; in place of the newest when it is of the same sweep. */
void capacity_keep(struct capacity_record *record, const struct capacity_sweep *sweep, bool same_sweep);

struct capacity_estimate {
    double capacity_Ah;  /* NAN: no sweep yet */
    double deviation_Ah; /* one standard deviation */
    double depth;        /* of the deepest sweep, 0 = none */
    double sweeps;       /* that it is made of */
};

/* Sweeps weighted by their certainty; older ones count less, when the date is known. Those that end at rest
 * share the error of the rest curve, so only the best of them counts. same_size: sweeps of a bank of another
 * nameplate are left out. */
struct capacity_estimate capacity_estimate(const struct capacity_record *record, double installed_Ah,
                                           bool same_size, const struct calendar *today);

/* The deviation that one more sweep from full to empty within CAPACITY_NEXT_HOURS would bring. */
double capacity_next_deviation_Ah(const struct capacity_estimate *now, const struct capacity_sensor *sensor,
                                  double installed_Ah);

#endif
