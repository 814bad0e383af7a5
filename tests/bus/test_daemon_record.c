/* record writes down what a live bus says, replay makes the same bank of it; release pays by hand what
 * the daemon owes. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "${AGGREGATOR:-" BUILD_DIR "/battery-aggregator}"
#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

static int shell(struct harness *h, const char *command, char **said)
{
    char *text = NULL;
    int status = harness_shell(h, command, &text);

    if (said)
        *said = text;
    else
        free(text);
    return status;
}

static void await_shell(struct harness *h, const char *condition)
{
    for (int i = 0; i < 400; i++) {
        if (shell(h, condition, NULL) == 0)
            return;
        harness_watch(h, 0.05);
    }
    harness_fail(h, __FILE__, __LINE__, "never true: %s", condition);
}

static void start_recording(struct harness *h)
{
    assert_int_equal(shell(h,
                           "rm -f $DATA/recording; " PROGRAM
                           " --bus $BUS --data $DATA record $DATA/recording "
                           ">/dev/null 2>&1 & echo $! > $DATA/recorder",
                           NULL),
                     0);
    await_shell(h, "grep -q '/Info/MaxDischargeCurrent' $DATA/recording");
}

static void stop_recording(struct harness *h)
{
    shell(h, "kill -INT $(cat $DATA/recorder)", NULL);
    await_shell(h, "! kill -0 $(cat $DATA/recorder) 2>/dev/null");
}

/* The last value that replay gives a path. */
static double replayed(const char *said, const char *path)
{
    char key[128];
    double value = NAN;

    snprintf(key, sizeof key, "\t%s\t", path);
    for (const char *at = strstr(said, key); at; at = strstr(at + 1, key))
        value = atof(at + strlen(key));
    return value;
}

static void a_recording_makes_the_same_bank_as_the_live_bus(void **state)
{
    static const char *const paths[] = {
        "/Dc/0/Voltage",          "/Dc/0/Current",          "/Soc",
        "/Info/MaxChargeVoltage", "/Info/MaxChargeCurrent", "/Info/MaxDischargeCurrent",
        "/System/MaxCellVoltage", "/System/NrOfBatteries"};
    struct harness *h = *state;
    char *said;

    harness_pack_add(h, "ttyUSB0", "'/CustomName': 'House 1'");
    harness_pack_add(h, "ttyUSB1", "'/CustomName': 'House 2'");
    harness_daemon_start(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    start_recording(h);
    harness_pack_set(h, "ttyUSB0",
                     "'/Dc/0/Current': 12.5, '/Voltages/Cell3': 3.41, '/System/MaxCellVoltage': 3.41");
    harness_await_exactly(h, "/System/MaxCellVoltage", 3.41);
    await_shell(h, "grep -q 3.41 $DATA/recording");
    stop_recording(h);
    assert_int_equal(shell(h, PROGRAM " --data $DATA replay $DATA/recording 2>/dev/null", &said), 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        double live = harness_number(h, paths[i]);

        if (!(fabs(replayed(said, paths[i]) - live) < 1e-9))
            fail_msg("%s is %g in the replay and %g live", paths[i], replayed(said, paths[i]), live);
    }
    free(said);
}

static void a_pack_that_comes_and_goes_is_recorded(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_pack_add(h, "ttyUSB0", "");
    start_recording(h);
    harness_pack_add(h, "ttyUSB1", "");
    await_shell(h, "grep -q 'ttyUSB1.*/Info/MaxDischargeCurrent' $DATA/recording");
    harness_pack_remove(h, "ttyUSB1");
    await_shell(h, "grep -q 'ttyUSB1\t\tgone' $DATA/recording");
    stop_recording(h);
    assert_int_equal(shell(h, PROGRAM " --data $DATA replay $DATA/recording 2>/dev/null", &said), 0);
    assert_non_null(strstr(said, "/Alarms/BmsCable\t1"));
    free(said);
}

static void a_recording_that_is_there_is_not_overwritten(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_data_write(h, "recording", "precious");
    assert_int_equal(shell(h, PROGRAM " --bus $BUS --data $DATA record $DATA/recording", &said), 1);
    assert_non_null(strstr(said, "is there already"));
    free(said);
    said = harness_data_read(h, "recording");
    assert_string_equal(said, "precious");
    free(said);
}

/* ---- release ---- */

#define RELEASE PROGRAM " --bus $BUS --data $DATA release"
#define DEBT "[state]\nfeed_in_debt = 1\n"

static void release_pays_what_is_owed_and_strikes_it_out(void **state)
{
    struct harness *h = *state;

    harness_settings_add(h, "'" FEED_IN "': 0");
    harness_data_write(h, "state.ini", DEBT);
    assert_int_equal(shell(h, RELEASE, NULL), 0);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "1");
    harness_set_text_of(h, HARNESS_SETTINGS, FEED_IN, "0"); /* the user's own 0 is nobody's debt */
    assert_int_equal(shell(h, RELEASE, NULL), 0);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0");
}

static void release_without_the_settings_service_keeps_the_debt(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_data_write(h, "state.ini", DEBT);
    assert_int_equal(shell(h, RELEASE, &said), 1);
    assert_non_null(strstr(said, "still owed"));
    free(said);
    harness_settings_add(h, "'" FEED_IN "': 0");
    assert_int_equal(shell(h, RELEASE, NULL), 0);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "1");
}

/* A folder that is not there owes nothing that we know of: that is no receipt. */
static void release_tells_a_folder_that_is_not_there(void **state)
{
    struct harness *h = *state;
    char *said;

    assert_int_equal(shell(h, PROGRAM " --bus $BUS --data $DATA/none release", &said), 1);
    assert_non_null(strstr(said, "none: No such file or directory"));
    free(said);
    assert_int_equal(shell(h, RELEASE, &said), 0);
    assert_non_null(strstr(said, "Nothing is owed"));
    assert_null(strstr(said, "counter")); /* of the charge nobody asked */
    free(said);
}

static void release_leaves_a_running_daemon_its_guard(void **state)
{
    struct harness *h = *state;
    char *said;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/Voltages/Cell3': 3.50, '/System/MaxCellVoltage': 3.50");
    harness_daemon_start(h, "OWN_CHARGE_PARAMETERS = True\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/FeedIn", 1);
    assert_int_equal(shell(h, RELEASE, &said), 1);
    assert_non_null(strstr(said, "the daemon runs"));
    free(said);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(a_recording_makes_the_same_bank_as_the_live_bus),
        harness_test(a_pack_that_comes_and_goes_is_recorded),
        harness_test(a_recording_that_is_there_is_not_overwritten),
        harness_test(release_pays_what_is_owed_and_strikes_it_out),
        harness_test(release_without_the_settings_service_keeps_the_debt),
        harness_test(release_tells_a_folder_that_is_not_there),
        harness_test(release_leaves_a_running_daemon_its_guard),
    };

    return harness_run(tests);
}
