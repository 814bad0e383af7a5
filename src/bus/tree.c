#include "bus/tree.h"

#include <string.h>

enum {
    TREE_PATH_MAX = 256, /* longer paths are nobody's */
    TREE_DEPTH_MAX = 12, /* of nested dictionaries */
};

/* Steps into a dictionary, through variants. False when it is something else. */
static bool dict_enter(const DBusMessageIter *value, DBusMessageIter *entry)
{
    DBusMessageIter at = *value;

    while (dbus_message_iter_get_arg_type(&at) == DBUS_TYPE_VARIANT) {
        DBusMessageIter inner;

        dbus_message_iter_recurse(&at, &inner);
        at = inner;
    }
    if (dbus_message_iter_get_arg_type(&at) != DBUS_TYPE_ARRAY ||
        dbus_message_iter_get_element_type(&at) != DBUS_TYPE_DICT_ENTRY)
        return false;
    dbus_message_iter_recurse(&at, entry);
    return true;
}

/* The key of this entry and where its value is; NULL at the end, or when keys are not text. */
static const char *dict_entry(DBusMessageIter *entry, DBusMessageIter *value)
{
    const char *key;
    int type;

    if (dbus_message_iter_get_arg_type(entry) != DBUS_TYPE_DICT_ENTRY)
        return NULL;
    dbus_message_iter_recurse(entry, value);
    type = dbus_message_iter_get_arg_type(value);
    if (type != DBUS_TYPE_STRING && type != DBUS_TYPE_OBJECT_PATH)
        return NULL;
    dbus_message_iter_get_basic(value, &key);
    return dbus_message_iter_next(value) ? key : NULL;
}

static void sink_value(struct tree_sink *sink, int index, DBusMessageIter *at)
{
    struct value value;

    value_read(at, &value);
    sink->wanted++;
    sink->value(sink->ctx, index, &value);
}

/* Finds "Value" among the properties of a leaf. */
static void read_properties(const DBusMessageIter *properties, int index, struct tree_sink *sink)
{
    DBusMessageIter entry, value;
    const char *key;

    if (!dict_enter(properties, &entry))
        return;
    for (; (key = dict_entry(&entry, &value)); dbus_message_iter_next(&entry)) {
        if (strcmp(key, "Value") == 0) {
            sink_value(sink, index, &value);
            return;
        }
    }
}

bool tree_read_items(DBusMessage *message, struct tree_sink *sink)
{
    DBusMessageIter args, entry, properties;
    const char *path;

    if (!dbus_message_has_signature(message, "a{sa{sv}}") || !dbus_message_iter_init(message, &args) ||
        !dict_enter(&args, &entry))
        return false;
    for (; (path = dict_entry(&entry, &properties)); dbus_message_iter_next(&entry)) {
        int index = paths_find(sink->paths, path);

        sink->seen++;
        if (index != PATHS_NONE)
            read_properties(&properties, index, sink);
    }
    return true;
}

/* path is a buffer of TREE_PATH_MAX that holds the node's own path, length bytes long. */
static void read_node(DBusMessageIter *entry, char *path, size_t length, int depth, struct tree_sink *sink)
{
    DBusMessageIter value, children;
    const char *key;

    for (; (key = dict_entry(entry, &value)); dbus_message_iter_next(entry)) {
        size_t key_length, end;
        int index;

        while (*key == '/')
            key++;
        key_length = strlen(key);
        end = length + 1 + key_length;
        if (end >= TREE_PATH_MAX)
            continue;
        path[length] = '/';
        memcpy(path + length + 1, key, key_length + 1);
        if (dict_enter(&value, &children)) {
            if (depth < TREE_DEPTH_MAX)
                read_node(&children, path, end, depth + 1, sink);
            continue;
        }
        sink->seen++;
        index = paths_find(sink->paths, path);
        if (index != PATHS_NONE)
            sink_value(sink, index, &value);
    }
}

bool tree_read_subtree(DBusMessage *message, struct tree_sink *sink)
{
    DBusMessageIter args, entry;
    char path[TREE_PATH_MAX] = "";

    if (!dbus_message_iter_init(message, &args) || !dict_enter(&args, &entry))
        return false;
    read_node(&entry, path, 0, 0, sink);
    return true;
}

bool tree_read_change(DBusMessage *message, struct tree_sink *sink)
{
    const char *path = dbus_message_get_path(message);
    int index = path ? paths_find(sink->paths, path) : PATHS_NONE;
    DBusMessageIter args;

    if (index == PATHS_NONE || !dbus_message_has_signature(message, "a{sv}") ||
        !dbus_message_iter_init(message, &args))
        return false;
    sink->seen++;
    read_properties(&args, index, sink);
    return true;
}

bool tree_read_leaf(DBusMessage *message, int index, struct tree_sink *sink)
{
    DBusMessageIter args;

    if (!dbus_message_iter_init(message, &args))
        return false;
    sink->seen++;
    sink_value(sink, index, &args);
    return true;
}
