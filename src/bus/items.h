/* Our own tree of items: what a service shows on the bus (com.victronenergy.BusItem). Values are rounded
 * to what their text shows; only what changed is sent, in one ItemsChanged from "/". */
#ifndef BUS_ITEMS_H
#define BUS_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/loop.h"
#include "bus/methods.h"
#include "bus/value.h"

struct items;

enum {
    ITEMS_TEXT_MAX = 160,   /* bytes of a text value, with its NUL; longer ones are cut at a character */
    ITEMS_PATH_MAX = 1024,  /* bytes of a path, with its NUL */
    ITEMS_COUNT_MAX = 65535 /* of a tree */
};

/* How a number is rounded before it is compared and shown. */
enum item_rounding { ROUND_NEAREST, ROUND_DOWN /* limits: never more than was computed */ };

struct item_def {
    const char *path;     /* "/Dc/0/Voltage" */
    char type;            /* 'i', 'd' or 's' */
    signed char decimals; /* of a 'd' */
    enum item_rounding rounding;
    const char *unit;         /* appended to the number in Text: "V"; "" or NULL for none */
    const char *const *names; /* of an 'i' from 0 on: Text is names[value]; NULL-terminated; or NULL */
    const char *description;  /* for GetDescription, may be NULL */
    bool writable;            /* SetValue is offered to the owner's set */
};

/* A write from the bus to a writable item: value is coerced to the item's type already. Returns 0
 * accepted (the owner has called items_set_* itself), 2 refused. */
typedef int (*items_set_fn)(void *ctx, int item, const struct value *value);

/* An empty tree; set may be NULL when nothing is writable. NULL when out of memory. */
struct items *items_new(items_set_fn set, void *ctx);
void items_free(struct items *items);

/* Methods of the owner's on "/", beside those of items; methods must outlive the tree. */
void items_offer(struct items *items, const struct methods *methods);

/* Adds an item (the path is copied; unit, names and description must outlive the tree); its value is
 * invalid. The number of the item, which counts on from 0 as they are added; -1 when out of memory, the tree
 * is full, or the path is already there (as a leaf or an inner node), too long or malformed. */
int items_add(struct items *items, const struct item_def *def);
/* The same for an 's' that needs no more than room bytes, with its NUL (2..ITEMS_TEXT_MAX): what is longer is
 * cut there. */
int items_add_short(struct items *items, const struct item_def *def, size_t room);
int items_find(const struct items *items, const char *path); /* -1 = none */
size_t items_count(const struct items *items);

/* Sets a value; marks it as changed if what is shown changes. A NAN or infinite number is invalid. */
void items_set_number(struct items *items, int item, double number);
void items_set_text(struct items *items, int item, const char *text);       /* NULL = invalid */
void items_set_known_text(struct items *items, int item, const char *text); /* "" = invalid */
void items_set_invalid(struct items *items, int item);

/* What is shown. */
struct value items_value(const struct items *items, int item);
struct item_def items_def(const struct items *items, int item); /* its path is NULL: see items_path */
/* buf must hold ITEMS_PATH_MAX. Returns buf. */
const char *items_path(const struct items *items, int item, char *buf);
/* Text for a person ("52.91V", "---"); buf must hold ITEMS_TEXT_MAX. Returns buf. */
const char *items_text(const struct items *items, int item, char *buf);

/* The number alone, with its decimals ("52.91"); buf as above. "" when it is invalid or a text. */
const char *items_number(const struct items *items, int item, char *buf);

/* Calls each for every item that changed since the last call, and forgets the changes. The number of
 * them. For those who have no bus. */
size_t items_take_changes(struct items *items, void (*each)(void *ctx, int item), void *ctx);

/* Answers a method call on any of our paths: GetItems, GetValue, GetText, SetValue, GetDescription,
 * Introspect, and what items_offer brought; errors by the names of the contract. True when it was a method
 * call (it was answered). */
bool items_message(struct items *items, struct bus *bus, DBusMessage *message);

/* Sends one ItemsChanged from "/" with what changed, if anything did. False when it could not be queued
 * (the changes are kept). Does not allocate by itself. */
bool items_publish(struct items *items, struct bus *bus);

#endif
