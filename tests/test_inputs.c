/* venus/inputs: from path to field, with its plausible range. */
#include "fixture.h"

static void a_number_lands_in_its_field(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    assert_int_equal(tell_number(world, pack, "/Dc/0/Voltage", 52.9), INPUT_CHANGED);
    assert_true(pack->pack.reading.voltage_V == 52.9);
}

static void the_same_value_again_is_no_change(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, pack, "/Soc", 50);
    assert_int_equal(tell_number(world, pack, "/Soc", 50), INPUT_SAME);
    tell_text(world, pack, "/CustomName", "House");
    assert_int_equal(tell_text(world, pack, "/CustomName", "House"), INPUT_SAME);
}

static void every_cell_and_every_alarm_has_a_path(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, pack, "/Voltages/Cell1", 3.3);
    tell_number(world, pack, "/Voltages/Cell64", 3.4);
    tell_number(world, pack, "/Cell/2/Volts", 3.5);
    tell_number(world, pack, "/Alarms/HighCellVoltage", 2);
    assert_true(pack->pack.reading.cell_V[0] == 3.3);
    assert_true(pack->pack.reading.cell_V[63] == 3.4);
    assert_true(pack->pack.reading.cell_V[1] == 3.5);
    assert_true(pack->pack.reading.alarm[ALARM_HIGH_CELL_VOLTAGE] == 2);
}

static void invalid_makes_a_field_unknown_and_is_no_fault(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, pack, "/Soc", 50);
    assert_int_equal(tell(world, pack, "/Soc", value_invalid()), INPUT_CHANGED);
    assert_true(isnan(pack->pack.reading.soc_pct));
    tell_text(world, pack, "/CustomName", "House");
    tell(world, pack, "/CustomName", value_invalid());
    assert_string_equal(pack->pack.reading.custom_name, "");
}

static void what_cannot_be_is_unknown_and_said(void **state)
{
    static const double impossible[] = {-1, 101, 6553.5, INFINITY, -INFINITY, NAN, -2147483648.0};
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        tell_number(world, pack, "/Soc", 50);
        assert_int_equal(tell_number(world, pack, "/Soc", impossible[i]), INPUT_IMPLAUSIBLE);
        assert_true(isnan(pack->pack.reading.soc_pct));
    }
    assert_int_equal(tell_text(world, pack, "/Dc/0/Voltage", "53"), INPUT_IMPLAUSIBLE);
    assert_int_equal(tell(world, pack, "/Dc/0/Voltage", (struct value){VALUE_UNUSABLE, NAN, NULL}),
                     INPUT_IMPLAUSIBLE);
}

static void a_long_text_is_cut_to_its_field(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");
    char text[400];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    tell_text(world, pack, "/CustomName", text);
    assert_int_equal(strlen(pack->pack.reading.custom_name), READING_TEXT_MAX - 1);
    assert_string_equal(pack->pack.reading.serial, "");
}

static void a_serial_that_comes_as_a_number_is_a_text(void **state)
{
    struct world *world = *state;
    struct device *pack = arrive(world, "com.victronenergy.battery.ttyUSB0");

    tell_number(world, pack, "/Serial", 1234567);
    assert_string_equal(pack->pack.reading.serial, "1234567");
}

static void the_tables_fit_the_bits_that_remember_what_was_said(void **state)
{
    struct world *world = *state;

    for (int i = 0; i < CLASS_COUNT; i++)
        assert_true(paths_count(inputs_paths(world->inputs, (enum device_class)i)) <= DEVICE_PATHS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_number_lands_in_its_field, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(the_same_value_again_is_no_change, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(every_cell_and_every_alarm_has_a_path, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(invalid_makes_a_field_unknown_and_is_no_fault, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_unknown_and_said, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_long_text_is_cut_to_its_field, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(a_serial_that_comes_as_a_number_is_a_text, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_tables_fit_the_bits_that_remember_what_was_said, world_setup,
                                        world_teardown),
    };

    return cmocka_run_group_tests_name("inputs", tests, NULL, NULL);
}
