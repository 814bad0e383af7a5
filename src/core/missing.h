/* What a bank may while packs of it are missing: no limit rises because one went, what it held counts for a
 * while, and what the user chose for it is obeyed. And the net under every limit, known packs or not. */
#ifndef CORE_MISSING_H
#define CORE_MISSING_H

#include <stdbool.h>
#include <stddef.h>

#include "core/bank.h"
#include "core/config.h"
#include "core/limits.h"

enum { MISSING_MAX = 64 };

/* What is known of the packs that are missing. All 0: nobody is. */
struct lost_packs {
    double longest_s;            /* how long the first of them has been away */
    char name[READING_TEXT_MAX]; /* of that one */
    double installed_Ah;         /* sums over those away for less than LOST_GRACE, as they last said; of
                                    those who never said, nothing */
    double remaining_Ah;
    double ever_installed_Ah; /* of all that are away, for however long; NAN or 0 = one never told it */
};

/* What is remembered from one step to the next. */
struct missing {
    struct limits whole; /* the limits when the bank was last whole */
    bool was_whole;
    struct limits last; /* those of the last step with a pack, without what incomplete ones lower */
    double shown_V;     /* the CVL that was shown last; NAN = none was */
    double cap_V[MISSING_MAX + 1]; /* on CVL while so many are missing; NAN = none */
    size_t before;                 /* how many were, in the last step */
    bool left;                     /* somebody did since then: set by the caller */
    double left_s;                 /* when somebody did last; NAN = nobody yet */
};

void missing_init(struct missing *missing);

/* Capacity, charge and SoC of the bank keep the part of those lost for less than LOST_GRACE. */
void missing_keep_part(const struct lost_packs *lost, struct bank *bank);

/* The bank without count of its packs must not be driven harder than the whole one was, nor harder than it
 * was with fewer missing: a pack that blocks and goes while another is away would free the rest. The currents
 * are so for grace_s: they were those of one instant, and those that are there know by then what they can.
 * CVL is so until those whose leaving capped it are back. */
void missing_never_raise(struct missing *missing, size_t count, double time_s, double grace_s,
                         struct limits *limits);

/* PACK_LOST; each limit says so. True when it stops the bank. */
bool missing_obey(const struct config *config, const struct lost_packs *lost, size_t count,
                  struct limits *limits);

/* All packs are gone: limits of 0 as numbers, for invalid ones would unleash the chargers; the last CVL
 * stands, for without it Venus sees no BMS at all. */
void missing_retreat(const struct missing *missing, struct limits *limits);

/* The net under every limit, for Venus takes an invalid one for none at all: an unknown CVL is the last one,
 * an unknown current 0, and no current is below 0. True when one was unknown. Notes what is shown. */
bool missing_catch(struct missing *missing, struct limits *limits);

#endif
