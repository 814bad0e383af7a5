/* What receiving the messages costs: a libdbus program that gets the same signals as the daemon and drops
 * them (`floor drop`), or walks through every value of them and does nothing (`floor walk`). Those of an
 * aggregator beside it are not among them. */
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

static int is_source(const char *name)
{
    return strncmp(name, "com.victronenergy.", strlen("com.victronenergy.")) == 0 &&
           !strstr(name, ".aggregate");
}

/* From each service that is there, as an aggregator subscribes. */
static void subscribe(DBusConnection *connection)
{
    DBusMessage *call =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "ListNames");
    DBusMessage *reply = dbus_connection_send_with_reply_and_block(connection, call, -1, NULL);
    char **names = NULL;
    int count = 0;

    dbus_message_unref(call);
    if (!reply || !dbus_message_get_args(reply, NULL, DBUS_TYPE_ARRAY, DBUS_TYPE_STRING, &names, &count,
                                         DBUS_TYPE_INVALID))
        count = 0;
    for (int i = 0; i < count; i++) {
        char rule[512];

        snprintf(rule, sizeof rule, "type='signal',sender='%s',interface='com.victronenergy.BusItem'",
                 names[i]);
        if (is_source(names[i]))
            dbus_bus_add_match(connection, rule, NULL);
    }
    dbus_free_string_array(names);
    if (reply)
        dbus_message_unref(reply);
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
    subscribe(connection);
    while (dbus_connection_read_write_dispatch(connection, -1))
        ;
    return 0;
}
