/* One attempt to read all wanted values of one service: GetItems, else the root's GetValue, else leaf by
 * leaf. The services of a decade answer one of the three. */
#ifndef BUS_SCAN_H
#define BUS_SCAN_H

#include "bus/loop.h"
#include "bus/paths.h"
#include "bus/value.h"

/* Calls at once, leaf by leaf: a service that hangs then owes no more than these. */
enum { SCAN_IN_FLIGHT_MAX = 4 };

struct scan;

/* Either done or failed is called, once; the scan is freed afterwards and must be forgotten. */
struct scan_client {
    void *ctx;
    void (*heard)(void *ctx); /* the service itself has answered, be it by an error */
    void (*value)(void *ctx, int index, const struct value *value);
    void (*done)(void *ctx);
    /* A call got no answer, or no path answered at all. why is for the log. */
    void (*failed)(void *ctx, const char *why);
};

/* owner is the unique name (copied), paths must outlive the scan. NULL when out of memory. */
struct scan *scan_new(struct bus *bus, const char *owner, const struct paths *paths,
                      const struct scan_client *client);

/* Sends the first call. The scan may be over when this returns. */
void scan_start(struct scan *scan);

/* No callback after this; the scan frees itself when its calls are answered. NULL is fine. */
void scan_cancel(struct scan *scan);

#endif
