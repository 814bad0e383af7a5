/* The corpus of the fuzz targets: what once broke something, or reaches a corner, holds now. Each file in a
 * process of its own, so that the one that breaks is named. */
#include "fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/targets.h"

#define CORPUS "tests/fuzz/corpus"

enum { FILE_MAX = 1 << 20, SAID_MAX = 4096 };

typedef void (*target_fn)(const uint8_t *data, size_t size);

/* What the children inherit stays reachable, or they would be told to have lost it. */
static uint8_t input[FILE_MAX];
static struct dirent **entries;

static size_t read_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file)
        fail_msg("%s cannot be read", path);
    size = fread(input, 1, FILE_MAX, file);
    fclose(file);
    assert_true(size < FILE_MAX);
    return size;
}

/* The child's exit runs what checks for leaks. */
static void replay(target_fn target, const char *path, size_t size)
{
    int said = memfd_create("said", MFD_CLOEXEC);
    char text[SAID_MAX];
    ssize_t length;
    int status;
    pid_t pid;

    fflush(NULL);
    pid = fork();
    assert_true(said >= 0 && pid >= 0);
    if (pid == 0) {
        dup2(said, STDOUT_FILENO);
        dup2(said, STDERR_FILENO);
        target(input, size);
        exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    length = pread(said, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    close(said);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s (status %x): %s", path, (unsigned)status, text);
}

static void replay_all(const char *name, target_fn target)
{
    char path[512];
    int count;
    int files = 0;

    snprintf(path, sizeof path, CORPUS "/%s", name);
    count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        fail_msg("%s is not there: run the tests from the project's folder", path);
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof path, CORPUS "/%s/%.255s", name, entries[i]->d_name);
            replay(target, path, read_input(path));
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(files > 0);
}

static void settings_files_of_any_bytes_are_read_or_refused(void **state)
{
    (void)state;
    replay_all("settings", fuzz_settings);
}

static void data_folders_of_any_bytes_are_survived_and_written_again(void **state)
{
    (void)state;
    replay_all("state", fuzz_state);
}

static void recordings_of_any_bytes_give_recordings_of_sane_limits(void **state)
{
    (void)state;
    replay_all("recording", fuzz_recording);
}

static void messages_of_any_shape_are_survived(void **state)
{
    (void)state;
    replay_all("messages", fuzz_messages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_files_of_any_bytes_are_read_or_refused),
        cmocka_unit_test(data_folders_of_any_bytes_are_survived_and_written_again),
        cmocka_unit_test(recordings_of_any_bytes_give_recordings_of_sane_limits),
        cmocka_unit_test(messages_of_any_shape_are_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
