/* The side of the tree that faces the bus: answers to method calls, and the signal of what changed. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/items_tree.h"

#define BUSITEM "com.victronenergy.BusItem"

enum { SET_ACCEPTED = 0, SET_NOT_WRITABLE = 1, SET_REFUSED = 2 };

/* What a call is about. */
struct request {
    struct items *items;
    struct bus *bus;
    DBusMessage *call;
    DBusMessage *reply; /* made by the answerer; NULL = out of memory */
    const char *path;
    int item; /* -1: an inner node, or "/" */
};

/* ---- building blocks; each returns false when out of memory ---- */

static bool append_text_variant(DBusMessageIter *iter, const char *text)
{
    struct value value = value_text(text);

    return value_append(iter, 's', &value);
}

static bool append_value(DBusMessageIter *iter, const struct items *items, int item)
{
    struct value value = items_value(items, item);

    return value_append(iter, items_kind(items, item)->type, &value);
}

static bool append_text(DBusMessageIter *iter, const struct items *items, int item)
{
    char text[ITEMS_TEXT_MAX];

    return append_text_variant(iter, items_text(items, item, text));
}

typedef bool (*append_fn)(DBusMessageIter *iter, const struct items *items, int item);

/* {key: what append makes of the item} in an open a{sv}. */
static bool append_entry(DBusMessageIter *dict, const char *key, append_fn append, const struct items *items,
                         int item)
{
    DBusMessageIter entry;

    return dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) &&
           dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key) && append(&entry, items, item) &&
           dbus_message_iter_close_container(dict, &entry);
}

/* {path: {Value, Text}} in an open a{sa{sv}}. */
static bool append_item(DBusMessageIter *list, const struct items *items, int item)
{
    DBusMessageIter entry, dict;
    char buf[ITEMS_PATH_MAX];
    const char *path = items_path(items, item, buf);

    return dbus_message_iter_open_container(list, DBUS_TYPE_DICT_ENTRY, NULL, &entry) &&
           dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &path) &&
           dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "{sv}", &dict) &&
           append_entry(&dict, "Value", append_value, items, item) &&
           append_entry(&dict, "Text", append_text, items, item) &&
           dbus_message_iter_close_container(&entry, &dict) &&
           dbus_message_iter_close_container(list, &entry);
}

static bool append_all(DBusMessageIter *iter, const struct items *items, const uint16_t *list, size_t count)
{
    DBusMessageIter array;

    if (!dbus_message_iter_open_container(iter, DBUS_TYPE_ARRAY, "{sa{sv}}", &array))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!append_item(&array, items, list[i]))
            return false;
    }
    return dbus_message_iter_close_container(iter, &array);
}

/* A variant of a{sv}: the subtree below node, keys relative to it. */
static bool append_subtree(DBusMessageIter *iter, const struct items *items, const char *node,
                           append_fn append)
{
    DBusMessageIter variant, dict;
    size_t first = 0;
    size_t count = items_below(items, node, &first);
    size_t skip = strcmp(node, "/") == 0 ? 1 : strlen(node) + 1;

    if (!dbus_message_iter_open_container(iter, DBUS_TYPE_VARIANT, "a{sv}", &variant) ||
        !dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "{sv}", &dict))
        return false;
    for (size_t i = 0; i < count; i++) {
        int item = items->sorted[first + i];
        char path[ITEMS_PATH_MAX];

        if (!append_entry(&dict, items_path(items, item, path) + skip, append, items, item))
            return false;
    }
    return dbus_message_iter_close_container(&variant, &dict) &&
           dbus_message_iter_close_container(iter, &variant);
}

/* Begins the reply; the answerer fills it through iter. */
static bool begin_reply(struct request *request, DBusMessageIter *iter)
{
    request->reply = dbus_message_new_method_return(request->call);
    if (!request->reply)
        return false;
    dbus_message_iter_init_append(request->reply, iter);
    return true;
}

static void refuse(struct request *request, const char *error, const char *why)
{
    request->reply = dbus_message_new_error(request->call, error, why);
}

static void end_reply(struct request *request, bool complete)
{
    if (complete || !request->reply)
        return;
    dbus_message_unref(request->reply);
    request->reply = NULL;
}

/* ---- the members of com.victronenergy.BusItem ---- */

static void get_value(struct request *request)
{
    DBusMessageIter iter;

    end_reply(request,
              begin_reply(request, &iter) &&
                  (request->item >= 0 ? append_value(&iter, request->items, request->item)
                                      : append_subtree(&iter, request->items, request->path, append_value)));
}

/* Of a leaf a string, of a node a variant of the texts below it. */
static void get_text(struct request *request)
{
    DBusMessageIter iter;
    char text[ITEMS_TEXT_MAX];
    const char *words;

    if (!begin_reply(request, &iter))
        return;
    if (request->item < 0) {
        end_reply(request, append_subtree(&iter, request->items, request->path, append_text));
        return;
    }
    words = items_text(request->items, request->item, text);
    end_reply(request, dbus_message_iter_append_basic(&iter, DBUS_TYPE_STRING, &words));
}

static void get_items(struct request *request)
{
    DBusMessageIter iter;

    end_reply(request, begin_reply(request, &iter) &&
                           append_all(&iter, request->items, request->items->sorted, request->items->count));
}

static void get_description(struct request *request)
{
    DBusMessageIter iter;
    const char *description = request->item >= 0 ? items_def(request->items, request->item).description : "";

    end_reply(request, begin_reply(request, &iter) &&
                           dbus_message_iter_append_basic(&iter, DBUS_TYPE_STRING, &description));
}

/* Makes a written value one of the item's type. False when it cannot be. */
static bool coerce(char type, struct value *value)
{
    if (type == 's')
        return value->kind == VALUE_TEXT;
    if (value->kind == VALUE_TEXT) {
        double number;

        if (!value_parse_number(value->text, &number))
            return false;
        *value = value_number(number);
    }
    return value->kind == VALUE_NUMBER && isfinite(value->number);
}

static bool is_shown_already(const struct items *items, int item, const struct value *value)
{
    struct value shown = items_value(items, item);

    if (shown.kind != value->kind)
        return false;
    return shown.kind == VALUE_TEXT ? strcmp(shown.text, value->text) == 0 : shown.number == value->number;
}

static dbus_int32_t set_item(struct items *items, int item, DBusMessage *call)
{
    const struct item_kind *kind = items_kind(items, item);
    DBusMessageIter iter;
    struct value value;

    if (!kind->writable || !items->set)
        return SET_NOT_WRITABLE;
    dbus_message_iter_init(call, &iter);
    value_read(&iter, &value);
    if (!coerce(kind->type, &value))
        return SET_REFUSED;
    if (is_shown_already(items, item, &value))
        return SET_ACCEPTED;
    return items->set(items->ctx, item, &value);
}

/* Clients write a variant; Qt ones write an invalid value as a bare array. */
static void set_value(struct request *request)
{
    DBusMessageIter iter;
    dbus_int32_t result = SET_NOT_WRITABLE;

    if (!dbus_message_iter_init(request->call, &iter)) {
        refuse(request, DBUS_ERROR_INVALID_ARGS, "SetValue takes one value");
        return;
    }
    if (request->item >= 0)
        result = set_item(request->items, request->item, request->call);
    end_reply(request,
              begin_reply(request, &iter) && dbus_message_iter_append_basic(&iter, DBUS_TYPE_INT32, &result));
}

/* ---- introspection ---- */

static const char introspect_head[] = DBUS_INTROSPECT_1_0_XML_DOCTYPE_DECL_NODE
    "<node>\n"
    " <interface name=\"org.freedesktop.DBus.Introspectable\">\n"
    "  <method name=\"Introspect\"><arg direction=\"out\" type=\"s\"/></method>\n"
    " </interface>\n"
    " <interface name=\"" BUSITEM "\">\n"
    "  <method name=\"GetValue\"><arg direction=\"out\" type=\"v\"/></method>\n";

static const char introspect_leaf[] =
    "  <method name=\"GetText\"><arg direction=\"out\" type=\"s\"/></method>\n"
    "  <method name=\"SetValue\"><arg direction=\"in\" type=\"v\"/><arg direction=\"out\" "
    "type=\"i\"/></method>\n"
    "  <method name=\"GetDescription\"><arg direction=\"in\" type=\"s\"/><arg direction=\"in\" type=\"i\"/>"
    "<arg direction=\"out\" type=\"s\"/></method>\n";

static const char introspect_node[] =
    "  <method name=\"GetText\"><arg direction=\"out\" type=\"v\"/></method>\n";

static const char introspect_root[] =
    "  <method name=\"GetItems\"><arg direction=\"out\" type=\"a{sa{sv}}\"/></method>\n"
    "  <signal name=\"ItemsChanged\"><arg type=\"a{sa{sv}}\"/></signal>\n";

/* A child element for each first part of the paths below. Equal parts stand together: the paths are sorted,
 * and none is a leaf and a node at once. */
static void print_children(FILE *xml, const struct items *items, const char *node)
{
    size_t first = 0;
    size_t count = items_below(items, node, &first);
    size_t skip = strcmp(node, "/") == 0 ? 1 : strlen(node) + 1;
    char said[ITEMS_PATH_MAX] = "";

    for (size_t i = 0; i < count; i++) {
        char path[ITEMS_PATH_MAX];
        char *part = path + skip;

        items_path(items, items->sorted[first + i], path);
        part[strcspn(part, "/")] = '\0';
        if (strcmp(part, said) == 0)
            continue;
        fprintf(xml, " <node name=\"%s\"/>\n", part);
        strcpy(said, part);
    }
}

static void introspect(struct request *request)
{
    char *text = NULL;
    size_t size = 0;
    FILE *xml = open_memstream(&text, &size);
    DBusMessageIter iter;

    if (!xml)
        return;
    fputs(introspect_head, xml);
    fputs(request->item >= 0 ? introspect_leaf : introspect_node, xml);
    if (strcmp(request->path, "/") == 0)
        fputs(introspect_root, xml);
    fputs(" </interface>\n", xml);
    if (request->items->methods && strcmp(request->path, "/") == 0)
        methods_introspect(request->items->methods, xml);
    if (request->item < 0)
        print_children(xml, request->items, request->path);
    fputs("</node>\n", xml);
    if (fclose(xml) == 0)
        end_reply(request, begin_reply(request, &iter) &&
                               dbus_message_iter_append_basic(&iter, DBUS_TYPE_STRING, &text));
    free(text);
}

/* busctl and gdbus ask every object for the properties of every interface: there are none. */
static void get_all_properties(struct request *request)
{
    DBusMessageIter iter, dict;

    end_reply(request, begin_reply(request, &iter) &&
                           dbus_message_iter_open_container(&iter, DBUS_TYPE_ARRAY, "{sv}", &dict) &&
                           dbus_message_iter_close_container(&iter, &dict));
}

/* ---- who answers what ---- */

enum place { AT_LEAF = 1, AT_NODE = 2, AT_ROOT = 4, ANYWHERE = AT_LEAF | AT_NODE | AT_ROOT };

static const struct member {
    const char *interface, *name;
    int places;
    void (*answer)(struct request *request);
} members[] = {
    {BUSITEM, "GetValue", ANYWHERE, get_value},
    {BUSITEM, "GetText", ANYWHERE, get_text},
    {BUSITEM, "SetValue", AT_LEAF, set_value},
    {BUSITEM, "GetDescription", AT_LEAF, get_description},
    {BUSITEM, "GetItems", AT_ROOT, get_items},
    {DBUS_INTERFACE_INTROSPECTABLE, "Introspect", ANYWHERE, introspect},
    {DBUS_INTERFACE_PROPERTIES, "GetAll", ANYWHERE, get_all_properties},
};

static bool is_our_interface(const char *interface)
{
    if (!interface)
        return true;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strcmp(interface, members[i].interface) == 0)
            return true;
    }
    return false;
}

static const struct member *find_member(const char *interface, const char *name, int place)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if ((members[i].places & place) && strcmp(name, members[i].name) == 0 &&
            (!interface || strcmp(interface, members[i].interface) == 0))
            return &members[i];
    }
    return NULL;
}

static int place_of(const struct request *request)
{
    size_t first;

    if (strcmp(request->path, "/") == 0)
        return AT_ROOT;
    if (request->item >= 0)
        return AT_LEAF;
    return items_below(request->items, request->path, &first) > 0 ? AT_NODE : 0;
}

void items_offer(struct items *items, const struct methods *methods)
{
    items->methods = methods;
}

/* Is it one of the owner's methods? Those of items go first where no interface is named. */
static bool is_offered(const struct items *items, const char *interface, const char *name, int place)
{
    return items->methods && methods_know(items->methods, interface, name) &&
           (interface || !find_member(NULL, name, place));
}

bool items_message(struct items *items, struct bus *bus, DBusMessage *message)
{
    const char *interface = dbus_message_get_interface(message);
    const char *name = dbus_message_get_member(message);
    struct request request = {items, bus, message, NULL, dbus_message_get_path(message), -1};
    const struct member *member;
    bool offered;
    int place;

    if (dbus_message_get_type(message) != DBUS_MESSAGE_TYPE_METHOD_CALL || !request.path || !name)
        return false;
    request.item = items_find(items, request.path);
    place = place_of(&request);
    offered = is_offered(items, interface, name, place);
    if (!offered && !is_our_interface(interface))
        return false;
    member = find_member(interface, name, place);
    if (place == 0)
        refuse(&request, DBUS_ERROR_UNKNOWN_OBJECT, request.path);
    else if (offered && place == AT_ROOT)
        request.reply = methods_reply(items->methods, message);
    else if (!member)
        refuse(&request, DBUS_ERROR_UNKNOWN_METHOD, name);
    else
        member->answer(&request);
    if (request.reply) {
        if (!dbus_message_get_no_reply(message))
            bus_send(bus, request.reply);
        dbus_message_unref(request.reply);
    }
    return true;
}

bool items_publish(struct items *items, struct bus *bus)
{
    DBusMessage *signal;
    DBusMessageIter iter;
    bool sent;

    if (items->change_count == 0)
        return true;
    signal = dbus_message_new_signal("/", BUSITEM, "ItemsChanged");
    if (!signal)
        return false;
    dbus_message_iter_init_append(signal, &iter);
    sent = append_all(&iter, items, items->changes, items->change_count) && bus_send(bus, signal);
    dbus_message_unref(signal);
    if (sent)
        items_take_changes(items, NULL, NULL);
    return sent;
}
