/* Which measurements make the bank current: the packs' own, or what the Victron devices measure. */
#ifndef CORE_CURRENT_H
#define CORE_CURRENT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/config.h"
#include "core/reading.h"

/* What a current source is to the bank. */
enum source_kind {
    SOURCE_MULTI,         /* vebus: + into the battery; counts 0 while it says that it is not connected */
    SOURCE_MPPT,          /* + into the battery */
    SOURCE_SHUNT_BATTERY, /* a shunt as battery monitor: + into the battery */
    SOURCE_SHUNT_LOAD,    /* a shunt as DC meter: + is what the load takes */
    SOURCE_OTHER,         /* counts 0 while it is off and shows no current */
    SOURCE_BY_INPUT,      /* the same, by its input current: a DC-DC converter that takes from the bank */
};

/* Numbers are NAN when unknown. */
struct source {
    char name[READING_TEXT_MAX]; /* for messages */
    enum source_kind kind;
    bool silent; /* it says and answers nothing: what it measured last is no measurement any more */
    double sign; /* of its current: +1 adds, -1 subtracts; 0 = as the kind says */
    double connected;
    double current_A;       /* sign as its class has it, see core/dc_class.h */
    double input_current_A; /* of a DC-DC converter */
    double state;           /* 0: off */
    double status_code;     /* of a generator; 0: standby */
};

struct bank_current {
    double current_A; /* + charges, NAN when unknown */
    double power_W;
    bool from_victron;         /* false: the packs' own */
    char missing[BANK_ID_MAX]; /* from_victron was wished but this part cannot be read; "" if none */
};

/* The bank's current and power.
 *   current_from_victron: I = I_multi + sum I_mppt +- shunts, P = V I. If a part cannot be read, or
 *   fewer MPPTs are there than nr_of_mppts says (more: the first nr_of_mppts count), or no source at
 *   all, the packs' own current and power stand in and `missing` names the part.
 *   smartshunt_as_battery_current: the first battery shunt alone is the bank current.
 *   Shunts: config->use_smartshunts chooses; the caller passes only those chosen; battery shunts add (but
 *   with subtract_battery_shunts), load shunts subtract, inverted with invert_smartshunts. A shunt that
 *   config lists by name but that is not there: the caller passes it as a source with unknown current.
 * Source of the formulas: the reference behaviour, "Bank current when CURRENT_FROM_VICTRON". */
void bank_current(const struct config *config, const struct bank *bank, const struct source sources[],
                  size_t n, struct bank_current *out);

/* What a source adds to the current into the bank, A; NAN when it cannot be read or is silent. */
double source_current_A(const struct config *config, const struct source *source);

/* What is counted, for messages: "Multi 12.0 A, Garage -3.0 A". Where the sum would be within allowed_A of
 * packs_A without one of them, it says so: that one measures what others measure too. */
void sources_describe(const struct config *config, const struct source sources[], size_t n, double packs_A,
                      double allowed_A, char *text, size_t size);

#endif
