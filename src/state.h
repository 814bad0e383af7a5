/* What must survive a restart: `charge` ("597.000 of 840": Ah, edited by users) and `state.ini`; and what the
 * Python service left (`storedvalue_charge`, `last_balancing` or `storedvalue_last_balancing`). Written to a
 * temporary file beside it, fsync, rename: a power cut leaves the old or the new, never half. */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/soc.h"
#include "core/work.h"

struct state {
    double charge_Ah;           /* NAN = none: begin from the packs' SoC */
    double charge_capacity_Ah;  /* capacity of the bank when charge_Ah was saved, NAN = unknown */
    struct soc_learned learned; /* of core/soc.h; usable 0 = nothing */
    int device_instance;        /* the one we had, -1 = none yet */

    int balancing_state;       /* enum balancing_state */
    long last_balancing_day;   /* CALENDAR_NONE = never; an ISO date in the file */
    double balancing_age_days; /* since then, by our own count; NAN = never */
    long seen_day;             /* the last date we trusted, CALENDAR_NONE = none */
    int balancing_day_of_year; /* 1..366 from a file of the Python service, while we have no date; 0 = none */

    bool feed_in_debt;     /* we turned DC feed-in off, and owe its return */
    int feed_in_packs;     /* that were here when it began; 0 = unknown */
    double feed_in_held_s; /* how long that lasted already ... */
    double feed_in_seen_s; /* ... at this time of the wall clock, seconds since the epoch; 0 = unknown */

    struct work_memory *work; /* what the bank and its packs have done: the caller's; NULL = left out */
};

/* What was found, for the log; the state is usable in every case. */
enum state_finding {
    STATE_FOUND,
    STATE_MISSING, /* no file: first start */
    STATE_SPOILT,  /* empty, not a number, out of range: message says what; set aside as <file>.spoilt */
    STATE_UNREADABLE,
};

/* Reads both files of directory into state, and into work (NULL = left out), and returns the worst finding.
 * message gets one line with what was not in order and what happens now ("" if fine). A negative charge means
 * "start from the packs' SoC" and reads as NAN. A directory that cannot be written is STATE_UNREADABLE too.
 */
enum state_finding state_read(const char *directory, struct state *state, struct work_memory *work,
                              char *message, size_t size);

/* Writes `charge` / `state.ini`. 0 or -errno (-ENOMEM, too); on failure the old file stands. A charge of NAN
 * is written as -1. */
int state_write_charge(const char *directory, const struct state *state);
int state_write(const char *directory, const struct state *state);

#endif
