/* A string of packs in series, seen as one pack: voltages and cells add, the current is one, and the packs
 * that are emptiest and fullest decide what the string can still give and take. */
#ifndef CORE_SERIES_H
#define CORE_SERIES_H

#include "core/bank.h"
#include "core/config.h"
#include "core/contradiction.h"
#include "core/shape.h"

struct series {
    struct pack pack; /* what the string looks like; keeps what it showed last */
    size_t count;
    const struct pack *member[SHAPE_PACKS_MAX]; /* valid until the next merge */
    double nameplate_Ah;                        /* of its smallest pack; NAN = unknown */
    double apart_Ah;                            /* the fullest over the emptiest; NAN = unknown */
    bool apart; /* so far that somebody should charge one of them alone: no BMS balances across packs */
    double headroom_V; /* of the pack that is nearest to its own CVL; NAN = unknown */
    int nearest;       /* which that is */
    int emptiest;
    struct contradiction currents; /* the largest and the smallest that is measured of the one */
    struct contradiction_watch currents_watch;
};

void series_clear(struct series *series);

/* True when the string is whole and this pack is in it. */
bool series_has(const struct series *series, const struct pack *pack);

/* time_s: monotonic. n members, all known, into series->pack. With R the smallest remaining charge and M the
 * smallest missing one: capacity R + M, SoC R / (R + M). CVL is the sum of theirs, less what the other packs
 * could still rise more than the nearest to its CVL: so nobody is pushed over its own by its sister. CCL and
 * DCL the smallest; one that blocks blocks all; current the mean of those known; times of all, levels of
 * alarms the worst. Each row of the table in bank.c has one here: what is unknown of a string is unknown of
 * the bank. */
void series_merge(struct series *series, const struct config *config, const struct pack *const members[],
                  size_t n, double time_s);

#endif
