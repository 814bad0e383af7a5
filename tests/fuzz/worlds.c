#include "fuzz/worlds.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/aggregator.h"
#include "settings.h"

#define SHOWN_STEP 0.01 /* CVL is published in such steps, the currents in larger ones */

enum { PACKS_MOST = 8, STEPS = 40, CALM_STEPS = 24, CELLS_MOST = 16 };

struct world {
    uint64_t random;
    struct config config;
    struct pack pack[PACKS_MOST];
    bool away[PACKS_MOST];
    size_t packs;
    int cells;
    struct aggregator aggregator;
    struct aggregate out;
    double time_s;
    long day;
    bool trusted;
    double setting;   /* OvervoltageFeedIn, NAN = no service */
    bool refuses;     /* the settings service takes no writes */
    bool user_wishes; /* what the user set last */
    bool had_voltage; /* a CVL was known once */
    bool lived;       /* for a step */
    bool was_away[PACKS_MOST];
    struct pack_reading had[PACKS_MOST]; /* what the packs showed in the step before */
    char wrong[300];
};

/* ---- chance ---- */

static uint64_t draw(struct world *world)
{
    world->random ^= world->random >> 12;
    world->random ^= world->random << 25;
    world->random ^= world->random >> 27;
    return world->random * UINT64_C(2685821657736338717);
}

static double between(struct world *world, double least, double most)
{
    return least + (most - least) * (double)(draw(world) >> 11) / 9007199254740992.0;
}

static bool chance(struct world *world, double share)
{
    return between(world, 0, 1) < share;
}

static size_t one_of(struct world *world, size_t count)
{
    return (size_t)(draw(world) % count);
}

/* ---- a configuration that settings.ini could hold ---- */

/* From one share to another, never turning: a curve that turns has no safe side. */
static void draw_curve(struct world *world, struct curve *curve, double least_V, double most_V, double from,
                       double to)
{
    curve->count = 2 + one_of(world, 4);
    for (size_t i = 0; i < curve->count; i++) {
        curve->x[i] = least_V + (most_V - least_V) * (double)i / (double)(curve->count - 1);
        curve->y[i] = i == 0 ? from : curve->y[i - 1] + (to - curve->y[i - 1]) * between(world, 0, 1);
    }
    curve->y[curve->count - 1] = to;
}

/* Strings of as many packs, the last of what is left. */
static void draw_shape(struct world *world, struct shape *shape)
{
    size_t in_series = 1 + one_of(world, 3);

    if (world->packs < in_series || world->packs % in_series != 0)
        in_series = 1; /* strings of other lengths are unequal, and stop the bank */
    for (size_t i = 0; i < world->packs; i++)
        snprintf(shape->pack[i], sizeof shape->pack[i], "Pack %zu", i);
    shape->packs = world->packs;
    shape->strings = world->packs / in_series;
    for (size_t s = 0; s < shape->strings; s++) {
        shape->string[s].first = s * in_series;
        shape->string[s].count = in_series;
    }
}

static void draw_config(struct world *world)
{
    struct config *config = &world->config;

    settings_default(config);
    config->own_charge_parameters = chance(world, 0.6);
    config->cvl_control = (enum cvl_control)one_of(world, 2);
    config->own_soc = chance(world, 0.6);
    config->soc_method = (enum soc_method)one_of(world, 2);
    config->zero_soc = chance(world, 0.5);
    config->pack_lost = (enum pack_lost)one_of(world, 3);
    config->lost_grace_s = (int)between(world, 0, 1000);
    config->feed_in_return = (enum feed_in_rule)one_of(world, 2);
    config->feed_in_min_hold_s = chance(world, 0.3) ? 0 : between(world, 0, 300);
    config->max_cell_voltage_V = between(world, 3.40, 3.60);
    config->min_cell_voltage_V = between(world, 2.6, 3.0);
    config->balancing_voltage_V = between(world, 3.35, config->max_cell_voltage_V);
    config->max_charge_current_A = between(world, 0, 400);
    config->max_discharge_current_A = between(world, 0, 400);
    config->max_charge_current_set = chance(world, 0.5);
    config->max_discharge_current_set = chance(world, 0.5);
    config->current_sharing = (enum current_sharing)one_of(world, 4);
    config->blocked_pack = (enum blocked_pack)one_of(world, 2);
    if (chance(world, 0.3))
        draw_shape(world, &config->shape);
    config->nr_of_batteries = chance(world, 0.5) ? (int)world->packs : CONFIG_NOT_SET;
    config->nr_of_cells_per_battery = chance(world, 0.3) ? world->cells : CONFIG_NOT_SET;
    for (int month = 0; month < 12; month++)
        config->charge_voltage_V[month] = between(world, 3.30, 3.65);
    draw_curve(world, &config->charge_curve, config->min_cell_voltage_V, config->max_cell_voltage_V, 1, 0);
    draw_curve(world, &config->discharge_curve, config->min_cell_voltage_V, config->min_cell_voltage_V + 0.3,
               0, 1);
}

/* ---- packs ---- */

static void measure(struct world *world, struct pack *pack, double level_V)
{
    struct pack_reading *reading = &pack->reading;
    double spread_V = chance(world, 0.1) ? 0.2 : 0.01;

    reading->cell_voltage_max_V = -INFINITY;
    reading->cell_voltage_min_V = INFINITY;
    reading->cells_sum_V = 0;
    for (int i = 0; i < world->cells; i++) {
        reading->cell_V[i] = fmin(fmax(level_V + between(world, -spread_V, spread_V), 0), 5);
        reading->cells_sum_V += reading->cell_V[i];
        reading->cell_voltage_max_V = fmax(reading->cell_voltage_max_V, reading->cell_V[i]);
        reading->cell_voltage_min_V = fmin(reading->cell_voltage_min_V, reading->cell_V[i]);
    }
    reading->voltage_V = reading->cells_sum_V + between(world, -0.1, 0.1);
    reading->current_A = chance(world, 0.05) ? between(world, -5000, 5000) : between(world, -100, 100);
    reading->soc_pct = chance(world, 0.1) ? 100.0 * chance(world, 0.5) : between(world, 0, 100);
    reading->capacity_Ah = chance(world, 0.2) ? between(world, -20, 600) : NAN;
    reading->allow_charge = chance(world, 0.9);
    reading->allow_discharge = chance(world, 0.9);
    reading->charge_voltage_max_V = world->cells * between(world, 3.3, 3.65);
    reading->charge_current_max_A = chance(world, 0.1) ? 0 : between(world, 0, 300);
    reading->discharge_current_max_A = chance(world, 0.1) ? 0 : between(world, 0, 300);
}

static void draw_pack(struct world *world, size_t index)
{
    struct pack *pack = &world->pack[index];

    pack_clear(pack);
    snprintf(pack->name, sizeof pack->name, "Pack %zu", index);
    pack->reading.capacity_installed_Ah = between(world, 10, 500);
    pack->reading.cells_in_series = world->cells;
    measure(world, pack, between(world, 3.1, 3.5));
    pack_remember(pack);
}

/* Any of its numbers, where it tells one. */
static double *any_number(struct world *world, struct pack *pack)
{
    double *first = &pack->reading.voltage_V;
    size_t count = (size_t)(&pack->reading.drawn_Ah - first) + 1;

    return first + one_of(world, count);
}

static void change_packs(struct world *world)
{
    for (size_t i = 0; i < world->packs; i++) {
        world->was_away[i] = world->away[i];
        world->had[i] = world->pack[i].reading;
        if (chance(world, 0.6))
            measure(world, &world->pack[i], between(world, 2.7, 3.6));
        if (i > 0 && chance(world, 0.1)) /* what they give each other is no current of the bank */
            world->pack[i].reading.current_A = -world->pack[i - 1].reading.current_A;
        if (chance(world, 0.3))
            *any_number(world, &world->pack[i]) = NAN;
        if (chance(world, 0.05))
            world->away[i] = !world->away[i];
        pack_remember(&world->pack[i]);
    }
}

/* ---- a step ---- */

static size_t snapshot(const struct world *world, const struct pack *packs[], struct aggregator_input *in)
{
    memset(in, 0, sizeof *in);
    in->time_s = world->time_s;
    in->packs = packs;
    for (size_t i = 0; i < world->packs; i++) {
        if (world->away[i]) {
            in->packs_missing++;
            in->lost.ever_installed_Ah += world->pack[i].last.capacity_installed_Ah;
        } else
            packs[in->pack_count++] = &world->pack[i];
    }
    in->lost.longest_s = 100;
    in->today = (struct calendar){world->trusted, world->day, 1 + (int)((world->day / 30) % 12)};
    in->feed_in = world->setting;
    return in->pack_count;
}

static void change_world(struct world *world)
{
    static const double steps_s[] = {0, 0.05, 1, 1, 1, 5, 29, 31, 600, 7200};

    world->time_s += steps_s[one_of(world, sizeof steps_s / sizeof *steps_s)];
    if (chance(world, 0.05))
        world->trusted = !world->trusted;
    world->day += chance(world, 0.02) ? (long)between(world, -7000, 7000) : chance(world, 0.1);
    if (world->day < 0)
        world->day = 0;
    if (chance(world, 0.05))
        world->setting = isnan(world->setting) ? world->user_wishes && !world->aggregator.feed_in.debt : NAN;
    if (chance(world, 0.05))
        world->refuses = !world->refuses;
    if (chance(world, 0.05) && !isnan(world->setting) && !world->aggregator.feed_in.debt) {
        world->user_wishes = chance(world, 0.7);
        world->setting = world->user_wishes;
    }
    change_packs(world);
}

static void take_writes(struct world *world)
{
    if (isnan(world->setting) || world->refuses)
        return;
    if (world->out.feed_in.action == FEED_IN_WRITE_0)
        world->setting = 0;
    if (world->out.feed_in.action == FEED_IN_WRITE_1)
        world->setting = 1;
}

/* ---- what must hold ---- */

static const char *wrong(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *wrong(struct world *world, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(world->wrong, sizeof world->wrong, format, arguments);
    va_end(arguments);
    return world->wrong;
}

/* What one pack shows is a limit of the bank. */
static bool in_parallel(const struct world *world)
{
    return world->config.shape.packs == world->config.shape.strings;
}

/* Here each number counts by itself. Shares that are learned, strings whose capacity is what their packs have
 * left and who is apart stand at what they were a step ago, when all else was another world. */
static bool is_plain(const struct world *world)
{
    return in_parallel(world) && world->config.current_sharing <= SHARING_CAPACITY &&
           world->config.blocked_pack == BLOCKED_PACK_STOP;
}

static const char *check_voltage(struct world *world, const struct aggregator_input *in)
{
    double cvl_V = world->out.limits.charge_voltage.value;

    if (isinf(cvl_V) || cvl_V < 0)
        return wrong(world, "CVL is %g V", cvl_V);
    if (isnan(cvl_V) && world->had_voltage)
        return wrong(world, "CVL is unknown, and it was known");
    world->had_voltage = world->had_voltage || !isnan(cvl_V);
    if (world->config.own_charge_parameters && world->out.bank.packs > 0 &&
        cvl_V > world->out.control.target.voltage_V + 1e-9 && !world->out.limit_unknown)
        return wrong(world, "CVL %g V is above the target %g V", cvl_V, world->out.control.target.voltage_V);
    for (size_t i = 0; i < in->pack_count && !world->config.own_charge_parameters && in_parallel(world);
         i++) {
        if (cvl_V > in->packs[i]->reading.charge_voltage_max_V + 1e-9)
            return wrong(world, "CVL %g V is above the %g V of a pack", cvl_V,
                         in->packs[i]->reading.charge_voltage_max_V);
    }
    return NULL;
}

static const char *check_current(struct world *world, const char *name, double limit_A, bool blocked,
                                 double most_A, bool most_holds)
{
    if (!isfinite(limit_A) || limit_A < 0)
        return wrong(world, "%s is %g A", name, limit_A);
    if (most_holds && limit_A > most_A + 1e-9)
        return wrong(world, "%s %g A is above the configured %g A", name, limit_A, most_A);
    if (blocked && limit_A != 0)
        return wrong(world, "%s is %g A and a pack blocks", name, limit_A);
    return NULL;
}

/* One that blocks stops the bank, or all must. A string that lacks a pack takes no part. */
static bool is_blocked(const struct world *world, const struct aggregator_input *in,
                       bool (*blocks)(const struct pack *))
{
    size_t count = 0;

    for (size_t i = 0; i < in->pack_count; i++)
        count += blocks(in->packs[i]);
    if (world->config.blocked_pack == BLOCKED_PACK_EXCLUDE || !in_parallel(world))
        return count == in->pack_count;
    return count > 0;
}

static const char *check_numbers(struct world *world)
{
    const double shown[] = {world->out.soc_pct,
                            world->out.capacity_Ah,
                            world->out.consumed_Ah,
                            world->out.time_to_go_s,
                            world->out.bank.voltage_V,
                            world->out.current.current_A,
                            world->out.current.power_W,
                            world->out.bank.cell_voltage_diff_V,
                            world->out.soc_uncertainty_pct};

    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        if (isinf(shown[i]))
            return wrong(world, "number %zu of what is shown is infinite", i);
    }
    if (world->out.soc_pct < 0 || world->out.soc_pct > 100.0000001)
        return wrong(world, "SoC is %g %%", world->out.soc_pct);
    return NULL;
}

static const char *check(struct world *world, const struct aggregator_input *in)
{
    const struct limits *limits = &world->out.limits;
    const struct config *config = &world->config;
    bool own = config->own_charge_parameters;
    const char *found = check_voltage(world, in);

    if (!found)
        found = check_current(world, "CCL", limits->charge_current.value,
                              is_blocked(world, in, pack_blocks_charge), config->max_charge_current_A,
                              own || config->max_charge_current_set);
    if (!found)
        found = check_current(world, "DCL", limits->discharge_current.value,
                              is_blocked(world, in, pack_blocks_discharge), config->max_discharge_current_A,
                              own || config->max_discharge_current_set);
    return found ? found : check_numbers(world);
}

/* The same step from the same state with one number less: no limit is above both what it is with that
 * number and what it was. Not where it was unknown before: a current that has been silent for LOST_GRACE is
 * forgotten, and holds nothing back when it shows again and is gone. */
static const char *check_unknown(struct world *world, const struct aggregator *before,
                                 const struct aggregator_input *in, const double was[3])
{
    static const char *const names[] = {"CVL", "CCL", "DCL"};
    struct aggregator aggregator = *before;
    struct aggregate out;
    struct pack *pack = &world->pack[one_of(world, world->packs)];
    struct pack kept = *pack;
    double *number = any_number(world, pack);
    const struct pack_reading *had = &world->had[pack - world->pack];
    bool was_known = !isnan(*(&had->voltage_V + (number - &pack->reading.voltage_V)));
    const struct limits *with = &world->out.limits;
    const struct limits *without = &out.limits;
    double pairs[3][2];

    *number = NAN;
    pack_remember(pack);
    memset(&out, 0, sizeof out);
    aggregator_step(&aggregator, &world->config, in, &out);
    pairs[0][0] = with->charge_voltage.value;
    pairs[0][1] = without->charge_voltage.value;
    pairs[1][0] = with->charge_current.value;
    pairs[1][1] = without->charge_current.value;
    pairs[2][0] = with->discharge_current.value;
    pairs[2][1] = without->discharge_current.value;
    for (int i = 0; i < 3; i++) {
        if (was_known && pairs[i][1] > pairs[i][0] + SHOWN_STEP && !(pairs[i][1] <= was[i] + SHOWN_STEP)) {
            size_t index = (size_t)(number - &pack->reading.voltage_V);

            *pack = kept;
            return wrong(world, "%s rose from %g to %g when number %zu of a pack became unknown", names[i],
                         pairs[i][0], pairs[i][1], index);
        }
    }
    *pack = kept;
    return NULL;
}

/* No limit rises because a pack went, for as long as LOST_GRACE. */
static const char *check_leaving(struct world *world, const double was[3])
{
    const struct limits *limits = &world->out.limits;
    const double now[3] = {limits->charge_voltage.value, limits->charge_current.value,
                           limits->discharge_current.value};
    static const char *const names[] = {"CVL", "CCL", "DCL"};
    bool went = false;

    for (size_t i = 0; i < world->packs; i++)
        went = went || (world->away[i] && !world->was_away[i]);
    for (int i = 0; i < 3 && went; i++) {
        if (i > 0 && world->config.lost_grace_s == 0)
            continue;
        if (now[i] > was[i] + 1e-9)
            return wrong(world, "%s rose from %g to %g when a pack went", names[i], was[i], now[i]);
    }
    return NULL;
}

static const char *check_repeatable(struct world *world, const struct aggregator *before,
                                    const struct aggregator_input *in)
{
    struct aggregator aggregator = *before;
    struct aggregate out;

    memset(&out, 0, sizeof out);
    aggregator_step(&aggregator, &world->config, in, &out);
    if (memcmp(&out.limits.charge_voltage.value, &world->out.limits.charge_voltage.value, sizeof(double)) ||
        memcmp(&out.limits.charge_current.value, &world->out.limits.charge_current.value, sizeof(double)) ||
        memcmp(&out.limits.discharge_current.value, &world->out.limits.discharge_current.value,
               sizeof(double)) ||
        memcmp(&out.soc_pct, &world->out.soc_pct, sizeof(double)) ||
        out.feed_in.action != world->out.feed_in.action)
        return wrong(world, "the same inputs gave other outputs");
    return NULL;
}

static const char *step(struct world *world)
{
    const struct pack *packs[PACKS_MOST];
    struct aggregator_input in;
    struct aggregator before = world->aggregator;
    const struct limits *limits = &world->out.limits;
    const double was[3] = {limits->charge_voltage.value, limits->charge_current.value,
                           limits->discharge_current.value};
    const char *found;

    snapshot(world, packs, &in);
    memset(&world->out, 0, sizeof world->out);
    aggregator_step(&world->aggregator, &world->config, &in, &world->out);
    found = check(world, &in);
    if (!found)
        found = check_repeatable(world, &before, &in);
    if (!found && world->lived && in_parallel(world))
        found = check_leaving(world, was);
    if (!found && in.pack_count > 0 && is_plain(world))
        found = check_unknown(world, &before, &in, was);
    take_writes(world);
    world->lived = true;
    return found;
}

/* In the calm both currents are what they would be for somebody who begins now, or near to it: whatever held
 * them down is over. Shares that are learned may differ, and are no 0. */
static const char *check_calm(struct world *world)
{
    const struct limits *limits = &world->out.limits;
    bool learned = world->config.current_sharing > SHARING_CAPACITY;
    const struct pack *packs[PACKS_MOST];
    struct aggregator_input in;
    struct aggregator fresh;
    struct aggregate out;

    memset(&fresh, 0, sizeof fresh);
    memset(&out, 0, sizeof out);
    aggregator_init(&fresh, NAN, NAN);
    snapshot(world, packs, &in);
    aggregator_step(&fresh, &world->config, &in, &out);
    if (limits->charge_current.value > (learned ? 0 : out.limits.charge_current.value / 2) &&
        limits->discharge_current.value > (learned ? 0 : out.limits.discharge_current.value / 2))
        return NULL;
    return wrong(world, "CCL %g A and DCL %g A after %d calm steps, begun anew %g and %g A",
                 limits->charge_current.value, limits->discharge_current.value, CALM_STEPS,
                 out.limits.charge_current.value, out.limits.discharge_current.value);
}

/* Calm cells, a settings service that takes writes: the debt is paid within hold and back-off. */
static const char *check_debt(struct world *world)
{
    bool owed = world->aggregator.feed_in.debt;

    world->refuses = false;
    if (isnan(world->setting))
        world->setting = 0;
    for (size_t i = 0; i < world->packs; i++) {
        draw_pack(world, i);
        measure(world, &world->pack[i], 3.25);
        for (int k = 0; k < world->cells; k++)
            world->pack[i].reading.cell_V[k] = 3.25;
        world->pack[i].reading.cell_voltage_max_V = world->pack[i].reading.cell_voltage_min_V = 3.25;
        world->pack[i].reading.allow_charge = world->pack[i].reading.allow_discharge = 1;
        world->pack[i].reading.charge_current_max_A = 50;
        world->pack[i].reading.discharge_current_max_A = 60;
        world->pack[i].reading.voltage_V = world->pack[i].reading.cells_sum_V = world->cells * 3.25;
        world->pack[i].reading.current_A = 0;
        pack_remember(&world->pack[i]);
        world->away[i] = world->was_away[i] = false;
    }
    for (int i = 0; i < CALM_STEPS; i++) {
        const char *found;

        world->time_s += 600;
        found = step(world);
        if (found)
            return found;
    }
    if (world->aggregator.feed_in.debt)
        return wrong(world, "the debt is not paid after %d calm steps", CALM_STEPS);
    if (owed && world->setting != 1)
        return wrong(world, "the debt is struck out, but the setting is %g", world->setting);
    return NULL;
}

const char *worlds_live(uint64_t seed)
{
    static struct world world;
    const char *found = NULL;

    memset(&world, 0, sizeof world);
    world.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world.packs = 1 + one_of(&world, PACKS_MOST);
    world.cells = 4 + (int)one_of(&world, CELLS_MOST - 3);
    draw_config(&world);
    for (size_t i = 0; i < world.packs; i++)
        draw_pack(&world, i);
    world.trusted = chance(&world, 0.9);
    world.day = 20000;
    world.user_wishes = chance(&world, 0.7);
    world.setting = chance(&world, 0.8) ? world.user_wishes : NAN;
    aggregator_init(&world.aggregator, chance(&world, 0.5) ? between(&world, 0, 2000) : NAN,
                    chance(&world, 0.5) ? between(&world, 1, 2000) : NAN);
    for (int i = 0; i < STEPS && !found; i++) {
        change_world(&world);
        found = step(&world);
    }
    if (!found)
        found = check_debt(&world);
    return found ? found : check_calm(&world);
}
