/* core/contradiction: measurements that contradict each other are told, once they have for a while. */
#include "packs.h"

#include "core/contradiction.h"

static bool contradicts(const struct contradiction *found)
{
    struct contradiction_watch watch = {false, false, 0};

    return contradiction_step(&watch, found, 0, 1);
}

static void a_cell_beyond_the_packs_own_extreme_contradicts_it(void **state)
{
    struct contradiction found[CONTRADICTION_OF_PACK];
    struct packs packs;
    struct pack_reading *reading = &packs.pack[0].reading;

    (void)state;
    packs_init(&packs);
    reading->cell_V[0] = 3.351;
    reading->cell_V[1] = 3.289;
    reading->cell_voltage_max_V = 3.300;
    reading->cell_voltage_min_V = 3.340;
    packs_remember(&packs);
    contradiction_of_pack(&packs.pack[0], found);
    assert_true(contradicts(&found[CONTRADICTION_HIGHEST]));
    assert_near(found[CONTRADICTION_HIGHEST].one, 3.351, 1e-9);
    assert_near(found[CONTRADICTION_HIGHEST].other, 3.300, 1e-9);
    assert_true(contradicts(&found[CONTRADICTION_LOWEST]));
    reading->cell_voltage_max_V = 3.302;
    reading->cell_voltage_min_V = 3.338;
    contradiction_of_pack(&packs.pack[0], found);
    assert_false(contradicts(&found[CONTRADICTION_HIGHEST]));
    assert_false(contradicts(&found[CONTRADICTION_LOWEST]));
}

static void a_sum_two_percent_off_the_voltage_contradicts_it(void **state)
{
    struct contradiction found[CONTRADICTION_OF_PACK];
    struct packs packs;
    struct pack_reading *reading = &packs.pack[0].reading;

    (void)state;
    packs_init(&packs);
    reading->cells_sum_V = 53.0;
    reading->voltage_V = 51.9;
    packs_remember(&packs);
    contradiction_of_pack(&packs.pack[0], found);
    assert_true(contradicts(&found[CONTRADICTION_SUM]));
    reading->voltage_V = 52.0;
    contradiction_of_pack(&packs.pack[0], found);
    assert_false(contradicts(&found[CONTRADICTION_SUM]));
}

static void cells_are_summed_only_when_all_of_them_are_shown(void **state)
{
    struct contradiction found[CONTRADICTION_OF_PACK];
    struct packs packs;
    struct pack_reading *reading = &packs.pack[0].reading;

    (void)state;
    packs_init(&packs);
    reading->voltage_V = 13.2;
    reading->cell_V[0] = reading->cell_V[1] = reading->cell_V[2] = 3.3;
    reading->cells_in_series = 4;
    packs_remember(&packs);
    contradiction_of_pack(&packs.pack[0], found);
    assert_false(contradicts(&found[CONTRADICTION_SUM]));
    reading->cell_V[3] = 2.9;
    packs_remember(&packs);
    contradiction_of_pack(&packs.pack[0], found);
    assert_true(contradicts(&found[CONTRADICTION_SUM]));
}

static void what_is_unknown_contradicts_nothing(void **state)
{
    struct contradiction found[CONTRADICTION_OF_PACK];
    struct packs packs;

    (void)state;
    packs_init(&packs);
    packs.pack[0].reading.cell_V[3] = 3.4;
    packs_remember(&packs);
    contradiction_of_pack(&packs.pack[0], found);
    for (int kind = 0; kind < CONTRADICTION_OF_PACK; kind++)
        assert_false(contradicts(&found[kind]));
}

static void a_current_a_tenth_of_the_limit_off_contradicts_that_of_the_packs(void **state)
{
    struct bank bank = {.current_A = 40};
    struct bank_current current = {.current_A = 61, .from_victron = true};
    struct contradiction found = contradiction_of_current(&bank, &current, 100, 200);

    (void)state;
    assert_true(contradicts(&found));
    current.current_A = 59;
    found = contradiction_of_current(&bank, &current, 100, 200);
    assert_false(contradicts(&found));
    current.current_A = 400;
    current.from_victron = false; /* it is the packs' own */
    found = contradiction_of_current(&bank, &current, 100, 200);
    assert_false(contradicts(&found));
    current.from_victron = true;
    found = contradiction_of_current(&bank, &current, 0, 0); /* nothing to compare it with */
    assert_false(contradicts(&found));
}

static void it_is_told_when_it_has_lasted_and_when_it_ends(void **state)
{
    const struct contradiction found = {3.4, 3.3, 0.05}, agreed = {3.4, 3.4, 0.05};
    struct contradiction_watch watch = {false, false, 0};

    (void)state;
    assert_false(contradiction_step(&watch, &found, 10, 100));
    assert_false(contradiction_step(&watch, &found, 10, 109));
    assert_false(contradiction_step(&watch, &agreed, 10, 110)); /* one instant of agreement */
    assert_false(contradiction_step(&watch, &found, 10, 111));
    assert_true(contradiction_step(&watch, &found, 10, 121));
    assert_true(watch.stands);
    assert_false(contradiction_step(&watch, &found, 10, 200)); /* once */
    assert_true(contradiction_step(&watch, &agreed, 10, 201));
    assert_false(watch.stands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_beyond_the_packs_own_extreme_contradicts_it),
        cmocka_unit_test(a_sum_two_percent_off_the_voltage_contradicts_it),
        cmocka_unit_test(cells_are_summed_only_when_all_of_them_are_shown),
        cmocka_unit_test(what_is_unknown_contradicts_nothing),
        cmocka_unit_test(a_current_a_tenth_of_the_limit_off_contradicts_that_of_the_packs),
        cmocka_unit_test(it_is_told_when_it_has_lasted_and_when_it_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
