#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHARGE_FILE "charge"
#define STATE_FILE "state.ini"
#define CHARGE_LARGEST_AH 1e6

enum { PATH_BYTES_MAX = 4096, CONTENT_BYTES_MAX = 512 };

/* ---- writing: the old file or the new one, never half of one ---- */

static int write_all(int fd, const char *content, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, content, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        if (written == 0)
            return -EIO;
        content += written;
        length -= (size_t)written;
    }
    return 0;
}

/* The rename is on disk only when the folder is. */
static int sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return -errno;
    result = fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
    close(fd);
    return result;
}

static int replace_file(const char *directory, const char *name, const char *content, size_t length)
{
    char path[PATH_BYTES_MAX];
    char temporary[PATH_BYTES_MAX];
    int result;
    int fd;

    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path ||
        snprintf(temporary, sizeof temporary, "%s/%s.new", directory, name) >= (int)sizeof temporary)
        return -ENAMETOOLONG;
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    result = write_all(fd, content, length);
    if (result == 0 && fsync(fd) < 0)
        result = -errno;
    if (close(fd) < 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(temporary, path) < 0)
        result = -errno;
    if (result < 0) {
        unlink(temporary);
        return result;
    }
    return sync_directory(directory);
}

int state_write_charge(const char *directory, const struct state *state)
{
    char content[CONTENT_BYTES_MAX];
    int length = snprintf(content, sizeof content, "%.3f\n", state->charge_Ah);

    return replace_file(directory, CHARGE_FILE, content, (size_t)length);
}

int state_write(const char *directory, const struct state *state)
{
    char content[CONTENT_BYTES_MAX];
    int length = snprintf(content, sizeof content,
                          "; Kept by battery-aggregator. Users edit `charge`, not this file.\n"
                          "[state]\nversion = 1\n");

    if (!isnan(state->charge_capacity_Ah))
        length += snprintf(content + length, sizeof content - (size_t)length, "charge_capacity_Ah = %.3f\n",
                           state->charge_capacity_Ah);
    if (state->device_instance >= 0)
        length += snprintf(content + length, sizeof content - (size_t)length, "device_instance = %d\n",
                           state->device_instance);
    return replace_file(directory, STATE_FILE, content, (size_t)length);
}

/* ---- reading: whatever is found, the start goes on ---- */

/* Messages of several files become one line. */
struct note {
    char *text;
    size_t size;
    enum state_finding worst;
};

static void add_note(struct note *note, enum state_finding finding, const char *file, const char *what)
{
    size_t used = strlen(note->text);

    if (finding > note->worst)
        note->worst = finding;
    snprintf(note->text + used, note->size - used, "%s%s %s", used > 0 ? "; " : "", file, what);
}

/* Keeps what somebody may still want to look at. */
static void set_aside(const char *directory, const char *name)
{
    char path[PATH_BYTES_MAX];
    char aside[PATH_BYTES_MAX];

    if (snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path &&
        snprintf(aside, sizeof aside, "%s/%s.spoilt", directory, name) < (int)sizeof aside)
        (void)rename(path, aside);
}

/* The beginning of a file as text; its length, or -errno. */
static long read_file(const char *directory, const char *name, char *content, size_t size)
{
    char path[PATH_BYTES_MAX];
    FILE *file;
    size_t length;

    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    file = fopen(path, "rbe");
    if (!file)
        return -errno;
    length = fread(content, 1, size - 1, file);
    if (ferror(file)) {
        fclose(file);
        return -EIO;
    }
    fclose(file);
    content[length] = '\0';
    return (long)length;
}

/* True when the file was read; otherwise the note says why not. */
static bool read_or_note(const char *directory, const char *name, char *content, size_t size,
                         const char *instead, struct note *note)
{
    char what[256];
    long length = read_file(directory, name, content, size);

    if (length >= 0)
        return true;
    if (length == -ENOENT)
        snprintf(what, sizeof what, "is not there yet: %s", instead);
    else
        snprintf(what, sizeof what, "cannot be read (%s): %s", strerror((int)-length), instead);
    add_note(note, length == -ENOENT ? STATE_MISSING : STATE_UNREADABLE, name, what);
    return false;
}

static void read_charge(const char *directory, struct state *state, struct note *note)
{
    static const char instead[] = "the counter begins with the SoC of the packs";
    char content[CONTENT_BYTES_MAX];
    char what[256];
    char *end;
    double charge_Ah;

    if (!read_or_note(directory, CHARGE_FILE, content, sizeof content, instead, note))
        return;
    charge_Ah = strtod(content, &end);
    if (end != content && strspn(end, " \t\r\n") == strlen(end) && fabs(charge_Ah) <= CHARGE_LARGEST_AH) {
        state->charge_Ah = charge_Ah < 0 ? NAN : charge_Ah;
        return;
    }
    content[strcspn(content, "\r\n")] = '\0';
    snprintf(what, sizeof what, "is no number of Ah (\"%.40s\"): set aside as charge.spoilt, %s", content,
             instead);
    set_aside(directory, CHARGE_FILE);
    add_note(note, STATE_SPOILT, CHARGE_FILE, what);
}

/* What of state.ini was good. */
struct state_reader {
    struct state *state;
    bool spoilt;
};

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct state_reader *reader = user;
    char *end;
    double number = strtod(value, &end);

    if (strcmp(section, "state") != 0 || end == value || *end || !isfinite(number))
        reader->spoilt = true;
    else if (strcmp(name, "charge_capacity_Ah") == 0 && number > 0 && number <= CHARGE_LARGEST_AH)
        reader->state->charge_capacity_Ah = number;
    else if (strcmp(name, "device_instance") == 0 && number >= 0 && number <= 1e6)
        reader->state->device_instance = (int)number;
    return 1; /* keys of other versions are left alone */
}

static void read_state_ini(const char *directory, struct state *state, struct note *note)
{
    static const char instead[] = "begun anew";
    char content[CONTENT_BYTES_MAX];
    struct state_reader reader = {state, false};

    if (!read_or_note(directory, STATE_FILE, content, sizeof content, instead, note))
        return;
    if (ini_parse_string(content, take_pair, &reader) == 0 && !reader.spoilt && strstr(content, "[state]"))
        return;
    set_aside(directory, STATE_FILE);
    add_note(note, STATE_SPOILT, STATE_FILE,
             "is spoilt: set aside as state.ini.spoilt, what was good is kept");
}

enum state_finding state_read(const char *directory, struct state *state, char *message, size_t size)
{
    struct note note = {message, size, STATE_FOUND};

    message[0] = '\0';
    *state = (struct state){.charge_Ah = NAN, .charge_capacity_Ah = NAN, .device_instance = -1};
    read_charge(directory, state, &note);
    read_state_ini(directory, state, &note);
    return note.worst;
}
