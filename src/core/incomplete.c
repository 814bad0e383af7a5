#include "core/incomplete.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/curve.h"

/* By its serial, or its name where one of the two tells none. */
static bool is_same(const struct incomplete_pack *known, const struct pack *pack)
{
    const char *serial = pack->reading.serial;

    if (known->serial[0] && serial[0])
        return strcmp(known->serial, serial) == 0;
    return strcmp(known->name, pack->name) == 0;
}

/* One whose service stayed is the same, whatever it is called now: many tell only later who they are. */
static struct incomplete_pack *find(struct incomplete *incomplete, const struct pack *pack)
{
    struct incomplete_pack *found = NULL;

    for (size_t i = 0; i < incomplete->count; i++) {
        struct incomplete_pack *known = &incomplete->pack[i];

        if (pack->visit != 0 && known->visit == pack->visit)
            return known;
        if (!found && is_same(known, pack))
            found = known;
    }
    return found;
}

static void drop(struct incomplete *incomplete, struct incomplete_pack *known)
{
    *known = incomplete->pack[--incomplete->count];
}

void incomplete_forget(struct incomplete *incomplete, const struct pack *pack)
{
    struct incomplete_pack *known = find(incomplete, pack);

    if (known)
        drop(incomplete, known);
}

/* A new place; when all are taken, that of the one that has been gone for longest. NULL: all are here. */
static struct incomplete_pack *place(struct incomplete *incomplete)
{
    struct incomplete_pack *longest = NULL;

    if (incomplete->count < INCOMPLETE_MAX)
        return &incomplete->pack[incomplete->count++];
    for (size_t i = 0; i < INCOMPLETE_MAX; i++) {
        struct incomplete_pack *known = &incomplete->pack[i];

        if (!known->here && (!longest || known->gone_s < longest->gone_s))
            longest = known;
    }
    return longest;
}

static size_t count_serial(const struct pack *const packs[], size_t n, const char *serial)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += strcmp(packs[i]->reading.serial, serial) == 0;
    return count;
}

/* alone: no other pack that is here has its serial. Of those of a make that gives all the same, none may
 * stand in for another. */
static void note(struct incomplete *incomplete, const struct pack *pack, bool alone)
{
    struct incomplete_pack *known = find(incomplete, pack);

    if (!known) {
        known = place(incomplete);
        if (!known)
            return;
        memset(known, 0, sizeof *known);
    }
    snprintf(known->name, sizeof known->name, "%s", pack->name);
    if (pack->reading.serial[0])
        snprintf(known->serial, sizeof known->serial, "%s", alone ? pack->reading.serial : "");
    known->visit = pack->visit;
    known->charge_voltage_max_V = pack->last.charge_voltage_max_V;
    known->highest_cell_V = pack_highest_cell_V(pack, NULL);
    known->lowest_cell_V = pack_lowest_cell_V(pack, NULL);
    known->blocks_charge = pack_blocks_charge(pack);
    known->blocks_discharge = pack_blocks_discharge(pack);
    known->here = true;
    known->gone_s = NAN;
}

void incomplete_look(struct incomplete *incomplete, const struct pack *const packs[], size_t n,
                     const struct pack *const members[], size_t member_count, double time_s, double grace_s)
{
    for (size_t i = 0; i < incomplete->count; i++)
        incomplete->pack[i].here = false;
    for (size_t i = 0; i < n; i++) {
        const char *serial = packs[i]->reading.serial;

        note(incomplete, packs[i],
             count_serial(packs, n, serial) + count_serial(members, member_count, serial) == 1);
    }
    for (size_t i = 0; i < member_count && incomplete->count > 0; i++)
        incomplete_forget(incomplete, members[i]);
    for (size_t i = incomplete->count; i-- > 0;) {
        struct incomplete_pack *known = &incomplete->pack[i];

        if (known->here)
            continue;
        if (isnan(known->gone_s))
            known->gone_s = time_s;
        if (time_s - known->gone_s >= grace_s)
            drop(incomplete, known);
    }
}

void incomplete_decide_anew(struct incomplete *incomplete)
{
    for (size_t i = incomplete->count; i-- > 0;) {
        if (incomplete->pack[i].here)
            drop(incomplete, &incomplete->pack[i]);
    }
}

/* ---- what they lower ---- */

static bool lower_for(struct limit *limit, double most, const struct incomplete_pack *pack, const char *what)
{
    if (!(most < limit->value))
        return false;
    limit->value = most;
    snprintf(limit->reason, sizeof limit->reason, "Pack \"%.40s\", not complete%s: %s", pack->name,
             pack->here ? "" : " and gone", what);
    return true;
}

/* Our own control sees its cells, as far as it shows them. */
static bool obey_cells(const struct config *config, const struct incomplete_pack *pack, struct limits *limits,
                       struct control_output *control)
{
    double highest_V = pack->highest_cell_V, lowest_V = pack->lowest_cell_V;
    bool peaks = highest_V >= config->max_cell_voltage_V;
    bool lowers = peaks;

    if (!isnan(highest_V)) {
        lowers |= lower_for(&limits->charge_current,
                            config->max_charge_current_A * curve_at(&config->charge_curve, highest_V), pack,
                            "its highest cell");
        control->peaking = control->peaking || peaks;
        control->cells_calm = control->cells_calm && highest_V <= config->max_cell_voltage_V - CONTROL_CALM_V;
    }
    if (!isnan(lowest_V))
        lowers |= lower_for(&limits->discharge_current,
                            config->max_discharge_current_A * curve_at(&config->discharge_curve, lowest_V),
                            pack, "its lowest cell");
    return lowers;
}

static bool obey_one(const struct config *config, const struct incomplete_pack *pack, struct limits *limits,
                     struct control_output *control)
{
    bool stops = config->blocked_pack == BLOCKED_PACK_STOP;
    bool lowers = lower_for(&limits->charge_voltage, pack->charge_voltage_max_V, pack, "its CVL");

    if (stops && pack->blocks_charge)
        lowers |= lower_for(&limits->charge_current, 0, pack, "it blocks charging");
    if (stops && pack->blocks_discharge)
        lowers |= lower_for(&limits->discharge_current, 0, pack, "it blocks discharging");
    limits->charge_blocked = limits->charge_blocked || pack->blocks_charge;
    limits->discharge_blocked = limits->discharge_blocked || pack->blocks_discharge;
    if (config->own_charge_parameters)
        lowers |= obey_cells(config, pack, limits, control);
    return lowers;
}

void incomplete_obey(const struct incomplete *incomplete, const struct config *config, double time_s,
                     struct limits *limits, struct control_output *control, struct incomplete_gone *gone)
{
    for (size_t i = 0; i < incomplete->count; i++) {
        const struct incomplete_pack *pack = &incomplete->pack[i];
        bool lowers = obey_one(config, pack, limits, control);

        if (!lowers || pack->here || (gone->name[0] && time_s - pack->gone_s <= gone->for_s))
            continue;
        snprintf(gone->name, sizeof gone->name, "%s", pack->name);
        gone->for_s = time_s - pack->gone_s;
    }
}
