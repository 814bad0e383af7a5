/* state on a disk that fails: whichever call fails, and however, there is the old file or the new one, and
 * who asked is told. The linker sends the calls of our own code through the faults here. */
#include "fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "state.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

enum { LONG_MAX_BYTES = 6000 };

enum call { CALL_OPEN, CALL_WRITE, CALL_FSYNC, CALL_CLOSE, CALL_RENAME, CALL_READ, CALL_FSTAT, CALLS };

/* The nth of these calls from now on fails so; 0 = none does. */
static struct {
    int nth[CALLS];
    int error[CALLS];
    int any_nth; /* of all of them together */
    int fired;
    size_t piece; /* a write takes no more than this; 0 = all */
    bool takes_nothing;
} fault;

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_close(int fd);
int __real_rename(const char *from, const char *to);
ssize_t __real_read(int fd, void *data, size_t size);
int __real_fstat(int fd, struct stat *status);
int __wrap_open(const char *path, int flags, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_close(int fd);
int __wrap_rename(const char *from, const char *to);
ssize_t __wrap_read(int fd, void *data, size_t size);
ssize_t __wrap___read_chk(int fd, void *data, size_t size, size_t room);
int __wrap_fstat(int fd, struct stat *status);

static bool fails(enum call call)
{
    bool mine = fault.nth[call] > 0 && --fault.nth[call] == 0;
    bool any = fault.any_nth > 0 && --fault.any_nth == 0;

    if (!mine && !any)
        return false;
    fault.fired++;
    errno = mine ? fault.error[call] : EIO;
    return true;
}

int __wrap_open(const char *path, int flags, mode_t mode)
{
    return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (fails(CALL_WRITE))
        return -1;
    if (fault.takes_nothing)
        return 0;
    return __real_write(fd, data, fault.piece > 0 && size > fault.piece ? fault.piece : size);
}

int __wrap_fsync(int fd)
{
    return fails(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

/* Closed it is in any case. */
int __wrap_close(int fd)
{
    int result = __real_close(fd);

    return fails(CALL_CLOSE) ? -1 : result;
}

int __wrap_rename(const char *from, const char *to)
{
    return fails(CALL_RENAME) ? -1 : __real_rename(from, to);
}

ssize_t __wrap_read(int fd, void *data, size_t size)
{
    return fails(CALL_READ) ? -1 : __real_read(fd, data, size);
}

ssize_t __wrap___read_chk(int fd, void *data, size_t size, size_t room)
{
    assert_true(size <= room);
    return __wrap_read(fd, data, size);
}

int __wrap_fstat(int fd, struct stat *status)
{
    return fails(CALL_FSTAT) ? -1 : __real_fstat(fd, status);
}

struct bench {
    char directory[64];
    char path[128];
    struct state state;
    char message[512];
};

static const struct state before = {.charge_Ah = 100, .charge_capacity_Ah = 500, .device_instance = 5};
static const struct state after = {.charge_Ah = 200, .charge_capacity_Ah = 600, .device_instance = 6};

static int setup(void **state)
{
    struct bench *bench = test_calloc(1, sizeof *bench);

    memset(&fault, 0, sizeof fault);
    strcpy(bench->directory, "/tmp/test_disk.XXXXXX");
    *state = bench;
    return mkdtemp(bench->directory) && state_write(bench->directory, &before) == 0 &&
                   state_write_charge(bench->directory, &before) == 0
               ? 0
               : -1;
}

static const char *path_of(struct bench *bench, const char *name)
{
    snprintf(bench->path, sizeof bench->path, "%s/%.60s", bench->directory, name);
    return bench->path;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    DIR *directory;

    memset(&fault, 0, sizeof fault);
    directory = opendir(bench->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        (void)remove(path_of(bench, entry->d_name));
    if (directory)
        closedir(directory);
    rmdir(bench->directory);
    test_free(bench);
    return 0;
}

static enum state_finding read_state(struct bench *bench)
{
    return state_read(bench->directory, &bench->state, NULL, bench->message, sizeof bench->message);
}

static void fail_with(enum call call, int nth, int error)
{
    memset(&fault, 0, sizeof fault);
    fault.nth[call] = nth;
    fault.error[call] = error;
}

static void the_old_file_or_the_new_one_stands_whichever_call_fails(void **state)
{
    struct bench *bench = *state;
    int calls = 0;
    int unsaid = 0;

    for (int nth = 1;; nth++) {
        int result;

        memset(&fault, 0, sizeof fault);
        fault.any_nth = nth;
        result = state_write(bench->directory, &after);
        if (fault.fired == 0)
            break;
        fault.any_nth = 0;
        calls++;
        assert_int_equal(access(path_of(bench, "state.ini.new"), F_OK), -1);
        assert_int_equal(read_state(bench), STATE_FOUND);
        assert_true(bench->state.device_instance == 5 || bench->state.device_instance == 6);
        assert_true(result == -EIO || (result == 0 && bench->state.device_instance == 6));
        unsaid += result == 0;
        assert_int_equal(state_write(bench->directory, &before), 0);
    }
    assert_int_equal(unsaid, 1); /* the close of the folder: all is on the disk then */
    assert_true(calls >= 7);     /* open, write, fsync, close, rename; open and fsync of the folder */
}

static void a_write_in_pieces_or_interrupted_goes_on(void **state)
{
    struct bench *bench = *state;

    fail_with(CALL_WRITE, 2, EINTR);
    fault.piece = 1;
    assert_int_equal(state_write(bench->directory, &after), 0);
    assert_int_equal(fault.fired, 1);
    assert_int_equal(read_state(bench), STATE_FOUND);
    assert_int_equal(bench->state.device_instance, 6);
}

static void a_disk_that_takes_nothing_is_an_error_and_no_endless_loop(void **state)
{
    struct bench *bench = *state;

    fault.takes_nothing = true;
    assert_int_equal(state_write_charge(bench->directory, &after), -EIO);
    fault.takes_nothing = false;
    assert_int_equal(read_state(bench), STATE_FOUND);
    assert_true(bench->state.charge_Ah == 100);
}

static void a_folder_that_cannot_be_synced_by_its_kind_is_none_the_worse(void **state)
{
    struct bench *bench = *state;

    fail_with(CALL_FSYNC, 2, EINVAL);
    assert_int_equal(state_write(bench->directory, &after), 0);
    assert_int_equal(fault.fired, 1);
    fail_with(CALL_FSYNC, 2, EIO);
    assert_int_equal(state_write(bench->directory, &after), -EIO);
    assert_int_equal(fault.fired, 1);
}

static void a_read_that_is_interrupted_goes_on(void **state)
{
    struct bench *bench = *state;

    fail_with(CALL_READ, 1, EINTR);
    assert_int_equal(read_state(bench), STATE_FOUND);
    assert_int_equal(fault.fired, 1);
    assert_true(bench->state.charge_Ah == 100);
}

/* It is not spoilt, so it is not set aside: the disk may give it back. */
static void what_the_disk_does_not_give_is_unreadable_and_stays_in_its_place(void **state)
{
    static const enum call calls[] = {CALL_READ, CALL_FSTAT};
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fail_with(calls[i], 1, EIO);
        assert_int_equal(read_state(bench), STATE_UNREADABLE);
        assert_int_equal(fault.fired, 1);
        assert_non_null(strstr(bench->message, "charge cannot be read (Input/output error): "));
        assert_true(isnan(bench->state.charge_Ah));
        assert_int_equal(bench->state.device_instance, 5);
        assert_int_equal(access(path_of(bench, "charge"), F_OK), 0);
    }
}

static void a_spoilt_file_that_cannot_be_set_aside_is_told(void **state)
{
    struct bench *bench = *state;
    FILE *file = fopen(path_of(bench, "charge"), "w");

    fputs("much", file);
    fclose(file);
    fail_with(CALL_RENAME, 1, EROFS);
    assert_int_equal(read_state(bench), STATE_SPOILT);
    assert_int_equal(fault.fired, 1);
    assert_non_null(strstr(bench->message, "it cannot be set aside (Read-only file system)"));
}

static void a_folder_of_too_long_a_name_is_told_and_nothing_is_cut(void **state)
{
    struct bench *bench = *state;
    char directory[LONG_MAX_BYTES];
    struct state found;

    for (size_t length = 4080; length < 4100; length++) {
        memset(directory, 'x', length);
        memcpy(directory, "/tmp/", strlen("/tmp/"));
        directory[length] = '\0';
        assert_true(state_write(directory, &after) < 0);
        assert_true(state_write_charge(directory, &after) < 0);
        assert_int_equal(state_read(directory, &found, NULL, bench->message, sizeof bench->message),
                         STATE_UNREADABLE);
        assert_true(isnan(found.charge_Ah));
    }
    assert_int_equal(state_write(directory, &after), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_old_file_or_the_new_one_stands_whichever_call_fails),
        TEST(a_write_in_pieces_or_interrupted_goes_on),
        TEST(a_disk_that_takes_nothing_is_an_error_and_no_endless_loop),
        TEST(a_folder_that_cannot_be_synced_by_its_kind_is_none_the_worse),
        TEST(a_read_that_is_interrupted_goes_on),
        TEST(what_the_disk_does_not_give_is_unreadable_and_stays_in_its_place),
        TEST(a_spoilt_file_that_cannot_be_set_aside_is_told),
        TEST(a_folder_of_too_long_a_name_is_told_and_nothing_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
