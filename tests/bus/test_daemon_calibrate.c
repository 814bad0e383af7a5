/* What those who calibrate may ask of the running daemon, what is refused, and what survives. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define AGGREGATE_INTERFACE "com.victronenergy.battery.Aggregate"
#define CALL "busctl --address=$BUS call " HARNESS_AGGREGATE " / " AGGREGATE_INTERFACE " "
#define GDBUS \
    "gdbus call --address $BUS --dest " HARNESS_AGGREGATE " --object-path / --method " AGGREGATE_INTERFACE "."
#define PROGRAM "${AGGREGATOR:-" BUILD_DIR "/battery-aggregator} --bus $BUS "

/* Runs it; the status and a part of what it says must be these. */
static void expect(struct harness *h, const char *command, int status, const char *part)
{
    char *said;
    int found = harness_shell(h, command, &said);

    if (found != status || !strstr(said, part))
        harness_fail(h, __FILE__, __LINE__, "status %d of: %s\n%s\nwanted: %s", found, command, said, part);
    free(said);
}

/* The number behind this key in what `work` says; NAN when it is not there. */
static double work_number(struct harness *h, const char *key)
{
    double number = NAN;
    char *said, *line;

    if (harness_shell(h, PROGRAM "work", &said) != 0)
        harness_fail(h, __FILE__, __LINE__, "work: %s", said);
    line = strstr(said, key);
    if (line && (line == said || line[-1] == '\n') && line[strlen(key)] == ' ')
        number = strtod(line + strlen(key), NULL);
    free(said);
    return number;
}

/* Nothing on the bus tells it sooner than once a minute: it is asked for. */
static void await_work(struct harness *h, const char *key, double above)
{
    for (int i = 0; i < 10 * HARNESS_DEADLINE_S; i++) {
        if (work_number(h, key) > above)
            return;
        harness_watch(h, 0.1);
    }
    harness_fail(h, __FILE__, __LINE__, "%s is %g", key, work_number(h, key));
}

/* One pack of 100 Ah at 50 %; 3600 A are 1 Ah a second. */
static void start(struct harness *h, const char *settings)
{
    harness_pack_add(h, "ttyUSB0", "'/CustomName': 'House', '/Serial': 'S 1'");
    harness_daemon_start(h, settings);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 50);
}

static void the_methods_are_introspected_with_their_arguments(void **state)
{
    struct harness *h = *state;

    start(h, NULL);
    expect(h, "busctl --address=$BUS introspect " HARNESS_AGGREGATE " / " AGGREGATE_INTERFACE " | tr -s ' '",
           0, ".GetWork method b a{sd}");
    expect(h, "busctl --address=$BUS introspect " HARNESS_AGGREGATE " / " AGGREGATE_INTERFACE " | tr -s ' '",
           0, ".SetSoc method d -");
    expect(h, "gdbus introspect --address $BUS --dest " HARNESS_AGGREGATE " --object-path / --xml", 0,
           "\"offset_A\"");
    expect(h,
           "gdbus introspect --address $BUS --dest " HARNESS_AGGREGATE " --object-path /Soc --xml | grep -c "
           "Aggregate || true",
           0, "0");
}

static void a_soc_that_is_set_is_shown_saved_and_logged(void **state)
{
    struct harness *h = *state;
    char *saved;

    start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    expect(h, CALL "SetSoc d 80", 0, "");
    saved = harness_data_read(h, "charge"); /* on disk before it is answered */
    assert_true(fabs(strtod(saved, NULL) - 80) < 0.01);
    free(saved);
    harness_await_exactly(h, "/Soc", 80);
    harness_await_number(h, "/Info/SocUncertainty", 5, 0.3);
    harness_await_log(h, "the SoC is set from 50.0 to 80.0 %");
    assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    harness_await_exactly(h, "/Soc", 80);
    assert_true(harness_number(h, "/Info/SocUncertainty") > 4);
}

static void the_reference_counter_is_set_too(void **state)
{
    struct harness *h = *state;

    start(h, "OWN_SOC = True\nSOC_METHOD = reference\nNR_OF_BATTERIES = 1\n");
    expect(h, PROGRAM "set soc 12.5", 0, "The SoC is 12.5 % now");
    harness_await_exactly(h, "/Soc", 12.5);
}

static void nonsense_is_refused_with_range_and_remedy_and_changes_nothing(void **state)
{
    static const struct {
        const char *command, *said;
    } wrong[] = {
        {CALL "SetSoc d 100.5", "0 to 100 %"},
        {CALL "SetSoc d nan", "0 to 100 %"},
        {CALL "SetSoc d inf", "0 to 100 %"},
        {CALL "SetSoc -- d -1", "0 to 100 %"},
        {CALL "SetSoc", "takes one argument, soc_pct, of type 'd'"},
        {CALL "SetSoc s full", "takes one argument"},
        {CALL "SetSoc i 80", "takes one argument"},
        {CALL "SetSoc dd 80 90", "takes one argument"},
        {CALL "SetSoc v d 80", "takes one argument"},
        {CALL "GetWork", "takes one argument, clear, of type 'b'"},
        {CALL "GetWork i 1", "takes one argument"},
        {CALL "SetCurrentOffset d 1.01", "-1.00 to 1.00 A"},
        {CALL "SetCurrentOffset d nan", "-1.00 to 1.00 A"},
        {CALL "SetEverything d 1", "SetEverything"},
    };
    struct harness *h = *state;

    start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect(h, wrong[i].command, 1, wrong[i].said);
    expect(h, GDBUS "SetSoc 101", 1, "org.freedesktop.DBus.Error.InvalidArgs");
    expect(h, GDBUS "SetEverything 1", 1, "org.freedesktop.DBus.Error.UnknownMethod");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/Soc", AGGREGATE_INTERFACE, "GetWork"),
                        "org.freedesktop.DBus.Error.UnknownMethod");
    assert_string_equal(harness_error_of(h, HARNESS_AGGREGATE, "/None", AGGREGATE_INTERFACE, "GetWork"),
                        "org.freedesktop.DBus.Error.UnknownObject");
    harness_daemon_sync(h);
    assert_true(harness_number(h, "/Soc") == 50);
    assert_true(harness_log_count(h, "SetSoc is refused") >= 4);
    assert_int_equal(harness_log_count(h, "the SoC is set"), 0);
}

static void what_is_not_possible_now_names_the_setting_that_makes_it(void **state)
{
    struct harness *h = *state;

    start(h, NULL);
    expect(h, PROGRAM "set soc 80", 1, "Set OWN_SOC = True first");
    expect(h, PROGRAM "set offset -0.2", 1, "SOC_METHOD = learned first");
    expect(h, GDBUS "SetSoc 80", 1, "org.freedesktop.DBus.Error.Failed");
}

static void an_offset_that_is_set_survives_a_restart(void **state)
{
    struct harness *h = *state;
    char *saved;

    start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    expect(h, PROGRAM "set offset -0.25", 0, "-0.25 A too much");
    harness_await_log(h, "shows -0.250 A too much, it was 0.000 A");
    saved = harness_data_read(h, "state.ini");
    assert_non_null(strstr(saved, "soc_offset_A = -0.25\n"));
    free(saved);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    harness_await_name(h, HARNESS_AGGREGATE, false);
    harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_await_aggregate(h);
    expect(h, PROGRAM "set offset 0.125", 0, "");
    harness_await_log(h, "shows 0.125 A too much, it was -0.250 A");
}

static void words_that_set_does_not_know_are_told_how_it_is_done(void **state)
{
    struct harness *h = *state;

    start(h, NULL);
    expect(h, PROGRAM "set", 2, "set soc 80, set offset -0.2");
    expect(h, PROGRAM "set soc", 2, "set soc 80");
    expect(h, PROGRAM "set soc full", 2, "set soc 80");
    expect(h, PROGRAM "set volume 11", 2, "set soc 80");
    expect(h, PROGRAM "set soc 80 90", 2, "one argument too many");
    expect(h, PROGRAM "status -80", 2, "one argument too many");
}

static void what_went_in_and_out_is_told_for_the_bank_and_for_each_pack(void **state)
{
    struct harness *h = *state;

    start(h, NULL);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 3600.0, '/Dc/0/Voltage': 50.0");
    await_work(h, "charged_Ah", 2); /* 1 Ah a second */
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': -3600.0");
    await_work(h, "House/discharged_Ah", 1);
    assert_true(fabs(work_number(h, "charged_kWh") / work_number(h, "charged_Ah") - 0.05) < 0.002);
    assert_true(work_number(h, "installed_Ah") == 100);
    assert_true(work_number(h, "since_date") > 20260000);
    expect(h, CALL "GetWork b false", 0, "a{sd}");
    expect(h, PROGRAM "status --history", 0, "House\n  charged ");
    expect(h, PROGRAM "status --history", 0, "Not seen full yet");
    expect(h, PROGRAM "capacity", 0, "no sweep yet");
    expect(h, PROGRAM "capacity", 0, "within 12 h");
}

static void packs_that_shared_a_name_are_told_by_their_serials(void **state)
{
    struct harness *h = *state;

    harness_data_write(h, "state.ini",
                       "[state]\nversion = 1\n[work]\nsince = 2026-01-01\n"
                       "[work 1]\nid = Old\nname = House\ntotal = 7 6 0.5 0.4 10\n"
                       "[work 2]\nid = S%201\nname = House\ntotal = 3 2 0.2 0.1 5\n");
    start(h, NULL);
    assert_true(work_number(h, "Old/charged_Ah") == 7);
    assert_true(work_number(h, "S 1/discharged_Ah") == 2);
    assert_true(isnan(work_number(h, "House/charged_Ah")));
    assert_true(work_number(h, "since_date") == 20260101);
}

static void clearing_answers_with_what_was_and_begins_anew(void **state)
{
    struct harness *h = *state;
    double before_Ah;

    start(h, NULL);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 3600.0");
    await_work(h, "charged_Ah", 2);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 0.0");
    harness_watch(h, 1.5); /* the slope down is counted as well */
    before_Ah = work_number(h, "charged_Ah");
    expect(h, PROGRAM "work --clear | grep -c '^charged_Ah *[2-9]'", 0, "1");
    assert_true(before_Ah > 2 && work_number(h, "charged_Ah") == 0);
    assert_true(work_number(h, "House/charged_Ah") == 0);
    harness_await_log(h, "what the bank has done is cleared");
}

static void the_work_survives_a_kill_and_a_restart(void **state)
{
    struct harness *h = *state;
    double saved_Ah, pack_Ah;

    start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': -3600.0");
    await_work(h, "discharged_Ah", 2);
    harness_pack_set(h, "ttyUSB0", "'/Dc/0/Current': 0.0");
    harness_watch(h, 1.5);
    expect(h, PROGRAM "set soc 60", 0, ""); /* whatever writes state.ini takes the work along */
    saved_Ah = work_number(h, "discharged_Ah");
    pack_Ah = work_number(h, "House/discharged_Ah");
    assert_true(pack_Ah > 1);
    for (int round = 0; round < 2; round++) {
        harness_daemon_stop(h, round ? SIGTERM : SIGKILL);
        harness_await_name(h, HARNESS_AGGREGATE, false);
        harness_daemon_start(h, "OWN_SOC = True\nNR_OF_BATTERIES = 1\n");
        harness_await_aggregate(h);
        assert_true(fabs(work_number(h, "discharged_Ah") - saved_Ah) < 1e-6 * saved_Ah);
        assert_true(fabs(work_number(h, "House/discharged_Ah") - pack_Ah) < 1e-6 * pack_Ah);
        harness_await_number(h, "/History/TotalAhDrawn", saved_Ah, 0.06);
    }
}

static void extremes_and_history_are_shown_under_victron_s_names(void **state)
{
    struct harness *h = *state;

    harness_pack_add(
        h, "ttyUSB0",
        "'/Dc/0/Voltage': 51.25, '/System/MinCellVoltage': 3.123, '/System/MaxCellVoltage': 3.432,"
        "'/History/ChargedEnergy': null, '/History/DischargedEnergy': null,"
        "'/History/TotalAhDrawn': null, '/History/ChargeCycles': 17");
    harness_daemon_start(h, NULL);
    harness_await_aggregate(h);
    harness_await_exactly(h, "/History/ChargeCycles", 17); /* the pack's own */
    harness_await_exactly(h, "/History/ChargedEnergy", 0); /* ours */
    harness_await_exactly(h, "/History/DischargedEnergy", 0);
    harness_await_exactly(h, "/History/MinimumVoltage", 51.25);
    harness_await_exactly(h, "/History/MaximumVoltage", 51.25);
    harness_await_number(h, "/History/MinimumCellVoltage", 3.123, 0.2);
    harness_await_number(h, "/History/MaximumCellVoltage", 3.432, 0.2);
    harness_await_exactly(h, "/History/DeepestDischarge", -50);
    harness_await_invalid(h, "/History/TimeSinceLastFullCharge");
}

static void without_a_daemon_each_command_says_so(void **state)
{
    expect(*state, PROGRAM "work", 1, "No battery-aggregator is on the bus");
    expect(*state, PROGRAM "capacity", 1, "No battery-aggregator is on the bus");
    expect(*state, PROGRAM "status --history", 1, "No battery-aggregator is on the bus");
    expect(*state, PROGRAM "set soc 50", 1, "No battery-aggregator is on the bus");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        harness_test(the_methods_are_introspected_with_their_arguments),
        harness_test(a_soc_that_is_set_is_shown_saved_and_logged),
        harness_test(the_reference_counter_is_set_too),
        harness_test(nonsense_is_refused_with_range_and_remedy_and_changes_nothing),
        harness_test(what_is_not_possible_now_names_the_setting_that_makes_it),
        harness_test(an_offset_that_is_set_survives_a_restart),
        harness_test(words_that_set_does_not_know_are_told_how_it_is_done),
        harness_test(what_went_in_and_out_is_told_for_the_bank_and_for_each_pack),
        harness_test(packs_that_shared_a_name_are_told_by_their_serials),
        harness_test(clearing_answers_with_what_was_and_begins_anew),
        harness_test(the_work_survives_a_kill_and_a_restart),
        harness_test(extremes_and_history_are_shown_under_victron_s_names),
        harness_test(without_a_daemon_each_command_says_so),
    };

    return harness_run(tests);
}
