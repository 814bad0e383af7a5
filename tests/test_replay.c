/* `battery-aggregator replay` as a program with a pipe at each end: what the daemon would publish for a
 * recording, in the recording's own time. */
#include "fixture.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PACK "com.victronenergy.battery.a"
#define OTHER "com.victronenergy.battery.b"
#define SETTINGS "com.victronenergy.settings"
#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"
#define NOON_S 1794916800L /* 2026-11-17 12:00 UTC */

enum { SAID_MAX = 1 << 20, TO_SAY_MAX = 1 << 15, DEADLINE_MS = 60000 };

struct replayed {
    pid_t pid;
    int to, from; /* its stdin and stdout */
    char to_say[TO_SAY_MAX];
    char said[SAID_MAX];
    size_t length;
    char settings[64];
};

static int start(void **state)
{
    struct replayed *replayed = test_calloc(1, sizeof *replayed);

    strcpy(replayed->settings, "/tmp/test_replay.XXXXXX");
    close(mkstemp(replayed->settings));
    *state = replayed;
    return 0;
}

static int stop(void **state)
{
    struct replayed *replayed = *state;

    unlink(replayed->settings);
    test_free(replayed);
    return 0;
}

static void run(struct replayed *replayed, const char *settings)
{
    int in[2], out[2];
    FILE *file = fopen(replayed->settings, "w");

    fputs(settings, file);
    fclose(file);
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    replayed->pid = fork();
    if (replayed->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        execl(BUILD_DIR "/battery-aggregator", "battery-aggregator", "replay", "--settings",
              replayed->settings, NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    replayed->to = in[1];
    replayed->from = out[0];
}

/* Kept until somebody listens, and then said at once: between two writes a slow machine makes a pause, and
 * who pauses is answered. */
static void say(struct replayed *replayed, const char *text)
{
    assert_true(strlen(replayed->to_say) + strlen(text) < sizeof replayed->to_say);
    strcat(replayed->to_say, text);
}

static void say_what_is_kept(struct replayed *replayed)
{
    ssize_t length = (ssize_t)strlen(replayed->to_say);

    assert_int_equal(write(replayed->to, replayed->to_say, (size_t)length), length);
    replayed->to_say[0] = '\0';
}

static void hear(struct replayed *replayed)
{
    struct pollfd waiting = {replayed->from, POLLIN, 0};
    ssize_t got;

    if (poll(&waiting, 1, DEADLINE_MS) <= 0)
        fail_msg("replay says nothing more after:\n%s", replayed->said);
    got = read(replayed->from, replayed->said + replayed->length, SAID_MAX - 1 - replayed->length);
    assert_true(got >= 0);
    replayed->length += (size_t)got;
    replayed->said[replayed->length] = '\0';
    if (got == 0)
        replayed->from = -1;
}

/* Waits until it has said this line. */
static void await(struct replayed *replayed, const char *line)
{
    say_what_is_kept(replayed);
    while (!strstr(replayed->said, line)) {
        if (replayed->from < 0)
            fail_msg("replay ended without saying %s, after:\n%s", line, replayed->said);
        hear(replayed);
    }
}

static int finish(struct replayed *replayed)
{
    int status;

    say_what_is_kept(replayed);
    close(replayed->to);
    while (replayed->from >= 0)
        hear(replayed);
    waitpid(replayed->pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* All that a complete pack of 16 cells says at a time. */
static const char *pack_at(long time_s, const char *service, double cell_V)
{
    static char text[4096];
    size_t used = 0;

    used += (size_t)snprintf(text + used, sizeof text - used,
                             "%ld\t%s\t/ProductName\t\"SerialBattery\"\n%ld\t%s\t/Serial\t\"%s\"\n"
                             "%ld\t%s\t/Dc/0/Voltage\t%.2f\n%ld\t%s\t/Dc/0/Current\t36\n"
                             "%ld\t%s\t/InstalledCapacity\t100\n%ld\t%s\t/Soc\t50\n",
                             time_s, service, time_s, service, service, time_s, service, 16 * cell_V, time_s,
                             service, time_s, service, time_s, service);
    used += (size_t)snprintf(text + used, sizeof text - used,
                             "%ld\t%s\t/Info/MaxChargeVoltage\t56\n%ld\t%s\t/Info/MaxChargeCurrent\t100\n"
                             "%ld\t%s\t/Info/MaxDischargeCurrent\t120\n",
                             time_s, service, time_s, service, time_s, service);
    for (int cell = 1; cell <= 16; cell++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%ld\t%s\t/Voltages/Cell%d\t%.3f\n", time_s,
                                 service, cell, cell_V);
    return text;
}

/* The line of a value of the bank. */
static const char *bank_line(long time_s, const char *path, const char *value)
{
    static char line[256];

    snprintf(line, sizeof line, "%ld\tcom.victronenergy.battery.aggregate\t%s\t%s\n", time_s, path, value);
    return line;
}

static const char *end_line(long time_s)
{
    static char line[64];

    snprintf(line, sizeof line, "%ld\t.\t\t\n", time_s);
    return line;
}

static size_t count(const char *text, const char *what)
{
    size_t times = 0;

    for (; (text = strstr(text, what)); text++)
        times++;
    return times;
}

static void a_whole_bank_is_published_with_its_instant(void **state)
{
    struct replayed *replayed = *state;

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    say(replayed, pack_at(NOON_S, OTHER, 3.3));
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, bank_line(NOON_S, "", "here")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S, "/Dc/0/Current", "72.00")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S, "/Info/MaxChargeCurrent", "200.0")));
    assert_int_equal(count(replayed->said, "\t.\t\t\n"), 1);
    assert_string_equal(replayed->said + strlen(replayed->said) - strlen(end_line(NOON_S)), end_line(NOON_S));
}

static void only_what_changed_follows(void **state)
{
    struct replayed *replayed = *state;
    char later[128];

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    snprintf(later, sizeof later, "%ld\t" PACK "\t/Dc/0/Current\t-5.5\n", NOON_S + 1);
    say(replayed, later);
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 1, "/Dc/0/Current", "-5.50")));
    assert_int_equal(count(replayed->said, "/Info/MaxChargeCurrent\t"), 1);
    assert_int_equal(count(replayed->said, "\t.\t\t\n"), 2);
}

static void who_waits_at_the_pipe_is_answered_without_a_later_line(void **state)
{
    struct replayed *replayed = *state;
    char later[128];

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    await(replayed, end_line(NOON_S));
    snprintf(later, sizeof later, "%ld\t" PACK "\t/Dc/0/Current\t-5.5\n%s", NOON_S + 1, end_line(NOON_S + 1));
    say(replayed, later);
    await(replayed, end_line(NOON_S + 1));
    assert_non_null(strstr(replayed->said, "-5.50"));
    say(replayed, end_line(NOON_S + 1)); /* it was answered already */
    assert_int_equal(finish(replayed), 0);
    assert_int_equal(count(replayed->said, "\t.\t\t\n"), 2);
}

static void time_passes_between_instants_as_on_the_bus(void **state)
{
    struct replayed *replayed = *state;

    run(replayed, "OWN_SOC = True\nBATTERY_EFFICIENCY = 1\n");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    say(replayed, end_line(NOON_S + 1003)); /* 36 A for the 1000 s after the counter began are 10 Ah */
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, "/Capacity\t60.0\n"));
    assert_null(strstr(replayed->said, "/Capacity\t60.2\n"));
    assert_int_equal(count(replayed->said, "\t.\t\t\n"), 2); /* the ticks between are no instants */
}

static void packs_that_go_take_the_limits_to_zero_and_then_the_name(void **state)
{
    struct replayed *replayed = *state;
    char later[256];

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    snprintf(later, sizeof later, "%ld\t" PACK "\t\tgone\n%s", NOON_S + 5, end_line(NOON_S + 70));
    say(replayed, later);
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 5, "/Info/MaxChargeCurrent", "0.0")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 5, "/Dc/0/Voltage", "-")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 65, "", "gone")));
}

static void a_pack_that_fell_silent_is_lost_until_it_is_heard(void **state)
{
    struct replayed *replayed = *state;
    char later[256];

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    say(replayed, pack_at(NOON_S, OTHER, 3.3));
    snprintf(later, sizeof later, "%ld\t" OTHER "\t\tsilent\n%ld\t" OTHER "\t\theard\n", NOON_S + 5,
             NOON_S + 9);
    say(replayed, later);
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 5, "/Alarms/BmsCable", "1")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 9, "/System/NrOfBatteries", "2")));
}

static void a_source_that_fell_silent_gives_way_to_the_packs_until_it_is_heard(void **state)
{
#define MPPT "com.victronenergy.solarcharger.a"
    struct replayed *replayed = *state;
    char lines[512];

    run(replayed, "CURRENT_FROM_VICTRON = True\n");
    snprintf(lines, sizeof lines, "%ld\t" MPPT "\t/DeviceInstance\t288\n%ld\t" MPPT "\t/Dc/0/Current\t20\n",
             NOON_S, NOON_S);
    say(replayed, lines);
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    snprintf(lines, sizeof lines, "%ld\t" MPPT "\t\tsilent\n%ld\t" MPPT "\t\theard\n", NOON_S + 5,
             NOON_S + 9);
    say(replayed, lines);
    assert_int_equal(finish(replayed), 0);
    assert_non_null(strstr(replayed->said, bank_line(NOON_S, "/Dc/0/Current", "20.00")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 5, "/Dc/0/Current", "36.00")));
    assert_non_null(strstr(replayed->said, bank_line(NOON_S + 9, "/Dc/0/Current", "20.00")));
}

static void feed_in_is_written_where_the_world_can_read_it(void **state)
{
    struct replayed *replayed = *state;
    char line[256];

    run(replayed, "OWN_CHARGE_PARAMETERS = True\nFEED_IN_MIN_HOLD = 2\n");
    snprintf(line, sizeof line, "%ld\t" SETTINGS "\t" FEED_IN "\t1\n", NOON_S);
    say(replayed, line);
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    snprintf(line, sizeof line, "%ld\t" PACK "\t/Voltages/Cell5\t3.52\n", NOON_S + 1);
    say(replayed, line);
    await(replayed, end_line(NOON_S + 1));
    snprintf(line, sizeof line, "%ld\t" SETTINGS "\t" FEED_IN "\t0\n", NOON_S + 1);
    assert_non_null(strstr(replayed->said, line));
    say(replayed, line);
    snprintf(line, sizeof line, "%ld\t" PACK "\t/Voltages/Cell5\t3.30\n%s", NOON_S + 2, end_line(NOON_S + 9));
    say(replayed, line);
    assert_int_equal(finish(replayed), 0);
    assert_int_equal(count(replayed->said, SETTINGS "\t" FEED_IN "\t1\n") > 0, 1);
}

static void a_wrong_line_is_left_out_and_the_rest_goes_on(void **state)
{
    struct replayed *replayed = *state;

    run(replayed, "");
    say(replayed, "nonsense\n");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    assert_int_equal(finish(replayed), 1);
    assert_non_null(strstr(replayed->said, "/Dc/0/Voltage\t52.80\n"));
}

static void services_that_nobody_reads_are_no_news(void **state)
{
    struct replayed *replayed = *state;
    char line[256];

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    snprintf(line, sizeof line, "%ld\tcom.victronenergy.temperature.x\t/Temperature\t20\n", NOON_S + 1);
    say(replayed, line);
    snprintf(line, sizeof line, "%ld\tcom.victronenergy.battery.aggregate\t/Dc/0/Voltage\t10\n", NOON_S + 2);
    say(replayed, line); /* a recording of our own output is no pack */
    assert_int_equal(finish(replayed), 0);
    assert_int_equal(count(replayed->said, "/System/NrOfBatteries\t"), 1);
}

static void the_pages_of_the_packs_do_not_repeat_the_recording(void **state)
{
    struct replayed *replayed = *state;

    run(replayed, "");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    assert_int_equal(finish(replayed), 0);
    assert_int_equal(count(replayed->said, "/Battery/1/Name\t"), 1);
    assert_int_equal(count(replayed->said, "/Battery/1/Soc\t"), 0);
    assert_int_equal(count(replayed->said, "/Battery/1/Cell/"), 0);
}

static void the_same_recording_gives_the_same_result(void **state)
{
    struct replayed *replayed = *state;
    char *first;

    run(replayed, "OWN_SOC = True\n");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    say(replayed, end_line(NOON_S + 100));
    finish(replayed);
    first = strdup(replayed->said);
    replayed->length = 0;
    run(replayed, "OWN_SOC = True\n");
    say(replayed, pack_at(NOON_S, PACK, 3.3));
    say(replayed, end_line(NOON_S + 100));
    finish(replayed);
    assert_string_equal(first, replayed->said);
    free(first);
}

/* A day from full down to an empty cell: 92.5 Ah of a nameplate of 100. */
static void write_sweep(FILE *file)
{
    long time_s = NOON_S;

    fputs(pack_at(time_s, PACK, 3.46), file);
    fprintf(file, "%ld\t" PACK "\t/InstalledCapacity\t100\n", time_s);
    for (int i = 0; i < 12; i++, time_s += 10)
        fprintf(file, "%ld\t" PACK "\t/Dc/0/Current\t%.2f\n", time_s, 1 + i / 100.0);
    fputs(pack_at(time_s, PACK, 3.3), file);
    for (int i = 0; i < 1800; i++, time_s += 10)
        fprintf(file, "%ld\t" PACK "\t/Dc/0/Current\t%.2f\n", time_s, -18.5 + i % 2 / 100.0);
    fputs(pack_at(time_s, PACK, 2.85), file);
    for (int i = 0; i < 6; i++, time_s += 10)
        fprintf(file, "%ld\t" PACK "\t/Dc/0/Current\t%.2f\n", time_s, -18.5 + i % 2 / 100.0);
}

/* The same of two packs in series, both of 100 Ah, of which the second was not full: 92.5 Ah flow. Their BMSs
 * say 50 % all the time. */
static void write_sweep_of_string(FILE *file)
{
    static const char *const packs[] = {PACK, OTHER};
    long time_s = NOON_S;

    fputs(pack_at(time_s, PACK, 3.46), file);
    fputs(pack_at(time_s, OTHER, 3.38), file);
    for (int i = 0; i < 1818; i++, time_s += 10) {
        for (int k = 0; k < 2; k++) {
            if (i == 12 || (i == 1812 && k == 1))
                fputs(pack_at(time_s, packs[k], i == 12 ? 3.3 : 2.85), file);
            fprintf(file, "%ld\t%s\t/Dc/0/Current\t%.2f\n", time_s, packs[k],
                    i % 2 / 100.0 + (i < 12 ? 1 : -18.5));
        }
    }
}

/* The last SoC that is published for it. */
static double soc_after_sweep(struct replayed *replayed, void (*write)(FILE *file), const char *settings)
{
    char recording[] = "/tmp/test_replay.XXXXXX";
    char command[512], line[512];
    FILE *file = fdopen(mkstemp(recording), "w");
    double soc_pct = NAN;

    assert_non_null(file);
    write(file);
    fclose(file);
    file = fopen(replayed->settings, "w");
    fputs(settings, file);
    fclose(file);
    snprintf(command, sizeof command, BUILD_DIR "/battery-aggregator replay --settings %s %s",
             replayed->settings, recording);
    file = popen(command, "r");
    while (fgets(line, sizeof line, file)) {
        if (strstr(line, "\t/Soc\t"))
            soc_pct = strtod(strstr(line, "\t/Soc\t") + strlen("\t/Soc\t"), NULL);
    }
    assert_int_equal(pclose(file), 0);
    unlink(recording);
    return soc_pct;
}

static void a_capacity_that_a_sweep_told_makes_the_soc_0_where_the_cell_is_empty(void **state)
{
    assert_near(soc_after_sweep(*state, write_sweep, "OWN_SOC = True\n"), 7.2, 0.5);
    assert_near(soc_after_sweep(*state, write_sweep, "OWN_SOC = True\nCAPACITY = learned\n"), 0, 0.5);
}

static void of_packs_in_series_a_sweep_tells_what_flows_until_the_first_is_empty(void **state)
{
#define SERIES "BANK = " PACK " + " OTHER "\nOWN_SOC = True\n"
    assert_near(soc_after_sweep(*state, write_sweep_of_string, SERIES), 7.2, 0.5);
    assert_near(soc_after_sweep(*state, write_sweep_of_string, SERIES "CAPACITY = learned\n"), 0, 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_bank_is_published_with_its_instant, start, stop),
        cmocka_unit_test_setup_teardown(only_what_changed_follows, start, stop),
        cmocka_unit_test_setup_teardown(who_waits_at_the_pipe_is_answered_without_a_later_line, start, stop),
        cmocka_unit_test_setup_teardown(time_passes_between_instants_as_on_the_bus, start, stop),
        cmocka_unit_test_setup_teardown(packs_that_go_take_the_limits_to_zero_and_then_the_name, start, stop),
        cmocka_unit_test_setup_teardown(a_pack_that_fell_silent_is_lost_until_it_is_heard, start, stop),
        cmocka_unit_test_setup_teardown(a_source_that_fell_silent_gives_way_to_the_packs_until_it_is_heard,
                                        start, stop),
        cmocka_unit_test_setup_teardown(feed_in_is_written_where_the_world_can_read_it, start, stop),
        cmocka_unit_test_setup_teardown(a_wrong_line_is_left_out_and_the_rest_goes_on, start, stop),
        cmocka_unit_test_setup_teardown(services_that_nobody_reads_are_no_news, start, stop),
        cmocka_unit_test_setup_teardown(the_pages_of_the_packs_do_not_repeat_the_recording, start, stop),
        cmocka_unit_test_setup_teardown(the_same_recording_gives_the_same_result, start, stop),
        cmocka_unit_test_setup_teardown(a_capacity_that_a_sweep_told_makes_the_soc_0_where_the_cell_is_empty,
                                        start, stop),
        cmocka_unit_test_setup_teardown(of_packs_in_series_a_sweep_tells_what_flows_until_the_first_is_empty,
                                        start, stop),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
