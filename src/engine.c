#include "engine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum { SOURCES_MAX = 64 };

bool engine_init(struct engine *engine, const struct config *config, items_set_fn set, void *ctx)
{
    if (config != &engine->config)
        engine->config = *config;
    engine->all_lost_s = engine->never_here_s = NAN;
    aggregator_init(&engine->aggregator, NAN, NAN);
    engine->inputs = inputs_new();
    engine->items = items_new(set, ctx);
    engine->outputs = engine->items ? outputs_new(engine->items) : NULL;
    engine->pages = engine->items ? pages_new(engine->items) : NULL;
    engine->turn_s = NAN;
    for (size_t i = 0; i < OUTPUTS_PACKS_MAX; i++)
        engine->heard_s[i] = NAN;
    devices_init(&engine->devices, &engine->config, engine->inputs);
    return engine->inputs && engine->outputs && engine->pages;
}

void engine_free(struct engine *engine)
{
    devices_clear(&engine->devices);
    pages_free(engine->pages);
    outputs_free(engine->outputs);
    items_free(engine->items);
    inputs_free(engine->inputs);
}

static bool same_classes(const struct config *a, const struct config *b)
{
    return strcmp(a->battery_service_name, b->battery_service_name) == 0 &&
           strcmp(a->dcload_service_name, b->dcload_service_name) == 0 &&
           strcmp(a->multi_keyword, b->multi_keyword) == 0 && strcmp(a->mppt_keyword, b->mppt_keyword) == 0;
}

static bool has_class(const struct current_sources *sources, enum dc_class dc_class)
{
    for (size_t i = 0; i < sources->count; i++) {
        if (sources->source[i].dc_class == dc_class)
            return true;
    }
    return false;
}

/* Whether CURRENT_SOURCES names nothing but what is read already. */
static bool are_read(const struct config *config, const struct current_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        enum dc_class dc_class = sources->source[i].dc_class;
        bool always = dc_class == DC_VEBUS || dc_class == DC_SOLARCHARGER || dc_class == DC_DCLOAD ||
                      dc_class == DC_BATTERY;

        if (!always && !has_class(&config->current_sources, dc_class) &&
            !has_class(&config->current_sources, DC_ANY))
            return false;
    }
    return true;
}

/* What a pack must show depends on who makes the limits, and on whether the user says how many cells it has.
 */
static bool need_more(const struct config *before, const struct config *now)
{
    return before->own_charge_parameters != now->own_charge_parameters ||
           (before->nr_of_cells_per_battery != CONFIG_NOT_SET &&
            now->nr_of_cells_per_battery == CONFIG_NOT_SET);
}

bool engine_reconfigure(struct engine *engine, const struct config *config)
{
    bool read = are_read(&engine->config, &config->current_sources);
    bool same = same_classes(&engine->config, config) && read;
    struct config kept = engine->config;

    engine->config = *config;
    memcpy(engine->config.battery_service_name, kept.battery_service_name, CONFIG_TEXT_MAX);
    memcpy(engine->config.dcload_service_name, kept.dcload_service_name, CONFIG_TEXT_MAX);
    memcpy(engine->config.multi_keyword, kept.multi_keyword, CONFIG_TEXT_MAX);
    memcpy(engine->config.mppt_keyword, kept.mppt_keyword, CONFIG_TEXT_MAX);
    if (!read)
        engine->config.current_sources = kept.current_sources;
    devices_decide_anew(&engine->devices, need_more(&kept, config));
    engine->unmatched = (struct report_unmatched){0};
    for (size_t i = 0; i < engine->devices.count;) {
        bool again = engine->devices.device[i]->identity_changed;

        if (again)
            devices_settle(&engine->devices, engine->devices.device[i]);
        i = again ? 0 : i + 1; /* settling may sort them anew */
    }
    incomplete_decide_anew(&engine->aggregator.incomplete);
    engine->packs_changed = true;
    outputs_forget_cells(engine->outputs);
    return same;
}

/* ---- what arrives ---- */

const struct paths *engine_wants(const struct engine *engine, const char *service)
{
    enum device_class device_class;

    if (!devices_class_of(&engine->config, service, &device_class))
        return NULL;
    return inputs_paths(engine->inputs, device_class);
}

struct device *engine_here(struct engine *engine, const char *service)
{
    enum device_class device_class;
    struct device *device;

    if (!devices_class_of(&engine->config, service, &device_class))
        return NULL;
    device = devices_add(&engine->devices, service, device_class);
    if (!device)
        log_error("Too many devices: %s is left out", service);
    return device;
}

void engine_gone(struct engine *engine, struct device *device)
{
    roster_note_leaving(&engine->roster, device);
    devices_remove(&engine->devices, device);
    engine->packs_changed = true;
}

/* A limit that is merged falls with that of a pack. Our own fall with the curves at the highest and the
 * lowest cell of the bank. */
static bool makes_a_limit_fall(const struct engine *engine, enum input_kind kind, double before, double now)
{
    const struct config *config = &engine->config;
    const struct bank *bank = &engine->aggregate.bank;
    double highest_V = bank->cell_voltage_max_V.value;
    double lowest_V = bank->cell_voltage_min_V.value;

    switch (kind) {
    case INPUT_PLAIN:
    case INPUT_MEASURE:
        return false;
    case INPUT_ALLOW:
        return now < before;
    case INPUT_LIMIT:
        return !config->own_charge_parameters && now < before;
    case INPUT_CELL:
        if (!config->own_charge_parameters)
            return false;
        return (now > highest_V &&
                curve_at(&config->charge_curve, now) < curve_at(&config->charge_curve, highest_V)) ||
               (now < lowest_V &&
                (curve_at(&config->discharge_curve, now) < curve_at(&config->discharge_curve, lowest_V) ||
                 curve_at(&config->charge_curve, now) < curve_at(&config->charge_curve, lowest_V)));
    }
    return false;
}

/* A cell beyond all others is news, however little. */
static bool is_flicker(const struct engine *engine, enum input_kind kind, double flicker, double before,
                       double now)
{
    const struct bank *bank = &engine->aggregate.bank;

    if (isnan(now) && isnan(before))
        return true; /* a text, of those that change with the noise */
    if (kind == INPUT_CELL && (now > bank->cell_voltage_max_V.value || now < bank->cell_voltage_min_V.value))
        return false;
    return fabs(now - before) <= flicker;
}

enum engine_news engine_value(struct engine *engine, struct device *device, int index,
                              const struct value *value)
{
    enum input_kind kind = inputs_kind(engine->inputs, device->device_class, index);
    double flicker = inputs_flicker(engine->inputs, device->device_class, index);
    double before = devices_number(&engine->devices, device, index);
    double now;

    switch (devices_store(&engine->devices, device, index, value)) {
    case INPUT_SAME:
        return ENGINE_NOTHING;
    case INPUT_IMPLAUSIBLE:
        report_implausible(engine->inputs, device, index, value);
        return ENGINE_NEWS;
    case INPUT_CHANGED:
        break;
    }
    if (kind == INPUT_PLAIN && flicker == 0)
        return ENGINE_NEWS;
    now = devices_number(&engine->devices, device, index);
    if (is_flicker(engine, kind, flicker, before, now))
        return ENGINE_FLICKER;
    return makes_a_limit_fall(engine, kind, before, now) ? ENGINE_URGENT : ENGINE_NEWS;
}

bool engine_settled(struct engine *engine, struct device *device, bool first)
{
    enum device_role before = device->role;

    if (first)
        device->scanned = device->identity_changed = true;
    if (!devices_settle(&engine->devices, device))
        return false;
    if (device->role == ROLE_NOT_IN_BANK && before != ROLE_NOT_IN_BANK)
        report_not_in_bank(device);
    if (before == ROLE_PACK && device->naming == NAMED_IGNORED) /* it told only now that it is meant */
        incomplete_forget(&engine->aggregator.incomplete, &device->pack);
    engine->packs_changed = true;
    return true;
}

void engine_stale(struct engine *engine, struct device *device, bool stale)
{
    if (stale == device->stale)
        return;
    device->stale = stale;
    device->identity_changed = true;
    engine_settled(engine, device, false);
}

/* ---- one pass ---- */

/* What the pack in this slot says, and for how long it has been silent; one that is missing may still have
 * its service on the bus. */
static void show_page(struct engine *engine, size_t slot, double now_s)
{
    const struct roster_entry *entry = &engine->roster.entry[slot];
    const struct device *device = entry->used ? devices_find(&engine->devices, entry->service) : NULL;

    if (!entry->used)
        engine->heard_s[slot] = NAN;
    else if (device)
        engine->heard_s[slot] = device->heard_s;
    pages_set_values(engine->pages, slot, device ? &device->pack : NULL, now_s - engine->heard_s[slot]);
}

static void show_learned(struct engine *engine, size_t slot)
{
    const struct resistance *found =
        resistance_find(engine->aggregator.resistance, engine->roster.entry[slot].name);
    struct pages_learned learned = {NAN, NAN, NAN};

    if (found)
        learned = (struct pages_learned){100 * found->share, 1000 * found->ohm, 1000 * found->deviation_ohm};
    pages_set_learned(engine->pages, slot, &learned);
}

/* A few in each turn: nobody looks at them more often, and a burst of them all would delay what matters. */
static void show_pages(struct engine *engine, double now_s)
{
    if (!engine->shows_pages || now_s - engine->turn_s < PAGES_TURN_S)
        return;
    engine->turn_s = now_s;
    engine->turns++;
    for (size_t slot = 0; slot < engine->roster.count; slot++) {
        if (!pages_is_turn(engine->pages, slot, engine->turns))
            continue;
        show_page(engine, slot, now_s);
        show_learned(engine, slot);
    }
}

static void show_packs(struct engine *engine, double now_s)
{
    for (size_t slot = 0; slot < engine->roster.count; slot++) {
        const struct roster_entry *entry = &engine->roster.entry[slot];
        struct pages_pack pack = {"", "", "", false};

        if (entry->used)
            pack = (struct pages_pack){entry->service, entry->name, entry->serial, entry->present};
        pages_set_pack(engine->pages, slot, &pack);
        if (engine->shows_pages)
            show_page(engine, slot, now_s);
    }
}

bool engine_request(struct engine *engine, double id)
{
    if (!pages_request(engine->pages, id))
        return false;
    engine->turn_s = NAN; /* it is shown with the next step */
    return true;
}

static void on_roster_event(void *ctx, enum roster_event event, const struct roster_entry *entry,
                            const struct device *device)
{
    struct engine *engine = ctx;

    if (event == ROSTER_CALLED && !entry->serial[0])
        work_rename(&engine->aggregator.work, entry->name, device->pack.name);
    report_pack(event, entry, device, &engine->devices);
}

/* Comparing every pack with every other costs more than merging them: only when somebody came, went or
 * changed its name, and once a tick for those who are waited for. */
static void look_at_roster(struct engine *engine, double now_s)
{
    if (!engine->packs_changed || (engine->more_to_come && engine->roster.count == 0))
        return;
    engine->packs_changed = false;
    if (roster_update(&engine->roster, &engine->devices, now_s, on_roster_event, engine))
        show_packs(engine, now_s);
}

static void look_at_current(struct engine *engine, const struct aggregator_input *in,
                            const struct contradiction *found)
{
    char counted[REPORT_SOURCES_MAX];

    if (!contradiction_step(&engine->current_contradicts, found, CONTRADICTION_CURRENT_S, in->time_s))
        return;
    sources_describe(&engine->config, in->sources, in->source_count, found->other, found->allowed, counted,
                     sizeof counted);
    report_contradiction("The bank", CONTRADICTION_CURRENT, found, engine->current_contradicts.stands,
                         counted);
}

static void look_for_contradictions(struct engine *engine, const struct aggregator_input *in)
{
    double now_s = in->time_s;
    const struct aggregate *aggregate = &engine->aggregate;
    struct contradiction of_current = contradiction_of_current(&aggregate->bank, &aggregate->current,
                                                               aggregate->limits.charge_current.value,
                                                               aggregate->limits.discharge_current.value);

    if (now_s - engine->contradictions_s < 1)
        return;
    engine->contradictions_s = now_s;
    look_at_current(engine, in, &of_current);
    report_shunts(&engine->devices, now_s);
    for (size_t i = 0; i < engine->devices.count; i++) {
        struct device *device = engine->devices.device[i];
        struct contradiction found[CONTRADICTION_OF_PACK];

        if (!device->member)
            continue;
        contradiction_of_pack(&device->pack, found);
        for (int kind = 0; kind < CONTRADICTION_OF_PACK; kind++) {
            struct contradiction_watch *watch = &device->contradicts[kind];

            if (contradiction_step(watch, &found[kind], CONTRADICTION_PACK_S, now_s))
                report_contradiction(device->pack.name, kind, &found[kind], watch->stands, "");
        }
    }
}

/* Packs that BANK names and that are not here, of which the roster knows those that ever were: places that
 * nobody fills, for two of one name fill one. */
static void miss_packs_of_bank(struct engine *engine, struct aggregator_input *in)
{
    const struct shape *shape = &engine->config.shape;
    bool here[SHAPE_PACKS_MAX] = {false};
    size_t filled = 0;

    for (size_t i = 0; i < in->pack_count; i++) {
        int place = aggregator_place(shape, in->packs[i]);

        if (place < 0 || here[place])
            continue;
        here[place] = true;
        filled++;
    }
    if (filled + in->packs_missing >= shape->packs) {
        engine->never_here_s = NAN;
        return;
    }
    if (isnan(engine->never_here_s))
        engine->never_here_s = in->time_s;
    in->lost.longest_s = fmax(in->lost.longest_s, in->time_s - engine->never_here_s);
    in->lost.ever_installed_Ah = NAN;
    for (size_t i = 0; i < shape->packs && !in->lost.name[0]; i++) {
        if (!here[i])
            snprintf(in->lost.name, sizeof in->lost.name, "%s", shape->pack[i]);
    }
    in->packs_missing = shape->packs - filled;
}

bool engine_step(struct engine *engine, double now_s, const struct calendar *today)
{
    const struct pack *packs[OUTPUTS_PACKS_MAX], *incomplete[OUTPUTS_PACKS_MAX];
    struct source sources[SOURCES_MAX];
    const struct system_reading *system = devices_system(&engine->devices);
    const struct settings_reading *settings = devices_settings(&engine->devices);
    bool cells_have_room = true;
    struct aggregator_input in = {
        .time_s = now_s, .packs = packs, .incomplete = incomplete, .sources = sources, .today = *today};

    look_at_roster(engine, now_s);
    report_unmatched(&engine->unmatched, &engine->devices, now_s);
    if (engine->roster.count == 0)
        return false; /* nothing to say yet */
    in.pack_count = devices_packs(&engine->devices, packs, OUTPUTS_PACKS_MAX);
    in.incomplete_count = devices_incomplete(&engine->devices, incomplete, OUTPUTS_PACKS_MAX);
    in.source_count = devices_sources(&engine->devices, sources, SOURCES_MAX);
    in.packs_implausible = devices_implausible(&engine->devices);
    in.packs_incomplete = report_incomplete(&engine->devices, engine->aggregate.bank.voltage_V, now_s);
    in.cannot_save = engine->cannot_save;
    in.packs_missing = roster_missing(&engine->roster);
    if (in.packs_missing > 0)
        roster_lost(&engine->roster, now_s, engine->config.lost_grace_s, &in.lost);
    if (engine->config.shape.packs > 0)
        miss_packs_of_bank(engine, &in);
    in.low_soc = system && system->low_soc > 0;
    in.feed_in = settings ? settings->overvoltage_feed_in : NAN;
    in.settings_silent = engine->settings_silent;
    aggregator_step(&engine->aggregator, &engine->config, &in, &engine->aggregate);

    outputs_set(engine->outputs, &engine->aggregate);
    if (engine->config.send_cell_voltages)
        cells_have_room = outputs_set_cells(engine->outputs, packs, in.pack_count);
    report_room(&engine->report, devices_count_members(&engine->devices), cells_have_room);
    look_for_contradictions(engine, &in);
    show_pages(engine, now_s);
    return true;
}

/* ---- presence ---- */

size_t engine_packs_needed(const struct engine *engine)
{
    size_t named = engine->config.shape.packs;

    if (engine->config.nr_of_batteries != CONFIG_NOT_SET)
        return (size_t)engine->config.nr_of_batteries;
    return named > 0 ? named : 1;
}

enum engine_presence engine_presence(struct engine *engine, double now_s, bool shown)
{
    bool complete = engine->aggregate.bank.packs >= 1; /* of strings: one of them */
    bool counted = engine->config.shape.strings == 0 || engine->config.nr_of_batteries != CONFIG_NOT_SET;

    if (complete && (!counted || engine->aggregate.packs_online >= (double)engine_packs_needed(engine)))
        engine->was_complete = true;
    if (!shown) {
        engine->all_lost_s = NAN;
        complete = complete && !isnan(engine->aggregate.limits.charge_voltage.value);
        return complete && engine->was_complete ? ENGINE_ENTER : ENGINE_STAY;
    }
    if (complete) {
        engine->all_lost_s = NAN;
        return ENGINE_STAY;
    }
    if (isnan(engine->all_lost_s))
        engine->all_lost_s = now_s;
    return now_s - engine->all_lost_s >= AGGREGATOR_LOST_RELEASE_S ? ENGINE_LEAVE : ENGINE_STAY;
}
