/* core/balancing: the month's target and the cycle that evens the cells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/balancing.h"

#define DAY 86400.0

/* A bank of 22 LTO cells: 2.40 V a cell in summer, balancing at 2.50 V: 52.8 and 55.0 V. */
struct bank {
    struct config config;
    struct balancing balancing;
    struct balancing_input in;
    struct balancing_target out;
};

static int setup(void **state)
{
    struct bank *bank = test_calloc(1, sizeof *bank);

    for (int month = 0; month < 12; month++)
        bank->config.charge_voltage_V[month] = month == 0 ? 2.45 : 2.40;
    bank->config.charge_voltage_V[11] = 2.50;
    bank->config.balancing_voltage_V = 2.50;
    bank->config.balancing_repetition_days = 10;
    bank->config.cell_diff_max_V = 0.015;
    balancing_init(&bank->balancing);
    bank->balancing.age_days = 0;
    bank->balancing.last_success_day = bank->balancing.seen_day = calendar_day(2026, 6, 1);
    bank->in = (struct balancing_input){
        .today = {true, calendar_day(2026, 6, 1), 6}, .voltage_V = 50, .cell_diff_V = 0.1, .cells = 22};
    *state = bank;
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

/* Time and date go on together. */
static void on(struct bank *bank, double days)
{
    long before = (long)floor(bank->in.time_s / DAY);

    bank->in.time_s += days * DAY;
    bank->in.today.day += (long)floor(bank->in.time_s / DAY) - before;
    balancing_step(&bank->balancing, &bank->config, &bank->in, &bank->out);
}

static void step(struct bank *bank, double voltage_V, double diff_V)
{
    bank->in.voltage_V = voltage_V;
    bank->in.cell_diff_V = diff_V;
    on(bank, 0.001);
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-9;
}

static void the_target_is_the_months(void **state)
{
    struct bank *bank = *state;

    step(bank, 50, 0.1);
    assert_true(near(bank->out.voltage_V, 52.8));
    assert_string_equal(bank->out.reason, "Monthly target (June)");
    bank->in.today.month = 1;
    step(bank, 50, 0.1);
    assert_true(near(bank->out.voltage_V, 53.9));
}

static void a_cycle_begins_when_the_days_are_over_and_not_before(void **state)
{
    struct bank *bank = *state;

    on(bank, 0);
    on(bank, 9.9);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    on(bank, 0.2);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
    assert_true(near(bank->out.voltage_V, 55.0));
    assert_true(bank->out.changed);
}

static void a_bank_that_was_never_balanced_begins_at_once(void **state)
{
    struct bank *bank = *state;

    balancing_init(&bank->balancing);
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
}

static void a_cycle_ends_with_even_cells_and_is_held_until_the_bank_has_sunk(void **state)
{
    struct bank *bank = *state;

    on(bank, 11);
    step(bank, 55.0, 0.027);
    assert_string_equal(bank->out.reason, "Balancing: raising, 12 mV to go");
    step(bank, 54.99, 0.010);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
    step(bank, 55.0, 0.015);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
    step(bank, 55.0, 0.014);
    assert_int_equal(bank->balancing.state, BALANCING_HOLDING);
    assert_true(bank->out.succeeded);
    assert_true(near(bank->out.voltage_V, 55.0));
    step(bank, 52.81, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_HOLDING);
    step(bank, 52.8, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    assert_int_equal(bank->balancing.last_success_day, bank->in.today.day);
    assert_true(near(bank->out.voltage_V, 52.8));
}

static void no_success_today_goes_on_tomorrow(void **state)
{
    struct bank *bank = *state;

    on(bank, 11);
    for (int day = 0; day < 40; day++) {
        on(bank, 1);
        assert_int_equal(bank->balancing.state, BALANCING_RAISING);
    }
}

static void unknown_cells_are_not_even(void **state)
{
    struct bank *bank = *state;

    on(bank, 11);
    step(bank, 55.0, NAN);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
    step(bank, NAN, 0.001);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
}

static void a_month_as_high_as_balancing_has_no_cycle_but_notes_success_once_a_day(void **state)
{
    struct bank *bank = *state;

    bank->in.today.month = 12;
    on(bank, 11);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    step(bank, 55.0, 0.01);
    assert_true(bank->out.succeeded);
    step(bank, 55.0, 0.01);
    assert_false(bank->out.succeeded);
    on(bank, 1.01);
    assert_true(bank->out.succeeded);
}

static void a_clock_that_jumps_neither_causes_a_cycle_nor_loses_one(void **state)
{
    struct bank *bank = *state;

    on(bank, 5);
    bank->in.today.day += 20 * 365;
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    bank->in.today.day -= 40 * 365;
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    on(bank, 5);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
}

static void without_a_clock_the_lowest_target_holds_and_no_cycle_begins(void **state)
{
    struct bank *bank = *state;

    bank->in.today = (struct calendar){false, 0, 12};
    bank->in.time_s += 100 * DAY;
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    assert_true(near(bank->out.voltage_V, 52.8));
}

static void days_that_passed_while_we_were_off_count_once(void **state)
{
    struct bank *bank = *state;

    bank->in.today.day = calendar_day(2026, 6, 10);
    bank->in.time_s = 5e6; /* the monotonic clock of another boot */
    step(bank, 50, 0.1);
    assert_true(fabs(bank->balancing.age_days - 9) < 0.01);
    step(bank, 50, 0.1);
    assert_true(fabs(bank->balancing.age_days - 9) < 0.01);
}

static void decades_that_passed_while_we_were_off_are_a_jump_of_the_clock(void **state)
{
    struct bank *bank = *state;

    bank->in.today.day = calendar_day(2046, 6, 10);
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    assert_true(bank->balancing.age_days < 0.01);
}

static void it_works_across_new_year(void **state)
{
    struct bank *bank = *state;

    bank->balancing.seen_day = bank->balancing.last_success_day = calendar_day(2027, 12, 28);
    bank->in.today = (struct calendar){true, calendar_day(2028, 1, 6), 1};
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    on(bank, 1.1);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void a_day_of_the_year_becomes_a_date_when_today_is_known(void **state)
{
    struct bank *bank = *state;

    balancing_init(&bank->balancing);
    bank->balancing.day_of_year = 365;
    bank->in.today.trusted = false;
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.last_success_day, CALENDAR_NONE);
    bank->in.today = (struct calendar){true, calendar_day(2027, 1, 5), 1};
    step(bank, 50, 0.1);
    assert_int_equal(bank->balancing.last_success_day, calendar_day(2026, 12, 31));
    assert_true(fabs(bank->balancing.age_days - 5) < 0.01);
    assert_int_equal(bank->balancing.state, BALANCING_IDLE);
    on(bank, 5.1);
    assert_int_equal(bank->balancing.state, BALANCING_RAISING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_target_is_the_months),
        TEST(a_cycle_begins_when_the_days_are_over_and_not_before),
        TEST(a_bank_that_was_never_balanced_begins_at_once),
        TEST(a_cycle_ends_with_even_cells_and_is_held_until_the_bank_has_sunk),
        TEST(no_success_today_goes_on_tomorrow),
        TEST(unknown_cells_are_not_even),
        TEST(a_month_as_high_as_balancing_has_no_cycle_but_notes_success_once_a_day),
        TEST(a_clock_that_jumps_neither_causes_a_cycle_nor_loses_one),
        TEST(without_a_clock_the_lowest_target_holds_and_no_cycle_begins),
        TEST(days_that_passed_while_we_were_off_count_once),
        TEST(decades_that_passed_while_we_were_off_are_a_jump_of_the_clock),
        TEST(it_works_across_new_year),
        TEST(a_day_of_the_year_becomes_a_date_when_today_is_known),
    };

    return cmocka_run_group_tests_name("balancing", tests, NULL, NULL);
}
