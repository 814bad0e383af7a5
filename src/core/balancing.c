#include "core/balancing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_A_DAY 86400.0
#define SUCCESS_AGAIN_DAYS 1.0 /* where there is no cycle: how often a success is noted */

enum { DAYS_OFF_MAX = 400 }; /* longer than that nobody is switched off: the clock jumped */

const char *balancing_state_name(enum balancing_state state)
{
    static const char *const names[] = {"idle", "raising", "holding"};

    return names[state];
}

void balancing_init(struct balancing *balancing)
{
    memset(balancing, 0, sizeof *balancing);
    balancing->last_success_day = CALENDAR_NONE;
    balancing->age_days = NAN;
    balancing->seen_day = CALENDAR_NONE;
    balancing->last_time_s = NAN;
}

static double lowest_month_V(const struct config *config)
{
    double lowest_V = config->charge_voltage_V[0];

    for (int month = 1; month < 12; month++)
        lowest_V = fmin(lowest_V, config->charge_voltage_V[month]);
    return lowest_V;
}

/* Time passes by the monotonic clock while we run, and by the dates while we did not: once, at the first
 * date that can be trusted. True when the day is new. */
static bool count_days(struct balancing *balancing, const struct balancing_input *in)
{
    bool new_day;

    if (in->time_s > balancing->last_time_s)
        balancing->age_days += (in->time_s - balancing->last_time_s) / SECONDS_A_DAY;
    balancing->last_time_s = in->time_s;
    if (!in->today.trusted)
        return false;
    if (!balancing->dated && balancing->seen_day != CALENDAR_NONE) {
        long off = in->today.day - balancing->seen_day;

        if (off > 0 && off <= DAYS_OFF_MAX)
            balancing->age_days += (double)off;
    }
    if (balancing->day_of_year > 0 && balancing->last_success_day == CALENDAR_NONE) {
        balancing->last_success_day = calendar_from_day_of_year(balancing->day_of_year, in->today.day);
        balancing->age_days = (double)(in->today.day - balancing->last_success_day);
    }
    balancing->day_of_year = 0;
    balancing->dated = true;
    new_day = in->today.day != balancing->seen_day;
    balancing->seen_day = in->today.day;
    return new_day;
}

static void succeed(struct balancing *balancing)
{
    balancing->age_days = 0;
    balancing->last_success_day = balancing->seen_day;
}

static bool is_due(const struct balancing *balancing, double days)
{
    return isnan(balancing->age_days) || balancing->age_days >= days;
}

/* True when the cells are even at the balancing voltage. Unknown is not even. */
static bool goal_is_reached(const struct config *config, const struct balancing_input *in, double balancing_V)
{
    return in->voltage_V >= balancing_V && in->cell_diff_V < config->cell_diff_max_V;
}

static void step_cycle(struct balancing *balancing, const struct config *config,
                       const struct balancing_input *in, struct balancing_target *out)
{
    switch (balancing->state) {
    case BALANCING_IDLE:
        if (in->today.trusted && is_due(balancing, config->balancing_repetition_days))
            balancing->state = BALANCING_RAISING;
        break;
    case BALANCING_RAISING:
        if (goal_is_reached(config, in, out->balancing_V)) {
            balancing->state = BALANCING_HOLDING;
            out->succeeded = true;
        }
        break;
    case BALANCING_HOLDING:
        if (in->voltage_V <= out->normal_V) {
            balancing->state = BALANCING_IDLE;
            succeed(balancing);
        }
        break;
    }
}

static void step_without_cycle(struct balancing *balancing, const struct config *config,
                               const struct balancing_input *in, struct balancing_target *out)
{
    balancing->state = BALANCING_IDLE;
    if (goal_is_reached(config, in, out->balancing_V) && is_due(balancing, SUCCESS_AGAIN_DAYS)) {
        succeed(balancing);
        out->succeeded = true;
    }
}

static void say_why(const struct balancing *balancing, const struct config *config,
                    const struct balancing_input *in, struct balancing_target *out)
{
    if (balancing->state == BALANCING_HOLDING)
        snprintf(out->reason, sizeof out->reason, "Balancing: done, holding until discharged");
    else if (balancing->state == BALANCING_RAISING && in->voltage_V >= out->balancing_V)
        snprintf(out->reason, sizeof out->reason, "Balancing: raising, %.0f mV to go",
                 fmax(0, (in->cell_diff_V - config->cell_diff_max_V) * 1000));
    else if (balancing->state == BALANCING_RAISING)
        snprintf(out->reason, sizeof out->reason, "Balancing: raising");
    else if (!in->today.trusted)
        snprintf(out->reason, sizeof out->reason, "Lowest monthly target (the clock is not set)");
    else
        snprintf(out->reason, sizeof out->reason, "Monthly target (%s)",
                 calendar_month_name(in->today.month));
}

void balancing_step(struct balancing *balancing, const struct config *config,
                    const struct balancing_input *in, struct balancing_target *out)
{
    enum balancing_state before = balancing->state;
    double per_cell_V =
        in->today.trusted ? config->charge_voltage_V[in->today.month - 1] : lowest_month_V(config);

    memset(out, 0, sizeof *out);
    out->normal_V = in->cells * per_cell_V;
    out->balancing_V = in->cells * config->balancing_voltage_V;
    out->changed = count_days(balancing, in);
    if (config->balancing_voltage_V > per_cell_V)
        step_cycle(balancing, config, in, out);
    else
        step_without_cycle(balancing, config, in, out);
    out->changed |= out->succeeded || balancing->state != before;
    out->voltage_V = balancing->state == BALANCING_IDLE ? out->normal_V : out->balancing_V;
    say_why(balancing, config, in, out);
}
