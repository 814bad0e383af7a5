/* core/control, core/curve, core/current and core/charge against the vectors of the reference behaviour. */
#include "packs.h"

#include "core/charge.h"
#include "core/control.h"
#include "core/current.h"
#include "core/curve.h"

static struct packs packs;
static struct config config;
static struct control control;
static struct control_output out;

static int setup(void **state)
{
    (void)state;
    packs_init(&packs);
    config_lto(&config);
    config.cvl_control = CVL_REFERENCE;
    control_init(&control);
    control.balancing.age_days = 0;
    return 0;
}

static void step_packs(size_t n)
{
    struct bank bank;
    struct control_input in = {
        .today = {true, 20000, 6}, .packs = packs.list, .pack_count = n, .bank = &bank};

    packs_remember(&packs);
    bank_merge(packs.list, n, &bank);
    control_step(&control, &config, &in, &out);
}

/* One pack of 22 cells of 2.3 V, but for its highest and lowest. */
static void step_cells(double highest_V, double lowest_V)
{
    packs.pack[0].reading.voltage_V = 50;
    packs.pack[0].reading.cell_voltage_max_V = highest_V;
    packs.pack[0].reading.cell_voltage_min_V = lowest_V;
    step_packs(1);
}

static void the_charge_current_follows_the_highest_cell(void **state)
{
    (void)state;
    step_cells(2.2, 2.2);
    assert_near(out.limits.charge_current.value, 200, 1e-6);
    step_cells(2.45, 2.2);
    assert_near(out.limits.charge_current.value, 110, 1e-6);
    step_cells(2.525, 2.2);
    assert_near(out.limits.charge_current.value, 10, 1e-6);
    assert_non_null(strstr(out.limits.charge_current.reason, "High cell: A"));
}

static void it_also_follows_the_lowest_cell(void **state)
{
    (void)state;
    step_cells(2.3, 1.9);
    assert_near(out.limits.charge_current.value, 40, 1e-6);
}

static void the_discharge_current_follows_the_lowest_cell_with_a_hysteresis(void **state)
{
    (void)state;
    step_cells(2.3, 1.95);
    assert_near(out.limits.discharge_current.value, 5, 1e-6);
    step_cells(2.3, 2.05);
    assert_near(out.limits.discharge_current.value, 105, 1e-6);
    step_cells(2.3, 1.89);
    assert_true(out.limits.discharge_current.value == 0);
    step_cells(2.3, 2.00);
    assert_true(out.limits.discharge_current.value == 0);
    step_cells(2.3, 2.01);
    assert_near(out.limits.discharge_current.value, 29, 1e-6);
}

static void a_peaking_pack_pulls_the_voltage_down_by_what_its_cells_are_above(void **state)
{
    (void)state;
    for (int cell = 0; cell < 22; cell++) {
        packs.pack[0].reading.cell_V[cell] = cell == 0 ? 2.60 : cell == 1 ? 2.57 : 2.50;
        packs.pack[1].reading.cell_V[cell] = 2.40;
    }
    packs.pack[0].reading.voltage_V = packs.pack[1].reading.voltage_V = 54;
    step_packs(2);
    assert_true(out.peaking);
    assert_near(out.limits.charge_voltage.value, 52.80, 1e-6);
    assert_string_equal(out.limits.charge_voltage.reason, "Cell peak: A: C1 2.600 V");
}

static void all_that_cells_are_above_is_taken_off(void **state)
{
    (void)state;
    for (int cell = 0; cell < 22; cell++)
        packs.pack[0].reading.cell_V[cell] = cell == 0 ? 2.60 : cell == 1 ? 2.57 : 2.30;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 51.17 - 0.05 - 0.02, 1e-6);
}

static void without_a_peak_the_target_of_the_month_holds(void **state)
{
    (void)state;
    step_cells(2.3, 2.3);
    assert_near(out.limits.charge_voltage.value, 22 * 2.40, 1e-6);
    assert_string_equal(out.limits.charge_voltage.reason, "Monthly target (June)");
}

static void a_cell_that_becomes_unknown_counts_with_what_it_was(void **state)
{
    (void)state;
    step_cells(2.525, 1.95);
    packs.pack[0].reading.cell_voltage_max_V = packs.pack[0].reading.cell_voltage_min_V = NAN;
    step_packs(1);
    assert_near(out.limits.charge_current.value, 10, 1e-6);
    assert_near(out.limits.discharge_current.value, 5, 1e-6);
}

static void a_pack_at_its_peak_whose_sum_falls_silent_still_holds_the_voltage_down(void **state)
{
    struct pack_reading *reading = &packs.pack[0].reading;

    (void)state;
    reading->cells_sum_V = 52.5;
    reading->cell_voltage_max_V = 2.60;
    reading->cell_voltage_min_V = 2.30;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 52.45, 1e-6);
    reading->cells_sum_V = NAN;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 52.45, 1e-6);
    reading->cell_voltage_max_V = NAN;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 52.45, 1e-6);
}

static void a_peak_that_only_the_packs_own_maximum_shows_counts_like_one_of_its_cells(void **state)
{
    (void)state;
    for (int cell = 0; cell < 22; cell++)
        packs.pack[0].reading.cell_V[cell] = 2.395; /* they lag behind */
    packs.pack[0].reading.cell_voltage_max_V = 2.60;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 22 * 2.395 - 0.05, 1e-6);
}

static void a_number_of_cells_that_becomes_unknown_stands(void **state)
{
    (void)state;
    config.nr_of_cells_per_battery = CONFIG_NOT_SET;
    packs.pack[0].reading.cells_in_series = 22;
    step_cells(2.3, 2.3);
    packs.pack[0].reading.cells_in_series = NAN;
    step_cells(2.3, 2.3);
    assert_near(out.limits.charge_voltage.value, 22 * 2.40, 1e-6);
}

static void a_pack_that_blocks_makes_the_current_0_and_goes_on_while_silent(void **state)
{
    (void)state;
    packs.pack[0].reading.allow_charge = packs.pack[0].reading.allow_discharge = 0;
    for (int silent = 0; silent < 2; silent++) {
        step_cells(2.3, 2.3);
        assert_true(out.limits.charge_current.value == 0 && out.limits.charge_blocked);
        assert_true(out.limits.discharge_current.value == 0 && out.limits.discharge_blocked);
        assert_string_equal(out.limits.charge_current.reason, "Pack \"A\" blocks charging");
        packs.pack[0].reading.allow_charge = packs.pack[0].reading.allow_discharge = NAN;
    }
    packs.pack[0].reading.allow_charge = packs.pack[0].reading.allow_discharge = 1;
    step_cells(2.3, 2.3);
    assert_near(out.limits.charge_current.value, 200, 1e-6);
    assert_near(out.limits.discharge_current.value, 200, 1e-6);
}

static void an_empty_cell_that_falls_silent_stays_empty(void **state)
{
    (void)state;
    step_cells(2.3, 1.89);
    packs.pack[0].reading.cell_voltage_min_V = NAN;
    step_packs(1);
    assert_true(out.limits.discharge_current.value == 0);
}

static void a_cell_peaks_from_its_limit_on_and_is_calm_a_little_under_it(void **state)
{
    (void)state;
    step_cells(2.55, 2.5449);
    assert_true(out.peaking && !out.cells_calm && out.balanced);
    step_cells(2.549, 2.5449);
    assert_false(out.peaking || out.cells_calm);
    step_cells(2.539, 2.5389);
    assert_true(!out.peaking && out.cells_calm);
}

static void a_bank_is_balanced_when_no_cell_is_above_and_none_far_below(void **state)
{
    (void)state;
    config.cell_diff_max_V = 0.015;
    step_cells(2.54, 2.53);
    assert_true(out.balanced);
    step_cells(2.54, 2.52);
    assert_false(out.balanced);
    step_cells(2.56, 2.555);
    assert_false(out.balanced);
}

static void a_cell_at_exactly_its_minimum_is_empty(void **state)
{
    (void)state;
    config.discharge_curve.y[0] = 0.5; /* so that the curve does not say it first */
    step_cells(2.3, config.min_cell_voltage_V);
    assert_true(out.limits.discharge_current.value == 0);
    assert_string_equal(out.limits.discharge_current.reason, "Empty cell: A: 1.900 V");
}

static void the_cells_in_series_are_the_users_else_the_fewest_of_the_packs(void **state)
{
    (void)state;
    assert_true(control_cells_in_series(&config, packs.list, 2) == 22);
    config.nr_of_cells_per_battery = CONFIG_NOT_SET;
    assert_true(isnan(control_cells_in_series(&config, packs.list, 2)));
    packs.pack[0].reading.cells_in_series = 16;
    packs.pack[1].reading.cells_in_series = 15;
    assert_true(control_cells_in_series(&config, packs.list, 2) == 15);
    packs.pack[1].reading.cells_in_series = NAN;
    assert_true(control_cells_in_series(&config, packs.list, 2) == 16);
    packs.pack[1].reading.cell_V[13] = 3.3; /* shows 14 */
    packs_remember(&packs);
    assert_true(control_cells_in_series(&config, packs.list, 2) == 14);
}

/* A contactor opens, and the pack shows 0 V for a moment: its number of cells is what it was. */
static void a_voltage_that_is_none_costs_nobody_the_number_of_cells(void **state)
{
    (void)state;
    config.nr_of_cells_per_battery = CONFIG_NOT_SET;
    packs.pack[0].reading.cells_in_series = 22;
    step_cells(2.3, 2.2);
    assert_near(out.limits.charge_voltage.value, 22 * 2.40, 1e-9);
    packs.pack[0].reading.voltage_V = 0;
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 22 * 2.40, 1e-9);
    packs.pack[0].reading.voltage_V = 5; /* nor could 22 cells have that */
    step_packs(1);
    assert_near(out.limits.charge_voltage.value, 22 * 2.40, 1e-9);
}

/* With 17 for 16 CVL would be a cell too high, for every month. */
static void a_number_of_cells_that_the_user_set_too_high_is_not_believed_where_the_cells_tell(void **state)
{
    (void)state;
    config.nr_of_cells_per_battery = 17;
    for (int cell = 0; cell < 16; cell++)
        packs.pack[0].reading.cell_V[cell] = 3.3;
    packs.pack[0].reading.voltage_V = 52.8;
    packs_remember(&packs);
    assert_true(control_cells_in_series(&config, packs.list, 1) == 16);
    packs.pack[0].reading.voltage_V = 56.1; /* the 17th may be one that it does not show */
    packs_remember(&packs);
    assert_true(control_cells_in_series(&config, packs.list, 1) == 17);
    packs.pack[0].reading.voltage_V = NAN; /* nor is silence evidence */
    packs.pack[0].last.voltage_V = NAN;
    packs_remember(&packs);
    assert_true(control_cells_in_series(&config, packs.list, 1) == 17);
    config.nr_of_cells_per_battery = 15; /* lower is the user's choice */
    packs.pack[0].reading.voltage_V = 52.8;
    packs_remember(&packs);
    assert_true(control_cells_in_series(&config, packs.list, 1) == 15);
}

static void the_part_that_is_lost_takes_no_current(void **state)
{
    struct bank bank;
    struct control_input in = {
        .today = {true, 20000, 6}, .packs = packs.list, .pack_count = 1, .bank = &bank, .lost_part = 0.75};

    (void)state;
    step_cells(2.2, 2.15);
    bank_merge(packs.list, 1, &bank);
    control_step(&control, &config, &in, &out);
    assert_near(out.limits.charge_current.value, 50, 1e-9);
    assert_near(out.limits.discharge_current.value, 50, 1e-9);
}

/* ---- what holds for any bank ---- */

static unsigned long seed = 20261121;

static double chance(void)
{
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return (double)seed / 0x7fffffff;
}

static double maybe(double value, double unknown)
{
    return chance() < unknown ? (double)NAN : value;
}

/* A pack of 22 cells that shows them, its extremes or both, and some of that not. */
static void random_pack(struct pack *pack, double unknown)
{
    struct pack_reading *reading = &pack->reading;
    double middle_V = 1.8 + 0.8 * chance();
    double spread_V = 0.3 * chance();
    bool shows_cells = chance() < 0.6;
    double highest_V = 0, lowest_V = 9, sum_V = 0;
    char name = pack->name[0];

    pack_clear(pack);
    pack->name[0] = name;
    for (int cell = 0; cell < 22; cell++) {
        double voltage_V = middle_V + spread_V * (chance() - 0.5);

        highest_V = fmax(highest_V, voltage_V);
        lowest_V = fmin(lowest_V, voltage_V);
        sum_V += voltage_V;
        if (shows_cells)
            reading->cell_V[cell] = maybe(voltage_V, unknown);
    }
    if (!shows_cells || chance() < 0.7) {
        reading->cell_voltage_max_V = maybe(highest_V, unknown);
        reading->cell_voltage_min_V = maybe(lowest_V, unknown);
    }
    reading->cells_in_series = 22;
    reading->voltage_V = sum_V; /* so that either way to the sum gives the same */
    reading->cells_sum_V = maybe(sum_V, 0.3);
    reading->allow_charge = maybe(chance() > 0.1, 0.1);
    reading->allow_discharge = maybe(chance() > 0.1, 0.1);
}

static void random_bank(int round)
{
    for (int i = 0; i < 3; i++)
        random_pack(&packs.pack[i], round % 3 == 0 ? 0.1 : 0);
    control_init(&control);
    control.balancing.age_days = 0;
}

/* A number that was there is there still, and not higher. */
static bool is_not_above(const struct limit *after, const struct limit *before)
{
    return isnan(before->value) || after->value <= before->value + 1e-9;
}

static bool is_within(const struct limit *limit, double cap)
{
    return isnan(limit->value) || (limit->value >= 0 && limit->value <= cap + 1e-9);
}

static void in_twenty_thousand_random_banks_no_limit_rises_because_a_value_fell_silent(void **state)
{
    static const size_t fields[] = {
        offsetof(struct pack_reading, voltage_V),          offsetof(struct pack_reading, cells_sum_V),
        offsetof(struct pack_reading, cells_in_series),    offsetof(struct pack_reading, cell_V[0]),
        offsetof(struct pack_reading, cell_V[9]),          offsetof(struct pack_reading, cell_V[21]),
        offsetof(struct pack_reading, cell_voltage_max_V), offsetof(struct pack_reading, cell_voltage_min_V),
        offsetof(struct pack_reading, allow_charge),       offsetof(struct pack_reading, allow_discharge),
    };
    const double unknown = NAN;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t field = fields[(size_t)round % (sizeof fields / sizeof *fields)];
        struct limits before;

        random_bank(round);
        step_packs(3);
        before = out.limits;
        memcpy((char *)&packs.pack[round % 3].reading + field, &unknown, sizeof unknown);
        step_packs(3);
        assert_true(is_not_above(&out.limits.charge_voltage, &before.charge_voltage));
        assert_true(is_not_above(&out.limits.charge_current, &before.charge_current));
        assert_true(is_not_above(&out.limits.discharge_current, &before.discharge_current));
    }
}

static void in_twenty_thousand_random_banks_limits_stay_in_bounds_and_depend_on_no_order(void **state)
{
    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct limits forward;

        random_bank(round);
        step_packs(3);
        forward = out.limits;
        packs.list[0] = &packs.pack[2];
        packs.list[2] = &packs.pack[0];
        control_init(&control);
        control.balancing.age_days = 0;
        step_packs(3);
        packs.list[0] = &packs.pack[0];
        packs.list[2] = &packs.pack[2];
        assert_true(is_not_above(&forward.charge_voltage, &out.limits.charge_voltage));
        assert_true(is_not_above(&out.limits.charge_voltage, &forward.charge_voltage));
        assert_true(is_not_above(&forward.charge_current, &out.limits.charge_current));
        assert_true(is_not_above(&out.limits.charge_current, &forward.charge_current));
        assert_true(is_not_above(&forward.discharge_current, &out.limits.discharge_current));
        assert_true(is_not_above(&out.limits.discharge_current, &forward.discharge_current));
        assert_true(is_within(&forward.charge_voltage, 22 * 2.40));
        assert_true(is_within(&forward.charge_current, 200));
        assert_true(is_within(&forward.discharge_current, 200));
    }
}

static void without_any_cell_the_limits_are_unknown(void **state)
{
    (void)state;
    step_packs(1);
    assert_true(isnan(out.limits.charge_voltage.value) && isnan(out.limits.charge_current.value));
    packs.pack[0].reading.cell_voltage_max_V = 2.3; /* one end of them alone is not enough */
    step_packs(1);
    assert_true(isnan(out.limits.charge_voltage.value) && isnan(out.limits.discharge_current.value));
}

/* With BLOCKED_PACK = exclude the caller says which part of the bank is left. */
static void step_with_parts(double charge_part, double discharge_part)
{
    struct bank bank;
    struct control_input in = {.today = {true, 20000, 6},
                               .packs = packs.list,
                               .pack_count = 2,
                               .bank = &bank,
                               .charge_part = charge_part,
                               .discharge_part = discharge_part};

    packs_remember(&packs);
    bank_merge(packs.list, 2, &bank);
    control_step(&control, &config, &in, &out);
}

static void without_the_pack_that_blocks_the_part_of_the_others_is_left(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        packs.pack[i].reading.voltage_V = 50;
        packs.pack[i].reading.cell_voltage_max_V = packs.pack[i].reading.cell_voltage_min_V = 2.2;
    }
    packs.pack[1].reading.allow_charge = packs.pack[1].reading.allow_discharge = 0;
    step_with_parts(0.6, 0.25);
    assert_near(out.limits.charge_current.value, 120, 1e-6);
    assert_string_equal(out.limits.charge_current.reason, "Without pack \"B\", which blocks charging");
    assert_near(out.limits.discharge_current.value, 50, 1e-6);
    assert_string_equal(out.limits.discharge_current.reason, "Without pack \"B\", which blocks discharging");
    step_with_parts(0, 0);
    assert_true(out.limits.charge_current.value == 0 && out.limits.discharge_current.value == 0);
    assert_string_equal(out.limits.discharge_current.reason, "Pack \"B\" blocks discharging");
    packs.pack[0].reading.cell_voltage_min_V = 1.85; /* and an empty cell is empty whoever blocks */
    step_with_parts(0.6, 0.25);
    assert_true(out.limits.discharge_current.value == 0);
    assert_non_null(strstr(out.limits.discharge_current.reason, "Empty cell: A"));
}

static void a_curve_is_linear_between_its_points_and_constant_outside(void **state)
{
    const struct curve curve = {3, {1, 2, 2}, {10, 20, 5}};
    const struct curve none = {0};

    (void)state;
    assert_near(curve_at(&curve, 0), 10, 1e-12);
    assert_near(curve_at(&curve, 1.5), 15, 1e-12);
    assert_near(curve_at(&curve, 2), 5, 1e-12); /* a step */
    assert_near(curve_at(&curve, 9), 5, 1e-12);
    assert_true(isnan(curve_at(&curve, NAN)));
    assert_true(isnan(curve_at(&none, 1)));
}

/* ---- bank current ---- */

static struct source source_of(enum source_kind kind, double current_A)
{
    return (struct source){.kind = kind,
                           .name = "it",
                           .connected = 1,
                           .current_A = current_A,
                           .input_current_A = NAN,
                           .state = NAN,
                           .status_code = NAN};
}

static double current_of(const struct source *a, const struct source *b, struct bank_current *current)
{
    const struct source none = {.kind = SOURCE_OTHER};
    const struct source sources[] = {a ? *a : none, b ? *b : none};
    struct bank bank = {.voltage_V = 50, .current_A = 1, .power_W = 2};

    bank_current(&config, &bank, sources, b ? 2 : a ? 1 : 0, current);
    return current->current_A;
}

static void multi_and_mppt_make_the_bank_current(void **state)
{
    struct source multi = source_of(SOURCE_MULTI, -5);
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    assert_near(current_of(&multi, &mppt, &current), 15, 1e-9);
    assert_near(current.power_W, 750, 1e-9);
    assert_true(current.from_victron);
    multi.connected = 0;
    assert_near(current_of(&multi, &mppt, &current), 20, 1e-9);
}

static void shunts_add_or_subtract_and_may_be_inverted(void **state)
{
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct source load = source_of(SOURCE_SHUNT_LOAD, 3);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    assert_near(current_of(&mppt, &load, &current), 17, 1e-9);
    config.invert_smartshunts = true;
    assert_near(current_of(&mppt, &load, &current), 23, 1e-9);
    load = source_of(SOURCE_SHUNT_BATTERY, 3);
    config.invert_smartshunts = false;
    assert_near(current_of(&mppt, &load, &current), 23, 1e-9);
}

static void in_the_words_of_3_x_a_battery_shunt_measures_a_load_unless_it_is_the_bank_current(void **state)
{
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct source battery = source_of(SOURCE_SHUNT_BATTERY, 3);
    struct source load = source_of(SOURCE_SHUNT_LOAD, 3);
    struct bank_current current;

    (void)state;
    config.current_from_victron = config.subtract_battery_shunts = true;
    assert_near(current_of(&mppt, &battery, &current), 17, 1e-9);
    assert_near(current_of(&mppt, &load, &current), 17, 1e-9);
    config.smartshunt_as_battery_current = true;
    assert_near(current_of(&mppt, &battery, &current), 3, 1e-9);
}

static void when_a_part_cannot_be_read_the_packs_stand_in_and_it_is_named(void **state)
{
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct source shunt = source_of(SOURCE_SHUNT_LOAD, NAN);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    assert_near(current_of(&mppt, &shunt, &current), 1, 1e-9);
    assert_false(current.from_victron);
    assert_string_equal(current.missing, "it");
    config.nr_of_mppts = 2;
    assert_near(current_of(&mppt, NULL, &current), 1, 1e-9);
    assert_non_null(strstr(current.missing, "1 of 2 solar chargers"));
    assert_near(current_of(NULL, NULL, &current), 1, 1e-9);
}

static void what_a_source_measured_before_it_fell_silent_counts_no_more(void **state)
{
    struct source multi = source_of(SOURCE_MULTI, -5);
    struct source shunt = source_of(SOURCE_SHUNT_BATTERY, 7);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    shunt.silent = true;
    assert_near(current_of(&multi, &shunt, &current), 1, 1e-9);
    assert_string_equal(current.missing, "it (it answers nothing)");
    shunt.sign = -1; /* told by CURRENT_SOURCES */
    assert_near(current_of(&multi, &shunt, &current), 1, 1e-9);
    multi.silent = true;
    multi.connected = 0; /* it said that it is off: that is no news either */
    shunt.silent = false;
    assert_near(current_of(&multi, &shunt, &current), 1, 1e-9);
    config.smartshunt_as_battery_current = true;
    shunt.sign = 0;
    assert_near(current_of(&multi, &shunt, &current), 7, 1e-9);
    shunt.silent = true;
    assert_near(current_of(&multi, &shunt, &current), 1, 1e-9);
    assert_string_equal(current.missing, "it (it answers nothing)");
    config.smartshunt_as_battery_current = false;
}

static void a_multi_that_does_not_say_whether_it_is_connected_cannot_be_read(void **state)
{
    struct source multi = source_of(SOURCE_MULTI, -5);
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    multi.connected = NAN;
    assert_near(current_of(&multi, &mppt, &current), 1, 1e-9);
    assert_near(current.power_W, 2, 1e-9);
    assert_string_equal(current.missing, "it");
}

static void more_solar_chargers_than_told_do_not_count(void **state)
{
    struct source first = source_of(SOURCE_MPPT, 20);
    struct source second = source_of(SOURCE_MPPT, 7);
    struct bank_current current;

    (void)state;
    config.current_from_victron = true;
    config.nr_of_mppts = 1;
    assert_near(current_of(&first, &second, &current), 20, 1e-9);
    assert_string_equal(current.missing, "");
}

static void a_sign_that_is_told_is_that_of_the_current_whatever_the_kind_says(void **state)
{
    static const enum source_kind kinds[] = {SOURCE_SHUNT_BATTERY, SOURCE_SHUNT_LOAD, SOURCE_MPPT,
                                             SOURCE_MULTI, SOURCE_OTHER};

    (void)state;
    config.invert_smartshunts = true; /* of those without a sign */
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct source source = source_of(kinds[i], 8);

        source.sign = 1;
        assert_near(source_current_A(&config, &source), 8, 1e-12);
        source.sign = -1;
        assert_near(source_current_A(&config, &source), -8, 1e-12);
    }
}

static void a_source_that_is_counted_twice_is_named_where_the_sum_would_agree_without_it(void **state)
{
    struct source sources[] = {source_of(SOURCE_MULTI, 12), source_of(SOURCE_SHUNT_BATTERY, 11),
                               source_of(SOURCE_OTHER, NAN)};
    char text[80];

    (void)state;
    strcpy(sources[0].name, "Multi");
    strcpy(sources[1].name, "Front");
    sources_describe(&config, sources, 2, 12.2, 2, text,
                     sizeof text); /* 0.2 A off without one, 1.2 without the other */
    assert_string_equal(text, "\"Multi\" 12.0 A, \"Front\" 11.0 A; without \"Front\" the two would agree");
    sources_describe(&config, sources, 2, 11.2, 2, text, sizeof text);
    assert_non_null(strstr(text, "without \"Multi\"")); /* the nearer of the two */
    sources_describe(&config, sources, 2, 12.2, 0.1, text, sizeof text);
    assert_string_equal(text, "\"Multi\" 12.0 A, \"Front\" 11.0 A");
    sources_describe(&config, sources, 1, 0, 2, text, sizeof text); /* one alone is not counted twice */
    assert_string_equal(text, "\"Multi\" 12.0 A");
    sources_describe(&config, sources, 3, 12.2, 2, text, sizeof text); /* nobody knows the sum */
    assert_null(strstr(text, "agree"));
    memset(text, '?', sizeof text);
    sources_describe(&config, sources, 2, 12.2, 2, text, 12);
    assert_string_equal(text, "\"Multi\" 12.");
    for (size_t i = 12; i < sizeof text; i++)
        assert_int_equal(text[i], '?');
}

static void without_victron_the_packs_own_current_stands(void **state)
{
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct bank_current current;

    (void)state;
    config.current_from_victron = false;
    assert_near(current_of(&mppt, NULL, &current), 1, 1e-9);
    assert_near(current.power_W, 2, 1e-9);
    assert_false(current.from_victron);
    assert_string_equal(current.missing, "");
}

static void a_battery_shunt_alone_may_be_the_bank_current(void **state)
{
    struct source mppt = source_of(SOURCE_MPPT, 20);
    struct source shunt = source_of(SOURCE_SHUNT_BATTERY, 7);
    struct bank_current current;

    (void)state;
    config.smartshunt_as_battery_current = true;
    assert_near(current_of(&mppt, &shunt, &current), 7, 1e-9);
    shunt.current_A = NAN;
    assert_near(current_of(&mppt, &shunt, &current), 1, 1e-9);
    assert_string_equal(current.missing, "it");
    assert_near(current_of(&mppt, NULL, &current), 1, 1e-9);
    assert_string_equal(current.missing, "a SmartShunt as battery monitor");
}

/* ---- the Coulomb counter ---- */

static struct charge_counter counter;

static enum charge_event measure(double time_s, double current_A)
{
    const struct charge_input in = {time_s, current_A, 100, false, false};

    return charge_step(&counter, &in, 0.9);
}

static void charge_is_the_trapezoid_under_the_current(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(0, -10);
    measure(30, -20);
    assert_near(counter.charge_Ah, 50 - 15 * 30 / 3600.0, 1e-9);
}

static void only_what_goes_in_pays_the_efficiency(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(0, 10);
    measure(20, -10); /* crosses 0 in the middle: 5 A in and 5 A out, 10 s each */
    assert_near(counter.charge_Ah, 50 + 5 * 10 / 3600.0 * 0.9 - 5 * 10 / 3600.0, 1e-9);
}

static void a_gap_is_said_and_not_counted(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(0, -10);
    assert_int_equal(measure(31, -10), CHARGE_EVENT_GAP);
    assert_near(counter.charge_Ah, 50, 1e-12);
    assert_int_equal(measure(61, -10), CHARGE_EVENT_NONE);
    assert_near(counter.charge_Ah, 50 - 10 * 30 / 3600.0, 1e-9);
}

static void an_unknown_current_or_time_that_runs_backwards_changes_nothing(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(100, -10);
    measure(101, NAN);
    measure(50, -10);
    assert_near(counter.charge_Ah, 50, 1e-12);
}

static void the_counter_stays_between_empty_and_full(void **state)
{
    (void)state;
    charge_init(&counter, 99.99);
    for (int i = 0; i < 100; i++)
        measure(i * 10, 100);
    assert_near(counter.charge_Ah, 100, 1e-12);
    for (int i = 100; i < 1000; i++)
        measure(i * 10, -500);
    assert_near(counter.charge_Ah, 0, 1e-12);
}

static void an_anchor_sets_it_and_is_said_once_per_arrival(void **state)
{
    struct charge_input full = {0, 0, 100, true, false};

    (void)state;
    charge_init(&counter, 50);
    assert_int_equal(charge_step(&counter, &full, 1), CHARGE_EVENT_FULL);
    assert_near(charge_soc_pct(&counter), 100, 1e-12);
    full.time_s = 1;
    assert_int_equal(charge_step(&counter, &full, 1), CHARGE_EVENT_NONE);
    full.full = false;
    charge_step(&counter, &full, 1);
    full.full = true;
    assert_int_equal(charge_step(&counter, &full, 1), CHARGE_EVENT_FULL);
}

static void steady_charging_pays_the_efficiency_too(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(0, 10);
    measure(30, 20);
    assert_near(counter.charge_Ah, 50 + 15 * 30 / 3600.0 * 0.9, 1e-9);
}

static void empty_sets_it_to_0_and_full_wins_over_empty(void **state)
{
    struct charge_input in = {0, 0, 100, false, true};

    (void)state;
    charge_init(&counter, 50);
    assert_int_equal(charge_step(&counter, &in, 1), CHARGE_EVENT_EMPTY);
    assert_true(charge_soc_pct(&counter) == 0);
    assert_int_equal(charge_step(&counter, &in, 1), CHARGE_EVENT_NONE);
    in.full = true;
    assert_int_equal(charge_step(&counter, &in, 1), CHARGE_EVENT_FULL);
    assert_near(charge_soc_pct(&counter), 100, 1e-12);
    charge_init(&counter, 50);
    assert_int_equal(charge_step(&counter, &in, 1), CHARGE_EVENT_FULL);
}

static void a_capacity_that_changes_keeps_the_soc_and_one_of_nothing_is_none(void **state)
{
    struct charge_input in = {0, 0, 100, false, false};
    const double none_Ah[] = {NAN, 0, -5};

    (void)state;
    charge_init(&counter, 50);
    charge_step(&counter, &in, 1);
    in.capacity_Ah = 300;
    charge_step(&counter, &in, 1);
    assert_near(counter.charge_Ah, 150, 1e-9);
    for (int i = 0; i < 3; i++) {
        in.capacity_Ah = none_Ah[i];
        charge_step(&counter, &in, 1);
        assert_near(charge_soc_pct(&counter), 50, 1e-9);
    }
}

static void a_counter_that_does_not_know_where_to_begin_knows_no_soc(void **state)
{
    (void)state;
    charge_init(&counter, NAN);
    measure(0, -10);
    measure(1, -10);
    assert_true(isnan(charge_soc_pct(&counter)) && isnan(charge_consumed_Ah(&counter)));
    assert_true(isnan(charge_time_to_go_s(&counter, -10, false)));
}

static void time_to_go_is_known_while_discharging_only(void **state)
{
    (void)state;
    charge_init(&counter, 50);
    measure(0, -10);
    assert_near(charge_time_to_go_s(&counter, -10, false), 18000, 1e-9);
    assert_true(isnan(charge_time_to_go_s(&counter, -10, true)));
    assert_true(isnan(charge_time_to_go_s(&counter, 10, false)));
    assert_near(charge_consumed_Ah(&counter), -50, 1e-9);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_charge_current_follows_the_highest_cell),
        TEST(it_also_follows_the_lowest_cell),
        TEST(the_discharge_current_follows_the_lowest_cell_with_a_hysteresis),
        TEST(a_peaking_pack_pulls_the_voltage_down_by_what_its_cells_are_above),
        TEST(all_that_cells_are_above_is_taken_off),
        TEST(without_a_peak_the_target_of_the_month_holds),
        TEST(a_cell_that_becomes_unknown_counts_with_what_it_was),
        TEST(a_pack_at_its_peak_whose_sum_falls_silent_still_holds_the_voltage_down),
        TEST(a_peak_that_only_the_packs_own_maximum_shows_counts_like_one_of_its_cells),
        TEST(a_number_of_cells_that_becomes_unknown_stands),
        TEST(a_pack_that_blocks_makes_the_current_0_and_goes_on_while_silent),
        TEST(an_empty_cell_that_falls_silent_stays_empty),
        TEST(a_cell_peaks_from_its_limit_on_and_is_calm_a_little_under_it),
        TEST(a_bank_is_balanced_when_no_cell_is_above_and_none_far_below),
        TEST(a_cell_at_exactly_its_minimum_is_empty),
        TEST(the_cells_in_series_are_the_users_else_the_fewest_of_the_packs),
        TEST(a_voltage_that_is_none_costs_nobody_the_number_of_cells),
        TEST(a_number_of_cells_that_the_user_set_too_high_is_not_believed_where_the_cells_tell),
        TEST(the_part_that_is_lost_takes_no_current),
        TEST(in_twenty_thousand_random_banks_no_limit_rises_because_a_value_fell_silent),
        TEST(in_twenty_thousand_random_banks_limits_stay_in_bounds_and_depend_on_no_order),
        TEST(without_any_cell_the_limits_are_unknown),
        TEST(without_the_pack_that_blocks_the_part_of_the_others_is_left),
        TEST(a_curve_is_linear_between_its_points_and_constant_outside),
        TEST(multi_and_mppt_make_the_bank_current),
        TEST(shunts_add_or_subtract_and_may_be_inverted),
        TEST(in_the_words_of_3_x_a_battery_shunt_measures_a_load_unless_it_is_the_bank_current),
        TEST(when_a_part_cannot_be_read_the_packs_stand_in_and_it_is_named),
        TEST(what_a_source_measured_before_it_fell_silent_counts_no_more),
        TEST(a_multi_that_does_not_say_whether_it_is_connected_cannot_be_read),
        TEST(more_solar_chargers_than_told_do_not_count),
        TEST(a_sign_that_is_told_is_that_of_the_current_whatever_the_kind_says),
        TEST(a_source_that_is_counted_twice_is_named_where_the_sum_would_agree_without_it),
        TEST(without_victron_the_packs_own_current_stands),
        TEST(a_battery_shunt_alone_may_be_the_bank_current),
        TEST(charge_is_the_trapezoid_under_the_current),
        TEST(only_what_goes_in_pays_the_efficiency),
        TEST(a_gap_is_said_and_not_counted),
        TEST(an_unknown_current_or_time_that_runs_backwards_changes_nothing),
        TEST(the_counter_stays_between_empty_and_full),
        TEST(an_anchor_sets_it_and_is_said_once_per_arrival),
        TEST(steady_charging_pays_the_efficiency_too),
        TEST(empty_sets_it_to_0_and_full_wins_over_empty),
        TEST(a_capacity_that_changes_keeps_the_soc_and_one_of_nothing_is_none),
        TEST(a_counter_that_does_not_know_where_to_begin_knows_no_soc),
        TEST(time_to_go_is_known_while_discharging_only),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
