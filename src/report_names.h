/* What the settings name and the bus does not have: said once the bus has settled, with what is there. */
#ifndef REPORT_NAMES_H
#define REPORT_NAMES_H

#include <stdbool.h>

#include "venus/devices.h"

enum {
    REPORT_SETTLED_S = 10,    /* so long nobody came or went */
    REPORT_SHUNT_S = 10,      /* so long a pack's shunt may be silent before it is said */
    REPORT_INCOMPLETE_S = 60, /* a driver that starts tells what it knows within */
    REPORT_SOURCES_MAX = 512,
};

/* Zero-initialised; again, when the settings have changed. */
struct report_unmatched {
    bool begun, said;
    size_t devices;  /* when last looked at */
    double change_s; /* when their number changed */
};

/* Names in PACKS, IGNORE, PACK_SHUNT and BANK that fit no battery, and batteries that PACKS and IGNORE name:
 * one line each, once. Call it in each step. */
void report_unmatched(struct report_unmatched *report, const struct devices *devices, double now_s);

/* A pack that is here, lacks something and is not led by: said once, after REPORT_INCOMPLETE_S. How many
 * there are of which it was said. Call it in each step. */
size_t report_incomplete(struct devices *devices, double bank_V, double now_s);

/* A pack's shunt cannot be read, or can be read again. Call it once a second. */
void report_shunts(struct devices *devices, double now_s);

#endif
