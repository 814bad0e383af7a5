/* What the aggregate publishes of packs that another program publishes: every value, by hand. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness.h"

/* Three packs that have little in common. Numbers come as int32 here and as double there. */
static const char house_1[] =
    "'/CustomName': 'House 1', '/Serial': 'A1', '/DeviceInstance': 1, '/InstalledCapacity': 280,"
    "'/Soc': 40, '/Soh': 99, '/Capacity': 112, '/ConsumedAmphours': -168, '/TimeToGo': 36000,"
    "'/Dc/0/Voltage': 52.91, '/Dc/0/Current': 12.3, '/Dc/0/Power': 651, '/Dc/0/Temperature': 21.5,"
    "'/Voltages/Sum': 52.84, '/Voltages/Cell5': 3.345, '/Voltages/Cell9': 3.281,"
    "'/System/MaxCellVoltage': 3.345, '/System/MaxVoltageCellId': 'C5',"
    "'/System/MinCellVoltage': 3.281, '/System/MinVoltageCellId': 'C9',"
    "'/System/MaxCellTemperature': 23, '/System/MaxTemperatureCellId': 'T1',"
    "'/System/MinCellTemperature': 20.5, '/System/MinTemperatureCellId': 'T2',"
    "'/Info/MaxChargeVoltage': 55.2, '/Info/MaxChargeCurrent': 140, '/Info/MaxDischargeCurrent': 200,"
    "'/Info/BatteryLowVoltage': 44.8, '/Alarms/LowVoltage': 1, '/Alarms/CellImbalance': null,"
    "'/Alarms/InternalFailure': null, '/History/ChargeCycles': 10, '/History/ChargedEnergy': 100.25,"
    "'/History/DischargedEnergy': 90.5";

static const char house_2[] =
    "'/CustomName': 'House 2', '/Serial': 'B2', '/DeviceInstance': 2, '/InstalledCapacity': 100.0,"
    "'/Soc': 85.5, '/Soh': 97.5, '/Capacity': null, '/ConsumedAmphours': -14.5, '/TimeToGo': 7200.0,"
    "'/Dc/0/Voltage': 52.87, '/Dc/0/Current': -2.1, '/Dc/0/Power': null, '/Dc/0/Temperature': 24.1,"
    "'/Voltages/Sum': null, '/Voltages/Cell2': 3.310, '/Voltages/Cell14': 3.275,"
    "'/System/MaxCellVoltage': 3.310, '/System/MaxVoltageCellId': 'C2',"
    "'/System/MinCellVoltage': 3.275, '/System/MinVoltageCellId': 'C14',"
    "'/System/MaxCellTemperature': 26.4, '/System/MaxTemperatureCellId': 'T3',"
    "'/System/MinCellTemperature': 22.0, '/System/MinTemperatureCellId': 'T1',"
    "'/System/NrOfModulesOnline': 2, '/System/NrOfModulesOffline': 1,"
    "'/System/NrOfModulesBlockingCharge': 1, '/Balancing': 1, '/Io/AllowToBalance': 0,"
    "'/Info/MaxChargeVoltage': 54.8, '/Info/MaxChargeCurrent': 60.0, '/Info/MaxDischargeCurrent': 75.5,"
    "'/Info/BatteryLowVoltage': 46.4, '/Alarms/LowVoltage': 2, '/Alarms/HighVoltage': null,"
    "'/Alarms/CellImbalance': 1, '/Alarms/InternalFailure': null, '/History/ChargeCycles': 31,"
    "'/History/ChargedEnergy': 50.5, '/History/DischargedEnergy': null";

static const char shed[] =
    "'/CustomName': 'Shed', '/Serial': 'C3', '/DeviceInstance': 3, '/InstalledCapacity': 200, '/Soc': 63,"
    "'/Soh': 99, '/Dc/0/Voltage': 52.80, '/Dc/0/Current': 7.25, '/Dc/0/Temperature': 19,"
    "'/System/MaxCellVoltage': 3.352, '/System/MaxVoltageCellId': 'M1C2', '/System/MinCellVoltage': 3.290,"
    "'/System/MaxCellTemperature': 20.0, '/System/MinCellTemperature': 18.5,"
    "'/System/MinTemperatureCellId': 'T7', '/Info/MaxChargeVoltage': 54, '/Info/MaxDischargeCurrent': 110";

/* A value that is expected: a number, a text, or neither: invalid. */
struct expected {
    const char *path;
    double number;
    const char *string;
};

#define UNKNOWN NAN, NULL

static void check(struct harness *h, const struct expected *expected, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (expected[i].string)
            harness_await_string(h, expected[i].path, expected[i].string);
        else if (isnan(expected[i].number))
            harness_await_invalid(h, expected[i].path);
        else
            harness_await_exactly(h, expected[i].path, expected[i].number);
    }
}

#define CHECK(h, table) check(h, table, sizeof(table) / sizeof *(table))

static void every_value_of_two_packs_is_merged_to_the_published_digit(void **state)
{
    static const struct expected expected[] = {
        {"/System/NrOfBatteries", 2, NULL},
        {"/System/BatteriesParallel", 2, NULL},
        {"/System/BatteriesSeries", 1, NULL},
        {"/Dc/0/Voltage", 52.89, NULL},    /* (52.91 + 52.87) / 2 */
        {"/Dc/0/Current", 10.2, NULL},     /* 12.3 - 2.1 */
        {"/Dc/0/Power", 540, NULL},        /* 651 + 52.87 * -2.1 = 539.973 */
        {"/Dc/0/Temperature", 22.8, NULL}, /* (21.5 + 24.1) / 2 */
        {"/Soc", 52.0, NULL},              /* (40 * 280 + 85.5 * 100) / 380 = 51.97 */
        {"/Soh", 98.6, NULL},              /* (99 * 280 + 97.5 * 100) / 380 = 98.605 */
        {"/InstalledCapacity", 380, NULL},
        {"/Capacity", 197.5, NULL}, /* 112 + 85.5 % of 100 */
        {"/ConsumedAmphours", -182.5, NULL},
        {"/TimeToGo", 28421, NULL},      /* (36000 * 280 + 7200 * 100) / 380 */
        {"/Voltages/Sum", 52.81, NULL},  /* (52.84 + (14 * 3.3 + 3.310 + 3.275)) / 2 = 52.8125 */
        {"/Voltages/Diff", 0.070, NULL}, /* 3.345 - 3.275 */
        {"/System/MaxCellVoltage", 3.345, NULL},
        {"/System/MaxVoltageCellId", 0, "House 1: C5"},
        {"/System/MinCellVoltage", 3.275, NULL},
        {"/System/MinVoltageCellId", 0, "House 2: C14"},
        {"/System/MaxCellTemperature", 26.4, NULL},
        {"/System/MaxTemperatureCellId", 0, "House 2: T3"},
        {"/System/MinCellTemperature", 20.5, NULL},
        {"/System/MinTemperatureCellId", 0, "House 1: T2"},
        {"/System/NrOfCellsPerBattery", 16, NULL},
        {"/System/NrOfModulesOnline", 3, NULL},
        {"/System/NrOfModulesOffline", 1, NULL},
        {"/System/NrOfModulesBlockingCharge", 1, NULL},
        {"/System/NrOfModulesBlockingDischarge", 0, NULL},
        {"/Info/MaxChargeVoltage", 54.8, NULL},
        {"/Info/MaxChargeCurrent", 190,
         NULL}, /* by capacity: min(140 / 280, 60 / 100) of 380, not above 140 + 60 */
        {"/Info/MaxDischargeCurrent", 271.4, NULL}, /* min(200 / 280, 75.5 / 100) of 380 */
        {"/Info/BatteryLowVoltage", 46.4, NULL},    /* the first that must stop */
        {"/Io/AllowToCharge", 1, NULL},
        {"/Io/AllowToDischarge", 1, NULL},
        {"/Io/AllowToBalance", 0, NULL},
        {"/Balancing", 1, NULL},
        {"/Alarms/LowVoltage", 2, NULL},
        {"/Alarms/HighVoltage", 0, NULL},   /* 0 beside unknown */
        {"/Alarms/CellImbalance", 1, NULL}, /* unknown beside 1 */
        {"/Alarms/HighTemperature", 0, NULL},
        {"/Alarms/InternalFailure", UNKNOWN},
        {"/Alarms/FuseBlown", UNKNOWN}, /* nobody shows it */
        {"/History/ChargeCycles", 20.5, NULL},
        {"/History/ChargedEnergy", 150.75, NULL},
        {"/History/DischargedEnergy", UNKNOWN},
        {"/State", 9, NULL},
        {"/ErrorCode", 0, NULL},
        {"/Connected", 1, NULL},
    };
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", house_1);
    harness_pack_add(h, "ttyUSB1", house_2);
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\n");
    harness_await_aggregate(h);
    CHECK(h, expected);
}

static void a_third_pack_that_shows_less_is_merged_with_what_it_has(void **state)
{
    static const struct expected expected[] = {
        {"/System/NrOfBatteries", 3, NULL},
        {"/Dc/0/Voltage", 52.86, NULL}, /* (52.91 + 52.87 + 52.80) / 3 */
        {"/Dc/0/Current", 17.45, NULL},
        {"/Dc/0/Power", 923, NULL},        /* 651 - 111.027 + 52.80 * 7.25 = 922.773 */
        {"/Dc/0/Temperature", 21.5, NULL}, /* 64.6 / 3 */
        {"/Soc", 55.8, NULL},              /* (11200 + 8550 + 12600) / 580 = 55.776 */
        {"/Soh", 98.7, NULL},              /* (27720 + 9750 + 19800) / 580 = 98.741 */
        {"/InstalledCapacity", 580, NULL},
        {"/Capacity", 323.5, NULL}, /* 112 + 85.5 + 63 % of 200 */
        {"/ConsumedAmphours", UNKNOWN},
        {"/TimeToGo", UNKNOWN},
        {"/Voltages/Sum", 52.81, NULL}, /* (52.84 + 52.785 + 52.80) / 3 = 52.808 */
        {"/Voltages/Diff", 0.077, NULL},
        {"/System/MaxCellVoltage", 3.352, NULL},
        {"/System/MaxVoltageCellId", 0, "Shed: M1C2"},
        {"/System/MinCellVoltage", 3.275, NULL},
        {"/System/MinVoltageCellId", 0, "House 2: C14"},
        {"/System/MaxCellTemperature", 26.4, NULL},
        {"/System/MinCellTemperature", 18.5, NULL},
        {"/System/MinTemperatureCellId", 0, "Shed: T7"},
        {"/System/NrOfCellsPerBattery", 16, NULL},
        {"/System/NrOfModulesOnline", 5, NULL},
        {"/System/NrOfModulesOffline", 1, NULL},
        {"/System/NrOfModulesBlockingCharge", UNKNOWN},
        {"/Info/MaxChargeVoltage", 54, NULL},
        {"/Info/MaxChargeCurrent", 290, NULL},    /* min(140 / 280, 60 / 100, 100 / 200) of 580 */
        {"/Info/MaxDischargeCurrent", 319, NULL}, /* 110 / 200 of 580 */
        {"/Info/BatteryLowVoltage", 46.4, NULL},
        {"/Io/AllowToBalance", 0, NULL},
        {"/Alarms/LowVoltage", 2, NULL},
        {"/Alarms/CellImbalance", 1, NULL},
        {"/Alarms/InternalFailure", 0, NULL},
        {"/History/ChargeCycles", 20.5, NULL}, /* of those that know theirs */
    };
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", house_1);
    harness_can_pack_add(h, "socketcan_can0", shed);
    harness_pack_add(h, "ttyUSB1", house_2);
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\nNR_OF_BATTERIES = 3\n");
    harness_await_aggregate(h);
    CHECK(h, expected);
}

static void texts_carry_the_unit_and_the_decimals_that_suit(void **state)
{
    static const struct {
        const char *path, *text;
        char type;
    } expected[] = {
        {"/Dc/0/Voltage", "52.91V", 'd'},
        {"/Dc/0/Current", "12.30A", 'd'},
        {"/Dc/0/Power", "651W", 'd'},
        {"/Dc/0/Temperature", "21.5°C", 'd'},
        {"/Soc", "40.0%", 'd'},
        {"/System/MaxCellVoltage", "3.345V", 'd'},
        {"/Info/MaxChargeVoltage", "55.20V", 'd'},
        {"/Alarms/LowVoltage", "Warning", 'i'},
        {"/Alarms/InternalFailure", "---", 'a'},
        {"/Connected", "1", 'i'},
        {"/TimeToGo", "36000s", 'i'},
        {"/InstalledCapacity", "280.0Ah", 'd'},
    };
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", house_1);
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Voltage", 52.91);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_string_equal(harness_text(h, expected[i].path), expected[i].text);
        assert_int_equal(harness_type(h, expected[i].path), expected[i].type);
    }
}

static void a_number_may_come_in_any_type(void **state)
{
    static const char *const types = "dynqiuxt"; /* b has no 42 */
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    for (const char *type = types; *type; type++) {
        char items[64];

        snprintf(items, sizeof items, "'/Soc': {'t': '%c', 'v': 42}", *type);
        harness_pack_set(h, "ttyUSB0", items);
        harness_await_exactly(h, "/Soc", 42);
        harness_pack_set(h, "ttyUSB0", "'/Soc': 43.5");
        harness_await_exactly(h, "/Soc", 43.5);
    }
}

static void changes_arrive_by_either_signal(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.battery.ttyUSB0', 'signal': 'items',"
                    "'items': {'/Soc': 61, '/Dc/0/Voltage': 53.01}}");
    harness_await_exactly(h, "/Soc", 61);
    harness_await_exactly(h, "/Dc/0/Voltage", 53.01);
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.battery.ttyUSB0', 'signal': 'properties',"
                    "'items': {'/Soc': 62, '/Dc/0/Voltage': 53.02}}");
    harness_await_exactly(h, "/Soc", 62);
    harness_await_exactly(h, "/Dc/0/Voltage", 53.02);
}

static void an_unknown_alarm_never_hides_the_alarm_of_another_pack(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Alarms/HighVoltage': null");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Alarms/HighVoltage': 2");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Alarms/HighVoltage", 2);
    harness_pack_set(h, "ttyUSB0", "'/Alarms/HighVoltage': 2");
    harness_pack_set(h, "ttyUSB1", "'/Alarms/HighVoltage': null, '/Soc': 60");
    harness_await_exactly(h, "/Soc", 55);
    harness_await_exactly(h, "/Alarms/HighVoltage", 2);
}

static void a_pack_that_blocks_beside_one_that_does_not_say_blocks_the_bank(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Io/AllowToCharge': 0");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Io/AllowToCharge': null");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Io/AllowToCharge", 0);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 240);
}

static void a_current_of_nan_is_unknown_and_never_poisons_the_charge(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "30\n");
    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 30);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': NaN, '/Dc/0/Power': NaN");
    harness_await_invalid(h, "/Dc/0/Current");
    harness_await_invalid(h, "/Dc/0/Power");
    harness_await_exactly(h, "/Soc", 30);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 5.5");
    harness_await_exactly(h, "/Dc/0/Current", 5.5);
    harness_await_number(h, "/Soc", 30, 1);
}

static void what_a_pack_cannot_mean_is_unknown_and_said_once(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Soc': 40");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    for (int i = 0; i < 4; i++) {
        harness_pack_set(h, "ttyUSB0", "'/Dc/0/Temperature': 6553.5");
        harness_await_invalid(h, "/Dc/0/Temperature");
        harness_pack_set(h, "ttyUSB0", "'/Dc/0/Temperature': 20.5");
        harness_await_exactly(h, "/Dc/0/Temperature", 20.5);
    }
    assert_int_equal(harness_log_count(h, "6553.5"), 1);
    harness_pack_set(h, "ttyUSB0", "'/Soh': 'good', '/Soc': 41");
    harness_await_invalid(h, "/Soh");
    harness_await_exactly(h, "/Soc", 41);
}

static void of_two_packs_without_a_name_the_higher_cell_is_published_and_both_are_told_apart(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0",
                     "'/DeviceInstance': 1, '/CustomName': '', '/Serial': '', '/Voltages/Cell3': 3.6,"
                     "'/System/MaxCellVoltage': 3.6, '/System/MaxVoltageCellId': 'C3'");
    harness_pack_add(
        h, "ttyUSB1",
        "'/DeviceInstance': 2, '/CustomName': '', '/Serial': '', '/Voltages/Cell3': 3.35,"
        "'/System/MaxCellVoltage': 3.35, '/System/MaxVoltageCellId': 'C3', "
        "'/Voltages/Cell1': 3.2, '/System/MinCellVoltage': 3.2, '/System/MinVoltageCellId': 'C1'");
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.6);
    harness_await_exactly(h, "/System/MinCellVoltage", 3.2);
    assert_non_null(strstr(harness_string(h, "/System/MaxVoltageCellId"), ": C3"));
    assert_non_null(strstr(harness_string(h, "/System/MinVoltageCellId"), ": C1"));
    assert_int_not_equal(strcspn(harness_string(h, "/System/MaxVoltageCellId"), ":"), 0);
    assert_string_not_equal(harness_string(h, "/Battery/1/Name"), harness_string(h, "/Battery/2/Name"));
    /* and the other way round */
    harness_pack_set(h, "ttyUSB0", "'/Voltages/Cell3': 3.3, '/System/MaxCellVoltage': 3.3");
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.35);
}

static void packs_that_claim_the_same_name_are_told_apart_by_serial(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/CustomName': 'House', '/Serial': 'A1'");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/CustomName': 'House', '/Serial': 'B2', '/Voltages/Cell3': 3.4,"
                     "'/System/MaxCellVoltage': 3.4, '/System/MaxVoltageCellId': 'C3'");
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.4);
    assert_non_null(strstr(harness_string(h, "/System/MaxVoltageCellId"), "B2"));
    harness_await_log(h, "claims the same name");
}

static void a_peak_in_a_single_cell_counts_even_if_the_pack_s_own_maximum_hides_it(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/CustomName': 'House 1'");
    harness_daemon_start(h, "BATTERY_INSTANCE_NAME_PATH = /CustomName\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", "'/Voltages/Cell7': 3.61");
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.61);
    harness_await_string(h, "/System/MaxVoltageCellId", "House 1: C7");
    harness_pack_set(h, "ttyUSB0", "'/System/MinCellVoltage': 2.8, '/System/MinVoltageCellId': 'C2'");
    harness_await_exactly(h, "/System/MinCellVoltage", 2.8);
    harness_await_string(h, "/System/MinVoltageCellId", "House 1: C2");
}

static void the_user_s_maxima_cap_merged_limits_and_limits_are_never_rounded_up(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Info/MaxDischargeCurrent': 79.99, '/Info/MaxChargeVoltage': 55.199");
    harness_daemon_start(h, "MAX_CHARGE_CURRENT = 70\nMAX_DISCHARGE_CURRENT = 150\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 70);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 79.9);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.19);
}

static void keep_max_cvl_lets_one_pack_float_while_the_other_balances_but_not_at_a_cell_s_cost(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Info/MaxChargeVoltage': 55.2");
    harness_pack_add(h, "ttyUSB1",
                     "'/DeviceInstance': 2, '/Info/MaxChargeVoltage': 53.6, "
                     "'/Info/ChargeMode': 'Float Transition'");
    harness_daemon_start(h, "KEEP_MAX_CVL = True\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    /* a cell of the floating pack at MAX_CELL_VOLTAGE pulls down to that pack's CVL */
    harness_pack_set(h, "ttyUSB1", "'/Voltages/Cell1': 3.46, '/System/MaxCellVoltage': 3.46");
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 53.6);
    harness_pack_set(h, "ttyUSB1", "'/Voltages/Cell1': 3.40, '/System/MaxCellVoltage': 3.40");
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    /* all in float: the lowest */
    harness_pack_set(h, "ttyUSB0", "'/Info/ChargeMode': 'Float', '/Info/MaxChargeVoltage': 54.0");
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 53.6);
}

static void a_limit_that_becomes_unknown_stands_and_never_rises(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Info/MaxChargeCurrent': 10");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 20);
    harness_pack_set(h, "ttyUSB1",
                     "'/Info/MaxChargeCurrent': null, '/Info/MaxChargeVoltage': NaN, '/Soc': 60");
    harness_await_exactly(h, "/Soc", 55);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 20);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
}

static void the_bank_current_is_what_multi_and_mppts_measure_when_told_so(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Voltage': 52.0, '/Dc/0/Current': 3.0, '/Dc/0/Power': 156.0");
    harness_peer(
        h, "{'cmd': 'add', 'service': 'com.victronenergy.vebus.ttyS4', 'items': {'/DeviceInstance': 276,"
           "'/ProductName': 'MultiPlus-II', '/Connected': 1, '/Dc/0/Current': -5.0, '/Dc/0/Voltage': 52}}");
    harness_peer(h, "{'cmd': 'add', 'service': 'com.victronenergy.solarcharger.ttyS5', 'items': {"
                    "'/DeviceInstance': 288, '/ProductName': 'SmartSolar', '/Connected': 1,"
                    "'/Dc/0/Current': 20.0, '/Dc/0/Voltage': 52.1, '/State': 3}}");
    harness_daemon_start(h, "CURRENT_FROM_VICTRON = True\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 15);
    harness_await_exactly(h, "/Dc/0/Power", 780);
    /* a part that cannot be read: the packs' own stand in, said once */
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.solarcharger.ttyS5',"
                    "'items': {'/Dc/0/Current': null}}");
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_await_exactly(h, "/Dc/0/Power", 156);
    harness_await_log(h, "Bank current: from the packs");
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.solarcharger.ttyS5',"
                    "'items': {'/Dc/0/Current': 10.5}}");
    harness_await_exactly(h, "/Dc/0/Current", 5.5);
    /* a Multi that is switched off counts 0 */
    harness_peer(h, "{'cmd': 'set', 'service': 'com.victronenergy.vebus.ttyS4', 'items': {'/Connected': 0}}");
    harness_await_exactly(h, "/Dc/0/Current", 10.5);
}

static void every_cell_is_published_under_its_pack_s_name_when_told_so(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", house_1);
    harness_pack_add(h, "ttyUSB1", house_2);
    harness_daemon_start(h, "SEND_CELL_VOLTAGES = 1\nBATTERY_INSTANCE_NAME_PATH = /CustomName\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Voltages/House1_Cell5", 3.345);
    harness_await_exactly(h, "/Voltages/House2_Cell14", 3.275);
    harness_await_exactly(h, "/Voltages/House2_Cell16", 3.3);
    assert_false(harness_has(h, "/Voltages/House2_Cell17"));
}

static void only_what_changed_is_sent_in_one_message(void **state)
{
    struct harness *h = *state;
    size_t voltage_changes, updates;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "UPDATE_COALESCE = 100\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    harness_watch(h, 0.3);
    voltage_changes = harness_changes_seen(h, "/Dc/0/Voltage");
    updates = harness_updates_seen(h);
    harness_pack_set(h, "ttyUSB0", "'/Soc': 51, '/Dc/0/Temperature': 20, '/Balancing': 1");
    harness_await_exactly(h, "/Soc", 51);
    assert_true(harness_number(h, "/Dc/0/Temperature") == 20);
    assert_true(harness_number(h, "/Balancing") == 1);
    assert_int_equal(harness_changes_seen(h, "/Dc/0/Voltage"), voltage_changes);
    assert_int_equal(harness_updates_seen(h), updates + 1);
    /* noise below what the text shows wakes nobody */
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Voltage': 52.8000012");
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Voltage': 52.8000009");
    harness_watch(h, 0.3);
    assert_int_equal(harness_updates_seen(h), updates + 1);
}

static double monotonic_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Twice a second at the most, and with what the tick shows once a second. */
static void noise_is_published_seldom_and_its_last_value_is_not_lost(void **state)
{
    struct harness *h = *state;
    size_t updates;
    double begin_s;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
    updates = harness_updates_seen(h);
    begin_s = monotonic_s();
    for (int i = 1; i <= 100; i++) {
        char voltage[64];

        snprintf(voltage, sizeof voltage, "'/Dc/0/Voltage': %.2f", 52.8 + 0.01 * (i % 3));
        harness_pack_set(h, "ttyUSB0", voltage);
    }
    harness_await_exactly(h, "/Dc/0/Voltage", 52.81);
    assert_true((double)(harness_updates_seen(h) - updates) <= 4 * (monotonic_s() - begin_s) + 3);
}

static void what_time_alone_changes_is_shown_in_the_rhythm_that_the_user_chose(void **state)
{
    struct harness *h = *state;
    double shown_Ah;

    harness_data_write(h, "charge", "400\n");
    harness_pack_add(h, "ttyUSB0", "'/InstalledCapacity': 1000, '/Dc/0/Current': 3600.0");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\nOWN_SOC = True\nUPDATE_INTERVAL_DATA = 60\n");
    harness_await_aggregate(h);
    shown_Ah = harness_number(h, "/Capacity");
    harness_watch(h, 2.5); /* 1 Ah a second */
    assert_true(harness_number(h, "/Capacity") == shown_Ah);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 3500.0");
    harness_await_exactly(h, "/Dc/0/Current", 3500); /* and what a pack says at once */
    assert_true(harness_number(h, "/Capacity") > shown_Ah + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(every_value_of_two_packs_is_merged_to_the_published_digit),
        harness_test(a_third_pack_that_shows_less_is_merged_with_what_it_has),
        harness_test(texts_carry_the_unit_and_the_decimals_that_suit),
        harness_test(a_number_may_come_in_any_type),
        harness_test(changes_arrive_by_either_signal),
        harness_test(an_unknown_alarm_never_hides_the_alarm_of_another_pack),
        harness_test(a_pack_that_blocks_beside_one_that_does_not_say_blocks_the_bank),
        harness_test(a_current_of_nan_is_unknown_and_never_poisons_the_charge),
        harness_test(what_a_pack_cannot_mean_is_unknown_and_said_once),
        harness_test(of_two_packs_without_a_name_the_higher_cell_is_published_and_both_are_told_apart),
        harness_test(packs_that_claim_the_same_name_are_told_apart_by_serial),
        harness_test(a_peak_in_a_single_cell_counts_even_if_the_pack_s_own_maximum_hides_it),
        harness_test(the_user_s_maxima_cap_merged_limits_and_limits_are_never_rounded_up),
        harness_test(keep_max_cvl_lets_one_pack_float_while_the_other_balances_but_not_at_a_cell_s_cost),
        harness_test(a_limit_that_becomes_unknown_stands_and_never_rises),
        harness_test(the_bank_current_is_what_multi_and_mppts_measure_when_told_so),
        harness_test(every_cell_is_published_under_its_pack_s_name_when_told_so),
        harness_test(only_what_changed_is_sent_in_one_message),
        harness_test(noise_is_published_seldom_and_its_last_value_is_not_lost),
        harness_test(what_time_alone_changes_is_shown_in_the_rhythm_that_the_user_chose),
    };

    return harness_run(tests);
}
