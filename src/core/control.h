/* Charge control of our own (OWN_CHARGE_PARAMETERS = True): the target of the day, a CVL that gives way
 * to the highest cell, and currents that follow the cells. Decides only; what follows from it on the bus
 * (limits, feed-in) is for others. */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/balancing.h"
#include "core/bank.h"
#include "core/config.h"
#include "core/limits.h"
#include "core/smooth.h"

struct control {
    struct balancing balancing;
    struct smooth smooth;
    double peak_s;      /* how long the highest cell has been at MAX_CELL_VOLTAGE or above */
    double last_time_s; /* NAN before the first step */
    double cells;       /* in series in a pack, as was possible last; NAN before */
    bool empty;         /* the lowest cell was at MIN_CELL_VOLTAGE and has not recovered yet */
};

struct control_input {
    double time_s; /* monotonic */
    struct calendar today;
    const struct pack *const *packs;
    size_t pack_count;
    const struct bank *bank; /* merged from them */
    bool feed_in;            /* DC feed-in is on */
    bool holding;            /* it is held off, and owed */
    bool incomplete;         /* a pack of the bank is not seen */
    double charge_part; /* what is left of the current while a pack blocks, 0..1: 0 = it stops the bank */
    double discharge_part;
    double lost_part; /* of the capacity, that is not here, 0..1 */
};

struct control_output {
    struct limits limits;
    struct balancing_target target;
    bool peaking;    /* the highest cell is in danger: at MAX_CELL_VOLTAGE or above (smooth: for
                        CONTROL_PEAK_S, or CONTROL_PEAK_V above it) */
    bool cells_calm; /* the highest cell is known and CONTROL_CALM_V under it */
    bool balanced;   /* no cell above it and the difference under CELL_DIFF_MAX */
};

#define CONTROL_CALM_V 0.010
#define CONTROL_PEAK_V 0.003
#define CONTROL_PEAK_S 3.0

void control_init(struct control *control);

/* CVL: the target of the day (balancing.h), and below it as the highest cell demands. CVL_CONTROL = smooth:
 *   see smooth.h. reference: while a cell peaks the lowest over the packs of (sum of its cells - sum over
 *   its cells of max(0, cell - MAX_CELL_VOLTAGE)).
 * CCL: 0 when a pack blocks charging, else MAX_CHARGE_CURRENT times the lower of the charge curve at the
 *   highest and at the lowest cell.
 * DCL: 0 when a pack blocks discharging, or from MIN_CELL_VOLTAGE until the lowest cell is above
 *   MIN_CELL_VOLTAGE + MIN_CELL_HYSTERESIS; else MAX_DISCHARGE_CURRENT times the discharge curve.
 * What is lost of the bank takes none of either current.
 * A cell that is unknown counts with what its pack showed last, and so does the number of cells. Without any
 * cells or without their number the limits are unknown.
 * Source: the reference behaviour, "Own charge control". */
void control_step(struct control *control, const struct config *config, const struct control_input *in,
                  struct control_output *out);

/* Cells in series of a pack of this bank: the user's number where it can be, else what the packs say or show;
 * NAN. */
double control_cells_in_series(const struct config *config, const struct pack *const packs[], size_t n);

#endif
