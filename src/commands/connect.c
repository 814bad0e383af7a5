#include "commands/connect.h"

#include <stdio.h>

#include "bus/loop.h"

#define BUSITEM "com.victronenergy.BusItem"

DBusConnection *connect_bus(const char *address)
{
    DBusError error = DBUS_ERROR_INIT;
    DBusConnection *connection;

    if (!address)
        address = bus_default_address();
    connection = dbus_connection_open_private(address, &error);
    if (connection)
        dbus_connection_set_exit_on_disconnect(connection, FALSE);
    if (connection && dbus_bus_register(connection, &error))
        return connection;
    fprintf(stderr, "battery-aggregator: no D-Bus at %s (%s). Is it running? Another one is named by --bus\n",
            address, dbus_error_is_set(&error) ? error.message : "out of memory");
    dbus_error_free(&error);
    connect_close(connection);
    return NULL;
}

void connect_close(DBusConnection *connection)
{
    if (!connection)
        return;
    dbus_connection_close(connection);
    dbus_connection_unref(connection);
}

/* Takes the call. */
static DBusMessage *ask(DBusConnection *connection, DBusMessage *call)
{
    DBusMessage *reply = dbus_connection_send_with_reply_and_block(connection, call, CONNECT_ANSWER_MS, NULL);

    dbus_message_unref(call);
    return reply;
}

bool connect_get(DBusConnection *connection, const char *service, const char *path, struct value *value)
{
    DBusMessage *call = dbus_message_new_method_call(service, path, BUSITEM, "GetValue");
    DBusMessage *reply = call ? ask(connection, call) : NULL;
    DBusMessageIter iter;
    bool answered = reply && dbus_message_iter_init(reply, &iter);

    if (answered) {
        value_read(&iter, value);
        if (value->kind == VALUE_TEXT)
            value->text = NULL; /* it goes with the message, and nobody asks for texts */
    }
    if (reply)
        dbus_message_unref(reply);
    return answered;
}

int connect_set(DBusConnection *connection, const char *service, const char *path, int number)
{
    DBusMessage *call = dbus_message_new_method_call(service, path, BUSITEM, "SetValue");
    struct value value = value_number(number);
    dbus_int32_t result = -1;
    DBusMessage *reply;
    DBusMessageIter iter;

    if (!call)
        return -1;
    dbus_message_iter_init_append(call, &iter);
    if (!value_append(&iter, 'i', &value)) {
        dbus_message_unref(call);
        return -1;
    }
    reply = ask(connection, call);
    if (!reply)
        return -1;
    if (!dbus_message_get_args(reply, NULL, DBUS_TYPE_INT32, &result, DBUS_TYPE_INVALID))
        result = -1;
    dbus_message_unref(reply);
    return result;
}
