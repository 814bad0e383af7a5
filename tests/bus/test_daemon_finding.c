/* Who is in the bank: packs that come, go, hang, flood and come back, in any order. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define BATTERY(name) "com.victronenergy.battery." name

static void packs_first_then_the_daemon(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 50);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
}

static void the_daemon_first_then_the_packs_gives_the_same(void **state)
{
    struct harness *h = *state;

    harness_daemon_start(h, NULL);
    harness_daemon_sync(h);
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 60);
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 50);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
}

static void the_bank_grows_with_each_further_pack_without_leaving_the_bus(void **state)
{
    struct harness *h = *state;
    char owner[64];

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    for (int i = 1; i <= 4; i++) {
        char name[16], items[64];

        snprintf(name, sizeof name, "ttyUSB%d", i);
        snprintf(items, sizeof items, "'/DeviceInstance': %d", i + 1);
        harness_pack_add(h, name, items);
        harness_await_exactly(h, "/System/NrOfBatteries", i + 1);
        harness_await_exactly(h, "/InstalledCapacity", 100 * (i + 1));
    }
    assert_string_equal(harness_owner(h), owner);
}

static void nobody_is_on_the_bus_before_a_pack_is_complete(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Soc': null, '/Dc/0/Voltage': null");
    harness_daemon_start(h, NULL);
    harness_await_log(h, "lacks /Dc/0/Voltage");
    assert_string_equal(harness_owner(h), "");
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Voltage': 52.8");
    harness_await_log(h, "lacks /Soc");
    assert_string_equal(harness_owner(h), "");
    harness_pack_set(h, "ttyUSB0", "'/Soc': 47");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 47);
    assert_true(harness_lowest_seen(h, "/Soc") > 46);
}

static void a_pack_whose_paths_appear_later_is_found(void **state)
{
    struct harness *h = *state;

    harness_peer(h,
                 "{'cmd': 'add', 'service': '" BATTERY("ttyUSB0") "', 'items': {'/DeviceInstance': 1,"
                                                                  "'/ProductName': 'JBD', '/Connected': 1}}");
    harness_daemon_start(h, NULL);
    harness_daemon_sync(h);
    harness_pack_set(h, "ttyUSB0",
                     "'/Dc/0/Voltage': 52.8, '/Dc/0/Current': 1.5, '/Soc': 33, '/InstalledCapacity': 100,"
                     "'/Info/MaxChargeVoltage': 55.2, '/Info/MaxChargeCurrent': 50, "
                     "'/Info/MaxDischargeCurrent': 60");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 33);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
}

static void three_expected_packs_are_waited_for_and_it_says_once_for_what(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_daemon_start(h, "NR_OF_BATTERIES = 3\n");
    harness_await_log(h, "2 of 3");
    harness_watch(h, 2.3);
    assert_string_equal(harness_owner(h), "");
    assert_int_equal(harness_log_count(h, "2 of 3"), 1);
    harness_pack_add(h, "ttyUSB2", "'/DeviceInstance': 3");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 3);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 300);
}

static void a_service_without_getitems_is_read_by_its_root(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'add', 'service': '" BATTERY("ttyUSB0") "', 'like': 'pack', 'style': 'tree',"
                                                                     "'items': {'/Soc': 44}}");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 44);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.3);
    harness_pack_set(h, "ttyUSB0", "'/Soc': 45");
    harness_await_exactly(h, "/Soc", 45);
}

static void a_service_without_a_root_is_read_leaf_by_leaf(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'add', 'service': '" BATTERY("ttyUSB0") "', 'like': 'pack', 'style': 'leaf',"
                                                                     "'items': {'/Soc': 44}}");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 44);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.3);
    harness_pack_set(h, "ttyUSB0", "'/Soc': 45");
    harness_await_exactly(h, "/Soc", 45);
}

static void a_pack_that_leaves_takes_nobody_with_it_and_no_limit_rises(void **state)
{
    struct harness *h = *state;
    char owner[64];

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/Soc': 60, '/Info/MaxChargeCurrent': 10,"
                     "'/Info/MaxChargeVoltage': 54.4");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 20);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/InstalledCapacity", 200); /* it may be back in a minute */
    harness_await_exactly(h, "/Soc", 45);                /* it last held 50 of 100 Ah */
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 20);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 54.4);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 120);
    harness_await_log(h, "is lost");
    harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB1") "'}");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 50);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 240);
    harness_await_log(h, "is back");
    assert_string_equal(harness_owner(h), owner);
}

static void the_log_tells_in_which_way_a_pack_was_lost(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'A'");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'B'");
    harness_pack_add(h, "ttyUSB2", "'/DeviceInstance': 3, '/CustomName': 'C'");
    harness_pack_add(h, "ttyUSB3", "'/DeviceInstance': 4, '/CustomName': 'D'");
    harness_daemon_start(h, "NR_OF_BATTERIES = 4\nSTALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_pack_remove(h, "ttyUSB0");
    harness_await_log(h, "Pack \"A\" is lost: com.victronenergy.battery.ttyUSB0 left the bus");
    harness_pack_set(h, "ttyUSB1", "'/Dc/0/Voltage': null, '/Dc/0/Current': null");
    harness_await_log(
        h, "Pack \"B\" is lost: com.victronenergy.battery.ttyUSB1 shows neither voltage nor current: "
           "its BMS is mute");
    harness_pack_set(h, "ttyUSB2", "'/Connected': 0");
    harness_await_log(h,
                      "Pack \"C\" is lost: com.victronenergy.battery.ttyUSB2 says that it is not connected");
    harness_peer(h, "{'cmd': 'freeze', 'service': 'com.victronenergy.battery.ttyUSB3'}");
    harness_await_log(h, "Pack \"D\" is lost: com.victronenergy.battery.ttyUSB3 says and answers nothing");
}

static void what_is_waited_for_names_the_setting_that_leaves_a_battery_out(void **state)
{
    struct harness *h = *state;

    harness_daemon_start(h, "BATTERY_PRODUCT_NAME = serialbattery\n");
    harness_await_log(h, "0 of 1 pack is complete; no com.victronenergy.battery is on the bus");
    harness_pack_add(h, "ttyUSB0", "'/ProductName': 'SerialBattery(JK)'");
    harness_await_log(h,
                      "com.victronenergy.battery.ttyUSB0 (SerialBattery(JK)) is not in BATTERY_PRODUCT_NAME");
    harness_daemon_reload(h, "PACKS = House\n");
    harness_await_log(h, "com.victronenergy.battery.ttyUSB0 (SerialBattery(JK)) is not in PACKS");
}

static void cells_that_the_setting_counts_otherwise_are_told(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/CustomName': 'House'");
    harness_daemon_start(h, "NR_OF_CELLS_PER_BATTERY = 17\n");
    harness_await_log(h, "NR_OF_CELLS_PER_BATTERY is 17, but pack \"House\" shows 16 cells");
}

static void without_any_pack_both_currents_are_0_the_last_cvl_stands_and_soc_is_not_0(void **state)
{
    struct harness *h = *state;
    char owner[64];

    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    harness_pack_remove(h, "ttyUSB0");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    assert_true(harness_lowest_seen(h, "/Soc") > 39);
    harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB0") "'}");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 120);
    harness_await_exactly(h, "/Soc", 40);
    assert_string_equal(harness_owner(h), owner);
}

static void a_pack_that_returns_under_another_bus_name_is_the_same_pack(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0",
                     "'/DeviceInstance': 1, '/CustomName': 'House', '/Serial': 'A1', '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_peer(h, "{'cmd': 'rename', 'service': '" BATTERY("ttyUSB0") "', 'to': '" BATTERY("ttyUSB7") "'}");
    harness_await_log(h, "ttyUSB7");
    harness_daemon_sync(h); /* what it publishes of it has arrived */
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
    harness_pack_set(h, "ttyUSB7", "'/Soc': 42");
    harness_await_exactly(h, "/Soc", 51);
    assert_int_equal(harness_log_count(h, "is back"), 1);
}

static void a_pack_without_a_serial_is_known_again_by_its_name(void **state)
{
    struct harness *h = *state;

    harness_can_pack_add(h, "can0", "'/CustomName': 'House', '/Serial': '', '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 9, '/Soc': 60");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_peer(h, "{'cmd': 'rename', 'service': '" BATTERY("can0") "', 'to': '" BATTERY("can1") "'}");
    harness_await_log(h, "battery.can1");
    harness_daemon_sync(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
    assert_int_equal(harness_log_count(h, "is back"), 1);
}

static void two_packs_with_the_same_serial_are_two_and_none_is_missing(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Serial': '0000'");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Serial': '0000'");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
    assert_int_equal(harness_log_count(h, "is lost"), 0);
    harness_pack_remove(h, "ttyUSB0");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 1);
}

static void a_lost_pack_that_is_forgotten_takes_its_capacity_with_it(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, "LOST_GRACE = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/InstalledCapacity", 200);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_log(h, "no longer waited for");
    harness_await_exactly(h, "/InstalledCapacity", 100);
    harness_await_exactly(h, "/Soc", 40);
    harness_await_invalid(h, "/Alarms/BmsCable");
}

static void who_chose_stop_has_no_current_while_a_pack_is_lost(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'Cellar'");
    harness_daemon_start(h, "PACK_LOST = stop\nLOST_GRACE = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_await_string(h, "/Info/ChargeLimitation", "Pack \"Cellar\" is lost (PACK_LOST = stop)");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'Cellar'");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
}

static void a_pack_whose_driver_lost_its_device_is_not_in_the_bank(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    harness_pack_set(h, "ttyUSB1", "'/Connected': 0, '/Soc': null");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/Soc", 45); /* what it last held stays in the bank for a while */
    harness_pack_set(h, "ttyUSB1", "'/Connected': 1, '/Soc': 60");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 50);
}

static void shunts_aggregates_and_batteries_without_limits_or_cells_are_never_packs(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyS1",
                     "'/DeviceInstance': 2, '/ProductName': 'SmartShunt 500A/50mV', '/ProductId': 41865");
    harness_pack_add(h, "ttyS2",
                     "'/DeviceInstance': 3, '/ProductName': 'BMV-712 Smart', '/ProductId': 41857");
    harness_pack_add(h, "other", "'/DeviceInstance': 4, '/ProductId': 47684, '/ProductName': 'Bank'");
    harness_pack_add(h, "virtual", "'/DeviceInstance': 5, '/ProductName': 'AggregateBatteries'");
    harness_pack_add(h, "aggregator2", "'/DeviceInstance': 6");
    harness_peer(
        h, "{'cmd': 'add', 'service': '" BATTERY("starter") "', 'items': {'/DeviceInstance': 7,"
                                                            "'/ProductName': 'Starter', '/Connected': 1, "
                                                            "'/Dc/0/Voltage': 12.6, '/Dc/0/Current': 0,"
                                                            "'/Soc': 99}}");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    harness_daemon_sync(h);
    harness_watch(h, 0.3);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/Soc", 40);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
}

static void a_product_name_in_the_settings_chooses_the_packs(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_can_pack_add(h, "can0", "'/Soc': 60");
    harness_daemon_start(h, "BATTERY_PRODUCT_NAME = SerialBattery\n");
    harness_await_aggregate(h);
    harness_daemon_sync(h);
    harness_watch(h, 0.3);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/Soc", 40);
}

static void a_service_that_never_answers_costs_nobody_anything_and_is_said_once(void **state)
{
    struct harness *h = *state;
    char line[512];

    harness_peer(h, "{'cmd': 'hang', 'service': '" BATTERY("hanging") "'}");
    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    assert_int_equal(harness_log_count(h, "battery.hanging does not answer"), 0); /* nobody waited for it */
    harness_pack_set(h, "ttyUSB0", "'/Soc': 41");
    harness_await_exactly(h, "/Soc", 41);
    harness_await_log(h, "battery.hanging does not answer");
    harness_watch(h, 1.2); /* at least one try more */
    assert_int_equal(harness_log_count(h, "battery.hanging"), 1);
    harness_pack_set(h, "ttyUSB0", "'/Soc': 42");
    harness_await_exactly(h, "/Soc", 42);
    assert_true(harness_log_worst(h, line, sizeof line) <= 1);
}

static void a_pack_that_answers_at_last_is_found(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'hang', 'service': '" BATTERY("ttyUSB0") "', 'like': 'pack'}");
    harness_daemon_start(h, NULL);
    harness_await_log(h, "battery.ttyUSB0 does not answer");
    assert_string_equal(harness_owner(h), "");
    harness_peer(h, "{'cmd': 'thaw', 'service': '" BATTERY("ttyUSB0") "'}");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
}

static void ten_thousand_signals_a_second_of_unrelated_paths_hold_up_nobody(void **state)
{
    struct harness *h = *state;
    int rate = getenv("HARNESS_WRAP") ? 300 : 10000; /* under valgrind everything is 30 times slower */

    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_peer(h, "{'cmd': 'flood', 'service': '" BATTERY("noisy") "', 'rate': %d, 'seconds': 60}", rate);
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    for (int soc = 41; soc < 50; soc++) {
        char items[32];

        snprintf(items, sizeof items, "'/Soc': %d", soc);
        harness_pack_set(h, "ttyUSB0", items);
        harness_await_exactly(h, "/Soc", soc);
    }
    assert_true(harness_updates_seen(h) < 60);
    harness_peer(h, "{'cmd': 'flood_stop'}");
    assert_true(harness_log_count(h, "noisy") <= 2);
}

static void only_the_owner_of_a_name_speaks_for_it(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_pack_add(h, "ttyUSB0", "'/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    assert_int_equal(
        harness_shell(h,
                      "dbus-send --bus=$BUS --type=signal /Soc "
                      "com.victronenergy.BusItem.PropertiesChanged "
                      "dict:string:variant:Value,int32:1,Text,string:1% || "
                      "busctl --address=$BUS emit /Soc com.victronenergy.BusItem PropertiesChanged "
                      "'a{sv}' 2 Value i 1 Text s 1%",
                      &said),
        0);
    free(said);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Voltage': 53.21");
    harness_await_exactly(h, "/Dc/0/Voltage", 53.21);
    assert_true(harness_lowest_seen(h, "/Soc") > 39);
}

static void when_the_bus_comes_back_so_do_we(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'/Settings/CGwacs/OvervoltageFeedIn': 0");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Soc': 60");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    for (int round = 0; round < 2; round++) {
        harness_bus_restart(h);
        harness_await_aggregate(h);
        harness_await_exactly(h, "/System/NrOfBatteries", 2);
        harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
        harness_await_exactly(h, "/Soc", 50);
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
        harness_pack_set(h, "ttyUSB1", "'/Soc': 70");
        harness_await_exactly(h, "/Soc", 55);
        harness_pack_set(h, "ttyUSB1", "'/Soc': 60");
        harness_await_exactly(h, "/Soc", 50);
    }
    assert_true(harness_lowest_seen(h, "/Soc") > 39);
    assert_true(harness_daemon_runs(h));
}

static void without_a_bus_it_waits_for_one(void **state)
{
    struct harness *h = *state;
    char line[512];

    harness_bus_stop(h);
    harness_daemon_start(h, NULL);
    harness_watch(h, 2.5);
    assert_true(harness_daemon_runs(h));
    assert_true(harness_log_worst(h, line, sizeof line) <= 1);
    harness_bus_start(h);
    harness_peer(h, "{'cmd': 'bus_back'}");
    harness_pack_add(h, "ttyUSB0", "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
}

/* The interval is that of what is shown, and no reason to notice a dead pack a minute later. */
static void a_slow_rhythm_of_output_delays_no_silence(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_daemon_start(h, "STALE_AFTER = 3\nUPDATE_INTERVAL_DATA = 60\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    harness_peer(h, "{'cmd': 'freeze', 'service': '" BATTERY("ttyUSB0") "'}");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Alarms/BmsCable", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(a_slow_rhythm_of_output_delays_no_silence),
        harness_test(packs_first_then_the_daemon),
        harness_test(the_daemon_first_then_the_packs_gives_the_same),
        harness_test(the_bank_grows_with_each_further_pack_without_leaving_the_bus),
        harness_test(nobody_is_on_the_bus_before_a_pack_is_complete),
        harness_test(a_pack_whose_paths_appear_later_is_found),
        harness_test(three_expected_packs_are_waited_for_and_it_says_once_for_what),
        harness_test(a_service_without_getitems_is_read_by_its_root),
        harness_test(a_service_without_a_root_is_read_leaf_by_leaf),
        harness_test(a_pack_that_leaves_takes_nobody_with_it_and_no_limit_rises),
        harness_test(the_log_tells_in_which_way_a_pack_was_lost),
        harness_test(what_is_waited_for_names_the_setting_that_leaves_a_battery_out),
        harness_test(cells_that_the_setting_counts_otherwise_are_told),
        harness_test(without_any_pack_both_currents_are_0_the_last_cvl_stands_and_soc_is_not_0),
        harness_test(a_pack_that_returns_under_another_bus_name_is_the_same_pack),
        harness_test(a_pack_without_a_serial_is_known_again_by_its_name),
        harness_test(two_packs_with_the_same_serial_are_two_and_none_is_missing),
        harness_test(a_lost_pack_that_is_forgotten_takes_its_capacity_with_it),
        harness_test(who_chose_stop_has_no_current_while_a_pack_is_lost),
        harness_test(a_pack_whose_driver_lost_its_device_is_not_in_the_bank),
        harness_test(shunts_aggregates_and_batteries_without_limits_or_cells_are_never_packs),
        harness_test(a_product_name_in_the_settings_chooses_the_packs),
        harness_test(a_service_that_never_answers_costs_nobody_anything_and_is_said_once),
        harness_test(a_pack_that_answers_at_last_is_found),
        harness_test(ten_thousand_signals_a_second_of_unrelated_paths_hold_up_nobody),
        harness_test(only_the_owner_of_a_name_speaks_for_it),
        harness_test(when_the_bus_comes_back_so_do_we),
        harness_test(without_a_bus_it_waits_for_one),
    };

    return harness_run(tests);
}
