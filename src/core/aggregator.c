#include "core/aggregator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The voltage of a full bank, less what its measurement may lack. */
#define TOP_V_CELL 0.003
#define SOC_EFFICIENCY 0.997 /* of LFP and LTO cells; it learns */
#define LFP_LEAST_V 3.3
#define LFP_MOST_V 3.7
#define SOC_BEGIN_UNCERTAINTY 0.05 /* a saved charge, the SoC of the packs, or what a user says */
#define CAPACITY_STEP 0.03 /* of a string in series: less than that is the rounding of its packs' SoC */
#define CAPACITY_SURE 0.05 /* of the nameplate: so certain a learned capacity must be to be used */

static bool is_lfp(const struct config *config)
{
    return config->max_cell_voltage_V >= LFP_LEAST_V && config->max_cell_voltage_V <= LFP_MOST_V;
}

static bool is_learned(const struct config *config)
{
    return config->own_soc && config->soc_method == SOC_LEARNED;
}

void aggregator_init(struct aggregator *aggregator, double charge_Ah, double capacity_Ah)
{
    memset(aggregator, 0, offsetof(struct aggregator, work));
    memset(&aggregator->packs_tell, 0,
           offsetof(struct aggregator, string) - offsetof(struct aggregator, packs_tell));
    charge_init(&aggregator->charge, charge_Ah);
    soc_init(&aggregator->soc, SOC_EFFICIENCY);
    control_init(&aggregator->control);
    sharing_init(&aggregator->sharing);
    feed_in_init(&aggregator->feed_in, false, 0);
    work_init(&aggregator->work, NULL);
    if (!isnan(charge_Ah))
        aggregator->charge.capacity_Ah = aggregator->counted_Ah = capacity_Ah;
    aggregator->saved_charge_Ah = charge_Ah;
    aggregator->low_voltage_V = NAN;
    missing_init(&aggregator->missing);
}

bool pack_is_complete(const struct config *config, const struct pack_reading *reading, const char **missing)
{
    bool shows_cells = pack_reading_cells_shown(reading) > 0;
    const struct {
        bool known;
        const char *path;
    } needs[] = {
        {!isnan(reading->voltage_V), "/Dc/0/Voltage"},
        {!isnan(reading->current_A), "/Dc/0/Current"},
        {!isnan(reading->soc_pct), "/Soc"},
        {config->own_charge_parameters || !isnan(reading->charge_voltage_max_V), "/Info/MaxChargeVoltage"},
        {config->own_charge_parameters || !isnan(reading->charge_current_max_A), "/Info/MaxChargeCurrent"},
        {config->own_charge_parameters || !isnan(reading->discharge_current_max_A),
         "/Info/MaxDischargeCurrent"},
        {!config->own_charge_parameters || shows_cells || !isnan(reading->cell_voltage_max_V),
         "/System/MaxCellVoltage"},
        {!config->own_charge_parameters || shows_cells || !isnan(reading->cell_voltage_min_V),
         "/System/MinCellVoltage"},
        {!config->own_charge_parameters || config->nr_of_cells_per_battery != CONFIG_NOT_SET ||
             !isnan(reading->cells_in_series) || shows_cells,
         "/System/NrOfCellsPerBattery"},
    };

    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (!needs[i].known) {
            *missing = needs[i].path;
            return false;
        }
    }
    *missing = NULL;
    return true;
}

/* Full and empty by the reference's rules: for our own charge control, and for limits that are merged. */
static void charge_anchors(const struct config *config, const struct bank *bank,
                           const struct control_output *control, struct charge_input *in)
{
    if (config->own_charge_parameters) {
        in->full = bank->voltage_V >= control->target.balancing_V;
        in->empty = config->zero_soc && bank->cell_voltage_min_V.value <= config->min_cell_voltage_V;
        return;
    }
    in->full = bank->cell_voltage_max_V.value >= config->max_cell_voltage_soc_full_V;
    in->empty = config->zero_soc && bank->cell_voltage_min_V.value <= config->min_cell_voltage_soc_empty_V;
}

/* The counter begins with the whole bank: a charge that was saved, or the mean SoC of all packs, means
 * nothing for the first of them. Where nobody said how many packs make it whole, that is when none has
 * joined for a while; at once, when the capacity that belongs to the saved charge is known. */
static bool may_begin(struct aggregator *aggregator, const struct config *config, double time_s,
                      const struct aggregate *out)
{
    const struct charge_counter *counter = &aggregator->charge;
    size_t packs = out->bank.packs == 0 ? 0 : (size_t)out->packs_online; /* not strings of them */

    if (packs != aggregator->packs_before) {
        aggregator->packs_before = packs;
        aggregator->packs_change_s = time_s;
    }
    if (config->nr_of_batteries != CONFIG_NOT_SET)
        return packs >= (size_t)config->nr_of_batteries;
    return packs > 0 && ((!isnan(counter->charge_Ah) && !isnan(counter->capacity_Ah)) ||
                         time_s - aggregator->packs_change_s >= AGGREGATOR_SETTLE_S);
}

/* The cell that limits is where it shall be, and the bank at its CVL: it will not become fuller. */
static bool is_as_full_as_it_gets(const struct control *control, const struct bank *bank,
                                  const struct control_output *out)
{
    return control->smooth.limiting &&
           bank->voltage_V >= out->limits.charge_voltage.value - TOP_V_CELL * bank->cells_in_series;
}

/* A saved charge is that of the bank as it was saved; its size follows in the next step. */
static void begin_learned(struct aggregator *aggregator, double capacity_Ah)
{
    const struct charge_counter *counter = &aggregator->charge;
    double installed_Ah = isnan(counter->capacity_Ah) ? capacity_Ah : counter->capacity_Ah;
    bool restored = aggregator->soc.learned.var_missing > 0;

    if (installed_Ah > 0 && !isnan(counter->charge_Ah))
        soc_begin(&aggregator->soc, counter->charge_Ah, installed_Ah, restored ? NAN : SOC_BEGIN_UNCERTAINTY);
}

static enum charge_event count_learned(struct aggregator *aggregator, const struct config *config,
                                       const struct charge_input *charge, const struct aggregate *out)
{
    const struct bank *bank = &out->bank;
    double cells = bank->cells_in_series;
    struct soc_input in = {.time_s = charge->time_s,
                           .current_A = charge->current_A,
                           .installed_Ah = charge->capacity_Ah,
                           .at_top = charge->full,
                           .at_bottom = charge->empty,
                           .cell_V = bank->cells_sum_V / cells,
                           .difference_V = bank->cell_voltage_max_V.value - bank->cell_voltage_min_V.value,
                           .lfp = is_lfp(config)};

    if (isnan(aggregator->soc.missing_Ah))
        begin_learned(aggregator, charge->capacity_Ah);
    if (config->own_charge_parameters)
        in.at_top = bank->voltage_V >= out->control.target.balancing_V - TOP_V_CELL * cells ||
                    is_as_full_as_it_gets(&aggregator->control, bank, &out->control);
    return soc_step(&aggregator->soc, &in);
}

/* CAPACITY = learned, once that is certain enough. */
static bool knows_capacity(const struct aggregator *aggregator, const struct config *config,
                           double nameplate_Ah, struct capacity_estimate *learned)
{
    if (config->capacity != CAPACITY_LEARNED)
        return false;
    *learned = work_bank_capacity(&aggregator->work.memory, NULL);
    return learned->deviation_Ah <= CAPACITY_SURE * nameplate_Ah &&
           aggregator->work.memory.bank.installed_Ah == nameplate_Ah;
}

/* The usable capacity of packs in series follows from their SoCs, which are rounded: counters that were
 * resized with each of their steps would learn nothing. */
static double steady_capacity_Ah(struct aggregator *aggregator, const struct config *config, double now_Ah,
                                 bool hold)
{
    if (config->shape.strings == 0 || isnan(now_Ah))
        return now_Ah;
    if (!(aggregator->counted_Ah > 0) ||
        (!hold && fabs(now_Ah - aggregator->counted_Ah) > CAPACITY_STEP * aggregator->counted_Ah))
        aggregator->counted_Ah = now_Ah;
    return aggregator->counted_Ah;
}

/* The counter takes for its capacity what is usable; the learned SoC knows by itself what share that is. */
static void find_capacities(struct aggregator *aggregator, const struct config *config, double nameplate_Ah,
                            struct charge_input *in, struct charge_input *counter_in)
{
    struct capacity_estimate learned;
    bool known = knows_capacity(aggregator, config, nameplate_Ah, &learned);

    in->capacity_Ah = steady_capacity_Ah(aggregator, config, in->capacity_Ah, known);
    *counter_in = *in;
    if (!known)
        return;
    counter_in->capacity_Ah = learned.capacity_Ah;
    soc_set_usable(&aggregator->soc, learned.capacity_Ah / in->capacity_Ah,
                   learned.deviation_Ah / in->capacity_Ah);
}

static enum charge_event count_charge(struct aggregator *aggregator, const struct config *config,
                                      double time_s, double nameplate_Ah, struct aggregate *out)
{
    const struct bank *bank = &out->bank;
    struct charge_input in = {
        .time_s = time_s, .current_A = out->current.current_A, .capacity_Ah = bank->capacity_installed_Ah};
    struct charge_input counter_in;
    enum charge_event event;

    aggregator->counting = aggregator->counting || may_begin(aggregator, config, time_s, out);
    if (!aggregator->counting)
        return CHARGE_EVENT_NONE;
    if (isnan(aggregator->charge.charge_Ah))
        charge_init(&aggregator->charge, bank->soc_pct / 100 * bank->capacity_installed_Ah);
    charge_anchors(config, bank, &out->control, &in);
    find_capacities(aggregator, config, nameplate_Ah, &in, &counter_in);
    out->charge_before_pct = charge_soc_pct(&aggregator->charge);
    if (!is_learned(config)) {
        /* It stands still: chosen again, it begins with the counter. */
        aggregator->soc.missing_Ah = aggregator->soc.last_time_s = NAN;
        aggregator->soc.learned.var_missing = 0;
        event = charge_step(&aggregator->charge, &counter_in, config->battery_efficiency);
        out->charge_gap_s = aggregator->charge.gap_s;
        return event;
    }
    event = count_learned(aggregator, config, &in, out);
    charge_step(&aggregator->charge, &counter_in, config->battery_efficiency); /* it stays ready */
    out->charge_before_pct = aggregator->soc.before_pct;
    out->charge_gap_s = aggregator->soc.gap_s;
    return event;
}

/* SoC and its kin: from our counter when the user chose it and it knows, else from the packs. */
static void show_charge(const struct aggregator *aggregator, const struct config *config, bool low_soc,
                        struct aggregate *out)
{
    const struct charge_counter *counter = &aggregator->charge;

    out->soc_uncertainty_pct = NAN;
    if (is_learned(config) && aggregator->counting && !isnan(soc_pct(&aggregator->soc))) {
        out->soc_pct = soc_pct(&aggregator->soc);
        out->capacity_Ah = soc_charge_Ah(&aggregator->soc);
        out->consumed_Ah = soc_consumed_Ah(&aggregator->soc);
        out->time_to_go_s =
            out->current.current_A < 0 && !low_soc ? -3600 * out->capacity_Ah / out->current.current_A : NAN;
        out->soc_uncertainty_pct = soc_uncertainty_pct(&aggregator->soc);
    } else if (config->own_soc && aggregator->counting && !isnan(charge_soc_pct(counter))) {
        out->soc_pct = charge_soc_pct(counter);
        out->capacity_Ah = counter->charge_Ah;
        out->consumed_Ah = charge_consumed_Ah(counter);
        out->time_to_go_s = charge_time_to_go_s(counter, out->current.current_A, low_soc);
    } else {
        out->soc_pct = out->bank.soc_pct;
        out->capacity_Ah = out->bank.capacity_Ah;
        out->consumed_Ah = out->bank.consumed_Ah;
        out->time_to_go_s = out->bank.time_to_go_s;
    }
}

/* What the packs tell of their past stands: ours is younger. Where one of them ever told it and not all do,
 * nothing is shown rather than a number of another beginning. */
#define OF_HISTORY(member) offsetof(struct pack_reading, history.member)

static void fill_history(struct aggregator *aggregator, const struct aggregator_input *in,
                         struct aggregate *out)
{
    struct pack_history *of_bank = &out->bank.history;
    const struct {
        double *shown, ours;
        size_t of_pack;
    } histories[AGGREGATOR_HISTORIES] = {
        {&out->bank.charge_cycles, out->history.cycles, offsetof(struct pack_reading, charge_cycles)},
        {&out->bank.charged_energy_kWh, out->history.charged_kWh,
         offsetof(struct pack_reading, charged_energy_kWh)},
        {&out->bank.discharged_energy_kWh, out->history.discharged_kWh,
         offsetof(struct pack_reading, discharged_energy_kWh)},
        {&out->bank.drawn_Ah, out->history.drawn_Ah, offsetof(struct pack_reading, drawn_Ah)},
        {&of_bank->deepest_discharge_Ah, out->history.deepest_Ah, OF_HISTORY(deepest_discharge_Ah)},
        {&of_bank->since_full_s, out->history.since_full_s, OF_HISTORY(since_full_s)},
        {&of_bank->voltage_min_V, out->history.voltage_min_V, OF_HISTORY(voltage_min_V)},
        {&of_bank->voltage_max_V, out->history.voltage_max_V, OF_HISTORY(voltage_max_V)},
        {&of_bank->cell_voltage_min_V, out->history.cell_min_V, OF_HISTORY(cell_voltage_min_V)},
        {&of_bank->cell_voltage_max_V, out->history.cell_max_V, OF_HISTORY(cell_voltage_max_V)},
    };

    for (int i = 0; i < AGGREGATOR_HISTORIES; i++) {
        for (size_t k = 0; k < in->pack_count && !aggregator->packs_tell[i]; k++) {
            const char *reading = (const char *)&in->packs[k]->reading;

            aggregator->packs_tell[i] =
                !isnan(*(const double *)(const void *)(reading + histories[i].of_pack));
        }
        if (!aggregator->packs_tell[i])
            *histories[i].shown = histories[i].ours;
    }
}

static void count_work(struct aggregator *aggregator, const struct config *config,
                       const struct aggregator_input *in, double nameplate_Ah, struct aggregate *out)
{
    const struct work_input work = {
        .time_s = in->time_s,
        .today = in->today,
        .bank = &out->bank,
        .current_A = out->current.current_A,
        .consumed_Ah = out->consumed_Ah,
        .nameplate_Ah = nameplate_Ah,
        .full = is_learned(config) ? aggregator->soc.at_full : aggregator->charge.at_full,
        .whole = in->packs_missing == 0,
        .empty_cell_V =
            config->own_charge_parameters ? config->min_cell_voltage_V : config->min_cell_voltage_soc_empty_V,
        .lfp = is_lfp(config),
        .packs = in->packs,
        .pack_count = in->pack_count,
        .strings = aggregator->string,
        .string_count = config->shape.strings,
    };

    work_step(&aggregator->work, &work);
    out->history = aggregator->work.history;
    fill_history(aggregator, in, out);
}

/* ---- branches: packs, or strings of them, in parallel ---- */

struct branches {
    double nameplate_Ah; /* of all; NAN = unknown */
    const struct pack *list[SHARING_BRANCHES_MAX];
    size_t count;
    double charge_share[SHARING_BRANCHES_MAX]; /* that the limits are made with, see sharing.h; NAN = none */
    double cells_least, cells_most;            /* in series in one of them; NAN = unknown */
};

int aggregator_place(const struct shape *shape, const struct pack *pack)
{
    const struct pack_reading *reading = &pack->reading;
    int place = shape_find(shape, pack->name, reading->serial, reading->device_instance);

    return place >= 0 ? place
                      : shape_find(shape, reading->custom_name, reading->serial, reading->device_instance);
}

/* The packs of string s that are here, in the order of BANK. */
static size_t members_of(const struct shape *shape, size_t s, const struct aggregator_input *in,
                         const struct pack *members[SHAPE_PACKS_MAX])
{
    size_t first = shape->string[s].first, count = 0;
    const struct pack *at[SHAPE_PACKS_MAX] = {NULL};

    for (size_t i = 0; i < in->pack_count; i++) {
        int place = aggregator_place(shape, in->packs[i]);

        if (shape_string_of(shape, place) == (int)s)
            at[(size_t)place - first] = in->packs[i];
    }
    for (size_t i = 0; i < shape->string[s].count; i++) {
        if (at[i])
            members[count++] = at[i];
    }
    return count;
}

static void count_cells(struct branches *branches, const struct pack *pack)
{
    branches->cells_least = fmin(branches->cells_least, pack->reading.cells_in_series);
    branches->cells_most = fmax(branches->cells_most, pack->reading.cells_in_series);
}

static void add_branch(struct branches *branches, const struct pack *pack, double nameplate_Ah)
{
    branches->charge_share[branches->count] = NAN;
    branches->list[branches->count++] = pack;
    branches->nameplate_Ah += nameplate_Ah;
}

/* A string that lacks a pack is open: nothing flows there. */
static void find_branches(struct aggregator *aggregator, const struct config *config,
                          const struct aggregator_input *in, struct branches *out)
{
    const struct shape *shape = &config->shape;

    out->count = 0;
    out->nameplate_Ah = 0;
    out->cells_least = out->cells_most = NAN;
    for (size_t i = 0; shape->strings == 0 && i < in->pack_count && i < SHARING_BRANCHES_MAX; i++)
        add_branch(out, in->packs[i], in->packs[i]->reading.capacity_installed_Ah);
    for (size_t s = 0; s < shape->strings; s++) {
        const struct pack *members[SHAPE_PACKS_MAX];
        size_t count = members_of(shape, s, in, members);
        struct series *string = &aggregator->string[s];

        if (s == aggregator->strings)
            series_clear(&aggregator->string[aggregator->strings++]);
        if (count == 0 || count < shape->string[s].count) {
            string->pack.in_series = false;
            continue;
        }
        if (count > 1 && !string->pack.in_series)
            series_clear(string); /* it begins, or is whole again */
        if (count > 1)
            series_merge(string, config, members, count, in->time_s);
        if (count > 1)
            add_branch(out, &string->pack, string->nameplate_Ah);
        else
            add_branch(out, members[0], members[0]->reading.capacity_installed_Ah);
        count_cells(out, out->list[out->count - 1]);
    }
}

/* Strings of 16 and of 8 cells on one bus bar: BANK is wrong, and what is wired so burns. */
static bool is_unequal(const struct branches *branches)
{
    return branches->cells_most > branches->cells_least;
}

static void stop_for_unequal(struct limit *limit, const struct branches *branches)
{
    limit->value = 0;
    snprintf(limit->reason, sizeof limit->reason, "BANK has strings of %.0f and of %.0f cells in parallel",
             branches->cells_least, branches->cells_most);
}

/* The part of the capacity of the bank that is not here; of their number where one of them never told its
 * own. Of a string that lacks a pack nothing is. */
static double part_lost(const struct config *config, const struct branches *branches,
                        const struct aggregator_input *in)
{
    bool strings = config->shape.packs > config->shape.strings;
    double all = strings ? (double)config->shape.strings : (double)(in->pack_count + in->packs_missing);
    double here_Ah = 0, lost_Ah = in->lost.ever_installed_Ah;

    if (in->packs_missing == 0)
        return 0;
    for (size_t i = 0; i < branches->count; i++)
        here_Ah += pack_now_or_last(branches->list[i]->reading.capacity_installed_Ah,
                                    branches->list[i]->last.capacity_installed_Ah);
    if (!strings && here_Ah > 0 && lost_Ah > 0)
        return lost_Ah / (here_Ah + lost_Ah);
    return 1 - (double)branches->count / all;
}

/* One that is excluded does not speak for the bank. */
static void allow_by_those_that_do(const struct branches *branches, struct bank *bank)
{
    for (size_t i = 0; i < branches->count; i++) {
        const struct pack_reading *reading = &branches->list[i]->reading;

        bank->allow_charge = fmax(bank->allow_charge, reading->allow_charge);
        bank->allow_discharge = fmax(bank->allow_discharge, reading->allow_discharge);
    }
}

/* ---- packs that are not complete ---- */

/* In a string of several it is one that is missing. */
static bool is_in_string(const struct shape *shape, const struct pack *pack)
{
    int s = shape_string_of(shape, aggregator_place(shape, pack));

    return s >= 0 ? shape->string[s].count > 1 : shape->strings > 0;
}

/* Who of them hangs on the bus bar can be told only while its voltage is known. */
static void obey_incomplete(struct aggregator *aggregator, const struct config *config,
                            const struct aggregator_input *in, struct aggregate *out)
{
    const struct pack *on_bar[INCOMPLETE_MAX];
    size_t count = 0;
    double bank_V = out->bank.voltage_V;

    for (size_t i = 0; i < in->incomplete_count && !isnan(bank_V); i++) {
        const struct pack *pack = in->incomplete[i];

        if (pack_is_elsewhere(pack, bank_V) || is_in_string(&config->shape, pack))
            incomplete_forget(&aggregator->incomplete, pack);
        else if (!isnan(pack->last.voltage_V) && count < INCOMPLETE_MAX)
            on_bar[count++] = pack;
    }
    if (!isnan(bank_V))
        incomplete_look(&aggregator->incomplete, on_bar, count, in->packs, in->pack_count, in->time_s,
                        config->lost_grace_s);
    incomplete_obey(&aggregator->incomplete, config, in->time_s, &out->limits, &out->control,
                    &out->incomplete_gone);
}

/* What each branch may take decides what the bank may. */
static void merge_limits(struct aggregator *aggregator, const struct config *config,
                         struct branches *branches, double dt_s, struct limits *limits)
{
    double discharge[SHARING_BRANCHES_MAX];
    const struct limit_shares shares = {branches->charge_share, discharge};

    sharing_shares(&aggregator->sharing, config, branches->list, branches->count, true,
                   branches->charge_share);
    sharing_shares(&aggregator->sharing, config, branches->list, branches->count, false, discharge);
    limits_merge(config, branches->list, branches->count, &shares, limits);
    sharing_hold_back(&aggregator->sharing, branches->list, branches->count, dt_s, limits);
}

/* A CCL of 0 has no force while DC feed-in is on. A driver that blinks is no reason to touch it, nor a bus:
 * who comes back to it needs a moment. What was never there was never led. */
static bool is_stopped(struct aggregator *aggregator, bool zero, const struct aggregator_input *in)
{
    if (!zero || !aggregator->stopping || isnan(in->feed_in))
        aggregator->stopping_since_s = in->time_s;
    aggregator->stopping = zero;
    return zero && in->time_s - aggregator->stopping_since_s >= AGGREGATOR_STOPPED_S;
}

static void decide_limits(struct aggregator *aggregator, const struct config *config,
                          const struct aggregator_input *in, struct branches *branches, struct aggregate *out)
{
    bool exclude = config->blocked_pack == BLOCKED_PACK_EXCLUDE;
    double dt_s = in->time_s - aggregator->sharing.last_time_s;
    bool stops;
    const struct control_input control = {
        .time_s = in->time_s,
        .today = in->today,
        .packs = branches->list,
        .pack_count = branches->count,
        .bank = &out->bank,
        .feed_in = in->feed_in == 1,
        .holding = aggregator->feed_in.debt,
        .incomplete = in->packs_missing > 0,
        .lost_part = part_lost(config, branches, in),
        .charge_part = exclude ? sharing_open_part(branches->list, branches->count, true) : 0,
        .discharge_part = exclude ? sharing_open_part(branches->list, branches->count, false) : 0};

    memset(&out->control, 0, sizeof out->control);
    sharing_step(&aggregator->sharing, config, branches->list, branches->count, in->time_s);
    aggregator->missing.left = aggregator->missing.left || aggregator->sharing.left;
    out->limit_unknown = false;
    out->incomplete_gone = (struct incomplete_gone){.name = ""};
    if (branches->count == 0) {
        missing_retreat(&aggregator->missing, &out->limits);
        out->limits.stopped = is_stopped(aggregator, aggregator->had_packs, in);
        return;
    }
    aggregator->had_packs = true;
    if (config->own_charge_parameters) {
        control_step(&aggregator->control, config, &control, &out->control);
        out->limits = out->control.limits;
    } else {
        merge_limits(aggregator, config, branches, dt_s, &out->limits);
    }
    if (exclude)
        sharing_stay_near(config, branches->list, branches->count, &out->limits.charge_voltage);
    sharing_wait_for_rejoining(&aggregator->sharing, branches->list, branches->count, &out->limits);
    if (is_unequal(branches)) {
        stop_for_unequal(&out->limits.charge_current, branches);
        stop_for_unequal(&out->limits.discharge_current, branches);
    }
    if (out->limits.charge_voltage.value < 0) /* of cells at 0 V beside one that peaks */
        out->limits.charge_voltage.value = 0;
    missing_never_raise(&aggregator->missing, in->packs_missing, in->time_s, config->lost_grace_s,
                        &out->limits);
    obey_incomplete(aggregator, config, in, out);
    out->limit_unknown = missing_catch(&aggregator->missing, &out->limits);
    stops = missing_obey(config, &in->lost, in->packs_missing, &out->limits) || is_unequal(branches);
    out->limits.stopped = is_stopped(aggregator, stops, in);
}

/* Packs of the bank, or of the hold that a restart found, whose cells may be in danger and are not seen. They
 * are waited for as long as their part is kept; of whom nobody hears longer than that, the bank goes on
 * without. */
static bool is_unseen(struct aggregator *aggregator, const struct config *config,
                      const struct aggregator_input *in, const struct bank *bank)
{
    const struct feed_in *guard = &aggregator->feed_in;
    size_t unseen = in->packs_missing;

    if (guard->debt && guard->packs > (int)(in->pack_count + unseen))
        unseen = (size_t)guard->packs - in->pack_count;
    if (unseen > aggregator->unseen)
        aggregator->unseen_since_s = in->time_s;
    aggregator->unseen = unseen;
    return bank->packs == 0 || (unseen > 0 && in->time_s - aggregator->unseen_since_s < config->lost_grace_s);
}

/* Of a pack in a string: that of the string, which is one current. */
static double share_of(const struct aggregator *aggregator, const struct config *config,
                       const struct branches *branches, const struct pack *pack)
{
    const struct pack *branch = pack;

    for (size_t s = 0; s < config->shape.strings; s++) {
        if (series_has(&aggregator->string[s], pack))
            branch = &aggregator->string[s].pack;
    }
    for (size_t i = 0; i < branches->count; i++) {
        if (branches->list[i] == branch)
            return branches->charge_share[i];
    }
    return NAN;
}

static void look_at_packs(struct aggregator *aggregator, const struct config *config,
                          const struct aggregator_input *in, const struct branches *branches)
{
    for (size_t i = 0; i < in->pack_count && i < RESISTANCE_PACKS_MAX; i++) {
        struct resistance *resistance = resistance_of(aggregator->resistance, in->packs[i]->name, i);

        resistance_step(resistance, in->packs[i], in->time_s);
        resistance->share = share_of(aggregator, config, branches, in->packs[i]);
    }
}

/* Merged limits leave feed-in alone, but a debt from before is paid all the same. */
static void guard_feed_in(struct aggregator *aggregator, const struct config *config,
                          const struct aggregator_input *in, struct aggregate *out)
{
    bool own = config->own_charge_parameters;
    bool stopped = out->limits.charge_blocked || out->limits.stopped;
    bool unseen = is_unseen(aggregator, config, in, &out->bank);
    const struct feed_in_input input = {
        .time_s = in->time_s,
        .setting = in->feed_in,
        .silent = in->settings_silent,
        .danger = own && (out->control.peaking || stopped),
        .cells_calm = !own || out->bank.packs == 0 || out->control.cells_calm,
        .balanced = !own || out->control.balanced,
        .charge_blocked = own && out->limits.charge_blocked,
        .unseen = own && unseen,
        .packs = (int)in->pack_count,
        .rule = config->feed_in_return,
        .min_hold_s = config->feed_in_min_hold_s,
    };

    feed_in_step(&aggregator->feed_in, &input, &out->feed_in);
    out->feed_in_state = own || aggregator->feed_in.debt ? (double)aggregator->feed_in.state : NAN;
    out->unguarded = !own && in->feed_in == 1 && stopped;
}

/* What we have to say ourselves, beside the packs. */
static void say_alarms(const struct aggregator_input *in, struct aggregate *out)
{
    struct bank *bank = &out->bank;

    if (out->feed_in.alarm || in->packs_implausible > 0 || in->cannot_save)
        bank->alarm[ALARM_INTERNAL_FAILURE] = fmax(bank->alarm[ALARM_INTERNAL_FAILURE], 1);
    if (in->packs_incomplete > 0 || out->incomplete_gone.name[0])
        bank->alarm[ALARM_BMS_CABLE] = fmax(bank->alarm[ALARM_BMS_CABLE], 1);
    if (out->limit_unknown)
        bank->alarm[ALARM_INTERNAL_FAILURE] = 2;
    if (in->packs_missing == 0)
        return;
    bank->alarm[ALARM_BMS_CABLE] = fmax(bank->alarm[ALARM_BMS_CABLE], in->pack_count == 0 ? 2 : 1);
    bank->modules_offline = fmax(bank->modules_offline, 0) + (double)in->packs_missing;
}

/* The Multi has its low limit from here, and would be without one for as long as no pack tells it. */
static void keep_low_voltage(struct aggregator *aggregator, const struct config *config, struct bank *bank)
{
    double cells = config->nr_of_cells_per_battery == CONFIG_NOT_SET
                       ? bank->cells_in_series
                       : (double)config->nr_of_cells_per_battery;

    bank->low_voltage_V = pack_now_or_last(bank->low_voltage_V, aggregator->low_voltage_V);
    if (isnan(bank->low_voltage_V) && config->own_charge_parameters)
        bank->low_voltage_V = cells * config->min_cell_voltage_V;
    aggregator->low_voltage_V = bank->low_voltage_V;
}

void aggregator_step(struct aggregator *aggregator, const struct config *config,
                     const struct aggregator_input *in, struct aggregate *out)
{
    struct branches branches;

    find_branches(aggregator, config, in, &branches);
    bank_merge(branches.list, branches.count, &out->bank);
    if (config->blocked_pack == BLOCKED_PACK_EXCLUDE)
        allow_by_those_that_do(&branches, &out->bank);
    keep_low_voltage(aggregator, config, &out->bank);
    if (in->packs_missing > 0)
        missing_keep_part(&in->lost, &out->bank);
    bank_current(config, &out->bank, in->sources, in->source_count, &out->current);
    out->packs_online = (double)in->pack_count;
    out->packs_missing = (double)in->packs_missing;

    if (branches.count == 0) {
        out->current.current_A = NAN;
        out->current.power_W = NAN;
    }
    decide_limits(aggregator, config, in, &branches, out);
    look_at_packs(aggregator, config, in, &branches);
    branches.nameplate_Ah += in->lost.installed_Ah; /* as keep_lost_part does */
    out->charge_event = count_charge(aggregator, config, in->time_s, branches.nameplate_Ah, out);
    show_charge(aggregator, config, in->low_soc, out);
    count_work(aggregator, config, in, branches.nameplate_Ah, out);
    guard_feed_in(aggregator, config, in, out);
    say_alarms(in, out);
    if (is_unequal(&branches))
        out->bank.alarm[ALARM_INTERNAL_FAILURE] = 2;
}

double aggregator_charge_Ah(const struct aggregator *aggregator, const struct config *config)
{
    if (is_learned(config) && !isnan(aggregator->soc.missing_Ah))
        return soc_charge_Ah(&aggregator->soc);
    return aggregator->charge.charge_Ah;
}

double aggregator_capacity_Ah(const struct aggregator *aggregator, const struct config *config)
{
    if (is_learned(config) && !isnan(aggregator->soc.missing_Ah))
        return aggregator->soc.installed_Ah; /* it knows by itself how much of that is usable */
    return aggregator->charge.capacity_Ah;
}

bool aggregator_charge_due(const struct aggregator *aggregator, const struct config *config)
{
    double charge_Ah = aggregator_charge_Ah(aggregator, config);

    if (isnan(charge_Ah) || isnan(aggregator->charge.capacity_Ah))
        return false;
    if (isnan(aggregator->saved_charge_Ah))
        return true;
    return fabs(charge_Ah - aggregator->saved_charge_Ah) >=
           config->charge_save_precision * aggregator->charge.capacity_Ah;
}

void aggregator_charge_saved(struct aggregator *aggregator, const struct config *config)
{
    aggregator->saved_charge_Ah = aggregator_charge_Ah(aggregator, config);
}

/* ---- what users calibrate ---- */

enum calibration aggregator_set_soc(struct aggregator *aggregator, const struct config *config,
                                    double soc_pct, char *why, size_t size)
{
    struct charge_counter *counter = &aggregator->charge;
    struct soc *soc = &aggregator->soc;

    if (!(soc_pct >= 0 && soc_pct <= 100)) {
        snprintf(why, size, "A state of charge is 0 to 100 %%, not %g", soc_pct);
        return CALIBRATION_OUT_OF_RANGE;
    }
    if (!config->own_soc) {
        snprintf(why, size, "OWN_SOC is False: the SoC is that of the packs. Set OWN_SOC = True first");
        return CALIBRATION_NOT_NOW;
    }
    if (!aggregator->counting || isnan(counter->capacity_Ah) || isnan(counter->charge_Ah)) {
        snprintf(why, size, "The capacity of the bank is not known yet: try again when its packs are there");
        return CALIBRATION_NOT_NOW;
    }
    counter->charge_Ah = soc_pct / 100 * counter->capacity_Ah;
    counter->at_full = counter->at_empty = false;
    if (soc->installed_Ah > 0)
        soc_set(soc, soc_pct / 100 * soc->learned.usable * soc->installed_Ah, soc->installed_Ah,
                SOC_BEGIN_UNCERTAINTY);
    return CALIBRATED;
}

enum calibration aggregator_set_offset(struct aggregator *aggregator, const struct config *config,
                                       double offset_A, char *why, size_t size)
{
    double most_A = soc_offset_most_A(aggregator->soc.installed_Ah);

    if (!is_learned(config)) {
        snprintf(why, size,
                 "Only the learned SoC knows an offset: set OWN_SOC = True and SOC_METHOD = learned first");
        return CALIBRATION_NOT_NOW;
    }
    if (isnan(aggregator->soc.missing_Ah)) {
        snprintf(why, size, "The capacity of the bank is not known yet: try again when its packs are there");
        return CALIBRATION_NOT_NOW;
    }
    if (!(fabs(offset_A) <= most_A)) {
        snprintf(
            why, size,
            "An offset is -%.2f to %.2f A (1 %% of the capacity an hour), not %g: a sensor that is further "
            "out needs another one",
            most_A, most_A, offset_A);
        return CALIBRATION_OUT_OF_RANGE;
    }
    soc_set_offset(&aggregator->soc, offset_A);
    return CALIBRATED;
}
