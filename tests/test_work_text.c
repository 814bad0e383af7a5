/* commands/work: how the past and the capacity are written for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "commands/work.h"

static char *written;

static int teardown(void **state)
{
    (void)state;
    free(written);
    written = NULL;
    return 0;
}

static const char *write_with(void (*write)(FILE *out, const struct work_view *view), struct work_pair *pairs,
                              size_t count)
{
    const struct work_view view = {count, pairs};
    size_t size;
    FILE *out = open_memstream(&written, &size);

    write(out, &view);
    fclose(out);
    return written;
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static struct work_pair pairs[] = {
    {"since_date", 20260301},
    {"full_date", 20261120},
    {"since_full_s", 9000},
    {"counted_h", 1000.04},
    {"charged_kWh", 123.456},
    {"charged_Ah", 2400},
    {"discharged_kWh", 117},
    {"cycles", 4.25},
    {"efficiency_pct", 95.06},
    {"efficiency_of_kWh", 120},
    {"voltage_min_V", 47.125},
    {"voltage_min_V_date", 20260704},
    {"deepest_Ah", -412.5},
    {"installed_Ah", 560},
    {"capacity_Ah", 531.5},
    {"capacity_deviation_Ah", 11.2},
    {"capacity_sweeps", 1},
    {"capacity_depth_pct", 100},
    {"capacity_next_deviation_Ah", 8.4},
    {"A/B/counted_h", 7},
    {"A/B/installed_Ah", 280},
    {"A/B/capacity_next_deviation_Ah", 9.5},
    {"Old/counted_h", 3},
    {"Old/installed_Ah", 100},
    {"Old/capacity_Ah", 80},
    {"Old/capacity_deviation_Ah", 6},
    {"Old/capacity_sweeps", 2},
    {"Old/capacity_depth_pct", 75},
    {"Old/capacity_next_deviation_Ah", 2.5},
    {"CAN/counted_h", 3},
};

enum { PAIRS = sizeof pairs / sizeof *pairs };

static void the_history_has_its_beginning_the_bank_and_every_pack(void **state)
{
    const char *text = write_with(work_write_history, pairs, PAIRS);

    (void)state;
    assert_says(text, "Counted since 2026-03-01, in 1000.0 h\n");
    assert_says(text, "Last full 2.5 h ago, on 2026-11-20\n");
    assert_says(text,
                "Bank\n  charged 123.46 kWh (2400.0 Ah), discharged 117.00 kWh (- Ah), 4.25 full cycles\n");
    assert_says(text, "efficiency 95.1 %: energy out over 120.0 kWh in");
    assert_says(text, "lowest voltage 47.12 V, on 2026-07-04\n");
    assert_says(text, "deepest discharge -412.5 Ah, on a day without a date\n");
    assert_says(text, "A/B\n  charged - kWh");
    assert_says(text, "Old\n");
}

static void what_is_not_known_yet_is_told_so(void **state)
{
    const char *text = write_with(work_write_history, pairs, 0);

    (void)state;
    assert_says(text, "Counted since a day without a date, in - h");
    assert_says(text, "Not seen full yet");
    assert_says(text, "efficiency: not known before a whole capacity went in");
}

static void the_capacity_has_its_uncertainty_and_what_would_make_it_better(void **state)
{
    const char *text = write_with(work_write_capacity, pairs, PAIRS);

    (void)state;
    assert_says(text,
                "531.5 +- 11.2 Ah (95 %) by 1 sweep, the deepest 100 %: certain enough; one more: +- 8.4 Ah");
    assert_says(text, "unknown: no sweep yet; one would tell it to +- 9.5 Ah");
    assert_says(text,
                "80.0 +- 6.0 Ah (80 %) by 2 sweeps, the deepest 75 %; one more would make it +- 2.5 Ah");
    assert_says(text, "unknown: it shows no /InstalledCapacity");
    assert_says(text, "within 12 h");
    assert_says(text, "charge the one that lags alone first");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_history_has_its_beginning_the_bank_and_every_pack, teardown),
        cmocka_unit_test_teardown(what_is_not_known_yet_is_told_so, teardown),
        cmocka_unit_test_teardown(the_capacity_has_its_uncertainty_and_what_would_make_it_better, teardown),
    };

    return cmocka_run_group_tests_name("work: text", tests, NULL, NULL);
}
