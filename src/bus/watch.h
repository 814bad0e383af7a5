/* What libdbus waits for, as handles of libuv: its watches become one uv_poll_t for each descriptor, its
 * timeouts become uv_timer_t. A helper of loop.c; nobody else needs it. */
#ifndef BUS_WATCH_H
#define BUS_WATCH_H

#include <dbus/dbus.h>
#include <stdbool.h>
#include <uv.h>

struct poll;

/* Lives in its owner. Fill in the first four before the first attach. */
struct watches {
    uv_loop_t *loop;
    void *ctx;
    void (*broken)(void *ctx, const char *why); /* the socket is no good any more; from the loop */
    void (*handle_gone)(void *ctx);             /* one handle less; the owner may be freed at 0 */
    DBusConnection *connection;
    struct poll *polls;
    int open_handles; /* closing ones included */
};

/* False when out of memory; detach then too. */
bool watches_attach(struct watches *watches, DBusConnection *connection);

/* Closes all handles of the connection; they are gone in the next turn of the loop. */
void watches_detach(struct watches *watches);

#endif
