#include "core/control.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* No cell of any chemistry that a BMS leads has less or more. */
#define POSSIBLE_CELL_LEAST_V 0.5
#define POSSIBLE_CELL_MOST_V 5.0
#define POSSIBLE_PACK_LEAST_V 1.0 /* less is an open contactor, and no evidence of anything */
#define POSSIBLE_MEAN_LEAST 0.96  /* of the lowest cell: cables and sensors take less than that */

/* The cell that a limit depends on. */
struct cell {
    double voltage_V; /* NAN when no pack ever showed one */
    const struct pack *pack;
    int number;     /* 1-based; 0: the pack did not say which */
    const char *id; /* what a string of packs calls it */
};

void control_init(struct control *control)
{
    memset(control, 0, sizeof *control);
    balancing_init(&control->balancing);
    smooth_init(&control->smooth);
    control->last_time_s = control->cells = NAN;
}

/* A pack of 53 V has not got one cell, and the mean of its cells is not below the lowest: with a number that
 * cannot be CVL would be anything. */
static bool is_possible(const struct pack *pack, double cells)
{
    double voltage_V = pack_now_or_last(pack->reading.voltage_V, pack->last.voltage_V);
    double cell_V = voltage_V / cells;

    return voltage_V < POSSIBLE_PACK_LEAST_V ||
           !(cell_V < POSSIBLE_CELL_LEAST_V || cell_V > POSSIBLE_CELL_MOST_V ||
             cell_V < POSSIBLE_MEAN_LEAST * pack->cells.lowest_V);
}

double control_cells_in_series(const struct config *config, const struct pack *const packs[], size_t n)
{
    bool is_set = config->nr_of_cells_per_battery != CONFIG_NOT_SET;
    double set = config->nr_of_cells_per_battery;
    double cells = NAN;

    for (size_t i = 0; i < n; i++) {
        double own = pack_now_or_last(packs[i]->reading.cells_in_series, packs[i]->last.cells_in_series);
        size_t shown = packs[i]->cells.shown;

        if (is_set && !packs[i]->in_series && is_possible(packs[i], set))
            own = set;
        if (!is_possible(packs[i], own))
            own = NAN;
        if (isnan(own) && shown > 0)
            own = (double)shown;
        cells = fmin(cells, own); /* the fewest: a target that is too low harms nobody */
    }
    return isnan(cells) && is_set && config->shape.strings == 0 ? set : cells;
}

static struct cell find_cell(const struct pack *const packs[], size_t n, bool highest)
{
    struct cell found = {NAN, NULL, 0, ""};

    for (size_t i = 0; i < n; i++) {
        struct cell cell = {NAN, packs[i], 0, ""};

        if (highest) {
            cell.voltage_V = pack_highest_cell_V(packs[i], &cell.number);
        } else {
            cell.voltage_V = pack_lowest_cell_V(packs[i], &cell.number);
        }
        if (packs[i]->in_series)
            cell.id = highest ? packs[i]->reading.cell_voltage_max_id : packs[i]->reading.cell_voltage_min_id;
        if (isnan(found.voltage_V) ||
            (highest ? cell.voltage_V > found.voltage_V : cell.voltage_V < found.voltage_V))
            found = cell;
    }
    return found;
}

/* In whole millivolts: printing a double takes longer than all the rest of a step. */
static void cell_text(const struct cell *cell, char *text, size_t size)
{
    long mV = lround(cell->voltage_V * 1000);

    if (*cell->id)
        snprintf(text, size, "%s %ld.%03ld V", cell->id, mV / 1000, mV % 1000);
    else if (cell->number > 0)
        snprintf(text, size, "%s: C%d %ld.%03ld V", cell->pack->name, cell->number, mV / 1000, mV % 1000);
    else
        snprintf(text, size, "%s: %ld.%03ld V", cell->pack->name, mV / 1000, mV % 1000);
}

/* What a pack may still be charged to while its cells peak: its sum without what is above the limit. */
static double pack_peak_voltage_V(const struct pack *pack, double max_cell_V)
{
    double voltage_V = pack->cells.limit_sum_V;
    double above_V = 0;

    for (size_t i = 0; i < READING_CELLS_MAX; i++)
        above_V += fmax(0, pack_now_or_last(pack->reading.cell_V[i], pack->last.cell_V[i]) - max_cell_V);
    return voltage_V - fmax(above_V, pack_highest_cell_V(pack, NULL) - max_cell_V);
}

/* How far the highest cell of a pack is above the mean of its cells. */
static double pack_spread_V(const struct pack *pack, double cells)
{
    double voltage_V = pack->cells.limit_sum_V;

    return pack_highest_cell_V(pack, NULL) - voltage_V / cells;
}

static double limit_smoothly(struct control *control, const struct config *config,
                             const struct control_input *in, const struct cell *highest, double target_V)
{
    struct smooth_input smooth = {.time_s = in->time_s,
                                  .highest_V = highest->voltage_V,
                                  .spread_V = NAN,
                                  .cells = control->cells,
                                  .target_V = target_V,
                                  .limit_V = config->max_cell_voltage_V,
                                  .feed_in = in->feed_in,
                                  .holding = in->holding};

    smooth.mean_V = INFINITY;
    for (size_t i = 0; i < in->pack_count; i++) {
        smooth.spread_V = fmax(smooth.spread_V, pack_spread_V(in->packs[i], smooth.cells));
        smooth.mean_V = fmin(smooth.mean_V, in->packs[i]->cells.limit_sum_V / smooth.cells);
    }
    if (isinf(smooth.mean_V))
        smooth.mean_V = 0; /* nobody tells a sum */
    return smooth_step(&control->smooth, &smooth);
}

static double limit_as_reference(const struct config *config, const struct control_input *in, double target_V)
{
    double lowest_V = target_V;

    for (size_t i = 0; i < in->pack_count; i++) {
        double voltage_V = pack_peak_voltage_V(in->packs[i], config->max_cell_voltage_V);

        if (voltage_V < lowest_V)
            lowest_V = voltage_V;
    }
    return lowest_V;
}

static void limit_voltage(struct control *control, const struct config *config,
                          const struct control_input *in, const struct cell *highest,
                          struct control_output *out)
{
    struct limit *limit = &out->limits.charge_voltage;
    bool smooth = config->cvl_control == CVL_SMOOTH;
    char text[LIMIT_REASON_MAX];

    limit->value = out->target.voltage_V;
    snprintf(limit->reason, sizeof limit->reason, "%s", out->target.reason);
    if (smooth)
        limit->value = limit_smoothly(control, config, in, highest, out->target.voltage_V);
    else if (out->peaking)
        limit->value = limit_as_reference(config, in, out->target.voltage_V);
    if (!out->peaking && !(limit->value < out->target.voltage_V))
        return;
    cell_text(highest, text, sizeof text);
    snprintf(limit->reason, sizeof limit->reason, "%s: %.100s", out->peaking ? "Cell peak" : "Highest cell",
             text);
}

/* The reference's danger is one sample at the limit. With a set point a few mV below, noise alone touches
 * it now and then: there it must stay, or be well above. */
static bool is_peaking(struct control *control, const struct config *config, const struct control_input *in,
                       double highest_V)
{
    double over_V = highest_V - config->max_cell_voltage_V;
    double dt_s = in->time_s > control->last_time_s ? in->time_s - control->last_time_s : 0;

    control->last_time_s = in->time_s;
    control->peak_s = over_V >= 0 ? control->peak_s + dt_s : 0;
    if (config->cvl_control == CVL_REFERENCE)
        return over_V >= 0;
    return over_V >= CONTROL_PEAK_V || control->peak_s >= CONTROL_PEAK_S;
}

static const struct pack *find_blocking(const struct control_input *in, bool (*blocks)(const struct pack *))
{
    for (size_t i = 0; i < in->pack_count; i++) {
        if (blocks(in->packs[i]))
            return in->packs[i];
    }
    return NULL;
}

static void limit_charge(const struct config *config, const struct control_input *in,
                         const struct cell *highest, const struct cell *lowest, struct limits *limits)
{
    struct limit *limit = &limits->charge_current;
    const struct pack *blocking = find_blocking(in, pack_blocks_charge);
    double at_highest = curve_at(&config->charge_curve, highest->voltage_V);
    double at_lowest = curve_at(&config->charge_curve, lowest->voltage_V);
    char text[LIMIT_REASON_MAX];

    limits->charge_blocked = blocking != NULL;
    if (blocking && !(in->charge_part > 0)) {
        limit->value = 0;
        snprintf(limit->reason, sizeof limit->reason, "Pack \"%s\" blocks charging", blocking->name);
        return;
    }
    limit->value = config->max_charge_current_A * fmin(at_highest, at_lowest) * (1 - in->lost_part);
    if (blocking) {
        limit->value *= in->charge_part;
        snprintf(limit->reason, sizeof limit->reason, "Without pack \"%s\", which blocks charging",
                 blocking->name);
    } else if (at_highest <= at_lowest && at_highest < 1) {
        cell_text(highest, text, sizeof text);
        snprintf(limit->reason, sizeof limit->reason, "High cell: %.100s", text);
    } else if (at_lowest < 1) {
        cell_text(lowest, text, sizeof text);
        snprintf(limit->reason, sizeof limit->reason, "Low cell: %.100s", text);
    } else {
        snprintf(limit->reason, sizeof limit->reason, "MAX_CHARGE_CURRENT");
    }
}

static void limit_discharge(struct control *control, const struct config *config,
                            const struct control_input *in, const struct cell *lowest, struct limits *limits)
{
    struct limit *limit = &limits->discharge_current;
    const struct pack *blocking = find_blocking(in, pack_blocks_discharge);
    double share = curve_at(&config->discharge_curve, lowest->voltage_V);
    char text[LIMIT_REASON_MAX];

    cell_text(lowest, text, sizeof text);
    if (lowest->voltage_V <= config->min_cell_voltage_V)
        control->empty = true;
    else if (lowest->voltage_V > config->min_cell_voltage_V + config->min_cell_hysteresis_V)
        control->empty = false;
    limits->discharge_blocked = blocking != NULL;
    if (blocking && !(in->discharge_part > 0)) {
        limit->value = 0;
        snprintf(limit->reason, sizeof limit->reason, "Pack \"%s\" blocks discharging", blocking->name);
    } else if (control->empty) {
        limit->value = 0;
        snprintf(limit->reason, sizeof limit->reason, "Empty cell: %.100s", text);
    } else {
        limit->value = config->max_discharge_current_A * share * (blocking ? in->discharge_part : 1) *
                       (1 - in->lost_part);
        if (blocking)
            snprintf(limit->reason, sizeof limit->reason, "Without pack \"%s\", which blocks discharging",
                     blocking->name);
        else if (share < 1)
            snprintf(limit->reason, sizeof limit->reason, "Low cell: %.100s", text);
        else
            snprintf(limit->reason, sizeof limit->reason, "MAX_DISCHARGE_CURRENT");
    }
}

/* A pack that tells none counts with what it told last: its silence must not move the target. */
static double mean_voltage_V(const struct control_input *in)
{
    double sum_V = 0;
    size_t known = 0;

    for (size_t i = 0; i < in->pack_count; i++) {
        double voltage_V = pack_now_or_last(in->packs[i]->reading.voltage_V, in->packs[i]->last.voltage_V);

        if (isnan(voltage_V))
            continue;
        sum_V += voltage_V;
        known++;
    }
    return known > 0 ? sum_V / (double)known : NAN;
}

static void step_target(struct control *control, const struct config *config, const struct control_input *in,
                        struct control_output *out)
{
    struct balancing_input balancing = {
        .time_s = in->time_s,
        .today = in->today,
        .voltage_V = mean_voltage_V(in),
        .cell_diff_V = in->incomplete ? NAN : in->bank->cell_voltage_diff_V, /* its cells may be uneven */
        .cells = control->cells,
    };

    balancing_step(&control->balancing, config, &balancing, &out->target);
    if (!in->incomplete || !(out->target.voltage_V > out->target.normal_V))
        return;
    out->target.voltage_V = out->target.normal_V; /* nobody balances cells that nobody sees */
    snprintf(out->target.reason, sizeof out->target.reason, "Balancing waits");
}

void control_step(struct control *control, const struct config *config, const struct control_input *in,
                  struct control_output *out)
{
    struct cell highest = find_cell(in->packs, in->pack_count, true);
    struct cell lowest = find_cell(in->packs, in->pack_count, false);

    memset(out, 0, sizeof *out);
    control->cells =
        pack_now_or_last(control_cells_in_series(config, in->packs, in->pack_count), control->cells);
    step_target(control, config, in, out);
    if (isnan(highest.voltage_V) || isnan(lowest.voltage_V)) {
        out->limits.charge_voltage.value = NAN;
        out->limits.charge_current.value = NAN;
        out->limits.discharge_current.value = NAN;
        return;
    }
    out->peaking = is_peaking(control, config, in, highest.voltage_V);
    out->cells_calm = highest.voltage_V <= config->max_cell_voltage_V - CONTROL_CALM_V;
    out->balanced = highest.voltage_V <= config->max_cell_voltage_V &&
                    in->bank->cell_voltage_diff_V < config->cell_diff_max_V;
    limit_voltage(control, config, in, &highest, out);
    limit_charge(config, in, &highest, &lowest, &out->limits);
    limit_discharge(control, config, in, &lowest, &out->limits);
}
