#include "venus/discovery.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venus/pattern.h"

#define SERVICE_PREFIX "com.victronenergy."
#define SERVICE_OF_AGGREGATES "com.victronenergy.battery.aggregat" /* aggregate, aggregator */
#define SERVICE_OF_SYSTEM "com.victronenergy.system"
#define SERVICE_OF_SETTINGS "com.victronenergy.settings"

enum { PRODUCT_ID_AGGREGATE = 0xBA44 };

const char *device_role_name(enum device_role role)
{
    static const char *const names[] = {"undecided", "pack",   "shunt",    "Multi",       "MPPT",
                                        "source",    "system", "settings", "not in BANK", "other"};

    return names[role];
}

static bool contains(const char *text, const char *part)
{
    return *part && strstr(text, part);
}

/* What a service measures on the DC side; DC_ANY = nothing that we know. */
static enum dc_class dc_class_of(const struct config *config, const char *service)
{
    if (contains(service, config->multi_keyword))
        return DC_VEBUS;
    if (contains(service, config->mppt_keyword))
        return DC_SOLARCHARGER;
    if (contains(service, config->dcload_service_name))
        return DC_DCLOAD;
    if (contains(service, config->battery_service_name))
        return DC_BATTERY;
    if (strncmp(service, SERVICE_PREFIX, strlen(SERVICE_PREFIX)) != 0)
        return DC_ANY;
    service += strlen(SERVICE_PREFIX);
    return dc_class_find(service, strcspn(service, "."));
}

/* Whether CURRENT_SOURCES may want a service of this class. */
static bool is_wanted(const struct config *config, enum dc_class dc_class)
{
    for (size_t i = 0; i < config->current_sources.count; i++) {
        enum dc_class wanted = config->current_sources.source[i].dc_class;

        if (dc_class != DC_ANY && (wanted == dc_class || wanted == DC_ANY))
            return true;
    }
    return false;
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
             contains(service, config->dcload_service_name) ||
             is_wanted(config, dc_class_of(config, service)))
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

/* A name that is not there now may be there again in a moment. */
static bool lacks_a_name(const struct pack_reading *reading)
{
    return !reading->custom_name[0] || !reading->serial[0] || !reading->product_name[0] ||
           isnan(reading->device_instance);
}

static enum device_naming look_up_naming(const struct config *config, const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;

    if (pattern_list_names(&config->ignore, reading))
        return NAMED_IGNORED;
    if (device->naming == NAMED_IGNORED && lacks_a_name(reading))
        return NAMED_IGNORED;
    if (pattern_list_names(&config->packs, reading))
        return NAMED_PACK;
    return lacks_a_name(reading) ? device->naming : NAMED_NOT;
}

static const struct pack_shunt *look_up_shunt(const struct config *config, const struct inputs *inputs,
                                              const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;
    const char *called = inputs_text(inputs, CLASS_BATTERY, config->battery_instance_name_path, reading);

    for (size_t i = 0; i < config->pack_shunts.count; i++) {
        const struct pack_shunt *shunt = &config->pack_shunts.shunt[i];

        if (pattern_names(shunt->pack, reading) || (called && strcmp(called, shunt->pack) == 0))
            return shunt;
    }
    return lacks_a_name(reading) ? device->shunt : NULL;
}

static bool measures_pack(const struct config *config, const struct device *device)
{
    for (size_t i = 0; i < config->pack_shunts.count; i++) {
        if (discovery_instance(device) == config->pack_shunts.shunt[i].instance)
            return true;
    }
    return false;
}

static bool source_names(const struct current_source *source, const struct config *config,
                         const struct device *device)
{
    if (source->dc_class != DC_ANY && source->dc_class != dc_class_of(config, device->service))
        return false;
    return source->instance == CONFIG_NOT_SET || discovery_instance(device) == source->instance;
}

/* The more exact element of CURRENT_SOURCES prevails: an instance over its class. */
static const struct current_source *look_up_source(const struct config *config, const struct device *device)
{
    const struct current_source *found = NULL;

    for (size_t i = 0; i < config->current_sources.count; i++) {
        const struct current_source *source = &config->current_sources.source[i];

        if ((!found || source->instance != CONFIG_NOT_SET) && source_names(source, config, device))
            found = source;
    }
    return found;
}

void discovery_look_up(const struct config *config, const struct inputs *inputs, struct device *device)
{
    if (device->device_class != CLASS_BATTERY && device->device_class != CLASS_SOURCE)
        return;
    device->counts = look_up_source(config, device);
    device->measures_pack =
        (device->device_class == CLASS_BATTERY || contains(device->service, config->dcload_service_name)) &&
        measures_pack(config, device);
    if (device->device_class == CLASS_SOURCE)
        return;
    device->naming = look_up_naming(config, device);
    device->shunt = look_up_shunt(config, inputs, device);
}

static bool shows_limits_or_cells(const struct pack_reading *reading)
{
    return !isnan(reading->charge_voltage_max_V) || pack_reading_has_cells(reading);
}

static enum device_role battery_role(const struct config *config, const struct inputs *inputs,
                                     const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;
    const char *product = inputs_text(inputs, CLASS_BATTERY, config->battery_product_name_path, reading);

    if (device->scanned && device->naming == NAMED_IGNORED)
        return ROLE_OTHER;
    if (!device->scanned || reading->connected == 0)
        return ROLE_UNDECIDED;
    if (reading->product_id == PRODUCT_ID_AGGREGATE || contains(reading->product_name, "Aggregat"))
        return ROLE_OTHER;
    if (is_shunt(config, reading->product_name) || (device->measures_pack && !shows_limits_or_cells(reading)))
        return ROLE_SHUNT;
    if (config->packs.count > 0)
        return device->naming == NAMED_PACK ? ROLE_PACK : ROLE_OTHER;
    if (config->battery_product_names.count > 0 && product && *product)
        return pattern_list_in(&config->battery_product_names, product) ? ROLE_PACK : ROLE_OTHER;
    if (config->battery_product_names.count > 0) /* a name that falls silent unmakes no pack */
        return device->role == ROLE_PACK ? ROLE_PACK : ROLE_OTHER;
    if (shows_limits_or_cells(reading))
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
    if (!contains(device->service, config->dcload_service_name))
        return ROLE_SOURCE;
    if (device->measures_pack || is_shunt(config, device->source.product_name))
        return ROLE_SHUNT;
    return device->counts ? ROLE_SOURCE : ROLE_OTHER;
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
        return device->source.device_instance;
    return NAN;
}

/* Which of its currents counts, and how. */
static enum source_kind source_kind_of(const struct config *config, const struct device *device)
{
    enum dc_class dc_class = dc_class_of(config, device->service);

    if (device->role == ROLE_SHUNT)
        return device->device_class == CLASS_BATTERY ? SOURCE_SHUNT_BATTERY : SOURCE_SHUNT_LOAD;
    if (device->role == ROLE_MULTI || dc_class == DC_MULTI || dc_class == DC_ACSYSTEM)
        return SOURCE_MULTI;
    if (device->role == ROLE_MPPT)
        return SOURCE_MPPT;
    return dc_class == DC_DCDC && device->counts && device->counts->sign <= 0 ? SOURCE_BY_INPUT
                                                                              : SOURCE_OTHER;
}

/* 0 where the kind has its own idea: shunts that are not told their sign follow INVERT_SMARTSHUNTS. */
static double source_sign(const struct config *config, const struct device *device)
{
    if (device->counts && device->counts->sign != 0)
        return device->counts->sign;
    return device->role == ROLE_SOURCE ? dc_class_sign(dc_class_of(config, device->service)) : 0;
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
                                                                : (const void *)&device->source;
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

/* Where the sources of a bank gather. */
struct source_list {
    struct source *source;
    size_t count, max;
};

/* A new one of which nothing is known yet; NULL when there is no room. */
static struct source *add_source(struct source_list *list, enum source_kind kind, double sign,
                                 const char *name)
{
    struct source *source = list->count < list->max ? &list->source[list->count++] : NULL;

    if (!source)
        return NULL;
    *source = (struct source){.kind = kind,
                              .sign = sign,
                              .connected = NAN,
                              .current_A = NAN,
                              .input_current_A = NAN,
                              .state = NAN,
                              .status_code = NAN};
    snprintf(source->name, sizeof source->name, "%.*s", READING_TEXT_MAX - 1, name);
    return source;
}

static void add_device(struct source_list *list, const struct config *config, const struct device *device)
{
    bool is_battery = device->device_class == CLASS_BATTERY;
    const char *name = is_battery ? device->pack.reading.custom_name : device->source.custom_name;
    struct source *source = add_source(list, source_kind_of(config, device), source_sign(config, device),
                                       name[0] ? name : device->service);

    if (!source)
        return;
    source->silent = device->stale;
    if (is_battery) {
        source->connected = device->pack.reading.connected;
        source->current_A = device->pack.reading.current_A;
        return;
    }
    source->connected = device->source.connected;
    source->current_A = device->source.current_A;
    source->input_current_A = device->source.input_current_A;
    source->state = device->source.state;
    source->status_code = device->source.status_code;
}

/* A shunt that the user names but that is not here: it cannot be read. */
static void add_absent_shunts(const struct devices *devices, struct source_list *sources)
{
    const struct name_list *list = &devices->config->smartshunts;

    if (devices->config->use_smartshunts != SHUNTS_LISTED)
        return;
    for (size_t i = 0; i < list->count; i++) {
        bool here = false;

        for (size_t k = 0; k < devices->count && !here; k++)
            here = devices->device[k]->role == ROLE_SHUNT &&
                   is_listed(devices, devices->device[k], list->name[i]);
        if (!here)
            add_source(sources, SOURCE_SHUNT_BATTERY, 0, list->name[i]);
    }
}

/* Likewise of CURRENT_SOURCES, the instances: classes may be empty. */
static void add_absent_instances(const struct devices *devices, struct source_list *sources)
{
    const struct current_sources *list = &devices->config->current_sources;

    for (size_t i = 0; i < list->count; i++) {
        const struct current_source *source = &list->source[i];
        bool shunt = source->dc_class == DC_BATTERY || source->dc_class == DC_DCLOAD;
        bool here = source->instance == CONFIG_NOT_SET;
        char name[READING_TEXT_MAX];

        for (size_t k = 0; k < devices->count && !here; k++)
            here = devices->device[k]->counts && devices->device[k]->role != ROLE_PACK &&
                   source_names(source, devices->config, devices->device[k]);
        if (here)
            continue;
        snprintf(name, sizeof name, "%s#%d", dc_class_name(source->dc_class), source->instance);
        add_source(sources, shunt ? SOURCE_SHUNT_BATTERY : SOURCE_OTHER, 0, name);
    }
}

static bool is_counted(const struct devices *devices, const struct device *device)
{
    switch (device->role) {
    case ROLE_MULTI:
    case ROLE_MPPT:
    case ROLE_SOURCE:
        return device->counts;
    case ROLE_SHUNT:
        return !device->measures_pack && (device->counts || is_chosen(devices, device));
    default:
        return false;
    }
}

size_t devices_sources(const struct devices *devices, struct source sources[], size_t max)
{
    struct source_list list = {sources, 0, max};

    for (size_t i = 0; i < devices->count; i++) {
        if (is_counted(devices, devices->device[i]))
            add_device(&list, devices->config, devices->device[i]);
    }
    add_absent_shunts(devices, &list);
    add_absent_instances(devices, &list);
    return list.count;
}
