#include "core/contradiction.h"

#include <math.h>

static double shown_sum_V(const struct pack_reading *reading, size_t shown)
{
    double sum_V = 0;

    if (!isnan(reading->cells_sum_V))
        return reading->cells_sum_V;
    if (shown == 0 || reading->cells_in_series != (double)shown)
        return NAN; /* perhaps not all of them */
    for (size_t i = 0; i < shown; i++)
        sum_V += reading->cell_V[i];
    return sum_V;
}

void contradiction_of_pack(const struct pack *pack, struct contradiction out[CONTRADICTION_OF_PACK])
{
    const struct pack_reading *reading = &pack->reading;
    double highest_V = NAN, lowest_V = NAN;

    for (size_t i = 0; i < pack->cells.shown; i++) {
        highest_V = fmax(highest_V, reading->cell_V[i]); /* of those that are known */
        lowest_V = fmin(lowest_V, reading->cell_V[i]);
    }
    out[CONTRADICTION_HIGHEST] =
        (struct contradiction){highest_V, reading->cell_voltage_max_V, CONTRADICTION_CELL_V};
    out[CONTRADICTION_LOWEST] =
        (struct contradiction){lowest_V, reading->cell_voltage_min_V, CONTRADICTION_CELL_V};
    out[CONTRADICTION_SUM] =
        (struct contradiction){shown_sum_V(reading, pack->cells.shown), reading->voltage_V,
                               CONTRADICTION_SUM_SHARE * reading->voltage_V};
}

struct contradiction contradiction_of_current(const struct bank *bank, const struct bank_current *current,
                                              double charge_limit_A, double discharge_limit_A)
{
    double limit_A = fmax(charge_limit_A, discharge_limit_A);

    return (struct contradiction){current->from_victron ? current->current_A : NAN, bank->current_A,
                                  limit_A > 0 ? CONTRADICTION_CURRENT_SHARE * limit_A : NAN};
}

bool contradiction_step(struct contradiction_watch *watch, const struct contradiction *found, double hold_s,
                        double now_s)
{
    bool differs = fabs(found->one - found->other) > found->allowed; /* false when one is unknown */
    bool stood = watch->stands;

    if (differs && !watch->seen)
        watch->since_s = now_s;
    watch->seen = differs;
    watch->stands = differs && now_s - watch->since_s >= hold_s;
    return watch->stands != stood;
}
