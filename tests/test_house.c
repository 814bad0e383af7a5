/* A house on the real engine, without a bus or a clock: packs that come and go, settings that change on the
 * way, and DC feed-in, whose guard sees what the whole bank is in. */
#include "fixture.h"

#include "engine.h"

#define BATTERY "com.victronenergy.battery."
#define A BATTERY "a"
#define B BATTERY "b"
#define C BATTERY "c"
#define SETTINGS "com.victronenergy.settings"
#define FEED_IN "/Settings/CGwacs/OvervoltageFeedIn"

#define OWN "OWN_CHARGE_PARAMETERS = True\n"
#define PEAK_V 3.60
#define CALM_V 3.30

struct house {
    struct config config;
    struct engine engine;
    double now_s;
    double written_s; /* when feed-in was written last; NAN = never */
    size_t returns;   /* how often 1 was written */
};

static void on_finding(void *ctx, enum settings_severity severity, const char *message)
{
    (void)ctx;
    if (severity == SETTINGS_ERROR)
        fail_msg("%s", message);
}

static void read_settings(struct house *house, const char *text)
{
    settings_default(&house->config);
    settings_read_text("settings", text, strlen(text), &house->config, on_finding, NULL);
}

static void begin(struct house *house, const char *settings)
{
    read_settings(house, settings);
    assert_true(engine_init(&house->engine, &house->config, NULL, NULL));
    house->written_s = NAN;
}

static struct device *device_of(struct house *house, const char *service)
{
    return (struct device *)(uintptr_t)devices_find(&house->engine.devices, service);
}

static void store(struct house *house, const char *service, const char *path, struct value value)
{
    engine_value(&house->engine, device_of(house, service),
                 paths_find(engine_wants(&house->engine, service), path), &value);
}

static void settle_it(struct house *house, const char *service)
{
    struct device *device = device_of(house, service);

    engine_settled(&house->engine, device, !device->scanned);
}

static void say(struct house *house, const char *service, const char *path, double number)
{
    store(house, service, path, isnan(number) ? value_invalid() : value_number(number));
    settle_it(house, service);
}

static void say_text(struct house *house, const char *service, const char *path, const char *text)
{
    store(house, service, path, value_text(text));
    settle_it(house, service);
}

/* Numbers that are NAN are not said. */
struct shows {
    double cvl_V, ccl_A, dcl_A, cell_V;
};

static const struct shows all = {55.2, 100, 120, CALM_V};

static void come(struct house *house, const char *service, const char *name, const struct shows *shows)
{
    const struct {
        const char *path;
        double number;
    } values[] = {
        {"/DeviceInstance", service[strlen(service) - 1]},
        {"/Dc/0/Voltage", 53},
        {"/Dc/0/Current", 10},
        {"/Soc", 50},
        {"/InstalledCapacity", 280},
        {"/Io/AllowToCharge", 1},
        {"/Io/AllowToDischarge", 1},
        {"/System/NrOfCellsPerBattery", 16},
        {"/Voltages/Sum", 53},
        {"/Info/MaxChargeVoltage", shows->cvl_V},
        {"/Info/MaxChargeCurrent", shows->ccl_A},
        {"/Info/MaxDischargeCurrent", shows->dcl_A},
        {"/System/MaxCellVoltage", shows->cell_V},
        {"/System/MinCellVoltage", shows->cell_V},
    };

    assert_non_null(engine_here(&house->engine, service));
    store(house, service, "/ProductName", value_text("SerialBattery"));
    store(house, service, "/CustomName", value_text(name));
    store(house, service, "/Serial", value_text(name));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (!isnan(values[i].number))
            store(house, service, values[i].path, value_number(values[i].number));
    }
    settle_it(house, service);
}

static void go(struct house *house, const char *service)
{
    engine_gone(&house->engine, device_of(house, service));
}

static void settings_come(struct house *house, double feed_in)
{
    engine_here(&house->engine, SETTINGS);
    say(house, SETTINGS, FEED_IN, feed_in);
}

static void step(struct house *house, double dt_s)
{
    const struct calendar today = {true, 20000, 6};
    enum feed_in_action action;

    house->now_s += dt_s;
    house->engine.packs_changed = true;
    if (!engine_step(&house->engine, house->now_s, &today))
        return;
    action = house->engine.aggregate.feed_in.action;
    if (action == FEED_IN_NOTHING)
        return;
    house->written_s = house->now_s;
    house->returns += action == FEED_IN_WRITE_1;
    say(house, SETTINGS, FEED_IN, action == FEED_IN_WRITE_1);
}

static void run(struct house *house, int seconds)
{
    for (int i = 0; i < seconds; i++)
        step(house, 1);
}

static double feed_in(struct house *house)
{
    return device_of(house, SETTINGS)->settings.overvoltage_feed_in;
}

static void two_packs(struct house *house, const char *settings)
{
    begin(house, settings);
    settings_come(house, 1);
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    run(house, 5);
    assert_near(feed_in(house), 1, 0);
}

static int setup(void **state)
{
    *state = test_calloc(1, sizeof(struct house));
    return 0;
}

static int teardown(void **state)
{
    struct house *house = *state;

    engine_free(&house->engine);
    test_free(house);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- DC feed-in while packs are not seen ---- */

static void feed_in_is_not_returned_while_the_pack_that_peaked_is_unseen(void **state)
{
    struct house *house = *state;

    two_packs(house, OWN);
    say(house, B, "/System/MaxCellVoltage", PEAK_V);
    run(house, 2);
    assert_near(feed_in(house), 0, 0);
    go(house, B);
    run(house, 590);
    assert_near(feed_in(house), 0, 0);
    come(house, B, "B", &all);
    run(house, 55);
    assert_near(feed_in(house), 0, 0); /* it is seen to be calm only now */
    run(house, 10);
    assert_near(feed_in(house), 1, 0);
}

static void feed_in_is_not_returned_while_the_pack_that_blocked_is_unseen(void **state)
{
    struct house *house = *state;

    two_packs(house, OWN);
    say(house, B, "/Io/AllowToCharge", 0);
    run(house, 2);
    assert_near(feed_in(house), 0, 0);
    go(house, B);
    run(house, 590);
    assert_near(feed_in(house), 0, 0);
    run(house, 100); /* LOST_GRACE is over: the bank is what is here */
    assert_near(feed_in(house), 1, 0);
}

static void a_pack_of_BANK_that_never_came_is_waited_for_no_longer_than_LOST_GRACE(void **state)
{
    struct house *house = *state;

    begin(house, OWN "BANK = A | B\n");
    settings_come(house, 1);
    come(house, A, "A", &all);
    run(house, 3);
    say(house, A, "/System/MaxCellVoltage", PEAK_V);
    run(house, 3);
    say(house, A, "/System/MaxCellVoltage", CALM_V);
    run(house, 580);
    assert_near(feed_in(house), 0, 0);
    run(house, 100);
    assert_near(feed_in(house), 1, 0);
}

/* ---- DC feed-in where CCL is 0 for the whole bank ---- */

static void feed_in_is_off_when_all_packs_are_lost_but_not_for_a_blink(void **state)
{
    struct house *house = *state;

    two_packs(house, OWN);
    go(house, A);
    go(house, B);
    run(house, 4);
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    run(house, 10);
    assert_true(isnan(house->written_s));
    go(house, A);
    go(house, B);
    run(house, 7);
    assert_near(feed_in(house), 0, 0);
    run(house, 3600);
    assert_near(feed_in(house), 0, 0);
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    run(house, 65);
    assert_near(feed_in(house), 1, 0);
}

/* The settings service comes back with the bus, and the packs a moment later. */
static void a_bus_that_was_away_for_long_toggles_nothing(void **state)
{
    struct house *house = *state;

    two_packs(house, OWN "PACK_LOST = stop\n");
    go(house, A);
    go(house, B);
    go(house, SETTINGS);
    run(house, 100);
    settings_come(house, 1);
    run(house, 1);
    come(house, A, "A", &all);
    run(house, 1);
    come(house, B, "B", &all);
    run(house, 10);
    assert_true(isnan(house->written_s));
}

static void feed_in_is_off_while_PACK_LOST_stops_the_bank(void **state)
{
    static const struct {
        const char *settings;
        int seconds;
    } choices[] = {{OWN "PACK_LOST = stop\n", 10}, {OWN "PACK_LOST = hold\nLOST_GRACE = 20\n", 30}};

    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        struct house *house = *state;

        if (i > 0)
            engine_free(&house->engine);
        memset(house, 0, sizeof *house);
        two_packs(house, choices[i].settings);
        go(house, B);
        run(house, choices[i].seconds);
        assert_near(house->engine.aggregate.limits.charge_current.value, 0, 0);
        assert_near(feed_in(house), 0, 0);
        come(house, B, "B", &all);
        run(house, 65);
        assert_near(feed_in(house), 1, 0);
    }
}

static void feed_in_is_off_while_BANK_has_unequal_strings(void **state)
{
    struct house *house = *state;

    begin(house, OWN "BANK = A | B\n");
    settings_come(house, 1);
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    say(house, B, "/System/NrOfCellsPerBattery", 15);
    run(house, 10);
    assert_near(feed_in(house), 0, 0);
}

static void merged_limits_tell_that_feed_in_takes_their_force(void **state)
{
    struct house *house = *state;

    two_packs(house, "");
    assert_false(house->engine.aggregate.unguarded);
    say(house, B, "/Io/AllowToCharge", 0);
    run(house, 2);
    assert_true(house->engine.aggregate.unguarded);
    assert_near(feed_in(house), 1, 0); /* it is the user's */
    say(house, SETTINGS, FEED_IN, 0);
    run(house, 2);
    assert_false(house->engine.aggregate.unguarded);
    say(house, SETTINGS, FEED_IN, 1);
    say(house, B, "/Io/AllowToCharge", 1);
    go(house, A);
    go(house, B);
    run(house, 4);
    assert_false(house->engine.aggregate.unguarded);
    run(house, 4);
    assert_true(house->engine.aggregate.unguarded);
}

/* ---- DC feed-in across a restart ---- */

static void restart(struct house *house, const char *settings, double held_s, int packs)
{
    begin(house, settings);
    feed_in_init(&house->engine.aggregator.feed_in, true, held_s);
    house->engine.aggregator.feed_in.packs = packs;
    settings_come(house, 0);
}

static void a_restart_at_the_end_of_a_hold_waits_for_the_packs_that_it_began_with(void **state)
{
    struct house *house = *state;

    restart(house, OWN, 59, 2);
    come(house, A, "A", &all);
    run(house, 500);
    assert_near(feed_in(house), 0, 0);
    come(house, B, "B", &all);
    say(house, B, "/System/MaxCellVoltage", PEAK_V);
    run(house, 100);
    assert_near(feed_in(house), 0, 0);
    assert_int_equal(house->returns, 0);
}

static void a_restart_returns_at_once_when_all_are_there_and_calm(void **state)
{
    static const char *const settings[] = {OWN, OWN "BANK = A | B\n", OWN "BANK = A + B\n"};

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct house *house = *state;

        if (i > 0)
            engine_free(&house->engine);
        memset(house, 0, sizeof *house);
        restart(house, settings[i], 100, 2);
        come(house, A, "A", &all);
        step(house, 0.1);
        step(house, 0.9);
        come(house, B, "B", &all);
        run(house, 2);
        assert_near(feed_in(house), 1, 0);
    }
}

static void a_restart_waits_for_a_pack_that_is_away_no_longer_than_LOST_GRACE(void **state)
{
    struct house *house = *state;

    restart(house, OWN "LOST_GRACE = 30\n", 100, 2);
    come(house, A, "A", &all);
    run(house, 28);
    assert_near(feed_in(house), 0, 0);
    run(house, 70);
    assert_near(feed_in(house), 1, 0);
}

/* ---- other settings on the way, and packs that are not complete ---- */

static void reload(struct house *house, const char *settings)
{
    read_settings(house, settings);
    engine_reconfigure(&house->engine, &house->config);
}

static void a_pack_that_lacks_what_other_settings_need_leads_no_more(void **state)
{
    static const struct {
        const char *before, *after;
        struct shows shows;
    } changes[] = {{"", OWN, {55.2, 100, 120, NAN}}, {OWN, "", {NAN, NAN, NAN, CALM_V}}};

    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct house *house = *state;

        if (i > 0)
            engine_free(&house->engine);
        memset(house, 0, sizeof *house);
        begin(house, changes[i].before);
        come(house, A, "A", &changes[i].shows);
        run(house, 5);
        assert_true(house->engine.aggregate.limits.charge_current.value > 0);
        reload(house, changes[i].after);
        run(house, 5);
        /* numbers, for what is unknown would unleash the chargers */
        assert_near(house->engine.aggregate.limits.charge_current.value, 0, 0);
        assert_near(house->engine.aggregate.limits.discharge_current.value, 0, 0);
        assert_false(isnan(house->engine.aggregate.limits.charge_voltage.value));
        run(house, 60);
        assert_int_equal(engine_presence(&house->engine, house->now_s, true), ENGINE_STAY);
        run(house, 60);
        assert_int_equal(engine_presence(&house->engine, house->now_s, true), ENGINE_LEAVE);
    }
}

static void other_settings_throw_nobody_out_who_shows_enough(void **state)
{
    struct house *house = *state;

    two_packs(house, "");
    say(house, A, "/System/MaxCellVoltage", NAN); /* for a moment */
    reload(house, OWN);
    run(house, 2);
    assert_near(house->engine.aggregate.packs_online, 2, 0);
    say(house, A, "/Info/MaxChargeCurrent", NAN);
    reload(house, "");
    run(house, 2);
    assert_near(house->engine.aggregate.packs_online, 2, 0);
}

static void a_pack_that_BANK_no_longer_names_is_not_lost(void **state)
{
    struct house *house = *state;

    begin(house, "BANK = A | B | C\nPACK_LOST = stop\n");
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    come(house, C, "C", &all);
    run(house, 5);
    reload(house, "BANK = A | B\nPACK_LOST = stop\n");
    run(house, 5);
    assert_near(house->engine.aggregate.packs_missing, 0, 0);
    assert_near(house->engine.aggregate.limits.charge_current.value, 200, 1e-9);
}

static void a_serial_that_is_not_told_for_a_moment_stops_nothing(void **state)
{
    struct house *house = *state;

    begin(house, "PACK_LOST = stop\n");
    come(house, A, "A", &all);
    come(house, B, "B", &all);
    say_text(house, A, "/Serial", "");
    run(house, 5);
    say_text(house, A, "/Serial", "A");
    run(house, 5);
    assert_near(house->engine.aggregate.packs_missing, 0, 0);
    assert_near(house->engine.aggregate.limits.charge_current.value, 200, 1e-9);
}

static void a_bank_that_was_complete_comes_back_with_what_is_there(void **state)
{
    struct house *house = *state;

    begin(house, "NR_OF_BATTERIES = 2\n");
    come(house, A, "A", &all);
    run(house, 5);
    assert_int_equal(engine_presence(&house->engine, house->now_s, false), ENGINE_STAY);
    come(house, B, "B", &all);
    run(house, 5);
    assert_int_equal(engine_presence(&house->engine, house->now_s, false), ENGINE_ENTER);
    go(house, B);
    run(house, 5);
    assert_int_equal(engine_presence(&house->engine, house->now_s, true), ENGINE_STAY);
    assert_int_equal(engine_presence(&house->engine, house->now_s, false), ENGINE_ENTER);
}

static void a_pack_that_is_not_complete_is_told_after_a_minute_and_is_an_alarm(void **state)
{
    struct house *house = *state;

    two_packs(house, "");
    come(house, C, "C", &(struct shows){55.2, 100, NAN, CALM_V});
    run(house, 50);
    assert_false(house->engine.aggregate.bank.alarm[ALARM_BMS_CABLE] >= 1);
    run(house, 15);
    assert_near(house->engine.aggregate.bank.alarm[ALARM_BMS_CABLE], 1, 0);
    assert_true(device_of(house, C)->incomplete_said);
    say(house, C, "/Info/MaxDischargeCurrent", 120);
    run(house, 5);
    assert_near(house->engine.aggregate.packs_online, 3, 0);
    assert_false(house->engine.aggregate.bank.alarm[ALARM_BMS_CABLE] >= 1);
}

/* Else each name would be a pack of its own, and the histories of others would give way to them. */
static void a_pack_that_renames_itself_keeps_its_history_and_takes_nobodys(void **state)
{
    struct house *house = *state;
    char name[16];

    begin(house, "");
    come(house, A, "A", &all);
    come(house, B, "", &all); /* without a serial */
    say_text(house, B, "/CustomName", "N");
    run(house, 5);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "N%d", i);
        say_text(house, B, "/CustomName", name);
        step(house, 0.1);
    }
    assert_int_equal(house->engine.aggregator.work.memory.packs, 2);
    assert_string_equal(house->engine.aggregator.work.memory.pack[1].id, "N99");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_in_is_not_returned_while_the_pack_that_peaked_is_unseen),
        TEST(feed_in_is_not_returned_while_the_pack_that_blocked_is_unseen),
        TEST(a_pack_of_BANK_that_never_came_is_waited_for_no_longer_than_LOST_GRACE),
        TEST(feed_in_is_off_when_all_packs_are_lost_but_not_for_a_blink),
        TEST(a_bus_that_was_away_for_long_toggles_nothing),
        TEST(feed_in_is_off_while_PACK_LOST_stops_the_bank),
        TEST(feed_in_is_off_while_BANK_has_unequal_strings),
        TEST(merged_limits_tell_that_feed_in_takes_their_force),
        TEST(a_restart_at_the_end_of_a_hold_waits_for_the_packs_that_it_began_with),
        TEST(a_restart_returns_at_once_when_all_are_there_and_calm),
        TEST(a_pack_that_lacks_what_other_settings_need_leads_no_more),
        TEST(other_settings_throw_nobody_out_who_shows_enough),
        TEST(a_pack_that_BANK_no_longer_names_is_not_lost),
        TEST(a_serial_that_is_not_told_for_a_moment_stops_nothing),
        TEST(a_bank_that_was_complete_comes_back_with_what_is_there),
        TEST(a_pack_that_is_not_complete_is_told_after_a_minute_and_is_an_alarm),
        TEST(a_pack_that_renames_itself_keeps_its_history_and_takes_nobodys),
        TEST(a_restart_waits_for_a_pack_that_is_away_no_longer_than_LOST_GRACE),
    };

    return cmocka_run_group_tests_name("house", tests, NULL, NULL);
}
