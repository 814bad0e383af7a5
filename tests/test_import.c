#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/import.h"
#include "settings.h"
#include "settings_table.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

enum { PATH_BYTES = 128, TEXT_BYTES = 64 * 1024 };

/* A folder of a Python service, and what importing it gave. */
struct bench {
    char folder[PATH_BYTES];
    int result;
    char *out;
    char *said;
    struct config config;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);

    *state = bench;
    if (!bench)
        return -1;
    snprintf(bench->folder, sizeof bench->folder, "/tmp/test_import.XXXXXX");
    return mkdtemp(bench->folder) ? 0 : -1;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    char command[PATH_BYTES + 16];

    snprintf(command, sizeof command, "rm -rf %s", bench->folder);
    free(bench->out);
    free(bench->said);
    free(bench);
    return system(command);
}

static void put(struct bench *bench, const char *file, const char *text)
{
    char path[2 * PATH_BYTES];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", bench->folder, file);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void import_path(struct bench *bench, const char *path)
{
    size_t size;
    FILE *out;
    FILE *said;

    free(bench->out);
    free(bench->said);
    out = open_memstream(&bench->out, &size);
    said = open_memstream(&bench->said, &size);
    assert_non_null(out);
    assert_non_null(said);
    bench->result = import_settings(path, out, said);
    fclose(out);
    fclose(said);
}

static void import_file(struct bench *bench, const char *file, const char *text)
{
    put(bench, file, text);
    import_path(bench, bench->folder);
}

/* Importing this works, and the daemon would start with what comes of it. */
static const struct config *taken(struct bench *bench, const char *file, const char *text)
{
    import_file(bench, file, text);
    settings_default(&bench->config);
    if (bench->result != 0 ||
        settings_read_text("out", bench->out, strlen(bench->out), &bench->config, NULL, NULL) != 0)
        fail_msg("not taken: %s\n%s\n%s", text, bench->said, bench->out);
    return &bench->config;
}

static void expect_said(struct bench *bench, const char *part)
{
    if (!strstr(bench->said, part))
        fail_msg("'%s' was not said but:\n%s", part, bench->said);
}

static void expect_refused(struct bench *bench, const char *file, const char *text, const char *part)
{
    import_file(bench, file, text);
    assert_int_equal(bench->result, 1);
    expect_said(bench, part);
}

/* ---- 4.x ---- */

static const char config_ini[] = "[DEFAULT]\n"
                                 "; the house\n"
                                 "NR_OF_BATTERIES = 3\n"
                                 "nr_of_mppts: 2\n"
                                 "MULTI_KEYWORD =\n"
                                 "OWN_CHARGE_PARAMETERS = TRUE\n"
                                 "CHARGE_VOLTAGE_LIST =\n"
                                 "    3.44,  ; January\n"
                                 "    3.43, 3.43, 3.42, 3.41, 3.41,\n"
                                 "    3.41, 3.41, 3.42, 3.43, 3.43,\n"
                                 "    3.44   ; December\n"
                                 "USE_SMARTSHUNTS = [278, \"Front\"]\n"
                                 "SEARCH_TRIALS = 10\n"
                                 "LOGGING = DEBUG\n";

static void a_config_ini_is_taken_key_by_key(void **state)
{
    const struct config *config = taken(*state, "config.ini", config_ini);

    assert_int_equal(config->nr_of_batteries, 3);
    assert_int_equal(config->nr_of_mppts, 2);
    assert_string_equal(config->multi_keyword, "");
    assert_true(config->own_charge_parameters);
    assert_near(config->charge_voltage_V[0], 3.44);
    assert_near(config->charge_voltage_V[11], 3.44);
    assert_int_equal(config->smartshunts.count, 2);
    assert_string_equal(config->smartshunts.name[1], "Front");
    assert_int_equal(config->logging, LOG_DEBUG);
}

static void what_was_taken_and_what_not_is_said(void **state)
{
    struct bench *bench = *state;

    import_file(bench, "config.ini", "[DEFAULT]\nNR_OF_BATTERIES = 3\nREAD_TRIALS = 5\nMY_OWN = 1\n");
    expect_said(bench, "config.ini: settings of dbus-aggregate-batteries 4.x");
    expect_said(bench, "taken      NR_OF_BATTERIES = 3");
    expect_said(bench, "not needed READ_TRIALS");
    expect_said(bench, "not taken  MY_OWN (line 4)");
    assert_null(strstr(bench->out, "READ_TRIALS"));
}

static void their_default_holds_where_ours_differs(void **state)
{
    const struct config *config = taken(*state, "config.ini", "[DEFAULT]\nNR_OF_BATTERIES = 2\n");

    assert_string_equal(config->battery_product_names.pattern[0], "SerialBattery");
    assert_string_equal(config->battery_instance_name_path, "/Serial");
    assert_false(config->max_charge_current_set); /* theirs of 200 A caps nothing when merging */
}

static void ignored_absence_stays_the_packs_current(void **state)
{
    const struct config *config =
        taken(*state, "config.ini",
              "[DEFAULT]\nCURRENT_FROM_VICTRON = True\nUSE_SMARTSHUNTS = True\nINVERT_SMARTSHUNTS = False\n"
              "IGNORE_SMARTSHUNT_ABSENCE = True\n");

    assert_int_equal(config->use_smartshunts, SHUNTS_ALL);
    assert_false(config->invert_smartshunts);
    expect_said(*state,
                "IGNORE_SMARTSHUNT_ABSENCE: While a shunt cannot be read the packs' current stands in");
}

static void long_lists_become_lines_that_the_reader_takes(void **state)
{
    char text[1024] = "[DEFAULT]\nUSE_SMARTSHUNTS = [";
    const struct config *config;

    for (int i = 0; i < 12; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "\"A shunt with a rather long name %d\",",
                 i);
    snprintf(text + strlen(text), sizeof text - strlen(text), "]\n");
    config = taken(*state, "config.ini", text);
    assert_int_equal(config->smartshunts.count, 12);
    assert_string_equal(config->smartshunts.name[11], "A shunt with a rather long name 11");
}

static void what_the_daemon_would_refuse_is_shown_and_refused(void **state)
{
    struct bench *bench = *state;

    expect_refused(
        bench, "config.ini",
        "[DEFAULT]\nOWN_CHARGE_PARAMETERS = True\nBALANCING_VOLTAGE = 3.45\nMAX_CELL_VOLTAGE = 3.45\n",
        "MAX_CELL_VOLTAGE (3.450 V) must be above BALANCING_VOLTAGE");
    assert_non_null(strstr(bench->out, "BALANCING_VOLTAGE = 3.45")); /* to be mended */
}

/* ---- 3.x ---- */

static const char settings_py[] =
    "# -*- coding: utf-8 -*-\n"
    "\"\"\"\n"
    "MAX_DISCHARGE_CURRENT = 9\n"
    "\"\"\"\n"
    "NR_OF_BATTERIES = 2  # Nr. of batteries\n"
    "NR_OF_CELLS_PER_BATTERY = 22\n"
    "MULTI_KEY_WORD = \"com.victronenergy.vebus\"\n"
    "SMARTSHUNT_NAME_KEY_WORD = 'SmartShunt 500'\n"
    "#OWN_SOC = False\n"
    "OWN_SOC = True\n"
    "OWN_CHARGE_PARAMETERS = True\n"
    "BALANCING_VOLTAGE = 2.5\n"
    "MAX_CELL_VOLTAGE = 2.55\n"
    "MIN_CELL_VOLTAGE: float = 1.8\n"
    "MIN_CELL_VOLTAGE = 1.9\n"
    "MAX_CELL_VOLTAGE_SOC_FULL = BALANCING_VOLTAGE\n"
    "MIN_CELL_VOLTAGE_SOC_EMPTY = (MIN_CELL_VOLTAGE)\n"
    "CHARGE_VOLTAGE_LIST = [\n"
    "    2.45,  # January\n"
    "    2.45, 2.42, 2.42, 2.40, 2.40, 2.40, 2.40, 2.42, 2.42, 2.45,\n"
    "    BALANCING_VOLTAGE - 2 * 0.025,  # December\n"
    "]\n"
    "CELL_CHARGE_LIMITING_VOLTAGE = [MIN_CELL_VOLTAGE, MIN_CELL_VOLTAGE + 0.05, BALANCING_VOLTAGE - 0.1, "
    "BALANCING_VOLTAGE, MAX_CELL_VOLTAGE]  # [min, max]\n"
    "CELL_CHARGE_LIMITED_CURRENT = [0.2, 1, 1, 0.1, 0]\n"
    "MAX_CHARGE_CURRENT = 100 * 2\n"
    "SEARCH_TRIALS = 10\n"
    "LOGGING = 2\n"
    "if NR_OF_BATTERIES > 1:\n"
    "    MAX_DISCHARGE_CURRENT = 500\n"
    "import os; os.system('touch /tmp/executed')\n";

static void a_settings_py_is_read_as_text(void **state)
{
    const struct config *config = taken(*state, "settings.py", settings_py);

    assert_int_equal(config->nr_of_batteries, 2);
    assert_int_equal(config->nr_of_cells_per_battery, 22);
    assert_string_equal(config->smartshunt_name_keyword, "SmartShunt 500");
    assert_true(config->own_soc);
    assert_near(config->max_charge_current_A, 200);
    assert_int_equal(config->logging, LOG_INFO);
    expect_said(*state, "settings.py: settings of dbus-aggregate-batteries 3.x");
    expect_said(*state, "LOGGING = 2");
}

static void expressions_of_earlier_names_are_computed(void **state)
{
    const struct config *config = taken(*state, "settings.py", settings_py);

    assert_near(config->min_cell_voltage_V, 1.9); /* the last one counts, as in Python */
    assert_near(config->max_cell_voltage_soc_full_V, 2.5);
    assert_near(config->min_cell_voltage_soc_empty_V, 1.9);
    assert_near(config->charge_voltage_V[11], 2.45);
    assert_int_equal(config->charge_curve.count, 5);
    assert_near(config->charge_curve.x[1], 1.95);
    assert_near(config->charge_curve.x[2], 2.4);
}

static void what_is_no_plain_setting_is_named(void **state)
{
    const struct config *config = taken(*state, "settings.py", settings_py);

    assert_false(config->max_discharge_current_set); /* inside a text; inside an if: nobody knows */
    expect_said(*state, "not taken  line 28");
    expect_said(*state, "not taken  line 29");
    expect_said(*state, "not taken  line 30");
}

static void a_known_key_that_cannot_be_read_refuses_the_whole(void **state)
{
    static const char *const lines[] = {
        "MAX_CELL_VOLTAGE = max(3.4, 3.5)\n",
        "MAX_CELL_VOLTAGE = 3.4 if True else 3.5\n",
        "MAX_CELL_VOLTAGE = SOMETHING + 1\n",
        "MAX_CELL_VOLTAGE = 0x3\n",
        "MAX_CELL_VOLTAGE = 7 // 2\n",
        "MAX_CELL_VOLTAGE = 2 ** 2\n",
        "MAX_CELL_VOLTAGE = 3.4; import os\n",
        "MAX_CELL_VOLTAGE = 1 / 0\n",
        "MAX_CELL_VOLTAGE = \n",
        "MAX_CELL_VOLTAGE = 3,4\n",
        "BATTERY_PRODUCT_NAME = \"a\" \"b\"\n",
        "BATTERY_PRODUCT_NAME = 'a\\x41'\n",
        "CHARGE_VOLTAGE_LIST = [3.4] * 12\n",
        "CHARGE_VOLTAGE_LIST = [3.4, 3.4\n",
        "BATTERY_PRODUCT_NAME = \"a\n",
        "OWN_SOC = None\n",
    };

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct bench *bench = *state;

        expect_refused(bench, "settings.py", lines[i], "error      line 1: ");
        assert_string_equal(bench->out, "");
    }
}

static void a_shunt_that_was_subtracted_is_still_subtracted(void **state)
{
    assert_true(taken(*state, "settings.py",
                      "CURRENT_FROM_VICTRON = True\nDC_LOADS = True\n"
                      "INVERT_SMARTSHUNT = False\n")
                    ->invert_smartshunts);
    expect_said(*state, "turned round, to True");
    assert_false(taken(*state, "settings.py",
                       "CURRENT_FROM_VICTRON = True\nDC_LOADS = True\n"
                       "INVERT_SMARTSHUNT = True\n")
                     ->invert_smartshunts);
    assert_false(
        taken(*state, "settings.py", "DC_LOADS = False\nINVERT_SMARTSHUNT = False\n")->invert_smartshunts);
}

static void a_text_keeps_what_looks_like_a_comment(void **state)
{
    assert_string_equal(
        taken(*state, "settings.py", "BATTERY_PRODUCT_NAME = 'Pack #1'\n")->battery_product_names.pattern[0],
        "Pack #1");
}

/* ---- which file ---- */

static void a_config_ini_goes_before_the_settings_py_of_its_program(void **state)
{
    put(*state, "settings.py", "import configparser\n");
    put(*state, "config.default.ini", "[DEFAULT]\nNR_OF_BATTERIES = -1\n");
    assert_int_equal(taken(*state, "config.ini", "[DEFAULT]\nNR_OF_BATTERIES = 4\n")->nr_of_batteries, 4);
}

static void a_program_without_settings_has_nothing_to_import(void **state)
{
    struct bench *bench = *state;

    import_path(bench, bench->folder);
    assert_int_equal(bench->result, 2);
    put(bench, "config.default.ini", "[DEFAULT]\nNR_OF_BATTERIES = -1\n");
    put(bench, "settings.py", "import configparser\n");
    import_path(bench, bench->folder);
    assert_int_equal(bench->result, 2);
}

/* ---- BatteryAggregator ---- */

static void of_its_json_is_taken_what_has_a_counterpart(void **state)
{
    const struct config *config =
        taken(*state, "config.json",
              "{ \"excludedServices\": [\"com.victronenergy.battery.ttyS9\", \"}\"],\n"
              "  \"virtualBatteries\": {\"a\": {\"b\": [\"/Soc\"], \"c\": []}},\n"
              "  \"capacity\": 200, \"logLevel\": \"DEBUG\",\n"
              "  \"cvlMode\": \"max_when_balancing\", \"colour\": \"red\" }\n");

    assert_int_equal(config->logging, LOG_DEBUG);
    assert_true(config->keep_max_cvl);
    assert_string_equal(config->battery_product_names.pattern[0], "");
    expect_said(*state, "not taken  capacity = 200");
    expect_said(*state, "not taken  excludedServices = [...]");
    expect_said(*state, "not taken  virtualBatteries = {...}");
    expect_said(*state, "write packs in series as BANK = A + B");
    expect_said(*state, "not taken  colour");
}

static void the_highest_cvl_for_ever_is_not_taken(void **state)
{
    assert_false(taken(*state, "config.json", "{\"cvlMode\": \"max_always\"}")->keep_max_cvl);
    expect_said(*state, "not taken  cvlMode = max_always");
}

static void what_is_no_json_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "{\"logLevel\"",
                                        "{\"logLevel\": \"DEBUG\"",
                                        "[1]",
                                        "{\"a\": [1, {}",
                                        "{\"a\": }",
                                        "{\"a\": 1, }",
                                        "{a: 1}"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        expect_refused(*state, "config.json", texts[i], "this is no JSON");
}

/* ---- the page for people ---- */

static char *slurp(const char *path)
{
    char *text = calloc(1, TEXT_BYTES);
    FILE *file = fopen(path, "r");

    assert_non_null(text);
    if (!file)
        fail_msg("%s is missing: run the tests in the top folder", path);
    assert_true(fread(text, 1, TEXT_BYTES, file) < TEXT_BYTES);
    fclose(file);
    return text;
}

static bool is_row_of(const char *page, const char *name)
{
    char cell[128];
    const char *at = page;

    snprintf(cell, sizeof cell, "`%s`", name);
    while ((at = strstr(at, cell))) {
        const char *row = at;

        while (row > page && row[-1] != '\n')
            row--;
        if (*row == '|')
            return true;
        at++;
    }
    return false;
}

static void docs_migrating_has_a_row_for_every_key(void **state)
{
    char *page = slurp("docs/migrating.md");

    (void)state;
    for (size_t i = 0; i < settings_key_count; i++) {
        if (!is_row_of(page, settings_keys[i].name))
            fail_msg("%s has no row", settings_keys[i].name);
        if (settings_keys[i].alias && !is_row_of(page, settings_keys[i].alias))
            fail_msg("%s has no row", settings_keys[i].alias);
    }
    for (size_t i = 0; i < import_json_key_count; i++) {
        if (!is_row_of(page, import_json_keys[i].name))
            fail_msg("%s has no row", import_json_keys[i].name);
    }
    free(page);
}

/* A word of capitals in backquotes that is no setting would lead people astray. */
static void docs_migrating_names_no_setting_that_is_none(void **state)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    char *page = slurp("docs/migrating.md");

    (void)state;
    for (char *at = page; (at = strchr(at, '`')); at++) {
        char name[64] = "";
        size_t length = strspn(at + 1, capitals);

        if (length < 3 || length >= sizeof name || at[1 + length] != '`')
            continue;
        memcpy(name, at + 1, length);
        if (!settings_find_key(name) && !import_python_name(name))
            fail_msg("%s is no setting", name);
    }
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_config_ini_is_taken_key_by_key),
        TEST(what_was_taken_and_what_not_is_said),
        TEST(their_default_holds_where_ours_differs),
        TEST(ignored_absence_stays_the_packs_current),
        TEST(long_lists_become_lines_that_the_reader_takes),
        TEST(what_the_daemon_would_refuse_is_shown_and_refused),
        TEST(a_settings_py_is_read_as_text),
        TEST(expressions_of_earlier_names_are_computed),
        TEST(what_is_no_plain_setting_is_named),
        TEST(a_known_key_that_cannot_be_read_refuses_the_whole),
        TEST(a_shunt_that_was_subtracted_is_still_subtracted),
        TEST(a_text_keeps_what_looks_like_a_comment),
        TEST(a_config_ini_goes_before_the_settings_py_of_its_program),
        TEST(a_program_without_settings_has_nothing_to_import),
        TEST(of_its_json_is_taken_what_has_a_counterpart),
        TEST(the_highest_cvl_for_ever_is_not_taken),
        TEST(what_is_no_json_is_refused),
        TEST(docs_migrating_has_a_row_for_every_key),
        TEST(docs_migrating_names_no_setting_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
