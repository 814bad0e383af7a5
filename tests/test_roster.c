/* roster: who belongs to the bank, also while away. */
#include "fixture.h"
#include "roster.h"

#include <stdio.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

struct heard {
    size_t joined, returned, left, renamed, forgotten, excluded;
};

static void hear(void *ctx, enum roster_event event, const struct roster_entry *entry,
                 const struct device *device)
{
    struct heard *heard = ctx;

    (void)entry;
    (void)device;
    heard->joined += event == ROSTER_JOINED;
    heard->returned += event == ROSTER_RETURNED;
    heard->left += event == ROSTER_LEFT;
    heard->renamed += event == ROSTER_RENAMED;
    heard->forgotten += event == ROSTER_FORGOTTEN;
    heard->excluded += event == ROSTER_EXCLUDED;
}

static void look(struct world *world, struct roster *roster, int expected, double now_s, struct heard *heard)
{
    *heard = (struct heard){0};
    world->config.nr_of_batteries = expected;
    roster_update(roster, &world->devices, now_s, hear, heard);
}

static void a_pack_joins_once(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;

    arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    assert_int_equal(heard.joined, 1);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard.joined + heard.returned + heard.renamed + heard.left, 0);
}

static void a_pack_that_comes_back_under_another_bus_name_is_the_same_pack(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard.left, 1);
    assert_int_equal(roster_missing(&roster), 1);
    arrive_pack(world, "com.victronenergy.battery.ttyUSB7", 1, "A", "S1");
    look(world, &roster, CONFIG_NOT_SET, 2, &heard);
    assert_int_equal(heard.returned, 1);
    assert_int_equal(roster_missing(&roster), 0);
    assert_int_equal(roster.count, 1);
}

static void another_pack_in_its_place_is_a_new_pack(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S9");
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard.left, 1);
    assert_int_equal(heard.joined, 1);
    assert_int_equal(roster_missing(&roster), 1);
}

static void two_packs_with_one_serial_are_two_packs(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;

    arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "A", "S1");
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    assert_int_equal(heard.joined, 1);
    assert_int_equal(heard.left, 0);
    assert_int_equal(roster.count, 2);
    assert_int_equal(roster_missing(&roster), 0);
}

static void a_missing_pack_is_forgotten_after_the_grace_when_no_number_is_set(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "B", "S2");
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 10, &heard);
    look(world, &roster, CONFIG_NOT_SET, 10 + 600 - 1, &heard);
    assert_int_equal(roster_missing(&roster), 1);
    look(world, &roster, CONFIG_NOT_SET, 10 + 600, &heard);
    assert_int_equal(heard.forgotten, 1);
    assert_int_equal(roster_missing(&roster), 0);
}

static void a_missing_pack_is_waited_for_without_end_when_a_number_is_set(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "B", "S2");
    look(world, &roster, 2, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, 2, 1, &heard);
    look(world, &roster, 2, 1e6, &heard);
    assert_int_equal(roster_missing(&roster), 1);
    arrive_pack(world, "com.victronenergy.battery.ttyUSB5", 3, "C", "S3");
    look(world, &roster, 2, 1e6 + 1, &heard);
    assert_int_equal(heard.forgotten, 1); /* the bank is whole again without it */
    assert_int_equal(roster_missing(&roster), 0);
}

static void a_pack_that_the_settings_exclude_is_not_missing(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "", "S1");

    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "B", "S2");
    strcpy(world->config.ignore.pattern[0], "Garage");
    world->config.ignore.count = 1;
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    assert_int_equal(heard.joined, 2);
    tell_text(world, pack, "/CustomName", "Garage"); /* it says late who it is */
    devices_settle(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard.excluded, 1);
    assert_int_equal(heard.left, 0);
    assert_int_equal(roster_missing(&roster), 0);
    look(world, &roster, CONFIG_NOT_SET, 2, &heard);
    assert_int_equal(heard.excluded, 0);
}

static size_t heard_in_all(const struct heard *heard)
{
    return heard->joined + heard->returned + heard->left + heard->renamed + heard->forgotten +
           heard->excluded;
}

static void a_serial_that_arrives_late_is_that_of_the_same_pack(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    tell_text(world, pack, "/Serial", "S1");
    devices_settle(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard_in_all(&heard), 0);
    assert_int_equal(roster.count, 1);
    assert_string_equal(roster.entry[0].serial, "S1");
}

static void a_serial_that_is_invalid_for_a_moment_is_neither_lost_nor_forgotten(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    tell_text(world, pack, "/Serial", "");
    devices_settle(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard_in_all(&heard), 0);
    assert_int_equal(roster_missing(&roster), 0);
    assert_string_equal(roster.entry[0].serial, "S1");
    tell_text(world, pack, "/Serial", "S9"); /* two serials are two packs */
    devices_settle(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 2, &heard);
    assert_int_equal(heard.left, 1);
    assert_int_equal(heard.joined, 1);
}

static void a_pack_that_returns_without_its_serial_is_known_by_its_name(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    strcpy(world->config.battery_instance_name_path, "/CustomName");
    arrive_pack(world, "com.victronenergy.battery.ttyUSB7", 1, roster.entry[0].name, "");
    look(world, &roster, CONFIG_NOT_SET, 2, &heard);
    assert_int_equal(heard.returned, 1);
    assert_int_equal(roster_missing(&roster), 0);
    assert_string_equal(roster.entry[0].serial, "S1");
}

static void a_pack_that_returns_unknown_and_tells_its_serial_later_is_no_second_one(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB7", 1, "another", "");
    look(world, &roster, CONFIG_NOT_SET, 2, &heard);
    assert_int_equal(roster_missing(&roster), 1); /* nobody can know yet */
    tell_text(world, pack, "/Serial", "S1");
    devices_settle(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 3, &heard);
    assert_int_equal(heard.returned, 1);
    assert_int_equal(roster_missing(&roster), 0);
    assert_true(roster.entry[0].present);
    assert_false(roster.entry[1].used);
}

/* Other settings: BANK no longer names it. */
static void a_pack_that_is_no_longer_in_BANK_is_not_missing(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    arrive_pack(world, "com.victronenergy.battery.ttyUSB1", 2, "B", "S2");
    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    pack->role = ROLE_NOT_IN_BANK;
    pack->member = false;
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    assert_int_equal(heard.excluded, 1);
    assert_int_equal(heard.left, 0);
    assert_int_equal(roster_missing(&roster), 0);
}

static void a_pack_that_renames_itself_endlessly_is_told_once_a_minute(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");
    char name[16];
    size_t told = 0;

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "N%d", i);
        tell_text(world, pack, "/CustomName", name);
        strcpy(pack->pack.name, name);
        look(world, &roster, CONFIG_NOT_SET, 1 + 0.1 * i, &heard);
        told += heard.renamed;
    }
    assert_int_equal(told, 1);
    assert_string_equal(roster.entry[0].name, "N99"); /* what is shown follows at once */
    look(world, &roster, CONFIG_NOT_SET, 70, &heard);
    assert_int_equal(heard.renamed, 1);
    look(world, &roster, CONFIG_NOT_SET, 200, &heard);
    assert_int_equal(heard.renamed, 0);
}

static void nobody_is_forgotten_while_all_are_away(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack = arrive_pack(world, "com.victronenergy.battery.ttyUSB0", 1, "A", "S1");

    look(world, &roster, CONFIG_NOT_SET, 0, &heard);
    devices_remove(&world->devices, pack);
    look(world, &roster, CONFIG_NOT_SET, 1, &heard);
    look(world, &roster, CONFIG_NOT_SET, 1e6, &heard);
    assert_int_equal(roster_missing(&roster), 1);
}

/* A service with a new serial each time must not keep the packs that come later from being noticed. */
static void in_a_full_roster_the_newcomer_has_the_place_of_the_longest_gone(void **state)
{
    struct world *world = *state;
    struct roster roster = {0};
    struct heard heard;
    struct device *pack;
    char serial[16];

    arrive_pack(world, "com.victronenergy.battery.house", 1, "House", "H");
    for (int i = 0; i < OUTPUTS_PACKS_MAX - 1; i++) {
        snprintf(serial, sizeof serial, "S%d", i);
        pack = arrive_pack(world, "com.victronenergy.battery.changing", 2, serial, serial);
        look(world, &roster, 64, 2.0 * i, &heard);
        devices_remove(&world->devices, pack);
        look(world, &roster, 64, 2.0 * i + 1, &heard);
    }
    assert_int_equal(roster_missing(&roster), OUTPUTS_PACKS_MAX - 1);
    arrive_pack(world, "com.victronenergy.battery.new", 3, "New", "N");
    look(world, &roster, 64, 1000, &heard);
    assert_int_equal(heard.forgotten, 1);
    assert_int_equal(heard.joined, 1);
    assert_int_equal(roster_missing(&roster), OUTPUTS_PACKS_MAX - 2);
    assert_string_equal(roster.entry[0].serial, "H");
    assert_string_equal(roster.entry[1].serial, "N");
    assert_string_equal(roster.entry[2].serial, "S1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pack_joins_once),
        TEST(a_pack_that_comes_back_under_another_bus_name_is_the_same_pack),
        TEST(another_pack_in_its_place_is_a_new_pack),
        TEST(two_packs_with_one_serial_are_two_packs),
        TEST(a_missing_pack_is_forgotten_after_the_grace_when_no_number_is_set),
        TEST(a_missing_pack_is_waited_for_without_end_when_a_number_is_set),
        TEST(a_pack_that_the_settings_exclude_is_not_missing),
        TEST(a_serial_that_arrives_late_is_that_of_the_same_pack),
        TEST(a_serial_that_is_invalid_for_a_moment_is_neither_lost_nor_forgotten),
        TEST(a_pack_that_returns_without_its_serial_is_known_by_its_name),
        TEST(a_pack_that_returns_unknown_and_tells_its_serial_later_is_no_second_one),
        TEST(a_pack_that_is_no_longer_in_BANK_is_not_missing),
        TEST(a_pack_that_renames_itself_endlessly_is_told_once_a_minute),
        TEST(nobody_is_forgotten_while_all_are_away),
        TEST(in_a_full_roster_the_newcomer_has_the_place_of_the_longest_gone),
    };

    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
