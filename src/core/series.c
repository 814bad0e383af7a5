#include "core/series.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Packs of a string that are so far apart, of its usable charge, are said to be. */
#define APART 0.05
#define APART_END 0.04

/* One current, measured by all of them. */
#define CURRENTS_SHARE 0.05
#define CURRENTS_LEAST_A 0.5

/* How one number of the members becomes that of the string; unknown if any is, but for MEAN and WORST. */
enum rule { SUM, SMALLEST, LARGEST, MEAN, WORST };

static const struct merge {
    enum rule rule;
    size_t at; /* a double in struct pack_reading */
} merges[] = {
#define MERGE(rule, member)                         \
    {                                               \
        rule, offsetof(struct pack_reading, member) \
    }
    MERGE(MEAN, current_A),
    MERGE(MEAN, temperature_C),
    MERGE(SMALLEST, soh_pct),
    MERGE(SMALLEST, time_to_go_s),
    MERGE(SUM, low_voltage_V),
    MERGE(WORST, charge_request),
    MERGE(WORST, balancing),
    MERGE(SUM, modules_online),
    MERGE(SUM, modules_offline),
    MERGE(SUM, modules_blocking_charge),
    MERGE(SUM, modules_blocking_discharge),
    MERGE(LARGEST, charge_cycles),
    MERGE(SUM, charged_energy_kWh),
    MERGE(SUM, discharged_energy_kWh),
    MERGE(LARGEST, drawn_Ah),
    MERGE(WORST, cell_temperature_max_C),
    MERGE(SMALLEST, history.deepest_discharge_Ah), /* <= 0, as the next two; of one current */
    MERGE(SMALLEST, history.last_discharge_Ah),
    MERGE(SMALLEST, history.average_discharge_Ah),
    MERGE(WORST, history.full_discharges),
    MERGE(WORST, history.since_full_s),
    MERGE(SUM, history.voltage_min_V), /* perhaps not of one moment: the string was never lower */
    MERGE(SUM, history.voltage_max_V),
    MERGE(SMALLEST, history.cell_voltage_min_V),
    MERGE(LARGEST, history.cell_voltage_max_V),
    MERGE(SMALLEST, history.temperature_min_C),
    MERGE(LARGEST, history.temperature_max_C),
    MERGE(SUM, history.low_voltage_alarms),
    MERGE(SUM, history.high_voltage_alarms),
#undef MERGE
};

void series_clear(struct series *series)
{
    memset(series, 0, sizeof *series);
    pack_clear(&series->pack);
}

bool series_has(const struct series *series, const struct pack *pack)
{
    for (size_t i = 0; i < series->count && series->pack.in_series; i++) {
        if (series->member[i] == pack)
            return true;
    }
    return false;
}

static double merged(enum rule rule, const struct pack *const members[], size_t n, size_t at)
{
    double sum = 0, smallest = INFINITY, largest = -INFINITY;
    size_t known = 0;

    for (size_t i = 0; i < n; i++) {
        double value;

        memcpy(&value, (const char *)&members[i]->reading + at, sizeof value);
        if (isnan(value))
            continue;
        sum += value;
        smallest = fmin(smallest, value);
        largest = fmax(largest, value);
        known++;
    }
    if (known == 0 || (known < n && rule != MEAN && rule != WORST))
        return NAN;
    switch (rule) {
    case SUM:
        return sum;
    case SMALLEST:
        return smallest;
    case MEAN:
        return sum / (double)known;
    case LARGEST:
    case WORST:
        return largest;
    }
    return NAN;
}

static void add_name(char *name, size_t size, const char *more)
{
    size_t used = strlen(name);

    snprintf(name + used, size - used, "%s%s", used ? " + " : "", more);
}

/* ---- cells ---- */

static double cells_of(const struct config *config, const struct pack *pack)
{
    double own = pack_now_or_last(pack->reading.cells_in_series, pack->last.cells_in_series);

    if (config->nr_of_cells_per_battery != CONFIG_NOT_SET)
        return config->nr_of_cells_per_battery;
    return isnan(own) && pack->cells.shown > 0 ? (double)pack->cells.shown : own;
}

/* "House 1: C7", or "House 1: " and what that pack calls it. */
static void name_cell(char text[READING_TEXT_MAX], const struct pack *pack, int cell, const char *own_id)
{
    char id[READING_TEXT_MAX];

    if (cell > 0)
        snprintf(id, sizeof id, "C%d", cell);
    else
        snprintf(id, sizeof id, "%s", own_id);
    snprintf(text, READING_TEXT_MAX, "%.30s%s%.14s", pack->name, *id ? ": " : "", id);
}

/* The single cells one after the other, as long as all members show theirs: then place tells whose it is. */
static void merge_cells(const struct config *config, const struct pack *const members[], size_t n,
                        struct pack_reading *out)
{
    size_t place = 0;

    out->cells_in_series = out->cells_sum_V = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pack *pack = members[i];

        out->cells_in_series += cells_of(config, pack);
        out->cells_sum_V += pack->cells.limit_sum_V;
        for (size_t k = 0; k < pack->cells.shown && place < READING_CELLS_MAX; k++)
            out->cell_V[place++] = pack->reading.cell_V[k];
        if (!(pack->cells.limit_highest_V <= out->cell_voltage_max_V)) {
            out->cell_voltage_max_V = pack->cells.limit_highest_V;
            name_cell(out->cell_voltage_max_id, pack, pack->cells.limit_highest,
                      pack->reading.cell_voltage_max_id);
        }
        if (!(pack->cells.limit_lowest_V >= out->cell_voltage_min_V)) {
            out->cell_voltage_min_V = pack->cells.limit_lowest_V;
            name_cell(out->cell_voltage_min_id, pack, pack->cells.limit_lowest,
                      pack->reading.cell_voltage_min_id);
        }
    }
}

static void merge_temperatures(const struct pack *const members[], size_t n, struct pack_reading *out)
{
    for (size_t i = 0; i < n; i++) {
        const struct pack_reading *reading = &members[i]->reading;

        if (fmin(reading->cell_temperature_min_C, out->cell_temperature_min_C) !=
                out->cell_temperature_min_C &&
            !isnan(reading->cell_temperature_min_C)) {
            out->cell_temperature_min_C = reading->cell_temperature_min_C;
            name_cell(out->cell_temperature_min_id, members[i], 0, reading->cell_temperature_min_id);
        }
        if (reading->cell_temperature_max_C == out->cell_temperature_max_C)
            name_cell(out->cell_temperature_max_id, members[i], 0, reading->cell_temperature_max_id);
    }
}

/* ---- charge ---- */

/* What is left, of a pack that may count on below empty and above full. */
static double holdable_Ah(const struct pack_reading *reading)
{
    double left_Ah = pack_remaining_Ah(reading);

    if (left_Ah > reading->capacity_installed_Ah)
        return reading->capacity_installed_Ah;
    return left_Ah < 0 ? 0 : left_Ah;
}

static void merge_charge(struct series *series, const struct pack *const members[], size_t n,
                         struct pack_reading *out)
{
    double remaining_Ah = INFINITY, missing_Ah = INFINITY, most_Ah = -INFINITY;

    series->nameplate_Ah = merged(SMALLEST, members, n, offsetof(struct pack_reading, capacity_installed_Ah));
    for (size_t i = 0; i < n; i++) {
        double left_Ah = holdable_Ah(&members[i]->reading);
        double lacks_Ah = members[i]->reading.capacity_installed_Ah - left_Ah;

        if (isnan(lacks_Ah)) {
            series->apart_Ah = NAN;
            out->soc_pct = merged(SMALLEST, members, n, offsetof(struct pack_reading, soc_pct));
            return;
        }
        remaining_Ah = fmin(remaining_Ah, left_Ah);
        missing_Ah = fmin(missing_Ah, lacks_Ah);
        if (lacks_Ah > most_Ah) {
            most_Ah = lacks_Ah;
            series->emptiest = (int)i;
        }
    }
    series->apart_Ah = most_Ah - missing_Ah;
    series->apart = series->apart_Ah > (series->apart ? APART_END : APART) * (remaining_Ah + missing_Ah);
    out->capacity_installed_Ah = remaining_Ah + missing_Ah;
    out->capacity_Ah = remaining_Ah;
    out->consumed_Ah = -missing_Ah;
    out->soc_pct = remaining_Ah + missing_Ah > 0
                       ? 100 * remaining_Ah / (remaining_Ah + missing_Ah)
                       : merged(SMALLEST, members, n, offsetof(struct pack_reading, soc_pct));
}

/* ---- limits ---- */

/* One that never told its limit makes that of the string unknown. */
static double smaller(double a, double b)
{
    return isnan(a) || isnan(b) ? NAN : fmin(a, b);
}

/* One that shows what its cells contradict counts with what they say. */
static double sum_of_voltages_V(const struct pack *const members[], size_t n)
{
    double sum_V = 0;

    for (size_t i = 0; i < n; i++)
        sum_V += isnan(members[i]->reading.voltage_V) ? NAN : pack_likely_voltage_V(members[i]);
    return sum_V;
}

/* One of which no voltage is known may be at its limit: then what the others have left is no room. */
static void merge_voltage_limit(struct series *series, const struct pack *const members[], size_t n,
                                struct pack_reading *out)
{
    double sum_V = 0, room_V = 0;

    series->headroom_V = INFINITY;
    for (size_t i = 0; i < n; i++) {
        double limit_V =
            pack_now_or_last(members[i]->reading.charge_voltage_max_V, members[i]->last.charge_voltage_max_V);
        double voltage_V = pack_likely_voltage_V(members[i]);
        double own_room_V = isnan(voltage_V) ? 0 : limit_V - voltage_V;

        sum_V += limit_V;
        room_V += own_room_V;
        if (own_room_V < series->headroom_V) {
            series->headroom_V = own_room_V;
            series->nearest = (int)i;
        }
    }
    out->charge_voltage_max_V = sum_V - fmax(0, room_V - (double)n * series->headroom_V);
}

static void merge_limits(struct series *series, const struct pack *const members[], size_t n,
                         struct pack_reading *out)
{
    out->charge_current_max_A = out->discharge_current_max_A = INFINITY;
    merge_voltage_limit(series, members, n, out);
    for (size_t i = 0; i < n; i++) {
        const struct pack_reading *reading = &members[i]->reading;
        const struct pack_last *last = &members[i]->last;

        out->charge_current_max_A =
            smaller(out->charge_current_max_A,
                    pack_now_or_last(reading->charge_current_max_A, last->charge_current_max_A));
        out->discharge_current_max_A =
            smaller(out->discharge_current_max_A,
                    pack_now_or_last(reading->discharge_current_max_A, last->discharge_current_max_A));
        out->allow_charge =
            fmin(out->allow_charge, pack_blocks_charge(members[i]) ? 0 : reading->allow_charge);
        out->allow_discharge =
            fmin(out->allow_discharge, pack_blocks_discharge(members[i]) ? 0 : reading->allow_discharge);
        out->allow_balance = fmin(out->allow_balance, reading->allow_balance);
    }
    snprintf(out->charge_mode, sizeof out->charge_mode, "%s", members[series->nearest]->reading.charge_mode);
}

static void compare_currents(struct series *series, const struct pack *const members[], size_t n,
                             double time_s)
{
    double most_A = NAN, least_A = NAN;

    for (size_t i = 0; i < n; i++) {
        most_A = fmax(most_A, members[i]->reading.current_A);
        least_A = fmin(least_A, members[i]->reading.current_A);
    }
    series->currents = (struct contradiction){
        most_A, least_A, fmax(CURRENTS_SHARE * fmax(fabs(most_A), fabs(least_A)), CURRENTS_LEAST_A)};
    contradiction_step(&series->currents_watch, &series->currents, CONTRADICTION_CURRENT_S, time_s);
}

void series_merge(struct series *series, const struct config *config, const struct pack *const members[],
                  size_t n, double time_s)
{
    struct pack_reading *out = &series->pack.reading;

    pack_reading_clear(out);
    series->pack.name[0] = '\0';
    series->count = n;
    for (size_t i = 0; i < n; i++) {
        series->member[i] = members[i];
        add_name(series->pack.name, sizeof series->pack.name, members[i]->name);
    }
    for (size_t i = 0; i < sizeof merges / sizeof *merges; i++) {
        double value = merged(merges[i].rule, members, n, merges[i].at);

        memcpy((char *)out + merges[i].at, &value, sizeof value);
    }
    for (int alarm = 0; alarm < ALARM_COUNT; alarm++)
        out->alarm[alarm] =
            merged(WORST, members, n, offsetof(struct pack_reading, alarm) + sizeof(double) * (size_t)alarm);
    out->voltage_V = sum_of_voltages_V(members, n);
    out->power_W = out->voltage_V * out->current_A;
    merge_cells(config, members, n, out);
    merge_temperatures(members, n, out);
    merge_charge(series, members, n, out);
    merge_limits(series, members, n, out);
    compare_currents(series, members, n, time_s);
    if (series->apart)
        out->alarm[ALARM_MID_VOLTAGE] = fmax(out->alarm[ALARM_MID_VOLTAGE], 1);
    series->pack.in_series = true;
    pack_remember(&series->pack);
}
