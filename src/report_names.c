#include "report_names.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "settings_table.h"
#include "venus/pattern.h"

enum { HERE_MAX = 400 };

/* "House 1" (SerialBattery, #1, serial 42); ... */
static size_t describe_batteries(const struct devices *devices, char *text, size_t size)
{
    size_t batteries = 0;
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];
        const struct pack_reading *reading = &device->pack.reading;

        if (device->device_class != CLASS_BATTERY || !device->scanned)
            continue;
        if (used < size)
            used += (size_t)snprintf(text + used, size - used, "%s\"%s\" (%s, #%.0f, serial \"%s\")",
                                     batteries > 0 ? "; " : "", reading->custom_name, reading->product_name,
                                     reading->device_instance, reading->serial);
        batteries++;
    }
    return batteries;
}

static bool fits_any(const struct devices *devices, const char *pattern)
{
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];

        if (device->device_class == CLASS_BATTERY && device->scanned &&
            pattern_names(pattern, &device->pack.reading))
            return true;
    }
    return false;
}

static void say_unmatched(const struct devices *devices, const char *key, const struct pattern_list *list,
                          const char *here)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!fits_any(devices, list->pattern[i]))
            log_warning("%s: '%s' fits no battery. Here are: %s", key, list->pattern[i], here);
    }
}

/* One battery under two of its names, of which the settings alone do not tell that they are one's. */
static void say_ignored_packs(const struct devices *devices)
{
    const struct pattern_list *packs = &devices->config->packs;
    const struct pattern_list *ignore = &devices->config->ignore;

    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];

        for (size_t k = 0; k < packs->count && device->naming == NAMED_IGNORED; k++) {
            if (strpbrk(packs->pattern[k], "*?") || pattern_list_covers(ignore, packs->pattern[k]) ||
                !pattern_names(packs->pattern[k], &device->pack.reading))
                continue;
            log_warning(
                "PACKS: '%s' is %s, \"%s\", which IGNORE names too: IGNORE prevails, it is no pack. Take "
                "it out of one of them",
                packs->pattern[k], device->service, device->pack.reading.custom_name);
        }
    }
}

static void say_unmatched_shunts(const struct devices *devices, const char *here)
{
    const struct pack_shunts *list = &devices->config->pack_shunts;

    for (size_t i = 0; i < list->count; i++) {
        bool found = false;

        for (size_t k = 0; k < devices->count && !found; k++)
            found = devices->device[k]->shunt == &list->shunt[i];
        if (!found)
            log_warning("PACK_SHUNT: '%s' is no pack. Here are: %s", list->shunt[i].pack, here);
    }
}

static bool is_called(const struct devices *devices, const struct device *device, size_t place)
{
    const struct config *config = devices->config;
    const struct pack_reading *reading = &device->pack.reading;
    const char *names[] = {
        inputs_text(devices->inputs, CLASS_BATTERY, config->battery_instance_name_path, reading),
        device->pack.name, reading->custom_name};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (shape_calls(&config->shape, place, names[i] ? names[i] : "", reading->serial,
                        reading->device_instance))
            return true;
    }
    return false;
}

static const struct device *pack_at(const struct devices *devices, size_t place)
{
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];

        if (device->device_class == CLASS_BATTERY && device->scanned && is_called(devices, device, place))
            return device;
    }
    return NULL;
}

/* The battery whose name is the least misspelt by this; "" when none is near. */
static const char *nearest_name(const struct devices *devices, const char *called)
{
    size_t fewest = 2 + strlen(called) / 5;
    const char *nearest = "";

    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];
        size_t edits = settings_edits(called, device->pack.reading.custom_name);

        if (device->device_class != CLASS_BATTERY || !device->scanned || edits >= fewest)
            continue;
        fewest = edits;
        nearest = device->pack.reading.custom_name;
    }
    return nearest;
}

/* A name in BANK that is nobody's, or that of a pack that stands there under another one, leaves its string
 * open. */
static void say_unmatched_bank(const struct devices *devices, const char *here)
{
    const struct shape *shape = &devices->config->shape;

    for (size_t i = 0; i < shape->packs; i++) {
        const struct device *device = pack_at(devices, i);
        const char *nearest = nearest_name(devices, shape->pack[i]);

        if (!device)
            log_error("BANK: '%s' is no pack that is here.%s%s%s Here are: %s", shape->pack[i],
                      *nearest ? " Is \"" : "", nearest, *nearest ? "\" meant?" : "", here);
        for (size_t k = 0; device && k < i; k++) {
            if (is_called(devices, device, k))
                log_error("BANK: '%s' and '%s' are one pack, \"%s\". A pack is in the bank once",
                          shape->pack[k], shape->pack[i], device->pack.name);
        }
    }
}

void report_unmatched(struct report_unmatched *report, const struct devices *devices, double now_s)
{
    char here[HERE_MAX];

    if (report->said)
        return;
    if (!report->begun || report->devices != devices->count) {
        report->begun = true;
        report->devices = devices->count;
        report->change_s = now_s;
    }
    if (now_s - report->change_s < REPORT_SETTLED_S || describe_batteries(devices, here, sizeof here) == 0)
        return;
    report->said = true;
    say_unmatched(devices, "PACKS", &devices->config->packs, here);
    say_unmatched(devices, "IGNORE", &devices->config->ignore, here);
    say_ignored_packs(devices);
    say_unmatched_shunts(devices, here);
    say_unmatched_bank(devices, here);
}

static void look_at_shunt(const struct devices *devices, struct device *device, double now_s)
{
    struct device_shunt_state *state = &device->shunt_state;
    bool missing = !devices_shunt_of(devices, device);

    if (missing && !state->missing)
        state->since_s = now_s;
    state->missing = missing;
    if (missing == state->said || (missing && now_s - state->since_s < REPORT_SHUNT_S))
        return;
    state->said = missing;
    if (missing)
        log_warning("Pack \"%s\": its shunt #%d cannot be read, so its own current%s stand%s in",
                    device->pack.name, device->shunt->instance, device->shunt->soc ? " and SoC" : "",
                    device->shunt->soc ? "" : "s");
    else
        log_info("Pack \"%s\": its shunt #%d can be read again", device->pack.name, device->shunt->instance);
}

void report_shunts(struct devices *devices, double now_s)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (devices->device[i]->member && devices->device[i]->shunt)
            look_at_shunt(devices, devices->device[i], now_s);
    }
}

static bool is_incomplete(const struct device *device, double bank_V)
{
    return device->device_class == CLASS_BATTERY && device->role == ROLE_PACK && device->scanned &&
           !device->member && !device->stale && device->waits_for &&
           !pack_is_elsewhere(&device->pack, bank_V);
}

size_t report_incomplete(struct devices *devices, double bank_V, double now_s)
{
    size_t said = 0;

    for (size_t i = 0; i < devices->count; i++) {
        struct device *device = devices->device[i];

        if (!is_incomplete(device, bank_V)) {
            device->incomplete_s = NAN;
            device->incomplete_said = false;
            continue;
        }
        if (isnan(device->incomplete_s))
            device->incomplete_s = now_s;
        if (!device->incomplete_said && now_s - device->incomplete_s >= REPORT_INCOMPLETE_S) {
            device->incomplete_said = true;
            log_warning(
                "Pack \"%s\" (%s) is not in the bank, for it lacks %s: only what lowers a limit counts",
                device->pack.name, device->service, device->waits_for);
        }
        said += device->incomplete_said;
    }
    return said;
}
