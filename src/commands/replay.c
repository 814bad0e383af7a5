#include "commands/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"
#include "log.h"
#include "recording.h"

enum {
    INPUT_BYTES = 1 << 18,
    OUTPUT_BYTES = 1 << 16,
    SERVICES_MAX = 512,
    COMPLETE_MS = 5, /* who writes to a pipe and then says nothing for so long waits for our answer */
    WRONG_LINES_SAID_MAX = 10,
};

#define STEP_S 1.0            /* as the daemon's tick */
#define JUMP_S 3600.0         /* a longer gap, or a step back: the clock was set, or another day begins */
#define BELIEVED_FROM_S 1e9   /* a recording knows its time better than we do: any date since 2001 */
#define DATE_LOOKED_AT_S 60.0 /* time zones change at whole minutes */

/* A service of the recording, wanted or not. */
struct replayed {
    char name[DEVICE_SERVICE_MAX];
    size_t length;
    const struct paths *paths; /* NULL: not read */
    struct device *device;     /* NULL: not there now */
    int *next;                 /* after each path: the one that came after it the last time */
    int last;                  /* the path of its last line */
    bool settled;              /* once */
    bool touched;              /* in this instant */
};

struct replay {
    struct engine engine;
    struct replayed service[SERVICES_MAX];
    size_t services;
    struct replayed *current; /* of the last line */
    struct replayed *touched[SERVICES_MAX];
    size_t touched_count;

    struct clock clock;
    struct calendar today;
    double date_looked_s; /* epoch, when `today` was found; NAN = look again */
    double time_s;        /* epoch of the instant, NAN before the first */
    double monotonic_s;
    double stepped_s; /* monotonic, of the last step */
    bool open;        /* the instant has lines and is not calculated yet */
    bool answered;    /* it was calculated: its end was said */
    bool shown;
    char instant_text[RECORDING_TIME_MAX]; /* the time as the recording has it */
    char tick_text[RECORDING_TIME_MAX];
    const char *time_text; /* one of the two: that of the step */

    struct recording_line line;
    uint64_t line_number;
    int wrong_lines;
    const char *name; /* of the input, for messages */
};

/* ---- what is published ---- */

static void print_item(void *ctx, int item)
{
    struct replay *replay = ctx;
    struct value value = items_value(replay->engine.items, item);
    char number[ITEMS_TEXT_MAX];
    char path[ITEMS_PATH_MAX];

    items_path(replay->engine.items, item, path);
    if (value.kind != VALUE_NUMBER) {
        recording_write_value(stdout, replay->time_text, OUTPUTS_SERVICE, path, &value);
        return;
    }
    items_number(replay->engine.items, item, number);
    fputs_unlocked(replay->time_text, stdout);
    fputs_unlocked("\t" OUTPUTS_SERVICE "\t", stdout);
    fputs_unlocked(path, stdout);
    putc_unlocked('\t', stdout);
    fputs_unlocked(number, stdout);
    putc_unlocked('\n', stdout);
}

static void print_all(struct replay *replay)
{
    items_take_changes(replay->engine.items, NULL, NULL);
    for (size_t i = 0; i < items_count(replay->engine.items); i++) {
        if (items_value(replay->engine.items, (int)i).kind != VALUE_INVALID)
            print_item(replay, (int)i);
    }
}

static void print_presence(struct replay *replay)
{
    switch (engine_presence(&replay->engine, replay->monotonic_s, replay->shown)) {
    case ENGINE_STAY:
        if (replay->shown)
            items_take_changes(replay->engine.items, print_item, replay);
        break;
    case ENGINE_ENTER:
        replay->shown = true;
        recording_write_event(stdout, replay->time_text, OUTPUTS_SERVICE, RECORDING_HERE);
        print_all(replay);
        break;
    case ENGINE_LEAVE:
        items_take_changes(replay->engine.items, print_item, replay);
        recording_write_event(stdout, replay->time_text, OUTPUTS_SERVICE, RECORDING_GONE);
        replay->shown = false;
        break;
    }
}

static void print_feed_in(const struct replay *replay)
{
    enum feed_in_action action = replay->engine.aggregate.feed_in.action;
    struct value value = value_number(action == FEED_IN_WRITE_1 ? 1 : 0);

    if (action != FEED_IN_NOTHING)
        recording_write_value(stdout, replay->time_text, "com.victronenergy.settings", SETTINGS_FEED_IN_PATH,
                              &value);
}

/* ---- time ---- */

static void look_at_date(struct replay *replay)
{
    if (fabs(replay->time_s - replay->date_looked_s) < DATE_LOOKED_AT_S)
        return;
    replay->date_looked_s = floor(replay->time_s / DATE_LOOKED_AT_S) * DATE_LOOKED_AT_S;
    replay->today =
        clock_day_at(&replay->clock, replay->monotonic_s, replay->time_s, clock_utc_offset_s(replay->time_s));
}

static void show_identity(struct replay *replay)
{
    char connection[64];
    size_t packs = (size_t)replay->engine.aggregate.packs_online;

    snprintf(connection, sizeof connection, "%zu pack%s in a recording", packs, packs == 1 ? "" : "s");
    outputs_set_identity(replay->engine.outputs,
                         &(struct outputs_identity){connection, "", OUTPUTS_INSTANCE_WISH});
}

static void step(struct replay *replay)
{
    struct engine *engine = &replay->engine;

    look_at_date(replay);
    replay->stepped_s = replay->monotonic_s;
    if (!engine_step(engine, replay->monotonic_s, &replay->today))
        return;
    if (!replay->shown)
        show_identity(replay);
    report_aggregate(&engine->report, &engine->config, &engine->aggregator, &engine->aggregate,
                     replay->monotonic_s, replay->shown);
    print_presence(replay);
    print_feed_in(replay);
}

/* Time passes up to the next instant, as the daemon's tick has it pass where nothing arrives. */
static void pass_time(struct replay *replay, double time_s)
{
    double period_s = STEP_S;
    double dt_s = time_s - replay->time_s;

    if (isnan(replay->time_s)) {
        replay->time_s = time_s;
        return;
    }
    if (dt_s < 0 || dt_s > JUMP_S) {
        replay->monotonic_s += period_s;
        replay->date_looked_s = NAN;
        replay->time_s = time_s;
        return;
    }
    while (dt_s > period_s) {
        dt_s -= period_s;
        replay->monotonic_s += period_s;
        replay->time_s += period_s;
        recording_time(replay->time_s, replay->tick_text);
        replay->time_text = replay->tick_text;
        replay->engine.packs_changed = true;
        step(replay);
    }
    replay->monotonic_s += dt_s;
    replay->time_s = time_s;
}

static void settle(struct replay *replay)
{
    for (size_t i = 0; i < replay->touched_count; i++) {
        struct replayed *service = replay->touched[i];

        service->touched = false;
        if (!service->device)
            continue;
        engine_settled(&replay->engine, service->device, !service->settled);
        service->settled = true;
        if (service->device->role == ROLE_SETTINGS) {
            clock_set_zone(service->device->settings.time_zone);
            replay->date_looked_s = NAN;
        }
    }
    replay->touched_count = 0;
}

static void complete_instant(struct replay *replay)
{
    if (!replay->open)
        return;
    replay->open = false;
    settle(replay);
    replay->engine.packs_changed = true;
    replay->answered = true;
    replay->time_text = replay->instant_text;
    step(replay);
    recording_write_event(stdout, replay->time_text, "", RECORDING_END);
}

/* ---- services ---- */

static struct replayed *find_service(struct replay *replay, const struct recording_line *line)
{
    struct replayed *service = replay->current;

    if (service && service->length == line->service_length &&
        memcmp(service->name, line->service, service->length) == 0)
        return service;
    for (size_t i = 0; i < replay->services; i++) {
        service = &replay->service[i];
        if (service->length == line->service_length &&
            memcmp(service->name, line->service, service->length) == 0)
            return service;
    }
    return NULL;
}

static struct replayed *add_service(struct replay *replay, const struct recording_line *line)
{
    struct replayed *service;
    size_t paths;

    if (replay->services == SERVICES_MAX || line->service_length >= sizeof service->name)
        return NULL;
    service = &replay->service[replay->services++];
    memcpy(service->name, line->service, line->service_length + 1);
    service->length = line->service_length;
    service->paths = engine_wants(&replay->engine, service->name);
    if (!service->paths)
        return service;
    paths = paths_count(service->paths);
    service->next = calloc(paths, sizeof *service->next);
    if (!service->next)
        service->paths = NULL;
    return service;
}

static void touch(struct replay *replay, struct replayed *service)
{
    if (service->touched)
        return;
    service->touched = true;
    replay->touched[replay->touched_count++] = service;
}

static void come(struct replay *replay, struct replayed *service)
{
    if (service->device || !service->paths)
        return;
    service->device = engine_here(&replay->engine, service->name);
    service->settled = false;
}

static void go(struct replay *replay, struct replayed *service)
{
    if (!service->device)
        return;
    engine_gone(&replay->engine, service->device);
    service->device = NULL;
}

/* Services say the same paths in the same order again and again: the guess spares the search. */
static int find_path(struct replayed *service, const struct recording_line *line)
{
    int guess = service->next[service->last];
    const char *path = paths_get(service->paths, (size_t)guess);

    if (strcmp(path, line->path) != 0) {
        guess = paths_find(service->paths, line->path);
        if (guess == PATHS_NONE)
            return PATHS_NONE;
        service->next[service->last] = guess;
    }
    service->last = guess;
    return guess;
}

static void take_value(struct replay *replay, struct replayed *service, const struct recording_line *line)
{
    int index;

    come(replay, service);
    if (!service->device)
        return;
    touch(replay, service);
    index = find_path(service, line);
    if (index != PATHS_NONE)
        engine_value(&replay->engine, service->device, index, &line->value);
}

/* ---- lines ---- */

static void act_on_line(struct replay *replay, const struct recording_line *line)
{
    struct replayed *service = find_service(replay, line);

    if (!service)
        service = add_service(replay, line);
    if (!service)
        return;
    replay->current = service;
    switch (line->kind) {
    case RECORDING_VALUE:
        take_value(replay, service, line);
        break;
    case RECORDING_HERE:
        come(replay, service);
        break;
    case RECORDING_GONE:
        go(replay, service);
        break;
    case RECORDING_SILENT:
    case RECORDING_HEARD:
        if (service->device)
            engine_stale(&replay->engine, service->device, line->kind == RECORDING_SILENT);
        break;
    case RECORDING_END:
    case RECORDING_COMMENT:
        break;
    }
}

static void say_wrong(struct replay *replay, const char *what)
{
    if (++replay->wrong_lines > WRONG_LINES_SAID_MAX)
        return;
    fprintf(stderr, "%s:%llu: %s; the line is left out\n", replay->name,
            (unsigned long long)replay->line_number, what);
}

static void begin_instant(struct replay *replay)
{
    complete_instant(replay);
    pass_time(replay, replay->line.time_s);
    memcpy(replay->instant_text, replay->line.time_text, sizeof replay->instant_text);
    replay->answered = false;
}

static void take_line(struct replay *replay, char *line, size_t length)
{
    const char *wrong;

    replay->line_number++;
    if (length > 0 && line[length - 1] == '\r')
        length--;
    wrong = recording_parse(line, length, &replay->line);
    if (wrong) {
        say_wrong(replay, wrong);
        return;
    }
    if (replay->line.kind == RECORDING_COMMENT)
        return;
    if (replay->line.time_s != replay->time_s)
        begin_instant(replay);
    if (replay->line.kind != RECORDING_END) {
        replay->open = true;
        act_on_line(replay, &replay->line);
        return;
    }
    replay->open = replay->open || !replay->answered;
    complete_instant(replay);
}

/* ---- the input ---- */

struct input {
    int fd;
    bool skipping; /* the rest of a line that was too long */
    size_t used;   /* bytes of a line that is not complete yet */
    char buffer[INPUT_BYTES];
};

/* All complete lines of the buffer; what remains moves to its beginning. */
static void take_lines(struct replay *replay, struct input *input)
{
    char *at = input->buffer;
    char *end = at + input->used;
    char *newline;

    while ((newline = memchr(at, '\n', (size_t)(end - at)))) {
        if (!input->skipping)
            take_line(replay, at, (size_t)(newline - at));
        input->skipping = false;
        at = newline + 1;
    }
    input->used = (size_t)(end - at);
    if (at > input->buffer)
        memmove(input->buffer, at, input->used);
    if (input->used < RECORDING_LINE_MAX)
        return;
    if (!input->skipping) {
        replay->line_number++;
        say_wrong(replay, "the line is too long");
    }
    input->skipping = true;
    input->used = 0;
}

/* Whoever is at the other end of the pipe and says nothing more waits for what we say. */
static void answer_who_waits(struct replay *replay, const struct input *input)
{
    struct pollfd waiting = {input->fd, POLLIN, 0};

    if (poll(&waiting, 1, 0) > 0)
        return;
    if (replay->open && input->used == 0 && poll(&waiting, 1, COMPLETE_MS) == 0)
        complete_instant(replay);
    fflush(stdout);
}

/* 0, or -errno. */
static int take_input(struct replay *replay, struct input *input)
{
    for (;;) {
        ssize_t got;

        answer_who_waits(replay, input);
        got = read(input->fd, input->buffer + input->used, sizeof input->buffer - 1 - input->used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        input->used += (size_t)got;
        take_lines(replay, input);
    }
    if (input->used > 0 && !input->skipping)
        take_line(replay, input->buffer, input->used); /* the last line without its end */
    complete_instant(replay);
    return 0;
}

/* ---- beginning and end ---- */

static void replay_free(struct replay *replay)
{
    engine_free(&replay->engine);
    for (size_t i = 0; i < replay->services; i++)
        free(replay->service[i].next);
    free(replay);
}

static struct replay *replay_new(const struct config *config, const char *name)
{
    struct replay *replay = calloc(1, sizeof *replay);

    if (!replay)
        return NULL;
    replay->name = name;
    replay->time_s = NAN;
    replay->date_looked_s = NAN;
    replay->clock.not_before_s = BELIEVED_FROM_S;
    if (!engine_init(&replay->engine, config, NULL, NULL)) {
        replay_free(replay);
        return NULL;
    }
    log_to_stderr(replay->instant_text);
    return replay;
}

static int replay_file(struct replay *replay, struct input *input)
{
    int result = take_input(replay, input);

    if (result < 0) {
        fprintf(stderr, "battery-aggregator: %s cannot be read: %s\n", replay->name, strerror(-result));
        return 1;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "battery-aggregator: the result cannot be written: %s\n", strerror(errno));
        return 1;
    }
    if (replay->wrong_lines > WRONG_LINES_SAID_MAX)
        fprintf(stderr, "%s: %d lines were wrong\n", replay->name, replay->wrong_lines);
    return replay->wrong_lines > 0;
}

int command_replay(const struct command_arguments *arguments)
{
    bool from_stdin = !arguments->file || strcmp(arguments->file, "-") == 0;
    struct input *input = calloc(1, sizeof *input);
    struct replay *replay = NULL;
    struct config config;
    int status = 1;

    if (!arguments_read_settings(arguments, &config)) {
        free(input);
        return 2;
    }
    log_set_level(arguments->log_level ? *arguments->log_level : LOG_WARNING);
    if (input)
        replay = replay_new(&config, from_stdin ? "stdin" : arguments->file);
    if (!replay) {
        fputs("battery-aggregator: out of memory\n", stderr);
        goto out;
    }
    input->fd = from_stdin ? STDIN_FILENO : open(arguments->file, O_RDONLY | O_CLOEXEC);
    if (input->fd < 0) {
        fprintf(stderr, "battery-aggregator: %s: %s\n", arguments->file, strerror(errno));
        goto out;
    }
    setvbuf(stdout, NULL, _IOFBF, OUTPUT_BYTES);
    status = replay_file(replay, input);
    if (!from_stdin)
        close(input->fd);

out:
    log_to_stderr(NULL);
    if (replay)
        replay_free(replay);
    free(input);
    return status;
}
