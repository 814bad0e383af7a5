/* The daemon's own charge control on a real bus: limits that follow the cells, and DC feed-in that is
 * turned off over a peak and always returned. */
#include "own_control.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS OWN_CONTROL "FEED_IN_MIN_HOLD = 1\n"

static void start(struct harness *h, const char *feed_in)
{
    harness_settings_add(h, feed_in);
    harness_pack_add(h, "ttyUSB0", CALM);
    harness_daemon_start(h, SETTINGS);
    harness_await_aggregate(h);
}

static void limits_are_those_of_the_settings_not_of_the_packs(void **state)
{
    struct harness *h = *state;

    start(h, "");
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.04);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 200);
    assert_non_null(strstr(harness_string(h, "/Info/ChargeMode"), "target"));
}

static void a_peaking_cell_pulls_the_voltage_down_and_says_which_it_is(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", CALM);
    harness_daemon_start(h, SETTINGS "CVL_CONTROL = reference\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 54.45);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    assert_non_null(strstr(harness_string(h, "/Info/ChargeMode"), "Cell peak"));
    harness_pack_set(h, "ttyUSB0", CALM);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.04);
}

/* The smooth control knows what the bank has: CVL goes below it, so that charging ends, but not far. */
static void a_peaking_cell_ends_charging_without_emptying_the_bank(void **state)
{
    struct harness *h = *state;

    start(h, "");
    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_number(h, "/Info/MaxChargeVoltage", 54.26, 0.24);
    assert_non_null(strstr(harness_string(h, "/Info/ChargeMode"), "Cell peak: ttyUSB0"));
}

static void an_empty_cell_stops_discharging_until_it_has_recovered(void **state)
{
    struct harness *h = *state;

    start(h, "");
    harness_pack_set(h, "ttyUSB0", "'/Voltages/Cell3': 2.89, '/System/MinCellVoltage': 2.89");
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_pack_set(h, "ttyUSB0", "'/Voltages/Cell3': 3.00, '/System/MinCellVoltage': 3.00");
    harness_daemon_sync(h);
    harness_watch(h, 0.2);
    assert_true(harness_number(h, "/Info/MaxDischargeCurrent") == 0);
    harness_pack_set(h, "ttyUSB0", "'/Voltages/Cell3': 3.05, '/System/MinCellVoltage': 3.05");
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 105);
}

static void a_pack_that_blocks_charging_stops_it(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 1");
    harness_pack_set(h, "ttyUSB0", "'/Io/AllowToCharge': 0");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    assert_non_null(strstr(harness_string(h, "/Info/ChargeLimitation"), "blocks charging"));
    await_feed_in(h, "0"); /* it has the same effect on feed-in as a peak */
}

static void feed_in_is_off_while_a_cell_peaks_and_returned_when_it_is_calm(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 1");
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
}

static void feed_in_that_the_user_had_off_stays_off(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 0");
    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_pack_set(h, "ttyUSB0", CALM);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_watch(h, 1.5);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0");
}

static void a_debt_outlives_a_kill_and_is_paid_by_the_next_start(void **state)
{
    struct harness *h = *state;
    char *kept;

    start(h, "'" FEED_IN "': 1");
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    kept = harness_data_read(h, "state.ini");
    assert_non_null(kept);
    assert_non_null(strstr(kept, "feed_in_debt = 1"));
    free(kept);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_pack_set(h, "ttyUSB0", CALM);
    harness_daemon_start(h, SETTINGS);
    harness_await_aggregate(h);
    await_feed_in(h, "1");
}

static void the_log_tells_whether_a_cell_or_a_pack_turned_feed_in_off(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 1");
    harness_pack_set(h, "ttyUSB0", "'/CustomName': 'House', '/Io/AllowToCharge': 0");
    await_feed_in(h, "0");
    harness_await_log(h, "turned off to protect a cell (Pack \"House\" blocks charging), for at least");
}

static void a_hand_that_turns_feed_in_on_during_a_peak_is_overruled_and_told(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 1");
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    harness_await_log(h, "turned off to protect");
    harness_watch(h, 1.5); /* the 0 has been read back */
    harness_peer(h, "{'cmd': 'set', 'service': '" HARNESS_SETTINGS "', 'items': {'" FEED_IN "': 1}}");
    harness_await_log(h, "Somebody turned DC feed-in on");
    await_feed_in(h, "0");
}

static void without_a_settings_service_everything_else_works(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", PEAK);
    harness_daemon_start(h, SETTINGS);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_number(h, "/Info/MaxChargeVoltage", 54.26, 0.24);
}

static void merged_limits_leave_feed_in_alone_and_tell_that_it_takes_their_force(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", CALM);
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", "'/Io/AllowToCharge': 0");
    harness_await_log(h, "WARNING: CCL is 0.0 A (Pack \"ttyUSB0\" blocks charging), but DC feed-in is on");
    harness_pack_set(h, "ttyUSB0", "'/Soc': 55");
    harness_await_exactly(h, "/Soc", 55);
    assert_int_equal(harness_log_count(h, "but DC feed-in is on"), 1);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "1");
}

static void feed_in_goes_off_when_all_packs_are_lost(void **state)
{
    struct harness *h = *state;

    start(h, "'" FEED_IN "': 1");
    harness_pack_remove(h, "ttyUSB0");
    await_feed_in(h, "0");
    harness_await_log(h, "turned off to protect a cell (No pack is on the bus)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(limits_are_those_of_the_settings_not_of_the_packs),
        harness_test(a_peaking_cell_pulls_the_voltage_down_and_says_which_it_is),
        harness_test(a_peaking_cell_ends_charging_without_emptying_the_bank),
        harness_test(an_empty_cell_stops_discharging_until_it_has_recovered),
        harness_test(a_pack_that_blocks_charging_stops_it),
        harness_test(feed_in_is_off_while_a_cell_peaks_and_returned_when_it_is_calm),
        harness_test(feed_in_that_the_user_had_off_stays_off),
        harness_test(a_debt_outlives_a_kill_and_is_paid_by_the_next_start),
        harness_test(the_log_tells_whether_a_cell_or_a_pack_turned_feed_in_off),
        harness_test(a_hand_that_turns_feed_in_on_during_a_peak_is_overruled_and_told),
        harness_test(merged_limits_leave_feed_in_alone_and_tell_that_it_takes_their_force),
        harness_test(feed_in_goes_off_when_all_packs_are_lost),
        harness_test(without_a_settings_service_everything_else_works),
    };

    return cmocka_run_group_tests_name("daemon: control", tests, harness_group_setup, harness_group_teardown);
}
