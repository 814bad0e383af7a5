/* The shapes in which BusItem values arrive: many leaves at once, a whole subtree, the change of one leaf.
 * Reads a message once, without allocating, and hands on the values of wanted paths only. */
#ifndef BUS_TREE_H
#define BUS_TREE_H

#include <dbus/dbus.h>
#include <stdbool.h>
#include <stddef.h>

#include "bus/paths.h"
#include "bus/value.h"

struct tree_sink {
    const struct paths *paths; /* the wanted ones */
    void *ctx;
    void (*value)(void *ctx, int index, const struct value *value);
    size_t seen;   /* leaves in the message so far, wanted or not */
    size_t wanted; /* values handed on so far */
};

/* The functions return false, with nothing handed on, when the message has another shape; what does not
 * fit further inside is skipped. Anybody may send anything. */

/* GetItems and ItemsChanged: a{sa{sv}}, full path -> properties, of which "Value" counts. */
bool tree_read_items(DBusMessage *message, struct tree_sink *sink);

/* GetValue of the root: variant of a{sv}, keys relative ("Dc/0/Voltage"), flat or nested. */
bool tree_read_subtree(DBusMessage *message, struct tree_sink *sink);

/* PropertiesChanged of the leaf that is the path of the message: a{sv}. */
bool tree_read_change(DBusMessage *message, struct tree_sink *sink);

/* GetValue of the leaf with this index. */
bool tree_read_leaf(DBusMessage *message, int index, struct tree_sink *sink);

#endif
