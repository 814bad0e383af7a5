#include "core/feed_in.h"

#include <math.h>
#include <string.h>

#define PEAK_AGAIN_S 3600.0 /* a peak so soon after a return doubles the next hold */
#define HOLD_LONGEST_S 3600.0
#define RETRY_FIRST_S 1.0
#define RETRY_LONGEST_S 60.0

enum { TRIES_BEFORE_ALARM = 2 };

const char *feed_in_state_name(enum feed_in_state state)
{
    static const char *const names[] = {"free", "holding", "returning"};

    return names[state];
}

void feed_in_init(struct feed_in *guard, bool debt, double held_s)
{
    memset(guard, 0, sizeof *guard);
    guard->state = debt ? FEED_IN_HOLDING : FEED_IN_FREE;
    guard->debt = debt;
    guard->held_s = held_s;
    guard->calm_s = held_s; /* the first reading that is not calm takes it back */
    guard->paid_s = guard->returned_s = guard->written = NAN;
    guard->last_time_s = NAN;
}

static void forget_tries(struct feed_in *guard)
{
    guard->tries = 0;
    guard->retry_s = 0;
    guard->retry_pause_s = RETRY_FIRST_S;
}

/* Writes, and again with growing pauses until the setting reads as it was written. What reads so already
 * while the other value may be under way is no reason not to write. */
static void write_until_read_back(struct feed_in *guard, const struct feed_in_input *in, double dt_s,
                                  double wanted, struct feed_in_output *out)
{
    bool overtaken = !isnan(guard->written) && guard->written != wanted;

    if (in->setting == wanted && !overtaken) {
        forget_tries(guard);
        return;
    }
    guard->retry_s -= dt_s;
    if (guard->retry_s <= 0 || overtaken) {
        guard->written = wanted;
        out->action = wanted > 0 ? FEED_IN_WRITE_1 : FEED_IN_WRITE_0;
        guard->retry_s = guard->retry_pause_s;
        guard->retry_pause_s = fmin(2 * guard->retry_pause_s, RETRY_LONGEST_S);
        guard->tries++;
    }
    out->alarm = guard->tries > TRIES_BEFORE_ALARM;
}

static void begin_hold(struct feed_in *guard, const struct feed_in_input *in, struct feed_in_output *out)
{
    bool again = guard->paid_s < PEAK_AGAIN_S;

    guard->hold_s = again ? fmin(2 * fmax(guard->hold_s, in->min_hold_s), HOLD_LONGEST_S) : in->min_hold_s;
    guard->state = FEED_IN_HOLDING;
    guard->debt = true;
    guard->held_s = 0;
    guard->calm_s = 0;
    guard->confirmed = false;
    guard->packs = in->packs;
    forget_tries(guard);
    out->store = true;
}

static bool may_return(const struct feed_in *guard, const struct feed_in_input *in)
{
    double hold_s = fmax(guard->hold_s, in->min_hold_s);

    if (in->danger || in->charge_blocked || in->unseen || guard->held_s < hold_s)
        return false;
    return in->rule == FEED_IN_RETURN_BALANCED ? in->balanced : guard->calm_s >= hold_s;
}

static void step_free(struct feed_in *guard, const struct feed_in_input *in, struct feed_in_output *out)
{
    if (!in->danger || in->setting != 1)
        return;
    begin_hold(guard, in, out);
    write_until_read_back(guard, in, 0, 0, out);
}

static void count_hold(struct feed_in *guard, const struct feed_in_input *in, double dt_s)
{
    guard->held_s += dt_s;
    if (!in->cells_calm || in->charge_blocked || in->danger)
        guard->calm_s = 0;
    else if (!in->unseen)
        guard->calm_s += dt_s;
}

static void step_holding(struct feed_in *guard, const struct feed_in_input *in, double dt_s,
                         struct feed_in_output *out)
{
    count_hold(guard, in, dt_s);
    if (may_return(guard, in)) {
        guard->state = FEED_IN_RETURNING;
        guard->returned_s = NAN;
        forget_tries(guard);
        write_until_read_back(guard, in, 0, 1, out);
        return;
    }
    if (in->silent)
        guard->confirmed = false; /* what it wakes up with may be an earlier write of ours */
    /* It read 0 before and reads 1 now: not our write that is under way, but somebody's hand. */
    if (in->setting == 1 && guard->confirmed) {
        guard->confirmed = false;
        out->overruled = true;
    }
    guard->confirmed = guard->confirmed || (in->setting == 0 && !in->silent);
    write_until_read_back(guard, in, dt_s, 0, out);
}

static void pay(struct feed_in *guard, struct feed_in_output *out)
{
    guard->state = FEED_IN_FREE;
    guard->debt = false;
    guard->confirmed = false;
    guard->written = NAN;
    out->store = true;
}

static void step_returning(struct feed_in *guard, const struct feed_in_input *in, double dt_s,
                           struct feed_in_output *out)
{
    if (in->danger) {
        begin_hold(guard, in, out);
        write_until_read_back(guard, in, 0, 0, out);
        return;
    }
    if (in->silent)
        guard->returned_s = NAN;
    /* It read 1, and reads 0 now: the user's hand, and the user's setting. */
    if (in->setting != 1 && !isnan(guard->returned_s)) {
        pay(guard, out);
        return;
    }
    write_until_read_back(guard, in, dt_s, 1, out);
    if (in->setting != 1 || in->silent)
        return;
    if (isnan(guard->returned_s))
        guard->paid_s = guard->returned_s = 0;
    else
        guard->returned_s += dt_s;
    if (guard->returned_s >= FEED_IN_SURE_S)
        pay(guard, out);
}

/* Nobody there to write to, and who comes back may have forgotten, and is told at once. */
static void step_without_settings(struct feed_in *guard, const struct feed_in_input *in, double dt_s,
                                  struct feed_in_output *out)
{
    guard->returned_s = NAN;
    forget_tries(guard);
    if (guard->state == FEED_IN_HOLDING)
        count_hold(guard, in, dt_s);
    else if (guard->state == FEED_IN_RETURNING && in->danger)
        begin_hold(guard, in, out);
}

void feed_in_step(struct feed_in *guard, const struct feed_in_input *in, struct feed_in_output *out)
{
    double dt_s = in->time_s > guard->last_time_s ? in->time_s - guard->last_time_s : 0;

    memset(out, 0, sizeof *out);
    guard->last_time_s = in->time_s;
    guard->paid_s += dt_s;
    if (isnan(in->setting)) {
        step_without_settings(guard, in, dt_s, out);
        return;
    }
    switch (guard->state) {
    case FEED_IN_FREE:
        step_free(guard, in, out);
        break;
    case FEED_IN_HOLDING:
        step_holding(guard, in, dt_s, out);
        break;
    case FEED_IN_RETURNING:
        step_returning(guard, in, dt_s, out);
        break;
    }
    out->alarm = out->alarm || (in->silent && guard->debt);
}
