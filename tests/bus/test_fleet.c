/* battery-fleet: simulated devices as real services, led by hand through its stdin; and the daemon
 * against them. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

static struct {
    pid_t pid;
    FILE *in, *out;
} fleet;

/* Starts it on the harness' bus and waits until all its services are there. */
static void fleet_start(struct harness *h, const char *options)
{
    char command[512];
    char line[64];
    int in[2], out[2];

    snprintf(command, sizeof command, "exec " BUILD_DIR "/battery-fleet --ready --bus %s %s",
             harness_address(h), options);
    assert_int_equal(pipe(in) | pipe(out), 0);
    fleet.pid = fork();
    if (fleet.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[0]);
        close(in[1]);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    fleet.in = fdopen(in[1], "w");
    fleet.out = fdopen(out[0], "r");
    assert_non_null(fgets(line, sizeof line, fleet.out));
    assert_string_equal(line, "ready\n");
}

/* Says a command; its answer must begin so. */
static void say(const char *command, const char *answer)
{
    char line[512];

    fprintf(fleet.in, "%s\n", command);
    fflush(fleet.in);
    assert_non_null(fgets(line, sizeof line, fleet.out));
    if (strncmp(line, answer, strlen(answer)) != 0)
        fail_msg("%s was answered by %s", command, line);
}

static int fleet_end(void **state)
{
    int status;

    if (fleet.pid > 0) {
        kill(fleet.pid, SIGTERM);
        waitpid(fleet.pid, &status, 0);
        fclose(fleet.in);
        fclose(fleet.out);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        fleet.pid = 0;
    }
    return harness_test_teardown(state);
}

static double number_of(struct harness *h, const char *service, const char *path)
{
    const char *text = harness_get_of(h, service, path);

    return text && *text ? strtod(text, NULL) : (double)NAN;
}

static void a_pack_looks_like_one_with_its_driver(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    assert_string_equal(harness_get_of(h, "com.victronenergy.battery.ttyUSB1", "/CustomName"), "House 2");
    assert_string_equal(harness_get_of(h, "com.victronenergy.battery.ttyUSB1", "/Serial"), "SIM00002");
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/ProductId") == 0xBA77);
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/Voltages/Cell16") > 3);
    assert_true(number_of(h, "com.victronenergy.battery.ttyUSB0", "/Info/MaxChargeVoltage") > 50);
    assert_true(number_of(h, "com.victronenergy.vebus.ttyS4", "/Connected") == 1);
    assert_true(number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current") >= 0);
    assert_true(number_of(h, HARNESS_SETTINGS, FEED_IN) == 1);
}

static void a_hand_may_set_any_value_and_give_it_back(void **state)
{
    struct harness *h = *state;
    static const char pack[] = "com.victronenergy.battery.ttyUSB0";

    fleet_start(h, "--packs 1");
    say("set pack 1 /Soc 12.5", "ok");
    assert_true(number_of(h, pack, "/Soc") == 12.5);
    say("set ttyUSB0 /Soc \"full\"", "ok");
    assert_string_equal(harness_get_of(h, pack, "/Soc"), "full");
    say("set pack 1 /Soc -", "ok");
    assert_string_equal(harness_get_of(h, pack, "/Soc"), "");
    say("set pack 1 /New/Path 7", "ok");
    assert_true(number_of(h, pack, "/New/Path") == 7);
    say("release pack 1 /Soc", "ok");
    for (int i = 0; i < 200 && isnan(number_of(h, pack, "/Soc")); i++)
        harness_watch(h, 0.05);
    assert_true(number_of(h, pack, "/Soc") > 50);
}

static void wrong_commands_are_answered_by_an_error(void **state)
{
    fleet_start(*state, "--packs 1 --quiet");
    say("jump", "error: no such command");
    say("remove pack 9", "error: no such device");
    say("set pack 1 /Soc 1x", "error: a value is");
    say("return pack 1", "error: com.victronenergy.battery.ttyUSB0 is here");
}

static void the_settings_service_gives_unique_instances(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 1");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/DeviceInstance", 99);
    assert_string_equal(
        harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/ClassAndVrmInstance"),
        "battery:99");
}

static void the_daemon_merges_the_fleet(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 3 --quiet");
    harness_daemon_start(h, "NR_OF_BATTERIES = 3\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 3);
    harness_await_exactly(h, "/InstalledCapacity", 840);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 420);
    say("set pack 2 /Info/MaxChargeCurrent 50", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 150);
}

static void a_pack_that_leaves_lowers_the_limits_and_raises_an_alarm_until_it_is_back(void **state)
{
    struct harness *h = *state;

    fleet_start(h, "--packs 2 --quiet");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    say("remove pack 2", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    say("return pack 2 as com.victronenergy.battery.ttyUSB7", "ok com.victronenergy.battery.ttyUSB7 is here");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    harness_await_exactly(h, "/Alarms/BmsCable", 0);
}

static void the_chargers_obey_the_aggregate(void **state)
{
    struct harness *h = *state;
    double first_A;

    fleet_start(h, "--packs 2 --speed 60 --hour 11 --soc 40");
    harness_set_text_of(h, HARNESS_SETTINGS, FEED_IN, "0");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_watch(h, 1.5);
    first_A = number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current");
    assert_true(first_A > 20);
    say("set pack 1 /Info/MaxChargeCurrent 0", "ok");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    for (int i = 0; i < 200; i++) {
        if (number_of(h, "com.victronenergy.solarcharger.ttyS5", "/Dc/0/Current") < first_A - 5)
            return; /* what is left feeds the house */
        harness_watch(h, 0.05);
    }
    fail_msg("the solar charger still gives %g A", first_A);
}

#define fleet_test(test) cmocka_unit_test_teardown(test, fleet_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fleet_test(a_pack_looks_like_one_with_its_driver),
        fleet_test(a_hand_may_set_any_value_and_give_it_back),
        fleet_test(wrong_commands_are_answered_by_an_error),
        fleet_test(the_settings_service_gives_unique_instances),
        fleet_test(the_daemon_merges_the_fleet),
        fleet_test(a_pack_that_leaves_lowers_the_limits_and_raises_an_alarm_until_it_is_back),
        fleet_test(the_chargers_obey_the_aggregate),
    };

    return cmocka_run_group_tests_name("fleet", tests, harness_group_setup, harness_group_teardown);
}
