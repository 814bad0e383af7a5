/* Packs of many makes, shunts and sources as they show themselves on the bus (tests/fixtures), through
 * `battery-aggregator replay`. The expected bank is worked out by hand from the numbers in each fixture. */
#include "fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define BEGIN_S 1794916800L /* the first instant of every fixture */

enum { SAID_MAX = 1 << 18, LINE_BYTES = 512 };

struct replayed {
    char out[SAID_MAX];
    char err[SAID_MAX];
};

static int setup(void **state)
{
    *state = test_calloc(1, sizeof(struct replayed));
    return 0;
}

static int teardown(void **state)
{
    test_free(*state);
    return 0;
}

static void slurp(int fd, char *text)
{
    ssize_t got = pread(fd, text, SAID_MAX - 1, 0);

    assert_true(got >= 0 && got < SAID_MAX - 1);
    text[got] = '\0';
    close(fd);
}

static int temporary(char *name)
{
    int fd = mkstemp(name);

    assert_true(fd >= 0);
    return fd;
}

/* Runs the fixture with these settings; what it says is in replayed then. */
static void replay(struct replayed *replayed, const char *fixture, const char *settings)
{
    char ini[] = "/tmp/test_fixtures.XXXXXX", out[] = "/tmp/test_fixtures.XXXXXX",
         err[] = "/tmp/test_fixtures.XXXXXX";
    int fd[3] = {temporary(ini), temporary(out), temporary(err)};
    char path[128];
    int status;
    pid_t pid;

    assert_int_equal(write(fd[0], settings, strlen(settings)), (ssize_t)strlen(settings));
    snprintf(path, sizeof path, "tests/fixtures/%s.txt", fixture);
    pid = fork();
    if (pid == 0) {
        dup2(fd[1], STDOUT_FILENO);
        dup2(fd[2], STDERR_FILENO);
        execl(BUILD_DIR "/battery-aggregator", "battery-aggregator", "--settings", ini, "replay", path, NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    close(fd[0]);
    slurp(fd[1], replayed->out);
    slurp(fd[2], replayed->err);
    unlink(ini);
    unlink(out);
    unlink(err);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("replay of %s failed:\n%s", path, replayed->err);
}

/* What stands at a path of the bank that many seconds after the beginning; false: nothing was said yet. */
static bool find(const struct replayed *replayed, long seconds, const char *path, char *value)
{
    char wanted[LINE_BYTES];
    bool found = false;

    snprintf(wanted, sizeof wanted, "\tcom.victronenergy.battery.aggregate\t%s\t", path);
    for (const char *line = replayed->out; *line; line += strcspn(line, "\n") + 1) {
        const char *rest = strchr(line, '\t');

        if (atol(line) > BEGIN_S + seconds)
            break;
        if (!rest || strncmp(rest, wanted, strlen(wanted)) != 0)
            continue;
        rest += strlen(wanted);
        snprintf(value, LINE_BYTES, "%.*s", (int)strcspn(rest, "\n"), rest);
        found = true;
    }
    return found;
}

/* One expectation: a number, or when text is given that text, or when it is "-" nothing. */
struct expected {
    const char *path;
    double number;
    const char *text;
};

static void expect_bank(const struct replayed *replayed, long seconds, const struct expected *expected)
{
    for (; expected->path; expected++) {
        char value[LINE_BYTES] = "-";

        find(replayed, seconds, expected->path, value);
        if (expected->text && strcmp(value, expected->text) != 0)
            fail_msg("%s is %s after %ld s, not %s", expected->path, value, seconds, expected->text);
        if (!expected->text && !(fabs(atof(value) - expected->number) < 1e-6))
            fail_msg("%s is %s after %ld s, not %g", expected->path, value, seconds, expected->number);
    }
}

#define V "/Dc/0/Voltage"
#define I "/Dc/0/Current"
#define P "/Dc/0/Power"
#define SOC "/Soc"
#define INSTALLED "/InstalledCapacity"
#define REMAINING "/Capacity"
#define SUM "/Voltages/Sum"
#define HIGHEST "/System/MaxCellVoltage"
#define HIGHEST_ID "/System/MaxVoltageCellId"
#define LOWEST "/System/MinCellVoltage"
#define LOWEST_ID "/System/MinVoltageCellId"
#define CELLS "/System/NrOfCellsPerBattery"
#define PACKS "/System/NrOfBatteries"
#define CVL "/Info/MaxChargeVoltage"
#define CCL "/Info/MaxChargeCurrent"
#define DCL "/Info/MaxDischargeCurrent"
#define END \
    {       \
        0   \
    }

static void pylontech_on_can_without_cells_sums_or_power(void **state)
{
    static const struct expected bank[] = {
        {PACKS, 2, NULL},
        {V, 50.08, NULL},       /* (50.10 + 50.06) / 2 */
        {I, 20.00, NULL},       /* 12.4 + 7.6 */
        {P, 1002, NULL},        /* 50.10 * 12.4 + 50.06 * 7.6 = 621.24 + 380.456 = 1001.696 */
        {SOC, 58.5, NULL},      /* (62 * 200 + 55 * 200) / 400 */
        {INSTALLED, 400, NULL}, /* 200 + 200 */
        {REMAINING, 234, NULL}, /* 62 % of 200 + 55 % of 200 = 124 + 110 */
        {SUM, 50.08, NULL},     /* the terminals stand in for the cells */
        {HIGHEST, 0, "-"},      /* nobody knows */
        {LOWEST, 0, "-"},
        {CELLS, 0, "-"},
        {CVL, 52.5, NULL},                       /* the lower of 53.2 and 52.5 */
        {CCL, 100, NULL},                        /* equal packs share equally: 2 * the lower of 100 and 50 */
        {DCL, 148, NULL},                        /* 2 * the lower of 100 and 74 */
        {"/Info/BatteryLowVoltage", 46.5, NULL}, /* the higher of 45.0 and 46.5 */
        {"/System/NrOfModulesOnline", 8, NULL},  /* 4 + 4 */
        {"/Dc/0/Temperature", 23, NULL},         /* (24 + 22) / 2 */
        END,
    };

    replay(*state, "can_pylontech", "");
    expect_bank(*state, 0, bank);
}

static void seplos_that_speaks_for_two_on_can_beside_a_pack_that_shows_each_cell(void **state)
{
    static const struct expected bank[] = {
        {PACKS, 2, NULL},
        {V, 53.17, NULL},       /* (53.20 + 53.14) / 2 */
        {I, -18.0, NULL},       /* -11.8 - 6.2 */
        {P, -957, NULL},        /* 53.20 * -11.8 - 329.5 = -627.76 - 329.5 = -957.26 */
        {SOC, 50, NULL},        /* (52 * 280 + 48 * 280) / 560 */
        {INSTALLED, 560, NULL}, /* 280 + 280 */
        {REMAINING, 280, NULL}, /* 52 % of 280 + 134.4 = 145.6 + 134.4 */
        {SUM, 53.17, NULL},     /* terminals of the one, cells of the other: (53.20 + 53.144) / 2 = 53.172 */
        {HIGHEST, 3.335, NULL}, /* 3.335 against 3.330 */
        {HIGHEST_ID, 0, "\"CAN-SMARTBMS-BAT #0: 1.7\""}, /* it has no name and no serial */
        {LOWEST, 3.311, NULL},                           /* 3.311 against 3.318 */
        {LOWEST_ID, 0, "\"CAN-SMARTBMS-BAT #0: 2.3\""},
        {"/Voltages/Diff", 0.024, NULL}, /* 3.335 - 3.311 */
        {CELLS, 16, NULL},               /* the one that knows */
        {CVL, 56.0, NULL},               /* the lower of 57.6 and 56.0 */
        {CCL, 280, NULL},                /* 2 * the lower of 200 and 140 */
        {DCL, 280, NULL},
        {"/System/NrOfModulesOnline", 0, "-"},    /* the JK does not say */
        {"/System/MaxCellTemperature", 23, NULL}, /* of the SEPLOS: the JK shows none */
        END,
    };

    replay(*state, "can_seplos", "");
    expect_bank(*state, 0, bank);
}

static void byd_on_can_and_one_tower_that_is_full(void **state)
{
    static const struct expected charging[] = {
        {PACKS, 2, NULL},
        {V, 53.62, NULL},         /* (53.60 + 53.64) / 2 */
        {I, 44.0, NULL},          /* 20 + 24 */
        {P, 2359, NULL},          /* as they say: 1072 + 1287 */
        {SOC, 85, NULL},          /* (80 + 90) / 2, for they are equal */
        {INSTALLED, 460.8, NULL}, /* 230.4 + 230.4 */
        {REMAINING, 391.7, NULL}, /* 80 % + 90 % of 230.4 = 184.32 + 207.36 = 391.68 */
        {HIGHEST, 3.361, NULL},
        {HIGHEST_ID, 0, "\"P03B\""}, /* it does not say which cell: the tower, by its serial */
        {LOWEST, 3.346, NULL},
        {LOWEST_ID, 0, "\"P03A\""},
        {CVL, 56.2, NULL}, /* the lower of 56.5 and 56.2 */
        {CCL, 200, NULL},  /* 2 * the lower of 115.2 and 100 */
        {DCL, 400, NULL},  /* 2 * 200 */
        {"/Info/BatteryLowVoltage", 0, "-"},
        END,
    };
    static const struct expected full[] = {
        {I, 20.0, NULL}, /* 20 + 0 */
        {P, 1072, NULL},
        {SOC, 90, NULL}, /* (80 + 100) / 2 */
        {HIGHEST, 3.548, NULL},
        {CCL, 0, NULL},   /* one tower blocks charging */
        {DCL, 400, NULL}, /* and gives what it gave */
        {"/Io/AllowToCharge", 0, NULL},
        {"/Info/ChargeLimitation", 0, "\"Pack \\\"P03B\\\" blocks charging\""},
        END,
    };

    replay(*state, "can_byd", "");
    expect_bank(*state, 59, charging);
    expect_bank(*state, 60, full);
}

static void packs_over_mqtt_join_with_their_first_message(void **state)
{
    static const struct expected nobody[] = {{V, 0, "-"}, {CCL, 0, "-"}, END};
    static const struct expected first[] = {
        {PACKS, 1, NULL},
        {V, 54.43, NULL},
        {SUM, 54.44, NULL}, /* 3.401 + 3.402 + 3.400 + ... of its 16 cells: 16 * 3.4 + 0.040 */
        {SOC, 88, NULL},
        {CCL, 40, NULL},
        END,
    };
    static const struct expected both[] = {
        {PACKS, 2, NULL},
        {I, 40.03, NULL},                             /* 20.03 + 20.0 */
        {P, 2170, NULL},                              /* 1090.2 + 1080.0 = 2170.2 */
        {SOC, 84, NULL},                              /* (88 + 80) / 2 */
        {INSTALLED, 200, NULL},                       /* 100 + 100 */
        {REMAINING, 168, NULL},                       /* 88 + 80 % of 100 */
        {SUM, 54.22, NULL},                           /* (54.44 + the 54.00 of the terminals) / 2 */
        {HIGHEST, 3.419, NULL},                       /* of the first: the second shows no cells */
        {HIGHEST_ID, 0, "\"MQTT Battery #41: C16\""}, /* both have one name and no serial */
        {LOWEST, 3.399, NULL},
        {LOWEST_ID, 0, "\"MQTT Battery #41: C6\""},
        {CVL, 56.0, NULL}, /* the lower of 56.8 and 56.0 */
        {CCL, 80, NULL},   /* 2 * the lower of 40 and 50 */
        {DCL, 120, NULL},  /* 2 * the lower of 80 and 60 */
        END,
    };

    replay(*state, "mqtt", "");
    expect_bank(*state, 4, nobody);
    expect_bank(*state, 5, first);
    expect_bank(*state, 6, both);
}

static void moat_joins_when_its_cells_have_answered_and_not_with_its_first_values(void **state)
{
    static const struct expected alone[] = {{PACKS, 1, NULL},
                                            {I, 29.0, NULL},
                                            {SOC, 70, NULL},
                                            {CCL, 60, NULL},
                                            {"/Io/AllowToCharge", 0, "-"},
                                            END};
    static const struct expected both[] = {
        {PACKS, 2, NULL},
        {V, 26.62, NULL},         /* (26.64 + 26.60) / 2 */
        {I, 60.0, NULL},          /* 31 + 29 */
        {P, 1597, NULL},          /* 825.84 + 26.60 * 29 = 825.84 + 771.4 = 1597.24 */
        {SOC, 73, NULL},          /* (76 + 70) / 2 */
        {INSTALLED, 560, NULL},   /* 280 + 280 */
        {REMAINING, 408.8, NULL}, /* 212.8 + 70 % of 280 */
        {HIGHEST, 3.334, NULL},
        {HIGHEST_ID, 0, "\"123456: 2\""}, /* its serial, and its own number of the cell */
        {LOWEST, 3.310, NULL},
        {LOWEST_ID, 0, "\"Spare: C2\""},
        {CELLS, 8, NULL},
        {CVL, 27.6, NULL},  /* the lower of 27.6 and 28.0 */
        {CCL, 120, NULL},   /* 2 * the lower of 79.9 and 60 */
        {DCL, 240.2, NULL}, /* 2 * the lower of 120.1 and 140 */
        {"/Io/AllowToCharge", 1, NULL},
        END,
    };

    replay(*state, "moat", "PACKS = #1, Spare\n"); /* its instance is a text */
    expect_bank(*state, 2, alone);
    expect_bank(*state, 3, both);
}

static size_t count(const char *text, const char *what)
{
    size_t times = 0;

    for (; (text = strstr(text, what)); text++)
        times++;
    return times;
}

static void a_shunt_for_each_pack_and_their_own_values_when_the_shunts_are_gone(void **state)
{
    struct replayed *replayed = *state;
    static const struct expected measured[] = {
        {PACKS, 2, NULL},
        {V, 53.28, NULL}, /* (53.30 + 53.26) / 2 */
        {I, 25.0, NULL},  /* 20.5 + 4.5 of the shunts, not 18 + 0 */
        {P, 1332, NULL},  /* 53.30 * 20.5 + 53.26 * 4.5 = 1092.65 + 239.67 = 1332.32 */
        {SOC, 58, NULL},  /* (its own 61 + 55 of the shunt) / 2 */
        {INSTALLED, 560, NULL},
        {REMAINING, 324.8, NULL}, /* its own 170.8 + 55 % of 280 = 170.8 + 154 */
        {HIGHEST, 3.334, NULL},
        {LOWEST, 3.326, NULL},
        {CVL, 55.2, NULL},
        {CCL, 200, NULL}, /* 2 * 100 */
        {DCL, 240, NULL}, /* 2 * 120 */
        END,
    };
    static const struct expected own[] = {
        {I, 19.0, NULL},          /* 19 + 0 */
        {P, 959, NULL},           /* as they say: 959.4 + 0 */
        {SOC, 50.5, NULL},        /* (61 + 40) / 2 */
        {REMAINING, 282.8, NULL}, /* 170.8 + 112.0 */
        {CCL, 200, NULL},         END,
    };

    replay(replayed, "shunt_each",
           "PACK_SHUNT = \"House 1\": 279, #2: 280 soc\nUSE_SMARTSHUNTS = True\n"
           "SMARTSHUNT_AS_BATTERY_CURRENT = True\n");
    /* They are no sources of their own: there is no battery monitor left, and it says so. */
    assert_int_equal(count(replayed->err, "from the packs, for a SmartShunt as battery monitor cannot"), 1);
    expect_bank(replayed, 119, measured);
    expect_bank(replayed, 140, own);
    assert_int_equal(count(replayed->err, "cannot be read, so its own"), 2); /* not when it was so for 4 s */
    assert_int_equal(
        count(replayed->err, "\"House 1\": its shunt #279 cannot be read, so its own current stands"), 1);
    assert_int_equal(
        count(replayed->err, "\"House 2\": its shunt #280 cannot be read, so its own current and SoC"), 1);
}

static void one_smartshunt_as_monitor_of_all(void **state)
{
    static const struct expected bank[] = {
        {PACKS, 2, NULL},         {V, 53.28, NULL}, /* (53.30 + 53.26) / 2 */
        {I, -33.3, NULL},                           /* of the shunt */
        {P, -1774, NULL},                           /* 53.28 * -33.3 = -1774.224 */
        {SOC, 50.5, NULL},                          /* (61 + 40) / 2: the shunt's is not asked for */
        {REMAINING, 282.8, NULL},                   /* 170.8 + 112.0 */
        {CVL, 55.2, NULL},        {CCL, 200, NULL}, {DCL, 240, NULL}, END,
    };

    replay(*state, "shunt_monitor", "SMARTSHUNT_AS_BATTERY_CURRENT = True\n");
    expect_bank(*state, 0, bank);
}

static void sources_of_all_classes_make_the_bank_current(void **state)
{
    struct replayed *replayed = *state;
    static const struct expected bank[] = {
        {I, 41.0,
         NULL}, /* -35 Multi RS + 30 roof + 85 alternator - 1 into the dcdc + 0 generator + 2 fuel cell
                   - 40 trunk */
        {P, 2184, NULL}, /* (53.30 + 53.26) / 2 * 41 = 53.28 * 41 = 2184.48 */
        END,
    };

    replay(replayed, "sources",
           "CURRENT_FROM_VICTRON = True\n"
           "CURRENT_SOURCES = multi, solarcharger, alternator, -dcdc, dcgenset, fuelcell, dcsystem\n");
    expect_bank(replayed, 90, bank);
    assert_int_equal(count(replayed->err, "WARNING"), 0);
}

static void a_shunt_in_the_trunk_beside_its_branch_is_told_with_both_numbers(void **state)
{
    struct replayed *replayed = *state;
    static const struct expected bank[] = {{I, 11.0, NULL}, END}; /* 41 - the 30 of the winch, once more */

    replay(
        replayed, "sources",
        "CURRENT_FROM_VICTRON = True\n"
        "CURRENT_SOURCES = multi, solarcharger, alternator, -dcdc, dcgenset, fuelcell, dcsystem, dcload\n");
    expect_bank(replayed, 90, bank);
    assert_int_equal(count(replayed->err, "measure is 11.000 A, but that of the packs is 41.000 A"), 1);
    assert_int_equal(count(replayed->err, "\"Trunk\" -40.0 A"), 1);
    assert_int_equal(count(replayed->err, "without \"Winch\" the two would agree"), 1);
}

static void packs_are_chosen_by_name_instance_serial_or_product(void **state)
{
    struct replayed *replayed = *state;
    static const struct expected named[] = {
        {PACKS, 4, NULL}, {I, 6.0, NULL}, {INSTALLED, 400, NULL}, {CCL, 80, NULL}, END}; /* 1+2+2+1; 4 * 20 */
    static const struct expected by_product[] = {
        {PACKS, 4, NULL}, {I, 8.0, NULL}, {INSTALLED, 400, NULL}, {CCL, 40, NULL}, END}; /* 1+2+3+2; 4 * 10 */
    static const struct expected but_some[] = {
        {PACKS, 3, NULL}, {I, 5.0, NULL}, {INSTALLED, 300, NULL}, {CCL, 240, NULL}, END}; /* 1+2+2; 3 * 80 */

    replay(replayed, "many", "PACKS = House*, DY3, #512,\n  \"Boat, bow\"\nIGNORE = DY3\n");
    expect_bank(replayed, 20, named);
    assert_int_equal(count(replayed->err, "fits no battery"), 0);
    replay(replayed, "many", "BATTERY_PRODUCT_NAME = SerialBattery, PYLON*\n");
    expect_bank(replayed, 20, by_product);
    replay(replayed, "many", "IGNORE = Garage, MQTT*, Attic, DY?\n");
    expect_bank(replayed, 20, but_some);
    assert_int_equal(count(replayed->err, "fits no battery"), 1);
    assert_int_equal(
        count(replayed->err, "IGNORE: 'Attic' fits no battery. Here are: \"House 1\" (SerialBattery"), 1);
}

/* Garage is #3: only with it on the bus are the two names one's. */
static void a_pack_that_is_ignored_under_another_of_its_names_is_told_once(void **state)
{
    struct replayed *replayed = *state;

    replay(replayed, "many", "PACKS = House*, Garage\nIGNORE = \"House 2\", #3\n");
    assert_int_equal(count(replayed->err, "which IGNORE names too"), 1);
    assert_int_equal(count(replayed->err,
                           "PACKS: 'Garage' is com.victronenergy.battery.pack3, \"Garage\", which "
                           "IGNORE names too: IGNORE prevails, it is no pack"),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pylontech_on_can_without_cells_sums_or_power),
        TEST(seplos_that_speaks_for_two_on_can_beside_a_pack_that_shows_each_cell),
        TEST(byd_on_can_and_one_tower_that_is_full),
        TEST(packs_over_mqtt_join_with_their_first_message),
        TEST(moat_joins_when_its_cells_have_answered_and_not_with_its_first_values),
        TEST(a_shunt_for_each_pack_and_their_own_values_when_the_shunts_are_gone),
        TEST(one_smartshunt_as_monitor_of_all),
        TEST(sources_of_all_classes_make_the_bank_current),
        TEST(a_shunt_in_the_trunk_beside_its_branch_is_told_with_both_numbers),
        TEST(packs_are_chosen_by_name_instance_serial_or_product),
        TEST(a_pack_that_is_ignored_under_another_of_its_names_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
