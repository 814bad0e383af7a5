/* core/feed_in: the guard over DC feed-in, which pays its debt whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/feed_in.h"

/* The guard and a settings service that does as it is told, or not. */
struct site {
    struct feed_in guard;
    struct feed_in_input in;
    struct feed_in_output out;
    bool refuses;
    size_t writes;
};

static int setup(void **state)
{
    struct site *site = test_calloc(1, sizeof *site);

    feed_in_init(&site->guard, false, 0);
    site->in = (struct feed_in_input){.setting = 1, .cells_calm = true, .balanced = true, .min_hold_s = 60};
    *state = site;
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

static void step(struct site *site, double dt_s)
{
    site->in.time_s += dt_s;
    feed_in_step(&site->guard, &site->in, &site->out);
    site->writes += site->out.action != FEED_IN_NOTHING;
    if (!site->refuses && site->out.action == FEED_IN_WRITE_0)
        site->in.setting = 0;
    if (!site->refuses && site->out.action == FEED_IN_WRITE_1)
        site->in.setting = 1;
}

static void run(struct site *site, int seconds)
{
    for (int i = 0; i < seconds; i++)
        step(site, 1);
}

static void peak(struct site *site, bool peaking)
{
    site->in.danger = peaking;
    site->in.cells_calm = !peaking;
    site->in.balanced = !peaking;
}

static bool is_returned(const struct site *site)
{
    return site->guard.state != FEED_IN_HOLDING && site->in.setting == 1;
}

static void without_danger_the_setting_is_the_users(void **state)
{
    struct site *site = *state;

    run(site, 100);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
    assert_int_equal(site->writes, 0);
}

static void a_peak_turns_feed_in_off_at_once_and_the_debt_is_stored_with_it(void **state)
{
    struct site *site = *state;

    step(site, 1);
    peak(site, true);
    step(site, 1);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    assert_int_equal(site->out.action, FEED_IN_WRITE_0);
    assert_true(site->guard.debt);
    assert_true(site->out.store);
}

static void what_the_user_had_off_stays_off(void **state)
{
    struct site *site = *state;

    site->in.setting = 0;
    peak(site, true);
    run(site, 100);
    peak(site, false);
    run(site, 10000);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
    assert_int_equal(site->writes, 0);
}

static void the_debt_is_paid_after_the_hold_when_cells_stayed_calm(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 10);
    peak(site, false);
    run(site, 59);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 3);
    assert_true(is_returned(site));
    run(site, 1 + (int)FEED_IN_SURE_S);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
    assert_false(site->guard.debt);
}

/* localsettings has it on flash two seconds after it reads so: a power cut in between must find the debt. */
static void the_debt_stands_until_the_setting_has_read_1_for_a_while(void **state)
{
    struct site *site = *state;
    bool stored = false;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 61);
    assert_true(is_returned(site));
    for (int s = 0; s < (int)FEED_IN_SURE_S - 1; s++) {
        run(site, 1);
        assert_true(site->guard.debt);
    }
    for (int s = 0; s < 4; s++) {
        run(site, 1);
        stored = stored || (site->out.store && !site->guard.debt);
    }
    assert_true(stored);
    assert_int_equal(site->writes, 2);
}

static void a_settings_service_that_restarts_and_has_forgotten_is_told_again(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 62);
    assert_true(is_returned(site));
    site->in.setting = NAN;
    run(site, 2);
    site->in.setting = 0;
    run(site, 2);
    assert_true(site->in.setting == 1);
    assert_true(site->guard.debt);
}

static void settings_that_were_away_are_told_at_once_however_often_they_were_told_before(void **state)
{
    struct site *site = *state;

    site->refuses = true;
    peak(site, true);
    run(site, 130); /* pauses of a minute by now */
    site->in.setting = NAN;
    run(site, 2);
    site->in.setting = 1;
    site->refuses = false;
    run(site, 1);
    assert_true(site->in.setting == 0);
}

static void a_hand_that_turns_it_off_after_the_return_has_its_way(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 63);
    assert_true(is_returned(site));
    site->in.setting = 0;
    run(site, 100);
    assert_true(site->in.setting == 0);
    assert_false(site->guard.debt);
}

static void a_peak_while_the_settings_are_away_begins_the_wait_anew(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 5);
    peak(site, false);
    run(site, 59);
    site->in.setting = NAN;
    peak(site, true);
    run(site, 30);
    peak(site, false);
    run(site, 1);
    site->in.setting = 0;
    run(site, 50);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 15);
    assert_true(is_returned(site));
}

static void a_peak_while_it_is_returned_to_settings_that_are_away_holds_again(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    site->refuses = true;
    run(site, 62);
    assert_int_equal(site->guard.state, FEED_IN_RETURNING);
    site->refuses = false;
    site->in.setting = NAN;
    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 1);
    site->in.setting = 0;
    run(site, 20);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
}

static void cells_that_are_not_seen_are_neither_calm_nor_returned_to(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 50);
    site->in.unseen = true;
    run(site, 1000);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    site->in.unseen = false;
    run(site, 5);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 10);
    assert_true(is_returned(site));
}

static void a_cell_that_is_not_calm_begins_the_wait_anew(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 10);
    peak(site, false);
    run(site, 50);
    site->in.cells_calm = false;
    run(site, 1);
    site->in.cells_calm = true;
    run(site, 58);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 4);
    assert_true(is_returned(site));
}

static void a_pack_that_blocks_keeps_it_off(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    site->in.charge_blocked = true;
    run(site, 1000);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
}

static void a_peak_soon_after_a_return_doubles_the_hold_up_to_an_hour(void **state)
{
    struct site *site = *state;
    double expected_s = 60;

    for (int round = 0; round < 9; round++) {
        peak(site, true);
        run(site, 1);
        assert_true(site->guard.hold_s == fmin(expected_s, 3600));
        peak(site, false);
        run(site, (int)fmin(expected_s, 3600) + 3);
        assert_true(is_returned(site));
        expected_s *= 2;
    }
}

static void a_peak_long_after_a_return_is_held_as_the_first(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 63);
    run(site, 3601);
    peak(site, true);
    run(site, 1);
    assert_true(site->guard.hold_s == 60);
}

static void balanced_waits_for_even_cells_and_pays_whenever_they_are(void **state)
{
    struct site *site = *state;

    site->in.rule = FEED_IN_RETURN_BALANCED;
    peak(site, true);
    run(site, 1);
    site->in.danger = false;
    site->in.cells_calm = true;
    run(site, 5000); /* the peak is over, the cells are not even yet */
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    site->in.balanced = true;
    run(site, 2);
    assert_true(is_returned(site));
}

static void a_refused_write_is_tried_again_with_growing_pauses_and_an_alarm(void **state)
{
    struct site *site = *state;

    site->refuses = true;
    peak(site, true);
    run(site, 1);
    assert_false(site->out.alarm);
    run(site, 9);
    assert_true(site->out.alarm);
    run(site, 590);
    assert_in_range(site->writes, 8, 20);
    site->refuses = false;
    run(site, 61);
    assert_true(site->in.setting == 0);
    assert_false(site->out.alarm);
}

static void a_hand_that_turns_it_on_meanwhile_is_overruled_and_told_once(void **state)
{
    struct site *site = *state;
    size_t told = 0;

    peak(site, true);
    run(site, 5);
    site->in.setting = 1;
    for (int i = 0; i < 5; i++) {
        step(site, 1);
        told += site->out.overruled;
    }
    assert_int_equal(told, 1);
    assert_true(site->in.setting == 0);
}

static void a_return_that_is_refused_is_tried_until_it_is_read_back(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    site->refuses = true;
    run(site, 100);
    assert_int_equal(site->guard.state, FEED_IN_RETURNING);
    assert_true(site->guard.debt);
    site->refuses = false;
    run(site, 61);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
}

static void a_peak_while_returning_holds_again(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    peak(site, false);
    site->refuses = true;
    run(site, 70);
    assert_int_equal(site->guard.state, FEED_IN_RETURNING);
    site->refuses = false;
    peak(site, true);
    run(site, 1);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    assert_true(site->in.setting == 0);
}

static void a_restart_keeps_the_debt_and_the_time_already_held(void **state)
{
    struct site *site = *state;

    feed_in_init(&site->guard, true, 58);
    site->in.setting = 0;
    run(site, 2);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 3);
    assert_true(is_returned(site));
    assert_true(site->in.setting == 1);
}

static void a_restart_into_a_peak_goes_on_holding(void **state)
{
    struct site *site = *state;

    feed_in_init(&site->guard, true, 5000);
    site->in.setting = 0;
    peak(site, true);
    run(site, 10);
    peak(site, false);
    run(site, 50);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    run(site, 15);
    assert_true(is_returned(site));
}

static void without_a_settings_service_it_rests_and_the_debt_stands(void **state)
{
    struct site *site = *state;

    peak(site, true);
    run(site, 1);
    site->in.setting = NAN;
    peak(site, false);
    run(site, 1000);
    assert_true(site->guard.debt);
    site->in.setting = 0;
    run(site, 65);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
    assert_true(site->in.setting == 1);
}

static void a_hold_of_0_returns_as_soon_as_the_cells_are_calm(void **state)
{
    struct site *site = *state;

    site->in.min_hold_s = 0;
    peak(site, true);
    run(site, 1);
    peak(site, false);
    run(site, 2);
    assert_true(is_returned(site));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- a settings service that hangs: it reads as before, and does what it was told when it wakes up ---- */

struct hung {
    double queue[64];
    size_t count;
};

static void step_hung(struct site *site, struct hung *hung, int seconds)
{
    for (int i = 0; i < seconds; i++) {
        site->in.time_s += seconds > 1;
        site->in.silent = i >= 3 || site->in.silent;
        feed_in_step(&site->guard, &site->in, &site->out);
        if (site->out.action == FEED_IN_NOTHING)
            continue;
        assert_true(hung->count < sizeof hung->queue / sizeof *hung->queue);
        hung->queue[hung->count++] = site->out.action == FEED_IN_WRITE_1 ? 1 : 0;
    }
}

/* All its values come before we know that it answers again; what that makes us write is done after them. */
static void wake_up(struct site *site, struct hung *hung)
{
    for (size_t i = 0; i < hung->count; i++) {
        site->in.setting = hung->queue[i];
        step_hung(site, hung, 1);
        assert_false(site->out.overruled);
    }
    site->in.silent = false;
}

static void what_a_service_that_hangs_never_did_is_not_taken_for_returned(void **state)
{
    struct site *site = *state;
    struct hung hung = {.count = 0};

    peak(site, true);
    step_hung(site, &hung, 10);
    assert_true(site->out.alarm);
    peak(site, false);
    step_hung(site, &hung, 120);
    assert_int_equal(site->guard.state, FEED_IN_RETURNING);
    assert_true(site->guard.debt);
    assert_true(site->out.alarm);
    assert_true(hung.queue[hung.count - 1] == 1);
    wake_up(site, &hung);
    run(site, 10);
    assert_int_equal(site->guard.state, FEED_IN_FREE);
    assert_false(site->guard.debt);
    assert_true(site->in.setting == 1);
}

static void a_service_that_wakes_up_in_danger_ends_with_feed_in_off(void **state)
{
    struct site *site = *state;
    struct hung hung = {.count = 0};

    peak(site, true);
    run(site, 10);
    peak(site, false);
    site->refuses = true;
    while (site->guard.state != FEED_IN_RETURNING)
        step(site, 1);
    hung.queue[hung.count++] = 1; /* and there it hangs, and reads 0 */
    step_hung(site, &hung, 10);
    peak(site, true);
    step_hung(site, &hung, 10);
    assert_int_equal(site->guard.state, FEED_IN_HOLDING);
    assert_true(hung.queue[hung.count - 1] == 0);
    wake_up(site, &hung);
    assert_true(site->in.setting == 0);
    site->refuses = false;
    peak(site, false);
    run(site, 600);
    assert_true(site->in.setting == 1);
    assert_false(site->guard.debt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_danger_the_setting_is_the_users),
        TEST(a_peak_turns_feed_in_off_at_once_and_the_debt_is_stored_with_it),
        TEST(what_the_user_had_off_stays_off),
        TEST(the_debt_is_paid_after_the_hold_when_cells_stayed_calm),
        TEST(the_debt_stands_until_the_setting_has_read_1_for_a_while),
        TEST(a_settings_service_that_restarts_and_has_forgotten_is_told_again),
        TEST(settings_that_were_away_are_told_at_once_however_often_they_were_told_before),
        TEST(a_hand_that_turns_it_off_after_the_return_has_its_way),
        TEST(a_peak_while_the_settings_are_away_begins_the_wait_anew),
        TEST(a_peak_while_it_is_returned_to_settings_that_are_away_holds_again),
        TEST(cells_that_are_not_seen_are_neither_calm_nor_returned_to),
        TEST(what_a_service_that_hangs_never_did_is_not_taken_for_returned),
        TEST(a_service_that_wakes_up_in_danger_ends_with_feed_in_off),
        TEST(a_cell_that_is_not_calm_begins_the_wait_anew),
        TEST(a_pack_that_blocks_keeps_it_off),
        TEST(a_peak_soon_after_a_return_doubles_the_hold_up_to_an_hour),
        TEST(a_peak_long_after_a_return_is_held_as_the_first),
        TEST(balanced_waits_for_even_cells_and_pays_whenever_they_are),
        TEST(a_refused_write_is_tried_again_with_growing_pauses_and_an_alarm),
        TEST(a_hand_that_turns_it_on_meanwhile_is_overruled_and_told_once),
        TEST(a_return_that_is_refused_is_tried_until_it_is_read_back),
        TEST(a_peak_while_returning_holds_again),
        TEST(a_restart_keeps_the_debt_and_the_time_already_held),
        TEST(a_restart_into_a_peak_goes_on_holding),
        TEST(without_a_settings_service_it_rests_and_the_debt_stands),
        TEST(a_hold_of_0_returns_as_soon_as_the_cells_are_calm),
    };

    return cmocka_run_group_tests_name("feed_in", tests, NULL, NULL);
}
