#include "core/charge.h"

#include <math.h>
#include <string.h>

#define SECONDS_AN_HOUR 3600.0

void charge_init(struct charge_counter *counter, double charge_Ah)
{
    memset(counter, 0, sizeof *counter);
    counter->charge_Ah = charge_Ah;
    counter->capacity_Ah = NAN;
    counter->last_time_s = NAN;
    counter->last_current_A = NAN;
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static void take_capacity(struct charge_counter *counter, double capacity_Ah)
{
    if (isnan(capacity_Ah) || capacity_Ah <= 0)
        return;
    if (counter->capacity_Ah > 0)
        counter->charge_Ah *= capacity_Ah / counter->capacity_Ah;
    counter->capacity_Ah = capacity_Ah;
    counter->charge_Ah = clamp(counter->charge_Ah, 0, capacity_Ah);
}

/* Charge over one stretch. Where the current changes its sign the line between the two measurements is
 * cut, for only what goes in pays the efficiency. */
static double stretch_Ah(double from_A, double to_A, double seconds, double efficiency)
{
    double hours = seconds / SECONDS_AN_HOUR;
    double from_share, in_Ah, out_Ah;

    if (from_A >= 0 && to_A >= 0)
        return (from_A + to_A) / 2 * hours * efficiency;
    if (from_A <= 0 && to_A <= 0)
        return (from_A + to_A) / 2 * hours;
    from_share = from_A / (from_A - to_A); /* of the time, until the line crosses 0 */
    in_Ah = fmax(from_A, to_A) / 2 * hours * (from_A > 0 ? from_share : 1 - from_share);
    out_Ah = fmin(from_A, to_A) / 2 * hours * (from_A > 0 ? 1 - from_share : from_share);
    return in_Ah * efficiency + out_Ah;
}

static enum charge_event integrate(struct charge_counter *counter, const struct charge_input *in,
                                   double efficiency)
{
    double seconds = in->time_s - counter->last_time_s;
    double from_A = counter->last_current_A;

    if (isnan(in->current_A))
        return CHARGE_EVENT_NONE; /* no measurement */
    counter->last_time_s = in->time_s;
    counter->last_current_A = in->current_A;
    if (seconds > CHARGE_GAP_MAX_S) {
        counter->gap_s = seconds;
        return CHARGE_EVENT_GAP;
    }
    if (!(seconds > 0))
        return CHARGE_EVENT_NONE;
    counter->charge_Ah += stretch_Ah(from_A, in->current_A, seconds, efficiency);
    return CHARGE_EVENT_NONE;
}

/* Sets the counter at an anchor; says so once on arrival. */
static bool arrive(bool at_anchor, bool *was_at_anchor)
{
    bool arrived = at_anchor && !*was_at_anchor;

    *was_at_anchor = at_anchor;
    return arrived;
}

enum charge_event charge_step(struct charge_counter *counter, const struct charge_input *in,
                              double efficiency)
{
    enum charge_event event = integrate(counter, in, efficiency);

    take_capacity(counter, in->capacity_Ah);
    if (isnan(counter->capacity_Ah))
        return event;
    counter->charge_Ah = clamp(counter->charge_Ah, 0, counter->capacity_Ah);
    if (in->full)
        counter->charge_Ah = counter->capacity_Ah;
    else if (in->empty)
        counter->charge_Ah = 0;
    if (arrive(in->full, &counter->at_full))
        event = CHARGE_EVENT_FULL;
    if (arrive(in->empty && !in->full, &counter->at_empty))
        event = CHARGE_EVENT_EMPTY;
    return event;
}

double charge_soc_pct(const struct charge_counter *counter)
{
    return 100 * counter->charge_Ah / counter->capacity_Ah;
}

double charge_consumed_Ah(const struct charge_counter *counter)
{
    return counter->charge_Ah - counter->capacity_Ah;
}

double charge_time_to_go_s(const struct charge_counter *counter, double current_A, bool low_soc)
{
    if (low_soc || !(current_A < 0))
        return NAN;
    return -SECONDS_AN_HOUR * counter->charge_Ah / current_A;
}
