/* bus/owed: calls that the bus keeps, and who is asked no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "bus/owed.h"

#define ONE ":1.1"
#define OTHER ":1.2"
#define DAY_MS (UINT64_C(24) * 3600 * 1000)

static int setup(void **state)
{
    *state = test_calloc(1, sizeof(struct owed));
    return 0;
}

static int teardown(void **state)
{
    owed_clear(*state);
    test_free(*state);
    return 0;
}

static void who_hangs_is_asked_four_times_and_no_more(void **state)
{
    struct owed *owed = *state;
    uint32_t asked = 0;

    for (uint64_t now_ms = 0; now_ms < DAY_MS; now_ms += 3000) {
        if (owed_may_ask(owed, ONE, 0, 0, now_ms))
            owed_note(owed, ++asked, ONE, now_ms);
    }
    assert_int_equal(asked, OWED_MAX);
    assert_true(owed_may_ask(owed, OTHER, 0, 0, DAY_MS));
}

static void who_answers_in_the_end_is_asked_as_before(void **state)
{
    struct owed *owed = *state;

    for (uint32_t serial = 1; serial <= OWED_MAX; serial++)
        owed_note(owed, serial, ONE, 0);
    assert_false(owed_may_ask(owed, ONE, 0, 0, DAY_MS));
    assert_true(owed_answered(owed, 2));
    assert_false(owed_answered(owed, 2));
    assert_false(owed_answered(owed, 99));
    assert_true(owed_may_ask(owed, ONE, 0, 0, DAY_MS));
}

/* It dropped what it was asked while it was dead: the bus keeps that as long as it is connected. */
static void who_lost_its_calls_and_is_heard_is_asked_for_good(void **state)
{
    struct owed *owed = *state;

    for (uint32_t serial = 1; serial <= OWED_MAX; serial++)
        owed_note(owed, serial, ONE, 1000);
    owed_heard(owed, OTHER);
    assert_false(owed_may_ask(owed, ONE, 0, 0, DAY_MS));
    owed_heard(owed, ONE);
    assert_false(owed_may_ask(owed, ONE, 0, 0, 1000 + OWED_PAUSE_MS - 1));
    for (uint64_t now_ms = 1000 + OWED_PAUSE_MS; now_ms < DAY_MS; now_ms += 1000)
        assert_true(owed_may_ask(owed, ONE, 0, 0, now_ms)); /* and answers each */
}

static void who_talks_and_never_answers_uses_up_a_few_calls_in_a_month(void **state)
{
    struct owed *owed = *state;
    uint32_t asked = 0;

    for (uint64_t now_ms = 0; now_ms < 30 * DAY_MS; now_ms += 4000) {
        owed_heard(owed, ONE);
        if (owed_may_ask(owed, ONE, 0, 0, now_ms))
            owed_note(owed, ++asked, ONE, now_ms);
    }
    assert_in_range(asked, OWED_MAX + 1, 24);
}

/* 128 are what a bus keeps, and somebody who is well must be asked too. */
static void many_that_hang_use_up_less_each(void **state)
{
    struct owed *owed = *state;
    uint32_t asked = 0;

    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 64; i++) {
            char name[16];

            snprintf(name, sizeof name, ":1.%d", i + 10);
            if (owed_may_ask(owed, name, 0, 0, 0))
                owed_note(owed, ++asked, name, 0);
        }
    }
    assert_in_range(asked, 64, 112);
    assert_true(owed_may_ask(owed, ONE, 0, 0, 0));
    assert_false(owed_may_ask(owed, ONE, OWED_OPEN_MAX, 0, 0));
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_hangs_is_asked_four_times_and_no_more),
        TEST(who_answers_in_the_end_is_asked_as_before),
        TEST(who_lost_its_calls_and_is_heard_is_asked_for_good),
        TEST(who_talks_and_never_answers_uses_up_a_few_calls_in_a_month),
        TEST(many_that_hang_use_up_less_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
