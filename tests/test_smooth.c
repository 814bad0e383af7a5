/* The smooth CVL, in a small world: one pack of 16 cells whose first one is 3 % smaller, and a charger that
 * needs its time to follow. The cells are those of the plant. */
#include "fixture.h"

#include <stdio.h>

#include "core/smooth.h"
#include "sim/chance.h"
#include "sim/plant.h"

enum { CELLS = 16, HOURS = 6 };

#define LIMIT_V 3.45
#define TARGET_V 55.2
#define RESISTANCE_OHM 0.00025
#define WIRING_OHM 0.001

struct house {
    double charge_Ah[CELLS], capacity_Ah[CELLS], polarisation_V[CELLS];
    double charger_A, sun_A, exported_A;
    double cvl_V;
    struct smooth smooth;
    uint64_t random;
    /* What it is like. */
    double lag_s, noise_V;
    bool feed_in; /* the charger runs over CVL, and the grid takes the surplus a little late */
    bool clouds;
    /* What was seen. */
    double highest_V;
    int turns; /* of CVL */
    double charged_Ah;
    double current_A;
    int last_move;
};

static void house_init(struct house *house, double sun_A, double lag_s)
{
    memset(house, 0, sizeof *house);
    house->random = 12345;
    house->sun_A = sun_A;
    house->lag_s = lag_s;
    house->noise_V = 0.001;
    house->cvl_V = TARGET_V;
    smooth_init(&house->smooth);
    for (int i = 0; i < CELLS; i++) {
        house->capacity_Ah[i] = i == 0 ? 280 * 0.97 : 280 * (1 + 0.003 * chance_normal(&house->random));
        house->charge_Ah[i] = 280 * 0.97 * 0.90 + 0.3 * chance_normal(&house->random);
    }
}

static double cell_emf_V(const struct house *house, int cell)
{
    return plant_ocv_V(house->charge_Ah[cell] / house->capacity_Ah[cell]) + house->polarisation_V[cell];
}

static double bank_emf_V(const struct house *house)
{
    double sum_V = 0;

    for (int i = 0; i < CELLS; i++)
        sum_V += cell_emf_V(house, i);
    return sum_V;
}

static void charge(struct house *house, int second)
{
    double ohm = CELLS * RESISTANCE_OHM + WIRING_OHM;
    double emf_V = bank_emf_V(house);
    double sun_A = house->clouds && second / 97 % 2 ? 0.3 * house->sun_A : house->sun_A;
    double wanted_A = (house->cvl_V * (house->feed_in ? 1 + 0.4 / 48 : 1) - emf_V) / ohm;

    wanted_A = fmin(fmax(wanted_A, 0), sun_A);
    house->charger_A = wanted_A + (house->charger_A - wanted_A) * exp(-1 / house->lag_s);
    house->charger_A = fmin(house->charger_A, sun_A);
    if (house->feed_in) {
        double surplus_A = fmax(0, house->charger_A - (house->cvl_V - emf_V) / ohm);

        house->exported_A =
            fmin(surplus_A + (house->exported_A - surplus_A) * exp(-1 / 2.5), house->charger_A);
    }
    house->current_A = house->charger_A - house->exported_A;
    house->charged_Ah += house->current_A / 3600;
}

/* What the BMS shows, in whole millivolts; the cells go on to the next second. */
static void measure(struct house *house, struct smooth_input *in)
{
    double sum_V = 0;

    in->highest_V = 0;
    for (int i = 0; i < CELLS; i++) {
        double true_V = cell_emf_V(house, i) + house->current_A * RESISTANCE_OHM;
        double shown_V = round((true_V + house->noise_V * chance_normal(&house->random)) * 1000) / 1000;

        sum_V += shown_V;
        in->highest_V = fmax(in->highest_V, shown_V);
        house->highest_V = fmax(house->highest_V, true_V);
        house->charge_Ah[i] += house->current_A / 3600;
        house->polarisation_V[i] =
            house->current_A * RESISTANCE_OHM +
            (house->polarisation_V[i] - house->current_A * RESISTANCE_OHM) * exp(-1.0 / 120);
    }
    in->spread_V = in->highest_V - sum_V / CELLS;
}

static void publish(struct house *house, double cvl_V)
{
    double shown_V = floor(cvl_V * 100 + 1e-6) / 100;
    int move = (shown_V > house->cvl_V) - (shown_V < house->cvl_V);

    if (move && house->last_move && move != house->last_move)
        house->turns++;
    if (move)
        house->last_move = move;
    house->cvl_V = shown_V;
}

static void live(struct house *house, int hours)
{
    struct smooth_input in = {.cells = CELLS, .target_V = TARGET_V, .limit_V = LIMIT_V};

    for (int second = 0; second < hours * 3600; second++) {
        charge(house, second);
        measure(house, &in);
        in.time_s = second;
        publish(house, smooth_step(&house->smooth, &in));
    }
}

static void the_weak_cell_stays_under_its_limit_whatever_charger_and_sun_are_like(void **state)
{
    (void)state;
    for (int world = 0; world < 3 * 3 * 2 * 2; world++) {
        struct house house;

        house_init(&house, (double[]){20, 60, 120}[world % 3], (double[]){5, 10, 15}[world / 3 % 3]);
        house.feed_in = world / 9 % 2;
        house.clouds = world / 18;
        live(&house, HOURS);
        if (house.highest_V > LIMIT_V + 0.001)
            fail_msg("%.4f V with %.0f A, %.0f s%s%s", house.highest_V, house.sun_A, house.lag_s,
                     house.feed_in ? ", feed-in" : "", house.clouds ? ", clouds" : "");
        if (house.turns > 3 * HOURS)
            fail_msg("%d turns with %.0f A, %.0f s%s%s", house.turns, house.sun_A, house.lag_s,
                     house.feed_in ? ", feed-in" : "", house.clouds ? ", clouds" : "");
        assert_true(house.charged_Ah > 27); /* it is 28 until the weak cell is full */
    }
}

static void noise_does_not_make_it_hunt(void **state)
{
    struct house house;

    (void)state;
    house_init(&house, 60, 10);
    house.noise_V = 0.004;
    live(&house, HOURS);
    assert_in_range(house.turns, 1, 6 * HOURS);
    assert_true(house.highest_V < LIMIT_V + 0.005);
}

/* ---- step by step ---- */

static struct smooth smooth;
static struct smooth_input in;

static int setup(void **state)
{
    (void)state;
    smooth_init(&smooth);
    in = (struct smooth_input){.time_s = 100,
                               .highest_V = 3.30,
                               .spread_V = 0.005,
                               .cells = CELLS,
                               .target_V = TARGET_V,
                               .limit_V = LIMIT_V};
    return 0;
}

static double steps(int seconds)
{
    double voltage_V = NAN;

    for (int i = 0; i < seconds; i++) {
        in.time_s += 1;
        voltage_V = smooth_step(&smooth, &in);
    }
    return voltage_V;
}

static void far_from_the_limit_the_target_holds(void **state)
{
    (void)state;
    in.spread_V = 0.08; /* cells differ most where they are nearly empty */
    assert_true(steps(100) == TARGET_V);
    assert_false(smooth.limiting);
}

static void it_is_never_above_the_target(void **state)
{
    (void)state;
    in.highest_V = 3.44;
    in.spread_V = 0;
    in.target_V = 52;
    assert_true(steps(100) == 52);
    in.target_V = 51;
    assert_true(steps(1) == 51);
}

static void a_gross_peak_takes_it_under_what_the_bank_has_but_not_far(void **state)
{
    double voltage_V;

    (void)state;
    steps(10);
    in.highest_V = 3.60;
    in.spread_V = 0.25;
    voltage_V = steps(10);
    assert_true(voltage_V < CELLS * 3.35);
    assert_true(voltage_V > CELLS * (3.35 - 0.031));
}

static void it_comes_down_at_once_and_up_late_and_slowly(void **state)
{
    double low_V;

    (void)state;
    in.highest_V = 3.446;
    in.spread_V = 0.050;
    low_V = steps(30);
    assert_near(low_V, CELLS * (3.446 - 0.050), 0.05);
    in.spread_V = 0.030;
    assert_true(steps(20) == low_V);
    assert_true(steps(200) > low_V + 0.1);
    in.spread_V = 0.050;
    low_V = steps(30);
    in.spread_V = 0.030;
    assert_true(steps(1500) == low_V); /* the second turn upwards within the half hour must wait */
    assert_true(steps(600) > low_V);
}

static void while_feed_in_is_held_off_the_cells_become_calm(void **state)
{
    (void)state;
    in.highest_V = 3.446;
    in.spread_V = 0.020;
    in.holding = true;
    assert_true(steps(60) <= CELLS * (3.45 - 0.011 - 0.020));
}

static void what_went_over_teaches_a_larger_margin(void **state)
{
    double before_V;

    (void)state;
    in.highest_V = 3.446;
    in.spread_V = 0.020;
    steps(60);
    before_V = smooth.margin_V;
    in.highest_V = 3.456;
    steps(20);
    assert_near(smooth.margin_V, before_V + 0.006, 0.0015);
    in.highest_V = 3.446;
    steps(3600);
    assert_near(smooth.margin_V, before_V + 0.006, 0.0015);
}

static void an_unknown_spread_never_raises_it(void **state)
{
    double before_V;

    (void)state;
    in.highest_V = 3.446;
    in.spread_V = 0.050;
    before_V = steps(60);
    in.spread_V = NAN;
    assert_true(steps(600) <= before_V);
}

static void a_target_that_is_unknown_when_it_begins_to_limit_is_waited_for(void **state)
{
    (void)state;
    smooth_init(&smooth);
    in = (struct smooth_input){
        .highest_V = 3.44, .spread_V = 0.01, .cells = 16, .target_V = NAN, .limit_V = LIMIT_V};
    for (int s = 0; s < 5; s++) {
        in.time_s = s;
        assert_true(isnan(smooth_step(&smooth, &in)));
    }
    in.target_V = TARGET_V;
    in.time_s = 6;
    assert_true(smooth_step(&smooth, &in) <= TARGET_V);
    assert_true(smooth.limiting);
    in.target_V = NAN; /* what it was stands */
    in.time_s = 7;
    assert_near(smooth_step(&smooth, &in), smooth.voltage_V, 0);
    smooth.voltage_V = NAN; /* however it came in */
    in.target_V = TARGET_V;
    in.time_s = 8;
    assert_true(smooth_step(&smooth, &in) <= TARGET_V);
}

static void time_that_stands_or_runs_backwards_does_no_harm(void **state)
{
    (void)state;
    in.highest_V = 3.446;
    steps(10);
    assert_true(isfinite(smooth_step(&smooth, &in)));
    in.time_s = 5;
    assert_true(isfinite(smooth_step(&smooth, &in)));
    in.time_s = 1e9;
    assert_true(isfinite(smooth_step(&smooth, &in)));
}

/* A pack whose sum was 0 V for a moment: its cells seemed 3.4 V over their mean. */
static void a_spread_that_was_nonsense_for_a_moment_costs_no_hours(void **state)
{
    (void)state;
    in.highest_V = 3.446;
    steps(60);
    in.spread_V = 3.4;
    steps(20);
    in.spread_V = 0.01;
    steps(20);
    assert_true(smooth_step(&smooth, &in) >= in.cells * (3.446 - 0.01 - 0.131));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_weak_cell_stays_under_its_limit_whatever_charger_and_sun_are_like),
        cmocka_unit_test(noise_does_not_make_it_hunt),
        cmocka_unit_test_setup(far_from_the_limit_the_target_holds, setup),
        cmocka_unit_test_setup(it_is_never_above_the_target, setup),
        cmocka_unit_test_setup(a_gross_peak_takes_it_under_what_the_bank_has_but_not_far, setup),
        cmocka_unit_test_setup(it_comes_down_at_once_and_up_late_and_slowly, setup),
        cmocka_unit_test_setup(while_feed_in_is_held_off_the_cells_become_calm, setup),
        cmocka_unit_test_setup(what_went_over_teaches_a_larger_margin, setup),
        cmocka_unit_test_setup(an_unknown_spread_never_raises_it, setup),
        cmocka_unit_test_setup(a_spread_that_was_nonsense_for_a_moment_costs_no_hours, setup),
        cmocka_unit_test_setup(time_that_stands_or_runs_backwards_does_no_harm, setup),
        cmocka_unit_test_setup(a_target_that_is_unknown_when_it_begins_to_limit_is_waited_for, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
