#include "core/sharing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* When the current is steady, and when it has stepped. All of the capacity, A for each Ah. */
#define STEADY_C 0.01
#define STEADY_S 5.0 /* all drivers have spoken since */
#define STEADY_LAG_S 3.0
#define STEP_LEAST_C 0.05
#define STEP_LONGEST_S 120.0 /* later the packs' voltages have moved apart by themselves */
#define STEP_WEIGHT 0.2
#define STEP_OUTLIER 5.0 /* times an equal share, or a part of it */

/* When a share is measured. */
#define MEASURED_LEAST_C 0.05
#define MEASURED_LAG_S 180.0
#define MEASURED_LEAST_S 60.0
#define MEASURED_SURE_S 300.0 /* in so long after that it takes over from the capacities */

/* How fast a load rises. */
#define RISE_LAG_S 5.0
#define RISE_NOISE_1S 0.001
#define RISE_MOST 0.3

#define DT_MOST_S 30.0

/* Of BLOCK_REJOIN_DIFF: more is no error of a sensor. */
#define USUAL_MOST 2.0
#define LONG_LAG_S 600.0 /* but for what it is so long while a current flows */

/* A pack that is apart by the same all the time, and through which little flows. Volts for 16 cells. */
#define STOOD_V 0.05
#define STOOD_S 600.0
#define STOOD_MOST_C 0.05

/* Of a pack that does not tell. */
#define USUAL_AH 100.0

/* A cell at rest, where a pack tells nothing of its cells. Fewer of another chemistry: CVL is lower then. */
#define USUAL_CELL_V 3.3

void sharing_init(struct sharing *sharing)
{
    memset(sharing, 0, sizeof *sharing);
    sharing->last_time_s = NAN;
    sharing->charge = sharing->discharge = (struct sharing_hold){1, NAN, 0};
}

/* A capacity that is no longer told stands: shares must not move because something became unknown. */
static double capacity_of(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.capacity_installed_Ah, pack->last.capacity_installed_Ah);
}

/* So does a current: silence is no proof that a pack is not at its limit. */
static double current_of(const struct pack *pack)
{
    return pack_now_or_last(pack->reading.current_A, pack->last.current_A);
}

static double bank_A(const struct pack *const branches[], size_t n)
{
    double sum_A = 0;

    for (size_t i = 0; i < n; i++)
        sum_A += current_of(branches[i]);
    return sum_A;
}

static double installed_Ah(const struct pack *const branches[], size_t n)
{
    double sum_Ah = 0;

    for (size_t i = 0; i < n; i++)
        sum_Ah += capacity_of(branches[i]);
    return sum_Ah;
}

static bool blocks(const struct pack *pack, bool charging)
{
    return charging ? pack_blocks_charge(pack) : pack_blocks_discharge(pack);
}

static bool same_branches(const struct sharing *sharing, const struct pack *const branches[], size_t n)
{
    if (sharing->branches != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(sharing->branch[i].name, branches[i]->name) != 0 ||
            strcmp(sharing->branch[i].serial, branches[i]->reading.serial) != 0)
            return false;
    }
    return true;
}

/* By serial, whatever it is called; by name where one of them shows no serial. */
static bool is_branch(const struct sharing_branch *branch, const struct pack *pack)
{
    bool by_serial = branch->serial[0] && pack->reading.serial[0];

    return by_serial ? strcmp(branch->serial, pack->reading.serial) == 0
                     : strcmp(branch->name, pack->name) == 0;
}

/* What is known of this branch from before moves to its new place. Its old one, or -1. */
static int carry_over(const struct sharing *before, const bool taken[], const struct pack *pack,
                      struct sharing_branch *branch)
{
    for (size_t i = 0; i < before->known; i++) {
        if (taken[i] || !is_branch(&before->branch[i], pack))
            continue;
        branch->usual_V = before->branch[i].usual_V;
        branch->long_V = before->branch[i].long_V;
        branch->stood_V = before->branch[i].stood_V;
        branch->stood_s = before->branch[i].stood_s;
        branch->silent = before->branch[i].silent;
        branch->silent_s = before->branch[i].silent_s;
        branch->blocked = before->branch[i].blocked;
        branch->rejoining = before->branch[i].rejoining;
        return (int)i;
    }
    return -1;
}

/* Those that are not among the branches any more stand behind them, the last first: they may come back. True
 * when one of them went as somebody who is to be waited for. */
static bool keep_those_that_left(struct sharing *sharing, const struct sharing *before, const bool taken[])
{
    bool wary = false;

    for (size_t i = 0; i < before->known; i++) {
        const struct sharing_branch *branch = &before->branch[i];

        if (taken[i])
            continue;
        if (i < before->branches) {
            sharing->left = true;
            wary = wary || branch->blocked || branch->rejoining;
        }
        if (sharing->known < SHARING_BRANCHES_MAX)
            sharing->branch[sharing->known++] = *branch;
    }
    return wary;
}

/* One that returns was perhaps opened by its BMS. One that is new where one that was is no more may be that
 * under another name. */
static void recognise(struct sharing *sharing, const struct sharing *before,
                      const struct pack *const branches[], size_t n)
{
    bool taken[SHARING_BRANCHES_MAX] = {false};
    bool is_new[SHARING_BRANCHES_MAX] = {false};
    bool wary;

    for (size_t i = 0; i < n; i++) {
        int place = carry_over(before, taken, branches[i], &sharing->branch[i]);

        is_new[i] = place < 0;
        if (place >= 0)
            taken[place] = true;
        if (place >= (int)before->branches)
            sharing->branch[i].blocked = true;
    }
    wary = keep_those_that_left(sharing, before, taken);
    for (size_t i = 0; i < n; i++) {
        if (is_new[i])
            sharing->branch[i].blocked = wary;
    }
}

/* Other branches, or another order: what was learned holds no more, how far we are held back does. */
static void begin(struct sharing *sharing, const struct pack *const branches[], size_t n)
{
    const struct sharing before = *sharing;

    sharing_init(sharing);
    sharing->charge = before.charge;
    sharing->discharge = before.discharge;
    sharing->branches = sharing->known = n;
    sharing->steady_at_s = NAN;
    sharing->bank_A = bank_A(branches, n);
    for (size_t i = 0; i < n; i++) {
        struct sharing_branch *branch = &sharing->branch[i];

        snprintf(branch->name, sizeof branch->name, "%s", branches[i]->name);
        snprintf(branch->serial, sizeof branch->serial, "%s", branches[i]->reading.serial);
        branch->step_share = branch->in_share = branch->out_share = NAN;
    }
    recognise(sharing, &before, branches, n);
}

/* ---- learning ---- */

static double follow(double now, double wanted, double share)
{
    return isnan(now) ? wanted : now + share * (wanted - now);
}

static bool is_plausible(const struct sharing *sharing, const struct pack *const branches[], double step_A)
{
    double equal = 1.0 / (double)sharing->branches;

    for (size_t i = 0; i < sharing->branches; i++) {
        double share = (current_of(branches[i]) - sharing->branch[i].steady_A) / step_A;

        if (!(share >= equal / STEP_OUTLIER && share <= equal * STEP_OUTLIER))
            return false;
    }
    return true;
}

/* On one bus bar a step of the current divides as the conductances do: dI_i = dV / R_i. */
static void learn_step(struct sharing *sharing, const struct pack *const branches[], double step_A)
{
    if (!is_plausible(sharing, branches, step_A))
        return;
    for (size_t i = 0; i < sharing->branches; i++) {
        struct sharing_branch *branch = &sharing->branch[i];
        double share = (current_of(branches[i]) - branch->steady_A) / step_A;
        double off = sharing->steps > 0 ? share - branch->step_share : 0;

        branch->step_share = follow(branch->step_share, share, STEP_WEIGHT);
        branch->step_var += STEP_WEIGHT * (off * off - branch->step_var);
    }
    sharing->steps++;
}

static void look_for_step(struct sharing *sharing, const struct pack *const branches[], double capacity_Ah,
                          double time_s, double dt_s)
{
    double now_A = bank_A(branches, sharing->branches);

    sharing->bank_A = follow(sharing->bank_A, now_A, 1 - exp(-dt_s / STEADY_LAG_S));
    sharing->steady_s =
        fabs(now_A - sharing->bank_A) <= STEADY_C * capacity_Ah ? sharing->steady_s + dt_s : 0;
    if (sharing->steady_s < STEADY_S)
        return;
    if (time_s - sharing->steady_at_s <= STEP_LONGEST_S &&
        fabs(now_A - sharing->steady_bank_A) >= STEP_LEAST_C * capacity_Ah)
        learn_step(sharing, branches, now_A - sharing->steady_bank_A);
    sharing->steady_at_s = time_s;
    sharing->steady_bank_A = now_A;
    for (size_t i = 0; i < sharing->branches; i++)
        sharing->branch[i].steady_A = current_of(branches[i]);
}

static void measure_shares(struct sharing *sharing, const struct pack *const branches[], double capacity_Ah,
                           double dt_s)
{
    double now_A = bank_A(branches, sharing->branches);
    bool charging = now_A > 0;

    if (!(fabs(now_A) >= MEASURED_LEAST_C * capacity_Ah))
        return;
    *(charging ? &sharing->in_s : &sharing->out_s) += dt_s;
    for (size_t i = 0; i < sharing->branches; i++) {
        struct sharing_branch *branch = &sharing->branch[i];
        double *share = charging ? &branch->in_share : &branch->out_share;

        *share = follow(*share, current_of(branches[i]) / now_A, 1 - exp(-dt_s / MEASURED_LAG_S));
    }
}

/* ---- who was blocked ---- */

/* One bus bar: less than half of what another shows is measured elsewhere. */
static double mean_of_others_V(const struct pack *const branches[], size_t n, size_t but)
{
    double most_V = NAN, sum_V = 0;
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        most_V = fmax(most_V, pack_likely_voltage_V(branches[i]));
    for (size_t i = 0; i < n; i++) {
        double voltage_V = pack_likely_voltage_V(branches[i]);

        if (i == but || !(voltage_V >= most_V / 2))
            continue;
        sum_V += voltage_V;
        count++;
    }
    return count > 0 ? sum_V / (double)count : NAN;
}

/* Whichever way it flows; NAN when it is not known now. */
static double current_C(const struct pack *pack)
{
    double capacity_Ah = capacity_of(pack);

    return fabs(pack->reading.current_A) / (isnan(capacity_Ah) ? USUAL_AH : capacity_Ah);
}

/* Packs that are apart in charge drive a current into each other, or move towards each other. */
static bool is_a_sensor(struct sharing_branch *branch, const struct pack *pack, double above_V, double scale,
                        double dt_s)
{
    bool stands = fabs(above_V - branch->stood_V) <= STOOD_V * scale;

    if (!branch->rejoining || !stands || !(current_C(pack) < STOOD_MOST_C)) {
        branch->stood_V = above_V;
        branch->stood_s = 0;
        return false;
    }
    branch->stood_s += dt_s;
    return branch->stood_s >= STOOD_S;
}

/* While nothing is wrong: what a sensor can be wrong by at once, and what it has been for long while a
 * current proves that the pack hangs on the bus bar, however much. */
static void learn_usual(struct sharing_branch *branch, const struct pack *pack, double above_V, double most_V,
                        double dt_s)
{
    branch->usual_V = fmin(fmax(above_V, -most_V), most_V);
    if (current_C(pack) > STEADY_C)
        branch->long_V = follow(branch->long_V, above_V, 1 - exp(-dt_s / LONG_LAG_S));
}

static void look_at_blocked(struct sharing *sharing, const struct config *config,
                            const struct pack *const branches[], double dt_s)
{
    for (size_t i = 0; i < sharing->branches; i++) {
        struct sharing_branch *branch = &sharing->branch[i];
        const struct pack *pack = branches[i];
        bool blocked = pack_blocks_charge(pack) || pack_blocks_discharge(pack);
        double cells = pack_now_or_last(pack->reading.cells_in_series, pack->last.cells_in_series);
        double scale = isnan(cells) ? 1 : cells / 16;
        double allowed_V = config->block_rejoin_diff_V * scale;
        double above_V = pack_likely_voltage_V(pack) - mean_of_others_V(branches, sharing->branches, i);
        double changed_V = fmin(fabs(above_V - branch->usual_V), fabs(above_V - branch->long_V));
        bool apart = fmin(fabs(above_V), changed_V) > allowed_V;

        branch->rejoining = !blocked && apart && (branch->blocked || branch->rejoining);
        branch->blocked = blocked;
        if (is_a_sensor(branch, pack, above_V, scale, dt_s)) {
            branch->long_V = above_V;
            branch->rejoining = false;
        }
        if (!blocked && !branch->rejoining && !isnan(above_V))
            learn_usual(branch, pack, above_V, USUAL_MOST * allowed_V, dt_s);
    }
}

/* ---- who is silent ---- */

/* From the second step on: in the first what it showed last counts as if it were now, or a limit would rise
 * because something became unknown. A load that appears or is gone with that is none that rises. */
static void look_at_silence(struct sharing *sharing, const struct config *config,
                            const struct pack *const branches[], double dt_s)
{
    for (size_t i = 0; i < sharing->branches; i++) {
        struct sharing_branch *branch = &sharing->branch[i];
        bool unknown = isnan(branches[i]->reading.current_A);
        bool silent = unknown && branch->silent_s > 0;

        if (silent != branch->silent)
            sharing->charge.load = sharing->discharge.load = NAN;
        branch->silent = silent;
        branch->silent_s = unknown ? branch->silent_s + dt_s : 0;
        branch->forgotten = silent && branch->silent_s >= config->lost_grace_s;
    }
}

void sharing_step(struct sharing *sharing, const struct config *config, const struct pack *const branches[],
                  size_t n, double time_s)
{
    double dt_s = time_s - sharing->last_time_s;
    double capacity_Ah = installed_Ah(branches, n);

    n = n < SHARING_BRANCHES_MAX ? n : SHARING_BRANCHES_MAX;
    sharing->last_time_s = time_s;
    sharing->left = false;
    if (!same_branches(sharing, branches, n)) {
        begin(sharing, branches, n);
        sharing->last_time_s = time_s;
    }
    look_at_blocked(sharing, config, branches, dt_s > 0 ? fmin(dt_s, DT_MOST_S) : 0);
    look_at_silence(sharing, config, branches, dt_s > 0 ? fmin(dt_s, DT_MOST_S) : 0);
    if (!(dt_s > 0) || isnan(capacity_Ah) || isnan(bank_A(branches, n)))
        return;
    dt_s = fmin(dt_s, DT_MOST_S);
    look_for_step(sharing, branches, capacity_Ah, time_s, dt_s);
    measure_shares(sharing, branches, capacity_Ah, dt_s);
}

/* ---- shares ---- */

static double within_0_and_1(double value)
{
    return fmin(fmax(value, 0), 1);
}

double sharing_confidence(const struct sharing *sharing)
{
    double steps = (double)(sharing->steps - SHARING_STEPS_TO_TRUST + 1) /
                   (SHARING_STEPS_SURE - SHARING_STEPS_TO_TRUST + 1);
    double scatter = 0;

    for (size_t i = 0; i < sharing->branches; i++)
        scatter = fmax(scatter, sqrt(sharing->branch[i].step_var) / sharing->branch[i].step_share);
    return within_0_and_1(steps) *
           within_0_and_1((SHARING_SCATTER_MOST - scatter) / (SHARING_SCATTER_MOST - SHARING_SCATTER_SURE));
}

static double measured_s(const struct sharing *sharing, bool charging)
{
    return charging ? sharing->in_s : sharing->out_s;
}

/* What a branch weighs by the rule of the settings; NAN when that does not know. */
static double weight_of(const struct sharing *sharing, enum current_sharing rule, size_t i,
                        const struct pack *pack, bool charging)
{
    const struct sharing_branch *branch = &sharing->branch[i];

    switch (rule) {
    case SHARING_COUNT:
        return 1;
    case SHARING_CAPACITY:
        return capacity_of(pack);
    case SHARING_RESISTANCE:
        return branch->step_share;
    case SHARING_MEASURED:
        if (measured_s(sharing, charging) < MEASURED_LEAST_S)
            return NAN;
        return charging ? branch->in_share : branch->out_share;
    }
    return NAN;
}

/* What was learned or measured takes over from capacities as far as it is sure. */
static void blend(const struct pack *const branches[], size_t n, double confidence, double weight[])
{
    double capacity_Ah = installed_Ah(branches, n);

    for (size_t i = 0; i < n; i++)
        weight[i] = confidence * weight[i] + (1 - confidence) * capacity_of(branches[i]) / capacity_Ah;
}

static bool weigh(const struct sharing *sharing, enum current_sharing rule,
                  const struct pack *const branches[], size_t n, bool charging, double weight[])
{
    for (size_t i = 0; i < n; i++) {
        weight[i] = weight_of(sharing, rule, i, branches[i], charging);
        if (isnan(weight[i]))
            return false;
    }
    if (rule == SHARING_RESISTANCE)
        blend(branches, n, sharing_confidence(sharing), weight);
    if (rule == SHARING_MEASURED)
        blend(branches, n,
              within_0_and_1((measured_s(sharing, charging) - MEASURED_LEAST_S) / MEASURED_SURE_S), weight);
    return true;
}

void sharing_shares(const struct sharing *sharing, const struct config *config,
                    const struct pack *const branches[], size_t n, bool charging, double share[])
{
    bool excludes = config->blocked_pack == BLOCKED_PACK_EXCLUDE;
    double open = 0, sum = 0;

    if (!weigh(sharing, config->current_sharing, branches, n, charging, share) &&
        !weigh(sharing, SHARING_CAPACITY, branches, n, charging, share))
        weigh(sharing, SHARING_COUNT, branches, n, charging, share);
    for (size_t i = 0; i < n; i++) {
        bool out = excludes && blocks(branches[i], charging);

        share[i] = out ? 0 : fmax(share[i], 0);
        open += !out;
        sum += share[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (!(excludes && blocks(branches[i], charging)))
            share[i] = fmax(sum > 0 ? share[i] / sum : 1 / open, SHARING_LEAST / open);
    }
}

double sharing_open_part(const struct pack *const branches[], size_t n, bool charging)
{
    bool known = !isnan(installed_Ah(branches, n));
    double open = 0, all = 0;

    for (size_t i = 0; i < n; i++) {
        double weight = known ? fmax(capacity_of(branches[i]), 0) : 1;

        all += weight;
        open += blocks(branches[i], charging) ? 0 : weight;
    }
    return all > 0 ? open / all : 0;
}

/* ---- feedback ---- */

/* The load of the branch that is nearest to its own limit, of those whose current is known, or silent. A
 * silence that lasts is forgotten. */
static double most_loaded(const struct sharing *sharing, const struct pack *const branches[], bool silent,
                          bool charging, size_t *which)
{
    double most = 0;

    for (size_t i = 0; i < sharing->branches; i++) {
        const struct pack *pack = branches[i];
        double limit_A =
            charging
                ? pack_now_or_last(pack->reading.charge_current_max_A, pack->last.charge_current_max_A)
                : pack_now_or_last(pack->reading.discharge_current_max_A, pack->last.discharge_current_max_A);
        double current_A = charging ? current_of(pack) : -current_of(pack);

        if (sharing->branch[i].silent != silent || sharing->branch[i].forgotten)
            continue;
        if (blocks(pack, charging) || !(limit_A > 0) || !(current_A / limit_A > most))
            continue;
        most = current_A / limit_A;
        *which = i;
    }
    return most;
}

/* What the load will be when the chargers have followed: a BMS lowers its limit while the cells fill. */
static double load_ahead(struct sharing_hold *hold, double load, double dt_s)
{
    if (dt_s > 0 && !isnan(hold->load))
        hold->rise_1s = follow(hold->rise_1s, (load - hold->load) / dt_s, 1 - exp(-dt_s / RISE_LAG_S));
    hold->load = load;
    return load + fmin(fmax(hold->rise_1s - RISE_NOISE_1S, 0) * SHARING_AHEAD_S, RISE_MOST);
}

/* One whose current is silent may still be where it was: it holds what is held, and lowers nothing more. */
static void hold_back(struct sharing *sharing, struct limit *limit, const struct pack *const branches[],
                      bool charging, double dt_s)
{
    struct sharing_hold *hold = charging ? &sharing->charge : &sharing->discharge;
    size_t which = 0, silent = 0;
    double load = most_loaded(sharing, branches, false, charging, &which);
    double silent_load = most_loaded(sharing, branches, true, charging, &silent);
    double ahead = load_ahead(hold, load, dt_s);
    double now_A = (charging ? 1 : -1) * bank_A(branches, sharing->branches);

    if (ahead > SHARING_LOAD_MOST && limit->value > 0 && now_A > 0)
        hold->factor =
            fmin(hold->factor, fmax(now_A * SHARING_LOAD_MOST / ahead / limit->value, SHARING_LEFT_LEAST));
    else if (fmax(ahead, silent_load) < SHARING_LOAD_RISE && !isnan(now_A))
        hold->factor = fmin(1, hold->factor + SHARING_RISE * dt_s);
    if (!(hold->factor < 1) || !(limit->value > 0))
        return;
    limit->value *= hold->factor;
    snprintf(limit->reason, sizeof limit->reason, "Held back for pack \"%s\": at %.0f %% of its limit",
             branches[silent_load > load ? silent : which]->name, 100 * fmax(load, silent_load));
}

void sharing_hold_back(struct sharing *sharing, const struct pack *const branches[], size_t n, double dt_s,
                       struct limits *limits)
{
    dt_s = dt_s > 0 ? fmin(dt_s, DT_MOST_S) : 0;
    if (n < sharing->branches)
        return;
    hold_back(sharing, &limits->charge_current, branches, true, dt_s);
    hold_back(sharing, &limits->discharge_current, branches, false, dt_s);
}

/* ---- rejoining ---- */

static double cells_of(const struct config *config, const struct pack *pack)
{
    double told = pack_now_or_last(pack->reading.cells_in_series, pack->last.cells_in_series);

    if (config->nr_of_cells_per_battery != CONFIG_NOT_SET && !pack->in_series)
        return config->nr_of_cells_per_battery;
    if (isnan(told) && pack->cells.shown > 0)
        return (double)pack->cells.shown;
    return isnan(told) ? round(pack_likely_voltage_V(pack) / USUAL_CELL_V) : told;
}

void sharing_stay_near(const struct config *config, const struct pack *const branches[], size_t n,
                       struct limit *charge_voltage)
{
    for (size_t i = 0; i < n; i++) {
        double most_V =
            pack_likely_voltage_V(branches[i]) + SHARING_APART_CELL_V * cells_of(config, branches[i]);

        if (!pack_blocks_charge(branches[i]) || !(charge_voltage->value > most_V))
            continue;
        charge_voltage->value = most_V;
        snprintf(charge_voltage->reason, sizeof charge_voltage->reason,
                 "Pack \"%s\" blocks charging and is not left far behind", branches[i]->name);
    }
}

static void cap(struct limit *limit, double most_A, const char *name)
{
    if (!(limit->value > most_A))
        return;
    limit->value = most_A;
    snprintf(limit->reason, sizeof limit->reason, "Pack \"%s\" comes back and is apart from the others",
             name);
}

/* 5 % of the capacity; one that does not tell its own counts as the others do on average. Where none does, 5
 * % of the limit: NAN. */
static double rejoin_A(const struct pack *const branches[], size_t n)
{
    double sum_Ah = 0;
    size_t known = 0;

    for (size_t i = 0; i < n; i++) {
        if (isnan(capacity_of(branches[i])))
            continue;
        sum_Ah += capacity_of(branches[i]);
        known++;
    }
    return known > 0 ? SHARING_REJOIN_A_AH * sum_Ah * (double)n / (double)known : NAN;
}

void sharing_wait_for_rejoining(const struct sharing *sharing, const struct pack *const branches[], size_t n,
                                struct limits *limits)
{
    double most_A = rejoin_A(branches, n);
    double in_A = pack_now_or_last(most_A, SHARING_REJOIN_PART * limits->charge_current.value);
    double out_A = pack_now_or_last(most_A, SHARING_REJOIN_PART * limits->discharge_current.value);

    for (size_t i = 0; i < n && i < sharing->branches; i++) {
        if (!sharing->branch[i].rejoining)
            continue;
        cap(&limits->charge_current, in_A, branches[i]->name);
        cap(&limits->discharge_current, out_A, branches[i]->name);
    }
}
