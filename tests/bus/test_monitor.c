/* bus/monitor: who is on the bus and what they say, against a real dbus-daemon. */
#include "bus/monitor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cmocka.h needs the others before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "private_bus.h"

#define BUSITEM "com.victronenergy.BusItem"
#define BATTERY "com.victronenergy.battery.ttyUSB0"
#define OTHER_BATTERY "com.victronenergy.battery.ttyUSB1"
#define PREFIX "com.victronenergy."

enum { PATHS = 5, NAMES = 4, KEPT_MAX = 8 };

static const char *const wanted_paths[PATHS] = {"/Dc/0/Voltage", "/Dc/0/Current", "/Soc", "/CustomName",
                                                "/DeviceInstance"};
enum path { VOLTAGE, CURRENT, SOC, CUSTOM_NAME, DEVICE_INSTANCE };

/* --- a service, as others write them --- */

enum answer {
    ANSWERS_ITEMS = 1,  /* GetItems */
    ANSWERS_TREE = 2,   /* GetValue of the root, flat keys */
    ANSWERS_NESTED = 4, /* GetValue of the root, a dictionary in a dictionary */
    ANSWERS_LEAVES = 8, /* GetValue of a leaf */
    ANSWERS_NOTHING = 16,
    ANSWERS_EMPTY = 64,    /* GetItems, without any item yet */
    ANSWERS_NONSENSE = 32, /* GetItems and the root's GetValue with shapes of their own */
    ANSWERS_LATE = 128,    /* keeps what it is asked until it wakes up */
};

struct peer {
    struct bus *bus;
    const char *name;
    int answers;
    int calls;           /* BusItem calls that came */
    char path[64], type; /* of the last SetValue */
    double voltage;
    DBusMessage *kept[KEPT_MAX];
    int kept_count;
    bool owns;
    bool closed;
};

/* --- what the client of the monitor was told --- */

struct seen {
    char name[64];
    int found, gone, silent, settled, first;
    int values[PATHS]; /* how often each was told */
    struct value last[PATHS];
    char text[64];
    int values_at_first;
    char owner[32];
    void *user;
};

struct fixture {
    uv_loop_t loop;
    struct private_bus daemon;
    struct bus *bus;
    struct monitor *monitor;
    struct paths *paths;
    struct seen seen[NAMES];
    struct peer peer[3];
    int wanted_calls;
    int signals; /* BusItem signals that reached our connection */
    bool closed;
};

static struct seen *seen_of(struct fixture *fixture, const char *name)
{
    for (int i = 0; i < NAMES; i++) {
        if (!fixture->seen[i].name[0])
            snprintf(fixture->seen[i].name, sizeof fixture->seen[i].name, "%s", name);
        if (strcmp(fixture->seen[i].name, name) == 0)
            return &fixture->seen[i];
    }
    fail_msg("too many names: %s", name);
    return NULL;
}

static const struct paths *client_wanted(void *ctx, const char *name)
{
    struct fixture *fixture = ctx;

    fixture->wanted_calls++;
    return strstr(name, ".battery.") ? fixture->paths : NULL;
}

static void client_found(void *ctx, struct monitor_service *service)
{
    struct seen *seen = seen_of(ctx, service->name);

    assert_true(isnan(service->heard_s));
    assert_false(service->scanned);
    snprintf(seen->owner, sizeof seen->owner, "%s", service->owner);
    for (int i = 0; i < PATHS; i++)
        seen->values[i] = 0;
    service->user = seen;
    seen->found++;
    assert_int_equal(seen->found, seen->gone + 1);
}

static void client_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct seen *seen = service->user;

    (void)ctx;
    assert_in_range(index, 0, PATHS - 1);
    assert_true(seen->found == seen->gone + 1);
    assert_false(isnan(service->heard_s));
    seen->values[index]++;
    seen->last[index] = *value;
    if (value->kind == VALUE_TEXT)
        snprintf(seen->text, sizeof seen->text, "%s", value->text);
}

static void client_settled(void *ctx, struct monitor_service *service, bool first)
{
    struct seen *seen = service->user;

    (void)ctx;
    seen->settled++;
    if (!first)
        return;
    assert_true(service->scanned);
    seen->first++;
    seen->values_at_first = 0;
    for (int i = 0; i < PATHS; i++)
        seen->values_at_first += seen->values[i];
}

static void client_silent(void *ctx, struct monitor_service *service, const char *why)
{
    struct seen *seen = service->user;

    (void)ctx;
    assert_true(strlen(why) > 0);
    seen->silent++;
}

static void client_gone(void *ctx, struct monitor_service *service)
{
    struct seen *seen = service->user;
    struct fixture *fixture = ctx;

    assert_null(monitor_find(fixture->monitor, service->name));
    seen->gone++;
}

/* --- the peers --- */

static void append_number(DBusMessageIter *iter, double number)
{
    struct value value = value_number(number);

    assert_true(value_append(iter, 'd', &value));
}

static void append_pair(DBusMessageIter *dict, const char *key, double number)
{
    DBusMessageIter entry;

    dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry);
    dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key);
    append_number(&entry, number);
    dbus_message_iter_close_container(dict, &entry);
}

static void append_text_pair(DBusMessageIter *dict, const char *key, const char *text)
{
    DBusMessageIter entry;
    struct value value = value_text(text);

    dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry);
    dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key);
    value_append(&entry, 's', &value);
    dbus_message_iter_close_container(dict, &entry);
}

/* One leaf of a{sa{sv}}: the text first, so that readers must look for "Value". */
static void append_item(DBusMessageIter *items, const char *path, double number)
{
    DBusMessageIter entry, properties;

    dbus_message_iter_open_container(items, DBUS_TYPE_DICT_ENTRY, NULL, &entry);
    dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &path);
    dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "{sv}", &properties);
    append_text_pair(&properties, "Text", "some text");
    append_pair(&properties, "Value", number);
    dbus_message_iter_close_container(&entry, &properties);
    dbus_message_iter_close_container(items, &entry);
}

static void append_items(DBusMessage *message, const struct peer *peer)
{
    DBusMessageIter iter, items;

    dbus_message_iter_init_append(message, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_ARRAY, "{sa{sv}}", &items);
    append_item(&items, "/Unrelated/1", 1);
    append_item(&items, "/Dc/0/Voltage", peer->voltage);
    append_item(&items, "/Unrelated/2", 2);
    append_item(&items, "/Soc", 55);
    dbus_message_iter_close_container(&iter, &items);
}

static void append_flat_tree(DBusMessage *message, const struct peer *peer)
{
    DBusMessageIter iter, variant, dict;

    dbus_message_iter_init_append(message, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_VARIANT, "a{sv}", &variant);
    dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "{sv}", &dict);
    append_pair(&dict, "Unrelated", 1);
    append_pair(&dict, "Dc/0/Voltage", peer->voltage);
    append_pair(&dict, "/Soc", 55); /* some write the slash */
    dbus_message_iter_close_container(&variant, &dict);
    dbus_message_iter_close_container(&iter, &variant);
}

static void append_nested_tree(DBusMessage *message, const struct peer *peer)
{
    static const char *const keys[] = {"Dc", "0"};
    DBusMessageIter at[2 + 2 * 3];
    int depth = 0;

    dbus_message_iter_init_append(message, &at[0]);
    for (int level = 0; level < 2; level++) {
        DBusMessageIter *outer = &at[depth];

        dbus_message_iter_open_container(outer, DBUS_TYPE_VARIANT, "a{sv}", &at[depth + 1]);
        dbus_message_iter_open_container(&at[depth + 1], DBUS_TYPE_ARRAY, "{sv}", &at[depth + 2]);
        if (level == 0)
            append_pair(&at[depth + 2], "Soc", 55);
        dbus_message_iter_open_container(&at[depth + 2], DBUS_TYPE_DICT_ENTRY, NULL, &at[depth + 3]);
        dbus_message_iter_append_basic(&at[depth + 3], DBUS_TYPE_STRING, &keys[level]);
        depth += 3;
    }
    {
        DBusMessageIter variant, dict;

        dbus_message_iter_open_container(&at[depth], DBUS_TYPE_VARIANT, "a{sv}", &variant);
        dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "{sv}", &dict);
        append_pair(&dict, "Voltage", peer->voltage);
        dbus_message_iter_close_container(&variant, &dict);
        dbus_message_iter_close_container(&at[depth], &variant);
    }
    for (; depth > 0; depth--)
        dbus_message_iter_close_container(&at[depth - 1], &at[depth]);
}

static void append_no_items(DBusMessage *message)
{
    DBusMessageIter iter, items;

    dbus_message_iter_init_append(message, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_ARRAY, "{sa{sv}}", &items);
    dbus_message_iter_close_container(&iter, &items);
}

/* A tree where items are asked for, a text where a tree is. */
static void append_nonsense(DBusMessage *message, const struct peer *peer, bool value)
{
    const char *text = "not what you asked for";

    if (value)
        dbus_message_append_args(message, DBUS_TYPE_STRING, &text, DBUS_TYPE_INVALID);
    else
        append_flat_tree(message, peer);
}

static DBusMessage *answer_leaf(struct peer *peer, DBusMessage *call)
{
    DBusMessage *reply = dbus_message_new_method_return(call);
    DBusMessageIter iter;

    dbus_message_iter_init_append(reply, &iter);
    if (dbus_message_has_path(call, "/Dc/0/Voltage")) {
        append_number(&iter, peer->voltage);
    } else if (dbus_message_has_path(call, "/Soc")) {
        append_number(&iter, 55);
    } else {
        dbus_message_unref(reply);
        return dbus_message_new_error(call, DBUS_ERROR_UNKNOWN_OBJECT, "no such path");
    }
    return reply;
}

static DBusMessage *answer(struct peer *peer, DBusMessage *call)
{
    bool root = dbus_message_has_path(call, "/");
    bool value = dbus_message_has_member(call, "GetValue");
    DBusMessage *reply = dbus_message_new_method_return(call);

    if (root && (peer->answers & ANSWERS_NONSENSE)) {
        append_nonsense(reply, peer, value);
    } else if (dbus_message_has_member(call, "GetItems") && (peer->answers & ANSWERS_ITEMS)) {
        append_items(reply, peer);
    } else if (root && !value && (peer->answers & ANSWERS_EMPTY)) {
        append_no_items(reply);
    } else if (root && value && (peer->answers & ANSWERS_TREE)) {
        append_flat_tree(reply, peer);
    } else if (root && value && (peer->answers & ANSWERS_NESTED)) {
        append_nested_tree(reply, peer);
    } else if (!root && value && (peer->answers & ANSWERS_LEAVES)) {
        dbus_message_unref(reply);
        reply = answer_leaf(peer, call);
    } else {
        dbus_message_unref(reply);
        reply = dbus_message_new_error(call, DBUS_ERROR_UNKNOWN_METHOD, "no such method");
    }
    return reply;
}

static bool peer_message(void *ctx, DBusMessage *message)
{
    struct peer *peer = ctx;
    DBusMessage *reply;

    if (dbus_message_get_type(message) != DBUS_MESSAGE_TYPE_METHOD_CALL ||
        !dbus_message_has_interface(message, BUSITEM))
        return false;
    peer->calls++;
    if (peer->answers & ANSWERS_NOTHING)
        return true;
    if (peer->answers & ANSWERS_LATE) {
        assert_true(peer->kept_count < KEPT_MAX);
        peer->kept[peer->kept_count++] = dbus_message_ref(message);
        return true;
    }
    if (dbus_message_has_member(message, "SetValue")) {
        DBusMessageIter iter, variant;
        dbus_int32_t result = 2;

        dbus_message_iter_init(message, &iter);
        dbus_message_iter_recurse(&iter, &variant);
        peer->type = (char)dbus_message_iter_get_arg_type(&variant);
        snprintf(peer->path, sizeof peer->path, "%s", dbus_message_get_path(message));
        reply = dbus_message_new_method_return(message);
        dbus_message_append_args(reply, DBUS_TYPE_INT32, &result, DBUS_TYPE_INVALID);
    } else {
        reply = answer(peer, message);
    }
    assert_true(bus_send(peer->bus, reply));
    dbus_message_unref(reply);
    return true;
}

static void peer_wakes(struct peer *peer)
{
    peer->answers &= ~ANSWERS_LATE;
    for (int i = 0; i < peer->kept_count; i++) {
        assert_true(peer_message(peer, peer->kept[i]));
        dbus_message_unref(peer->kept[i]);
    }
    peer->kept_count = 0;
}

static void name_taken(void *ctx, DBusMessage *reply)
{
    struct peer *peer = ctx;

    if (reply && dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_METHOD_RETURN)
        peer->owns = true;
}

static void peer_take(struct peer *peer, const char *name, dbus_uint32_t flags)
{
    DBusMessage *call =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "RequestName");

    dbus_message_append_args(call, DBUS_TYPE_STRING, &name, DBUS_TYPE_UINT32, &flags, DBUS_TYPE_INVALID);
    peer->owns = false;
    bus_call(peer->bus, call, 0, name_taken, peer);
    dbus_message_unref(call);
}

static void peer_up(void *ctx)
{
    struct peer *peer = ctx;

    if (peer->name)
        peer_take(peer, peer->name, DBUS_NAME_FLAG_ALLOW_REPLACEMENT);
    else
        peer->owns = true;
}

static void peer_down(void *ctx, const char *why)
{
    struct peer *peer = ctx;

    (void)why;
    peer->owns = false;
}

static void peer_closed(void *ctx)
{
    struct peer *peer = ctx;

    peer->bus = NULL;
    peer->closed = true;
}

static bool peer_owns(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->owns;
}

static bool peer_is_closed(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->closed;
}

static bool peer_was_called(void *ctx)
{
    const struct peer *peer = ctx;

    return peer->calls > 0;
}

/* name NULL: it takes none. Returns when it is there. */
static struct peer *peer_open(struct fixture *fixture, int number, const char *name, int answers)
{
    struct peer *peer = &fixture->peer[number];
    const struct bus_owner owner = {peer, peer_up, peer_down, peer_message};

    *peer = (struct peer){.name = name, .answers = answers, .voltage = 52.5};
    peer->bus = bus_new(&fixture->loop, fixture->daemon.address, &owner);
    await(&fixture->loop, peer_owns, peer, "a peer to own its name");
    return peer;
}

static void peer_close(struct fixture *fixture, struct peer *peer)
{
    bus_close(peer->bus, peer_closed, peer);
    await(&fixture->loop, peer_is_closed, peer, "a peer to close");
}

static void peer_send(struct peer *peer, DBusMessage *signal, const char *destination)
{
    if (destination)
        dbus_message_set_destination(signal, destination);
    assert_true(bus_send(peer->bus, signal));
    dbus_message_unref(signal);
}

/* ItemsChanged with the voltage among unrelated paths, and PropertiesChanged of one path. */
static void peer_items_changed(struct peer *peer, double voltage, const char *destination)
{
    DBusMessage *signal = dbus_message_new_signal("/", BUSITEM, "ItemsChanged");

    peer->voltage = voltage;
    append_items(signal, peer);
    peer_send(peer, signal, destination);
}

static void peer_property_changed(struct peer *peer, const char *path, double number)
{
    DBusMessage *signal = dbus_message_new_signal(path, BUSITEM, "PropertiesChanged");
    DBusMessageIter iter, dict;

    dbus_message_iter_init_append(signal, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_ARRAY, "{sv}", &dict);
    append_text_pair(&dict, "Text", "some text");
    append_pair(&dict, "Value", number);
    dbus_message_iter_close_container(&iter, &dict);
    peer_send(peer, signal, NULL);
}

/* --- the monitor's own connection --- */

static void own_up(void *ctx)
{
    struct fixture *fixture = ctx;

    monitor_up(fixture->monitor);
}

static void own_down(void *ctx, const char *why)
{
    struct fixture *fixture = ctx;

    (void)why;
    monitor_down(fixture->monitor);
    assert_int_equal(monitor_count(fixture->monitor), 0);
}

static bool own_message(void *ctx, DBusMessage *message)
{
    struct fixture *fixture = ctx;

    if (dbus_message_has_interface(message, BUSITEM))
        fixture->signals++;
    return fixture->monitor && monitor_message(fixture->monitor, message);
}

static void own_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static bool own_is_up(void *ctx)
{
    const struct fixture *fixture = ctx;

    return bus_is_up(fixture->bus);
}

static void monitor_open(struct fixture *fixture)
{
    const struct bus_owner owner = {fixture, own_up, own_down, own_message};
    const struct monitor_client client = {
        fixture, client_wanted, client_found, client_value, client_settled, client_silent, client_gone, NULL,
    };

    fixture->bus = bus_new(&fixture->loop, fixture->daemon.address, &owner);
    fixture->monitor = monitor_new(fixture->bus, &fixture->loop, PREFIX, &client);
    assert_non_null(fixture->monitor);
    await(&fixture->loop, own_is_up, fixture, "the monitor's connection");
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    uv_loop_init(&fixture->loop);
    private_bus_init(&fixture->daemon);
    private_bus_start(&fixture->daemon);
    fixture->paths = paths_new(wanted_paths, PATHS);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    monitor_free(fixture->monitor);
    if (fixture->bus)
        bus_close(fixture->bus, own_closed, &fixture->closed);
    for (int i = 0; i < 3; i++) {
        if (fixture->peer[i].bus)
            bus_close(fixture->peer[i].bus, peer_closed, &fixture->peer[i]);
    }
    loop_finish(&fixture->loop);
    for (int i = 0; i < NAMES; i++)
        assert_int_equal(fixture->seen[i].found, fixture->seen[i].gone);
    paths_free(fixture->paths);
    private_bus_remove(&fixture->daemon);
    free(fixture);
    return 0;
}

/* --- what can be awaited --- */

static bool is_found(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->found > seen->gone;
}

static bool is_scanned(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->first > 0;
}

static bool is_settled(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->settled > 0;
}

static bool is_silent(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->silent > 0;
}

static bool is_gone(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->gone > 0;
}

/* Waits until everything that was sent before has been handled: a call to the bus is answered in order. */
struct fence {
    bool passed;
};

static void fence_answered(void *ctx, DBusMessage *reply)
{
    struct fence *fence = ctx;

    assert_non_null(reply);
    assert_int_not_equal(dbus_message_get_type(reply), DBUS_MESSAGE_TYPE_ERROR);
    fence->passed = true;
}

static bool fence_passed(void *ctx)
{
    const struct fence *fence = ctx;

    return fence->passed;
}

/* A slow machine is no fault. */
enum { PATIENCE_MS = 60000 };

static void fence_on(struct fixture *fixture, struct bus *bus)
{
    struct fence fence = {false};
    DBusMessage *call =
        dbus_message_new_method_call(DBUS_SERVICE_DBUS, DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "GetId");

    bus_call(bus, call, PATIENCE_MS, fence_answered, &fence);
    dbus_message_unref(call);
    await(&fixture->loop, fence_passed, &fence, "the bus to answer");
}

/* First the sender's words are with the bus, then what the bus sent us is handled. */
static void fence(struct fixture *fixture, struct peer *peer)
{
    fence_on(fixture, peer->bus);
    fence_on(fixture, fixture->bus);
}

static struct seen *battery_scanned(struct fixture *fixture)
{
    struct seen *seen = seen_of(fixture, BATTERY);

    await(&fixture->loop, is_scanned, seen, "the first scan");
    return seen;
}

static void assert_scanned_well(struct fixture *fixture, const struct seen *seen)
{
    const struct monitor_service *service = monitor_find(fixture->monitor, seen->name);

    assert_non_null(service);
    assert_true(service->scanned);
    assert_false(isnan(service->heard_s));
    assert_int_equal(seen->first, 1);
    assert_int_equal(seen->values_at_first, 2);
    assert_int_equal(seen->values[VOLTAGE], 1);
    assert_int_equal(seen->values[SOC], 1);
    assert_true(seen->last[VOLTAGE].number == 52.5);
    assert_true(seen->last[SOC].number == 55);
    assert_int_equal(seen->silent, 0);
}

/* --- finding and scanning --- */

static void a_service_that_was_there_before_us_is_found_and_scanned(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    monitor_open(fixture);
    assert_scanned_well(fixture, battery_scanned(fixture));
    assert_int_equal(fixture->wanted_calls, 1);
    assert_int_equal(fixture->peer[0].calls, 1);
    assert_int_equal(monitor_count(fixture->monitor), 1);
    assert_ptr_equal(monitor_at(fixture->monitor, 0), monitor_find(fixture->monitor, BATTERY));
}

static void a_service_that_comes_after_us_is_found_and_scanned(void **state)
{
    struct fixture *fixture = *state;

    monitor_open(fixture);
    fence_on(fixture, fixture->bus);
    peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    assert_scanned_well(fixture, battery_scanned(fixture));
    assert_int_equal(fixture->wanted_calls, 1);
}

static void names_that_the_client_does_not_want_are_left_alone(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, 0, "com.victronenergy.hub4", ANSWERS_ITEMS);
    peer_open(fixture, 1, "com.example.battery.x", ANSWERS_ITEMS);
    monitor_open(fixture);
    peer_open(fixture, 2, BATTERY, ANSWERS_ITEMS);
    battery_scanned(fixture);
    assert_int_equal(monitor_count(fixture->monitor), 1);
    assert_int_equal(fixture->peer[0].calls, 0);
    assert_int_equal(fixture->peer[1].calls, 0);
    assert_int_equal(fixture->wanted_calls, 2);
}

static void without_get_items_the_value_of_the_root_is_read(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, 0, BATTERY, ANSWERS_TREE);
    monitor_open(fixture);
    assert_scanned_well(fixture, battery_scanned(fixture));
    assert_int_equal(fixture->peer[0].calls, 2);
}

static void the_value_of_the_root_may_be_nested(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, 0, BATTERY, ANSWERS_NESTED);
    monitor_open(fixture);
    assert_scanned_well(fixture, battery_scanned(fixture));
}

static void without_either_each_leaf_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct seen *seen;

    peer_open(fixture, 0, BATTERY, ANSWERS_LEAVES);
    monitor_open(fixture);
    seen = battery_scanned(fixture);
    assert_scanned_well(fixture, seen);
    assert_int_equal(seen->settled, 1); /* the instant is complete at the end only */
    assert_int_equal(fixture->peer[0].calls, 2 + PATHS);
}

static void answers_of_another_shape_lead_to_the_next_way(void **state)
{
    struct fixture *fixture = *state;

    peer_open(fixture, 0, BATTERY, ANSWERS_NONSENSE | ANSWERS_LEAVES);
    monitor_open(fixture);
    assert_scanned_well(fixture, battery_scanned(fixture));
}

/* Some take their name before their paths are there. */
static void a_service_that_shows_nothing_yet_is_scanned_again(void **state)
{
    struct fixture *fixture = *state;
    struct seen *seen = seen_of(fixture, BATTERY);
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_EMPTY);

    monitor_open(fixture);
    await(&fixture->loop, is_silent, seen, "silence to be told");
    assert_int_equal(seen->first, 0);
    peer->answers = ANSWERS_ITEMS;
    await(&fixture->loop, is_scanned, seen, "the second scan");
    assert_int_equal(seen->values_at_first, 2);
    assert_int_equal(seen->silent, 1);
}

static void a_service_that_never_answers_costs_the_others_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct seen *mute = seen_of(fixture, BATTERY), *other = seen_of(fixture, OTHER_BATTERY);

    peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);
    monitor_open(fixture);
    await(&fixture->loop, is_found, mute, "the mute one to be found");
    await(&fixture->loop, peer_was_called, &fixture->peer[0], "the mute one to be asked");
    peer_open(fixture, 1, OTHER_BATTERY, ANSWERS_ITEMS);
    await(&fixture->loop, is_scanned, other, "the other's scan");
    assert_int_equal(mute->silent, 0); /* its time is not even up */
    assert_scanned_well(fixture, other);
}

static void silence_is_told_once_and_the_scan_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct seen *seen = seen_of(fixture, BATTERY);
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);

    monitor_open(fixture);
    await(&fixture->loop, is_silent, seen, "silence to be told");
    assert_true(isnan(monitor_find(fixture->monitor, BATTERY)->heard_s));
    assert_int_equal(peer->calls, 1); /* who does not answer is not asked in other ways */
    peer->calls = 0;
    await(&fixture->loop, peer_was_called, peer, "the second scan");
    peer->calls = 0;
    peer->answers = ANSWERS_ITEMS; /* the second one is not answered either, the third is */
    await(&fixture->loop, is_scanned, seen, "the third scan");
    assert_int_equal(seen->silent, 1);
    assert_int_equal(seen->values_at_first, 2);
}

/* --- signals --- */

static void items_changed_brings_wanted_values_only(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;
    double heard_s;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    heard_s = monitor_find(fixture->monitor, BATTERY)->heard_s;
    peer_items_changed(peer, 53.25, NULL);
    fence(fixture, peer);
    assert_true(seen->last[VOLTAGE].number == 53.25);
    assert_int_equal(seen->values[VOLTAGE], 2);
    assert_int_equal(seen->values[CURRENT], 0);
    assert_int_equal(seen->settled, 2);
    assert_int_equal(seen->first, 1);
    assert_true(monitor_find(fixture->monitor, BATTERY)->heard_s > heard_s);
}

static void properties_changed_brings_the_value_of_its_path(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    peer_property_changed(peer, "/Dc/0/Current", -12.5);
    peer_property_changed(peer, "/Unrelated/1", 7);
    fence(fixture, peer);
    assert_true(seen->last[CURRENT].number == -12.5);
    assert_int_equal(seen->values[CURRENT], 1);
    assert_int_equal(seen->values[VOLTAGE], 1);
    assert_int_equal(seen->settled, 2); /* the unrelated one settles nothing */
}

static void a_signal_before_the_scan_is_answered_counts(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);
    struct seen *seen = seen_of(fixture, BATTERY);

    monitor_open(fixture);
    await(&fixture->loop, peer_was_called, peer, "the scan to begin");
    peer_items_changed(peer, 51.5, NULL);
    await(&fixture->loop, is_settled, seen, "the signal");
    assert_int_equal(seen->first, 0);
    assert_true(seen->last[VOLTAGE].number == 51.5);
    assert_false(monitor_find(fixture->monitor, BATTERY)->scanned);
}

static void nobody_but_the_owner_can_speak_for_a_name(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct peer *stranger = peer_open(fixture, 1, NULL, ANSWERS_ITEMS);
    struct seen *seen;
    DBusMessage *forged;
    const char *name = BATTERY, *owner = dbus_bus_get_unique_name(bus_connection(peer->bus)), *none = "";
    const char *us;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    us = dbus_bus_get_unique_name(bus_connection(fixture->bus));
    peer_items_changed(stranger, 99, NULL);
    peer_items_changed(stranger, 99, us);
    forged = dbus_message_new_signal("/", BUSITEM, "ItemsChanged");
    append_items(forged, stranger);
    dbus_message_set_sender(forged, owner);
    peer_send(stranger, forged, us);
    forged = dbus_message_new_signal(DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "NameOwnerChanged");
    dbus_message_append_args(forged, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &owner, DBUS_TYPE_STRING,
                             &none, DBUS_TYPE_INVALID);
    peer_send(stranger, forged, us);
    fence(fixture, stranger);
    assert_scanned_well(fixture, seen);
    assert_int_equal(seen->gone, 0);
}

/* So many that some share the place of the owner in any table. */
static void none_of_a_crowd_is_mistaken_for_the_owner(void **state)
{
    enum { CROWD = 600 };
    struct fixture *fixture = *state;
    struct seen *seen;
    const char *us;

    peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    monitor_open(fixture);
    seen = battery_scanned(fixture);
    us = dbus_bus_get_unique_name(bus_connection(fixture->bus));
    for (int i = 0; i < CROWD; i++) {
        const struct peer stranger = {.voltage = 99};
        DBusConnection *connection = dbus_connection_open_private(fixture->daemon.address, NULL);
        DBusMessage *signal = dbus_message_new_signal("/", BUSITEM, "ItemsChanged");

        assert_non_null(connection);
        assert_true(dbus_bus_register(connection, NULL));
        append_items(signal, &stranger);
        dbus_message_set_destination(signal, us);
        dbus_connection_send(connection, signal, NULL);
        dbus_message_unref(signal);
        dbus_connection_flush(connection);
        dbus_connection_close(connection);
        dbus_connection_unref(connection);
    }
    fence_on(fixture, fixture->bus);
    assert_int_equal(fixture->signals, CROWD);
    assert_scanned_well(fixture, seen);
}

/* An unwanted flood must not even reach us: the bus filters by sender. */
static void signals_of_services_that_are_not_wanted_do_not_reach_us(void **state)
{
    struct fixture *fixture = *state;
    struct peer *flood = peer_open(fixture, 0, "com.victronenergy.hub4", ANSWERS_ITEMS);
    struct peer *battery = peer_open(fixture, 1, BATTERY, ANSWERS_ITEMS);

    monitor_open(fixture);
    battery_scanned(fixture);
    for (int i = 0; i < 100; i++)
        peer_items_changed(flood, i, NULL);
    fence(fixture, flood);
    assert_int_equal(fixture->signals, 0);
    peer_items_changed(battery, 53, NULL);
    fence(fixture, battery);
    assert_int_equal(fixture->signals, 1);
}

static void one_connection_may_own_several_names(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *first, *second = seen_of(fixture, OTHER_BATTERY);

    peer_take(peer, OTHER_BATTERY, 0);
    monitor_open(fixture);
    first = battery_scanned(fixture);
    await(&fixture->loop, is_scanned, second, "the scan of the other name");
    peer_items_changed(peer, 53.75, NULL);
    fence(fixture, peer);
    assert_true(first->last[VOLTAGE].number == 53.75);
    assert_true(second->last[VOLTAGE].number == 53.75);
    assert_int_equal(first->values[VOLTAGE], 2); /* one message, once each */
    assert_int_equal(second->values[VOLTAGE], 2);
}

/* --- names that come and go --- */

static void a_name_that_leaves_is_gone_and_one_that_returns_is_scanned(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    peer_close(fixture, peer);
    await(&fixture->loop, is_gone, seen, "it to go");
    assert_null(monitor_find(fixture->monitor, BATTERY));
    assert_int_equal(monitor_count(fixture->monitor), 0);
    seen->first = 0;
    peer_open(fixture, 1, BATTERY, ANSWERS_ITEMS);
    await(&fixture->loop, is_scanned, seen, "the scan of the one that came back");
    assert_int_equal(seen->found, 2);
    assert_int_equal(seen->gone, 1);
}

static void a_name_that_changes_its_owner_is_gone_then_found(void **state)
{
    struct fixture *fixture = *state;
    struct peer *old = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS), *new;
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    new = peer_open(fixture, 1, NULL, ANSWERS_ITEMS);
    new->voltage = 48.5;
    seen->first = 0;
    peer_take(new, BATTERY, DBUS_NAME_FLAG_REPLACE_EXISTING);
    await(&fixture->loop, is_scanned, seen, "the scan of the new owner");
    assert_int_equal(seen->gone, 1);
    assert_int_equal(seen->found, 2);
    assert_true(seen->last[VOLTAGE].number == 48.5);
    assert_string_equal(seen->owner, dbus_bus_get_unique_name(bus_connection(new->bus)));

    /* The old one is nobody now, the new one is heard. */
    peer_items_changed(old, 99, dbus_bus_get_unique_name(bus_connection(fixture->bus)));
    fence(fixture, old);
    assert_true(seen->last[VOLTAGE].number == 48.5);
    peer_items_changed(new, 48.75, NULL);
    fence(fixture, new);
    assert_true(seen->last[VOLTAGE].number == 48.75);
}

static void a_service_that_goes_while_it_is_scanned_leaves_nothing_behind(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);
    struct seen *seen = seen_of(fixture, BATTERY);

    monitor_open(fixture);
    await(&fixture->loop, peer_was_called, peer, "the scan to begin");
    monitor_ask(fixture->monitor, monitor_find(fixture->monitor, BATTERY), NULL);
    peer_close(fixture, peer);
    await(&fixture->loop, is_gone, seen, "it to go");
    fence_on(fixture, fixture->bus); /* the late errors of its calls have come by now */
    assert_int_equal(seen->silent, 0);
    assert_int_equal(seen->settled, 0);
}

static void a_bus_that_restarts_is_scanned_anew(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    for (int round = 1; round <= 2; round++) {
        private_bus_kill(&fixture->daemon);
        seen->gone = round - 1;
        seen->first = 0;
        private_bus_start(&fixture->daemon);
        await(&fixture->loop, is_scanned, seen, "the scan after the restart");
        assert_int_equal(seen->found, round + 1);
        assert_int_equal(seen->gone, round);
    }
    peer_items_changed(peer, 50.5, NULL);
    fence(fixture, peer);
    assert_true(seen->last[VOLTAGE].number == 50.5);
}

static void the_monitor_may_be_freed_while_calls_are_in_flight(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);
    struct seen *seen = seen_of(fixture, BATTERY);

    monitor_open(fixture);
    await(&fixture->loop, peer_was_called, peer, "the scan to begin");
    monitor_ask(fixture->monitor, monitor_find(fixture->monitor, BATTERY), NULL);
    monitor_free(fixture->monitor);
    fixture->monitor = NULL;
    assert_int_equal(seen->gone, 1);
    uv_run(&fixture->loop, UV_RUN_NOWAIT); /* its memory is gone now */
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    bus_close(fixture->bus, NULL, NULL); /* answers them with NULL */
    fixture->bus = NULL;
}

/* --- asking and writing --- */

static bool is_heard(void *ctx)
{
    const struct fixture *fixture = ctx;

    return !isnan(monitor_find(fixture->monitor, BATTERY)->heard_s);
}

static void any_answer_is_a_sign_of_life(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct monitor_service *service;
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    service = monitor_find(fixture->monitor, BATTERY);
    service->heard_s = NAN;
    monitor_ask(fixture->monitor, service, NULL); /* it answers with an error: it lives */
    await(&fixture->loop, is_heard, fixture, "the sign of life");
    assert_int_equal(peer->calls, 2);
    assert_int_equal(seen->settled, 1);
}

static bool is_settled_again(void *ctx)
{
    const struct seen *seen = ctx;

    return seen->settled > 1;
}

static void what_it_answers_for_a_wanted_path_is_a_value(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_LEAVES);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    assert_int_equal(seen->settled, 1);
    peer->voltage = 49.25; /* and no signal tells it */
    monitor_ask(fixture->monitor, monitor_find(fixture->monitor, BATTERY), "/Dc/0/Voltage");
    await(&fixture->loop, is_settled_again, seen, "the answer");
    assert_true(seen->last[VOLTAGE].number == 49.25);
    assert_int_equal(seen->first, 1);
}

static void a_service_that_is_silent_is_asked_one_question_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct monitor_service *service;

    monitor_open(fixture);
    battery_scanned(fixture);
    peer->answers = ANSWERS_NOTHING;
    peer->calls = 0;
    service = monitor_find(fixture->monitor, BATTERY);
    service->heard_s = NAN;
    for (int i = 0; i < 10; i++)
        monitor_ask(fixture->monitor, service, "/Soc");
    await(&fixture->loop, peer_was_called, peer, "the question");
    fence(fixture, peer);
    assert_int_equal(peer->calls, 1);
    assert_true(isnan(service->heard_s));
}

static void time_is_up(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

static void let_pass(struct fixture *fixture, unsigned time_ms)
{
    static uv_timer_t timer; /* outlives its close callback */
    bool passed = false;

    uv_timer_init(&fixture->loop, &timer);
    timer.data = &passed;
    uv_update_time(&fixture->loop);
    uv_timer_start(&timer, time_is_up, time_ms, 0);
    await(&fixture->loop, is_true, &passed, "time to pass");
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
}

/* The bus counts what is not answered, and at 128 refuses every call of ours. */
static void a_service_that_never_answers_is_asked_four_times_until_it_is_heard(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct monitor_service *service;

    monitor_open(fixture);
    battery_scanned(fixture);
    peer->answers = ANSWERS_NOTHING;
    peer->calls = 0;
    service = monitor_find(fixture->monitor, BATTERY);
    for (int i = 0; i < 8; i++) { /* it is asked in four of them */
        monitor_ask(fixture->monitor, service, NULL);
        let_pass(fixture, BUS_CALL_TIMEOUT_MS + 50);
    }
    fence(fixture, peer);
    fence(fixture, peer);
    assert_int_equal(peer->calls, 4);
    peer_items_changed(peer, 53, NULL); /* it lives, and has lost the question */
    fence(fixture, peer);
    monitor_ask(fixture->monitor, service, NULL);
    monitor_ask(fixture->monitor, service, NULL);
    fence(fixture, peer);
    fence(fixture, peer);
    assert_int_equal(peer->calls, 5);
}

/* One that was stopped and goes on has all its questions still. */
static void an_answer_that_comes_too_late_is_a_sign_of_life(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS | ANSWERS_LEAVES);
    struct monitor_service *service;
    double heard_s;

    monitor_open(fixture);
    battery_scanned(fixture);
    service = monitor_find(fixture->monitor, BATTERY);
    peer->answers |= ANSWERS_LATE;
    heard_s = service->heard_s;
    monitor_ask(fixture->monitor, service, NULL);
    let_pass(fixture, BUS_CALL_TIMEOUT_MS + 50);
    peer_wakes(peer);
    fence(fixture, peer);
    assert_true(service->heard_s > heard_s);
}

/* Each time that it comes it is scanned, and the bus forgets none of that for as long as it is connected. */
static void a_name_that_comes_and_goes_and_never_answers_uses_up_few_calls(void **state)
{
    struct fixture *fixture = *state;
    struct seen *other = seen_of(fixture, OTHER_BATTERY);
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_NOTHING);

    monitor_open(fixture);
    fence(fixture, peer);
    for (int i = 0; i < 100; i++) {
        DBusError error = DBUS_ERROR_INIT;

        dbus_bus_release_name(bus_connection(peer->bus), BATTERY, &error);
        assert_false(dbus_error_is_set(&error));
        fence(fixture, peer);
        peer->owns = false;
        peer_take(peer, BATTERY, DBUS_NAME_FLAG_DO_NOT_QUEUE);
        await(&fixture->loop, peer_owns, peer, "the name to be taken");
        fence(fixture, peer);
    }
    assert_in_range(peer->calls, 1,
                    32); /* 16 at once; more where that took so long that some were given up */
    peer_open(fixture, 1, OTHER_BATTERY, ANSWERS_ITEMS);
    await(&fixture->loop, is_scanned, other, "the other's scan");
    assert_scanned_well(fixture, other);
}

struct written {
    bool answered;
    dbus_int32_t result;
};

static void write_answered(void *ctx, DBusMessage *reply)
{
    struct written *written = ctx;

    written->answered = true;
    written->result = -1;
    if (reply)
        dbus_message_get_args(reply, NULL, DBUS_TYPE_INT32, &written->result, DBUS_TYPE_INVALID);
}

static bool is_written(void *ctx)
{
    const struct written *written = ctx;

    return written->answered;
}

static void a_value_is_written_as_the_type_that_is_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct written written = {false, 0};
    struct value value = value_number(1);

    monitor_open(fixture);
    battery_scanned(fixture);
    monitor_set(fixture->monitor, BATTERY, "/Settings/X", 'i', &value, write_answered, &written);
    await(&fixture->loop, is_written, &written, "the answer");
    assert_int_equal(written.result, 2);
    assert_int_equal(peer->type, 'i');
    assert_string_equal(peer->path, "/Settings/X");
}

static void a_malformed_path_is_never_written(void **state)
{
    struct fixture *fixture = *state;
    struct written written = {false, 0};
    struct value value = value_number(1);

    monitor_open(fixture);
    monitor_set(fixture->monitor, BATTERY, "no path", 'i', &value, write_answered, &written);
    assert_true(written.answered);
    assert_int_equal(written.result, -1);
}

/* --- what anybody may send --- */

/* Appends one dictionary a{sa{sv}} whose only "Value" is written by fill into a variant of signature. */
static DBusMessage *voltage_changed(const char *signature, void (*fill)(DBusMessageIter *variant))
{
    static const char *const path = "/Dc/0/Voltage", *const key = "Value";
    DBusMessage *signal = dbus_message_new_signal("/", BUSITEM, "ItemsChanged");
    DBusMessageIter iter, items, item, properties, property, variant;

    dbus_message_iter_init_append(signal, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_ARRAY, "{sa{sv}}", &items);
    dbus_message_iter_open_container(&items, DBUS_TYPE_DICT_ENTRY, NULL, &item);
    dbus_message_iter_append_basic(&item, DBUS_TYPE_STRING, &path);
    dbus_message_iter_open_container(&item, DBUS_TYPE_ARRAY, "{sv}", &properties);
    dbus_message_iter_open_container(&properties, DBUS_TYPE_DICT_ENTRY, NULL, &property);
    dbus_message_iter_append_basic(&property, DBUS_TYPE_STRING, &key);
    dbus_message_iter_open_container(&property, DBUS_TYPE_VARIANT, signature, &variant);
    fill(&variant);
    dbus_message_iter_close_container(&property, &variant);
    dbus_message_iter_close_container(&properties, &property);
    dbus_message_iter_close_container(&item, &properties);
    dbus_message_iter_close_container(&items, &item);
    dbus_message_iter_close_container(&iter, &items);
    return signal;
}

#define FILL(name, dbus_type, c_type, content)                      \
    static void name(DBusMessageIter *variant)                      \
    {                                                               \
        c_type basic = content;                                     \
                                                                    \
        dbus_message_iter_append_basic(variant, dbus_type, &basic); \
    }

FILL(fill_byte, DBUS_TYPE_BYTE, unsigned char, 7)
FILL(fill_boolean, DBUS_TYPE_BOOLEAN, dbus_bool_t, TRUE)
FILL(fill_int16, DBUS_TYPE_INT16, dbus_int16_t, -7)
FILL(fill_uint16, DBUS_TYPE_UINT16, dbus_uint16_t, 65535)
FILL(fill_int32, DBUS_TYPE_INT32, dbus_int32_t, -70000)
FILL(fill_uint32, DBUS_TYPE_UINT32, dbus_uint32_t, 4000000000u)
FILL(fill_int64, DBUS_TYPE_INT64, dbus_int64_t, -5000000000LL)
FILL(fill_uint64, DBUS_TYPE_UINT64, dbus_uint64_t, 5000000000ULL)
FILL(fill_double, DBUS_TYPE_DOUBLE, double, 52.125)
FILL(fill_nan, DBUS_TYPE_DOUBLE, double, NAN)
FILL(fill_text, DBUS_TYPE_STRING, const char *, "52.1")
FILL(fill_path, DBUS_TYPE_OBJECT_PATH, const char *, "/a")
FILL(fill_signature, DBUS_TYPE_SIGNATURE, const char *, "ai")
FILL(fill_fd, DBUS_TYPE_UNIX_FD, int, 2)

static void fill_array(DBusMessageIter *variant)
{
    DBusMessageIter array;
    double basic = 52;

    dbus_message_iter_open_container(variant, DBUS_TYPE_ARRAY, "d", &array);
    dbus_message_iter_append_basic(&array, DBUS_TYPE_DOUBLE, &basic);
    dbus_message_iter_close_container(variant, &array);
}

static void fill_empty_array(DBusMessageIter *variant)
{
    DBusMessageIter array;

    dbus_message_iter_open_container(variant, DBUS_TYPE_ARRAY, "i", &array);
    dbus_message_iter_close_container(variant, &array);
}

static void fill_structure(DBusMessageIter *variant)
{
    DBusMessageIter structure;

    dbus_message_iter_open_container(variant, DBUS_TYPE_STRUCT, NULL, &structure);
    fill_double(&structure);
    dbus_message_iter_close_container(variant, &structure);
}

static void fill_variant(DBusMessageIter *variant)
{
    DBusMessageIter inner;

    dbus_message_iter_open_container(variant, DBUS_TYPE_VARIANT, "d", &inner);
    fill_double(&inner);
    dbus_message_iter_close_container(variant, &inner);
}

static void a_value_may_have_any_type(void **state)
{
    static const struct {
        const char *signature;
        void (*fill)(DBusMessageIter *variant);
        enum value_kind kind;
        double number;
        const char *text;
    } rows[] = {
        {"y", fill_byte, VALUE_NUMBER, 7, NULL},
        {"b", fill_boolean, VALUE_NUMBER, 1, NULL},
        {"n", fill_int16, VALUE_NUMBER, -7, NULL},
        {"q", fill_uint16, VALUE_NUMBER, 65535, NULL},
        {"i", fill_int32, VALUE_NUMBER, -70000, NULL},
        {"u", fill_uint32, VALUE_NUMBER, 4000000000.0, NULL},
        {"x", fill_int64, VALUE_NUMBER, -5000000000.0, NULL},
        {"t", fill_uint64, VALUE_NUMBER, 5000000000.0, NULL},
        {"d", fill_double, VALUE_NUMBER, 52.125, NULL},
        {"d", fill_nan, VALUE_NUMBER, NAN, NULL},
        {"v", fill_variant, VALUE_NUMBER, 52.125, NULL},
        {"s", fill_text, VALUE_TEXT, NAN, "52.1"},
        {"o", fill_path, VALUE_TEXT, NAN, "/a"},
        {"g", fill_signature, VALUE_TEXT, NAN, "ai"},
        {"h", fill_fd, VALUE_UNUSABLE, NAN, NULL},
        {"ad", fill_array, VALUE_UNUSABLE, NAN, NULL},
        {"(d)", fill_structure, VALUE_UNUSABLE, NAN, NULL},
        {"ai", fill_empty_array, VALUE_INVALID, NAN, NULL},
    };
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct value *last = &seen->last[VOLTAGE];

        seen->values[VOLTAGE] = 0;
        peer_send(peer, voltage_changed(rows[i].signature, rows[i].fill), NULL);
        fence(fixture, peer);
        assert_int_equal(seen->values[VOLTAGE], 1);
        assert_int_equal(last->kind, rows[i].kind);
        assert_true(isnan(rows[i].number) ? isnan(last->number) : last->number == rows[i].number);
        if (rows[i].text)
            assert_string_equal(seen->text, rows[i].text);
    }
}

/* Writes one complete value of a signature, the simplest there is; text is the path that is wanted. */
static void append_simplest(DBusMessageIter *iter, DBusSignatureIter *type)
{
    static const char *const path = "/Dc/0/Voltage", *const signature = "i";
    DBusMessageIter inner;
    DBusSignatureIter element;
    DBusBasicValue basic;
    char *contained;
    int kind = dbus_signature_iter_get_current_type(type);

    memset(&basic, 0, sizeof basic);
    if (dbus_type_is_basic(kind)) {
        if (kind == DBUS_TYPE_STRING || kind == DBUS_TYPE_OBJECT_PATH)
            dbus_message_iter_append_basic(iter, kind, &path);
        else if (kind == DBUS_TYPE_SIGNATURE)
            dbus_message_iter_append_basic(iter, kind, &signature);
        else
            dbus_message_iter_append_basic(iter, kind, &basic);
        return;
    }
    if (kind == DBUS_TYPE_VARIANT) {
        dbus_message_iter_open_container(iter, kind, "i", &inner);
        dbus_message_iter_append_basic(&inner, DBUS_TYPE_INT32, &basic);
        dbus_message_iter_close_container(iter, &inner);
        return;
    }
    dbus_signature_iter_recurse(type, &element);
    contained = kind == DBUS_TYPE_ARRAY ? dbus_signature_iter_get_signature(&element) : NULL;
    dbus_message_iter_open_container(iter, kind, contained, &inner);
    do
        append_simplest(&inner, &element);
    while (kind != DBUS_TYPE_ARRAY && dbus_signature_iter_next(&element));
    dbus_message_iter_close_container(iter, &inner);
    dbus_free(contained);
}

static void signals_of_any_shape_are_survived(void **state)
{
    static const char *const signatures[] = {
        "s",
        "i",
        "v",
        "as",
        "av",
        "a{sv}",
        "a{ss}",
        "a{si}",
        "a{sas}",
        "a{sa{ss}}",
        "a{ia{sv}}",
        "a{ya{sv}}",
        "a{sa{iv}}",
        "(sa{sv})",
        "a(sa{sv})",
        "aa{sv}",
        "a{sa{sa{sv}}}",
        "a{oa{sv}}",
        "a{ga{sv}}",
        "sa{sa{sv}}",
        "a{sa{sv}}s",
        "a{s(sv)}",
        "h",
        "ah",
        "a{sh}",
        "d",
        "g",
        "o",
    };
    static const char *const members[] = {"ItemsChanged", "PropertiesChanged", "SomethingElse"};
    static const char *const paths[] = {"/", "/Dc/0/Voltage", "/Unrelated"};
    struct fixture *fixture = *state;
    struct peer *peer = peer_open(fixture, 0, BATTERY, ANSWERS_ITEMS);
    struct seen *seen;

    monitor_open(fixture);
    seen = battery_scanned(fixture);
    for (size_t i = 0; i < 3 * 3 * (1 + sizeof signatures / sizeof *signatures); i++) {
        DBusMessage *signal = dbus_message_new_signal(paths[i % 3], BUSITEM, members[i / 3 % 3]);
        DBusMessageIter iter;
        DBusSignatureIter type;

        if (i / 9 > 0) { /* the first round carries nothing at all */
            dbus_message_iter_init_append(signal, &iter);
            dbus_signature_iter_init(&type, signatures[i / 9 - 1]);
            do
                append_simplest(&iter, &type);
            while (dbus_signature_iter_next(&type));
        }
        peer_send(peer, signal, NULL);
    }
    fence(fixture, peer);
    /* None of them says what the voltage is. */
    assert_int_equal(seen->values[VOLTAGE], 1);
    assert_int_equal(seen->settled, 1);
    peer_items_changed(peer, 54.5, NULL);
    fence(fixture, peer);
    assert_true(seen->last[VOLTAGE].number == 54.5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_that_was_there_before_us_is_found_and_scanned),
        TEST(a_service_that_comes_after_us_is_found_and_scanned),
        TEST(names_that_the_client_does_not_want_are_left_alone),
        TEST(without_get_items_the_value_of_the_root_is_read),
        TEST(the_value_of_the_root_may_be_nested),
        TEST(without_either_each_leaf_is_read),
        TEST(answers_of_another_shape_lead_to_the_next_way),
        TEST(a_service_that_shows_nothing_yet_is_scanned_again),
        TEST(a_service_that_never_answers_costs_the_others_nothing),
        TEST(silence_is_told_once_and_the_scan_tried_again),
        TEST(items_changed_brings_wanted_values_only),
        TEST(properties_changed_brings_the_value_of_its_path),
        TEST(a_signal_before_the_scan_is_answered_counts),
        TEST(nobody_but_the_owner_can_speak_for_a_name),
        TEST(none_of_a_crowd_is_mistaken_for_the_owner),
        TEST(signals_of_services_that_are_not_wanted_do_not_reach_us),
        TEST(one_connection_may_own_several_names),
        TEST(a_name_that_leaves_is_gone_and_one_that_returns_is_scanned),
        TEST(a_name_that_changes_its_owner_is_gone_then_found),
        TEST(a_service_that_goes_while_it_is_scanned_leaves_nothing_behind),
        TEST(a_bus_that_restarts_is_scanned_anew),
        TEST(the_monitor_may_be_freed_while_calls_are_in_flight),
        TEST(any_answer_is_a_sign_of_life),
        TEST(what_it_answers_for_a_wanted_path_is_a_value),
        TEST(a_service_that_is_silent_is_asked_one_question_at_a_time),
        TEST(a_service_that_never_answers_is_asked_four_times_until_it_is_heard),
        TEST(an_answer_that_comes_too_late_is_a_sign_of_life),
        TEST(a_name_that_comes_and_goes_and_never_answers_uses_up_few_calls),
        TEST(a_value_is_written_as_the_type_that_is_asked_for),
        TEST(a_malformed_path_is_never_written),
        TEST(a_value_may_have_any_type),
        TEST(signals_of_any_shape_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
