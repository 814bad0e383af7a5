#include "fuzz/targets.h"

#include <math.h>
#include <stdlib.h>
#include <uv.h>

#include "bus/monitor.h"
#include "engine.h"
#include "fuzz/fake_bus.h"
#include "fuzz/maker.h"
#include "fuzz/outcome.h"
#include "settings.h"
#include "silence.h"

enum { STEPS_MAX = 200, ITEMS_MAX = 9000 };

/* What daemon.c wires, without the daemon. */
struct scene {
    uv_loop_t *loop;
    struct bus *bus;
    struct monitor *monitor;
    struct engine engine;
    int number; /* an item of ours */
    double time_s;
    bool shown;
};

/* ---- the monitor's client ---- */

static const struct paths *on_wanted(void *ctx, const char *name)
{
    struct scene *scene = ctx;

    return engine_wants(&scene->engine, name);
}

static void on_found(void *ctx, struct monitor_service *service)
{
    struct scene *scene = ctx;

    service->user = engine_here(&scene->engine, service->name);
}

static void on_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct scene *scene = ctx;

    REQUIRE(index >= 0 && (size_t)index < paths_count(service->paths));
    if (service->user)
        engine_value(&scene->engine, service->user, index, value);
}

static void on_settled(void *ctx, struct monitor_service *service, bool first)
{
    struct scene *scene = ctx;

    if (service->user)
        engine_settled(&scene->engine, service->user, first);
}

static void on_silent(void *ctx, struct monitor_service *service, const char *why)
{
    (void)ctx;
    (void)service;
    REQUIRE(*why);
}

static void on_gone(void *ctx, struct monitor_service *service)
{
    struct scene *scene = ctx;

    if (service->user)
        engine_gone(&scene->engine, service->user);
}

static int on_set(void *ctx, int item, const struct value *value)
{
    struct scene *scene = ctx;

    if (item == scene->number) {
        REQUIRE(value->kind == VALUE_NUMBER && isfinite(value->number));
        items_set_number(scene->engine.items, item, value->number);
        return 0;
    }
    REQUIRE(item == outputs_custom_name_item(scene->engine.outputs) && value->kind == VALUE_TEXT);
    outputs_set_identity(scene->engine.outputs, &(struct outputs_identity){"fuzz", value->text, 99});
    return 0;
}

/* ---- what happens ---- */

static void deliver(struct scene *scene, DBusMessage *message)
{
    if (!monitor_message(scene->monitor, message))
        items_message(scene->engine.items, scene->bus, message);
    dbus_message_unref(message);
}

static void answer(struct scene *scene, struct maker *maker)
{
    size_t calls = fake_bus_calls(scene->bus);
    size_t index = bytes_choose(&maker->bytes, calls < 8 ? calls : 8);
    DBusMessage *reply;

    if (calls == 0)
        return;
    reply = maker_reply(maker, fake_bus_call(scene->bus, index));
    fake_bus_answer(scene->bus, index, reply);
    if (reply)
        dbus_message_unref(reply);
}

static void show(struct scene *scene)
{
    struct engine *engine = &scene->engine;
    enum engine_presence presence = engine_presence(engine, scene->time_s, scene->shown);

    if (presence != ENGINE_STAY)
        scene->shown = presence == ENGINE_ENTER;
    report_aggregate(&engine->report, &engine->config, &engine->aggregator, &engine->aggregate, scene->time_s,
                     scene->shown);
}

static void pass_time(struct scene *scene, double seconds)
{
    const struct calendar today = {true, 20700, 9};

    scene->time_s += seconds;
    silence_watch(scene->monitor, &scene->engine, (double)uv_hrtime() / 1e9 + scene->time_s, NULL, NULL);
    scene->engine.packs_changed = true;
    report_waiting(&scene->engine.report, &scene->engine.devices, engine_packs_needed(&scene->engine),
                   scene->shown);
    if (engine_step(&scene->engine, scene->time_s, &today)) {
        show(scene);
        outcome_check(&scene->engine.aggregate.limits);
    }
    items_publish(scene->engine.items, scene->bus);
}

static void ring(uv_handle_t *handle, void *ctx)
{
    uv_timer_t *timer = (uv_timer_t *)handle;

    (void)ctx;
    if (handle->type != UV_TIMER || !uv_is_active(handle))
        return;
    uv_timer_stop(timer);
    timer->timer_cb(timer);
}

static void lose_bus(struct scene *scene)
{
    fake_bus_break(scene->bus);
    monitor_down(scene->monitor);
    REQUIRE(monitor_count(scene->monitor) == 0 && scene->engine.devices.count == 0);
    fake_bus_mend(scene->bus);
    monitor_up(scene->monitor);
}

static void live(struct scene *scene, struct maker *maker)
{
    static const double waits_s[] = {0, 0.1, 1, 20, 40, 700};

    switch (bytes_choose(&maker->bytes, 16)) {
    case 0:
    case 1:
    case 2:
        deliver(scene, maker_owner_changed(maker));
        break;
    case 3:
    case 4:
    case 5:
    case 6:
        deliver(scene, maker_signal(maker));
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        answer(scene, maker);
        break;
    case 11:
    case 12:
        deliver(scene, maker_call(maker));
        break;
    case 13:
        pass_time(scene, waits_s[bytes_choose(&maker->bytes, sizeof waits_s / sizeof *waits_s)]);
        break;
    case 14:
        uv_walk(scene->loop, ring, NULL);
        break;
    default:
        lose_bus(scene);
        break;
    }
}

/* Three services are here before the bytes of the wire come. */
static void welcome(struct scene *scene)
{
    for (size_t i = 0; i < 3; i++) {
        DBusMessage *message =
            dbus_message_new_signal(DBUS_PATH_DBUS, DBUS_INTERFACE_DBUS, "NameOwnerChanged");
        const char *name = maker_names[i], *before = "", *owner = maker_owners[i];

        REQUIRE(dbus_message_append_args(message, DBUS_TYPE_STRING, &name, DBUS_TYPE_STRING, &before,
                                         DBUS_TYPE_STRING, &owner, DBUS_TYPE_INVALID));
        REQUIRE(dbus_message_set_sender(message, DBUS_SERVICE_DBUS));
        deliver(scene, message);
    }
}

/* Replies go to the oldest call, all else to the handlers; one ends the bytes that is none. */
static void take_wire(struct scene *scene, const char *at, const char *end)
{
    welcome(scene);
    while (at < end) {
        int length = dbus_message_demarshal_bytes_needed(at, (int)(end - at));
        DBusMessage *message;
        int type;

        if (length <= 0 || length > end - at)
            break;
        message = dbus_message_demarshal(at, length, NULL);
        if (!message)
            break;
        at += length;
        pass_time(scene, 0.5);
        type = dbus_message_get_type(message);
        if (type == DBUS_MESSAGE_TYPE_SIGNAL || type == DBUS_MESSAGE_TYPE_METHOD_CALL) {
            deliver(scene, message);
            continue;
        }
        if (fake_bus_calls(scene->bus) > 0)
            fake_bus_answer(scene->bus, 0, message);
        dbus_message_unref(message);
    }
}

/* ---- beginning and end ---- */

static void begin(struct scene *scene, bool own)
{
    const struct item_def number = {
        .path = MAKER_NUMBER_PATH, .type = 'd', .decimals = 3, .unit = "V", .writable = true};
    static struct config config;
    static uv_loop_t loop;
    const struct monitor_client client = {scene,      on_wanted, on_found, on_value,
                                          on_settled, on_silent, on_gone,  NULL};

    if (!config.battery_service_name[0]) {
        settings_default(&config);
        config.send_cell_voltages = true;
        uv_loop_init(&loop);
    }
    config.own_charge_parameters = config.own_soc = own;
    scene->loop = &loop;
    scene->bus = fake_bus_new();
    REQUIRE(engine_init(&scene->engine, &config, on_set, scene));
    scene->number = items_add(scene->engine.items, &number);
    scene->monitor = monitor_new(scene->bus, scene->loop, "com.victronenergy.", &client);
    REQUIRE(scene->monitor);
    monitor_up(scene->monitor);
}

static void end(struct scene *scene)
{
    pass_time(scene, 1);
    REQUIRE(fake_bus_most_rules(scene->bus) <= MONITOR_SERVICES_MAX + 1);
    REQUIRE(items_count(scene->engine.items) <= ITEMS_MAX);
    fake_bus_break(scene->bus);
    monitor_free(scene->monitor);
    uv_run(scene->loop, UV_RUN_NOWAIT);
    REQUIRE(!uv_loop_alive(scene->loop));
    REQUIRE(scene->engine.devices.count == 0);
    engine_free(&scene->engine);
    fake_bus_free(scene->bus);
    free(scene);
}

void fuzz_messages(const uint8_t *data, size_t size)
{
    struct scene *scene = calloc(1, sizeof *scene);

    REQUIRE(scene);
    begin(scene, size > 1 && data[1] & 1);
    if (size > 0 && data[0] % 2 == 0) {
        take_wire(scene, (const char *)data + 1, (const char *)data + size);
    } else {
        struct maker maker = {{data + (size > 0), data + size},
                              engine_wants(&scene->engine, "com.victronenergy.battery.x")};

        for (int step = 0; step < STEPS_MAX && maker.bytes.at < maker.bytes.end; step++)
            live(scene, &maker);
    }
    end(scene);
}
