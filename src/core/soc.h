/* A state of charge that does not drift: counts Coulombs like charge.h, and learns between two full charges
 * what the current sensor shows too much and what charging loses. It knows how uncertain it is. */
#ifndef CORE_SOC_H
#define CORE_SOC_H

#include <stdbool.h>

#include "core/charge.h"

/* What is learned, with the covariance of its errors. */
struct soc_learned {
    double offset_A;   /* the sensor shows so much too much */
    double efficiency; /* of the charge going in */
    double usable;     /* capacity from full to empty, as a share of the installed one */
    double var_offset, var_efficiency, cov_offset_efficiency, var_usable;
    double var_missing; /* of the charge, at the last anchor; Ah^2 */
};

#define SOC_FULL_HOLD_S 60.0 /* so long voltage and tail current must last */
#define SOC_EMPTY_HOLD_S 30.0
#define SOC_TAIL 0.05          /* 1/h: full is a current under this share of the capacity an hour, */
#define SOC_DEEP_TAIL 0.003    /* and so full that one can learn from it is under this, */
#define SOC_DEEP_HOLD_S 1800.0 /* for so long */

/* What went in and out, as the sensor has it, and in how many hours. */
struct soc_count {
    double in_Ah, in_h, out_Ah, out_h;
};

struct soc {
    double missing_Ah;   /* to a full bank; may run over both ends, but is not shown so. NAN until it is
                            known where to begin */
    double installed_Ah; /* of the bank, NAN until known */
    struct soc_learned learned;
    double last_time_s, last_current_A;     /* NAN before the first */
    struct soc_count anchored;              /* since the last anchor: makes the uncertainty */
    struct soc_count swept;                 /* since the bank was last deeply full: to learn from */
    double corrected_s;                     /* when the voltage at rest was asked last; NAN = never */
    double swept_from_V;                    /* the mean cell when the sweep began */
    double tail_A;                          /* the current without clouds; NAN before the first */
    bool sweeping;                          /* it was, and nothing was missed since */
    double full_s, deep_s, empty_s, rest_s; /* how long it looks so */
    bool at_full, at_empty;
    int outliers;      /* in a row */
    double before_pct; /* the SoC before the last event, for the log */
    double gap_s;      /* of the last gap */
};

struct soc_input {
    double time_s;    /* monotonic */
    double current_A; /* + charges; NAN = not measured */
    double installed_Ah;
    bool at_top;         /* the voltage is that of a full bank */
    bool at_bottom;      /* a cell is empty, and ZERO_SOC allows */
    double cell_V;       /* mean; NAN = unknown */
    double difference_V; /* between the highest and the lowest cell; NAN = unknown */
    bool lfp;            /* the cells look like LFP: the voltage at rest tells something */
};

/* efficiency: what BATTERY_EFFICIENCY says. Everything else begins with wide uncertainty. */
void soc_init(struct soc *soc, double efficiency);

/* Takes up what was learned before; what is out of bounds is forgotten. False when it was. */
bool soc_restore(struct soc *soc, const struct soc_learned *learned);

/* Begins at a charge: uncertain by that share of the capacity, or, NAN, as restored. */
void soc_begin(struct soc *soc, double charge_Ah, double installed_Ah, double uncertainty);

/* Somebody knows better: the charge is that, uncertain by that share of the capacity; what is being swept
 * teaches nothing any more. Before soc_begin only the uncertainty is kept. */
void soc_set(struct soc *soc, double charge_Ah, double installed_Ah, double uncertainty);

/* Somebody has measured what the sensor shows too much; |offset_A| up to soc_offset_most_A. */
void soc_set_offset(struct soc *soc, double offset_A);
double soc_offset_most_A(double installed_Ah);

/* The usable capacity is known from elsewhere, as a share of the installed one: the charge that is missing
 * stays. Out of bounds it is not taken. */
void soc_set_usable(struct soc *soc, double usable, double deviation);

/* What the voltage of a cell at rest tells, of LFP: SoC 0..1 and its deviation; NAN off the curve. */
struct soc_rest {
    double soc, deviation;
};
struct soc_rest soc_at_rest(double cell_V);

/* Takes one measurement. */
enum charge_event soc_step(struct soc *soc, const struct soc_input *in);

double soc_pct(const struct soc *soc);             /* 0..100, NAN when unknown */
double soc_charge_Ah(const struct soc *soc);       /* usable charge left */
double soc_consumed_Ah(const struct soc *soc);     /* <= 0 */
double soc_uncertainty_pct(const struct soc *soc); /* one standard deviation */

#endif
