#include "core/limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static double charge_voltage_V(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.charge_voltage_max_V, pack->last.charge_voltage_max_V);
}

static double charge_current_A(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.charge_current_max_A, pack->last.charge_current_max_A);
}

static double discharge_current_A(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.discharge_current_max_A, pack->last.discharge_current_max_A);
}

static void unknown(struct limit *limit)
{
    limit->value = NAN;
    limit->reason[0] = '\0';
}

/* The pack with the lowest or highest CVL; NULL when one of them never showed any. */
static const struct pack *find_voltage(const struct pack *const packs[], size_t n, bool highest)
{
    const struct pack *found = NULL;

    for (size_t i = 0; i < n; i++) {
        double voltage_V = charge_voltage_V(packs[i]);

        if (isnan(voltage_V))
            return NULL;
        if (!found || (highest ? voltage_V > charge_voltage_V(found) : voltage_V < charge_voltage_V(found)))
            found = packs[i];
    }
    return found;
}

static void merge_lowest_voltage(const struct pack *const packs[], size_t n, struct limit *limit)
{
    const struct pack *lowest = find_voltage(packs, n, false);

    if (!lowest) {
        unknown(limit);
        return;
    }
    limit->value = charge_voltage_V(lowest);
    if (lowest->reading.charge_mode[0])
        snprintf(limit->reason, sizeof limit->reason, "%s (lowest of the packs: %s)",
                 lowest->reading.charge_mode, lowest->name);
    else
        snprintf(limit->reason, sizeof limit->reason, "Lowest of the packs: %s", lowest->name);
}

/* One pack in float must not stop the others from balancing, and never at a cell's cost. */
static void merge_highest_voltage(const struct config *config, const struct pack *const packs[], size_t n,
                                  struct limit *limit)
{
    const struct pack *highest = find_voltage(packs, n, true);
    bool all_in_float = n > 0;

    for (size_t i = 0; i < n; i++)
        all_in_float = all_in_float && packs[i]->last.in_float == 1;
    if (!highest || all_in_float) {
        merge_lowest_voltage(packs, n, limit);
        return;
    }
    limit->value = charge_voltage_V(highest);
    snprintf(limit->reason, sizeof limit->reason, "Highest until all packs are in float: %s", highest->name);
    for (size_t i = 0; i < n; i++) {
        double cell_V = pack_highest_cell_V(packs[i], NULL);

        if (!(cell_V >= config->max_cell_voltage_V) || charge_voltage_V(packs[i]) >= limit->value)
            continue;
        limit->value = charge_voltage_V(packs[i]);
        snprintf(limit->reason, sizeof limit->reason, "Cell peak: %s: %.3f V", packs[i]->name, cell_V);
    }
}

/* One of the two currents: which field, who blocks, which cap. */
struct current_rule {
    double (*limit_A)(const struct pack *pack);
    bool (*blocks)(const struct pack *pack);
    const char *doing;
    const char *cap_name;
    double cap_A;  /* INFINITY = none */
    bool excludes; /* those that block leave the others alone */
};

/* True when that decides: one that blocks stops the bank, or all do. */
static bool is_stopped(const struct current_rule *rule, const struct pack *const packs[], size_t n,
                       struct limit *limit, bool *blocked)
{
    const struct pack *blocking = NULL;
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        if (!rule->blocks(packs[i]))
            continue;
        blocking = blocking ? blocking : packs[i];
        count++;
    }
    *blocked = count > 0;
    if (count == 0 || (rule->excludes && count < n))
        return false;
    limit->value = 0;
    snprintf(limit->reason, sizeof limit->reason, "Pack \"%s\" blocks %s", blocking->name, rule->doing);
    return true;
}

static void merge_current(const struct current_rule *rule, const struct pack *const packs[], size_t n,
                          const double share[], struct limit *limit, bool *blocked)
{
    double lowest_A = INFINITY, sum_A = 0;

    unknown(limit);
    if (is_stopped(rule, packs, n, limit, blocked))
        return;
    for (size_t i = 0; i < n; i++) {
        double own_A = rule->limit_A(packs[i]);
        double bank_A = own_A / (share ? share[i] : 1.0 / (double)n);

        if (share && share[i] == 0)
            continue; /* it blocks, and takes no part */
        if (isnan(bank_A)) {
            unknown(limit);
            return;
        }
        sum_A += own_A;
        if (bank_A >= lowest_A)
            continue;
        lowest_A = bank_A;
        snprintf(limit->reason, sizeof limit->reason, "Lowest of the packs: %s%s", packs[i]->name,
                 *blocked ? ", without those that block" : "");
    }
    if (n == 0)
        return;
    limit->value = fmin(lowest_A, sum_A);
    if (limit->value > rule->cap_A) {
        limit->value = rule->cap_A;
        snprintf(limit->reason, sizeof limit->reason, "Capped by %s", rule->cap_name);
    }
}

void limits_merge(const struct config *config, const struct pack *const packs[], size_t n,
                  const struct limit_shares *shares, struct limits *out)
{
    bool excludes = shares && config->blocked_pack == BLOCKED_PACK_EXCLUDE;
    const struct current_rule charge = {charge_current_A,
                                        pack_blocks_charge,
                                        "charging",
                                        "MAX_CHARGE_CURRENT",
                                        config->max_charge_current_set ? config->max_charge_current_A
                                                                       : INFINITY,
                                        excludes};
    const struct current_rule discharge = {discharge_current_A,
                                           pack_blocks_discharge,
                                           "discharging",
                                           "MAX_DISCHARGE_CURRENT",
                                           config->max_discharge_current_set ? config->max_discharge_current_A
                                                                             : INFINITY,
                                           excludes};

    if (config->keep_max_cvl)
        merge_highest_voltage(config, packs, n, &out->charge_voltage);
    else
        merge_lowest_voltage(packs, n, &out->charge_voltage);
    merge_current(&charge, packs, n, shares ? shares->charge : NULL, &out->charge_current,
                  &out->charge_blocked);
    merge_current(&discharge, packs, n, shares ? shares->discharge : NULL, &out->discharge_current,
                  &out->discharge_blocked);
}
