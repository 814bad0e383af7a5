/* What receiving the messages costs: a libdbus program that gets the same signals as the daemon and drops
 * them (`floor drop`), or walks through every value of them and does nothing (`floor walk`). */
#include <dbus/dbus.h>
#include <stdio.h>
#include <string.h>

static volatile double sink;

static void walk(DBusMessageIter *iter)
{
    int type;

    while ((type = dbus_message_iter_get_arg_type(iter)) != DBUS_TYPE_INVALID) {
        if (dbus_type_is_container(type)) {
            DBusMessageIter inner;

            dbus_message_iter_recurse(iter, &inner);
            walk(&inner);
        } else {
            DBusBasicValue value;

            dbus_message_iter_get_basic(iter, &value);
            sink = type == DBUS_TYPE_DOUBLE ? value.dbl : 0;
        }
        dbus_message_iter_next(iter);
    }
}

static DBusHandlerResult on_message(DBusConnection *connection, DBusMessage *message, void *data)
{
    const int *walks = data;
    DBusMessageIter iter;

    (void)connection;
    if (dbus_message_get_type(message) != DBUS_MESSAGE_TYPE_SIGNAL)
        return DBUS_HANDLER_RESULT_NOT_YET_HANDLED;
    if (*walks && dbus_message_iter_init(message, &iter))
        walk(&iter);
    return DBUS_HANDLER_RESULT_HANDLED;
}

int main(int argc, char *argv[])
{
    int walks = argc > 1 && strcmp(argv[1], "walk") == 0;
    DBusError error = DBUS_ERROR_INIT;
    DBusConnection *connection = argc > 2 ? dbus_connection_open(argv[2], &error) : NULL;

    if (!connection || !dbus_bus_register(connection, &error)) {
        fprintf(stderr, "usage: floor drop|walk ADDRESS (%s)\n",
                dbus_error_is_set(&error) ? error.message : "no address");
        return 1;
    }
    dbus_connection_add_filter(connection, on_message, &walks, NULL);
    dbus_bus_add_match(connection, "type='signal',interface='com.victronenergy.BusItem',path_namespace='/'",
                       NULL);
    while (dbus_connection_read_write_dispatch(connection, -1))
        ;
    return 0;
}
