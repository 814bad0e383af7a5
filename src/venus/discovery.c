#include "venus/discovery.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE_OF_AGGREGATES "com.victronenergy.battery.aggregat" /* aggregate, aggregator */
#define SERVICE_OF_SYSTEM "com.victronenergy.system"
#define SERVICE_OF_SETTINGS "com.victronenergy.settings"

enum { PRODUCT_ID_AGGREGATE = 0xBA44 };

const char *device_role_name(enum device_role role)
{
    static const char *const names[] = {"undecided", "pack",     "shunt",       "Multi", "MPPT",
                                        "system",    "settings", "not in BANK", "other"};

    return names[role];
}

static bool contains(const char *text, const char *part)
{
    return *part && strstr(text, part);
}

bool devices_class_of(const struct config *config, const char *service, enum device_class *device_class)
{
    if (strcmp(service, SERVICE_OF_SYSTEM) == 0)
        *device_class = CLASS_SYSTEM;
    else if (strcmp(service, SERVICE_OF_SETTINGS) == 0)
        *device_class = CLASS_SETTINGS;
    else if (strncmp(service, SERVICE_OF_AGGREGATES, strlen(SERVICE_OF_AGGREGATES)) == 0)
        return false;
    else if (contains(service, config->battery_service_name))
        *device_class = CLASS_BATTERY;
    else if (contains(service, config->multi_keyword) || contains(service, config->mppt_keyword) ||
             contains(service, config->dcload_service_name))
        *device_class = CLASS_SOURCE;
    else
        return false;
    return true;
}

static bool is_shunt(const struct config *config, const char *product_name)
{
    return contains(product_name, config->smartshunt_name_keyword) || contains(product_name, "SmartShunt") ||
           contains(product_name, "BMV");
}

static enum device_role battery_role(const struct config *config, const struct inputs *inputs,
                                     const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;
    const char *product = inputs_text(inputs, CLASS_BATTERY, config->battery_product_name_path, reading);

    if (!device->scanned || reading->connected == 0)
        return ROLE_UNDECIDED;
    if (reading->product_id == PRODUCT_ID_AGGREGATE || contains(reading->product_name, "Aggregat"))
        return ROLE_OTHER;
    if (is_shunt(config, reading->product_name))
        return ROLE_SHUNT;
    if (config->battery_product_name[0])
        return product && contains(product, config->battery_product_name) ? ROLE_PACK : ROLE_OTHER;
    if (!isnan(reading->charge_voltage_max_V) || pack_reading_has_cells(reading))
        return ROLE_PACK;
    /* A pack that has begun to speak stays one, whatever falls silent. */
    return device->role == ROLE_PACK ? ROLE_PACK : ROLE_UNDECIDED;
}

/* Where BANK names the packs, a battery that it does not name is none of them. */
static bool is_named(const struct config *config, const struct inputs *inputs, const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;
    const char *name = inputs_text(inputs, CLASS_BATTERY, config->battery_instance_name_path, reading);

    return config->shape.strings == 0 ||
           shape_find(&config->shape, name ? name : "", reading->serial, reading->device_instance) >= 0 ||
           shape_find(&config->shape, device->pack.name, reading->serial, reading->device_instance) >= 0;
}

static enum device_role source_role(const struct config *config, const struct device *device)
{
    if (contains(device->service, config->multi_keyword))
        return ROLE_MULTI;
    if (contains(device->service, config->mppt_keyword))
        return ROLE_MPPT;
    if (!device->scanned)
        return ROLE_UNDECIDED;
    return is_shunt(config, device->source.reading.product_name) ? ROLE_SHUNT : ROLE_OTHER;
}

enum device_role discovery_role(const struct config *config, const struct inputs *inputs,
                                const struct device *device)
{
    enum device_role role;

    switch (device->device_class) {
    case CLASS_BATTERY:
        role = battery_role(config, inputs, device);
        return role == ROLE_PACK && !is_named(config, inputs, device) ? ROLE_NOT_IN_BANK : role;
    case CLASS_SOURCE:
        return source_role(config, device);
    case CLASS_SYSTEM:
        return ROLE_SYSTEM;
    case CLASS_SETTINGS:
        return ROLE_SETTINGS;
    case CLASS_COUNT:
        break;
    }
    return ROLE_OTHER;
}

double discovery_instance(const struct device *device)
{
    if (device->device_class == CLASS_BATTERY)
        return device->pack.reading.device_instance;
    if (device->device_class == CLASS_SOURCE)
        return device->source.reading.device_instance;
    return NAN;
}

void discovery_as_source(const struct config *config, struct device *device)
{
    const struct pack_reading *from = &device->pack.reading;

    if (device->device_class == CLASS_SOURCE) {
        device->source.kind = device->role == ROLE_MULTI  ? SOURCE_MULTI
                              : device->role == ROLE_MPPT ? SOURCE_MPPT
                                                          : SOURCE_SHUNT_LOAD;
        snprintf(device->source.name, sizeof device->source.name, "%.*s", READING_TEXT_MAX - 1,
                 device->source.reading.custom_name[0] ? device->source.reading.custom_name
                                                       : device->service);
        return;
    }
    if (device->role != ROLE_SHUNT)
        return;
    (void)config;
    device->as_source.kind = SOURCE_SHUNT_BATTERY;
    device->as_source.reading.connected = from->connected;
    device->as_source.reading.voltage_V = from->voltage_V;
    device->as_source.reading.current_A = from->current_A;
    snprintf(device->as_source.name, sizeof device->as_source.name, "%.*s", READING_TEXT_MAX - 1,
             from->custom_name[0] ? from->custom_name : device->service);
}

static const char *last_part(const char *service)
{
    const char *dot = strrchr(service, '.');

    return dot ? dot + 1 : service;
}

/* What a pack would like to be called. */
static void claimed_name(const struct devices *devices, const struct device *device, char *name)
{
    const struct pack_reading *reading = &device->pack.reading;
    const char *wish =
        inputs_text(devices->inputs, CLASS_BATTERY, devices->config->battery_instance_name_path, reading);

    if (wish && *wish)
        snprintf(name, READING_TEXT_MAX, "%s", wish);
    else if (reading->serial[0])
        snprintf(name, READING_TEXT_MAX, "%s", reading->serial);
    else if (!isnan(reading->device_instance))
        snprintf(name, READING_TEXT_MAX, "%.30s #%.0f",
                 reading->product_name[0] ? reading->product_name : "Pack", reading->device_instance);
    else
        snprintf(name, READING_TEXT_MAX, "%.*s", READING_TEXT_MAX - 1, last_part(device->service));
}

/* How many other packs claim the same name; how many of them also have the same serial, instance. */
struct clash {
    size_t names, serials, instances;
};

static struct clash count_clashes(const struct devices *devices, const struct device *device)
{
    const struct pack_reading *mine = &device->pack.reading;
    char name[READING_TEXT_MAX];
    struct clash clash = {0};

    claimed_name(devices, device, name);
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *other = devices->device[i];
        char others_name[READING_TEXT_MAX];

        if (other == device || other->role != ROLE_PACK)
            continue;
        claimed_name(devices, other, others_name);
        if (strcmp(name, others_name) != 0)
            continue;
        clash.names++;
        clash.serials += strcmp(mine->serial, other->pack.reading.serial) == 0;
        clash.instances += !(mine->device_instance < other->pack.reading.device_instance ||
                             mine->device_instance > other->pack.reading.device_instance);
    }
    return clash;
}

bool discovery_name_shared(const struct devices *devices, const struct device *device)
{
    return count_clashes(devices, device).names > 0;
}

static void unique_name(const struct devices *devices, const struct device *device, char *name)
{
    const struct pack_reading *reading = &device->pack.reading;
    struct clash clash = count_clashes(devices, device);
    char claimed[READING_TEXT_MAX];

    claimed_name(devices, device, claimed);
    if (clash.names == 0)
        snprintf(name, READING_TEXT_MAX, "%s", claimed);
    else if (reading->serial[0] && clash.serials == 0 && strcmp(claimed, reading->serial) != 0)
        snprintf(name, READING_TEXT_MAX, "%.22s (%.22s)", claimed, reading->serial);
    else if (!isnan(reading->device_instance) && clash.instances == 0)
        snprintf(name, READING_TEXT_MAX, "%.32s #%.0f", claimed, reading->device_instance);
    else
        snprintf(name, READING_TEXT_MAX, "%.22s (%.22s)", claimed, last_part(device->service));
}

bool discovery_name_packs(struct devices *devices)
{
    bool changed = false;

    for (size_t i = 0; i < devices->count; i++) {
        struct device *device = devices->device[i];
        char name[READING_TEXT_MAX];

        if (device->role != ROLE_PACK)
            continue;
        unique_name(devices, device, name);
        if (strcmp(name, device->pack.name) == 0)
            continue;
        memcpy(device->pack.name, name, sizeof name);
        changed = true;
    }
    return changed;
}

/* Whether USE_SMARTSHUNTS names this shunt, by instance or by name. */
static bool is_listed(const struct devices *devices, const struct device *device, const char *wanted)
{
    const void *reading = device->device_class == CLASS_BATTERY ? (const void *)&device->pack.reading
                                                                : (const void *)&device->source.reading;
    const char *name = inputs_text(devices->inputs, device->device_class,
                                   devices->config->smartshunt_instance_name_path, reading);
    char *end;
    double instance = strtod(wanted, &end);

    if (end != wanted && *end == '\0' && instance == discovery_instance(device))
        return true;
    return name && strcmp(name, wanted) == 0;
}

static bool is_chosen(const struct devices *devices, const struct device *device)
{
    const struct config *config = devices->config;

    switch (config->use_smartshunts) {
    case SHUNTS_ALL:
        return true;
    case SHUNTS_LISTED:
        for (size_t i = 0; i < config->smartshunts.count; i++) {
            if (is_listed(devices, device, config->smartshunts.name[i]))
                return true;
        }
        return false;
    case SHUNTS_NONE:
        break;
    }
    return config->smartshunt_as_battery_current && device->device_class == CLASS_BATTERY;
}

/* Shunts that the user lists but that are not here: sources that cannot be read. */
static size_t add_absent(const struct devices *devices, struct source absent[],
                         const struct source *sources[], size_t count, size_t max)
{
    const struct name_list *list = &devices->config->smartshunts;

    if (devices->config->use_smartshunts != SHUNTS_LISTED)
        return count;
    for (size_t i = 0; i < list->count && count < max; i++) {
        bool here = false;

        for (size_t k = 0; k < devices->count && !here; k++)
            here = devices->device[k]->role == ROLE_SHUNT &&
                   is_listed(devices, devices->device[k], list->name[i]);
        if (here)
            continue;
        source_reading_clear(&absent[i].reading);
        absent[i].kind = SOURCE_SHUNT_BATTERY;
        snprintf(absent[i].name, sizeof absent[i].name, "%.*s", READING_TEXT_MAX - 1, list->name[i]);
        sources[count++] = &absent[i];
    }
    return count;
}

size_t devices_sources(const struct devices *devices, struct source absent[], const struct source *sources[],
                       size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count && count < max; i++) {
        const struct device *device = devices->device[i];

        if (device->role == ROLE_MULTI || device->role == ROLE_MPPT)
            sources[count++] = &device->source;
        else if (device->role == ROLE_SHUNT && is_chosen(devices, device))
            sources[count++] = device->device_class == CLASS_BATTERY ? &device->as_source : &device->source;
    }
    return add_absent(devices, absent, sources, count, max);
}
