/* The devices that are on the bus, each with its reading and its role: pack, shunt, Multi, MPPT. Fed
 * value by value, from the bus or from anywhere else; hands out the snapshot that core/ works on. */
#ifndef VENUS_DEVICES_H
#define VENUS_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/aggregator.h"
#include "core/config.h"
#include "core/contradiction.h"
#include "venus/inputs.h"

enum {
    DEVICE_SERVICE_MAX = 256, /* D-Bus names are at most 255 bytes */
    DEVICES_MAX = 256,
    DEVICE_PATHS_MAX = 256, /* rows that a table of inputs may have */
};

enum device_role {
    ROLE_UNDECIDED, /* it has not said enough yet */
    ROLE_PACK,
    ROLE_SHUNT, /* battery monitor or DC meter */
    ROLE_MULTI,
    ROLE_MPPT,
    ROLE_SOURCE, /* another source of current, or a load, that CURRENT_SOURCES may name */
    ROLE_SYSTEM,
    ROLE_SETTINGS,
    ROLE_NOT_IN_BANK, /* a pack that BANK does not name */
    ROLE_OTHER,       /* nothing for us: an aggregate, a battery without limits and cells, ... */
};

const char *device_role_name(enum device_role role);

/* What PACKS and IGNORE say of a battery. */
enum device_naming { NAMED_NOT, NAMED_PACK, NAMED_IGNORED };

struct device {
    enum device_class device_class;
    enum device_role role;
    bool scanned; /* has said all it has at least once */
    bool member;  /* a pack that is in the bank: it has shown a complete reading */
    bool stale;   /* it says and answers nothing: whoever has a clock decides */
    bool asked;   /* for a sign of life, and has not given one yet */
    enum device_naming naming;
    bool identity_changed;                            /* since the last devices_settle */
    uint64_t implausible_said[DEVICE_PATHS_MAX / 64]; /* a bit for each path, for the log */
    uint64_t implausible[DEVICE_PATHS_MAX / 64];      /* those of safety that are implausible now */
    int implausible_count;
    struct contradiction_watch contradicts[CONTRADICTION_OF_PACK]; /* of a pack with itself */
    double heard_s; /* when it last said or answered anything, by the caller's clock; NAN = unknown */
    char serial[READING_TEXT_MAX]; /* of a battery, as it last told one */
    double incomplete_s;           /* since when it has been a pack that lacks something; NAN = it is none */
    bool incomplete_said;          /* for long enough to be said */
    const char *waits_for;         /* the path that a pack lacks to be complete, as last said; NULL = none */
    union {
        struct pack pack;             /* CLASS_BATTERY */
        struct source_reading source; /* CLASS_SOURCE */
        struct system_reading system;
        struct settings_reading settings;
    };
    const struct current_source *counts; /* the element of CURRENT_SOURCES that names it; NULL = none */
    bool measures_pack;                  /* a shunt that PACK_SHUNT gives to a pack */
    const struct pack_shunt *shunt;      /* of a pack: what PACK_SHUNT says; NULL = nothing */
    struct pack *with_shunt;             /* that pack as the bank sees it */
    struct device_shunt_state {
        bool missing, said;
        double since_s;
    } shunt_state;  /* whether its shunt can be read, for the log */
    char service[]; /* its name on the bus, less than DEVICE_SERVICE_MAX bytes */
};

struct devices {
    const struct config *config;
    const struct inputs *inputs;
    struct device *device[DEVICES_MAX]; /* sorted: instance, then service, once known */
    size_t count;
    uint32_t visits; /* of batteries so far: each has its number */
};

/* The class of a service by its name; false when we do not read it at all. Our own name and those of
 * other aggregates are never an input. */
bool devices_class_of(const struct config *config, const char *service, enum device_class *device_class);

void devices_init(struct devices *devices, const struct config *config, const struct inputs *inputs);
void devices_clear(struct devices *devices);

/* A service comes. NULL when out of memory or DEVICES_MAX is reached. */
struct device *devices_add(struct devices *devices, const char *service, enum device_class device_class);
void devices_remove(struct devices *devices, struct device *device);

/* One value of it. */
enum input_result devices_store(struct devices *devices, struct device *device, int index,
                                const struct value *value);

/* After the values of an instant: decides the role anew, keeps the pack's last limits, and gives every
 * pack a name of its own. True when the role, a name or the membership changed. */
bool devices_settle(struct devices *devices, struct device *device);

/* The shunt that PACK_SHUNT gives to this pack, when it is here and shows a current; else NULL. */
const struct device *devices_shunt_of(const struct devices *devices, const struct device *device);

/* Other settings: what the earlier ones had decided no longer holds; with others of what a pack must show
 * (needs), members are those that have shown it. devices_settle is due for each. */
void devices_decide_anew(struct devices *devices, bool needs);

/* Fills packs (up to max) with the members, in a stable order, each with the current (and SoC) of its
 * shunt where it has one; the number of them. */
size_t devices_packs(const struct devices *devices, const struct pack *packs[], size_t max);

/* Likewise with those that are packs of the bank, but do not show yet all that a member must. */
size_t devices_incomplete(const struct devices *devices, const struct pack *packs[], size_t max);

/* Fills sources with what makes the bank current: what CURRENT_SOURCES names and the shunts of
 * USE_SMARTSHUNTS, but none that PACK_SHUNT gives to a pack. A shunt or an instance that is named and not
 * here counts as one that cannot be read. The number of them. */
size_t devices_sources(const struct devices *devices, struct source sources[], size_t max);

/* The device of a service, NULL when it is not here. */
const struct device *devices_find(const struct devices *devices, const char *service);

size_t devices_count_members(const struct devices *devices);
size_t devices_count_role(const struct devices *devices, enum device_role role);
const struct system_reading *devices_system(const struct devices *devices);     /* NULL when not here */
const struct settings_reading *devices_settings(const struct devices *devices); /* NULL when not here */

/* Packs that say something implausible where safety depends on it. */
size_t devices_implausible(const struct devices *devices);

/* What the device says at a path, see inputs_number. */
double devices_number(const struct devices *devices, const struct device *device, int index);

/* True when a battery service other than ours has this instance. */
bool devices_instance_taken(const struct devices *devices, int instance);

#endif
