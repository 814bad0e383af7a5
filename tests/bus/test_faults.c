/* What may fail in a house, one test a fault: what is on the bus meanwhile, and that all is whole afterwards.
 * Clocks that jump and the disk that fails are those of tests/shim. */
#include "harness.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/world.h"
#include "venus/inputs.h"

#define BATTERY(name) "com.victronenergy.battery." name
#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"
#define TWENTY_YEARS_S (20L * 365 * 86400)

/* All months alike, so that no test depends on the day it runs; a value that changes is published at once. */
#define OWN_CONTROL                                                                       \
    "OWN_CHARGE_PARAMETERS = True\nUPDATE_COALESCE = 0\n"                                 \
    "CHARGE_VOLTAGE_LIST = 3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44\n" \
    "BALANCING_REPETITION = 10\n"
#define PEAK                                                                           \
    "'/Voltages/Sum': 54.5, '/Voltages/Cell3': 3.50, '/System/MaxCellVoltage': 3.50, " \
    "'/System/MinCellVoltage': 3.40"
#define CALM                                                                           \
    "'/Voltages/Sum': 52.8, '/Voltages/Cell3': 3.30, '/System/MaxCellVoltage': 3.30, " \
    "'/System/MinCellVoltage': 3.30"

/* ---- a fleet that can be stopped as a whole: its names stay ---- */

static struct {
    pid_t pid;
    int in;
} fleet;

static void fleet_start(struct harness *h, const char *options)
{
    char command[512], line[8] = "";
    int in[2], out[2];

    snprintf(command, sizeof command, "exec " BUILD_DIR "/battery-fleet --quiet --ready --bus %s %s",
             harness_address(h), options);
    assert_int_equal(pipe(in) | pipe(out), 0);
    fleet.pid = fork();
    if (fleet.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    fleet.in = in[1];
    assert_true(read(out[0], line, 6) == 6);
    assert_string_equal(line, "ready\n");
    close(out[0]);
}

static int fleet_end(void **state)
{
    if (fleet.pid > 0) {
        kill(fleet.pid, SIGCONT);
        kill(fleet.pid, SIGTERM);
        waitpid(fleet.pid, NULL, 0);
        close(fleet.in);
        fleet.pid = 0;
    }
    return harness_test_teardown(state);
}

/* ---- what is seen meanwhile ---- */

/* The same connection has the name ever since: it was not off the bus for a moment. */
static void expect_never_left(struct harness *h, const char *owner)
{
    assert_string_equal(harness_owner(h), owner);
    assert_int_equal(harness_log_count(h, "Off the bus"), 0);
    assert_int_equal(harness_log_count(h, "On the bus as"), 1);
}

static void await_setting(struct harness *h, const char *expected)
{
    for (int i = 0; i < 400; i++) {
        const char *found = harness_get_of(h, HARNESS_SETTINGS, FEED_IN);

        if (found && strcmp(found, expected) == 0)
            return;
        harness_watch(h, 0.05);
    }
    harness_fail(h, __FILE__, __LINE__, "%s did not become %s", FEED_IN, expected);
}

/* ---- packs ---- */

static void a_pack_that_vanishes_for_40_s_takes_nobody_off_the_bus(void **state)
{
    struct harness *h = *state;
    struct world *world;
    char owner[64];

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Alarms/BmsCable': 0");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2, '/Info/MaxChargeVoltage': 54.4");
    world = harness_daemon_start_in_world(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    harness_pack_remove(h, "ttyUSB1");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 120);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 54.4); /* not that of the other: nothing rises */
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    world->monotonic_s += 40;
    harness_watch(h, 2.2); /* two ticks at which somebody could be missed */
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 100);
    assert_true(harness_number(h, "/Info/MaxChargeVoltage") == 54.4);
    expect_never_left(h, owner);
    harness_peer(h, "{'cmd': 'return', 'service': '" BATTERY("ttyUSB1") "'}");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 240);
    harness_await_exactly(h, "/Alarms/BmsCable", 0);
    expect_never_left(h, owner);
}

static void a_pack_that_is_stopped_with_its_name_kept_is_lost_after_stale_after(void **state)
{
    struct harness *h = *state;
    struct world *world;
    char owner[64];

    fleet_start(h, "--packs 1 --mppts 0 --no-settings --no-system"); /* 280 Ah, 140 A */
    harness_pack_add(h, "ttyS9",
                     "'/DeviceInstance': 7, '/InstalledCapacity': 280, '/Info/MaxChargeCurrent': 140.0");
    world = harness_daemon_start_in_world(h, "NR_OF_BATTERIES = 2\nSTALE_AFTER = 30\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    kill(fleet.pid, SIGSTOP);
    world->monotonic_s += 10;
    harness_watch(h, 1.2);
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 280); /* silence alone is no fault */
    world->monotonic_s += 8;                                         /* it is asked now */
    harness_watch(h, 2.2);
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 280);
    world->monotonic_s += 12; /* STALE_AFTER is over, and the other has to say something */
    harness_pack_set(h, "ttyS9", "'/Soc': 51");
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 140);
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    harness_await_exactly(h, "/System/NrOfBatteries", 1);
    expect_never_left(h, owner);
    kill(fleet.pid, SIGCONT);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
    expect_never_left(h, owner);
}

static void when_all_packs_hang_currents_are_0_then_the_name_goes_and_all_comes_back(void **state)
{
    struct harness *h = *state;
    struct world *world;
    char owner[64];

    fleet_start(h, "--packs 2 --mppts 0 --no-settings --no-system");
    world = harness_daemon_start_in_world(h, "STALE_AFTER = 2\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    kill(fleet.pid, SIGSTOP);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 0);
    harness_await_exactly(h, "/Alarms/BmsCable", 2);
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    harness_await_invalid(h, "/Dc/0/Voltage");
    world->monotonic_s += 50;
    harness_watch(h, 1.2);
    assert_string_equal(harness_owner(h), owner); /* not yet */
    world->monotonic_s += 10;
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_await_log(h, "Off the bus: all packs are gone");
    kill(fleet.pid, SIGCONT);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 280);
    harness_await_exactly(h, "/Info/MaxDischargeCurrent", 280);
    harness_await_exactly(h, "/System/NrOfModulesOffline", 0);
}

/* ---- a pack that says what cannot be ---- */

enum { ITEMS_MOST = 400 };

static struct {
    char path[64];
    char text[192];
} before[ITEMS_MOST];
static size_t befores;

static void remember_items(struct harness *h)
{
    const char *path;

    befores = 0;
    for (size_t i = 0; (path = harness_path(h, i)) && befores < ITEMS_MOST; i++) {
        snprintf(before[befores].path, sizeof before->path, "%s", path);
        snprintf(before[befores++].text, sizeof before->text, "%s", harness_text(h, path));
    }
}

/* Which of our values a path of a pack may change when it is no longer known; beside what is said of the
 * fault itself. "" stands for all: the pack may not be known as one any more. */
static const struct {
    const char *path, *touches[6];
} consequences[] = {
    {"/ProductName", {""}},
    {"/CustomName", {""}},
    {"/Serial", {""}},
    {"/ProductId", {""}},
    {"/Connected", {""}},
    {"/Dc/0/Voltage", {"/Dc/0/", "/History/"}},
    {"/Dc/0/Current", {"/Dc/0/", "/TimeToGo"}},
    {"/InstalledCapacity",
     {"/InstalledCapacity", "/Capacity", "/Soc", "/Soh", "/ConsumedAmphours", "/TimeToGo"}},
    {"/Soc", {"/Soc", "/Capacity", "/ConsumedAmphours", "/TimeToGo"}},
    {"/Voltages/Sum", {"/Voltages/Sum"}},
    {"/Info/MaxChargeVoltage", {"/Info/MaxChargeVoltage", "/Info/ChargeMode"}},
    {"/Info/MaxChargeCurrent", {"/Info/MaxChargeCurrent", "/Info/ChargeLimitation"}},
    {"/Info/MaxDischargeCurrent", {"/Info/MaxDischargeCurrent", "/Info/DischargeLimitation"}},
    {"/Info/ChargeMode", {"/Info/ChargeMode"}},
    {"/System/NrOfModulesOnline", {"/System/NrOfModules"}},
    {"/System/NrOfCellsPerBattery", {"/System/NrOfCells", "/Info/"}},
};

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What is shown of the fault itself, and the cell that only tells that time goes on. */
static bool always_changes(const char *shown)
{
    return strcmp(shown, "/Voltages/Well_Cell3") == 0 || strcmp(shown, "/Alarms/InternalFailure") == 0;
}

/* The page of the ill pack, which shows what it says. */
static bool is_its_page(const char *path, const char *shown)
{
    size_t length = strlen(path), shown_length = strlen(shown);

    return starts_with(shown, "/Diagnostics/") && shown_length > length &&
           strcmp(shown + shown_length - length, path) == 0;
}

static bool may_touch(const char *path, const char *shown)
{
    if (always_changes(shown) || strcmp(path, shown) == 0 || is_its_page(path, shown))
        return true;
    if (starts_with(path, "/Voltages/Cell") || starts_with(path, "/Cell/"))
        return starts_with(shown, "/Voltages/Ill_Cell") || strcmp(shown, "/Voltages/Sum") == 0;
    for (size_t i = 0; i < sizeof consequences / sizeof *consequences; i++) {
        if (strcmp(consequences[i].path, path) != 0)
            continue;
        for (size_t k = 0; k < 6 && consequences[i].touches[k]; k++) {
            if (starts_with(shown, consequences[i].touches[k]))
                return true;
        }
    }
    return false;
}

/* Not of interest: the cell that moves, and which of the slots a pack has that was taken for another. */
static bool is_fixed(const char *shown)
{
    return !always_changes(shown) && !starts_with(shown, "/Battery/");
}

static void expect_sane(struct harness *h, const char *path, const char *value)
{
    double cvl_V = harness_number(h, "/Info/MaxChargeVoltage");
    double ccl_A = harness_number(h, "/Info/MaxChargeCurrent");
    double dcl_A = harness_number(h, "/Info/MaxDischargeCurrent");
    const char *shown;

    if (!(cvl_V > 0 && cvl_V <= 55.2) || !(ccl_A >= 0 && ccl_A <= 200) || !(dcl_A >= 0 && dcl_A <= 240))
        harness_fail(h, __FILE__, __LINE__, "%s = %s makes limits of %g V, %g A, %g A", path, value, cvl_V,
                     ccl_A, dcl_A);
    for (size_t i = 0; (shown = harness_path(h, i)); i++) {
        if (harness_type(h, shown) == 'd' && !isfinite(harness_number(h, shown)))
            harness_fail(h, __FILE__, __LINE__, "%s = %s makes %s not finite", path, value, shown);
    }
    for (size_t i = 0; i < befores; i++) {
        const char *text = harness_text(h, before[i].path);

        if (is_fixed(before[i].path) && !may_touch(path, before[i].path) &&
            (!text || strcmp(text, before[i].text) != 0))
            harness_fail(h, __FILE__, __LINE__, "%s = %s changes %s from %s to %s", path, value,
                         before[i].path, before[i].text, text ? text : "absent");
    }
}

/* Another pack says something new, and it arrives: nothing is stuck, and what came before has been read. */
static void await_progress(struct harness *h)
{
    static int step;
    char items[64];
    double next_V = 3.29 + 0.01 * (++step % 5); /* more than what is gathered as noise */

    snprintf(items, sizeof items, "'/Voltages/Cell3': %.3f", next_V);
    harness_pack_set(h, "well", items);
    harness_await_exactly(h, "/Voltages/Well_Cell3", next_V);
}

static bool differs(struct harness *h, size_t i)
{
    const char *text = harness_text(h, before[i].path);

    return is_fixed(before[i].path) && (!text || strcmp(text, before[i].text) != 0);
}

static bool is_as_before(struct harness *h)
{
    for (size_t i = 0; i < befores; i++) {
        if (differs(h, i))
            return false;
    }
    return true;
}

static void await_as_before(struct harness *h, const char *path)
{
    for (int i = 0; i < 400 && !is_as_before(h); i++)
        harness_watch(h, 0.05);
    for (size_t i = 0; i < befores; i++) {
        if (differs(h, i))
            harness_fail(h, __FILE__, __LINE__, "%s is well again, %s was %s and is %s", path, before[i].path,
                         before[i].text,
                         harness_has(h, before[i].path) ? harness_text(h, before[i].path) : "absent");
    }
}

/* What a pack of the template says there, as JSON. */
static const char *good_value(struct harness *h, const char *path, char *good, size_t size)
{
    const char *found;
    char cell[64];
    int number;

    if (sscanf(path, "/Cell/%d/Volts", &number) == 1) { /* the other name of the same */
        snprintf(cell, sizeof cell, "/Voltages/Cell%d", number);
        path = cell;
    }
    if (strcmp(harness_error_of(h, BATTERY("ill"), path, "com.victronenergy.BusItem", "GetText"), "") != 0)
        return "null"; /* this pack has none */
    found = harness_get_of(h, BATTERY("ill"), path);
    assert_non_null(found);
    if (!*found)
        snprintf(good, size, "null");
    else if (strspn(found, "0123456789.-") == strlen(found))
        snprintf(good, size, "%s", found);
    else
        snprintf(good, size, "'%s'", found);
    return good;
}

static void try_path(struct harness *h, const char *path)
{
    static const char *const values[] = {
        "NaN",  "-1e9",     "'full'",    "1e300",
        "null", "Infinity", "-Infinity", "{'t': 't', 'v': 18446744073709551615}"};
    char room[192], items[320];
    const char *good = good_value(h, path, room, sizeof room);

    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        snprintf(items, sizeof items, "'%s': %s", path, values[i]);
        harness_pack_set(h, "ill", items);
        await_progress(h);
        expect_sane(h, path, values[i]);
    }
    snprintf(items, sizeof items, "'%s': %s", path, good);
    harness_pack_set(h, "ill", items);
    await_as_before(h, path);
}

static void try_every_path(struct harness *h, const char *settings)
{
    char owner[64];
    struct inputs *inputs = inputs_new();
    const struct paths *paths = inputs_paths(inputs, CLASS_BATTERY);

    harness_pack_add(
        h, "ill",
        "'/DeviceInstance': 1, '/CustomName': 'Ill', '/Serial': 'I', '/History/ChargedEnergy': 5.0,"
        "'/History/DischargedEnergy': 4.0, '/History/TotalAhDrawn': -80.0, '/Alarms/BmsCable': 0");
    harness_pack_add(
        h, "well",
        "'/DeviceInstance': 2, '/CustomName': 'Well', '/Serial': 'W', '/Voltages/Cell1': 3.25,"
        "'/Voltages/Cell2': 3.35, '/System/MinCellVoltage': 3.25, '/System/MaxCellVoltage': 3.35,"
        "'/System/MaxVoltageCellId': 'C2', '/System/MinCellTemperature': 20.0,"
        "'/System/MaxCellTemperature': 30.0");
    harness_daemon_start(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    await_progress(h);
    harness_watch(h, 1.5); /* what a second's tick adds */
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    remember_items(h);
    for (size_t i = 0; i < paths_count(paths); i++)
        try_path(h, paths_get(paths, i));
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    expect_never_left(h, owner);
    inputs_free(inputs);
}

static void whatever_a_pack_says_on_any_path_the_merged_bank_stays_sane(void **state)
{
    try_every_path(*state, "NR_OF_BATTERIES = 2\nSEND_CELL_VOLTAGES = True\nUPDATE_COALESCE = 0\n");
}

static void whatever_a_pack_says_on_any_path_our_own_limits_stay_sane(void **state)
{
    try_every_path(*state, "NR_OF_BATTERIES = 2\nSEND_CELL_VOLTAGES = True\n" OWN_CONTROL);
}

static void a_sum_of_0_v_takes_the_voltage_of_nobody_down(void **state)
{
    static const char *const modes[] = {OWN_CONTROL, OWN_CONTROL "CVL_CONTROL = reference\n"};
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", CALM);
    for (size_t i = 0; i < 2; i++) {
        harness_daemon_start(h, modes[i]);
        harness_await_aggregate(h);
        harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.04);
        harness_pack_set(h, "ttyUSB0", PEAK ", '/Voltages/Sum': 0.0, '/Dc/0/Voltage': 0.0");
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
        harness_watch(h, 3.2);
        harness_pack_set(h, "ttyUSB0", CALM ", '/Dc/0/Voltage': 52.8");
        harness_await_exactly(h, "/Info/MaxChargeCurrent", 200);
        assert_true(harness_lowest_seen(h, "/Info/MaxChargeVoltage") > 52);
        assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
        harness_await_name(h, HARNESS_AGGREGATE, false);
    }
}

/* ---- strangers ---- */

/* To everybody, and to the daemon alone, which no match rule stops. */
static void forge(struct harness *h, const char *signal)
{
    harness_peer(h, "{'cmd': 'raw', 'service': 'com.example.stranger', %s}", signal);
    harness_peer(h, "{'cmd': 'raw', 'service': 'com.example.stranger', 'to': '%s', %s}", harness_owner(h),
                 signal);
}

static void nobody_can_speak_for_a_pack_or_for_the_bus(void **state)
{
    struct harness *h = *state;
    char owner[64];
    const char *path;
    size_t changes = 0, changes_after = 0;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_peer(h, "{'cmd': 'add', 'service': 'com.example.stranger', 'items': {'/Soc': 1}}");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_watch(h, 1.2);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    for (size_t i = 0; (path = harness_path(h, i)); i++)
        changes += harness_changes_seen(h, path);
    forge(h,
          "'path': '/', 'member': 'ItemsChanged', 'signature': 'a{sa{sv}}', 'args': [{'/Soc': {'Value': 1}, "
          "'/Info/MaxChargeCurrent': {'Value': 4000}}]");
    forge(h, "'path': '/Soc', 'member': 'PropertiesChanged', 'signature': 'a{sv}', 'args': [{'Value': 1}]");
    forge(
        h,
        "'path': '/org/freedesktop/DBus', 'interface': 'org.freedesktop.DBus', 'member': 'NameOwnerChanged', "
        "'signature': 'sss', 'args': ['" BATTERY("ttyUSB1") "', ':1.2', '']");
    forge(
        h,
        "'path': '/org/freedesktop/DBus', 'interface': 'org.freedesktop.DBus', 'member': 'NameOwnerChanged', "
        "'signature': 'sss', 'args': ['" HARNESS_AGGREGATE "', ':1.2', ':1.3']");
    forge(h, "'path': '/org/freedesktop/DBus', 'interface': 'org.freedesktop.DBus', 'member': 'NameLost', "
             "'signature': 's', 'args': ['" HARNESS_AGGREGATE "']");
    forge(h, "'path': '/org/freedesktop/DBus/Local', 'interface': 'org.freedesktop.DBus', "
             "'member': 'NameAcquired', 'signature': 's', 'args': ['" BATTERY("ttyUSB1") "']");
    harness_daemon_sync(h);
    harness_watch(h, 1.2);
    for (size_t i = 0; (path = harness_path(h, i)); i++)
        changes_after += harness_changes_seen(h, path);
    assert_int_equal(changes_after, changes); /* not one value was published anew */
    assert_int_equal(harness_log_count(h, "is lost"), 0);
    expect_never_left(h, owner);
    harness_pack_set(h, "ttyUSB1", "'/Soc': 60"); /* and the owner is still heard */
    harness_await_exactly(h, "/Soc", 55);
}

static void a_stranger_s_setvalue_changes_nothing_on_any_path(void **state)
{
    struct harness *h = *state;
    const char *path;

    harness_pack_add(h, "ttyUSB0", "");
    harness_daemon_start(h, "SEND_CELL_VOLTAGES = True\n");
    harness_await_aggregate(h);
    harness_watch(h, 1.2);
    remember_items(h);
    assert_true(befores > 80);
    for (size_t i = 0; (path = harness_path(h, i)); i++) {
        size_t seen = harness_changes_seen(h, path);

        if (strcmp(path, "/CustomName") == 0)
            continue; /* the one that is writable */
        if (harness_set_number(h, path, 'i', 7) == 0 || harness_set_number(h, path, 'd', 7.5) == 0 ||
            harness_set_text(h, path, "7") == 0 || harness_set_invalid(h, path) == 0)
            harness_fail(h, __FILE__, __LINE__, "%s takes what a stranger writes", path);
        harness_daemon_sync(h);
        assert_int_equal(harness_changes_seen(h, path), seen);
    }
    harness_watch(h, 1.2);
    for (size_t i = 0; i < befores; i++)
        assert_string_equal(harness_text(h, before[i].path), before[i].text);
}

/* ---- the bus, the program, the settings service ---- */

static void when_the_bus_restarts_all_that_was_counted_and_owed_is_still_there(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "charge", "40\n");
    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, " CALM);
    harness_daemon_start(h, OWN_CONTROL "NR_OF_BATTERIES = 1\nOWN_SOC = True\nFEED_IN_MIN_HOLD = 0\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    assert_int_equal(harness_set_text(h, "/CustomName", "Cellar"), 0);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_setting(h, "0");
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_bus_restart(h);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 40);
    harness_await_exactly(h, "/Capacity", 40);
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_await_string(h, "/CustomName", "Cellar");
    assert_int_equal(harness_log_count(h, "Somebody turned DC feed-in on"), 0);
    harness_pack_set(h, "ttyUSB0", CALM);
    await_setting(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
    assert_true(harness_lowest_seen(h, "/Soc") > 39.9);
}

static void killed_while_feed_in_is_held_off_it_counts_the_time_before_and_between(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_setting(h, "0");
    world->wall_s += 600; /* it is held, then killed, and away: 600 s in all */
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_pack_set(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_await_log(h, "owed to the user from before");
    harness_await_exactly(h, "/Info/FeedIn", 1);
    harness_watch(h, 2.2);
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0"); /* 400 s are left */
    world->monotonic_s += 401;
    await_setting(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
}

static void killed_and_away_for_longer_than_the_hold_it_pays_at_once(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", CALM);
    world = harness_daemon_start_in_world(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_setting(h, "0");
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_pack_set(h, "ttyUSB0", CALM);
    world->wall_s += 1001;
    harness_daemon_start_in_world(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 1000\n");
    await_setting(h, "1");
}

static void without_a_settings_service_it_says_so_once_and_takes_the_one_that_comes_late(void **state)
{
    struct harness *h = *state;

    harness_pack_add(h, "ttyUSB0", PEAK);
    harness_daemon_start(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 0\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0); /* what needs no settings works */
    harness_await_exactly(h, "/DeviceInstance", 99);
    harness_await_log(h, "com.victronenergy.settings is not on the bus");
    harness_watch(h, 2.2);
    assert_int_equal(harness_log_count(h, "com.victronenergy.settings is not on the bus"), 1);
    harness_settings_add(h, "'" FEED_IN "': 1");
    await_setting(h, "0"); /* the peak still lasts */
    harness_pack_set(h, "ttyUSB0", CALM);
    await_setting(h, "1");
    assert_string_equal(
        harness_get_of(h, HARNESS_SETTINGS, "/Settings/Devices/battery_aggregator/ClassAndVrmInstance"),
        "battery:99");
}

static void a_settings_service_that_refuses_is_said_once_is_an_alarm_and_is_tried_again(void **state)
{
    struct harness *h = *state;

    harness_peer(h, "{'cmd': 'settings', 'refusing': true, 'items': {'" FEED_IN "': 1}}");
    harness_pack_add(h, "ttyUSB0", "'/Alarms/InternalFailure': 0, " CALM);
    harness_daemon_start(h, OWN_CONTROL "FEED_IN_MIN_HOLD = 0\n");
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
    await_setting(h, "0"); /* at the next try */
    harness_await_exactly(h, "/Alarms/InternalFailure", 0);
    harness_pack_set(h, "ttyUSB0", CALM);
    await_setting(h, "1");
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
    world =
        harness_daemon_start_in_world(h, OWN_CONTROL "NR_OF_BATTERIES = 1\nOWN_SOC = True\n"
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
    char *kept;

    harness_data_write(h, "charge", "40\n");
    harness_pack_add(h, "ttyUSB0", "'/InstalledCapacity': 1000, '/Dc/0/Current': 3600.0");
    harness_daemon_start(h, "NR_OF_BATTERIES = 1\nOWN_SOC = True\nCHARGE_SAVE_PRECISION = 1\n");
    harness_await_aggregate(h);
    harness_await_number(h, "/Capacity", 44, 1); /* 42 is shown at 41.96 */
    kept = harness_data_read(h, "charge");
    assert_true(strtod(kept, NULL) < 41); /* so far nothing had to be saved */
    free(kept);
    harness_signal(h, SIGTERM);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    kept = harness_data_read(h, "charge");
    assert_true(strtod(kept, NULL) > 42);
    free(kept);
    assert_int_equal(harness_daemon_await_end(h), 0);
}

#define fault_test(test) cmocka_unit_test_teardown(test, fleet_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fault_test(a_pack_that_vanishes_for_40_s_takes_nobody_off_the_bus),
        fault_test(a_pack_that_is_stopped_with_its_name_kept_is_lost_after_stale_after),
        fault_test(when_all_packs_hang_currents_are_0_then_the_name_goes_and_all_comes_back),
        fault_test(whatever_a_pack_says_on_any_path_the_merged_bank_stays_sane),
        fault_test(whatever_a_pack_says_on_any_path_our_own_limits_stay_sane),
        fault_test(a_sum_of_0_v_takes_the_voltage_of_nobody_down),
        fault_test(nobody_can_speak_for_a_pack_or_for_the_bus),
        fault_test(a_stranger_s_setvalue_changes_nothing_on_any_path),
        fault_test(when_the_bus_restarts_all_that_was_counted_and_owed_is_still_there),
        fault_test(killed_while_feed_in_is_held_off_it_counts_the_time_before_and_between),
        fault_test(killed_and_away_for_longer_than_the_hold_it_pays_at_once),
        fault_test(without_a_settings_service_it_says_so_once_and_takes_the_one_that_comes_late),
        fault_test(a_settings_service_that_refuses_is_said_once_is_an_alarm_and_is_tried_again),
        fault_test(a_clock_that_is_set_forward_by_20_years_begins_no_cycle_and_moves_no_charge),
        fault_test(a_clock_that_is_set_back_by_20_years_loses_no_cycle_and_moves_no_charge),
        fault_test(a_full_disk_is_said_once_and_is_an_alarm_while_it_lasts),
        fault_test(a_read_only_disk_is_said_once_and_is_an_alarm_while_it_lasts),
        cmocka_unit_test_teardown(a_real_disk_that_is_full_or_read_only_does_not_stop_it, unmount),
        fault_test(on_sigterm_all_is_saved_before_the_name_goes),
    };

    cmocka_set_test_filter(getenv("TEST")); /* NULL: all; or a name with * and ? */
    return cmocka_run_group_tests_name("faults", tests, harness_group_setup, harness_group_teardown);
}
