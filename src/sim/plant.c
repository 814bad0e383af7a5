#include "sim/plant.h"

#include <math.h>
#include <string.h>

#include "sim/chance.h"

#define SECONDS_AN_HOUR 3600.0

/* A cell of 280 Ah: 0.25 mOhm in series and 0.25 mOhm of polarisation that settles in two minutes. */
#define CELL_RESISTANCE_OHM 0.00025
#define POLARISATION_OHM 0.00025
#define POLARISATION_S 120.0
#define WIRING_OHM 0.001
#define LEAK_SHARE_A_MONTH 0.02
#define BALANCER_FROM_V 3.40
#define BALANCER_DIFF_V 0.005

#define RESERVE_HYSTERESIS 0.03

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

double plant_soc_at(double ocv_V)
{
    double low = 0, high = 1.02;

    for (int i = 0; i < 40; i++) {
        double middle = (low + high) / 2;

        if (plant_ocv_V(middle) < ocv_V)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
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
                                .balancer_A = 0.5,
                                .efficiency = 1,
                                .hour = 10,
                                .sun_peak_W = 4000,
                                .load_W = 600,
                                .charger_lag_s = 8,
                                .export_lag_s = 2.5,
                                .export_limit_W = INFINITY,
                                .weather = {.latitude_deg = 48, .day_of_year = 80},
                                .seed = 1};
}

static void cell_init(struct plant *plant, struct plant_cell *cell, uint64_t *random)
{
    const struct plant_setup *setup = &plant->setup;

    cell->capacity_Ah = setup->capacity_Ah * (1 + 0.005 * chance_normal(random));
    cell->charge_Ah = cell->capacity_Ah * (setup->soc + setup->soc_spread * chance_normal(random));
    cell->resistance_ohm =
        CELL_RESISTANCE_OHM * 280 / setup->capacity_Ah * (1 + 0.05 * chance_normal(random));
    cell->leak_A = LEAK_SHARE_A_MONTH * setup->capacity_Ah / (30 * 24) * (0.5 + chance_uniform(random));
}

/* The odd one out: smaller, or ahead of its neighbours. */
static void weaken(struct plant *plant)
{
    struct plant_cell *cell = &plant->pack[plant->setup.packs - 1].cell[0];

    cell->resistance_ohm *= 1 + 10 * plant->setup.weak_share;
    cell->capacity_Ah *= 1 - plant->setup.weak_share;
    cell->charge_Ah = cell->charge_Ah * (1 - plant->setup.weak_share) + plant->setup.ahead_Ah;
}

void plant_init(struct plant *plant, const struct plant_setup *setup)
{
    uint64_t random = chance_seed(setup->seed, 1);
    struct weather_setup weather = setup->weather;

    memset(plant, 0, sizeof *plant);
    plant->setup = *setup;
    plant->sun = 1;
    plant->step_s = NAN;
    weather.seed = setup->seed;
    weather_init(&plant->weather, &weather);
    for (int i = 0; i < PLANT_OCV_POINTS; i++)
        plant->ocv_V[i] = plant_ocv_V((double)i / (PLANT_OCV_POINTS - 1));
    for (size_t i = 0; i < setup->packs; i++) {
        plant->pack[i].temperature_C = 20 + (double)(i % 5);
        plant->pack[i].wiring_ohm = WIRING_OHM * (1 + 0.2 * chance_uniform(&random));
        for (size_t k = 0; k < setup->cells; k++)
            cell_init(plant, &plant->pack[i].cell[k], &random);
    }
    if (setup->packs > 0)
        weaken(plant);
    plant->voltage_V = (double)setup->cells * ocv_V(plant, setup->soc);
    plant_step(plant, 0, &(struct plant_limits){.cvl_V = 1000, .charging = true});
}

/* ---- what others ask ---- */

static double hours(const struct plant *plant)
{
    return plant->setup.hour + plant->time_s / SECONDS_AN_HOUR;
}

double plant_hour(const struct plant *plant)
{
    return fmod(hours(plant), 24);
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

double plant_soc(const struct plant *plant)
{
    double sum = 0;

    for (size_t i = 0; i < plant->setup.packs; i++)
        sum += plant_pack_soc(&plant->pack[i], plant->setup.cells);
    return sum / (double)plant->setup.packs;
}

double plant_highest_V(const struct plant *plant)
{
    double highest_V = -INFINITY;

    for (size_t i = 0; i < plant->setup.packs; i++)
        for (size_t k = 0; k < plant->setup.cells; k++)
            highest_V = fmax(highest_V, plant->pack[i].cell[k].voltage_V);
    return highest_V;
}

double plant_lowest_V(const struct plant *plant)
{
    double lowest_V = INFINITY;

    for (size_t i = 0; i < plant->setup.packs; i++)
        for (size_t k = 0; k < plant->setup.cells; k++)
            lowest_V = fmin(lowest_V, plant->pack[i].cell[k].voltage_V);
    return lowest_V;
}

double plant_sun_A(const struct plant *plant)
{
    double sum_A = 0;

    for (size_t i = 0; i < plant->setup.mppts; i++)
        sum_A += plant->mppt_A[i];
    return sum_A;
}

/* ---- the bank as one source: V = emf + I * resistance ---- */

struct bus_bar {
    double conductance; /* 0: no pack is there */
    double source_A;    /* sum of E / R */
};

static void rest_pack(const struct plant *plant, struct plant_pack *pack)
{
    pack->emf_V = 0;
    pack->resistance_ohm = pack->wiring_ohm;
    for (size_t i = 0; i < plant->setup.cells; i++) {
        struct plant_cell *cell = &pack->cell[i];

        cell->rest_V = ocv_V(plant, plant_cell_soc(cell)) + cell->polarisation_V;
        pack->emf_V += cell->rest_V;
        pack->resistance_ohm += cell->resistance_ohm;
    }
    pack->shut = pack->blocks_charge && pack->blocks_discharge;
}

static struct bus_bar join_packs(const struct plant *plant)
{
    struct bus_bar bar = {0, 0};

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];

        if (pack->away || pack->shut)
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

double plant_ceiling_V(const struct plant *plant, double bank_V, double cell_V)
{
    double most_V = bank_V;

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];
        double pack_A = INFINITY;

        for (size_t k = 0; k < plant->setup.cells; k++)
            pack_A = fmin(pack_A, (cell_V - pack->cell[k].rest_V) / pack->cell[k].resistance_ohm);
        if (!pack->away && !pack->shut)
            most_V = fmin(most_V, pack->emf_V + pack_A * pack->resistance_ohm);
    }
    return most_V;
}

double plant_current_at_A(const struct plant *plant, double bank_V)
{
    struct bus_bar bar = join_packs(plant);

    return current_at_A(&bar, bank_V);
}

/* ---- currents ---- */

/* Exponentials cost: they are taken anew only when the length of the step changes. */
static void set_step(struct plant *plant, double dt_s)
{
    if (plant->step_s == dt_s)
        return;
    plant->step_s = dt_s;
    plant->keeps_polarisation = exp(-dt_s / POLARISATION_S);
    plant->keeps_charger = exp(-dt_s / fmax(plant->setup.charger_lag_s, 0.1));
    plant->keeps_export = exp(-dt_s / fmax(plant->setup.export_lag_s, 0.1));
}

static double follow(double now, double wanted, double keeps)
{
    return wanted + (now - wanted) * keeps;
}

/* What the house asks for. A diverter is a load like any other, but it looks at the battery. */
static void ask_for_load(struct plant *plant)
{
    const struct plant_setup *setup = &plant->setup;

    plant->load_W = setup->load_W * plant->weather.load + plant->weather.appliance_W;
    if (setup->diverter_W > 0) {
        plant->diverting =
            plant->soc > setup->diverter_on_soc || (plant->diverting && plant->soc > setup->diverter_off_soc);
        plant->load_W += plant->diverting ? setup->diverter_W : 0;
    }
}

/* Down to the reserve, then the grid carries the house until there is a little more. */
static void watch_reserve(struct plant *plant)
{
    double reserve = plant->setup.reserve_soc;

    plant->on_reserve = reserve > 0 && (plant->soc <= reserve ||
                                        (plant->on_reserve && plant->soc < reserve + RESERVE_HYSTERESIS));
}

/* What the MPPTs give together: each as slowly as it can, none above its sun. */
static double lead_mppts(struct plant *plant, const struct bus_bar *bar, double load_A,
                         const struct plant_limits *limits)
{
    double voltage_V = fmax(plant->voltage_V, 1);
    double over_V = PLANT_OVERVOLTAGE * limits->cvl_V;
    double wanted_A = limits->feed_in ? current_at_A(bar, limits->cvl_V + over_V) + load_A + plant->export_A
                                      : fmin(current_at_A(bar, limits->cvl_V), limits->ccl_A) + load_A;
    double available_A = plant->setup.sun_peak_W * plant->sun * plant->weather.sun / voltage_V;
    double each_A = limits->charging ? wanted_A / (double)plant->setup.mppts : 0;
    double target_A = fmin(fmax(each_A, 0), available_A);
    double sum_A = 0;

    for (size_t i = 0; i < plant->setup.mppts; i++) {
        double *free_A = &plant->unthrottled_A[i];

        plant->mppt_A[i] = fmin(follow(plant->mppt_A[i], target_A, plant->keeps_charger), available_A);
        *free_A = fmin(follow(*free_A, available_A, plant->keeps_charger), available_A);
        sum_A += plant->mppt_A[i];
    }
    return sum_A;
}

/* With feed-in the Multi sends to the grid what would lift the bank above CVL, if there is a grid. */
static void lead_export(struct plant *plant, const struct bus_bar *bar, double mppts_A, double load_A,
                        const struct plant_limits *limits)
{
    double most_A = plant->setup.export_limit_W / PLANT_MULTI_EFFICIENCY / fmax(plant->voltage_V, 1);
    double surplus_A = mppts_A - load_A - current_at_A(bar, limits->cvl_V);

    if (!limits->feed_in || !plant->weather.grid) {
        plant->export_A = 0;
        return;
    }
    plant->export_A = follow(plant->export_A, fmin(fmax(surplus_A, 0), most_A), plant->keeps_export);
}

/* A BMS that blocks is a diode: a pack whose current would go that way is left out, and the others share
 * anew. */
static struct bus_bar share(struct plant *plant, struct bus_bar bar, double current_A)
{
    bool again = true;

    while (again && bar.conductance > 0) {
        double voltage_V = (current_A + bar.source_A) / bar.conductance;

        again = false;
        for (size_t i = 0; i < plant->setup.packs; i++) {
            struct plant_pack *pack = &plant->pack[i];

            if (pack->shut || !((pack->blocks_charge && voltage_V > pack->emf_V) ||
                                (pack->blocks_discharge && voltage_V < pack->emf_V)))
                continue;
            pack->shut = again = true;
        }
        if (again)
            bar = join_packs(plant);
    }
    return bar;
}

/* No pack takes or gives: sun and load must meet by themselves. */
static void meet_without_packs(struct plant *plant, double mppts_A)
{
    double factor = mppts_A > 0 ? fmin(-plant->multi_A / mppts_A, 1) : 0;

    plant->multi_A = -fmin(-plant->multi_A, mppts_A);
    for (size_t i = 0; i < plant->setup.mppts; i++)
        plant->mppt_A[i] *= factor;
}

static void lead_currents(struct plant *plant, double load_A, const struct plant_limits *limits)
{
    struct bus_bar bar = join_packs(plant);
    double dcl_A = plant->on_reserve && plant->weather.grid ? 0 : limits->dcl_A;
    double mppts_A = plant->setup.mppts ? lead_mppts(plant, &bar, load_A, limits) : 0;

    lead_export(plant, &bar, mppts_A, load_A, limits);
    plant->multi_A = fmax(-load_A - plant->export_A, -dcl_A - mppts_A);
    bar = share(plant, bar, mppts_A + plant->multi_A);
    if (bar.conductance > 0)
        plant->voltage_V = (mppts_A + plant->multi_A + bar.source_A) / bar.conductance;
    else
        meet_without_packs(plant, mppts_A);
}

/* ---- cells ---- */

static void step_cell(const struct plant *plant, struct plant_cell *cell, double current_A, double dt_s)
{
    double out_A = cell->leak_A + (cell->balancing ? plant->setup.balancer_A : 0);
    double in_A = current_A > 0 ? current_A * plant->setup.efficiency : current_A;

    cell->charge_Ah += (in_A - out_A) * dt_s / SECONDS_AN_HOUR;
    cell->polarisation_V = follow(cell->polarisation_V,
                                  current_A * cell->resistance_ohm * (POLARISATION_OHM / CELL_RESISTANCE_OHM),
                                  plant->keeps_polarisation);
}

static void step_bms(struct plant_pack *pack, size_t cells)
{
    bool blocked = pack->blocks_charge;
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
    pack->disconnections += pack->blocks_charge && !blocked;
}

static void step_pack(struct plant *plant, struct plant_pack *pack, double dt_s)
{
    bool off = pack->away || pack->shut;
    double current_A = off ? 0 : (plant->voltage_V - pack->emf_V) / pack->resistance_ohm;
    double energy_Wh = plant->voltage_V * current_A * dt_s / SECONDS_AN_HOUR;

    pack->current_A = current_A;
    pack->voltage_V = off ? pack->emf_V : plant->voltage_V - current_A * pack->wiring_ohm;
    pack->charged_Ah += fmax(current_A, 0) * dt_s / SECONDS_AN_HOUR;
    pack->discharged_Ah += fmax(-current_A, 0) * dt_s / SECONDS_AN_HOUR;
    plant->energy_Wh.charged += fmax(energy_Wh, 0);
    plant->energy_Wh.drawn += fmax(-energy_Wh, 0);
    for (size_t i = 0; i < plant->setup.cells; i++) {
        struct plant_cell *cell = &pack->cell[i];

        cell->voltage_V = cell->rest_V + current_A * cell->resistance_ohm;
        step_cell(plant, cell, current_A, dt_s);
    }
    step_bms(pack, plant->setup.cells);
}

/* ---- where the energy goes ---- */

static void account(struct plant *plant, double load_A, double dt_s)
{
    struct plant_energy *energy = &plant->energy_Wh;
    double hour = dt_s / SECONDS_AN_HOUR;
    double exported_A = fmin(plant->export_A, -plant->multi_A);
    double served = load_A > 0 ? fmin((-plant->multi_A - exported_A) / load_A, 1) : 1;
    double missing_W = plant->load_W * (1 - served);
    double taken_W = plant_sun_A(plant) * plant->voltage_V;
    double free_A = 0;

    for (size_t i = 0; i < plant->setup.mppts; i++)
        free_A += plant->unthrottled_A[i];
    plant->refused_W = fmax(free_A * plant->voltage_V - taken_W, 0);
    energy->sun += (taken_W + plant->refused_W) * hour;
    energy->taken += taken_W * hour;
    energy->inverted += -plant->multi_A * plant->voltage_V * hour;
    energy->exported += exported_A * plant->voltage_V * PLANT_MULTI_EFFICIENCY * hour;
    energy->load += plant->load_W * served * hour;
    energy->imported += plant->weather.grid ? missing_W * hour : 0;
    energy->unserved += plant->weather.grid ? 0 : missing_W * hour;
}

void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits)
{
    double load_A;

    set_step(plant, dt_s);
    plant->soc = plant_soc(plant);
    weather_advance(&plant->weather, plant->time_s, hours(plant));
    ask_for_load(plant);
    watch_reserve(plant);
    load_A = plant->load_W / PLANT_MULTI_EFFICIENCY / fmax(plant->voltage_V, 1);
    for (size_t i = 0; i < plant->setup.packs; i++)
        rest_pack(plant, &plant->pack[i]);
    lead_currents(plant, load_A, limits);
    for (size_t i = 0; i < plant->setup.packs; i++)
        step_pack(plant, &plant->pack[i], dt_s);
    account(plant, load_A, dt_s);
    plant->time_s += dt_s;
}
