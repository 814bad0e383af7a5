/* venus/pages: what is shown of each pack, how exactly and how often. */
#include "fixture.h"

#include <stdio.h>

#include "venus/pages.h"

struct bench {
    struct items *items;
    struct pages *pages;
    struct pack pack;
};

static int setup(void **state)
{
    struct bench *bench = test_calloc(1, sizeof *bench);

    bench->items = items_new(NULL, NULL);
    bench->pages = pages_new(bench->items);
    assert_non_null(bench->pages);
    pack_clear(&bench->pack);
    bench->pack.reading.voltage_V = 53.1;
    bench->pack.reading.current_A = 10;
    bench->pack.reading.soc_pct = 60;
    bench->pack.reading.charge_current_max_A = 100;
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    pages_free(bench->pages);
    items_free(bench->items);
    test_free(bench);
    return 0;
}

static void arrive_at(struct bench *bench, size_t slot, const char *name)
{
    pages_set_pack(bench->pages, slot, &(struct pages_pack){"com.victronenergy.battery.a", name, "SN", true});
    pages_set_values(bench->pages, slot, &bench->pack, 0);
}

static void leave(struct bench *bench, size_t slot, const char *name)
{
    pages_set_pack(bench->pages, slot,
                   &(struct pages_pack){"com.victronenergy.battery.a", name, "SN", false});
    pages_set_values(bench->pages, slot, NULL, 0);
}

static struct value at(const struct bench *bench, const char *path)
{
    int item = items_find(bench->items, path);

    if (item < 0)
        fail_msg("%s is not there", path);
    return items_value(bench->items, item);
}

static double number_at(const struct bench *bench, const char *path)
{
    return at(bench, path).number;
}

static void a_page_shows_who_the_pack_is_and_what_it_says(void **state)
{
    struct bench *bench = *state;

    strcpy(bench->pack.reading.firmware, "2.1");
    bench->pack.reading.capacity_installed_Ah = 280;
    bench->pack.reading.charge_voltage_max_V = 55.209;
    bench->pack.reading.allow_charge = 0;
    arrive_at(bench, 0, "House 1");
    assert_string_equal(at(bench, "/Battery/1/Name").text, "House 1");
    assert_string_equal(at(bench, "/Battery/1/Serial").text, "SN");
    assert_string_equal(at(bench, "/Battery/1/State").text, "online");
    assert_string_equal(at(bench, "/Battery/1/FwVersion").text, "2.1");
    assert_near(number_at(bench, "/Battery/1/Soc"), 60, 0);
    assert_near(number_at(bench, "/Battery/1/Voltage"), 53.1, 1e-9);
    assert_near(number_at(bench, "/Battery/1/Capacity"), 280, 0);
    assert_near(number_at(bench, "/Battery/1/Info/MaxChargeVoltage"), 55.20, 1e-9); /* never more */
    assert_near(number_at(bench, "/Battery/1/Io/AllowToCharge"), 0, 0);
    assert_int_equal(at(bench, "/Battery/1/Temperature").kind, VALUE_INVALID); /* it does not say */
}

static void noise_of_a_pack_that_nobody_looks_at_is_not_shown(void **state)
{
    struct bench *bench = *state;

    arrive_at(bench, 0, "A");
    arrive_at(bench, 1, "B");
    items_take_changes(bench->items, NULL, NULL);
    bench->pack.reading.voltage_V = 53.14;
    bench->pack.reading.current_A = 9.2;
    bench->pack.reading.soc_pct = 60.6;
    pages_set_values(bench->pages, 1, &bench->pack, 1);
    assert_int_equal(items_take_changes(bench->items, NULL, NULL), 0);
    pages_set_values(bench->pages, 0, &bench->pack, 1); /* the one that is asked for, by default */
    assert_int_equal(items_take_changes(bench->items, NULL, NULL), 3);
    assert_near(number_at(bench, "/Battery/1/Voltage"), 53.14, 1e-9);
    assert_near(number_at(bench, "/Battery/2/Voltage"), 53.1, 1e-9);
    bench->pack.reading.voltage_V = 53.16;
    pages_set_values(bench->pages, 1, &bench->pack, 1);
    assert_near(number_at(bench, "/Battery/2/Voltage"), 53.16, 1e-9);
}

static void the_last_digit_of_a_cell_is_not_shown(void **state)
{
    struct bench *bench = *state;

    bench->pack.reading.cell_V[0] = 3.300;
    arrive_at(bench, 0, "A");
    bench->pack.reading.cell_V[0] = 3.302;
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_near(number_at(bench, "/Battery/1/Cell/1/Voltage"), 3.300, 1e-9);
    bench->pack.reading.cell_V[0] = 3.303;
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_near(number_at(bench, "/Battery/1/Cell/1/Voltage"), 3.303, 1e-9);
    bench->pack.reading.cell_V[0] = NAN;
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_int_equal(at(bench, "/Battery/1/Cell/1/Voltage").kind, VALUE_INVALID);
}

static void a_limit_of_0_is_no_noise(void **state)
{
    struct bench *bench = *state;

    bench->pack.reading.charge_current_max_A = 0.4;
    arrive_at(bench, 0, "A");
    arrive_at(bench, 1, "B");
    bench->pack.reading.charge_current_max_A = 0;
    pages_set_values(bench->pages, 1, &bench->pack, 0);
    assert_near(number_at(bench, "/Battery/2/Info/MaxChargeCurrent"), 0, 0);
    bench->pack.reading.charge_current_max_A = 0.4;
    pages_set_values(bench->pages, 1, &bench->pack, 0);
    assert_near(number_at(bench, "/Battery/2/Info/MaxChargeCurrent"), 0.4, 1e-9);
}

static void of_a_missing_pack_only_its_identity_and_its_age_are_known(void **state)
{
    struct bench *bench = *state;

    arrive_at(bench, 0, "House 1");
    leave(bench, 0, "House 1");
    pages_set_values(bench->pages, 0, &bench->pack, 47); /* what it still says does not count */
    assert_string_equal(at(bench, "/Battery/1/Name").text, "House 1");
    assert_string_equal(at(bench, "/Battery/1/State").text, "missing");
    assert_int_equal(at(bench, "/Battery/1/Soc").kind, VALUE_INVALID);
    assert_int_equal(at(bench, "/Battery/1/Voltage").kind, VALUE_INVALID);
    assert_int_equal(at(bench, "/Battery/1/Info/MaxChargeCurrent").kind, VALUE_INVALID);
    assert_near(number_at(bench, "/Battery/1/Age"), 40, 0);
    assert_near(number_at(bench, "/Battery/1/Alarm"), 1, 0);
    assert_near(number_at(bench, "/Diagnostics/Module0/Alarms/BmsCable"), 1, 0);
    arrive_at(bench, 0, "House 1");
    assert_near(number_at(bench, "/Battery/1/Soc"), 60, 0);
    assert_near(number_at(bench, "/Diagnostics/Module0/Alarms/BmsCable"), 0, 0);
}

static void a_slot_that_is_free_again_shows_nothing(void **state)
{
    struct bench *bench = *state;

    bench->pack.cells.highest_V = 3.4;
    bench->pack.reading.cell_V[0] = 3.4;
    bench->pack.reading.alarm[ALARM_LOW_SOC] = 1;
    arrive_at(bench, 0, "House 1");
    pages_set_pack(bench->pages, 0, &(struct pages_pack){"", "", "", false});
    pages_set_values(bench->pages, 0, NULL, NAN);
    for (size_t i = 0; i < items_count(bench->items); i++) {
        char path[ITEMS_PATH_MAX];

        items_path(bench->items, (int)i, path);
        if (strcmp(path, "/Battery/Request/Id") != 0 &&
            items_value(bench->items, (int)i).kind != VALUE_INVALID)
            fail_msg("%s is shown", path);
    }
}

static void the_texts_of_another_pack_are_shown_as_whole_as_those_before_it(void **state)
{
    struct bench *bench = *state;
    char service[ITEMS_TEXT_MAX], text[READING_TEXT_MAX];

    memset(service, 's', sizeof service - 1);
    service[sizeof service - 1] = '\0';
    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    strcpy(bench->pack.reading.charge_mode, "Bulk");
    strcpy(bench->pack.reading.firmware, "1");
    arrive_at(bench, 0, "A");
    assert_string_equal(at(bench, "/Battery/1/State").text, "online");
    strcpy(bench->pack.reading.charge_mode, text);
    strcpy(bench->pack.reading.firmware, text);
    pages_set_pack(bench->pages, 0, &(struct pages_pack){service, text, text, true});
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_string_equal(at(bench, "/Battery/1/Service").text, service);
    assert_string_equal(at(bench, "/Battery/1/Name").text, text);
    assert_string_equal(at(bench, "/Battery/1/Serial").text, text);
    assert_string_equal(at(bench, "/Battery/1/Info/ChargeMode").text, text);
    assert_string_equal(at(bench, "/Battery/1/FwVersion").text, text);
    assert_string_equal(at(bench, "/Diagnostics/Module0/Id").text, text);
    leave(bench, 0, "A");
    assert_string_equal(at(bench, "/Battery/1/State").text, "missing");
}

static void ages_come_in_steps(void **state)
{
    static const double ages_s[][2] = {{0, 0},    {9.9, 0},     {10, 10},     {59, 50},     {60, 60},
                                       {119, 60}, {3599, 3540}, {3600, 3600}, {7199, 3600}, {90000, 90000}};
    struct bench *bench = *state;

    arrive_at(bench, 0, "A");
    for (size_t i = 0; i < sizeof ages_s / sizeof *ages_s; i++) {
        pages_set_values(bench->pages, 0, &bench->pack, ages_s[i][0]);
        assert_near(number_at(bench, "/Battery/1/Age"), ages_s[i][1], 0);
    }
    pages_set_values(bench->pages, 0, &bench->pack, NAN);
    assert_int_equal(at(bench, "/Battery/1/Age").kind, VALUE_INVALID);
}

static void cells_are_shown_of_the_pack_that_is_asked_for_only(void **state)
{
    struct bench *bench = *state;

    bench->pack.reading.cell_V[0] = 3.301;
    bench->pack.reading.cell_V[2] = 3.303; /* the second is silent */
    arrive_at(bench, 0, "A");
    arrive_at(bench, 1, "B");
    assert_near(number_at(bench, "/Battery/1/Cell/1/Voltage"), 3.301, 1e-9);
    assert_near(number_at(bench, "/Battery/1/Cell/3/Voltage"), 3.303, 1e-9);
    assert_int_equal(items_find(bench->items, "/Battery/1/Cell/2/Voltage"), -1);
    assert_int_equal(items_find(bench->items, "/Battery/2/Cell/1/Voltage"), -1);
    assert_true(pages_request(bench->pages, 2));
    assert_near(number_at(bench, "/Battery/Request/Id"), 2, 0);
    pages_set_values(bench->pages, 1, &bench->pack, 0);
    assert_int_equal(at(bench, "/Battery/1/Cell/1/Voltage").kind, VALUE_INVALID);
    assert_near(number_at(bench, "/Battery/2/Cell/1/Voltage"), 3.301, 1e-9);
    assert_true(pages_request(bench->pages, 1)); /* and back: no path is added twice */
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_near(number_at(bench, "/Battery/1/Cell/3/Voltage"), 3.303, 1e-9);
}

static void a_pack_that_is_not_there_cannot_be_asked_for(void **state)
{
    static const double wrong[] = {0, -1, 3, 65, 1e9, NAN, INFINITY, 0.5};
    struct bench *bench = *state;

    arrive_at(bench, 0, "A");
    arrive_at(bench, 1, "B");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(pages_request(bench->pages, wrong[i]));
    assert_near(number_at(bench, "/Battery/Request/Id"), 1, 0);
    leave(bench, 1, "B");
    assert_true(pages_request(bench->pages, 2)); /* a missing one can: its page tells since when */
}

static void alarms_are_shown_pack_by_pack_and_only_those_it_knows(void **state)
{
    struct bench *bench = *state;

    bench->pack.reading.alarm[ALARM_LOW_CELL_VOLTAGE] = 2;
    bench->pack.reading.alarm[ALARM_HIGH_VOLTAGE] = 0;
    arrive_at(bench, 0, "House 1");
    assert_string_equal(at(bench, "/Diagnostics/Module0/Id").text, "House 1");
    assert_near(number_at(bench, "/Diagnostics/Module0/Alarms/LowCellVoltage"), 2, 0);
    assert_near(number_at(bench, "/Diagnostics/Module0/Alarms/HighVoltage"), 0, 0);
    assert_int_equal(items_find(bench->items, "/Diagnostics/Module0/Alarms/FuseBlown"), -1);
    assert_near(number_at(bench, "/Battery/1/Alarm"), 2, 0);
    bench->pack.reading.alarm[ALARM_LOW_CELL_VOLTAGE] = NAN;
    pages_set_values(bench->pages, 0, &bench->pack, 0);
    assert_int_equal(at(bench, "/Diagnostics/Module0/Alarms/LowCellVoltage").kind, VALUE_INVALID);
    assert_near(number_at(bench, "/Battery/1/Alarm"), 0, 0);
}

static void the_user_interface_finds_modules_with_one_digit_only(void **state)
{
    struct bench *bench = *state;

    for (size_t slot = 0; slot < 12; slot++)
        arrive_at(bench, slot, "A");
    assert_true(items_find(bench->items, "/Diagnostics/Module9/Id") >= 0);
    assert_int_equal(items_find(bench->items, "/Diagnostics/Module10/Id"), -1);
    assert_true(items_find(bench->items, "/Battery/12/Alarm") >= 0);
}

static void every_pack_has_its_turn_and_the_one_that_is_asked_for_always(void **state)
{
    struct bench *bench = *state;

    arrive_at(bench, 5, "F");
    assert_true(pages_request(bench->pages, 6));
    for (size_t slot = 0; slot < OUTPUTS_PACKS_MAX; slot++) {
        int seen = 0;

        for (size_t turn = 7; turn < 7 + PAGES_TURNS; turn++)
            seen += pages_is_turn(bench->pages, slot, turn);
        assert_int_equal(seen, slot == 5 ? PAGES_TURNS : 1);
    }
}

static void nobody_may_write_but_what_the_user_interface_asks(void **state)
{
    struct bench *bench = *state;

    bench->pack.reading.cell_V[0] = 3.3;
    bench->pack.reading.alarm[ALARM_LOW_SOC] = 0;
    arrive_at(bench, 0, "A");
    for (size_t i = 0; i < items_count(bench->items); i++)
        assert_int_equal(items_def(bench->items, (int)i).writable,
                         (int)i == pages_request_item(bench->pages));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void what_was_learned_is_shown_once_it_is_known_rounded_and_calm(void **state)
{
    struct bench *bench = *state;
    struct pages_learned learned = {NAN, NAN, NAN};

    arrive_at(bench, 0, "A");
    pages_set_learned(bench->pages, 0, &learned);
    assert_int_equal(items_find(bench->items, "/Battery/1/Share"), -1);
    learned = (struct pages_learned){66.6, 12.34, 0.55};
    pages_set_learned(bench->pages, 0, &learned);
    assert_true(at(bench, "/Battery/1/Share").number == 67);
    assert_true(at(bench, "/Battery/1/Resistance").number == 12.3);
    assert_true(at(bench, "/Battery/1/ResistanceDeviation").number == 0.6);
    learned = (struct pages_learned){66.2, 12.5, 0.7};
    pages_set_learned(bench->pages, 0, &learned);
    assert_true(at(bench, "/Battery/1/Share").number == 67);
    assert_true(at(bench, "/Battery/1/Resistance").number == 12.3);
    learned = (struct pages_learned){0, 12.7, 0.7}; /* excluded */
    pages_set_learned(bench->pages, 0, &learned);
    assert_true(at(bench, "/Battery/1/Share").number == 0);
    assert_true(at(bench, "/Battery/1/Resistance").number == 12.7);
    leave(bench, 0, "A");
    pages_set_learned(bench->pages, 0, &learned);
    assert_int_equal(at(bench, "/Battery/1/Resistance").kind, VALUE_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_shows_who_the_pack_is_and_what_it_says),
        TEST(noise_of_a_pack_that_nobody_looks_at_is_not_shown),
        TEST(the_last_digit_of_a_cell_is_not_shown),
        TEST(a_limit_of_0_is_no_noise),
        TEST(of_a_missing_pack_only_its_identity_and_its_age_are_known),
        TEST(a_slot_that_is_free_again_shows_nothing),
        TEST(the_texts_of_another_pack_are_shown_as_whole_as_those_before_it),
        TEST(ages_come_in_steps),
        TEST(cells_are_shown_of_the_pack_that_is_asked_for_only),
        TEST(a_pack_that_is_not_there_cannot_be_asked_for),
        TEST(alarms_are_shown_pack_by_pack_and_only_those_it_knows),
        TEST(the_user_interface_finds_modules_with_one_digit_only),
        TEST(every_pack_has_its_turn_and_the_one_that_is_asked_for_always),
        TEST(nobody_may_write_but_what_the_user_interface_asks),
        TEST(what_was_learned_is_shown_once_it_is_known_rounded_and_calm),
    };

    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
