#include "core/soc.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define SECONDS_AN_HOUR 3600.0
#define SECONDS_A_MONTH (30 * 86400.0)
#define COVARIANCE_S 60.0 /* between two moves of the covariances */

/* Standard deviations to begin with, and of what changes in a month. C is the installed capacity. */
#define OFFSET_FIRST_C 0.003 /* A for each Ah */
#define OFFSET_MONTH_C 0.00003
#define OFFSET_SET_C 0.0003 /* of one that a user has measured */
#define EFFICIENCY_FIRST 0.01
#define EFFICIENCY_MONTH 0.001
#define USABLE_FIRST 0.05
#define USABLE_MONTH 0.005
#define GAIN 0.01 /* of the sensor: what it shows too much or too little in proportion */
#define UNKNOWN_C 0.1
#define OVERRUN 0.2

/* How well an anchor tells. */
#define FULL_C 0.015
#define DEEP_C 0.0003    /* of an even bank; */
#define UNEVEN_V 0.02    /* so far apart, cells that are being balanced move what full is twice as much */
#define SAME_TOP_V 0.005 /* of a cell: two full charges are the same one */
#define EMPTY_C 0.02
#define REST_V 0.015 /* the curve of this cell against that of others */
#define REST_AGAIN_S \
    (10 * 86400.0) /* the same curve tells the same error again: it is asked once in a while */
#define REST_LEAST_C 0.03
#define REST_MOST_C 0.05 /* where it tells less it is not asked */
#define OUTLIER_SIGMA 8.0
#define OUTLIERS_BELIEVED 3
#define SWEEP_LEAST_C 0.05 /* less than that going out teaches nothing */

/* When it is full, empty, at rest. */
#define BACKFLOW 0.01 /* full also while so little is taken out */
#define TAIL_S 300.0  /* clouds come and go, the tail falls */
#define REST_CURRENT 0.02
#define REST_S 1800.0
#define LEFT_TOP_C 0.01 /* so much must be taken out before it can be full anew */

/* Bounds. */
#define OFFSET_MOST_C 0.01
#define EFFICIENCY_LEAST 0.90
#define USABLE_LEAST 0.5
#define USABLE_MOST 1.15

static double clamp(double value, double least, double most)
{
    return fmin(fmax(value, least), most);
}

static double square(double value)
{
    return value * value;
}

static double usable_Ah(const struct soc *soc)
{
    return soc->learned.usable * soc->installed_Ah;
}

void soc_init(struct soc *soc, double efficiency)
{
    memset(soc, 0, sizeof *soc);
    soc->missing_Ah = soc->installed_Ah = soc->last_time_s = soc->last_current_A = soc->tail_A =
        soc->corrected_s = NAN;
    soc->learned.efficiency = clamp(efficiency, EFFICIENCY_LEAST, 1);
    soc->learned.usable = 1;
    soc->learned.var_efficiency = square(EFFICIENCY_FIRST);
    soc->learned.var_usable = square(USABLE_FIRST);
    soc->learned.var_offset = NAN; /* in proportion to a capacity that is not known yet */
}

bool soc_restore(struct soc *soc, const struct soc_learned *learned)
{
    if (!(learned->efficiency >= EFFICIENCY_LEAST && learned->efficiency <= 1) ||
        !(learned->usable >= USABLE_LEAST && learned->usable <= USABLE_MOST) ||
        !isfinite(learned->offset_A) || !(learned->var_offset > 0 && learned->var_offset < INFINITY) ||
        !(learned->var_efficiency > 0 && learned->var_efficiency <= 1) ||
        !(learned->var_usable > 0 && learned->var_usable <= 1) ||
        !(learned->var_missing > 0 && learned->var_missing < INFINITY) ||
        !(square(learned->cov_offset_efficiency) <= learned->var_offset * learned->var_efficiency))
        return false;
    soc->learned = *learned;
    return true;
}

void soc_begin(struct soc *soc, double charge_Ah, double installed_Ah, double uncertainty)
{
    struct soc_learned *l = &soc->learned;

    soc->installed_Ah = installed_Ah;
    soc->missing_Ah = clamp(usable_Ah(soc) - charge_Ah, 0, usable_Ah(soc));
    if (isnan(l->var_offset))
        l->var_offset = square(OFFSET_FIRST_C * installed_Ah);
    if (!isnan(uncertainty) || !(l->var_missing > 0))
        l->var_missing = square((isnan(uncertainty) ? UNKNOWN_C : uncertainty) * installed_Ah);
}

void soc_set(struct soc *soc, double charge_Ah, double installed_Ah, double uncertainty)
{
    soc->learned.var_missing = square(uncertainty * installed_Ah);
    if (isnan(soc->missing_Ah))
        return;
    soc_begin(soc, charge_Ah, installed_Ah, uncertainty);
    soc->anchored = (struct soc_count){0, 0, 0, 0};
    soc->sweeping = false;
    soc->full_s = soc->deep_s = soc->empty_s = soc->rest_s = 0;
    soc->at_full = soc->at_empty = false;
    soc->outliers = 0;
}

double soc_offset_most_A(double installed_Ah)
{
    return OFFSET_MOST_C * installed_Ah;
}

void soc_set_offset(struct soc *soc, double offset_A)
{
    soc->learned.offset_A = offset_A;
    soc->learned.var_offset = square(OFFSET_SET_C * soc->installed_Ah);
    soc->learned.cov_offset_efficiency = 0;
}

void soc_set_usable(struct soc *soc, double usable, double deviation)
{
    if (!(usable >= USABLE_LEAST && usable <= USABLE_MOST) || !(deviation > 0))
        return;
    soc->learned.usable = usable;
    soc->learned.var_usable = fmin(square(deviation), square(USABLE_FIRST));
}

/* A bank of another size: the SoC stands. */
static void resize(struct soc *soc, double installed_Ah)
{
    double factor = installed_Ah / soc->installed_Ah;

    if (!(factor > 0) || factor == 1)
        return;
    soc->installed_Ah = installed_Ah;
    soc->missing_Ah *= factor;
    soc->learned.offset_A *= factor;
    soc->learned.var_missing *= square(factor);
    soc->learned.var_offset *= square(factor);
    soc->learned.cov_offset_efficiency *= factor;
    soc->sweeping = false; /* what was counted is of another bank */
}

/* ---- counting ---- */

/* The count may run over the ends: what it is over at the next anchor is what there is to learn. */
static double clamp_missing(const struct soc *soc, double missing_Ah)
{
    return clamp(missing_Ah, -OVERRUN * usable_Ah(soc), (1 + OVERRUN) * usable_Ah(soc));
}

static void add(struct soc_count *count, double current_A, double hours)
{
    if (current_A > 0) {
        count->in_Ah += current_A * hours;
        count->in_h += hours;
    } else {
        count->out_Ah -= current_A * hours;
        count->out_h += hours;
    }
}

/* d(missing) = -(I - offset) dt, times the efficiency on the way in. */
static void count(struct soc *soc, double current_A, double dt_s)
{
    double true_A = current_A - soc->learned.offset_A;
    double hours = dt_s / SECONDS_AN_HOUR;
    double factor = current_A > 0 ? soc->learned.efficiency : 1;

    soc->missing_Ah = clamp_missing(soc, soc->missing_Ah - true_A * factor * hours);
    add(&soc->anchored, current_A, hours);
    add(&soc->swept, current_A, hours);
}

/* Of what was counted since the last anchor: what the errors of offset and efficiency have made of it since
 * then, and what a wrong gain of the sensor adds. */
static double var_counted(const struct soc *soc)
{
    const struct soc_learned *l = &soc->learned;
    double hours = soc->anchored.in_h + soc->anchored.out_h;
    double in_Ah = soc->anchored.in_Ah;
    double var = l->var_missing + square(hours) * l->var_offset + square(in_Ah) * l->var_efficiency -
                 2 * hours * in_Ah * l->cov_offset_efficiency + square(GAIN * soc->missing_Ah);

    return fmin(var, square(soc->installed_Ah)); /* nobody can be more wrong */
}

/* ---- learning ---- */

/* What was learned grows old. */
static void age(struct soc *soc, double hours)
{
    struct soc_learned *l = &soc->learned;
    double months = hours * SECONDS_AN_HOUR / SECONDS_A_MONTH;

    l->var_offset = fmin(l->var_offset + square(OFFSET_MONTH_C * soc->installed_Ah) * months,
                         square(OFFSET_FIRST_C * soc->installed_Ah));
    l->var_efficiency = fmin(l->var_efficiency + square(EFFICIENCY_MONTH) * months, square(EFFICIENCY_FIRST));
    l->var_usable = fmin(l->var_usable + square(USABLE_MONTH) * months, square(USABLE_FIRST));
}

/* Too far from what was expected to be a matter of offset and efficiency: once or twice that is a wrong
 * anchor, or a bank that was worked on; later it is we who are wrong. */
static bool is_outlier(struct soc *soc, double innovation, double var)
{
    if (fabs(innovation) <= OUTLIER_SIGMA * sqrt(var)) {
        soc->outliers = 0;
        return false;
    }
    return ++soc->outliers < OUTLIERS_BELIEVED;
}

/* The charge that is left of what went in, as far as offset and efficiency are known. */
static double swept_Ah(const struct soc *soc)
{
    const struct soc_learned *l = &soc->learned;
    const struct soc_count *n = &soc->swept;

    return l->efficiency * (n->in_Ah - l->offset_A * n->in_h) - n->out_Ah - l->offset_A * n->out_h;
}

/* From deeply full to deeply full as much went in as out:
 *   0 = efficiency (in - offset in_h) - (out + offset out_h).
 * One equation for two unknowns, again and again: a Kalman filter. */
static void learn_from_sweep(struct soc *soc, double deep_C)
{
    struct soc_learned *l = &soc->learned;
    const struct soc_count *n = &soc->swept;
    double went_in_Ah = n->in_Ah - l->offset_A * n->in_h;
    double left_Ah = swept_Ah(soc);
    double by_offset = -(l->efficiency * n->in_h + n->out_h);
    double by_efficiency = went_in_Ah;
    double offset_row = by_offset * l->var_offset + by_efficiency * l->cov_offset_efficiency;
    double efficiency_row = by_offset * l->cov_offset_efficiency + by_efficiency * l->var_efficiency;
    double var =
        by_offset * offset_row + by_efficiency * efficiency_row + 2 * square(deep_C * soc->installed_Ah);

    age(soc, n->in_h + n->out_h);
    if (is_outlier(soc, left_Ah, var))
        return;
    l->offset_A -= offset_row / var * left_Ah;
    l->efficiency -= efficiency_row / var * left_Ah;
    l->var_offset -= square(offset_row) / var;
    l->var_efficiency -= square(efficiency_row) / var;
    l->cov_offset_efficiency -= offset_row * efficiency_row / var;
    l->offset_A = clamp(l->offset_A, -OFFSET_MOST_C * soc->installed_Ah, OFFSET_MOST_C * soc->installed_Ah);
    l->efficiency = clamp(l->efficiency, EFFICIENCY_LEAST, 1);
}

static void set_missing(struct soc *soc, double missing_Ah, double deviation)
{
    soc->missing_Ah = missing_Ah;
    soc->learned.var_missing = square(deviation * soc->installed_Ah);
    soc->anchored = (struct soc_count){0, 0, 0, 0};
}

static enum charge_event anchor_full(struct soc *soc)
{
    double var = var_counted(soc) + square(FULL_C * soc->installed_Ah);
    bool outlier = fabs(soc->missing_Ah) > OUTLIER_SIGMA * sqrt(var);

    set_missing(soc, 0, FULL_C);
    return outlier ? CHARGE_EVENT_OUTLIER : CHARGE_EVENT_FULL;
}

/* A sweep begins where the bank was fullest, and ends when it is deeply full again. The hours at the top are
 * no part of it: what the balancers burn there is no error of the sensor. */
static void anchor_deep(struct soc *soc, const struct soc_input *in)
{
    bool swept = soc->sweeping && soc->swept.out_Ah >= SWEEP_LEAST_C * soc->installed_Ah;
    bool other_top = fabs(in->cell_V - soc->swept_from_V) > SAME_TOP_V; /* another month's target */
    double apart = isnan(in->difference_V) ? 1 : in->difference_V / UNEVEN_V;
    double deep_C = DEEP_C * (1 + square(apart));

    if (swept && !other_top)
        learn_from_sweep(soc, deep_C);
    if (swept || !soc->sweeping || swept_Ah(soc) >= 0) {
        soc->swept = (struct soc_count){0, 0, 0, 0};
        soc->swept_from_V = in->cell_V;
    }
    soc->sweeping = true;
    set_missing(soc, 0, deep_C);
}

/* From full to empty: that is the usable capacity, as far as the count can be trusted. */
static enum charge_event anchor_empty(struct soc *soc)
{
    struct soc_learned *l = &soc->learned;
    double innovation = soc->missing_Ah - usable_Ah(soc);
    double var_capacity = l->var_usable * square(soc->installed_Ah);
    double var = var_counted(soc) + var_capacity + square(EMPTY_C * soc->installed_Ah);
    bool outlier = is_outlier(soc, innovation, var);

    if (!outlier) {
        l->usable = clamp(l->usable + innovation * (var_capacity / var) / soc->installed_Ah, USABLE_LEAST,
                          USABLE_MOST);
        l->var_usable *= 1 - var_capacity / var;
    }
    set_missing(soc, usable_Ah(soc), EMPTY_C);
    return outlier ? CHARGE_EVENT_OUTLIER : CHARGE_EVENT_EMPTY;
}

/* ---- the voltage at rest ---- */

/* Of LFP cells of many makes at 25 degrees, an hour after the last current. */
static const struct {
    double soc, cell_V;
} rest_curve[] = {{0.00, 2.80}, {0.02, 2.95}, {0.05, 3.05},  {0.08, 3.13},  {0.10, 3.19},
                  {0.15, 3.22}, {0.20, 3.25}, {0.30, 3.28},  {0.40, 3.29},  {0.55, 3.30},
                  {0.65, 3.32}, {0.70, 3.33}, {0.90, 3.335}, {0.97, 3.345}, {1.00, 3.40}};

enum { REST_POINTS = sizeof rest_curve / sizeof *rest_curve };

/* SoC 0..1 at this voltage, and how much it changes with it (1/V). False off the curve. */
static bool rest_soc(double cell_V, double *soc, double *per_V)
{
    for (size_t i = 1; i < REST_POINTS; i++) {
        double span_V = rest_curve[i].cell_V - rest_curve[i - 1].cell_V;

        if (!(cell_V >= rest_curve[i - 1].cell_V && cell_V <= rest_curve[i].cell_V))
            continue;
        *per_V = (rest_curve[i].soc - rest_curve[i - 1].soc) / span_V;
        *soc = rest_curve[i - 1].soc + (cell_V - rest_curve[i - 1].cell_V) * *per_V;
        return true;
    }
    return false;
}

struct soc_rest soc_at_rest(double cell_V)
{
    struct soc_rest rest;
    double per_V;

    if (!rest_soc(cell_V, &rest.soc, &per_V))
        return (struct soc_rest){NAN, NAN};
    rest.deviation = fmax(REST_LEAST_C, per_V * REST_V);
    return rest;
}

static enum charge_event correct_at_rest(struct soc *soc, const struct soc_input *in)
{
    struct soc_rest rest = soc_at_rest(in->cell_V);
    double gain, missing_Ah;

    if (!in->lfp || in->time_s - soc->corrected_s < REST_AGAIN_S || isnan(rest.soc))
        return CHARGE_EVENT_NONE;
    if (rest.deviation > REST_MOST_C || rest.soc > 0.5) /* at the top charging anchors better */
        return CHARGE_EVENT_NONE;
    gain = var_counted(soc) / (var_counted(soc) + square(rest.deviation * soc->installed_Ah));
    missing_Ah = soc->missing_Ah + gain * ((1 - rest.soc) * usable_Ah(soc) - soc->missing_Ah);
    set_missing(soc, missing_Ah, rest.deviation * sqrt(gain));
    soc->corrected_s = in->time_s;
    return CHARGE_EVENT_REST;
}

/* ---- a step ---- */

static void time_conditions(struct soc *soc, const struct soc_input *in, double dt_s)
{
    double a_h = in->current_A / soc->installed_Ah;
    bool full = in->at_top && a_h <= SOC_TAIL && a_h >= -BACKFLOW;
    bool deep;

    soc->tail_A = isnan(soc->tail_A) ? in->current_A
                                     : in->current_A + (soc->tail_A - in->current_A) * exp(-dt_s / TAIL_S);
    deep = in->at_top && fabs(soc->tail_A - soc->learned.offset_A) <= SOC_DEEP_TAIL * soc->installed_Ah;

    soc->full_s = full ? soc->full_s + dt_s : fmax(0, soc->full_s - 3 * dt_s); /* a cloud is no end of it */
    soc->deep_s = deep ? soc->deep_s + dt_s : 0;
    soc->empty_s = in->at_bottom ? soc->empty_s + dt_s : 0;
    soc->rest_s = fabs(a_h) < REST_CURRENT ? soc->rest_s + dt_s : 0;
    if (!full && soc->missing_Ah > LEFT_TOP_C * soc->installed_Ah)
        soc->at_full = false;
    soc->at_empty = soc->at_empty && in->at_bottom;
}

static bool is_full(const struct soc *soc)
{
    return soc->full_s >= SOC_FULL_HOLD_S;
}

static enum charge_event anchor_top(struct soc *soc, const struct soc_input *in)
{
    enum charge_event event = CHARGE_EVENT_NONE;

    soc->full_s = SOC_FULL_HOLD_S;
    if (!soc->at_full)
        event = anchor_full(soc);
    soc->at_full = true;
    soc->missing_Ah = 0; /* and stays so */
    if (soc->deep_s >= SOC_DEEP_HOLD_S)
        anchor_deep(soc, in);
    return event;
}

static enum charge_event anchor(struct soc *soc, const struct soc_input *in)
{
    if (is_full(soc))
        return anchor_top(soc, in);
    if (soc->empty_s >= SOC_EMPTY_HOLD_S && !soc->at_empty) {
        soc->at_empty = true;
        return anchor_empty(soc);
    }
    if (soc->rest_s >= REST_S) {
        soc->rest_s = 0;
        return correct_at_rest(soc, in);
    }
    return CHARGE_EVENT_NONE;
}

static enum charge_event step_known(struct soc *soc, const struct soc_input *in, double dt_s)
{
    count(soc, (in->current_A + soc->last_current_A) / 2, dt_s);
    time_conditions(soc, in, dt_s);
    soc->before_pct = soc_pct(soc);
    return anchor(soc, in);
}

enum charge_event soc_step(struct soc *soc, const struct soc_input *in)
{
    double dt_s = in->time_s - soc->last_time_s;
    enum charge_event event = CHARGE_EVENT_NONE;

    if (isnan(in->current_A) || isnan(in->time_s))
        return CHARGE_EVENT_NONE; /* no measurement */
    if (in->installed_Ah > 0 && !isnan(soc->missing_Ah))
        resize(soc, in->installed_Ah);
    if (dt_s > CHARGE_GAP_MAX_S && !isnan(soc->missing_Ah)) {
        soc->gap_s = dt_s;
        soc->sweeping = false; /* something was missed */
        event = CHARGE_EVENT_GAP;
    } else if (dt_s >= 0 && !isnan(soc->missing_Ah)) {
        event = step_known(soc, in, dt_s);
    }
    soc->last_time_s = in->time_s;
    soc->last_current_A = in->current_A;
    return event;
}

/* ---- what is shown ---- */

static double shown_missing_Ah(const struct soc *soc)
{
    if (isnan(soc->missing_Ah))
        return NAN;
    return clamp(soc->missing_Ah, 0, usable_Ah(soc));
}

double soc_pct(const struct soc *soc)
{
    return 100 * (1 - shown_missing_Ah(soc) / usable_Ah(soc));
}

double soc_charge_Ah(const struct soc *soc)
{
    return usable_Ah(soc) - shown_missing_Ah(soc);
}

double soc_consumed_Ah(const struct soc *soc)
{
    return -shown_missing_Ah(soc);
}

double soc_uncertainty_pct(const struct soc *soc)
{
    double capacity_Ah = usable_Ah(soc);
    double depth = soc->missing_Ah / capacity_Ah;
    double var = var_counted(soc) + soc->learned.var_usable * square(soc->installed_Ah * depth);

    return 100 * sqrt(var) / capacity_Ah;
}
