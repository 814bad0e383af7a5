/* `status` and `check` as commands beside the running daemon. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATUS "$AGGREGATOR_PROGRAM status --bus $BUS "

/* Runs it; the status and a part of what it says must be these. */
static void expect(struct harness *h, const char *command, int status, const char *part)
{
    char line[512];
    char *said;
    int found;

    snprintf(line, sizeof line, "AGGREGATOR_PROGRAM=${AGGREGATOR:-" BUILD_DIR "/battery-aggregator}; %s",
             command);
    found = harness_shell(h, line, &said);
    if (found != status || !strstr(said, part))
        harness_fail(h, __FILE__, __LINE__, "status %d of: %s\n%s", found, command, said);
    free(said);
}

static void start(struct harness *h)
{
    harness_pack_add(h, "ttyUSB0", "'/Soc': 40, '/CustomName': 'Left', '/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/Soc': 60, '/CustomName': 'Right', '/DeviceInstance': 2");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
}

static void one_line_tells_what_the_daemon_shows(void **state)
{
    struct harness *h = *state;

    start(h);
    expect(h, STATUS, 0, "SoC 50.0 %");
    expect(h, STATUS, 0, "2 packs");
}

static void the_table_shows_each_pack_with_its_own_values(void **state)
{
    struct harness *h = *state;

    start(h);
    expect(h, STATUS "--table | grep Left", 0, "40.0");
    expect(h, STATUS "--table | grep Right", 0, "60.0");
}

static void json_is_json(void **state)
{
    struct harness *h = *state;

    start(h);
    expect(h,
           STATUS "--json | /usr/bin/python3 -c 'import json,sys; j = json.load(sys.stdin);"
                  " print(j[\"soc_pct\"], sorted(p[\"name\"] for p in j[\"packs\"]))'",
           0, "50 ['Left', 'Right']");
}

static void without_a_daemon_it_says_so_and_fails(void **state)
{
    expect(*state, STATUS, 1, "No battery-aggregator is on the bus");
}

static void without_a_bus_it_names_the_address(void **state)
{
    expect(*state, "$AGGREGATOR_PROGRAM status --bus unix:path=/nonexistent", 1, "unix:path=/nonexistent");
}

static void a_wrong_option_or_command_is_refused(void **state)
{
    expect(*state, "$AGGREGATOR_PROGRAM status --json --table --bus $BUS", 2, "exclude each other");
    expect(*state, "$AGGREGATOR_PROGRAM statsu", 2, "unknown command");
    expect(*state, "$AGGREGATOR_PROGRAM --log-level loud", 2, "unknown log level");
    expect(*state, "$AGGREGATOR_PROGRAM status --json --history --bus $BUS", 2, "exclude each other");
    expect(*state, "$AGGREGATOR_PROGRAM status --watch --history --bus $BUS", 2, "exclude each other");
}

/* Whoever forgets "status" wants no second daemon. */
static void an_option_of_a_command_is_refused_without_it(void **state)
{
    expect(*state, "timeout 5 $AGGREGATOR_PROGRAM --table --bus $BUS", 2, "an option of status: --table");
    expect(*state, "timeout 5 $AGGREGATOR_PROGRAM --clear --bus $BUS", 2, "an option of work: --clear");
    expect(*state, "$AGGREGATOR_PROGRAM status --clear --bus $BUS", 2, "an option of work: --clear");
    expect(*state, "$AGGREGATOR_PROGRAM capacity --json --bus $BUS", 2, "an option of status: --json");
}

static void check_tells_all_that_is_wrong(void **state)
{
    expect(*state, "$AGGREGATOR_PROGRAM check settings.ini", 0, "0 errors");
    expect(*state,
           "printf 'OWN_SOCK = True\\nLOG_PERIOD = x\\n' > $DATA/bad.ini; $AGGREGATOR_PROGRAM check "
           "$DATA/bad.ini",
           1, "2 errors");
    expect(*state, "$AGGREGATOR_PROGRAM check --data $DATA/no", 0,
           "no/settings.ini is not there: every setting has its default");
    expect(*state, "$AGGREGATOR_PROGRAM check --settings $DATA/no.ini", 1, "cannot be read");
}

static void without_a_settings_file_the_defaults_hold_but_a_named_one_must_be_there(void **state)
{
    expect(*state, "timeout 1 $AGGREGATOR_PROGRAM --data /nonexistent --bus $BUS", 124,
           "every setting has its default");
    expect(*state, "$AGGREGATOR_PROGRAM --settings /nonexistent --bus $BUS", 1, "cannot be read");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(one_line_tells_what_the_daemon_shows),
        harness_test(the_table_shows_each_pack_with_its_own_values),
        harness_test(json_is_json),
        harness_test(without_a_daemon_it_says_so_and_fails),
        harness_test(without_a_bus_it_names_the_address),
        harness_test(a_wrong_option_or_command_is_refused),
        harness_test(an_option_of_a_command_is_refused_without_it),
        harness_test(check_tells_all_that_is_wrong),
        harness_test(without_a_settings_file_the_defaults_hold_but_a_named_one_must_be_there),
    };

    return cmocka_run_group_tests_name("daemon: status", tests, harness_group_setup, harness_group_teardown);
}
