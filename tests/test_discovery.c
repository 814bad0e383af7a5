/* venus/discovery and venus/devices: which service is what, and what a pack is called. */
#include "fixture.h"
#include "venus/discovery.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

static void a_battery_with_a_charge_voltage_limit_is_a_pack_whatever_its_product_name(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_text(world, device, "/ProductName", "JBD-SP04S034-L4S-200A");
    tell_number(world, device, "/Info/MaxChargeVoltage", 14.2);
    settle(world, device);
    assert_int_equal(device->role, ROLE_PACK);
}

static void a_battery_with_cells_but_no_limits_is_a_pack(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, device, "/Voltages/Cell1", 3.3);
    settle(world, device);
    assert_int_equal(device->role, ROLE_PACK);
}

static void a_battery_that_shows_neither_is_undecided_until_it_does(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, device, "/Soc", 50);
    settle(world, device);
    assert_int_equal(device->role, ROLE_UNDECIDED);
    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    devices_settle(&world->devices, device);
    assert_int_equal(device->role, ROLE_PACK);
}

static void nothing_is_decided_before_the_first_scan_is_complete(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    devices_settle(&world->devices, device);
    assert_int_equal(device->role, ROLE_UNDECIDED);
}

static void a_product_name_that_is_asked_for_excludes_all_others(void **state)
{
    struct world *world = *state;
    struct device *device;

    strcpy(world->config.battery_product_names.pattern[0], "SerialBattery");
    world->config.battery_product_names.count = 1;
    device = arrive(world, "com.victronenergy.battery.ttyUSB0");
    tell_text(world, device, "/ProductName", "Other BMS");
    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    settle(world, device);
    assert_int_equal(device->role, ROLE_OTHER);
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 1, "A", "1")->role, ROLE_PACK);
}

static void shunts_are_told_by_their_product_name(void **state)
{
    static const char *const products[] = {"SmartShunt 500A/50mV", "BMV-712 Smart"};
    struct world *world = *state;

    for (size_t i = 0; i < 2; i++) {
        struct device *device = arrive(world, "com.victronenergy.battery.ttyS2");

        tell_text(world, device, "/ProductName", products[i]);
        tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
        settle(world, device);
        assert_int_equal(device->role, ROLE_SHUNT);
        devices_remove(&world->devices, device);
    }
}

static void aggregates_are_never_an_input(void **state)
{
    struct world *world = *state;
    enum device_class device_class;
    struct device *device;

    assert_false(devices_class_of(&world->config, "com.victronenergy.battery.aggregate", &device_class));
    assert_false(devices_class_of(&world->config, "com.victronenergy.battery.aggregator", &device_class));
    device = arrive(world, "com.victronenergy.battery.mqtt_100");
    tell_number(world, device, "/ProductId", 0xBA44);
    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    settle(world, device);
    assert_int_equal(device->role, ROLE_OTHER);
}

static void a_pack_without_its_device_is_not_in_the_bank(void **state)
{
    struct world *world = *state;
    struct device *device = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "1");

    assert_true(device->member);
    tell_number(world, device, "/Connected", 0);
    devices_settle(&world->devices, device);
    assert_false(device->member);
}

static void a_pack_joins_with_its_first_complete_reading_and_says_what_it_lacks(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    tell_number(world, device, "/Info/MaxChargeCurrent", 100);
    tell_number(world, device, "/Info/MaxDischargeCurrent", 100);
    tell_number(world, device, "/Dc/0/Voltage", 53);
    tell_number(world, device, "/Dc/0/Current", 0);
    settle(world, device);
    assert_false(device->member);
    assert_string_equal(device->waits_for, "/Soc");
    tell_number(world, device, "/Soc", 50);
    assert_true(devices_settle(&world->devices, device));
    assert_true(device->member);
}

static void a_member_stays_one_when_a_value_becomes_unknown(void **state)
{
    struct world *world = *state;
    struct device *device = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "1");

    tell(world, device, "/Soc", value_invalid());
    tell(world, device, "/Info/MaxChargeCurrent", value_invalid());
    settle(world, device);
    assert_true(device->member);
    assert_true(device->pack.last.charge_current_max_A == 100);
}

static void packs_with_the_same_name_are_told_apart_by_serial(void **state)
{
    struct world *world = *state;
    struct device *a = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "House", "S1");
    struct device *b = arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "House", "S2");

    strcpy(world->config.battery_instance_name_path, "/CustomName");
    discovery_name_packs(&world->devices);
    assert_string_equal(a->pack.name, "House (S1)");
    assert_string_equal(b->pack.name, "House (S2)");
    assert_true(discovery_name_shared(&world->devices, a));
}

static void packs_with_the_same_name_and_serial_are_told_apart_by_instance(void **state)
{
    struct world *world = *state;
    struct device *a = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "House", "");
    struct device *b = arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "House", "");

    strcpy(world->config.battery_instance_name_path, "/CustomName");
    discovery_name_packs(&world->devices);
    assert_string_equal(a->pack.name, "House #1");
    assert_string_equal(b->pack.name, "House #2");
}

static void packs_without_any_name_still_have_different_ones(void **state)
{
    struct world *world = *state;
    struct device *a = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "", "");
    struct device *b = arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 1, "", "");

    assert_string_not_equal(a->pack.name, b->pack.name);
    assert_string_not_equal(a->pack.name, "");
}

static void a_name_is_shared_no_more_when_the_other_pack_goes(void **state)
{
    struct world *world = *state;
    struct device *a = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "House", "S1");
    struct device *b = arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "House", "S2");

    strcpy(world->config.battery_instance_name_path, "/CustomName");
    discovery_name_packs(&world->devices);
    devices_remove(&world->devices, b);
    assert_string_equal(a->pack.name, "House");
}

static void the_order_of_packs_is_that_of_their_instances_not_of_their_arrival(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];

    arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 3, "C", "3");
    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 1, "A", "1");
    arrive_pack(world, "com.victronenergy.battery.ttyUSB2", 2, "B", "2");
    assert_int_equal(devices_packs(&world->devices, packs, 4), 3);
    assert_true(packs[0]->reading.device_instance == 1);
    assert_true(packs[1]->reading.device_instance == 2);
    assert_true(packs[2]->reading.device_instance == 3);
}

static size_t sources_of(struct world *world, struct source *absent, const struct source *sources[])
{
    return devices_sources(&world->devices, absent, sources, 8);
}

static void multis_and_mppts_are_sources_and_shunts_only_when_chosen(void **state)
{
    struct world *world = *state;
    struct source absent[DEVICES_ABSENT_MAX];
    const struct source *sources[8];
    struct device *shunt;

    settle(world, arrive(world, "com.victronenergy.vebus.ttyS4"));
    settle(world, arrive(world, "com.victronenergy.solarcharger.ttyS5"));
    shunt = arrive(world, "com.victronenergy.battery.ttyS6");
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/DeviceInstance", 279);
    tell_number(world, shunt, "/Dc/0/Current", 7);
    settle(world, shunt);

    assert_int_equal(sources_of(world, absent, sources), 2);
    world->config.use_smartshunts = SHUNTS_ALL;
    assert_int_equal(sources_of(world, absent, sources), 3);
    world->config.use_smartshunts = SHUNTS_LISTED;
    world->config.smartshunts.count = 1;
    strcpy(world->config.smartshunts.name[0], "279");
    assert_int_equal(sources_of(world, absent, sources), 3);
    strcpy(world->config.smartshunts.name[0], "280");
    assert_int_equal(sources_of(world, absent, sources), 3);
    assert_true(isnan(sources[2]->reading.current_A)); /* listed and not here: it cannot be read */
    assert_string_equal(sources[2]->name, "280");
}

static void a_shunts_current_follows_its_readings(void **state)
{
    struct world *world = *state;
    struct source absent[DEVICES_ABSENT_MAX];
    const struct source *sources[8];
    struct device *shunt = arrive(world, "com.victronenergy.battery.ttyS6");

    world->config.use_smartshunts = SHUNTS_ALL;
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/Dc/0/Current", 7);
    settle(world, shunt);
    tell_number(world, shunt, "/Dc/0/Current", 8);
    devices_settle(&world->devices, shunt);
    assert_int_equal(sources_of(world, absent, sources), 1);
    assert_true(sources[0]->reading.current_A == 8);
    assert_int_equal(sources[0]->kind, SOURCE_SHUNT_BATTERY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_battery_with_a_charge_voltage_limit_is_a_pack_whatever_its_product_name),
        TEST(a_battery_with_cells_but_no_limits_is_a_pack),
        TEST(a_battery_that_shows_neither_is_undecided_until_it_does),
        TEST(nothing_is_decided_before_the_first_scan_is_complete),
        TEST(a_product_name_that_is_asked_for_excludes_all_others),
        TEST(shunts_are_told_by_their_product_name),
        TEST(aggregates_are_never_an_input),
        TEST(a_pack_without_its_device_is_not_in_the_bank),
        TEST(a_pack_joins_with_its_first_complete_reading_and_says_what_it_lacks),
        TEST(a_member_stays_one_when_a_value_becomes_unknown),
        TEST(packs_with_the_same_name_are_told_apart_by_serial),
        TEST(packs_with_the_same_name_and_serial_are_told_apart_by_instance),
        TEST(packs_without_any_name_still_have_different_ones),
        TEST(a_name_is_shared_no_more_when_the_other_pack_goes),
        TEST(the_order_of_packs_is_that_of_their_instances_not_of_their_arrival),
        TEST(multis_and_mppts_are_sources_and_shunts_only_when_chosen),
        TEST(a_shunts_current_follows_its_readings),
    };

    return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
