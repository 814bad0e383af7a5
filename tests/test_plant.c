/* sim/plant: a house in virtual time that obeys Kirchhoff and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "sim/plant.h"

static struct plant plant;
static const struct plant_limits free_limits = {55.2, 1000, 1000, false, true};

static void begin(size_t packs, double soc, double hour)
{
    struct plant_setup setup = plant_setup_default();

    setup.packs = packs;
    setup.soc = soc;
    setup.hour = hour;
    setup.mppts = 2;
    plant_init(&plant, &setup);
}

static void run(double hours, const struct plant_limits *limits)
{
    for (int i = 0; i < hours * 3600; i++)
        plant_step(&plant, 1, limits);
}

static double packs_A(void)
{
    double sum_A = 0;

    for (size_t i = 0; i < plant.setup.packs; i++)
        sum_A += plant.pack[i].current_A;
    return sum_A;
}

static double sources_A(void)
{
    double sum_A = plant.multi_A;

    for (size_t i = 0; i < plant.setup.mppts; i++)
        sum_A += plant.mppt_A[i];
    return sum_A;
}

static void the_open_circuit_voltage_is_that_of_an_lfp_cell(void **state)
{
    (void)state;
    for (double soc = 0; soc < 1; soc += 0.005)
        assert_true(plant_ocv_V(soc + 0.005) > plant_ocv_V(soc));
    assert_true(plant_ocv_V(0) > 2.5 && plant_ocv_V(0) < 2.9);
    assert_true(plant_ocv_V(0.5) > 3.28 && plant_ocv_V(0.5) < 3.33); /* flat in the middle */
    assert_true(plant_ocv_V(1) > 3.38 && plant_ocv_V(1) < 3.55);
}

static void what_the_sources_give_the_packs_take(void **state)
{
    (void)state;
    begin(3, 0.5, 8);
    for (int i = 0; i < 3600; i++) {
        plant_step(&plant, 1, &free_limits);
        assert_true(fabs(packs_A() - sources_A()) < 1e-6);
    }
}

static void a_pack_of_half_the_resistance_takes_twice_the_current(void **state)
{
    double light_A, heavy_A;

    (void)state;
    begin(2, 0.5, 0);
    for (size_t i = 0; i < 2; i++) {
        plant.pack[i].wiring_ohm *= i ? 2 : 1;
        for (size_t k = 0; k < plant.setup.cells; k++) {
            plant.pack[i].cell[k] = plant.pack[0].cell[0];
            plant.pack[i].cell[k].resistance_ohm = i ? 0.0005 : 0.00025;
        }
    }
    plant.pack[1].wiring_ohm = 2 * plant.pack[0].wiring_ohm;
    plant.setup.load_W = 5000;
    plant_step(&plant, 1, &free_limits);
    light_A = plant.pack[0].current_A;
    heavy_A = plant.pack[1].current_A;
    assert_true(light_A < -10);
    assert_true(fabs(light_A / heavy_A - 2) < 0.01);
}

static void charge_is_neither_made_nor_lost(void **state)
{
    const struct plant_cell *cell = &plant.pack[0].cell[0];
    double begun_Ah, counted_Ah = 0, leaked_Ah = 0;

    (void)state;
    begin(2, 0.4, 9);
    begun_Ah = cell->charge_Ah;
    for (int i = 0; i < 2 * 3600; i++) {
        plant_step(&plant, 1, &free_limits);
        counted_Ah += plant.pack[0].current_A / 3600;
        leaked_Ah += cell->leak_A / 3600;
        assert_false(cell->balancing);
    }
    assert_true(counted_Ah > 20);
    assert_true(fabs(cell->charge_Ah - begun_Ah - counted_Ah + leaked_Ah) < 1e-6);
}

static void a_balancer_burns_off_what_its_cell_then_lacks(void **state)
{
    const struct plant_limits limits = {56, 1000, 1000, false, true};
    const struct plant_cell *cell = &plant.pack[0].cell[0];
    double balanced_s = 0, counted_Ah = 0, begun_Ah, lost_Ah;

    (void)state;
    begin(1, 0.97, 10);
    plant.pack[0].cell[0].charge_Ah += 4; /* ahead of its neighbours */
    begun_Ah = cell->charge_Ah;
    for (int i = 0; i < 2 * 3600; i++) {
        balanced_s += cell->balancing; /* as its BMS decided before this step */
        plant_step(&plant, 1, &limits);
        counted_Ah += plant.pack[0].current_A / 3600;
    }
    assert_true(balanced_s > 600);
    lost_Ah = counted_Ah - cell->leak_A * 2 - (cell->charge_Ah - begun_Ah);
    assert_true(fabs(lost_Ah - 0.5 * balanced_s / 3600) < 1e-6);
}

static void chargers_hold_the_bank_at_the_charge_voltage_limit(void **state)
{
    (void)state;
    begin(2, 0.95, 11);
    run(2, &free_limits);
    assert_true(fabs(plant.voltage_V - 55.2) < 0.02);
}

static void the_charge_current_limit_is_obeyed(void **state)
{
    const struct plant_limits limits = {55.2, 20, 1000, false, true};

    (void)state;
    begin(2, 0.5, 11);
    run(0.5, &limits);
    assert_true(packs_A() < 20.5);
    assert_true(packs_A() > 15);
}

static void the_discharge_current_limit_is_obeyed(void **state)
{
    const struct plant_limits limits = {55.2, 1000, 5, false, true};

    (void)state;
    begin(2, 0.5, 20);
    run(0.1, &limits);
    assert_true(packs_A() > -5.001);
    assert_true(packs_A() < -4);
}

static void chargers_that_miss_their_bms_stop(void **state)
{
    const struct plant_limits limits = {55.2, 1000, 1000, false, false};

    (void)state;
    begin(2, 0.5, 12);
    run(0.1, &limits);
    assert_true(plant.mppt_A[0] < 0.01);
}

static void with_feed_in_chargers_ignore_the_current_limit(void **state)
{
    const struct plant_limits limits = {55.2, 0, 1000, true, true};

    (void)state;
    begin(2, 0.5, 12);
    run(0.1, &limits);
    assert_true(packs_A() > 20);
}

static void with_feed_in_what_the_full_bank_cannot_take_goes_to_the_grid(void **state)
{
    struct plant_limits limits = {54.4, 1000, 1000, false, true};
    double held_back_A;

    (void)state;
    begin(2, 0.97, 11);
    run(0.5, &limits);
    held_back_A = plant.mppt_A[0];
    limits.feed_in = true;
    run(0.1, &limits);
    assert_true(plant.mppt_A[0] > held_back_A + 20);
    assert_true(fabs(plant.voltage_V - 54.4) < 0.02);
    limits.feed_in = false;
    run(0.1, &limits);
    assert_true(plant.mppt_A[0] < held_back_A + 5);
}

static double extreme_V(bool highest)
{
    double extreme = plant.pack[0].cell[0].voltage_V;

    for (size_t i = 1; i < plant.setup.cells; i++) {
        double cell_V = plant.pack[0].cell[i].voltage_V;

        extreme = highest ? fmax(extreme, cell_V) : fmin(extreme, cell_V);
    }
    return extreme;
}

/* Steps until the flag is so; the extreme cell just before that step. */
static double run_until(const bool *flag, bool wanted, bool highest, const struct plant_limits *limits)
{
    double before_V = NAN;

    for (int i = 0; i < 10 * 3600 && *flag != wanted; i++) {
        before_V = extreme_V(highest);
        plant_step(&plant, 1, limits);
    }
    assert_true(*flag == wanted);
    return before_V;
}

static void a_bms_blocks_charging_at_3_65_V_and_allows_it_again_at_3_45_V(void **state)
{
    const struct plant_limits limits = {70, 1000, 1000, false, true};
    const bool *blocks = &plant.pack[0].blocks_charge;

    (void)state;
    begin(1, 0.99, 11);
    plant.setup.load_W = 0;
    assert_true(run_until(blocks, true, true, &limits) < 3.65);
    assert_true(extreme_V(true) >= 3.65);
    plant.sun = 0;
    plant.setup.load_W = 3000;
    assert_true(run_until(blocks, false, true, &free_limits) > 3.45);
    assert_true(extreme_V(true) <= 3.45);
}

static void a_bms_blocks_discharging_at_2_5_V_and_allows_it_again_at_2_9_V(void **state)
{
    const bool *blocks = &plant.pack[0].blocks_discharge;

    (void)state;
    begin(1, 0.03, 20);
    plant.setup.load_W = 4000;
    assert_true(run_until(blocks, true, false, &free_limits) > 2.5);
    assert_true(extreme_V(false) <= 2.5);
    plant.setup.hour += 12 - plant_hour(&plant);
    plant.setup.load_W = 0;
    assert_true(run_until(blocks, false, false, &free_limits) < 2.9);
    assert_true(extreme_V(false) >= 2.9);
}

static void the_same_seed_gives_the_same_world(void **state)
{
    static struct plant first;

    (void)state;
    begin(2, 0.5, 6);
    run(3, &free_limits);
    first = plant;
    begin(2, 0.5, 6);
    run(3, &free_limits);
    assert_memory_equal(&first, &plant, sizeof plant);
}

static void another_seed_gives_another_world(void **state)
{
    struct plant_setup setup = plant_setup_default();
    double first_Ah;

    (void)state;
    plant_init(&plant, &setup);
    first_Ah = plant.pack[0].cell[0].charge_Ah;
    setup.seed++;
    plant_init(&plant, &setup);
    assert_true(fabs(plant.pack[0].cell[0].charge_Ah - first_Ah) > 1e-6);
}

static void at_night_there_is_no_sun(void **state)
{
    (void)state;
    begin(2, 0.5, 22);
    run(0.5, &free_limits);
    assert_true(plant.mppt_A[0] == 0);
    assert_true(packs_A() < 0);
}

/* ---- a year ---- */

static const struct plant_limits feed_in_limits = {54.4, 1000, 1000, true, true};

static void begin_year(int day_of_year, double soc, double outages_a_month)
{
    struct plant_setup setup = plant_setup_default();

    setup.soc = soc;
    setup.hour = 0;
    setup.mppts = 2;
    setup.weather.year = true;
    setup.weather.day_of_year = day_of_year;
    setup.weather.outages_a_month = outages_a_month;
    plant_init(&plant, &setup);
}

static void run_steps(double days, double step_s, const struct plant_limits *limits)
{
    while (plant.time_s < days * 86400)
        plant_step(&plant, step_s, limits);
}

static void what_goes_in_comes_out(void **state)
{
    const struct plant_energy *energy = &plant.energy_Wh;

    (void)state;
    begin_year(170, 0.5, 30);
    plant.setup.export_limit_W = 3000;
    run_steps(5, 1, &feed_in_limits);
    assert_true(energy->exported > 1000);
    assert_true(energy->sun > energy->taken + 1000);
    assert_true(fabs(energy->taken + energy->drawn - energy->charged - energy->inverted) <
                1e-6 * energy->taken);
    assert_true(fabs(0.94 * energy->inverted - energy->exported - energy->load) < 1e-3 * energy->load);
}

static void a_house_that_is_not_served_is_counted(void **state)
{
    const struct plant_limits limits = {55.2, 1000, 0, false, true};
    double asked_Wh = 0;

    (void)state;
    begin_year(1, 0.5, 0);
    for (int i = 0; i < 6 * 3600; i++) { /* before sunrise */
        plant_step(&plant, 1, &limits);
        asked_Wh += plant.load_W / 3600;
    }
    assert_true(asked_Wh > 1000);
    assert_true(fabs(plant.energy_Wh.imported - asked_Wh) < 1e-6 * asked_Wh);
    assert_true(plant.energy_Wh.unserved == 0);
    begin_year(1, 0.5, 0);
    for (int i = 0; i < 6 * 3600; i++) {
        plant.weather.grid = false;
        plant_step(&plant, 1, &limits);
    }
    assert_true(fabs(plant.energy_Wh.unserved - asked_Wh) < 1e-6 * asked_Wh);
    assert_true(plant.energy_Wh.imported == 0);
}

static void the_grid_takes_no_more_than_its_limit_and_the_rest_lifts_the_bank(void **state)
{
    double export_W, highest_export_W = 0, highest_V = 0, above_s = 0;

    (void)state;
    begin_year(170, 0.97, 0);
    plant.setup.export_limit_W = 1000;
    for (int i = 0; i < 16 * 3600; i++) {
        plant_step(&plant, 1, &feed_in_limits);
        export_W = plant.export_A * plant.voltage_V * 0.94;
        highest_export_W = fmax(highest_export_W, export_W);
        highest_V = fmax(highest_V, plant.voltage_V);
        above_s += plant.voltage_V > 54.4 + 0.4 * 54.4 / 48 + 0.02;
    }
    assert_true(highest_export_W > 990 && highest_export_W < 1010);
    assert_true(highest_V > 54.4 + 0.3);
    assert_true(above_s < 600); /* where an appliance goes off and the chargers lag */
}

static void an_outage_lifts_the_bank_above_the_charge_voltage_limit(void **state)
{
    (void)state;
    begin_year(170, 0.97, 0);
    run_steps(0.5, 1, &feed_in_limits);
    while (plant.weather.shadow || plant.export_A < 30) {
        plant_step(&plant, 1, &feed_in_limits);
        assert_true(plant_hour(&plant) < 17);
    }
    assert_true(fabs(plant.voltage_V - 54.4) < 0.1);
    for (int i = 0; i < 60; i++) {
        plant.weather.grid = false;
        plant_step(&plant, 1, &feed_in_limits);
        assert_true(plant.export_A == 0);
    }
    assert_true(plant.voltage_V > 54.4 + 0.15);
}

static void long_steps_tell_the_same_as_short_ones(void **state)
{
    static struct plant seconds;

    (void)state;
    begin_year(60, 0.5, 4);
    plant.setup.export_limit_W = 3000;
    run_steps(10, 1, &feed_in_limits);
    seconds = plant;
    begin_year(60, 0.5, 4);
    plant.setup.export_limit_W = 3000;
    run_steps(10, 30, &feed_in_limits);
    assert_true(seconds.energy_Wh.sun > 50000);
    assert_true(fabs(plant.energy_Wh.sun / seconds.energy_Wh.sun - 1) < 0.01);
    assert_true(fabs(plant.energy_Wh.taken / seconds.energy_Wh.taken - 1) < 0.01);
    assert_true(fabs(plant.energy_Wh.load / seconds.energy_Wh.load - 1) < 0.01);
    assert_true(fabs(plant_soc(&plant) - plant_soc(&seconds)) < 0.01);
}

static void winter_days_are_shorter_and_darker(void **state)
{
    double june_Wh;

    (void)state;
    begin_year(165, 0.5, 0);
    run_steps(10, 30, &feed_in_limits);
    june_Wh = plant.energy_Wh.sun;
    begin_year(350, 0.5, 0);
    run_steps(10, 30, &feed_in_limits);
    assert_true(plant.energy_Wh.sun < 0.5 * june_Wh);
    assert_true(plant.energy_Wh.sun > 0.02 * june_Wh);
    assert_true(weather_clear_sun(48, 172, 5) > 0 && weather_clear_sun(48, 355, 7) == 0);
}

static void below_its_reserve_the_battery_leaves_the_house_to_the_grid(void **state)
{
    (void)state;
    begin_year(1, 0.21, 0);
    plant.setup.reserve_soc = 0.2;
    plant.sun = 0;
    run_steps(3, 30, &free_limits);
    assert_true(plant_soc(&plant) > 0.195 && plant_soc(&plant) < 0.201);
    assert_true(plant.energy_Wh.imported > 10000);
}

static void a_blocking_bms_lets_no_current_in(void **state)
{
    (void)state;
    begin(2, 0.5, 12);
    run(0.1, &free_limits);
    plant.pack[0].blocks_charge = true;
    plant_step(&plant, 1, &free_limits);
    assert_true(plant.pack[0].current_A == 0);
    assert_true(plant.pack[1].current_A > 10);
    assert_true(fabs(packs_A() - sources_A()) < 1e-6);
    begin(1, 0.99, 12);
    plant.setup.load_W = 0;
    for (int i = 0; i < 10 * 3600 && !plant.pack[0].blocks_charge; i++)
        plant_step(&plant, 1, &(struct plant_limits){70, 1000, 1000, false, true});
    assert_int_equal(plant.pack[0].disconnections, 1);
    plant_step(&plant, 1, &(struct plant_limits){70, 1000, 1000, false, true});
    assert_true(plant.pack[0].current_A == 0);
    assert_true(sources_A() == 0);
}

static void the_ceiling_is_where_the_first_cell_is_at_its_limit(void **state)
{
    double ceiling_V;

    (void)state;
    begin(2, 0.98, 12);
    plant.pack[1].cell[3].charge_Ah += 2;
    plant.setup.charger_lag_s = 0.1;
    plant.setup.load_W = 0;
    plant.setup.sun_peak_W = 20000;
    plant_step(&plant, 0, &free_limits);
    ceiling_V = plant_ceiling_V(&plant, 70, 3.45);
    assert_true(ceiling_V > 54 && ceiling_V < 16 * 3.45);
    assert_true(plant_ceiling_V(&plant, 53.6, 3.45) == 53.6);
    assert_true(plant_current_at_A(&plant, ceiling_V) > 10);
    plant_step(&plant, 1, &(struct plant_limits){ceiling_V, 1000, 1000, false, true});
    assert_true(fabs(plant.voltage_V - ceiling_V) < 0.01);
    assert_true(fabs(plant.pack[1].cell[3].voltage_V - 3.45) < 0.001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_open_circuit_voltage_is_that_of_an_lfp_cell),
        cmocka_unit_test(what_the_sources_give_the_packs_take),
        cmocka_unit_test(a_pack_of_half_the_resistance_takes_twice_the_current),
        cmocka_unit_test(charge_is_neither_made_nor_lost),
        cmocka_unit_test(a_balancer_burns_off_what_its_cell_then_lacks),
        cmocka_unit_test(chargers_hold_the_bank_at_the_charge_voltage_limit),
        cmocka_unit_test(the_charge_current_limit_is_obeyed),
        cmocka_unit_test(the_discharge_current_limit_is_obeyed),
        cmocka_unit_test(chargers_that_miss_their_bms_stop),
        cmocka_unit_test(with_feed_in_chargers_ignore_the_current_limit),
        cmocka_unit_test(with_feed_in_what_the_full_bank_cannot_take_goes_to_the_grid),
        cmocka_unit_test(a_bms_blocks_charging_at_3_65_V_and_allows_it_again_at_3_45_V),
        cmocka_unit_test(a_bms_blocks_discharging_at_2_5_V_and_allows_it_again_at_2_9_V),
        cmocka_unit_test(the_same_seed_gives_the_same_world),
        cmocka_unit_test(another_seed_gives_another_world),
        cmocka_unit_test(at_night_there_is_no_sun),
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(a_house_that_is_not_served_is_counted),
        cmocka_unit_test(the_grid_takes_no_more_than_its_limit_and_the_rest_lifts_the_bank),
        cmocka_unit_test(an_outage_lifts_the_bank_above_the_charge_voltage_limit),
        cmocka_unit_test(long_steps_tell_the_same_as_short_ones),
        cmocka_unit_test(winter_days_are_shorter_and_darker),
        cmocka_unit_test(below_its_reserve_the_battery_leaves_the_house_to_the_grid),
        cmocka_unit_test(a_blocking_bms_lets_no_current_in),
        cmocka_unit_test(the_ceiling_is_where_the_first_cell_is_at_its_limit),
    };

    return cmocka_run_group_tests_name("plant", tests, NULL, NULL);
}
