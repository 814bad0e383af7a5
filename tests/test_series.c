/* core/series: packs in series are one pack. Every expected number is worked out by hand beside it. */
#include "packs.h"

#include "core/series.h"

static struct packs packs;
static struct config config;
static struct series series;
static double now_s;

/* Two 12 V packs of 4 cells and 100 Ah. A: 80 Ah left, B: 70 Ah left. */
static int setup(void **state)
{
    static const double cells_V[2][4] = {{3.31, 3.32, 3.33, 3.34}, {3.28, 3.29, 3.30, 3.31}};

    (void)state;
    settings_default(&config);
    packs_init(&packs);
    series_clear(&series);
    now_s = 0;
    for (int i = 0; i < 2; i++) {
        struct pack_reading *reading = &packs.pack[i].reading;

        memcpy(reading->cell_V, cells_V[i], sizeof cells_V[i]);
        reading->cells_in_series = 4;
        reading->voltage_V = i == 0 ? 13.30 : 13.18;
        reading->current_A = i == 0 ? 20 : 22;
        reading->temperature_C = i == 0 ? 20 : 10;
        reading->capacity_installed_Ah = 100;
        reading->capacity_Ah = i == 0 ? 80 : 70;
        reading->soc_pct = i == 0 ? 80 : 70;
        reading->charge_voltage_max_V = 14.2;
        reading->charge_current_max_A = i == 0 ? 50 : 40;
        reading->discharge_current_max_A = i == 0 ? 60 : 90;
        reading->allow_charge = reading->allow_discharge = 1;
    }
    packs_remember(&packs);
    return 0;
}

static const struct pack_reading *merge(void)
{
    packs_remember(&packs);
    series_merge(&series, &config, packs.list, 2, now_s++);
    return &series.pack.reading;
}

static void voltages_and_cells_add_and_the_current_is_one(void **state)
{
    const struct pack_reading *string = merge();

    (void)state;
    assert_near(string->voltage_V, 26.48, 1e-9); /* 13.30 + 13.18 */
    assert_near(string->current_A, 21, 1e-9);    /* (20 + 22) / 2 */
    assert_near(string->power_W, 26.48 * 21, 1e-9);
    assert_near(string->temperature_C, 15, 1e-9);
    assert_near(string->cells_in_series, 8, 0);
    assert_near(string->cells_sum_V, 26.48, 1e-9);
    assert_near(string->cell_V[0], 3.31, 0);
    assert_near(string->cell_V[4], 3.28, 0); /* the first of B */
    assert_near(string->cell_V[7], 3.31, 0);
    assert_string_equal(series.pack.name, "A + B");
}

static void the_extremes_name_their_pack(void **state)
{
    const struct pack_reading *string = merge();

    (void)state;
    assert_near(string->cell_voltage_max_V, 3.34, 0);
    assert_string_equal(string->cell_voltage_max_id, "A: C4");
    assert_near(string->cell_voltage_min_V, 3.28, 0);
    assert_string_equal(string->cell_voltage_min_id, "B: C1");
}

/* A BMS that counts on after full shows more than it holds. */
static void more_than_a_pack_can_hold_is_full(void **state)
{
    const struct pack_reading *string;

    (void)state;
    packs.pack[0].reading.capacity_Ah = packs.pack[1].reading.capacity_Ah = 107;
    string = merge();
    assert_near(string->soc_pct, 100, 1e-9);
    assert_near(string->capacity_Ah, 100, 1e-9);
    assert_near(string->consumed_Ah, 0, 0);
    packs.pack[0].reading.capacity_Ah = -3;
    packs.pack[1].reading.capacity_Ah = 70;
    assert_near(merge()->soc_pct, 0, 1e-9);
}

static void a_full_pack_and_an_empty_one_make_an_empty_string(void **state)
{
    const struct pack_reading *string;

    (void)state;
    packs.pack[0].reading.capacity_Ah = packs.pack[0].reading.soc_pct = 100;
    packs.pack[1].reading.capacity_Ah = packs.pack[1].reading.soc_pct = 0;
    string = merge();
    assert_near(string->soc_pct, 0, 0);
    assert_near(string->capacity_Ah, 0, 0);
    assert_near(string->capacity_installed_Ah, 0, 0);
}

static void the_emptiest_and_the_fullest_decide_the_charge(void **state)
{
    const struct pack_reading *string = merge();

    (void)state;
    assert_near(string->capacity_Ah, 70, 1e-9);           /* B is empty first */
    assert_near(string->consumed_Ah, -20, 1e-9);          /* A is full first: it lacks 20 */
    assert_near(string->capacity_installed_Ah, 90, 1e-9); /* 70 + 20 */
    assert_near(string->soc_pct, 100 * 70.0 / 90, 1e-9);
    assert_near(series.apart_Ah, 10, 1e-9); /* A lacks 20, B 30 */
    assert_true(series.apart);              /* 10 of 90 */
    assert_near(string->alarm[ALARM_MID_VOLTAGE], 1, 0);
}

static void packs_of_one_charge_are_not_apart(void **state)
{
    (void)state;
    packs.pack[1].reading.capacity_Ah = 79;
    merge();
    assert_false(series.apart);
    assert_true(isnan(series.pack.reading.alarm[ALARM_MID_VOLTAGE]));
}

static void currents_are_limited_by_the_weakest(void **state)
{
    const struct pack_reading *string = merge();

    (void)state;
    assert_near(string->charge_current_max_A, 40, 0);
    assert_near(string->discharge_current_max_A, 60, 0);
    assert_near(string->allow_charge, 1, 0);
}

static void one_that_blocks_blocks_the_string(void **state)
{
    (void)state;
    packs.pack[1].reading.allow_charge = 0;
    merge();
    assert_true(pack_blocks_charge(&series.pack));
    assert_false(pack_blocks_discharge(&series.pack));
}

static void packs_of_one_voltage_may_be_charged_to_the_sum_of_their_limits(void **state)
{
    (void)state;
    packs.pack[1].reading.voltage_V = 13.30;
    assert_near(merge()->charge_voltage_max_V, 28.4, 1e-9); /* 14.2 + 14.2 */
}

/* A has 0.9 V to its limit, B 1.02: what B has more, 0.12, is taken off, or A would be pushed over. */
static void nobody_is_pushed_over_its_limit_by_its_sister(void **state)
{
    (void)state;
    assert_near(merge()->charge_voltage_max_V, 28.4 - 0.12, 1e-9);
    packs.pack[0].reading.voltage_V = 14.2; /* at its limit: where they are now is as far as they go */
    packs.pack[1].reading.voltage_V = 13.6;
    assert_near(merge()->charge_voltage_max_V, 27.8, 1e-9);
}

static void a_limit_that_falls_silent_stands_and_one_never_told_is_unknown(void **state)
{
    (void)state;
    merge();
    packs.pack[1].reading.charge_current_max_A = NAN;
    assert_near(merge()->charge_current_max_A, 40, 0);
    packs.pack[1].last.charge_current_max_A = NAN;
    assert_true(isnan(merge()->charge_current_max_A));
}

static void what_one_does_not_know_is_not_made_up(void **state)
{
    (void)state;
    packs.pack[1].reading.voltage_V = NAN;
    packs.pack[1].reading.current_A = NAN;
    assert_true(isnan(merge()->voltage_V));
    assert_near(merge()->current_A, 20, 0); /* it is the same in both */
    packs.pack[1].reading.capacity_installed_Ah = NAN;
    packs.pack[1].reading.capacity_Ah = NAN;
    assert_true(isnan(merge()->capacity_installed_Ah));
    assert_near(merge()->soc_pct, 70, 0); /* the lowest: nobody is promised more */
}

static void the_cells_of_each_are_as_many_as_the_settings_say(void **state)
{
    (void)state;
    config.nr_of_cells_per_battery = 4;
    packs.pack[1].reading.cells_in_series = NAN;
    assert_near(merge()->cells_in_series, 8, 0);
}

/* 20 and 22 A are 9 % apart; 21 and 22 less than 5 %. */
static void one_current_measured_as_two_is_found_out_in_a_minute(void **state)
{
    (void)state;
    for (int s = 0; s <= 60; s++) {
        merge();
        assert_int_equal(series.currents_watch.stands, s == 60);
    }
    packs.pack[0].reading.current_A = 21;
    merge();
    assert_false(series.currents_watch.stands);
}

static void the_coldest_and_the_warmest_cell_name_their_pack(void **state)
{
    const struct pack_reading *string;

    (void)state;
    packs.pack[0].reading.cell_temperature_min_C = 18;
    packs.pack[0].reading.cell_temperature_max_C = 21;
    packs.pack[1].reading.cell_temperature_min_C = 9;
    packs.pack[1].reading.cell_temperature_max_C = 12;
    strcpy(packs.pack[1].reading.cell_temperature_min_id, "T2");
    string = merge();
    assert_near(string->cell_temperature_min_C, 9, 0);
    assert_string_equal(string->cell_temperature_min_id, "B: T2");
    assert_near(string->cell_temperature_max_C, 21, 0);
    assert_string_equal(string->cell_temperature_max_id, "A");
}

static void the_worst_alarm_is_that_of_the_string(void **state)
{
    (void)state;
    packs.pack[0].reading.alarm[ALARM_LOW_VOLTAGE] = 2;
    packs.pack[1].reading.alarm[ALARM_LOW_VOLTAGE] = 0;
    packs.pack[1].reading.soh_pct = 90; /* and A does not tell it */
    assert_near(merge()->alarm[ALARM_LOW_VOLTAGE], 2, 0);
    assert_true(isnan(merge()->soh_pct));
    packs.pack[0].reading.soh_pct = 95;
    assert_near(merge()->soh_pct, 90, 0);
}

static void one_that_blocks_discharging_blocks_that_of_the_string(void **state)
{
    (void)state;
    packs.pack[0].reading.allow_discharge = 0;
    merge();
    assert_true(pack_blocks_discharge(&series.pack));
    assert_false(pack_blocks_charge(&series.pack));
}

static void packs_that_show_only_their_extremes_make_a_string(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pack_reading *reading = &packs.pack[i].reading;

        for (int c = 0; c < 4; c++)
            reading->cell_V[c] = packs.pack[i].last.cell_V[c] = NAN;
        reading->cell_voltage_max_V = i == 0 ? 3.40 : 3.35;
        reading->cell_voltage_min_V = i == 0 ? 3.30 : 3.28;
        strcpy(reading->cell_voltage_max_id, "M1C3");
    }
    assert_near(merge()->cell_voltage_max_V, 3.40, 0);
    assert_string_equal(merge()->cell_voltage_max_id, "A: M1C3");
    assert_near(merge()->cell_voltage_min_V, 3.28, 0);
    assert_near(merge()->cells_sum_V, 26.48, 1e-9); /* their voltages */
}

/* B's BMS opened. Its cells are 13.18 V all the same, and that is what it is away from its limit. */
static void one_that_shows_0_V_has_no_more_room_for_it(void **state)
{
    (void)state;
    merge();
    packs.pack[1].reading.voltage_V = 0;
    assert_near(merge()->charge_voltage_max_V, 28.4 - 0.12, 1e-9);
    assert_near(merge()->voltage_V, 26.48, 1e-9);
    for (int c = 0; c < 4; c++)
        packs.pack[1].reading.cell_V[c] = packs.pack[1].last.cell_V[c] = NAN;
    assert_near(merge()->charge_voltage_max_V, 28.4 - 0.12, 1e-9); /* what it showed last */
}

/* Then it is taken to be at its limit, and A's 0.9 V are taken off. */
static void one_that_never_told_a_voltage_has_no_room(void **state)
{
    (void)state;
    for (int c = 0; c < 4; c++)
        packs.pack[1].reading.cell_V[c] = packs.pack[1].last.cell_V[c] = NAN;
    for (int s = 0; s < 2; s++) {
        packs.pack[1].reading.voltage_V = s == 0 ? NAN : 0;
        packs.pack[1].last.voltage_V = NAN;
        for (int from = 0; from <= SUM_FROM_PACK; from++)
            packs.pack[1].last.cells_sum_V[from] = NAN;
        assert_near(merge()->charge_voltage_max_V, 28.4 - 0.9, 1e-9);
    }
}

/* ---- the rules of both rooms ---- */

/* Gives both packs another value there. */
static void set_numbers(size_t at, double value)
{
    for (int i = 0; i < 2; i++)
        memcpy((char *)&packs.pack[i].reading + at, &value, sizeof value);
    packs_remember(&packs);
}

static double number_at(const struct pack_reading *reading, size_t at)
{
    double number;

    memcpy(&number, (const char *)reading + at, sizeof number);
    return number;
}

/* Whether a bank of packs in parallel is another one by that value. */
static bool changes_a_bank(size_t at, double value)
{
    static struct bank before, after;

    setup(NULL);
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    bank_merge(packs.list, 2, &before);
    set_numbers(at, value);
    bank_merge(packs.list, 2, &after);
    return memcmp(&before, &after, sizeof before) != 0;
}

/* What a string shows at that place when its packs show something there. */
static double shown_by_a_string(size_t at)
{
    setup(NULL);
    set_numbers(at, 0.25);
    return number_at(merge(), at);
}

/* Limits are merged beside the bank, in core/limits.c. */
static bool is_a_limit(size_t at)
{
    return at == offsetof(struct pack_reading, charge_voltage_max_V) ||
           at == offsetof(struct pack_reading, charge_current_max_A) ||
           at == offsetof(struct pack_reading, discharge_current_max_A);
}

/* A value that is merged of packs in parallel and unknown of those in series is lost for who sets BANK; one
 * that a string shows and no bank takes is work for nothing. */
static void what_is_merged_in_parallel_is_merged_in_series_and_the_other_way_round(void **state)
{
    int merged = 0;

    (void)state;
    for (size_t at = offsetof(struct pack_reading, device_instance); at < sizeof(struct pack_reading);
         at += sizeof(double)) {
        size_t number = (at - offsetof(struct pack_reading, device_instance)) / sizeof(double);
        bool parallel = changes_a_bank(at, 0.25) || changes_a_bank(at, 9.25); /* as a minimum or maximum */
        bool in_series = !isnan(shown_by_a_string(at));

        if (parallel && !in_series)
            fail_msg("number %zu of struct pack_reading has a rule in core/bank.c and none in core/series.c",
                     number);
        if (in_series && !parallel && !is_a_limit(at))
            fail_msg("number %zu of struct pack_reading has a rule in core/series.c and none in core/bank.c",
                     number);
        merged += parallel;
    }
    assert_true(merged > 100); /* it has looked */
}

static void what_a_string_has_been_through_is_that_of_its_packs(void **state)
{
    struct pack_history *a = &packs.pack[0].reading.history;
    struct pack_history *b = &packs.pack[1].reading.history;
    const struct pack_history *string;

    (void)state;
    *a = (struct pack_history){-80, -20, -40, 3, 3600, 11.0, 14.2, 2.75, 3.60, 4, 35, 1, 0};
    *b = (struct pack_history){-85, -22, -38, 5, 7200, 10.8, 14.4, 2.70, 3.65, 2, 31, 2, 4};
    string = &merge()->history;
    assert_near(string->deepest_discharge_Ah, -85,
                0); /* one current: no string went deeper than its deepest */
    assert_near(string->last_discharge_Ah, -22, 0);
    assert_near(string->average_discharge_Ah, -40, 0);
    assert_near(string->full_discharges, 5, 0);
    assert_near(string->since_full_s, 7200, 0);
    assert_near(string->voltage_min_V, 21.8, 1e-9); /* 11.0 + 10.8: it was never lower */
    assert_near(string->voltage_max_V, 28.6, 1e-9); /* 14.2 + 14.4 */
    assert_near(string->cell_voltage_min_V, 2.70, 0);
    assert_near(string->cell_voltage_max_V, 3.65, 0);
    assert_near(string->temperature_min_C, 2, 0);
    assert_near(string->temperature_max_C, 35, 0);
    assert_near(string->low_voltage_alarms, 3, 0);
    assert_near(string->high_voltage_alarms, 4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(voltages_and_cells_add_and_the_current_is_one, setup),
        cmocka_unit_test_setup(the_extremes_name_their_pack, setup),
        cmocka_unit_test_setup(the_emptiest_and_the_fullest_decide_the_charge, setup),
        cmocka_unit_test_setup(more_than_a_pack_can_hold_is_full, setup),
        cmocka_unit_test_setup(a_full_pack_and_an_empty_one_make_an_empty_string, setup),
        cmocka_unit_test_setup(packs_of_one_charge_are_not_apart, setup),
        cmocka_unit_test_setup(currents_are_limited_by_the_weakest, setup),
        cmocka_unit_test_setup(one_that_blocks_blocks_the_string, setup),
        cmocka_unit_test_setup(packs_of_one_voltage_may_be_charged_to_the_sum_of_their_limits, setup),
        cmocka_unit_test_setup(nobody_is_pushed_over_its_limit_by_its_sister, setup),
        cmocka_unit_test_setup(a_limit_that_falls_silent_stands_and_one_never_told_is_unknown, setup),
        cmocka_unit_test_setup(what_one_does_not_know_is_not_made_up, setup),
        cmocka_unit_test_setup(the_coldest_and_the_warmest_cell_name_their_pack, setup),
        cmocka_unit_test_setup(the_worst_alarm_is_that_of_the_string, setup),
        cmocka_unit_test_setup(one_that_blocks_discharging_blocks_that_of_the_string, setup),
        cmocka_unit_test_setup(packs_that_show_only_their_extremes_make_a_string, setup),
        cmocka_unit_test_setup(one_current_measured_as_two_is_found_out_in_a_minute, setup),
        cmocka_unit_test_setup(the_cells_of_each_are_as_many_as_the_settings_say, setup),
        cmocka_unit_test_setup(one_that_shows_0_V_has_no_more_room_for_it, setup),
        cmocka_unit_test_setup(one_that_never_told_a_voltage_has_no_room, setup),
        cmocka_unit_test(what_is_merged_in_parallel_is_merged_in_series_and_the_other_way_round),
        cmocka_unit_test_setup(what_a_string_has_been_through_is_that_of_its_packs, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
