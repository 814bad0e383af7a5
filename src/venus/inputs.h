/* What we read: for each class of service a table from path to field, with its plausible range. A new
 * path is one row in inputs.c, and its field in the reading; nothing else needs to know it. */
#ifndef VENUS_INPUTS_H
#define VENUS_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/paths.h"
#include "bus/value.h"

enum device_class {
    CLASS_BATTERY,  /* struct pack_reading */
    CLASS_SOURCE,   /* struct source_reading: vebus, solarcharger, dcload */
    CLASS_SYSTEM,   /* struct system_reading: com.victronenergy.system */
    CLASS_SETTINGS, /* struct settings_reading: com.victronenergy.settings */
    CLASS_COUNT
};

/* What we want of com.victronenergy.system. */
struct system_reading {
    double low_soc; /* 1: the system holds back for want of charge */
};

/* What we want of com.victronenergy.settings. */
struct settings_reading {
    double overvoltage_feed_in;
    char time_zone[48];          /* "Europe/Berlin" */
    char class_and_instance[48]; /* "battery:99" */
    char custom_name[48];
};

#define SETTINGS_DEVICE "/Settings/Devices/battery_aggregator"
#define SETTINGS_INSTANCE_PATH SETTINGS_DEVICE "/ClassAndVrmInstance"
#define SETTINGS_NAME_PATH SETTINGS_DEVICE "/CustomName"
#define SETTINGS_FEED_IN_PATH "/Settings/CGwacs/OvervoltageFeedIn"

/* What a value means for the safety of the bank. */
enum input_kind {
    INPUT_PLAIN,
    INPUT_MEASURE, /* the bank cannot be led without it */
    INPUT_CELL,    /* the voltage of a cell */
    INPUT_LIMIT,   /* CVL, CCL or DCL of a pack */
    INPUT_ALLOW,   /* 0 blocks */
};

enum input_result {
    INPUT_SAME,        /* nothing changed */
    INPUT_CHANGED,     /* a field changed */
    INPUT_IMPLAUSIBLE, /* out of range, not finite, wrong kind: the field is unknown now */
};

struct inputs; /* the tables, ready for look-up */

struct inputs *inputs_new(void); /* NULL when out of memory */
void inputs_free(struct inputs *inputs);

/* The paths of a class, for the monitor. */
const struct paths *inputs_paths(const struct inputs *inputs, enum device_class device_class);

/* Stores a value into the field of its path. reading is of the struct that belongs to the class. */
enum input_result inputs_store(const struct inputs *inputs, enum device_class device_class, int index,
                               const struct value *value, void *reading);

/* True when the path says who the device is (name, serial, instance, product, connected). */
bool inputs_is_identity(const struct inputs *inputs, enum device_class device_class, int index);

enum input_kind inputs_kind(const struct inputs *inputs, enum device_class device_class, int index);

/* A change up to this is noise: it can wait for what else changes. 0: every change counts. */
double inputs_flicker(const struct inputs *inputs, enum device_class device_class, int index);

/* What is stored for a number; NAN for unknown, and for a text. */
double inputs_number(const struct inputs *inputs, enum device_class device_class, int index,
                     const void *reading);

/* The range that inputs_store allows ("0..100"; "text"), for messages. */
const char *inputs_range(const struct inputs *inputs, enum device_class device_class, int index, char *buf,
                         size_t size);

/* The text at path in a reading of the class; NULL when we do not read that path or it is a number. */
const char *inputs_text(const struct inputs *inputs, enum device_class device_class, const char *path,
                        const void *reading);

#endif
