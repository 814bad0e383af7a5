/* What we show of each pack, beside the bank: the pages of the user interface about single batteries, and
 * whoever reads by MQTT or Node-RED, find all packs in one place. It is for the eye, not for control: coarse,
 * and slower than the bank, so that 64 packs cost little more than one. */
#ifndef VENUS_PAGES_H
#define VENUS_PAGES_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/items.h"
#include "core/bank.h"
#include "venus/outputs.h"

enum {
    PAGES_MODULES_MAX = 10, /* /Diagnostics/Module0 to 9: the user interface looks for one digit */
    PAGES_TURNS = 4,        /* a pack in so many is looked at in a turn */
    PAGES_TURN_S = 1,       /* from one turn to the next */
    PAGES_AGE_STEP_S = 10,  /* of an age under a minute; then minutes, then hours */
};

/* Who is behind the bank. */
struct pages_pack {
    const char *service; /* "" when the slot is free */
    const char *name;
    const char *serial;
    bool present; /* false: it is missing */
};

struct pages;

/* Adds /Battery/Request/Id; the paths of a slot follow when it is first used. NULL when out of memory. */
struct pages *pages_new(struct items *items);
void pages_free(struct pages *pages);

/* Who is in this slot, at once when it changes. A slot that was used and is free now shows nothing. */
void pages_set_pack(struct pages *pages, size_t slot, const struct pages_pack *pack);

/* True when it is this slot's turn: one in PAGES_TURNS, and always the pack that is asked for. turn counts
 * on from call to call. */
bool pages_is_turn(const struct pages *pages, size_t slot, size_t turn);

/* What the pack in this slot says; NULL = it is missing, and nothing of it is known. age_s: since it last
 * said or answered anything, NAN = not known. */
void pages_set_values(struct pages *pages, size_t slot, const struct pack *pack, double age_s);

/* What was learned of it: the share of the charge current that it is taken to carry, its resistance and how
 * certain that is. NAN = not known; the paths are there once it was. */
struct pages_learned {
    double share_pct, resistance_mOhm, deviation_mOhm;
};
void pages_set_learned(struct pages *pages, size_t slot, const struct pages_learned *learned);

/* /Battery/Request/Id is written: the pack that somebody looks at. It is shown finer, and its cells with
 * it. False when there is no such pack. */
bool pages_request(struct pages *pages, double id);

/* The item of /Battery/Request/Id, which the user interface writes. */
int pages_request_item(const struct pages *pages);

#endif
