#include "sim/year.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_AN_HOUR 3600.0
#define SECONDS_A_DAY 86400.0
#define SAMPLE_S 60.0
#define ABSORPTION_V 0.050 /* under MAX_CELL_VOLTAGE */
#define TOP_CURRENT_A 0.5

const char *const year_band_text[YEAR_BANDS] = {"under 3.20 V",   "3.20 to 3.30 V", "3.30 to 3.35 V",
                                                "3.35 to 3.40 V", "3.40 to 3.45 V", "over 3.45 V"};
static const double band_ends[YEAR_BANDS] = {3.20, 3.30, 3.35, 3.40, 3.45, INFINITY};

struct year {
    const struct year_options *options;
    struct year_result *result;
    struct plant plant;
    struct plant_limits limits;
    bool setting; /* OvervoltageFeedIn */

    struct pack pack[PLANT_PACKS_MAX];
    const struct pack *packs[PLANT_PACKS_MAX];
    struct aggregator aggregator;
    struct aggregate out;
    struct reference reference;
    uint64_t random;
    double true_soc[PLANT_PACKS_MAX]; /* 0..1 */

    double highest_V, lowest_V; /* true */
    double cvl_V;               /* as published last */
    int direction;
    int turns_this_hour;
    double hour_s;
    double sample_s;
    bool anchored; /* SoC errors count */
    double error_s, error_sum, lean_s, lean_sum;
};

/* Noise for a cell; one random number serves eight of them. */
static uint64_t random_bits(struct year *year)
{
    year->random ^= year->random >> 12;
    year->random ^= year->random << 25;
    year->random ^= year->random >> 27;
    return year->random * UINT64_C(2685821657736338717);
}

/* What the BMS shows: whole millivolts, tenths of an ampere. */
static void read_pack(struct year *year, size_t index)
{
    const struct plant_pack *from = &year->plant.pack[index];
    struct pack_reading *to = &year->pack[index].reading;
    uint64_t bits = 0;
    double sum_V = 0;

    to->cell_voltage_max_V = -INFINITY;
    to->cell_voltage_min_V = INFINITY;
    for (size_t i = 0; i < year->plant.setup.cells; i++) {
        double noise_V;

        if (i % 8 == 0)
            bits = random_bits(year);
        noise_V = ((double)(bits & 0xFF) / 127.5 - 1) * year->options->noise_V;
        bits >>= 8;
        to->cell_V[i] = floor((from->cell[i].voltage_V + noise_V) * 1000 + 0.5) / 1000;
        sum_V += to->cell_V[i];
        to->cell_voltage_max_V = fmax(to->cell_voltage_max_V, to->cell_V[i]);
        to->cell_voltage_min_V = fmin(to->cell_voltage_min_V, to->cell_V[i]);
        year->highest_V = fmax(year->highest_V, from->cell[i].voltage_V);
        year->lowest_V = fmin(year->lowest_V, from->cell[i].voltage_V);
    }
    to->cells_sum_V = sum_V;
    to->voltage_V = floor(from->voltage_V * 100 + 0.5) / 100;
    to->current_A = floor(plant_measured_A(&year->plant, from) * 10 + 0.5) / 10;
    year->true_soc[index] = plant_pack_soc(from, year->plant.setup.cells);
    to->soc_pct = fmin(fmax(100 * year->true_soc[index], 0), 100);
    to->allow_charge = !from->blocks_charge;
    to->allow_discharge = !from->blocks_discharge;
    pack_remember(&year->pack[index]);
}

static void read_packs(struct year *year)
{
    year->highest_V = -INFINITY;
    year->lowest_V = INFINITY;
    for (size_t i = 0; i < year->plant.setup.packs; i++)
        read_pack(year, i);
}

/* Of all packs alike; read_pack has looked. */
static double true_soc_pct(const struct year *year)
{
    double sum = 0;

    for (size_t i = 0; i < year->plant.setup.packs; i++)
        sum += year->true_soc[i];
    return 100 * sum / (double)year->plant.setup.packs;
}

/* ---- the controller ---- */

static struct calendar date(const struct year *year)
{
    double day = fmax(year->options->plant.day, 0);
    double epoch_s = (double)calendar_day(2027, 1, 1) * SECONDS_A_DAY +
                     (day + year->options->plant.hour / 24) * SECONDS_A_DAY + year->plant.time_s;

    return calendar_at(epoch_s, 0);
}

static void control(struct year *year)
{
    struct aggregator_input in = {.time_s = year->plant.time_s,
                                  .packs = year->packs,
                                  .pack_count = year->plant.setup.packs,
                                  .today = date(year),
                                  .feed_in = year->options->feed_in ? year->setting : NAN};

    if (year->options->controller == YEAR_REFERENCE)
        in.feed_in = NAN; /* its guard is another */
    aggregator_step(&year->aggregator, &year->options->config, &in, &year->out);
    if (year->options->controller == YEAR_OURS && year->out.feed_in.action != FEED_IN_NOTHING)
        year->setting = year->out.feed_in.action == FEED_IN_WRITE_1;
    if (year->options->controller == YEAR_REFERENCE)
        year->setting =
            reference_feed_in(&year->reference, year->out.control.peaking || year->out.limits.charge_blocked,
                              year->out.control.balanced, year->setting);
}

/* What systemcalc hands on; a published limit is rounded down. */
static void obey(struct year *year)
{
    const struct limits *limits = &year->out.limits;
    const struct year_options *options = year->options;
    bool lean = options->lean_most > 0 && year->plant.time_s >= options->lean_from_day * SECONDS_A_DAY;

    year->limits.cvl_V = floor(limits->charge_voltage.value * 100 + 1e-6) / 100;
    year->limits.ccl_A = floor(limits->charge_current.value * 10 + 1e-6) / 10;
    year->limits.dcl_A = floor(limits->discharge_current.value * 10 + 1e-6) / 10;
    year->limits.feed_in = options->feed_in && year->setting;
    year->limits.charging = !lean || true_soc_pct(year) < 100 * options->lean_most;
}

/* ---- what is counted ---- */

static void count_moves(struct year *year, double dt_s)
{
    double cvl_V = year->limits.cvl_V;
    int direction = (cvl_V > year->cvl_V) - (cvl_V < year->cvl_V);
    bool absorption = year->highest_V >= year->options->config.max_cell_voltage_V - ABSORPTION_V &&
                      year->out.current.current_A > TOP_CURRENT_A;

    year->hour_s += dt_s;
    if (year->hour_s >= SECONDS_AN_HOUR) {
        year->hour_s = 0;
        year->turns_this_hour = 0;
    }
    year->cvl_V = cvl_V;
    if (absorption)
        year->result->absorption_h += dt_s / SECONDS_AN_HOUR;
    if (direction == 0)
        return;
    if (absorption) {
        bool turn = year->direction != 0 && direction != year->direction;

        year->result->cvl_moves++;
        year->result->cvl_turns += turn;
        year->turns_this_hour += turn;
        if (year->turns_this_hour > year->result->cvl_turns_worst)
            year->result->cvl_turns_worst = year->turns_this_hour;
    }
    year->direction = direction;
}

static void count_soc(struct year *year, double dt_s)
{
    struct year_result *result = year->result;
    double error_pct = fabs(year->out.soc_pct - true_soc_pct(year));

    year->anchored = year->anchored || year->out.charge_event == CHARGE_EVENT_FULL;
    if (!year->anchored || isnan(error_pct))
        return;
    year->error_s += dt_s;
    year->error_sum += error_pct * dt_s;
    result->soc_error_worst_pct = fmax(result->soc_error_worst_pct, error_pct);
    if (year->options->lean_most <= 0 || year->plant.time_s < year->options->lean_from_day * SECONDS_A_DAY)
        return;
    year->lean_s += dt_s;
    year->lean_sum += error_pct * dt_s;
    result->lean_error_worst_pct = fmax(result->lean_error_worst_pct, error_pct);
}

static void count(struct year *year, double dt_s)
{
    struct year_result *result = year->result;
    int band = 0;

    while (year->highest_V >= band_ends[band])
        band++;
    result->band_h[band] += dt_s / SECONDS_AN_HOUR;
    result->highest_V = fmax(result->highest_V, year->highest_V);
    if (year->highest_V > year->options->config.max_cell_voltage_V)
        result->over_s += dt_s;
    if (year->options->feed_in && !year->setting)
        result->held_h += dt_s / SECONDS_AN_HOUR;
    count_moves(year, dt_s);
    count_soc(year, dt_s);
    if (year->out.control.target.succeeded && result->balancings < YEAR_BALANCINGS_MAX)
        result->balancing_day[result->balancings++] = year->plant.time_s / SECONDS_A_DAY;
    if (isnan(result->even_after_days) &&
        year->out.bank.voltage_V >= year->out.control.target.balancing_V - 0.1 &&
        year->out.bank.cell_voltage_diff_V < year->options->config.cell_diff_max_V)
        result->even_after_days = year->plant.time_s / SECONDS_A_DAY;
}

static void show(struct year *year, year_sample_fn sample, void *ctx)
{
    const struct plant *plant = &year->plant;
    struct year_sample moment = {.time_s = plant->time_s,
                                 .voltage_V = plant->voltage_V,
                                 .highest_V = year->highest_V,
                                 .lowest_V = year->lowest_V,
                                 .cvl_V = year->limits.cvl_V,
                                 .ccl_A = year->limits.ccl_A,
                                 .dcl_A = year->limits.dcl_A,
                                 .soc_pct = year->out.soc_pct,
                                 .true_soc_pct = true_soc_pct(year),
                                 .sun_W = plant->sun_W * (double)plant->setup.mppts,
                                 .export_A = plant->export_A,
                                 .feed_in_held = year->options->feed_in && !year->setting,
                                 .balancing = year->aggregator.control.balancing.state};

    if (!sample || plant->time_s < year->sample_s)
        return;
    year->sample_s = plant->time_s + SAMPLE_S;
    for (size_t i = 0; i < plant->setup.mppts; i++)
        moment.mppts_A += plant->mppt_A[i];
    moment.current_A = moment.mppts_A + plant->multi_A;
    sample(ctx, &moment);
}

/* ---- beginning and end ---- */

static void begin(struct year *year)
{
    const struct year_options *options = year->options;
    struct plant_cell *first = &year->plant.pack[0].cell[0];

    plant_init(&year->plant, &options->plant);
    year->plant.cell_max_V = options->config.max_cell_voltage_V;
    first->charge_Ah += options->imbalance * first->capacity_Ah;
    year->setting = year->plant.feed_in_wished = options->feed_in;
    year->random = options->plant.seed * UINT64_C(0x9E3779B97F4A7C15) + 77;
    aggregator_init(&year->aggregator, NAN, NAN);
    year->limits = (struct plant_limits){.cvl_V = 0, .charging = true};
    for (size_t i = 0; i < options->plant.packs; i++) {
        struct pack_reading *reading = &year->pack[i].reading;

        pack_clear(&year->pack[i]);
        strcpy(year->pack[i].name, "Pack");
        /* Limits of the BMS, for those who merge them. */
        reading->charge_voltage_max_V = 3.45 * (double)options->plant.cells;
        reading->charge_current_max_A = reading->discharge_current_max_A = 0.5 * options->plant.capacity_Ah;
        reading->cells_in_series = (double)options->plant.cells;
        reading->capacity_installed_Ah = options->plant.capacity_Ah;
        year->packs[i] = &year->pack[i];
    }
}

static void end(struct year *year)
{
    struct year_result *result = year->result;

    result->disconnections = year->plant.disconnections;
    result->energy = year->plant.energy;
    result->refused_Wh = result->energy.sun_Wh - result->energy.taken_Wh;
    result->avoidable_Wh = fmax(0, result->refused_Wh - result->energy.necessary_Wh);
    result->soc_error_mean_pct = year->error_s > 0 ? year->error_sum / year->error_s : NAN;
    result->lean_error_mean_pct = year->lean_s > 0 ? year->lean_sum / year->lean_s : NAN;
}

bool year_run(const struct year_options *options, year_sample_fn sample, void *ctx,
              struct year_result *result)
{
    struct year *year = calloc(1, sizeof *year);

    if (!year)
        return false;
    memset(result, 0, sizeof *result);
    result->even_after_days = NAN;
    year->options = options;
    year->result = result;
    begin(year);
    while (year->plant.time_s < options->days * SECONDS_A_DAY) {
        double dt_s = plant_next_step_s(&year->plant);

        plant_step(&year->plant, dt_s, &year->limits);
        read_packs(year);
        control(year);
        obey(year);
        count(year, dt_s);
        show(year, sample, ctx);
    }
    end(year);
    free(year);
    return true;
}
