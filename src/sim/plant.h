/* A house in virtual time: cells, packs with their BMS, solar chargers, a MultiPlus, sun, load and grid.
 * Pure arithmetic: the same seed and the same inputs give the same world. */
#ifndef SIM_PLANT_H
#define SIM_PLANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/weather.h"

enum { PLANT_PACKS_MAX = 64, PLANT_CELLS_MAX = 32, PLANT_MPPTS_MAX = 8, PLANT_OCV_POINTS = 401 };

#define PLANT_MULTI_EFFICIENCY 0.94
#define PLANT_OVERVOLTAGE (0.4 / 48) /* of the MPPTs over CVL with feed-in on, as a share of it */

struct plant_setup {
    size_t packs, cells, mppts;
    double capacity_Ah;   /* of a pack */
    double soc;           /* 0..1 at the start */
    double soc_spread;    /* standard deviation between cells */
    double weak_share;    /* by how much the first cell of the last pack is smaller; ten times that its
                             resistance is higher */
    double ahead_Ah;      /* charge that this cell has more than its neighbours at the start */
    double balancer_A;    /* what a BMS burns off a high cell */
    double efficiency;    /* Coulomb efficiency of the cells */
    double hour;          /* of the day at the start */
    double sun_peak_W;    /* of each MPPT at noon under a clear sky */
    double load_W;        /* mean AC load */
    double charger_lag_s; /* time constant with which MPPTs follow */

    /* The grid. */
    double export_lag_s;   /* time constant with which the Multi follows with feed-in */
    double export_limit_W; /* what it can feed in, AC */
    double reserve_soc;    /* 0..1: with the grid there the battery is not discharged below; 0 = none */

    /* A big load that the owner's sun feeds (a car, a boiler): on above one state of charge until below
     * another. A bank beside it is never full. 0 W = none. */
    double diverter_W, diverter_on_soc, diverter_off_soc;

    struct weather_setup weather; /* its seed is the one below */
    uint64_t seed;
};

/* A cell: open-circuit voltage, series resistance and one RC pair (its polarisation). */
struct plant_cell {
    double capacity_Ah;
    double charge_Ah;
    double resistance_ohm;
    double polarisation_V;
    double leak_A; /* self-discharge */
    double rest_V; /* without current: open circuit and polarisation */
    double voltage_V;
    bool balancing; /* its BMS burns some charge off */
};

struct plant_pack {
    struct plant_cell cell[PLANT_CELLS_MAX];
    double wiring_ohm;
    double emf_V, resistance_ohm; /* of cells and wiring, in this step */
    double voltage_V;             /* at its terminals */
    double current_A;             /* + charges */
    double temperature_C;
    double charged_Ah, discharged_Ah;
    bool away;                            /* its contactor is open */
    bool blocks_charge, blocks_discharge; /* what its BMS says, and does */
    bool shut;                            /* it does so now: no current that way */
    unsigned disconnections;              /* how often it began to block charging */
};

/* What the system asks of chargers and inverter. */
struct plant_limits {
    double cvl_V, ccl_A, dcl_A;
    bool feed_in;  /* OvervoltageFeedIn: MPPTs run 0.4 V above CVL and ignore CCL */
    bool charging; /* false: the chargers have lost their BMS and stopped */
};

/* Since the start, Wh. On the DC side unless said otherwise. */
struct plant_energy {
    double sun;      /* what chargers would have taken that nobody holds back */
    double taken;    /* what they took; the rest is refused */
    double charged;  /* into the packs, at the bus bar */
    double drawn;    /* out of them */
    double inverted; /* taken by the Multi */
    double exported; /* AC, into the grid */
    double load;     /* AC, served by sun and battery */
    double imported; /* AC, served by the grid */
    double unserved; /* AC, the house was dark */
};

struct plant {
    struct plant_setup setup;
    struct plant_pack pack[PLANT_PACKS_MAX];
    struct weather weather;
    double ocv_V[PLANT_OCV_POINTS]; /* over SoC 0..1 */
    double mppt_A[PLANT_MPPTS_MAX];
    double unthrottled_A[PLANT_MPPTS_MAX]; /* what each would give that nobody holds back */
    double multi_A;                        /* + into the battery */
    double export_A;                       /* part of it that goes into the grid, > 0 */
    double load_W;                         /* AC, asked for now */
    double refused_W;                      /* held back now */
    double voltage_V;
    double soc;    /* 0..1, mean of all cells as the last step began */
    double time_s; /* virtual, since the start */
    double sun;    /* factor that people may set, 1 = as the day has it */
    bool on_reserve, diverting;
    struct plant_energy energy_Wh;

    /* What a step of this length leaves of a deviation. */
    double step_s, keeps_polarisation, keeps_charger, keeps_export;
};

void plant_init(struct plant *plant, const struct plant_setup *setup);
struct plant_setup plant_setup_default(void);

/* Lets dt_s pass: 1 s where something moves near a limit, up to a minute where nothing does. Packs in
 * parallel on one bus bar share the current by Kirchhoff's laws: V = (I + sum E/R) / sum 1/R,
 * I_i = (V - E_i) / R_i. MPPTs hold the bank at CVL and CCL plus what the load takes; with feed-in they
 * ignore CCL and hold 0.4 V (at 48 V) above CVL, while the Multi feeds into the grid what would lift the
 * bank above CVL, as far as it can. A BMS that blocks lets no current through in that direction. */
void plant_step(struct plant *plant, double dt_s, const struct plant_limits *limits);

/* The bank voltage at which the first cell is at cell_V, as cells and currents are now; at most bank_V. */
double plant_ceiling_V(const struct plant *plant, double bank_V, double cell_V);

/* The bank current that brings the bank to this voltage. */
double plant_current_at_A(const struct plant *plant, double bank_V);

double plant_highest_V(const struct plant *plant); /* of all cells */
double plant_lowest_V(const struct plant *plant);
double plant_sun_A(const struct plant *plant); /* of all MPPTs */
double plant_hour(const struct plant *plant);  /* of the day, 0..24 */
double plant_cell_soc(const struct plant_cell *cell);
double plant_pack_soc(const struct plant_pack *pack, size_t cells);
double plant_soc(const struct plant *plant); /* mean of all cells, 0..1 */

/* Open-circuit voltage of an LFP/graphite cell at a SoC of 0..1: positive minus negative electrode.
 * Source: M. Safari, C. Delacourt, J. Electrochem. Soc. 158 (2011) A562, electrode potentials of a
 * commercial LiFePO4/graphite cell; its stoichiometries are set to 0.96..0.045 and 0.025..0.805. */
double plant_ocv_V(double soc);

/* The other way round, 0..1.02. */
double plant_soc_at(double ocv_V);

#endif
