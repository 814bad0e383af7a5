/* core/sharing: how the current divides, what is learned of it, and the feedback at a pack's own limit. */
#include "packs.h"

#include "core/sharing.h"

static struct packs packs;
static struct config config;
static struct sharing sharing;
static double share[PACKS_MAX];
static double now_s;

/* A of 280 Ah and B of 100 Ah. */
static int setup(void **state)
{
    (void)state;
    settings_default(&config);
    packs_init(&packs);
    sharing_init(&sharing);
    now_s = 0;
    for (int i = 0; i < 2; i++) {
        struct pack_reading *reading = &packs.pack[i].reading;

        reading->capacity_installed_Ah = i == 0 ? 280 : 100;
        reading->charge_voltage_max_V = 55;
        reading->charge_current_max_A = i == 0 ? 140 : 50;
        reading->discharge_current_max_A = i == 0 ? 140 : 50;
        reading->voltage_V = 53;
        reading->cells_in_series = 16;
        reading->current_A = 0;
    }
    packs_remember(&packs);
    return 0;
}

static void live(double seconds, double a_A, double b_A)
{
    packs.pack[0].reading.current_A = a_A;
    packs.pack[1].reading.current_A = b_A;
    packs_remember(&packs);
    for (double s = 0; s < seconds; s++)
        sharing_step(&sharing, &config, packs.list, 2, now_s += 1);
}

static void divide(bool charging)
{
    sharing_shares(&sharing, &config, packs.list, 2, charging, share);
}

static struct limits merge(void)
{
    double out[PACKS_MAX];
    const struct limit_shares shares = {share, out};
    struct limits limits;

    divide(true);
    sharing_shares(&sharing, &config, packs.list, 2, false, out);
    limits_merge(&config, packs.list, 2, &shares, &limits);
    return limits;
}

static void by_count_all_take_the_same(void **state)
{
    (void)state;
    config.current_sharing = SHARING_COUNT;
    live(1, 0, 0);
    divide(true);
    assert_near(share[0], 0.5, 1e-9);
    assert_near(merge().charge_current.value, 100, 1e-9); /* 2 x 50 */
}

static void by_capacity_the_larger_takes_more(void **state)
{
    (void)state;
    live(1, 0, 0);
    divide(true);
    assert_near(share[0], 280.0 / 380, 1e-9);
    assert_near(merge().charge_current.value, 190, 1e-9); /* both are full at 0.5 C: 140 + 50 */
}

static void without_a_capacity_all_take_the_same(void **state)
{
    (void)state;
    packs.pack[1].reading.capacity_installed_Ah = packs.pack[1].last.capacity_installed_Ah = NAN;
    live(1, 0, 0);
    divide(true);
    assert_near(share[0], 0.5, 1e-9);
}

static void the_bank_is_never_allowed_more_than_all_packs_together(void **state)
{
    const double wrong[] = {0.99, 0.01};
    struct limits limits;

    (void)state;
    packs.pack[0].reading.charge_current_max_A = 500;
    packs_remember(&packs);
    limits_merge(&config, packs.list, 2, &(struct limit_shares){wrong, wrong}, &limits);
    assert_near(limits.charge_current.value, 500 / 0.99, 1e-9);
    packs.pack[1].reading.charge_current_max_A = 1;
    packs.pack[0].reading.charge_current_max_A = 5;
    packs_remember(&packs);
    limits_merge(&config, packs.list, 2, &(struct limit_shares){wrong, wrong}, &limits);
    assert_near(limits.charge_current.value, 5 / 0.99, 1e-9);
    packs.pack[0].reading.charge_current_max_A = 5;
    packs.pack[1].reading.charge_current_max_A = 0.02;
    packs_remember(&packs);
    limits_merge(&config, packs.list, 2, &(struct limit_shares){wrong, wrong}, &limits);
    assert_near(limits.charge_current.value, 2, 1e-9); /* 0.02 / 0.01 */
}

/* The old pack has twice the resistance of the new one: steps divide 2 to 1, whatever the packs give each
 * other between them. */
static void the_resistance_is_learned_from_steps(void **state)
{
    (void)state;
    config.current_sharing = SHARING_RESISTANCE;
    live(30, 3, -3);
    divide(true);
    assert_near(share[0], 280.0 / 380, 1e-9); /* not known yet: capacity */
    for (int i = 0; i < SHARING_STEPS_SURE / 2; i++) {
        live(30, 40 + 3, 20 - 3);
        live(30, 3, -3);
    }
    assert_near(sharing_confidence(&sharing), 1, 1e-9);
    divide(true);
    assert_near(share[0], 2.0 / 3, 1e-3);
    divide(false);
    assert_near(share[0], 2.0 / 3, 1e-3);
}

/* By capacity 0.7368, by resistance 0.6667: the limit follows a sixth of the way with each step from the
 * fifth on. */
static void resistances_take_over_from_capacities_step_by_step(void **state)
{
    (void)state;
    config.current_sharing = SHARING_RESISTANCE;
    live(30, 0, 0);
    for (int steps = 1; steps <= 12; steps++) {
        double sure = fmin(fmax(steps - 4, 0) / 6, 1);

        live(30, steps % 2 ? 40 : 0, steps % 2 ? 20 : 0);
        assert_near(sharing_confidence(&sharing), sure, 1e-9);
        divide(true);
        assert_near(share[0], sure * 2 / 3 + (1 - sure) * 280 / 380, 1e-6);
    }
}

/* One is a BMS that shows its current late: steps seem to divide 10 to 20 and 50 to 20. */
static void steps_that_scatter_are_not_trusted(void **state)
{
    (void)state;
    config.current_sharing = SHARING_RESISTANCE;
    live(30, 0, 0);
    for (int i = 0; i < 20; i++) {
        live(30, i % 2 ? 10 : 50, 20);
        live(30, 0, 0);
    }
    assert_int_equal(sharing.steps, 40);
    assert_true(sharing_confidence(&sharing) < 0.3);
}

static void a_step_that_cannot_be_is_not_learned(void **state)
{
    (void)state;
    config.current_sharing = SHARING_RESISTANCE;
    for (int i = 0; i < 10; i++) {
        live(30, 60, 0.1); /* one takes nearly all: its sister is switched off */
        live(30, 0, 0);
    }
    assert_int_equal(sharing.steps, 0);
}

static void a_slow_change_is_no_step(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++)
        live(1, i * 0.1, i * 0.05);
    assert_int_equal(sharing.steps, 0);
}

static void the_share_of_the_last_minutes_counts_when_measured(void **state)
{
    (void)state;
    config.current_sharing = SHARING_MEASURED;
    live(30, 30, 30);
    divide(true);
    assert_near(share[0], 280.0 / 380, 1e-9); /* too short */
    live(180, 30, 30);                        /* half-way between 0.5 and 0.7368: a limit does not jump */
    divide(true);
    assert_near(share[0], (0.5 + 280.0 / 380) / 2, 1e-3);
    live(1200, 45, 15);
    divide(true);
    assert_near(share[0], 0.75, 1e-3);
    divide(false); /* nothing was discharged: not known */
    assert_near(share[0], 280.0 / 380, 1e-9);
    live(1200, 2, 10); /* a current that tells nothing */
    divide(true);
    assert_near(share[0], 0.75, 1e-3);
}

static void a_pack_at_its_own_limit_holds_the_bank_back(void **state)
{
    struct limits limits;

    (void)state;
    live(1, 100, 55); /* B takes 110 % of its 50 A */
    limits = merge();
    assert_near(limits.charge_current.value, 190, 1e-9);
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 155 * 0.95 / 1.1, 1e-6);
    assert_non_null(strstr(limits.charge_current.reason, "\"B\""));
    assert_near(limits.discharge_current.value, 190, 1e-9);
}

static void it_stays_so_and_rises_slowly_when_there_is_room_again(void **state)
{
    struct limits limits;
    double held_A;

    (void)state;
    live(1, 100, 55);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    held_A = limits.charge_current.value;
    live(1, 86, 47); /* 94 %: neither too much nor room */
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, held_A, 1e-6);
    live(1, 40, 20);
    for (int i = 0; i < 10; i++) {
        limits = merge();
        sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    }
    assert_near(limits.charge_current.value, held_A + 10 * SHARING_RISE * 190, 1e-6);
}

static void a_current_that_falls_silent_frees_nobody(void **state)
{
    struct limits limits;

    (void)state;
    live(1, 100, 55);
    packs.pack[1].reading.current_A = NAN;
    packs_remember(&packs);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 155 * 0.95 / 1.1, 1e-6);
}

/* At 0 degrees A blocks charging. Stopped: nobody is charged. Excluded: B goes on with its own limit. */
static void a_cold_pack_starves_the_other_only_when_told_to(void **state)
{
    (void)state;
    packs.pack[0].reading.allow_charge = 0;
    live(1, 0, 0);
    assert_near(merge().charge_current.value, 0, 0);
    config.blocked_pack = BLOCKED_PACK_EXCLUDE;
    assert_near(merge().charge_current.value, 50, 1e-9);
    assert_near(merge().discharge_current.value, 190, 1e-9); /* it may give all the same */
    assert_true(merge().charge_blocked);                     /* feed-in must know */
    assert_near(sharing_open_part(packs.list, 2, true), 100.0 / 380, 1e-9);
    packs.pack[1].reading.allow_charge = 0;
    live(1, 0, 0);
    assert_near(merge().charge_current.value, 0, 0); /* all block */
}

/* A rests at 52.8 V: B is not charged above 52.8 + 16 x 0.1, or 2 V more would drive a current into A that no
 * limit holds when it lets go. */
static void the_others_are_not_charged_far_above_one_that_blocks(void **state)
{
    struct limits limits;

    (void)state;
    packs.pack[0].reading.voltage_V = 52.8;
    live(1, 0, 0);
    limits = merge();
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 55, 0);
    packs.pack[0].reading.allow_charge = 0;
    live(1, 0, 0);
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.4, 1e-9);
}

static void a_pack_that_comes_back_apart_is_waited_for(void **state)
{
    struct limits limits;

    (void)state;
    config.blocked_pack = BLOCKED_PACK_EXCLUDE;
    packs.pack[0].reading.allow_charge = 0;
    packs.pack[0].reading.voltage_V = 52.7;
    live(5, 0, 0);
    packs.pack[0].reading.allow_charge = 1;
    live(5, 0, 0);
    limits = merge();
    sharing_wait_for_rejoining(&sharing, packs.list, 2, &limits);
    assert_near(limits.charge_current.value, 19, 1e-9); /* 5 % of 380 */
    assert_near(limits.discharge_current.value, 19, 1e-9);
    packs.pack[0].reading.voltage_V = 52.9; /* they have met */
    live(1, 0, 0);
    limits = merge();
    sharing_wait_for_rejoining(&sharing, packs.list, 2, &limits);
    assert_near(limits.charge_current.value, 190, 1e-9);
    packs.pack[0].reading.voltage_V = 52.5; /* it was never blocked since: a load, nothing more */
    live(1, 0, 0);
    limits = merge();
    sharing_wait_for_rejoining(&sharing, packs.list, 2, &limits);
    assert_near(limits.charge_current.value, 190, 1e-9);
}

/* A gives B 2 A and B's BMS lowers its limit to that: nothing flows into the bank, so nothing is to be held
 * back, and least of all for ever. */
static void a_current_between_packs_holds_nobody_back(void **state)
{
    struct limits limits;

    (void)state;
    packs.pack[1].reading.charge_current_max_A = 2;
    live(1, -2, 2);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 7.6, 1e-9); /* 2 A by its share of 100 / 380 */
    packs.pack[1].reading.charge_current_max_A = 50;
    live(1, 0, 0);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 190, 1e-9);
}

static void a_current_that_runs_the_other_way_holds_nobody_back(void **state)
{
    struct limits limits;

    (void)state;
    live(1, -100, 55); /* the bank is discharged, and B charged by A */
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 190, 1e-9);
}

/* 0.1 A into the bank and 2 A from A to B: what is left is little, but it grows again. */
static void what_is_held_back_is_never_all_and_whole_again_within_minutes(void **state)
{
    struct limits limits;

    (void)state;
    packs.pack[1].reading.charge_current_max_A = 2;
    live(1, -2, 2.1);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 7.6 * SHARING_LEFT_LEAST, 1e-9);
    packs.pack[1].reading.charge_current_max_A = 50;
    for (int s = 0; s < 600; s++) {
        live(1, 0, 0);
        limits = merge();
        sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    }
    assert_near(limits.charge_current.value, 190, 1e-9);
}

/* B's sensor shows -0.2 A at rest: no limit is negative for that, and B takes part. */
static void a_measured_share_is_never_negative(void **state)
{
    (void)state;
    config.current_sharing = SHARING_MEASURED;
    live(1200, 60, -0.2);
    divide(true);
    assert_near(share[0], 1, 1e-9);
    assert_near(share[1], SHARING_LEAST / 2, 1e-9);
    assert_near(merge().charge_current.value, 140, 1e-9);
}

static void a_string_that_holds_nothing_takes_part_all_the_same(void **state)
{
    (void)state;
    packs.pack[1].reading.capacity_installed_Ah = 0;
    live(1, 0, 0);
    divide(true);
    assert_near(share[1], SHARING_LEAST / 2, 1e-9);
    packs.pack[0].reading.capacity_installed_Ah = 0;
    live(1, 0, 0);
    divide(true);
    assert_near(share[0], 0.5, 1e-9);
}

static void what_the_others_may_be_above_one_that_blocks_needs_no_number_of_cells(void **state)
{
    struct limits limits;

    (void)state;
    packs.pack[0].reading.voltage_V = 52.8;
    packs.pack[0].reading.allow_charge = 0;
    packs.pack[0].reading.cells_in_series = packs.pack[0].last.cells_in_series = NAN;
    live(1, 0, 0);
    limits = merge();
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.4, 1e-9); /* 52.8 V are 16 cells */
    for (int k = 0; k < 15; k++)
        packs.pack[0].reading.cell_V[k] = 3.3;
    live(1, 0, 0);
    limits = merge();
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.3, 1e-9); /* it shows 15 */
    config.nr_of_cells_per_battery = 14;
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.2, 1e-9);
}

/* CCL with A apart, as B would have it: 5 % of the capacity while A is waited for. */
static double rejoining_A(const struct pack *const list[], size_t n)
{
    struct limits limits = {.charge_current = {.value = 190}};

    sharing_step(&sharing, &config, list, n, now_s += 1);
    sharing_wait_for_rejoining(&sharing, list, n, &limits);
    return limits.charge_current.value;
}

static void who_is_waited_for_is_so_when_others_join_or_change_their_name(void **state)
{
    (void)state;
    packs.pack[2].reading = packs.pack[1].reading;
    packs.pack[2].reading.capacity_installed_Ah = 20;
    packs_remember(&packs);
    packs.pack[0].reading.allow_charge = 0;
    packs.pack[0].reading.voltage_V = 51.5;
    live(5, 0, 0);
    packs.pack[0].reading.allow_charge = 1;
    assert_near(rejoining_A(packs.list, 2), 19, 1e-9);
    assert_near(rejoining_A(packs.list, 3), 20, 1e-9); /* C joins */
    strcpy(packs.pack[1].name, "B2");
    assert_near(rejoining_A(packs.list, 3), 20, 1e-9);
    strcpy(packs.pack[0].reading.serial, "1"); /* it tells its serial, and then another name */
    assert_near(rejoining_A(packs.list, 3), 20, 1e-9);
    strcpy(packs.pack[0].name, "A2");
    assert_near(rejoining_A(packs.list, 3), 20, 1e-9);
}

/* Its BMS opened and shut down: what it was before it went does not matter. */
static void a_pack_that_was_away_and_returns_apart_is_waited_for(void **state)
{
    const struct pack *without[] = {packs.list[1]};

    (void)state;
    live(5, 0, 0);
    assert_near(rejoining_A(without, 1), 190, 1e-9);
    packs.pack[0].reading.voltage_V = 51.5;
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 19, 1e-9);
    packs.pack[0].reading.voltage_V = 53;
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 190, 1e-9);
}

/* Two packs of one name and no serial: with the second the first is called otherwise. */
static void a_pack_that_gets_another_name_and_no_serial_is_waited_for_as_before(void **state)
{
    (void)state;
    live(5, 0, 0);
    packs.pack[0].reading.voltage_V = 51.5;
    strcpy(packs.pack[0].name, "A #1");
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 190, 1e-9); /* it was not */
    packs.pack[0].reading.allow_charge = 0;
    live(5, 0, 0);
    packs.pack[0].reading.allow_charge = 1;
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 19, 1e-9);
    strcpy(packs.pack[0].name, "A #2");
    assert_near(rejoining_A(packs.list, 2), 19, 1e-9);
}

static void a_pack_that_joins_the_bank_is_not_waited_for(void **state)
{
    (void)state;
    packs.pack[0].reading.voltage_V = 51.5;
    packs_remember(&packs);
    assert_near(rejoining_A(&packs.list[1], 1), 190, 1e-9);
    assert_near(rejoining_A(packs.list, 2), 190, 1e-9);
}

/* A's sensor shows 0.3 V less than B's: its cable was out, and nothing has changed. */
static void a_sensor_that_always_was_apart_is_not_waited_for(void **state)
{
    (void)state;
    packs.pack[0].reading.voltage_V = 52.7;
    live(5, 0, 0);
    assert_near(rejoining_A(&packs.list[1], 1), 190, 1e-9);
    assert_near(rejoining_A(packs.list, 2), 190, 1e-9);
}

static void other_packs_are_learned_anew(void **state)
{
    const struct pack *swapped[] = {packs.list[1], packs.list[0]};

    (void)state;
    config.current_sharing = SHARING_MEASURED;
    live(1200, 45, 15);
    sharing_step(&sharing, &config, swapped, 2, now_s += 1);
    sharing_shares(&sharing, &config, swapped, 2, true, share);
    assert_near(share[0], 100.0 / 380, 1e-9);
}

static void discharging_is_held_back_likewise(void **state)
{
    struct limits limits;

    (void)state;
    live(1, -100, -55);
    limits = merge();
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.discharge_current.value, 155 * 0.95 / 1.1, 1e-6);
    assert_near(limits.charge_current.value, 190, 1e-9);
}

/* B's BMS lowers its limit by 1 % a second while the cells fill: the chargers would follow too late. */
static void a_limit_that_falls_is_met_ahead(void **state)
{
    struct limits limits;

    (void)state;
    for (int s = 0; s < 20; s++) {
        packs.pack[1].reading.charge_current_max_A = 50 - 0.5 * s;
        live(1, 80, 36);
        limits = merge();
        sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    }
    assert_true(36 / packs.pack[1].reading.charge_current_max_A < SHARING_LOAD_MOST); /* not yet above it */
    assert_true(limits.charge_current.value < 116);                                   /* and yet less */
}

static void a_limit_of_0_stays_0_and_an_unknown_one_unknown(void **state)
{
    struct limits limits;

    (void)state;
    live(1, 100, 55);
    limits = merge();
    limits.charge_current.value = 0;
    limits.discharge_current.value = NAN;
    sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    assert_near(limits.charge_current.value, 0, 0);
    assert_true(isnan(limits.discharge_current.value));
}

static void without_capacities_packs_are_counted(void **state)
{
    (void)state;
    packs.pack[0].reading.capacity_installed_Ah = packs.pack[0].last.capacity_installed_Ah = NAN;
    packs.pack[0].reading.allow_charge = 0;
    live(1, 0, 0);
    assert_near(sharing_open_part(packs.list, 2, true), 0.5, 1e-9);
    assert_near(sharing_open_part(packs.list, 2, false), 1, 1e-9);
    assert_near(sharing_open_part(packs.list, 0, true), 0, 0);
}

static void who_is_apart_is_judged_without_a_number_of_cells_too(void **state)
{
    struct limits limits;

    (void)state;
    for (int i = 0; i < 2; i++)
        packs.pack[i].reading.cells_in_series = packs.pack[i].last.cells_in_series = NAN;
    packs.pack[0].reading.allow_discharge = 0;
    packs.pack[0].reading.voltage_V = 52.7;
    live(1, 0, 0);
    packs.pack[0].reading.allow_discharge = 1;
    live(1, 0, 0);
    limits = merge();
    sharing_wait_for_rejoining(&sharing, packs.list, 2, &limits);
    assert_near(limits.discharge_current.value, 19, 1e-9); /* 0.3 V apart, 0.2 are allowed */
}

static void time_that_stands_or_runs_back_teaches_nothing(void **state)
{
    (void)state;
    live(1, 40, 20);
    for (int i = 0; i < 100; i++)
        sharing_step(&sharing, &config, packs.list, 2, now_s - i);
    assert_int_equal(sharing.steps, 0);
    assert_near(sharing.in_s, 0, 0);
}

/* Its BMS opened: 0 V at its terminals, the cells rest at 3.3 V. */
static void one_that_blocks_and_shows_0_V_pulls_nobody_down(void **state)
{
    struct pack_reading *reading = &packs.pack[0].reading;
    struct limits limits;

    (void)state;
    reading->voltage_V = 52.8;
    reading->allow_charge = 0;
    live(1, 0, 0);
    reading->voltage_V = 0;
    live(1, 0, 0);
    limits = merge();
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.4, 1e-9); /* as before it opened */
    reading->cells_sum_V = 52.6;
    live(1, 0, 0);
    limits = merge();
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 54.2, 1e-9); /* its cells know better */
    reading->cells_sum_V = NAN;
    pack_clear(&packs.pack[0]);
    reading->voltage_V = reading->allow_charge = 0;
    live(1, 0, 0);
    limits.charge_voltage.value = 55;
    sharing_stay_near(&config, packs.list, 2, &limits.charge_voltage);
    assert_near(limits.charge_voltage.value, 55, 0); /* it never told anything that can be */
}

/* C shows 0 V, or 5 V that no BMS of it explains: A is as far from B as before. */
static void who_returns_is_not_compared_with_one_that_measures_something_else(void **state)
{
    const struct pack *without[] = {packs.list[1], packs.list[2]};

    (void)state;
    packs.pack[2].reading = packs.pack[1].reading;
    packs.pack[2].reading.voltage_V = 5;
    packs_remember(&packs);
    rejoining_A(packs.list, 3);
    assert_near(rejoining_A(without, 2), 190, 1e-9);
    assert_near(rejoining_A(packs.list, 3), 190, 1e-9);
}

/* CCL after so many seconds in which A (of both) has a current. */
static double later_A(double seconds, double a_A)
{
    double now_A = NAN;

    packs.pack[0].reading.current_A = a_A;
    packs_remember(&packs);
    for (double s = 0; s < seconds; s++)
        now_A = rejoining_A(packs.list, 2);
    return now_A;
}

/* 0.9 V all day long is the sensor, whatever is allowed: nothing has changed while it was away. */
static void a_sensor_that_is_far_apart_is_as_it_was_when_the_pack_went(void **state)
{
    (void)state;
    packs.pack[0].reading.voltage_V = 53.9;
    later_A(3600, 20);
    rejoining_A(&packs.list[1], 1);
    assert_near(rejoining_A(packs.list, 2), 190, 1e-9);
    packs.pack[0].reading.allow_charge = 0;
    later_A(600, 0);
    packs.pack[0].reading.allow_charge = 1;
    assert_near(later_A(1, 0), 190, 1e-9);
}

/* Without a current nobody can tell whether it hangs on the bus bar. */
static void a_pack_without_a_current_teaches_no_sensor(void **state)
{
    (void)state;
    packs.pack[0].reading.voltage_V = 51.5;
    later_A(3600, 0);
    rejoining_A(&packs.list[1], 1);
    assert_near(rejoining_A(packs.list, 2), 19, 1e-9);
}

static void a_difference_that_stands_and_drives_no_current_is_a_sensor(void **state)
{
    (void)state;
    rejoining_A(packs.list, 2);
    rejoining_A(&packs.list[1], 1);
    packs.pack[0].reading.voltage_V = 53.9;
    assert_near(later_A(595, 5), 19, 1e-9);
    assert_near(later_A(10, 5), 190, 1e-9);
    rejoining_A(&packs.list[1], 1); /* and is known from now on */
    assert_near(later_A(1, 5), 190, 1e-9);
}

static void a_pack_that_is_apart_in_charge_is_waited_for_as_long_as_that_lasts(void **state)
{
    (void)state;
    rejoining_A(packs.list, 2);
    rejoining_A(&packs.list[1], 1);
    packs.pack[0].reading.voltage_V = 51.5;
    assert_near(later_A(3600, 15), 19, 1e-9); /* 0.05 C flow into it */
    for (int minutes = 0; minutes < 120; minutes++) {
        packs.pack[0].reading.voltage_V += 0.01; /* little flows, and it comes nearer */
        assert_near(later_A(60, 10), 19, 1e-9);
    }
    packs.pack[0].reading.current_A = NAN;
    assert_near(later_A(3600, NAN), 19, 1e-9); /* nobody knows what flows */
}

/* CCL with what is held back, after so many seconds of these currents. */
static double held_A(double seconds, double a_A, double b_A)
{
    struct limits limits = {.charge_current = {.value = NAN}};

    for (double s = 0; s < seconds; s++) {
        live(1, a_A, b_A);
        limits = merge();
        sharing_hold_back(&sharing, packs.list, 2, 1, &limits);
    }
    return limits.charge_current.value;
}

/* B was at 110 % when it fell silent. What A does says nothing of B. */
static void a_current_that_stays_silent_holds_back_no_more_than_it_did_and_not_for_ever(void **state)
{
    double held = held_A(1, 100, 55);

    (void)state;
    assert_near(held, 155 * 0.95 / 1.1, 1e-6);
    assert_near(held_A(1, 100, NAN), held, 1e-6);
    assert_near(held_A(590, -40, NAN), held, 1e-6);
    assert_near(held_A(600, -40, NAN), 190, 1e-6); /* LOST_GRACE is over */
}

static void one_that_is_heard_holds_back_beside_one_that_is_not(void **state)
{
    (void)state;
    assert_near(held_A(1, 100, 20), 190, 1e-9);
    assert_near(held_A(1, 100, NAN), 190, 1e-9);
    assert_near(held_A(1, 154, NAN), 174 * 0.95 / 1.1, 1e-6);
}

/* CAN packs that tell none: by those that tell theirs, else by what the limit is. */
static void who_comes_back_apart_is_waited_for_without_capacities_too(void **state)
{
    (void)state;
    rejoining_A(packs.list, 2);
    rejoining_A(&packs.list[1], 1);
    packs.pack[0].reading.voltage_V = 51.5;
    packs.pack[0].reading.capacity_installed_Ah = packs.pack[0].last.capacity_installed_Ah = NAN;
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 10, 1e-9); /* 5 % of 2 x 100 */
    packs.pack[1].reading.capacity_installed_Ah = packs.pack[1].last.capacity_installed_Ah = NAN;
    packs_remember(&packs);
    assert_near(rejoining_A(packs.list, 2), 9.5, 1e-9); /* of 190 A */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(by_count_all_take_the_same, setup),
        cmocka_unit_test_setup(by_capacity_the_larger_takes_more, setup),
        cmocka_unit_test_setup(without_a_capacity_all_take_the_same, setup),
        cmocka_unit_test_setup(the_bank_is_never_allowed_more_than_all_packs_together, setup),
        cmocka_unit_test_setup(the_resistance_is_learned_from_steps, setup),
        cmocka_unit_test_setup(resistances_take_over_from_capacities_step_by_step, setup),
        cmocka_unit_test_setup(steps_that_scatter_are_not_trusted, setup),
        cmocka_unit_test_setup(a_step_that_cannot_be_is_not_learned, setup),
        cmocka_unit_test_setup(a_slow_change_is_no_step, setup),
        cmocka_unit_test_setup(the_share_of_the_last_minutes_counts_when_measured, setup),
        cmocka_unit_test_setup(a_pack_at_its_own_limit_holds_the_bank_back, setup),
        cmocka_unit_test_setup(it_stays_so_and_rises_slowly_when_there_is_room_again, setup),
        cmocka_unit_test_setup(a_current_that_falls_silent_frees_nobody, setup),
        cmocka_unit_test_setup(a_cold_pack_starves_the_other_only_when_told_to, setup),
        cmocka_unit_test_setup(the_others_are_not_charged_far_above_one_that_blocks, setup),
        cmocka_unit_test_setup(a_pack_that_comes_back_apart_is_waited_for, setup),
        cmocka_unit_test_setup(discharging_is_held_back_likewise, setup),
        cmocka_unit_test_setup(a_limit_that_falls_is_met_ahead, setup),
        cmocka_unit_test_setup(a_limit_of_0_stays_0_and_an_unknown_one_unknown, setup),
        cmocka_unit_test_setup(without_capacities_packs_are_counted, setup),
        cmocka_unit_test_setup(who_is_apart_is_judged_without_a_number_of_cells_too, setup),
        cmocka_unit_test_setup(time_that_stands_or_runs_back_teaches_nothing, setup),
        cmocka_unit_test_setup(other_packs_are_learned_anew, setup),
        cmocka_unit_test_setup(a_current_between_packs_holds_nobody_back, setup),
        cmocka_unit_test_setup(a_current_that_runs_the_other_way_holds_nobody_back, setup),
        cmocka_unit_test_setup(what_is_held_back_is_never_all_and_whole_again_within_minutes, setup),
        cmocka_unit_test_setup(a_measured_share_is_never_negative, setup),
        cmocka_unit_test_setup(a_string_that_holds_nothing_takes_part_all_the_same, setup),
        cmocka_unit_test_setup(what_the_others_may_be_above_one_that_blocks_needs_no_number_of_cells, setup),
        cmocka_unit_test_setup(who_is_waited_for_is_so_when_others_join_or_change_their_name, setup),
        cmocka_unit_test_setup(a_pack_that_was_away_and_returns_apart_is_waited_for, setup),
        cmocka_unit_test_setup(a_pack_that_joins_the_bank_is_not_waited_for, setup),
        cmocka_unit_test_setup(a_pack_that_gets_another_name_and_no_serial_is_waited_for_as_before, setup),
        cmocka_unit_test_setup(a_sensor_that_always_was_apart_is_not_waited_for, setup),
        cmocka_unit_test_setup(one_that_blocks_and_shows_0_V_pulls_nobody_down, setup),
        cmocka_unit_test_setup(who_returns_is_not_compared_with_one_that_measures_something_else, setup),
        cmocka_unit_test_setup(a_sensor_that_is_far_apart_is_as_it_was_when_the_pack_went, setup),
        cmocka_unit_test_setup(a_pack_without_a_current_teaches_no_sensor, setup),
        cmocka_unit_test_setup(a_difference_that_stands_and_drives_no_current_is_a_sensor, setup),
        cmocka_unit_test_setup(a_pack_that_is_apart_in_charge_is_waited_for_as_long_as_that_lasts, setup),
        cmocka_unit_test_setup(a_current_that_stays_silent_holds_back_no_more_than_it_did_and_not_for_ever,
                               setup),
        cmocka_unit_test_setup(one_that_is_heard_holds_back_beside_one_that_is_not, setup),
        cmocka_unit_test_setup(who_comes_back_apart_is_waited_for_without_capacities_too, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
