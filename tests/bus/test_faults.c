/* What packs and strangers may do wrong, one test a fault: what is on the bus meanwhile, and that all is
 * whole afterwards. Clocks that jump are those of tests/shim. */
#include "own_control.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/world.h"
#include "venus/inputs.h"

#define BATTERY(name) "com.victronenergy.battery." name

/* A value that changes is published at once. */
#define CONTROL OWN_CONTROL "UPDATE_COALESCE = 0\nBALANCING_REPETITION = 10\n"

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

/* ---- what measures the current ---- */

#define MPPT "com.victronenergy.solarcharger.ttyS7"
#define FROM_PACKS "Bank current: from the packs"

/* A pack that measures 3 A itself, an MPPT of 20 A, and the sources of the fleet: a Multi and an MPPT of 0 A.
 */
static struct world *start_with_sources(struct harness *h, const char *settings)
{
    struct world *world;

    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3.0, '/Dc/0/Power': 156.0");
    harness_peer(h, "{'cmd': 'add', 'service': '" MPPT "', 'items': {'/DeviceInstance': 290,"
                    "'/Connected': 1, '/Dc/0/Current': 20.0, '/Dc/0/Voltage': 52.1, '/State': 3}}");
    world = harness_daemon_start_in_world(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 20);
    assert_int_equal(harness_log_count(h, FROM_PACKS), 0);
    return world;
}

static void sources_that_hang_with_their_names_kept_give_way_to_the_packs_until_they_answer(void **state)
{
    struct harness *h = *state;
    struct world *world;

    fleet_start(h, "--packs 0 --mppts 1 --no-settings --no-system");
    world = start_with_sources(h, "CURRENT_FROM_VICTRON = True\nSTALE_AFTER = 30\n");
    kill(fleet.pid, SIGSTOP);
    world->monotonic_s += 18; /* all are quiet, and asked */
    harness_watch(h, 2.2);
    assert_true(harness_number(h, "/Dc/0/Current") == 20);
    world->monotonic_s += 12;
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_await_exactly(h, "/Dc/0/Power", 156);
    harness_await_log(h, FROM_PACKS ", for com.victronenergy.vebus.ttyS4 (it answers nothing) cannot be");
    harness_watch(h, 2.2);
    assert_int_equal(harness_log_count(h, FROM_PACKS), 1);
    kill(fleet.pid, SIGCONT); /* it changes nothing, but answers what it was asked */
    harness_await_exactly(h, "/Dc/0/Current", 20);
    assert_int_equal(harness_log_count(h, "Bank current: measured by Victron devices"), 2);
}

static void chargers_that_rest_all_night_are_no_fault(void **state)
{
    struct harness *h = *state;
    struct world *world;

    fleet_start(h, "--packs 0 --mppts 1 --no-settings --no-system");
    world = start_with_sources(h, "CURRENT_FROM_VICTRON = True\nSTALE_AFTER = 30\n");
    for (int i = 0; i < 4; i++) {
        world->monotonic_s += 20; /* longer than a half of it, in which they are asked */
        harness_watch(h, 1.2);
    }
    assert_true(harness_number(h, "/Dc/0/Current") == 20);
    assert_int_equal(harness_log_count(h, FROM_PACKS), 0);
}

static void a_source_whose_signals_are_lost_tells_its_current_when_it_is_asked(void **state)
{
    struct harness *h = *state;
    struct world *world;

    fleet_start(h, "--packs 0 --mppts 1 --no-settings --no-system");
    world = start_with_sources(h, "CURRENT_FROM_VICTRON = True\nSTALE_AFTER = 30\n");
    harness_peer(h, "{'cmd': 'set', 'service': '" MPPT "', 'items': {'/Dc/0/Current': 7.5},"
                    "'signal': 'none'}");
    world->monotonic_s += 16;
    harness_await_exactly(h, "/Dc/0/Current", 7.5);
}

static void a_shunt_that_is_the_bank_current_and_hangs_gives_way_too(void **state)
{
    struct harness *h = *state;
    struct world *world;

    fleet_start(h, "--packs 0 --mppts 0 --shunts 1 --no-settings --no-system"); /* it shows 0 A */
    harness_pack_add(h, "ttyUSB0", "'/Dc/0/Current': 3.0");
    world = harness_daemon_start_in_world(h, "SMARTSHUNT_AS_BATTERY_CURRENT = True\nSTALE_AFTER = 30\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Dc/0/Current", 0);
    kill(fleet.pid, SIGSTOP);
    world->monotonic_s += 18;
    harness_watch(h, 2.2);
    world->monotonic_s += 12;
    harness_await_exactly(h, "/Dc/0/Current", 3);
    harness_await_log(h, "com.victronenergy.battery.ttyS20 (it answers nothing) cannot be read");
    kill(fleet.pid, SIGCONT);
    harness_await_exactly(h, "/Dc/0/Current", 0);
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

static char page_of_well[32];

static void find_page_of_well(struct harness *h)
{
    char path[64];

    for (int i = 0; i < 2; i++) {
        snprintf(page_of_well, sizeof page_of_well, "/Diagnostics/Module%d/", i);
        snprintf(path, sizeof path, "%sId", page_of_well);
        if (strcmp(harness_string(h, path), "Well") == 0)
            return;
    }
    harness_fail(h, __FILE__, __LINE__, "Well has no page");
}

/* Not of interest: the cell that moves, time that passes, and the page of the ill pack, which tells what it
 * told a second ago, in another slot once it was taken for another. */
static bool is_fixed(const char *shown)
{
    return !always_changes(shown) && strcmp(shown, "/History/TimeSinceLastFullCharge") != 0 &&
           !starts_with(shown, "/Battery/") &&
           (!starts_with(shown, "/Diagnostics/") || starts_with(shown, page_of_well));
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
    struct world *world;
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
    world = harness_daemon_start_in_world(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    await_progress(h);
    harness_watch(h, 1.5); /* what a second's tick adds */
    world->monotonic_s += 60;
    harness_await_exactly(h, "/History/DeepestDischarge", -100); /* and a minute's: that of both */
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    remember_items(h);
    find_page_of_well(h);
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
    try_every_path(*state, "NR_OF_BATTERIES = 2\nSEND_CELL_VOLTAGES = True\n" CONTROL);
}

static void a_sum_of_0_v_takes_the_voltage_of_nobody_down(void **state)
{
    static const char *const modes[] = {CONTROL, CONTROL "CVL_CONTROL = reference\n"};
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

/* All but the ages of the packs, which grow. */
static size_t changes_of_all(struct harness *h)
{
    size_t changes = 0;
    const char *path;

    for (size_t i = 0; (path = harness_path(h, i)); i++)
        changes += strstr(path, "/Age") ? 0 : harness_changes_seen(h, path);
    return changes;
}

static void nobody_can_speak_for_a_pack_or_for_the_bus(void **state)
{
    struct harness *h = *state;
    char owner[64];
    size_t changes;

    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1");
    harness_pack_add(h, "ttyUSB1", "'/DeviceInstance': 2");
    harness_peer(h, "{'cmd': 'add', 'service': 'com.example.stranger', 'items': {'/Soc': 1}}");
    harness_daemon_start(h, "NR_OF_BATTERIES = 2\n");
    harness_await_aggregate(h);
    harness_watch(h, 1.2);
    snprintf(owner, sizeof owner, "%s", harness_owner(h));
    changes = changes_of_all(h);
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
    assert_int_equal(changes_of_all(h), changes); /* not one value was published anew */
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

#define fault_test(test) cmocka_unit_test_teardown(test, fleet_end)

/* ---- a pack that is on the bus bar and not in the bank ---- */

static void no_limit_rises_because_one_that_was_never_whole_goes(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1, '/Alarms/BmsCable': 0");
    world = harness_daemon_start_in_world(h, "LOST_GRACE = 60\n");
    harness_await_aggregate(h);
    harness_pack_add(
        h, "ttyUSB1",
        "'/DeviceInstance': 2, '/Soc': null, '/Info/MaxChargeVoltage': 54.0, '/Io/AllowToCharge': 0");
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 54);
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 0);
    harness_pack_remove(h, "ttyUSB1");
    harness_await_string(h, "/Info/ChargeLimitation",
                         "Pack \"ttyUSB1\", not complete and gone: it blocks charging");
    harness_await_exactly(h, "/Alarms/BmsCable", 1);
    harness_await_log(h, "\"ttyUSB1\", which was not complete, is gone: what it lowered stands for 60 s");
    assert_true(harness_number(h, "/Info/MaxChargeCurrent") == 0);
    assert_true(harness_number(h, "/Info/MaxChargeVoltage") == 54);
    world->monotonic_s += 60;
    harness_await_exactly(h, "/Info/MaxChargeCurrent", 100); /* its owner took it away for good */
    harness_await_exactly(h, "/Info/MaxChargeVoltage", 55.2);
    harness_await_exactly(h, "/Alarms/BmsCable", 0);
    harness_await_log(h, "No limit is low for pack \"ttyUSB1\" any more");
}

/* ---- who hangs for hours ---- */

#define SETTINGS_NAME "/Settings/Devices/battery_aggregator/CustomName"

/* Hours, in steps in which everything that waits for its time gets its turn. */
static void let_hours_pass(struct harness *h, struct world *world, int minutes)
{
    for (int i = 0; i < minutes; i++) {
        world->monotonic_s += 61;
        harness_daemon_sync(h);
        harness_daemon_sync(h); /* what that made it ask is with the bus */
    }
}

/* The settings alone can hang: the packs are others'. */
static struct world *start_with_settings_that_hang(struct harness *h, const char *settings)
{
    struct world *world;

    fleet_start(h, "--packs 0 --mppts 0 --quiet --no-system");
    harness_set_text_of(h, HARNESS_SETTINGS, FEED_IN, "1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1," CALM);
    world = harness_daemon_start_in_world(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Info/FeedIn", 0);
    kill(fleet.pid, SIGSTOP);
    return world;
}

/* The bus refuses every call of a program that has 128 unanswered ones. */
static void expect_a_new_pack_is_found(struct harness *h)
{
    harness_pack_add(h, "ttyUSB9", "'/DeviceInstance': 9," CALM);
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
}

static void settings_that_hang_for_hours_take_nobody_away_and_do_what_they_were_told(void **state)
{
    struct harness *h = *state;
    struct world *world = start_with_settings_that_hang(h, CONTROL "FEED_IN_MIN_HOLD = 1\n");

    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/FeedIn", 1);
    let_hours_pass(h, world, 200);
    harness_await_log(h, HARNESS_SETTINGS " does not answer");
    expect_a_new_pack_is_found(h);
    assert_int_equal(harness_log_count(h, HARNESS_SETTINGS " does not answer"), 1);
    kill(fleet.pid, SIGCONT);
    await_feed_in(h, "0");
    harness_await_log(h, HARNESS_SETTINGS " answers again");
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
}

static void a_hold_that_settings_that_hang_never_did_is_returned_when_they_wake_up(void **state)
{
    struct harness *h = *state;
    struct world *world = start_with_settings_that_hang(h, CONTROL "FEED_IN_MIN_HOLD = 1\n");
    char *kept;

    harness_pack_set(h, "ttyUSB0", PEAK);
    harness_await_exactly(h, "/Info/FeedIn", 1);
    let_hours_pass(h, world, 2);
    harness_pack_set(h, "ttyUSB0", CALM);
    harness_await_exactly(h, "/Info/FeedIn", 2); /* it is returned, and nobody says that it was */
    world->monotonic_s += 10;
    harness_watch(h, 2.2); /* two ticks at which it could be taken for done */
    kept = harness_data_read(h, "state.ini");
    assert_non_null(strstr(kept, "feed_in_debt = 1"));
    free(kept);
    kill(fleet.pid, SIGCONT);
    await_feed_in(h, "1");
    harness_await_exactly(h, "/Info/FeedIn", 0);
    await_feed_in(h, "1");
}

/* It took the 1 and hangs before that is on its disk: if it is killed then, it comes back with the 0. */
static void what_settings_took_before_they_hung_is_not_taken_for_kept(void **state)
{
    struct harness *h = *state;
    struct world *world;
    char *kept;

    fleet_start(h, "--packs 0 --mppts 0 --quiet --no-system");
    harness_set_text_of(h, HARNESS_SETTINGS, FEED_IN, "1");
    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1," CALM);
    world = harness_daemon_start_in_world(h, CONTROL "FEED_IN_MIN_HOLD = 1\n");
    harness_await_aggregate(h);
    harness_pack_set(h, "ttyUSB0", PEAK);
    await_feed_in(h, "0");
    harness_pack_set(h, "ttyUSB0", CALM);
    await_feed_in(h, "1");
    kill(fleet.pid, SIGSTOP);
    for (int second = 0; second < 30; second++) {
        world->monotonic_s++;
        harness_daemon_sync(h);
        harness_daemon_sync(h);
    }
    kept = harness_data_read(h, "state.ini");
    assert_non_null(strstr(kept, "feed_in_debt = 1"));
    free(kept);
    harness_await_log(h, HARNESS_SETTINGS " does not answer");
    kill(fleet.pid, SIGCONT);
    harness_await_exactly(h, "/Info/FeedIn", 0);
    await_feed_in(h, "1");
}

static void names_that_are_given_while_settings_hang_end_with_the_last(void **state)
{
    struct harness *h = *state;
    struct world *world = start_with_settings_that_hang(h, CONTROL);
    char name[32];

    for (int i = 0; i <= 200; i++) {
        snprintf(name, sizeof name, "Cellar %d", i);
        assert_int_equal(harness_set_text(h, "/CustomName", name), 0);
    }
    let_hours_pass(h, world, 10);
    expect_a_new_pack_is_found(h);
    kill(fleet.pid, SIGCONT);
    for (int i = 0; i < 100; i++) {
        const char *found = harness_get_of(h, HARNESS_SETTINGS, SETTINGS_NAME);

        if (found && strcmp(found, "Cellar 200") == 0)
            break;
        harness_watch(h, 0.1);
    }
    assert_string_equal(harness_get_of(h, HARNESS_SETTINGS, SETTINGS_NAME), "Cellar 200");
    assert_string_equal(harness_string(h, "/CustomName"), "Cellar 200");
}

#define DEAD_LOOP BATTERY("ttyS8")

/* Its main loop is dead, and a thread goes on telling what it measures. */
static void one_that_talks_and_never_answers_takes_nobody_away(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1," CALM);
    world = harness_daemon_start_in_world(h, NULL);
    harness_await_aggregate(h);
    harness_peer(h, "{'cmd': 'hang', 'service': '" DEAD_LOOP "'}");
    for (int i = 0; i < 300; i++) {
        harness_peer(h,
                     "{'cmd': 'raw', 'service': '" DEAD_LOOP "', 'path': '/', 'member': 'ItemsChanged', "
                     "'signature': 'a{sa{sv}}', 'args': [{'/Soc': {'Value': %d}}]}",
                     i % 100);
        world->monotonic_s += 4;
        harness_daemon_sync(h);
        harness_daemon_sync(h);
    }
    expect_a_new_pack_is_found(h);
}

/* Its driver lost what it was asked before it was ready. */
static void one_that_begins_to_answer_after_minutes_is_found(void **state)
{
    struct harness *h = *state;
    struct world *world;

    harness_pack_add(h, "ttyUSB0", "'/DeviceInstance': 1," CALM);
    world = harness_daemon_start_in_world(h, NULL);
    harness_await_aggregate(h);
    harness_peer(h, "{'cmd': 'hang', 'like': 'pack', 'service': '" DEAD_LOOP "'}");
    let_hours_pass(h, world, 20);
    harness_peer(h, "{'cmd': 'thaw', 'service': '" DEAD_LOOP "'}");
    harness_pack_set(h, "ttyS8", "'/Soc': 51");
    harness_await_exactly(h, "/System/NrOfBatteries", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fault_test(a_pack_that_vanishes_for_40_s_takes_nobody_off_the_bus),
        fault_test(a_pack_that_is_stopped_with_its_name_kept_is_lost_after_stale_after),
        fault_test(when_all_packs_hang_currents_are_0_then_the_name_goes_and_all_comes_back),
        fault_test(sources_that_hang_with_their_names_kept_give_way_to_the_packs_until_they_answer),
        fault_test(chargers_that_rest_all_night_are_no_fault),
        fault_test(a_source_whose_signals_are_lost_tells_its_current_when_it_is_asked),
        fault_test(a_shunt_that_is_the_bank_current_and_hangs_gives_way_too),
        fault_test(whatever_a_pack_says_on_any_path_the_merged_bank_stays_sane),
        fault_test(whatever_a_pack_says_on_any_path_our_own_limits_stay_sane),
        fault_test(a_sum_of_0_v_takes_the_voltage_of_nobody_down),
        fault_test(nobody_can_speak_for_a_pack_or_for_the_bus),
        fault_test(a_stranger_s_setvalue_changes_nothing_on_any_path),
        fault_test(no_limit_rises_because_one_that_was_never_whole_goes),
        fault_test(settings_that_hang_for_hours_take_nobody_away_and_do_what_they_were_told),
        fault_test(a_hold_that_settings_that_hang_never_did_is_returned_when_they_wake_up),
        fault_test(what_settings_took_before_they_hung_is_not_taken_for_kept),
        fault_test(names_that_are_given_while_settings_hang_end_with_the_last),
        fault_test(one_that_talks_and_never_answers_takes_nobody_away),
        fault_test(one_that_begins_to_answer_after_minutes_is_found),
    };

    cmocka_set_test_filter(getenv("TEST")); /* NULL: all; or a name with * and ? */
    return cmocka_run_group_tests_name("faults", tests, harness_group_setup, harness_group_teardown);
}
