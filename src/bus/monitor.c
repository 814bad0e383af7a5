#include "bus/monitor.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/scan.h"
#include "bus/tree.h"

#define BUSITEM_INTERFACE "com.victronenergy.BusItem"
#define LIFE_PATH "/DeviceInstance" /* every device has it */

enum {
    NAME_SIZE = DBUS_MAXIMUM_NAME_LENGTH + 1,
    RULE_SIZE = NAME_SIZE + 160,
    OWNER_BUCKETS = 128, /* a power of two */
    OWNERS_AT_ONCE = 8,
};

struct service {
    struct monitor_service seen; /* what the client sees; first, so that its address is ours */
    struct monitor *monitor;
    struct service *next_of_bucket;
    struct scan *scan; /* NULL between two */
    uv_timer_t retry;
    uint64_t retry_ms;
    bool waits;               /* to be scanned, until it is known who else is here */
    bool silent;              /* the client knows */
    bool asked;               /* for a sign of life, no answer yet */
    int asked_for;            /* the index of that path, PATHS_NONE = it is not a wanted one */
    const char *name, *owner; /* in texts */
    char texts[];
};

/* A call that may outlive the service or the monitor that made it. */
struct query {
    struct query *next;
    struct monitor *monitor; /* NULL when it has gone */
    struct service *service; /* NULL when it has gone, or of no service */
    void (*answered)(struct query *query, DBusMessage *reply);
    char name[NAME_SIZE];
};

struct monitor {
    struct bus *bus;
    uv_loop_t *loop;
    struct monitor_client client;
    char prefix[NAME_SIZE];
    struct service *services[MONITOR_SERVICES_MAX];
    size_t count;
    struct service *bucket[OWNER_BUCKETS]; /* by unique name */
    struct query *queries;
    DBusMessage *names; /* who is on the bus, until the owner of each is asked for; NULL = none is left */
    DBusMessageIter name_at; /* the next one of them */
    int owners_open;         /* asked for, no answer yet */
    bool asking;
    uv_timer_t list_again;
    bool refused;  /* said once */
    bool left_out; /* somebody is not read who may be when there is room */
};

static void service_scan(struct service *service);
static void names_ask(uv_timer_t *timer);

static double now_s(void)
{
    return (double)uv_hrtime() / 1e9;
}

/* --- calls that outlive us --- */

static void query_answered(void *ctx, DBusMessage *reply)
{
    struct query *query = ctx;

    if (query->monitor) {
        struct query **link = &query->monitor->queries;

        while (*link != query)
            link = &(*link)->next;
        *link = query->next;
        query->answered(query, reply);
    }
    free(query);
}

/* Sends call (and drops it). name is kept for the answer, may be NULL. False when out of memory. */
static bool query_send(struct monitor *monitor, struct service *service, DBusMessage *call, const char *name,
                       void (*answered)(struct query *query, DBusMessage *reply))
{
    struct query *query = call ? calloc(1, sizeof *query) : NULL;

    if (query) {
        query->monitor = monitor;
        query->service = service;
        query->answered = answered;
        snprintf(query->name, sizeof query->name, "%s", name ? name : "");
        query->next = monitor->queries;
        monitor->queries = query;
        bus_call_patient(monitor->bus, call, 0, query_answered, query);
    }
    if (call)
        dbus_message_unref(call);
    return query != NULL;
}

/* --- services by name and by owner --- */

/* FNV-1a, 32 bit. */
static size_t owner_bucket(const char *owner)
{
    uint32_t hash = 2166136261u;

    for (; *owner; owner++)
        hash = (hash ^ (unsigned char)*owner) * 16777619u;
    return hash & (OWNER_BUCKETS - 1);
}

static struct service *service_named(struct monitor *monitor, const char *name)
{
    for (size_t i = 0; i < monitor->count; i++) {
        if (strcmp(monitor->services[i]->name, name) == 0)
            return monitor->services[i];
    }
    return NULL;
}

/* The next service of that owner in a bucket's chain: one connection may own several names. */
static struct service *service_of(struct service *at, const char *owner)
{
    while (at && strcmp(at->owner, owner) != 0)
        at = at->next_of_bucket;
    return at;
}

static void service_rule(const struct service *service, char *rule)
{
    snprintf(rule, RULE_SIZE, "type='signal',sender='%s',interface='" BUSITEM_INTERFACE "'", service->name);
}

static void service_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void service_leave(struct service *service)
{
    struct monitor *monitor = service->monitor;
    struct service **link = &monitor->bucket[owner_bucket(service->owner)];
    char rule[RULE_SIZE];
    size_t at = 0;

    while (*link != service)
        link = &(*link)->next_of_bucket;
    *link = service->next_of_bucket;
    while (monitor->services[at] != service)
        at++;
    monitor->count--;
    memmove(&monitor->services[at], &monitor->services[at + 1],
            (monitor->count - at) * sizeof(struct service *));
    for (struct query *query = monitor->queries; query; query = query->next) {
        if (query->service == service)
            query->service = NULL;
    }
    scan_cancel(service->scan);
    service->scan = NULL;
    service_rule(service, rule);
    bus_match_remove(monitor->bus, rule);
    monitor->client.gone(monitor->client.ctx, &service->seen);
    uv_close((uv_handle_t *)&service->retry, service_freed);
    if (!monitor->left_out || !bus_is_up(monitor->bus))
        return;
    monitor->left_out = false;
    uv_timer_start(&monitor->list_again, names_ask, MONITOR_RETRY_MIN_MS, 0);
}

static struct service *service_new(struct monitor *monitor, const char *name, const char *owner,
                                   const struct paths *paths)
{
    size_t size = strlen(name) + 1;
    struct service *service = calloc(1, sizeof *service + size + strlen(owner) + 1);

    if (!service)
        return NULL;
    service->name = strcpy(service->texts, name);
    service->owner = strcpy(service->texts + size, owner);
    service->monitor = monitor;
    service->retry_ms = MONITOR_RETRY_MIN_MS;
    service->retry.data = service;
    uv_timer_init(monitor->loop, &service->retry);
    service->seen = (struct monitor_service){
        .name = service->name, .owner = service->owner, .paths = paths, .heard_s = NAN};
    return service;
}

/* Whether owners are asked for. What the scans of all take for a while would lie between what stays for good:
 * they begin together, afterwards. */
static bool is_listing(const struct monitor *monitor)
{
    return monitor->names || monitor->owners_open > 0;
}

/* A wanted name has come. Subscribes before it scans: nothing can fall between. */
static void service_enter(struct monitor *monitor, const char *name, const char *owner)
{
    const struct paths *paths = monitor->client.wanted(monitor->client.ctx, name);
    struct service *service, **bucket;
    char rule[RULE_SIZE];

    if (!paths)
        return;
    service = monitor->count < MONITOR_SERVICES_MAX ? service_new(monitor, name, owner, paths) : NULL;
    if (!service) {
        if (!monitor->refused && monitor->client.refused)
            monitor->client.refused(monitor->client.ctx, name);
        monitor->refused = monitor->left_out = true;
        return;
    }
    monitor->services[monitor->count++] = service;
    bucket = &monitor->bucket[owner_bucket(owner)];
    service->next_of_bucket = *bucket;
    *bucket = service;
    service_rule(service, rule);
    bus_match_add(monitor->bus, rule);
    monitor->client.found(monitor->client.ctx, &service->seen);
    service->waits = is_listing(monitor);
    if (!service->waits)
        service_scan(service);
}

/* libdbus ends the program that sends to a name which is none. The bus gives no such names, but what it says
 * is a text like any other. */
static bool is_name(const char *name)
{
    return dbus_validate_bus_name(name, NULL);
}

/* What the bus says of a name, in the order in which it says it. owner is "" when there is none. */
static void name_owned(struct monitor *monitor, const char *name, const char *owner)
{
    struct service *service = service_named(monitor, name);

    if (service && strcmp(service->owner, owner) == 0)
        return;
    if (service)
        service_leave(service);
    if (*owner && is_name(owner) && is_name(name))
        service_enter(monitor, name, owner);
}

static bool name_is_ours(const struct monitor *monitor, const char *name)
{
    return strncmp(name, monitor->prefix, strlen(monitor->prefix)) == 0;
}

/* --- scanning one service --- */

static void service_heard(void *ctx)
{
    struct service *service = ctx;

    service->seen.heard_s = now_s();
}

static void service_value(void *ctx, int index, const struct value *value)
{
    struct service *service = ctx;
    const struct monitor_client *client = &service->monitor->client;

    client->value(client->ctx, &service->seen, index, value);
}

static void service_scanned(void *ctx)
{
    struct service *service = ctx;
    const struct monitor_client *client = &service->monitor->client;

    service->scan = NULL;
    service->silent = false;
    service->seen.scanned = true;
    client->settled(client->ctx, &service->seen, true);
}

static void service_retry(uv_timer_t *handle)
{
    service_scan(handle->data);
}

static void service_unanswered(void *ctx, const char *why)
{
    struct service *service = ctx;
    const struct monitor_client *client = &service->monitor->client;

    service->scan = NULL;
    if (!bus_is_up(service->monitor->bus))
        return; /* monitor_down is about to come */
    uv_timer_start(&service->retry, service_retry, service->retry_ms, 0);
    service->retry_ms *= 2;
    if (service->retry_ms > MONITOR_RETRY_MAX_MS)
        service->retry_ms = MONITOR_RETRY_MAX_MS;
    if (service->silent)
        return;
    service->silent = true;
    client->silent(client->ctx, &service->seen, why);
}

static void service_scan(struct service *service)
{
    struct scan_client client = {
        service, service_heard, service_value, service_scanned, service_unanswered,
    };

    if (!bus_may_ask(service->monitor->bus, service->owner)) {
        service_unanswered(service, "it has not answered what it was asked before");
        return;
    }
    service->scan = scan_new(service->monitor->bus, service->owner, service->seen.paths, &client);
    if (service->scan)
        scan_start(service->scan);
    else
        service_unanswered(service, "out of memory");
}

/* It talks: then it will answer too, and need not wait out a long back-off. */
static void service_hurry(struct service *service)
{
    if (service->seen.scanned || service->scan || service->retry_ms == MONITOR_RETRY_MIN_MS)
        return;
    service->retry_ms = MONITOR_RETRY_MIN_MS;
    if (uv_timer_get_due_in(&service->retry) > MONITOR_RETRY_MIN_MS)
        uv_timer_start(&service->retry, service_retry, MONITOR_RETRY_MIN_MS, 0);
}

/* --- signals, and answers that come late --- */

static bool items_changed(struct monitor *monitor, DBusMessage *message,
                          bool (*read)(DBusMessage *message, struct tree_sink *sink))
{
    const char *sender = dbus_message_get_sender(message);
    const struct monitor_client *client = &monitor->client;
    struct service *service;
    bool ours = false;

    if (!sender)
        return false;
    service = service_of(monitor->bucket[owner_bucket(sender)], sender);
    for (; service; service = service_of(service->next_of_bucket, sender)) {
        struct tree_sink sink = {.paths = service->seen.paths, .ctx = service, .value = service_value};

        ours = true;
        service_heard(service);
        service_hurry(service);
        read(message, &sink);
        if (sink.wanted > 0)
            client->settled(client->ctx, &service->seen, false);
    }
    return ours;
}

static bool name_owner_changed(struct monitor *monitor, DBusMessage *message)
{
    const char *name, *before, *after;

    /* Only the bus itself may say so; it does not let anybody else use its name as sender. */
    if (!dbus_message_has_sender(message, DBUS_SERVICE_DBUS) ||
        !dbus_message_get_args(message, NULL, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                               DBUS_TYPE_STRING, &after, DBUS_TYPE_INVALID) ||
        !name_is_ours(monitor, name))
        return false;
    name_owned(monitor, name, after);
    return true;
}

/* Who wakes up and answers what nobody waits for any more will answer what it is asked now. */
static bool answered_late(struct monitor *monitor, DBusMessage *message)
{
    const char *sender = dbus_message_get_sender(message);
    struct service *service = sender ? service_of(monitor->bucket[owner_bucket(sender)], sender) : NULL;

    for (; service; service = service_of(service->next_of_bucket, sender)) {
        service_heard(service);
        service_hurry(service);
    }
    return true;
}

bool monitor_message(struct monitor *monitor, DBusMessage *message)
{
    int type = dbus_message_get_type(message);

    if (type == DBUS_MESSAGE_TYPE_METHOD_RETURN || type == DBUS_MESSAGE_TYPE_ERROR)
        return answered_late(monitor, message);
    if (dbus_message_is_signal(message, BUSITEM_INTERFACE, "ItemsChanged"))
        return items_changed(monitor, message, tree_read_items);
    if (dbus_message_is_signal(message, BUSITEM_INTERFACE, "PropertiesChanged"))
        return items_changed(monitor, message, tree_read_change);
    if (dbus_message_is_signal(message, DBUS_INTERFACE_DBUS, "NameOwnerChanged"))
        return name_owner_changed(monitor, message);
    return false;
}

/* --- who is there --- */

static DBusMessage *bus_method(const char *member)
{
    return dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, member);
}

static void names_ask_later(struct monitor *monitor)
{
    if (bus_is_up(monitor->bus))
        uv_timer_start(&monitor->list_again, names_ask, MONITOR_RETRY_MIN_MS, 0);
}

static void owners_ask(struct monitor *monitor);

/* In the order in which they were listed; from the beginning each time, for one that is scanned may go. */
static void scan_those_who_wait(struct monitor *monitor)
{
    size_t i = 0;

    while (i < monitor->count && !is_listing(monitor)) {
        struct service *service = monitor->services[i];

        if (!service->waits) {
            i++;
            continue;
        }
        service->waits = false;
        service_scan(service);
        i = 0;
    }
}

static void owner_answered(struct query *query, DBusMessage *reply)
{
    struct monitor *monitor = query->monitor;
    const char *owner = "";

    if (reply && dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_METHOD_RETURN &&
        dbus_message_get_args(reply, NULL, DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID))
        name_owned(monitor, query->name, owner);
    else if (reply && dbus_message_is_error(reply, DBUS_ERROR_NAME_HAS_NO_OWNER))
        name_owned(monitor, query->name, "");
    else
        names_ask_later(monitor);
    monitor->owners_open--;
    owners_ask(monitor);
    scan_those_who_wait(monitor);
}

static void owner_ask(struct monitor *monitor, const char *name)
{
    DBusMessage *call = bus_method("GetNameOwner");

    if (call && !dbus_message_append_args(call, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID)) {
        dbus_message_unref(call);
        call = NULL;
    }
    monitor->owners_open++; /* the answer may come at once: there is no bus */
    if (query_send(monitor, NULL, call, name, owner_answered))
        return;
    monitor->owners_open--;
    names_ask_later(monitor);
}

static void names_drop(struct monitor *monitor)
{
    if (monitor->names)
        dbus_message_unref(monitor->names);
    monitor->names = NULL;
}

/* A few at a time, for the same reason. */
static void owners_ask(struct monitor *monitor)
{
    if (monitor->asking)
        return;
    monitor->asking = true;
    while (monitor->names && monitor->owners_open < OWNERS_AT_ONCE) {
        const char *name;

        if (dbus_message_iter_get_arg_type(&monitor->name_at) != DBUS_TYPE_STRING) {
            names_drop(monitor);
            break;
        }
        dbus_message_iter_get_basic(&monitor->name_at, &name);
        dbus_message_iter_next(&monitor->name_at);
        if (name_is_ours(monitor, name))
            owner_ask(monitor, name);
    }
    monitor->asking = false;
}

static void names_answered(struct query *query, DBusMessage *reply)
{
    struct monitor *monitor = query->monitor;
    DBusMessageIter args;

    if (!reply || dbus_message_get_type(reply) != DBUS_MESSAGE_TYPE_METHOD_RETURN ||
        !dbus_message_has_signature(reply, "as")) {
        names_ask_later(monitor);
        return;
    }
    names_drop(monitor);
    monitor->names = dbus_message_ref(reply);
    dbus_message_iter_init(reply, &args);
    dbus_message_iter_recurse(&args, &monitor->name_at);
    owners_ask(monitor);
}

static void names_ask(uv_timer_t *timer)
{
    struct monitor *monitor = timer->data;

    if (!query_send(monitor, NULL, bus_method("ListNames"), NULL, names_answered))
        names_ask_later(monitor);
}

void monitor_up(struct monitor *monitor)
{
    char space[NAME_SIZE], rule[RULE_SIZE];
    char *dot;

    /* arg0namespace takes whole parts of a name only. */
    snprintf(space, sizeof space, "%s", monitor->prefix);
    dot = strrchr(space, '.');
    if (dot)
        *dot = '\0';
    snprintf(rule, sizeof rule,
             "type='signal',sender='" DBUS_SERVICE_DBUS "',interface='" DBUS_INTERFACE_DBUS
             "',member='NameOwnerChanged'%s%s%s",
             dot ? ",arg0namespace='" : "", dot ? space : "", dot ? "'" : "");
    bus_match_add(monitor->bus, rule);
    names_ask(&monitor->list_again);
}

void monitor_down(struct monitor *monitor)
{
    uv_timer_stop(&monitor->list_again);
    names_drop(monitor);
    monitor->refused = monitor->left_out = false;
    while (monitor->count > 0)
        service_leave(monitor->services[monitor->count - 1]);
}

/* --- the client's own calls --- */

static void life_answered(struct query *query, DBusMessage *reply)
{
    struct service *service = query->service;
    struct tree_sink sink = {.ctx = service, .value = service_value};

    if (!service)
        return;
    service->asked = false;
    if (!reply || !dbus_message_has_sender(reply, service->owner))
        return;
    service_heard(service);
    sink.paths = service->seen.paths;
    if (service->asked_for != PATHS_NONE && dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_METHOD_RETURN &&
        tree_read_leaf(reply, service->asked_for, &sink))
        service->monitor->client.settled(service->monitor->client.ctx, &service->seen, false);
}

void monitor_ask(struct monitor *monitor, struct monitor_service *seen, const char *path)
{
    struct service *service = (struct service *)seen;
    DBusMessage *call;

    if (!path)
        path = LIFE_PATH;
    if (service->asked || !dbus_validate_path(path, NULL) || !bus_may_ask(monitor->bus, service->owner))
        return;
    service->asked = true;
    service->asked_for = paths_find(seen->paths, path);
    call = dbus_message_new_method_call(service->owner, path, BUSITEM_INTERFACE, "GetValue");
    if (!query_send(monitor, service, call, NULL, life_answered))
        service->asked = false;
}

void monitor_set(struct monitor *monitor, const char *service, const char *path, char type,
                 const struct value *value, bus_reply_fn reply, void *ctx)
{
    DBusMessage *call = NULL;
    DBusMessageIter args;

    if (dbus_validate_bus_name(service, NULL) && dbus_validate_path(path, NULL))
        call = dbus_message_new_method_call(service, path, BUSITEM_INTERFACE, "SetValue");
    if (call)
        dbus_message_iter_init_append(call, &args);
    if (call && value_append(&args, type, value))
        bus_call(monitor->bus, call, 0, reply, ctx);
    else if (reply)
        reply(ctx, NULL);
    if (call)
        dbus_message_unref(call);
}

/* --- the whole --- */

struct monitor *monitor_new(struct bus *bus, uv_loop_t *loop, const char *prefix,
                            const struct monitor_client *client)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);

    if (!monitor)
        return NULL;
    monitor->bus = bus;
    monitor->loop = loop;
    monitor->client = *client;
    snprintf(monitor->prefix, sizeof monitor->prefix, "%s", prefix);
    monitor->list_again.data = monitor;
    uv_timer_init(loop, &monitor->list_again);
    return monitor;
}

static void monitor_freed(uv_handle_t *handle)
{
    free(handle->data);
}

void monitor_free(struct monitor *monitor)
{
    if (!monitor)
        return;
    monitor_down(monitor);
    for (struct query *query = monitor->queries; query; query = query->next)
        query->monitor = NULL;
    uv_close((uv_handle_t *)&monitor->list_again, monitor_freed);
}

struct monitor_service *monitor_find(struct monitor *monitor, const char *name)
{
    struct service *service = service_named(monitor, name);

    return service ? &service->seen : NULL;
}

bool monitor_is_settling(const struct monitor *monitor)
{
    bool settling = is_listing(monitor);

    for (size_t i = 0; i < monitor->count && !settling; i++)
        settling = !monitor->services[i]->seen.scanned && !monitor->services[i]->silent;
    return settling;
}

size_t monitor_count(const struct monitor *monitor)
{
    return monitor->count;
}

struct monitor_service *monitor_at(const struct monitor *monitor, size_t index)
{
    return &monitor->services[index]->seen;
}
