/* BANK on a real bus: packs in series, strings in parallel, and packs that it names or does not. Every
 * expected number is worked out by hand beside it. */
#include <stdio.h>
#include <string.h>

#include "harness.h"

/* Packs of 4 cells: voltage, charge left of 100 Ah, the first and the last cell. */
static void add_pack(struct harness *h, const char *name, int instance, double voltage_V, int left_Ah,
                     double first_V, double last_V)
{
    char items[1024];

    snprintf(
        items, sizeof items,
        "'/DeviceInstance': %d, '/CustomName': '%s', '/Serial': 'S%d', '/Dc/0/Voltage': %.2f,"
        "'/Dc/0/Current': 10.0, '/Dc/0/Power': null, '/InstalledCapacity': 100, '/Capacity': %d, '/Soc': %d,"
        "'/System/NrOfCellsPerBattery': 4, '/Voltages/Sum': %.2f,"
        "'/Voltages/Cell1': %.3f, '/Voltages/Cell2': 3.3, '/Voltages/Cell3': 3.3, '/Voltages/Cell4': %.3f,"
        "'/System/MaxCellVoltage': null, '/System/MinCellVoltage': null, '/Info/MaxChargeVoltage': 14.2,"
        "'/Info/MaxChargeCurrent': 50, '/Info/MaxDischargeCurrent': 80",
        instance, name, instance, voltage_V, left_Ah, left_Ah, voltage_V, first_V, last_V);
    for (int cell = 5; cell <= 16; cell++)
        sprintf(items + strlen(items), ",'/Voltages/Cell%d': null", cell);
    harness_pack_add(h, name, items);
}

static void two_packs_of_12_v_in_series_are_one_of_24_v(void **state)
{
    struct harness *h = *state;

    add_pack(h, "VanA", 1, 13.30, 80, 3.310, 3.390);
    add_pack(h, "VanB", 2, 13.18, 70, 3.280, 3.300);
    harness_daemon_start(h, "BANK = VanA + VanB\nCURRENT_SHARING = count\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Voltage", 26.48);   /* 13.30 + 13.18 */
    harness_await_exactly(h, "/Dc/0/Current", 10);      /* one current */
    harness_await_exactly(h, "/InstalledCapacity", 90); /* 70 left + 20 missing */
    harness_await_exactly(h, "/Capacity", 70);
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.390);
    harness_await_string(h, "/System/MaxVoltageCellId", "VanA: C4");
    harness_await_exactly(h, "/System/MinCellVoltage", 3.280);
    harness_await_string(h, "/System/MinVoltageCellId", "VanB: C1");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 80);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 28.28); /* 28.4 less what B has more room: 0.12 */
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    harness_await_exactly(h, "/Alarms/MidVoltage", 1);            /* 10 of 90 Ah apart */
    assert_true(harness_number(h, "/Alarms/CellImbalance") == 0); /* the cells of each are even */
    assert_int_equal(harness_log_count(h, "10.0 Ah apart, \"VanB\" is the emptiest"), 1);
}

static void strings_in_parallel_share_the_current(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    add_pack(h, "C", 3, 13.20, 60, 3.3, 3.3);
    add_pack(h, "D", 4, 13.20, 60, 3.3, 3.3);
    harness_pack_set(h, "D", "'/Info/MaxChargeCurrent': 30");
    harness_daemon_start(h, "BANK = (A + B) | (#3 + S4)\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Voltage", 26.4);
    harness_await_exactly(h, "/Dc/0/Current", 20);          /* 10 in each string */
    harness_await_exactly(h, "/InstalledCapacity", 200);    /* 100 of each string */
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 60); /* 2 x 30 */
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 28.4);
}

static void a_string_without_one_of_its_packs_is_open_and_the_other_goes_on(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    add_pack(h, "C", 3, 13.20, 60, 3.3, 3.3);
    add_pack(h, "D", 4, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = (A + B) | (C + D)\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    harness_pack_remove(h, "D");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
    harness_await_exactly(h, "/Dc/0/Voltage", 26.4);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    harness_pack_remove(h, "A");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0); /* no string is whole */
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
}

static void a_pack_that_is_not_named_is_left_out_and_told(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "Boat", 2, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = A\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    harness_await_exactly(h, "/InstalledCapacity", 100);
    harness_daemon_sync(h);
    assert_int_equal(harness_log_count(h, "is not in BANK and is left out: it is called \"Boat\""), 1);
}

static void a_pack_that_is_named_and_never_came_is_missed(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = A | Shed\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50);
    assert_non_null(strstr(harness_string(h, "/Info/ChargeLimitation"), "\"Shed\" is lost"));
}

static void a_name_that_is_nobody_s_is_said_once_with_who_was_meant(void **state)
{
    struct harness *h = *state;

    add_pack(h, "House1", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "House2", 2, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = House1 + Huose2 | Boat\n");
    harness_await_log(h, "BANK: 'Huose2' is no pack that is here. Is \"House2\" meant? Here are: \"House1\"");
    harness_await_log(h, "BANK: 'Boat' is no pack that is here. Here are: ");
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "is no pack that is here"), 2);
    assert_string_equal(harness_owner(h), "");
}

static void a_pack_under_two_names_is_said_and_its_string_stays_open(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = (A + #1) | B\n");
    harness_await_log(h, "BANK: 'A' and '#1' are one pack, \"A\". A pack is in the bank once");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 50); /* of B alone */
    assert_int_equal(harness_log_count(h, "are one pack"), 1);
}

static void strings_of_unequal_cells_are_not_charged(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    add_pack(h, "C", 3, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = A + B | C\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_await_exactly(h, "/Alarms/InternalFailure", 2);
    harness_await_string(h, "/Info/ChargeLimitation", "BANK has strings of 4 and of 8 cells in parallel");
}

/* A misspelt name would be waited for, or be a lost pack for ever, and nobody would know which. */
static void a_name_in_bank_that_no_pack_has_is_told_with_those_that_are_here(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = A | Bee | S1 | #2\n");
    harness_await_log(h, "BANK: 'Bee' is no pack that is here");
    harness_await_log(h, "BANK: 'A' and 'S1' are one pack, \"A\"");
    assert_int_equal(harness_log_count(h, "is no pack that is here"), 1);
}

static void with_own_limits_the_target_is_that_of_all_cells_of_a_string(void **state)
{
    struct harness *h = *state;

    add_pack(h, "A", 1, 13.20, 60, 3.3, 3.3);
    add_pack(h, "B", 2, 13.20, 60, 3.3, 3.3);
    harness_daemon_start(h, "BANK = A + B\nOWN_CHARGE_PARAMETERS = True\nNR_OF_CELLS_PER_BATTERY = 4\n"
                            "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4\n"
                            "BALANCING_VOLTAGE = 3.4\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 27.2); /* 8 x 3.4 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(two_packs_of_12_v_in_series_are_one_of_24_v),
        harness_test(strings_in_parallel_share_the_current),
        harness_test(a_string_without_one_of_its_packs_is_open_and_the_other_goes_on),
        harness_test(a_pack_that_is_not_named_is_left_out_and_told),
        harness_test(a_pack_that_is_named_and_never_came_is_missed),
        harness_test(a_name_that_is_nobody_s_is_said_once_with_who_was_meant),
        harness_test(a_pack_under_two_names_is_said_and_its_string_stays_open),
        harness_test(strings_of_unequal_cells_are_not_charged),
        harness_test(a_name_in_bank_that_no_pack_has_is_told_with_those_that_are_here),
        harness_test(with_own_limits_the_target_is_that_of_all_cells_of_a_string),
    };

    return harness_run(tests);
}
