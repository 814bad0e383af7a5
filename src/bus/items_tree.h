/* The inside of a tree of items: for items.c, which keeps the values, and items_bus.c, which answers for
 * them. */
#ifndef BUS_ITEMS_TREE_H
#define BUS_ITEMS_TREE_H

#include "bus/items.h"

/* What many items have in common. */
struct item_kind {
    const char *unit;
    const char *const *names;
    const char *description;
};

/* With 64 packs there are some 1,500 of them. */
struct item {
    const char *path; /* in the tree's paths */
    union {
        double number;
        char *text; /* of an 's': room bytes */
    };
    unsigned short kind; /* in the tree's kinds */
    unsigned char room;
    char type;
    signed char decimals;
    bool rounds_down : 1;
    bool writable : 1;
    bool known : 1;
    bool changed : 1; /* since the last publication */
};

struct item_paths;

struct items {
    items_set_fn set;
    void *ctx;
    const struct methods *methods; /* of the owner, on "/"; NULL = none */
    struct item *item;             /* in the order they were added: an item's number is its index */
    int *sorted;                   /* the same, by path */
    int *changes;                  /* those that changed, in the order they did */
    size_t count, room, change_count;
    struct item_kind *kinds;
    size_t kind_count;
    struct item_paths *paths; /* the newest block of them */
};

/* Gives an item another type; its value is invalid then. For the simulated devices, whose values may be
 * made wrong by hand. False when out of memory. */
bool items_set_type(struct items *items, int item, char type);

/* The items whose path lies below node ("/" or "/Dc/0"): *first is a position in sorted. How many. */
size_t items_below(const struct items *items, const char *node, size_t *first);

#endif
