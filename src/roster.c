#include "roster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Only two serials are two packs: one that is not told (yet, or for a moment) is no other serial. */
static bool same_serial(const struct roster_entry *entry, const char *serial)
{
    return !entry->serial[0] || !serial[0] || strcmp(entry->serial, serial) == 0;
}

static bool is_at(const struct roster_entry *entry, const struct device *device)
{
    return entry->present && strcmp(entry->service, device->service) == 0 &&
           same_serial(entry, device->pack.reading.serial);
}

/* One that is away and whose serial does not tell: by its name, or by its place when neither has any. */
static bool may_be(const struct roster_entry *entry, const struct device *device)
{
    const char *serial = device->pack.reading.serial;

    return entry->used && !entry->present && same_serial(entry, serial) &&
           (strcmp(entry->name, device->pack.name) == 0 ||
            (!entry->serial[0] && !serial[0] && strcmp(entry->service, device->service) == 0));
}

static bool is_device(const struct roster_entry *entry, const struct device *device)
{
    return device->member && is_at(entry, device);
}

/* The slot of a pack that is away and has this serial; NULL = none. */
static struct roster_entry *find_away(struct roster *roster, const char *serial)
{
    for (size_t i = 0; i < roster->count && serial[0]; i++) {
        struct roster_entry *entry = &roster->entry[i];

        if (entry->used && !entry->present && strcmp(entry->serial, serial) == 0)
            return entry;
    }
    return NULL;
}

/* The slot of a pack. One that is away is known again by its serial, whatever its service is called now
 * (ttyUSB0 today is ttyUSB1 tomorrow), or by its name if it shows no serial. One whose serial tells only now
 * that it had been here before leaves the slot that it was given meanwhile. */
static struct roster_entry *find(struct roster *roster, const struct device *device)
{
    struct roster_entry *before = find_away(roster, device->pack.reading.serial);

    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entry[i];

        if (!entry->used || !is_device(entry, device))
            continue;
        if (entry->serial[0] || !before)
            return entry;
        memset(entry, 0, sizeof *entry);
    }
    for (size_t i = 0; i < roster->count && !before; i++) {
        if (may_be(&roster->entry[i], device))
            return &roster->entry[i];
    }
    return before;
}

/* Of those who are away the one that has been so for longest; NULL = none is. */
static struct roster_entry *find_longest_gone(struct roster *roster)
{
    struct roster_entry *longest = NULL;

    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entry[i];

        if (entry->used && !entry->present && (!longest || entry->gone_s < longest->gone_s))
            longest = entry;
    }
    return longest;
}

/* A free slot, or a new one; NULL when the roster is full. */
static struct roster_entry *find_free(struct roster *roster)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (!roster->entry[i].used)
            return &roster->entry[i];
    }
    return roster->count < OUTPUTS_PACKS_MAX ? &roster->entry[roster->count++] : NULL;
}

static void copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
}

static void tell_rename(struct roster_entry *entry, double now_s, roster_event_fn event, void *ctx)
{
    if (entry->renames == 0 || !entry->present || now_s < entry->rename_quiet_s)
        return;
    event(ctx, ROSTER_RENAMED, entry, NULL);
    entry->renames = 0;
    entry->rename_quiet_s = now_s + ROSTER_RENAME_QUIET_S;
}

static bool note_member(struct roster *roster, const struct device *device, roster_event_fn event, void *ctx)
{
    struct roster_entry *entry = find(roster, device);
    const char *serial = device->pack.reading.serial;
    enum roster_event what = ROSTER_RETURNED;

    if (!entry) {
        entry = find_free(roster);
        if (!entry)
            entry = find_longest_gone(roster);
        if (!entry)
            return false;
        if (entry->used)
            event(ctx, ROSTER_FORGOTTEN, entry, NULL);
        memset(entry, 0, sizeof *entry);
        what = ROSTER_JOINED;
    } else if (entry->present) {
        bool told = serial[0] && !entry->serial[0];

        if (told)
            copy(entry->serial, sizeof entry->serial, serial);
        if (strcmp(entry->name, device->pack.name) == 0)
            return told;
        what = ROSTER_CALLED;
        event(ctx, what, entry, device);
        entry->renames++;
    }
    entry->used = true;
    entry->present = true;
    entry->installed_Ah = entry->remaining_Ah = NAN;
    copy(entry->service, sizeof entry->service, device->service);
    copy(entry->name, sizeof entry->name, device->pack.name);
    if (serial[0])
        copy(entry->serial, sizeof entry->serial, serial);
    if (what != ROSTER_CALLED)
        event(ctx, what, entry, device);
    return true;
}

void roster_note_leaving(struct roster *roster, const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;

    for (size_t i = 0; i < roster->count && device->device_class == CLASS_BATTERY; i++) {
        struct roster_entry *entry = &roster->entry[i];

        if (!is_at(entry, device))
            continue;
        entry->installed_Ah = reading->capacity_installed_Ah;
        entry->remaining_Ah = pack_remaining_Ah(reading);
    }
}

/* It fell silent, or lost its BMS, but its service is there and tells what it held. */
static void note_silent(struct roster *roster, const struct devices *devices)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (!devices->device[i]->member)
            roster_note_leaving(roster, devices->device[i]);
    }
}

static bool is_here(const struct devices *devices, const struct roster_entry *entry)
{
    for (size_t i = 0; i < devices->count; i++) {
        if (is_device(entry, devices->device[i]))
            return true;
    }
    return false;
}

/* The settings say that it is no pack, now that they know its name or were changed: it is not lost. */
static bool is_excluded(const struct devices *devices, const struct roster_entry *entry)
{
    for (size_t i = 0; i < devices->count; i++) {
        const struct device *device = devices->device[i];

        if (device->device_class == CLASS_BATTERY && strcmp(device->service, entry->service) == 0)
            return device->role == ROLE_OTHER || device->role == ROLE_SHUNT ||
                   device->role == ROLE_NOT_IN_BANK;
    }
    return false;
}

static size_t count_present(const struct roster *roster)
{
    size_t count = 0;

    for (size_t i = 0; i < roster->count; i++)
        count += roster->entry[i].present;
    return count;
}

static bool is_over(const struct roster *roster, const struct roster_entry *entry,
                    const struct config *config, double now_s)
{
    if (!entry->used || entry->present || count_present(roster) == 0)
        return false;
    if (config->nr_of_batteries != CONFIG_NOT_SET)
        return count_present(roster) >= (size_t)config->nr_of_batteries;
    return config->pack_lost == PACK_LOST_DEGRADE && now_s - entry->gone_s >= config->lost_grace_s;
}

bool roster_update(struct roster *roster, const struct devices *devices, double now_s, roster_event_fn event,
                   void *ctx)
{
    bool changed = false;

    note_silent(roster, devices);

    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entry[i];

        if (!entry->used || (entry->present && is_here(devices, entry)))
            continue;
        if (is_excluded(devices, entry)) {
            event(ctx, ROSTER_EXCLUDED, entry, NULL);
            memset(entry, 0, sizeof *entry);
            changed = true;
        }
        if (!entry->present)
            continue;
        entry->present = false;
        entry->gone_s = now_s;
        event(ctx, ROSTER_LEFT, entry, NULL);
        changed = true;
    }
    for (size_t i = 0; i < devices->count; i++) {
        if (devices->device[i]->member)
            changed |= note_member(roster, devices->device[i], event, ctx);
    }
    for (size_t i = 0; i < roster->count; i++) {
        struct roster_entry *entry = &roster->entry[i];

        tell_rename(entry, now_s, event, ctx);
        if (!is_over(roster, entry, devices->config, now_s))
            continue;
        event(ctx, ROSTER_FORGOTTEN, entry, NULL);
        memset(entry, 0, sizeof *entry);
        changed = true;
    }
    return changed;
}

void roster_lost(const struct roster *roster, double now_s, double grace_s, struct lost_packs *lost)
{
    memset(lost, 0, sizeof *lost);
    for (size_t i = 0; i < roster->count; i++) {
        const struct roster_entry *entry = &roster->entry[i];
        double gone_s = now_s - entry->gone_s;

        if (!entry->used || entry->present)
            continue;
        if (!lost->name[0] || gone_s > lost->longest_s) {
            lost->longest_s = gone_s;
            copy(lost->name, sizeof lost->name, entry->name);
        }
        lost->ever_installed_Ah += entry->installed_Ah;
        if (gone_s >= grace_s || isnan(entry->installed_Ah) || isnan(entry->remaining_Ah))
            continue;
        lost->installed_Ah += entry->installed_Ah;
        lost->remaining_Ah += entry->remaining_Ah;
    }
}

size_t roster_missing(const struct roster *roster)
{
    size_t missing = 0;

    for (size_t i = 0; i < roster->count; i++)
        missing += roster->entry[i].used && !roster->entry[i].present;
    return missing;
}
