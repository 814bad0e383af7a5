/* What the BMSs of a simulated house show: its packs as readings, with the errors of real sensors. The
 * controller that is tried gets to see this, and never the truth. */
#ifndef SIM_SENSORS_H
#define SIM_SENSORS_H

#include "core/bank.h"
#include "sim/plant.h"

struct sensors {
    double offset_A;        /* of each pack's current sensor, at no current */
    double gain_error;      /* 0.01: shows 1 % too much */
    double cell_noise_V;    /* standard deviation; then rounded to 1 mV */
    double current_noise_A; /* then rounded to 0.1 A */
    uint64_t random;

    struct pack pack[PLANT_PACKS_MAX];
    const struct pack *list[PLANT_PACKS_MAX]; /* as the rooms of core/ take them */
};

/* Names the packs and sets the noise of an ordinary BMS: 1 mV, 0.1 A. No offset, no gain error. */
void sensors_init(struct sensors *sensors, const struct plant *plant);

/* Reads every pack. SoC is the true one: a BMS that is better than most. */
void sensors_read(struct sensors *sensors, const struct plant *plant);

/* What a BMS allows its pack: less towards the top, nothing when it blocks. */
struct bms_limits {
    double cvl_V, ccl_A, dcl_A;
};
struct bms_limits sensors_bms_limits(const struct plant_setup *setup, const struct plant_pack *pack,
                                     double highest_V);

#endif
