/* core/aggregator: the way from readings to what is shown, step by step in time. */
#include "fixture.h"

#include "core/aggregator.h"

struct bench {
    struct config config;
    struct aggregator aggregator;
    struct aggregate out;
    struct pack pack[3];
    const struct pack *packs[3];
    struct aggregator_input in;
};

static void pack_make(struct pack *pack, const char *name, double capacity_Ah, double soc_pct)
{
    pack_clear(pack);
    strcpy(pack->name, name);
    pack->reading.voltage_V = 53;
    pack->reading.current_A = 10;
    pack->reading.soc_pct = soc_pct;
    pack->reading.capacity_installed_Ah = capacity_Ah;
    pack->reading.cell_voltage_max_V = 3.33;
    pack->reading.cell_voltage_min_V = 3.31;
    pack->reading.cells_in_series = 16;
    pack->reading.charge_voltage_max_V = 55.2;
    pack->reading.charge_current_max_A = 100;
    pack->reading.discharge_current_max_A = 120;
    pack_remember(pack);
}

static int bench_setup(void **state)
{
    struct bench *bench = test_calloc(1, sizeof *bench);

    settings_default(&bench->config);
    aggregator_init(&bench->aggregator, NAN, NAN);
    pack_make(&bench->pack[0], "A", 280, 50);
    pack_make(&bench->pack[1], "B", 280, 60);
    pack_make(&bench->pack[2], "C", 280, 70);
    for (int i = 0; i < 3; i++)
        bench->packs[i] = &bench->pack[i];
    bench->in = (struct aggregator_input){.packs = bench->packs, .pack_count = 2};
    *state = bench;
    return 0;
}

static int bench_teardown(void **state)
{
    test_free(*state);
    return 0;
}

static void step(struct bench *bench, double time_s)
{
    bench->in.time_s = time_s;
    aggregator_step(&bench->aggregator, &bench->config, &bench->in, &bench->out);
}

/* Lets the bank settle, so that the counter begins; time is 0 afterwards. */
static void begin(struct bench *bench)
{
    step(bench, -AGGREGATOR_SETTLE_S);
    step(bench, 0);
}

static void the_counter_begins_with_the_soc_of_the_packs_when_nothing_was_saved(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    assert_near(bench->out.soc_pct, 55, 1e-9);
    assert_near(bench->out.capacity_Ah, 308, 1e-9);
    assert_near(bench->out.consumed_Ah, -252, 1e-9);
}

static void the_counter_begins_with_what_was_saved(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    aggregator_init(&bench->aggregator, 140, 560);
    step(bench, 0);
    assert_near(bench->out.soc_pct, 25, 1e-9);
}

static void a_bank_that_grows_pack_by_pack_keeps_the_saved_soc(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    aggregator_init(&bench->aggregator, 400, 560);
    bench->in.pack_count = 1;
    step(bench, 0);
    assert_near(bench->out.soc_pct, 400.0 / 560 * 100, 1e-9);
    bench->in.pack_count = 2;
    step(bench, 0.1);
    assert_near(bench->out.capacity_Ah, 400, 0.01);
}

static void a_charge_written_by_hand_is_that_of_the_whole_bank(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    aggregator_init(&bench->aggregator, 400, NAN);
    bench->in.pack_count = 1;
    step(bench, 0);
    assert_near(bench->out.soc_pct, 50, 1e-9); /* the packs' own until the bank is settled */
    bench->in.pack_count = 2;
    step(bench, 1);
    step(bench, 1 + AGGREGATOR_SETTLE_S);
    assert_near(bench->out.capacity_Ah, 400, 0.1);
}

static void a_bank_of_known_size_begins_to_count_when_it_is_whole(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    bench->config.nr_of_batteries = 2;
    aggregator_init(&bench->aggregator, 400, NAN);
    bench->in.pack_count = 1;
    step(bench, 0);
    step(bench, 100);
    assert_near(bench->out.soc_pct, 50, 1e-9);
    bench->in.pack_count = 2;
    step(bench, 101);
    assert_near(bench->out.capacity_Ah, 400, 1e-9);
}

static void without_a_saved_charge_the_counter_begins_from_all_packs_not_from_the_first(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    bench->in.pack_count = 1;
    step(bench, 0);
    bench->in.pack_count = 2;
    step(bench, 1);
    step(bench, 1 + AGGREGATOR_SETTLE_S);
    assert_near(bench->out.soc_pct, 55, 0.01);
}

static void the_counter_runs_with_the_bank_current(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    bench->config.soc_method = SOC_REFERENCE;
    bench->config.battery_efficiency = 0.98;
    begin(bench);
    for (int second = 1; second <= 3600; second++)
        step(bench, second);
    assert_near(bench->out.capacity_Ah, 308 + 20 * 0.98, 1e-6);
}

static void the_learned_counter_runs_too_and_tells_how_uncertain_it_is(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    assert_near(bench->out.soc_uncertainty_pct, 5, 1);
    for (int second = 1; second <= 3600; second++)
        step(bench, second);
    assert_near(bench->out.capacity_Ah, 308 + 20, 0.1);
    bench->config.own_soc = false;
    step(bench, 3601);
    assert_true(isnan(bench->out.soc_uncertainty_pct));
}

static void soc_is_that_of_the_packs_unless_the_user_wants_ours(void **state)
{
    struct bench *bench = *state;

    aggregator_init(&bench->aggregator, 140, 560);
    step(bench, 0);
    assert_near(bench->out.soc_pct, 55, 1e-9);
}

static void soc_is_never_0_for_want_of_data(void **state)
{
    struct bench *bench = *state;

    bench->pack[0].reading.soc_pct = NAN;
    bench->pack[1].reading.soc_pct = NAN;
    step(bench, 0);
    assert_true(isnan(bench->out.soc_pct));
    bench->config.own_soc = true;
    step(bench, 1);
    assert_true(isnan(bench->out.soc_pct));
}

static void a_nan_current_never_poisons_the_counter(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    bench->pack[0].reading.current_A = NAN;
    step(bench, 1);
    bench->pack[0].reading.current_A = 10;
    step(bench, 2);
    step(bench, 3);
    assert_near(bench->out.soc_pct, 55, 0.01);
}

static void no_limit_rises_because_a_pack_went(void **state)
{
    struct bench *bench = *state;

    bench->pack[0].reading.charge_current_max_A = 10;
    bench->pack[0].reading.charge_voltage_max_V = 54;
    bench->pack[0].reading.current_A = 5;
    pack_remember(&bench->pack[0]);
    step(bench, 0);
    assert_near(bench->out.limits.charge_current.value, 20, 1e-9);
    bench->packs[0] = &bench->pack[1];
    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    strcpy(bench->in.lost.name, "A");
    step(bench, 1);
    assert_near(bench->out.limits.charge_current.value, 20, 1e-9);
    assert_near(bench->out.limits.charge_voltage.value, 54, 1e-9);
    assert_string_equal(bench->out.limits.charge_current.reason, "Not raised; \"A\" is lost");
    bench->in.packs_missing = 0;
    step(bench, 2);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
}

static void no_limit_rises_because_a_second_pack_went(void **state)
{
    struct bench *bench = *state;

    bench->in.pack_count = 3;
    step(bench, 0);
    bench->in.pack_count = 2; /* the third goes */
    bench->in.packs_missing = 1;
    step(bench, 1);
    bench->pack[1].reading.charge_voltage_max_V = 54;
    bench->pack[1].reading.charge_current_max_A = 0;
    bench->pack[1].reading.discharge_current_max_A = 10;
    step(bench, 2);
    bench->in.pack_count = 1; /* and now the second, which blocked */
    bench->in.packs_missing = 2;
    step(bench, 3);
    step(bench, 4);
    assert_near(bench->out.limits.charge_voltage.value, 54, 1e-9);
    assert_near(bench->out.limits.charge_current.value, 0, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 20, 1e-9);
    bench->in.pack_count = 3;
    bench->in.packs_missing = 0;
    pack_make(&bench->pack[1], "B", 280, 60);
    step(bench, 5);
    assert_near(bench->out.limits.charge_current.value, 300, 1e-9);
}

/* A is away for good. B's driver restarts while the bank floats, and comes back: what CVL was before B went
 * is what it is then. */
static void what_capped_cvl_for_a_pack_is_over_when_that_one_is_back(void **state)
{
    struct bench *bench = *state;
    const struct pack *b_and_c[] = {&bench->pack[1], &bench->pack[2]}, *c[] = {&bench->pack[2]};

    bench->in.pack_count = 3;
    step(bench, 0);
    bench->in.packs = b_and_c;
    bench->in.pack_count = 2;
    bench->in.packs_missing = 1;
    step(bench, 1);
    bench->pack[1].reading.charge_voltage_max_V = bench->pack[2].reading.charge_voltage_max_V = 53.6;
    pack_remember(&bench->pack[1]);
    pack_remember(&bench->pack[2]);
    step(bench, 2);
    bench->in.packs = c;
    bench->in.pack_count = 1;
    bench->in.packs_missing = 2;
    step(bench, 3);
    bench->pack[2].reading.charge_voltage_max_V = 55.2;
    pack_remember(&bench->pack[2]);
    step(bench, 4);
    assert_near(bench->out.limits.charge_voltage.value, 53.6, 1e-9);
    bench->in.packs = b_and_c;
    bench->in.pack_count = 2;
    bench->in.packs_missing = 1;
    step(bench, 50);
    assert_near(bench->out.limits.charge_voltage.value, 53.6, 1e-9); /* B says so */
    bench->pack[1].reading.charge_voltage_max_V = 55.2;
    pack_remember(&bench->pack[1]);
    step(bench, 51);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

/* BANK names one more after a reload: nobody went. */
static void the_currents_of_a_moment_cap_for_the_grace_only_when_nobody_went_either(void **state)
{
    struct bench *bench = *state;

    bench->config.lost_grace_s = 10;
    bench->pack[0].reading.current_A = bench->pack[1].reading.current_A = 1;
    pack_remember(&bench->pack[1]);
    bench->pack[0].reading.charge_current_max_A = 4;
    pack_remember(&bench->pack[0]);
    step(bench, 0);
    bench->in.packs_missing = 1;
    step(bench, 1);
    bench->pack[0].reading.charge_current_max_A = 100;
    pack_remember(&bench->pack[0]);
    step(bench, 2);
    assert_near(bench->out.limits.charge_current.value, 8, 1e-9);
    for (int second = 3; second < 20; second++)
        step(bench, second);
    assert_near(bench->out.limits.charge_current.value, 200, 1e-9);
}

/* C is starting, and blocks until its BMS has looked around; in that moment B goes. */
static void what_an_incomplete_pack_lowers_is_over_when_it_is(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[] = {&bench->pack[2]};

    bench->pack[2].reading.soc_pct = NAN;
    bench->pack[2].reading.allow_charge = bench->pack[2].reading.allow_discharge = 0;
    pack_remember(&bench->pack[2]);
    step(bench, 0);
    bench->in.incomplete = incomplete;
    bench->in.incomplete_count = 1;
    step(bench, 1);
    assert_true(bench->out.limits.charge_current.value == 0 &&
                bench->out.limits.discharge_current.value == 0);
    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    step(bench, 2);
    assert_true(bench->out.limits.discharge_current.value == 0);
    bench->pack[2].reading.allow_charge = bench->pack[2].reading.allow_discharge = 1;
    pack_remember(&bench->pack[2]);
    step(bench, 3);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
}

/* B is on the bus bar, and was never whole; A leads. */
static void begin_with_an_incomplete_one(struct bench *bench, const struct pack *incomplete[])
{
    incomplete[0] = &bench->pack[1];
    bench->config.lost_grace_s = 60;
    bench->pack[1].reading.soc_pct = NAN;
    bench->pack[1].reading.charge_voltage_max_V = 50;
    bench->pack[1].reading.allow_discharge = 0;
    snprintf(bench->pack[1].name, sizeof bench->pack[1].name, "B");
    snprintf(bench->pack[1].reading.serial, sizeof bench->pack[1].reading.serial, "SN-B");
    pack_remember(&bench->pack[1]);
    bench->in.pack_count = 1;
    bench->in.incomplete = incomplete;
    bench->in.incomplete_count = 1;
    step(bench, 0);
    assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 0, 0);
    assert_string_equal(bench->out.limits.charge_voltage.reason, "Pack \"B\", not complete: its CVL");
    assert_string_equal(bench->out.incomplete_gone.name, "");
}

static void what_a_pack_that_goes_incomplete_lowered_stands_for_lost_grace(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    begin_with_an_incomplete_one(bench, incomplete);
    bench->in.incomplete_count = 0;
    for (int second = 1; second <= 60; second++) {
        step(bench, second);
        assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
        assert_near(bench->out.limits.discharge_current.value, 0, 0);
        assert_string_equal(bench->out.incomplete_gone.name, "B");
        assert_near(bench->out.bank.alarm[ALARM_BMS_CABLE], 1, 0);
    }
    assert_string_equal(bench->out.limits.charge_voltage.reason,
                        "Pack \"B\", not complete and gone: its CVL");
    assert_near(bench->out.incomplete_gone.for_s, 59, 1e-9);
    step(bench, 61); /* whoever switched it off goes on without it */
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
    assert_string_equal(bench->out.incomplete_gone.name, "");
    assert_false(bench->out.bank.alarm[ALARM_BMS_CABLE] > 0);
}

static void one_that_was_gone_and_comes_back_is_waited_for_anew(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    begin_with_an_incomplete_one(bench, incomplete);
    bench->in.incomplete_count = 0;
    step(bench, 1);
    bench->in.incomplete_count = 1;
    bench->pack[1].reading.charge_voltage_max_V = 52;
    pack_remember(&bench->pack[1]);
    step(bench, 50); /* it says itself what it wants now */
    assert_near(bench->out.limits.charge_voltage.value, 52, 1e-9);
    assert_string_equal(bench->out.incomplete_gone.name, "");
    bench->in.incomplete_count = 0;
    step(bench, 51);
    step(bench, 110);
    assert_near(bench->out.limits.charge_voltage.value, 52, 1e-9);
    step(bench, 111);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

static void one_that_becomes_whole_leads_like_any_other(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    begin_with_an_incomplete_one(bench, incomplete);
    bench->in.incomplete_count = 0;
    step(bench, 1);
    bench->in.pack_count = 2;
    bench->pack[1].reading.soc_pct = 50;
    bench->pack[1].reading.charge_voltage_max_V = 54;
    bench->pack[1].reading.allow_discharge = 1;
    pack_remember(&bench->pack[1]);
    step(bench, 2);
    assert_near(bench->out.limits.charge_voltage.value, 54, 1e-9);
    assert_true(bench->out.limits.discharge_current.value > 0);
    assert_string_equal(bench->out.incomplete_gone.name, "");
}

/* A pack that has the same name is none that speaks for it. */
static void another_of_the_same_name_frees_nothing(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    begin_with_an_incomplete_one(bench, incomplete);
    bench->in.incomplete_count = 0;
    bench->in.pack_count = 2;
    bench->pack[1].reading.soc_pct = 50;
    bench->pack[1].reading.charge_voltage_max_V = 55.2;
    bench->pack[1].reading.allow_discharge = 1;
    snprintf(bench->pack[1].reading.serial, sizeof bench->pack[1].reading.serial, "SN-C");
    pack_remember(&bench->pack[1]);
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 0, 0);
    step(bench, 61);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

/* Some makes give all their packs one serial. */
static void give_serial(struct pack *pack, const char *serial)
{
    snprintf(pack->reading.serial, sizeof pack->reading.serial, "%s", serial);
}

static void of_two_incomplete_packs_with_one_serial_each_counts(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[2] = {NULL, &bench->pack[2]};

    bench->pack[2].reading.soc_pct = NAN;
    give_serial(&bench->pack[2], "SN-B");
    begin_with_an_incomplete_one(bench, incomplete);
    bench->in.incomplete_count = 2;
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 0, 0);
    incomplete[0] = &bench->pack[2];
    bench->in.incomplete_count = 1; /* B goes */
    step(bench, 2);
    step(bench, 61);
    assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
    step(bench, 62);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

static void a_pack_of_the_bank_with_the_serial_of_an_incomplete_one_frees_nothing(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    give_serial(&bench->pack[0], "SN-B");
    begin_with_an_incomplete_one(bench, incomplete);
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
    bench->in.incomplete_count = 0;
    for (int second = 2; second < 62; second++) {
        step(bench, second);
        assert_near(bench->out.limits.charge_voltage.value, 50, 1e-9);
        assert_string_equal(bench->out.incomplete_gone.name, "B");
    }
    step(bench, 62);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

static void one_that_is_gone_and_lowered_nothing_is_no_alarm(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[1];

    begin_with_an_incomplete_one(bench, incomplete);
    bench->pack[1].reading.charge_voltage_max_V = 60;
    bench->pack[1].reading.allow_discharge = 1;
    pack_remember(&bench->pack[1]);
    step(bench, 1);
    bench->in.incomplete_count = 0;
    step(bench, 2);
    assert_string_equal(bench->out.incomplete_gone.name, "");
    assert_false(bench->out.bank.alarm[ALARM_BMS_CABLE] > 0);
}

static void an_incomplete_pack_that_is_a_string_by_itself_lowers_limits(void **state)
{
    struct bench *bench = *state;
    const struct pack *incomplete[] = {&bench->pack[2]};
    struct shape *shape = &bench->config.shape;

    *shape = (struct shape){.packs = 3, .strings = 2};
    strcpy(shape->pack[0], "A");
    strcpy(shape->pack[1], "B");
    strcpy(shape->pack[2], "C");
    shape->string[0].first = 0;
    shape->string[0].count = 2;
    shape->string[1].first = 2;
    shape->string[1].count = 1;
    for (int i = 0; i < 2; i++) { /* two of half the voltage */
        bench->pack[i].reading.voltage_V = 26.5;
        bench->pack[i].reading.cells_in_series = 8;
        bench->pack[i].reading.charge_voltage_max_V = 27.6;
        pack_remember(&bench->pack[i]);
    }
    bench->pack[2].reading.soc_pct = NAN;
    bench->pack[2].reading.voltage_V = 53;
    bench->pack[2].reading.allow_charge = 0;
    bench->pack[2].reading.charge_voltage_max_V = 53.5;
    pack_remember(&bench->pack[2]);
    bench->in.incomplete = incomplete;
    bench->in.incomplete_count = 1;
    bench->in.packs_missing = 1;
    step(bench, 0);
    assert_near(bench->out.limits.charge_voltage.value, 53.5, 1e-9);
    assert_true(bench->out.limits.charge_current.value == 0 && bench->out.limits.charge_blocked);
}

static void lose_the_first(struct bench *bench)
{
    bench->packs[0] = &bench->pack[1];
    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    bench->in.lost = (struct lost_packs){.name = "A", .installed_Ah = 280, .remaining_Ah = 140};
}

static void the_part_of_a_lost_pack_stays_in_capacity_and_soc(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    lose_the_first(bench);
    step(bench, 1);
    assert_near(bench->out.bank.capacity_installed_Ah, 560, 1e-9);
    assert_near(bench->out.soc_pct, 55, 1e-9);
    assert_near(bench->out.capacity_Ah, 308, 1e-9);
    bench->in.lost.installed_Ah = bench->in.lost.remaining_Ah = 0; /* its grace is over */
    step(bench, 2);
    assert_near(bench->out.soc_pct, 60, 1e-9);
    assert_near(bench->out.bank.capacity_installed_Ah, 280, 1e-9);
}

static void pack_lost_hold_waits_for_the_grace_and_stop_does_not(void **state)
{
    struct bench *bench = *state;

    bench->config.lost_grace_s = 600;
    step(bench, 0);
    lose_the_first(bench);
    bench->config.pack_lost = PACK_LOST_HOLD;
    bench->in.lost.longest_s = 599;
    step(bench, 599);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
    bench->in.lost.longest_s = 600;
    step(bench, 600);
    assert_true(bench->out.limits.charge_current.value == 0);
    assert_true(bench->out.limits.discharge_current.value == 0);
    assert_string_equal(bench->out.limits.charge_current.reason, "Pack \"A\" is lost (PACK_LOST = hold)");
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
    bench->config.pack_lost = PACK_LOST_STOP;
    bench->in.lost.longest_s = 0;
    step(bench, 601);
    assert_true(bench->out.limits.discharge_current.value == 0);
    bench->config.pack_lost = PACK_LOST_DEGRADE;
    step(bench, 602);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
}

static void nobody_balances_a_bank_of_which_a_pack_is_not_seen(void **state)
{
    struct bench *bench = *state;

    bench->config.own_charge_parameters = true;
    for (int month = 0; month < 12; month++)
        bench->config.charge_voltage_V[month] = 3.35;
    bench->in.today = (struct calendar){true, 20000, 6};
    step(bench, 0); /* never balanced: the cycle begins */
    assert_near(bench->out.limits.charge_voltage.value, 16 * bench->config.balancing_voltage_V, 1e-9);
    lose_the_first(bench);
    bench->pack[1].reading.voltage_V = 56;
    bench->pack[1].reading.cell_voltage_min_V = 3.329; /* even, as far as one can see */
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 16 * 3.35, 1e-9);
    assert_int_equal(bench->aggregator.control.balancing.state, BALANCING_RAISING);
}

static void a_missing_pack_is_an_alarm_and_an_offline_module(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    assert_true(isnan(bench->out.bank.alarm[ALARM_BMS_CABLE]));
    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    step(bench, 1);
    assert_true(bench->out.bank.alarm[ALARM_BMS_CABLE] == 1);
    assert_true(bench->out.bank.modules_offline == 1);
}

static void with_all_packs_gone_the_currents_are_0_and_the_last_charge_voltage_stands(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    bench->in.pack_count = 0;
    bench->in.packs_missing = 2;
    step(bench, 1);
    assert_true(bench->out.limits.charge_current.value == 0);
    assert_true(bench->out.limits.discharge_current.value == 0);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
    assert_true(bench->out.bank.alarm[ALARM_BMS_CABLE] == 2);
    assert_true(isnan(bench->out.bank.voltage_V));
    assert_true(isnan(bench->out.current.current_A));
    assert_true(isnan(bench->out.soc_pct));
}

static void the_low_voltage_stands_while_no_pack_tells_it(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    assert_true(isnan(bench->out.bank.low_voltage_V)); /* nobody ever told it */
    bench->pack[0].reading.low_voltage_V = 44.8;
    bench->pack[1].reading.low_voltage_V = 46.4;
    step(bench, 1);
    assert_near(bench->out.bank.low_voltage_V, 46.4, 1e-9);
    bench->pack[0].reading.low_voltage_V = bench->pack[1].reading.low_voltage_V = NAN;
    step(bench, 2);
    assert_near(bench->out.bank.low_voltage_V, 46.4, 1e-9);
    bench->in.pack_count = 0;
    step(bench, 3);
    assert_near(bench->out.bank.low_voltage_V, 46.4, 1e-9);
    bench->in.pack_count = 2;
    bench->pack[0].reading.low_voltage_V = 45;
    step(bench, 4);
    assert_near(bench->out.bank.low_voltage_V, 45, 1e-9);
}

static void with_our_own_limits_the_low_voltage_is_that_of_the_cells_when_no_pack_has_one(void **state)
{
    struct bench *bench = *state;

    bench->config.own_charge_parameters = true;
    step(bench, 0);
    assert_near(bench->out.bank.low_voltage_V, 16 * 2.9, 1e-9);
    bench->config.nr_of_cells_per_battery = 15;
    step(bench, 1);
    assert_near(bench->out.bank.low_voltage_V, 16 * 2.9, 1e-9); /* it stands */
    bench->pack[1].reading.low_voltage_V = 44;
    step(bench, 2);
    assert_near(bench->out.bank.low_voltage_V, 44, 1e-9);
}

static void the_charge_is_due_once_in_its_precision(void **state)
{
    struct bench *bench = *state;

    bench->config.charge_save_precision = 0.0025; /* of 560 Ah: 1.4 Ah */
    begin(bench);
    assert_true(aggregator_charge_due(&bench->aggregator, &bench->config));
    aggregator_charge_saved(&bench->aggregator, &bench->config);
    for (int second = 1; second <= 250; second++)
        step(bench, second); /* 20 A for 250 s: 1.36 Ah */
    assert_false(aggregator_charge_due(&bench->aggregator, &bench->config));
    for (int second = 251; second <= 260; second++)
        step(bench, second);
    assert_true(aggregator_charge_due(&bench->aggregator, &bench->config));
}

static void a_reading_is_complete_when_the_bank_can_be_led_by_it(void **state)
{
    struct bench *bench = *state;
    struct pack_reading *reading = &bench->pack[0].reading;
    const char *missing;

    assert_true(pack_is_complete(&bench->config, reading, &missing));
    assert_null(missing);
    reading->charge_current_max_A = NAN;
    assert_false(pack_is_complete(&bench->config, reading, &missing));
    assert_string_equal(missing, "/Info/MaxChargeCurrent");
    bench->config.own_charge_parameters = true; /* then its cells count, not its limits */
    assert_true(pack_is_complete(&bench->config, reading, &missing));
    reading->cell_voltage_max_V = reading->cell_voltage_min_V = NAN;
    assert_false(pack_is_complete(&bench->config, reading, &missing));
}

static void what_a_reading_lacks_is_named(void **state)
{
    struct bench *bench = *state;
    struct pack_reading *reading = &bench->pack[0].reading;
    const struct {
        double *number;
        const char *path;
    } needs[] = {
        {&reading->voltage_V, "/Dc/0/Voltage"},
        {&reading->current_A, "/Dc/0/Current"},
        {&reading->soc_pct, "/Soc"},
        {&reading->charge_voltage_max_V, "/Info/MaxChargeVoltage"},
        {&reading->charge_current_max_A, "/Info/MaxChargeCurrent"},
        {&reading->discharge_current_max_A, "/Info/MaxDischargeCurrent"},
    };
    const char *missing;

    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        double kept = *needs[i].number;

        *needs[i].number = NAN;
        assert_false(pack_is_complete(&bench->config, reading, &missing));
        assert_string_equal(missing, needs[i].path);
        *needs[i].number = kept;
    }
}

/* Our own charge control multiplies cells: how many there are must be known from somewhere. */
static void our_own_control_needs_the_cells_and_their_number(void **state)
{
    struct bench *bench = *state;
    struct pack_reading *reading = &bench->pack[0].reading;
    const char *missing;

    bench->config.own_charge_parameters = true;
    reading->cells_in_series = NAN;
    assert_false(pack_is_complete(&bench->config, reading, &missing));
    assert_string_equal(missing, "/System/NrOfCellsPerBattery");
    bench->config.nr_of_cells_per_battery = 16;
    assert_true(pack_is_complete(&bench->config, reading, &missing));
    bench->config.nr_of_cells_per_battery = CONFIG_NOT_SET;
    reading->cell_V[15] = 3.3;
    assert_true(pack_is_complete(&bench->config, reading, &missing));
    reading->cell_voltage_max_V = reading->cell_voltage_min_V = reading->cell_V[15] = NAN;
    assert_false(pack_is_complete(&bench->config, reading, &missing));
    assert_string_equal(missing, "/System/MaxCellVoltage");
}

/* Led by one end of its cells alone, a pack would be charged without seeing the highest, or leave the bank
 * without any limit. */
static void our_own_control_needs_the_highest_and_the_lowest_cell(void **state)
{
    struct bench *bench = *state;
    struct pack_reading *reading = &bench->pack[0].reading;
    const char *missing;

    bench->config.own_charge_parameters = true;
    reading->cell_voltage_min_V = NAN;
    assert_true(pack_reading_has_cells(reading));
    assert_false(pack_is_complete(&bench->config, reading, &missing));
    assert_string_equal(missing, "/System/MinCellVoltage");
    reading->cell_voltage_min_V = 3.3;
    reading->cell_voltage_max_V = NAN;
    assert_true(pack_reading_has_cells(reading));
    assert_false(pack_is_complete(&bench->config, reading, &missing));
    assert_string_equal(missing, "/System/MaxCellVoltage");
    reading->cell_V[0] = 3.3;
    assert_true(pack_is_complete(&bench->config, reading, &missing));
}

/* Lets the bank rest with its lowest cell there, the user allowing it or not. The SoC that follows. */
static double soc_with_lowest_cell(struct bench *bench, bool own, bool zero_soc, double lowest_V)
{
    aggregator_init(&bench->aggregator, NAN, NAN);
    bench->config.own_soc = true;
    bench->config.soc_method = SOC_REFERENCE;
    bench->config.own_charge_parameters = own;
    bench->config.zero_soc = zero_soc;
    for (int i = 0; i < 2; i++) {
        bench->pack[i].reading.cell_voltage_min_V = lowest_V;
        pack_remember(&bench->pack[i]);
    }
    begin(bench);
    for (int second = 1; second <= 120; second++)
        step(bench, second);
    return bench->out.soc_pct;
}

static void an_empty_cell_is_0_percent_only_where_the_user_allows_it(void **state)
{
    struct bench *bench = *state;

    bench->config.min_cell_voltage_soc_empty_V = 2.9;
    bench->config.min_cell_voltage_V = 2.8;
    assert_true(soc_with_lowest_cell(bench, false, true, 2.89) < 1);
    assert_true(soc_with_lowest_cell(bench, false, true, 2.91) > 50);
    assert_true(soc_with_lowest_cell(bench, false, false, 2.89) > 50);
    assert_true(soc_with_lowest_cell(bench, true, true, 2.79) < 1);
    assert_true(soc_with_lowest_cell(bench, true, true, 2.89) > 50);
    assert_true(soc_with_lowest_cell(bench, true, false, 2.79) > 50);
}

static void time_to_go_is_known_while_the_bank_is_discharged_and_the_system_allows_it(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    assert_true(isnan(bench->out.time_to_go_s)); /* it is charged */
    bench->pack[0].reading.current_A = bench->pack[1].reading.current_A = -10;
    step(bench, 1);
    assert_near(bench->out.time_to_go_s, 3600 * bench->out.capacity_Ah / 20, 1);
    bench->in.low_soc = true;
    step(bench, 2);
    assert_true(isnan(bench->out.time_to_go_s));
}

static void several_lost_packs_are_counted_in_the_reason(void **state)
{
    struct bench *bench = *state;

    bench->in.pack_count = 3;
    step(bench, 0);
    bench->in.pack_count = 1;
    bench->in.packs_missing = 2;
    strcpy(bench->in.lost.name, "B");
    step(bench, 1);
    assert_non_null(strstr(bench->out.limits.charge_current.reason, "2 packs are lost"));
    bench->in.pack_count = 2;
    bench->in.packs_missing = 1;
    step(bench, 2);
    assert_non_null(strstr(bench->out.limits.charge_current.reason, "\"B\" is lost"));
}

/* After a restart with a pack away nobody knows what the whole bank allowed: what is here decides. */
static void a_bank_that_was_never_whole_has_the_limits_of_who_is_here(void **state)
{
    struct bench *bench = *state;

    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    step(bench, 0);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
}

/* ---- what users calibrate, and what was measured ---- */

static void a_soc_that_is_set_moves_the_counters_of_both_methods(void **state)
{
    struct bench *bench = *state;
    char why[200];

    bench->config.own_soc = true;
    begin(bench);
    assert_int_equal(aggregator_set_soc(&bench->aggregator, &bench->config, 80, why, sizeof why), CALIBRATED);
    step(bench, 0.001);
    assert_near(bench->out.soc_pct, 80, 0.01);
    assert_near(bench->out.consumed_Ah, -112, 0.1);
    assert_near(bench->out.soc_uncertainty_pct, 5, 0.3);
    bench->config.soc_method = SOC_REFERENCE;
    step(bench, 0.002);
    assert_near(bench->out.soc_pct, 80, 0.01);
}

static void a_soc_that_cannot_be_is_refused_with_its_range(void **state)
{
    static const double wrong[] = {-0.1, 100.1, NAN, INFINITY, -INFINITY};
    struct bench *bench = *state;
    char why[200];

    bench->config.own_soc = true;
    begin(bench);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(aggregator_set_soc(&bench->aggregator, &bench->config, wrong[i], why, sizeof why),
                         CALIBRATION_OUT_OF_RANGE);
        assert_non_null(strstr(why, "0 to 100 %"));
    }
    step(bench, 0.001);
    assert_near(bench->out.soc_pct, 55, 0.01);
}

static void where_the_counter_is_not_shown_or_not_begun_the_remedy_is_named(void **state)
{
    struct bench *bench = *state;
    char why[200];

    begin(bench);
    assert_int_equal(aggregator_set_soc(&bench->aggregator, &bench->config, 80, why, sizeof why),
                     CALIBRATION_NOT_NOW);
    assert_non_null(strstr(why, "OWN_SOC = True"));
    assert_int_equal(aggregator_set_offset(&bench->aggregator, &bench->config, 0.1, why, sizeof why),
                     CALIBRATION_NOT_NOW);
    assert_non_null(strstr(why, "SOC_METHOD = learned"));
    bench->config.own_soc = true;
    aggregator_init(&bench->aggregator, NAN, NAN);
    assert_int_equal(aggregator_set_soc(&bench->aggregator, &bench->config, 80, why, sizeof why),
                     CALIBRATION_NOT_NOW);
    assert_int_equal(aggregator_set_offset(&bench->aggregator, &bench->config, 0.1, why, sizeof why),
                     CALIBRATION_NOT_NOW);
    assert_non_null(strstr(why, "when its packs are there"));
}

static void an_offset_that_is_set_is_taken_off_the_current(void **state)
{
    struct bench *bench = *state;
    char why[200];

    bench->config.own_soc = true;
    begin(bench);
    assert_int_equal(aggregator_set_offset(&bench->aggregator, &bench->config, 5.61, why, sizeof why),
                     CALIBRATION_OUT_OF_RANGE); /* 1 % of 560 Ah an hour */
    assert_non_null(strstr(why, "-5.60 to 5.60 A"));
    assert_int_equal(aggregator_set_offset(&bench->aggregator, &bench->config, NAN, why, sizeof why),
                     CALIBRATION_OUT_OF_RANGE);
    assert_int_equal(aggregator_set_offset(&bench->aggregator, &bench->config, 5, why, sizeof why),
                     CALIBRATED);
    for (int s = 1; s <= 3600; s++)
        step(bench, s);
    assert_near(bench->out.capacity_Ah, 308 + 15, 0.2); /* 20 A shown, 15 A true */
}

/* As if sweeps had told it. */
static void tell_capacity(struct bench *bench, double capacity_Ah, double deviation_Ah)
{
    struct work_record *record = &bench->aggregator.work.memory.bank;
    const struct capacity_sweep sweep = {CALENDAR_NONE, capacity_Ah, deviation_Ah, 1, 560};

    capacity_keep(&record->capacity, &sweep, false);
}

static void the_learned_capacity_feeds_the_soc_when_it_is_certain_and_wished(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    tell_capacity(bench, 504, 8);
    step(bench, 0.001);
    assert_near(bench->out.consumed_Ah, -252, 0.01); /* CAPACITY = nameplate */
    assert_near(bench->out.soc_pct, 55, 0.01);
    bench->config.capacity = CAPACITY_LEARNED;
    step(bench, 0.002);
    assert_near(bench->out.consumed_Ah, -252, 0.01);
    assert_near(bench->out.soc_pct, 50, 0.01); /* 252 of 504 Ah are missing */
    assert_near(bench->out.capacity_Ah, 252, 0.01);
    bench->config.soc_method = SOC_REFERENCE;
    step(bench, 0.003);
    assert_near(bench->out.capacity_Ah, 0.55 * 504, 0.1); /* it knows a share only */
}

static void a_learned_capacity_that_is_uncertain_is_not_used(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    bench->config.capacity = CAPACITY_LEARNED;
    begin(bench);
    tell_capacity(bench, 504, 40);
    step(bench, 0.001);
    assert_near(bench->out.soc_pct, 55, 0.01);
    bench->config.soc_method = SOC_REFERENCE;
    step(bench, 0.002);
    assert_near(bench->out.capacity_Ah, 308, 0.1);
}

static void a_learned_capacity_and_its_soc_survive_a_restart(void **state)
{
    struct bench *bench = *state;
    struct work_memory kept;
    struct soc_learned learned;
    double charge_Ah, capacity_Ah;

    bench->config.own_soc = true;
    bench->config.capacity = CAPACITY_LEARNED;
    begin(bench);
    tell_capacity(bench, 504, 8);
    step(bench, 0.001);
    charge_Ah = aggregator_charge_Ah(&bench->aggregator, &bench->config);
    capacity_Ah = aggregator_capacity_Ah(&bench->aggregator, &bench->config);
    kept = bench->aggregator.work.memory;
    learned = bench->aggregator.soc.learned;
    aggregator_init(&bench->aggregator, charge_Ah, capacity_Ah);
    work_init(&bench->aggregator.work, &kept);
    assert_true(soc_restore(&bench->aggregator.soc, &learned));
    step(bench, 100);
    step(bench, 100.001);
    assert_near(bench->out.soc_pct, 50, 0.01);
    assert_near(bench->out.consumed_Ah, -252, 0.01);
}

/* A + B in series, 280 Ah each: 140 and 168 Ah are left, so 140 + 112 = 252 Ah are usable. */
static void wire_in_series(struct bench *bench)
{
    char wrong[SHAPE_WRONG_MAX];

    assert_null(shape_parse("A + B", &bench->config.shape, wrong));
    bench->config.own_soc = true;
    bench->in.pack_count = 2;
    begin(bench);
    assert_near(bench->out.consumed_Ah, -112, 0.01);
    assert_near(bench->out.soc_pct, 100 * 140.0 / 252, 0.01);
}

static void set_soc_of(struct bench *bench, int pack, double soc_pct)
{
    bench->pack[pack].reading.soc_pct = soc_pct;
    pack_remember(&bench->pack[pack]);
}

static void the_rounding_of_socs_in_series_moves_no_counter(void **state)
{
    struct bench *bench = *state;

    wire_in_series(bench);
    for (int i = 1; i < 6; i++) {
        set_soc_of(bench, 0, i % 2 ? 51 : 50); /* 142.8 + 112 = 254.8 Ah */
        step(bench, 0.001 * i);
        assert_near(bench->aggregator.soc.installed_Ah, 252, 0.01);
        assert_near(bench->out.consumed_Ah, -112, 0.01);
    }
    set_soc_of(bench, 0, 55); /* 154 + 112 = 266: that is no rounding */
    step(bench, 0.01);
    assert_near(bench->aggregator.soc.installed_Ah, 266, 0.01);
    assert_near(bench->out.bank.capacity_installed_Ah, 266, 0.01);
}

static void the_learned_capacity_of_a_string_feeds_the_soc(void **state)
{
    struct bench *bench = *state;
    const struct capacity_sweep sweep = {CALENDAR_NONE, 230, 5, 1, 280}; /* nameplate of its smallest pack */

    bench->config.capacity = CAPACITY_LEARNED;
    wire_in_series(bench);
    capacity_keep(&bench->aggregator.work.memory.bank.capacity, &sweep, false);
    for (int i = 1; i < 4; i++) {
        set_soc_of(bench, 0, i % 2 ? 55 : 50);
        step(bench, 0.001 * i);
        assert_near(bench->out.consumed_Ah, -112, 0.01); /* what is missing is what it was */
        assert_near(bench->out.capacity_Ah, 230 - 112, 0.01);
        assert_near(bench->out.soc_pct, 100 * 118.0 / 230, 0.01);
    }
    bench->config.soc_method = SOC_REFERENCE;
    step(bench, 0.01);
    assert_near(bench->aggregator.charge.capacity_Ah, 230, 0.01);
}

/* Both packs take 5 A, then 45 A and 35 A: 0.4 V by 40 A, and by 30 A. */
static void step_up(struct bench *bench)
{
    double now_s = bench->in.time_s;

    for (int i = 0; i < 40; i++) {
        for (int k = 0; k < 2; k++) {
            bench->pack[k].reading.current_A = i < 20 ? 5 : k == 0 ? 45 : 35;
            bench->pack[k].reading.voltage_V = i < 20 ? 53 : 53.4;
            pack_remember(&bench->pack[k]);
        }
        step(bench, now_s + i + 1);
    }
}

static void of_each_pack_its_resistance_and_the_share_of_its_branch_are_known(void **state)
{
    struct bench *bench = *state;
    const struct resistance *list = bench->aggregator.resistance;
    char wrong[SHAPE_WRONG_MAX];

    bench->pack[1].reading.capacity_installed_Ah = 420;
    begin(bench);
    step_up(bench);
    assert_near(resistance_find(list, "A")->ohm, 0.0100, 1e-6);
    assert_near(resistance_find(list, "B")->ohm, 0.4 / 30, 1e-6);
    assert_near(resistance_find(list, "A")->share, 0.4, 1e-9); /* 280 of 700 Ah */
    assert_near(resistance_find(list, "B")->share, 0.6, 1e-9);
    assert_null(shape_parse("A + B", &bench->config.shape, wrong));
    step(bench, bench->in.time_s + 1);
    assert_near(resistance_find(list, "A")->share, 1, 1e-9); /* one current flows in both */
    assert_near(resistance_find(list, "B")->share, 1, 1e-9);
    bench->config.own_charge_parameters = true;
    step(bench, bench->in.time_s + 1);
    assert_true(isnan(resistance_find(list, "A")->share)); /* the limits are made without */
}

static void the_packs_own_history_stands_and_ours_where_they_have_none(void **state)
{
    struct bench *bench = *state;

    for (int i = 0; i < 2; i++) {
        bench->pack[i].reading.charged_energy_kWh = 100;
        bench->pack[i].reading.charge_cycles = NAN;
    }
    begin(bench);
    for (int s = 1; s <= 3660; s++)
        step(bench, s);
    assert_near(bench->out.bank.charged_energy_kWh, 200, 1e-9);
    assert_near(bench->out.history.charged_kWh, 1.06, 0.03); /* 20 A at 53 V for an hour */
    assert_near(bench->out.bank.discharged_energy_kWh, 0, 1e-9);
    assert_near(bench->out.bank.charge_cycles, 0, 1e-9);
    bench->pack[1].reading.charged_energy_kWh = NAN; /* its driver starts anew */
    step(bench, 3661);
    assert_true(isnan(bench->out.bank.charged_energy_kWh));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

/* Only B is there, and with it in the list. */
static void alone(struct bench *bench, int pack, double time_s)
{
    bench->packs[0] = &bench->pack[pack];
    bench->in.pack_count = 1;
    bench->in.packs_missing = 1;
    step(bench, time_s);
}

static void all_gone(struct bench *bench, double time_s)
{
    bench->in.pack_count = 0;
    bench->in.packs_missing = 2;
    step(bench, time_s);
}

static void what_a_lost_pack_held_is_no_more_than_it_can(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    alone(bench, 1, 1);
    bench->pack[1].reading.soc_pct = 100;
    bench->in.lost = (struct lost_packs){.name = "A", .installed_Ah = 280, .remaining_Ah = 300};
    step(bench, 2);
    assert_near(bench->out.soc_pct, 100, 0);
    assert_near(bench->out.capacity_Ah, 560, 1e-9);
}

static void the_charge_voltage_does_not_rise_when_the_last_pack_goes(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    alone(bench, 1, 1);
    bench->pack[1].reading.charge_voltage_max_V = 52;
    step(bench, 2);
    assert_near(bench->out.limits.charge_voltage.value, 52, 1e-9);
    all_gone(bench, 3);
    assert_near(bench->out.limits.charge_voltage.value, 52, 1e-9);
}

static void a_bank_that_never_was_whole_keeps_its_charge_voltage_too(void **state)
{
    struct bench *bench = *state;

    bench->in.pack_count = 0;
    step(bench, 0);
    assert_true(isnan(bench->out.limits.charge_voltage.value)); /* there never was one, and 0 V is none */
    alone(bench, 0, 1);
    all_gone(bench, 2);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
}

/* A is full, blocks, and its BMS shuts down for the night. */
static void a_pack_that_blocked_and_went_stops_the_others_for_its_grace_only(void **state)
{
    struct bench *bench = *state;

    bench->config.lost_grace_s = 600;
    step(bench, 0);
    bench->pack[0].reading.allow_charge = 0;
    step(bench, 1);
    alone(bench, 1, 2);
    step(bench, 601);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
    bench->pack[1].reading.charge_voltage_max_V = 56;
    step(bench, 602);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9); /* this stays */
}

static void the_next_pack_that_goes_has_a_grace_of_its_own(void **state)
{
    struct bench *bench = *state;

    bench->config.lost_grace_s = 600;
    bench->in.pack_count = 3;
    bench->pack[0].reading.allow_charge = 0;
    step(bench, 0);
    bench->packs[0] = &bench->pack[2];
    bench->in.pack_count = 2;
    bench->in.packs_missing = 1;
    step(bench, 1);
    step(bench, 700); /* A's is over */
    assert_near(bench->out.limits.charge_current.value, 200, 1e-9);
    bench->pack[1].reading.charge_current_max_A = 20;
    step(bench, 701);
    bench->in.pack_count = 1;
    bench->in.packs_missing = 2;
    step(bench, 702);
    assert_near(bench->out.limits.charge_current.value, 40, 1e-9);
    step(bench, 1400);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
}

/* One comes back in the instant in which the one that blocks goes: as many are missing as before. */
static void no_limit_rises_because_a_pack_went_while_another_came(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    alone(bench, 1, 1);
    bench->pack[1].reading.allow_charge = 0;
    step(bench, 2);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
    alone(bench, 0, 3);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
    bench->pack[1].reading.allow_charge = 1;
    bench->in.packs_missing = 0;
    bench->in.pack_count = 2;
    bench->packs[1] = &bench->pack[1];
    step(bench, 4);
    assert_near(bench->out.limits.charge_current.value, 200, 1e-9);
}

static void nor_because_it_went_while_all_were_gone(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    alone(bench, 1, 1);
    bench->pack[1].reading.allow_charge = 0;
    step(bench, 2);
    all_gone(bench, 3);
    alone(bench, 0, 4);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
}

/* Packs of 100 and 120 A, and a control that leads the bank with 400 and 480. */
/* C of BANK never came, and then A goes, which was the lowest. */
static void nor_where_the_bank_never_was_whole(void **state)
{
    struct bench *bench = *state;

    bench->pack[0].reading.charge_voltage_max_V = 52;
    bench->pack[0].reading.allow_charge = 0;
    bench->in.packs_missing = 1;
    step(bench, 0);
    bench->packs[0] = &bench->pack[1];
    bench->in.pack_count = 1;
    bench->in.packs_missing = 2;
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 52, 1e-9);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
}

static void with_our_own_limits_those_that_are_left_take_their_part_of_the_current(void **state)
{
    struct bench *bench = *state;

    bench->config.own_charge_parameters = true;
    bench->config.max_charge_current_A = 400;
    bench->config.max_discharge_current_A = 480;
    for (int i = 0; i < 3; i++) {
        bench->pack[i].reading.cell_voltage_max_V = 3.29;
        bench->pack[i].reading.cell_voltage_min_V = 3.28;
        pack_remember(&bench->pack[i]);
    }
    bench->in.pack_count = 3;
    step(bench, 0);
    assert_near(bench->out.limits.charge_current.value, 400, 1e-9);
    bench->packs[0] = &bench->pack[1]; /* A, of which nobody knows the capacity */
    bench->in.pack_count = 1;
    bench->in.packs_missing = 3;
    step(bench, 1);
    assert_near(bench->out.limits.charge_current.value, 100, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 120, 1e-9);
    bench->in.lost.ever_installed_Ah = 520; /* and of which it is known: 280 of 800 Ah are here */
    step(bench, 2);
    assert_near(bench->out.limits.charge_current.value, 140, 1e-9);
    assert_near(bench->out.limits.discharge_current.value, 168, 1e-9);
}

static void of_strings_in_parallel_those_that_are_whole_count(void **state)
{
    struct bench *bench = *state;

    char wrong[SHAPE_WRONG_MAX];

    assert_null(shape_parse("(A + B) | (C + D)", &bench->config.shape, wrong));
    bench->config.own_charge_parameters = true;
    bench->config.max_discharge_current_A = 480;
    bench->in.pack_count = 2;
    bench->in.packs_missing = 2;
    bench->in.lost.ever_installed_Ah = 280;
    step(bench, 0);
    assert_near(bench->out.limits.discharge_current.value, 240, 1e-9);
}

/* Other settings on the way: packs that show no cells are led by them. An invalid limit would be none. */
static void a_limit_that_became_unknown_is_the_last_voltage_and_no_current(void **state)
{
    struct bench *bench = *state;

    step(bench, 0);
    for (int i = 0; i < 2; i++) {
        bench->pack[i].reading.cell_voltage_max_V = bench->pack[i].reading.cell_voltage_min_V = NAN;
        bench->pack[i].last.cell_voltage_max_V = bench->pack[i].last.cell_voltage_min_V = NAN;
        pack_remember(&bench->pack[i]);
    }
    bench->config.own_charge_parameters = true;
    step(bench, 1);
    assert_near(bench->out.limits.charge_voltage.value, 55.2, 1e-9);
    assert_near(bench->out.limits.charge_current.value, 0, 0);
    assert_near(bench->out.limits.discharge_current.value, 0, 0);
    assert_string_equal(bench->out.limits.charge_voltage.reason, "Unknown: the last one stands");
    assert_string_equal(bench->out.limits.discharge_current.reason, "Unknown");
    assert_true(bench->out.bank.alarm[ALARM_INTERNAL_FAILURE] == 2);
}

static void the_counter_waits_for_packs_not_for_strings(void **state)
{
    struct bench *bench = *state;
    char wrong[SHAPE_WRONG_MAX];

    assert_null(shape_parse("A + B", &bench->config.shape, wrong));
    bench->config.nr_of_batteries = 2;
    bench->config.own_soc = true;
    bench->in.pack_count = 1;
    step(bench, 0);
    assert_false(bench->aggregator.counting);
    bench->in.pack_count = 2;
    step(bench, 1);
    assert_true(bench->aggregator.counting);
}

/* It counts nothing while it is not chosen. */
static void the_learned_soc_begins_anew_when_it_is_chosen_again(void **state)
{
    struct bench *bench = *state;

    bench->config.own_soc = true;
    begin(bench);
    step(bench, 1);
    bench->config.own_soc = false;
    bench->pack[0].reading.current_A = bench->pack[1].reading.current_A = -50;
    for (int second = 2; second < 3602; second++)
        step(bench, second);
    bench->config.own_soc = true;
    step(bench, 3602);
    assert_near(bench->out.soc_pct, 100 * (308 - 100) / 560.0, 0.1);
    assert_near(aggregator_charge_Ah(&bench->aggregator, &bench->config), 208, 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_counter_begins_with_the_soc_of_the_packs_when_nothing_was_saved),
        TEST(the_counter_begins_with_what_was_saved),
        TEST(a_bank_that_grows_pack_by_pack_keeps_the_saved_soc),
        TEST(a_charge_written_by_hand_is_that_of_the_whole_bank),
        TEST(a_bank_of_known_size_begins_to_count_when_it_is_whole),
        TEST(without_a_saved_charge_the_counter_begins_from_all_packs_not_from_the_first),
        TEST(the_counter_runs_with_the_bank_current),
        TEST(the_learned_counter_runs_too_and_tells_how_uncertain_it_is),
        TEST(soc_is_that_of_the_packs_unless_the_user_wants_ours),
        TEST(soc_is_never_0_for_want_of_data),
        TEST(a_nan_current_never_poisons_the_counter),
        TEST(no_limit_rises_because_a_pack_went),
        TEST(no_limit_rises_because_a_second_pack_went),
        TEST(what_capped_cvl_for_a_pack_is_over_when_that_one_is_back),
        TEST(the_currents_of_a_moment_cap_for_the_grace_only_when_nobody_went_either),
        TEST(what_an_incomplete_pack_lowers_is_over_when_it_is),
        TEST(what_a_pack_that_goes_incomplete_lowered_stands_for_lost_grace),
        TEST(one_that_was_gone_and_comes_back_is_waited_for_anew),
        TEST(one_that_becomes_whole_leads_like_any_other),
        TEST(another_of_the_same_name_frees_nothing),
        TEST(of_two_incomplete_packs_with_one_serial_each_counts),
        TEST(a_pack_of_the_bank_with_the_serial_of_an_incomplete_one_frees_nothing),
        TEST(one_that_is_gone_and_lowered_nothing_is_no_alarm),
        TEST(an_incomplete_pack_that_is_a_string_by_itself_lowers_limits),
        TEST(the_part_of_a_lost_pack_stays_in_capacity_and_soc),
        TEST(pack_lost_hold_waits_for_the_grace_and_stop_does_not),
        TEST(nobody_balances_a_bank_of_which_a_pack_is_not_seen),
        TEST(a_missing_pack_is_an_alarm_and_an_offline_module),
        TEST(with_all_packs_gone_the_currents_are_0_and_the_last_charge_voltage_stands),
        TEST(the_low_voltage_stands_while_no_pack_tells_it),
        TEST(with_our_own_limits_the_low_voltage_is_that_of_the_cells_when_no_pack_has_one),
        TEST(the_charge_is_due_once_in_its_precision),
        TEST(a_soc_that_is_set_moves_the_counters_of_both_methods),
        TEST(a_soc_that_cannot_be_is_refused_with_its_range),
        TEST(where_the_counter_is_not_shown_or_not_begun_the_remedy_is_named),
        TEST(an_offset_that_is_set_is_taken_off_the_current),
        TEST(the_learned_capacity_feeds_the_soc_when_it_is_certain_and_wished),
        TEST(a_learned_capacity_that_is_uncertain_is_not_used),
        TEST(a_learned_capacity_and_its_soc_survive_a_restart),
        TEST(of_each_pack_its_resistance_and_the_share_of_its_branch_are_known),
        TEST(the_rounding_of_socs_in_series_moves_no_counter),
        TEST(the_learned_capacity_of_a_string_feeds_the_soc),
        TEST(the_packs_own_history_stands_and_ours_where_they_have_none),
        TEST(a_reading_is_complete_when_the_bank_can_be_led_by_it),
        TEST(what_a_reading_lacks_is_named),
        TEST(our_own_control_needs_the_cells_and_their_number),
        TEST(our_own_control_needs_the_highest_and_the_lowest_cell),
        TEST(an_empty_cell_is_0_percent_only_where_the_user_allows_it),
        TEST(time_to_go_is_known_while_the_bank_is_discharged_and_the_system_allows_it),
        TEST(several_lost_packs_are_counted_in_the_reason),
        TEST(what_a_lost_pack_held_is_no_more_than_it_can),
        TEST(the_charge_voltage_does_not_rise_when_the_last_pack_goes),
        TEST(a_bank_that_never_was_whole_keeps_its_charge_voltage_too),
        TEST(a_pack_that_blocked_and_went_stops_the_others_for_its_grace_only),
        TEST(the_next_pack_that_goes_has_a_grace_of_its_own),
        TEST(no_limit_rises_because_a_pack_went_while_another_came),
        TEST(nor_because_it_went_while_all_were_gone),
        TEST(nor_where_the_bank_never_was_whole),
        TEST(with_our_own_limits_those_that_are_left_take_their_part_of_the_current),
        TEST(of_strings_in_parallel_those_that_are_whole_count),
        TEST(a_limit_that_became_unknown_is_the_last_voltage_and_no_current),
        TEST(the_counter_waits_for_packs_not_for_strings),
        TEST(the_learned_soc_begins_anew_when_it_is_chosen_again),
        TEST(a_bank_that_was_never_whole_has_the_limits_of_who_is_here),
    };

    return cmocka_run_group_tests_name("aggregator", tests, NULL, NULL);
}
