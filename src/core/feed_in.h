/* The guard over DC feed-in. With feed-in on, Venus ignores CCL and lifts the MPPTs above CVL: nothing
 * protects a peaking cell. We turn it off for as long as the danger lasts, owe the user its return, and
 * pay that debt whatever happens in between. */
#ifndef CORE_FEED_IN_H
#define CORE_FEED_IN_H

#include <stdbool.h>

enum feed_in_state {
    FEED_IN_FREE,      /* the setting is the user's */
    FEED_IN_HOLDING,   /* we turned it off, and owe it */
    FEED_IN_RETURNING, /* the danger is over: we write it back until it has read so for a while */
};

const char *feed_in_state_name(enum feed_in_state state);

enum feed_in_rule {
    FEED_IN_RETURN_CALM,     /* highest cell 10 mV under MAX_CELL_VOLTAGE for the hold, no pack blocks */
    FEED_IN_RETURN_BALANCED, /* the reference: no cell above the limit, difference small, no pack blocks */
};

struct feed_in {
    enum feed_in_state state;
    bool debt;            /* it was 1 when we turned it off: survives restarts */
    double hold_s;        /* how long this hold lasts at least */
    double held_s;        /* how long it has lasted; stored, so that a restart does not begin anew */
    double calm_s;        /* how long the cells have been calm */
    double paid_s;        /* time since the last return, NAN = none within the hour */
    double last_time_s;   /* monotonic, of the last step; NAN before */
    double retry_s;       /* time until the next write is tried */
    double retry_pause_s; /* back-off */
    int tries;            /* writes in a row that were not confirmed */
    bool confirmed;       /* the 0 was read back in this hold */
    double returned_s;    /* how long the setting has read 1 again; NAN = it does not */
    double written;       /* the last that was written since the guard was free; NAN = nothing */
    int packs;            /* that were here when the hold began; stored, 0 = unknown */
};

struct feed_in_input {
    double time_s;  /* monotonic */
    double setting; /* OvervoltageFeedIn as last read: 0, 1; NAN = no settings service */
    bool silent; /* that service hangs: the setting is from before our writes, which it does in their order */
    bool danger; /* a cell is at its limit, a pack blocks charging, or the bank is stopped */
    bool cells_calm; /* highest cell at least 10 mV under the limit, and known */
    bool balanced;   /* no cell above the limit and the difference under CELL_DIFF_MAX */
    bool charge_blocked;
    bool unseen; /* cells that may be in danger are not seen: nothing is returned, and calm does not count */
    int packs;   /* that are here */
    enum feed_in_rule rule;
    double min_hold_s; /* FEED_IN_MIN_HOLD */
};

enum feed_in_action { FEED_IN_NOTHING, FEED_IN_WRITE_0, FEED_IN_WRITE_1 };

struct feed_in_output {
    enum feed_in_action action; /* the caller stores the debt BEFORE it writes a 0 */
    bool store;                 /* state or debt changed: it must be on disk */
    bool alarm;                 /* the write was not confirmed, or cannot be */
    bool overruled;             /* somebody turned it on while we hold it off (said once) */
};

/* Begins with a stored debt (held_s of it already over), or free. */
void feed_in_init(struct feed_in *guard, bool debt, double held_s);

/* localsettings has on flash after 2 s what it reads; one that hangs over that is asked within a second,
 * waited for 3 s, and known by then to hang. */
#define FEED_IN_SURE_S 8.0

/* One step. Into holding at once when danger and the setting is 1; a setting of 0 in FREE is the user's
 * and stays. Out of it when the rule holds and min_hold is over; a peak within the hour after a return
 * doubles the next hold, up to an hour. A write is repeated with back-off (1 s doubling to 60 s) until
 * the setting reads as written; the debt stands until it has read 1 for FEED_IN_SURE_S, for localsettings has
 * it on flash only then. What is wanted now is written when something else was written before, whatever the
 * setting reads: of one that hangs that says nothing, and nothing is paid then. Without a settings service
 * nothing is written; time and danger go on. */
void feed_in_step(struct feed_in *guard, const struct feed_in_input *in, struct feed_in_output *out);

#endif
