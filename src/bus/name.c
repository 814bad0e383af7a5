#include "bus/name.h"

#include <string.h>

static void ask(struct bus_name *name);

static void on_retry(uv_timer_t *timer)
{
    ask(timer->data);
}

void bus_name_init(struct bus_name *name, struct bus *bus, uv_loop_t *loop, const char *well_known,
                   const struct bus_name_owner *owner)
{
    memset(name, 0, sizeof *name);
    name->bus = bus;
    name->name = well_known;
    name->owner = *owner;
    uv_timer_init(loop, &name->retry);
    name->retry.data = name;
}

static DBusMessage *new_call(const char *method)
{
    return dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, method);
}

static void try_later(struct bus_name *name)
{
    uv_timer_start(&name->retry, on_retry, BUS_NAME_RETRY_MS, 0);
}

static void on_reply(void *ctx, DBusMessage *reply)
{
    struct bus_name *name = ctx;
    dbus_uint32_t code = 0;

    if (name->state != BUS_NAME_ASKING || !reply)
        return;
    if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_METHOD_RETURN)
        dbus_message_get_args(reply, NULL, DBUS_TYPE_UINT32, &code, DBUS_TYPE_INVALID);
    if (code == DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER || code == DBUS_REQUEST_NAME_REPLY_ALREADY_OWNER) {
        name->state = BUS_NAME_OURS;
        name->taken_said = false;
        name->owner.acquired(name->owner.ctx);
        return;
    }
    try_later(name);
    if (!name->taken_said) {
        name->taken_said = true;
        name->owner.taken(name->owner.ctx);
    }
}

static void ask(struct bus_name *name)
{
    dbus_uint32_t flags = DBUS_NAME_FLAG_DO_NOT_QUEUE;
    DBusMessage *call = new_call("RequestName");

    if (call && dbus_message_append_args(call, DBUS_TYPE_STRING, &name->name, DBUS_TYPE_UINT32, &flags,
                                         DBUS_TYPE_INVALID))
        bus_call(name->bus, call, 0, on_reply, name);
    else
        try_later(name);
    if (call)
        dbus_message_unref(call);
}

void bus_name_request(struct bus_name *name)
{
    if (name->state != BUS_NAME_IDLE || !bus_is_up(name->bus))
        return;
    name->state = BUS_NAME_ASKING;
    ask(name);
}

void bus_name_release(struct bus_name *name)
{
    DBusMessage *call;

    uv_timer_stop(&name->retry);
    if (name->state == BUS_NAME_IDLE)
        return;
    name->state = BUS_NAME_IDLE;
    call = new_call("ReleaseName");
    if (!call)
        return;
    dbus_message_set_no_reply(call, TRUE);
    if (dbus_message_append_args(call, DBUS_TYPE_STRING, &name->name, DBUS_TYPE_INVALID))
        bus_send(name->bus, call);
    dbus_message_unref(call);
}

void bus_name_down(struct bus_name *name)
{
    uv_timer_stop(&name->retry);
    name->state = BUS_NAME_IDLE;
}

bool bus_name_is_ours(const struct bus_name *name)
{
    return name->state == BUS_NAME_OURS;
}

void bus_name_close(struct bus_name *name)
{
    uv_timer_stop(&name->retry);
    uv_close((uv_handle_t *)&name->retry, NULL);
}
