/* How the current of the bank divides between its branches (packs, or strings of packs, in parallel): what
 * the user said, what was learned, and what is measured while a pack nears its own limit. */
#ifndef CORE_SHARING_H
#define CORE_SHARING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/config.h"
#include "core/limits.h"

/* Between the two numbers of steps what was learned takes over from the capacities, a part with each: limits
 * move slowly. */
enum { SHARING_BRANCHES_MAX = 64, SHARING_STEPS_TO_TRUST = 5, SHARING_STEPS_SURE = 10 };

#define SHARING_LOAD_MOST 0.95 /* of a pack's own limit, now or in SHARING_AHEAD_S: chargers follow late */
#define SHARING_AHEAD_S 10.0
#define SHARING_LOAD_RISE 0.93    /* below it the bank's limit rises again, */
#define SHARING_RISE 0.002        /* by so much of what it is when whole in a second */
#define SHARING_LEFT_LEAST 0.05   /* so much is left of it, whatever is measured */
#define SHARING_SCATTER_SURE 0.25 /* shares of steps that scatter by so much of themselves are sure, */
#define SHARING_SCATTER_MOST 0.5  /* and these say nothing */
#define SHARING_LEAST 0.1         /* no share is taken to be less than this part of an equal one */
#define SHARING_APART_CELL_V                                                          \
    0.1 /* the others are not charged further above one that blocks charging: when it \
           blocks no more, what they are above it drives a current that nobody limits */
#define SHARING_REJOIN_A_AH 0.05 /* both limits while a pack that was blocked is apart from the others */
#define SHARING_REJOIN_PART 0.05 /* of themselves, where no pack tells its capacity */

/* Zero-initialised but for sharing_init. */
struct sharing {
    double last_time_s; /* NAN before the first step */
    struct sharing_branch {
        char name[READING_TEXT_MAX];
        char serial[READING_TEXT_MAX];
        double steady_A;   /* in the last steady state */
        double step_share; /* of steps of the current: what its resistance makes of it; NAN before */
        double step_var;   /* by how much they scatter, squared */
        double in_share;   /* of the current of the last minutes; NAN before */
        double out_share;
        double usual_V;          /* above the others while nothing is wrong: its sensor, its cable */
        double long_V;           /* the same over long, however much it is */
        double stood_V, stood_s; /* what it is while it rejoins, and for how long it has been that */
        double silent_s;         /* how long its current has been unknown */
        bool silent, forgotten;  /* it is since the step before; and has been for LOST_GRACE */
        bool blocked, rejoining; /* it blocked in the last step; and is apart from the others since */
    } branch[SHARING_BRANCHES_MAX];
    size_t branches;
    size_t known;       /* with those behind them that have left */
    bool left;          /* one of them did in the last step */
    double bank_A;      /* smoothed, to see what is steady */
    double steady_s;    /* how long it has been */
    double steady_at_s; /* when it last was */
    double steady_bank_A;
    int steps;          /* of which was learned */
    double in_s, out_s; /* how long shares were measured */
    struct sharing_hold {
        double factor;  /* by which the limit is held back, 0..1 */
        double load;    /* of the branch that is nearest to its own limit; NAN before */
        double rise_1s; /* how fast it rises, of its limit in a second */
    } charge, discharge;
};

void sharing_init(struct sharing *sharing);

/* Looks at the currents of the branches. Order and names may change: then it learns anew. Who blocked stays
 * known by its serial, or its name; one that was away counts as one that blocked. */
void sharing_step(struct sharing *sharing, const struct config *config, const struct pack *const branches[],
                  size_t n, double time_s);

/* How sure it is of the shares that resistances make, 0..1; 0 before SHARING_STEPS_TO_TRUST. */
double sharing_confidence(const struct sharing *sharing);

/* share[n]: what part of the current each takes, sum 1; 0 for those that block in this direction and are
 * excluded (BLOCKED_PACK). By CURRENT_SHARING; without what that needs by capacity, without that all alike.
 */
void sharing_shares(const struct sharing *sharing, const struct config *config,
                    const struct pack *const branches[], size_t n, bool charging, double share[]);

/* The part of the capacity that does not block in this direction, 0..1. */
double sharing_open_part(const struct pack *const branches[], size_t n, bool charging);

/* Feedback: while the bank has a current in this direction and a branch is measured above SHARING_LOAD_MOST
 * of its own limit, the bank's limit is what brings it back there, whatever the model said; later it rises
 * slowly. A branch whose current falls silent holds what is held for LOST_GRACE. What branches give each
 * other does not follow from a limit of the bank. */
void sharing_hold_back(struct sharing *sharing, const struct pack *const branches[], size_t n, double dt_s,
                       struct limits *limits);

/* While a pack blocks charging and is excluded, CVL stays near to its voltage. Cells by the settings, else by
 * the pack, else by its voltage. */
void sharing_stay_near(const struct config *config, const struct pack *const branches[], size_t n,
                       struct limit *charge_voltage);

/* While a pack that was blocked and excluded is apart in voltage, both limits are low. */
void sharing_wait_for_rejoining(const struct sharing *sharing, const struct pack *const branches[], size_t n,
                                struct limits *limits);

#endif
