/* What must survive a restart: `charge` (one number, Ah, edited by users) and `state.ini`. Written to a
 * temporary file beside it, fsync, rename: a power cut leaves the old or the new, never half. */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stddef.h>

struct state {
    double charge_Ah;          /* NAN = none: begin from the packs' SoC */
    double charge_capacity_Ah; /* capacity of the bank when charge_Ah was saved, NAN = unknown */
    int device_instance;       /* the one we had, -1 = none yet */
};

/* What was found, for the log; the state is usable in every case. */
enum state_finding {
    STATE_FOUND,
    STATE_MISSING, /* no file: first start */
    STATE_SPOILT,  /* empty, not a number, out of range: message says what; set aside as <file>.spoilt */
    STATE_UNREADABLE,
};

/* Reads both files of directory. message gets one line per file that was not found in order ("" if
 * fine). A negative charge means "start from the packs' SoC" and reads as NAN. */
enum state_finding state_read(const char *directory, struct state *state, char *message, size_t size);

/* Writes `charge` / `state.ini`. 0 or -errno; on failure the old file stands. */
int state_write_charge(const char *directory, const struct state *state);
int state_write(const char *directory, const struct state *state);

#endif
