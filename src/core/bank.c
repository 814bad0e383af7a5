#include "core/bank.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SAME_CELL_V 0.0005 /* a cell this near to the pack's own extreme is that extreme */

/* How one field of the packs becomes one of the bank. */
enum rule {
    SUM,          /* unknown if any is: a sum without one of them would be wrong */
    MEAN,         /* of those that know theirs */
    WEIGHTED,     /* by installed capacity, of those that know theirs */
    WEIGHTED_ALL, /* the same, unknown if any is */
    HIGHEST,      /* of those that know theirs */
    LOWEST,
};

static const struct merge {
    enum rule rule;
    size_t from; /* a double in struct pack_reading */
    size_t to;   /* a double in struct bank */
} merges[] = {
#define MERGE(rule, from, to)                                                \
    {                                                                        \
        rule, offsetof(struct pack_reading, from), offsetof(struct bank, to) \
    }
    MERGE(SUM, current_A, current_A),
    MERGE(MEAN, temperature_C, temperature_C),
    MERGE(WEIGHTED, soc_pct, soc_pct),
    MERGE(WEIGHTED, soh_pct, soh_pct),
    MERGE(SUM, capacity_installed_Ah, capacity_installed_Ah),
    MERGE(SUM, consumed_Ah, consumed_Ah),
    MERGE(WEIGHTED_ALL, time_to_go_s, time_to_go_s),
    MERGE(HIGHEST, low_voltage_V, low_voltage_V),
    MERGE(HIGHEST, charge_request, charge_request),
    MERGE(LOWEST, allow_charge, allow_charge),
    MERGE(LOWEST, allow_discharge, allow_discharge),
    MERGE(LOWEST, allow_balance, allow_balance),
    MERGE(HIGHEST, balancing, balancing),
    MERGE(SUM, modules_online, modules_online),
    MERGE(SUM, modules_offline, modules_offline),
    MERGE(SUM, modules_blocking_charge, modules_blocking_charge),
    MERGE(SUM, modules_blocking_discharge, modules_blocking_discharge),
    MERGE(MEAN, charge_cycles, charge_cycles),
    MERGE(SUM, charged_energy_kWh, charged_energy_kWh),
    MERGE(SUM, discharged_energy_kWh, discharged_energy_kWh),
    MERGE(SUM, drawn_Ah, drawn_Ah),
    MERGE(SUM, history.deepest_discharge_Ah, history.deepest_discharge_Ah),
    MERGE(SUM, history.last_discharge_Ah, history.last_discharge_Ah),
    MERGE(SUM, history.average_discharge_Ah, history.average_discharge_Ah),
    MERGE(HIGHEST, history.full_discharges, history.full_discharges),
    MERGE(HIGHEST, history.since_full_s, history.since_full_s), /* it was full when the last of them was */
    MERGE(LOWEST, history.voltage_min_V, history.voltage_min_V),
    MERGE(HIGHEST, history.voltage_max_V, history.voltage_max_V),
    MERGE(LOWEST, history.cell_voltage_min_V, history.cell_voltage_min_V),
    MERGE(HIGHEST, history.cell_voltage_max_V, history.cell_voltage_max_V),
    MERGE(LOWEST, history.temperature_min_C, history.temperature_min_C),
    MERGE(HIGHEST, history.temperature_max_C, history.temperature_max_C),
    MERGE(SUM, history.low_voltage_alarms, history.low_voltage_alarms),
    MERGE(SUM, history.high_voltage_alarms, history.high_voltage_alarms),
#undef MERGE
};

enum { MERGE_COUNT = sizeof merges / sizeof *merges };

void pack_clear(struct pack *pack)
{
    memset(pack, 0, sizeof *pack);
    pack_reading_clear(&pack->reading);
    for (size_t i = 0; i < sizeof pack->last / sizeof(double); i++)
        ((double *)(void *)&pack->last)[i] = NAN; /* it is made of nothing else */
}

static void keep(double *last, double now)
{
    if (!isnan(now))
        *last = now;
}

double pack_now_or_last(double now, double last)
{
    return isnan(now) ? last : now;
}

/* ---- one pack ---- */

/* The first of the single cells that is beyond all others; 0 = none is known. */
static int highest_single(const struct pack_reading *reading, size_t shown)
{
    double highest_V = -INFINITY;
    int found = 0;

    for (size_t i = 0; i < shown; i++) {
        if (reading->cell_V[i] > highest_V) { /* never true of an unknown one */
            highest_V = reading->cell_V[i];
            found = (int)i + 1;
        }
    }
    return found;
}

static int lowest_single(const struct pack_reading *reading, size_t shown)
{
    double lowest_V = INFINITY;
    int found = 0;

    for (size_t i = 0; i < shown; i++) {
        if (reading->cell_V[i] < lowest_V) {
            lowest_V = reading->cell_V[i];
            found = (int)i + 1;
        }
    }
    return found;
}

static double voltage_max_of(const struct pack_reading *reading, size_t shown, int *cell)
{
    double own_V = reading->cell_voltage_max_V;
    int single = highest_single(reading, shown);
    bool further = single && !(reading->cell_V[single - 1] <= own_V + SAME_CELL_V);

    if (cell)
        *cell = further ? single : 0;
    return further ? reading->cell_V[single - 1] : own_V;
}

static double voltage_min_of(const struct pack_reading *reading, size_t shown, int *cell)
{
    double own_V = reading->cell_voltage_min_V;
    int single = lowest_single(reading, shown);
    bool further = single && !(reading->cell_V[single - 1] >= own_V - SAME_CELL_V);

    if (cell)
        *cell = further ? single : 0;
    return further ? reading->cell_V[single - 1] : own_V;
}

double pack_cell_voltage_max_V(const struct pack_reading *reading, int *cell)
{
    return voltage_max_of(reading, pack_reading_cells_shown(reading), cell);
}

double pack_cell_voltage_min_V(const struct pack_reading *reading, int *cell)
{
    return voltage_min_of(reading, pack_reading_cells_shown(reading), cell);
}

/* The reading with the last of those cells that are silent now; while any is, the pack's own last extremes
 * speak for it too. */
static struct pack_reading with_silent_cells(const struct pack *pack)
{
    struct pack_reading reading = pack->reading;
    double in_series = pack_now_or_last(reading.cells_in_series, pack->last.cells_in_series);
    size_t known = 0;

    for (int i = 0; i < READING_CELLS_MAX; i++) {
        known += !isnan(reading.cell_V[i]);
        reading.cell_V[i] = pack_now_or_last(reading.cell_V[i], pack->last.cell_V[i]);
    }
    if (known == 0 || known < pack_reading_cells_shown(&reading) || (double)known < in_series) {
        reading.cell_voltage_max_V = pack->last.cell_voltage_max_V;
        reading.cell_voltage_min_V = pack->last.cell_voltage_min_V;
    }
    return reading;
}

double pack_highest_cell_V(const struct pack *pack, int *cell)
{
    if (cell)
        *cell = pack->cells.limit_highest;
    return pack->cells.limit_highest_V;
}

double pack_lowest_cell_V(const struct pack *pack, int *cell)
{
    if (cell)
        *cell = pack->cells.limit_lowest;
    return pack->cells.limit_lowest_V;
}

static enum sum_source find_sum(const struct pack_reading *reading, size_t shown, double in_series,
                                double *found_V)
{
    double sum_V = 0;

    *found_V = reading->cells_sum_V;
    if (!isnan(reading->cells_sum_V))
        return SUM_FROM_PACK;
    for (size_t i = 0; i < shown; i++)
        sum_V += reading->cell_V[i]; /* one unknown cell makes it NAN */
    *found_V = sum_V;
    if (shown > 0 && !isnan(sum_V) && !(in_series > (double)shown))
        return SUM_FROM_CELLS;
    *found_V = reading->voltage_V;
    return isnan(reading->voltage_V) ? SUM_NONE : SUM_FROM_VOLTAGE;
}

double pack_cells_sum_V(const struct pack_reading *reading)
{
    double sum_V;

    find_sum(reading, pack_reading_cells_shown(reading), reading->cells_in_series, &sum_V);
    return sum_V;
}

/* When a sum falls silent the next best in its place is another number: a limit must not rise by the
 * difference. */
static void look_at_sum(struct pack *pack)
{
    struct pack_cells *cells = &pack->cells;
    double in_series = pack_now_or_last(pack->reading.cells_in_series, pack->last.cells_in_series);
    enum sum_source from = find_sum(&pack->reading, cells->shown, in_series, &cells->sum_V);

    pack->last.cells_sum_V[from] = cells->sum_V;
    cells->limit_sum_V = cells->sum_V;
    for (int better = from + 1; better <= SUM_FROM_PACK; better++)
        cells->limit_sum_V = fmin(cells->limit_sum_V, pack->last.cells_sum_V[better]);
}

static void look_at_silent_cells(const struct pack *pack, struct pack_cells *cells, bool own_max,
                                 bool own_min)
{
    struct pack_reading reading = with_silent_cells(pack);

    if (!own_max)
        cells->limit_highest_V = pack_cell_voltage_max_V(&reading, &cells->limit_highest);
    if (!own_min)
        cells->limit_lowest_V = pack_cell_voltage_min_V(&reading, &cells->limit_lowest);
}

static void look_at_cells(struct pack *pack)
{
    struct pack_cells *cells = &pack->cells;
    bool own_max = !isnan(pack->reading.cell_voltage_max_V);
    bool own_min = !isnan(pack->reading.cell_voltage_min_V);

    cells->highest_V = voltage_max_of(&pack->reading, cells->shown, &cells->highest);
    cells->lowest_V = voltage_min_of(&pack->reading, cells->shown, &cells->lowest);
    cells->limit_highest_V = cells->highest_V;
    cells->limit_highest = cells->highest;
    cells->limit_lowest_V = cells->lowest_V;
    cells->limit_lowest = cells->lowest;
    if (own_max && own_min)
        return; /* the pack knows all its cells, now */
    look_at_silent_cells(pack, cells, own_max, own_min);
}

/* A sum under that of so many lowest cells is none: the 0 V of a driver that has just begun would pull the
 * voltage of the whole bank down. Counted by the cells that are shown: no claim of more can lift it. */
static void mend_sum(struct pack *pack)
{
    struct pack_cells *cells = &pack->cells;
    double in_series = pack_now_or_last(pack->reading.cells_in_series, pack->last.cells_in_series);
    double count = fmin(in_series, (double)cells->shown);
    double lowest_V = cells->limit_lowest_V;

    if (cells->shown == 0 || !(cells->limit_sum_V < count * lowest_V))
        return; /* the common case */
    for (size_t i = 0; i < READING_CELLS_MAX; i++)
        lowest_V = fmin(lowest_V, pack->last.cell_V[i]); /* silence of the lowest must not lift it */
    cells->limit_sum_V = fmax(cells->limit_sum_V, count * lowest_V);
}

void pack_remember(struct pack *pack)
{
    const struct pack_reading *reading = &pack->reading;

    keep(&pack->last.charge_voltage_max_V, reading->charge_voltage_max_V);
    keep(&pack->last.charge_current_max_A, reading->charge_current_max_A);
    keep(&pack->last.discharge_current_max_A, reading->discharge_current_max_A);
    keep(&pack->last.allow_charge, reading->allow_charge);
    keep(&pack->last.allow_discharge, reading->allow_discharge);
    if (reading->charge_mode[0])
        pack->last.in_float = strncmp(reading->charge_mode, "Float", strlen("Float")) == 0;
    keep(&pack->last.voltage_V, reading->voltage_V);
    keep(&pack->last.cells_in_series, reading->cells_in_series);
    keep(&pack->last.current_A, reading->current_A);
    keep(&pack->last.capacity_installed_Ah, reading->capacity_installed_Ah);
    pack->cells.shown = pack_reading_cells_shown(reading);
    look_at_sum(pack);
    keep(&pack->last.cell_voltage_max_V, reading->cell_voltage_max_V);
    keep(&pack->last.cell_voltage_min_V, reading->cell_voltage_min_V);
    for (size_t i = 0; i < pack->cells.shown; i++)
        keep(&pack->last.cell_V[i], reading->cell_V[i]);
    look_at_cells(pack);
    mend_sum(pack);
}

#define AT_BANK 0.15      /* so far apart two voltages of one bus bar are shown, at the most */
#define AT_BANK_LIMIT 0.8 /* no CVL of a pack is so far below the voltage that it has */

bool pack_is_elsewhere(const struct pack *pack, double bank_V)
{
    double voltage_V = pack_now_or_last(pack->reading.voltage_V, pack->last.voltage_V);

    return fabs(voltage_V - bank_V) > AT_BANK * bank_V ||
           pack->last.charge_voltage_max_V < AT_BANK_LIMIT * bank_V;
}

bool pack_blocks_charge(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.allow_charge, pack->last.allow_charge) == 0;
}

bool pack_blocks_discharge(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.allow_discharge, pack->last.allow_discharge) == 0;
}

static double pack_power_W(const struct pack_reading *reading)
{
    return isnan(reading->power_W) ? reading->voltage_V * reading->current_A : reading->power_W;
}

double pack_remaining_Ah(const struct pack_reading *reading)
{
    return isnan(reading->capacity_Ah) ? reading->soc_pct / 100 * reading->capacity_installed_Ah
                                       : reading->capacity_Ah;
}

/* ---- the bank ---- */

/* What a rule gathers on its way over the packs. */
struct gathered {
    double sum, weighted, weights, highest, lowest;
    size_t known;
};

static void gather(struct gathered *gathered, double value, double weight)
{
    if (isnan(value))
        return;
    gathered->sum += value;
    gathered->weighted += value * weight;
    gathered->weights += weight;
    gathered->highest = fmax(gathered->highest, value);
    gathered->lowest = fmin(gathered->lowest, value);
    gathered->known++;
}

static double conclude(const struct gathered *gathered, enum rule rule, size_t packs)
{
    bool all = gathered->known == packs;

    if (gathered->known == 0)
        return NAN;
    switch (rule) {
    case SUM:
        return all ? gathered->sum : NAN;
    case MEAN:
        return gathered->sum / (double)gathered->known;
    case WEIGHTED:
        return gathered->weighted / gathered->weights;
    case WEIGHTED_ALL:
        return all ? gathered->weighted / gathered->weights : NAN;
    case HIGHEST:
        return gathered->highest;
    case LOWEST:
        return gathered->lowest;
    }
    return NAN;
}

static struct gathered nothing(void)
{
    return (struct gathered){.highest = NAN, .lowest = NAN};
}

static double weight_of(const struct pack *pack)
{
    double capacity_Ah =
        pack_now_or_last(pack->reading.capacity_installed_Ah, pack->last.capacity_installed_Ah);

    return isnan(capacity_Ah) ? NAN : fmax(capacity_Ah, 0);
}

/* Installed capacity weighs, when every pack tells it or did; else all packs weigh the same. */
static bool capacities_weigh(const struct pack *const packs[], size_t n)
{
    double sum_Ah = 0;

    for (size_t i = 0; i < n; i++)
        sum_Ah += weight_of(packs[i]);
    return sum_Ah > 0;
}

static void merge_fields(const struct pack *const packs[], size_t n, struct bank *out)
{
    bool by_capacity = capacities_weigh(packs, n);

    for (size_t field = 0; field < MERGE_COUNT; field++) {
        struct gathered gathered = nothing();

        for (size_t i = 0; i < n; i++) {
            const struct pack_reading *reading = &packs[i]->reading;
            double value;

            memcpy(&value, (const char *)reading + merges[field].from, sizeof value);
            gather(&gathered, value, by_capacity ? weight_of(packs[i]) : 1);
        }
        *(double *)(void *)((char *)out + merges[field].to) = conclude(&gathered, merges[field].rule, n);
    }
    for (int alarm = 0; alarm < ALARM_COUNT; alarm++) {
        struct gathered gathered = nothing();

        for (size_t i = 0; i < n; i++)
            gather(&gathered, packs[i]->reading.alarm[alarm], 1);
        out->alarm[alarm] = conclude(&gathered, HIGHEST, n);
    }
}

/* One bus bar: a pack that shows less than half of what another does, or than its own cells, measures
 * something else. */
static void merge_voltage(const struct pack *const packs[], size_t n, struct bank *out)
{
    struct gathered voltage = nothing();
    struct gathered sum = nothing();
    double most_V = NAN;

    for (size_t i = 0; i < n; i++)
        most_V = fmax(most_V, packs[i]->reading.voltage_V);
    for (size_t i = 0; i < n; i++) {
        double voltage_V = packs[i]->reading.voltage_V;
        double sum_V = packs[i]->cells.sum_V;

        if (!(voltage_V < most_V / 2 || voltage_V < sum_V / 2))
            gather(&voltage, voltage_V, 1);
        if (!(sum_V < most_V / 2))
            gather(&sum, sum_V, 1);
    }
    out->voltage_V = conclude(&voltage, MEAN, n);
    out->cells_sum_V = conclude(&sum, MEAN, n);
}

/* Fields that a pack may lack but that follow from others. */
static void merge_derived(const struct pack *const packs[], size_t n, struct bank *out)
{
    struct gathered power = nothing();
    struct gathered capacity = nothing();
    double cells = NAN;
    bool agreed = true;

    for (size_t i = 0; i < n; i++) {
        const struct pack_reading *reading = &packs[i]->reading;

        gather(&power, pack_power_W(reading), 1);
        gather(&capacity, pack_remaining_Ah(reading), 1);
        agreed = agreed && !(cells < reading->cells_in_series || cells > reading->cells_in_series);
        cells = fmax(cells, reading->cells_in_series);
    }
    out->power_W = conclude(&power, SUM, n);
    out->capacity_Ah = conclude(&capacity, SUM, n);
    out->cells_in_series = agreed ? cells : NAN;
}

static double voltage_max_V(const struct pack *pack, int *cell)
{
    *cell = pack->cells.highest;
    return pack->cells.highest_V;
}

static double voltage_min_V(const struct pack *pack, int *cell)
{
    *cell = pack->cells.lowest;
    return pack->cells.lowest_V;
}

static double temperature_max_C(const struct pack *pack, int *cell)
{
    *cell = 0;
    return pack->reading.cell_temperature_max_C;
}

static double temperature_min_C(const struct pack *pack, int *cell)
{
    *cell = 0;
    return pack->reading.cell_temperature_min_C;
}

static const struct extreme_rule {
    bool highest;
    double (*value)(const struct pack *pack, int *cell);
    size_t own_id; /* what the pack calls that cell: a text in struct pack_reading */
    size_t to;     /* a struct extreme in struct bank */
} extreme_rules[] = {
#define EXTREME(highest, value, own_id, to)                                              \
    {                                                                                    \
        highest, value, offsetof(struct pack_reading, own_id), offsetof(struct bank, to) \
    }
    EXTREME(true, voltage_max_V, cell_voltage_max_id, cell_voltage_max_V),
    EXTREME(false, voltage_min_V, cell_voltage_min_id, cell_voltage_min_V),
    EXTREME(true, temperature_max_C, cell_temperature_max_id, cell_temperature_max_C),
    EXTREME(false, temperature_min_C, cell_temperature_min_id, cell_temperature_min_C),
#undef EXTREME
};

/* "House 1: C7": the cell when we found it ourselves, else what the pack calls it. */
static void name_extreme(struct extreme *extreme, const struct pack *pack, int cell, const char *own_id)
{
    if (pack->in_series && *own_id)
        snprintf(extreme->id, sizeof extreme->id, "%s", own_id);
    else if (cell > 0)
        snprintf(extreme->id, sizeof extreme->id, "%s: C%d", pack->name, cell);
    else if (*own_id)
        snprintf(extreme->id, sizeof extreme->id, "%s: %s", pack->name, own_id);
    else
        snprintf(extreme->id, sizeof extreme->id, "%s", pack->name);
}

static bool is_further(double value, double than, bool highest)
{
    return isnan(than) ? !isnan(value) : highest ? value > than : value < than;
}

static void merge_extreme(const struct pack *const packs[], size_t n, const struct extreme_rule *rule,
                          struct extreme *extreme)
{
    int cell_of_extreme = 0;

    extreme->value = NAN;
    extreme->pack = -1;
    extreme->id[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        int cell;
        double value = rule->value(packs[i], &cell);

        if (!is_further(value, extreme->value, rule->highest))
            continue;
        extreme->value = value;
        extreme->pack = (int)i;
        cell_of_extreme = cell;
    }
    if (extreme->pack >= 0)
        name_extreme(extreme, packs[extreme->pack], cell_of_extreme,
                     (const char *)&packs[extreme->pack]->reading + rule->own_id);
}

void bank_merge(const struct pack *const packs[], size_t n, struct bank *out)
{
    out->packs = n;
    merge_fields(packs, n, out);
    merge_voltage(packs, n, out);
    merge_derived(packs, n, out);
    for (size_t i = 0; i < sizeof extreme_rules / sizeof *extreme_rules; i++)
        merge_extreme(packs, n, &extreme_rules[i],
                      (struct extreme *)(void *)((char *)out + extreme_rules[i].to));
    out->cell_voltage_diff_V = out->cell_voltage_max_V.value - out->cell_voltage_min_V.value;
}
