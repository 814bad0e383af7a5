#include "report.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "venus/discovery.h"

static void say_joined(const char *what, const struct roster_entry *entry, const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;
    char cells[32] = "cells not shown";
    char capacity[32] = "capacity unknown";
    char instance[32] = "no instance";
    size_t shown = pack_reading_cells_shown(reading);

    if (shown > 0)
        snprintf(cells, sizeof cells, "%zu cells", shown);
    else if (!isnan(reading->cells_in_series))
        snprintf(cells, sizeof cells, "%.0f cells", reading->cells_in_series);
    if (!isnan(reading->capacity_installed_Ah))
        snprintf(capacity, sizeof capacity, "%.0f Ah", reading->capacity_installed_Ah);
    if (!isnan(reading->device_instance))
        snprintf(instance, sizeof instance, "instance %.0f", reading->device_instance);
    log_info("Pack \"%s\" %s: %s, %s, %s, serial \"%s\", %s, %s", entry->name, what, entry->service,
             reading->product_name, instance, reading->serial, cells, capacity);
}

/* A setting that counts other cells than the pack shows: CVL would be of a bank that is not there. */
static void say_cells(const struct config *config, const struct roster_entry *entry,
                      const struct device *device)
{
    size_t shown = pack_reading_cells_shown(&device->pack.reading);

    if (config->nr_of_cells_per_battery != CONFIG_NOT_SET && shown > 0 &&
        shown != (size_t)config->nr_of_cells_per_battery)
        log_warning(
            "NR_OF_CELLS_PER_BATTERY is %d, but pack \"%s\" shows %zu cells: leave it empty, unless the "
            "pack is wrong",
            config->nr_of_cells_per_battery, entry->name, shown);
}

/* Why a pack is lost, as far as the bus tells. device is NULL when it left. */
static const char *describe_loss(const struct device *device)
{
    if (!device)
        return "left the bus";
    if (device->stale)
        return "says and answers nothing";
    if (device->pack.reading.connected == 0)
        return "says that it is not connected";
    if (isnan(device->pack.reading.voltage_V) && isnan(device->pack.reading.current_A))
        return "shows neither voltage nor current: its BMS is mute";
    return "is no whole pack any more";
}

void report_pack(enum roster_event event, const struct roster_entry *entry, const struct device *device,
                 const struct devices *devices)
{
    switch (event) {
    case ROSTER_JOINED:
        say_joined("found", entry, device);
        say_cells(devices->config, entry, device);
        if (discovery_name_shared(devices, device))
            log_warning("Another pack claims the same name: this one is called \"%s\" here. Give each pack "
                        "its own name in its driver",
                        entry->name);
        break;
    case ROSTER_RETURNED:
        say_joined("is back", entry, device);
        break;
    case ROSTER_LEFT:
        log_warning("Pack \"%s\" is lost: %s %s", entry->name, entry->service,
                    describe_loss(devices_find(devices, entry->service)));
        break;
    case ROSTER_CALLED:
        break; /* said as ROSTER_RENAMED */
    case ROSTER_RENAMED:
        if (entry->renames > 1)
            log_warning(
                "%s is called \"%s\" now, and changed its name %u times since that was last said: look at "
                "its driver",
                entry->service, entry->name, entry->renames);
        else
            log_info("%s is called \"%s\" now", entry->service, entry->name);
        break;
    case ROSTER_FORGOTTEN:
        log_warning("Pack \"%s\" is no longer waited for: the bank is what is here", entry->name);
        break;
    case ROSTER_EXCLUDED:
        log_info("Pack \"%s\" is no longer of the bank: by the settings %s is none", entry->name,
                 entry->service);
        break;
    }
}

void report_not_in_bank(const struct device *device)
{
    const struct pack_reading *reading = &device->pack.reading;

    log_warning(
        "%s is not in BANK and is left out: it is called \"%s\", its serial is \"%s\", its instance %.0f",
        device->service, reading->custom_name, reading->serial, reading->device_instance);
}

/* Which setting leaves a battery out. */
static const char *describe_other(const struct config *config, const struct device *device)
{
    if (device->naming == NAMED_IGNORED)
        return "is in IGNORE";
    if (config->packs.count > 0 && device->naming != NAMED_PACK)
        return "is not in PACKS";
    if (config->packs.count == 0 && config->battery_product_names.count > 0)
        return "is not in BATTERY_PRODUCT_NAME";
    return "is an aggregate";
}

/* "2 of 3 packs are complete; com.victronenergy.battery.ttyUSB2 lacks /Soc" */
static void describe_waiting(const struct devices *devices, size_t needed, char *text, size_t size)
{
    const struct config *config = devices->config;
    size_t complete = devices_count_members(devices);
    size_t batteries = 0;
    size_t used;

    used = (size_t)snprintf(text, size, "%zu of %zu pack%s complete", complete, needed,
                            needed == 1 ? " is" : "s are");
    for (size_t i = 0; i < devices->count && used < size; i++) {
        const struct device *device = devices->device[i];

        batteries += device->device_class == CLASS_BATTERY;
        if (device->device_class != CLASS_BATTERY || device->member)
            continue;
        if (device->role == ROLE_PACK && device->waits_for)
            used += (size_t)snprintf(text + used, size - used, "; %s lacks %s", device->service,
                                     device->waits_for);
        else if (device->role == ROLE_OTHER)
            used += (size_t)snprintf(text + used, size - used, "; %s (%s) %s", device->service,
                                     device->pack.reading.product_name, describe_other(config, device));
        else if (device->role == ROLE_UNDECIDED)
            used += (size_t)snprintf(text + used, size - used, "; %s shows neither limits nor cells",
                                     device->service);
    }
    if (batteries == 0 && used < size)
        snprintf(text + used, size - used, "; no %s is on the bus", config->battery_service_name);
}

void report_waiting(struct report *report, const struct devices *devices, size_t packs_needed, bool shown)
{
    char text[REPORT_WAITING_MAX];

    if (shown) {
        report->waiting[0] = '\0';
        return;
    }
    describe_waiting(devices, packs_needed, text, sizeof text);
    if (strcmp(text, report->waiting) == 0)
        return;
    memcpy(report->waiting, text, sizeof text);
    log_info("Waiting, not on the bus yet: %s", text);
}

void report_implausible(const struct inputs *inputs, struct device *device, int index,
                        const struct value *value)
{
    const char *path = paths_get(inputs_paths(inputs, device->device_class), (size_t)index);
    char range[48];
    char found[64];
    uint64_t bit = UINT64_C(1) << (index % 64);
    uint64_t *said = &device->implausible_said[(size_t)index / 64];

    if (*said & bit)
        return;
    *said |= bit;
    inputs_range(inputs, device->device_class, index, range, sizeof range);
    if (value->kind == VALUE_NUMBER)
        snprintf(found, sizeof found, "%g", value->number);
    else
        snprintf(found, sizeof found, "%s%.40s%s", value->text ? "\"" : "an array or structure",
                 value->text ? value->text : "", value->text ? "\"" : "");
    log_warning("%s %s says %s, allowed is %s: taken as unknown (said once)", device->service, path, found,
                range);
}

void report_contradiction(const char *who, enum contradiction_kind kind, const struct contradiction *found,
                          bool stands, const char *detail)
{
    static const struct {
        const char *one, *other, *unit, *remedy;
    } text[CONTRADICTION_COUNT] = {
        [CONTRADICTION_HIGHEST] = {"the highest cell that it shows", "its own maximum", "V",
                                   "the higher counts for the limits; look at its BMS"},
        [CONTRADICTION_LOWEST] = {"the lowest cell that it shows", "its own minimum", "V",
                                  "the lower counts for the limits; look at its BMS"},
        [CONTRADICTION_SUM] = {"the sum of its cells", "its voltage", "V",
                               "look at its BMS, its calibration and its wires"},
        [CONTRADICTION_CURRENT] = {"the current that Victron's devices measure", "that of the packs", "A",
                                   "a device is missing or counted twice: see CURRENT_SOURCES. Counted are "},
    };

    if (stands)
        log_warning("%s contradicts itself: %s is %.3f %s, but %s is %.3f %s (%s%s)", who, text[kind].one,
                    found->one, text[kind].unit, text[kind].other, found->other, text[kind].unit,
                    text[kind].remedy, detail);
    else
        log_info("%s: %s and %s agree again", who, text[kind].one, text[kind].other);
}

void report_room(struct report *report, size_t packs, bool cells_have_room)
{
    bool too_many = packs > OUTPUTS_PACKS_MAX;

    if (too_many && !report->too_many_packs)
        log_error(
            "%zu packs are here, and only %d are led: limits and currents are of those alone. Is each of "
            "them a battery of yours?",
            packs, OUTPUTS_PACKS_MAX);
    report->too_many_packs = too_many;
    if (!cells_have_room && !report->too_many_cells)
        log_warning("So many cells were shown, or under so many names, that some have no place: they are not "
                    "shown until the next start");
    report->too_many_cells = !cells_have_room;
}

/* Source of the bank current. */
static void say_current(struct report *report, const struct aggregate *aggregate)
{
    const struct bank_current *current = &aggregate->current;
    char text[BANK_ID_MAX];

    snprintf(text, sizeof text, "%s%.*s", current->from_victron ? "v" : "p", BANK_ID_MAX - 2,
             current->missing);
    if (report->current_said && strcmp(text, report->current) == 0)
        return;
    report->current_said = true;
    memcpy(report->current, text, sizeof text);
    if (current->from_victron)
        log_info("Bank current: measured by Victron devices");
    else if (current->missing[0])
        log_warning("Bank current: from the packs, for %s cannot be read", current->missing);
    else
        log_info("Bank current: from the packs");
}

#define SAID_CORRECTION_PCT 0.1

static void say_charge(const struct aggregate *aggregate, double gap_s)
{
    switch (aggregate->charge_event) {
    case CHARGE_EVENT_NONE:
        break;
    case CHARGE_EVENT_GAP:
        log_warning("No current was measured for %.0f s: that time is not counted", gap_s);
        break;
    case CHARGE_EVENT_FULL:
        log_info("Full: the charge counter is set to 100 %%, it was at %.1f %%",
                 aggregate->charge_before_pct);
        break;
    case CHARGE_EVENT_EMPTY:
        log_info("Empty: the charge counter is set to 0 %%, it was at %.1f %%", aggregate->charge_before_pct);
        break;
    case CHARGE_EVENT_REST:
        if (fabs(aggregate->soc_pct - aggregate->charge_before_pct) >= SAID_CORRECTION_PCT)
            log_info("SoC is corrected from %.1f to %.1f %% by the voltage at rest",
                     aggregate->charge_before_pct, aggregate->soc_pct);
        break;
    case CHARGE_EVENT_OUTLIER:
        log_warning("SoC is set from %.1f to %.1f %%: far from what was counted, nothing is learned from it",
                    aggregate->charge_before_pct, aggregate->soc_pct);
        break;
    }
}

/* A reason without its digits, so that moving numbers are no news. */
static void kind_of(const char *reason, char *kind)
{
    for (; *reason; reason++) {
        if (!isdigit((unsigned char)*reason))
            *kind++ = *reason;
    }
    *kind = '\0';
}

static void say_limit(struct said_limit *said, const char *what, const char *unit, const struct limit *limit,
                      double now_s)
{
    char kind[LIMIT_REASON_MAX];
    bool to_or_from_zero = (limit->value > 0) != (said->value > 0);

    kind_of(limit->reason, kind);
    if (strcmp(kind, said->kind) == 0 && !to_or_from_zero)
        return;
    if (said->kind[0] &&
        now_s - said->time_s < (to_or_from_zero ? REPORT_ZERO_QUIET_S : REPORT_LIMIT_QUIET_S))
        return;
    memcpy(said->kind, kind, sizeof kind);
    said->value = limit->value;
    said->time_s = now_s;
    log_info("%s %.1f %s: %s", what, limit->value, unit, limit->reason[0] ? limit->reason : "unknown");
}

static void say_period(const struct aggregate *a)
{
    log_info(
        "SoC %.1f %%, %.2f V, %.1f A, cells %.3f V (%s) to %.3f V (%s), CVL %.2f V, CCL %.1f A, DCL %.1f A, "
        "%.0f pack%s",
        a->soc_pct, a->bank.voltage_V, a->current.current_A, a->bank.cell_voltage_min_V.value,
        a->bank.cell_voltage_min_V.id, a->bank.cell_voltage_max_V.value, a->bank.cell_voltage_max_V.id,
        a->limits.charge_voltage.value, a->limits.charge_current.value, a->limits.discharge_current.value,
        a->packs_online, a->packs_online == 1 ? "" : "s");
}

/* Merged limits leave feed-in to the user, who may not know what it does to them. */
static void say_unguarded(struct report *report, const struct aggregate *aggregate)
{
    if (aggregate->unguarded && !report->unguarded)
        log_warning(
            "CCL is %.1f A (%s), but DC feed-in is on: Venus lets the solar chargers ignore CCL. Turn "
            "feed-in off; OWN_CHARGE_PARAMETERS = True does it by itself",
            aggregate->limits.charge_current.value, aggregate->limits.charge_current.reason);
    report->unguarded = aggregate->unguarded;
}

/* The guard over DC feed-in, whose setting is the user's. */
static void say_feed_in(struct report *report, const struct aggregator *aggregator,
                        const struct aggregate *aggregate)
{
    const struct feed_in *guard = &aggregator->feed_in;
    const struct limits *limits = &aggregate->limits;
    bool by_cell = aggregate->control.peaking || !(limits->charge_blocked || limits->stopped);

    if (aggregate->feed_in.overruled)
        log_warning(
            "Somebody turned DC feed-in on while a cell is in danger: it goes off again, and comes back "
            "when the cells are calm");
    if (aggregate->feed_in.alarm && !report->feed_in_alarm)
        log_error(
            "DC feed-in cannot be set: com.victronenergy.settings refuses or does not answer. It is tried "
            "again; CCL and CVL do what they can meanwhile");
    else if (!aggregate->feed_in.alarm && report->feed_in_alarm)
        log_info("DC feed-in can be set again");
    report->feed_in_alarm = aggregate->feed_in.alarm;
    if ((int)guard->state == report->feed_in_state)
        return;
    if (guard->state == FEED_IN_HOLDING)
        log_warning("DC feed-in is turned off to protect a cell (%s), for at least %.0f s",
                    by_cell ? limits->charge_voltage.reason : limits->charge_current.reason, guard->hold_s);
    else if (guard->state == FEED_IN_RETURNING)
        log_info("The cells are calm: DC feed-in is returned");
    else
        log_info("DC feed-in is on again");
    report->feed_in_state = (int)guard->state;
}

/* Packs in series that hold different charge, or whose currents, which are one, are measured as two. */
static void say_strings(struct report *report, const struct config *config,
                        const struct aggregator *aggregator)
{
    for (size_t i = 0; i < config->shape.strings; i++) {
        const struct series *string = &aggregator->string[i];
        const struct contradiction *currents = &string->currents;

        if (string->apart != report->strings_apart[i] && string->apart)
            log_warning(
                "The packs of string \"%s\" are %.1f Ah apart, \"%s\" is the emptiest. No BMS balances "
                "across packs: charge that one alone",
                string->pack.name, string->apart_Ah, string->member[string->emptiest]->name);
        else if (string->apart != report->strings_apart[i])
            log_info("The packs of string \"%s\" are together again", string->pack.name);
        if (string->currents_watch.stands && !report->strings_currents[i])
            log_warning("The packs of string \"%s\" measure %.1f A and %.1f A of one current: calibrate them",
                        string->pack.name, currents->one, currents->other);
        report->strings_apart[i] = string->apart;
        report->strings_currents[i] = string->currents_watch.stands;
    }
}

static void say_balancing(struct report *report, const struct aggregator *aggregator)
{
    const struct balancing *balancing = &aggregator->control.balancing;
    char date[CALENDAR_TEXT_MAX] = "never";

    if ((int)balancing->state == report->balancing_state)
        return;
    if (balancing->last_success_day != CALENDAR_NONE)
        calendar_format(balancing->last_success_day, date);
    log_info("Balancing: %s (last success: %s)", balancing_state_name(balancing->state), date);
    report->balancing_state = (int)balancing->state;
}

/* What a sweep told. */
static void say_capacity(struct report *report, const struct aggregator *aggregator)
{
    const struct work *work = &aggregator->work;
    struct capacity_estimate capacity;

    if (work->sweeps == report->sweeps)
        return;
    report->sweeps = work->sweeps;
    capacity = work_bank_capacity(&work->memory, NULL);
    log_info("A sweep tells: the bank holds %.1f +- %.1f Ah, by its nameplate %.1f Ah", capacity.capacity_Ah,
             capacity.deviation_Ah, work->memory.bank.installed_Ah);
}

/* Said when they are sure, and when nothing is left of that: in between a step more or less is no news. */
static void say_resistances(struct report *report, const struct config *config,
                            const struct aggregator *aggregator)
{
    double confidence = sharing_confidence(&aggregator->sharing);
    bool known = report->resistances ? confidence > 0 : confidence >= 1;

    if (config->current_sharing != SHARING_RESISTANCE || known == report->resistances)
        return;
    report->resistances = known;
    if (known)
        log_info("How the current divides is known by %d steps: CCL and DCL go by resistances now",
                 aggregator->sharing.steps);
    else
        log_info("How the current divides is learned anew: CCL and DCL go by capacities meanwhile");
}

/* Those that restart are back in a moment, and no news. */
static void say_incomplete_gone(struct report *report, const struct config *config,
                                const struct incomplete_gone *gone)
{
    if (strcmp(report->gone, gone->name) == 0 || (gone->name[0] && gone->for_s < REPORT_GONE_S))
        return;
    if (gone->name[0])
        log_warning(
            "Pack \"%s\", which was not complete, is gone: what it lowered stands for %.0f s (LOST_GRACE). "
            "Look at its driver and cable, unless you switched it off",
            gone->name, (double)config->lost_grace_s);
    else
        log_info("No limit is low for pack \"%s\" any more: it is back, or gone for LOST_GRACE",
                 report->gone);
    snprintf(report->gone, sizeof report->gone, "%s", gone->name);
}

void report_aggregate(struct report *report, const struct config *config, const struct aggregator *aggregator,
                      const struct aggregate *aggregate, double now_s, bool shown)
{
    say_current(report, aggregate);
    say_charge(aggregate, aggregate->charge_gap_s);
    say_feed_in(report, aggregator, aggregate);
    say_unguarded(report, aggregate);
    say_balancing(report, aggregator);
    say_strings(report, config, aggregator);
    say_capacity(report, aggregator);
    say_resistances(report, config, aggregator);
    say_incomplete_gone(report, config, &aggregate->incomplete_gone);
    if (!shown)
        return;
    say_limit(&report->limit[0], "CVL", "V", &aggregate->limits.charge_voltage, now_s);
    say_limit(&report->limit[1], "CCL", "A", &aggregate->limits.charge_current, now_s);
    say_limit(&report->limit[2], "DCL", "A", &aggregate->limits.discharge_current, now_s);
    if (config->log_period_s > 0 && now_s - report->period_s >= config->log_period_s) {
        report->period_s = now_s;
        say_period(aggregate);
    }
}
