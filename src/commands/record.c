#include "commands/record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "bus/loop.h"
#include "bus/monitor.h"
#include "engine.h"
#include "log.h"
#include "recording.h"
#include "silence.h"
#include "venus/inputs.h"

enum { TICK_MS = 1000 };

struct record {
    struct engine engine; /* tells what is read, and what is a pack */
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t sigterm, sigint;
    struct bus *bus;
    struct monitor *monitor;
    FILE *to;
    const char *name;       /* of the file, for messages */
    double epoch_at_zero_s; /* wall clock - monotonic clock at the start */
    char time_text[RECORDING_TIME_MAX];
    const struct monitor_service *speaking; /* whose values share time_text; NULL = a new instant begins */
    bool stopping;
    int status;
};

static double now_s(void)
{
    return (double)uv_hrtime() / 1e9;
}

/* The wall clock at the start, and the monotonic one from there on: a clock that is set meanwhile must not
 * tear the recording. */
static double epoch_at_zero_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - now_s();
}

static void begin_instant(struct record *record, const struct monitor_service *service)
{
    if (service && record->speaking == service)
        return;
    record->speaking = service;
    recording_time(record->epoch_at_zero_s + now_s(), record->time_text);
}

static void on_closed(void *ctx)
{
    struct record *record = ctx;

    record->bus = NULL;
}

static void stop(struct record *record)
{
    if (record->stopping)
        return;
    record->stopping = true;
    monitor_free(record->monitor);
    bus_close(record->bus, on_closed, record);
    uv_close((uv_handle_t *)&record->tick, NULL);
    uv_close((uv_handle_t *)&record->sigterm, NULL);
    uv_close((uv_handle_t *)&record->sigint, NULL);
}

static void flush(struct record *record)
{
    if (fflush(record->to) == 0 && !ferror(record->to))
        return;
    if (record->status == 0)
        fprintf(stderr, "battery-aggregator: %s cannot be written: %s\n", record->name, strerror(errno));
    record->status = 1;
}

/* ---- what the monitor hears ---- */

static const struct paths *on_wanted(void *ctx, const char *name)
{
    struct record *record = ctx;

    return engine_wants(&record->engine, name);
}

static void write_event(struct record *record, const struct monitor_service *service,
                        enum recording_kind kind)
{
    begin_instant(record, NULL);
    recording_write_event(record->to, record->time_text, service->name, kind);
}

static void on_found(void *ctx, struct monitor_service *service)
{
    struct record *record = ctx;

    service->user = engine_here(&record->engine, service->name);
    if (service->user)
        write_event(record, service, RECORDING_HERE);
}

static void on_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct record *record = ctx;

    if (!service->user || record->stopping)
        return;
    engine_value(&record->engine, service->user, index, value);
    begin_instant(record, service);
    recording_write_value(record->to, record->time_text, service->name,
                          paths_get(service->paths, (size_t)index), value);
}

static void on_settled(void *ctx, struct monitor_service *service, bool first)
{
    struct record *record = ctx;

    record->speaking = NULL;
    if (service->user)
        engine_settled(&record->engine, service->user, first);
}

static void on_silent(void *ctx, struct monitor_service *service, const char *why)
{
    (void)ctx;
    log_warning("%s does not answer (%s). It is asked again", service->name, why);
}

static void on_gone(void *ctx, struct monitor_service *service)
{
    struct record *record = ctx;

    if (!service->user)
        return;
    engine_gone(&record->engine, service->user);
    service->user = NULL;
    if (!record->stopping)
        write_event(record, service, RECORDING_GONE);
}

static void on_stale(void *ctx, struct monitor_service *service, bool stale)
{
    write_event(ctx, service, stale ? RECORDING_SILENT : RECORDING_HEARD);
}

static void on_bus_up(void *ctx)
{
    struct record *record = ctx;

    monitor_up(record->monitor);
}

static void on_bus_down(void *ctx, const char *why)
{
    struct record *record = ctx;

    log_warning("The bus is gone (%s): connecting again", why);
    monitor_down(record->monitor);
}

static bool on_bus_message(void *ctx, DBusMessage *message)
{
    struct record *record = ctx;

    return monitor_message(record->monitor, message);
}

/* The line that ends an instant tells that time passed, too. */
static void on_tick(uv_timer_t *timer)
{
    struct record *record = timer->data;

    silence_watch(record->monitor, &record->engine, now_s(), on_stale, record);
    begin_instant(record, NULL);
    recording_write_event(record->to, record->time_text, "", RECORDING_END);
    flush(record);
    if (record->status != 0)
        stop(record);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    stop(handle->data);
}

/* ---- beginning and end ---- */

static bool start(struct record *record, const char *bus_address)
{
    const struct monitor_client monitor_client = {record,     on_wanted, on_found, on_value,
                                                  on_settled, on_silent, on_gone,  NULL};
    const struct bus_owner bus_owner = {record, on_bus_up, on_bus_down, on_bus_message};

    record->bus = bus_new(&record->loop, bus_address, &bus_owner);
    if (!record->bus)
        return false;
    record->monitor = monitor_new(record->bus, &record->loop, "com.victronenergy.", &monitor_client);
    if (!record->monitor)
        return false;
    uv_timer_init(&record->loop, &record->tick);
    uv_signal_init(&record->loop, &record->sigterm);
    uv_signal_init(&record->loop, &record->sigint);
    record->tick.data = record->sigterm.data = record->sigint.data = record;
    uv_timer_start(&record->tick, on_tick, TICK_MS, TICK_MS);
    uv_signal_start(&record->sigterm, on_signal, SIGTERM);
    uv_signal_start(&record->sigint, on_signal, SIGINT);
    return true;
}

/* Never over a file that is there: it may be the only recording of a fault. */
static FILE *open_result(const char *file)
{
    FILE *to;

    if (!file || strcmp(file, "-") == 0)
        return stdout;
    to = fopen(file, "wxe");
    if (!to && errno == EEXIST)
        fprintf(stderr, "battery-aggregator: %s is there already: give another name, or remove it\n", file);
    else if (!to)
        fprintf(stderr, "battery-aggregator: %s cannot be written: %s\n", file, strerror(errno));
    return to;
}

static void record_bus(struct record *record, const char *bus_address)
{
    uv_loop_init(&record->loop);
    record->epoch_at_zero_s = epoch_at_zero_s();
    if (!start(record, bus_address)) {
        fputs("battery-aggregator: out of memory\n", stderr);
        record->status = 1;
        return;
    }
    uv_run(&record->loop, UV_RUN_DEFAULT);
    uv_loop_close(&record->loop);
    flush(record);
}

int command_record(const struct command_arguments *arguments)
{
    struct record *record = calloc(1, sizeof *record);
    struct config config;
    int status = 1;

    if (!record)
        return status;
    if (!arguments_read_settings(arguments, &config)) {
        free(record);
        return 2;
    }
    log_to_stderr(NULL);
    log_set_level(arguments->log_level ? *arguments->log_level : LOG_WARNING);
    record->name = arguments->file ? arguments->file : "stdout";
    record->to = open_result(arguments->file);
    if (!record->to) {
        free(record);
        return status;
    }
    if (engine_init(&record->engine, &config, NULL, NULL))
        record_bus(record, arguments->bus_address);
    status = record->status;
    if (record->to != stdout && fclose(record->to) != 0)
        status = 1;
    engine_free(&record->engine);
    free(record);
    return status;
}
