#include "state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/calendar.h"
#include "state_work.h"

#define CHARGE_FILE "charge"
#define STATE_FILE "state.ini"
#define PYTHON_CHARGE_FILE "storedvalue_charge"
#define STATE_SECTION "state"
#define CHARGE_LARGEST_AH 1e6
#define CAPACITY_WORD " of "

/* state.ini grows with the packs that were ever there: so much is more than 64 of them need. */
enum { STATE_BYTES_MAX = 256 * 1024 };

enum { PATH_BYTES_MAX = 4096, CONTENT_BYTES_MAX = 4096, WHAT_BYTES_MAX = 256, SHOWN_MAX = 40 };

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
    int length;

    /* One number for users, and in the same write the bank that it was counted in: a power cut between two
     * files would make 597 of 840 Ah those of another bank. */
    if (!isfinite(state->charge_Ah))
        length = snprintf(content, sizeof content, "-1\n");
    else if (isfinite(state->charge_capacity_Ah))
        length = snprintf(content, sizeof content, "%.3f" CAPACITY_WORD "%.10g\n", state->charge_Ah,
                          state->charge_capacity_Ah);
    else
        length = snprintf(content, sizeof content, "%.3f\n", state->charge_Ah);

    return replace_file(directory, CHARGE_FILE, content, (size_t)length);
}

/* One line of state.ini at the end of content; what is unknown has no line. */
static void add_number(char *content, const char *key, double number)
{
    size_t used = strlen(content);

    if (isfinite(number))
        snprintf(content + used, CONTENT_BYTES_MAX - used, "%s = %.10g\n", key, number);
}

static void add_date(char *content, const char *key, long day)
{
    size_t used = strlen(content);
    char date[CALENDAR_TEXT_MAX];

    if (day == CALENDAR_NONE)
        return;
    calendar_format(day, date);
    snprintf(content + used, CONTENT_BYTES_MAX - used, "%s = %s\n", key, date);
}

/* What core/soc.h learned, by name. */
static const struct {
    const char *name;
    size_t offset;
} learned_numbers[] = {
#define LEARNED(member)                                      \
    {                                                        \
        "soc_" #member, offsetof(struct soc_learned, member) \
    }
    LEARNED(offset_A),       LEARNED(efficiency), LEARNED(usable),      LEARNED(var_offset),
    LEARNED(var_efficiency), LEARNED(var_usable), LEARNED(var_missing), LEARNED(cov_offset_efficiency),
#undef LEARNED
};

enum { LEARNED_COUNT = sizeof learned_numbers / sizeof *learned_numbers };

static double *learned_number(struct soc_learned *learned, size_t index)
{
    return (double *)(void *)((char *)learned + learned_numbers[index].offset);
}

static void add_learned(char *content, struct soc_learned learned)
{
    for (size_t i = 0; i < LEARNED_COUNT && learned.usable > 0; i++)
        add_number(content, learned_numbers[i].name, *learned_number(&learned, i));
}

static int write_with_work(const char *directory, const char *content, const struct work_memory *work)
{
    char *text = NULL;
    size_t length = 0;
    FILE *all = open_memstream(&text, &length);
    bool good;
    int result;

    if (!all)
        return -ENOMEM;
    fputs(content, all);
    if (work)
        state_work_write(all, work);
    good = !ferror(all);
    good = fclose(all) == 0 && good;
    result = good ? replace_file(directory, STATE_FILE, text, length) : -ENOMEM;
    free(text);
    return result;
}

int state_write(const char *directory, const struct state *state)
{
    char content[CONTENT_BYTES_MAX] = "; Kept by battery-aggregator. Users edit `charge`, not this file.\n"
                                      "[" STATE_SECTION "]\nversion = 1\n";

    add_number(content, "charge_capacity_Ah", state->charge_capacity_Ah);
    if (state->device_instance >= 0)
        add_number(content, "device_instance", state->device_instance);
    add_number(content, "balancing_state", state->balancing_state);
    add_date(content, "last_balancing", state->last_balancing_day);
    add_number(content, "balancing_age_days", state->balancing_age_days);
    add_date(content, "seen", state->seen_day);
    add_number(content, "feed_in_debt", state->feed_in_debt);
    add_number(content, "feed_in_held_s", state->feed_in_held_s);
    add_number(content, "feed_in_seen_s", state->feed_in_seen_s);
    add_number(content, "feed_in_packs", state->feed_in_packs);
    add_learned(content, state->learned);
    return write_with_work(directory, content, state->work);
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
    for (char *c = note->text + used; *c; c++) {
        if (iscntrl((unsigned char)*c))
            *c = '?';
    }
}

/* Keeps what somebody may still want to look at. */
static bool set_aside(const char *directory, const char *name)
{
    char path[PATH_BYTES_MAX];
    char aside[PATH_BYTES_MAX];

    return snprintf(path, sizeof path, "%s/%s", directory, name) < (int)sizeof path &&
           snprintf(aside, sizeof aside, "%s/%s.spoilt", directory, name) < (int)sizeof aside &&
           rename(path, aside) == 0;
}

/* A spoilt file: what it holds, what becomes of it, what happens now. */
static void add_spoilt(struct note *note, const char *directory, const char *name, const char *what,
                       const char *instead)
{
    char text[2 * WHAT_BYTES_MAX];

    if (set_aside(directory, name))
        snprintf(text, sizeof text, "%s: set aside as %s.spoilt, %s", what, name, instead);
    else
        snprintf(text, sizeof text, "%s: it cannot be set aside (%s), %s", what, strerror(errno), instead);
    add_note(note, STATE_SPOILT, name, text);
}

static ssize_t read_all(int fd, char *content, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t got = read(fd, content + length, size - length);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

/* The file as text; its length, or -errno. Opened without waiting: a pipe of that name must not hold up
 * the start. */
static ssize_t read_file(const char *directory, const char *name, char *content, size_t size)
{
    char path[PATH_BYTES_MAX];
    struct stat status;
    ssize_t length;
    int fd;

    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        length = -errno;
    else if (!S_ISREG(status.st_mode))
        length = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    else
        length = read_all(fd, content, size - 1);
    close(fd);
    if (length >= 0)
        content[length] = '\0';
    return length;
}

/* The length when the file was read; otherwise -1, and the note says why not. */
static ssize_t read_or_note(const char *directory, const char *name, char *content, size_t size,
                            const char *instead, struct note *note)
{
    char what[WHAT_BYTES_MAX];
    ssize_t length = read_file(directory, name, content, size);

    if (length >= 0)
        return length;
    if (length == -ENOENT)
        snprintf(what, sizeof what, "is not there yet: %s", instead);
    else
        snprintf(what, sizeof what, "cannot be read (%s): %s", strerror((int)-length), instead);
    add_note(note, length == -ENOENT ? STATE_MISSING : STATE_UNREADABLE, name, what);
    return -1;
}

/* A decimal number at the beginning, with blanks around it; what follows them is left alone ("280 Ah").
 * No inf, nan or hexadecimal. */
static bool parse_first_number(const char *text, double *number)
{
    char *end;

    text += strspn(text, " \t\r\n");
    *number = strtod(text, &end);
    return end != text && strspn(text, "0123456789.+-eE") >= (size_t)(end - text) &&
           strchr(" \t\r\n", *end) && isfinite(*number);
}

/* A number in a small file of the Python service, left as it is. */
static bool read_python_number(const char *directory, const char *name, double *number)
{
    char content[CONTENT_BYTES_MAX];

    return read_file(directory, name, content, sizeof content) > 0 && parse_first_number(content, number);
}

/* Taken over when there is no charge of ours yet. */
static bool read_python_charge(const char *directory, struct state *state)
{
    char path[PATH_BYTES_MAX];
    double charge_Ah;

    snprintf(path, sizeof path, "%s/%s", directory, CHARGE_FILE);
    if (access(path, F_OK) == 0 || !read_python_number(directory, PYTHON_CHARGE_FILE, &charge_Ah) ||
        charge_Ah < 0 || charge_Ah > CHARGE_LARGEST_AH)
        return false;
    state->charge_Ah = charge_Ah;
    return true;
}

/* The Python service stores the day of the year of its last balancing: taken over while we have no date. */
static void read_python_balancing(const char *directory, struct state *state)
{
    static const char *const names[] = {"last_balancing", "storedvalue_last_balancing"};
    double day;

    for (size_t i = 0; i < sizeof names / sizeof *names && state->last_balancing_day == CALENDAR_NONE; i++) {
        if (!read_python_number(directory, names[i], &day) || day < 1 || day > 366 || day != floor(day))
            continue;
        state->balancing_day_of_year = (int)day;
        return;
    }
}

/* "597.000 of 840": the capacity, NAN where a user left it out, or an older version did. */
static double parse_capacity(const char *content)
{
    const char *word = strstr(content, CAPACITY_WORD);
    double capacity_Ah;

    if (!word || !parse_first_number(word + strlen(CAPACITY_WORD), &capacity_Ah) || !(capacity_Ah > 0) ||
        capacity_Ah > CHARGE_LARGEST_AH)
        return NAN;
    return capacity_Ah;
}

/* The capacity that stands beside the charge; NAN = none does. */
static double read_charge(const char *directory, struct state *state, struct note *note)
{
    static const char instead[] = "the counter begins with the SoC of the packs";
    char content[CONTENT_BYTES_MAX];
    char what[WHAT_BYTES_MAX];
    double charge_Ah;
    size_t blank;
    int shown;
    ssize_t length;

    if (read_python_charge(directory, state))
        return NAN;
    length = read_or_note(directory, CHARGE_FILE, content, sizeof content, instead, note);
    if (length < 0)
        return NAN;
    if (strlen(content) == (size_t)length && parse_first_number(content, &charge_Ah) &&
        fabs(charge_Ah) <= CHARGE_LARGEST_AH) {
        state->charge_Ah = charge_Ah < 0 ? NAN : charge_Ah;
        return charge_Ah < 0 ? NAN : parse_capacity(content);
    }
    blank = strspn(content, " \t\r\n");
    shown = (int)strcspn(content + blank, "\r\n");
    if (!content[blank])
        snprintf(what, sizeof what, "is empty");
    else
        snprintf(what, sizeof what, "holds '%.*s' where a number of Ah belongs (0 to %.0f%s)",
                 shown < SHOWN_MAX ? shown : SHOWN_MAX, content + blank, CHARGE_LARGEST_AH,
                 strchr(content, ',') ? ", decimals with a point" : "");
    add_spoilt(note, directory, CHARGE_FILE, what, instead);
    return NAN;
}

/* What of state.ini was good. */
struct state_reader {
    struct state *state;
    bool spoilt;
};

/* A date, or nothing. */
static bool take_date(struct state *state, const char *name, const char *value)
{
    long *day = strcmp(name, "last_balancing") == 0 ? &state->last_balancing_day
                : strcmp(name, "seen") == 0         ? &state->seen_day
                                                    : NULL;
    long found;

    if (!day)
        return false;
    found = calendar_parse(value);
    if (found != CALENDAR_NONE)
        *day = found;
    return found != CALENDAR_NONE;
}

/* A number in its range, into its member. */
static bool take_number(struct state *state, const char *name, const char *value)
{
    const struct {
        const char *name;
        double max;
        bool whole;
        double *real;
        int *integer;
        bool *flag;
    } numbers[] = {
        {"charge_capacity_Ah", CHARGE_LARGEST_AH, false, &state->charge_capacity_Ah, NULL, NULL},
        {"device_instance", 1e6, true, NULL, &state->device_instance, NULL},
        {"balancing_state", 2, true, NULL, &state->balancing_state, NULL},
        {"balancing_age_days", 1e5, false, &state->balancing_age_days, NULL, NULL},
        {"feed_in_debt", 1, true, NULL, NULL, &state->feed_in_debt},
        {"feed_in_held_s", 1e9, false, &state->feed_in_held_s, NULL, NULL},
        {"feed_in_seen_s", 1e11, false, &state->feed_in_seen_s, NULL, NULL},
        {"feed_in_packs", 1000, true, NULL, &state->feed_in_packs, NULL},
    };
    double number;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(numbers[i].name, name) != 0)
            continue;
        if (!parse_first_number(value, &number) || number < 0 || number > numbers[i].max ||
            (numbers[i].whole && number != floor(number)) || (i == 0 && number == 0))
            return false;
        if (numbers[i].real)
            *numbers[i].real = number;
        else if (numbers[i].integer)
            *numbers[i].integer = (int)number;
        else if (numbers[i].flag)
            *numbers[i].flag = number > 0;
        return true;
    }
    return strcmp(name, "last_balancing") != 0 && strcmp(name, "seen") != 0 &&
           strncmp(name, "soc_", strlen("soc_")) != 0; /* a key of another version */
}

/* Whether it can be is for soc_restore to say. */
static bool take_learned(struct state *state, const char *name, const char *value)
{
    double number;

    for (size_t i = 0; i < LEARNED_COUNT; i++) {
        if (strcmp(learned_numbers[i].name, name) != 0 || !parse_first_number(value, &number))
            continue;
        *learned_number(&state->learned, i) = number;
        return true;
    }
    return false;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct state_reader *reader = user;

    if (reader->state->work && strncmp(section, STATE_WORK_SECTION, strlen(STATE_WORK_SECTION)) == 0 &&
        !state_work_take(reader->state->work, section, name, value))
        reader->spoilt = true;
    if (strcmp(section, STATE_SECTION) == 0 && !take_date(reader->state, name, value) &&
        !take_learned(reader->state, name, value) && !take_number(reader->state, name, value))
        reader->spoilt = true;
    return 1;
}

static void take_state_ini(const char *directory, const char *content, size_t length, struct state *state,
                           struct note *note)
{
    struct state_reader reader = {state, false};
    bool parsed = ini_parse_string(content, take_pair, &reader) == 0;

    if (state->work)
        state_work_end(state->work);
    if (parsed && !reader.spoilt && strlen(content) == length && strstr(content, "[" STATE_SECTION "]"))
        return;
    add_spoilt(note, directory, STATE_FILE, *content ? "is spoilt" : "is empty", "what was good is kept");
}

static void read_state_ini(const char *directory, struct state *state, struct note *note)
{
    char *content = malloc(STATE_BYTES_MAX);
    ssize_t length;

    if (!content) {
        add_note(note, STATE_UNREADABLE, STATE_FILE, "cannot be read (out of memory): begun anew");
        return;
    }
    length = read_or_note(directory, STATE_FILE, content, STATE_BYTES_MAX, "begun anew", note);
    if (length >= 0)
        take_state_ini(directory, content, (size_t)length, state, note);
    free(content);
}

static void check_directory(const char *directory, struct note *note)
{
    char what[WHAT_BYTES_MAX];

    if (access(directory, W_OK | X_OK) == 0)
        return;
    snprintf(what, sizeof what, "cannot be written (%s): what is counted is lost at a restart",
             strerror(errno));
    add_note(note, STATE_UNREADABLE, directory, what);
}

enum state_finding state_read(const char *directory, struct state *state, struct work_memory *work,
                              char *message, size_t size)
{
    struct note note = {message, size, STATE_FOUND};
    double capacity_Ah;

    message[0] = '\0';
    *state = (struct state){.charge_Ah = NAN,
                            .charge_capacity_Ah = NAN,
                            .device_instance = -1,
                            .last_balancing_day = CALENDAR_NONE,
                            .balancing_age_days = NAN,
                            .seen_day = CALENDAR_NONE,
                            .work = work};
    if (work)
        work_memory_init(work);
    check_directory(directory, &note);
    capacity_Ah = read_charge(directory, state, &note);
    read_state_ini(directory, state, &note);
    if (!isnan(capacity_Ah))
        state->charge_capacity_Ah = capacity_Ah; /* of one write with the charge */
    read_python_balancing(directory, state);
    return note.worst;
}
