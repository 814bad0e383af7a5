/* Packs in, one bank out. Merging is arithmetic on a snapshot: no history, no clock. What no pack knows
 * stays unknown; what one pack does not know never spoils what the others do. */
#ifndef CORE_BANK_H
#define CORE_BANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/alarms.h"
#include "core/reading.h"

enum { BANK_ID_MAX = 2 * READING_TEXT_MAX };

/* Where the sum of a pack's cells comes from, the better the later. */
enum sum_source { SUM_NONE, SUM_FROM_VOLTAGE, SUM_FROM_CELLS, SUM_FROM_PACK };

/* What a pack showed last of that on which limits depend: it stands while the pack shows none, so that
 * no limit of the bank rises because a value became unknown. */
struct pack_last {
    double charge_voltage_max_V;
    double charge_current_max_A;
    double discharge_current_max_A;
    double allow_charge;
    double allow_discharge;
    double in_float; /* 1 or 0 */
    double cells_in_series;
    double capacity_installed_Ah;
    double current_A;
    double voltage_V;                      /* that could be, see pack_likely_voltage_V */
    double cells_sum_V[SUM_FROM_PACK + 1]; /* from each enum sum_source */
    double cell_voltage_max_V;             /* the pack's own extremes */
    double cell_voltage_min_V;
    double cell_V[READING_CELLS_MAX];
};

/* What follows from a reading alone and is asked several times in each step. */
struct pack_cells {
    size_t shown;               /* see pack_reading_cells_shown */
    double sum_V;               /* see pack_cells_sum_V */
    double highest_V, lowest_V; /* see pack_cell_voltage_max_V */
    int highest, lowest;        /* which cell, 0 = the pack's own */
    double limit_sum_V;         /* the same for limits: from a poorer source it is never above what it was */
    double limit_highest_V, limit_lowest_V; /* see pack_highest_cell_V */
    int limit_highest, limit_lowest;
};

/* A pack as the bank sees it. */
struct pack {
    char name[READING_TEXT_MAX]; /* unique in the bank, never empty */
    struct pack_reading reading;
    struct pack_last last;   /* kept by pack_remember */
    struct pack_cells cells; /* likewise */
    bool in_series;          /* a string of packs, see series.h: what it calls a cell names the pack too */
    uint32_t visit; /* counts services as they come: the same for as long as its own stays; 0 = none */
};

/* An unnamed pack that has shown nothing yet. */
void pack_clear(struct pack *pack);

/* Carries what the reading knows over into pack->last, and looks at its cells. Call it after each change. */
void pack_remember(struct pack *pack);

/* The highest or lowest of something, and whose it is. */
struct extreme {
    double value;         /* NAN when unknown */
    int pack;             /* index into the packs, -1 when unknown */
    char id[BANK_ID_MAX]; /* "House 1: C7", "" when unknown */
};

struct bank {
    size_t packs; /* how many were merged */

    double voltage_V; /* mean of those that know theirs, but for less than half of what others or its cells
                         say */
    double current_A; /* sum, unknown if any is */
    double power_W;   /* sum; a pack without it counts V * I */
    double temperature_C; /* mean */
    double cells_sum_V;   /* mean; a pack without /Voltages/Sum: sum of its cells, else its voltage */

    struct extreme cell_voltage_max_V;
    struct extreme cell_voltage_min_V;
    struct extreme cell_temperature_max_C;
    struct extreme cell_temperature_min_C;
    double cell_voltage_diff_V; /* highest - lowest of the bank */
    double cells_in_series;     /* of a pack; unknown when packs disagree */

    double soc_pct; /* weighted by installed capacity; plain mean if one pack never told its own */
    double soh_pct; /* likewise */
    double capacity_installed_Ah; /* sums, unknown if any is */
    double capacity_Ah;           /* a pack without it counts SoC * installed */
    double consumed_Ah;
    double time_to_go_s; /* weighted by installed capacity, unknown if any is */

    double low_voltage_V;   /* highest of the packs': the first pack that must stop */
    double charge_request;  /* highest known: one that asks is enough */
    double allow_charge;    /* lowest known: all must allow */
    double allow_discharge; /* lowest known */
    double allow_balance;   /* lowest known */
    double balancing;       /* highest known */

    double modules_online; /* sums, unknown if any is */
    double modules_offline;
    double modules_blocking_charge;
    double modules_blocking_discharge;
    double alarm[ALARM_COUNT]; /* highest known */

    double charge_cycles;      /* mean of those that know theirs */
    double charged_energy_kWh; /* sums, unknown if any is */
    double discharged_energy_kWh;
    double drawn_Ah;
    struct pack_history history; /* Ah and alarms: sums; voltages and temperatures: the extremes of the packs;
                                    full discharges and time since full: the highest known */
};

/* Merges n packs in parallel into *out. n = 0 gives a bank that knows nothing. */
void bank_merge(const struct pack *const packs[], size_t n, struct bank *out);

/* Highest and lowest cell of one pack, NAN when unknown: the further out of the single cells and the
 * pack's own extreme, so that neither can hide a peak. cell is the 1-based cell, 0 when the value is the
 * pack's own. Any output may be NULL. */
double pack_cell_voltage_max_V(const struct pack_reading *reading, int *cell);
double pack_cell_voltage_min_V(const struct pack_reading *reading, int *cell);

/* The same for limits: a cell that fell silent counts with what it showed last, unless the pack's own
 * extreme, which is of all its cells, is known. */
double pack_highest_cell_V(const struct pack *pack, int *cell);
double pack_lowest_cell_V(const struct pack *pack, int *cell);

/* The voltage of one pack for limits: now, else last. Less than half of what its cells say is that of
 * something else (a BMS that opened shows 0 V): then it is the sum of its cells, else what it was last; NAN.
 */
double pack_likely_voltage_V(const struct pack *pack);

/* Sum of the cells of one pack: /Voltages/Sum, else the sum of its cells if all are known, else its
 * terminal voltage, else NAN. */
double pack_cells_sum_V(const struct pack_reading *reading);

/* Charge left in the pack: /Capacity, else SoC of the installed; NAN. */
double pack_remaining_Ah(const struct pack_reading *reading);

/* True when the pack says so, or said so last: allow_charge (allow_discharge) is 0. */
bool pack_blocks_charge(const struct pack *pack);
bool pack_blocks_discharge(const struct pack *pack);

/* True when it cannot hang on the bus bar of a bank with this voltage: its own is far from it, or its CVL far
 * below. A battery that starts an engine is none of the bank's. */
bool pack_is_elsewhere(const struct pack *pack, double bank_V);

/* What is known now, else what was known last. */
double pack_now_or_last(double now, double last);

#endif
