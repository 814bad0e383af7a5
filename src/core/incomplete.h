/* Packs that hang on the bus bar and do not show all that leads a bank, yet or ever: what they do show counts
 * where it lowers a limit. One that goes (its name, or its voice) was not seen to be out of danger: what it
 * lowered last stands for LOST_GRACE, as with packs of the bank. One that becomes whole leads like any other.
 */
#ifndef CORE_INCOMPLETE_H
#define CORE_INCOMPLETE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bank.h"
#include "core/config.h"
#include "core/control.h"
#include "core/limits.h"

enum { INCOMPLETE_MAX = 64 };

/* Begins with all 0. */
struct incomplete {
    size_t count;
    struct incomplete_pack {
        char name[READING_TEXT_MAX], serial[READING_TEXT_MAX];
        uint32_t visit;
        double charge_voltage_max_V; /* NAN = it never told, as the next two */
        double highest_cell_V, lowest_cell_V;
        bool blocks_charge, blocks_discharge;
        bool here;
        double gone_s; /* when it was first missed */
    } pack[INCOMPLETE_MAX];
};

/* Of those that are gone and still lower a limit, or block, the one that is so for longest. */
struct incomplete_gone {
    char name[READING_TEXT_MAX]; /* "": none is */
    double for_s;
};

/* Who is there now and not complete, and who is in the bank. One that is found to be none of the bank's
 * (incomplete_forget) is not missed. */
void incomplete_look(struct incomplete *incomplete, const struct pack *const packs[], size_t n,
                     const struct pack *const members[], size_t member_count, double time_s, double grace_s);
void incomplete_forget(struct incomplete *incomplete, const struct pack *pack);

/* Other settings: those that are here count anew, or are none of the bank's now. */
void incomplete_decide_anew(struct incomplete *incomplete);

/* Lowers limits by what they show, or showed last; under our own control by their cells too. */
void incomplete_obey(const struct incomplete *incomplete, const struct config *config, double time_s,
                     struct limits *limits, struct control_output *control, struct incomplete_gone *gone);

#endif
