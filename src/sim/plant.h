/* A house in virtual time: cells, packs with their BMS, solar chargers, a MultiPlus, sun and load. Pure
 * arithmetic: the same seed and the same inputs give the same world. */
#ifndef SIM_PLANT_H
#define SIM_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLANT_PACKS_MAX = 64, PLANT_CELLS_MAX = 32, PLANT_MPPTS_MAX = 8, PLANT_OCV_POINTS = 401 };

struct plant_setup {
    size_t packs, cells, mppts;
    double capacity_Ah;   /* of a pack */
    double soc;           /* 0..1 at the start */
    double soc_spread;    /* standard deviation between cells */
    double hour;          /* of the day at the start */
    double sun_peak_W;    /* of each MPPT at noon under a clear sky */
    double load_W;        /* mean AC load */
    double charger_lag_s; /* time constant with which chargers follow */
    uint64_t seed;
};

/* A cell: open-circuit voltage, series resistance and one RC pair (its polarisation). */
struct plant_cell {
    double capacity_Ah;
    double charge_Ah;
    double resistance_ohm;
    double polarisation_V;
    double leak_A; /* self-discharge */
    double voltage_V;
    bool balancing; /* its BMS burns some charge off */
};

struct plant_pack {
    struct plant_cell cell[PLANT_CELLS_MAX];
    double wiring_ohm;
    double voltage_V; /* at its terminals */
    double current_A; /* + charges */
    double temperature_C;
    double charged_Ah, discharged_Ah;
    bool away;                            /* its contactor is open */
    bool blocks_charge, blocks_discharge; /* what its BMS says */
};

/* What the system asks of chargers and inverter. */
struct plant_limits {
    double cvl_V, ccl_A, dcl_A;
    bool feed_in;  /* OvervoltageFeedIn: MPPTs run 0.4 V above CVL and ignore CCL */
    bool charging; /* false: the chargers have lost their BMS and stopped */
};

struct plant {
    struct plant_setup setup;
    struct plant_pack pack[PLANT_PACKS_MAX];
    double ocv_V[PLANT_OCV_POINTS]; /* over SoC 0..1 */
    double mppt_A[PLANT_MPPTS_MAX];
    double multi_A; /* + into the battery */
    double voltage_V;
    double time_s; /* virtual, since the start */
    double cloud;  /* 0 clear .. 1 dark */
    double sun;    /* factor that people may set, 1 = as the day has it */
    uint64_t random;
};

void plant_init(struct plant *plant, const struct plant_setup *setup);
struct plant_setup plant_setup_default(void);

/* Lets dt_s pass (up to a few seconds a step). Packs in parallel on one bus bar share the current by
 * Kirchhoff's laws: V = (I + sum E/R) / sum 1/R, I_i = (V - E_i) / R_i. */
void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits);

double plant_hour(const struct plant *plant); /* of the day, 0..24 */
double plant_cell_soc(const struct plant_cell *cell);
double plant_pack_soc(const struct plant_pack *pack, size_t cells);

/* Open-circuit voltage of an LFP/graphite cell at a SoC of 0..1: positive minus negative electrode.
 * Source: M. Safari, C. Delacourt, J. Electrochem. Soc. 158 (2011) A562, electrode potentials of a
 * commercial LiFePO4/graphite cell; its stoichiometries are set to 0.96..0.045 and 0.025..0.805. */
double plant_ocv_V(double soc);

/* A random number of mean 0 and standard deviation 1. */
double plant_noise(uint64_t *random);

#endif
