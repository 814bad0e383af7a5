/* What those who calibrate may ask of the running daemon, as D-Bus methods: what the bank has done (GetWork),
 * and to set the SoC (SetSoc) and the offset of the current sensor (SetCurrentOffset). */
#ifndef CALIBRATE_H
#define CALIBRATE_H

#include "bus/methods.h"
#include "engine.h"

#define CALIBRATE_INTERFACE "com.victronenergy.battery.Aggregate"

struct calibrate {
    struct engine *engine;
    struct calendar (*today)(void *ctx); /* for what begins anew */
    void (*changed)(void *ctx);          /* something was set: save it, show it */
    void *ctx;
    struct methods methods; /* for items_offer */
};

/* calibrate must outlive the tree of items that its methods are offered with. */
void calibrate_init(struct calibrate *calibrate, struct engine *engine, struct calendar (*today)(void *ctx),
                    void (*changed)(void *ctx), void *ctx);

/* The keys of GetWork, for those who read it. Those of a pack stand behind its name and a '/'; dates are
 * numbers that read as one (20261122); unknown is not there. */
#define WORK_CHARGED_AH "charged_Ah"
#define WORK_DISCHARGED_AH "discharged_Ah"
#define WORK_CHARGED_KWH "charged_kWh"
#define WORK_DISCHARGED_KWH "discharged_kWh"
#define WORK_HOURS "counted_h"
#define WORK_CYCLES "cycles"
#define WORK_EFFICIENCY_PCT "efficiency_pct"
#define WORK_EFFICIENCY_KWH "efficiency_of_kWh" /* went in from full to full */
#define WORK_INSTALLED_AH "installed_Ah"
#define WORK_CAPACITY_AH "capacity_Ah"
#define WORK_CAPACITY_DEVIATION_AH "capacity_deviation_Ah"
#define WORK_CAPACITY_DEPTH_PCT "capacity_depth_pct"
#define WORK_CAPACITY_SWEEPS "capacity_sweeps"
#define WORK_CAPACITY_NEXT_AH "capacity_next_deviation_Ah"
#define WORK_SINCE_DATE "since_date"
#define WORK_FULL_DATE "full_date"
#define WORK_SINCE_FULL_S "since_full_s"

/* Extremes: the number, and the same with _date. */
const char *calibrate_extreme_key(enum work_extreme extreme);

#endif
