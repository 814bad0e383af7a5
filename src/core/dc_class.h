/* The classes of services that measure a current on the DC side, as Venus names them. Each has its own
 * idea of what a positive current is. */
#ifndef CORE_DC_CLASS_H
#define CORE_DC_CLASS_H

#include <stddef.h>

enum dc_class {
    DC_ANY,   /* whichever has the instance */
    DC_VEBUS, /* MultiPlus, Quattro: what MULTI_KEYWORD finds */
    DC_MULTI, /* Multi RS */
    DC_ACSYSTEM,
    DC_INVERTER,
    DC_SOLARCHARGER, /* what MPPT_KEYWORD finds */
    DC_CHARGER,
    DC_ALTERNATOR, /* an Orion XS that charges the bank is one too */
    DC_DCDC,       /* an Orion XS between the bank and something else */
    DC_DCGENSET,
    DC_FUELCELL,
    DC_DCSOURCE,
    DC_DCLOAD,
    DC_DCSYSTEM,
    DC_MOTORDRIVE,
    DC_BATTERY, /* a shunt as battery monitor */
    DC_CLASS_COUNT
};

/* "solarcharger"; "" of DC_ANY. */
const char *dc_class_name(enum dc_class dc_class);

/* The class of this name; DC_ANY when there is none. */
enum dc_class dc_class_find(const char *name, size_t length);

/* What a positive /Dc/0/Current does: +1 it charges the bank, -1 it is taken from it. */
double dc_class_sign(enum dc_class dc_class);

#endif
