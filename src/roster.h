/* The packs that belong to the bank, also while they are away: by serial, or by name where there is
 * none. Knows who is missing and since when, and gives each a slot that stays its own. */
#ifndef ROSTER_H
#define ROSTER_H

#include <stdbool.h>
#include <stddef.h>

#include "venus/devices.h"
#include "venus/outputs.h"

struct roster_entry {
    bool used; /* false: the slot is free */
    char service[DEVICE_SERVICE_MAX];
    char name[READING_TEXT_MAX];
    char serial[READING_TEXT_MAX];
    bool present;
    double gone_s;                     /* monotonic, when it left */
    unsigned renames;                  /* since that was last said */
    double rename_quiet_s;             /* monotonic, until when no more is said of its names */
    double installed_Ah, remaining_Ah; /* as it last said; NAN = it did not */
};

struct roster {
    size_t count;
    struct roster_entry entry[OUTPUTS_PACKS_MAX];
};

enum { ROSTER_RENAME_QUIET_S = 60 }; /* a driver that renames itself endlessly fills no log */

/* What roster_update met, said through the callback; entry is the pack it is about. */
enum roster_event {
    ROSTER_JOINED,
    ROSTER_RETURNED,
    ROSTER_LEFT,
    ROSTER_CALLED,  /* entry has the old name still, device the new one */
    ROSTER_RENAMED, /* the same for the log: at most once in ROSTER_RENAME_QUIET_S of a pack: entry->renames
                       times */
    ROSTER_FORGOTTEN,
    ROSTER_EXCLUDED
};
typedef void (*roster_event_fn)(void *ctx, enum roster_event event, const struct roster_entry *entry,
                                const struct device *device);

/* Compares with the devices; device is in the callback for those who join, return or are called something
 * else. True when anything changed. By config: a missing pack is forgotten when NR_OF_BATTERIES others are
 * present or, with none set and PACK_LOST = degrade, after LOST_GRACE; one that the settings no longer take
 * for a pack, at once. When every slot is taken, a pack that comes has that of the one that has been away for
 * longest. */
bool roster_update(struct roster *roster, const struct devices *devices, double now_s, roster_event_fn event,
                   void *ctx);

/* A device is about to leave: what its pack held is noted. */
void roster_note_leaving(struct roster *roster, const struct device *device);

/* What is known of the missing ones. */
void roster_lost(const struct roster *roster, double now_s, double grace_s, struct lost_packs *lost);

size_t roster_missing(const struct roster *roster);

#endif
