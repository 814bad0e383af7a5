/* What may fail around the packs, one test a fault: the bus, the program, the settings service, the clocks
 * and the disk. Clocks that jump and the disk that fails are those of tests/shim. */
#include "own_control.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "shim/world.h"

#define TWENTY_YEARS_S (20L * 365 * 86400)

/* A value that changes is published at once. */
#define CONTROL OWN_CONTROL "UPDATE_COALESCE = 0\nBALANCING_REPETITION = 10\n"

/* ---- the bus, the program, the settings service ---- */

static void when_the_bus_restarts_all_that_was_counted_and_owed_is_still_there(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "40\n");
    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, " CALM);
    harness_daemon_start(h, CONTROL "NR_OF_BATTERIES = 1\nOWN_SOC = True\nFEED_IN_MIN_HOLD = 0\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_bus_restart(h);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    harness_await_exactly(h, "/Capacity", 40);
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_await_string(h, "/CustomName", "Cellar");
    assert_int_equal(harness_log_count(h, "Somebody turned DC feed-in on"), 0);
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
    assert_true(harness_lowest_seen(h, "/Soc") > 39.9);
}

static void killed_while_feed_in_is_held_off_it_counts_the_time_before_and_between(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    world->wall_s += 600; /* it is held, then killed, and away: 600 s in all */
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_pack_set(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_await_log(h, "owed to the user from before");
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_watch(h, 2.2);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0"); /* 400 s are left */
    world->monotonic_s += 401;
    await_feed_in(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
}

static void killed_and_away_for_longer_than_the_hold_it_pays_at_once(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_pack_set(h, "ttyUSB0", CALM);
    world->wall_s += 1001;
    harness_daemon_start_in_world(h, CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    await_feed_in(h, "1");
}

static void without_a_settings_service_it_says_so_once_and_takes_the_one_that_comes_late(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", PEAK);
    harness_daemon_start(h, CONTROL "FEED_IN_MIN_HOLD = 0\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0); /* what needs no settings works */
    harness_await_exactly(h, "/DeviceInstance", 99);
    harness_await_log(h, "com.victronenergy.settings is not on the bus");
    harness_watch(h, 2.2);
    assert_int_equal(harness_log_count(h, "com.victronenergy.settings is not on the bus"), 1);
    harness_settings_add(h, "'" FEED_IN "': 1");
    await_feed_in(h, "0"); /* the peak still lasts */
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
    assert_string_equal(
        harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/ClassAndVrmInstance"),
        "battery:99");
}

static void a_settings_service_that_refuses_is_said_once_is_an_alarm_and_is_tried_again(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'settings', 'refusing': true, 'items': {'" FEED_IN "': 1}}");
    harness_pack_add(h, "ttyUSB0", "'/Alarms/InternalFailure': 0, " CALM);
    harness_daemon_start(h, CONTROL "FEED_IN_MIN_HOLD = 0\n");
    harness_await_aggregate(h);
    harness_await_log(h, "did not take our settings");
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0); /* what CCL and CVL can do they do */
    harness_await_exactly(h, "/Alarms/InternalFailure", 1);
    harness_await_log(h, "DC feed-in cannot be set");
    harness_watch(h, 2.2);
    assert_int_equal(harness_log_count(h, "DC feed-in cannot be set"), 1);
    assert_int_equal(harness_log_count(h, "did not take our settings"), 1);
    harness_peer(h, "{'cmd': 'refuse', 'on': false}");
    await_feed_in(h, "0"); /* at the next try */
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
}

/* ---- clocks ---- */

/* Days before today, as state.ini has them. */
static void write_balanced(struct harness *h, int days_ago)
{
    time_t then = time(NULL) - (time_t)days_ago * 86400, now = time(NULL);
    char was[16], today[16], text[160];

    strftime(was, sizeof was, "%Y-%m-%d", gmtime(&then));
    strftime(today, sizeof today, "%Y-%m-%d", gmtime(&now));
    snprintf(text, sizeof text,
             "[state]\nversion = 1\nlast_balancing = %s\nbalancing_age_days = %d\nseen = %s\n", was, days_ago,
             today);
    harness_data_write(h, "state.ini", text);
}

/* The clock jumps, and is believed again an hour later; the charge goes on at 1 Ah a second meanwhile. */
static void expect_untouched_by(struct harness *h, long jump_s)
{
    struct world *world;
    char *kept;
    double shown_Ah;

    write_balanced(h, 5);
    harness_data_write(h, "charge", "400\n");
    harness_pack_add(h, "ttyUSB0", "'/InstalledCapacity': 1000, '/Dc/0/Current': 360.0, " CALM);
    world = harness_daemon_start_in_world(h, CONTROL "NR_OF_BATTERIES = 1\nOWN_SOC = True\n"
                                                     "BALANCING_VOLTAGE = 3.45\nMAX_CELL_VOLTAGE = 3.50\n");
    harness_await_aggregate(h);
    harness_await_number(h, "/Capacity", 400, 5);
    harness_watch(h, 1.2);
    assert_int_equal(harness_log_count(h, "Balancing: raising"), 0);
    shown_Ah = harness_number(h, "/Capacity");
    world->wall_s += jump_s;
    while (!strstr(harness_string(h, "/Info/ChargeMode"), "the clock is not set"))
        harness_watch(h, 0.05); /* the lowest target of the year while it is not believed */
    harness_watch(h, 2.2);
    world->monotonic_s += 3700; /* time enough to believe it again; that nobody measured is not counted */
    harness_await_log(h, "that time is not counted");
    harness_watch(h, 2.2);
    assert_int_equal(harness_log_count(h, "Balancing: "), 0); /* none begun, none ended */
    assert_true(fabs(harness_number(h, "/Capacity") - shown_Ah) < 5);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    kept = harness_data_read(h, "state.ini");
    assert_non_null(kept);
    assert_non_null(strstr(kept, "balancing_state = 0"));
    if (!strstr(kept, "balancing_age_days = 5") && !strstr(kept, "balancing_age_days = 6"))
        harness_fail(h, __FILE__, __LINE__, "the days since the last balancing were lost: %s", kept);
    free(kept);
}

static void a_clock_that_is_set_forward_by_20_years_begins_no_cycle_and_moves_no_charge(void **state)
{
    expect_untouched_by(*state, TWENTY_YEARS_S);
}

static void a_clock_that_is_set_back_by_20_years_loses_no_cycle_and_moves_no_charge(void **state)
{
    expect_untouched_by(*state, -TWENTY_YEARS_S);
}

/* ---- what takes its time ---- */

/* Both packs at once, and so long that it is steady. */
static void carry(struct harness *h, struct world *world, const char *a, const char *b)
{
    harness_pack_set(h, "A", a);
    harness_pack_set(h, "B", b);
    for (int i = 0; i < 2; i++) {
        harness_watch(h, 1.2); /* a tick */
        world->monotonic_s += 10;
    }
    harness_watch(h, 1.2);
}

/* 0.4 V by 40 A and by 20 A, at 53 V: each uncertain by 10 mV over the step, and by a tenth of itself. */
static void a_step_of_the_current_shows_the_resistance_of_each_pack_and_its_share(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(h, "A", "'/DeviceInstance': 1, '/InstalledCapacity': 280, '/Dc/0/Voltage': 53.0");
    harness_pack_add(h, "B", "'/DeviceInstance': 2, '/InstalledCapacity': 100, '/Dc/0/Voltage': 53.0");
    world = harness_daemon_start_in_world(h, "");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Battery/1/Share", 74); /* 280 of 380 Ah */
    harness_await_exactly(h, "/Battery/2/Share", 26);
    assert_false(harness_has(h, "/Battery/1/Resistance"));
    carry(h, world, "'/Soc': 51", "'/Soc': 51");
    carry(h, world, "'/Dc/0/Current': 40.0, '/Dc/0/Voltage': 53.4",
          "'/Dc/0/Current': 20.0, '/Dc/0/Voltage': 53.4");
    harness_await_exactly(h, "/Battery/1/Resistance", 10);
    harness_await_exactly(h, "/Battery/2/Resistance", 20);
    harness_await_exactly(h, "/Battery/1/ResistanceDeviation", 1);
    harness_await_exactly(h, "/Battery/2/ResistanceDeviation", 2.1); /* 0.5 and 2 mOhm */
    assert_string_equal(harness_text(h, "/Battery/1/Resistance"), "10.0mOhm");
}

/* ---- the disk ---- */

/* 0.1 Ah a second and a step of 0.01 Ah: it saves at every tick. */
static struct world *start_saving(struct harness *h)
{
    struct world *world;

    harness_data_write(h, "charge", "20\n");
    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 360.0, '/Alarms/InternalFailure': 0");
    world = harness_daemon_start_in_world(
        h, "NR_OF_BATTERIES = 1\nOWN_SOC = True\nCHARGE_SAVE_PRECISION = 0.0001\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    return world;
}

static void expect_said_once_and_running(struct harness *h, const char *why)
{
    harness_await_log(h, why);
    harness_await_exactly(h, "/Alarms/InternalFailure", 1);
    harness_watch(h, 3.2); /* some tries more */
    assert_int_equal(harness_log_count(h, "Cannot save"), 1);
    harness_pack_set(h, "ttyUSB0", "'/Info/MaxDischargeCurrent': 60.0");
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 60);
}

static void expect_mended(struct harness *h)
{
    char *kept;

    harness_await_log(h, "works again");
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    kept = harness_data_read(h, "charge");
    assert_non_null(kept);
    assert_true(strtod(kept, NULL) > 20.2);
    free(kept);
}

static void a_full_disk_is_said_once_and_is_an_alarm_while_it_lasts(void **state)
{
    struct harness *h = *state;
    struct world *world = start_saving(h);

    world->disk_errno = ENOSPC;
    expect_said_once_and_running(h, "No space left on device");
    world->disk_errno = 0;
    expect_mended(h);
}

static void a_read_only_disk_is_said_once_and_is_an_alarm_while_it_lasts(void **state)
{
    struct harness *h = *state;
    struct world *world = start_saving(h);

    world->disk_errno = EROFS;
    expect_said_once_and_running(h, "Read-only file system");
    world->disk_errno = 0;
    expect_mended(h);
}

/* Where we may mount, once more with a disk that is really full, and then really read-only. */
static void a_real_disk_that_is_full_or_read_only_does_not_stop_it(void **state)
{
    struct harness *h = *state;
    const char *data = harness_data_directory(h);
    char fill[256], *said;

    if (mount("none", data, "tmpfs", 0, "size=16k") != 0) {
        print_message("not allowed to mount (%s): the two tests before this one stand for it\n",
                      strerror(errno));
        return;
    }
    start_saving(h);
    snprintf(fill, sizeof fill, "cat /dev/zero >%s/ballast", data);
    (void)harness_shell(h, fill, &said);
    free(said);
    expect_said_once_and_running(h, "No space left on device");
    snprintf(fill, sizeof fill, "%s/ballast", data);
    unlink(fill);
    harness_await_log(h, "works again");
    harness_log_forget(h);
    assert_int_equal(mount("none", data, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    expect_said_once_and_running(h, "Read-only file system");
    assert_int_equal(mount("none", data, "tmpfs", MS_REMOUNT, NULL), 0);
    expect_mended(h);
}

static int unmount(void **state)
{
    int result = 0;

    while (umount2(harness_data_directory(*state), MNT_DETACH) == 0)
        result = 0;
    return result | harness_test_teardown(state);
}

/* ---- the orderly end ---- */

/* Who sees the name go can read the charge: it was saved before. */
static void on_sigterm_all_is_saved_before_the_name_goes(void **state)
{
    struct harness *h = *state;
    double shown_Ah;
    char *kept;

    harness_data_write(h, "charge", "40\n");
    harness_pack_add(h, "ttyUSB0", "'/InstalledCapacity': 1000, '/Dc/0/Current': 3600.0");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\nOWN_SOC = True\nCHARGE_SAVE_PRECISION = 1\n");
    harness_await_aggregate(h);
    harness_await_number(h, "/Capacity", 43.5, 1); /* 42.5 at least, for it is shown rounded */
    kept = harness_data_read(h, "charge");
    assert_true(strtod(kept, NULL) < 41); /* so far nothing had to be saved */
    free(kept);
    shown_Ah = harness_number(h, "/Capacity");
    harness_signal(h, SIGTERM);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    kept = harness_data_read(h, "charge");
    assert_true(strtod(kept, NULL) > shown_Ah - 0.1); /* but for what was rounded */
    free(kept);
    assert_int_equal(harness_daemon_await_end(h), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(a_step_of_the_current_shows_the_resistance_of_each_pack_and_its_share),
        harness_test(when_the_bus_restarts_all_that_was_counted_and_owed_is_still_there),
        harness_test(killed_while_feed_in_is_held_off_it_counts_the_time_before_and_between),
        harness_test(killed_and_away_for_longer_than_the_hold_it_pays_at_once),
        harness_test(without_a_settings_service_it_says_so_once_and_takes_the_one_that_comes_late),
        harness_test(a_settings_service_that_refuses_is_said_once_is_an_alarm_and_is_tried_again),
        harness_test(a_clock_that_is_set_forward_by_20_years_begins_no_cycle_and_moves_no_charge),
        harness_test(a_clock_that_is_set_back_by_20_years_loses_no_cycle_and_moves_no_charge),
        harness_test(a_full_disk_is_said_once_and_is_an_alarm_while_it_lasts),
        harness_test(a_read_only_disk_is_said_once_and_is_an_alarm_while_it_lasts),
        cmocka_unit_test_teardown(a_real_disk_that_is_full_or_read_only_does_not_stop_it, unmount),
        harness_test(on_sigterm_all_is_saved_before_the_name_goes),
    };

    cmocka_set_test_filter(getenv("TEST")); /* NULL: all; or a name with * and ? */
    return cmocka_run_group_tests_name("house", tests, harness_group_setup, harness_group_teardown);
}
