#include "sim/year.h"

#include <math.h>
#include <stdlib.h>

#include "core/aggregator.h"
#include "sim/reference.h"
#include "sim/sensors.h"

#define SECONDS_AN_HOUR 3600.0
#define SECONDS_A_DAY 86400.0
#define LONGEST_STEP_S 30.0 /* the Coulomb counter takes no longer gap */
#define MEDIUM_STEP_S 5.0
#define SHORTEST_STEP_S 1.0 /* the rhythm in which limits act */
#define NEAR_V 0.025        /* a cell so near to its limit is watched every second */
#define RISING_V 0.060
#define AT_CVL_V 0.005 /* per cell: the bank is at its charge voltage limit */
#define CVL_STEP_V 0.01
#define JUMP_C 0.0005   /* A for each Ah: a current that changes so much is seen when it does */
#define FIRST_YEAR 2027 /* not a leap year */

const double year_band_from_V[YEAR_BANDS] = {0, 3.00, 3.20, 3.30, 3.35, 3.40, 3.45};

struct year {
    const struct year_options *options;
    struct year_report *report;
    struct plant plant;
    struct plant best; /* the same house under a control that knows everything */
    struct sensors sensors;

    struct aggregator aggregator;
    struct aggregate aggregate;
    struct reference reference;
    struct bank bank;

    /* What the controller says. */
    struct plant_limits limits;
    double target_V;
    double shown_soc_pct;
    bool balanced;
    double feed_in;   /* OvervoltageFeedIn as it stands */
    double current_A; /* of the bank, as the controller last saw it */

    struct year_day day;
    struct plant_energy at_midnight_Wh;
    double refused_at_midnight_Wh, held_at_midnight_h;
    double highest_V, lowest_V; /* now */
    double next_minute_s, next_hour_s;
    double balanced_at_s;
    double best_refused_Wh;
    double soc_error_sum, soc_error_s;
    long cvl; /* in steps */
    int cvl_direction;
};

struct plant_setup year_plant_default(void)
{
    struct plant_setup setup = plant_setup_default();

    setup.hour = 0;
    setup.mppts = 2;
    setup.balancer_A = 0.1;
    setup.efficiency = 0.995;
    setup.export_limit_W = 5000;
    setup.reserve_soc = 0.1;
    setup.diverter_on_soc = 0.8;
    setup.diverter_off_soc = 0.4;
    setup.weather.year = true;
    setup.weather.day_of_year = 1;
    return setup;
}

double year_difference_at_top_V(const struct plant *plant, double top_V)
{
    double top_soc = plant_soc_at(top_V);
    double worst_V = 0;

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_cell *cell = plant->pack[i].cell;
        double first_Ah = INFINITY; /* that the first full cell lacks */

        for (size_t k = 0; k < plant->setup.cells; k++)
            first_Ah = fmin(first_Ah, top_soc * cell[k].capacity_Ah - cell[k].charge_Ah);
        for (size_t k = 0; k < plant->setup.cells; k++) {
            double soc = (cell[k].charge_Ah + first_Ah) / cell[k].capacity_Ah;

            worst_V = fmax(worst_V, top_V - plant_ocv_V(soc));
        }
    }
    return worst_V;
}

/* ---- the controller's turn ---- */

static struct calendar today(const struct year *year)
{
    double first_day = (double)calendar_day(FIRST_YEAR, 1, 1) + year->options->plant.weather.day_of_year - 1;

    return calendar_at(first_day * SECONDS_A_DAY + year->plant.time_s, 0);
}

static void step_ours(struct year *year, double time_s)
{
    const struct aggregator_input in = {.time_s = time_s,
                                        .packs = year->sensors.list,
                                        .pack_count = year->plant.setup.packs,
                                        .today = today(year),
                                        .feed_in = year->feed_in};
    struct aggregate *out = &year->aggregate;

    aggregator_step(&year->aggregator, year->options->config, &in, out);
    year->limits.cvl_V = out->limits.charge_voltage.value;
    year->limits.ccl_A = out->limits.charge_current.value;
    year->limits.dcl_A = out->limits.discharge_current.value;
    year->target_V =
        year->options->config->own_charge_parameters ? out->control.target.voltage_V : year->limits.cvl_V;
    year->shown_soc_pct = out->soc_pct;
    year->balanced = out->control.target.succeeded;
    if (out->feed_in.action == FEED_IN_WRITE_0)
        year->feed_in = 0;
    else if (out->feed_in.action == FEED_IN_WRITE_1)
        year->feed_in = 1;
}

static void step_reference(struct year *year, double time_s)
{
    const struct reference_input in = {.time_s = time_s,
                                       .today = today(year),
                                       .packs = year->sensors.list,
                                       .pack_count = year->plant.setup.packs,
                                       .bank = &year->bank,
                                       .feed_in = year->feed_in};
    struct reference_output out;

    bank_merge(year->sensors.list, year->plant.setup.packs, &year->bank);
    reference_step(&year->reference, year->options->config, &in, &out);
    year->limits.cvl_V = out.cvl_V;
    year->limits.ccl_A = out.ccl_A;
    year->limits.dcl_A = out.dcl_A;
    year->target_V = out.target_V;
    year->shown_soc_pct = out.soc_pct;
    year->balanced = out.balanced;
    year->feed_in = isnan(out.feed_in) ? year->feed_in : out.feed_in;
}

static double bank_current_A(const struct year *year)
{
    double current_A = 0;

    for (size_t i = 0; i < year->plant.setup.packs; i++)
        current_A += year->plant.pack[i].current_A;
    return current_A;
}

static void step_controller(struct year *year, double time_s)
{
    double feed_in = year->feed_in;

    sensors_read(&year->sensors, &year->plant);
    if (year->options->controller == YEAR_REFERENCE)
        step_reference(year, time_s);
    else
        step_ours(year, time_s);
    year->current_A = bank_current_A(year);
    year->report->feed_in_holds += feed_in == 1 && year->feed_in == 0;
    year->limits.feed_in = year->feed_in == 1;
    year->limits.charging = !isnan(year->limits.cvl_V); /* chargers stop that lose their BMS */
}

/* In a long step the current is what it was made at its beginning. Packs speak every second: a load that was
 * switched is seen then, and not half a minute later, or each switch would be a miscount. */
static void see_jump(struct year *year, double dt_s)
{
    const struct plant_setup *setup = &year->plant.setup;
    double jump_A = fabs(bank_current_A(year) - year->current_A);

    if (dt_s > SHORTEST_STEP_S && jump_A > JUMP_C * setup->capacity_Ah * (double)setup->packs)
        step_controller(year, year->plant.time_s - dt_s + SHORTEST_STEP_S);
}

/* Seconds where something may happen, half a minute where nothing can. */
static double pace_s(const struct year *year)
{
    double margin_V = year->options->config->max_cell_voltage_V - year->highest_V;
    double until_s = weather_next_s(&year->plant.weather) - year->plant.time_s;
    double pace_s = LONGEST_STEP_S;

    if (year->plant.weather.sun > 0 && margin_V < NEAR_V)
        pace_s = SHORTEST_STEP_S;
    else if (year->plant.weather.sun > 0 && (margin_V < RISING_V || year->feed_in < year->options->feed_in))
        pace_s = MEDIUM_STEP_S;
    return until_s > 0 ? fmin(pace_s, ceil(until_s)) : pace_s;
}

/* ---- the best that could be done ---- */

/* A control that sees the true cells holds the bank where the first of them is at its limit, or at the same
 * target, and never turns feed-in off: where the grid cannot take all of the surplus it lowers CVL by what
 * the MPPTs go above it. What it refuses, everybody must. */
static void step_best(struct year *year, double dt_s)
{
    const struct config *config = year->options->config;
    struct plant *best = &year->best;
    const struct plant_setup *setup = &best->setup;
    struct plant_limits limits = year->limits;
    double voltage_V = best->voltage_V;
    double sun_A = setup->sun_peak_W * (double)setup->mppts * best->weather.sun / voltage_V;
    double load_A = best->load_W / PLANT_MULTI_EFFICIENCY / voltage_V;
    double grid_A = best->weather.grid ? setup->export_limit_W / PLANT_MULTI_EFFICIENCY / voltage_V : 0;

    limits.charging = true;
    limits.feed_in = year->options->feed_in;
    limits.ccl_A = config->max_charge_current_A;
    limits.cvl_V = plant_ceiling_V(best, year->target_V, config->max_cell_voltage_V);
    if (limits.feed_in && sun_A - load_A - plant_current_at_A(best, limits.cvl_V) > grid_A)
        limits.cvl_V /= 1 + PLANT_OVERVOLTAGE;
    plant_step(best, dt_s, &limits);
    year->report->best_highest_V = fmax(year->report->best_highest_V, plant_highest_V(best));
}

/* ---- what is counted ---- */

static void count_cells(struct year *year, double hour)
{
    struct year_report *report = year->report;
    double mean_V = year->plant.voltage_V / (double)year->plant.setup.cells;
    double limit_V = year->options->config->max_cell_voltage_V;
    int band = YEAR_BANDS - 1;

    while (band > 0 && mean_V < year_band_from_V[band])
        band--;
    report->band_h[band] += hour;
    if (year->highest_V > report->highest_V) {
        report->highest_V = year->highest_V;
        report->highest_at_s = year->plant.time_s;
    }
    report->lowest_V = fmin(report->lowest_V, year->lowest_V);
    report->over_limit_V = fmax(report->highest_V - limit_V, 0);
    report->over_limit_h += year->highest_V > limit_V ? hour : 0;
}

static void count_cvl(struct year *year, double hour)
{
    const struct plant *plant = &year->plant;
    long cvl = lround(year->limits.cvl_V / CVL_STEP_V);
    bool absorption = plant->weather.sun > 0 &&
                      (plant->voltage_V >= year->limits.cvl_V - AT_CVL_V * (double)plant->setup.cells ||
                       year->highest_V >= year->options->config->max_cell_voltage_V);

    year->report->absorption_h += absorption ? hour : 0;
    if (cvl != year->cvl && year->cvl != 0) {
        int direction = cvl > year->cvl ? 1 : -1;

        year->report->cvl_moves++;
        year->report->cvl_turns += absorption && direction == -year->cvl_direction;
        year->cvl_direction = direction;
    }
    year->cvl = cvl;
}

static void count_soc(struct year *year, double dt_s)
{
    double error = fabs(year->shown_soc_pct - 100 * year->plant.soc);

    if (year->plant.time_s <= year->options->soc_from_day * SECONDS_A_DAY || isnan(error))
        return;
    year->soc_error_sum += error * dt_s;
    year->soc_error_s += dt_s;
    year->report->soc_error_worst_pct = fmax(year->report->soc_error_worst_pct, error);
}

static void count_balancing(struct year *year)
{
    double gap_days = (year->plant.time_s - year->balanced_at_s) / SECONDS_A_DAY;

    year->report->balancing_gap_days = fmax(year->report->balancing_gap_days, gap_days);
    if (!year->balanced)
        return;
    year->report->balancings++;
    year->balanced_at_s = year->plant.time_s;
    year->day.balanced = true;
}

static void begin_day(struct year *year)
{
    year->at_midnight_Wh = year->plant.energy_Wh;
    year->refused_at_midnight_Wh = year->report->refused_Wh;
    year->held_at_midnight_h = year->report->feed_in_held_h;
    year->day = (struct year_day){.day = (int)(year->plant.time_s / SECONDS_A_DAY),
                                  .soc_min_pct = INFINITY,
                                  .soc_max_pct = -INFINITY,
                                  .lowest_V = INFINITY,
                                  .cvl_min_V = INFINITY};
}

/* The day ends: its energies are what was added since midnight. */
static bool end_day(struct year *year)
{
    const struct plant_energy *now = &year->plant.energy_Wh;
    const struct plant_energy *before = &year->at_midnight_Wh;
    bool on = true;

    year->day.sun_kWh = (now->sun - before->sun) / 1000;
    year->day.exported_kWh = (now->exported - before->exported) / 1000;
    year->day.refused_kWh = (year->report->refused_Wh - year->refused_at_midnight_Wh) / 1000;
    year->day.held_h = year->report->feed_in_held_h - year->held_at_midnight_h;
    if (year->options->on_day)
        on = year->options->on_day(year->options->ctx, &year->day);
    begin_day(year);
    return on;
}

static void count_day(struct year *year)
{
    struct year_day *day = &year->day;
    double soc_pct = 100 * year->plant.soc;

    day->soc_min_pct = fmin(day->soc_min_pct, soc_pct);
    day->soc_max_pct = fmax(day->soc_max_pct, soc_pct);
    day->highest_V = fmax(day->highest_V, year->highest_V);
    day->lowest_V = fmin(day->lowest_V, year->lowest_V);
    day->cvl_min_V = fmin(day->cvl_min_V, year->limits.cvl_V);
    day->cvl_max_V = fmax(day->cvl_max_V, year->limits.cvl_V);
}

static void show_minute(struct year *year)
{
    const struct plant *plant = &year->plant;
    const struct year_sample sample = {
        .time_s = plant->time_s,
        .soc_pct = 100 * plant->soc,
        .shown_soc_pct = year->shown_soc_pct,
        .voltage_V = plant->voltage_V,
        .highest_V = year->highest_V,
        .lowest_V = year->lowest_V,
        .cvl_V = year->limits.cvl_V,
        .ccl_A = year->limits.ccl_A,
        .dcl_A = year->limits.dcl_A,
        .sun_W = plant_sun_A(plant) * plant->voltage_V + plant->refused_W,
        .refused_W = plant->refused_W,
        .load_W = plant->load_W,
        .export_W = plant->export_A * plant->voltage_V * PLANT_MULTI_EFFICIENCY,
        .current_A = plant_sun_A(plant) + plant->multi_A,
        .feed_in = year->feed_in == 1,
        .grid = plant->weather.grid,
    };

    if (year->options->on_minute)
        year->options->on_minute(year->options->ctx, &sample);
    year->next_minute_s = (floor(plant->time_s / 60) + 1) * 60;
}

static void look_at_evenness(struct year *year)
{
    const struct config *config = year->options->config;
    double difference_V = year_difference_at_top_V(&year->plant, config->max_cell_voltage_V);

    if (isnan(year->report->even_after_days) && difference_V < config->cell_diff_max_V)
        year->report->even_after_days = year->plant.time_s / SECONDS_A_DAY;
    year->next_hour_s += SECONDS_AN_HOUR;
}

static void count(struct year *year, double dt_s)
{
    double hour = dt_s / SECONDS_AN_HOUR;

    year->highest_V = plant_highest_V(&year->plant);
    year->lowest_V = plant_lowest_V(&year->plant);
    year->report->refused_Wh += year->plant.refused_W * hour;
    year->best_refused_Wh += year->best.refused_W * hour;
    count_cells(year, hour);
    count_cvl(year, hour);
    count_soc(year, dt_s);
    count_balancing(year);
    count_day(year);
    year->report->feed_in_held_h += year->feed_in < year->options->feed_in ? hour : 0;
    year->report->steps++;
    if (year->plant.time_s >= year->next_minute_s)
        show_minute(year);
    if (year->plant.time_s >= year->next_hour_s)
        look_at_evenness(year);
}

/* ---- the whole ---- */

static void begin(struct year *year, const struct year_options *options, struct year_report *report)
{
    *report = (struct year_report){.lowest_V = INFINITY, .even_after_days = NAN};
    year->options = options;
    year->report = report;
    year->feed_in = options->feed_in;
    plant_init(&year->plant, &options->plant);
    year->plant.setup.diverter_W = 0;
    year->best = year->plant;
    sensors_init(&year->sensors, &year->plant);
    year->sensors.offset_A = options->sensor_offset_A;
    year->sensors.gain_error = options->sensor_gain_error;
    aggregator_init(&year->aggregator, NAN, NAN);
    reference_init(&year->reference);
    year->next_minute_s = 60;
    begin_day(year);
}

static void end(struct year *year)
{
    struct year_report *report = year->report;

    report->days = year->plant.time_s / SECONDS_A_DAY;
    report->energy_Wh = year->plant.energy_Wh;
    report->avoidable_Wh = fmax(report->refused_Wh - year->best_refused_Wh, 0);
    report->surplus_Wh = report->energy_Wh.exported + report->avoidable_Wh;
    report->soc_error_mean_pct = year->soc_error_s > 0 ? year->soc_error_sum / year->soc_error_s : 0;
    for (size_t i = 0; i < year->plant.setup.packs; i++)
        report->disconnections += year->plant.pack[i].disconnections;
}

int year_run(const struct year_options *options, struct year_report *report)
{
    struct year *year = calloc(1, sizeof *year);
    bool on = true;

    if (!year)
        return -1;
    begin(year, options, report);
    while (on && year->plant.time_s < options->days * SECONDS_A_DAY) {
        double dt_s;

        if (year->plant.time_s >= options->diverter_from_day * SECONDS_A_DAY)
            year->plant.setup.diverter_W = year->best.setup.diverter_W = options->plant.diverter_W;
        step_controller(year, year->plant.time_s);
        dt_s = fmin(pace_s(year), (year->day.day + 1) * SECONDS_A_DAY - year->plant.time_s);
        plant_step(&year->plant, dt_s, &year->limits);
        see_jump(year, dt_s);
        step_best(year, dt_s);
        count(year, dt_s);
        if (year->plant.time_s >= (year->day.day + 1) * SECONDS_A_DAY)
            on = end_day(year);
    }
    end(year);
    free(year);
    return 0;
}
