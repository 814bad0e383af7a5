/* Who is on the bus and what they say: finds services by name, scans each (GetItems, else the root's
 * GetValue, else leaf by leaf), then lives on ItemsChanged, PropertiesChanged and NameOwnerChanged.
 * Only the owner of a name can speak for it. Knows nothing about batteries. */
#ifndef BUS_MONITOR_H
#define BUS_MONITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/loop.h"
#include "bus/paths.h"
#include "bus/value.h"

enum {
    MONITOR_SERVICES_MAX = 256,  /* more are refused with one log line */
    MONITOR_RETRY_MIN_MS = 1000, /* between scans of a service that does not answer, doubling */
    MONITOR_RETRY_MAX_MS = 30000,
};

struct monitor;

/* A service that is wanted and on the bus. */
struct monitor_service {
    const char *name;  /* com.victronenergy.battery.ttyUSB0 */
    const char *owner; /* :1.42 */
    const struct paths *paths;
    void *user;     /* the client's own, set in found */
    double heard_s; /* monotonic: when it last said or answered anything; NAN before */
    bool scanned;   /* its first scan is complete */
};

/* None of these may call monitor_down or monitor_free. */
struct monitor_client {
    void *ctx;
    /* Which paths of this service are wanted; NULL = not this one. Called once per name that comes. */
    const struct paths *(*wanted)(void *ctx, const char *name);
    /* It is on the bus; no value is known yet. Set service->user here. */
    void (*found)(void *ctx, struct monitor_service *service);
    /* A value of a wanted path: index into service->paths. From the scan and from signals. */
    void (*value)(void *ctx, struct monitor_service *service, int index, const struct value *value);
    /* After the values of one message: the instant is complete. first is true once, when the first scan
     * is (paths that were not in it do not exist there); a scan leaf by leaf settles at its end only. */
    void (*settled)(void *ctx, struct monitor_service *service, bool first);
    /* A scan got no answer; it is tried again. why for the log. Called at the change, not per try. */
    void (*silent)(void *ctx, struct monitor_service *service, const char *why);
    /* The name left the bus (or changed its owner: gone, then found). service is freed afterwards. */
    void (*gone)(void *ctx, struct monitor_service *service);
    /* It is not read: there are MONITOR_SERVICES_MAX already, or memory is out. Called once. May be NULL. */
    void (*refused)(void *ctx, const char *name);
};

/* Watches names that begin with prefix ("com.victronenergy."). The monitor does nothing until
 * monitor_up; the owner of the bus passes its events on. NULL when out of memory. */
struct monitor *monitor_new(struct bus *bus, uv_loop_t *loop, const char *prefix,
                            const struct monitor_client *client);
/* Calls gone for each service. Before the bus is closed, or right after bus_close, never later. The memory
 * is given back in the next turns of the loop. */
void monitor_free(struct monitor *monitor);

void monitor_up(struct monitor *monitor);   /* subscribe, list names, scan */
void monitor_down(struct monitor *monitor); /* everybody is gone */
/* Offers a message; true when it was one of ours. */
bool monitor_message(struct monitor *monitor, DBusMessage *message);

/* Asks a service for a sign of life: GetValue of one path (NULL = "/DeviceInstance"); an answer of any
 * kind, however late, sets heard_s, and the value of a wanted path is handed on as if it had been signalled.
 * While one question is open another is not sent, and who has not answered several is not asked
 * (bus_may_ask). */
void monitor_ask(struct monitor *monitor, struct monitor_service *service, const char *path);

/* Writes a value: SetValue(variant); result through reply (see bus_call). type as in value_append. */
void monitor_set(struct monitor *monitor, const char *service, const char *path, char type,
                 const struct value *value, bus_reply_fn reply, void *ctx);

/* The monitored service of that name, NULL when it is not here. */
struct monitor_service *monitor_find(struct monitor *monitor, const char *name);

/* True while it asks who is there, or somebody who is has neither told all it has nor failed to answer once.
 */
bool monitor_is_settling(const struct monitor *monitor);

size_t monitor_count(const struct monitor *monitor);
struct monitor_service *monitor_at(const struct monitor *monitor, size_t index);

#endif
