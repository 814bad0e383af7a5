/* What a service can make us remember, however much it says. The linker sends what our own code allocates
 * and frees through the counters here; the bus is one that keeps calls until they are answered. */
#include "fixture.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bus/monitor.h"
#include "engine.h"
#include "fuzz/fake_bus.h"
#include "log.h"

#define BATTERY "com.victronenergy.battery."
#define BUSITEM "com.victronenergy.BusItem"

enum {
    PATHS_A_SIGNAL = 100,
    SIGNALS = 1000,
    ENTRIES = 100000,
    NAMES = 20000,
    LONG = 1 << 20,
    LOG_MAX = 1 << 16
};

static size_t live_bytes;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *pointer);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *pointer);

static void *came(void *pointer)
{
    live_bytes += malloc_usable_size(pointer);
    return pointer;
}

void *__wrap_malloc(size_t size)
{
    return came(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return came(__real_calloc(count, size));
}

void *__wrap_realloc(void *pointer, size_t size)
{
    live_bytes -= malloc_usable_size(pointer);
    return came(__real_realloc(pointer, size));
}

char *__wrap_strdup(const char *text)
{
    return came(__real_strdup(text));
}

void __wrap_free(void *pointer)
{
    live_bytes -= malloc_usable_size(pointer);
    __real_free(pointer);
}

/* The daemon's rooms on the bus that is none. */
struct house {
    struct config config;
    uv_loop_t loop;
    struct bus *bus;
    struct monitor *monitor;
    struct engine engine;
    int refused;
    double time_s;
    int log; /* stdout goes there */
    int saved;
    char said[LOG_MAX];
};

static const struct paths *on_wanted(void *ctx, const char *name)
{
    struct house *house = ctx;

    return engine_wants(&house->engine, name);
}

static void on_found(void *ctx, struct monitor_service *service)
{
    struct house *house = ctx;

    service->user = engine_here(&house->engine, service->name);
}

static void on_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct house *house = ctx;

    engine_value(&house->engine, service->user, index, value);
}

static void on_settled(void *ctx, struct monitor_service *service, bool first)
{
    struct house *house = ctx;

    engine_settled(&house->engine, service->user, first);
}

static void on_silent(void *ctx, struct monitor_service *service, const char *why)
{
    (void)ctx;
    (void)service;
    (void)why;
}

static void on_gone(void *ctx, struct monitor_service *service)
{
    struct house *house = ctx;

    engine_gone(&house->engine, service->user);
}

static void on_refused(void *ctx, const char *name)
{
    struct house *house = ctx;

    (void)name;
    house->refused++;
}

static int setup(void **state)
{
    struct house *house = test_calloc(1, sizeof *house);
    const struct monitor_client client = {house,      on_wanted, on_found, on_value,
                                          on_settled, on_silent, on_gone,  on_refused};

    settings_default(&house->config);
    house->config.send_cell_voltages = true;
    log_set_level(LOG_WARNING);
    fflush(stdout);
    house->log = memfd_create("log", MFD_CLOEXEC);
    house->saved = dup(STDOUT_FILENO);
    assert_true(dup2(house->log, STDOUT_FILENO) >= 0);
    uv_loop_init(&house->loop);
    house->bus = fake_bus_new();
    assert_true(engine_init(&house->engine, &house->config, NULL, NULL));
    house->monitor = monitor_new(house->bus, &house->loop, "com.victronenergy.", &client);
    *state = house;
    return 0;
}

static int teardown(void **state)
{
    struct house *house = *state;

    fake_bus_break(house->bus);
    monitor_free(house->monitor);
    uv_run(&house->loop, UV_RUN_NOWAIT);
    uv_loop_close(&house->loop);
    engine_free(&house->engine);
    fake_bus_free(house->bus);
    fflush(stdout);
    dup2(house->saved, STDOUT_FILENO);
    close(house->saved);
    close(house->log);
    test_free(house);
    return 0;
}

/* How often the log says this. */
static int times_said(struct house *house, const char *what)
{
    ssize_t length;
    int times = 0;

    fflush(stdout);
    length = pread(house->log, house->said, sizeof house->said - 1, 0);
    house->said[length > 0 ? length : 0] = '\0';
    for (const char *at = house->said; (at = strstr(at, what)); at++)
        times++;
    return times;
}

/* ---- what is sent ---- */

static void deliver(struct house *house, DBusMessage *message, const char *sender)
{
    dbus_message_set_sender(message, sender);
    monitor_message(house->monitor, message);
    dbus_message_unref(message);
    uv_run(&house->loop, UV_RUN_NOWAIT);
}

static void own(struct house *house, const char *name, const char *owner)
{
    DBusMessage *message = dbus_message_new_signal(DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "NameOwnerChanged");
    const char *before = "";

    dbus_message_append_args(message, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before, DBUS_TYPE_STRING,
                             &owner, DBUS_TYPE_INVALID);
    deliver(house, message, DBUS_SERVICE_DBUS);
}

/* A message whose a{sa{sv}} is being filled. */
struct list {
    DBusMessage *message;
    DBusMessageIter args, entries;
};

static void list_begin(struct list *list, DBusMessage *message)
{
    list->message = message;
    dbus_message_iter_init_append(message, &list->args);
    dbus_message_iter_open_container(&list->args, DBUS_TYPE_ARRAY, "{sa{sv}}", &list->entries);
}

static void list_add(struct list *list, const char *path, char type, struct value value)
{
    DBusMessageIter entry, dict, property;
    const char *key = "Value";

    dbus_message_iter_open_container(&list->entries, DBUS_TYPE_DICT_ENTRY, NULL, &entry);
    dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &path);
    dbus_message_iter_open_container(&entry, DBUS_TYPE_ARRAY, "{sv}", &dict);
    dbus_message_iter_open_container(&dict, DBUS_TYPE_DICT_ENTRY, NULL, &property);
    dbus_message_iter_append_basic(&property, DBUS_TYPE_STRING, &key);
    value_append(&property, type, &value);
    dbus_message_iter_close_container(&dict, &property);
    dbus_message_iter_close_container(&entry, &dict);
    dbus_message_iter_close_container(&list->entries, &entry);
}

static DBusMessage *list_end(struct list *list)
{
    dbus_message_iter_close_container(&list->args, &list->entries);
    return list->message;
}

static void list_add_pack(struct list *list, const char *name, const char *serial)
{
    static const struct {
        const char *path;
        double number;
    } numbers[] = {{"/Dc/0/Voltage", 53.1},
                   {"/Dc/0/Current", 10},
                   {"/Soc", 60},
                   {"/InstalledCapacity", 280},
                   {"/Info/MaxChargeVoltage", 55.2},
                   {"/Info/MaxChargeCurrent", 100},
                   {"/Info/MaxDischargeCurrent", 120}};

    list_add(list, "/CustomName", 's', value_text(name));
    list_add(list, "/Serial", 's', value_text(serial));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        list_add(list, numbers[i].path, 'd', value_number(numbers[i].number));
    for (int cell = 1; cell <= 16; cell++) {
        char path[32];

        snprintf(path, sizeof path, "/Voltages/Cell%d", cell);
        list_add(list, path, 'd', value_number(3.3));
    }
}

static void signal_begin(struct list *list)
{
    list_begin(list, dbus_message_new_signal("/", BUSITEM, "ItemsChanged"));
}

/* Answers its GetItems, which is the newest call. */
static void answer_scan(struct house *house, struct list *list, DBusMessage *call)
{
    DBusMessage *reply = list_end(list);

    dbus_message_set_sender(reply, dbus_message_get_destination(call));
    fake_bus_answer(house->bus, fake_bus_calls(house->bus) - 1, reply);
    dbus_message_unref(reply);
}

static DBusMessage *scan_begin(struct house *house, struct list *list)
{
    DBusMessage *call = fake_bus_call(house->bus, fake_bus_calls(house->bus) - 1);

    assert_string_equal(dbus_message_get_member(call), "GetItems");
    dbus_message_set_serial(call, 1);
    list_begin(list, dbus_message_new_method_return(call));
    return call;
}

static void arrive_whole(struct house *house, const char *service, const char *owner, const char *name,
                         const char *serial)
{
    struct list list;
    DBusMessage *call;

    own(house, service, owner);
    call = scan_begin(house, &list);
    list_add_pack(&list, name, serial);
    answer_scan(house, &list, call);
}

static void step(struct house *house)
{
    const struct calendar today = {true, 20700, 9};

    house->time_s += 1;
    assert_true(engine_step(&house->engine, house->time_s, &today));
}

static const struct pack_reading *first_reading(struct house *house)
{
    return &house->engine.devices.device[0]->pack.reading;
}

/* ---- the tests ---- */

static void of_endless_new_paths_none_is_remembered(void **state)
{
    struct house *house = *state;
    size_t before;

    arrive_whole(house, BATTERY "a", ":1.1", "A", "S1");
    step(house);
    before = live_bytes;
    for (int i = 0; i < SIGNALS; i++) {
        struct list list;

        signal_begin(&list);
        for (int k = 0; k < PATHS_A_SIGNAL; k++) {
            char path[64];

            snprintf(path, sizeof path, "/New/Path%d/%d", i, k);
            list_add(&list, path, 'd', value_number(k));
        }
        list_add(&list, "/Soc", 'd', value_number(i % 100));
        deliver(house, list_end(&list), ":1.1");
    }
    step(house);
    assert_true(live_bytes <= before);
    assert_near(first_reading(house)->soc_pct, (SIGNALS - 1) % 100, 0);
}

static void of_a_text_without_end_its_beginning_is_kept(void **state)
{
    static const char *const paths[] = {"/CustomName", "/Serial", "/ProductName", "/FirmwareVersion",
                                        "/System/MinVoltageCellId"};
    struct house *house = *state;
    char *text = malloc(LONG + 1);
    struct list list;
    size_t before;

    arrive_whole(house, BATTERY "a", ":1.1", "A", "S1");
    step(house);
    memset(text, 'x', LONG);
    text[LONG] = '\0';
    before = live_bytes;
    signal_begin(&list);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        list_add(&list, paths[i], 's', value_text(text));
    deliver(house, list_end(&list), ":1.1");
    step(house);
    assert_int_equal(strlen(first_reading(house)->custom_name), READING_TEXT_MAX - 1);
    assert_int_equal(strlen(first_reading(house)->serial), READING_TEXT_MAX - 1);
    assert_true(live_bytes < before + LONG / 16); /* the cells under their other name */
    free(text);
}

static void a_scan_with_a_hundred_thousand_entries_gives_what_we_read(void **state)
{
    struct house *house = *state;
    DBusMessage *call;
    struct list list;
    size_t before = live_bytes;

    own(house, BATTERY "a", ":1.1");
    call = scan_begin(house, &list);
    for (int i = 0; i < ENTRIES; i++) {
        char path[64];

        snprintf(path, sizeof path, "/Much/%d", i);
        list_add(&list, path, 'd', value_number(i));
    }
    list_add_pack(&list, "A", "S1");
    answer_scan(house, &list, call);
    step(house);
    assert_near(first_reading(house)->soc_pct, 60, 0);
    assert_near(house->engine.aggregate.packs_online, 1, 0);
    assert_true(live_bytes < before + LONG / 16);
}

static void services_that_come_and_go_without_end_leave_nothing_behind(void **state)
{
    struct house *house = *state;
    size_t before;

    arrive_whole(house, BATTERY "a", ":1.1", "A", "S1");
    step(house);
    before = live_bytes;
    for (int i = 0; i < NAMES; i++) {
        char name[64], owner[32];

        snprintf(name, sizeof name, BATTERY "n%d", i);
        snprintf(owner, sizeof owner, ":2.%d", i);
        own(house, name, owner);
        own(house, name, "");
    }
    assert_int_equal(monitor_count(house->monitor), 1);
    assert_int_equal(house->engine.devices.count, 1);
    assert_true(fake_bus_most_rules(house->bus) <= 2);
    assert_true(fake_bus_most_calls(house->bus) <= BUS_PATIENT_MAX + 1);
    while (fake_bus_calls(house->bus) > 0)
        fake_bus_answer(house->bus, 0, NULL);
    assert_true(live_bytes <= before);
}

static bool is_asked_for_names(const struct house *house)
{
    for (size_t i = 0; i < fake_bus_calls(house->bus); i++) {
        if (strcmp(dbus_message_get_member(fake_bus_call(house->bus, i)), "ListNames") == 0)
            return true;
    }
    return false;
}

static void services_beyond_the_limit_are_refused_once_and_looked_for_again_when_there_is_room(void **state)
{
    struct house *house = *state;

    for (int i = 0; i < 2 * MONITOR_SERVICES_MAX; i++) {
        char name[64], owner[32];

        snprintf(name, sizeof name, BATTERY "n%d", i);
        snprintf(owner, sizeof owner, ":2.%d", i);
        own(house, name, owner);
    }
    assert_int_equal(monitor_count(house->monitor), MONITOR_SERVICES_MAX);
    assert_int_equal(house->refused, 1);
    assert_int_equal(fake_bus_most_rules(house->bus), MONITOR_SERVICES_MAX);
    assert_false(is_asked_for_names(house));
    own(house, BATTERY "n7", "");
    while (!is_asked_for_names(house))
        uv_run(&house->loop, UV_RUN_ONCE);
    assert_int_equal(house->refused, 1);
}

/* libdbus would end the program that sends to such a name. */
static void a_name_that_is_none_is_left_alone(void **state)
{
    struct house *house = *state;

    own(house, BATTERY "a", "not an owner");
    own(house, BATTERY "a b", ":1.1");
    own(house, BATTERY, ":1.1");
    assert_int_equal(monitor_count(house->monitor), 0);
    own(house, BATTERY "a", ":1.1");
    own(house, BATTERY "a", "!");
    assert_int_equal(monitor_count(house->monitor), 0);
}

static void a_pack_that_renames_itself_without_end_fills_a_limited_place_and_is_told_once(void **state)
{
    struct house *house = *state;
    size_t limit = 2 * OUTPUTS_PACKS_MAX * READING_CELLS_MAX; /* cells, and all that is no cell */

    arrive_whole(house, BATTERY "a", ":1.1", "A", "S1");
    for (int i = 0; i < 600; i++) {
        struct list list;
        char name[32];

        snprintf(name, sizeof name, "Pack%d", i);
        signal_begin(&list);
        list_add(&list, "/CustomName", 's', value_text(name));
        deliver(house, list_end(&list), ":1.1");
        step(house);
    }
    assert_true(items_count(house->engine.items) <= limit);
    assert_int_equal(times_said(house, "some have no place"), 1);
    assert_near(house->engine.aggregate.packs_online, 1, 0);
}

static void packs_beyond_those_that_can_be_led_are_told_once(void **state)
{
    struct house *house = *state;

    for (int i = 0; i < OUTPUTS_PACKS_MAX + 3; i++) {
        char service[64], owner[32], serial[32];

        snprintf(service, sizeof service, BATTERY "n%d", i);
        snprintf(owner, sizeof owner, ":2.%d", i);
        snprintf(serial, sizeof serial, "S%d", i);
        arrive_whole(house, service, owner, serial, serial);
        step(house);
    }
    assert_near(house->engine.aggregate.packs_online, OUTPUTS_PACKS_MAX, 0);
    assert_int_equal(house->engine.roster.count, OUTPUTS_PACKS_MAX);
    assert_int_equal(times_said(house, "only 64 are led"), 1);
}

/* Devices have few megabytes to spare, and most of what we keep is what we show. */
static void what_is_shown_of_64_packs_takes_less_than_100_kB(void **state)
{
    size_t before = live_bytes;
    struct items *items = items_new(NULL, NULL);
    struct outputs *outputs = outputs_new(items);
    struct pages *pages = pages_new(items);
    static struct pack pack; /* some KiB */

    (void)state;
    pack_clear(&pack);
    for (int i = 0; i < ALARM_COUNT; i++)
        pack.reading.alarm[i] = 0;
    for (size_t slot = 0; slot < OUTPUTS_PACKS_MAX; slot++) {
        pages_set_pack(pages, slot, &(struct pages_pack){BATTERY "a", "A", "S1", true});
        pages_set_values(pages, slot, &pack, 0);
    }
    assert_true(items_count(items) > 20 * OUTPUTS_PACKS_MAX);
    assert_in_range(live_bytes - before, 1, 100000);
    pages_free(pages);
    outputs_free(outputs);
    items_free(items);
    assert_int_equal(live_bytes, before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- who is there at the start ---- */

enum { LISTED = 20, ASKED_AT_ONCE = 8 };

static void answer(struct house *house, DBusMessage *reply)
{
    dbus_message_set_sender(reply, DBUS_SERVICE_DBUS);
    fake_bus_answer(house->bus, 0, reply);
    dbus_message_unref(reply);
}

static DBusMessage *first_call(struct house *house, const char *member)
{
    DBusMessage *call = fake_bus_call(house->bus, 0);

    assert_string_equal(dbus_message_get_member(call), member);
    dbus_message_set_serial(call, 1);
    return call;
}

static void list_names(struct house *house)
{
    DBusMessage *reply = dbus_message_new_method_return(first_call(house, "ListNames"));
    DBusMessageIter args, names;

    dbus_message_iter_init_append(reply, &args);
    dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "s", &names);
    for (int i = 0; i < LISTED; i++) {
        char text[64];
        const char *name = text;

        snprintf(text, sizeof text, BATTERY "p%d", i);
        dbus_message_iter_append_basic(&names, DBUS_TYPE_STRING, &name);
    }
    dbus_message_iter_close_container(&args, &names);
    answer(house, reply);
}

static void tell_owner(struct house *house, int number)
{
    DBusMessage *reply = dbus_message_new_method_return(first_call(house, "GetNameOwner"));
    char text[16];
    const char *owner = text;

    snprintf(text, sizeof text, ":1.%d", number);
    dbus_message_append_args(reply, DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID);
    answer(house, reply);
}

/* What it takes to ask for the owners, and to scan, lies between nothing that stays: a few are asked for at a
 * time, and nobody is scanned before all are known. */
static void those_who_are_listed_are_asked_for_in_turn_and_scanned_together(void **state)
{
    struct house *house = *state;

    monitor_up(house->monitor);
    list_names(house);
    for (int i = 0; i < LISTED; i++) {
        assert_int_equal(fake_bus_calls(house->bus), LISTED - i < ASKED_AT_ONCE ? LISTED - i : ASKED_AT_ONCE);
        tell_owner(house, i);
    }
    assert_int_equal(fake_bus_calls(house->bus), LISTED);
    for (size_t i = 0; i < LISTED; i++) {
        DBusMessage *call = fake_bus_call(house->bus, i);
        char owner[16];

        snprintf(owner, sizeof owner, ":1.%zu", i); /* in the order of the list */
        assert_string_equal(dbus_message_get_member(call), "GetItems");
        assert_string_equal(dbus_message_get_destination(call), owner);
    }
}

static void it_settles_when_each_has_told_or_has_failed_to_once(void **state)
{
    struct house *house = *state;
    struct list list;

    assert_false(monitor_is_settling(house->monitor));
    monitor_up(house->monitor);
    list_names(house);
    for (int i = 0; i < LISTED; i++) {
        assert_true(monitor_is_settling(house->monitor));
        tell_owner(house, i);
    }
    for (int i = 0; i < LISTED - 1; i++) {
        DBusMessage *call = scan_begin(house, &list);

        assert_true(monitor_is_settling(house->monitor));
        list_add_pack(&list, "A", "S");
        answer_scan(house, &list, call);
    }
    assert_true(monitor_is_settling(house->monitor));
    fake_bus_answer(house->bus, 0, NULL);
    assert_false(monitor_is_settling(house->monitor));
}

static void a_bus_that_breaks_while_it_lists_is_asked_anew(void **state)
{
    struct house *house = *state;

    monitor_up(house->monitor);
    list_names(house);
    tell_owner(house, 1);
    fake_bus_break(house->bus);
    monitor_down(house->monitor);
    assert_int_equal(fake_bus_calls(house->bus), 0);
    fake_bus_mend(house->bus);
    monitor_up(house->monitor);
    list_names(house);
    for (int i = 0; i < LISTED; i++)
        tell_owner(house, i);
    assert_int_equal(fake_bus_calls(house->bus), LISTED);
    assert_int_equal(monitor_count(house->monitor), LISTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(those_who_are_listed_are_asked_for_in_turn_and_scanned_together),
        TEST(it_settles_when_each_has_told_or_has_failed_to_once),
        TEST(a_bus_that_breaks_while_it_lists_is_asked_anew),
        TEST(of_endless_new_paths_none_is_remembered),
        TEST(of_a_text_without_end_its_beginning_is_kept),
        TEST(a_scan_with_a_hundred_thousand_entries_gives_what_we_read),
        TEST(services_that_come_and_go_without_end_leave_nothing_behind),
        TEST(services_beyond_the_limit_are_refused_once_and_looked_for_again_when_there_is_room),
        TEST(a_name_that_is_none_is_left_alone),
        TEST(a_pack_that_renames_itself_without_end_fills_a_limited_place_and_is_told_once),
        TEST(packs_beyond_those_that_can_be_led_are_told_once),
        TEST(what_is_shown_of_64_packs_takes_less_than_100_kB),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
