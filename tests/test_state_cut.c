/* A power cut at every byte and every call of a write of the state, on a disk that keeps as little as it may.
 *
 * The calls that src/state.c writes with are wrapped by the linker. What is not synced is lost at the cut, or
 * is there in part, and a new name stands for an empty file until its content was synced: whatever a real
 * disk may do, one of these is at least as bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/calendar.h"
#include "state.h"

enum { DATA_MAX = 4096, FILES_MAX = 8, NAME_MAX_LENGTH = 256 };

/* What a name in the folder leads to, on the disk itself. */
struct file {
    char name[NAME_MAX_LENGTH];
    char content[DATA_MAX];
    size_t length;
};

/* The cuts: how much of what was never synced has reached the disk by itself. */
enum reach {
    REACH_NOTHING,    /* neither content nor names */
    REACH_NAMES,      /* a rename, but not the content behind it */
    REACH_HALF,       /* names, and half of the content */
    REACH_EVERYTHING, /* all of it */
    REACH_COUNT
};

static struct {
    char directory[64];
    char before[FILES_MAX][NAME_MAX_LENGTH];
    struct file disk[FILES_MAX]; /* synced */
    size_t on_disk;
    struct file written; /* the temporary file, as written */
    bool content_synced; /* of the temporary file */
    bool renamed;        /* not yet synced */
    char target[NAME_MAX_LENGTH];
    int fd;           /* of the temporary file */
    int directory_fd; /* when the folder is open to be synced */
    long calls;       /* so far; a write counts as many as it has bytes */
    long cut_at;
    bool cut;
} power;

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t length);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_open(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *data, size_t length);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);

/* ---- the disk ---- */

static struct file *find(const char *name)
{
    for (size_t i = 0; i < power.on_disk; i++) {
        if (strcmp(power.disk[i].name, name) == 0)
            return &power.disk[i];
    }
    return NULL;
}

static void put_on_disk(const char *name, const char *content, size_t length)
{
    struct file *file = find(name);

    if (!file) {
        assert_true(power.on_disk < FILES_MAX);
        file = &power.disk[power.on_disk++];
        snprintf(file->name, sizeof file->name, "%s", name);
    }
    memcpy(file->content, content, length);
    file->length = length;
}

static const char *last_part(const char *path)
{
    return strrchr(path, '/') + 1;
}

static bool is_ours(const char *path)
{
    return strncmp(path, power.directory, strlen(power.directory)) == 0;
}

/* True when the current fails before this step. */
static bool step(long size)
{
    if (!power.cut && power.calls + size > power.cut_at)
        power.cut = true;
    power.calls += size;
    return power.cut;
}

/* ---- the calls: after the cut nothing happens any more ---- */

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    int mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (!is_ours(path) || power.cut_at < 0)
        return __real_open(path, flags, mode);
    if (flags & O_DIRECTORY) {
        power.directory_fd = __real_open(path, flags);
        return power.directory_fd;
    }
    if (!(flags & O_CREAT))
        return __real_open(path, flags);
    if (step(1)) {
        errno = EIO;
        return -1;
    }
    assert_true(flags & O_TRUNC); /* what is left of an earlier cut must not shine through */
    memset(&power.written, 0, sizeof power.written);
    snprintf(power.written.name, sizeof power.written.name, "%s", last_part(path));
    power.content_synced = false;
    power.fd = __real_open("/dev/null", O_WRONLY);
    return power.fd;
}

ssize_t __wrap_write(int fd, const void *data, size_t length)
{
    size_t fits = length;

    if (power.cut_at < 0 || fd != power.fd)
        return __real_write(fd, data, length);
    if (step((long)length)) {
        long before = power.calls - (long)length;

        fits = power.cut_at > before ? (size_t)(power.cut_at - before) : 0;
    }
    assert_true(power.written.length + fits <= DATA_MAX);
    memcpy(power.written.content + power.written.length, data, fits);
    power.written.length += fits;
    if (fits == length)
        return (ssize_t)length;
    errno = EIO;
    return -1;
}

int __wrap_fsync(int fd)
{
    if (power.cut_at < 0 || (fd != power.fd && fd != power.directory_fd))
        return __real_fsync(fd);
    if (step(1)) {
        errno = EIO;
        return -1;
    }
    if (fd == power.fd) {
        power.content_synced = true;
    } else if (power.renamed) {
        put_on_disk(power.target, power.written.content, power.content_synced ? power.written.length : 0);
        power.renamed = false;
    }
    return 0;
}

int __wrap_close(int fd)
{
    if (fd == power.fd)
        power.fd = -1;
    if (fd == power.directory_fd)
        power.directory_fd = -1;
    return __real_close(fd);
}

int __wrap_rename(const char *from, const char *to)
{
    if (power.cut_at < 0 || !is_ours(from))
        return __real_rename(from, to);
    if (step(1)) {
        errno = EIO;
        return -1;
    }
    assert_string_equal(last_part(from), power.written.name);
    snprintf(power.target, sizeof power.target, "%s", last_part(to));
    power.renamed = true;
    return 0;
}

int __wrap_unlink(const char *path)
{
    return power.cut_at < 0 || !is_ours(path) ? __real_unlink(path) : 0;
}

/* ---- before and after the cut ---- */

static void arm(long cut_at)
{
    power.cut_at = cut_at;
    power.calls = 0;
    power.cut = power.renamed = power.content_synced = false;
    power.fd = power.directory_fd = -1;
    memset(&power.written, 0, sizeof power.written);
}

/* What the disk holds when the light is back. */
static void settle(enum reach reach)
{
    size_t length = power.written.length;

    if (!power.content_synced)
        length = reach == REACH_EVERYTHING ? length : reach == REACH_HALF ? length / 2 : 0;
    if (power.renamed && reach != REACH_NOTHING)
        put_on_disk(power.target, power.written.content, length);
    else if (power.written.name[0] && reach != REACH_NOTHING)
        put_on_disk(power.written.name, power.written.content, length); /* a temporary file is left */
}

static void clear_directory(void)
{
    DIR *directory = opendir(power.directory);
    char path[512];

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        snprintf(path, sizeof path, "%s/%s", power.directory, entry->d_name);
        (void)remove(path);
    }
    closedir(directory);
}

/* The start after it: a real folder with what the disk held. */
static enum state_finding start_again(struct state *state)
{
    char path[512], message[512];

    power.cut_at = -1;
    clear_directory();
    for (size_t i = 0; i < power.on_disk; i++) {
        FILE *file;

        snprintf(path, sizeof path, "%s/%s", power.directory, power.disk[i].name);
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(power.disk[i].content, 1, power.disk[i].length, file), power.disk[i].length);
        fclose(file);
    }
    return state_read(power.directory, state, NULL, message, sizeof message);
}

/* ---- the states ---- */

/* A state that is unlike the one before in every value; whole numbers, so that they are read back equal. */
static struct state state_number(int n)
{
    struct state state = {.charge_Ah = 100 * n,
                          .charge_capacity_Ah = 1000 + n,
                          .device_instance = 90 + n,
                          .balancing_state = n % 2,
                          .last_balancing_day = 20000 + n,
                          .balancing_age_days = n,
                          .seen_day = 20010 + n,
                          .feed_in_debt = true,
                          .feed_in_held_s = 10 * n,
                          .feed_in_packs = n,
                          .feed_in_seen_s = 1800000000 + n};

    state.learned = (struct soc_learned){-0.25 * n, 0.5 + n / 16.0, 1, 0.01, 1e-6, -1e-5, 0.001, 4};
    return state;
}

/* What state.ini holds of a state is all of this one. */
static bool is_state(const struct state *found, const struct state *wanted)
{
    return found->device_instance == wanted->device_instance &&
           found->balancing_state == wanted->balancing_state &&
           found->last_balancing_day == wanted->last_balancing_day &&
           found->balancing_age_days == wanted->balancing_age_days && found->seen_day == wanted->seen_day &&
           found->feed_in_debt == wanted->feed_in_debt && found->feed_in_held_s == wanted->feed_in_held_s &&
           found->feed_in_seen_s == wanted->feed_in_seen_s && found->feed_in_packs == wanted->feed_in_packs &&
           memcmp(&found->learned, &wanted->learned, sizeof found->learned) == 0;
}

/* What `charge` holds: the charge and the bank that it was counted in, of one write. */
static bool is_charge(const struct state *found, const struct state *wanted)
{
    return found->charge_Ah == wanted->charge_Ah && found->charge_capacity_Ah == wanted->charge_capacity_Ah;
}

static void write_on_disk(const struct state *state)
{
    memset(power.disk, 0, sizeof power.disk);
    power.on_disk = 0;
    arm(1000000);
    assert_int_equal(state_write(power.directory, state), 0);
    settle(REACH_NOTHING);
    arm(1000000);
    assert_int_equal(state_write_charge(power.directory, state), 0);
    settle(REACH_NOTHING);
}

typedef int (*write_fn)(const char *directory, const struct state *state);

/* One cut; true when the write was over before. *kept_new: it is the new state that is found. */
static bool cut_once(write_fn write_state, long at, enum reach reach, const struct state *before,
                     const struct state *after, struct state *found)
{
    int result;
    bool over;

    write_on_disk(before);
    arm(at);
    result = write_state(power.directory, after);
    over = !power.cut;
    settle(reach);
    assert_int_equal(start_again(found), STATE_FOUND);
    if (over)
        assert_int_equal(result, 0);
    else
        assert_true(result < 0);
    return over;
}

/* ---- the tests ---- */

static void a_cut_anywhere_leaves_the_old_state_or_the_new_one_and_never_loses_the_debt(void **state)
{
    const struct state before = state_number(1), after = state_number(2);
    struct state found;
    size_t cuts = 0, old = 0;

    (void)state;
    for (int reach = 0; reach < REACH_COUNT; reach++) {
        bool over = false;

        for (long at = 0; !over; at++, cuts++) {
            over = cut_once(state_write, at, (enum reach)reach, &before, &after, &found);
            if (!is_state(&found, &before) && !is_state(&found, &after))
                fail_msg("cut at %ld: neither the old state nor the new", at);
            assert_true(found.feed_in_debt);
            assert_true(is_charge(&found, &before)); /* another file */
            old += is_state(&found, &before);
            if (over)
                assert_true(is_state(&found, &after)); /* what was said to be written is written */
        }
    }
    assert_true(cuts > REACH_COUNT * 200);
    assert_true(old > 0 && old < cuts);
}

static void a_cut_anywhere_leaves_the_old_charge_or_the_new_one(void **state)
{
    const struct state before = state_number(1), after = state_number(2);
    struct state found;

    (void)state;
    for (int reach = 0; reach < REACH_COUNT; reach++) {
        bool over = false;

        for (long at = 0; !over; at++) {
            over = cut_once(state_write_charge, at, (enum reach)reach, &before, &after, &found);
            if (!is_charge(&found, &before) && !is_charge(&found, &after))
                fail_msg("cut at %ld: a charge of %g Ah that never was", at, found.charge_Ah);
            assert_true(is_state(&found, &before));
            if (over)
                assert_true(is_charge(&found, &after));
        }
    }
}

static void a_cut_in_the_first_write_of_all_leaves_nothing_or_all(void **state)
{
    const struct state after = state_number(2);
    struct state found;

    (void)state;
    for (int reach = 0; reach < REACH_COUNT; reach++) {
        bool over = false;

        for (long at = 0; !over; at++) {
            enum state_finding finding;

            memset(power.disk, 0, sizeof power.disk);
            power.on_disk = 0;
            arm(at);
            over = state_write(power.directory, &after) == 0;
            settle((enum reach)reach);
            finding = start_again(&found);
            assert_int_equal(finding, STATE_MISSING); /* the charge was never written */
            if (!is_state(&found, &after) && (found.device_instance != -1 || found.feed_in_debt))
                fail_msg("cut at %ld: half of a state", at);
        }
    }
}

/* One cut after another, each in the write that follows the last: what they leave behind harms no later one.
 */
static void many_cuts_in_a_row_never_mix_two_states(void **state)
{
    struct state kept = state_number(1), found;

    (void)state;
    write_on_disk(&kept);
    for (int round = 0; round < 400; round++) {
        struct state next = state_number(1 + round % 7);

        arm(round * 37 % 400);
        (void)state_write(power.directory, &next);
        settle((enum reach)(round % REACH_COUNT));
        assert_int_equal(start_again(&found), STATE_FOUND);
        if (!is_state(&found, &kept) && !is_state(&found, &next))
            fail_msg("round %d: neither what was kept nor what was written", round);
        if (is_state(&found, &next))
            kept = next;
        assert_true(found.feed_in_debt);
    }
}

static int setup(void **state)
{
    (void)state;
    power.cut_at = -1;
    strcpy(power.directory, "/tmp/test_state_cut.XXXXXX");
    return mkdtemp(power.directory) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    power.cut_at = -1;
    clear_directory();
    return rmdir(power.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_anywhere_leaves_the_old_state_or_the_new_one_and_never_loses_the_debt),
        cmocka_unit_test(a_cut_anywhere_leaves_the_old_charge_or_the_new_one),
        cmocka_unit_test(a_cut_in_the_first_write_of_all_leaves_nothing_or_all),
        cmocka_unit_test(many_cuts_in_a_row_never_mix_two_states),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
