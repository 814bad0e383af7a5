#include "fuzz/targets.h"

#include <dbus/dbus.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "commands/replay.h"
#include "fuzz/outcome.h"
#include "recording.h"
#include "venus/outputs.h"

#define DIVIDER "[recording]\n"

enum { FD_PATH_MAX = 32 };

/* A file in memory that has a path. */
static int memory_file(const char *name, const char *content, size_t length, char *path)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    REQUIRE(fd >= 0 && write(fd, content, length) == (ssize_t)length);
    snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
    return fd;
}

static bool is_limit(const char *path)
{
    return strcmp(path, "/Info/MaxChargeVoltage") == 0 || strcmp(path, "/Info/MaxChargeCurrent") == 0 ||
           strcmp(path, "/Info/MaxDischargeCurrent") == 0;
}

/* What comes out is a recording again, of us or of a setting that we write. */
static void check_line(char *text, size_t length, struct recording_line *line)
{
    REQUIRE(length < RECORDING_LINE_MAX);
    REQUIRE(!recording_parse(text, length, line));
    REQUIRE(line->kind != RECORDING_COMMENT);
    if (line->kind != RECORDING_VALUE)
        return;
    REQUIRE(strcmp(line->service, OUTPUTS_SERVICE) == 0 ||
            strcmp(line->service, "com.victronenergy.settings") == 0);
    if (line->value.kind == VALUE_NUMBER)
        REQUIRE(isfinite(line->value.number) && (!is_limit(line->path) || line->value.number >= 0));
    if (line->value.kind == VALUE_TEXT)
        REQUIRE(dbus_validate_utf8(line->value.text, NULL));
}

static void check_output(int fd)
{
    off_t length = lseek(fd, 0, SEEK_END);
    struct recording_line line = {0};
    char *text = malloc((size_t)length + 1);
    char *at = text;

    REQUIRE(text && pread(fd, text, (size_t)length, 0) == length);
    while (at < text + length) {
        char *end = memchr(at, '\n', (size_t)(text + length - at));

        REQUIRE(end);
        check_line(at, (size_t)(end - at), &line);
        at = end + 1;
    }
    free(text);
}

/* What replay prints goes to a file in memory. */
static int replay_to(int output, const struct command_arguments *arguments)
{
    int saved = dup(STDOUT_FILENO);
    int status;

    fflush(stdout);
    REQUIRE(dup2(output, STDOUT_FILENO) >= 0);
    status = command_replay(arguments);
    fflush(stdout);
    if (saved >= 0) {
        dup2(saved, STDOUT_FILENO);
        close(saved);
    }
    return status;
}

void fuzz_recording(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    const char *divider = size > 0 ? memmem(text, size, DIVIDER, strlen(DIVIDER)) : NULL;
    size_t settings_size = divider ? (size_t)(divider - text) : 0;
    size_t skip = divider ? settings_size + strlen(DIVIDER) : 0;
    char settings_path[FD_PATH_MAX], recording_path[FD_PATH_MAX], output_path[FD_PATH_MAX];
    int settings = memory_file("settings.ini", text, settings_size, settings_path);
    int recording = memory_file("recording", text + skip, size - skip, recording_path);
    int output = memory_file("output", "", 0, output_path);
    static const enum log_level level = LOG_DEBUG;
    struct command_arguments arguments = {
        .settings_path = settings_path, .settings_named = true, .log_level = &level, .file = recording_path};
    int status;

    clock_set_zone("UTC"); /* what the input before said must not matter */
    status = replay_to(output, &arguments);
    REQUIRE(status == 0 || status == 1 || status == 2);
    check_output(output);
    close(settings);
    close(recording);
    close(output);
}
