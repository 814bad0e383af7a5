/* The resistance of each pack, from steps of its own current and what its own voltage makes of them, and how
 * certain it is. */
#ifndef CORE_RESISTANCE_H
#define CORE_RESISTANCE_H

#include <stddef.h>

#include "core/bank.h"

enum { RESISTANCE_PACKS_MAX = 64, RESISTANCE_OUTLIERS_BELIEVED = 5 };

#define RESISTANCE_VOLTS_V 0.01 /* so exactly a voltage is shown */
#define RESISTANCE_STEP 0.1     /* so differently one step tells it than another: charge, warmth, timing */
#define RESISTANCE_DRIFT 0.02   /* and so much it changes from one to the next */
#define RESISTANCE_SIGMAS 3.0   /* further off it is an outlier */

/* Zero-initialised: free. */
struct resistance {
    char name[READING_TEXT_MAX]; /* of the pack */
    double last_s;
    double smooth_A, steady_s;              /* its current, to see how long it has been steady */
    double steady_at_s, steady_A, steady_V; /* when it last was, and then; NAN = never */
    double ohm, deviation_ohm;              /* one standard deviation; NAN before the first step */
    int steps, outliers;                    /* outliers: in a row */
    double share; /* 0..1: the part of the charge current that the limits are made with; NAN = with none */
};

/* That of the pack with this name: at place hint, else where it is, else a free place or, when none is left,
 * that at hint, begun anew. */
struct resistance *resistance_of(struct resistance list[RESISTANCE_PACKS_MAX], const char *name, size_t hint);

/* The same without making one; NULL = there is none. */
const struct resistance *resistance_find(const struct resistance list[RESISTANCE_PACKS_MAX],
                                         const char *name);

/* Looks at its current and voltage once a second. A step is from one steady state to the next. What cannot be
 * the resistance of such cells is not believed, what is far from what was learned not before it was seen
 * RESISTANCE_OUTLIERS_BELIEVED times in a row. */
void resistance_step(struct resistance *resistance, const struct pack *pack, double time_s);

#endif
