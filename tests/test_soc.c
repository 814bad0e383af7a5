/* core/soc: a state of charge that learns what its current sensor does wrong. */
#include "fixture.h"

#include "core/soc.h"
#include "sim/chance.h"
#include "sim/plant.h"

#define INSTALLED_AH 280.0
#define HOUR 3600.0
#define DAY 86400.0

/* A bank whose true charge is known, and a sensor that lies. */
struct house {
    struct soc soc;
    struct soc_input in;
    double true_Ah, tail_A;
    double offset_A, gain, efficiency;
    uint64_t random;
    enum charge_event event; /* the last that was one */
    double worst_pct, sum_pct, steps;
};

static int setup(void **state)
{
    struct house *house = test_calloc(1, sizeof *house);

    house->true_Ah = 140;
    house->efficiency = 1;
    house->random = 99;
    house->in = (struct soc_input){.installed_Ah = INSTALLED_AH, .cell_V = 3.3};
    soc_init(&house->soc, 0.998);
    soc_begin(&house->soc, 140, INSTALLED_AH, 0.05);
    *state = house;
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static double true_pct(const struct house *house)
{
    return 100 * house->true_Ah / INSTALLED_AH;
}

/* Lets 20 s pass with that current. Near the top the voltage rises and the bank takes ever less. */
static void step(struct house *house, double current_A)
{
    double room_Ah = INSTALLED_AH - house->true_Ah;
    enum charge_event event;

    house->in.at_top = current_A > 0 && room_Ah < 8;
    if (current_A > 0 && current_A > 4 * room_Ah)
        current_A = 4 * room_Ah;
    house->true_Ah += current_A * (current_A > 0 ? house->efficiency : 1) * 20 / HOUR;
    house->in.time_s += 20;
    house->in.current_A =
        current_A * (1 + house->gain) + house->offset_A + 0.2 * chance_normal(&house->random);
    event = soc_step(&house->soc, &house->in);
    if (event != CHARGE_EVENT_NONE)
        house->event = event;
    house->worst_pct = fmax(house->worst_pct, fabs(soc_pct(&house->soc) - true_pct(house)));
    house->sum_pct += fabs(soc_pct(&house->soc) - true_pct(house));
    house->steps++;
}

static void forget_errors(struct house *house)
{
    house->worst_pct = house->sum_pct = house->steps = 0;
}

/* Sun by day up to most_Ah, a load by night. */
static void live(struct house *house, double days, double most_Ah)
{
    for (double s = 0; s < days * DAY; s += 20) {
        double hour = fmod(house->in.time_s / HOUR, 24);
        bool sun = hour > 8 && hour < 17 && house->true_Ah < most_Ah;

        step(house, sun ? 40 : house->true_Ah > 60 ? -9 - 4 * sin(hour) : 0);
    }
}

static void it_counts_what_goes_in_and_out(void **state)
{
    struct house *house = *state;

    for (int i = 0; i < 180; i++)
        step(house, -20);
    assert_near(soc_charge_Ah(&house->soc), 120, 0.5);
    assert_near(soc_consumed_Ah(&house->soc), -160, 0.5);
    assert_near(soc_pct(&house->soc), true_pct(house), 0.2);
}

static void learn_then_live_lean(struct house *house)
{
    live(house, 60, INFINITY);
    forget_errors(house);
    live(house, 60, 0.8 * INSTALLED_AH);
    if (house->worst_pct > 3 || house->sum_pct / house->steps > 1.5)
        fail_msg("worst %.1f %%, mean %.1f %%", house->worst_pct, house->sum_pct / house->steps);
    assert_true(soc_uncertainty_pct(&house->soc) > 1);
}

static void it_learns_the_offset_of_the_sensor_and_then_holds_without_a_full_charge(void **state)
{
    struct house *house = *state;

    house->offset_A = 0.3;
    house->gain = 0.01;
    learn_then_live_lean(house);
}

static void an_offset_of_the_other_sign_is_learned_too(void **state)
{
    struct house *house = *state;

    house->offset_A = -0.3;
    house->gain = -0.01;
    learn_then_live_lean(house);
}

static void a_lossy_battery_is_learned_too(void **state)
{
    struct house *house = *state;

    house->efficiency = 0.995;
    live(house, 60, INFINITY);
    forget_errors(house);
    live(house, 30, 0.8 * INSTALLED_AH);
    assert_true(house->worst_pct < 3);
}

static void full_needs_voltage_and_a_tail_that_lasts(void **state)
{
    struct house *house = *state;

    house->in.installed_Ah = INSTALLED_AH;
    house->in.at_top = true; /* the charger pushes: high voltage, much current */
    for (int i = 0; i < 600; i++) {
        house->in.time_s += 1;
        house->in.current_A = 60;
        assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    }
    for (int i = 0; i < 50; i++) { /* the tail, but for 50 s only */
        house->in.time_s += 1;
        house->in.current_A = 5;
        assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    }
    house->in.at_top = false;
    for (int i = 0; i < 30; i++) {
        house->in.time_s += 1;
        soc_step(&house->soc, &house->in);
    }
    house->in.at_top = true;
    house->in.time_s += 1;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    assert_true(soc_pct(&house->soc) < 70);
}

static void at_a_full_anchor_it_is_100_and_says_so_once(void **state)
{
    struct house *house = *state;
    int said = 0;

    house->in.at_top = true;
    house->in.current_A = 5;
    for (int i = 0; i < 1000; i++) {
        house->in.time_s += 1;
        said += soc_step(&house->soc, &house->in) != CHARGE_EVENT_NONE;
    }
    assert_int_equal(said, 1);
    assert_true(soc_pct(&house->soc) == 100);
    assert_true(house->soc.before_pct == 100);
    assert_true(soc_uncertainty_pct(&house->soc) < 2);
}

static void without_an_anchor_the_uncertainty_grows(void **state)
{
    struct house *house = *state;
    double before_pct = soc_uncertainty_pct(&house->soc);

    live(house, 5, 0.8 * INSTALLED_AH);
    assert_true(soc_uncertainty_pct(&house->soc) > before_pct + 5);
}

static void empty_teaches_the_usable_capacity(void **state)
{
    struct house *house = *state;

    live(house, 20, INFINITY);
    while (house->true_Ah < INSTALLED_AH - 0.5)
        step(house, 30);
    for (int i = 0; i < 100; i++)
        step(house, 0.1);
    while (house->true_Ah > 0.1 * INSTALLED_AH) /* it is empty sooner than its name plate says */
        step(house, -28);
    house->in.at_bottom = true;
    for (int i = 0; i < 4; i++)
        step(house, -1);
    assert_int_equal(house->event, CHARGE_EVENT_EMPTY);
    assert_near(house->soc.learned.usable, 0.92, 0.03);
    assert_near(soc_pct(&house->soc), 0, 0.01);
}

static void a_long_rest_at_the_steep_end_corrects_and_on_the_flat_part_does_not(void **state)
{
    struct house *house = *state;

    house->in.lfp = true;
    house->in.cell_V = 3.30;
    for (int i = 0; i < 200; i++)
        step(house, 0);
    assert_near(soc_pct(&house->soc), 50, 0.2);
    house->in.cell_V = 3.05; /* nearly empty */
    for (int i = 0; i < 200; i++)
        step(house, 0);
    assert_true(soc_pct(&house->soc) < 20);
    assert_int_equal(house->event, CHARGE_EVENT_REST);
}

static void an_anchor_out_of_the_world_teaches_nothing(void **state)
{
    struct house *house = *state;
    struct soc_learned before;

    live(house, 30, INFINITY);
    before = house->soc.learned;
    house->true_Ah -= 120; /* somebody charged with a car's cable, past the sensor */
    live(house, 2, INFINITY);
    assert_near(house->soc.learned.offset_A, before.offset_A, 0.05);
    assert_near(house->soc.learned.efficiency, before.efficiency, 0.005);
}

static void a_full_charge_to_another_target_teaches_nothing(void **state)
{
    struct house *house = *state;
    struct soc_learned before;

    live(house, 30, INFINITY);
    before = house->soc.learned;
    house->in.cell_V = 3.32; /* the month's target is higher now, */
    house->true_Ah -= 0.5;   /* and so much more goes in */
    live(house, 1, INFINITY);
    assert_near(house->soc.learned.offset_A, before.offset_A, 1e-9);
    live(house, 10, INFINITY); /* from then on it is the same one */
    assert_true(house->soc.learned.var_offset < before.var_offset);
}

static void cells_far_apart_teach_less(void **state)
{
    struct house *house = *state, *uneven;
    void *other;

    setup(&other);
    uneven = other;
    uneven->in.difference_V = 0.1;
    live(house, 5, INFINITY);
    live(uneven, 5, INFINITY);
    assert_true(uneven->soc.learned.var_offset > 2 * house->soc.learned.var_offset);
    teardown(&other);
}

static void a_gap_is_not_counted_and_told(void **state)
{
    struct house *house = *state;

    step(house, -20);
    house->in.time_s += 1000;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_GAP);
    assert_near(house->soc.gap_s, 1000, 1e-6);
    assert_near(soc_charge_Ah(&house->soc), 140, 0.2);
}

static void a_bank_that_grows_keeps_its_soc(void **state)
{
    struct house *house = *state;
    double before_pct;

    step(house, -1);
    before_pct = soc_pct(&house->soc);
    house->in.installed_Ah = 2 * INSTALLED_AH;
    step(house, -1);
    assert_near(soc_pct(&house->soc), before_pct, 0.01);
    assert_near(soc_charge_Ah(&house->soc), 280, 0.5);
}

static void what_was_learned_goes_on_after_a_restart(void **state)
{
    struct house *house = *state;
    struct soc_learned kept;
    double charge_Ah;

    house->offset_A = 0.3;
    live(house, 60, INFINITY);
    kept = house->soc.learned;
    charge_Ah = soc_charge_Ah(&house->soc);
    soc_init(&house->soc, 0.98);
    assert_true(soc_restore(&house->soc, &kept));
    soc_begin(&house->soc, charge_Ah, INSTALLED_AH, NAN);
    forget_errors(house);
    live(house, 30, 0.8 * INSTALLED_AH);
    assert_true(house->worst_pct < 3);
}

static void nonsense_is_not_restored(void **state)
{
    struct house *house = *state;
    const struct soc_learned good = {0.1, 0.99, 1, 0.01, 1e-4, 0, 1e-3, 4};
    struct soc_learned bad[19];

    assert_true(soc_restore(&house->soc, &good));
    for (int i = 0; i < 19; i++)
        bad[i] = good;
    bad[0].offset_A = NAN;
    bad[1].efficiency = 0.5;
    bad[2].usable = 3;
    bad[3].var_offset = -1;
    bad[4].var_efficiency = NAN;
    bad[5].cov_offset_efficiency = 1;
    bad[6].var_usable = 0;
    bad[7].var_missing = INFINITY;
    bad[8].efficiency = 1.01;
    bad[9].usable = 0.1;
    bad[10].offset_A = INFINITY;
    bad[11].var_offset = INFINITY;
    bad[12].var_efficiency = 2;
    bad[13].var_efficiency = 0;
    bad[14].var_usable = 2;
    bad[15].var_missing = 0;
    bad[16].efficiency = NAN;
    bad[17].usable = NAN;
    bad[18].cov_offset_efficiency = NAN;
    for (int i = 0; i < 19; i++)
        assert_false(soc_restore(&house->soc, &bad[i]));
}

static void hostile_inputs_leave_it_sane(void **state)
{
    static const double currents[] = {NAN, INFINITY, -INFINITY, 1e9, -1e9, 0, 5, -5};
    struct house *house = *state;

    for (int i = 0; i < 20000; i++) {
        house->in.time_s += (i % 7) - 1;
        house->in.current_A = i % 3 ? 5 : fmin(fmax(currents[i % 8], -5000), 5000);
        house->in.at_top = i % 5 == 0;
        house->in.at_bottom = i % 11 == 0;
        house->in.installed_Ah = i % 13 ? INSTALLED_AH : i % 2 ? NAN : 1;
        house->in.cell_V = i % 4 ? 3.3 : NAN;
        soc_step(&house->soc, &house->in);
        assert_true(soc_pct(&house->soc) >= 0 && soc_pct(&house->soc) <= 100);
        assert_true(isfinite(soc_uncertainty_pct(&house->soc)));
    }
}

/* Nobody told how sure the charge is: then it is hardly known at all. */
static void a_beginning_of_unknown_uncertainty_is_uncertain(void **state)
{
    struct house *house = *state;

    soc_init(&house->soc, 0.98);
    soc_begin(&house->soc, 140, INSTALLED_AH, NAN);
    assert_near(soc_charge_Ah(&house->soc), 140, 1e-9);
    assert_true(soc_uncertainty_pct(&house->soc) > 10);
}

static void before_it_begins_it_knows_nothing_and_counts_nothing(void **state)
{
    struct house *house = *state;

    soc_init(&house->soc, 0.98);
    step(house, 10);
    house->in.time_s += 10000;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    assert_true(isnan(soc_pct(&house->soc)) && isnan(soc_charge_Ah(&house->soc)));
    assert_true(isnan(soc_consumed_Ah(&house->soc)));
}

static void without_a_measurement_or_with_time_that_runs_back_nothing_is_counted(void **state)
{
    struct house *house = *state;
    double before_Ah;

    step(house, 10);
    before_Ah = soc_charge_Ah(&house->soc);
    house->in.time_s += 20;
    house->in.current_A = NAN;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    house->in.current_A = 10;
    house->in.time_s = NAN;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    house->in.time_s = 1;
    assert_int_equal(soc_step(&house->soc, &house->in), CHARGE_EVENT_NONE);
    assert_near(soc_charge_Ah(&house->soc), before_Ah, 1e-9);
}

/* A cell that is empty while the counter says half full: the counter was wrong, not the battery small. */
static void an_empty_out_of_the_world_sets_the_soc_and_teaches_nothing(void **state)
{
    struct house *house = *state;
    double usable;

    live(house, 30, INFINITY); /* it is sure of itself now */
    house->soc.missing_Ah = 0.2 * INSTALLED_AH;
    usable = house->soc.learned.usable;
    house->in.at_bottom = true;
    house->event = CHARGE_EVENT_NONE;
    for (int i = 0; i < 5; i++)
        step(house, -5);
    assert_int_equal(house->event, CHARGE_EVENT_OUTLIER);
    assert_near(soc_pct(&house->soc), 0, 0.5);
    assert_near(house->soc.learned.usable, usable, 1e-9);
    house->event = CHARGE_EVENT_NONE;
    for (int i = 0; i < 10; i++) /* once, until it has left the bottom */
        step(house, -0.1);
    assert_int_equal(house->event, CHARGE_EVENT_NONE);
    house->in.at_bottom = false;
    step(house, 20);
    house->in.at_bottom = true;
    for (int i = 0; i < 5; i++)
        step(house, -5);
    assert_int_not_equal(house->event, CHARGE_EVENT_NONE);
}

/* A cell at 2 V or 3.6 V after an hour of rest is none of which the curve tells. */
static void a_rest_off_the_curve_corrects_nothing(void **state)
{
    static const double cells_V[] = {2.0, 3.6, NAN};
    struct house *house = *state;

    house->in.lfp = true;
    house->soc.learned.offset_A = 0;
    for (size_t i = 0; i < sizeof cells_V / sizeof *cells_V; i++) {
        house->event = CHARGE_EVENT_NONE;
        house->in.cell_V = cells_V[i];
        for (int k = 0; k < 3 * 3600 / 20; k++)
            step(house, 0);
        assert_int_equal(house->event, CHARGE_EVENT_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_counts_what_goes_in_and_out),
        TEST(it_learns_the_offset_of_the_sensor_and_then_holds_without_a_full_charge),
        TEST(an_offset_of_the_other_sign_is_learned_too),
        TEST(a_lossy_battery_is_learned_too),
        TEST(full_needs_voltage_and_a_tail_that_lasts),
        TEST(at_a_full_anchor_it_is_100_and_says_so_once),
        TEST(without_an_anchor_the_uncertainty_grows),
        TEST(empty_teaches_the_usable_capacity),
        TEST(a_long_rest_at_the_steep_end_corrects_and_on_the_flat_part_does_not),
        TEST(an_anchor_out_of_the_world_teaches_nothing),
        TEST(a_full_charge_to_another_target_teaches_nothing),
        TEST(cells_far_apart_teach_less),
        TEST(a_gap_is_not_counted_and_told),
        TEST(a_bank_that_grows_keeps_its_soc),
        TEST(what_was_learned_goes_on_after_a_restart),
        TEST(nonsense_is_not_restored),
        TEST(hostile_inputs_leave_it_sane),
        TEST(a_beginning_of_unknown_uncertainty_is_uncertain),
        TEST(before_it_begins_it_knows_nothing_and_counts_nothing),
        TEST(without_a_measurement_or_with_time_that_runs_back_nothing_is_counted),
        TEST(an_empty_out_of_the_world_sets_the_soc_and_teaches_nothing),
        TEST(a_rest_off_the_curve_corrects_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
