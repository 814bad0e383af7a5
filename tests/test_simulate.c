/* sim/year and the command over it: days of a house under a controller, and what is said of them. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands/plot_svg.h"
#include "commands/simulate.h"
#include "sim/year.h"

static struct config config;
static struct year_report report;

static struct year_options spring(int days)
{
    struct year_options options = {.config = &config, .plant = year_plant_default(), .days = days};

    settings_default(&config);
    config.own_charge_parameters = config.own_soc = true;
    options.plant.weather.day_of_year = 100; /* months with a target above 3.40 V, and sun */
    return options;
}

static void run(const struct year_options *options)
{
    assert_int_equal(year_run(options, &report), 0);
}

static void the_same_seed_gives_the_same_verdict(void **state)
{
    struct year_options options = spring(2);
    struct year_report first;

    (void)state;
    options.feed_in = true;
    run(&options);
    first = report;
    run(&options);
    assert_true(report.energy_Wh.sun > 20000);
    assert_true(first.energy_Wh.sun == report.energy_Wh.sun);
    assert_true(first.avoidable_Wh == report.avoidable_Wh);
    assert_true(first.highest_V == report.highest_V);
    assert_true(first.cvl_turns == report.cvl_turns);
    assert_true(first.soc_error_mean_pct == report.soc_error_mean_pct);
    options.plant.seed++;
    run(&options);
    assert_true(first.energy_Wh.sun != report.energy_Wh.sun);
}

static void both_controllers_meet_the_same_sun(void **state)
{
    struct year_options options = spring(3);
    double ours_Wh, asked_Wh;

    (void)state;
    run(&options);
    ours_Wh = report.energy_Wh.sun;
    asked_Wh = report.energy_Wh.load + report.energy_Wh.imported;
    options.controller = YEAR_REFERENCE;
    run(&options);
    assert_near(report.energy_Wh.sun, ours_Wh,
                0.005 * ours_Wh); /* the bank's voltage is not quite the same */
    assert_near(report.energy_Wh.load + report.energy_Wh.imported, asked_Wh, 0.001 * asked_Wh);
}

static void a_weak_cell_peaks_under_the_reference(void **state)
{
    struct year_options options = spring(4);

    (void)state;
    options.controller = YEAR_REFERENCE;
    options.plant.weak_share = 0.03;
    options.feed_in = true;
    options.plant.weather.outages_a_month = 4;
    run(&options);
    assert_true(report.over_limit_V > 0.001);
    assert_true(report.over_limit_h > 0.1);
    assert_near(report.highest_V - config.max_cell_voltage_V, report.over_limit_V, 1e-9);
    assert_true(report.feed_in_holds > 0);
    assert_true(report.feed_in_held_h > 1);
}

/* What must be refused is no fault: without a grid and with a full bank it is nearly all. */
static void what_nobody_could_have_taken_is_not_counted_as_avoidable(void **state)
{
    struct year_options options = spring(4);

    (void)state;
    options.controller = YEAR_REFERENCE;
    options.plant.soc = 0.98;
    run(&options);
    assert_true(report.refused_Wh > 30000);
    assert_true(report.avoidable_Wh < 0.25 * report.refused_Wh);
    options.feed_in = true;
    options.plant.export_limit_W = 0;
    run(&options);
    assert_true(report.best_highest_V < config.max_cell_voltage_V + 0.010);
    assert_true(report.refused_Wh > 30000);
    assert_true(report.avoidable_Wh < 0.25 * report.refused_Wh);
}

static void what_the_grid_could_have_taken_is_avoidable(void **state)
{
    struct year_options options = spring(4);

    (void)state;
    options.plant.soc = 0.98;
    options.plant.export_limit_W = 10000;
    options.feed_in = true;
    config.cvl_control = CVL_REFERENCE;
    config.feed_in_return = FEED_IN_RETURN_BALANCED;
    config.cell_diff_max_V = 0.001; /* never: it stays off after the first peak */
    run(&options);
    assert_true(report.feed_in_held_h > 24);
    assert_true(report.refused_Wh > 30000);
    assert_true(report.avoidable_Wh > 0.9 * report.refused_Wh);
}

static void the_energy_of_the_house_closes(void **state)
{
    struct year_options options = spring(4);
    const struct plant_energy *energy = &report.energy_Wh;

    (void)state;
    options.feed_in = true;
    run(&options);
    assert_near(energy->taken + report.refused_Wh, energy->sun, 1e-6 * energy->sun);
    assert_near(energy->taken + energy->drawn, energy->charged + energy->inverted, 1e-6 * energy->sun);
}

static void a_sensor_with_an_offset_leads_the_state_of_charge_astray(void **state)
{
    struct year_options options = spring(8);
    double good_pct;

    (void)state;
    config.battery_efficiency = 0.995;
    config.soc_method = SOC_REFERENCE;
    options.plant.diverter_W = 8000;
    run(&options);
    good_pct = report.soc_error_worst_pct;
    assert_true(good_pct < 3);
    options.sensor_offset_A = -0.3;
    options.sensor_gain_error = -0.01;
    options.controller = YEAR_REFERENCE;
    run(&options);
    assert_true(report.soc_error_worst_pct > good_pct + 5);
    assert_true(report.soc_error_mean_pct < report.soc_error_worst_pct);
}

static void a_bank_beside_a_diverter_is_never_full(void **state)
{
    struct year_options options = spring(4);

    (void)state;
    options.plant.diverter_W = 8000;
    run(&options);
    assert_true(report.highest_V < 3.40);
    assert_int_equal(report.balancings, 0);
    assert_near(report.balancing_gap_days, 4, 0.01);
}

static void one_cell_ahead_is_found_at_the_top_and_burnt_off(void **state)
{
    struct year_options options = spring(1);
    static struct plant plant;
    double even_V;

    (void)state;
    plant_init(&plant, &options.plant);
    even_V = year_difference_at_top_V(&plant, 3.45);
    options.plant.ahead_Ah = 280 * (plant_soc_at(3.45) - plant_soc_at(3.37));
    plant_init(&plant, &options.plant);
    assert_true(even_V < 0.07);
    assert_true(year_difference_at_top_V(&plant, 3.45) > 0.07);
    options.days = 14;
    run(&options);
    assert_true(report.even_after_days > 1 && report.even_after_days < 14);
}

/* ---- what is handed out meanwhile ---- */

struct heard {
    unsigned minutes, days, stop_after;
    double last_minute_s;
};

static void hear_minute(void *ctx, const struct year_sample *sample)
{
    struct heard *heard = ctx;

    heard->minutes++;
    assert_true(sample->time_s > heard->last_minute_s);
    assert_true(sample->lowest_V <= sample->highest_V);
    heard->last_minute_s = sample->time_s;
}

static bool hear_day(void *ctx, const struct year_day *day)
{
    struct heard *heard = ctx;

    assert_int_equal(day->day, heard->days);
    assert_true(day->soc_min_pct < day->soc_max_pct);
    heard->days++;
    return heard->days != heard->stop_after;
}

static void every_minute_and_every_day_is_told(void **state)
{
    struct heard heard = {0};
    struct year_options options = spring(3);

    (void)state;
    options.on_minute = hear_minute;
    options.on_day = hear_day;
    options.ctx = &heard;
    run(&options);
    assert_int_equal(heard.minutes, 3 * 1440);
    assert_int_equal(heard.days, 3);
    heard = (struct heard){.stop_after = 2};
    run(&options);
    assert_int_equal(heard.days, 2);
    assert_near(report.days, 2, 1e-9);
}

/* ---- the command ---- */

/* Everything that is in a file, up to size - 1 bytes. */
static void slurp(FILE *file, char *text, size_t size)
{
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
}

static void the_verdict_names_what_it_counts(void **state)
{
    static const char *const words[] = {"Sun ",
                                        "refused",
                                        "highest ever",
                                        "MAX_CELL_VOLTAGE",
                                        "BMS disconnections: 0",
                                        "hours at a mean cell voltage",
                                        "Feed-in",
                                        "Balancing",
                                        "moves a day",
                                        "changes of direction",
                                        "SoC ",
                                        "mean",
                                        "worst"};
    struct year_options options = spring(1);
    char text[4096];
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    options.feed_in = true;
    run(&options);
    simulate_print(file, &options, &report, 0.1);
    slurp(file, text, sizeof text);
    fclose(file);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strstr(text, words[i]))
            fail_msg("\"%s\" is missing in\n%s", words[i], text);
    }
}

static void the_verdict_for_programs_knows_no_nan(void **state)
{
    struct year_options options = spring(1);
    char text[4096];
    FILE *file = tmpfile();

    (void)state;
    assert_non_null(file);
    run(&options);
    report.even_after_days = NAN;
    simulate_print_json(file, &options, &report, 0.1);
    slurp(file, text, sizeof text);
    fclose(file);
    assert_non_null(strstr(text, "{\"controller\": \"ours\", \"seed\": 1,"));
    assert_non_null(strstr(text, "\"even_after_days\": null"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "]}\n"));
}

static void draw_minute(void *plot, const struct year_sample *sample)
{
    plot_minute(plot, sample);
}

static bool draw_day(void *plot, const struct year_day *day)
{
    plot_day(plot, day);
    return true;
}

/* The picture of a few days; text is static. */
static const char *picture(int day)
{
    static char text[1 << 20];
    char path[] = "/tmp/test_simulate_XXXXXX";
    struct year_options options = spring(4);
    struct plot *plot = plot_new(&options, day);
    int fd = mkstemp(path);
    FILE *file;

    assert_non_null(plot);
    assert_true(fd >= 0);
    options.on_minute = draw_minute;
    options.on_day = draw_day;
    options.ctx = plot;
    run(&options);
    assert_int_equal(plot_write(plot, path), 0);
    plot_free(plot);
    file = fdopen(fd, "r");
    assert_non_null(file);
    slurp(file, text, sizeof text);
    fclose(file);
    unlink(path);
    return text;
}

static void the_picture_shows_the_chosen_day_and_ends(void **state)
{
    const char *text = picture(2);

    (void)state;
    assert_non_null(strstr(text, ">Day 3<"));
    assert_non_null(strstr(text, "MAX_CELL_VOLTAGE"));
    assert_non_null(strstr(text, "Energy of the day, kWh"));
    assert_non_null(strstr(text, "</svg>\n"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
}

static void without_a_choice_the_picture_shows_the_day_of_the_highest_cell(void **state)
{
    const char *text = picture(PLOT_HIGHEST_DAY);
    char wanted[32];

    (void)state;
    snprintf(wanted, sizeof wanted, ">Day %d<", (int)(report.highest_at_s / 86400) + 1);
    assert_non_null(strstr(text, wanted));
}

static void a_picture_that_cannot_be_written_is_said(void **state)
{
    struct year_options options = spring(1);
    struct plot *plot = plot_new(&options, 0);

    (void)state;
    assert_non_null(plot);
    assert_int_equal(plot_write(plot, "/nonexistent/picture.svg"), -1);
    plot_free(plot);
}

static void an_unknown_option_or_a_wrong_number_is_refused(void **state)
{
    static const struct {
        char *argv[4];
    } wrong[] = {{{"simulate", "--days", "0"}},
                 {{"simulate", "--days", "many"}},
                 {{"simulate", "--days", "1.5"}},
                 {{"simulate", "--weak-cell", "nan"}},
                 {{"simulate", "--controller", "x"}},
                 {{"simulate", "again"}},
                 {{"simulate", "--dayz"}}};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *argv[4];
        int argc = 0;

        memcpy(argv, wrong[i].argv, sizeof argv);
        while (argc < 4 && argv[argc])
            argc++;
        assert_int_equal(command_simulate(argc, argv), 2);
    }
}

static void settings_that_are_wrong_are_not_simulated(void **state)
{
    char *argv[] = {"simulate", "--settings", "/nonexistent/settings.ini", NULL};

    (void)state;
    assert_int_equal(command_simulate(3, argv), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_verdict),
        cmocka_unit_test(both_controllers_meet_the_same_sun),
        cmocka_unit_test(a_weak_cell_peaks_under_the_reference),
        cmocka_unit_test(what_nobody_could_have_taken_is_not_counted_as_avoidable),
        cmocka_unit_test(what_the_grid_could_have_taken_is_avoidable),
        cmocka_unit_test(the_energy_of_the_house_closes),
        cmocka_unit_test(a_sensor_with_an_offset_leads_the_state_of_charge_astray),
        cmocka_unit_test(a_bank_beside_a_diverter_is_never_full),
        cmocka_unit_test(one_cell_ahead_is_found_at_the_top_and_burnt_off),
        cmocka_unit_test(every_minute_and_every_day_is_told),
        cmocka_unit_test(the_verdict_names_what_it_counts),
        cmocka_unit_test(the_verdict_for_programs_knows_no_nan),
        cmocka_unit_test(the_picture_shows_the_chosen_day_and_ends),
        cmocka_unit_test(without_a_choice_the_picture_shows_the_day_of_the_highest_cell),
        cmocka_unit_test(a_picture_that_cannot_be_written_is_said),
        cmocka_unit_test(an_unknown_option_or_a_wrong_number_is_refused),
        cmocka_unit_test(settings_that_are_wrong_are_not_simulated),
    };

    return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
