/* Piecewise linear curves: how a limit depends on a cell voltage. */
#ifndef CORE_CURVE_H
#define CORE_CURVE_H

#include <stddef.h>

enum { CURVE_POINTS_MAX = 16 };

struct curve {
    size_t count;               /* points in use, 0 = no curve */
    double x[CURVE_POINTS_MAX]; /* ascending */
    double y[CURVE_POINTS_MAX];
};

/* The curve at x: linear between its points, constant outside them. NAN when x is NAN or the curve is
 * empty. Two points of equal x are a step; at the step the later point counts. */
double curve_at(const struct curve *curve, double x);

#endif
