#include "venus/devices.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "venus/discovery.h"

void devices_init(struct devices *devices, const struct config *config, const struct inputs *inputs)
{
    memset(devices, 0, sizeof *devices);
    devices->config = config;
    devices->inputs = inputs;
}

void devices_clear(struct devices *devices)
{
    while (devices->count > 0)
        devices_remove(devices, devices->device[devices->count - 1]);
}

static void reading_clear(struct device *device)
{
    switch (device->device_class) {
    case CLASS_BATTERY:
        pack_clear(&device->pack);
        break;
    case CLASS_SOURCE:
        source_reading_clear(&device->source);
        break;
    case CLASS_SYSTEM:
        device->system.low_soc = NAN;
        break;
    case CLASS_SETTINGS:
        device->settings = (struct settings_reading){.overvoltage_feed_in = NAN};
        break;
    case CLASS_COUNT:
        break;
    }
}

struct device *devices_add(struct devices *devices, const char *service, enum device_class device_class)
{
    size_t length = strnlen(service, DEVICE_SERVICE_MAX - 1);
    struct device *device;

    if (devices->count == DEVICES_MAX)
        return NULL;
    device = calloc(1, sizeof *device + length + 1);
    if (!device)
        return NULL;
    memcpy(device->service, service, length);
    device->device_class = device_class;
    device->heard_s = device->incomplete_s = NAN;
    reading_clear(device);
    if (device_class == CLASS_BATTERY)
        device->pack.visit = ++devices->visits;
    devices->device[devices->count++] = device;
    return device;
}

static size_t device_index(const struct devices *devices, const struct device *device)
{
    size_t i = 0;

    while (devices->device[i] != device)
        i++;
    return i;
}

void devices_remove(struct devices *devices, struct device *device)
{
    size_t i = device_index(devices, device);

    memmove(&devices->device[i], &devices->device[i + 1], (devices->count - i - 1) * sizeof(struct device *));
    devices->count--;
    free(device->with_shunt);
    free(device);
    discovery_name_packs(devices);
}

static void *device_reading(struct device *device)
{
    switch (device->device_class) {
    case CLASS_BATTERY:
        return &device->pack.reading;
    case CLASS_SOURCE:
        return &device->source;
    case CLASS_SYSTEM:
        return &device->system;
    case CLASS_SETTINGS:
    case CLASS_COUNT:
        break;
    }
    return &device->settings;
}

double devices_number(const struct devices *devices, const struct device *device, int index)
{
    return inputs_number(devices->inputs, device->device_class, index,
                         device_reading((struct device *)device));
}

static void note_implausible(struct devices *devices, struct device *device, int index, bool implausible)
{
    uint64_t *word = &device->implausible[(size_t)index / 64];
    uint64_t bit = UINT64_C(1) << (index % 64);

    if (inputs_kind(devices->inputs, device->device_class, index) == INPUT_PLAIN ||
        ((*word & bit) != 0) == implausible)
        return;
    *word ^= bit;
    device->implausible_count += implausible ? 1 : -1;
}

size_t devices_implausible(const struct devices *devices)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count; i++)
        count += devices->device[i]->role == ROLE_PACK && devices->device[i]->implausible_count > 0;
    return count;
}

/* Who a battery is does not become unknown while its service stays: names, strings and histories hang on it.
 */
static void keep_serial(struct device *device)
{
    char *told = device->pack.reading.serial;

    if (*told)
        memcpy(device->serial, told, READING_TEXT_MAX);
    else
        memcpy(told, device->serial, READING_TEXT_MAX);
}

enum input_result devices_store(struct devices *devices, struct device *device, int index,
                                const struct value *value)
{
    enum input_result result =
        inputs_store(devices->inputs, device->device_class, index, value, device_reading(device));

    if (result == INPUT_IMPLAUSIBLE || device->implausible_count > 0)
        note_implausible(devices, device, index, result == INPUT_IMPLAUSIBLE);
    if (result != INPUT_SAME && inputs_is_identity(devices->inputs, device->device_class, index))
        device->identity_changed = true;
    if (device->identity_changed && device->device_class == CLASS_BATTERY)
        keep_serial(device);
    return result;
}

/* A stable order whatever the order of arrival: by instance, then by service. */
static int device_order(const void *a, const void *b)
{
    const struct device *first = *(struct device *const *)a;
    const struct device *second = *(struct device *const *)b;
    double by_instance = discovery_instance(first) - discovery_instance(second);

    if (by_instance < 0 || by_instance > 0) /* an unknown instance compares as neither */
        return by_instance < 0 ? -1 : 1;
    return strcmp(first->service, second->service);
}

/* A driver whose BMS does not answer keeps limits and SoC at their last values for up to half an hour; it
 * is the voltage and the current that it takes back. */
static bool is_mute(const struct device *device)
{
    return device->device_class == CLASS_BATTERY && isnan(device->pack.reading.voltage_V) &&
           isnan(device->pack.reading.current_A);
}

/* What a pack shows, with what its shunt measures in its place. */
static void look_through_shunt(const struct device *device, const struct device *shunt, struct pack *out)
{
    bool load = shunt->device_class == CLASS_SOURCE;
    double current_A = load ? shunt->source.current_A : shunt->pack.reading.current_A;
    struct pack_reading *reading = &out->reading;

    *out = device->pack;
    reading->current_A = (load != device->shunt->inverted) ? -current_A : current_A;
    reading->power_W = NAN; /* it follows */
    if (!device->shunt->soc || load || isnan(shunt->pack.reading.soc_pct))
        return;
    reading->soc_pct = shunt->pack.reading.soc_pct;
    reading->capacity_Ah = NAN; /* it follows */
    reading->consumed_Ah = shunt->pack.reading.consumed_Ah;
    reading->time_to_go_s = shunt->pack.reading.time_to_go_s;
}

static bool is_shunt_of(const struct device *shunt, const struct pack_shunt *wanted)
{
    double current_A =
        shunt->device_class == CLASS_SOURCE ? shunt->source.current_A : shunt->pack.reading.current_A;

    return shunt->role == ROLE_SHUNT && shunt->measures_pack && !shunt->stale && !isnan(current_A) &&
           discovery_instance(shunt) == wanted->instance;
}

const struct device *devices_shunt_of(const struct devices *devices, const struct device *device)
{
    if (!device->shunt || !device->with_shunt)
        return NULL;
    for (size_t i = 0; i < devices->count; i++) {
        if (is_shunt_of(devices->device[i], device->shunt))
            return devices->device[i];
    }
    return NULL;
}

/* The pack as the bank sees it. */
static const struct pack *seen_pack(const struct devices *devices, const struct device *device)
{
    const struct device *shunt = device->shunt ? devices_shunt_of(devices, device) : NULL;

    if (!device->shunt || !shunt)
        return &device->pack;
    look_through_shunt(device, shunt, device->with_shunt);
    return device->with_shunt;
}

/* The common case, many times a second: values, and nothing of who it is. */
static bool is_settled(const struct device *device)
{
    if (device->identity_changed)
        return false;
    return device->device_class != CLASS_BATTERY || (device->member && !is_mute(device));
}

bool devices_settle(struct devices *devices, struct device *device)
{
    enum device_role role;
    bool member = false;
    bool changed;

    if (device->device_class == CLASS_BATTERY)
        pack_remember(&device->pack);
    if (is_settled(device))
        return false;
    discovery_look_up(devices->config, devices->inputs, device);
    if (device->shunt && !device->with_shunt)
        device->with_shunt = malloc(sizeof *device->with_shunt); /* without it the pack's own values count */
    role = discovery_role(devices->config, devices->inputs, device);
    if (role == ROLE_PACK)
        member = (device->member || pack_is_complete(devices->config, &seen_pack(devices, device)->reading,
                                                     &device->waits_for)) &&
                 !device->stale && !is_mute(device);
    changed = role != device->role || member != device->member;
    device->role = role;
    device->member = member;
    device->identity_changed = false;
    if (changed)
        qsort(devices->device, devices->count, sizeof(struct device *), device_order);
    return discovery_name_packs(devices) || changed;
}

/* A member that the settings now want to know more of, with what it showed last. */
static bool has_shown_enough(const struct devices *devices, struct device *device)
{
    const struct pack_last *last = &device->pack.last;
    struct pack_reading reading = device->pack.reading;

    reading.voltage_V = reading.current_A = reading.soc_pct = 0; /* it has shown these */
    reading.charge_voltage_max_V = pack_now_or_last(reading.charge_voltage_max_V, last->charge_voltage_max_V);
    reading.charge_current_max_A = pack_now_or_last(reading.charge_current_max_A, last->charge_current_max_A);
    reading.discharge_current_max_A =
        pack_now_or_last(reading.discharge_current_max_A, last->discharge_current_max_A);
    reading.cell_voltage_max_V = pack_now_or_last(reading.cell_voltage_max_V, last->cell_voltage_max_V);
    reading.cell_voltage_min_V = pack_now_or_last(reading.cell_voltage_min_V, last->cell_voltage_min_V);
    reading.cells_in_series = pack_now_or_last(reading.cells_in_series, last->cells_in_series);
    for (size_t i = 0; i < READING_CELLS_MAX; i++)
        reading.cell_V[i] = pack_now_or_last(reading.cell_V[i], last->cell_V[i]);
    return pack_is_complete(devices->config, &reading, &device->waits_for);
}

void devices_decide_anew(struct devices *devices, bool needs)
{
    for (size_t i = 0; i < devices->count; i++) {
        struct device *device = devices->device[i];

        if (needs && device->member && !has_shown_enough(devices, device)) {
            device->member = false;
            device->incomplete_s = -INFINITY; /* no moment of grace: it was led until now */
        }
        device->identity_changed = true;
        device->naming = NAMED_NOT;
        device->shunt = NULL;
    }
}

size_t devices_packs(const struct devices *devices, const struct pack *packs[], size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count && count < max; i++) {
        if (devices->device[i]->member)
            packs[count++] = seen_pack(devices, devices->device[i]);
    }
    return count;
}

size_t devices_incomplete(const struct devices *devices, const struct pack *packs[], size_t max)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count && count < max; i++) {
        const struct device *device = devices->device[i];

        if (device->role == ROLE_PACK && !device->member && device->scanned && !device->stale &&
            !is_mute(device))
            packs[count++] = seen_pack(devices, device);
    }
    return count;
}

const struct device *devices_find(const struct devices *devices, const char *service)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (strcmp(devices->device[i]->service, service) == 0)
            return devices->device[i];
    }
    return NULL;
}

size_t devices_count_members(const struct devices *devices)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count; i++)
        count += devices->device[i]->member;
    return count;
}

size_t devices_count_role(const struct devices *devices, enum device_role role)
{
    size_t count = 0;

    for (size_t i = 0; i < devices->count; i++)
        count += devices->device[i]->role == role;
    return count;
}

static const struct device *find_role(const struct devices *devices, enum device_role role)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (devices->device[i]->role == role)
            return devices->device[i];
    }
    return NULL;
}

const struct system_reading *devices_system(const struct devices *devices)
{
    const struct device *device = find_role(devices, ROLE_SYSTEM);

    return device ? &device->system : NULL;
}

const struct settings_reading *devices_settings(const struct devices *devices)
{
    const struct device *device = find_role(devices, ROLE_SETTINGS);

    return device ? &device->settings : NULL;
}

bool devices_instance_taken(const struct devices *devices, int instance)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (devices->device[i]->device_class == CLASS_BATTERY &&
            devices->device[i]->pack.reading.device_instance == instance)
            return true;
    }
    return false;
}
