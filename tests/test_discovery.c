/* venus/discovery and venus/devices: which service is what, and what a pack is called. */
#include "fixture.h"
#include "venus/discovery.h"
#include "venus/pattern.h"

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

static size_t sources_of(struct world *world, struct source sources[])
{
    return devices_sources(&world->devices, sources, 8);
}

static void multis_and_mppts_are_sources_and_shunts_only_when_chosen(void **state)
{
    struct world *world = *state;
    struct source sources[8];
    struct device *shunt;

    settle(world, arrive(world, "com.victronenergy.vebus.ttyS4"));
    settle(world, arrive(world, "com.victronenergy.solarcharger.ttyS5"));
    shunt = arrive(world, "com.victronenergy.battery.ttyS6");
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/DeviceInstance", 279);
    tell_number(world, shunt, "/Dc/0/Current", 7);
    settle(world, shunt);

    assert_int_equal(sources_of(world, sources), 2);
    world->config.use_smartshunts = SHUNTS_ALL;
    assert_int_equal(sources_of(world, sources), 3);
    world->config.use_smartshunts = SHUNTS_LISTED;
    world->config.smartshunts.count = 1;
    strcpy(world->config.smartshunts.name[0], "279");
    assert_int_equal(sources_of(world, sources), 3);
    strcpy(world->config.smartshunts.name[0], "280");
    assert_int_equal(sources_of(world, sources), 3);
    assert_true(isnan(sources[2].current_A)); /* listed and not here: it cannot be read */
    assert_string_equal(sources[2].name, "280");
}

static void sources_that_fell_silent_cannot_be_read_until_they_are_heard(void **state)
{
    struct world *world = *state;
    struct source sources[8];
    struct device *shunt = arrive(world, "com.victronenergy.battery.ttyS6");
    struct device *mppt = arrive(world, "com.victronenergy.solarcharger.ttyS5");

    world->config.use_smartshunts = SHUNTS_ALL;
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/Dc/0/Current", 7);
    tell_number(world, mppt, "/Dc/0/Current", 20);
    for (int silent = 1; silent >= 0; silent--) {
        mppt->stale = shunt->stale = silent;
        settle(world, shunt);
        settle(world, mppt);
        assert_int_equal(sources_of(world, sources), 2);
        for (int i = 0; i < 2; i++)
            assert_int_equal(isnan(source_current_A(&world->config, &sources[i])), silent);
    }
}

static void a_shunts_current_follows_its_readings(void **state)
{
    struct world *world = *state;
    struct source sources[8];
    struct device *shunt = arrive(world, "com.victronenergy.battery.ttyS6");

    world->config.use_smartshunts = SHUNTS_ALL;
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/Dc/0/Current", 7);
    settle(world, shunt);
    tell_number(world, shunt, "/Dc/0/Current", 8);
    devices_settle(&world->devices, shunt);
    assert_int_equal(sources_of(world, sources), 1);
    assert_true(sources[0].current_A == 8);
    assert_int_equal(sources[0].kind, SOURCE_SHUNT_BATTERY);
}

/* ---- what the settings name ---- */

static void set_patterns(struct pattern_list *list, const char *a, const char *b)
{
    list->count = b ? 2 : 1;
    strcpy(list->pattern[0], a);
    if (b)
        strcpy(list->pattern[1], b);
}

static void a_pattern_fits_the_whole_name_and_stars_stand_for_any_text(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool fits;
    } cases[] = {{"House 1", "House 1", true},
                 {"House", "House 1", false},
                 {"House*", "House 1", true},
                 {"House*", "House", true},
                 {"*1", "House 11", true},
                 {"*1", "House 12", false},
                 {"H*s*1", "House 1", true},
                 {"H*x*1", "House 1", false},
                 {"House ?", "House 1", true},
                 {"House ?", "House 11", false},
                 {"House ?", "House ", false},
                 {"*", "x", true},
                 {"*", "", false},
                 {"", "", false},
                 {"house 1", "House 1", false},
                 {"K?che",
                  "K\xC3\xBC"
                  "che",
                  true},
                 {"a*ab", "aaab", true},
                 {"[1]", "1", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (pattern_fits(cases[i].pattern, cases[i].text) != cases[i].fits)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].text);
    }
}

static void packs_are_named_by_custom_name_serial_product_name_or_instance(void **state)
{
    static const char *const patterns[] = {"House 1", "S1", "SerialBattery*", "#7"};
    static const char *const others[] = {"House", "7", "#70", "#", "SerialBattery"};
    struct world *world = *state;
    const struct pack_reading *reading =
        &arrive_pack(world, "com.victronenergy.battery.a", 7, "House 1", "S1")->pack.reading;

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        assert_true(pattern_names(patterns[i], reading));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(pattern_names(others[i], reading));
}

static void a_name_longer_than_we_keep_is_found_by_what_we_keep(void **state)
{
    char name[CONFIG_TEXT_MAX];
    struct world *world = *state;
    struct device *device = arrive_pack(world, "com.victronenergy.battery.a", 7, "x", "S1");

    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    tell_text(world, device, "/CustomName", name);
    assert_true(pattern_names(name, &device->pack.reading));
    name[10] = 'm';
    assert_false(pattern_names(name, &device->pack.reading));
}

static void only_what_packs_names_is_a_pack(void **state)
{
    struct world *world = *state;

    set_patterns(&world->config.packs, "#2", "House*");
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.a", 1, "A", "1")->role, ROLE_OTHER);
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.b", 2, "B", "2")->role, ROLE_PACK);
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.c", 3, "House 3", "3")->role, ROLE_PACK);
}

static void packs_names_neither_shunts_nor_aggregates(void **state)
{
    struct world *world = *state;
    struct device *device = arrive(world, "com.victronenergy.battery.ttyS6");

    set_patterns(&world->config.packs, "*", NULL);
    tell_text(world, device, "/ProductName", "SmartShunt 500A/50mV");
    settle(world, device);
    assert_int_equal(device->role, ROLE_SHUNT);
    tell_text(world, device, "/ProductName", "Aggregator");
    settle(world, device);
    assert_int_equal(device->role, ROLE_OTHER);
}

static void what_ignore_names_is_neither_pack_nor_shunt(void **state)
{
    struct world *world = *state;
    struct device *shunt = arrive(world, "com.victronenergy.battery.ttyS6");

    set_patterns(&world->config.packs, "*", NULL);
    set_patterns(&world->config.ignore, "Garage", "SmartShunt*");
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.a", 1, "Garage", "1")->role, ROLE_OTHER);
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.b", 2, "House", "2")->role, ROLE_PACK);
    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    settle(world, shunt);
    assert_int_equal(shunt->role, ROLE_OTHER);
}

static void a_name_that_falls_silent_makes_no_pack_and_unmakes_none(void **state)
{
    struct world *world = *state;
    struct device *pack, *ignored;

    set_patterns(&world->config.packs, "House", "#2");
    set_patterns(&world->config.ignore, "Garage", NULL);
    pack = arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    ignored = arrive_pack(world, "com.victronenergy.battery.b", 2, "Garage", "2");
    tell(world, pack, "/CustomName", value_invalid());
    tell(world, ignored, "/CustomName", value_invalid());
    settle(world, pack);
    settle(world, ignored);
    assert_int_equal(pack->role, ROLE_PACK);
    assert_int_equal(ignored->role, ROLE_OTHER);
    tell_text(world, pack, "/CustomName", "Elsewhere");
    settle(world, pack);
    assert_int_equal(pack->role, ROLE_OTHER);
}

static void a_product_name_that_falls_silent_unmakes_no_pack(void **state)
{
    struct world *world = *state;
    struct device *pack;

    set_patterns(&world->config.battery_product_names, "Pylon", "SerialBattery");
    pack = arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    assert_int_equal(pack->role, ROLE_PACK);
    tell(world, pack, "/ProductName", value_invalid());
    settle(world, pack);
    assert_int_equal(pack->role, ROLE_PACK);
    assert_true(pack->member);
}

static void other_settings_decide_anew_even_of_a_pack_without_a_name(void **state)
{
    struct world *world = *state;
    struct device *pack;

    set_patterns(&world->config.packs, "#1", NULL);
    pack = arrive_pack(world, "com.victronenergy.battery.a", 1, "", "1");
    assert_int_equal(pack->role, ROLE_PACK);
    set_patterns(&world->config.packs, "#2", NULL);
    devices_decide_anew(&world->devices, false);
    devices_settle(&world->devices, pack);
    assert_int_equal(pack->role, ROLE_OTHER);
}

/* ---- a pack behind a shunt of its own ---- */

static struct device *arrive_shunt(struct world *world, const char *service, double instance,
                                   double current_A)
{
    struct device *shunt = arrive(world, service);

    tell_text(world, shunt, "/ProductName", "SmartShunt 500A/50mV");
    tell_number(world, shunt, "/DeviceInstance", instance);
    tell_number(world, shunt, "/Dc/0/Current", current_A);
    settle(world, shunt);
    return shunt;
}

static void give_shunt(struct world *world, const char *pack, int instance, bool soc)
{
    struct pack_shunt *shunt = &world->config.pack_shunts.shunt[world->config.pack_shunts.count++];

    strcpy(shunt->pack, pack);
    shunt->instance = instance;
    shunt->soc = soc;
}

static void a_packs_current_is_that_of_its_shunt_and_its_power_follows(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];
    struct device *shunt, *device;

    give_shunt(world, "House", 279, false);
    device = arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1"); /* 10 A */
    tell_number(world, device, "/Dc/0/Power", 531);
    devices_settle(&world->devices, device);
    arrive_pack(world, "com.victronenergy.battery.b", 2, "Other", "2");
    shunt = arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    tell_number(world, shunt, "/Soc", 40);
    assert_int_equal(devices_packs(&world->devices, packs, 4), 2);
    assert_true(packs[0]->reading.current_A == 12.5 && isnan(packs[0]->reading.power_W));
    assert_true(packs[0]->reading.soc_pct == 60); /* its own */
    assert_string_equal(packs[0]->name, "House");
    assert_true(packs[1]->reading.current_A == 10);
    assert_true(device->pack.reading.current_A == 10);
    world->config.pack_shunts.shunt[0].inverted = true;
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == -12.5);
}

static void a_shunt_that_is_told_so_gives_its_soc_too(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];
    struct device *shunt;

    give_shunt(world, "#1", 279, true);
    tell_number(world, arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1"), "/Capacity", 168);
    shunt = arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    tell_number(world, shunt, "/Soc", 40);
    tell_number(world, shunt, "/ConsumedAmphours", -168);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.soc_pct == 40);
    assert_true(packs[0]->reading.consumed_Ah == -168);
    assert_near(pack_remaining_Ah(&packs[0]->reading), 112, 1e-9); /* 40 % of 280 Ah */
}

static void a_packs_own_current_stands_in_while_its_shunt_cannot_be_read(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];
    struct device *shunt;

    give_shunt(world, "House", 279, false);
    arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 10);
    shunt = arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 12.5);
    shunt->stale = true;
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 10);
    shunt->stale = false;
    tell(world, shunt, "/Dc/0/Current", value_invalid());
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 10);
    devices_remove(&world->devices, shunt);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 10);
}

static void a_pack_whose_name_falls_silent_keeps_its_shunt(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];
    struct device *pack;

    give_shunt(world, "House", 279, false);
    pack = arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    tell(world, pack, "/CustomName", value_invalid());
    settle(world, pack);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 12.5);
    tell_text(world, pack, "/CustomName", "Elsewhere");
    settle(world, pack);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == 10);
}

static void a_shunt_of_any_make_may_measure_a_pack_but_no_pack_may(void **state)
{
    struct world *world = *state;
    struct device *lynx = arrive(world, "com.victronenergy.battery.socketcan_can0_vi0_uc9");

    give_shunt(world, "House", 279, false);
    give_shunt(world, "Garage", 2, false);
    tell_text(world, lynx, "/ProductName", "Lynx Shunt VE.Can");
    tell_number(world, lynx, "/DeviceInstance", 279);
    settle(world, lynx);
    assert_int_equal(lynx->role, ROLE_SHUNT);
    assert_int_equal(arrive_pack(world, "com.victronenergy.battery.b", 2, "Other", "2")->role, ROLE_PACK);
}

static void a_pack_without_a_current_of_its_own_joins_with_its_shunt(void **state)
{
    struct world *world = *state;
    struct device *pack;

    give_shunt(world, "House", 279, false);
    pack = arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    pack->member = false;
    tell(world, pack, "/Dc/0/Current", value_invalid());
    settle(world, pack);
    assert_false(pack->member);
    assert_string_equal(pack->waits_for, "/Dc/0/Current");
    arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    tell_number(world, pack, "/Dc/0/Voltage", 53.2);
    devices_settle(&world->devices, pack);
    assert_true(pack->member);
}

static void a_shunt_of_a_pack_is_no_source_of_its_own(void **state)
{
    struct world *world = *state;
    struct source sources[8];

    world->config.use_smartshunts = SHUNTS_ALL;
    world->config.smartshunt_as_battery_current = true;
    give_shunt(world, "House", 279, false);
    arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 12.5);
    arrive_shunt(world, "com.victronenergy.battery.ttyS7", 280, 3);
    assert_int_equal(sources_of(world, sources), 1);
    assert_true(sources[0].current_A == 3);
}

static void a_dc_meter_as_shunt_of_a_pack_shows_what_the_pack_gives(void **state)
{
    struct world *world = *state;
    const struct pack *packs[4];

    give_shunt(world, "House", 31, false);
    arrive_pack(world, "com.victronenergy.battery.a", 1, "House", "1");
    arrive_shunt(world, "com.victronenergy.dcload.ttyS6", 31, 4);
    devices_packs(&world->devices, packs, 4);
    assert_true(packs[0]->reading.current_A == -4);
}

/* ---- sources of current ---- */

static void name_sources(struct world *world, size_t count, const struct current_source *source)
{
    memset(&world->config.current_sources, 0, sizeof world->config.current_sources);
    memcpy(world->config.current_sources.source, source, count * sizeof *source);
    world->config.current_sources.count = count;
}

static struct device *arrive_source(struct world *world, const char *service, double instance,
                                    double current_A)
{
    struct device *device = arrive(world, service);

    tell_number(world, device, "/DeviceInstance", instance);
    tell_number(world, device, "/Connected", 1);
    tell_number(world, device, "/Dc/0/Current", current_A);
    settle(world, device);
    return device;
}

static void other_sources_are_read_only_when_they_are_named(void **state)
{
    static const struct current_source one = {DC_ALTERNATOR, CONFIG_NOT_SET, 0}, any = {DC_ANY, 5, 0};
    static const char alternator[] = "com.victronenergy.alternator.ttyS8";
    struct world *world = *state;
    enum device_class device_class;

    assert_false(devices_class_of(&world->config, alternator, &device_class));
    name_sources(world, 1, &one);
    assert_true(devices_class_of(&world->config, alternator, &device_class));
    assert_int_equal(device_class, CLASS_SOURCE);
    assert_false(devices_class_of(&world->config, "com.victronenergy.dcsource.x", &device_class));
    name_sources(world, 1, &any);
    assert_true(devices_class_of(&world->config, "com.victronenergy.dcsource.x", &device_class));
    assert_false(devices_class_of(&world->config, "com.victronenergy.tank.x", &device_class));
    assert_false(devices_class_of(&world->config, "com.victronenergy.battery.aggregate", &device_class));
}

/* The current into the bank of one device of this class that shows 8 A, its element as given. */
static double counted_A(struct world *world, const char *service, struct current_source element)
{
    struct source sources[8];
    struct device *device;
    double current_A;

    name_sources(world, 1, &element);
    device = arrive_source(world, service, 30, 8);
    if (strstr(service, "dcdc"))
        tell_number(world, device, "/Dc/In/I", 3);
    assert_int_equal(sources_of(world, sources), 1);
    current_A = source_current_A(&world->config, &sources[0]);
    devices_remove(&world->devices, device);
    return current_A;
}

static void each_class_counts_with_the_sign_that_venus_gives_it(void **state)
{
    static const struct {
        const char *service;
        enum dc_class dc_class;
        double current_A;
    } cases[] = {{"vebus", DC_VEBUS, 8},
                 {"multi", DC_MULTI, 8},
                 {"acsystem", DC_ACSYSTEM, 8},
                 {"inverter", DC_INVERTER, 8},
                 {"solarcharger", DC_SOLARCHARGER, 8},
                 {"charger", DC_CHARGER, 8},
                 {"alternator", DC_ALTERNATOR, 8},
                 {"dcgenset", DC_DCGENSET, 8},
                 {"fuelcell", DC_FUELCELL, 8},
                 {"dcsource", DC_DCSOURCE, 8},
                 {"dcload", DC_DCLOAD, -8},
                 {"dcsystem", DC_DCSYSTEM, -8},
                 {"motordrive", DC_MOTORDRIVE, -8},
                 {"dcdc", DC_DCDC, -3}};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char service[64];

        snprintf(service, sizeof service, "com.victronenergy.%s.x", cases[i].service);
        assert_near(counted_A(world, service, (struct current_source){cases[i].dc_class, CONFIG_NOT_SET, 0}),
                    cases[i].current_A, 1e-9);
        assert_near(counted_A(world, service, (struct current_source){DC_ANY, 30, 0}), cases[i].current_A,
                    1e-9);
        assert_near(counted_A(world, service, (struct current_source){cases[i].dc_class, 30, 1}), 8, 1e-9);
        assert_near(counted_A(world, service, (struct current_source){cases[i].dc_class, 30, -1}),
                    cases[i].dc_class == DC_DCDC ? -3 : -8, 1e-9);
    }
}

static void an_instance_prevails_over_its_class(void **state)
{
    static const struct current_source elements[] = {{DC_DCLOAD, 31, 1}, {DC_DCLOAD, CONFIG_NOT_SET, 0}};
    struct world *world = *state;
    struct source sources[8];

    name_sources(world, 2, elements);
    arrive_source(world, "com.victronenergy.dcload.a", 30, 8);
    arrive_source(world, "com.victronenergy.dcload.b", 31, 5);
    assert_int_equal(sources_of(world, sources), 2);
    assert_true(source_current_A(&world->config, &sources[0]) == -8);
    assert_true(source_current_A(&world->config, &sources[1]) == 5);
}

static void a_named_instance_that_is_not_here_cannot_be_read_and_a_class_may_be_empty(void **state)
{
    static const struct current_source elements[] = {{DC_DCLOAD, 31, 0}, {DC_FUELCELL, CONFIG_NOT_SET, 0}};
    struct world *world = *state;
    struct source sources[8];

    name_sources(world, 2, elements);
    assert_int_equal(sources_of(world, sources), 1);
    assert_true(isnan(source_current_A(&world->config, &sources[0])));
    assert_string_equal(sources[0].name, "dcload#31");
}

static void what_is_off_and_shows_no_current_counts_0(void **state)
{
    static const struct current_source element = {DC_DCGENSET, CONFIG_NOT_SET, 0};
    struct world *world = *state;
    struct source sources[8];
    struct device *device;

    name_sources(world, 1, &element);
    device = arrive_source(world, "com.victronenergy.dcgenset.x", 30, 8);
    tell(world, device, "/Dc/0/Current", value_invalid());
    sources_of(world, sources);
    assert_true(isnan(source_current_A(&world->config, &sources[0])));
    tell_number(world, device, "/Connected", 0); /* its cable is out: nobody knows */
    sources_of(world, sources);
    assert_true(isnan(source_current_A(&world->config, &sources[0])));
    tell_number(world, device, "/StatusCode", 0);
    sources_of(world, sources);
    assert_true(source_current_A(&world->config, &sources[0]) == 0);
}

static void a_shunt_is_counted_once_when_two_settings_name_it(void **state)
{
    static const struct current_source element = {DC_ANY, 279, -1};
    struct world *world = *state;
    struct source sources[8];

    name_sources(world, 1, &element);
    world->config.use_smartshunts = SHUNTS_ALL;
    arrive_shunt(world, "com.victronenergy.battery.ttyS6", 279, 4);
    assert_int_equal(sources_of(world, sources), 1);
    assert_true(source_current_A(&world->config, &sources[0]) == -4);
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
        TEST(sources_that_fell_silent_cannot_be_read_until_they_are_heard),
        TEST(a_shunts_current_follows_its_readings),
        TEST(a_pattern_fits_the_whole_name_and_stars_stand_for_any_text),
        TEST(packs_are_named_by_custom_name_serial_product_name_or_instance),
        TEST(a_name_longer_than_we_keep_is_found_by_what_we_keep),
        TEST(only_what_packs_names_is_a_pack),
        TEST(packs_names_neither_shunts_nor_aggregates),
        TEST(what_ignore_names_is_neither_pack_nor_shunt),
        TEST(a_name_that_falls_silent_makes_no_pack_and_unmakes_none),
        TEST(a_product_name_that_falls_silent_unmakes_no_pack),
        TEST(other_settings_decide_anew_even_of_a_pack_without_a_name),
        TEST(a_packs_current_is_that_of_its_shunt_and_its_power_follows),
        TEST(a_shunt_that_is_told_so_gives_its_soc_too),
        TEST(a_packs_own_current_stands_in_while_its_shunt_cannot_be_read),
        TEST(a_pack_whose_name_falls_silent_keeps_its_shunt),
        TEST(a_shunt_of_any_make_may_measure_a_pack_but_no_pack_may),
        TEST(a_pack_without_a_current_of_its_own_joins_with_its_shunt),
        TEST(a_shunt_of_a_pack_is_no_source_of_its_own),
        TEST(a_dc_meter_as_shunt_of_a_pack_shows_what_the_pack_gives),
        TEST(other_sources_are_read_only_when_they_are_named),
        TEST(each_class_counts_with_the_sign_that_venus_gives_it),
        TEST(an_instance_prevails_over_its_class),
        TEST(a_named_instance_that_is_not_here_cannot_be_read_and_a_class_may_be_empty),
        TEST(what_is_off_and_shows_no_current_counts_0),
        TEST(a_shunt_is_counted_once_when_two_settings_name_it),
    };

    return cmocka_run_group_tests_name("discovery", tests, NULL, NULL);
}
