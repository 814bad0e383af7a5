/* Packs that were never whole: what they lower while they are here, and for LOST_GRACE after they went. */
#include "fixture.h"

#include "core/incomplete.h"

#define GRACE_S 600.0

struct yard {
    struct config config;
    struct incomplete incomplete;
    struct limits limits;
    struct control_output control;
    struct incomplete_gone gone;
    struct pack pack[INCOMPLETE_MAX + 1];
    const struct pack *packs[INCOMPLETE_MAX + 1];
};

static int setup(void **state)
{
    struct yard *yard = test_calloc(1, sizeof *yard);

    settings_default(&yard->config);
    for (size_t i = 0; i <= INCOMPLETE_MAX; i++) {
        pack_clear(&yard->pack[i]);
        snprintf(yard->pack[i].name, READING_TEXT_MAX, "P%zu", i);
        snprintf(yard->pack[i].reading.serial, READING_TEXT_MAX, "S%zu", i);
        yard->packs[i] = &yard->pack[i];
    }
    *state = yard;
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

static void show(struct pack *pack, double charge_voltage_max_V)
{
    pack->reading.charge_voltage_max_V = charge_voltage_max_V;
    pack_remember(pack);
}

/* The packs from first on are here, so many. */
static void look(struct yard *yard, size_t first, size_t count, double time_s)
{
    yard->limits = (struct limits){0};
    yard->limits.charge_voltage.value = 56;
    yard->limits.charge_current.value = 100;
    yard->limits.discharge_current.value = 200;
    yard->control = (struct control_output){.cells_calm = true};
    yard->gone = (struct incomplete_gone){.name = ""};
    incomplete_look(&yard->incomplete, yard->packs + first, count, NULL, 0, time_s, GRACE_S);
    incomplete_obey(&yard->incomplete, &yard->config, time_s, &yard->limits, &yard->control, &yard->gone);
}

static void the_one_that_is_gone_for_longest_is_told(void **state)
{
    struct yard *yard = *state;

    for (size_t i = 0; i < 3; i++)
        show(&yard->pack[i], 52 + (double)i);
    look(yard, 0, 3, 0);
    assert_string_equal(yard->gone.name, "");
    look(yard, 0, 2, 10); /* P2 goes, and then the others */
    assert_near(yard->limits.charge_voltage.value, 52, 1e-9);
    look(yard, 0, 0, 20);
    assert_near(yard->limits.charge_voltage.value, 52, 1e-9);
    assert_string_equal(yard->limits.charge_voltage.reason, "Pack \"P0\", not complete and gone: its CVL");
    look(yard, 0, 0, 10 + GRACE_S); /* P2 is waited for no more */
    assert_string_equal(yard->gone.name, "P0");
    assert_near(yard->gone.for_s, GRACE_S - 10, 1e-9);
    assert_near(yard->limits.charge_voltage.value, 52, 1e-9);
    look(yard, 0, 0, 20 + GRACE_S);
    assert_string_equal(yard->gone.name, "");
    assert_near(yard->limits.charge_voltage.value, 56, 1e-9);
}

static void of_several_that_lower_the_one_that_went_first_is_told_whatever_their_order(void **state)
{
    struct yard *yard = *state;

    show(&yard->pack[0], 53);
    show(&yard->pack[1], 52);
    look(yard, 0, 2, 0);
    look(yard, 0, 1, 5); /* P1 first */
    look(yard, 0, 0, 6);
    yard->config.own_charge_parameters = true;
    yard->pack[2].reading.cell_voltage_max_V = 3.7;
    show(&yard->pack[2], 51);
    look(yard, 2, 1, 7);
    look(yard, 2, 0, 8);
    assert_near(yard->limits.charge_voltage.value, 51, 1e-9);
    assert_true(yard->control.peaking);
    assert_false(yard->control.cells_calm);
    assert_string_equal(yard->gone.name, "P1");
}

static void one_that_goes_when_every_place_is_taken_gives_way_to_one_that_comes(void **state)
{
    struct yard *yard = *state;

    for (size_t i = 0; i <= INCOMPLETE_MAX; i++)
        show(&yard->pack[i], 50 + (double)i / 100);
    show(&yard->pack[0], 39);
    look(yard, 0, INCOMPLETE_MAX, 0);
    show(&yard->pack[INCOMPLETE_MAX], 38);
    yard->packs[0] = &yard->pack[5]; /* P5 goes, ... */
    yard->packs[5] = &yard->pack[0];
    look(yard, 1, INCOMPLETE_MAX - 1, 1);
    assert_near(yard->limits.charge_voltage.value, 39, 1e-9);
    look(yard, 1, INCOMPLETE_MAX, 2); /* ... and another comes */
    assert_near(yard->limits.charge_voltage.value, 38, 1e-9);
    show(&yard->pack[INCOMPLETE_MAX], 41);
    look(yard, 1, INCOMPLETE_MAX, 3);
    assert_near(yard->limits.charge_voltage.value, 39, 1e-9); /* P0 has kept its place */
    look(yard, 1, INCOMPLETE_MAX - 1, 4);
    assert_near(yard->limits.charge_voltage.value, 39, 1e-9);
}

static void a_block_counts_where_packs_that_block_stop_the_bank(void **state)
{
    struct yard *yard = *state;

    yard->pack[0].reading.allow_charge = 0;
    yard->pack[1].reading.allow_discharge = 0;
    pack_remember(&yard->pack[0]);
    pack_remember(&yard->pack[1]);
    look(yard, 0, 1, 0);
    assert_near(yard->limits.charge_current.value, 0, 0);
    assert_near(yard->limits.discharge_current.value, 200, 0);
    look(yard, 1, 1, 1);
    assert_near(yard->limits.charge_current.value, 0, 0); /* P0 went while it blocked */
    assert_near(yard->limits.discharge_current.value, 0, 0);
    assert_string_equal(yard->limits.discharge_current.reason,
                        "Pack \"P1\", not complete: it blocks discharging");
    yard->config.blocked_pack = BLOCKED_PACK_EXCLUDE;
    look(yard, 1, 1, 2);
    assert_near(yard->limits.charge_current.value, 100, 0);
    assert_near(yard->limits.discharge_current.value, 200, 0);
    assert_true(yard->limits.charge_blocked && yard->limits.discharge_blocked); /* it is known all the same */
}

static void a_low_cell_lowers_what_may_be_drawn_under_our_own_control(void **state)
{
    struct yard *yard = *state;

    yard->pack[0].reading.cell_voltage_min_V = 2.0;
    pack_remember(&yard->pack[0]);
    look(yard, 0, 1, 0);
    assert_near(yard->limits.discharge_current.value, 200, 0); /* the limits are the packs' */
    yard->config.own_charge_parameters = true;
    look(yard, 0, 1, 1);
    assert_near(yard->limits.discharge_current.value, 0, 0);
    assert_near(yard->limits.charge_current.value, 100, 0); /* its highest is not known */
    look(yard, 0, 0, 2);
    assert_string_equal(yard->limits.discharge_current.reason,
                        "Pack \"P0\", not complete and gone: its lowest cell");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_one_that_is_gone_for_longest_is_told),
        TEST(of_several_that_lower_the_one_that_went_first_is_told_whatever_their_order),
        TEST(one_that_goes_when_every_place_is_taken_gives_way_to_one_that_comes),
        TEST(a_block_counts_where_packs_that_block_stop_the_bank),
        TEST(a_low_cell_lowers_what_may_be_drawn_under_our_own_control),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
