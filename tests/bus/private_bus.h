/* A dbus-daemon of the test's own, which can be killed and started again on the same address; and the few
 * lines that let a test wait for an event instead of sleeping. */
#ifndef TESTS_PRIVATE_BUS_H
#define TESTS_PRIVATE_BUS_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

struct private_bus {
    pid_t pid; /* 0 while it does not run */
    char dir[64];
    char address[128];
};

/* Makes the directory and the address; nothing listens there yet. */
void private_bus_init(struct private_bus *bus);
void private_bus_start(struct private_bus *bus); /* returns when it listens */
void private_bus_kill(struct private_bus *bus);
void private_bus_remove(struct private_bus *bus); /* kills it and removes the directory */

/* Runs the loop until met(ctx) says yes; fails the test after a generous while. */
void await(uv_loop_t *loop, bool (*met)(void *ctx), void *ctx, const char *what);

/* Runs the loop until nothing is open in it any more, and closes it. */
void loop_finish(uv_loop_t *loop);

#endif
