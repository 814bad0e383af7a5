/* Checks across keys: each value is good by itself, but together they make no sense. */
#ifndef SETTINGS_CHECK_H
#define SETTINGS_CHECK_H

#include "core/config.h"
#include "settings.h"

struct settings_checker {
    void *ctx;
    int (*line_of)(void *ctx, const char *key);           /* where the user gave it, 0 = not at all */
    bool charge_curve_computed, discharge_curve_computed; /* the voltages were left empty */
    void (*finding)(void *ctx, enum settings_severity severity, int line, const char *message);
};

/* Reports every finding. What makes no sense in any mode is an error; what only our own charge control
 * uses is one when OWN_CHARGE_PARAMETERS is True, else a warning. */
void settings_check(const struct config *config, const struct settings_checker *checker);

#endif
