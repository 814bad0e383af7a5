#include "fuzz/targets.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/calendar.h"
#include "fuzz/outcome.h"
#include "settings.h"
#include "state.h"

enum { MESSAGE_MAX = 512 };

static const char *const names[] = {"charge",         "state.ini",     "storedvalue_charge",
                                    "last_balancing", "charge.spoilt", "state.ini.spoilt"};
enum { NAMES = sizeof names / sizeof *names, NAMES_GIVEN = NAMES - 2 };

static char folder_path[64];

/* In memory where the system has such a place: nothing of it must survive. */
static const char *folder(void)
{
    char *path = folder_path;

    if (!*path) {
        snprintf(path, sizeof folder_path, "%s/fuzz_state.XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : P_tmpdir);
        REQUIRE(mkdtemp(path));
    }
    return path;
}

static void path_of(const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", folder(), name);
}

static void clear(void)
{
    char path[128];

    for (size_t i = 0; i < NAMES; i++) {
        path_of(names[i], path, sizeof path);
        unlink(path);
    }
}

static void put(const char *name, const char *content, size_t length)
{
    char path[128];
    int fd;

    path_of(name, path, sizeof path);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && write(fd, content, length) == (ssize_t)length);
    close(fd);
}

/* The file that the line at `at` begins, NULL when it is a line like any other. *content is behind it. */
static const char *heading(const char *at, const char *end, const char **content)
{
    for (size_t i = 0; i < NAMES_GIVEN && at < end && *at == '='; i++) {
        size_t length = strlen(names[i]);

        if ((size_t)(end - at) < length + 2 || memcmp(at + 1, names[i], length) != 0 ||
            at[length + 1] != '\n')
            continue;
        *content = at + length + 2;
        return names[i];
    }
    return NULL;
}

static void put_files(const char *at, const char *end)
{
    const char *name = NULL, *begin = at;

    while (at < end) {
        const char *newline, *content;
        const char *next = heading(at, end, &content);

        if (next) {
            if (name)
                put(name, begin, (size_t)(at - begin));
            name = next;
            at = begin = content;
            continue;
        }
        newline = memchr(at, '\n', (size_t)(end - at));
        at = newline ? newline + 1 : end;
    }
    if (name)
        put(name, begin, (size_t)(end - begin));
}

static bool is_nan_or_within(double number, double min, double max)
{
    return isnan(number) || (number >= min && number <= max);
}

static void check_read(const struct state *state)
{
    char date[CALENDAR_TEXT_MAX];

    REQUIRE(is_nan_or_within(state->charge_Ah, 0, 1e6));
    REQUIRE(is_nan_or_within(state->charge_capacity_Ah, 0, 1e6));
    REQUIRE(state->device_instance >= -1 && state->device_instance <= 1000000);
    REQUIRE(state->balancing_state >= 0 && state->balancing_state <= 2);
    REQUIRE(is_nan_or_within(state->balancing_age_days, 0, 1e5));
    REQUIRE(state->balancing_day_of_year >= 0 && state->balancing_day_of_year <= 366);
    REQUIRE(state->feed_in_held_s >= 0 && state->feed_in_held_s <= 1e9);
    if (state->last_balancing_day != CALENDAR_NONE)
        calendar_format(state->last_balancing_day, date);
    if (state->seen_day != CALENDAR_NONE)
        calendar_format(state->seen_day, date);
}

static bool is_same(double a, double b, double tolerance)
{
    return isnan(a) ? isnan(b) : fabs(a - b) <= tolerance;
}

/* What was read is written, and is found again. */
static void check_written(const struct state *state)
{
    char message[MESSAGE_MAX];
    static struct work_memory work;
    struct state again;

    REQUIRE(state_write_charge(folder(), state) == 0 && state_write(folder(), state) == 0);
    REQUIRE(state_read(folder(), &again, &work, message, sizeof message) == STATE_FOUND);
    REQUIRE(is_same(state->charge_Ah, again.charge_Ah, 0.000501)); /* half of the last digit, and a little */
    REQUIRE(is_same(state->charge_capacity_Ah, again.charge_capacity_Ah, 1e-3));
    REQUIRE(state->device_instance == again.device_instance);
    REQUIRE(state->balancing_state == again.balancing_state);
    REQUIRE(state->last_balancing_day == again.last_balancing_day && state->seen_day == again.seen_day);
    REQUIRE(state->feed_in_debt == again.feed_in_debt);
    REQUIRE(is_same(state->feed_in_held_s, again.feed_in_held_s, 1));
}

/* As the daemon begins with it. */
static void check_beginning(const struct state *state)
{
    struct aggregator aggregator;
    struct config config;

    settings_default(&config);
    config.own_charge_parameters = config.own_soc = true;
    aggregator_init(&aggregator, state->charge_Ah, state->charge_capacity_Ah);
    if (state->learned.usable > 0)
        soc_restore(&aggregator.soc, &state->learned);
    aggregator.control.balancing.state = (enum balancing_state)state->balancing_state;
    aggregator.control.balancing.last_success_day = state->last_balancing_day;
    aggregator.control.balancing.age_days = state->balancing_age_days;
    aggregator.control.balancing.seen_day = state->seen_day;
    aggregator.control.balancing.day_of_year = state->balancing_day_of_year;
    feed_in_init(&aggregator.feed_in, state->feed_in_debt, state->feed_in_held_s);
    outcome_lead(&aggregator, &config);
}

void fuzz_state(const uint8_t *data, size_t size)
{
    enum state_finding finding;
    char message[MESSAGE_MAX];
    static struct work_memory work;
    struct state state;

    clear();
    put_files((const char *)data, (const char *)data + size);
    finding = state_read(folder(), &state, &work, message, sizeof message);
    outcome_check_line(message);
    REQUIRE((finding == STATE_FOUND) == (*message == '\0'));
    check_read(&state);
    check_beginning(&state);
    check_written(&state);
    clear();
    REQUIRE(rmdir(folder()) == 0);
    *folder_path = '\0';
}
