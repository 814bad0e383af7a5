/* Beginning and end: the charge that survives, settings that are wrong, the log that stays readable. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define BATTERY(name) "com.victronenergy.battery." name

static double saved_charge(struct harness *h)
{
    char *text = harness_data_read(h, "charge");
    double charge = text ? strtod(text, NULL) : NAN;

    free(text);
    return charge;
}

static void sigterm_saves_the_charge_and_releases_the_name(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "40\n");
    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3600.0");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\nCHARGE_SAVE_PRECISION = 0.1\n");
    harness_await_aggregate(h);
    harness_await_number(h, "/Soc", 41, 0.7); /* counts 1 Ah a second */
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    assert_true(saved_charge(h) > 40.2);
    assert_true(saved_charge(h) < 60);
}

static void the_counter_goes_on_after_a_restart(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "20\n");
    harness_pack_add(h, "ttyUSB0", "");
    for (int round = 0; round < 2; round++) {
        harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
        harness_await_aggregate(h);
        harness_await_exactly(h, "/Soc", 20);
        harness_await_exactly(h, "/ConsumedAmphours", -80);
        harness_await_exactly(h, "/Capacity", 20);
        assert_int_equal(harness_daemon_stop(h, round ? SIGINT : SIGTERM), 0);
        harness_await_name(h, HARNESS_AGGREGATE, false);
    }
    assert_true(fabs(saved_charge(h) - 20) < 0.01);
}

static void a_killed_daemon_has_saved_what_moved_by_the_precision(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "40\n");
    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3600.0");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\nCHARGE_SAVE_PRECISION = 0.0025\n");
    harness_await_aggregate(h);
    harness_await_number(h, "/Soc", 43, 1); /* what was counted before the last step has been saved */
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    assert_true(saved_charge(h) > 40.2);
}

/* Starts with this in the file and expects to begin from the pack's 50 %. */
static void expect_begin_from_the_pack(struct harness *h, const char *content)
{
    if (content)
        harness_data_write(h, "charge", content);
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    assert_true(harness_lowest_seen(h, "/Soc") > 49);
}

static void a_missing_charge_file_begins_from_the_packs(void **state)
{
    expect_begin_from_the_pack(*state, NULL);
}

static void a_spoilt_charge_file_begins_from_the_packs_and_says_so(void **state)
{
    expect_begin_from_the_pack(*state, "4\xb5garbage\n");
    harness_await_log(*state, "charge");
}

static void an_empty_charge_file_begins_from_the_packs_and_says_so(void **state)
{
    expect_begin_from_the_pack(*state, "");
    harness_await_log(*state, "charge");
}

static void a_charge_of_nan_begins_from_the_packs(void **state)
{
    expect_begin_from_the_pack(*state, "nan\n");
}

static void a_negative_charge_begins_from_the_packs(void **state)
{
    expect_begin_from_the_pack(*state, "-1\n");
}

static void a_charge_beyond_the_capacity_is_full_and_no_more(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "5000\n");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 100);
}

static void the_counter_begins_with_the_whole_bank_not_with_its_first_pack(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "150\n");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 2\n");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_await_log(h, "1 of 2");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 75);
}

static void a_charge_written_by_hand_is_that_of_all_packs_also_where_nobody_said_how_many(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "150\n");
    harness_daemon_start(h, "OWN_SOC = True\n");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_await_aggregate(h);
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_await_exactly(h, "/Soc", 75);
}

static void without_a_saved_charge_the_counter_begins_from_all_packs(void **state)
{
    struct harness *h = *state;

    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 2\n");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 20");
    harness_await_log(h, "1 of 2");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 80, '/InstalledCapacity': 300");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 65); /* (20 * 100 + 80 * 300) / 400 */
}

static void a_pack_that_is_away_for_a_moment_does_not_move_the_counter(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "150\n");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 75);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/Soc", 75);
    harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB1") "'}");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 75);
    harness_await_exactly(h, "/Capacity", 150);
}

static void soc_is_never_0_for_want_of_data(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': null, '/InstalledCapacity': null");
    harness_daemon_start(h, NULL);
    harness_await_log(h, "lacks");
    harness_pack_set(h, "ttyUSB0", "'/Soc': 80"); /* the capacity comes later */
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 80);
    harness_pack_set(h, "ttyUSB0", "'/InstalledCapacity': 100");
    harness_await_exactly(h, "/InstalledCapacity", 100);
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': null");
    harness_pack_set(h, "ttyUSB1", "'/Soc': 60");
    harness_await_exactly(h, "/Soc", 70);
    harness_pack_set(h, "ttyUSB0", "'/Soc': null, '/Dc/0/Temperature': 3.5");
    harness_pack_set(h, "ttyUSB1", "'/Soc': null, '/Dc/0/Temperature': 3.5");
    harness_await_exactly(h, "/Dc/0/Temperature", 3.5);
    harness_pack_remove(h, "ttyUSB0");
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    assert_true(harness_lowest_seen(h, "/Soc") >= 60);
}

static void with_wrong_settings_it_does_not_start_and_says_all_that_is_wrong(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "[DEFAULT]\nMAX_CELL_VOLTAGE = 34\nNR_OF_BATERIES = 2\nOWN_SOC = perhaps\n");
    assert_int_equal(harness_daemon_await_end(h), 1);
    assert_true(harness_log_count(h, "MAX_CELL_VOLTAGE") >= 1);
    assert_true(harness_log_count(h, ":2:") >= 1);
    assert_true(harness_log_count(h, "34") >= 1);
    assert_true(harness_log_count(h, ":3:") >= 1);
    assert_true(harness_log_count(h, "NR_OF_BATTERIES") >= 1); /* the nearest real key */
    assert_true(harness_log_count(h, ":4:") >= 1);
    assert_true(harness_log_count(h, "perhaps") >= 1);
    assert_string_equal(harness_owner(h), "");
}

static void a_user_s_ini_of_the_python_service_works_unchanged(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_daemon_start(h, "[DEFAULT]\n"
                            "NR_OF_BATTERIES = 2 ; two of them\n"
                            "NR_OF_CELLS_PER_BATTERY = 16\n"
                            "BATTERY_PRODUCT_NAME_PATH = /ProductName\n"
                            "BATTERY_PRODUCT_NAME = SerialBattery\n"
                            "BATTERY_INSTANCE_NAME_PATH = /Serial\n"
                            "USE_SMARTSHUNTS = False\n"
                            "CURRENT_FROM_VICTRON = false\n"
                            "SEARCH_TRIALS = 10\n"
                            "READ_TRIALS = 10\n"
                            "CHARGE_VOLTAGE_LIST = [3.45, 3.45, 3.45, 3.45, 3.40, 3.40, ; spring\n"
                            "    3.40, 3.40, 3.45, 3.45, 3.45, 3.45,]\n"
                            "LOGGING = INFO\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
}

static void whatever_is_wrong_no_line_repeats_every_second(void **state)
{
    struct harness *h = *state;
    char line[512];

    harness_peer(h, "{'cmd': 'hang', 'service': '" BATTERY("hanging") "'}");
    harness_peer(h, "{'cmd': 'add', 'service': '" HARNESS_AGGREGATE "', 'like': 'pack'}");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': '', '/Dc/0/Temperature': 6553.5");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': '', '/Dc/0/Current': NaN");
    harness_pack_add(h, "ttyUSB2", "'/DeviceInstance': 2, '/CustomName': '', '/Alarms/HighVoltage': 2");
    harness_daemon_start(h, "CURRENT_FROM_VICTRON = True\nNR_OF_BATTERIES = 3\n");
    for (int i = 0; i < 10; i++) {
        harness_watch(h, 0.4);
        harness_pack_set(h, "ttyUSB0",
                         i % 2 ? "'/Dc/0/Temperature': 6553.5, '/Info/MaxChargeCurrent': 101"
                               : "'/Dc/0/Temperature': -3000, '/Info/MaxChargeCurrent': 99");
    }
    if (harness_log_worst(h, line, sizeof line) > 2)
        harness_fail(h, __FILE__, __LINE__, "repeated: %s", line);
}

static void settings_that_are_read_again_act_without_leaving_the_bus(void **state)
{
    struct harness *h = *state;
    char owner[64];

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "MAX_CHARGE_CURRENT = 50\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    harness_daemon_reload(h, "MAX_CHARGE_CURRENT = 20\nSEND_CELL_VOLTAGES = True\n");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 20);
    assert_string_equal(harness_owner(h), owner);
}

static void settings_that_are_wrong_when_read_again_change_nothing(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "MAX_CHARGE_CURRENT = 50\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
    harness_daemon_reload(h, "MAX_CHARGE_CURRENT = much\n");
    harness_await_log(h, "the old settings stay");
    harness_daemon_sync(h);
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 50);
}

/* An editor writes another file and renames it: the moment in between is no wish for the defaults. */
static void settings_that_are_gone_when_they_are_read_again_stay_as_they_were(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start_at_home(h, "MAX_CHARGE_CURRENT = 30\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 30);
    assert_int_equal(harness_shell(h, "rm \"$DATA/settings.ini\"", &said), 0);
    free(said);
    harness_signal(h, SIGHUP);
    harness_await_log(h, "the old settings stay");
    harness_pack_set(h, "ttyUSB0", "'/Soc': 44");
    harness_await_exactly(h, "/Soc", 44);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 30);
    harness_daemon_reload(h, "MAX_CHARGE_CURRENT = 40\n");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(settings_that_are_gone_when_they_are_read_again_stay_as_they_were),
        harness_test(settings_that_are_read_again_act_without_leaving_the_bus),
        harness_test(settings_that_are_wrong_when_read_again_change_nothing),
        harness_test(sigterm_saves_the_charge_and_releases_the_name),
        harness_test(the_counter_goes_on_after_a_restart),
        harness_test(a_killed_daemon_has_saved_what_moved_by_the_precision),
        harness_test(a_missing_charge_file_begins_from_the_packs),
        harness_test(a_spoilt_charge_file_begins_from_the_packs_and_says_so),
        harness_test(an_empty_charge_file_begins_from_the_packs_and_says_so),
        harness_test(a_charge_of_nan_begins_from_the_packs),
        harness_test(a_negative_charge_begins_from_the_packs),
        harness_test(a_charge_beyond_the_capacity_is_full_and_no_more),
        harness_test(the_counter_begins_with_the_whole_bank_not_with_its_first_pack),
        harness_test(a_charge_written_by_hand_is_that_of_all_packs_also_where_nobody_said_how_many),
        harness_test(without_a_saved_charge_the_counter_begins_from_all_packs),
        harness_test(a_pack_that_is_away_for_a_moment_does_not_move_the_counter),
        harness_test(soc_is_never_0_for_want_of_data),
        harness_test(with_wrong_settings_it_does_not_start_and_says_all_that_is_wrong),
        harness_test(a_user_s_ini_of_the_python_service_works_unchanged),
        harness_test(whatever_is_wrong_no_line_repeats_every_second),
    };

    return harness_run(tests);
}
