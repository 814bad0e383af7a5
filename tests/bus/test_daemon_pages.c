/* The packs behind the bank, as the user interface's pages about single batteries read them. */
#include <math.h>
#include <string.h>

#include "harness.h"

#define REQUEST "/Battery/Request/Id"

static void start_with_two_packs(struct harness *h, const char *settings)
{
    harness_pack_add(h, "ttyUSB0",
                     "'/DeviceInstance': 1, '/CustomName': 'House 1', '/Serial': 'A1', '/Soc': 40,"
                     "'/Voltages/Cell2': 3.312, '/FirmwareVersion': '7.1'");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/CustomName': 'House 2', '/Serial': 'B2', '/Soc': 61.6,"
                     "'/Voltages/Cell2': 3.295, '/Info/MaxChargeCurrent': 60, '/Alarms/LowCellVoltage': 1");
    harness_daemon_start(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
}

static void every_pack_is_beside_the_bank_with_name_charge_limits_state_and_age(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_string(h, "/Battery/1/Name", "House 1");
    harness_await_string(h, "/Battery/2/Serial", "B2");
    harness_await_exactly(h, "/Battery/2/Soc", 62);
    harness_await_exactly(h, "/Battery/1/Voltage", 52.8);
    harness_await_exactly(h, "/Battery/1/Capacity", 100);
    harness_await_exactly(h, "/Battery/2/Info/MaxChargeCurrent", 60);
    harness_await_exactly(h, "/Battery/2/Info/MaxChargeVoltage", 55.2);
    harness_await_exactly(h, "/Battery/2/Info/MaxDischargeCurrent", 120);
    harness_await_exactly(h, "/Battery/2/Alarm", 1);
    harness_await_exactly(h, "/Battery/2/Age", 0);
    harness_await_string(h, "/Battery/1/FwVersion", "7.1");
    harness_await_string(h, "/Battery/1/State", "online");
    assert_string_equal(harness_text(h, "/Battery/2/Soc"), "62%");
}

static void a_change_of_a_pack_reaches_its_page(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_pack_set(h, "ttyUSB1", "'/Soc': 70, '/Info/MaxChargeCurrent': 0");
    harness_await_exactly(h, "/Battery/2/Soc", 70);
    harness_await_exactly(h, "/Battery/2/Info/MaxChargeCurrent", 0);
}

static void the_cells_are_those_of_the_battery_that_the_page_asks_for(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_exactly(h, REQUEST, 1);
    harness_await_exactly(h, "/Battery/1/Cell/2/Voltage", 3.312);
    assert_false(harness_has(h, "/Battery/2/Cell/2/Voltage"));
    assert_int_equal(harness_set_number(h, REQUEST, 'i', 2), 0);
    harness_await_exactly(h, REQUEST, 2);
    harness_await_exactly(h, "/Battery/2/Cell/2/Voltage", 3.295);
    harness_await_invalid(h, "/Battery/1/Cell/2/Voltage");
    harness_pack_set(h, "ttyUSB1", "'/Voltages/Cell2': 3.299");
    harness_await_exactly(h, "/Battery/2/Cell/2/Voltage", 3.299);
}

static void a_battery_that_is_not_there_cannot_be_asked_for(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_exactly(h, "/Battery/2/Soc", 62);
    assert_int_equal(harness_set_number(h, REQUEST, 'i', 3), 2);
    assert_int_equal(harness_set_number(h, REQUEST, 'i', 0), 2);
    assert_int_equal(harness_set_number(h, REQUEST, 'd', -1e300), 2);
    assert_int_equal(harness_set_text(h, REQUEST, "House 2"), 2);
    assert_int_equal(harness_set_invalid(h, REQUEST), 2);
    assert_string_equal(harness_get_of(h, HARNESS_AGGREGATE, REQUEST), "1");
    assert_int_equal(harness_set_text(h, REQUEST, "2"), 0); /* MQTT writers send texts */
    harness_await_exactly(h, REQUEST, 2);
}

static void alarms_stand_pack_by_pack_where_the_user_interface_looks(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_string(h, "/Diagnostics/Module0/Id", "House 1");
    harness_await_string(h, "/Diagnostics/Module1/Id", "House 2");
    harness_await_exactly(h, "/Diagnostics/Module0/Alarms/LowCellVoltage", 0);
    harness_await_exactly(h, "/Diagnostics/Module1/Alarms/LowCellVoltage", 1);
    assert_string_equal(harness_text(h, "/Diagnostics/Module1/Alarms/LowCellVoltage"), "Warning");
}

static void a_missing_pack_keeps_its_page_without_values(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_exactly(h, "/Battery/2/Soc", 62);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_string(h, "/Battery/2/State", "missing");
    harness_await_invalid(h, "/Battery/2/Soc");
    harness_await_invalid(h, "/Battery/2/Info/MaxChargeCurrent");
    assert_string_equal(harness_string(h, "/Battery/2/Name"), "House 2");
    harness_await_exactly(h, "/Battery/2/Alarm", 1);
    harness_await_exactly(h, "/Diagnostics/Module1/Alarms/BmsCable", 1);
    harness_pack_add(h, "ttyUSB2",
                     "'/DeviceInstance': 2, '/CustomName': 'House 2', '/Serial': 'B2', '/Soc': 63");
    harness_await_string(h, "/Battery/2/State", "online");
    harness_await_exactly(h, "/Battery/2/Soc", 63);
    harness_await_exactly(h, "/Diagnostics/Module1/Alarms/BmsCable", 0);
}

static void a_pack_that_is_forgotten_leaves_an_empty_page(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, "LOST_GRACE = 1\n");
    harness_await_exactly(h, "/Battery/2/Soc", 62);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_log(h, "no longer waited for");
    harness_await_invalid(h, "/Battery/2/Name");
    harness_await_invalid(h, "/Battery/2/Age");
    harness_await_invalid(h, "/Diagnostics/Module1/Id");
    harness_await_invalid(h, "/Diagnostics/Module1/Alarms/BmsCable");
}

static void the_history_of_the_packs_is_merged(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0",
                     "'/DeviceInstance': 1, '/History/DeepestDischarge': -80, '/History/LastDischarge': -10,"
                     "'/History/AverageDischarge': -40.5, '/History/FullDischarges': 2,"
                     "'/History/MinimumVoltage': 44.1, '/History/MaximumVoltage': 56.2,"
                     "'/History/MinimumCellVoltage': 2.61, '/History/MaximumCellVoltage': 3.58,"
                     "'/History/MinimumTemperature': -3, '/History/MaximumTemperature': 31.5,"
                     "'/History/TimeSinceLastFullCharge': 3600, '/History/LowVoltageAlarms': 1,"
                     "'/History/HighVoltageAlarms': 0, '/Info/ChargeRequest': 0");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/History/DeepestDischarge': -85, '/History/LastDischarge': -12,"
                     "'/History/AverageDischarge': -42, '/History/FullDischarges': 3,"
                     "'/History/MinimumVoltage': 43.9, '/History/MaximumVoltage': 56.0,"
                     "'/History/MinimumCellVoltage': 2.70, '/History/MaximumCellVoltage': 3.61,"
                     "'/History/MinimumTemperature': 1, '/History/MaximumTemperature': 29,"
                     "'/History/TimeSinceLastFullCharge': 90000, '/History/LowVoltageAlarms': 2,"
                     "'/History/HighVoltageAlarms': 4, '/Info/ChargeRequest': 1");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/History/DeepestDischarge", -165);
    harness_await_exactly(h, "/History/LastDischarge", -22);
    harness_await_exactly(h, "/History/AverageDischarge", -82.5);
    harness_await_exactly(h, "/History/FullDischarges", 3);
    harness_await_exactly(h, "/History/MinimumVoltage", 43.9);
    harness_await_exactly(h, "/History/MaximumVoltage", 56.2);
    harness_await_exactly(h, "/History/MinimumCellVoltage", 2.61);
    harness_await_exactly(h, "/History/MaximumCellVoltage", 3.61);
    harness_await_exactly(h, "/History/MinimumTemperature", -3);
    harness_await_exactly(h, "/History/MaximumTemperature", 31.5);
    harness_await_exactly(h, "/History/TimeSinceLastFullCharge", 90000);
    harness_await_exactly(h, "/History/LowVoltageAlarms", 3);
    harness_await_exactly(h, "/History/HighVoltageAlarms", 4);
    harness_await_exactly(h, "/Info/ChargeRequest", 1);
}

static void the_low_voltage_of_the_multi_stands_when_the_packs_are_gone(void **state)
{
    struct harness *h = *state;

    start_with_two_packs(h, NULL);
    harness_await_exactly(h, "/Info/BatteryLowVoltage", 44.8);
    harness_pack_remove(h, "ttyUSB0");
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/Alarms/BmsCable", 2);
    harness_await_exactly(h, "/Info/BatteryLowVoltage", 44.8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(every_pack_is_beside_the_bank_with_name_charge_limits_state_and_age),
        harness_test(a_change_of_a_pack_reaches_its_page),
        harness_test(the_cells_are_those_of_the_battery_that_the_page_asks_for),
        harness_test(a_battery_that_is_not_there_cannot_be_asked_for),
        harness_test(alarms_stand_pack_by_pack_where_the_user_interface_looks),
        harness_test(a_missing_pack_keeps_its_page_without_values),
        harness_test(a_pack_that_is_forgotten_leaves_an_empty_page),
        harness_test(the_history_of_the_packs_is_merged),
        harness_test(the_low_voltage_of_the_multi_stands_when_the_packs_are_gone),
    };

    return harness_run(tests);
}
