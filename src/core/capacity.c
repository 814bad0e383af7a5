#include "core/capacity.h"

#include <math.h>
#include <string.h>

#define EFFICIENCY 0.997 /* of the charge that goes into LFP and LTO cells */
#define EFFICIENCY_DEVIATION 0.004
#define OFFSET_C 0.003 /* A for each Ah: of a sensor that nobody has watched yet */
#define FULL_C 0.015   /* how well "full" tells; as in soc.c */
#define EMPTY_C 0.02
#define GAIN 0.01     /* of the sensor: what it shows too much or too little in proportion */
#define MONTH_C 0.005 /* what a capacity changes in a month */
#define DAYS_A_MONTH 30.0
#define DEVIATION_MOST_C 0.15 /* more uncertain sweeps teach nothing */
#define SIZE_TOLERANCE 0.01

static double square(double value)
{
    return value * value;
}

struct capacity_sensor capacity_sensor(const struct work_count *count, double installed_Ah)
{
    double var_first = square(OFFSET_C * installed_Ah);
    double offset_A, var;

    if (!(count->hours > 0))
        return (struct capacity_sensor){0, sqrt(var_first)};
    offset_A = (EFFICIENCY * count->in_Ah - count->out_Ah) / count->hours;
    var = (square(EFFICIENCY_DEVIATION * count->in_Ah) + 2 * square(FULL_C * installed_Ah)) /
          square(count->hours);
    return (struct capacity_sensor){offset_A * var_first / (var_first + var),
                                    sqrt(var_first * var / (var_first + var))};
}

/* Of a sweep of so many hours, in which so much went in between, down to an anchor. */
static double sweep_deviation_Ah(double hours, double in_Ah, const struct capacity_sensor *sensor,
                                 double installed_Ah, double depth, double anchor)
{
    return sqrt(square(sensor->deviation_A * hours) + square(EFFICIENCY_DEVIATION * in_Ah) +
                square(FULL_C * installed_Ah) + square(anchor * installed_Ah)) /
           depth;
}

bool capacity_measure(const struct work_count *from_full, const struct capacity_sensor *sensor,
                      double installed_Ah, double depth, double anchor, struct capacity_sweep *out)
{
    double net_Ah = from_full->out_Ah - EFFICIENCY * from_full->in_Ah + sensor->offset_A * from_full->hours;

    if (!(depth > 0) || !(installed_Ah > 0))
        return false;
    *out = (struct capacity_sweep){
        .day = CALENDAR_NONE,
        .capacity_Ah = net_Ah / depth,
        .deviation_Ah =
            sweep_deviation_Ah(from_full->hours, from_full->in_Ah, sensor, installed_Ah, depth, anchor),
        .depth = depth,
        .installed_Ah = installed_Ah,
    };
    return out->deviation_Ah <= DEVIATION_MOST_C * installed_Ah &&
           out->capacity_Ah >= CAPACITY_USABLE_LEAST * installed_Ah &&
           out->capacity_Ah <= CAPACITY_USABLE_MOST * installed_Ah;
}

void capacity_keep(struct capacity_record *record, const struct capacity_sweep *sweep, bool same_sweep)
{
    if (!same_sweep || record->count == 0) {
        if (record->count < CAPACITY_SWEEPS_MAX)
            record->count++;
        memmove(&record->sweep[1], &record->sweep[0], (record->count - 1) * sizeof *record->sweep);
    }
    record->sweep[0] = *sweep;
}

/* What it tells of the capacity now. */
static double var_today(const struct capacity_sweep *sweep, const struct calendar *today)
{
    double months = today->trusted && sweep->day != CALENDAR_NONE && today->day > sweep->day
                        ? (double)(today->day - sweep->day) / DAYS_A_MONTH
                        : 0;

    return square(sweep->deviation_Ah) + square(MONTH_C * sweep->installed_Ah * months);
}

struct capacity_estimate capacity_estimate(const struct capacity_record *record, double installed_Ah,
                                           bool same_size, const struct calendar *today)
{
    struct capacity_estimate found = {NAN, NAN, 0, 0};
    const struct capacity_sweep *rest = NULL;
    double weights = 0, sum = 0;

    for (size_t i = 0; i < record->count; i++) {
        const struct capacity_sweep *sweep = &record->sweep[i];
        double weight = 1 / var_today(sweep, today);

        if (same_size && !(fabs(sweep->installed_Ah - installed_Ah) <= SIZE_TOLERANCE * sweep->installed_Ah))
            continue;
        found.depth = fmax(found.depth, sweep->depth);
        if (sweep->depth < 1) {
            if (!rest || var_today(sweep, today) < var_today(rest, today))
                rest = sweep;
            continue;
        }
        weights += weight;
        sum += weight * sweep->capacity_Ah;
        found.sweeps++;
    }
    if (rest) {
        weights += 1 / var_today(rest, today);
        sum += rest->capacity_Ah / var_today(rest, today);
        found.sweeps++;
    }
    if (found.sweeps < 1)
        return found;
    found.capacity_Ah = sum / weights;
    found.deviation_Ah = sqrt(1 / weights + square(GAIN * found.capacity_Ah));
    return found;
}

double capacity_next_deviation_Ah(const struct capacity_estimate *now, const struct capacity_sensor *sensor,
                                  double installed_Ah)
{
    double sweep_Ah = sweep_deviation_Ah(CAPACITY_NEXT_HOURS, 0, sensor, installed_Ah, 1, EMPTY_C);
    double gain_Ah = GAIN * (isnan(now->capacity_Ah) ? installed_Ah : now->capacity_Ah);
    double weights = 1 / square(sweep_Ah);

    if (now->sweeps >= 1)
        weights += 1 / (square(now->deviation_Ah) - square(gain_Ah));
    return sqrt(1 / weights + square(gain_Ah));
}
