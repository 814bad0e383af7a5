/* CVL, CCL and DCL, and why: the three numbers that Venus obeys. A reason is data like the number
 * itself; users see it on the bus, in `status` and in the log. */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/config.h"

enum { LIMIT_REASON_MAX = 128 };

struct limit {
    double value;                  /* V or A, NAN when unknown */
    char reason[LIMIT_REASON_MAX]; /* "Lowest of the packs: House 2", "" only when value is NAN */
};

struct limits {
    struct limit charge_voltage;    /* CVL, V */
    struct limit charge_current;    /* CCL, A, >= 0 */
    struct limit discharge_current; /* DCL, A, >= 0 */
    bool charge_blocked;            /* a pack blocks charging, excluded or not */
    bool discharge_blocked;
    bool
        stopped; /* 0 for the whole bank for a while, whatever its cells say: none is seen, PACK_LOST, BANK */
};

/* What part of the current each pack takes, n numbers with the sum 1; 0: it takes no part, for it blocks. */
struct limit_shares {
    const double *charge, *discharge;
};

/* Limits merged from those of the packs (OWN_CHARGE_PARAMETERS = False).
 *   CVL: the lowest of the packs. With keep_max_cvl the highest until all packs are in float (their
 *   charge_mode begins with "Float"), then the lowest; but a pack with a cell at max_cell_voltage_V or
 *   above pulls CVL down to its own.
 *   CCL, DCL: the lowest over the packs of limit_i / share_i (shares NULL = 1/n each), never above the
 *   sum of the packs' limits; 0 when a pack blocks, or with BLOCKED_PACK = exclude when all do; capped by the
 *   user's maximum if set.
 *   A pack that shows no limit counts with its last known one (pack->last); without any, the bank's
 *   limit is unknown.
 * Source: the reference behaviour, "Merging", with the share rule of circuit theory. */
void limits_merge(const struct config *config, const struct pack *const packs[], size_t n,
                  const struct limit_shares *shares, struct limits *out);

#endif
