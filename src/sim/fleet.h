/* The plant as real services on a bus: packs, a MultiPlus, solar chargers, shunts, the settings and the
 * system service, one connection each, so that the daemon meets what it meets in a house. */
#ifndef SIM_FLEET_H
#define SIM_FLEET_H

#include <stdbool.h>
#include <stddef.h>

#include "sim/plant.h"

struct fleet_options {
    const char *bus_address; /* NULL = as Venus programs choose it */
    struct plant_setup plant;
    size_t shunts;    /* battery monitors that see the whole bank current */
    double speed;     /* virtual seconds in a second */
    int period_ms;    /* between two publications of a service */
    bool no_settings; /* a house without ESS */
    bool no_system;   /* nobody hands limits on: chargers run free */
    bool quiet;       /* readings do not flicker, the plant stands still: tests set every value */
    bool ready;       /* print "ready" when all services are on the bus */
};

/* Runs until `quit` on stdin, SIGTERM or SIGINT. Returns the exit status. */
int fleet_run(const struct fleet_options *options);

#endif
