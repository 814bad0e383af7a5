#include "commands/work.h"

#include <dbus/dbus.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bus/value.h"
#include "calibrate.h"
#include "commands/connect.h"
#include "venus/outputs.h"

enum { PAIRS_FIRST = 256 };

static int complain(const char *text)
{
    fprintf(stderr, "battery-aggregator: %s\n", text);
    return 1;
}

/* Calls the method with one argument of that type. NULL: said on stderr. */
static DBusMessage *call(DBusConnection *connection, const char *method, char type, double number)
{
    DBusMessage *message = dbus_message_new_method_call(OUTPUTS_SERVICE, "/", CALIBRATE_INTERFACE, method);
    DBusError error = DBUS_ERROR_INIT;
    dbus_bool_t flag = number != 0;
    DBusMessage *reply;

    if (!message || !dbus_message_append_args(message, (int)type,
                                              type == DBUS_TYPE_BOOLEAN ? (const void *)&flag : &number,
                                              DBUS_TYPE_INVALID)) {
        complain("out of memory");
        return NULL;
    }
    dbus_message_set_auto_start(message, FALSE);
    reply = dbus_connection_send_with_reply_and_block(connection, message, CONNECT_ANSWER_MS, &error);
    dbus_message_unref(message);
    if (!reply)
        complain(dbus_error_has_name(&error, DBUS_ERROR_SERVICE_UNKNOWN) ||
                         dbus_error_has_name(&error, DBUS_ERROR_NAME_HAS_NO_OWNER)
                     ? "No battery-aggregator is on the bus. Is it running? Its log says what it waits for."
                     : error.message);
    dbus_error_free(&error);
    return reply;
}

static bool add_pair(struct work_view *view, size_t *room, const char *key, double number)
{
    if (view->count == *room) {
        size_t more = *room ? 2 * *room : PAIRS_FIRST;
        struct work_pair *pair = realloc(view->pair, more * sizeof *pair);

        if (!pair)
            return false;
        view->pair = pair;
        *room = more;
    }
    snprintf(view->pair[view->count].key, sizeof view->pair->key, "%s", key);
    for (char *c = view->pair[view->count].key; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; /* names come from anybody: nothing in them may steer a terminal */
    }
    view->pair[view->count++].number = number;
    return true;
}

static bool read_pairs(DBusMessage *reply, struct work_view *view)
{
    DBusMessageIter iter, array, entry;
    size_t room = 0;

    if (!dbus_message_has_signature(reply, "a{sd}") || !dbus_message_iter_init(reply, &iter))
        return false;
    dbus_message_iter_recurse(&iter, &array);
    for (; dbus_message_iter_get_arg_type(&array) != DBUS_TYPE_INVALID; dbus_message_iter_next(&array)) {
        const char *key;
        double number;

        dbus_message_iter_recurse(&array, &entry);
        dbus_message_iter_get_basic(&entry, &key);
        dbus_message_iter_next(&entry);
        dbus_message_iter_get_basic(&entry, &number);
        if (!add_pair(view, &room, key, number))
            return false;
    }
    return true;
}

/* GetWork, then what write makes of it. */
static int show(const char *bus_address, bool clear, void (*write)(FILE *out, const struct work_view *view))
{
    DBusConnection *connection = connect_bus(bus_address);
    DBusMessage *reply = connection ? call(connection, "GetWork", DBUS_TYPE_BOOLEAN, clear) : NULL;
    struct work_view view = {0, NULL};
    int status = 1;

    if (reply) {
        if (read_pairs(reply, &view)) {
            write(stdout, &view);
            status = 0;
        } else {
            complain("the answer of the daemon cannot be read: is it of another version?");
        }
        dbus_message_unref(reply);
    }
    free(view.pair);
    connect_close(connection);
    return status;
}

static void write_pairs(FILE *out, const struct work_view *view)
{
    for (size_t i = 0; i < view->count; i++)
        fprintf(out, "%-40s %.10g\n", view->pair[i].key, view->pair[i].number);
}

int command_work(const char *bus_address, bool clear)
{
    return show(bus_address, clear, write_pairs);
}

int command_history(const char *bus_address)
{
    return show(bus_address, false, work_write_history);
}

int command_capacity(const char *bus_address)
{
    return show(bus_address, false, work_write_capacity);
}

int command_set(const char *bus_address, const char *what, const char *number)
{
    const char *method = !what                         ? NULL
                         : strcmp(what, "soc") == 0    ? "SetSoc"
                         : strcmp(what, "offset") == 0 ? "SetCurrentOffset"
                                                       : NULL;
    DBusConnection *connection;
    DBusMessage *reply;
    double value;

    if (!method || !number || !value_parse_number(number, &value)) {
        fputs(
            "battery-aggregator: set takes 'soc' and a number of percent, or 'offset' and a number of A: set "
            "soc 80, set offset -0.2\n",
            stderr);
        return 2;
    }
    connection = connect_bus(bus_address);
    if (!connection)
        return 1;
    reply = call(connection, method, DBUS_TYPE_DOUBLE, value);
    connect_close(connection);
    if (!reply)
        return 1;
    dbus_message_unref(reply);
    if (strcmp(what, "soc") == 0)
        printf("The SoC is %g %% now\n", value);
    else
        printf("The current sensor shows %g A too much, from now on\n", value);
    return 0;
}
