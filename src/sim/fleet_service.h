/* One simulated device on its own connection: its items, its name, and whether it is there, frozen or
 * overruled by hand. */
#ifndef SIM_FLEET_SERVICE_H
#define SIM_FLEET_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/items.h"
#include "bus/loop.h"
#include "bus/name.h"

enum { FLEET_NAME_MAX = 256, FLEET_ITEMS_MAX = 512 };

struct fleet_service;

struct fleet_service_client {
    void *ctx;
    /* Its name is on the bus. */
    void (*arrived)(void *ctx, struct fleet_service *service);
    /* It has no bus, or has lost it; it goes on trying. May be NULL. */
    void (*unreached)(void *ctx, const char *why);
    /* A message that the items do not answer; true = handled. May be NULL. */
    bool (*message)(void *ctx, struct fleet_service *service, DBusMessage *message);
    /* A write from the bus; result as items_set_fn. May be NULL: nothing is writable. */
    int (*set)(void *ctx, struct fleet_service *service, int item, const struct value *value);
};

struct fleet_service {
    char name[FLEET_NAME_MAX];
    struct fleet_service_client client;
    uv_loop_t *loop;
    const char *address;
    struct items *items;
    struct bus *bus; /* NULL = it is away */
    struct bus_name own;
    bool frozen;                     /* owns its name, says and answers nothing */
    bool overruled[FLEET_ITEMS_MAX]; /* the item keeps what a hand has set */
    char own_type[FLEET_ITEMS_MAX];  /* of an overruled item, whose type a hand may change too, */
    double own_number[FLEET_ITEMS_MAX];
    char *own_text[FLEET_ITEMS_MAX]; /* and what it was; NULL = no text */
};

bool fleet_service_init(struct fleet_service *service, const char *name, uv_loop_t *loop, const char *address,
                        const struct fleet_service_client *client);
void fleet_service_end(struct fleet_service *service);  /* closes its handles: the loop may run out */
void fleet_service_free(struct fleet_service *service); /* after the loop has run out */

/* On to the bus, off it. */
bool fleet_service_come(struct fleet_service *service);
void fleet_service_go(struct fleet_service *service);

/* Adds an item: type and text as struct item_def. */
int fleet_service_add(struct fleet_service *service, const char *path, char type, int decimals,
                      const char *unit, bool writable);

/* What the simulation says; a hand overrules it. Unknown paths are left alone. */
void fleet_service_number(struct fleet_service *service, const char *path, double number);
void fleet_service_text(struct fleet_service *service, const char *path, const char *text);

/* A hand: value is a number, a "text" in quotes, or - for invalid; a path that is not there is added.
 * NULL when it worked, else what is wrong. */
const char *fleet_service_override(struct fleet_service *service, const char *path, const char *value);
/* The item is what it was before, until the simulation says something else. */
const char *fleet_service_release(struct fleet_service *service, const char *path);

/* Sends what changed, unless it is away or frozen. */
void fleet_service_publish(struct fleet_service *service);

#endif
