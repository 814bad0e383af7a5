/* What the settings name: packs, those to ignore, shunts of packs and sources of current, on a bus where all
 * of them come and go. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "shim/world.h"

#define SHUNT "com.victronenergy.battery.ttyS6"

static void add_shunt(struct harness *h, const char *items)
{
    harness_peer(h,
                 "{'cmd': 'add', 'service': '" SHUNT "', 'items': {'/DeviceInstance': 279, '/Connected': 1,"
                 "'/ProductName': 'SmartShunt 500A/50mV', '/Dc/0/Voltage': 53.0, %s}}",
                 items);
}

static void only_packs_that_are_named_are_in_the_bank(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House 1', '/Soc': 40");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'House 2', '/Soc': 60");
    harness_pack_add(h, "ttyUSB2", "'/DeviceInstance': 3, '/CustomName': 'Boat', '/Soc': 10");
    harness_pack_add(h, "ttyUSB3", "'/DeviceInstance': 4, '/CustomName': 'House 4', '/Soc': 0");
    harness_daemon_start(h, "PACKS = House*\nIGNORE = #4\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Soc", 50);
    harness_watch(h, 1.2);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    assert_true(harness_lowest_seen(h, "/Soc") >= 40);
}

static void a_pack_that_says_late_that_it_is_to_be_ignored_leaves_without_an_alarm(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House'");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': null");
    harness_daemon_start(h, "IGNORE = Garage\nPACK_LOST = stop\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_pack_set(h, "ttyUSB1", "'/CustomName': 'Garage'");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/InstalledCapacity", 100);
    harness_await_log(h, "is no longer of the bank");
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "is lost"), 0);
    assert_false(harness_number(h, "/Alarms/BmsCable") > 0);
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 100);
}

static void ignore_acts_when_the_settings_are_read_again(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House'");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'Garage'");
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_daemon_reload(h, "IGNORE = Gar?ge\n");
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_daemon_reload(h, "");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    assert_int_equal(harness_log_count(h, "is lost"), 0);
}

static void a_pack_in_packs_and_ignore_is_no_pack_and_the_log_says_so_at_the_start(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House'");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/CustomName': 'Garage'");
    harness_daemon_start(h, "PACKS = House, Garage\nIGNORE = Garage\n");
    harness_await_log(
        h, "WARNING: settings.ini:2: IGNORE names 'Garage', which PACKS names too: IGNORE prevails");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
}

static void a_name_that_fits_nobody_is_said_once_with_who_is_here(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House 1'");
    world = harness_daemon_start_in_world(h, "PACKS = Huose*\n"); /* no bank at all comes of it */
    harness_daemon_sync(h);
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "fits no battery"), 0); /* others may still come */
    world->monotonic_s += 10;
    harness_await_log(h, "PACKS: 'Huose*' fits no battery. Here are: \"House 1\"");
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "fits no battery"), 1);
    assert_string_equal(harness_owner(h), "");
}

static void a_packs_shunt_measures_it_until_it_hangs(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(
        h, "ttyUSB0",
        "'/DeviceInstance': 1, '/CustomName': 'House', '/Dc/0/Current': 3.0, '/Dc/0/Power': null");
    add_shunt(h, "'/Dc/0/Current': 12.5, '/Soc': 70");
    world = harness_daemon_start_in_world(h, "PACK_SHUNT = House: 279 soc\nSTALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 12.5);
    harness_await_exactly(h, "/Soc", 70);
    harness_peer(h, "{'cmd': 'set', 'service': '" SHUNT "', 'items': {'/Dc/0/Current': -4.5}}");
    harness_await_exactly(h, "/Dc/0/Current", -4.5);
    harness_peer(h, "{'cmd': 'freeze', 'service': '" SHUNT "'}");
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_peer(h, "{'cmd': 'thaw', 'service': '" SHUNT "'}");
    harness_await_exactly(h, "/Dc/0/Current", -4.5);
    harness_peer(h, "{'cmd': 'remove', 'service': '" SHUNT "'}");
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "cannot be read"), 0); /* it may be back soon */
    world->monotonic_s += 10;
    harness_await_log(h, "its shunt #279 cannot be read");
}

static void an_alternator_and_a_dc_load_count_when_they_are_named(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3.0, '/Dc/0/Voltage': 52.0");
    harness_peer(h,
                 "{'cmd': 'add', 'service': 'com.victronenergy.alternator.ttyS4', 'items': {'/Connected': 1,"
                 "'/DeviceInstance': 289, '/ProductName': 'Orion XS', '/Dc/0/Current': 40.0, '/State': 3}}");
    harness_peer(h, "{'cmd': 'add', 'service': 'com.victronenergy.dcload.ttyS5', 'items': {'/Connected': 1,"
                    "'/DeviceInstance': 290, '/ProductName': 'SmartShunt', '/Dc/0/Current': 15.0}}");
    harness_daemon_start(h, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = alternator, #290\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 25);
    harness_await_exactly(h, "/Dc/0/Power", 1300);
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.alternator.ttyS4',"
                    "'items': {'/Dc/0/Current': null, '/State': 0}}");
    harness_await_exactly(h, "/Dc/0/Current", -15);
    harness_peer(h, "{'cmd': 'remove', 'service': 'com.victronenergy.dcload.ttyS5'}");
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_await_log(h, "from the packs, for #290 cannot be read");
}

static void a_class_that_is_not_read_yet_waits_for_the_next_start(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3.0");
    harness_peer(h,
                 "{'cmd': 'add', 'service': 'com.victronenergy.alternator.ttyS4', 'items': {'/Connected': 1,"
                 "'/DeviceInstance': 288, '/Dc/0/Current': 12.0}}");
    harness_peer(h, "{'cmd': 'add', 'service': 'com.victronenergy.fuelcell.ttyS4', 'items': {'/Connected': 1,"
                    "'/DeviceInstance': 289, '/Dc/0/Current': 40.0}}");
    harness_daemon_start(h, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = alternator\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 12);
    harness_daemon_reload(h, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = fuelcell\n");
    harness_await_log(h, "classes in CURRENT_SOURCES");
    harness_watch(h, 1.2);
    assert_true(harness_number(h, "/Dc/0/Current") == 12);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    harness_daemon_start(h, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = fuelcell\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 40);
    harness_daemon_reload(h, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = -fuelcell\n"); /* it is read */
    harness_await_exactly(h, "/Dc/0/Current", -40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(only_packs_that_are_named_are_in_the_bank),
        harness_test(a_pack_that_says_late_that_it_is_to_be_ignored_leaves_without_an_alarm),
        harness_test(ignore_acts_when_the_settings_are_read_again),
        harness_test(a_pack_in_packs_and_ignore_is_no_pack_and_the_log_says_so_at_the_start),
        harness_test(a_name_that_fits_nobody_is_said_once_with_who_is_here),
        harness_test(a_packs_shunt_measures_it_until_it_hangs),
        harness_test(an_alternator_and_a_dc_load_count_when_they_are_named),
        harness_test(a_class_that_is_not_read_yet_waits_for_the_next_start),
    };

    return harness_run(tests);
}
