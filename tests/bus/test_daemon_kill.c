/* kill -9 at any instant, while the charge is counted and DC feed-in is held and returned: nothing but a
 * few seconds is lost. KILLS=N kills so often (20), SEED=N chooses other instants. */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "state.h"

#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

/* 0.1 Ah of 1000 Ah are one step of saving. */
#define SETTINGS                                                                                 \
    "NR_OF_BATTERIES = 1\nOWN_SOC = True\nCHARGE_SAVE_PRECISION = 0.0001\nUPDATE_COALESCE = 5\n" \
    "OWN_CHARGE_PARAMETERS = True\nFEED_IN_MIN_HOLD = 0\n"                                       \
    "CHARGE_VOLTAGE_LIST = 3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44,3.44\n"
#define PRECISION_AH 0.1
#define ROUNDED_AH 0.1 /* what is published, and what is saved */
#define MOST_AH_A_SECOND 1.0

#define PEAK                                                                           \
    "'/Voltages/Sum': 54.5, '/Voltages/Cell3': 3.50, '/System/MaxCellVoltage': 3.50, " \
    "'/System/MinCellVoltage': 3.40"
#define CALM                                                                           \
    "'/Voltages/Sum': 52.8, '/Voltages/Cell3': 3.30, '/System/MaxCellVoltage': 3.30, " \
    "'/System/MinCellVoltage': 3.30"

/* One life of the daemon as seen from outside. */
struct life {
    double began_s;
    double first_Ah, last_Ah;
    double step_Ah; /* the largest between two publications */
};

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double chance(void)
{
    return (double)random() / (double)RAND_MAX;
}

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtol(text, NULL, 10) : otherwise;
}

static void read_kept(struct harness *h, struct state *kept)
{
    char message[512];
    enum state_finding finding = state_read(harness_data_directory(h), kept, NULL, message, sizeof message);

    if (finding != STATE_FOUND && finding != STATE_MISSING)
        harness_fail(h, __FILE__, __LINE__, "after the kill: %s", message);
}

static void look(struct harness *h, struct life *life)
{
    double shown_Ah = harness_number(h, "/Capacity");

    if (isnan(shown_Ah))
        return;
    if (isnan(life->first_Ah))
        life->first_Ah = shown_Ah;
    else
        life->step_Ah = fmax(life->step_Ah, fabs(shown_Ah - life->last_Ah));
    life->last_Ah = shown_Ah;
}

/* The bank is driven and the cells peak and calm down, until it is time. */
static void live(struct harness *h, struct life *life, double seconds)
{
    double end_s = now_s() + seconds;

    while (now_s() < end_s) {
        harness_watch(h, fmin(0.02 + 0.1 * chance(), fmax(end_s - now_s(), 0.0001)));
        look(h, life);
        if (chance() < 0.3)
            harness_pack_set(h, "ttyUSB0", chance() < 0.5 ? PEAK : CALM);
        else
            harness_pack_set(h, "ttyUSB0",
                             chance() < 0.5 ? "'/Dc/0/Current': 3600.0" : "'/Dc/0/Current': -1800.0");
    }
    look(h, life);
}

/* What the start found is said, and it is what stands in the files. */
static void expect_said(struct harness *h, const struct state *kept)
{
    char line[128];

    if (isnan(kept->charge_Ah))
        snprintf(line, sizeof line, "Kept from before: no charge");
    else
        snprintf(line, sizeof line, "Kept from before: a charge of %.1f Ah", kept->charge_Ah);
    harness_await_log(h, line);
    harness_await_log(h, kept->feed_in_debt ? "DC feed-in owed to the user" : "DC feed-in not owed");
}

static void expect_little_lost(struct harness *h, const struct life *life, const struct state *before,
                               const struct state *after)
{
    double lived_Ah = MOST_AH_A_SECOND * (now_s() - life->began_s);

    if (isnan(life->first_Ah))
        return; /* it was never on the bus */
    if (!isnan(before->charge_Ah) && !(fabs(life->first_Ah - before->charge_Ah) <= lived_Ah + ROUNDED_AH))
        harness_fail(h, __FILE__, __LINE__, "%g Ah were kept, it began with %g Ah", before->charge_Ah,
                     life->first_Ah);
    if (!(fabs(life->last_Ah - after->charge_Ah) <= PRECISION_AH + life->step_Ah + ROUNDED_AH))
        harness_fail(h, __FILE__, __LINE__, "%g Ah were shown, %g Ah are kept", life->last_Ah,
                     after->charge_Ah);
}

static void killed_at_any_instant_it_keeps_the_charge_and_the_debt(void **state)
{
    struct harness *h = *state;
    long kills = number_from("KILLS", 20), seed = number_from("SEED", (long)time(NULL) % 100000);
    struct state before, after;
    long owing = 0, shown = 0;
    char *said;

    print_message("%ld kills, seed %ld\n", kills, seed);
    srandom((unsigned)seed);
    harness_settings_add(h, "'" FEED_IN "': 1");
    harness_pack_add(h, "ttyUSB0", "'/InstalledCapacity': 1000, '/Dc/0/Current': 3600.0, " CALM);
    read_kept(h, &before);
    for (long i = 0; i < kills; i++) {
        struct life life = {.began_s = now_s(), .first_Ah = NAN, .last_Ah = NAN};

        harness_log_forget(h);
        harness_daemon_start(h, SETTINGS);
        harness_await_log(h, "data in");
        live(h, &life, chance() < 0.4 ? 0.05 * chance() : 1.5 * chance());
        assert_int_equal(harness_daemon_stop(h, SIGKILL), 128 + SIGKILL);
        look(h, &life);
        read_kept(h, &after);
        expect_little_lost(h, &life, &before, &after);
        /* the user's 1 is a 0 only with the debt on disk */
        if (strcmp(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "0") == 0 && !after.feed_in_debt)
            harness_fail(h, __FILE__, __LINE__, "kill %ld: feed-in is off and nobody owes it", i);
        if (harness_log_count(h, "Kept from before") > 0)
            expect_said(h, &before);
        owing += after.feed_in_debt;
        shown += !isnan(life.first_Ah);
        harness_await_name(h, HARNESS_AGGREGATE, false);
        before = after;
    }
    print_message("%ld of them on the bus, %ld with a debt\n", shown, owing);
    harness_pack_set(h, "ttyUSB0", CALM);
    harness_daemon_start(h, SETTINGS);
    harness_await_aggregate(h);
    expect_said(h, &before);
    while (strcmp(harness_get_of(h, HARNESS_SETTINGS, FEED_IN), "1") != 0)
        harness_watch(h, 0.05);
    harness_await_exactly(h, "/Info/FeedIn", 0);
    assert_int_equal(harness_daemon_stop(h, SIGTERM), 0);
    said = harness_data_read(h, "state.ini");
    assert_non_null(said);
    assert_non_null(strstr(said, "feed_in_debt = 0"));
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {harness_test(killed_at_any_instant_it_keeps_the_charge_and_the_debt)};

    return cmocka_run_group_tests_name("daemon: kill", tests, harness_group_setup, harness_group_teardown);
}
