/* The plant under a controller, for days or years in virtual time: ours (core/aggregator.h), or the
 * reference's. Counts what a battery's owner would want to know. */
#ifndef SIM_YEAR_H
#define SIM_YEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "core/aggregator.h"
#include "sim/plant.h"
#include "sim/reference.h"

enum { YEAR_BANDS = 6, YEAR_BALANCINGS_MAX = 400 };

enum year_controller { YEAR_OURS, YEAR_REFERENCE };

struct year_options {
    struct plant_setup plant;
    struct config config; /* OWN_CHARGE_PARAMETERS decides what is tried, as on the device */
    enum year_controller controller;
    double days;
    bool feed_in;         /* the user wishes DC feed-in, and there is an ESS */
    double noise_V;       /* of the BMS's cell voltages: +- evenly */
    double imbalance;     /* SoC of the first cell of the first pack above that of the others, 0.02 = 2 % */
    double lean_from_day; /* from then on something else keeps the bank between lean_least and lean_most; */
    double lean_most;     /* SoC 0..1; 0 = never */
};

/* A moment of it, once a minute. */
struct year_sample {
    double time_s; /* since the start */
    double voltage_V, current_A, highest_V, lowest_V;
    double cvl_V, ccl_A, dcl_A;
    double soc_pct, true_soc_pct;
    double sun_W, mppts_A, export_A;
    bool feed_in_held;
    enum balancing_state balancing;
};

struct year_result {
    double highest_V; /* of any cell, ever */
    double over_s;    /* seconds with a cell over MAX_CELL_VOLTAGE */
    int disconnections;
    double band_h[YEAR_BANDS]; /* hours of the highest cell in year_band_text */
    double absorption_h;       /* hours with the highest cell within 50 mV of its limit, under charge */
    int cvl_moves, cvl_turns;  /* changes of the published CVL, and of its direction, in absorption */
    int cvl_turns_worst;       /* most in one hour */
    double held_h;             /* feed-in wished and held off */
    double soc_error_mean_pct, soc_error_worst_pct;   /* after the first full charge; NAN = none */
    double lean_error_mean_pct, lean_error_worst_pct; /* after lean_from_day */
    size_t balancings;
    double balancing_day[YEAR_BALANCINGS_MAX];
    double
        even_after_days; /* first time that the cells differed by less than CELL_DIFF_MAX at the top; NAN */
    struct plant_energy energy;
    double refused_Wh;   /* of the sun */
    double avoidable_Wh; /* of that, what the best control would have taken */
};

extern const char *const year_band_text[YEAR_BANDS];

typedef void (*year_sample_fn)(void *ctx, const struct year_sample *sample);

/* Runs it. sample may be NULL. False when out of memory. */
bool year_run(const struct year_options *options, year_sample_fn sample, void *ctx,
              struct year_result *result);

#endif
