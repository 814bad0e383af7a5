/* A sample of the random worlds of tests/fuzz; `make fuzz-core` lives through a million. */
#include "fixture.h"

#include "fuzz/worlds.h"

enum { SAMPLE = 3000 };

static void in_every_world_the_limits_are_safe_and_the_debt_is_paid(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SAMPLE; seed++) {
        const char *wrong = worlds_live(seed);

        if (wrong)
            fail_msg("seed %d: %s", (int)seed, wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_every_world_the_limits_are_safe_and_the_debt_is_paid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
