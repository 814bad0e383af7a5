#include "core/smooth.h"

#include <math.h>
#include <string.h>

#define STEP_LONGEST_S 30.0

/* What is noise: 1 to 2 mV of a cell, different in each second. */
#define HIGHEST_S 3.0
#define RISE_S 12.0
#define RISE_NOISE_V_S 0.0001
#define SPREAD_S 4.0
#define SPREAD_SLOW_S 60.0
#define SPREAD_NOISE_V 0.002

/* How far ahead: chargers need 5 to 15 s to follow. */
#define AHEAD_S 20.0
#define AHEAD_MAX_V 0.040

/* The set point under the limit. */
#define MARGIN_LEAST_V 0.004
#define MARGIN_MOST_V 0.015
#define MARGIN_HOLDING_V 0.015 /* more than the 10 mV that make a cell calm */
#define MARGIN_FORGET_S 864000.0

/* When it limits. */
#define NEAR_V 0.040 /* under the set point */
#define FAR_V 0.080
#define FAR_S 300.0

/* Under the voltage that the bank has: enough to end any charging. More would have an ESS system empty the
 * battery into the grid. */
#define BELOW_MOST_V 0.030
#define BELOW_ABSURD_V 0.100
#define ABSURD_S 10.0 /* and not because a value is missing for a moment */

/* Moves. */
#define DOWN_V_CELL 0.0006 /* less is no reason to move */
#define UP_V_CELL 0.002
#define UP_V_CELL_S 0.0002
#define UP_AFTER_DOWN_S 60.0
#define UPS_MOST 1.0
#define UPS_S 1800.0

void smooth_init(struct smooth *smooth)
{
    memset(smooth, 0, sizeof *smooth);
    smooth->last_time_s = NAN;
    smooth->margin_V = MARGIN_LEAST_V;
    smooth->ups = UPS_MOST;
}

static double follow(double now, double wanted, double dt_s, double lag_s)
{
    return wanted + (now - wanted) * exp(-dt_s / lag_s);
}

static void begin(struct smooth *smooth, const struct smooth_input *in)
{
    smooth->last_time_s = in->time_s;
    smooth->highest_V = in->highest_V;
    smooth->rise_V_s = 0;
    smooth->spread_V = smooth->spread_slow_V = isnan(in->spread_V) ? 0 : in->spread_V;
}

static void filter(struct smooth *smooth, const struct smooth_input *in, double dt_s)
{
    double before_V = smooth->highest_V;

    smooth->highest_V = follow(before_V, in->highest_V, dt_s, HIGHEST_S);
    smooth->rise_V_s = follow(smooth->rise_V_s, (smooth->highest_V - before_V) / dt_s, dt_s, RISE_S);
    if (isnan(in->spread_V))
        return; /* it stands: unknown is no reason to rise */
    smooth->spread_V = follow(smooth->spread_V, in->spread_V, dt_s, SPREAD_S);
    smooth->spread_slow_V = follow(smooth->spread_slow_V, in->spread_V, dt_s, SPREAD_SLOW_S);
}

/* A peak that went over teaches a larger margin for the next time; days without one a smaller. */
static void learn(struct smooth *smooth, const struct smooth_input *in, double dt_s)
{
    double over_V = smooth->highest_V - in->limit_V;

    smooth->margin_V = follow(smooth->margin_V, MARGIN_LEAST_V, dt_s, MARGIN_FORGET_S);
    if (over_V > smooth->excess_V) {
        smooth->margin_V = fmin(smooth->margin_V + over_V - smooth->excess_V, MARGIN_MOST_V);
        smooth->excess_V = over_V;
    }
    if (over_V < -smooth->margin_V)
        smooth->excess_V = 0;
}

static double set_point_V(const struct smooth *smooth, const struct smooth_input *in)
{
    double margin_V = in->holding ? fmax(smooth->margin_V, MARGIN_HOLDING_V) : smooth->margin_V;

    return in->limit_V - margin_V - (in->feed_in ? SMOOTH_FEED_IN_V : 0);
}

/* The least that ends any charging. */
static double floor_V(const struct smooth *smooth, const struct smooth_input *in)
{
    double spread_V = isnan(in->spread_V) ? smooth->spread_V : in->spread_V;

    double mean_V = in->mean_V > 0 ? in->mean_V : in->highest_V - spread_V;

    return in->cells * (mean_V - BELOW_MOST_V);
}

/* The voltage of the bank at which the highest cell is at its set point. */
static double wanted_V(const struct smooth *smooth, const struct smooth_input *in)
{
    double set_V = set_point_V(smooth, in);
    double spread_V = fmax(smooth->spread_slow_V, smooth->spread_V - SPREAD_NOISE_V);
    double rise_V = fmax(0, smooth->rise_V_s - RISE_NOISE_V_S) * AHEAD_S;
    double ahead_V = fmin(fmax(0, smooth->highest_V + rise_V - set_V - SPREAD_NOISE_V), AHEAD_MAX_V);

    double wanted_V = in->cells * (set_V - spread_V - ahead_V);

    return fmin(in->target_V, fmax(wanted_V, floor_V(smooth, in)));
}

static void decide_limiting(struct smooth *smooth, const struct smooth_input *in, double dt_s)
{
    double set_V = set_point_V(smooth, in);
    bool near = smooth->highest_V + fmin(smooth->rise_V_s * AHEAD_S, AHEAD_MAX_V) >= set_V - NEAR_V;

    if (!smooth->limiting && near) {
        smooth->limiting = true;
        smooth->voltage_V = in->target_V;
    }
    if (isnan(smooth->voltage_V))
        smooth->voltage_V = in->target_V;
    smooth->calm_s = smooth->highest_V < set_V - FAR_V ? smooth->calm_s + dt_s : 0;
    if (smooth->calm_s >= FAR_S)
        smooth->limiting = false;
}

static bool may_turn_up(struct smooth *smooth)
{
    if (smooth->rising)
        return true;
    if (smooth->down_s < UP_AFTER_DOWN_S || smooth->ups < 1)
        return false;
    smooth->ups -= 1;
    smooth->rising = true;
    return true;
}

static void move(struct smooth *smooth, const struct smooth_input *in, double dt_s)
{
    double wanted = wanted_V(smooth, in);
    double least_V = fmin(floor_V(smooth, in), in->target_V);

    /* A measurement that was nonsense for a moment brought it down there: the way up would take hours. */
    smooth->absurd_s = smooth->voltage_V < least_V - in->cells * BELOW_ABSURD_V ? smooth->absurd_s + dt_s : 0;
    if (smooth->absurd_s >= ABSURD_S)
        smooth->voltage_V = least_V;
    smooth->down_s += dt_s;
    smooth->ups = fmin(smooth->ups + dt_s / UPS_S, UPS_MOST);
    if (wanted < smooth->voltage_V - in->cells * DOWN_V_CELL || smooth->voltage_V > in->target_V) {
        smooth->voltage_V = wanted;
        smooth->rising = false;
        smooth->down_s = 0;
    } else if (wanted > smooth->voltage_V + in->cells * UP_V_CELL && may_turn_up(smooth)) {
        smooth->voltage_V +=
            fmin(wanted - in->cells * UP_V_CELL / 2 - smooth->voltage_V, in->cells * UP_V_CELL_S * dt_s);
    }
}

double smooth_step(struct smooth *smooth, const struct smooth_input *in)
{
    double dt_s = in->time_s - smooth->last_time_s;

    if (!(dt_s >= 0)) { /* the first step, or time ran backwards */
        begin(smooth, in);
        dt_s = 0;
    }
    dt_s = fmin(dt_s, STEP_LONGEST_S);
    smooth->last_time_s = in->time_s;
    if (dt_s > 0)
        filter(smooth, in, dt_s);
    if (isnan(in->target_V) || isnan(in->cells))
        return smooth->limiting ? smooth->voltage_V : NAN; /* nothing to go by: it stands */
    learn(smooth, in, dt_s);
    decide_limiting(smooth, in, dt_s);
    if (!smooth->limiting)
        return in->target_V;
    move(smooth, in, dt_s);
    return smooth->voltage_V;
}
