#include "core/missing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void missing_init(struct missing *missing)
{
    memset(missing, 0, sizeof *missing);
    missing->left_s = missing->shown_V = missing->last.charge_voltage.value = NAN;
    for (size_t i = 0; i <= MISSING_MAX; i++)
        missing->cap_V[i] = NAN;
}

/* Capacity and SoC are still those of the whole bank: a plug that was out for a minute is no smaller bank. */
void missing_keep_part(const struct lost_packs *lost, struct bank *bank)
{
    double installed_Ah = bank->capacity_installed_Ah + lost->installed_Ah;
    double remaining_Ah = fmin(fmax(lost->remaining_Ah, 0), lost->installed_Ah);

    if (!(lost->installed_Ah > 0) || isnan(installed_Ah))
        return;
    bank->soc_pct = (bank->soc_pct * bank->capacity_installed_Ah + 100 * remaining_Ah) / installed_Ah;
    if (bank->soc_pct > 100)
        bank->soc_pct = 100; /* by the last bit of a sum */
    bank->capacity_installed_Ah = installed_Ah;
    bank->capacity_Ah += remaining_Ah;
    bank->consumed_Ah += remaining_Ah - lost->installed_Ah;
}

static void cap_limit(struct limit *limit, double most)
{
    if (!(limit->value > most))
        return;
    limit->value = most;
    snprintf(limit->reason, sizeof limit->reason, "Not raised");
}

static void add_missing(struct limit *limit, const struct lost_packs *lost, size_t missing)
{
    size_t used = strlen(limit->reason);

    if (missing == 1)
        snprintf(limit->reason + used, sizeof limit->reason - used, "; \"%.40s\" is lost", lost->name);
    else
        snprintf(limit->reason + used, sizeof limit->reason - used, "; %zu packs are lost", missing);
}

static void stop_for(struct limit *limit, const struct lost_packs *lost, const char *setting)
{
    limit->value = 0;
    snprintf(limit->reason, sizeof limit->reason, "Pack \"%.40s\" is lost (PACK_LOST = %s)", lost->name,
             setting);
}

bool missing_obey(const struct config *config, const struct lost_packs *lost, size_t count,
                  struct limits *limits)
{
    bool stop = config->pack_lost == PACK_LOST_STOP;
    bool held = config->pack_lost == PACK_LOST_HOLD && lost->longest_s >= config->lost_grace_s;

    if (count == 0)
        return false;
    add_missing(&limits->charge_voltage, lost, count);
    add_missing(&limits->charge_current, lost, count);
    add_missing(&limits->discharge_current, lost, count);
    if (!stop && !held)
        return false;
    stop_for(&limits->charge_current, lost, stop ? "stop" : "hold");
    stop_for(&limits->discharge_current, lost, stop ? "stop" : "hold");
    return true;
}

static void lower_to(struct limit *cap, const struct limit *limit)
{
    if (limit->value < cap->value)
        *cap = *limit;
}

/* The CVL of the step before somebody left caps that of those who stay, until he is back: with as few missing
 * as before, what capped before for them does so again. */
static void cap_voltage(struct missing *missing, size_t count)
{
    double *cap_V = missing->cap_V;
    size_t now = count < MISSING_MAX ? count : MISSING_MAX;
    double left_V = missing->left ? missing->last.charge_voltage.value : NAN;

    if (missing->was_whole)
        cap_V[0] = missing->whole.charge_voltage.value;
    for (size_t i = missing->before + 1; i <= now; i++)
        cap_V[i] = fmin(cap_V[missing->before], left_V);
    if (missing->left && now <= missing->before) {
        for (size_t i = 1; i <= now; i++) /* another came back in the same step: who is who? */
            cap_V[i] = fmin(cap_V[i], left_V);
    }
    missing->before = now;
}

void missing_never_raise(struct missing *missing, size_t count, double time_s, double grace_s,
                         struct limits *limits)
{
    struct limits *whole = &missing->whole;
    struct limit before = missing->last.charge_voltage;

    if (missing->left && !missing->was_whole) {
        *whole = missing->last; /* so it was as nearly whole as it ever has been */
        missing->was_whole = true;
    }
    cap_voltage(missing, count);
    if (missing->left) {
        lower_to(&whole->charge_current, &missing->last.charge_current);
        lower_to(&whole->discharge_current, &missing->last.discharge_current);
        missing->left_s = time_s;
    }
    missing->left = false;
    if (count > 0 && isnan(missing->left_s))
        missing->left_s = time_s; /* nobody did: BANK names one more now */
    if (count == 0) {
        *whole = *limits;
        missing->was_whole = true;
    } else if (missing->was_whole) {
        cap_limit(&limits->charge_voltage, missing->cap_V[missing->before]);
        if (time_s - missing->left_s >= grace_s) {
            whole->charge_current = limits->charge_current;
            whole->discharge_current = limits->discharge_current;
        }
        cap_limit(&limits->charge_current, whole->charge_current.value);
        cap_limit(&limits->discharge_current, whole->discharge_current.value);
    }
    missing->last = *limits;
    if (isnan(limits->charge_voltage.value))
        missing->last.charge_voltage = before;
}

void missing_retreat(const struct missing *missing, struct limits *limits)
{
    static const char reason[] = "No pack is on the bus";

    limits->charge_voltage.value = missing->shown_V;
    limits->charge_current.value = 0;
    limits->discharge_current.value = 0;
    limits->charge_blocked = limits->discharge_blocked = false;
    snprintf(limits->charge_voltage.reason, LIMIT_REASON_MAX, "%s", reason);
    snprintf(limits->charge_current.reason, LIMIT_REASON_MAX, "%s", reason);
    snprintf(limits->discharge_current.reason, LIMIT_REASON_MAX, "%s", reason);
}

static bool is_without_current(struct limit *limit)
{
    bool unknown = isnan(limit->value);

    if (unknown)
        snprintf(limit->reason, sizeof limit->reason, "Unknown");
    limit->value = unknown ? 0 : fmax(limit->value, 0);
    return unknown;
}

bool missing_catch(struct missing *missing, struct limits *limits)
{
    bool no_voltage = isnan(limits->charge_voltage.value);
    bool no_charge = is_without_current(&limits->charge_current);
    bool no_discharge = is_without_current(&limits->discharge_current);

    if (no_voltage) {
        limits->charge_voltage.value = missing->shown_V;
        snprintf(limits->charge_voltage.reason, LIMIT_REASON_MAX, "Unknown: the last one stands");
    }
    missing->shown_V = limits->charge_voltage.value;
    return no_voltage || no_charge || no_discharge;
}
