/* What a bus can do to a daemon: nonsense, crowds, helpers that hang or go, a disk that fails. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATTERY(name) "com.victronenergy.battery." name
#define RAW "{'cmd': 'raw', 'service': '" BATTERY("ttyUSB0") "', "

/* It still lives, still follows the pack, and nothing has touched the values. */
static void expect_sound(struct harness *h, double temperature)
{
    char items[64];

    snprintf(items, sizeof items, "'/Dc/0/Temperature': %g", temperature);
    harness_pack_set(h, "ttyUSB0", items);
    harness_await_exactly(h, "/Dc/0/Temperature", temperature);
    harness_await_exactly(h, "/Soc", 50);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    assert_int_equal(harness_changes_seen(h, "/Soc"), 1);
}

static void signals_of_the_wrong_shape_change_nothing(void **state)
{
    static const char *const signals[] = {
        "'path': '/', 'member': 'ItemsChanged', 'signature': '', 'args': []}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 's', 'args': ['/Soc']}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{sv}', 'args': [{'/Soc': 1}]}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{ss}', 'args': [{'/Soc': '1'}]}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{sa{ss}}', 'args': [{'/Soc': {'Value': "
        "'1'}}]}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{sa{sv}}', 'args': [{'/Soc': {'Text': "
        "'1%'}}]}",
        "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{sa{sv}}', 'args': [{'/Soc': {}, '': "
        "{'Value': 1}}]}",
        "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': '', 'args': []}",
        "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': 'i', 'args': [1]}",
        "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': 'a{ss}', 'args': [{'Value': '1'}]}",
        "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': 'a{sv}', 'args': [{'Text': '1%'}]}",
        "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': 'a{sv}', 'args': [{}]}",
        "'path': '/Soc/Deeper', 'member': 'PropertiesChanged', 'signature': 'a{sv}', 'args': [{'Value': 1}]}",
    };
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        harness_peer(h, "%s%s", RAW, signals[i]);
    expect_sound(h, 11.5);
}

static void a_service_that_answers_with_nonsense_is_passed_over(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'add', 'service': '" BATTERY(
                        "odd") "', 'style': 'odd', 'items': {'/DeviceInstance': 5}}");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_watch(h, 0.3);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    expect_sound(h, 12.5);
}

static void long_and_foreign_names_are_shown_as_far_as_they_fit(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_pack_add(
        h, "ttyUSB0",
        "'/DeviceInstance': 1, '/Serial': 'A1', '/CustomName': 'Südkeller / Reihe 2 – links oben, "
        "neben der Tür zum Öltank, Größe XXL, bitte nicht berühren äöüäöüäöüäöüäöüäöüäöü',"
        "'/System/MaxCellVoltage': 3.41, '/System/MaxVoltageCellId': 'C1'");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/Serial': 'B2', '/CustomName': 'ß\\\\\\u0001%s%n'");
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\nSEND_CELL_VOLTAGES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.41);
    assert_non_null(strstr(harness_string(h, "/System/MaxVoltageCellId"), "Südkeller"));
    assert_non_null(strstr(harness_string(h, "/System/MaxVoltageCellId"), ": C1"));
    /* whoever cuts inside a character is thrown off the bus: busctl would meet nobody */
    assert_int_equal(harness_shell(h,
                                   "busctl --address=$BUS call " HARNESS_AGGREGATE
                                   " / com.victronenergy.BusItem GetItems",
                                   &said),
                     0);
    free(said);
}

static void sixty_packs_are_one_bank(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 60; i++) {
        char name[16], items[64];

        snprintf(name, sizeof name, "pack%02d", i);
        snprintf(items, sizeof items, "'/DeviceInstance': %d, '/Dc/0/Current': 1.5", i + 1);
        harness_can_pack_add(h, name, items);
    }
    harness_daemon_start(h, "NR_OF_BATTERIES = 60\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 60);
    harness_await_exactly(h, "/Dc/0/Current", 90);
    harness_await_exactly(h, "/InstalledCapacity", 6000);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 6000);
}

static void a_settings_service_that_hangs_does_not_keep_us_off_the_bus(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'hang', 'service': '" HARNESS_SETTINGS "'}");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 99);
    expect_sound(h, 13.5);
}

static void a_settings_service_that_restarts_finds_our_settings_again(void **state)
{
    struct harness *h = *state;
    char owner[64];

    harness_settings_add(h, "");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0);
    harness_await_string(h, "/CustomName", "Cellar");
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    harness_peer(h, "{'cmd': 'remove', 'service': '" HARNESS_SETTINGS "'}");
    expect_sound(h, 14.5);
    harness_peer(h, "{'cmd': 'return', 'service': '" HARNESS_SETTINGS "'}");
    assert_int_equal(
        harness_set_text_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/CustomName", "Attic"),
        0);
    harness_await_string(h, "/CustomName", "Attic");
    expect_sound(h, 15.5);
    assert_string_equal(harness_owner(h), owner);
}

static void a_name_that_is_given_while_the_settings_are_away_stays(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0);
    harness_await_string(h, "/CustomName", "Cellar");
    harness_peer(h, "{'cmd': 'remove', 'service': '" HARNESS_SETTINGS "'}");
    harness_daemon_sync(h);
    assert_int_equal(harness_set_text(h, "/CustomName", "Barn"), 0);
    harness_await_string(h, "/CustomName", "Barn");
    harness_peer(h, "{'cmd': 'return', 'service': '" HARNESS_SETTINGS "'}");
    for (int i = 0; i < 400; i++) { /* until it has ours */
        const char *found =
            harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/CustomName");

        if (found && strcmp(found, "Barn") == 0)
            break;
        harness_watch(h, 0.05);
    }
    assert_string_equal(
        harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/CustomName"), "Barn");
    harness_daemon_sync(h);
    assert_string_equal(harness_string(h, "/CustomName"), "Barn");
    assert_int_equal(
        harness_set_text_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/CustomName", "Attic"),
        0);
    harness_await_string(h, "/CustomName", "Attic"); /* later names are taken as before */
}

static void another_device_behind_the_same_bus_name_is_another_pack(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Serial': 'A1', '/CustomName': 'Old', '/Soc': 40");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    harness_pack_remove(h, "ttyUSB0");
    harness_pack_add(h, "ttyUSB0",
                     "'/DeviceInstance': 1, '/Serial': 'B2', '/CustomName': 'New', '/Soc': 70,"
                     "'/InstalledCapacity': 300, '/Info/MaxChargeCurrent': 150");
    harness_await_exactly(h, "/Soc", 70);
    harness_await_exactly(h, "/InstalledCapacity", 300);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 150);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
}

static void a_pack_with_a_loose_cable_leaves_nothing_behind(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    for (int i = 0; i < 20; i++) {
        harness_pack_remove(h, "ttyUSB1");
        harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB1") "'}");
    }
    harness_pack_set(h, "ttyUSB1", "'/Soc': 70");
    harness_await_exactly(h, "/Soc", 60);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
}

static void sigterm_without_a_bus_still_saves_the_charge(void **state)
{
    struct harness *h = *state;
    char *charge;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    harness_bus_stop(h);
    harness_await_log(h, "The bus is gone");
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    charge = harness_data_read(h, "charge");
    assert_non_null(charge);
    assert_true(fabs(strtod(charge, NULL) - 50) < 0.1);
    free(charge);
}

static void a_disk_that_fails_is_said_once_and_the_bank_goes_on(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_data_write(h, "charge", "20\n");
    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3600.0, '/Alarms/InternalFailure': 0");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\nOWN_SOC = True\n");
    harness_await_aggregate(h);
    assert_int_equal(harness_shell(h, "rm -r \"$DATA\"", &said), 0);
    free(said);
    harness_await_log(h, "Cannot save");
    harness_await_exactly(h, "/Alarms/InternalFailure", 1);
    harness_await_number(h, "/Soc", 24, 1); /* several tries later */
    assert_int_equal(harness_log_count(h, "Cannot save"), 1);
    assert_int_equal(harness_shell(h, "mkdir \"$DATA\"", &said), 0);
    free(said);
    harness_await_log(h, "works again");
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    said = harness_data_read(h, "charge");
    assert_non_null(said);
    assert_true(strtod(said, NULL) > 23);
    free(said);
}

static void a_limit_that_cannot_be_is_an_alarm_while_it_lasts_and_loosens_nothing(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Alarms/InternalFailure': 0");
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    harness_pack_set(h, "ttyUSB0", "'/Info/MaxChargeCurrent': 6553500.0");
    harness_await_exactly(h, "/Alarms/InternalFailure", 1);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    harness_pack_set(h, "ttyUSB0", "'/Info/MaxChargeCurrent': 90.0");
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 90);
}

/* A reader that stops (its disk is full) must not stop us: our limits would stand on the bus for ever. */
static void a_log_that_nobody_reads_does_not_stop_us(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_log_clog(h);
    harness_pack_remove(h, "ttyUSB1");                             /* has to be said */
    harness_pack_set(h, "ttyUSB0", "'/Info/MaxChargeCurrent': 0"); /* this too */
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_log_unclog(h);
    harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB1") "'}");
    harness_await_log(h, "of the log are lost");
    harness_log_clog(h);
    harness_pack_remove(h, "ttyUSB1");
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
}

static void a_log_whose_reader_has_ended_takes_us_off_no_bus(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_daemon_start_on_socket(h, "");
    harness_await_aggregate(h);
    harness_await_log(h, "ttyUSB0");
    harness_log_close(h);
    for (int i = 0; i < 3; i++) {
        harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2"); /* each is said */
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
        harness_pack_set(h, "ttyUSB0", "'/Info/MaxChargeCurrent': 0");
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
        harness_pack_set(h, "ttyUSB0", "'/Info/MaxChargeCurrent': 100");
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
        harness_pack_remove(h, "ttyUSB1");
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    }
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
}

/* What is opened next would be their number, and the log would be written into the bus. */
static void standard_streams_that_are_closed_are_nobody_elses(void **state)
{
    static const char command[] =
        "${AGGREGATOR:-" BUILD_DIR "/battery-aggregator} --bus $BUS --data $DATA <&- >&- 2>&- & pid=$!;"
        "n=0; until [ $n = 200 ] || readlink /proc/$pid/fd/* | grep -q socket:; do n=$((n + 1)); sleep 0.05; "
        "done;"
        "readlink /proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2; kill $pid; wait $pid; echo status $?";
    struct harness *h = *state;
    char *said;

    harness_shell(h, command, &said);
    if (strcmp(said, "/dev/null\n/dev/null\n/dev/null\nstatus 0\n") != 0)
        fail_msg("it says: %s", said);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(signals_of_the_wrong_shape_change_nothing),
        harness_test(a_limit_that_cannot_be_is_an_alarm_while_it_lasts_and_loosens_nothing),
        harness_test(a_service_that_answers_with_nonsense_is_passed_over),
        harness_test(long_and_foreign_names_are_shown_as_far_as_they_fit),
        harness_test(sixty_packs_are_one_bank),
        harness_test(a_settings_service_that_hangs_does_not_keep_us_off_the_bus),
        harness_test(a_settings_service_that_restarts_finds_our_settings_again),
        harness_test(a_name_that_is_given_while_the_settings_are_away_stays),
        harness_test(another_device_behind_the_same_bus_name_is_another_pack),
        harness_test(a_pack_with_a_loose_cable_leaves_nothing_behind),
        harness_test(sigterm_without_a_bus_still_saves_the_charge),
        harness_test(a_log_that_nobody_reads_does_not_stop_us),
        harness_test(a_log_whose_reader_has_ended_takes_us_off_no_bus),
        harness_test(standard_streams_that_are_closed_are_nobody_elses),
        harness_test(a_disk_that_fails_is_said_once_and_the_bank_goes_on),
    };

    return harness_run(tests);
}
