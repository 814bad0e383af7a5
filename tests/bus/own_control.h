/* For tests of the daemon's own charge control: its settings, cells that peak or are calm, and DC feed-in. */
#ifndef TESTS_BUS_OWN_CONTROL_H
#define TESTS_BUS_OWN_CONTROL_H

#include "harness.h"

#include <string.h>

#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

/* All months alike, so that no test depends on the day it runs. */
#define OWN_CONTROL                  \
    "OWN_CHARGE_PARAMETERS = True\n" \
    "CHARGE_VOLTAGE_LIST = 3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44\n"

/* 15 cells of 3.40 V and one that peaks; or all calm. */
#define PEAK                                                                           \
    "'/Voltages/Sum': 54.5, '/Voltages/Cell3': 3.50, '/System/MaxCellVoltage': 3.50, " \
    "'/System/MinCellVoltage': 3.40"
#define CALM                                                                           \
    "'/Voltages/Sum': 52.8, '/Voltages/Cell3': 3.30, '/System/MaxCellVoltage': 3.30, " \
    "'/System/MinCellVoltage': 3.30"

/* Until the settings service has it so: "0" for off, "1" for on. */
static inline void await_feed_in(struct harness *h, const char *expected)
{
    enum { SLICES_IN_A_SECOND = 20 };

    for (int i = 0; i < HARNESS_DEADLINE_S * SLICES_IN_A_SECOND; i++) {
        const char *found = harness_get_of(h, HARNESS_SETTINGS, FEED_IN);

        if (found && strcmp(found, expected) == 0)
            return;
        harness_watch(h, 1.0 / SLICES_IN_A_SECOND);
    }
    harness_fail(h, __FILE__, __LINE__, "%s did not become %s", FEED_IN, expected);
}

#endif
