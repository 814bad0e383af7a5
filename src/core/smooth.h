/* A CVL that keeps the highest cell a few mV under its limit, ahead of the peak and without hunting. It
 * asks which voltage of the bank would bring the highest cell there, and moves down at once and up late. */
#ifndef CORE_SMOOTH_H
#define CORE_SMOOTH_H

#include <stdbool.h>

/* Begin with smooth_init. */
struct smooth {
    double last_time_s; /* NAN before the first step */
    double highest_V;   /* of the cells, freed of noise */
    double rise_V_s;    /* how fast it rises */
    double spread_V;    /* highest cell over the mean of its pack: freed of noise, ... */
    double spread_slow_V;
    double margin_V;  /* of the set point under the limit: learned from what went over */
    double excess_V;  /* what the peak that lasts went over at most */
    double voltage_V; /* the CVL, while it limits */
    bool limiting;
    bool rising;     /* the last move was up */
    double ups;      /* how many turns upwards are allowed now */
    double down_s;   /* time since the last move down */
    double absurd_s; /* how long it has been far below what the bank has */
    double calm_s;   /* how long the highest cell has been far from the limit */
};

struct smooth_input {
    double time_s;    /* monotonic */
    double highest_V; /* highest cell of the bank, known */
    double spread_V;  /* the largest over the packs of (highest cell - mean of the pack's cells); NAN =
                         unknown, the last one stands */
    double mean_V;    /* the lowest of the packs' mean cells; 0 = highest_V - spread_V */
    double cells;     /* in series */
    double target_V;  /* never above it, V of the bank */
    double limit_V;   /* MAX_CELL_VOLTAGE */
    bool feed_in;     /* DC feed-in is on: Venus may lift the bank SMOOTH_FEED_IN_V a cell over CVL */
    bool holding;     /* DC feed-in is held off: make the cells calm, so that it can be returned */
};

/* 0.4 V on a bank of 48 V: what the solar chargers may add where the grid does not take all of it. */
#define SMOOTH_FEED_IN_V 0.025

void smooth_init(struct smooth *smooth);

/* The CVL. smooth->limiting tells whether it is below the target because of a cell.
 *   CVL = n (s - d - p), where s is the set point (limit - margin), d the spread and p what the highest
 *   cell would be above s in 20 s at the rate at which it rises. With DC feed-in on, s is SMOOTH_FEED_IN_V
 *   lower: whatever the grid takes, no cell peaks, and feed-in can stay on.
 * d hardly depends on the current, so a cloud does not move CVL and the charger's lag is not in the loop.
 * Down at once; up at most 3 mV/s, and a turn upwards at most every half hour. Without a target or a number
 * of cells the last one stands. */
double smooth_step(struct smooth *smooth, const struct smooth_input *in);

#endif
