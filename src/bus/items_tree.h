/* The inside of a tree of items: for items.c, which keeps the values, and items_bus.c, which answers for
 * them. */
#ifndef BUS_ITEMS_TREE_H
#define BUS_ITEMS_TREE_H

#include <stdint.h>

#include "bus/items.h"

/* With 64 packs there are some 1,500 items. What they share is kept once, and an item has its index. */
struct item {
    union {
        double number;
        char *text; /* of an 's': the room of its kind */
    };
    uint16_t branch, leaf; /* its path: "/Dc/0/" and "Voltage" */
    uint16_t kind;
    bool known : 1;
    bool changed : 1; /* since the last publication */
};

struct item_kind {
    const char *unit;
    const char *const *names;
    const char *description;
    unsigned char room; /* bytes of a text, with its NUL */
    char type;
    signed char decimals;
    bool rounds_down, writable;
};

/* Different words, in the order they came. */
struct item_words {
    const char **word;
    size_t count;
};

struct item_letters;

struct items {
    items_set_fn set;
    void *ctx;
    const struct methods *methods; /* of the owner, on "/"; NULL = none */
    struct item *item;             /* in the order they were added: an item's number is its index */
    uint16_t *sorted;              /* the same, by path */
    uint16_t *changes;             /* those that changed, in the order they did */
    size_t count, room, change_count;
    struct item_words branches, leaves;
    struct item_kind *kinds;
    size_t kind_count;
    struct item_letters *letters; /* the newest block of what words are made of */
};

const struct item_kind *items_kind(const struct items *items, int item);

/* Gives an item another type; its value is invalid then. For the simulated devices, whose values may be
 * made wrong by hand. False when out of memory. */
bool items_set_type(struct items *items, int item, char type);

/* The items whose path lies below node ("/" or "/Dc/0"): *first is a position in sorted. How many. */
size_t items_below(const struct items *items, const char *node, size_t *first);

#endif
