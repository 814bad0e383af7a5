#include "fuzz/maker.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/targets.h"

#define BUSITEM "com.victronenergy.BusItem"
#define LONG_PART "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum {
    DEPTH_MAX = 5,
    ELEMENTS_MAX = 5,
    ENTRIES_MAX = 24,
    SIGNATURE_MAX = 256,
    SIGNATURE_FULL = 40,
    VARIANTS_MAX = 40
};

const char *const maker_names[] = {
    "com.victronenergy.battery.ttyUSB0",
    "com.victronenergy.battery.ttyUSB1",
    "com.victronenergy.battery.ttyUSB2",
    "com.victronenergy.settings",
    "com.victronenergy.system",
    "com.victronenergy.vebus.ttyS3",
    "com.victronenergy.solarcharger.ttyO1",
    "com.victronenergy.dcload.shunt",
    "com.victronenergy.battery.aggregate",
    "com.victronenergy.grid.other",
    "org.freedesktop.DBus",
    "com.victronenergy.battery." LONG_PART "." LONG_PART "." LONG_PART "." LONG_PART,
};
const size_t maker_name_count = COUNT(maker_names);

const char *const maker_owners[] = {":1.1", ":1.2", ":1.3", ":1.4", ":1.5", ":1.6"};
const size_t maker_owner_count = COUNT(maker_owners);

static const char *const texts[] = {
    "",
    "Value",
    "Text",
    "SerialBattery(JK)",
    "SmartShunt 500A",
    "Pack 1",
    "Float Transition",
    "battery:99",
    "Europe/Berlin",
    "../../etc/passwd",
    "%s%n%x",
    "3.31",
    "line\nof\tcontrol\x01",
    "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x94\x8B",
    "/",
    "//Dc/0/Voltage",
    "/Dc/0/Voltage/",
    "Dc",
    "0",
    "Voltage",
    LONG_PART LONG_PART LONG_PART LONG_PART LONG_PART,
};

static const double odd_numbers[] = {0,    1,        -1,        3.33, 2.9,  3.6,  53.1, 100,    1e9,
                                     -1e9, 1e300,    5e-324,    0.5,  -0.0, 64,   99,   0xBA44, 280,
                                     2,    INFINITY, -INFINITY, NAN,  12.5, 55.2, 16};

static const char *const errors[] = {
    DBUS_ERROR_NO_REPLY,          DBUS_ERROR_UNKNOWN_METHOD,
    DBUS_ERROR_UNKNOWN_OBJECT,    DBUS_ERROR_DISCONNECTED,
    DBUS_ERROR_NAME_HAS_NO_OWNER, DBUS_ERROR_LIMITS_EXCEEDED,
    "com.victronenergy.odd",      DBUS_ERROR_FAILED,
};

static bool one_in(struct maker *maker, size_t count)
{
    return bytes_choose(&maker->bytes, count) == 1;
}

#define PICK(maker, list) (list)[bytes_choose(&(maker)->bytes, COUNT(list))]

/* ---- basic values ---- */

/* Text of the input's own bytes; what is no UTF-8 becomes something that is. */
static const char *raw_text(struct maker *maker, char *buf)
{
    size_t length = bytes_choose(&maker->bytes, 64);

    for (size_t i = 0; i < length; i++)
        buf[i] = (char)bytes_one(&maker->bytes);
    buf[length] = '\0';
    if (!dbus_validate_utf8(buf, NULL)) {
        for (char *c = buf; *c; c++)
            *c &= 0x7f;
    }
    return buf;
}

/* A path that is read, with or without its first '/'. */
static const char *known_path(struct maker *maker)
{
    return paths_get(maker->paths, bytes_choose(&maker->bytes, paths_count(maker->paths)));
}

static const char *any_text(struct maker *maker, char *buf)
{
    switch (bytes_choose(&maker->bytes, 4)) {
    case 0:
        return PICK(maker, texts);
    case 1:
        return known_path(maker);
    case 2:
        return known_path(maker) + 1;
    default:
        return raw_text(maker, buf);
    }
}

static const char *any_path(struct maker *maker, char *buf)
{
    const char *text = any_text(maker, buf);

    return dbus_validate_path(text, NULL) ? text : one_in(maker, 3) ? "/Battery/1" : "/";
}

static double any_number(struct maker *maker)
{
    double number;
    uint8_t raw[sizeof number];

    switch (bytes_choose(&maker->bytes, 4)) {
    case 0:
        return PICK(maker, odd_numbers);
    case 1:
        return (double)bytes_one(&maker->bytes);
    case 2:
        return 3 + (double)bytes_one(&maker->bytes) / 400;
    default:
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (uint8_t)bytes_one(&maker->bytes);
        memcpy(&number, raw, sizeof number);
        return number;
    }
}

static uint64_t any_whole(struct maker *maker)
{
    uint64_t whole = bytes_one(&maker->bytes);

    if (whole < 0xF0)
        return whole;
    for (int i = 0; i < 7; i++)
        whole = whole << 8 | bytes_one(&maker->bytes);
    return whole;
}

static void append_basic(struct maker *maker, DBusMessageIter *to, int type)
{
    char buf[MAKER_TEXT_MAX];
    DBusBasicValue value = {.u64 = 0};

    switch (type) {
    case DBUS_TYPE_STRING:
        value.str = (char *)any_text(maker, buf);
        break;
    case DBUS_TYPE_OBJECT_PATH:
        value.str = (char *)any_path(maker, buf);
        break;
    case DBUS_TYPE_SIGNATURE:
        value.str = one_in(maker, 2) ? "a{sv}" : "";
        break;
    case DBUS_TYPE_DOUBLE:
        value.dbl = any_number(maker);
        break;
    case DBUS_TYPE_BOOLEAN:
        value.bool_val = bytes_one(&maker->bytes) & 1;
        break;
    case DBUS_TYPE_UNIX_FD:
        value.fd = STDIN_FILENO;
        break;
    default:
        value.u64 = any_whole(maker);
        break;
    }
    REQUIRE(dbus_message_iter_append_basic(to, type, &value));
}

/* ---- any signature ---- */

/* One complete type at the end of signature; what would become too long or too deep becomes an int32. */
static void add_type(struct maker *maker, char *signature, int depth)
{
    static const char basic[] = "ybnqiuxtdsogh";
    size_t used = strlen(signature);
    size_t kind = bytes_choose(&maker->bytes, COUNT(basic) + 6);

    if (used > SIGNATURE_FULL || depth >= DEPTH_MAX)
        kind = 4;
    if (kind < COUNT(basic) - 1) {
        snprintf(signature + used, SIGNATURE_MAX - used, "%c", basic[kind]);
    } else if (kind < COUNT(basic) + 1) {
        strcat(signature, "v");
    } else if (kind < COUNT(basic) + 3) {
        strcat(signature, "a");
        add_type(maker, signature, depth + 1);
    } else if (kind < COUNT(basic) + 4) {
        strcat(signature, "(");
        add_type(maker, signature, depth + 1);
        add_type(maker, signature, depth + 1);
        strcat(signature, ")");
    } else {
        strcat(signature, one_in(maker, 4) ? "a{i" : "a{s");
        add_type(maker, signature, depth + 1);
        strcat(signature, "}");
    }
}

static void append_type(struct maker *maker, DBusMessageIter *to, DBusSignatureIter *type, int depth);

static void append_any_variant(struct maker *maker, DBusMessageIter *to, int depth)
{
    char signature[SIGNATURE_MAX] = "";
    DBusSignatureIter type;
    DBusMessageIter inner;

    add_type(maker, signature, depth);
    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, signature, &inner));
    dbus_signature_iter_init(&type, signature);
    append_type(maker, &inner, &type, depth + 1);
    REQUIRE(dbus_message_iter_close_container(to, &inner));
}

static void append_elements(struct maker *maker, DBusMessageIter *to, DBusSignatureIter *array, int depth)
{
    size_t count = bytes_choose(&maker->bytes, ELEMENTS_MAX);
    DBusSignatureIter element;
    DBusMessageIter inner;
    char *signature;

    dbus_signature_iter_recurse(array, &element);
    signature = dbus_signature_iter_get_signature(&element);
    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_ARRAY, signature, &inner));
    dbus_free(signature);
    for (size_t i = 0; i < count; i++)
        append_type(maker, &inner, &element, depth + 1);
    REQUIRE(dbus_message_iter_close_container(to, &inner));
}

/* A structure, or an entry of a dictionary. */
static void append_members(struct maker *maker, DBusMessageIter *to, DBusSignatureIter *type, int depth)
{
    DBusSignatureIter member;
    DBusMessageIter inner;

    REQUIRE(dbus_message_iter_open_container(to, dbus_signature_iter_get_current_type(type), NULL, &inner));
    dbus_signature_iter_recurse(type, &member);
    do {
        append_type(maker, &inner, &member, depth + 1);
    } while (dbus_signature_iter_next(&member));
    REQUIRE(dbus_message_iter_close_container(to, &inner));
}

static void append_type(struct maker *maker, DBusMessageIter *to, DBusSignatureIter *type, int depth)
{
    int current = dbus_signature_iter_get_current_type(type);

    switch (current) {
    case DBUS_TYPE_VARIANT:
        append_any_variant(maker, to, depth);
        break;
    case DBUS_TYPE_ARRAY:
        append_elements(maker, to, type, depth);
        break;
    case DBUS_TYPE_STRUCT:
    case DBUS_TYPE_DICT_ENTRY:
        append_members(maker, to, type, depth);
        break;
    default:
        append_basic(maker, to, current);
        break;
    }
}

static void append_anything(struct maker *maker, DBusMessageIter *to)
{
    for (size_t left = bytes_choose(&maker->bytes, 4); left > 0; left--) {
        char signature[SIGNATURE_MAX] = "";
        DBusSignatureIter type;

        add_type(maker, signature, 0);
        dbus_signature_iter_init(&type, signature);
        append_type(maker, to, &type, 0);
    }
}

/* ---- the shapes of BusItem ---- */

static void append_variant_of(struct maker *maker, DBusMessageIter *to, int type)
{
    const char signature[] = {(char)type, '\0'};
    DBusMessageIter inner;

    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, signature, &inner));
    append_basic(maker, &inner, type);
    REQUIRE(dbus_message_iter_close_container(to, &inner));
}

static void append_invalid(DBusMessageIter *to)
{
    DBusMessageIter variant, array;

    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, "ai", &variant));
    REQUIRE(dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "i", &array));
    REQUIRE(dbus_message_iter_close_container(&variant, &array));
    REQUIRE(dbus_message_iter_close_container(to, &variant));
}

/* Variants in variants around a number. */
static void append_nested(struct maker *maker, DBusMessageIter *to, size_t depth)
{
    DBusMessageIter inner;

    if (depth == 0) {
        append_variant_of(maker, to, DBUS_TYPE_DOUBLE);
        return;
    }
    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, "v", &inner));
    append_nested(maker, &inner, depth - 1);
    REQUIRE(dbus_message_iter_close_container(to, &inner));
}

static void append_value(struct maker *maker, DBusMessageIter *to)
{
    switch (bytes_choose(&maker->bytes, 8)) {
    case 0:
    case 1:
    case 2:
        append_variant_of(maker, to, DBUS_TYPE_DOUBLE);
        break;
    case 3:
        append_variant_of(maker, to, DBUS_TYPE_INT32);
        break;
    case 4:
        append_variant_of(maker, to, DBUS_TYPE_STRING);
        break;
    case 5:
        append_invalid(to);
        break;
    case 6:
        append_nested(maker, to, bytes_choose(&maker->bytes, VARIANTS_MAX));
        break;
    default:
        append_any_variant(maker, to, 0);
        break;
    }
}

static void open_entry(DBusMessageIter *dict, const char *key, DBusMessageIter *entry)
{
    REQUIRE(dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, entry));
    REQUIRE(dbus_message_iter_append_basic(entry, DBUS_TYPE_STRING, &key));
}

static void append_property(struct maker *maker, DBusMessageIter *dict, const char *key)
{
    DBusMessageIter entry;

    open_entry(dict, key, &entry);
    append_value(maker, &entry);
    REQUIRE(dbus_message_iter_close_container(dict, &entry));
}

/* a{sv}: mostly Value and Text. */
static void append_properties(struct maker *maker, DBusMessageIter *to)
{
    char buf[MAKER_TEXT_MAX];
    DBusMessageIter dict;
    size_t kind = bytes_choose(&maker->bytes, 8);

    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_ARRAY, "{sv}", &dict));
    if (kind == 1)
        append_property(maker, &dict, any_text(maker, buf));
    if (kind != 2)
        append_property(maker, &dict, "Value");
    if (kind >= 3)
        append_property(maker, &dict, "Text");
    REQUIRE(dbus_message_iter_close_container(to, &dict));
}

/* What makes a battery a pack of the bank, before whatever else is said. */
static void append_whole_pack(struct maker *maker, DBusMessageIter *list)
{
    static const struct {
        const char *path;
        double number;
    } numbers[] = {{"/DeviceInstance", 1},
                   {"/Dc/0/Voltage", 53.1},
                   {"/Dc/0/Current", 10},
                   {"/Soc", 60},
                   {"/InstalledCapacity", 280},
                   {"/Info/MaxChargeVoltage", 55.2},
                   {"/Info/MaxChargeCurrent", 99},
                   {"/Info/MaxDischargeCurrent", 120},
                   {"/System/MaxCellVoltage", 3.33},
                   {"/System/MinCellVoltage", 3.31},
                   {"/System/NrOfCellsPerBattery", 16},
                   {"/Voltages/Cell3", 3.32}};
    const char *key = "Value";
    DBusMessageIter entry, dict, property, value;

    for (size_t i = 0; i < COUNT(numbers); i++) {
        if (one_in(maker, 32))
            continue;
        open_entry(list, numbers[i].path, &entry);
        REQUIRE(dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "{sv}", &dict));
        open_entry(&dict, key, &property);
        REQUIRE(dbus_message_iter_open_container(&property, DBUS_TYPE_VARIANT, "d", &value));
        REQUIRE(dbus_message_iter_append_basic(&value, DBUS_TYPE_DOUBLE, &numbers[i].number));
        REQUIRE(dbus_message_iter_close_container(&property, &value));
        REQUIRE(dbus_message_iter_close_container(&dict, &property));
        REQUIRE(dbus_message_iter_close_container(&entry, &dict));
        REQUIRE(dbus_message_iter_close_container(list, &entry));
    }
}

/* a{sa{sv}} */
static void append_items(struct maker *maker, DBusMessageIter *to)
{
    size_t count = bytes_choose(&maker->bytes, ENTRIES_MAX);
    DBusMessageIter list, entry;

    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_ARRAY, "{sa{sv}}", &list));
    if (one_in(maker, 3))
        append_whole_pack(maker, &list);
    for (size_t i = 0; i < count; i++) {
        char buf[MAKER_TEXT_MAX];

        open_entry(&list, one_in(maker, 4) ? any_text(maker, buf) : known_path(maker), &entry);
        append_properties(maker, &entry);
        REQUIRE(dbus_message_iter_close_container(&list, &entry));
    }
    REQUIRE(dbus_message_iter_close_container(to, &list));
}

/* A variant of a{sv}, which may hold others of its kind. */
static void append_subtree(struct maker *maker, DBusMessageIter *to, int depth)
{
    size_t count = bytes_choose(&maker->bytes, ENTRIES_MAX / (size_t)(depth + 1));
    DBusMessageIter variant, dict, entry;

    REQUIRE(dbus_message_iter_open_container(to, DBUS_TYPE_VARIANT, "a{sv}", &variant));
    REQUIRE(dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "{sv}", &dict));
    for (size_t i = 0; i < count; i++) {
        char buf[MAKER_TEXT_MAX];

        open_entry(&dict, any_text(maker, buf), &entry);
        if (depth < 3 * DEPTH_MAX && one_in(maker, 4))
            append_subtree(maker, &entry, depth + 1);
        else
            append_value(maker, &entry);
        REQUIRE(dbus_message_iter_close_container(&dict, &entry));
    }
    REQUIRE(dbus_message_iter_close_container(&variant, &dict));
    REQUIRE(dbus_message_iter_close_container(to, &variant));
}

/* The body that belongs to the member, now and then another one. */
static void append_body(struct maker *maker, DBusMessage *message, const char *member)
{
    DBusMessageIter to;

    dbus_message_iter_init_append(message, &to);
    if (one_in(maker, 8))
        append_anything(maker, &to);
    else if (strstr(member, "Items") || strcmp(member, "SetValues") == 0)
        append_items(maker, &to);
    else if (strcmp(member, "PropertiesChanged") == 0)
        append_properties(maker, &to);
    else if (strcmp(member, "SetValue") == 0)
        append_value(maker, &to);
}

/* ---- messages ---- */

static DBusMessage *finish(DBusMessage *message, const char *sender)
{
    REQUIRE(message && dbus_message_set_sender(message, sender));
    dbus_message_set_serial(message, 1);
    return message;
}

DBusMessage *maker_signal(struct maker *maker)
{
    static const char *const members[] = {"ItemsChanged", "PropertiesChanged", "ItemsChanged", "Other"};
    const char *sender = PICK(maker, maker_owners);
    const char *member = PICK(maker, members);
    char buf[MAKER_TEXT_MAX];
    const char *path = strcmp(member, "PropertiesChanged") == 0 ? known_path(maker) : any_path(maker, buf);
    DBusMessage *message =
        dbus_message_new_signal(path, one_in(maker, 16) ? "com.example.Other" : BUSITEM, member);

    append_body(maker, message, member);
    return finish(message, sender);
}

DBusMessage *maker_owner_changed(struct maker *maker)
{
    DBusMessage *message = dbus_message_new_signal(DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "NameOwnerChanged");
    const char *name = PICK(maker, maker_names);
    const char *owner = bytes_choose(&maker->bytes, 4) == 3 ? "" : PICK(maker, maker_owners);
    const char *before = "";
    char buf[MAKER_TEXT_MAX];
    size_t odd = bytes_choose(&maker->bytes, 16);

    if (odd == 1)
        name = any_text(maker, buf);
    if (odd == 2)
        owner = any_text(maker, buf);
    if (odd == 3)
        append_body(maker, message, "NameOwnerChanged");
    else
        REQUIRE(dbus_message_append_args(message, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                                         DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID));
    return finish(message, odd == 4 ? ":1.1" : DBUS_SERVICE_DBUS);
}

DBusMessage *maker_call(struct maker *maker)
{
    static const struct {
        const char *interface, *member;
    } members[] = {
        {BUSITEM, "GetValue"},
        {BUSITEM, "GetText"},
        {BUSITEM, "SetValue"},
        {BUSITEM, "GetDescription"},
        {BUSITEM, "GetItems"},
        {BUSITEM, "SetValues"},
        {NULL, "GetValue"},
        {BUSITEM, "Odd"},
        {DBUS_INTERFACE_INTROSPECTABLE, "Introspect"},
        {NULL, "SetValue"},
        {NULL, "GetText"},
        {DBUS_INTERFACE_PROPERTIES, "GetAll"},
        {NULL, "Introspect"},
        {"com.example.X", "GetValue"},
    };
    static const char *const own_paths[] = {"/",       "/CustomName",    "/Info", "/Dc/0", "/Battery/1/Name",
                                            "/Alarms", MAKER_NUMBER_PATH};
    size_t which = bytes_choose(&maker->bytes, COUNT(members));
    char buf[MAKER_TEXT_MAX];
    const char *path = one_in(maker, 2) ? PICK(maker, own_paths) : any_path(maker, buf);
    DBusMessage *message =
        dbus_message_new_method_call(NULL, path, members[which].interface, members[which].member);

    REQUIRE(message);
    dbus_message_set_no_reply(message, one_in(maker, 8));
    append_body(maker, message, members[which].member);
    return finish(message, PICK(maker, maker_owners));
}

static void append_names(struct maker *maker, DBusMessage *message)
{
    DBusMessageIter to, list;

    dbus_message_iter_init_append(message, &to);
    REQUIRE(dbus_message_iter_open_container(&to, DBUS_TYPE_ARRAY, "s", &list));
    for (size_t left = bytes_choose(&maker->bytes, 16); left > 0; left--) {
        char buf[MAKER_TEXT_MAX];
        const char *name = one_in(maker, 8) ? any_text(maker, buf) : PICK(maker, maker_names);

        REQUIRE(dbus_message_iter_append_basic(&list, DBUS_TYPE_STRING, &name));
    }
    REQUIRE(dbus_message_iter_close_container(&to, &list));
}

static void append_answer(struct maker *maker, DBusMessage *reply, DBusMessage *call)
{
    const char *member = dbus_message_get_member(call);
    DBusMessageIter to;

    if (one_in(maker, 8)) {
        append_body(maker, reply, "Odd");
    } else if (strcmp(member, "ListNames") == 0) {
        append_names(maker, reply);
    } else if (strcmp(member, "GetNameOwner") == 0) {
        const char *owner = PICK(maker, maker_owners);

        REQUIRE(dbus_message_append_args(reply, DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID));
    } else if (strcmp(member, "GetValue") == 0) {
        dbus_message_iter_init_append(reply, &to);
        if (strcmp(dbus_message_get_path(call), "/") == 0)
            append_subtree(maker, &to, 0);
        else
            append_value(maker, &to);
    } else {
        append_body(maker, reply, member);
    }
}

DBusMessage *maker_reply(struct maker *maker, DBusMessage *call)
{
    const char *sender = dbus_message_get_destination(call);
    size_t kind = bytes_choose(&maker->bytes, 8);
    DBusMessage *reply;

    if (kind == 1)
        return NULL;
    dbus_message_set_serial(call, 1);
    if (kind == 2)
        return finish(dbus_message_new_error(call, PICK(maker, errors), "no"), sender);
    reply = dbus_message_new_method_return(call);
    REQUIRE(reply);
    append_answer(maker, reply, call);
    return finish(reply, kind == 3 ? ":1.99" : sender);
}
