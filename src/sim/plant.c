#include "sim/plant.h"

#include <math.h>
#include <string.h>

#define SECONDS_AN_HOUR 3600.0
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

#define SUNRISE_H 6.0
#define SUNSET_H 18.0
#define CLOUD_S 600.0 /* clouds come and go in about ten minutes */
#define MULTI_EFFICIENCY 0.94
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
                                .seed = 1};
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
    plant->sun = 1;
    for (int i = 0; i < PLANT_OCV_POINTS; i++)
        plant->ocv_V[i] = plant_ocv_V((double)i / (PLANT_OCV_POINTS - 1));
    for (size_t i = 0; i < setup->packs; i++) {
        plant->pack[i].temperature_C = 20 + (double)(i % 5);
        plant->pack[i].wiring_ohm = WIRING_OHM * (1 + 0.2 * uniform(&plant->random));
        for (size_t k = 0; k < setup->cells; k++)
            cell_init(plant, &plant->pack[i].cell[k]);
    }
    plant_step(plant, 0, &(struct plant_limits){.cvl_V = 1000, .charging = true});
}

double plant_hour(const struct plant *plant)
{
    return fmod(plant->setup.hour + plant->time_s / SECONDS_AN_HOUR, 24);
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

static double pack_emf_V(const struct plant *plant, const struct plant_pack *pack)
{
    double sum_V = 0;

    for (size_t i = 0; i < plant->setup.cells; i++)
        sum_V += ocv_V(plant, plant_cell_soc(&pack->cell[i])) + pack->cell[i].polarisation_V;
    return sum_V;
}

static double pack_resistance_ohm(const struct plant *plant, const struct plant_pack *pack)
{
    double sum_ohm = pack->wiring_ohm;

    for (size_t i = 0; i < plant->setup.cells; i++)
        sum_ohm += pack->cell[i].resistance_ohm;
    return sum_ohm;
}

static struct bus_bar join_packs(const struct plant *plant)
{
    struct bus_bar bar = {0, 0};

    for (size_t i = 0; i < plant->setup.packs; i++) {
        const struct plant_pack *pack = &plant->pack[i];
        double conductance = 1 / pack_resistance_ohm(plant, pack);

        if (pack->away)
            continue;
        bar.conductance += conductance;
        bar.source_A += conductance * pack_emf_V(plant, pack);
    }
    return bar;
}

/* The current that would bring the bank to this voltage. */
static double current_at_A(const struct bus_bar *bar, double voltage_V)
{
    return voltage_V * bar->conductance - bar->source_A;
}

static double sun_W(struct plant *plant, double dt_s)
{
    double hour = plant_hour(plant);
    double height = sin(PI * (hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H));

    plant->cloud +=
        -plant->cloud * dt_s / CLOUD_S + 0.25 * sqrt(dt_s / CLOUD_S) * plant_noise(&plant->random);
    if (hour <= SUNRISE_H || hour >= SUNSET_H)
        return 0;
    return plant->setup.sun_peak_W * plant->sun * height * fmin(fmax(1 - fabs(plant->cloud), 0.1), 1);
}

/* A house wakes up, cooks and goes to bed. */
static double load_W(const struct plant *plant)
{
    double hour = plant_hour(plant);

    return plant->setup.load_W *
           (0.6 + 0.5 * exp(-pow((hour - 7.5) / 1.2, 2)) + 0.9 * exp(-pow((hour - 12.5) / 1.0, 2)) +
            1.4 * exp(-pow((hour - 19.5) / 2.0, 2)));
}

static double follow(double now, double wanted, double dt_s, double lag_s)
{
    return wanted + (now - wanted) * exp(-dt_s / fmax(lag_s, 0.1));
}

/* What the chargers give and the inverter takes, each as slowly as it can, none above its limits. */
static void lead_currents(struct plant *plant, double dt_s, const struct plant_limits *limits)
{
    struct bus_bar bar = join_packs(plant);
    double voltage_V = fmax(plant->voltage_V, 1);
    double overvoltage_V = limits->feed_in ? OVERVOLTAGE_V * voltage_V / OVERVOLTAGE_AT_V : 0;
    double load_A = load_W(plant) / MULTI_EFFICIENCY / voltage_V;
    double wanted_A =
        fmin(current_at_A(&bar, limits->cvl_V + overvoltage_V), limits->feed_in ? INFINITY : limits->ccl_A);
    double each_A = plant->setup.mppts ? (wanted_A + load_A) / (double)plant->setup.mppts : 0;
    double mppts_A = 0;
    double surplus_A;

    for (size_t i = 0; i < plant->setup.mppts; i++) {
        double available_A = sun_W(plant, i == 0 ? dt_s : 0) / voltage_V;
        double target_A =
            limits->charging ? fmin(fmax(limits->feed_in ? available_A : each_A, 0), available_A) : 0;

        plant->mppt_A[i] =
            fmin(follow(plant->mppt_A[i], target_A, dt_s, plant->setup.charger_lag_s), available_A);
        mppts_A += plant->mppt_A[i];
    }
    /* With feed-in the Multi sends to the grid what would lift the bank above CVL. */
    surplus_A = limits->feed_in ? fmax(0, mppts_A - load_A - current_at_A(&bar, limits->cvl_V)) : 0;
    plant->multi_A = fmax(-load_A - surplus_A, -limits->dcl_A - mppts_A);
    if (bar.conductance > 0)
        plant->voltage_V = (mppts_A + plant->multi_A + bar.source_A) / bar.conductance;
}

/* ---- cells ---- */

static void step_cell(struct plant_cell *cell, double current_A, double dt_s)
{
    double out_A = cell->leak_A + (cell->balancing ? BALANCER_A : 0);

    cell->charge_Ah += (current_A - out_A) * dt_s / SECONDS_AN_HOUR;
    cell->polarisation_V = follow(cell->polarisation_V,
                                  current_A * POLARISATION_OHM * cell->resistance_ohm / CELL_RESISTANCE_OHM,
                                  dt_s, POLARISATION_S);
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
    double current_A =
        pack->away ? 0 : (plant->voltage_V - pack_emf_V(plant, pack)) / pack_resistance_ohm(plant, pack);

    pack->current_A = current_A;
    pack->voltage_V = pack->away ? pack_emf_V(plant, pack) : plant->voltage_V - current_A * pack->wiring_ohm;
    pack->charged_Ah += fmax(current_A, 0) * dt_s / SECONDS_AN_HOUR;
    pack->discharged_Ah += fmax(-current_A, 0) * dt_s / SECONDS_AN_HOUR;
    for (size_t i = 0; i < plant->setup.cells; i++) {
        struct plant_cell *cell = &pack->cell[i];

        cell->voltage_V =
            ocv_V(plant, plant_cell_soc(cell)) + cell->polarisation_V + current_A * cell->resistance_ohm;
        step_cell(cell, current_A, dt_s);
    }
    step_bms(pack, plant->setup.cells);
}

void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits)
{
    lead_currents(plant, dt_s, limits);
    for (size_t i = 0; i < plant->setup.packs; i++)
        step_pack(plant, &plant->pack[i], dt_s);
    plant->time_s += dt_s;
}
