/* clock: when a date is believed, and what is taken for a time zone. */
#include "fixture.h"

#include <stdlib.h>
#include <time.h>

#include "clock.h"

#define SUMMER_S 1783944000.0 /* 2026-07-13 12:00 UTC */

static void local_time_is_that_of_the_zone_that_the_settings_name(void **state)
{
    (void)state;
    clock_set_zone("Etc/GMT-3");
    assert_int_equal(clock_utc_offset_s(SUMMER_S), 3 * 3600);
    clock_set_zone("");
    assert_int_equal(clock_utc_offset_s(SUMMER_S), 3 * 3600);
    clock_set_zone("Etc/GMT+5");
    assert_int_equal(clock_utc_offset_s(SUMMER_S), -5 * 3600);
}

/* The C library opens a file of that name: it must not be any file, nor a pipe that never answers. */
static void no_file_is_opened_that_is_no_zone(void **state)
{
    static const char *const names[] = {"../../../dev/zero",
                                        "/dev/zero",
                                        "Etc/../../x",
                                        "a b",
                                        "Etc/GMT\n",
                                        ":UTC",
                                        "%s%s%s%s%n",
                                        "\xC3\xBC",
                                        "Etc/GMT-1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"};

    (void)state;
    clock_set_zone("Etc/GMT-3");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        clock_set_zone(names[i]);
        assert_string_equal(getenv("TZ"), ":Etc/GMT-3");
    }
}

static void a_date_is_believed_from_the_version_of_the_program_on(void **state)
{
    struct clock clock = {.not_before_s = 1e9};

    (void)state;
    assert_false(clock_day_at(&clock, 0, 0.9e9, 0).trusted);
    assert_true(clock_day_at(&clock, 1, 1.5e9, 0).trusted);
}

/* A clock that is set is not believed for an hour; the jump to the first believable date is none. */
static void a_clock_that_jumps_is_not_believed_for_an_hour(void **state)
{
    struct clock clock = {.not_before_s = 1e9};

    (void)state;
    assert_true(clock_day_at(&clock, 0, 1.5e9, 0).trusted);
    assert_true(clock_day_at(&clock, 10, 1.5e9 + 10, 0).trusted);
    assert_false(clock_day_at(&clock, 20, 1.6e9, 0).trusted);
    assert_false(clock_day_at(&clock, 3600, 1.6e9 + 3580, 0).trusted);
    assert_true(clock_day_at(&clock, 3621, 1.6e9 + 3601, 0).trusted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_time_is_that_of_the_zone_that_the_settings_name),
        cmocka_unit_test(no_file_is_opened_that_is_no_zone),
        cmocka_unit_test(a_date_is_believed_from_the_version_of_the_program_on),
        cmocka_unit_test(a_clock_that_jumps_is_not_believed_for_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
