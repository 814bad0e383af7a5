#include "sim/plant.h"

#include <math.h>
#include <string.h>

#define SECONDS_AN_HOUR 3600.0
#define SECONDS_A_DAY 86400.0
#define PI 3.14159265358979

/* A cell of 280 Ah: 0.25 mOhm in series and 0.25 mOhm of polarisation that settles in two minutes. */
#define CELL_RESISTANCE_OHM 0.00025
#define POLARISATION_OHM 0.00025
#define POLARISATION_S 120.0
#define WIRING_OHM 0.001
#define LEAK_SHARE_A_MONTH 0.02
#define BALANCER_A 0.5
#define BALANCER_FROM_V 3.40
#define BALANCER_DIFF_V 0.005

#define CLOUD_S 600.0 /* clouds come and go in about ten minutes */
#define MULTI_EFFICIENCY 0.94
#define MULTI_S 2.5        /* with which the Multi follows what it shall export */
#define OUTAGE_SEEN_S 10.0 /* after which the system no longer feeds in without a grid */
#define OVERCAST_S (1.5 * 86400)
#define WEATHER_S 10.0 /* between two looks at sky, load and grid */
#define WINTER_DAY 356.0
#define STEP_LONGEST_S 15.0
#define STEP_NEAR_TOP_S 3.0 /* as DVCC has it */
#define NEAR_TOP_V 3.38
#define NEAR_LIMIT_V 0.020
#define NEAR_BOTTOM_V 3.05
#define OVERVOLTAGE_V 0.4 /* of the MPPTs over CVL with feed-in on, for a bank of 48 V */
#define OVERVOLTAGE_AT_V 48.0

/* BMS: blocks at these cell voltages, and allows again a little inside. */
#define BLOCK_CHARGE_V 3.65
#define ALLOW_CHARGE_V 3.45
#define BLOCK_DISCHARGE_V 2.5
#define ALLOW_DISCHARGE_V 2.9

/* ---- chemistry ---- */

double plant_ocv_V(double soc)
{
    double s = fmin(fmax(soc, -0.02), 1.04);
    double y = 0.96 - 0.915 * s; /* lithium in the positive electrode */
    double x = 0.025 + 0.78 * s; /* in the negative one */
    double z = 1 - y;
    double positive = 3.4323 - 0.8428 * exp(-80.2493 * pow(z, 1.3198)) -
                      3.2474e-6 * exp(20.2645 * pow(z, 3.8003)) + 3.2482e-6 * exp(20.2646 * pow(z, 3.7995));
    double negative = 0.6379 + 0.5416 * exp(-305.5309 * x) + 0.044 * tanh(-(x - 0.1958) / 0.1088) -
                      0.1978 * tanh((x - 1.0571) / 0.0854) - 0.6875 * tanh((x + 0.0117) / 0.0529) -
                      0.0175 * tanh((x - 0.5692) / 0.0875);

    return positive - negative;
}

/* The table spares the exponentials; beyond its ends the curve goes on as steep as it is there. */
static double ocv_V(const struct plant *plant, double soc)
{
    double at = soc * (PLANT_OCV_POINTS - 1);
    int below = at < 0 ? 0 : at >= PLANT_OCV_POINTS - 1 ? PLANT_OCV_POINTS - 2 : (int)at;

    return plant->ocv_V[below] + (at - below) * (plant->ocv_V[below + 1] - plant->ocv_V[below]);
}

/* ---- chance ---- */

/* Marsaglia's xorshift64*. */
static double uniform(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (double)((*random * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

double plant_noise(uint64_t *random)
{
    double sum = 0;

    for (int i = 0; i < 12; i++)
        sum += uniform(random);
    return sum - 6; /* twelve uniform numbers have a variance of 1 */
}

/* ---- the beginning ---- */

struct plant_setup plant_setup_default(void)
{
    return (struct plant_setup){.packs = 2,
                                .cells = 16,
                                .mppts = 1,
                                .capacity_Ah = 280,
                                .soc = 0.6,
                                .soc_spread = 0.004,
                                .hour = 10,
                                .sun_peak_W = 4000,
                                .load_W = 600,
                                .charger_lag_s = 8,
                                .seed = 1,
                                .day = -1};
}

static void cell_init(struct plant *plant, struct plant_cell *cell)
{
    const struct plant_setup *setup = &plant->setup;

    cell->capacity_Ah = setup->capacity_Ah * (1 + 0.005 * plant_noise(&plant->random));
    cell->charge_Ah = cell->capacity_Ah * (setup->soc + setup->soc_spread * plant_noise(&plant->random));
    cell->resistance_ohm =
        CELL_RESISTANCE_OHM * 280 / setup->capacity_Ah * (1 + 0.05 * plant_noise(&plant->random));
    cell->leak_A = LEAK_SHARE_A_MONTH * setup->capacity_Ah / (30 * 24) * (0.5 + uniform(&plant->random));
    cell->voltage_V = ocv_V(plant, plant_cell_soc(cell));
}

void plant_init(struct plant *plant, const struct plant_setup *setup)
{
    memset(plant, 0, sizeof *plant);
    plant->setup = *setup;
    plant->random = setup->seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    plant->weather_random = plant->random ^ UINT64_C(0xD1B54A32D192ED03);
    plant->sun = 1;
    for (int i = 0; i < PLANT_OCV_POINTS; i++)
        plant->ocv_V[i] = plant_ocv_V((double)i / (PLANT_OCV_POINTS - 1));
    for (size_t i = 0; i < setup->packs; i++) {
        plant->pack[i].temperature_C = 20 + (double)(i % 5);
        plant->pack[i].wiring_ohm = WIRING_OHM * (1 + 0.2 * uniform(&plant->random));
        for (size_t k = 0; k < setup->cells; k++)
            cell_init(plant, &plant->pack[i].cell[k]);
    }
    if (setup->weak_cell > 0)
        plant->pack[0].cell[0].capacity_Ah = setup->capacity_Ah * (1 - setup->weak_cell);
    plant_step(plant, 0, &(struct plant_limits){.cvl_V = 1000, .charging = true});
}

double plant_hour(const struct plant *plant)
{
    return fmod(plant->setup.hour + plant->time_s / SECONDS_AN_HOUR, 24);
}

double plant_day(const struct plant *plant)
{
    return fmod(fmax(plant->setup.day, 0) + (plant->setup.hour / 24 + plant->time_s / SECONDS_A_DAY), 365);
}

double plant_measured_A(const struct plant *plant, const struct plant_pack *pack)
{
    return pack->current_A * (1 + plant->setup.sensor_gain) + plant->setup.sensor_offset_A;
}

double plant_cell_soc(const struct plant_cell *cell)
{
    return cell->charge_Ah / cell->capacity_Ah;
}

double plant_pack_soc(const struct plant_pack *pack, size_t cells)
{
    double sum = 0;

    for (size_t i = 0; i < cells; i++)
        sum += plant_cell_soc(&pack->cell[i]);
    return sum / (double)cells;
}

/* ---- currents ---- */

/* The bank as one source: V = emf + I * resistance. conductance 0: no pack is there. */
struct bus_bar {
    double conductance;
    double source_A; /* sum of E / R */
};

/* Once a step: everything else is made of it. */
static void look_at_cells(struct plant *plant)
{
    for (size_t i = 0; i < plant->setup.packs; i++) {
        struct plant_pack *pack = &plant->pack[i];

        pack->emf_V = 0;
        pack->resistance_ohm = pack->wiring_ohm;
        for (size_t k = 0; k < plant->setup.cells; k++) {
            struct plant_cell *cell = &pack->cell[k];

            cell->emf_V = ocv_V(plant, plant_cell_soc(cell)) + cell->polarisation_V;
            pack->emf_V += cell->emf_V;
            pack->resistance_ohm += cell->resistance_ohm;
        }
    }
}

static struct bus_bar join_packs(const struct plant *plant)
{
    struct bus_bar bar = {0, 0};

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];

        if (pack->away)
            continue;
        bar.conductance += 1 / pack->resistance_ohm;
        bar.source_A += pack->emf_V / pack->resistance_ohm;
    }
    return bar;
}

/* The current that would bring the bank to this voltage. */
static double current_at_A(const struct bus_bar *bar, double voltage_V)
{
    return voltage_V * bar->conductance - bar->source_A;
}

/* ---- sun, load and grid ---- */

static bool has_seasons(const struct plant *plant)
{
    return plant->setup.day >= 0;
}

/* -1 at midwinter, 1 at midsummer. */
static double season(const struct plant *plant)
{
    return -cos(2 * PI * (plant_day(plant) - WINTER_DAY) / 365);
}

/* The weather has a clock and dice of its own, so that it is the same whatever the house does. */
static void step_weather(struct plant *plant)
{
    uint64_t *dice = &plant->weather_random;

    plant->cloud +=
        -plant->cloud * WEATHER_S / CLOUD_S + 0.25 * sqrt(WEATHER_S / CLOUD_S) * plant_noise(dice);
    if (has_seasons(plant))
        plant->overcast += (0.35 - 0.2 * season(plant) - plant->overcast) * WEATHER_S / OVERCAST_S +
                           0.35 * sqrt(WEATHER_S / OVERCAST_S) * plant_noise(dice);
    plant->outage_s -= WEATHER_S;
    if (plant->setup.outages_year > 0 && plant->outage_s <= 0 &&
        uniform(dice) < plant->setup.outages_year * WEATHER_S / (365 * SECONDS_A_DAY))
        plant->outage_s = 900 + uniform(dice) * 9900;
}

/* Of each charger. */
static double sun_W(const struct plant *plant)
{
    double hour = plant_hour(plant);
    double half_h = 6 + (has_seasons(plant) ? 2 * season(plant) : 0); /* half a day long: 4 to 8 hours */
    double most = has_seasons(plant) ? 0.75 + 0.25 * season(plant) : 1;
    double sky = fmin(fmax(1 - fabs(plant->cloud), 0.1), 1);

    if (fabs(hour - 12) >= half_h)
        return 0;
    if (has_seasons(plant))
        sky *= fmin(fmax(1 - plant->overcast, 0.08), 1);
    return plant->setup.sun_peak_W * most * cos(PI / 2 * (hour - 12) / half_h) * sky;
}

/* A house wakes up, cooks and goes to bed. */
static double load_W(const struct plant *plant)
{
    double hour = plant_hour(plant);

    return plant->setup.load_W *
           (0.6 + 0.5 * exp(-pow((hour - 7.5) / 1.2, 2)) + 0.9 * exp(-pow((hour - 12.5) / 1.0, 2)) +
            1.4 * exp(-pow((hour - 19.5) / 2.0, 2)));
}

static void let_weather_pass(struct plant *plant, double dt_s)
{
    while (plant->weather_s <= plant->time_s) {
        step_weather(plant);
        plant->weather_s += WEATHER_S;
        plant->sun_now_W = sun_W(plant);
        plant->load_now_W = load_W(plant);
    }
    plant->seen_outage_s = plant->outage_s > 0 ? plant->seen_outage_s + dt_s : 0;
}

static double follow(double now, double wanted, double factor)
{
    return wanted + (now - wanted) * factor;
}

/* ---- currents ---- */

/* The highest current with every cell at most at the limit. */
static double most_current_A(const struct plant *plant, const struct bus_bar *bar)
{
    double lowest_V = INFINITY;

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];

        for (size_t k = 0; k < plant->setup.cells && !pack->away; k++) {
            double most_A = (plant->cell_max_V - pack->cell[k].emf_V) / pack->cell[k].resistance_ohm;

            lowest_V = fmin(lowest_V, pack->emf_V + most_A * pack->resistance_ohm);
        }
    }
    return current_at_A(bar, lowest_V);
}

/* What the grid takes, if it may. */
static double grid_A(const struct plant *plant, bool feed_in)
{
    if (!feed_in || plant->outage_s > 0)
        return 0;
    return plant->setup.export_W > 0 ? plant->setup.export_W / plant->voltage_V : INFINITY;
}

static void account(struct plant *plant, const struct bus_bar *bar, double dt_s, double mppts_A,
                    double load_A)
{
    struct plant_energy *energy = &plant->energy;
    double hours = dt_s / SECONDS_AN_HOUR;
    double sun_A = plant->sun_W * (double)plant->setup.mppts / plant->voltage_V;
    double bank_A = mppts_A + plant->multi_A;

    energy->sun_Wh += sun_A * plant->voltage_V * hours;
    energy->taken_Wh += mppts_A * plant->voltage_V * hours;
    energy->exported_Wh += plant->export_A * plant->voltage_V * hours;
    energy->imported_Wh += fmax(0, load_A + plant->export_A + plant->multi_A) * plant->voltage_V * hours;
    energy->charged_Wh += fmax(0, bank_A) * plant->voltage_V * hours;
    energy->discharged_Wh += fmax(0, -bank_A) * plant->voltage_V * hours;
    if (plant->cell_max_V > 0) {
        double most_A = fmin(most_current_A(plant, bar), current_at_A(bar, plant->bank_max_V));
        double best_A = fmin(load_A + grid_A(plant, plant->feed_in_wished) + fmax(0, most_A), sun_A);

        plant->best_A = fmin(follow(plant->best_A, best_A, plant->follow_charger), sun_A);
        energy->necessary_Wh += (sun_A - plant->best_A) * plant->voltage_V * hours;
    }
}

/* The chargers lift the bank to where they shall, as slowly as they can; none gives more than its sun. */
static double lead_chargers(struct plant *plant, const struct bus_bar *bar, const struct plant_limits *limits,
                            bool feed_in, double load_A)
{
    double voltage_V = limits->cvl_V + (feed_in ? OVERVOLTAGE_V * plant->voltage_V / OVERVOLTAGE_AT_V : 0);
    double wanted_A = fmin(current_at_A(bar, voltage_V), feed_in ? INFINITY : limits->ccl_A);
    double each_A = 0;
    double mppts_A = 0;

    if (plant->setup.mppts > 0)
        each_A = fmax(wanted_A + load_A + plant->export_A, 0) / (double)plant->setup.mppts;
    for (size_t i = 0; i < plant->setup.mppts; i++) {
        double available_A = plant->sun_W / plant->voltage_V;
        double target_A = limits->charging ? fmin(each_A, available_A) : 0;

        plant->mppt_A[i] = fmin(follow(plant->mppt_A[i], target_A, plant->follow_charger), available_A);
        mppts_A += plant->mppt_A[i];
    }
    return mppts_A;
}

static void prepare_followers(struct plant *plant, double dt_s)
{
    if (dt_s == plant->follow_s)
        return;
    plant->follow_s = dt_s;
    plant->follow_charger = exp(-dt_s / fmax(plant->setup.charger_lag_s, 0.1));
    plant->follow_multi = exp(-dt_s / MULTI_S);
    plant->follow_cell = exp(-dt_s / POLARISATION_S);
}

/* What the chargers give, what the loads take, what goes to the grid. */
static void lead_currents(struct plant *plant, double dt_s, const struct plant_limits *limits)
{
    struct bus_bar bar = join_packs(plant);
    bool feed_in = limits->feed_in && plant->seen_outage_s < OUTAGE_SEEN_S;
    double load_A, export_A, mppts_A;

    plant->voltage_V = fmax(plant->voltage_V, 1);
    load_A = plant->load_now_W / MULTI_EFFICIENCY / plant->voltage_V;
    plant->sun_W = plant->sun_now_W * plant->sun;
    mppts_A = lead_chargers(plant, &bar, limits, feed_in, load_A);
    export_A = feed_in ? fmax(0, mppts_A - load_A - current_at_A(&bar, limits->cvl_V)) : 0;
    plant->export_A =
        fmin(follow(plant->export_A, export_A, plant->follow_multi), grid_A(plant, limits->feed_in));
    plant->multi_A = fmax(-load_A - plant->export_A, -limits->dcl_A - mppts_A);
    if (bar.conductance > 0)
        plant->voltage_V = (mppts_A + plant->multi_A + bar.source_A) / bar.conductance;
    account(plant, &bar, dt_s, mppts_A, load_A);
}

/* ---- cells ---- */

static void step_cell(struct plant_cell *cell, double current_A, double dt_s, double factor)
{
    double out_A = cell->leak_A + (cell->balancing ? BALANCER_A : 0);

    cell->charge_Ah += (current_A - out_A) * dt_s / SECONDS_AN_HOUR;
    cell->polarisation_V =
        follow(cell->polarisation_V,
               current_A * (POLARISATION_OHM / CELL_RESISTANCE_OHM) * cell->resistance_ohm, factor);
}

static void step_bms(struct plant_pack *pack, size_t cells)
{
    double lowest_V = INFINITY;
    double highest_V = -INFINITY;

    for (size_t i = 0; i < cells; i++) {
        lowest_V = fmin(lowest_V, pack->cell[i].voltage_V);
        highest_V = fmax(highest_V, pack->cell[i].voltage_V);
    }
    for (size_t i = 0; i < cells; i++)
        pack->cell[i].balancing =
            pack->cell[i].voltage_V > BALANCER_FROM_V && pack->cell[i].voltage_V > lowest_V + BALANCER_DIFF_V;
    pack->blocks_charge = highest_V >= BLOCK_CHARGE_V || (pack->blocks_charge && highest_V > ALLOW_CHARGE_V);
    pack->blocks_discharge =
        lowest_V <= BLOCK_DISCHARGE_V || (pack->blocks_discharge && lowest_V < ALLOW_DISCHARGE_V);
}

static void step_pack(struct plant *plant, struct plant_pack *pack, double dt_s)
{
    double current_A = pack->away ? 0 : (plant->voltage_V - pack->emf_V) / pack->resistance_ohm;
    bool blocked = pack->blocks_charge;

    pack->current_A = current_A;
    pack->voltage_V = pack->away ? pack->emf_V : plant->voltage_V - current_A * pack->wiring_ohm;
    pack->charged_Ah += fmax(current_A, 0) * dt_s / SECONDS_AN_HOUR;
    pack->discharged_Ah += fmax(-current_A, 0) * dt_s / SECONDS_AN_HOUR;
    for (size_t i = 0; i < plant->setup.cells; i++) {
        struct plant_cell *cell = &pack->cell[i];

        cell->voltage_V = cell->emf_V + current_A * cell->resistance_ohm;
        step_cell(cell, current_A, dt_s, plant->follow_cell);
    }
    step_bms(pack, plant->setup.cells);
    plant->disconnections += pack->blocks_charge && !blocked;
}

/* Near the ends of the curve a cell moves by millivolts in a second, and so do CVL and the chargers. */
double plant_next_step_s(const struct plant *plant)
{
    double highest_V = 0;
    double lowest_V = INFINITY;

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];

        for (size_t k = 0; k < plant->setup.cells; k++) {
            highest_V = fmax(highest_V, pack->cell[k].voltage_V);
            lowest_V = fmin(lowest_V, pack->cell[k].voltage_V);
        }
    }
    if (lowest_V < NEAR_BOTTOM_V ||
        (highest_V > NEAR_TOP_V && !(highest_V < plant->cell_max_V - NEAR_LIMIT_V)))
        return 1;
    return highest_V > NEAR_TOP_V ? STEP_NEAR_TOP_S : STEP_LONGEST_S;
}

void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits)
{
    prepare_followers(plant, dt_s);
    let_weather_pass(plant, dt_s);
    look_at_cells(plant);
    lead_currents(plant, dt_s, limits);
    for (size_t i = 0; i < plant->setup.packs; i++)
        step_pack(plant, &plant->pack[i], dt_s);
    plant->time_s += dt_s;
}
