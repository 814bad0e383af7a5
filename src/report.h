/* What the log says, and when: one line per fact, at its change, never once a second. */
#ifndef REPORT_H
#define REPORT_H

#include <stdbool.h>

#include "core/aggregator.h"
#include "core/contradiction.h"
#include "roster.h"
#include "venus/devices.h"

enum { REPORT_WAITING_MAX = 384, REPORT_LIMIT_QUIET_S = 30, REPORT_ZERO_QUIET_S = 5, REPORT_GONE_S = 5 };

/* What was said last. Zero-initialised. */
struct report {
    bool strings_apart[SHAPE_STRINGS_MAX], strings_currents[SHAPE_STRINGS_MAX];
    char waiting[REPORT_WAITING_MAX];
    char current[BANK_ID_MAX];
    bool current_said;
    struct said_limit {
        char kind[LIMIT_REASON_MAX]; /* the reason without its numbers */
        double value;
        double time_s;
    } limit[3];
    int feed_in_state;                   /* enum feed_in_state */
    bool feed_in_alarm;                  /* it was said that it cannot be set */
    char gone[READING_TEXT_MAX];         /* one that was never whole and that limits are low for, as said */
    bool unguarded;                      /* it was said that nobody guards it */
    int balancing_state;                 /* enum balancing_state */
    bool too_many_packs, too_many_cells; /* said */
    unsigned sweeps;                     /* of the bank */
    bool resistances;                    /* are known, and the limits go by them */
    double period_s;                     /* when the periodic line was written last */
};

/* A pack joined, left, returned, ... */
void report_pack(enum roster_event event, const struct roster_entry *entry, const struct device *device,
                 const struct devices *devices);

/* A battery that could be a pack but is not named in BANK. */
void report_not_in_bank(const struct device *device);

/* What we wait for before the bank can be shown. Call it once a second; it speaks at the change. */
void report_waiting(struct report *report, const struct devices *devices, size_t packs_needed, bool shown);

/* A value that cannot be: said once for each path of a device. */
void report_implausible(const struct inputs *inputs, struct device *device, int index,
                        const struct value *value);

/* Two numbers that should be one differ, or agree again. detail: more of what to do, "" = nothing. */
void report_contradiction(const char *who, enum contradiction_kind kind, const struct contradiction *found,
                          bool stands, const char *detail);

/* More than there is room for: said once, while it is so. */
void report_room(struct report *report, size_t packs, bool cells_have_room);

/* Source of the current, anchors of the counter, limits with their reason, and the periodic line. */
void report_aggregate(struct report *report, const struct config *config, const struct aggregator *aggregator,
                      const struct aggregate *aggregate, double now_s, bool shown);

#endif
