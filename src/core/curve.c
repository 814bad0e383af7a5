#include "core/curve.h"

#include <math.h>

double curve_at(const struct curve *curve, double x)
{
    size_t next = 0;
    double share;

    if (curve->count == 0 || isnan(x))
        return NAN;
    while (next < curve->count && curve->x[next] <= x)
        next++;
    if (next == 0)
        return curve->y[0];
    if (next == curve->count)
        return curve->y[curve->count - 1];
    share = (x - curve->x[next - 1]) / (curve->x[next] - curve->x[next - 1]);
    return curve->y[next - 1] + share * (curve->y[next] - curve->y[next - 1]);
}
