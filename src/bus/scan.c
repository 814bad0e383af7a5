#include "bus/scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/tree.h"

#define BUSITEM_INTERFACE "com.victronenergy.BusItem"

enum { WHY_MAX = 160, OWNER_MAX = DBUS_MAXIMUM_NAME_LENGTH + 1 };

enum scan_step { SCAN_ITEMS, SCAN_SUBTREE, SCAN_LEAVES };

/* One call in flight. Slots instead of allocations: there are never more than this. */
struct slot {
    struct scan *scan;
    int index; /* of the path asked for, while leaf by leaf */
    bool busy;
};

struct scan {
    struct bus *bus;
    const struct paths *paths;
    struct scan_client client;
    enum scan_step step;
    size_t next_leaf;
    size_t values; /* handed on, leaf by leaf */
    int in_flight;
    int depth; /* of our own functions on the stack */
    bool over;
    struct slot slot[SCAN_IN_FLIGHT_MAX];
    char owner[OWNER_MAX];
};

static void scan_answered(void *ctx, DBusMessage *reply);

static void scan_enter(struct scan *scan)
{
    scan->depth++;
}

static void scan_leave(struct scan *scan)
{
    if (--scan->depth == 0 && scan->over && scan->in_flight == 0)
        free(scan);
}

static void scan_done(struct scan *scan)
{
    scan->over = true;
    scan->client.done(scan->client.ctx);
}

static void scan_failed(struct scan *scan, const char *why)
{
    scan->over = true;
    scan->client.failed(scan->client.ctx, why);
}

static void scan_value(void *ctx, int index, const struct value *value)
{
    struct scan *scan = ctx;

    if (!scan->over)
        scan->client.value(scan->client.ctx, index, value);
}

static struct slot *slot_free(struct scan *scan)
{
    for (size_t i = 0; i < SCAN_IN_FLIGHT_MAX; i++) {
        if (!scan->slot[i].busy)
            return &scan->slot[i];
    }
    return NULL;
}

static void scan_call(struct scan *scan, const char *path, const char *member, int index)
{
    struct slot *slot = slot_free(scan);
    DBusMessage *call = dbus_message_new_method_call(scan->owner, path, BUSITEM_INTERFACE, member);

    if (!call || !slot) {
        scan_failed(scan, "out of memory");
    } else {
        slot->scan = scan;
        slot->index = index;
        slot->busy = true;
        scan->in_flight++;
        bus_call_patient(scan->bus, call, 0, scan_answered, slot);
    }
    if (call)
        dbus_message_unref(call);
}

/* Keeps SCAN_IN_FLIGHT_MAX questions on their way until all paths are asked for. */
static void scan_leaves(struct scan *scan)
{
    while (!scan->over && scan->in_flight < SCAN_IN_FLIGHT_MAX &&
           scan->next_leaf < paths_count(scan->paths)) {
        int index = (int)scan->next_leaf++;
        const char *path = paths_get(scan->paths, (size_t)index);

        if (dbus_validate_path(path, NULL))
            scan_call(scan, path, "GetValue", index);
    }
    if (scan->over || scan->in_flight > 0)
        return;
    /* A name that is taken before its paths are there shows nothing: that is no answer yet. */
    if (scan->values > 0)
        scan_done(scan);
    else
        scan_failed(scan, "it shows none of the paths we read");
}

/* The way that the service did not know leads to the next older one. */
static void scan_next_step(struct scan *scan)
{
    scan->step++;
    if (scan->step == SCAN_SUBTREE)
        scan_call(scan, "/", "GetValue", PATHS_NONE);
    else
        scan_leaves(scan);
}

/* Errors that say nothing about the path: it is asked again later. */
static bool is_no_answer(const char *error)
{
    static const char *const names[] = {
        DBUS_ERROR_NO_REPLY,        DBUS_ERROR_TIMEOUT,           DBUS_ERROR_TIMED_OUT,
        DBUS_ERROR_DISCONNECTED,    DBUS_ERROR_LIMITS_EXCEEDED,   DBUS_ERROR_NO_MEMORY,
        DBUS_ERROR_SERVICE_UNKNOWN, DBUS_ERROR_NAME_HAS_NO_OWNER, DBUS_ERROR_ACCESS_DENIED,
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(error, names[i]) == 0)
            return true;
    }
    return false;
}

static void scan_unanswered(struct scan *scan, int index, const char *error)
{
    static const char *const members[] = {"GetItems", "GetValue", "GetValue"};
    char why[WHY_MAX];

    snprintf(why, sizeof why, "%s on %s: %s", members[scan->step],
             index == PATHS_NONE ? "/" : paths_get(scan->paths, (size_t)index), error);
    scan_failed(scan, why);
}

/* reply is a method return. */
static void scan_read(struct scan *scan, int index, DBusMessage *reply)
{
    struct tree_sink sink = {.paths = scan->paths, .ctx = scan, .value = scan_value};
    bool complete = false;

    switch (scan->step) {
    case SCAN_ITEMS:
        complete = tree_read_items(reply, &sink) && sink.seen > 0;
        break;
    case SCAN_SUBTREE:
        complete = tree_read_subtree(reply, &sink) && sink.seen > 0;
        break;
    case SCAN_LEAVES:
        tree_read_leaf(reply, index, &sink);
        scan->values += sink.wanted;
        scan_leaves(scan);
        return;
    }
    if (complete)
        scan_done(scan);
    else
        scan_next_step(scan);
}

static void scan_answered(void *ctx, DBusMessage *reply)
{
    struct slot *slot = ctx;
    struct scan *scan = slot->scan;
    const char *error = NULL;

    scan_enter(scan);
    slot->busy = false;
    scan->in_flight--;
    if (scan->over)
        goto out;
    if (!reply) {
        scan_unanswered(scan, slot->index, "the call could not be made");
        goto out;
    }
    if (dbus_message_has_sender(reply, scan->owner))
        scan->client.heard(scan->client.ctx);
    if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR)
        error = dbus_message_get_error_name(reply);
    if (!error)
        scan_read(scan, slot->index, reply);
    else if (is_no_answer(error))
        scan_unanswered(scan, slot->index, error);
    else if (scan->step == SCAN_LEAVES)
        scan_leaves(scan);
    else
        scan_next_step(scan);
out:
    scan_leave(scan);
}

struct scan *scan_new(struct bus *bus, const char *owner, const struct paths *paths,
                      const struct scan_client *client)
{
    struct scan *scan = calloc(1, sizeof *scan);

    if (!scan)
        return NULL;
    scan->bus = bus;
    scan->paths = paths;
    scan->client = *client;
    snprintf(scan->owner, sizeof scan->owner, "%s", owner);
    return scan;
}

void scan_start(struct scan *scan)
{
    scan_enter(scan);
    scan_call(scan, "/", "GetItems", PATHS_NONE);
    scan_leave(scan);
}

void scan_cancel(struct scan *scan)
{
    if (!scan)
        return;
    scan_enter(scan);
    scan->over = true;
    /* Services that come and go without end would make the others wait for questions that nobody asks. */
    for (size_t i = 0; i < SCAN_IN_FLIGHT_MAX; i++) {
        struct slot *slot = &scan->slot[i];

        if (slot->busy && bus_call_forget(scan->bus, scan_answered, slot)) {
            slot->busy = false;
            scan->in_flight--;
        }
    }
    scan_leave(scan);
}
