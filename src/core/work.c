#include "core/work.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/charge.h"
#include "core/soc.h"

#define SECONDS_AN_HOUR 3600.0
#define SECONDS_A_DAY 86400.0
#define W_A_KW 1000.0
#define PACKS_S 1.0       /* packs are looked at once in so long */
#define SAVE_LEAST_AH 0.5 /* less that went through is not worth the flash */
#define SAVE_NEWS_S 60.0
#define NEW_SIZE 0.01

/* Where a sweep ends. */
#define EMPTY_HOLD_S 30.0
#define EMPTY_C 0.02
#define EMPTY_SAG 0.04 /* and that for each C of current: the load pulls the cell down early */
#define REST_CURRENT_C 0.02
#define REST_HOLD_S 1800.0
#define FULL_LOST 3.0    /* so much faster it is lost than gained */
#define FULL_NEAR_V 0.02 /* of packs in series only those with a cell so near to the highest are full too */
#define LEAVING_C 0.002  /* at the top, and so much is taken out: the sweep begins */

static const struct calendar no_date = {false, 0, 1};

void work_record_init(struct work_record *record)
{
    memset(record, 0, sizeof *record);
    record->installed_Ah = NAN;
    for (int i = 0; i < WORK_EXTREMES; i++) {
        record->extreme[i].value = NAN;
        record->extreme[i].day = CALENDAR_NONE;
    }
}

static void init_meter(struct work_meter *meter)
{
    memset(meter, 0, sizeof *meter);
    meter->last_s = meter->last_A = meter->last_V = NAN;
}

void work_memory_init(struct work_memory *memory)
{
    memset(memory, 0, offsetof(struct work_memory, pack));
    memory->since_day = memory->full_day = CALENDAR_NONE;
    memory->full_age_s = NAN;
    work_record_init(&memory->bank);
}

static void clear_history(struct work_history *history)
{
    *history = (struct work_history){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
}

void work_init(struct work *work, const struct work_memory *memory)
{
    memset(work, 0, offsetof(struct work, pack));
    if (memory)
        memcpy(&work->memory, memory,
               offsetof(struct work_memory, pack) + memory->packs * sizeof *memory->pack);
    else
        work_memory_init(&work->memory);
    init_meter(&work->bank);
    for (size_t i = 0; i < work->memory.packs; i++)
        init_meter(&work->pack[i]);
    clear_history(&work->history);
    work->last_s = work->packs_s = work->shown_s = work->saved_s = NAN;
}

void work_clear(struct work *work, const struct calendar *today)
{
    struct work_memory *memory = &work->memory;

    for (size_t i = 0; i <= memory->packs; i++) {
        struct work_record *record = i == 0 ? &memory->bank : &memory->pack[i - 1];
        struct work_record cleared;

        work_record_init(&cleared);
        memcpy(cleared.id, record->id, sizeof cleared.id);
        memcpy(cleared.name, record->name, sizeof cleared.name);
        cleared.installed_Ah = record->installed_Ah;
        cleared.capacity = record->capacity;
        *record = cleared;
    }
    memory->since_day = today->trusted ? today->day : CALENDAR_NONE;
    work->shown_s = NAN;
    work->news = true;
}

/* ---- counting ---- */

static void add_stretch(struct work_count *count, double from_A, double to_A, double voltage_V, double hours)
{
    double in_Ah = fmax(from_A, 0), out_Ah = fmax(-from_A, 0);

    if ((from_A < 0) == (to_A < 0) || from_A == to_A) {
        in_Ah = (in_Ah + fmax(to_A, 0)) / 2 * hours;
        out_Ah = (out_Ah + fmax(-to_A, 0)) / 2 * hours;
    } else { /* the line between the two is cut where it crosses 0 */
        double share = from_A / (from_A - to_A);

        in_Ah = (in_Ah * share + fmax(to_A, 0) * (1 - share)) / 2 * hours;
        out_Ah = (out_Ah * share + fmax(-to_A, 0) * (1 - share)) / 2 * hours;
    }
    count->in_Ah += in_Ah;
    count->out_Ah += out_Ah;
    count->in_kWh += in_Ah * voltage_V / W_A_KW;
    count->out_kWh += out_Ah * voltage_V / W_A_KW;
    count->hours += hours;
}

static void add_count(struct work_count *sum, const struct work_count *part)
{
    sum->in_Ah += part->in_Ah;
    sum->out_Ah += part->out_Ah;
    sum->in_kWh += part->in_kWh;
    sum->out_kWh += part->out_kWh;
    sum->hours += part->hours;
}

static void interrupt(struct work_meter *meter)
{
    meter->whole = meter->kept = false;
    meter->empty_s = meter->rest_s = 0;
}

/* What is measured of the bank or of a pack at one moment. */
struct sample {
    double time_s, current_A, voltage_V;
    double installed_Ah;
    double cell_min_V, cell_max_V, cell_V; /* cell_V: mean */
    double consumed_Ah;
};

static struct sample sample_of_pack(const struct pack *pack, double time_s)
{
    const struct pack_reading *reading = &pack->reading;
    double cells = isnan(reading->cells_in_series) ? (double)pack->cells.shown : reading->cells_in_series;

    return (struct sample){
        .time_s = time_s,
        .current_A = reading->current_A,
        .voltage_V = reading->voltage_V,
        .installed_Ah = reading->capacity_installed_Ah,
        .cell_min_V = pack->cells.lowest_V,
        .cell_max_V = pack->cells.highest_V,
        .cell_V = cells > 0 ? pack->cells.sum_V / cells : NAN,
        .consumed_Ah = fmin(pack_remaining_Ah(reading) - reading->capacity_installed_Ah, 0),
    };
}

/* The seconds that were counted, 0 for none. */
static double count(struct work_record *record, struct work_meter *meter, const struct sample *now)
{
    double dt_s = now->time_s - meter->last_s;
    double before_Ah = record->total.out_Ah;
    double from_A = meter->last_A, voltage_V = (meter->last_V + now->voltage_V) / 2;

    if (isnan(now->current_A) || isnan(now->voltage_V))
        return 0;
    meter->last_s = now->time_s;
    meter->last_A = now->current_A;
    meter->last_V = now->voltage_V;
    if (dt_s > CHARGE_GAP_MAX_S)
        interrupt(meter);
    if (!(dt_s > 0) || dt_s > CHARGE_GAP_MAX_S)
        return 0;
    add_stretch(&record->total, from_A, now->current_A, voltage_V, dt_s / SECONDS_AN_HOUR);
    add_stretch(&meter->open, from_A, now->current_A, voltage_V, dt_s / SECONDS_AN_HOUR);
    add_stretch(&meter->swept, from_A, now->current_A, voltage_V, dt_s / SECONDS_AN_HOUR);
    if (now->installed_Ah > 0)
        record->cycles += (record->total.out_Ah - before_Ah) / now->installed_Ah;
    return dt_s;
}

/* ---- extremes ---- */

static void note_extremes(struct work *work, struct work_record *record, const struct sample *now,
                          const struct calendar *today)
{
    const struct {
        double value;
        bool highest;
    } seen[WORK_EXTREMES] = {
        [WORK_VOLTAGE_MIN] = {now->voltage_V, false}, [WORK_VOLTAGE_MAX] = {now->voltage_V, true},
        [WORK_CELL_MIN] = {now->cell_min_V, false},   [WORK_CELL_MAX] = {now->cell_max_V, true},
        [WORK_DEEPEST] = {now->consumed_Ah, false},
    };

    for (int i = 0; i < WORK_EXTREMES; i++) {
        double before = record->extreme[i].value;

        if (isnan(seen[i].value) ||
            (!isnan(before) && !(seen[i].highest ? seen[i].value > before : seen[i].value < before)))
            continue;
        record->extreme[i].value = seen[i].value;
        record->extreme[i].day = today->trusted ? today->day : CALENDAR_NONE;
        work->changed = true;
    }
}

/* ---- sweeps ---- */

/* From full to full as much is stored as before: that closes a stretch. */
static void arrive_at_full(struct work_record *record, struct work_meter *meter)
{
    if (meter->whole)
        add_count(&record->closed, &meter->open);
    meter->open = meter->swept = (struct work_count){0, 0, 0, 0, 0};
    meter->whole = true;
    meter->kept = false;
}

static void keep_sweep(struct work *work, struct work_record *record, struct work_meter *meter,
                       const struct calendar *today, double depth, double anchor)
{
    struct capacity_sensor sensor = capacity_sensor(&record->closed, record->installed_Ah);
    struct capacity_sweep sweep;

    if (!capacity_measure(&meter->swept, &sensor, record->installed_Ah, depth, anchor, &sweep))
        return;
    if (meter->kept && record->capacity.sweep[0].deviation_Ah <= sweep.deviation_Ah)
        return;
    sweep.day = today->trusted ? today->day : CALENDAR_NONE;
    capacity_keep(&record->capacity, &sweep, meter->kept);
    meter->kept = work->news = true;
    work->sweeps += record == &work->memory.bank;
}

static bool has_strings(const struct work_input *in)
{
    for (size_t i = 0; i < in->string_count; i++) {
        if (in->strings[i].pack.in_series)
            return true;
    }
    return false;
}

static const struct series *string_of(const struct work_input *in, const struct pack *pack)
{
    for (size_t i = 0; i < in->string_count; i++) {
        if (series_has(&in->strings[i], pack))
            return &in->strings[i];
    }
    return NULL;
}

/* What packs in series still have in common at rest: as much as the emptiest of them. In Ah; NAN where one
 * does not tell. */
static struct soc_rest rest_of_branch(const struct pack *const packs[], size_t n)
{
    struct soc_rest least = {INFINITY, 0};

    for (size_t i = 0; i < n; i++) {
        const struct sample sample = sample_of_pack(packs[i], 0);
        struct soc_rest rest = soc_at_rest(sample.cell_V);

        rest.soc *= sample.installed_Ah;
        rest.deviation *= sample.installed_Ah;
        if (isnan(rest.soc))
            return rest;
        if (rest.soc < least.soc)
            least = rest;
    }
    return least;
}

/* The same of a bank with strings, as shares of its nameplate. */
static struct soc_rest rest_of_bank(const struct work_input *in)
{
    struct soc_rest sum = {0, 0};

    for (size_t i = 0; i < in->pack_count; i++) {
        const struct series *string = string_of(in, in->packs[i]);
        struct soc_rest rest;

        if (string && string->member[0] != in->packs[i])
            continue; /* once for each string */
        rest = string ? rest_of_branch(string->member, string->count) : rest_of_branch(&in->packs[i], 1);
        sum.soc += rest.soc / in->nameplate_Ah;
        sum.deviation += rest.deviation / in->nameplate_Ah;
    }
    return sum;
}

/* Is it empty, or at rest where the voltage tells? Each ends the sweep as well as it can. */
static void look_for_anchor(struct work *work, struct work_record *record, struct work_meter *meter,
                            const struct sample *now, const struct work_input *in, double dt_s)
{
    double rate_C = fabs(now->current_A) / record->installed_Ah;
    double swept_Ah = meter->swept.out_Ah - meter->swept.in_Ah;
    struct soc_rest rest;

    meter->empty_s = now->cell_min_V <= in->empty_cell_V ? meter->empty_s + dt_s : 0;
    meter->rest_s = rate_C < REST_CURRENT_C ? meter->rest_s + dt_s : 0;
    if (!meter->whole || !(record->installed_Ah > 0))
        return;
    if (meter->empty_s >= EMPTY_HOLD_S) {
        meter->empty_s = 0;
        keep_sweep(work, record, meter, &in->today, 1, EMPTY_C + EMPTY_SAG * rate_C);
    } else if (meter->rest_s >= REST_HOLD_S) {
        meter->rest_s = 0;
        rest = soc_at_rest(now->cell_V);
        if (record == &work->memory.bank && has_strings(in)) { /* it holds what it gave and what is left */
            rest = rest_of_bank(in);
            rest.soc /= swept_Ah / record->installed_Ah + rest.soc;
        }
        if (in->lfp) /* where the curve is flat the deviation is too wide for a sweep */
            keep_sweep(work, record, meter, &in->today, 1 - rest.soc, rest.deviation);
    }
}

/* More went in than out since it was full: it is fuller now, and the sweep begins here. */
static bool is_fuller(const struct work_count *swept)
{
    return swept->in_Ah > swept->out_Ah;
}

enum fullness { NOT_FULL, IS_FULL, ARRIVES };

static void step_record(struct work *work, struct work_record *record, struct work_meter *meter,
                        const struct sample *now, const struct work_input *in, enum fullness fullness)
{
    double dt_s = count(record, meter, now);

    if (now->installed_Ah > 0)
        record->installed_Ah = now->installed_Ah;
    note_extremes(work, record, now, &in->today);
    if (fullness == ARRIVES)
        arrive_at_full(record, meter);
    if ((fullness != NOT_FULL && now->current_A >= -LEAVING_C * record->installed_Ah) ||
        is_fuller(&meter->swept))
        meter->swept = (struct work_count){0, 0, 0, 0, 0};
    look_for_anchor(work, record, meter, now, in, dt_s);
}

/* ---- packs ---- */

static size_t find_record(const struct work_memory *memory, const char *id, size_t hint)
{
    if (hint < memory->packs && strcmp(memory->pack[hint].id, id) == 0)
        return hint;
    for (size_t i = 0; i < memory->packs; i++) {
        if (strcmp(memory->pack[i].id, id) == 0)
            return i;
    }
    return WORK_PACKS_MAX;
}

void work_rename(struct work *work, const char *from, const char *to)
{
    size_t place = find_record(&work->memory, from, 0);

    if (place < WORK_PACKS_MAX && find_record(&work->memory, to, 0) == WORK_PACKS_MAX)
        snprintf(work->memory.pack[place].id, READING_TEXT_MAX, "%s", to);
}

/* A place for a new pack: a free one, or that of the one that has been away for longest. */
static size_t new_record(struct work *work, const char *id)
{
    struct work_memory *memory = &work->memory;
    size_t place = 0;

    if (memory->packs < WORK_PACKS_MAX) {
        place = memory->packs++;
    } else {
        for (size_t i = 1; i < WORK_PACKS_MAX; i++) {
            if (!(work->pack[i].last_s >= work->pack[place].last_s) && !isnan(work->pack[place].last_s))
                place = i;
        }
    }
    work_record_init(&memory->pack[place]);
    init_meter(&work->pack[place]);
    snprintf(memory->pack[place].id, READING_TEXT_MAX, "%s", id);
    return place;
}

/* Two packs of one serial are told apart by their names, which are unique in the bank. */
static size_t record_of(struct work *work, const struct work_input *in, size_t index, bool *taken)
{
    const struct pack *pack = in->packs[index];
    const char *id = pack->reading.serial[0] ? pack->reading.serial : pack->name;
    size_t place = find_record(&work->memory, id, index);

    if (place < WORK_PACKS_MAX && taken[place]) {
        id = pack->name;
        place = find_record(&work->memory, id, index);
    }
    if (place == WORK_PACKS_MAX)
        place = new_record(work, id);
    taken[place] = true;
    return place;
}

/* A string is full when the first of its packs is: the others may lack a part that nobody knows. */
static enum fullness fullness_in_string(const struct work *work, struct work_meter *meter,
                                        const struct sample *now, const struct work_input *in)
{
    bool was_full = meter->at_full;

    meter->at_full =
        work->at_full && (was_full || now->cell_max_V >= in->bank->cell_voltage_max_V.value - FULL_NEAR_V);
    return !meter->at_full ? NOT_FULL : was_full ? IS_FULL : ARRIVES;
}

static void step_packs(struct work *work, const struct work_input *in, enum fullness of_bank)
{
    bool taken[WORK_PACKS_MAX] = {false};

    for (size_t i = 0; i < in->pack_count && i < WORK_PACKS_MAX; i++) {
        size_t place = record_of(work, in, i, taken);
        struct sample now = sample_of_pack(in->packs[i], in->time_s);

        memcpy(work->memory.pack[place].name, in->packs[i]->name, READING_TEXT_MAX);
        step_record(work, &work->memory.pack[place], &work->pack[place], &now, in,
                    string_of(in, in->packs[i]) ? fullness_in_string(work, &work->pack[place], &now, in)
                                                : of_bank);
    }
}

/* ---- the bank ---- */

static void step_bank(struct work *work, const struct work_input *in, enum fullness fullness)
{
    const struct bank *bank = in->bank;
    struct work_record *record = &work->memory.bank;
    const struct sample now = {
        .time_s = in->time_s,
        .current_A = in->current_A,
        .voltage_V = bank->voltage_V,
        .installed_Ah = in->nameplate_Ah,
        .cell_min_V = bank->cell_voltage_min_V.value,
        .cell_max_V = bank->cell_voltage_max_V.value,
        .cell_V = bank->cells_sum_V / bank->cells_in_series,
        .consumed_Ah = in->whole ? fmin(in->consumed_Ah, 0) : NAN,
    };

    if (!in->whole || fabs(now.installed_Ah - record->installed_Ah) > NEW_SIZE * record->installed_Ah)
        interrupt(&work->bank); /* what is counted is of another bank */
    step_record(work, record, &work->bank, &now, in, fullness);
}

/* A cell that reaches the top under a large current is no full bank: the current must have fallen, and stay
 * so for a while. */
static enum fullness look_for_full(struct work *work, const struct work_input *in)
{
    double dt_s = in->time_s - work->last_s;
    bool was_full = work->at_full;

    if (!(dt_s > 0 && dt_s <= CHARGE_GAP_MAX_S))
        dt_s = 0;
    if (in->full && in->current_A <= SOC_TAIL * in->bank->capacity_installed_Ah)
        work->full_s = fmin(work->full_s + dt_s, SOC_FULL_HOLD_S);
    else
        work->full_s = fmax(0, work->full_s - FULL_LOST * dt_s); /* a cloud is no end of it */
    if (work->full_s >= SOC_FULL_HOLD_S)
        work->at_full = true;
    else if (!in->full)
        work->at_full = false;
    return !work->at_full ? NOT_FULL : was_full ? IS_FULL : ARRIVES;
}

/* Time since the last full charge; what passed while we did not run is known by the date. */
static void age_full(struct work *work, const struct work_input *in)
{
    struct work_memory *memory = &work->memory;
    double dt_s = in->time_s - work->last_s;

    if (in->full) {
        memory->full_age_s = 0;
        memory->full_day = in->today.trusted ? in->today.day : CALENDAR_NONE;
        return;
    }
    if (dt_s > 0)
        memory->full_age_s += dt_s;
    if (in->today.trusted && memory->full_day != CALENDAR_NONE)
        memory->full_age_s =
            fmax(memory->full_age_s, (double)(in->today.day - memory->full_day - 1) * SECONDS_A_DAY);
}

static void show(struct work *work, double time_s)
{
    const struct work_record *bank = &work->memory.bank;

    if (time_s - work->shown_s < WORK_SHOW_S)
        return;
    work->shown_s = time_s;
    work->history = (struct work_history){
        .charged_kWh = bank->total.in_kWh,
        .discharged_kWh = bank->total.out_kWh,
        .drawn_Ah = bank->total.out_Ah,
        .cycles = bank->installed_Ah > 0 ? bank->cycles : NAN,
        .deepest_Ah = bank->extreme[WORK_DEEPEST].value,
        .voltage_min_V = bank->extreme[WORK_VOLTAGE_MIN].value,
        .voltage_max_V = bank->extreme[WORK_VOLTAGE_MAX].value,
        .cell_min_V = bank->extreme[WORK_CELL_MIN].value,
        .cell_max_V = bank->extreme[WORK_CELL_MAX].value,
        .since_full_s = work->memory.full_age_s,
        .efficiency_pct = work_efficiency_pct(bank),
    };
}

void work_step(struct work *work, const struct work_input *in)
{
    struct work_memory *memory = &work->memory;
    enum fullness fullness;

    if (in->pack_count == 0)
        return; /* nothing is measured, and a gap tells the rest */
    fullness = look_for_full(work, in);
    if (!memory->begun || (memory->since_day == CALENDAR_NONE && in->today.trusted)) {
        memory->begun = true;
        memory->since_day = in->today.trusted ? in->today.day : CALENDAR_NONE;
        work->news = true;
    }
    step_bank(work, in, fullness);
    if (fullness == ARRIVES || !(fabs(in->time_s - work->packs_s) < PACKS_S)) {
        work->packs_s = in->time_s;
        step_packs(work, in, fullness);
    }
    age_full(work, in);
    work->last_s = in->time_s;
    show(work, in->time_s);
}

bool work_due(const struct work *work, double time_s)
{
    const struct work_count *total = &work->memory.bank.total;
    double since_s = isnan(work->saved_s) ? INFINITY : time_s - work->saved_s;

    if (!work->memory.begun)
        return false;
    if (work->news)
        return since_s >= SAVE_NEWS_S;
    return since_s >= WORK_SAVE_S &&
           (work->changed || total->in_Ah + total->out_Ah - work->saved_Ah >= SAVE_LEAST_AH);
}

void work_saved(struct work *work, double time_s)
{
    work->saved_s = time_s;
    work->saved_Ah = work->memory.bank.total.in_Ah + work->memory.bank.total.out_Ah;
    work->news = work->changed = false;
}

double work_efficiency_pct(const struct work_record *record)
{
    if (!(record->closed.in_kWh > 0) || !(record->closed.in_Ah >= record->installed_Ah))
        return NAN;
    return 100 * record->closed.out_kWh / record->closed.in_kWh;
}

struct capacity_estimate work_bank_capacity(const struct work_memory *memory, const struct calendar *today)
{
    return capacity_estimate(&memory->bank.capacity, memory->bank.installed_Ah, true,
                             today ? today : &no_date);
}

struct capacity_estimate work_pack_capacity(const struct work_memory *memory, size_t pack,
                                            const struct calendar *today)
{
    const struct work_record *record = &memory->pack[pack];

    return capacity_estimate(&record->capacity, record->installed_Ah, false, today ? today : &no_date);
}
