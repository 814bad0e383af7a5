/* core/resistance: what steps of a pack's own current tell of it. Numbers are worked out by hand. */
#include "packs.h"

#include "core/resistance.h"

#include <stdio.h>

static struct packs packs;
static struct resistance list[RESISTANCE_PACKS_MAX];
static double now_s;

/* 100 Ah, 16 cells, 53 V at rest. */
static int setup(void **state)
{
    (void)state;
    packs_init(&packs);
    memset(list, 0, sizeof list);
    now_s = 100;
    packs.pack[0].reading.capacity_installed_Ah = 100;
    packs.pack[0].reading.cells_in_series = 16;
    return 0;
}

static const struct resistance *live(double seconds, double current_A, double voltage_V)
{
    struct resistance *resistance = resistance_of(list, "A", 0);

    packs.pack[0].reading.current_A = current_A;
    packs.pack[0].reading.voltage_V = voltage_V;
    for (double s = 0; s < seconds; s++)
        resistance_step(resistance, &packs.pack[0], now_s += 1);
    return resistance;
}

/* To 40 A and back; ohm is what the voltage makes of it. */
static const struct resistance *step_by(double ohm)
{
    live(30, 0, 53);
    return live(30, 40, 53 + 40 * ohm);
}

static void a_step_tells_voltage_over_current_and_how_certain_that_is(void **state)
{
    const struct resistance *resistance = live(30, 0, 53);

    (void)state;
    assert_true(isnan(resistance->ohm) && isnan(resistance->deviation_ohm));
    live(30, 40, 53.4);
    assert_near(resistance->ohm, 0.010, 1e-9);               /* 0.4 V by 40 A */
    assert_near(resistance->deviation_ohm, 0.0010308, 1e-6); /* 0.01 V by 40 A, and a tenth of it */
    live(30, 0, 53);
    assert_near(resistance->ohm, 0.010, 1e-9);
    /* before: 1.0625 + 0.04, of the step: 1.0625, together 0.5411 (mOhm squared) */
    assert_near(resistance->deviation_ohm, 0.0007356, 1e-6);
    assert_int_equal(resistance->steps, 2);
}

static void a_slow_change_and_a_small_one_are_no_steps(void **state)
{
    const struct resistance *resistance = live(30, 0, 53);

    (void)state;
    live(30, 4, 53.04); /* 4 % of the capacity */
    for (int i = 0; i < 60; i++)
        live(3, 4 + i * 0.5, 53 + i * 0.005);
    assert_int_equal(resistance->steps, 0);
}

static void what_cannot_be_is_not_believed_however_often(void **state)
{
    const struct resistance *resistance = NULL;

    (void)state;
    for (int i = 0; i < 10; i++) {
        live(30, 0, 53);
        resistance = live(30, 40, 52.8); /* it falls while it is charged */
    }
    assert_int_equal(resistance->steps, 0);
    for (int i = 0; i < 10; i++)
        resistance = step_by(0.6); /* 0.6 x 100 / 16 = 3.75 Ohm Ah in each cell */
    assert_int_equal(resistance->steps, 0);
}

static void an_outlier_is_rejected_and_believed_when_it_stays(void **state)
{
    const struct resistance *resistance;

    (void)state;
    step_by(0.010);
    resistance = step_by(0.010);
    assert_near(resistance->ohm, 0.010, 1e-9);
    live(30, 0, 52.2); /* as if it were 30 mOhm */
    assert_near(resistance->ohm, 0.010, 1e-9);
    live(30, 40, 52.6);
    assert_near(resistance->ohm, 0.010, 1e-9);
    for (int i = 0; i < 2; i++) {
        resistance = step_by(0.030);
        live(30, 0, 53);
    }
    assert_near(resistance->ohm, 0.010, 1e-9); /* three in a row, with the way back */
    step_by(0.030);
    resistance = live(30, 0, 53);
    assert_near(resistance->ohm, 0.030, 1e-6); /* somebody has changed its lugs */
}

static void a_gap_or_a_value_that_falls_silent_is_no_step(void **state)
{
    const struct resistance *resistance = live(30, 0, 53);

    (void)state;
    live(3, NAN, NAN);
    now_s += 200;
    live(30, 40, 53.4);
    assert_int_equal(resistance->steps, 0);
    live(30, 0, 53);
    assert_int_equal(resistance->steps, 1);
    now_s += 60;     /* we were busy */
    live(1, 40, 53); /* and nobody says that this is steady */
    live(30, 40, 53.4);
    assert_int_equal(resistance->steps, 2);
    assert_near(resistance->ohm, 0.010, 1e-9);
}

static void each_pack_keeps_its_own_wherever_it_stands(void **state)
{
    (void)state;
    step_by(0.010);
    assert_ptr_equal(resistance_of(list, "A", 5), &list[0]);
    assert_ptr_equal(resistance_of(list, "B", 0), &list[1]);
    assert_ptr_equal(resistance_find(list, "B"), &list[1]);
    assert_null(resistance_find(list, "C"));
    assert_near(resistance_find(list, "A")->ohm, 0.010, 1e-9);
    for (int i = 0; i < 100; i++) {
        char name[8];

        snprintf(name, sizeof name, "N%d", i);
        assert_string_equal(resistance_of(list, name, 3)->name, name);
    }
    assert_true(isnan(list[3].ohm)); /* no place was left: the last of them has that */
    assert_near(resistance_find(list, "A")->ohm, 0.010, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_step_tells_voltage_over_current_and_how_certain_that_is, setup),
        cmocka_unit_test_setup(a_slow_change_and_a_small_one_are_no_steps, setup),
        cmocka_unit_test_setup(what_cannot_be_is_not_believed_however_often, setup),
        cmocka_unit_test_setup(an_outlier_is_rejected_and_believed_when_it_stays, setup),
        cmocka_unit_test_setup(a_gap_or_a_value_that_falls_silent_is_no_step, setup),
        cmocka_unit_test_setup(each_pack_keeps_its_own_wherever_it_stands, setup),
    };

    return cmocka_run_group_tests_name("resistance", tests, NULL, NULL);
}
