/* core/calendar: dates without a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/calendar.h"

static void days_are_counted_from_1970(void **state)
{
    (void)state;
    assert_int_equal(calendar_day(1970, 1, 1), 0);
    assert_int_equal(calendar_day(2000, 3, 1), 11017);
    assert_int_equal(calendar_day(2026, 11, 21), 20778);
}

static void leap_years_have_a_29th_of_february_and_others_do_not(void **state)
{
    (void)state;
    assert_int_equal(calendar_day(2024, 3, 1) - calendar_day(2024, 2, 28), 2);
    assert_int_equal(calendar_day(2023, 3, 1) - calendar_day(2023, 2, 28), 1);
    assert_int_equal(calendar_day(2000, 3, 1) - calendar_day(2000, 2, 28), 2);
    assert_int_equal(calendar_day(2100, 3, 1) - calendar_day(2100, 2, 28), 1);
    assert_int_equal(calendar_day(2023, 2, 29), CALENDAR_NONE);
}

static void every_day_of_a_century_is_written_and_read_back(void **state)
{
    char text[CALENDAR_TEXT_MAX];

    (void)state;
    for (long day = 0; day < 40000; day++) {
        calendar_format(day, text);
        assert_int_equal(calendar_parse(text), day);
    }
    calendar_format(calendar_day(2026, 1, 2), text);
    assert_string_equal(text, "2026-01-02");
}

static void what_is_no_date_is_refused(void **state)
{
    static const char *const texts[] = {"", "2026", "2026-13-01", "2026-02-30", "2026-01-01x", "x", "-1-1-1"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(calendar_parse(texts[i]), CALENDAR_NONE);
}

static void years_months_and_days_have_their_bounds(void **state)
{
    static const int none[][3] = {{1969, 12, 31}, {10000, 1, 1}, {2026, 0, 1},
                                  {2026, 13, 1},  {2026, 4, 0},  {2026, 4, 31}};

    (void)state;
    assert_int_equal(calendar_day(1970, 1, 1), 0);
    assert_true(calendar_day(9999, 12, 31) > 0);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(calendar_day(none[i][0], none[i][1], none[i][2]), CALENDAR_NONE);
}

static void months_have_names_and_what_is_none_has_a_question_mark(void **state)
{
    (void)state;
    assert_string_equal(calendar_month_name(1), "January");
    assert_string_equal(calendar_month_name(12), "December");
    assert_string_equal(calendar_month_name(0), "?");
    assert_string_equal(calendar_month_name(13), "?");
}

static void the_month_is_that_of_local_time(void **state)
{
    double before_midnight = (double)calendar_day(2026, 6, 30) * 86400 + 23.5 * 3600;

    (void)state;
    assert_int_equal(calendar_at(before_midnight, 0).month, 6);
    assert_int_equal(calendar_at(before_midnight, 7200).month, 7);
    assert_int_equal(calendar_at(before_midnight, 7200).day, calendar_day(2026, 7, 1));
}

static void a_moment_that_is_none_cannot_be_trusted(void **state)
{
    (void)state;
    assert_false(calendar_at(-1e9, 0).trusted);
    assert_false(calendar_at(1e18, 0).trusted);
    assert_false(calendar_at(0.0 / 0.0, 0).trusted);
}

static void a_day_of_the_year_is_the_last_one_that_has_passed(void **state)
{
    (void)state;
    assert_int_equal(calendar_from_day_of_year(1, calendar_day(2026, 1, 10)), calendar_day(2026, 1, 1));
    assert_int_equal(calendar_from_day_of_year(360, calendar_day(2026, 1, 10)), calendar_day(2025, 12, 26));
    assert_int_equal(calendar_from_day_of_year(366, calendar_day(2026, 1, 10)), calendar_day(2024, 12, 31));
    assert_int_equal(calendar_from_day_of_year(0, calendar_day(2026, 1, 10)), CALENDAR_NONE);
    assert_int_equal(calendar_from_day_of_year(367, calendar_day(2026, 1, 10)), CALENDAR_NONE);
    /* 2100 has no 29th of February, so the 366th day may be eight years away; before 1970 none is */
    assert_int_equal(calendar_from_day_of_year(366, calendar_day(2104, 12, 30)), calendar_day(2096, 12, 31));
    assert_int_equal(calendar_from_day_of_year(366, calendar_day(1971, 1, 1)), CALENDAR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_are_counted_from_1970),
        cmocka_unit_test(leap_years_have_a_29th_of_february_and_others_do_not),
        cmocka_unit_test(every_day_of_a_century_is_written_and_read_back),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(years_months_and_days_have_their_bounds),
        cmocka_unit_test(months_have_names_and_what_is_none_has_a_question_mark),
        cmocka_unit_test(the_month_is_that_of_local_time),
        cmocka_unit_test(a_moment_that_is_none_cannot_be_trusted),
        cmocka_unit_test(a_day_of_the_year_is_the_last_one_that_has_passed),
    };

    return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
