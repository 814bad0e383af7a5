/* core/bank and core/limits: packs in, one bank and its limits out. */
#include "packs.h"

#include "core/limits.h"

static struct packs packs;
static struct bank bank;
static struct limits limits;
static struct config config;

static int setup(void **state)
{
    (void)state;
    packs_init(&packs);
    settings_default(&config);
    return 0;
}

static void merge(size_t n)
{
    packs_remember(&packs);
    bank_merge(packs.list, n, &bank);
    limits_merge(&config, packs.list, n, NULL, &limits);
}

#define READ(i) packs.pack[i].reading

static void no_pack_makes_a_bank_that_knows_nothing(void **state)
{
    (void)state;
    merge(0);
    assert_true(isnan(bank.voltage_V) && isnan(bank.current_A) && isnan(bank.soc_pct));
    assert_true(isnan(bank.cell_voltage_max_V.value) && bank.cell_voltage_max_V.pack == -1);
    assert_true(isnan(limits.charge_voltage.value) && isnan(limits.charge_current.value));
}

static void voltages_are_meant_and_currents_are_summed(void **state)
{
    (void)state;
    READ(0).voltage_V = 53;
    READ(1).voltage_V = 54;
    READ(0).current_A = 10;
    READ(1).current_A = -4;
    merge(2);
    assert_near(bank.voltage_V, 53.5, 1e-9);
    assert_near(bank.current_A, 6, 1e-9);
    assert_near(bank.power_W, 53 * 10 - 54 * 4, 1e-9);
}

static void a_sum_without_one_of_its_parts_is_unknown_and_a_mean_is_not(void **state)
{
    (void)state;
    READ(0).voltage_V = 53;
    READ(0).current_A = 10;
    READ(0).capacity_installed_Ah = 100;
    merge(2);
    assert_near(bank.voltage_V, 53, 1e-9);
    assert_true(isnan(bank.current_A) && isnan(bank.capacity_installed_Ah) && isnan(bank.power_W));
}

static void a_capacity_that_falls_silent_does_not_move_the_soc(void **state)
{
    (void)state;
    READ(0).soc_pct = 20;
    READ(0).capacity_installed_Ah = 280;
    READ(1).soc_pct = 90;
    READ(1).capacity_installed_Ah = 100;
    merge(2);
    READ(1).capacity_installed_Ah = NAN;
    merge(2);
    assert_near(bank.soc_pct, (20 * 280 + 90 * 100) / 380.0, 1e-9);
    assert_true(isnan(bank.capacity_installed_Ah));
}

static void packs_that_hold_nothing_weigh_the_same(void **state)
{
    (void)state;
    READ(0).soc_pct = 20;
    READ(1).soc_pct = 90;
    READ(0).capacity_installed_Ah = READ(1).capacity_installed_Ah = 0;
    merge(2);
    assert_near(bank.soc_pct, 55, 1e-9);
}

/* Venus shares this voltage with the chargers as the one that is measured at the battery. */
static void a_voltage_that_cannot_be_is_not_meant_with_the_others(void **state)
{
    (void)state;
    READ(0).voltage_V = READ(0).cells_sum_V = 53;
    READ(1).voltage_V = READ(1).cells_sum_V = 0;
    merge(2);
    assert_near(bank.voltage_V, 53, 1e-9);
    assert_near(bank.cells_sum_V, 53, 1e-9);
    READ(1).voltage_V = 52;
    merge(2);
    assert_near(bank.voltage_V, 52.5, 1e-9);
    READ(0).voltage_V = 0; /* nor is it where its own cells say otherwise */
    merge(1);
    assert_true(isnan(bank.voltage_V));
    READ(0).cells_sum_V = NAN;
    merge(1);
    assert_near(bank.voltage_V, 0, 0); /* nothing speaks against it */
}

/* It shows one cell of sixteen, and how many there are falls silent: 3.3 V are not the sum. */
static void a_few_cells_are_no_sum_when_their_number_falls_silent(void **state)
{
    (void)state;
    READ(0).voltage_V = 53;
    READ(0).cells_in_series = 16;
    READ(0).cell_V[0] = 3.3;
    merge(1);
    READ(0).cells_in_series = NAN;
    merge(1);
    assert_near(packs.pack[0].cells.sum_V, 53, 1e-9);
    assert_near(packs.pack[0].cells.limit_sum_V, 53, 1e-9);
}

static void soc_is_weighted_by_capacity(void **state)
{
    (void)state;
    READ(0).soc_pct = 20;
    READ(1).soc_pct = 80;
    READ(0).capacity_installed_Ah = 100;
    READ(1).capacity_installed_Ah = 300;
    merge(2);
    assert_near(bank.soc_pct, 65, 1e-9);
    assert_near(bank.capacity_Ah, 20 + 240, 1e-9); /* derived from SoC */
}

static void soc_of_packs_of_unknown_capacity_is_their_plain_mean(void **state)
{
    (void)state;
    READ(0).soc_pct = 20;
    READ(1).soc_pct = 80;
    READ(1).capacity_installed_Ah = 300;
    merge(2);
    assert_near(bank.soc_pct, 50, 1e-9);
}

static void time_to_go_is_unknown_if_one_packs_is(void **state)
{
    (void)state;
    READ(0).capacity_installed_Ah = READ(1).capacity_installed_Ah = 100;
    READ(0).time_to_go_s = 3600;
    merge(2);
    assert_true(isnan(bank.time_to_go_s));
    READ(1).time_to_go_s = 7200;
    merge(2);
    assert_near(bank.time_to_go_s, 5400, 1e-9);
}

static void a_peak_shows_whether_the_pack_tells_it_or_only_its_cell_does(void **state)
{
    (void)state;
    READ(0).cell_voltage_max_V = 3.40;
    strcpy(READ(0).cell_voltage_max_id, "7");
    READ(1).cell_voltage_max_V = 3.35; /* lags behind its own cell */
    READ(1).cell_V[2] = 3.60;
    merge(2);
    assert_near(bank.cell_voltage_max_V.value, 3.60, 1e-9);
    assert_string_equal(bank.cell_voltage_max_V.id, "B: C3");
    READ(1).cell_V[2] = NAN;
    merge(2);
    assert_string_equal(bank.cell_voltage_max_V.id, "A: 7");
}

static void the_packs_own_id_stands_when_its_cell_says_the_same(void **state)
{
    (void)state;
    READ(0).cell_voltage_min_V = 3.301;
    strcpy(READ(0).cell_voltage_min_id, "Zelle 4");
    READ(0).cell_V[3] = 3.301;
    merge(1);
    assert_string_equal(bank.cell_voltage_min_V.id, "A: Zelle 4");
}

static void an_unknown_alarm_never_hides_a_known_one(void **state)
{
    (void)state;
    READ(1).alarm[ALARM_HIGH_CELL_VOLTAGE] = 2;
    READ(1).allow_charge = 0;
    merge(2);
    assert_true(bank.alarm[ALARM_HIGH_CELL_VOLTAGE] == 2);
    assert_true(bank.allow_charge == 0);
    assert_true(isnan(bank.alarm[ALARM_LOW_SOC]));
}

static void a_missing_sum_is_that_of_the_cells_or_else_the_voltage(void **state)
{
    (void)state;
    READ(0).voltage_V = 6.5;
    READ(0).cell_V[0] = 3.2;
    READ(0).cell_V[1] = 3.4;
    assert_near(pack_cells_sum_V(&READ(0)), 6.6, 1e-9);
    READ(0).cell_V[0] = NAN;
    assert_near(pack_cells_sum_V(&READ(0)), 6.5, 1e-9);
    READ(0).cells_sum_V = 6.61;
    assert_near(pack_cells_sum_V(&READ(0)), 6.61, 1e-9);
}

enum together { SUM, MEAN, HIGHEST, LOWEST };

static const struct merged {
    const char *name;
    size_t from, to;
    enum together how;
    bool needs_all; /* unknown when one pack does not know its own */
} merged[] = {
#define MERGED(field, how, needs_all)                                                              \
    {                                                                                              \
#field, offsetof(struct pack_reading, field), offsetof(struct bank, field), how, needs_all \
    }
    MERGED(voltage_V, MEAN, false),
    MERGED(current_A, SUM, true),
    MERGED(power_W, SUM, true),
    MERGED(temperature_C, MEAN, false),
    MERGED(cells_sum_V, MEAN, false),
    MERGED(soc_pct, MEAN, false), /* the packs are of the same size here */
    MERGED(soh_pct, MEAN, false),
    MERGED(capacity_Ah, SUM, true),
    MERGED(consumed_Ah, SUM, true),
    MERGED(time_to_go_s, MEAN, true),
    MERGED(low_voltage_V, HIGHEST, false),
    MERGED(allow_charge, LOWEST, false),
    MERGED(allow_discharge, LOWEST, false),
    MERGED(allow_balance, LOWEST, false),
    MERGED(balancing, HIGHEST, false),
    MERGED(modules_online, SUM, true),
    MERGED(modules_offline, SUM, true),
    MERGED(modules_blocking_charge, SUM, true),
    MERGED(modules_blocking_discharge, SUM, true),
    MERGED(charge_cycles, MEAN, false),
    MERGED(charged_energy_kWh, SUM, true),
    MERGED(discharged_energy_kWh, SUM, true),
    MERGED(drawn_Ah, SUM, true),
    MERGED(charge_request, HIGHEST, false),
    MERGED(history.deepest_discharge_Ah, SUM, true),
    MERGED(history.last_discharge_Ah, SUM, true),
    MERGED(history.average_discharge_Ah, SUM, true),
    MERGED(history.full_discharges, HIGHEST, false),
    MERGED(history.since_full_s, HIGHEST, false),
    MERGED(history.voltage_min_V, LOWEST, false),
    MERGED(history.voltage_max_V, HIGHEST, false),
    MERGED(history.cell_voltage_min_V, LOWEST, false),
    MERGED(history.cell_voltage_max_V, HIGHEST, false),
    MERGED(history.temperature_min_C, LOWEST, false),
    MERGED(history.temperature_max_C, HIGHEST, false),
    MERGED(history.low_voltage_alarms, SUM, true),
    MERGED(history.high_voltage_alarms, SUM, true),
    MERGED(cell_voltage_max_V, HIGHEST, false), /* the value of an extreme stands first in it */
    MERGED(cell_voltage_min_V, LOWEST, false),
    MERGED(cell_temperature_max_C, HIGHEST, false),
    MERGED(cell_temperature_min_C, LOWEST, false),
#undef MERGED
};

static double merged_value(const struct merged *field, double first, double second)
{
    double value;

    packs_init(&packs);
    READ(0).capacity_installed_Ah = READ(1).capacity_installed_Ah = 100;
    memcpy((char *)&READ(0) + field->from, &first, sizeof first);
    memcpy((char *)&READ(1) + field->from, &second, sizeof second);
    merge(2);
    memcpy(&value, (const char *)&bank + field->to, sizeof value);
    return value;
}

static void expect_merged(const struct merged *field, double first, double second, double expected)
{
    double found = merged_value(field, first, second);

    if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) < 1e-9))
        fail_msg("%s of %g and %g is %g, not %g", field->name, first, second, found, expected);
}

static void each_field_is_merged_by_its_rule_whichever_pack_comes_first(void **state)
{
    static const double expected[] = {[SUM] = 8, [MEAN] = 4, [HIGHEST] = 5, [LOWEST] = 3};

    (void)state;
    assert_int_equal(offsetof(struct extreme, value), 0);
    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++) {
        expect_merged(&merged[i], 3, 5, expected[merged[i].how]);
        expect_merged(&merged[i], 5, 3, expected[merged[i].how]);
    }
}

static void what_one_pack_does_not_know_spoils_sums_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof merged / sizeof *merged; i++) {
        double known = merged[i].needs_all ? (double)NAN : 7;

        expect_merged(&merged[i], 7, NAN, known);
        expect_merged(&merged[i], NAN, 7, known);
        expect_merged(&merged[i], NAN, NAN, NAN);
    }
}

static void the_difference_is_between_cells_of_all_packs(void **state)
{
    (void)state;
    READ(0).cell_voltage_max_V = 3.40;
    READ(0).cell_voltage_min_V = 3.38;
    READ(1).cell_voltage_max_V = 3.35;
    READ(1).cell_voltage_min_V = 3.31;
    merge(2);
    assert_near(bank.cell_voltage_diff_V, 0.09, 1e-9);
    READ(0).cell_voltage_max_V = READ(1).cell_voltage_max_V = NAN;
    merge(2);
    assert_true(isnan(bank.cell_voltage_diff_V));
}

static void packs_that_disagree_on_their_cells_in_series_leave_it_unknown(void **state)
{
    (void)state;
    READ(0).cells_in_series = 16;
    merge(2);
    assert_true(bank.cells_in_series == 16);
    READ(1).cells_in_series = 16;
    merge(2);
    assert_true(bank.cells_in_series == 16);
    READ(1).cells_in_series = 15;
    merge(2);
    assert_true(isnan(bank.cells_in_series));
}

static void a_pack_that_shows_fewer_cells_than_it_has_is_not_summed(void **state)
{
    (void)state;
    READ(0).voltage_V = 53;
    READ(0).cells_in_series = 16;
    for (int cell = 0; cell < 15; cell++)
        READ(0).cell_V[cell] = 3.3;
    assert_near(pack_cells_sum_V(&READ(0)), 53, 1e-9);
    READ(0).cell_V[15] = 3.3;
    assert_near(pack_cells_sum_V(&READ(0)), 52.8, 1e-9);
}

static void the_furthest_of_several_cells_is_named(void **state)
{
    (void)state;
    READ(0).cell_voltage_max_V = READ(0).cell_voltage_min_V = 3.3;
    for (int cell = 0; cell < 4; cell++)
        READ(0).cell_V[cell] = 3.3;
    READ(0).cell_V[1] = 3.40;
    READ(0).cell_V[2] = 3.4003; /* nearer to the one before than what we call another voltage */
    READ(0).cell_V[3] = 3.2;
    merge(1);
    assert_near(bank.cell_voltage_max_V.value, 3.4003, 1e-9);
    assert_string_equal(bank.cell_voltage_max_V.id, "A: C3");
    assert_string_equal(bank.cell_voltage_min_V.id, "A: C4");
    READ(0).cell_voltage_max_V = 3.4; /* the pack means the same cell, but rounds */
    strcpy(READ(0).cell_voltage_max_id, "3");
    merge(1);
    assert_string_equal(bank.cell_voltage_max_V.id, "A: 3");
}

/* ---- limits ---- */

static void allow(int i, double cvl_V, double ccl_A, double dcl_A)
{
    READ(i).charge_voltage_max_V = cvl_V;
    READ(i).charge_current_max_A = ccl_A;
    READ(i).discharge_current_max_A = dcl_A;
}

static void limits_are_the_lowest_voltage_and_n_times_the_lowest_current(void **state)
{
    (void)state;
    allow(0, 54, 100, 120);
    allow(1, 53, 80, 90);
    merge(2);
    assert_near(limits.charge_voltage.value, 53, 1e-9);
    assert_near(limits.charge_current.value, 160, 1e-9);
    assert_near(limits.discharge_current.value, 180, 1e-9);
    assert_non_null(strstr(limits.charge_current.reason, "B"));
}

static void a_limit_is_that_of_the_pack_whose_share_meets_it_first(void **state)
{
    const double share[] = {280.0 / 380, 100.0 / 380};

    (void)state;
    allow(0, 54, 140, 140);
    allow(1, 54, 100, 100);
    packs_remember(&packs);
    limits_merge(&config, packs.list, 2, &(struct limit_shares){share, share}, &limits);
    assert_near(limits.charge_current.value, 140 * 380.0 / 280, 1e-9);
}

static void a_limit_that_becomes_unknown_stands_at_its_last_value(void **state)
{
    (void)state;
    allow(0, 54, 100, 120);
    allow(1, 53, 10, 20);
    merge(2);
    allow(1, NAN, NAN, NAN);
    merge(2);
    assert_near(limits.charge_voltage.value, 53, 1e-9);
    assert_near(limits.charge_current.value, 20, 1e-9);
    assert_near(limits.discharge_current.value, 40, 1e-9);
}

static void a_limit_that_was_never_known_makes_the_banks_unknown_in_any_order(void **state)
{
    (void)state;
    allow(0, 54, 100, 120);
    merge(2);
    assert_true(isnan(limits.charge_current.value) && isnan(limits.charge_voltage.value));
    packs.list[0] = &packs.pack[1];
    packs.list[1] = &packs.pack[0];
    merge(2);
    assert_true(isnan(limits.charge_current.value) && isnan(limits.charge_voltage.value));
}

static void a_pack_that_blocks_makes_the_limit_0_and_is_named(void **state)
{
    (void)state;
    allow(0, 54, 100, 120);
    allow(1, 53, 80, 90);
    READ(1).allow_charge = 0;
    merge(2);
    assert_true(limits.charge_current.value == 0 && limits.charge_blocked);
    assert_string_equal(limits.charge_current.reason, "Pack \"B\" blocks charging");
    assert_near(limits.discharge_current.value, 180, 1e-9);
}

static void the_users_maximum_caps_merged_limits_only_when_it_is_set(void **state)
{
    (void)state;
    allow(0, 54, 500, 500);
    config.max_charge_current_A = config.max_discharge_current_A = 200;
    merge(1);
    assert_near(limits.charge_current.value, 500, 1e-9);
    config.max_charge_current_set = true;
    merge(1);
    assert_near(limits.charge_current.value, 200, 1e-9);
    assert_near(limits.discharge_current.value, 500, 1e-9);
    assert_string_equal(limits.charge_current.reason, "Capped by MAX_CHARGE_CURRENT");
}

static void keep_max_cvl_takes_the_highest_until_all_are_in_float(void **state)
{
    (void)state;
    config.keep_max_cvl = true;
    allow(0, 55.2, 100, 100);
    allow(1, 54, 100, 100);
    strcpy(READ(1).charge_mode, "Float");
    strcpy(READ(0).charge_mode, "Absorption");
    merge(2);
    assert_near(limits.charge_voltage.value, 55.2, 1e-9);
    strcpy(READ(0).charge_mode, "Float Transition");
    merge(2);
    assert_near(limits.charge_voltage.value, 54, 1e-9);
}

static void keep_max_cvl_never_overrides_a_cell_at_its_limit(void **state)
{
    (void)state;
    config.keep_max_cvl = true;
    allow(0, 55.2, 100, 100);
    allow(1, 54, 100, 100);
    READ(1).cell_voltage_max_V = 3.45;
    merge(2);
    assert_near(limits.charge_voltage.value, 54, 1e-9);
    assert_non_null(strstr(limits.charge_voltage.reason, "Cell peak: B"));
}

/* ---- what holds for any bank ---- */

static unsigned long seed = 12345;

static double chance(void)
{
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (double)seed / 0x7fffffff;
}

static double maybe(double value)
{
    return chance() < 0.15 ? (double)NAN : value;
}

static void random_pack(struct pack *pack)
{
    char name = pack->name[0];

    pack_clear(pack);
    pack->name[0] = name;
    pack->reading.voltage_V = maybe(50 + 8 * chance());
    pack->reading.current_A = maybe(-100 + 200 * chance());
    pack->reading.soc_pct = maybe(100 * chance());
    pack->reading.capacity_installed_Ah = maybe(50 + 300 * chance());
    pack->reading.charge_voltage_max_V = maybe(50 + 8 * chance());
    pack->reading.charge_current_max_A = maybe(200 * chance());
    pack->reading.discharge_current_max_A = maybe(200 * chance());
    pack->reading.allow_charge = maybe(chance() > 0.05);
    pack->reading.allow_discharge = maybe(chance() > 0.05);
    pack->reading.cell_voltage_max_V = maybe(3 + 0.6 * chance());
    pack->reading.cell_voltage_min_V = maybe(2.8 + 0.4 * chance());
    pack->reading.alarm[0] = maybe(floor(3 * chance()));
    if (chance() < 0.8)
        strcpy(pack->reading.charge_mode, "Float");
}

static bool same(double a, double b)
{
    return isnan(a) ? isnan(b) : fabs(a - b) <= 1e-9 * fmax(1, fabs(a));
}

static void the_packs_own_last_extreme_speaks_for_a_cell_that_never_did(void **state)
{
    (void)state;
    READ(0).cell_V[0] = READ(0).cell_V[2] = 3.30;
    READ(0).cell_voltage_max_V = 3.50; /* of cell 2 */
    READ(0).cell_voltage_min_V = 3.30;
    merge(1);
    READ(0).cell_voltage_max_V = NAN;
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], NULL), 3.50, 1e-9);
    READ(0).cell_V[1] = 3.30;
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], NULL), 3.30, 1e-9);
    READ(0).cells_in_series = 4; /* and the fourth it does not show either */
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], NULL), 3.50, 1e-9);
}

static void in_twenty_thousand_random_banks_nothing_depends_on_the_order_and_no_limit_is_insane(void **state)
{
    (void)state;
    config.max_charge_current_set = true;
    config.max_charge_current_A = 300;
    for (int round = 0; round < 20000; round++) {
        struct bank forward;
        struct limits first;

        config.keep_max_cvl = round % 2;
        for (int i = 0; i < PACKS_MAX; i++) {
            random_pack(&packs.pack[i]);
            packs.list[i] = &packs.pack[i];
        }
        merge(PACKS_MAX);
        forward = bank;
        first = limits;
        for (int i = 0; i < PACKS_MAX; i++)
            packs.list[i] = &packs.pack[PACKS_MAX - 1 - i];
        merge(PACKS_MAX);
        assert_true(same(forward.voltage_V, bank.voltage_V) && same(forward.current_A, bank.current_A));
        assert_true(same(forward.soc_pct, bank.soc_pct) && same(forward.alarm[0], bank.alarm[0]));
        assert_true(same(forward.cell_voltage_max_V.value, bank.cell_voltage_max_V.value));
        assert_true(same(first.charge_voltage.value, limits.charge_voltage.value));
        assert_true(same(first.charge_current.value, limits.charge_current.value));
        assert_true(same(first.discharge_current.value, limits.discharge_current.value));
        assert_false(limits.charge_current.value < 0 || limits.charge_current.value > 300);
        assert_false(limits.discharge_current.value < 0 || isinf(limits.discharge_current.value));
    }
}

static void a_block_that_becomes_unknown_stands_until_the_pack_allows_again(void **state)
{
    (void)state;
    allow(0, 54, 100, 120);
    allow(1, 53, 80, 90);
    READ(1).allow_charge = READ(0).allow_discharge = 0;
    merge(2);
    READ(1).allow_charge = READ(0).allow_discharge = NAN;
    merge(2);
    assert_true(limits.charge_current.value == 0 && limits.charge_blocked);
    assert_true(limits.discharge_current.value == 0 && limits.discharge_blocked);
    READ(1).allow_charge = READ(0).allow_discharge = 1;
    merge(2);
    assert_near(limits.charge_current.value, 160, 1e-9);
    assert_near(limits.discharge_current.value, 180, 1e-9);
}

static void a_float_that_becomes_unknown_does_not_raise_the_voltage(void **state)
{
    (void)state;
    config.keep_max_cvl = true;
    allow(0, 55.2, 100, 100);
    allow(1, 54, 100, 100);
    strcpy(READ(0).charge_mode, "Float");
    strcpy(READ(1).charge_mode, "Float");
    merge(2);
    READ(1).charge_mode[0] = '\0';
    merge(2);
    assert_near(limits.charge_voltage.value, 54, 1e-9);
    strcpy(READ(1).charge_mode, "Bulk");
    merge(2);
    assert_near(limits.charge_voltage.value, 55.2, 1e-9);
}

static void a_silent_cell_counts_with_its_last_unless_the_pack_speaks_for_it(void **state)
{
    int cell;

    (void)state;
    READ(0).cell_V[0] = 3.30;
    READ(0).cell_V[1] = 3.60;
    READ(0).cell_V[2] = 3.10;
    merge(1);
    READ(0).cell_V[1] = READ(0).cell_V[2] = NAN;
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], &cell), 3.60, 1e-9);
    assert_int_equal(cell, 2);
    assert_near(pack_lowest_cell_V(&packs.pack[0], &cell), 3.10, 1e-9);
    assert_int_equal(cell, 3);
    READ(0).cell_voltage_max_V = 3.34;
    READ(0).cell_voltage_min_V = 3.29;
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], &cell), 3.34, 1e-9);
    assert_near(pack_lowest_cell_V(&packs.pack[0], &cell), 3.29, 1e-9);
    READ(0).cell_voltage_max_V = READ(0).cell_voltage_min_V = NAN;
    READ(0).cell_V[1] = READ(0).cell_V[2] = 3.30; /* all cells are there again: no need of the past */
    merge(1);
    assert_near(pack_highest_cell_V(&packs.pack[0], &cell), 3.30, 1e-9);
    assert_near(pack_lowest_cell_V(&packs.pack[0], &cell), 3.30, 1e-9);
}

static void in_twenty_thousand_random_banks_no_limit_rises_because_a_value_became_unknown(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct limits before;
        double *fields[] = {
            &READ(0).charge_voltage_max_V, &READ(0).charge_current_max_A, &READ(0).discharge_current_max_A,
            &READ(0).cell_voltage_max_V,   &READ(0).allow_charge,         &READ(0).allow_discharge};

        config.keep_max_cvl = round / 6 % 2;
        for (int i = 0; i < PACKS_MAX; i++)
            random_pack(&packs.pack[i]);
        merge(PACKS_MAX);
        before = limits;
        *fields[round % (sizeof fields / sizeof *fields)] = NAN;
        merge(PACKS_MAX);
        assert_false(limits.charge_voltage.value > before.charge_voltage.value + 1e-9);
        assert_false(limits.charge_current.value > before.charge_current.value + 1e-9);
        assert_false(limits.discharge_current.value > before.discharge_current.value + 1e-9);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_pack_makes_a_bank_that_knows_nothing),
        TEST(voltages_are_meant_and_currents_are_summed),
        TEST(a_sum_without_one_of_its_parts_is_unknown_and_a_mean_is_not),
        TEST(soc_is_weighted_by_capacity),
        TEST(a_few_cells_are_no_sum_when_their_number_falls_silent),
        TEST(a_capacity_that_falls_silent_does_not_move_the_soc),
        TEST(packs_that_hold_nothing_weigh_the_same),
        TEST(a_voltage_that_cannot_be_is_not_meant_with_the_others),
        TEST(soc_of_packs_of_unknown_capacity_is_their_plain_mean),
        TEST(time_to_go_is_unknown_if_one_packs_is),
        TEST(a_peak_shows_whether_the_pack_tells_it_or_only_its_cell_does),
        TEST(the_packs_own_id_stands_when_its_cell_says_the_same),
        TEST(an_unknown_alarm_never_hides_a_known_one),
        TEST(a_missing_sum_is_that_of_the_cells_or_else_the_voltage),
        TEST(each_field_is_merged_by_its_rule_whichever_pack_comes_first),
        TEST(what_one_pack_does_not_know_spoils_sums_only),
        TEST(the_difference_is_between_cells_of_all_packs),
        TEST(packs_that_disagree_on_their_cells_in_series_leave_it_unknown),
        TEST(a_pack_that_shows_fewer_cells_than_it_has_is_not_summed),
        TEST(the_furthest_of_several_cells_is_named),
        TEST(limits_are_the_lowest_voltage_and_n_times_the_lowest_current),
        TEST(a_limit_is_that_of_the_pack_whose_share_meets_it_first),
        TEST(a_limit_that_becomes_unknown_stands_at_its_last_value),
        TEST(a_limit_that_was_never_known_makes_the_banks_unknown_in_any_order),
        TEST(a_pack_that_blocks_makes_the_limit_0_and_is_named),
        TEST(the_users_maximum_caps_merged_limits_only_when_it_is_set),
        TEST(keep_max_cvl_takes_the_highest_until_all_are_in_float),
        TEST(keep_max_cvl_never_overrides_a_cell_at_its_limit),
        TEST(a_block_that_becomes_unknown_stands_until_the_pack_allows_again),
        TEST(a_float_that_becomes_unknown_does_not_raise_the_voltage),
        TEST(a_silent_cell_counts_with_its_last_unless_the_pack_speaks_for_it),
        TEST(the_packs_own_last_extreme_speaks_for_a_cell_that_never_did),
        TEST(in_twenty_thousand_random_banks_nothing_depends_on_the_order_and_no_limit_is_insane),
        TEST(in_twenty_thousand_random_banks_no_limit_rises_because_a_value_became_unknown),
    };

    return cmocka_run_group_tests_name("bank", tests, NULL, NULL);
}
