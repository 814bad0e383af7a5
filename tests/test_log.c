#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

enum { OUTPUT_BYTES = 4096 };

/* Stdout as a pipe, as multilog has it: one write arrives as one piece. */
struct capture {
    int pipe[2];
    int saved;
};

static void begin(struct capture *capture)
{
    fflush(stdout);
    assert_int_equal(pipe(capture->pipe), 0);
    capture->saved = dup(STDOUT_FILENO);
    dup2(capture->pipe[1], STDOUT_FILENO);
}

static void end(struct capture *capture, char *output)
{
    ssize_t length;

    dup2(capture->saved, STDOUT_FILENO); /* no flush: the line must be out already */
    close(capture->saved);
    close(capture->pipe[1]);
    length = read(capture->pipe[0], output, OUTPUT_BYTES - 1);
    output[length > 0 ? length : 0] = '\0';
    close(capture->pipe[0]);
}

static void a_line_has_its_level_in_front_and_is_out_at_once(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];

    (void)state;
    log_set_level(LOG_DEBUG);
    begin(&capture);
    log_error("one %d", 1);
    log_warning("two");
    log_info("three");
    log_debug("four");
    end(&capture, output);
    assert_string_equal(output, "ERROR: one 1\nWARNING: two\nINFO: three\nDEBUG: four\n");
}

static void what_is_under_the_level_is_not_said(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];

    (void)state;
    log_set_level(LOG_WARNING);
    begin(&capture);
    log_info("not this");
    log_debug("nor this");
    log_warning("but this");
    end(&capture, output);
    assert_string_equal(output, "WARNING: but this\n");
}

static void a_name_from_the_bus_cannot_forge_a_line(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];

    (void)state;
    log_set_level(LOG_INFO);
    begin(&capture);
    log_info("Pack %s found", "x\nERROR: fire\r\033[2J\177");
    end(&capture, output);
    assert_string_equal(output, "INFO: Pack x?ERROR: fire??[2J? found\n");
}

static void a_line_too_long_is_cut_and_shows_it(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];
    char text[3000];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    begin(&capture);
    log_info("%s", text);
    end(&capture, output);
    assert_true(strlen(output) < 1100);
    assert_string_equal(output + strlen(output) - 5, "x...\n");
}

static size_t fill(int fd)
{
    size_t bytes = 0;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, "", 1) == 1)
        bytes++;
    fcntl(fd, F_SETFL, 0);
    return bytes;
}

static void what_nobody_reads_is_counted_and_never_waited_for(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];
    size_t bytes;
    char byte;

    (void)state;
    log_set_level(LOG_INFO);
    begin(&capture);
    bytes = fill(capture.pipe[1]);
    log_info("never read");
    log_info("nor this");
    for (; bytes > 0; bytes--)
        assert_int_equal(read(capture.pipe[0], &byte, 1), 1);
    log_info("read again");
    end(&capture, output);
    assert_string_equal(output,
                        "WARNING: 2 lines of the log are lost, for nobody read them\nINFO: read again\n");
}

static void a_reader_that_is_gone_ends_nothing(void **state)
{
    struct capture capture;
    char output[OUTPUT_BYTES];

    (void)state;
    begin(&capture);
    close(capture.pipe[0]);
    log_info("to nobody");
    end(&capture, output);
    begin(&capture);
    log_info("to somebody");
    end(&capture, output);
    assert_string_equal(output,
                        "WARNING: 1 line of the log is lost, for nobody read it\nINFO: to somebody\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_its_level_in_front_and_is_out_at_once),
        cmocka_unit_test(what_is_under_the_level_is_not_said),
        cmocka_unit_test(a_name_from_the_bus_cannot_forge_a_line),
        cmocka_unit_test(a_line_too_long_is_cut_and_shows_it),
        cmocka_unit_test(what_nobody_reads_is_counted_and_never_waited_for),
        cmocka_unit_test(a_reader_that_is_gone_ends_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
