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

    /* A year of it. 0 = without. */
    double day;             /* of the year at the start, 0..365; < 0 = no seasons, a day of 12 hours */
    double weak_cell;       /* by how much the first cell of the first pack is smaller: 0.03 = 3 % */
    double export_W;        /* what the Multi can feed into the grid; 0 = as much as there is */
    double outages_year;    /* grid outages of a quarter of an hour to three hours */
    double sensor_offset_A; /* of the current sensor of each pack */
    double sensor_gain;     /* 0.01 = it shows 1 % too much */
};

/* A cell: open-circuit voltage, series resistance and one RC pair (its polarisation). */
struct plant_cell {
    double capacity_Ah;
    double charge_Ah;
    double resistance_ohm;
    double polarisation_V;
    double leak_A; /* self-discharge */
    double voltage_V;
    double emf_V;   /* open-circuit voltage and polarisation, at the last step */
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
    double emf_V, resistance_ohm;         /* of all its cells and its wiring, at the last step */
};

/* What the system asks of chargers and inverter. */
struct plant_limits {
    double cvl_V, ccl_A, dcl_A;
    bool feed_in;  /* OvervoltageFeedIn: MPPTs run 0.4 V above CVL and ignore CCL; the Multi exports what
                      would lift the bank above CVL */
    bool charging; /* false: the chargers have lost their BMS and stopped */
};

/* Where the sun's energy went, Wh since the start. */
struct plant_energy {
    double sun_Wh;      /* what the panels could have given */
    double taken_Wh;    /* what the chargers took */
    double exported_Wh; /* into the grid */
    double imported_Wh; /* what the battery could not give to the loads */
    double charged_Wh, discharged_Wh;
    double necessary_Wh; /* what the best control would have refused: with chargers as slow as these, the
                            highest cell at its limit and the grid full */
};

struct plant {
    struct plant_setup setup;
    struct plant_pack pack[PLANT_PACKS_MAX];
    double ocv_V[PLANT_OCV_POINTS]; /* over SoC 0..1 */
    double mppt_A[PLANT_MPPTS_MAX];
    double multi_A; /* + into the battery */
    double voltage_V;
    double time_s;                /* virtual, since the start */
    double cloud;                 /* 0 clear .. 1 dark */
    double overcast;              /* of the day, 0 clear .. 1 dark: weather comes and goes in days */
    double outage_s;              /* how long the grid stays away */
    double seen_outage_s;         /* how long it has been away */
    double export_A;              /* of multi_A, into the grid */
    double sun_W;                 /* of each charger now, as far as the sky gives it */
    double sun_now_W, load_now_W; /* at the last look */
    double weather_s;             /* when the next is due */
    uint64_t weather_random;
    double cell_max_V; /* for energy.necessary_Wh: the limit of the highest cell, 0 = not asked; */
    double bank_max_V; /* and of the bank, the target of the day */
    bool feed_in_wished;
    double best_A;      /* what the chargers would give under the best control */
    int disconnections; /* how often a BMS began to block charging */
    struct plant_energy energy;
    double follow_s, follow_charger, follow_multi, follow_cell; /* factors of the last step's dt */
    double sun; /* factor that people may set, 1 = as the day has it */
    uint64_t random;
};

void plant_init(struct plant *plant, const struct plant_setup *setup);
struct plant_setup plant_setup_default(void);

/* Lets dt_s pass (up to a few seconds a step). Packs in parallel on one bus bar share the current by
 * Kirchhoff's laws: V = (I + sum E/R) / sum 1/R, I_i = (V - E_i) / R_i. */
void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits);

double plant_hour(const struct plant *plant); /* of the day, 0..24 */
double plant_day(const struct plant *plant);  /* of the year, 0..365 */

/* What the pack's sensor shows of its current. */
double plant_measured_A(const struct plant *plant, const struct plant_pack *pack);

/* How long the next step may be: 1 s while something moves near the top or the bottom, else up to 15 s. */
double plant_next_step_s(const struct plant *plant);

double plant_cell_soc(const struct plant_cell *cell);
double plant_pack_soc(const struct plant_pack *pack, size_t cells);

/* Open-circuit voltage of an LFP/graphite cell at a SoC of 0..1: positive minus negative electrode.
 * Source: M. Safari, C. Delacourt, J. Electrochem. Soc. 158 (2011) A562, electrode potentials of a
 * commercial LiFePO4/graphite cell; its stoichiometries are set to 0.96..0.045 and 0.025..0.805. */
double plant_ocv_V(double soc);

/* A random number of mean 0 and standard deviation 1. */
double plant_noise(uint64_t *random);

#endif
