/* An update costs no allocation: from a value that arrives to the items that changed, everything has its
 * place from the start. The linker sends every malloc of our own code through the counters here. */
#include "fixture.h"

#include <stdlib.h>

#include "core/aggregator.h"
#include "venus/outputs.h"
#include "venus/pages.h"

enum { PACKS = 16, CELLS = 16, ROUNDS = 10000 };

static size_t allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    allocations++;
    return __real_realloc(pointer, size);
}

char *__wrap_strdup(const char *text)
{
    allocations++;
    return __real_strdup(text);
}

struct bench {
    struct device *device[PACKS];
    int cell[CELLS];
    int current;
    struct items *items;
    struct outputs *outputs;
    struct pages *pages;
    struct aggregator aggregator;
    struct aggregate aggregate;
    size_t changes;
};

static void bench_init(struct bench *bench, struct world *world)
{
    const struct paths *paths = inputs_paths(world->inputs, CLASS_BATTERY);
    char text[64];

    for (int i = 0; i < PACKS; i++) {
        snprintf(text, sizeof text, "com.victronenergy.battery.ttyUSB%d", i);
        bench->device[i] = arrive_pack(world, text, i, text + 26, text + 30);
    }
    for (int i = 0; i < CELLS; i++) {
        snprintf(text, sizeof text, "/Voltages/Cell%d", i + 1);
        bench->cell[i] = paths_find(paths, text);
    }
    bench->current = paths_find(paths, "/Dc/0/Current");
    bench->items = items_new(NULL, NULL);
    bench->outputs = outputs_new(bench->items);
    bench->pages = pages_new(bench->items);
    for (size_t i = 0; i < PACKS; i++)
        pages_set_pack(bench->pages, i, &(struct pages_pack){bench->device[i]->service, "A", "", true});
    aggregator_init(&bench->aggregator, NAN, NAN);
}

/* What the daemon does with one message of every pack, and then once for all of them. */
static void update(struct bench *bench, struct world *world, int round)
{
    const struct pack *packs[PACKS];
    struct aggregator_input in = {.time_s = round, .packs = packs, .feed_in = NAN};
    struct value value;

    for (int i = 0; i < PACKS; i++) {
        for (int cell = 0; cell < CELLS; cell++) {
            value = value_number(3.3 + ((round * 7 + i * 3 + cell * 5) % 11) / 1000.0);
            devices_store(&world->devices, bench->device[i], bench->cell[cell], &value);
        }
        value = value_number(10 + (round + i) % 5);
        devices_store(&world->devices, bench->device[i], bench->current, &value);
        devices_settle(&world->devices, bench->device[i]);
    }
    in.pack_count = devices_packs(&world->devices, packs, PACKS);
    assert_int_equal(in.pack_count, PACKS);
    aggregator_step(&bench->aggregator, &world->config, &in, &bench->aggregate);
    outputs_set(bench->outputs, &bench->aggregate);
    if (world->config.send_cell_voltages)
        outputs_set_cells(bench->outputs, packs, in.pack_count);
    for (size_t i = 0; i < PACKS; i++)
        pages_set_values(bench->pages, i, packs[i], round);
    bench->changes += items_take_changes(bench->items, NULL, NULL);
}

static void run(struct world *world)
{
    struct bench bench = {0};
    size_t at_start;

    bench_init(&bench, world);
    update(&bench, world, 0);
    at_start = allocations;
    assert_true(at_start > 0); /* the counters work */
    bench.changes = 0;
    for (int round = 1; round <= ROUNDS; round++)
        update(&bench, world, round);
    assert_true(bench.changes > ROUNDS); /* and there was something to do */
    assert_int_equal(allocations - at_start, 0);
    pages_free(bench.pages);
    outputs_free(bench.outputs);
    items_free(bench.items);
}

static void an_update_with_merged_limits_allocates_nothing(void **state)
{
    run(*state);
}

static void an_update_with_our_own_limits_and_every_cell_shown_allocates_nothing(void **state)
{
    struct world *world = *state;

    world->config.own_charge_parameters = true;
    world->config.own_soc = true;
    world->config.send_cell_voltages = true;
    run(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_update_with_merged_limits_allocates_nothing, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(an_update_with_our_own_limits_and_every_cell_shown_allocates_nothing,
                                        world_setup, world_teardown),
    };

    return cmocka_run_group_tests_name("no allocation", tests, NULL, NULL);
}
