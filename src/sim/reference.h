/* The charge control that users come from, dbus-aggregate-batteries, flaws included: what ours is measured
 * against in the same world. Written from its described behaviour; it acts once a second. */
#ifndef SIM_REFERENCE_H
#define SIM_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/calendar.h"
#include "core/config.h"

enum reference_cycle { REFERENCE_IDLE, REFERENCE_RAISING, REFERENCE_HOLDING };

struct reference {
    enum reference_cycle cycle;
    long balanced_day; /* date of the last success, CALENDAR_NONE = never */
    bool dynamic;      /* CVL follows a peaking cell */
    bool owes_feed_in; /* it was 1 when dynamic CVL began */
    bool empty;        /* no discharge until the lowest cell has recovered */
    double charge_Ah;  /* its counter; NAN before it begins */
    double last_time_s;
};

struct reference_input {
    double time_s;
    struct calendar today;
    const struct pack *const *packs;
    size_t pack_count;
    const struct bank *bank; /* merged from them */
    double feed_in;          /* the setting as it reads now */
};

struct reference_output {
    double cvl_V, ccl_A, dcl_A;
    double target_V; /* of the day, before dynamic CVL */
    double soc_pct;
    double feed_in; /* what it writes, NAN = nothing */
    bool balanced;  /* a success in this step */
};

void reference_init(struct reference *reference);

/* One step.
 * CVL: target of the day (the month's, or BALANCING_VOLTAGE in its cycle); while the highest cell is at
 *   MAX_CELL_VOLTAGE the lowest over the packs of sum - all overshoots, never above the target.
 * Feed-in: remembered and turned off where dynamic CVL begins; returned only if the cells happen to differ
 *   by less than CELL_DIFF_MAX in the step in which it ends.
 * CCL: MAX_CHARGE_CURRENT * curve(highest cell), also at its low end; 0 when a pack blocks.
 * DCL: MAX_DISCHARGE_CURRENT * curve(lowest cell), 0 from MIN_CELL_VOLTAGE until MIN_CELL_HYSTERESIS above.
 * SoC: Q += I dt (efficiency when charging); full as soon as one sample of V is at BALANCING_VOLTAGE; empty,
 *   with ZERO_SOC, as soon as one sample of a cell is at MIN_CELL_VOLTAGE. */
void reference_step(struct reference *reference, const struct config *config,
                    const struct reference_input *in, struct reference_output *out);

#endif
