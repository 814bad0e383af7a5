/* sim/reference: the controller that ours is measured against, flaws included, by its described vectors. */
#include "packs.h"

#include "sim/reference.h"

struct scene {
    struct config config;
    struct packs packs;
    struct bank bank;
    struct reference reference;
    struct reference_output out;
    double time_s, feed_in;
    long day;
    int month;
    size_t count;
};

static int setup(void **state)
{
    struct scene *scene = test_calloc(1, sizeof *scene);

    config_lto(&scene->config);
    packs_init(&scene->packs);
    reference_init(&scene->reference);
    scene->count = 2;
    scene->day = calendar_day(2026, 6, 1);
    scene->month = 6;
    scene->feed_in = 1;
    *state = scene;
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

static void set_cells(struct scene *scene, size_t pack, double cell_V)
{
    struct pack_reading *reading = &scene->packs.pack[pack].reading;

    for (int i = 0; i < 22; i++)
        reading->cell_V[i] = cell_V;
    reading->cells_in_series = 22;
    reading->capacity_installed_Ah = 100;
    reading->soc_pct = 50;
    reading->current_A = 0;
    reading->allow_charge = reading->allow_discharge = 1;
}

static void set_all(struct scene *scene, double cell_V)
{
    for (size_t i = 0; i < scene->count; i++)
        set_cells(scene, i, cell_V);
}

static const struct reference_output *step(struct scene *scene)
{
    struct reference_input in = {.today = {true, scene->day, scene->month},
                                 .packs = scene->packs.list,
                                 .pack_count = scene->count,
                                 .bank = &scene->bank,
                                 .feed_in = scene->feed_in};

    for (size_t i = 0; i < scene->count; i++) {
        struct pack_reading *reading = &scene->packs.pack[i].reading;

        reading->voltage_V = 0;
        for (int k = 0; k < 22; k++)
            reading->voltage_V += reading->cell_V[k];
    }
    in.time_s = scene->time_s++;
    packs_remember(&scene->packs);
    bank_merge(scene->packs.list, scene->count, &scene->bank);
    reference_step(&scene->reference, &scene->config, &in, &scene->out);
    if (!isnan(scene->out.feed_in))
        scene->feed_in = scene->out.feed_in;
    return &scene->out;
}

static void the_charge_current_follows_the_highest_cell(void **state)
{
    static const double vectors[][2] = {{2.2, 200}, {2.45, 110}, {2.525, 10}};
    struct scene *scene = *state;

    for (size_t i = 0; i < 3; i++) {
        set_all(scene, 2.1);
        scene->packs.pack[1].reading.cell_V[4] = vectors[i][0];
        assert_near(step(scene)->ccl_A, vectors[i][1], 1e-6);
    }
}

static void a_nearly_empty_cell_does_not_lower_the_charge_current(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.1);
    scene->packs.pack[0].reading.cell_V[0] = 1.9;
    assert_near(step(scene)->ccl_A, 200, 1e-6);
    set_all(scene, 1.9);
    assert_near(step(scene)->ccl_A, 40, 1e-6);
}

static void the_discharge_current_follows_the_lowest_cell(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.3);
    scene->packs.pack[1].reading.cell_V[4] = 1.95;
    assert_near(step(scene)->dcl_A, 5, 1e-6);
    scene->packs.pack[1].reading.cell_V[4] = 2.05;
    assert_near(step(scene)->dcl_A, 105, 1e-6);
}

static void an_empty_cell_stops_the_discharge_until_it_has_recovered(void **state)
{
    static const double vectors[][2] = {{1.89, 0}, {2.00, 0}, {2.01, 29}};
    struct scene *scene = *state;

    set_all(scene, 2.3);
    for (size_t i = 0; i < 3; i++) {
        scene->packs.pack[0].reading.cell_V[4] = vectors[i][0];
        assert_near(step(scene)->dcl_A, vectors[i][1], 1e-6);
    }
}

static void a_pack_that_blocks_stops_the_bank(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.2);
    scene->packs.pack[1].reading.allow_charge = 0;
    assert_true(step(scene)->ccl_A == 0);
    assert_true(scene->out.dcl_A == 200);
    scene->packs.pack[0].reading.allow_discharge = 0;
    assert_true(step(scene)->dcl_A == 0);
}

static void a_peak_takes_the_whole_overshoot_off_the_voltage_limit(void **state)
{
    struct scene *scene = *state;

    set_cells(scene, 0, 2.50);
    set_cells(scene, 1, 2.40);
    scene->packs.pack[0].reading.cell_V[0] = 2.60;
    scene->packs.pack[0].reading.cell_V[1] = 2.57;
    assert_near(step(scene)->cvl_V, 52.80, 1e-9);
    set_cells(scene, 1, 2.49);
    assert_near(step(scene)->cvl_V, 54.78, 1e-9);
    set_cells(scene, 1, 2.52);
    assert_near(step(scene)->cvl_V, 55.0, 1e-9);
    set_cells(scene, 0, 2.45);
    scene->packs.pack[0].reading.cell_V[0] = 2.60;
    assert_near(step(scene)->cvl_V, 21 * 2.45 + 2.55, 1e-9);
    set_cells(scene, 0, 2.40);
    assert_near(step(scene)->cvl_V, 55.0, 1e-9); /* never balanced: raising */
}

/* A peak, then the end of it with this difference between the cells. */
static void peak_and_end(struct scene *scene, double difference_V)
{
    set_all(scene, 2.50);
    scene->packs.pack[0].reading.cell_V[0] = 2.56;
    step(scene);
    assert_true(scene->feed_in == 0);
    scene->packs.pack[0].reading.cell_V[0] = 2.50 + difference_V;
    step(scene);
}

static void feed_in_comes_back_when_the_cells_are_even_as_the_peak_ends(void **state)
{
    struct scene *scene = *state;

    peak_and_end(scene, 0.010);
    assert_true(scene->feed_in == 1);
}

static void feed_in_stays_off_when_the_cells_even_out_later(void **state)
{
    struct scene *scene = *state;

    peak_and_end(scene, 0.040);
    assert_true(scene->feed_in == 0);
    set_all(scene, 2.40);
    for (int i = 0; i < 1000; i++)
        step(scene);
    assert_true(scene->feed_in == 0);
    peak_and_end(scene, 0.010); /* only the next peak gives it another chance */
    assert_true(scene->feed_in == 1);
}

static void feed_in_that_the_owner_had_off_stays_off(void **state)
{
    struct scene *scene = *state;

    scene->feed_in = 0;
    peak_and_end(scene, 0.010);
    assert_true(scene->feed_in == 0);
}

static void one_noisy_sample_makes_it_full(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.40);
    assert_near(step(scene)->soc_pct, 50, 0.01);
    set_all(scene, 2.50);
    assert_near(step(scene)->soc_pct, 100, 0.01);
    set_all(scene, 2.40);
    assert_near(step(scene)->soc_pct, 100, 0.01);
}

static void charge_that_goes_in_pays_the_efficiency(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.30);
    step(scene);
    scene->packs.pack[0].reading.current_A = scene->packs.pack[1].reading.current_A = 10;
    for (int i = 0; i < 3600; i++)
        step(scene);
    assert_near(scene->out.soc_pct, 50 + 10 * scene->config.battery_efficiency, 0.01);
    scene->packs.pack[0].reading.current_A = scene->packs.pack[1].reading.current_A = -10;
    for (int i = 0; i < 3600; i++)
        step(scene);
    assert_near(scene->out.soc_pct, 40 + 10 * scene->config.battery_efficiency, 0.01);
}

static void the_balancing_cycle_raises_holds_and_waits(void **state)
{
    struct scene *scene = *state;

    set_all(scene, 2.40);
    assert_near(step(scene)->target_V, 22 * 2.50, 1e-9);
    set_all(scene, 2.51);
    scene->packs.pack[0].reading.cell_V[0] = 2.54;
    step(scene);
    assert_int_equal(scene->reference.cycle, REFERENCE_RAISING);
    scene->packs.pack[0].reading.cell_V[0] = 2.51;
    step(scene);
    assert_int_equal(scene->reference.cycle, REFERENCE_HOLDING);
    assert_false(scene->out.balanced);
    set_all(scene, 2.39);
    assert_true(step(scene)->balanced);
    scene->day += scene->config.balancing_repetition_days - 1;
    assert_near(step(scene)->target_V, 22 * 2.40, 1e-9);
    scene->day++;
    assert_near(step(scene)->target_V, 22 * 2.50, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_charge_current_follows_the_highest_cell, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nearly_empty_cell_does_not_lower_the_charge_current, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_discharge_current_follows_the_lowest_cell, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_cell_stops_the_discharge_until_it_has_recovered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_pack_that_blocks_stops_the_bank, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peak_takes_the_whole_overshoot_off_the_voltage_limit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(feed_in_comes_back_when_the_cells_are_even_as_the_peak_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(feed_in_stays_off_when_the_cells_even_out_later, setup, teardown),
        cmocka_unit_test_setup_teardown(feed_in_that_the_owner_had_off_stays_off, setup, teardown),
        cmocka_unit_test_setup_teardown(one_noisy_sample_makes_it_full, setup, teardown),
        cmocka_unit_test_setup_teardown(charge_that_goes_in_pays_the_efficiency, setup, teardown),
        cmocka_unit_test_setup_teardown(the_balancing_cycle_raises_holds_and_waits, setup, teardown),
    };

    return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
