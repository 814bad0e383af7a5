/* engine: how soon what follows from a value should be seen, and settings that change on the way. */
#include "fixture.h"

#include "engine.h"

#define PACK "com.victronenergy.battery.a"

struct bench {
    struct config config;
    struct engine engine;
    struct device *device;
};

static enum engine_news say(struct bench *bench, const char *path, double number)
{
    struct value value = value_number(number);

    return engine_value(&bench->engine, bench->device, paths_find(engine_wants(&bench->engine, PACK), path),
                        &value);
}

static enum engine_news say_text(struct bench *bench, const char *path, const char *text)
{
    struct value value = value_text(text);

    return engine_value(&bench->engine, bench->device, paths_find(engine_wants(&bench->engine, PACK), path),
                        &value);
}

static void step_at(struct bench *bench, double now_s)
{
    const struct calendar today = {true, 20000, 6};

    assert_true(engine_step(&bench->engine, now_s, &today));
}

static void step(struct bench *bench)
{
    engine_settled(&bench->engine, bench->device, !bench->device->scanned);
    step_at(bench, 1);
}

static int setup(void **state)
{
    struct bench *bench = test_calloc(1, sizeof *bench);

    settings_default(&bench->config);
    assert_true(engine_init(&bench->engine, &bench->config, NULL, NULL));
    bench->device = engine_here(&bench->engine, PACK);
    say_text(bench, "/ProductName", "SerialBattery");
    say(bench, "/Dc/0/Voltage", 53);
    say(bench, "/Dc/0/Current", 10);
    say(bench, "/Soc", 50);
    say(bench, "/Info/MaxChargeVoltage", 55.2);
    say(bench, "/Info/MaxChargeCurrent", 100);
    say(bench, "/Info/MaxDischargeCurrent", 120);
    say(bench, "/Io/AllowToCharge", 1);
    say(bench, "/System/MaxCellVoltage", 3.40);
    say(bench, "/System/MinCellVoltage", 3.30);
    say(bench, "/System/NrOfCellsPerBattery", 16);
    say(bench, "/Voltages/Cell3", 3.35);
    step(bench);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    engine_free(&bench->engine);
    test_free(bench);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void a_limit_that_falls_is_urgent_and_one_that_rises_is_not(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(say(bench, "/Info/MaxChargeCurrent", 80), ENGINE_URGENT);
    assert_int_equal(say(bench, "/Info/MaxChargeCurrent", 90), ENGINE_NEWS);
    assert_int_equal(say(bench, "/Info/MaxChargeVoltage", 54), ENGINE_URGENT);
    assert_int_equal(say(bench, "/Io/AllowToCharge", 0), ENGINE_URGENT);
    assert_int_equal(say(bench, "/Io/AllowToCharge", 1), ENGINE_NEWS);
    assert_int_equal(say(bench, "/Info/MaxChargeVoltage", 54), ENGINE_NOTHING);
}

static void noise_is_flicker_and_a_new_extreme_of_the_bank_is_news(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(say(bench, "/Voltages/Cell3", 3.351), ENGINE_FLICKER);
    assert_int_equal(say(bench, "/Dc/0/Current", 10.4), ENGINE_FLICKER);
    assert_int_equal(say_text(bench, "/System/MaxVoltageCellId", "C7"), ENGINE_FLICKER);
    assert_int_equal(say(bench, "/Voltages/Cell3", 3.38), ENGINE_NEWS);
    assert_int_equal(say(bench, "/System/MaxCellVoltage", 3.401), ENGINE_NEWS);
    assert_int_equal(say(bench, "/Soc", 50.1), ENGINE_NEWS);
    assert_int_equal(say(bench, "/Dc/0/Current", NAN), ENGINE_NEWS);
}

static void with_own_control_a_cell_that_lowers_a_limit_is_urgent(void **state)
{
    struct bench *bench = *state;

    bench->engine.config.own_charge_parameters = true;
    assert_int_equal(say(bench, "/System/MaxCellVoltage", 3.42), ENGINE_URGENT);
    step(bench);
    assert_int_equal(say(bench, "/System/MinCellVoltage", 2.95), ENGINE_URGENT);
    step(bench);
    assert_int_equal(say(bench, "/Info/MaxChargeCurrent", 10), ENGINE_NEWS); /* it is not ours */
}

static void other_settings_act_and_what_is_known_stays(void **state)
{
    struct bench *bench = *state;
    struct config other = bench->config;

    other.max_charge_current_set = true;
    other.max_charge_current_A = 30;
    assert_true(engine_reconfigure(&bench->engine, &other));
    step(bench);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 30, 1e-9);
    assert_near(bench->engine.aggregate.soc_pct, 50, 1e-9);
}

static void names_of_services_hold_from_the_next_start(void **state)
{
    struct bench *bench = *state;
    struct config other = bench->config;

    strcpy(other.battery_service_name, "com.example.battery");
    assert_false(engine_reconfigure(&bench->engine, &other));
    assert_non_null(engine_wants(&bench->engine, PACK));
}

static void an_implausible_safety_value_is_an_alarm_and_an_implausible_cycle_count_is_not(void **state)
{
    struct bench *bench = *state;

    say(bench, "/History/ChargeCycles", -5);
    step(bench);
    assert_false(bench->engine.aggregate.bank.alarm[ALARM_INTERNAL_FAILURE] >= 1);
    say(bench, "/Info/MaxChargeCurrent", 1e9);
    step(bench);
    assert_near(bench->engine.aggregate.bank.alarm[ALARM_INTERNAL_FAILURE], 1, 0);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 100, 1e-9);
    say(bench, "/Info/MaxChargeCurrent", 50);
    step(bench);
    assert_false(bench->engine.aggregate.bank.alarm[ALARM_INTERNAL_FAILURE] >= 1);
}

static void a_pack_that_contradicts_itself_is_found_out_in_time(void **state)
{
    const struct calendar today = {true, 20000, 6};
    struct bench *bench = *state;
    const struct contradiction_watch *watch = &bench->device->contradicts[CONTRADICTION_HIGHEST];

    say(bench, "/Voltages/Cell4", 3.46); /* and its own maximum says 3.40 */
    engine_settled(&bench->engine, bench->device, false);
    for (int s = 10; s <= 30; s++) {
        assert_true(engine_step(&bench->engine, s, &today));
        assert_int_equal(watch->stands, s >= 10 + CONTRADICTION_PACK_S);
    }
}

static double shown(const struct bench *bench, const char *path)
{
    int item = items_find(bench->engine.items, path);

    return item < 0 ? NAN : items_value(bench->engine.items, item).number;
}

static void the_page_of_a_pack_follows_it_in_turns(void **state)
{
    struct bench *bench = *state;

    assert_true(isnan(shown(bench, "/Battery/1/Soc"))); /* nobody wanted pages */
    bench->engine.shows_pages = true;
    step_at(bench, 2);
    assert_near(shown(bench, "/Battery/1/Soc"), 50, 0);
    say(bench, "/Soc", 55);
    step_at(bench, 2.9);
    assert_near(shown(bench, "/Battery/1/Soc"), 50, 0);
    step_at(bench, 3.1);
    assert_near(shown(bench, "/Battery/1/Soc"), 55, 0);
    say(bench, "/Soc", 60);
    assert_false(engine_request(&bench->engine, 2));
    assert_true(engine_request(&bench->engine, 1));
    step_at(bench, 3.2); /* whoever asks does not wait */
    assert_near(shown(bench, "/Battery/1/Soc"), 60, 0);
}

static void the_age_of_a_pack_goes_on_when_it_is_lost_and_when_its_service_goes(void **state)
{
    struct bench *bench = *state;

    bench->engine.shows_pages = true;
    bench->device->heard_s = 1;
    step_at(bench, 32);
    assert_near(shown(bench, "/Battery/1/Age"), 30, 0);
    engine_stale(&bench->engine, bench->device, true);
    step_at(bench, 42);
    assert_near(shown(bench, "/Battery/1/Age"), 40, 0);
    assert_true(isnan(shown(bench, "/Battery/1/Soc")));
    assert_near(shown(bench, "/Battery/1/Alarm"), 1, 0);
    engine_gone(&bench->engine, bench->device);
    step_at(bench, 72);
    assert_near(shown(bench, "/Battery/1/Age"), 60, 0);
}

/* ---- several packs ---- */

/* Another pack like the first, on the bus and complete. */
static struct device *join_pack(struct bench *bench, const char *service, const char *name, double instance)
{
    struct device *first = bench->device;
    struct device *device = engine_here(&bench->engine, service);

    bench->device = device;
    say_text(bench, "/ProductName", "SerialBattery");
    say_text(bench, "/CustomName", name);
    say_text(bench, "/Serial", service);
    say(bench, "/DeviceInstance", instance);
    say(bench, "/Dc/0/Voltage", 53);
    say(bench, "/Dc/0/Current", 10);
    say(bench, "/Soc", 50);
    say(bench, "/InstalledCapacity", 280);
    say(bench, "/Info/MaxChargeVoltage", 55.2);
    say(bench, "/Info/MaxChargeCurrent", 100);
    say(bench, "/Info/MaxDischargeCurrent", 120);
    say(bench, "/System/MaxCellVoltage", 3.30);
    say(bench, "/System/MinCellVoltage", 3.29);
    say(bench, "/System/NrOfCellsPerBattery", 16);
    engine_settled(&bench->engine, device, true);
    bench->device = first;
    return device;
}

static void name_first(struct bench *bench, const char *name)
{
    say_text(bench, "/CustomName", name);
    say(bench, "/InstalledCapacity", 280);
    engine_settled(&bench->engine, bench->device, false);
}

static void set_bank(struct bench *bench, const char *text)
{
    struct config other = bench->config;
    char wrong[SHAPE_WRONG_MAX];

    assert_null(shape_parse(text, &other.shape, wrong));
    assert_true(engine_reconfigure(&bench->engine, &other));
}

static void a_bank_without_a_charge_voltage_is_not_shown(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(engine_presence(&bench->engine, 1, false), ENGINE_ENTER);
    bench->engine.aggregate.limits.charge_voltage.value = NAN;
    assert_int_equal(engine_presence(&bench->engine, 1, false), ENGINE_STAY);
}

static void a_pack_of_bank_that_never_came_is_lost_since_it_is_waited_for(void **state)
{
    struct bench *bench = *state;

    bench->config.pack_lost = PACK_LOST_HOLD;
    bench->config.lost_grace_s = 60;
    name_first(bench, "A");
    set_bank(bench, "A | B");
    step_at(bench, 10);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 100, 1e-9);
    step_at(bench, 69);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 100, 1e-9);
    step_at(bench, 70);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 0, 0);
    join_pack(bench, "com.victronenergy.battery.b", "B", 2);
    step_at(bench, 71);
    assert_near(bench->engine.aggregate.limits.charge_current.value, 200, 1e-9);
}

static void two_packs_of_one_name_are_not_two_of_bank(void **state)
{
    struct bench *bench = *state;

    name_first(bench, "A");
    join_pack(bench, "com.victronenergy.battery.a2", "A", 2);
    set_bank(bench, "A + B");
    step_at(bench, 10);
    assert_near(bench->engine.aggregate.packs_missing, 1, 0);
    assert_true(bench->engine.aggregate.bank.alarm[ALARM_BMS_CABLE] >= 1);
}

static void with_our_own_limits_a_lost_pack_takes_its_part_of_the_current_with_it(void **state)
{
    struct bench *bench = *state;
    struct config other = bench->config;
    struct device *lost;

    other.own_charge_parameters = true;
    other.max_discharge_current_A = 400;
    other.nr_of_batteries = 2;
    assert_true(engine_reconfigure(&bench->engine, &other));
    name_first(bench, "A");
    lost = join_pack(bench, "com.victronenergy.battery.b", "B", 2);
    bench->device = lost;
    say(bench, "/InstalledCapacity", 840);
    engine_settled(&bench->engine, lost, false);
    step_at(bench, 10);
    assert_near(bench->engine.aggregate.limits.discharge_current.value, 400, 1e-9);
    engine_gone(&bench->engine, lost);
    step_at(bench, 11);
    assert_near(bench->engine.aggregate.limits.discharge_current.value, 100, 1e-9);
    step_at(bench, 86400); /* for as long as it is away */
    assert_near(bench->engine.aggregate.limits.discharge_current.value, 100, 1e-9);
}

static void arrive_whole(struct engine *engine, const char *service, const char *name, double instance)
{
    struct device *device = engine_here(engine, service);
    const struct {
        const char *path;
        struct value value;
    } told[] = {{"/ProductName", value_text("CAN")},
                {"/CustomName", value_text(name)},
                {"/DeviceInstance", value_number(instance)},
                {"/Dc/0/Voltage", value_number(53)},
                {"/Dc/0/Current", value_number(1)},
                {"/Soc", value_number(50)},
                {"/InstalledCapacity", value_number(280)},
                {"/Info/MaxChargeVoltage", value_number(55)},
                {"/Info/MaxChargeCurrent", value_number(100)},
                {"/Info/MaxDischargeCurrent", value_number(120)},
                {"/System/MaxCellVoltage", value_number(3.3)},
                {"/System/MinCellVoltage", value_number(3.3)}};

    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        engine_value(engine, device, paths_find(engine_wants(engine, service), told[i].path), &told[i].value);
    engine_settled(engine, device, true);
}

static void the_first_packs_have_places_by_their_instances_whoever_tells_first(void **state)
{
    const struct calendar today = {true, 20700, 9};
    struct engine *engine = test_calloc(1, sizeof *engine);
    struct bench *bench = *state;

    assert_true(engine_init(engine, &bench->config, NULL, NULL));
    engine->more_to_come = true;
    arrive_whole(engine, "com.victronenergy.battery.slow2", "Two", 2);
    assert_false(engine_step(engine, 1, &today));
    arrive_whole(engine, "com.victronenergy.battery.slow1", "One", 1);
    engine->more_to_come = false;
    assert_true(engine_step(engine, 2, &today));
    assert_string_equal(engine->roster.entry[0].name, "One");
    assert_string_equal(engine->roster.entry[1].name, "Two");
    engine->more_to_come = true; /* one that comes later is shown at once */
    arrive_whole(engine, "com.victronenergy.battery.late", "Zero", 0);
    assert_true(engine_step(engine, 3, &today));
    assert_string_equal(engine->roster.entry[2].name, "Zero");
    engine_free(engine);
    test_free(engine);
}

/* B shows that it blocks, its CVL and its cells, but never its DCL: it is not in the bank, but it is on its
 * bus bar. */
static struct device *arrive_incomplete(struct bench *bench)
{
    struct device *first = bench->device;
    struct device *device = engine_here(&bench->engine, "com.victronenergy.battery.b");

    bench->device = device;
    say_text(bench, "/ProductName", "CAN");
    say_text(bench, "/CustomName", "B");
    say(bench, "/DeviceInstance", 2);
    say(bench, "/Dc/0/Voltage", 53);
    say(bench, "/Info/MaxChargeVoltage", 50);
    say(bench, "/Info/MaxChargeCurrent", 10);
    say(bench, "/System/MaxCellVoltage", 3.44);
    say(bench, "/System/MinCellVoltage", 2.95);
    engine_settled(&bench->engine, device, true);
    bench->device = first;
    return device;
}

static void set_of(struct bench *bench, struct device *device, const char *path, double number)
{
    struct device *first = bench->device;

    bench->device = device;
    say(bench, path, number);
    engine_settled(&bench->engine, device, false);
    bench->device = first;
}

static void what_an_incomplete_pack_shows_lowers_limits(void **state)
{
    struct bench *bench = *state;
    const struct limits *limits = &bench->engine.aggregate.limits;
    struct device *b = arrive_incomplete(bench);

    step_at(bench, 10);
    assert_near(bench->engine.aggregate.packs_online, 1, 0);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
    assert_string_equal(limits->charge_voltage.reason, "Pack \"B\", not complete: its CVL");
    assert_near(limits->charge_current.value, 100, 1e-9);
    set_of(bench, b, "/Io/AllowToCharge", 0);
    step_at(bench, 11);
    assert_near(limits->charge_current.value, 0, 0);
    assert_string_equal(limits->charge_current.reason, "Pack \"B\", not complete: it blocks charging");
    assert_true(limits->charge_blocked);
    assert_near(limits->discharge_current.value, 120, 1e-9);
    set_of(bench, b, "/Io/AllowToDischarge", 0);
    step_at(bench, 12);
    assert_near(limits->discharge_current.value, 0, 0);
    engine_stale(&bench->engine, b, true); /* it hangs, and then it goes */
    step_at(bench, 14);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
    assert_string_equal(limits->charge_current.reason,
                        "Pack \"B\", not complete and gone: it blocks charging");
    engine_gone(&bench->engine, b);
    step_at(bench, 15);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
    assert_near(limits->charge_current.value, 0, 0);
    assert_near(limits->discharge_current.value, 0, 0);
    step_at(bench, 14 + bench->engine.config.lost_grace_s);
    assert_near(limits->charge_voltage.value, 55.2, 1e-9);
    assert_near(limits->charge_current.value, 100, 1e-9);
    assert_near(limits->discharge_current.value, 120, 1e-9);
}

/* A driver that has just started blocks until its BMS has looked around, and tells only then who it is. */
static void one_that_tells_later_who_it_is_leaves_nothing_behind_under_its_first_name(void **state)
{
    struct bench *bench = *state;
    const struct aggregate *out = &bench->engine.aggregate;
    struct device *b = arrive_incomplete(bench);

    set_of(bench, b, "/Io/AllowToCharge", 0);
    step_at(bench, 10);
    assert_near(out->limits.charge_current.value, 0, 0);
    bench->device = b;
    say_text(bench, "/CustomName", "Shed");
    say_text(bench, "/Serial", "SN-B");
    set_of(bench, b, "/Io/AllowToCharge", 1);
    step_at(bench, 11);
    assert_near(out->limits.charge_current.value, 100, 1e-9);
    assert_string_equal(out->incomplete_gone.name, "");
    set_of(bench, b, "/Io/AllowToCharge", 0);
    step_at(bench, 12);
    say_text(bench, "/CustomName", "House");
    set_of(bench, b, "/Info/MaxChargeVoltage", 55.2); /* now it is whole */
    set_of(bench, b, "/Info/MaxDischargeCurrent", 120);
    set_of(bench, b, "/Dc/0/Current", 10);
    set_of(bench, b, "/Soc", 50);
    set_of(bench, b, "/System/NrOfCellsPerBattery", 16);
    set_of(bench, b, "/Io/AllowToCharge", 1);
    step_at(bench, 13);
    assert_near(out->packs_online, 2, 0);
    assert_near(out->limits.charge_voltage.value, 55.2, 1e-9);
    assert_true(out->limits.charge_current.value > 0);
    assert_string_equal(out->incomplete_gone.name, "");
}

/* Who names it in IGNORE means it; what another one lowered before it went is not meant. */
static void an_incomplete_pack_that_is_ignored_lowers_nothing_from_then_on(void **state)
{
    struct bench *bench = *state;
    const struct limits *limits = &bench->engine.aggregate.limits;
    struct device *b = arrive_incomplete(bench);
    struct config other = bench->config;

    step_at(bench, 10);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
    other.ignore.count = 1;
    strcpy(other.ignore.pattern[0], "Boat");
    assert_true(engine_reconfigure(&bench->engine, &other));
    step_at(bench, 11);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
    strcpy(other.ignore.pattern[0], "B");
    assert_true(engine_reconfigure(&bench->engine, &other));
    step_at(bench, 12);
    assert_near(limits->charge_voltage.value, 55.2, 1e-9);
    other.ignore.count = 0;
    assert_true(engine_reconfigure(&bench->engine, &other));
    step_at(bench, 13);
    engine_gone(&bench->engine, b);
    step_at(bench, 14);
    assert_true(engine_reconfigure(&bench->engine, &other));
    step_at(bench, 15);
    assert_near(limits->charge_voltage.value, 50, 1e-9);
}

static void one_that_tells_later_that_ignore_names_it_lowers_nothing_from_then_on(void **state)
{
    struct bench *bench = *state;
    const struct aggregate *out = &bench->engine.aggregate;
    struct config other = bench->config;

    other.ignore.count = 1;
    strcpy(other.ignore.pattern[0], "Boat");
    assert_true(engine_reconfigure(&bench->engine, &other));
    bench->device = arrive_incomplete(bench);
    step_at(bench, 10);
    set_of(bench, bench->device, "/Connected", 0); /* its driver has lost it: that says nothing of it */
    step_at(bench, 11);
    assert_near(out->limits.charge_voltage.value, 50, 1e-9);
    assert_string_equal(out->incomplete_gone.name, "B");
    set_of(bench, bench->device, "/Connected", 1);
    step_at(bench, 12);
    assert_near(out->limits.charge_voltage.value, 50, 1e-9);
    say_text(bench, "/CustomName", "Boat");
    engine_settled(&bench->engine, bench->device, false);
    step_at(bench, 13);
    assert_near(out->limits.charge_voltage.value, 55.2, 1e-9);
    assert_string_equal(out->incomplete_gone.name, "");
}

/* It starts an engine, is full, and never shows all: for ever. 24 V is more than half of 48. */
static void a_battery_of_another_voltage_lowers_nothing_and_is_no_alarm(void **state)
{
    struct bench *bench = *state;
    const struct aggregate *out = &bench->engine.aggregate;
    struct device *b = arrive_incomplete(bench);

    set_of(bench, b, "/Io/AllowToCharge", 0);
    set_of(bench, b, "/Info/MaxChargeVoltage", 28.8);
    for (int second = 10; second < 100; second++)
        step_at(bench, second);
    assert_near(out->limits.charge_voltage.value, 55.2, 1e-9); /* its CVL is no CVL of 53 V */
    set_of(bench, b, "/Info/MaxChargeVoltage", NAN);
    set_of(bench, b, "/Dc/0/Voltage", 26.5);
    for (int second = 100; second < 200; second++)
        step_at(bench, second);
    assert_near(out->limits.charge_voltage.value, 55.2, 1e-9);
    assert_near(out->limits.charge_current.value, 100, 1e-9);
    assert_false(out->limits.charge_blocked);
    assert_false(out->bank.alarm[ALARM_BMS_CABLE] > 0);
}

static void with_our_own_limits_the_cells_of_an_incomplete_pack_count(void **state)
{
    struct bench *bench = *state;
    const struct limits *limits = &bench->engine.aggregate.limits;
    struct config other = bench->config;
    struct device *b;

    other.own_charge_parameters = true;
    assert_true(engine_reconfigure(&bench->engine, &other));
    say(bench, "/System/MaxCellVoltage", 3.30);
    say(bench, "/Voltages/Cell3", 3.30);
    engine_settled(&bench->engine, bench->device, false);
    step_at(bench, 10);
    assert_near(limits->discharge_current.value, 200, 1e-9);
    b = arrive_incomplete(bench);
    step_at(bench, 11);
    assert_near(limits->charge_current.value, 200 * curve_at(&other.charge_curve, 3.44), 1e-9);
    assert_near(limits->discharge_current.value, 200 * curve_at(&other.discharge_curve, 2.95), 1e-9);
    set_of(bench, b, "/System/MaxCellVoltage", 3.46);
    step_at(bench, 12);
    assert_near(limits->charge_current.value, 0, 0);
    assert_true(bench->engine.aggregate.control.peaking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_limit_that_falls_is_urgent_and_one_that_rises_is_not),
        TEST(noise_is_flicker_and_a_new_extreme_of_the_bank_is_news),
        TEST(with_own_control_a_cell_that_lowers_a_limit_is_urgent),
        TEST(other_settings_act_and_what_is_known_stays),
        TEST(names_of_services_hold_from_the_next_start),
        TEST(the_page_of_a_pack_follows_it_in_turns),
        TEST(the_age_of_a_pack_goes_on_when_it_is_lost_and_when_its_service_goes),
        TEST(an_implausible_safety_value_is_an_alarm_and_an_implausible_cycle_count_is_not),
        TEST(a_pack_that_contradicts_itself_is_found_out_in_time),
        TEST(a_bank_without_a_charge_voltage_is_not_shown),
        TEST(a_pack_of_bank_that_never_came_is_lost_since_it_is_waited_for),
        TEST(two_packs_of_one_name_are_not_two_of_bank),
        TEST(with_our_own_limits_a_lost_pack_takes_its_part_of_the_current_with_it),
        TEST(the_first_packs_have_places_by_their_instances_whoever_tells_first),
        TEST(what_an_incomplete_pack_shows_lowers_limits),
        TEST(one_that_tells_later_who_it_is_leaves_nothing_behind_under_its_first_name),
        TEST(an_incomplete_pack_that_is_ignored_lowers_nothing_from_then_on),
        TEST(one_that_tells_later_that_ignore_names_it_lowers_nothing_from_then_on),
        TEST(a_battery_of_another_voltage_lowers_nothing_and_is_no_alarm),
        TEST(with_our_own_limits_the_cells_of_an_incomplete_pack_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
