/* What the user decided: plain data that settings.c fills from settings.ini and the rooms of core/
 * obey. Each member is named after its key; settings.c holds type, range, default and help. */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/curve.h"
#include "core/dc_class.h"
#include "core/feed_in.h"
#include "core/shape.h"

enum {
    CONFIG_TEXT_MAX = 64,
    CONFIG_NAMES_MAX = 16,
    CONFIG_PATTERNS_MAX = 32,
    CONFIG_NOT_SET = -1, /* a count that the user leaves to us */
};

/* How the current of the bank divides between its branches. */
enum current_sharing { SHARING_COUNT, SHARING_CAPACITY, SHARING_RESISTANCE, SHARING_MEASURED };

/* A pack that blocks charging or discharging. */
enum blocked_pack {
    BLOCKED_PACK_STOP,    /* stops the bank */
    BLOCKED_PACK_EXCLUDE, /* takes no part in that direction, the others go on */
};

enum shunt_choice { SHUNTS_NONE, SHUNTS_ALL, SHUNTS_LISTED };

struct name_list {
    size_t count;
    char name[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX];
};

/* Names, serials, product names or instances ("#289"); * stands for any text, ? for one character. */
struct pattern_list {
    size_t count;
    char pattern[CONFIG_PATTERNS_MAX][CONFIG_TEXT_MAX];
};

/* Packs whose current is measured by a shunt of their own. */
struct pack_shunt {
    char pack[CONFIG_TEXT_MAX]; /* name, serial or #instance */
    int instance;               /* of the shunt */
    bool inverted;              /* it shows a charging current as negative */
    bool soc;                   /* its SoC counts too */
};

struct pack_shunts {
    size_t count;
    struct pack_shunt shunt[CONFIG_NAMES_MAX];
};

/* What counts for the bank current beside shunts. */
struct current_source {
    enum dc_class dc_class;
    int instance; /* CONFIG_NOT_SET = all of the class */
    int sign;     /* of /Dc/0/Current: +1 adds, -1 subtracts, 0 as the class has it */
};

struct current_sources {
    size_t count;
    struct current_source source[CONFIG_NAMES_MAX];
};

/* What happens when a pack of the bank is lost. */
enum pack_lost {
    PACK_LOST_DEGRADE, /* the others lead on, no limit rises */
    PACK_LOST_HOLD,    /* so for LOST_GRACE, then CCL = DCL = 0 */
    PACK_LOST_STOP,    /* CCL = DCL = 0 at once */
};

/* What counts the charge when OWN_SOC is chosen. */
enum soc_method { SOC_LEARNED, SOC_REFERENCE };

/* Which capacity the SoC is a share of. */
enum capacity_source { CAPACITY_NAMEPLATE, CAPACITY_LEARNED };

/* How CVL gives way to the highest cell. */
enum cvl_control { CVL_SMOOTH, CVL_REFERENCE };

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

struct config {
    /* The bank. */
    int nr_of_batteries;         /* CONFIG_NOT_SET = take what is found */
    int nr_of_cells_per_battery; /* CONFIG_NOT_SET = as the packs say */
    int nr_of_mppts;             /* CONFIG_NOT_SET = all found */

    struct shape shape; /* BANK */
    enum current_sharing current_sharing;
    enum blocked_pack blocked_pack;
    double block_rejoin_diff_V; /* for 16 cells in series */

    enum pack_lost pack_lost;
    int lost_grace_s;  /* how long capacity and SoC keep the part of a pack that is lost */
    int stale_after_s; /* a pack that says and answers nothing for so long is lost */

    /* Which services are what. */
    char battery_service_name[CONFIG_TEXT_MAX];
    char dcload_service_name[CONFIG_TEXT_MAX];
    char multi_keyword[CONFIG_TEXT_MAX]; /* "" = none */
    char mppt_keyword[CONFIG_TEXT_MAX];  /* "" = none */
    char battery_product_name_path[CONFIG_TEXT_MAX];
    struct pattern_list battery_product_names; /* none = every pack */
    char battery_instance_name_path[CONFIG_TEXT_MAX];
    char smartshunt_name_keyword[CONFIG_TEXT_MAX];
    char smartshunt_instance_name_path[CONFIG_TEXT_MAX];
    struct pattern_list packs;  /* these alone are packs; none = whatever shows limits or cells */
    struct pattern_list ignore; /* these are nothing for us */

    /* Which measurements make the bank current. */
    bool current_from_victron;
    struct current_sources current_sources;
    struct pack_shunts pack_shunts;
    enum shunt_choice use_smartshunts;
    struct name_list smartshunts; /* instances or names, when SHUNTS_LISTED */
    bool invert_smartshunts;
    bool subtract_battery_shunts; /* in the words of 3.x: a shunt set to battery monitor measures a load */
    bool smartshunt_as_battery_current;

    /* State of charge. */
    bool own_soc;
    enum soc_method soc_method;
    enum capacity_source capacity;
    bool zero_soc;
    double max_cell_voltage_soc_full_V;
    double min_cell_voltage_soc_empty_V;
    double charge_save_precision; /* share of the capacity */
    double battery_efficiency;    /* of the charge going in */

    /* Charge control. */
    bool own_charge_parameters;
    double charge_voltage_V[12]; /* per cell, January first */
    double balancing_voltage_V;  /* per cell */
    int balancing_repetition_days;
    double max_cell_voltage_V;
    double min_cell_voltage_V;
    double min_cell_hysteresis_V;
    double cell_diff_max_V;
    double max_charge_current_A;
    double max_discharge_current_A;
    bool max_charge_current_set; /* the user wrote it: it caps merged limits too */
    bool max_discharge_current_set;
    struct curve charge_curve;    /* cell voltage V -> share of max_charge_current_A */
    struct curve discharge_curve; /* cell voltage V -> share of max_discharge_current_A */
    bool keep_max_cvl;
    enum cvl_control cvl_control;
    enum feed_in_rule feed_in_return;
    double feed_in_min_hold_s;

    /* Output. */
    int update_interval_data_s;
    int update_coalesce_ms;
    bool send_cell_voltages;
    enum log_level logging;
    int log_period_s; /* 0 = no periodic line */
};

#endif
