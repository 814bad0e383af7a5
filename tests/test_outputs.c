/* Every cell on the bus, with SEND_CELL_VOLTAGES: each under the name of its pack, and none that is not so
 * now. */
#include "fixture.h"

#include "bus/items.h"
#include "venus/outputs.h"

struct shown {
    struct items *items;
    struct outputs *outputs;
    struct pack pack[3];
    const struct pack *packs[3];
};

static int setup(void **state)
{
    struct shown *shown = test_calloc(1, sizeof *shown);

    shown->items = items_new(NULL, NULL);
    shown->outputs = outputs_new(shown->items);
    assert_non_null(shown->outputs);
    for (size_t i = 0; i < 3; i++) {
        pack_clear(&shown->pack[i]);
        shown->packs[i] = &shown->pack[i];
    }
    *state = shown;
    return 0;
}

static int teardown(void **state)
{
    struct shown *shown = *state;

    outputs_free(shown->outputs);
    items_free(shown->items);
    test_free(shown);
    return 0;
}

static void fill(struct pack *pack, const char *name, size_t cells, double first_V)
{
    strcpy(pack->name, name);
    for (size_t i = 0; i < cells; i++)
        pack->reading.cell_V[i] = first_V + (double)i / 1000;
}

static double shown_V(const struct shown *shown, const char *path)
{
    int item = items_find(shown->items, path);

    if (item < 0)
        fail_msg("%s is not there", path);
    return items_value(shown->items, item).number;
}

static void every_cell_is_shown_under_the_name_of_its_pack(void **state)
{
    struct shown *shown = *state;

    fill(&shown->pack[0], "House 1", 4, 3.3);
    fill(&shown->pack[1], "House 2", 2, 3.2);
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 2));
    assert_near(shown_V(shown, "/Voltages/House1_Cell1"), 3.3, 1e-9);
    assert_near(shown_V(shown, "/Voltages/House1_Cell4"), 3.303, 1e-9);
    assert_near(shown_V(shown, "/Voltages/House2_Cell2"), 3.201, 1e-9);
    assert_int_equal(items_find(shown->items, "/Voltages/House2_Cell3"), -1);
    shown->pack[1].reading.cell_V[2] = 3.5; /* it shows more now */
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 2));
    assert_near(shown_V(shown, "/Voltages/House2_Cell3"), 3.5, 1e-9);
}

static void a_cell_that_falls_silent_is_unknown_also_when_it_is_the_last(void **state)
{
    struct shown *shown = *state;

    fill(&shown->pack[0], "House", 3, 3.3);
    outputs_set_cells(shown->outputs, shown->packs, 1);
    shown->pack[0].reading.cell_V[0] = NAN;
    shown->pack[0].reading.cell_V[2] = NAN;
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 1));
    assert_true(isnan(shown_V(shown, "/Voltages/House_Cell1")));
    assert_near(shown_V(shown, "/Voltages/House_Cell2"), 3.301, 1e-9);
    assert_true(isnan(shown_V(shown, "/Voltages/House_Cell3")));
}

static void packs_that_change_places_keep_their_cells(void **state)
{
    struct shown *shown = *state;
    const struct pack *turned[] = {&shown->pack[1], &shown->pack[0]};

    fill(&shown->pack[0], "A", 2, 3.3);
    fill(&shown->pack[1], "B", 2, 3.2);
    outputs_set_cells(shown->outputs, shown->packs, 2);
    assert_true(outputs_set_cells(shown->outputs, turned, 2));
    assert_near(shown_V(shown, "/Voltages/A_Cell2"), 3.301, 1e-9);
    assert_near(shown_V(shown, "/Voltages/B_Cell2"), 3.201, 1e-9);
}

static void a_pack_that_goes_leaves_no_voltage_behind(void **state)
{
    struct shown *shown = *state;

    fill(&shown->pack[0], "A", 1, 3.3);
    fill(&shown->pack[1], "B", 1, 3.2);
    outputs_set_cells(shown->outputs, shown->packs, 2);
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 1));
    assert_near(shown_V(shown, "/Voltages/A_Cell1"), 3.3, 1e-9);
    assert_true(isnan(shown_V(shown, "/Voltages/B_Cell1")));
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 2));
    assert_near(shown_V(shown, "/Voltages/B_Cell1"), 3.2, 1e-9);
}

static void names_that_a_path_cannot_tell_apart_are_numbered(void **state)
{
    struct shown *shown = *state;

    fill(&shown->pack[0], "House 1", 1, 3.3);
    fill(&shown->pack[1], "House-1", 1, 3.2);
    fill(&shown->pack[2], "...", 1, 3.1);
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 3));
    assert_near(shown_V(shown, "/Voltages/House1_Cell1"), 3.3, 1e-9);
    assert_near(shown_V(shown, "/Voltages/House1_2_Cell1"), 3.2, 1e-9);
    assert_near(shown_V(shown, "/Voltages/_3_Cell1"), 3.1, 1e-9);
}

/* Packs named by hand may have the very name that another is given. */
static void no_number_makes_a_name_that_another_pack_has(void **state)
{
    struct shown *shown = *state;
    char longest[READING_TEXT_MAX];

    fill(&shown->pack[0], "House 1", 1, 3.3);
    fill(&shown->pack[1], "House-1", 1, 3.2);
    fill(&shown->pack[2], "House1_2", 1, 3.1);
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 3));
    assert_near(shown_V(shown, "/Voltages/House1_Cell1"), 3.3, 1e-9);
    assert_near(shown_V(shown, "/Voltages/House1_2__Cell1"), 3.2, 1e-9);
    assert_near(shown_V(shown, "/Voltages/House1_2_Cell1"), 3.1, 1e-9);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    fill(&shown->pack[1], longest, 1, 3.2);
    fill(&shown->pack[2], longest, 1, 3.1);
    assert_true(outputs_set_cells(shown->outputs, shown->packs, 3));
    assert_near(shown_V(shown, "/Voltages/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_Cell1"), 3.2, 1e-9);
    assert_near(shown_V(shown, "/Voltages/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_3_Cell1"), 3.1,
                1e-9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_cell_is_shown_under_the_name_of_its_pack),
        TEST(a_cell_that_falls_silent_is_unknown_also_when_it_is_the_last),
        TEST(packs_that_change_places_keep_their_cells),
        TEST(a_pack_that_goes_leaves_no_voltage_behind),
        TEST(names_that_a_path_cannot_tell_apart_are_numbered),
        TEST(no_number_makes_a_name_that_another_pack_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
