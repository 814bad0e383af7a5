/* What the bank and each of its packs have done: charge and energy in and out, how much of it came back, the
 * extremes with their dates, and the sweeps from which their capacity follows. Counts what is measured;
 * a time without a measurement is not guessed at. */
#ifndef CORE_WORK_H
#define CORE_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/calendar.h"
#include "core/capacity.h"
#include "core/series.h"

enum { WORK_PACKS_MAX = 64 };

#define WORK_SHOW_S 60.0  /* between two moves of what is shown */
#define WORK_SAVE_S 900.0 /* between two savings; what is counted in between is lost in a power cut */

enum work_extreme {
    WORK_VOLTAGE_MIN,
    WORK_VOLTAGE_MAX,
    WORK_CELL_MIN,
    WORK_CELL_MAX,
    WORK_DEEPEST, /* the lowest consumed charge, Ah, never positive */
    WORK_EXTREMES
};

/* Of the bank or of a pack; what survives a restart. */
struct work_record {
    char id[READING_TEXT_MAX];   /* of a pack: its serial, or its name where it has none */
    char name[READING_TEXT_MAX]; /* how it was called last */
    double installed_Ah;         /* as it last said, NAN = unknown */
    double cycles;               /* full equivalents of what went out */
    struct work_count total;
    struct work_count closed; /* the part from one full charge to the next, without a gap in between */
    struct {
        double value; /* NAN = none yet */
        long day;     /* CALENDAR_NONE = nobody knew */
    } extreme[WORK_EXTREMES];
    struct capacity_record capacity;
};

struct work_memory {
    bool begun;        /* something was counted */
    long since_day;    /* CALENDAR_NONE until a date is known */
    long full_day;     /* of the last full charge, likewise */
    double full_age_s; /* since then, by our own count; NAN = never seen */
    struct work_record bank;
    size_t packs;
    struct work_record pack[WORK_PACKS_MAX]; /* last: nobody touches those that are not used */
};

/* What is measured on the way, of the bank or of a pack. */
struct work_meter {
    double last_s, last_A, last_V; /* NAN before the first */
    struct work_count open;        /* since the last arrival at full, while whole */
    struct work_count swept;       /* since it last was full, while whole */
    bool whole;                    /* it was full, and nothing was missed since */
    bool kept;                     /* the sweep that goes on is in the record */
    bool at_full;                  /* of a pack in series: it is itself, where the bank is */
    double empty_s, rest_s;        /* how long it looks so */
};

/* What is shown of the bank; unknown is NAN. Moves once in WORK_SHOW_S. */
struct work_history {
    double charged_kWh, discharged_kWh;
    double drawn_Ah;
    double cycles;
    double deepest_Ah; /* <= 0 */
    double voltage_min_V, voltage_max_V;
    double cell_min_V, cell_max_V;
    double since_full_s;
    double efficiency_pct; /* see work_efficiency_pct */
};

struct work {
    struct work_meter bank;
    struct work_history history;
    double last_s, packs_s, shown_s;
    double full_s;            /* how long it looks full, with little current going in */
    bool at_full;             /* and so it is: sweeps and stretches begin and end here */
    double saved_s, saved_Ah; /* when, and what had gone through by then */
    unsigned sweeps;          /* of the bank, that were kept since the start: for the log */
    bool news;                /* worth saving soon: a sweep, or the beginning */
    bool changed;             /* an extreme moved since it was saved */
    struct work_meter pack[WORK_PACKS_MAX];
    struct work_memory memory; /* pack by pack as the meters; last, as there */
};

struct work_input {
    double time_s; /* monotonic */
    struct calendar today;
    const struct bank *bank;
    double current_A;    /* of the bank */
    double consumed_Ah;  /* of the bank, <= 0 */
    double nameplate_Ah; /* of the bank; a string of packs in series has that of its smallest */
    bool full;           /* the bank is, by the rule that sets the SoC to 100 % */
    bool whole;          /* no pack is missing */
    double empty_cell_V;
    bool lfp; /* the voltage at rest tells something */
    const struct pack *const *packs;
    size_t pack_count;
    const struct series *strings; /* of these packs; those that are open count for nothing */
    size_t string_count;
};

void work_record_init(struct work_record *record);
void work_memory_init(struct work_memory *memory);
void work_init(
    struct work *work,
    const struct work_memory *memory); /* A pack without a serial is called something else: what it has done
                                        * stays its own, and nobody's is given up for a name. */
void work_rename(struct work *work, const char *from, const char *to);

/* NULL = nothing was saved */

void work_step(struct work *work, const struct work_input *in);

/* Counts and extremes begin anew today; the sweeps and the last full charge stay. */
void work_clear(struct work *work, const struct calendar *today);

/* True when it is time to save; work_saved says that it was done. */
bool work_due(const struct work *work, double time_s);
void work_saved(struct work *work, double time_s);

/* Energy out over energy in, %, over stretches that begin and end with a full charge, so that what is stored
 * at both ends is the same. NAN until one whole capacity went in that way. */
double work_efficiency_pct(const struct work_record *record);

/* The usable capacity of the bank, or of a pack (index into memory.pack). */
struct capacity_estimate work_bank_capacity(const struct work_memory *memory, const struct calendar *today);
struct capacity_estimate work_pack_capacity(const struct work_memory *memory, size_t pack,
                                            const struct calendar *today);

#endif
