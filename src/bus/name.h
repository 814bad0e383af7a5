/* A well-known name of ours: asked for without queueing, tried again while somebody else has it, given
 * back when we say so. */
#ifndef BUS_NAME_H
#define BUS_NAME_H

#include <stdbool.h>

#include "bus/loop.h"

enum { BUS_NAME_RETRY_MS = 1000 };

struct bus_name_owner {
    void *ctx;
    void (*acquired)(void *ctx);
    void (*taken)(void *ctx); /* somebody else has it; said once, we keep trying */
};

struct bus_name {
    struct bus *bus;
    const char *name;
    struct bus_name_owner owner;
    uv_timer_t retry;
    enum { BUS_NAME_IDLE, BUS_NAME_ASKING, BUS_NAME_OURS } state;
    bool taken_said;
};

/* name must outlive it. */
void bus_name_init(struct bus_name *name, struct bus *bus, uv_loop_t *loop, const char *well_known,
                   const struct bus_name_owner *owner);

/* Asks for the name; nothing happens when it is asked for or ours already. */
void bus_name_request(struct bus_name *name);

/* Gives it back, or stops asking. */
void bus_name_release(struct bus_name *name);

/* The bus went: whatever we had is gone. */
void bus_name_down(struct bus_name *name);

bool bus_name_is_ours(const struct bus_name *name);

/* Stops its timer for good; call before the loop ends. */
void bus_name_close(struct bus_name *name);

#endif
