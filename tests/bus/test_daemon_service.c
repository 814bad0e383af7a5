/* The aggregate as a Venus service: its identity, who may write what, and how other programs read it. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define ITEM "com.victronenergy.BusItem"
#define BATTERY(name) "com.victronenergy.battery." name
#define OUR_INSTANCE "/Settings/Devices/battery_aggregator/ClassAndVrmInstance"

static void start_with_one_pack(struct harness *h)
{
    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
}

static void it_shows_what_systemcalc_needs_to_take_it_as_battery_monitor(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    harness_await_exactly(h, "/Connected", 1);
    harness_await_exactly(h, "/ProductId", 0xBA44);
    harness_await_exactly(h, "/DeviceInstance", 99);
    assert_true(strlen(harness_string(h, "/ProductName")) > 0);
    assert_true(strlen(harness_string(h, "/Mgmt/Connection")) > 0);
    assert_true(strlen(harness_string(h, "/Mgmt/ProcessName")) > 0);
    assert_true(strlen(harness_string(h, "/Mgmt/ProcessVersion")) > 0);
    assert_true(strlen(harness_string(h, "/FirmwareVersion")) > 0);
    assert_true(harness_has(h, "/HardwareVersion"));
    assert_true(harness_has(h, "/CustomName"));
    harness_await_exactly(h, "/State", 9);
    harness_await_exactly(h, "/ErrorCode", 0);
    harness_await_exactly(h, "/Settings/HasTemperature", 1);
    /* what would mislead systemcalc or the GUI */
    assert_false(harness_has(h, "/NumberOfBmses"));
    assert_false(harness_has(h, "/NrOfDistributors"));
    assert_false(harness_has(h, "/Redetect"));
    assert_false(harness_has(h, "/Dc/1/Voltage"));
    assert_false(harness_has(h, "/Mode"));
}

static void nobody_may_write_what_is_measured_or_allowed(void **state)
{
    struct harness *h = *state;
    const char *path;

    start_with_one_pack(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    for (size_t i = 0; (path = harness_path(h, i)); i++) {
        if (strcmp(path, "/CustomName") == 0 || strcmp(path, "/Battery/Request/Id") == 0)
            continue;
        if (harness_set_number(h, path, 'i', 7) != 1 || harness_set_number(h, path, 'd', 7.5) != 1 ||
            harness_set_text(h, path, "7") != 1 || harness_set_invalid(h, path) != 1)
            harness_fail(h, __FILE__, __LINE__, "%s is writable", path);
    }
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Temperature': 11.5");
    harness_await_exactly(h, "/Dc/0/Temperature", 11.5);
    assert_string_equal(harness_get_of(h, HARNESS_AGGREGATE, "/Soc"), "40");
    assert_string_equal(harness_get_of(h, HARNESS_AGGREGATE, "/Info/MaxChargeCurrent"), "100");
    assert_string_equal(harness_get_of(h, HARNESS_AGGREGATE, "/Info/MaxChargeVoltage"), "55.2");
    assert_string_equal(harness_get_of(h, HARNESS_AGGREGATE, "/DeviceInstance"), "99");
}

static void the_name_is_writable_and_survives_a_restart_in_the_settings_service(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "");
    start_with_one_pack(h);
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0);
    harness_await_string(h, "/CustomName", "Cellar");
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0); /* an equal value is fine too */
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_string(h, "/CustomName", "Cellar");
}

static void a_name_given_in_the_settings_service_is_shown(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "");
    start_with_one_pack(h);
    assert_int_equal(
        harness_set_text_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/CustomName", "Attic"),
        0);
    harness_await_string(h, "/CustomName", "Attic");
}

static void the_instance_wished_for_is_99_and_kept_in_the_settings_service(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "");
    start_with_one_pack(h);
    harness_await_exactly(h, "/DeviceInstance", 99);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, OUR_INSTANCE), "battery:99");
}

static void an_instance_that_a_registered_device_has_is_not_taken(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'/Settings/Devices/old/ClassAndVrmInstance': 'battery:99'");
    start_with_one_pack(h);
    harness_await_exactly(h, "/DeviceInstance", 100);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, OUR_INSTANCE), "battery:100");
}

static void an_instance_that_the_user_gave_is_kept(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'" OUR_INSTANCE "': 'battery:7'");
    start_with_one_pack(h);
    harness_await_exactly(h, "/DeviceInstance", 7);
}

static void an_instance_that_a_live_battery_has_is_not_taken(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 99, '/Soc': 40");
    harness_pack_add(h, "ttyS1", "'/DeviceInstance': 100, '/ProductName': 'SmartShunt 500A/50mV'");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 101);
    assert_true(harness_log_count(h, "instance") >= 1);
}

static void an_instance_changed_by_the_user_is_taken_by_leaving_and_returning(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "");
    start_with_one_pack(h);
    harness_await_exactly(h, "/DeviceInstance", 99);
    assert_int_equal(harness_set_text_of(h, HARNESS_SETTINGS, OUR_INSTANCE, "battery:42"), 0);
    harness_await_number(h, "/DeviceInstance", 42, 0);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    assert_int_equal(harness_set_text_of(h, HARNESS_SETTINGS, OUR_INSTANCE, "battery:43"), 0);
    harness_await_number(h, "/DeviceInstance", 43, 0);
}

static void without_a_settings_service_the_instance_is_remembered(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'" OUR_INSTANCE "': 'battery:7'");
    start_with_one_pack(h);
    harness_await_exactly(h, "/DeviceInstance", 7);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_peer(h, "{'cmd': 'remove', 'service': '" HARNESS_SETTINGS "'}");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 7);
}

static void the_settings_are_written_rarely(void **state)
{
    struct harness *h = *state;
    const char *calls;

    harness_settings_add(h, "");
    start_with_one_pack(h);
    for (int soc = 41; soc < 60; soc++) {
        char items[32];

        snprintf(items, sizeof items, "'/Soc': %d", soc);
        harness_pack_set(h, "ttyUSB0", items);
        harness_await_exactly(h, "/Soc", soc);
    }
    calls = harness_peer(h, "{'cmd': 'calls', 'service': '" HARNESS_SETTINGS "'}");
    assert_null(strstr(calls, "SetValue"));
    assert_non_null(strstr(calls, "\"AddSettings /\": 1"));
}

static void a_second_aggregator_that_owns_the_name_is_said_once_and_waited_out(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'add', 'service': '" HARNESS_AGGREGATE "', 'like': 'pack',"
                    "'items': {'/Mgmt/ProcessName': 'impostor', '/Soc': 1}}");
    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_log(h, "belongs to another");
    harness_watch(h, 2.3);
    assert_int_equal(harness_log_count(h, "belongs to another"), 1);
    assert_true(harness_daemon_runs(h));
    assert_string_equal(harness_string(h, "/Mgmt/ProcessName"), "impostor");
    harness_peer(h, "{'cmd': 'remove', 'service': '" HARNESS_AGGREGATE "'}");
    harness_await_string(h, "/Mgmt/ProcessName", "battery-aggregator");
    harness_await_exactly(h, "/Soc", 40);
}

static void errors_carry_the_names_that_clients_branch_on(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Nonsense", ITEM, "GetValue"),
                        "org.freedesktop.DBus.Error.UnknownObject");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Soc/More", ITEM, "GetValue"),
                        "org.freedesktop.DBus.Error.UnknownObject");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Soc", ITEM, "Explode"),
                        "org.freedesktop.DBus.Error.UnknownMethod");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Soc", ITEM, "GetItems"),
                        "org.freedesktop.DBus.Error.UnknownMethod");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/", ITEM, "GetItems"), "");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Info", ITEM, "GetValue"), "");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Info", ITEM, "GetText"), "");
    assert_string_equal(
        harness_error_of(h, HARNESS_AGGREGATE, "/", "org.freedesktop.DBus.Introspectable", "Introspect"), "");
}

/* Runs it, expects success, each of three texts in what it said, and no complaint. */
static void expect_said(struct harness *h, const char *command, const char *first, const char *second,
                        const char *third)
{
    static const char *const complaints[] = {"error:",   "Error:",  "Error ",
                                             "warning:", "WARNING", "Failed to"};
    char *said;
    int status = harness_shell(h, command, &said);

    if (status != 0 || !strstr(said, first) || !strstr(said, second) || !strstr(said, third))
        harness_fail(h, __FILE__, __LINE__, "status %d of: %s\n%s", status, command, said);
    for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++) {
        if (strstr(said, complaints[i]))
            harness_fail(h, __FILE__, __LINE__, "\"%s\" in what was said by: %s\n%s", complaints[i], command,
                         said);
    }
    free(said);
}

static void dbus_send_reads_us(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    expect_said(h, "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " /Soc " ITEM ".GetValue",
                "variant", "double 40", "method return");
    expect_said(h, "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " /Soc " ITEM ".GetText",
                "string \"40.0%\"", "", "");
    expect_said(h, "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " /Info " ITEM ".GetValue",
                "string \"MaxChargeVoltage\"", "double 55.2", "string \"MaxDischargeCurrent\"");
    expect_said(h, "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " / " ITEM ".GetText",
                "string \"Dc/0/Voltage\"", "\"52.80V\"", "\"Alarms/LowVoltage\"");
    expect_said(h,
                "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " /Soc " ITEM
                ".GetDescription string:en int32:0",
                "string \"", "", "");
}

static void busctl_introspects_us(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    expect_said(h, "busctl --address=$BUS introspect " HARNESS_AGGREGATE " /", "GetItems", "ItemsChanged",
                "a{sa{sv}}");
    expect_said(h, "busctl --address=$BUS introspect " HARNESS_AGGREGATE " /Soc", "SetValue", "GetValue",
                "GetText");
    expect_said(h, "busctl --address=$BUS introspect " HARNESS_AGGREGATE " /Dc/0", "GetValue", "", "");
    expect_said(h, "busctl --address=$BUS tree " HARNESS_AGGREGATE, "/Info/MaxChargeVoltage", "/Dc/0/Current",
                "/CustomName");
}

#define PATHS_OF_ITEMS                                                        \
    "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE " / " ITEM \
    ".GetItems | grep -o 'string \"/.*'"

static void paths_are_told_in_order_and_each_child_once(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    expect_said(h, PATHS_OF_ITEMS, "\"/Battery/1/Info/ChargeMode\"", "\"/Battery/1/Soc\"", "\"/Soc\"");
    expect_said(h, PATHS_OF_ITEMS " | LC_ALL=C sort -c", "", "", "");
    expect_said(h,
                "dbus-send --bus=$BUS --print-reply --dest=" HARNESS_AGGREGATE
                " /Battery/1 org.freedesktop.DBus.Introspectable.Introspect | grep '<node ' | uniq -c",
                " 1  <node name=\"Info\"/>", " 1  <node name=\"Soc\"/>", " 1  <node name=\"System\"/>");
}

static void gdbus_introspects_every_node_of_us(void **state)
{
    struct harness *h = *state;

    start_with_one_pack(h);
    /* --xml shows our answers as they are; without it gdbus parses them and would complain */
    expect_said(h,
                "gdbus introspect --address $BUS --dest " HARNESS_AGGREGATE
                " --object-path / --recurse | grep -v /Alarms/InternalFailure | grep -v HardwareVersion",
                "node /Dc/0/Voltage", "node /Info/MaxChargeCurrent", "ItemsChanged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(it_shows_what_systemcalc_needs_to_take_it_as_battery_monitor),
        harness_test(nobody_may_write_what_is_measured_or_allowed),
        harness_test(the_name_is_writable_and_survives_a_restart_in_the_settings_service),
        harness_test(a_name_given_in_the_settings_service_is_shown),
        harness_test(the_instance_wished_for_is_99_and_kept_in_the_settings_service),
        harness_test(an_instance_that_a_registered_device_has_is_not_taken),
        harness_test(an_instance_that_the_user_gave_is_kept),
        harness_test(an_instance_that_a_live_battery_has_is_not_taken),
        harness_test(an_instance_changed_by_the_user_is_taken_by_leaving_and_returning),
        harness_test(without_a_settings_service_the_instance_is_remembered),
        harness_test(the_settings_are_written_rarely),
        harness_test(a_second_aggregator_that_owns_the_name_is_said_once_and_waited_out),
        harness_test(errors_carry_the_names_that_clients_branch_on),
        harness_test(dbus_send_reads_us),
        harness_test(busctl_introspects_us),
        harness_test(paths_are_told_in_order_and_each_child_once),
        harness_test(gdbus_introspects_every_node_of_us),
    };

    return harness_run(tests);
}
