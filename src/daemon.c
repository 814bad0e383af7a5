#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "bus/loop.h"
#include "bus/monitor.h"
#include "bus/name.h"
#include "calibrate.h"
#include "clock.h"
#include "engine.h"
#include "log.h"
#include "settings.h"
#include "silence.h"
#include "state.h"
#include "tidy.h"
#include "venus/system_settings.h"
#include "version.h"

#define VENUS_PREFIX "com.victronenergy."

#define REJOIN_S 1.0
#define TOGETHER_S 0.5 /* so long the first packs wait for those that are slower */

enum { TICK_MS = 1000, FLICKER_MS = 500, RIDE_MS = 100, URGENT_PAUSE_MS = 5, TIDY_AFTER_S = 10 };

struct daemon {
    const struct daemon_options *options;

    uv_loop_t loop;
    uv_timer_t gather; /* from the first change of an instant to its calculation */
    uv_timer_t tick;   /* each second: time passes although nothing arrives */
    int ticks;         /* since time alone was last a reason to publish */
    uv_signal_t sigterm, sigint, sighup;
    bool urgent;         /* a value of the message that is being read makes a limit fall */
    bool flicker_only;   /* gather waits for nothing but noise */
    int tidy_in_s;       /* until memory is given back, for much came or went; 0 = nothing did */
    uint64_t updated_ms; /* by the loop's clock */
    bool stopping;

    struct bus *bus;
    struct bus_name name;
    struct monitor *monitor;
    struct system_settings system_settings;

    struct engine engine;
    struct calibrate calibrate;
    struct state state;
    struct clock clock;
    double bus_up_s;    /* when we came to this bus */
    int shown_instance; /* the one we have on the bus, -1 = not there */
    bool taken_said;    /* that another battery has our device instance */
    bool alone_said;    /* that there is no settings service */
};

static double now_s(void)
{
    return (double)uv_hrtime() / 1e9;
}

static double wall_clock_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec;
}

/* ---- what must survive ---- */

static void said_write(struct daemon *daemon, const char *what, int result)
{
    if (result < 0 && !daemon->engine.cannot_save)
        log_error("Cannot save %s in %s: %s. It is kept in memory and tried again", what,
                  daemon->options->data_directory, strerror(-result));
    else if (result == 0 && daemon->engine.cannot_save)
        log_info("Saving in %s works again", daemon->options->data_directory);
    daemon->engine.cannot_save = result < 0;
}

/* What was counted goes along whenever the file is written. */
static void save_state(struct daemon *daemon)
{
    work_saved(&daemon->engine.aggregator.work, now_s());
    said_write(daemon, "state.ini", state_write(daemon->options->data_directory, &daemon->state));
}

static void save_charge(struct daemon *daemon)
{
    const struct config *config = &daemon->engine.config;
    double charge_Ah = aggregator_charge_Ah(&daemon->engine.aggregator, config);
    double capacity_Ah = aggregator_capacity_Ah(&daemon->engine.aggregator, config);
    bool resized;

    if (isnan(charge_Ah) || isnan(capacity_Ah))
        return;
    resized = !(fabs(daemon->state.charge_capacity_Ah - capacity_Ah) < 0.01);
    daemon->state.charge_Ah = charge_Ah;
    daemon->state.charge_capacity_Ah = capacity_Ah;
    said_write(daemon, "the charge", state_write_charge(daemon->options->data_directory, &daemon->state));
    if (resized)
        save_state(daemon);
    aggregator_charge_saved(&daemon->engine.aggregator, config);
}

/* What was learned changes at anchors: about once a day. */
static void save_learned(struct daemon *daemon)
{
    if (isnan(daemon->engine.aggregator.soc.missing_Ah))
        return;
    daemon->state.learned = daemon->engine.aggregator.soc.learned;
    save_state(daemon);
}

static void save_instance(struct daemon *daemon)
{
    if (daemon->state.device_instance == daemon->system_settings.instance)
        return;
    daemon->state.device_instance = daemon->system_settings.instance;
    save_state(daemon);
}

/* Balancing and the debt of the feed-in guard: to disk at their changes, and before what follows. */
static void save_control(struct daemon *daemon)
{
    const struct balancing *balancing = &daemon->engine.aggregator.control.balancing;
    const struct feed_in *guard = &daemon->engine.aggregator.feed_in;

    daemon->state.balancing_state = (int)balancing->state;
    daemon->state.last_balancing_day = balancing->last_success_day;
    daemon->state.balancing_age_days = balancing->age_days;
    daemon->state.seen_day = balancing->seen_day;
    daemon->state.feed_in_debt = guard->debt;
    daemon->state.feed_in_held_s = guard->debt ? guard->held_s : 0;
    daemon->state.feed_in_seen_s = guard->debt ? wall_clock_s() : 0;
    daemon->state.feed_in_packs = guard->debt ? guard->packs : 0;
    save_state(daemon);
}

/* A hold goes on while we are away, and whoever was killed could not write how long it had lasted. A clock
 * that was not set, then or now, adds nothing; one that jumped ahead can only end a hold of calm cells. */
static double held_s(const struct state *state)
{
    double away_s = wall_clock_s() - state->feed_in_seen_s;

    if (state->feed_in_seen_s < VERSION_EPOCH_S || !(away_s > 0))
        return state->feed_in_held_s;
    return state->feed_in_held_s + away_s;
}

static void restore_control(struct daemon *daemon)
{
    struct balancing *balancing = &daemon->engine.aggregator.control.balancing;

    balancing->state = (enum balancing_state)daemon->state.balancing_state;
    balancing->last_success_day = daemon->state.last_balancing_day;
    balancing->age_days = daemon->state.balancing_age_days;
    balancing->seen_day = daemon->state.seen_day;
    balancing->day_of_year = daemon->state.balancing_day_of_year;
    feed_in_init(&daemon->engine.aggregator.feed_in, daemon->state.feed_in_debt, held_s(&daemon->state));
    daemon->engine.aggregator.feed_in.packs = daemon->state.feed_in_packs;
    daemon->engine.report.feed_in_state = (int)daemon->engine.aggregator.feed_in.state;
    daemon->engine.report.balancing_state = (int)balancing->state;
    if (daemon->state.feed_in_debt)
        log_info(
            "DC feed-in is owed to the user from before the start: it is returned when the cells are calm");
}

/* ---- our place on the bus ---- */

static void show_identity(struct daemon *daemon)
{
    char connection[64];
    size_t packs = (size_t)daemon->engine.aggregate.packs_online;

    snprintf(connection, sizeof connection, "%zu pack%s on D-Bus", packs, packs == 1 ? "" : "s");
    outputs_set_identity(daemon->engine.outputs,
                         &(struct outputs_identity){connection, daemon->system_settings.custom_name,
                                                    daemon->system_settings.instance});
}

/* localsettings knows registered devices only; a live one with our number would silently replace us. */
static void avoid_taken_instance(struct daemon *daemon)
{
    int wish = daemon->system_settings.instance;
    int instance = wish;

    while (devices_instance_taken(&daemon->engine.devices, instance))
        instance++;
    if (instance == wish)
        return;
    log_warning("Device instance %d is in use by another battery: ours is %d. Choose it anew as battery "
                "monitor and controlling BMS",
                wish, instance);
    system_settings_set_instance(&daemon->system_settings, instance);
}

static void enter_bus(struct daemon *daemon)
{
    if (!system_settings_ready(&daemon->system_settings) || daemon->stopping)
        return;
    avoid_taken_instance(daemon);
    daemon->shown_instance = daemon->system_settings.instance;
    show_identity(daemon);
    bus_name_request(&daemon->name);
}

static void leave_bus(struct daemon *daemon, const char *why)
{
    if (daemon->shown_instance < 0)
        return;
    if (bus_name_is_ours(&daemon->name))
        log_warning("Off the bus: %s", why);
    bus_name_release(&daemon->name);
    daemon->shown_instance = -1;
}

/* Once on the bus, once: a house without ESS may have none, and one that starts with us is there by then. */
static void say_alone(struct daemon *daemon)
{
    if (daemon->system_settings.here || daemon->alone_said)
        return;
    daemon->alone_said = true;
    log_info(
        "com.victronenergy.settings is not on the bus: instance and name are kept as they are, DC feed-in is "
        "left alone until it comes");
}

static void on_name_acquired(void *ctx)
{
    struct daemon *daemon = ctx;

    items_take_changes(daemon->engine.items, NULL, NULL);
    save_instance(daemon);
    log_info("On the bus as %s, instance %d: choose it as battery monitor and controlling BMS",
             OUTPUTS_SERVICE, daemon->shown_instance);
    say_alone(daemon);
}

static void on_name_taken(void *ctx)
{
    (void)ctx;
    log_error("%s belongs to another program (a Python aggregator?): stop it. We try again every second",
              OUTPUTS_SERVICE);
}

/* Packs that were in the bank before the bus went are given a moment to be found again, so that none of
 * them is reported missing for a blink. */
static bool has_settled(const struct daemon *daemon, double now)
{
    return daemon->engine.aggregate.packs_missing < 1 || now - daemon->bus_up_s >= REJOIN_S;
}

/* From the first whole bank on, and until 60 s after the last pack went. */
static void decide_presence(struct daemon *daemon, double now)
{
    switch (engine_presence(&daemon->engine, now, daemon->shown_instance >= 0)) {
    case ENGINE_STAY:
        break;
    case ENGINE_ENTER:
        if (has_settled(daemon, now))
            enter_bus(daemon);
        break;
    case ENGINE_LEAVE:
        leave_bus(daemon, "all packs are gone for a minute, Venus must protect the bank by itself");
        break;
    }
}

/* ---- one pass ---- */

static void schedule_within(struct daemon *daemon, uint64_t ms);

/* What is owed stands on disk before feed-in is turned off: a power cut in between must not lose it. A
 * disk that is full does not stop us: the cell is worth more than the setting. */
static void act_on_feed_in(struct daemon *daemon)
{
    const struct feed_in_output *feed_in = &daemon->engine.aggregate.feed_in;

    if (feed_in->store || daemon->engine.aggregate.control.target.changed)
        save_control(daemon);
    if (feed_in->action != FEED_IN_NOTHING)
        system_settings_set_feed_in(&daemon->system_settings, feed_in->action == FEED_IN_WRITE_1);
}

static bool has_fallen(const struct limit *before, const struct limit *now)
{
    return now->value < before->value || isnan(now->value) != isnan(before->value);
}

/* What time alone changes is shown in the rhythm of UPDATE_INTERVAL_DATA; a limit that falls at once. */
static bool is_worth_showing(const struct limits *before, const struct limits *now)
{
    return has_fallen(&before->charge_voltage, &now->charge_voltage) ||
           has_fallen(&before->charge_current, &now->charge_current) ||
           has_fallen(&before->discharge_current, &now->discharge_current);
}

/* At the start: others that are here have not told yet. Not for long, for one of them may hang. */
static bool wait_for_all(struct daemon *daemon, double now)
{
    double left_s = TOGETHER_S - (now - daemon->bus_up_s);

    if (daemon->engine.roster.count > 0 || !(left_s > 0) || !monitor_is_settling(daemon->monitor))
        return false;
    schedule_within(daemon, (uint64_t)(left_s * 1000) + 1);
    return true;
}

static void update(struct daemon *daemon, bool show)
{
    struct engine *engine = &daemon->engine;
    struct limits before = engine->aggregate.limits;
    double now = now_s();
    struct calendar today = clock_today(&daemon->clock, now);

    daemon->updated_ms = uv_now(&daemon->loop);
    engine->settings_silent = system_settings_silent(&daemon->system_settings);
    engine->more_to_come = wait_for_all(daemon, now);
    if (!engine_step(engine, now, &today))
        return;
    show = show || is_worth_showing(&before, &engine->aggregate.limits);
    daemon->flicker_only = daemon->flicker_only && !show;
    act_on_feed_in(daemon);
    decide_presence(daemon, now);
    report_aggregate(&engine->report, &engine->config, &engine->aggregator, &engine->aggregate, now,
                     bus_name_is_ours(&daemon->name));
    if (bus_name_is_ours(&daemon->name) && show) {
        show_identity(daemon);
        items_publish(engine->items, daemon->bus);
    }
    if (engine->aggregate.charge_event == CHARGE_EVENT_FULL ||
        engine->aggregate.charge_event == CHARGE_EVENT_EMPTY)
        save_learned(daemon);
    if (aggregator_charge_due(&engine->aggregator, &engine->config))
        save_charge(daemon);
    if (work_due(&engine->aggregator.work, now))
        save_state(daemon);
}

static void on_gather(uv_timer_t *timer)
{
    update(timer->data, true);
}

/* A battery that came after us with our number: Venus would see only one of the two. */
static void watch_instance(struct daemon *daemon)
{
    bool taken = daemon->shown_instance >= 0 &&
                 devices_instance_taken(&daemon->engine.devices, daemon->shown_instance);

    if (taken && !daemon->taken_said)
        log_error(
            "Another battery shows our device instance %d: Venus sees only one of the two. Give it another "
            "one, or restart this program, which then takes a free one",
            daemon->shown_instance);
    daemon->taken_said = taken;
}

/* When each was heard, for those who look at their age. */
static void note_ages(struct daemon *daemon)
{
    double settings_s = NAN;

    for (size_t i = 0; i < monitor_count(daemon->monitor); i++) {
        struct monitor_service *service = monitor_at(daemon->monitor, i);
        struct device *device = service->user;

        if (device)
            device->heard_s = service->heard_s;
        if (!device || device->device_class != CLASS_SETTINGS)
            continue;
        settings_s = service->heard_s;
        if (system_settings_silent(&daemon->system_settings))
            monitor_ask(daemon->monitor, service, NULL); /* nothing else of ours is answered then */
    }
    system_settings_watch(&daemon->system_settings, settings_s);
    if (daemon->engine.aggregator.feed_in.state == FEED_IN_RETURNING)
        system_settings_probe(&daemon->system_settings);
}

/* What comes and goes does so in company: afterwards, and once for all of them. */
static void be_untidy(struct daemon *daemon)
{
    if (daemon->tidy_in_s == 0)
        daemon->tidy_in_s = TIDY_AFTER_S;
}

static void tidy(struct daemon *daemon)
{
    if (daemon->tidy_in_s > 0 && --daemon->tidy_in_s == 0)
        tidy_up();
}

/* A pack that falls silent, or speaks again, is news like any other. */
static void on_stale(void *ctx, struct monitor_service *service, bool stale)
{
    bool *show = ctx;

    (void)service;
    (void)stale;
    *show = true;
}

static void on_tick(uv_timer_t *timer)
{
    struct daemon *daemon = timer->data;
    bool show = ++daemon->ticks >= daemon->engine.config.update_interval_data_s;

    tidy(daemon);
    watch_instance(daemon);
    silence_watch(daemon->monitor, &daemon->engine, now_s(), on_stale, &show);
    note_ages(daemon);

    daemon->engine.packs_changed = true;
    report_waiting(&daemon->engine.report, &daemon->engine.devices, engine_packs_needed(&daemon->engine),
                   daemon->shown_instance >= 0);
    if (show)
        daemon->ticks = 0;
    if (show && daemon->flicker_only)
        uv_timer_stop(&daemon->gather);
    update(daemon, show);
}

/* At the latest after so long; what is due earlier stays so. */
static void schedule_within(struct daemon *daemon, uint64_t ms)
{
    if (daemon->stopping)
        return;
    if (!uv_is_active((uv_handle_t *)&daemon->gather) || uv_timer_get_due_in(&daemon->gather) > ms)
        uv_timer_start(&daemon->gather, on_gather, ms, 0);
}

static void schedule(struct daemon *daemon)
{
    daemon->flicker_only = false;
    schedule_within(daemon, (uint64_t)daemon->engine.config.update_coalesce_ms);
}

/* With 64 packs something flickers 64 times a second, and Venus looks once: nobody gains from more than a
 * few publications of noise, which would cost more than all the rest. */
static void schedule_flicker(struct daemon *daemon)
{
    int coalesce_ms = daemon->engine.config.update_coalesce_ms;

    if (!uv_is_active((uv_handle_t *)&daemon->gather))
        daemon->flicker_only = true;
    schedule_within(daemon, (uint64_t)(coalesce_ms > FLICKER_MS ? coalesce_ms : FLICKER_MS));
}

/* To be woken costs more than to calculate (measured: a third of all): what is due soon is done now that a
 * message has woken us. */
static void ride_along(struct daemon *daemon)
{
    if (daemon->stopping)
        return;
    if (uv_timer_get_due_in(&daemon->tick) <= RIDE_MS)
        uv_timer_start(&daemon->tick, on_tick, 0, uv_timer_get_repeat(&daemon->tick));
    else if (daemon->flicker_only && uv_timer_get_due_in(&daemon->gather) <= RIDE_MS)
        uv_timer_start(&daemon->gather, on_gather, 0, 0);
}

/* ---- what the monitor hears ---- */

static const struct paths *on_wanted(void *ctx, const char *service)
{
    struct daemon *daemon = ctx;

    return engine_wants(&daemon->engine, service);
}

static void on_found(void *ctx, struct monitor_service *service)
{
    struct daemon *daemon = ctx;
    struct device *device = engine_here(&daemon->engine, service->name);

    service->user = device;
    if (device && device->device_class == CLASS_SETTINGS)
        system_settings_here(&daemon->system_settings, service->owner);
}

static void on_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct daemon *daemon = ctx;

    if (!service->user)
        return;
    switch (engine_value(&daemon->engine, service->user, index, value)) {
    case ENGINE_NOTHING:
        break;
    case ENGINE_FLICKER:
        schedule_flicker(daemon);
        break;
    case ENGINE_URGENT:
        daemon->urgent = true;
        schedule(daemon);
        break;
    case ENGINE_NEWS:
        schedule(daemon);
        break;
    }
}

/* A limit falls: no gathering, but not more often than a flood of such messages may cost us. */
static void hurry(struct daemon *daemon)
{
    uint64_t since_ms = uv_now(&daemon->loop) - daemon->updated_ms;

    daemon->urgent = false;
    if (since_ms < URGENT_PAUSE_MS) {
        schedule_within(daemon, URGENT_PAUSE_MS - since_ms);
        return;
    }
    uv_timer_stop(&daemon->gather);
    update(daemon, true);
}

static void on_settled(void *ctx, struct monitor_service *service, bool first)
{
    struct daemon *daemon = ctx;
    struct device *device = service->user;

    if (!device)
        return;
    device->heard_s = service->heard_s;
    if (engine_settled(&daemon->engine, device, first))
        schedule(daemon);
    if (first)
        be_untidy(daemon);
    if (first && daemon->engine.roster.count == 0 && !monitor_is_settling(daemon->monitor))
        schedule_within(daemon, 0); /* that was the last of those who were here before us */
    if (daemon->urgent && !daemon->stopping)
        hurry(daemon);
    else
        ride_along(daemon);
    if (device->role == ROLE_SETTINGS) {
        clock_set_zone(device->settings.time_zone);
        system_settings_instance_changed(&daemon->system_settings, device->settings.class_and_instance);
        system_settings_name_changed(&daemon->system_settings, device->settings.custom_name);
    }
}

static void on_silent(void *ctx, struct monitor_service *service, const char *why)
{
    (void)ctx;
    log_warning("%s does not answer (%s). It is asked again; nothing else waits for it", service->name, why);
}

static void on_gone(void *ctx, struct monitor_service *service)
{
    struct daemon *daemon = ctx;
    struct device *device = service->user;

    if (!device)
        return;
    if (device->device_class == CLASS_SETTINGS) /* it may never have said what makes its role */
        system_settings_gone(&daemon->system_settings);
    engine_gone(&daemon->engine, device);
    be_untidy(daemon);
    service->user = NULL;
    schedule(daemon);
}

static void on_refused(void *ctx, const char *name)
{
    (void)ctx;
    log_error("%s and whatever comes after it is not read: there are too many services", name);
}

/* ---- what the settings service and the users say ---- */

static void on_system_settings(void *ctx)
{
    struct daemon *daemon = ctx;

    if (daemon->shown_instance >= 0 && daemon->shown_instance != daemon->system_settings.instance) {
        log_info("The device instance was changed from %d to %d", daemon->shown_instance,
                 daemon->system_settings.instance);
        leave_bus(daemon, "to return with the new device instance");
    }
    schedule(daemon);
}

static int on_set(void *ctx, int item, const struct value *value)
{
    struct daemon *daemon = ctx;

    if (item == pages_request_item(daemon->engine.pages)) {
        if (!engine_request(&daemon->engine, value->number))
            return 2;
        schedule(daemon);
        return 0;
    }
    if (item != outputs_custom_name_item(daemon->engine.outputs) || value->kind != VALUE_TEXT)
        return 2;
    system_settings_set_name(&daemon->system_settings, value->text);
    log_info("The bank is named \"%s\" now", daemon->system_settings.custom_name);
    show_identity(daemon);
    schedule(daemon);
    return 0;
}

/* ---- what those who calibrate say ---- */

static struct calendar on_today(void *ctx)
{
    struct daemon *daemon = ctx;

    return clock_today(&daemon->clock, now_s());
}

/* On disk before it is answered: who was told that it is done must not lose it. */
static void on_calibrated(void *ctx)
{
    struct daemon *daemon = ctx;

    save_charge(daemon);
    if (!isnan(daemon->engine.aggregator.soc.missing_Ah))
        daemon->state.learned = daemon->engine.aggregator.soc.learned;
    save_state(daemon);
    schedule(daemon);
}

/* ---- the bus itself ---- */

static void on_bus_up(void *ctx)
{
    struct daemon *daemon = ctx;

    daemon->bus_up_s = now_s();
    monitor_up(daemon->monitor);
}

static void on_bus_down(void *ctx, const char *why)
{
    struct daemon *daemon = ctx;

    log_warning("The bus is gone (%s): connecting again", why);
    bus_name_down(&daemon->name);
    daemon->shown_instance = -1;
    monitor_down(daemon->monitor);
}

static bool on_bus_message(void *ctx, DBusMessage *message)
{
    struct daemon *daemon = ctx;

    return monitor_message(daemon->monitor, message) ||
           items_message(daemon->engine.items, daemon->bus, message);
}

/* ---- beginning and end ---- */

static void on_closed(void *ctx)
{
    struct daemon *daemon = ctx;

    daemon->bus = NULL;
}

static void stop(struct daemon *daemon)
{
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    save_charge(daemon);
    save_learned(daemon);
    if (daemon->engine.config.own_charge_parameters || daemon->engine.aggregator.feed_in.debt)
        save_control(daemon);
    else if (isnan(daemon->engine.aggregator.soc.missing_Ah) && daemon->engine.aggregator.work.memory.begun)
        save_state(daemon); /* else it was saved with what was learned */
    bus_name_release(&daemon->name);
    bus_flush(daemon->bus, true);
    monitor_free(daemon->monitor);
    bus_name_close(&daemon->name);
    bus_close(daemon->bus, on_closed, daemon);
    uv_close((uv_handle_t *)&daemon->gather, NULL);
    uv_close((uv_handle_t *)&daemon->tick, NULL);
    uv_close((uv_handle_t *)&daemon->sigterm, NULL);
    uv_close((uv_handle_t *)&daemon->sigint, NULL);
    uv_close((uv_handle_t *)&daemon->sighup, NULL);
}

static void on_signal(uv_signal_t *handle, int number)
{
    log_info("Signal %d: saved, leaving the bus", number);
    stop(handle->data);
}

static void on_finding(void *ctx, enum settings_severity severity, const char *message)
{
    (void)ctx;
    log_at(severity == SETTINGS_ERROR     ? LOG_ERROR
           : severity == SETTINGS_WARNING ? LOG_WARNING
                                          : LOG_INFO,
           "%s", message);
}

/* otherwise: what a file with errors leads to. Only at the start may there be none: one that is gone later is
 * being replaced, and its defaults would be other limits for a moment or for good. */
static bool read_settings(struct daemon *daemon, struct config *config, bool at_start, const char *otherwise)
{
    int errors;

    settings_default(config);
    if (at_start && !daemon->options->settings_named && access(daemon->options->settings_path, F_OK) < 0) {
        log_info("%s is not there: every setting has its default", daemon->options->settings_path);
        if (daemon->options->log_level)
            log_set_level(*daemon->options->log_level);
        return true;
    }
    errors = settings_read(daemon->options->settings_path, config, on_finding, NULL);
    if (errors > 0) {
        log_error("%s has %d error%s: %s. Mend it; `battery-aggregator check` tells when it is good",
                  daemon->options->settings_path, errors, errors == 1 ? "" : "s", otherwise);
        return false;
    }
    log_set_level(daemon->options->log_level ? *daemon->options->log_level : config->logging);
    return true;
}

/* Other settings without leaving the bus. */
static void on_hangup(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    struct config config;

    (void)number;
    if (daemon->stopping || !read_settings(daemon, &config, false, "the old settings stay"))
        return;
    if (!engine_reconfigure(&daemon->engine, &config))
        log_warning("Names of services, or classes in CURRENT_SOURCES, were changed in %s: these act at the "
                    "next start",
                    daemon->options->settings_path);
    log_info("Settings are read again from %s", daemon->options->settings_path);
    be_untidy(daemon);
    update(daemon, true);
}

/* What was kept: after a power cut somebody wants to know. */
static void say_found(const struct state *state)
{
    char charge[64] = "no charge";
    char date[CALENDAR_TEXT_MAX] = "never";

    if (!isnan(state->charge_Ah))
        snprintf(charge, sizeof charge, "a charge of %.1f Ah", state->charge_Ah);
    if (state->last_balancing_day != CALENDAR_NONE)
        calendar_format(state->last_balancing_day, date);
    log_info("Kept from before: %s, last balancing %s, DC feed-in %s", charge, date,
             state->feed_in_debt ? "owed to the user" : "not owed");
}

static bool read_state(struct daemon *daemon)
{
    char message[512];
    struct work_memory *work = calloc(1, sizeof *work);
    enum state_finding finding;

    if (!work)
        return false;
    finding = state_read(daemon->options->data_directory, &daemon->state, work, message, sizeof message);
    if (finding != STATE_FOUND)
        log_at(finding == STATE_MISSING ? LOG_INFO : LOG_WARNING, "%s", message);
    say_found(&daemon->state);
    aggregator_init(&daemon->engine.aggregator, daemon->state.charge_Ah, daemon->state.charge_capacity_Ah);
    if (daemon->state.learned.usable > 0 &&
        !soc_restore(&daemon->engine.aggregator.soc, &daemon->state.learned))
        log_warning("What was learned about the SoC in state.ini cannot be: it is learned anew");
    work_init(&daemon->engine.aggregator.work, work);
    daemon->state.work = &daemon->engine.aggregator.work.memory;
    free(work);
    restore_control(daemon);
    return true;
}

static bool build(struct daemon *daemon)
{
    const struct monitor_client monitor_client = {daemon,     on_wanted, on_found, on_value,
                                                  on_settled, on_silent, on_gone,  on_refused};
    const struct bus_owner bus_owner = {daemon, on_bus_up, on_bus_down, on_bus_message};
    const struct bus_name_owner name_owner = {daemon, on_name_acquired, on_name_taken};
    const struct system_settings_client settings_client = {daemon, on_system_settings};
    int wish = daemon->state.device_instance >= 0 ? daemon->state.device_instance : OUTPUTS_INSTANCE_WISH;

    daemon->bus = bus_new(&daemon->loop, daemon->options->bus_address, &bus_owner);
    if (!daemon->bus)
        return false;
    daemon->monitor = monitor_new(daemon->bus, &daemon->loop, VENUS_PREFIX, &monitor_client);
    if (!daemon->monitor)
        return false;
    bus_name_init(&daemon->name, daemon->bus, &daemon->loop, OUTPUTS_SERVICE, &name_owner);
    system_settings_init(&daemon->system_settings, daemon->bus, wish, &settings_client);
    return true;
}

static void start_handles(struct daemon *daemon)
{
    uv_timer_init(&daemon->loop, &daemon->gather);
    uv_timer_init(&daemon->loop, &daemon->tick);
    uv_signal_init(&daemon->loop, &daemon->sigterm);
    uv_signal_init(&daemon->loop, &daemon->sigint);
    uv_signal_init(&daemon->loop, &daemon->sighup);
    daemon->gather.data = daemon->tick.data = daemon->sigterm.data = daemon->sigint.data = daemon;
    daemon->sighup.data = daemon;
    uv_timer_start(&daemon->tick, on_tick, TICK_MS, TICK_MS);
    uv_signal_start(&daemon->sigterm, on_signal, SIGTERM);
    uv_signal_start(&daemon->sigint, on_signal, SIGINT);
    uv_signal_start(&daemon->sighup, on_hangup, SIGHUP);
}

/* Who reads the log may end, and must not take the battery along. A standard stream that is closed would be
 * the number of what is opened next: the log would go into the bus. */
static void secure_streams(void)
{
    int fd;

    signal(SIGPIPE, SIG_IGN);
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int daemon_run(const struct daemon_options *options)
{
    struct daemon *daemon;
    int status = 1;

    secure_streams();
    tidy_begin();
    daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        return status;
    daemon->options = options;
    daemon->shown_instance = -1;
    if (!read_settings(daemon, &daemon->engine.config, true, "not started")) {
        free(daemon);
        return status;
    }
    log_info("battery-aggregator %s, settings %s, data in %s", VERSION, options->settings_path,
             options->data_directory);
    uv_loop_init(&daemon->loop);
    if (!engine_init(&daemon->engine, &daemon->engine.config, on_set, daemon))
        goto out_of_memory;
    daemon->engine.shows_pages = true;
    calibrate_init(&daemon->calibrate, &daemon->engine, on_today, on_calibrated, daemon);
    items_offer(daemon->engine.items, &daemon->calibrate.methods);
    if (!read_state(daemon) || !build(daemon))
        goto out_of_memory;
    start_handles(daemon);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    uv_loop_close(&daemon->loop);
    status = 0;
    goto out;

out_of_memory:
    log_error("Out of memory");
out:
    engine_free(&daemon->engine);
    free(daemon);
    return status;
}
