#include "bus/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/owed.h"
#include "bus/watch.h"

enum {
    DISPATCH_MAX = 256,   /* messages a loop turn, so that a flood does not keep timers waiting */
    FLUSH_WAIT_MS = 1000, /* a bus that takes nothing must not keep us from leaving */
    WHY_MAX = 200,
};

enum link_state { LINK_UNKNOWN, LINK_UP, LINK_DOWN };

struct call_list {
    struct call *first, *last;
    size_t count;
};

struct call {
    struct call *next, *prev;
    struct bus *bus;
    DBusPendingCall *pending; /* NULL while it waits */
    DBusMessage *message;
    uint64_t sent_ms;
    int timeout_ms;
    bus_reply_fn reply;
    void *ctx;
};

struct bus {
    uv_loop_t *loop;
    struct bus_owner owner;
    char *address;
    DBusConnection *connection; /* NULL between two attempts */
    enum link_state state;      /* what the owner was told last */
    struct watches watches;
    struct call_list in_flight;
    struct call_list waiting; /* patient ones */
    struct owed owed;         /* given up by us, not by the bus */
    uv_idle_t dispatch;
    uv_timer_t reconnect;
    uint64_t delay_ms; /* before the next attempt */
    uint64_t up_since_ms;
    int open_handles; /* own ones; the watches count theirs */
    bool closing;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

static void bus_lost(void *ctx, const char *why);

const char *bus_default_address(void)
{
    static const char *const variables[] = {"DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"};

    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *address = getenv(variables[i]);

        if (address && *address)
            return address;
    }
    return "unix:path=/var/run/dbus/system_bus_socket";
}

/* --- the bus is freed with the last of its handles --- */

static void handle_gone(void *ctx)
{
    struct bus *bus = ctx;
    void (*closed)(void *ctx) = bus->closed;
    void *closed_ctx = bus->closed_ctx;

    if (bus->open_handles > 0 || bus->watches.open_handles > 0)
        return;
    free(bus->address);
    free(bus);
    if (closed)
        closed(closed_ctx);
}

static void own_handle_closed(uv_handle_t *handle)
{
    struct bus *bus = handle->data;

    bus->open_handles--;
    handle_gone(bus);
}

/* --- dispatch: only from this idle handle, so never from within a callback of libdbus --- */

static void dispatch_turn(uv_idle_t *handle)
{
    struct bus *bus = handle->data;
    DBusConnection *connection = dbus_connection_ref(bus->connection);
    DBusDispatchStatus status = DBUS_DISPATCH_DATA_REMAINS;

    /* Any callback may close the bus or find it lost: bus->connection is another one then. */
    for (int i = 0; i < DISPATCH_MAX && status != DBUS_DISPATCH_COMPLETE; i++) {
        if (bus->connection != connection || !dbus_connection_get_is_connected(connection))
            break;
        status = dbus_connection_dispatch(connection);
    }
    if (bus->connection == connection) {
        if (!dbus_connection_get_is_connected(connection))
            bus_lost(bus, "the bus closed the connection");
        else if (status == DBUS_DISPATCH_COMPLETE)
            uv_idle_stop(&bus->dispatch);
    }
    dbus_connection_unref(connection);
}

static void dispatch_wanted(DBusConnection *connection, DBusDispatchStatus status, void *data)
{
    struct bus *bus = data;

    if (status != DBUS_DISPATCH_COMPLETE && bus->connection == connection)
        uv_idle_start(&bus->dispatch, dispatch_turn);
}

static DBusHandlerResult message_arrived(DBusConnection *connection, DBusMessage *message, void *data)
{
    struct bus *bus = data;
    int type = dbus_message_get_type(message);
    const char *sender = dbus_message_get_sender(message);

    if (bus->connection != connection || bus->state != LINK_UP || !bus->owner.message)
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    if (bus->owed.count > 0 && sender)
        owed_heard(&bus->owed, sender);
    /* An answer that somebody still waits for does not come here; of the others, those that are owed. */
    if (type != DBUS_MESSAGE_TYPE_SIGNAL && type != DBUS_MESSAGE_TYPE_METHOD_CALL &&
        !owed_answered(&bus->owed, dbus_message_get_reply_serial(message)))
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    /* The loss of the connection is seen in dispatch_turn; the owner learns it by down. */
    if (dbus_message_has_interface(message, DBUS_INTERFACE_LOCAL))
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    return bus->owner.message(bus->owner.ctx, message) ? DBUS_HANDLER_RESULT_HANDLED
                                                       : DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
}

/* --- calls --- */

static void call_link(struct call_list *list, struct call *call)
{
    call->next = NULL;
    call->prev = list->last;
    if (list->last)
        list->last->next = call;
    else
        list->first = call;
    list->last = call;
    list->count++;
}

static void call_unlink(struct call_list *list, struct call *call)
{
    if (list->first == call)
        list->first = call->next;
    else
        call->prev->next = call->next;
    if (list->last == call)
        list->last = call->prev;
    else
        call->next->prev = call->prev;
    list->count--;
}

/* list is where the call is now. */
static void call_finish(struct call_list *list, struct call *call, DBusMessage *reply)
{
    bus_reply_fn fn = call->reply;
    void *ctx = call->ctx;

    call_unlink(list, call);
    if (call->pending) {
        dbus_pending_call_cancel(call->pending);
        dbus_pending_call_unref(call->pending);
    }
    if (call->message)
        dbus_message_unref(call->message);
    free(call);
    if (fn)
        fn(ctx, reply);
}

static void calls_drop(struct call_list *list)
{
    while (list->first)
        call_finish(list, list->first, NULL);
}

static void call_answered(DBusPendingCall *pending, void *data);

/* A call in flight that could not be sent is answered at once. */
static void call_send(struct call *call)
{
    struct bus *bus = call->bus;

    call_link(&bus->in_flight, call);
    call->sent_ms = uv_now(bus->loop);
    if (!dbus_connection_send_with_reply(bus->connection, call->message, &call->pending, call->timeout_ms) ||
        !call->pending || !dbus_pending_call_set_notify(call->pending, call_answered, call, NULL))
        call_finish(&bus->in_flight, call, NULL);
}

/* Those that nobody answers leave room for the urgent ones too. The bus itself does not count what it is
 * asked. */
static bool has_room(const struct bus *bus, const DBusMessage *message)
{
    return bus->in_flight.count < BUS_PATIENT_MAX &&
           (bus->in_flight.count + bus->owed.count < BUS_OPEN_MAX ||
            dbus_message_has_destination((DBusMessage *)message, DBUS_SERVICE_DBUS));
}

/* While one is on its way there will be room; else those who wait are told that there is none. */
static void calls_send_waiting(struct bus *bus)
{
    while (bus_is_up(bus) && bus->waiting.first) {
        struct call *call = bus->waiting.first;

        if (has_room(bus, call->message)) {
            call_unlink(&bus->waiting, call);
            call_send(call);
        } else if (bus->in_flight.count == 0) {
            call_finish(&bus->waiting, call, NULL);
        } else {
            return;
        }
    }
}

static void call_answered(DBusPendingCall *pending, void *data)
{
    struct call *call = data;
    struct bus *bus = call->bus;
    DBusMessage *reply;

    /* Whatever libdbus makes up for a connection that broke: those calls get their NULL from
     * bus_disconnect, in a turn of the loop and not in the depth of somebody's send. */
    if (!bus->connection || !dbus_connection_get_is_connected(bus->connection))
        return;
    reply = dbus_pending_call_steal_reply(pending);
    if (reply && bus_is_timeout(reply))
        owed_note(&bus->owed, dbus_message_get_serial(call->message),
                  dbus_message_get_destination(call->message), call->sent_ms);
    else if (reply && dbus_message_get_sender(reply))
        owed_heard(&bus->owed, dbus_message_get_sender(reply));
    call_finish(&bus->in_flight, call, reply);
    if (reply)
        dbus_message_unref(reply);
    calls_send_waiting(bus);
}

/* NULL when out of memory; the reply has been given then. */
static struct call *call_new(struct bus *bus, DBusMessage *message, int timeout_ms, bus_reply_fn reply,
                             void *ctx)
{
    struct call *call = calloc(1, sizeof *call);

    if (!call) {
        if (reply)
            reply(ctx, NULL);
        return NULL;
    }
    call->bus = bus;
    call->message = dbus_message_ref(message);
    call->timeout_ms = timeout_ms > 0 ? timeout_ms : BUS_CALL_TIMEOUT_MS;
    call->reply = reply;
    call->ctx = ctx;
    return call;
}

static void call_start(struct bus *bus, DBusMessage *message, int timeout_ms, bus_reply_fn reply, void *ctx)
{
    struct call *call = call_new(bus, message, timeout_ms, reply, ctx);

    if (call)
        call_send(call);
}

void bus_call(struct bus *bus, DBusMessage *call, int timeout_ms, bus_reply_fn reply, void *ctx)
{
    if (bus_is_up(bus))
        call_start(bus, call, timeout_ms, reply, ctx);
    else if (reply)
        reply(ctx, NULL);
}

void bus_call_patient(struct bus *bus, DBusMessage *message, int timeout_ms, bus_reply_fn reply, void *ctx)
{
    struct call *call;

    if (!bus_is_up(bus) || has_room(bus, message)) {
        bus_call(bus, message, timeout_ms, reply, ctx);
        return;
    }
    if (bus->waiting.count == BUS_WAITING_MAX || bus->in_flight.count == 0) {
        if (reply)
            reply(ctx, NULL);
        return;
    }
    call = call_new(bus, message, timeout_ms, reply, ctx);
    if (call)
        call_link(&bus->waiting, call);
}

/* libdbus says so by itself, and an error that came over the bus has a sender. */
bool bus_is_timeout(DBusMessage *reply)
{
    return dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY) && !dbus_message_get_sender(reply);
}

bool bus_may_ask(const struct bus *bus, const char *to)
{
    size_t open_to = 0;

    for (const struct call *call = bus->in_flight.first; call; call = call->next)
        open_to += dbus_message_has_destination(call->message, to);
    return owed_may_ask(&bus->owed, to, open_to, bus->in_flight.count, uv_now(bus->loop));
}

bool bus_call_forget(struct bus *bus, bus_reply_fn reply, const void *ctx)
{
    struct call *call = bus->waiting.first;

    while (call && (call->reply != reply || call->ctx != ctx))
        call = call->next;
    if (!call)
        return false;
    call->reply = NULL;
    call_finish(&bus->waiting, call, NULL);
    return true;
}

bool bus_send(struct bus *bus, DBusMessage *message)
{
    return bus_is_up(bus) && dbus_connection_send(bus->connection, message, NULL);
}

/* With no place for an error libdbus sends the rule and does not wait. */
void bus_match_add(struct bus *bus, const char *rule)
{
    if (bus_is_up(bus))
        dbus_bus_add_match(bus->connection, rule, NULL);
}

void bus_match_remove(struct bus *bus, const char *rule)
{
    if (bus_is_up(bus))
        dbus_bus_remove_match(bus->connection, rule, NULL);
}

void bus_flush(struct bus *bus, bool wait)
{
    uint64_t end = uv_hrtime() + (wait ? (uint64_t)FLUSH_WAIT_MS * 1000000 : 0);
    DBusConnection *connection = bus->connection;

    if (!bus_is_up(bus))
        return;
    dbus_connection_ref(connection);
    while (dbus_connection_has_messages_to_send(connection) &&
           dbus_connection_read_write(connection, wait ? 10 : 0) && uv_hrtime() < end)
        ;
    /* libdbus may have read meanwhile, and does not tell. */
    uv_idle_start(&bus->dispatch, dispatch_turn);
    dbus_connection_unref(connection);
}

/* --- connecting and losing --- */

/* Lets go of the connection and answers what is in flight. The callbacks may close the bus. */
static void bus_disconnect(struct bus *bus)
{
    DBusConnection *connection = bus->connection;

    bus->connection = NULL;
    if (connection) {
        uv_idle_stop(&bus->dispatch);
        dbus_connection_close(connection);
        dbus_connection_set_dispatch_status_function(connection, NULL, NULL, NULL);
    }
    calls_drop(&bus->in_flight);
    calls_drop(&bus->waiting);
    owed_clear(&bus->owed);
    if (connection) {
        watches_detach(&bus->watches);
        dbus_connection_unref(connection);
    }
}

static void bus_try(uv_timer_t *handle);

static void bus_lost(void *ctx, const char *why)
{
    struct bus *bus = ctx;
    bool was_down = bus->state == LINK_DOWN;
    char text[WHY_MAX];

    snprintf(text, sizeof text, "%s", why ? why : "unknown reason");
    /* A bus that accepts and drops us at once is no reason to begin again with the short delay. */
    if (bus->state == LINK_UP && uv_now(bus->loop) - bus->up_since_ms > BUS_RECONNECT_MAX_MS)
        bus->delay_ms = BUS_RECONNECT_MIN_MS;
    bus->state = LINK_DOWN;
    bus_disconnect(bus);
    if (bus->closing)
        return;
    uv_timer_start(&bus->reconnect, bus_try, bus->delay_ms, 0);
    bus->delay_ms *= 2;
    if (bus->delay_ms > BUS_RECONNECT_MAX_MS)
        bus->delay_ms = BUS_RECONNECT_MAX_MS;
    if (!was_down)
        bus->owner.down(bus->owner.ctx, text);
}

static void hello_answered(void *ctx, DBusMessage *reply)
{
    struct bus *bus = ctx;
    DBusError error = DBUS_ERROR_INIT;
    const char *name = NULL;

    if (!reply)
        return; /* lost already */
    if (dbus_set_error_from_message(&error, reply) ||
        !dbus_message_get_args(reply, &error, DBUS_TYPE_STRING, &name, DBUS_TYPE_INVALID)) {
        bus_lost(bus, error.message);
    } else if (!dbus_bus_set_unique_name(bus->connection, name)) {
        bus_lost(bus, "out of memory");
    } else {
        bus->state = LINK_UP;
        bus->up_since_ms = uv_now(bus->loop);
        bus->owner.up(bus->owner.ctx);
    }
    dbus_error_free(&error);
}

/* dbus_bus_register would say Hello too, but it waits for the answer. */
static bool bus_hello(struct bus *bus)
{
    DBusMessage *hello =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "Hello");

    if (!hello)
        return false;
    call_start(bus, hello, BUS_CALL_TIMEOUT_MS, hello_answered, bus);
    dbus_message_unref(hello);
    return bus->in_flight.count > 0; /* it is the only one now */
}

static bool bus_attach(struct bus *bus)
{
    DBusConnection *connection = bus->connection;

    dbus_connection_set_exit_on_disconnect(connection, FALSE);
    dbus_connection_set_dispatch_status_function(connection, dispatch_wanted, bus, NULL);
    return watches_attach(&bus->watches, connection) &&
           dbus_connection_add_filter(connection, message_arrived, bus, NULL);
}

static void bus_try(uv_timer_t *handle)
{
    struct bus *bus = handle->data;
    DBusError error = DBUS_ERROR_INIT;

    bus->connection = dbus_connection_open_private(bus->address, &error);
    if (!bus->connection)
        bus_lost(bus, error.message);
    else if (!bus_attach(bus) || !bus_hello(bus))
        bus_lost(bus, "out of memory");
    else
        uv_idle_start(&bus->dispatch, dispatch_turn);
    dbus_error_free(&error);
}

struct bus *bus_new(uv_loop_t *loop, const char *address, const struct bus_owner *owner)
{
    struct bus *bus = calloc(1, sizeof *bus);

    if (!bus)
        return NULL;
    bus->address = strdup(address ? address : bus_default_address());
    if (!bus->address) {
        free(bus);
        return NULL;
    }
    bus->loop = loop;
    bus->owner = *owner;
    bus->watches = (struct watches){.loop = loop, .ctx = bus, .broken = bus_lost, .handle_gone = handle_gone};
    bus->delay_ms = BUS_RECONNECT_MIN_MS;
    bus->dispatch.data = bus;
    bus->reconnect.data = bus;
    uv_idle_init(loop, &bus->dispatch);
    uv_timer_init(loop, &bus->reconnect);
    bus->open_handles = 2;
    /* From the loop, so that no callback comes before the owner has the pointer. */
    uv_timer_start(&bus->reconnect, bus_try, 0, 0);
    return bus;
}

void bus_close(struct bus *bus, void (*closed)(void *ctx), void *ctx)
{
    if (!bus || bus->closing)
        return;
    bus_flush(bus, true);
    bus->closing = true;
    bus->closed = closed;
    bus->closed_ctx = ctx;
    bus->state = LINK_DOWN;
    bus_disconnect(bus);
    uv_close((uv_handle_t *)&bus->dispatch, own_handle_closed);
    uv_close((uv_handle_t *)&bus->reconnect, own_handle_closed);
}

bool bus_is_up(const struct bus *bus)
{
    return bus->state == LINK_UP && bus->connection;
}

DBusConnection *bus_connection(struct bus *bus)
{
    return bus_is_up(bus) ? bus->connection : NULL;
}
