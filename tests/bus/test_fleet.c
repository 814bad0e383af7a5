/* battery-fleet: simulated devices as real services, led by hand through its stdin; and the daemon
 * against them. */
#include "harness.h"

#include <dbus/dbus.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

static struct {
    pid_t pid;
    FILE *in, *out;
} fleet;

/* Starts it on the harness' bus and waits until all its services are there. */
static void fleet_start(struct harness *h, const char *options)
{
    char command[512];
    char line[64];
    int in[2], out[2];

    snprintf(command, sizeof command, "exec " BUILD_DIR "/battery-fleet --ready --bus %s %s",
             harness_address(h), options);
    assert_int_equal(pipe(in) | pipe(out), 0);
    fleet.pid = fork();
    if (fleet.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    fleet.in = fdopen(in[1], "w");
    fleet.out = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, fleet.out));
    assert_string_equal(line, "ready\n");
}

/* Says a command; its answer must begin so. */
static void say(const char *command, const char *answer)
{
    char line[512];

    fprintf(fleet.in, "%s\n", command);
    fflush(fleet.in);
    assert_non_null(fgets(line, sizeof line, fleet.out));
    if (strncmp(line, answer, strlen(answer)) != 0)
        fail_msg("%s was answered by %s", command, line);
}

static int fleet_end(void **state)
{
    int status;

    if (fleet.pid > 0) {
        kill(fleet.pid, SIGTERM);
        waitpid(fleet.pid, &status, 0);
        fclose(fleet.in);
        fclose(fleet.out);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        fleet.pid = 0;
    }
    return harness_test_teardown(state);
}

static double number_of(struct harness *h, const char *service, const char *path)
{
    const char *text = harness_get_of(h, service, path);

    return text && *text ? strtod(text, NULL) : (double)NAN;
}

/* Runs a shell command with $BUS; it must succeed and say this. */
static void expect_said(struct harness *h, const char *command, const char *expected)
{
    char *said;
    int status = harness_shell(h, command, &said);

    if (status != 0 || !strstr(said, expected))
        fail_msg("%s\nended with %d and said\n%s\ninstead of %s", command, status, said, expected);
    free(said);
}

#define ASK "dbus-send --bus=$BUS --print-reply --reply-timeout=1000 --dest=com.victronenergy."
#define VALUE " com.victronenergy.BusItem.GetValue"
#define GET(service, path) ASK service " " path VALUE

static void all_devices_are_there_when_it_says_ready(void **state)
{
    static const char *const listed[] = {"com.victronenergy.settings here\n",
                                         "com.victronenergy.system here\n",
                                         "com.victronenergy.battery.ttyUSB0 here\n",
                                         "com.victronenergy.battery.ttyUSB1 here\n",
                                         "com.victronenergy.vebus.ttyS4 here\n",
                                         "com.victronenergy.solarcharger.ttyS5 here\n",
                                         "com.victronenergy.solarcharger.ttyS6 here\n",
                                         "com.victronenergy.battery.ttyS20 here\n",
                                         "ok\n"};
    struct harness *h = *state;
    char line[512];

    fleet_start(h, "--packs 2 --mppts 2 --shunts 1 --quiet");
    fputs("list\n", fleet.in);
    fflush(fleet.in);
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        assert_non_null(fgets(line, sizeof line, fleet.out));
        assert_string_equal(line, listed[i]);
        *strrchr(line, listed[i][2] == '\n' ? '\n' : ' ') = '\0';
        if (i + 1 < sizeof listed / sizeof *listed) {
            harness_await_name(h, line, true);
            assert_false(isnan(number_of(h, line, i < 1 ? FEED_IN : i < 2 ? "/Dc/Pv/Power" : "/Connected")));
        }
    }
}

static void a_house_without_settings_and_system_has_neither(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 1 --mppts 0 --no-settings --no-system");
    say("list", "com.victronenergy.battery.ttyUSB0 here");
    harness_await_name(h, HARNESS_SETTINGS, false);
    harness_await_name(h, "com.victronenergy.system", false);
}

static void a_pack_looks_like_one_with_its_driver(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    assert_string_equal(harness_get_of(h, "com.victronenergy.battery.ttyUSB1", "/CustomName"), "House 2");
    assert_string_equal(harness_get_of(h, "com.victronenergy.battery.ttyUSB1", "/Serial"), "SIM00002");
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/ProductId") == 0xBA77);
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/Voltages/Cell16") > 3);
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/Info/MaxChargeVoltage") > 50);
    assert_true(number_of(h, "com.victronenergy.vebus.ttyS4", "/Connected") == 1);
    assert_true(number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current") >= 0);
    assert_true(number_of(h, HARNESS_SETTINGS, FEED_IN) == 1);
}

static void a_hand_may_set_any_value_and_give_it_back(void **state)
{
    struct harness *h = *state;
    static const char pack[] = "com.victronenergy.battery.ttyUSB0";

    fleet_start(h, "--packs 1");
    say("set pack 1 /Soc 12.5", "ok");
    assert_true(number_of(h, pack, "/Soc") == 12.5);
    say("set ttyUSB0 /Soc \"full\"", "ok");
    assert_string_equal(harness_get_of(h, pack, "/Soc"), "full");
    say("set pack 1 /Soc -", "ok");
    assert_string_equal(harness_get_of(h, pack, "/Soc"), "");
    say("set pack 1 /New/Path 7", "ok");
    assert_true(number_of(h, pack, "/New/Path") == 7);
    say("release pack 1 /Soc", "ok");
    for (int i = 0; i < 200 && isnan(number_of(h, pack, "/Soc")); i++)
        harness_watch(h, 0.05);
    assert_true(number_of(h, pack, "/Soc") > 50);
}

static void what_a_hand_sets_has_exactly_the_type_it_was_given(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 1 --cells 4 --quiet");
    say("set pack 1 /Soc 12.5", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Soc"), "double 12.5");
    say("set pack 1 /Soc \"12.5\"", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Soc"), "string \"12.5\"");
    say("set pack 1 /Connected \"yes\"", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Connected"), "string \"yes\"");
    say("release pack 1 /Connected", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Connected"), "int32 1"); /* what it was: nobody says it again */
    say("set pack 1 /Connected 0", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Connected"), "int32 0");
    say("set pack 1 /Serial 4.25", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Serial"), "double 4.25");
    say("set pack 1 /Serial \"\"", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Serial"), "string \"\"");
    say("set pack 1 /Serial -", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Serial"), "array [");
    say("release pack 1 /Serial", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Serial"), "string \"");
}

static DBusMessage *await_items_changed(DBusConnection *watcher)
{
    DBusMessage *message;

    for (;;) {
        while (!(message = dbus_connection_pop_message(watcher)))
            assert_true(dbus_connection_read_write(watcher, HARNESS_DEADLINE_S * 1000));
        if (dbus_message_is_signal(message, "com.victronenergy.BusItem", "ItemsChanged"))
            return message;
        dbus_message_unref(message);
    }
}

static void a_change_is_sent_as_one_signal_with_value_and_text(void **state)
{
    struct harness *h = *state;
    DBusConnection *watcher = dbus_connection_open_private(harness_address(h), NULL);
    DBusError error = DBUS_ERROR_INIT; /* given one, the match is in force on return */
    DBusMessage *message;
    DBusMessageIter args, list, item, dict, pair;
    const char *path, *key;

    assert_non_null(watcher);
    dbus_connection_set_exit_on_disconnect(watcher, FALSE);
    assert_true(dbus_bus_register(watcher, NULL));
    fleet_start(h, "--packs 1 --quiet --period 60000");
    dbus_bus_add_match(watcher,
                       "type='signal',interface='com.victronenergy.BusItem',path='/',member='ItemsChanged',"
                       "sender='com.victronenergy.battery.ttyUSB0'",
                       &error);
    assert_false(dbus_error_is_set(&error));
    say("set pack 1 /Soc 12.5", "ok");
    message = await_items_changed(watcher);
    assert_string_equal(dbus_message_get_signature(message), "a{sa{sv}}");
    dbus_message_iter_init(message, &args);
    dbus_message_iter_recurse(&args, &list);
    assert_int_equal(dbus_message_iter_get_element_count(&args), 1);
    dbus_message_iter_recurse(&list, &item);
    dbus_message_iter_get_basic(&item, &path);
    assert_string_equal(path, "/Soc");
    dbus_message_iter_next(&item);
    assert_int_equal(dbus_message_iter_get_element_count(&item), 2);
    dbus_message_iter_recurse(&item, &dict);
    for (int i = 0; i < 2; i++, dbus_message_iter_next(&dict)) {
        dbus_message_iter_recurse(&dict, &pair);
        dbus_message_iter_get_basic(&pair, &key);
        assert_string_equal(key, i ? "Text" : "Value");
    }
    dbus_message_unref(message);
    dbus_connection_close(watcher);
    dbus_connection_unref(watcher);
}

static void a_frozen_device_keeps_its_name_and_says_nothing_until_it_is_thawed(void **state)
{
    struct harness *h = *state;
    char *said;

    fleet_start(h, "--packs 1 --quiet");
    say("freeze pack 1", "ok");
    say("set pack 1 /Soc 12.5", "ok");
    harness_await_name(h, "com.victronenergy.battery.ttyUSB0", true);
    assert_int_not_equal(harness_shell(h, GET("battery.ttyUSB0", "/Soc"), &said), 0);
    assert_non_null(strstr(said, "NoReply"));
    free(said);
    expect_said(h, GET("vebus.ttyS4", "/Connected"), "int32 1"); /* the others speak */
    say("thaw pack 1", "ok");
    expect_said(h, GET("battery.ttyUSB0", "/Soc"), "double 12.5");
}

static void wrong_commands_are_answered_by_an_error(void **state)
{
    fleet_start(*state, "--packs 1 --quiet");
    say("jump", "error: no such command");
    say("remove pack 9", "error: no such device");
    say("set pack 1 /Soc 1x", "error: a value is");
    say("remove", "error: no such device");
    say("set pack 1 /Soc", "error: set WHO PATH VALUE");
    say("set pack 1 no_path 1", "error: no such path");
    say("sun", "error: sun takes a number");
    say("load abc", "error: load takes a number");
    say("hour 12h", "error: hour takes a number");
    say("load nan", "error: load takes a number");
    say("sun -1", "error: sun takes a number");
    say("sun 0.5", "ok");
    say("release pack 1 /None", "error: no such path");
    say("return pack 1", "error: com.victronenergy.battery.ttyUSB0 is here");
}

static void the_daemon_is_given_an_instance(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 1");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 99);
    assert_string_equal(
        harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/ClassAndVrmInstance"),
        "battery:99");
}

#define ADD_SETTING                                                                                   \
    "busctl --address=$BUS call com.victronenergy.settings / com.victronenergy.Settings AddSettings " \
    "'aa{sv}' 1 2 "
#define INSTANCE_OF(device) "/Settings/Devices/" device "/ClassAndVrmInstance"

static void the_settings_service_gives_unique_instances(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 1 --quiet");
    expect_said(h, ADD_SETTING "path s " INSTANCE_OF("other") " default s battery:99", "\"battery:99\"");
    expect_said(h, ADD_SETTING "path s " INSTANCE_OF("third") " default s battery:99", "\"battery:100\"");
    expect_said(h, ADD_SETTING "path s " INSTANCE_OF("pv") " default s solarcharger:99",
                "\"solarcharger:99\"");
    expect_said(h, ADD_SETTING "path s " INSTANCE_OF("third") " default s battery:7", "\"battery:100\"");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 101);
}

static void the_daemon_merges_the_fleet(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 3 --quiet");
    harness_daemon_start(h, "NR_OF_BATTERIES = 3\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 3);
    harness_await_exactly(h, "/InstalledCapacity", 840);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 420);
    say("set pack 2 /Info/MaxChargeCurrent 50", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 150);
}

static void a_pack_that_leaves_lowers_the_limits_and_raises_an_alarm_until_it_is_back(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    say("remove pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    say("return pack 2 as com.victronenergy.battery.ttyUSB7", "ok com.victronenergy.battery.ttyUSB7 is here");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    harness_await_exactly(h, "/Alarms/BmsCable", 0);
}

static void a_pack_that_is_frozen_from_the_start_is_waited_for_and_holds_up_nobody(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    say("freeze pack 2", "ok");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    say("thaw pack 2", "ok");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
}

static void a_pack_that_hangs_is_lost_when_it_does_not_answer_and_back_when_it_does(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    harness_daemon_start(h, "STALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    say("freeze pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    say("thaw pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    harness_await_exactly(h, "/Alarms/BmsCable", 0);
}

static void packs_that_rest_are_asked_and_stay(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet"); /* says nothing by itself */
    harness_daemon_start(h, "STALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_watch(h, 5);
    assert_int_equal(harness_log_count(h, "is lost"), 0);
    assert_true(harness_number(h, "/System/NrOfBatteries") == 2);
}

static void a_driver_that_has_lost_its_bms_is_a_lost_pack_whatever_limits_it_still_shows(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    say("set pack 2 /Dc/0/Voltage -", "ok");
    say("set pack 2 /Dc/0/Current -", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    say("set pack 2 /Dc/0/Voltage 53", "ok");
    say("set pack 2 /Dc/0/Current 1", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
}

static void when_all_packs_hang_the_currents_are_0_and_the_alarm_stands(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    harness_daemon_start(h, "STALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    say("freeze pack 1", "ok");
    say("freeze pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_await_exactly(h, "/Alarms/BmsCable", 2);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    harness_await_invalid(h, "/Dc/0/Voltage");
    say("thaw pack 1", "ok");
    say("thaw pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
}

static void the_chargers_obey_the_aggregate(void **state)
{
    struct harness *h = *state;
    double first_A;

    fleet_start(h, "--packs 2 --speed 60 --hour 11 --soc 40");
    harness_set_text_of(h, HARNESS_SETTINGS, FEED_IN, "0");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_watch(h, 1.5);
    first_A = number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current");
    assert_true(first_A > 20);
    say("set pack 1 /Info/MaxChargeCurrent 0", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    for (int i = 0; i < 200; i++) {
        if (number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current") < first_A - 5)
            return; /* what is left feeds the house */
        harness_watch(h, 0.05);
    }
    fail_msg("the solar charger still gives %g A", first_A);
}

static void without_a_bus_it_says_so_once_with_the_address_and_goes_on_trying(void **state)
{
    static const char line[] = "battery-fleet: no bus at unix:path=/nowhere/bus (";
    struct harness *h = *state;
    char *said;
    const char *found;

    assert_int_equal(
        harness_shell(h, "timeout 2 " BUILD_DIR "/battery-fleet --bus unix:path=/nowhere/bus", &said), 124);
    found = strstr(said, line);
    if (found != said || strstr(found + 1, line) || !strstr(said, "--bus"))
        fail_msg("it says: %s", said);
    free(said);
    assert_int_equal(harness_shell(h,
                                   "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere/else timeout 2 " BUILD_DIR
                                   "/battery-fleet --packs 1 --mppts 0 --no-settings --no-system",
                                   &said),
                     124);
    assert_non_null(strstr(said, "no bus at unix:path=/nowhere/else ("));
    free(said);
}

#define fleet_test(test) cmocka_unit_test_teardown(test, fleet_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fleet_test(all_devices_are_there_when_it_says_ready),
        fleet_test(a_house_without_settings_and_system_has_neither),
        fleet_test(a_pack_looks_like_one_with_its_driver),
        fleet_test(a_hand_may_set_any_value_and_give_it_back),
        fleet_test(what_a_hand_sets_has_exactly_the_type_it_was_given),
        fleet_test(a_change_is_sent_as_one_signal_with_value_and_text),
        fleet_test(a_frozen_device_keeps_its_name_and_says_nothing_until_it_is_thawed),
        fleet_test(wrong_commands_are_answered_by_an_error),
        fleet_test(the_daemon_is_given_an_instance),
        fleet_test(the_settings_service_gives_unique_instances),
        fleet_test(the_daemon_merges_the_fleet),
        fleet_test(a_pack_that_leaves_lowers_the_limits_and_raises_an_alarm_until_it_is_back),
        fleet_test(a_pack_that_is_frozen_from_the_start_is_waited_for_and_holds_up_nobody),
        fleet_test(a_pack_that_hangs_is_lost_when_it_does_not_answer_and_back_when_it_does),
        fleet_test(packs_that_rest_are_asked_and_stay),
        fleet_test(a_driver_that_has_lost_its_bms_is_a_lost_pack_whatever_limits_it_still_shows),
        fleet_test(when_all_packs_hang_the_currents_are_0_and_the_alarm_stands),
        fleet_test(the_chargers_obey_the_aggregate),
        fleet_test(without_a_bus_it_says_so_once_with_the_address_and_goes_on_trying),
    };

    return cmocka_run_group_tests_name("fleet", tests, harness_group_setup, harness_group_teardown);
}
