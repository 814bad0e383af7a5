/* What one device told us: a pack, a charger, a shunt. A reading is plain data; whoever fills it has
 * checked type and range. A number that is not known is NAN and a text that is not known is "":
 * never 0, so that nobody can mistake silence for a measurement. */
#ifndef CORE_READING_H
#define CORE_READING_H

#include <stddef.h>

#include "core/alarms.h"

enum {
    READING_CELLS_MAX = 64, /* cells in series that one pack may show one by one */
    READING_TEXT_MAX = 48,  /* bytes of a name or an id, with its NUL; longer ones are cut */
};

/* The rest of /History: what a pack, or a bank, has been through. */
struct pack_history {
    double deepest_discharge_Ah; /* <= 0, as the next two */
    double last_discharge_Ah;
    double average_discharge_Ah;
    double full_discharges;
    double since_full_s;
    double voltage_min_V;
    double voltage_max_V;
    double cell_voltage_min_V;
    double cell_voltage_max_V;
    double temperature_min_C;
    double temperature_max_C;
    double low_voltage_alarms;
    double high_voltage_alarms;
};

/* A battery service: a pack with its BMS, or a shunt in battery-monitor mode. Texts stand first, then
 * numbers only: clearing relies on it. */
struct pack_reading {
    /* Who it is. */
    char product_name[READING_TEXT_MAX];
    char custom_name[READING_TEXT_MAX];
    char serial[READING_TEXT_MAX];
    char firmware[READING_TEXT_MAX];
    /* Which of its cells is which. */
    char cell_voltage_min_id[READING_TEXT_MAX];
    char cell_voltage_max_id[READING_TEXT_MAX];
    char cell_temperature_min_id[READING_TEXT_MAX];
    char cell_temperature_max_id[READING_TEXT_MAX];
    char charge_mode[READING_TEXT_MAX]; /* "Bulk", "Float Transition", ... */

    double device_instance; /* the first number */
    double product_id;
    double connected; /* 1 when the driver has its device */

    /* What it measures. */
    double voltage_V;
    double current_A; /* + charges the pack */
    double power_W;
    double temperature_C;
    double cells_sum_V;
    double cell_V[READING_CELLS_MAX];
    double cell_voltage_min_V;
    double cell_voltage_max_V;
    double cell_temperature_min_C;
    double cell_temperature_max_C;
    double cells_in_series; /* /System/NrOfCellsPerBattery */

    /* What it holds. */
    double soc_pct;
    double soh_pct;
    double capacity_installed_Ah;
    double capacity_Ah; /* remaining */
    double consumed_Ah; /* <= 0 */
    double time_to_go_s;

    /* What it allows. */
    double charge_voltage_max_V;    /* CVL */
    double charge_current_max_A;    /* CCL */
    double discharge_current_max_A; /* DCL */
    double low_voltage_V;
    double charge_request; /* 1: it is so low that it asks to be charged */
    double allow_charge;   /* 0 or 1 */
    double allow_discharge;
    double allow_balance;
    double balancing;

    /* How it is. */
    double modules_online;
    double modules_offline;
    double modules_blocking_charge;
    double modules_blocking_discharge;
    double alarm[ALARM_COUNT]; /* 0 ok, 1 warning, 2 alarm */

    /* What it has done. */
    double charge_cycles;
    double charged_energy_kWh;
    double discharged_energy_kWh;
    double drawn_Ah; /* /History/TotalAhDrawn */
    struct pack_history history;
};

/* Anything else on the DC side that measures a current. Texts first, as above. */
struct source_reading {
    char product_name[READING_TEXT_MAX];
    char custom_name[READING_TEXT_MAX];
    char serial[READING_TEXT_MAX];

    double device_instance; /* the first number */
    double connected;
    double voltage_V;
    double current_A;       /* sign as its class has it, see core/dc_class.h */
    double state;           /* 0: off */
    double input_current_A; /* of a DC-DC converter */
    double status_code;     /* of a generator; 0: standby */
};

/* Makes every number NAN and every text "". */
void pack_reading_clear(struct pack_reading *reading);
void source_reading_clear(struct source_reading *reading);

/* Number of cells that the reading shows one by one: the highest index with a known voltage, plus 1. */
size_t pack_reading_cells_shown(const struct pack_reading *reading);

/* True when a cell voltage is known at all: single cells, or the pack's own minimum and maximum. */
int pack_reading_has_cells(const struct pack_reading *reading);

#endif
