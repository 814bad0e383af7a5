/* The Coulomb counter: charge in the bank from its current over monotonic time. */
#ifndef CORE_CHARGE_H
#define CORE_CHARGE_H

#include <stdbool.h>

#include "core/config.h"

enum charge_event {
    CHARGE_EVENT_NONE = 0,
    CHARGE_EVENT_GAP,   /* more than CHARGE_GAP_MAX_S between two measurements: not integrated */
    CHARGE_EVENT_FULL,  /* reset to the capacity (said once per arrival at the top) */
    CHARGE_EVENT_EMPTY, /* reset to 0 (once per arrival at the bottom) */
    /* Of soc.h only: */
    CHARGE_EVENT_REST,    /* corrected by the voltage at rest */
    CHARGE_EVENT_OUTLIER, /* full or empty, and so far from what was counted that nothing is learned from it
                           */
};

#define CHARGE_GAP_MAX_S 30.0

struct charge_counter {
    double charge_Ah;   /* Q; NAN until it is known where to begin */
    double capacity_Ah; /* of the bank, NAN until known */
    double last_time_s; /* of the last measurement, NAN before the first */
    double last_current_A;
    double gap_s; /* length of the last gap, for the log */
    bool at_full; /* inside the condition that reset it */
    bool at_empty;
};

/* What one measurement brings. Unknown is NAN; the flags come from the caller, who knows the rules. */
struct charge_input {
    double time_s;      /* monotonic */
    double current_A;   /* + charges */
    double capacity_Ah; /* sum of the installed capacities */
    bool full;          /* the bank is full by the rule in force */
    bool empty;         /* the bank is empty by the rule in force, and ZERO_SOC allows */
};

/* Begins at charge_Ah (NAN = not known yet; charge_begin may be called again when it is). */
void charge_init(struct charge_counter *counter, double charge_Ah);

/* Takes one measurement: Q += trapezoid(I) dt (efficiency where I > 0), kept in [0, capacity].
 * The trapezoid splits where the current changes sign, so that the efficiency touches only what goes in.
 * An unknown current is no measurement. Between two that are more than CHARGE_GAP_MAX_S apart, or when
 * time runs backwards, nothing is integrated. A capacity that changes scales Q, so that SoC stands. */
enum charge_event charge_step(struct charge_counter *counter, const struct charge_input *in,
                              double efficiency);

/* SoC = 100 Q / capacity, in % 0..100; NAN when unknown. */
double charge_soc_pct(const struct charge_counter *counter);

/* Q - capacity, <= 0, Ah. */
double charge_consumed_Ah(const struct charge_counter *counter);

/* -3600 Q / I in s while discharging and not low_soc; else NAN. */
double charge_time_to_go_s(const struct charge_counter *counter, double current_A, bool low_soc);

#endif
