#include "calibrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

enum { KEY_BYTES_MAX = 160, WHY_BYTES_MAX = 200 };

const char *calibrate_extreme_key(enum work_extreme extreme)
{
    static const char *const keys[WORK_EXTREMES] = {
        [WORK_VOLTAGE_MIN] = "voltage_min_V", [WORK_VOLTAGE_MAX] = "voltage_max_V",
        [WORK_CELL_MIN] = "cell_min_V",       [WORK_CELL_MAX] = "cell_max_V",
        [WORK_DEEPEST] = "deepest_Ah",
    };

    return keys[extreme];
}

/* 20261122, NAN when it is unknown. */
static double date_number(long day)
{
    char text[CALENDAR_TEXT_MAX];

    if (day == CALENDAR_NONE)
        return NAN;
    calendar_format(day, text);
    return atof(text) * 10000 + atof(text + 5) * 100 + atof(text + 8);
}

/* Puts the pack's name before each key. */
struct teller {
    struct method_answer *answer;
    const char *of; /* "" = the bank */
};

static void tell(const struct teller *teller, const char *key, const char *tail, double number)
{
    char text[KEY_BYTES_MAX];

    snprintf(text, sizeof text, "%s%s%s%s", teller->of, *teller->of ? "/" : "", key, tail);
    method_pair(teller->answer, text, number);
}

static void tell_capacity(const struct teller *teller, const struct work_record *record,
                          const struct capacity_estimate *capacity)
{
    struct capacity_sensor sensor = capacity_sensor(&record->closed, record->installed_Ah);
    bool known = capacity->sweeps >= 1;

    tell(teller, WORK_INSTALLED_AH, "", record->installed_Ah);
    tell(teller, WORK_CAPACITY_AH, "", capacity->capacity_Ah);
    tell(teller, WORK_CAPACITY_DEVIATION_AH, "", capacity->deviation_Ah);
    tell(teller, WORK_CAPACITY_SWEEPS, "", capacity->sweeps);
    tell(teller, WORK_CAPACITY_DEPTH_PCT, "", known ? 100 * capacity->depth : NAN);
    tell(teller, WORK_CAPACITY_NEXT_AH, "",
         capacity_next_deviation_Ah(capacity, &sensor, record->installed_Ah));
}

static void tell_record(const struct teller *teller, const struct work_record *record,
                        const struct capacity_estimate *capacity)
{
    tell(teller, WORK_CHARGED_AH, "", record->total.in_Ah);
    tell(teller, WORK_DISCHARGED_AH, "", record->total.out_Ah);
    tell(teller, WORK_CHARGED_KWH, "", record->total.in_kWh);
    tell(teller, WORK_DISCHARGED_KWH, "", record->total.out_kWh);
    tell(teller, WORK_HOURS, "", record->total.hours);
    tell(teller, WORK_CYCLES, "", record->installed_Ah > 0 ? record->cycles : NAN);
    tell(teller, WORK_EFFICIENCY_PCT, "", work_efficiency_pct(record));
    tell(teller, WORK_EFFICIENCY_KWH, "", record->closed.in_kWh);
    for (int i = 0; i < WORK_EXTREMES; i++) {
        const char *key = calibrate_extreme_key((enum work_extreme)i);

        tell(teller, key, "", record->extreme[i].value);
        tell(teller, key, "_date",
             isnan(record->extreme[i].value) ? NAN : date_number(record->extreme[i].day));
    }
    tell_capacity(teller, record, capacity);
}

/* A pack is called by its name; where another one had that name too, by its id. */
static const char *label_of(const struct work_memory *memory, size_t pack)
{
    const struct work_record *record = &memory->pack[pack];

    for (size_t i = 0; i < memory->packs; i++) {
        if (i != pack && strcmp(memory->pack[i].name, record->name) == 0)
            return record->id;
    }
    return record->name[0] ? record->name : record->id;
}

static void get_work(void *ctx, double clear, struct method_answer *answer)
{
    struct calibrate *calibrate = ctx;
    struct work *work = &calibrate->engine->aggregator.work;
    const struct work_memory *memory = &work->memory;
    const struct calendar today = calibrate->today(calibrate->ctx);
    struct capacity_estimate capacity = work_bank_capacity(memory, &today);
    struct teller teller = {answer, ""};

    tell(&teller, WORK_SINCE_DATE, "", date_number(memory->since_day));
    tell(&teller, WORK_FULL_DATE, "", date_number(memory->full_day));
    tell(&teller, WORK_SINCE_FULL_S, "", memory->full_age_s);
    tell_record(&teller, &memory->bank, &capacity);
    for (size_t i = 0; i < memory->packs; i++) {
        capacity = work_pack_capacity(memory, i, &today);
        teller.of = label_of(memory, i);
        tell_record(&teller, &memory->pack[i], &capacity);
    }
    if (clear == 0)
        return;
    log_info("GetWork: what the bank has done is cleared (%.1f kWh in, %.1f kWh out)",
             memory->bank.total.in_kWh, memory->bank.total.out_kWh);
    work_clear(work, &today);
    calibrate->changed(calibrate->ctx);
}

/* Says and does what follows from the attempt. */
static void conclude(struct calibrate *calibrate, enum calibration result, const char *method,
                     const char *why, struct method_answer *answer)
{
    if (result == CALIBRATED) {
        calibrate->changed(calibrate->ctx);
        return;
    }
    log_warning("%s is refused: %s", method, why);
    method_refuse(answer, result == CALIBRATION_OUT_OF_RANGE, why);
}

static void set_soc(void *ctx, double soc_pct, struct method_answer *answer)
{
    struct calibrate *calibrate = ctx;
    struct engine *engine = calibrate->engine;
    double before_pct = engine->aggregate.soc_pct;
    char why[WHY_BYTES_MAX];
    enum calibration result =
        aggregator_set_soc(&engine->aggregator, &engine->config, soc_pct, why, sizeof why);

    if (result == CALIBRATED)
        log_info("SetSoc: the SoC is set from %.1f to %.1f %%", before_pct, soc_pct);
    conclude(calibrate, result, "SetSoc", why, answer);
}

static void set_offset(void *ctx, double offset_A, struct method_answer *answer)
{
    struct calibrate *calibrate = ctx;
    struct engine *engine = calibrate->engine;
    double before_A = engine->aggregator.soc.learned.offset_A;
    char why[WHY_BYTES_MAX];
    enum calibration result =
        aggregator_set_offset(&engine->aggregator, &engine->config, offset_A, why, sizeof why);

    if (result == CALIBRATED)
        log_info("SetCurrentOffset: the current sensor shows %.3f A too much, it was %.3f A", offset_A,
                 before_A);
    conclude(calibrate, result, "SetCurrentOffset", why, answer);
}

static const struct method methods[] = {
    {"GetWork", 'b', "clear", true, get_work},
    {"SetSoc", 'd', "soc_pct", false, set_soc},
    {"SetCurrentOffset", 'd', "offset_A", false, set_offset},
};

void calibrate_init(struct calibrate *calibrate, struct engine *engine, struct calendar (*today)(void *ctx),
                    void (*changed)(void *ctx), void *ctx)
{
    *calibrate = (struct calibrate){
        engine,
        today,
        changed,
        ctx,
        {CALIBRATE_INTERFACE, methods, sizeof methods / sizeof *methods, calibrate},
    };
}
