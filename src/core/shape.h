/* How the packs of the bank are wired: strings of packs in series, strings in parallel. Plain data that the
 * settings fill from BANK; packs are named by what they are called, their serial or "#" and their instance.
 */
#ifndef CORE_SHAPE_H
#define CORE_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

enum { SHAPE_STRINGS_MAX = 16, SHAPE_PACKS_MAX = 32, SHAPE_NAME_MAX = 48, SHAPE_WRONG_MAX = 96 };

struct shape {
    size_t strings; /* in parallel; 0 = not told: all packs that are found, in parallel */
    size_t packs;   /* of all strings */
    struct {
        size_t first, count; /* of the names below */
    } string[SHAPE_STRINGS_MAX];
    char pack[SHAPE_PACKS_MAX][SHAPE_NAME_MAX];
};

/* Reads "(A + B) | (C + D) | E"; quotes around names that hold other signs, and brackets around a string,
 * may be left out. NULL, or what is wrong with it (perhaps in wrong); then *shape is empty. */
const char *shape_parse(const char *text, struct shape *shape, char wrong[SHAPE_WRONG_MAX]);

/* The place in shape->pack of what is called so; -1 when it is not in the bank. instance may be NAN. */
int shape_find(const struct shape *shape, const char *name, const char *serial, double instance);

/* The string that a place belongs to; -1 for none. */
int shape_string_of(const struct shape *shape, int place);

/* Whether the pack at this place is called so. */
bool shape_calls(const struct shape *shape, size_t place, const char *name, const char *serial,
                 double instance);

#endif
