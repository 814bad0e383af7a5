/* One pass from readings to what is shown: bank, current, charge, limits, in this order, on a snapshot.
 * Whoever has readings and a clock can run it: the daemon on the bus, a test, a replay. */
#ifndef CORE_AGGREGATOR_H
#define CORE_AGGREGATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/calendar.h"
#include "core/charge.h"
#include "core/config.h"
#include "core/control.h"
#include "core/current.h"
#include "core/feed_in.h"
#include "core/incomplete.h"
#include "core/limits.h"
#include "core/missing.h"
#include "core/resistance.h"
#include "core/series.h"
#include "core/sharing.h"
#include "core/soc.h"
#include "core/work.h"

enum {
    AGGREGATOR_SETTLE_S = 3,        /* after the last pack joined a bank of unknown size */
    AGGREGATOR_LOST_RELEASE_S = 60, /* all packs gone: how long limits of 0 stand before the name goes */
    AGGREGATOR_STOPPED_S = 5,       /* limits of 0 for so long are no blink of the bus */
    AGGREGATOR_HISTORIES = 10, /* what of /History is the packs' own where they know, and ours where not */
};

/* A snapshot of the world. */
struct aggregator_input {
    double time_s;                   /* monotonic */
    const struct pack *const *packs; /* those present, in a stable order */
    size_t pack_count;
    const struct pack *const *incomplete; /* on the bus bar too, but do not show yet all that leads a bank */
    size_t incomplete_count;
    size_t packs_implausible; /* say what cannot be where safety depends on it */
    size_t packs_incomplete;  /* are on the bus, and lack what the bank must know of them */
    size_t packs_missing;     /* were in the bank and are not on the bus now */
    struct lost_packs lost;
    const struct source *sources;
    size_t source_count;
    bool low_soc;     /* the system says so */
    bool cannot_save; /* what must survive a restart cannot be written */
    struct calendar today;
    double feed_in;       /* OvervoltageFeedIn as last read, NAN = no settings service */
    bool settings_silent; /* that service hangs: what was read may be from before our writes */
};

/* What is shown. Unknown is NAN or "". */
struct aggregate {
    struct bank bank; /* alarms and module counts include what we say ourselves */
    struct bank_current current;
    struct limits limits;
    bool limit_unknown; /* one of them, and what stands in its place is on the safe side */
    struct incomplete_gone incomplete_gone; /* one that was never whole and that limits are low for still */
    struct control_output control;          /* of our own charge control, when that is chosen */
    struct feed_in_output feed_in;          /* what is to be done about DC feed-in */
    double feed_in_state;                   /* enum feed_in_state; NAN without our own charge control */
    bool unguarded; /* DC feed-in takes the force of a CCL of 0, and the limits are merged */
    double soc_pct;
    double capacity_Ah; /* remaining */
    double consumed_Ah;
    double time_to_go_s;
    double soc_uncertainty_pct;  /* one standard deviation; NAN when the SoC is not ours */
    struct work_history history; /* what the bank has done, by our own count */
    double packs_online;
    double packs_missing;
    enum charge_event charge_event; /* of this step, for the log */
    double charge_gap_s;            /* length of the gap, with CHARGE_EVENT_GAP */
    double charge_before_pct;       /* the SoC before the event */
};

/* What is remembered from one step to the next. */
struct aggregator {
    struct charge_counter charge;
    struct soc soc; /* beside it, where SOC_METHOD = learned */
    struct control control;
    struct feed_in feed_in;
    size_t unseen; /* packs that the guard misses, and since when */
    double unseen_since_s;
    bool stopping; /* the limits are 0 for the whole bank, and since when */
    double stopping_since_s;
    bool had_packs; /* in this run */
    struct work work;
    bool packs_tell[AGGREGATOR_HISTORIES]; /* the packs have told that part of their history once */
    bool counting;                         /* the counter has begun */
    double counted_Ah;      /* what counters take for the capacity of a bank with strings; 0 = none yet */
    double saved_charge_Ah; /* as last reported by aggregator_charge_due, NAN before */
    struct sharing sharing;
    struct resistance resistance[RESISTANCE_PACKS_MAX]; /* of the packs, one by one */
    struct missing missing;
    struct incomplete incomplete;
    size_t packs_before;                     /* in the last step */
    double packs_change_s;                   /* when their number changed */
    double low_voltage_V;                    /* as last shown */
    size_t strings;                          /* of the following, those that are begun */
    struct series string[SHAPE_STRINGS_MAX]; /* as BANK has them; last: most banks have none */
};

/* Begins with the charge that was saved and the capacity that the bank had then (NAN = unknown). */
void aggregator_init(struct aggregator *aggregator, double charge_Ah, double capacity_Ah);

/* The place of a pack in BANK, by what it is called here or calls itself, its serial or its instance; -1. */
int aggregator_place(const struct shape *shape, const struct pack *pack);

void aggregator_step(struct aggregator *aggregator, const struct config *config,
                     const struct aggregator_input *in, struct aggregate *out);

/* The charge that is shown and saved, Ah; NAN when it is not known. */
double aggregator_charge_Ah(const struct aggregator *aggregator, const struct config *config);

/* The capacity that this charge is counted in, Ah; NAN when it is not known. */
double aggregator_capacity_Ah(const struct aggregator *aggregator, const struct config *config);

/* True when the charge moved by CHARGE_SAVE_PRECISION of the capacity since it was last saved. */
bool aggregator_charge_due(const struct aggregator *aggregator, const struct config *config);
void aggregator_charge_saved(struct aggregator *aggregator, const struct config *config);

/* What users calibrate. Out of range, or not possible now: nothing is changed, and why names what would be
 * right. Both are there to be saved at once. */
enum calibration { CALIBRATED, CALIBRATION_OUT_OF_RANGE, CALIBRATION_NOT_NOW };

/* The counters of both SOC_METHODs are at soc_pct (0..100) from now on, uncertain by 5 %. */
enum calibration aggregator_set_soc(struct aggregator *aggregator, const struct config *config,
                                    double soc_pct, char *why, size_t size);

/* The current sensor shows so much too much: what SOC_METHOD = learned has learned so far is replaced. */
enum calibration aggregator_set_offset(struct aggregator *aggregator, const struct config *config,
                                       double offset_A, char *why, size_t size);

/* A pack tells enough to be part of the bank: voltage, current, SoC, and limits of its own or, under
 * OWN_CHARGE_PARAMETERS, cells. *missing names the first thing it lacks (NULL = nothing). */
bool pack_is_complete(const struct config *config, const struct pack_reading *reading, const char **missing);

#endif
