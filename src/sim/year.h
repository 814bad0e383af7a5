/* Lets a simulated house live under a controller for days or years of virtual time, and counts what became
 * of its sun, its cells and its owner's settings. Same options, same report. */
#ifndef SIM_YEAR_H
#define SIM_YEAR_H

#include <stdbool.h>

#include "core/config.h"
#include "sim/plant.h"

enum year_controller { YEAR_OURS, YEAR_REFERENCE };

/* Bands of the mean cell voltage, for the time spent in each. */
enum { YEAR_BANDS = 7 };
extern const double year_band_from_V[YEAR_BANDS]; /* the first from 0 on, the last without end */

/* What is now, once a minute: truth and what the controller shows. */
struct year_sample {
    double time_s; /* since the start, which is midnight */
    double soc_pct, shown_soc_pct;
    double voltage_V, highest_V, lowest_V;
    double cvl_V, ccl_A, dcl_A;
    double sun_W, refused_W, load_W, export_W;
    double current_A; /* + charges */
    bool feed_in, grid;
};

struct year_day {
    int day; /* from 0 on */
    double soc_min_pct, soc_max_pct;
    double highest_V, lowest_V; /* of all cells */
    double cvl_min_V, cvl_max_V;
    double sun_kWh, refused_kWh, exported_kWh;
    double held_h; /* feed-in off that the owner wants on */
    bool balanced;
};

struct year_options {
    const struct config *config;
    struct plant_setup plant;
    enum year_controller controller;
    int days;
    bool feed_in; /* the owner has DC feed-in on */
    double sensor_offset_A, sensor_gain_error;
    int diverter_from_day; /* when the plant's diverter comes into use */
    int soc_from_day;      /* from when on the error of the SoC counts */

    /* Called in virtual time; either may be NULL. on_day returns false to stop. */
    void (*on_minute)(void *ctx, const struct year_sample *sample);
    bool (*on_day)(void *ctx, const struct year_day *day);
    void *ctx;
};

struct year_report {
    double days; /* that were simulated */
    struct plant_energy energy_Wh;
    double refused_Wh;   /* sun that nobody took */
    double avoidable_Wh; /* of it, what the best control of the same house would not have refused */
    double surplus_Wh;   /* what was fed in, and what could have been taken: all that was to be had */

    double highest_V; /* of all cells, ever */
    double highest_at_s;
    double over_limit_V; /* above MAX_CELL_VOLTAGE, >= 0 */
    double over_limit_h;
    double best_highest_V; /* under the best control, which sees a sudden outage no sooner than others */
    double lowest_V;
    unsigned disconnections; /* a BMS that blocked charging */
    double band_h[YEAR_BANDS];
    double even_after_days; /* until cells would differ by less than CELL_DIFF_MAX at the top; NAN = never */

    unsigned feed_in_holds;
    double feed_in_held_h;

    unsigned balancings;
    double balancing_gap_days; /* the longest without one, from the start and to the end too */

    double absorption_h; /* the bank is at CVL, or a cell at its limit */
    unsigned cvl_moves;  /* as an MPPT takes it: in steps of 10 mV */
    unsigned cvl_turns;  /* changes of direction, in absorption */

    double soc_error_mean_pct, soc_error_worst_pct; /* absolute, against the mean of the cells */
    double steps;
};

struct plant_setup year_plant_default(void);

/* The mean cell difference that the first full cell would see at the top: all cells brought up together
 * until the first rests at top_V, the worst pack's. */
double year_difference_at_top_V(const struct plant *plant, double top_V);

/* 0, or -1 when there is no memory. */
int year_run(const struct year_options *options, struct year_report *report);

#endif
