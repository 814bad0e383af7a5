/* Measurements that contradict each other. Which of them is right is not ours to decide: the more careful one
 * counts, and the user is told both numbers once they have differed for a while. */
#ifndef CORE_CONTRADICTION_H
#define CORE_CONTRADICTION_H

#include <stdbool.h>

#include "core/bank.h"
#include "core/current.h"

enum contradiction_kind {
    CONTRADICTION_HIGHEST, /* the highest of the cells shown, the pack's own highest; V */
    CONTRADICTION_LOWEST,
    CONTRADICTION_SUM, /* the sum of the cells, the voltage at the terminals; V */
    CONTRADICTION_OF_PACK,
    CONTRADICTION_CURRENT = CONTRADICTION_OF_PACK, /* what Victron's devices measure, what the packs do; A */
    CONTRADICTION_COUNT
};

#define CONTRADICTION_CELL_V 0.05
#define CONTRADICTION_SUM_SHARE 0.02    /* of the voltage */
#define CONTRADICTION_CURRENT_SHARE 0.1 /* of the larger of CCL and DCL */
#define CONTRADICTION_PACK_S 10.0       /* so long it must last: not all drivers say all at once */
#define CONTRADICTION_CURRENT_S 60.0    /* not all devices measure at once */

/* Two numbers that should be one. Either may be NAN: then nothing is contradicted. */
struct contradiction {
    double one, other;
    double allowed; /* difference */
};

/* What a pack says twice. */
void contradiction_of_pack(const struct pack *pack, struct contradiction out[CONTRADICTION_OF_PACK]);

/* The current of the bank, where it is measured by Victron's devices, against that of the packs. */
struct contradiction contradiction_of_current(const struct bank *bank, const struct bank_current *current,
                                              double charge_limit_A, double discharge_limit_A);

/* Since when, and whether that was told. Zero-initialised. */
struct contradiction_watch {
    bool seen, stands;
    double since_s;
};

/* True when it begins to stand, having lasted for hold_s, or stands no more. */
bool contradiction_step(struct contradiction_watch *watch, const struct contradiction *found, double hold_s,
                        double now_s);

#endif
