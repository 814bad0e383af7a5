#include "core/resistance.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LOOK_S 1.0
#define GAP_S 30.0

/* When a current is steady, and when it has stepped; C: A for each Ah. */
#define STEADY_C 0.01
#define STEADY_S 5.0
#define STEADY_LAG_S 3.0
#define STEP_LEAST_C 0.05
#define STEP_LONGEST_S 120.0 /* later the voltage has moved by what went in and out */

/* Of one cell with its part of wires and BMS, Ohm times Ah: LTO and LFP, new and old, and more than that. */
#define CELL_LEAST_OHM_AH 0.01
#define CELL_MOST_OHM_AH 3.0
#define CELL_V 3.3 /* where nobody tells the number of cells */

static void begin(struct resistance *resistance, const char *name)
{
    memset(resistance, 0, sizeof *resistance);
    snprintf(resistance->name, sizeof resistance->name, "%s", name);
    resistance->last_s = resistance->steady_at_s = resistance->smooth_A = NAN;
    resistance->ohm = resistance->deviation_ohm = resistance->share = NAN;
}

const struct resistance *resistance_find(const struct resistance list[RESISTANCE_PACKS_MAX], const char *name)
{
    for (size_t i = 0; i < RESISTANCE_PACKS_MAX && list[i].name[0]; i++) {
        if (strcmp(list[i].name, name) == 0)
            return &list[i];
    }
    return NULL;
}

struct resistance *resistance_of(struct resistance list[RESISTANCE_PACKS_MAX], const char *name, size_t hint)
{
    size_t place = 0;

    if (strcmp(list[hint].name, name) == 0)
        return &list[hint];
    while (place < RESISTANCE_PACKS_MAX && list[place].name[0] && strcmp(list[place].name, name) != 0)
        place++;
    if (place == RESISTANCE_PACKS_MAX)
        place = hint;
    if (strcmp(list[place].name, name) != 0)
        begin(&list[place], name);
    return &list[place];
}

/* ---- learning ---- */

static double square(double value)
{
    return value * value;
}

static bool is_possible(const struct pack_reading *reading, double ohm)
{
    double cells = reading->cells_in_series > 0 ? reading->cells_in_series : reading->voltage_V / CELL_V;
    double cell_ohm_Ah = ohm * reading->capacity_installed_Ah / cells;

    return cell_ohm_Ah >= CELL_LEAST_OHM_AH && cell_ohm_Ah <= CELL_MOST_OHM_AH;
}

static void begin_at(struct resistance *resistance, double ohm, double var)
{
    resistance->ohm = ohm;
    resistance->deviation_ohm = sqrt(var);
    resistance->steps = 1;
    resistance->outliers = 0;
}

/* One step tells ohm, with that variance: a Kalman filter of one state. */
static void learn(struct resistance *resistance, double ohm, double var)
{
    double before = square(resistance->deviation_ohm) + square(RESISTANCE_DRIFT * resistance->ohm);
    double off = ohm - resistance->ohm;

    if (resistance->steps == 0) {
        begin_at(resistance, ohm, var);
    } else if (fabs(off) <= RESISTANCE_SIGMAS * sqrt(before + var)) {
        resistance->ohm += off * before / (before + var);
        resistance->deviation_ohm = sqrt(before * var / (before + var));
        resistance->steps++;
        resistance->outliers = 0;
    } else if (++resistance->outliers >= RESISTANCE_OUTLIERS_BELIEVED) {
        begin_at(resistance, ohm, var);
    }
}

static void look_for_step(struct resistance *resistance, const struct pack_reading *reading, double time_s)
{
    double step_A = reading->current_A - resistance->steady_A;
    double ohm = (reading->voltage_V - resistance->steady_V) / step_A;

    if (time_s - resistance->steady_at_s <= STEP_LONGEST_S &&
        fabs(step_A) >= STEP_LEAST_C * reading->capacity_installed_Ah && is_possible(reading, ohm))
        learn(resistance, ohm, square(RESISTANCE_VOLTS_V / step_A) + square(RESISTANCE_STEP * ohm));
    resistance->steady_at_s = time_s;
    resistance->steady_A = reading->current_A;
    resistance->steady_V = reading->voltage_V;
}

void resistance_step(struct resistance *resistance, const struct pack *pack, double time_s)
{
    const struct pack_reading *reading = &pack->reading;
    double dt_s = time_s - resistance->last_s;

    if (dt_s < LOOK_S && dt_s >= 0)
        return;
    resistance->last_s = time_s;
    if (!(dt_s >= 0 && dt_s <= GAP_S) || isnan(reading->current_A) || isnan(reading->voltage_V) ||
        !(reading->capacity_installed_Ah > 0)) {
        resistance->smooth_A = reading->current_A;
        resistance->steady_s = 0;
        return;
    }
    if (isnan(resistance->smooth_A))
        resistance->smooth_A = reading->current_A;
    resistance->smooth_A += (1 - exp(-dt_s / STEADY_LAG_S)) * (reading->current_A - resistance->smooth_A);
    if (fabs(reading->current_A - resistance->smooth_A) <= STEADY_C * reading->capacity_installed_Ah)
        resistance->steady_s += dt_s;
    else
        resistance->steady_s = 0;
    if (resistance->steady_s >= STEADY_S)
        look_for_step(resistance, reading, time_s);
}
