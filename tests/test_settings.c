#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/check.h"
#include "settings.h"
#include "settings_table.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#define assert_near(a, b) assert_true(fabs((a) - (b)) < 1e-9)

enum { FINDINGS_KEPT = 128, FINDING_BYTES = 800, FILE_BYTES = 300 * 1024 };

/* What one reading gave. */
struct bench {
    struct config config;
    struct config before;
    int count[3]; /* by severity */
    size_t kept;
    enum settings_severity severity[FINDINGS_KEPT];
    char finding[FINDINGS_KEPT][FINDING_BYTES];
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct bench));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

static void keep(void *ctx, enum settings_severity severity, const char *message)
{
    struct bench *bench = ctx;

    bench->count[severity]++;
    assert_true(strlen(message) > 0);
    for (const char *c = message; *c; c++)
        assert_false(iscntrl((unsigned char)*c)); /* one line of plain text, whatever is in the file */
    if (bench->kept == FINDINGS_KEPT)
        return;
    bench->severity[bench->kept] = severity;
    snprintf(bench->finding[bench->kept++], FINDING_BYTES, "%s", message);
}

static void forget(struct bench *bench)
{
    memset(bench, 0, sizeof *bench);
    settings_default(&bench->config);
    bench->before = bench->config;
}

static int read_bytes(struct bench *bench, const char *text, size_t length)
{
    int errors;

    forget(bench);
    errors = settings_read_text("folder/my.ini", text, length, &bench->config, keep, bench);
    if (errors > 0) /* a wrong file changes nothing */
        assert_memory_equal(&bench->config, &bench->before, sizeof bench->config);
    return errors;
}

static int read_text(struct bench *bench, const char *text)
{
    return read_bytes(bench, text, strlen(text));
}

static void print_findings(const struct bench *bench)
{
    for (size_t i = 0; i < bench->kept; i++)
        print_message("  %d %s\n", bench->severity[i], bench->finding[i]);
}

static bool found(const struct bench *bench, enum settings_severity severity, const char *part)
{
    for (size_t i = 0; i < bench->kept; i++) {
        if (bench->severity[i] == severity && strstr(bench->finding[i], part))
            return true;
    }
    return false;
}

static void expect_good(struct bench *bench, const char *text)
{
    if (read_text(bench, text) != 0 || bench->count[SETTINGS_WARNING] > 0) {
        print_findings(bench);
        fail_msg("not good: %s", text);
    }
}

/* Exactly one finding, of this severity, that begins so or has this in it. */
static void expect_only(struct bench *bench, const char *text, enum settings_severity severity,
                        const char *part)
{
    read_text(bench, text);
    if (bench->kept != 1 || !found(bench, severity, part)) {
        print_findings(bench);
        fail_msg("'%s' is not the only finding of: %s", part, text);
    }
}

static void expect_error(struct bench *bench, const char *text, const char *part)
{
    expect_only(bench, text, SETTINGS_ERROR, part);
}

static char *slurp(const char *path)
{
    char *text = calloc(1, FILE_BYTES);
    FILE *file = fopen(path, "r");

    assert_non_null(text);
    if (!file)
        fail_msg("%s is missing: run the tests in the top folder", path);
    assert_true(fread(text, 1, FILE_BYTES - 1, file) > 0);
    fclose(file);
    return text;
}

/* ---- the defaults, and what documents them ---- */

static void the_defaults_are_those_of_lfp_cells_and_of_the_reference(void **state)
{
    static const double charge_V[] = {2.90, 2.95, 3.30, 3.40, 3.45};
    static const double discharge_V[] = {2.90, 3.00, 3.10};
    struct bench *bench = *state;
    const struct config *config = &bench->config;

    forget(bench);
    assert_int_equal(config->nr_of_batteries, CONFIG_NOT_SET);
    assert_int_equal(config->nr_of_cells_per_battery, CONFIG_NOT_SET);
    assert_int_equal(config->nr_of_mppts, CONFIG_NOT_SET);
    assert_int_equal(config->battery_product_names.count, 0);
    assert_string_equal(config->multi_keyword, "com.victronenergy.vebus");
    assert_false(config->own_soc || config->own_charge_parameters || config->current_from_victron);
    assert_near(config->charge_voltage_V[0], 3.55);
    assert_near(config->charge_voltage_V[11], 3.55);
    assert_near(config->balancing_voltage_V, 3.40);
    assert_near(config->max_cell_voltage_V, 3.45);
    assert_near(config->min_cell_voltage_V, 2.90);
    assert_near(config->battery_efficiency, 0.98);
    assert_near(config->charge_save_precision, 0.0025);
    assert_int_equal(config->update_coalesce_ms, 50);
    assert_int_equal(config->log_period_s, 300);
    assert_int_equal(config->logging, LOG_INFO);
    assert_int_equal(config->charge_curve.count, 5);
    assert_int_equal(config->discharge_curve.count, 3);
    for (size_t i = 0; i < 5; i++)
        assert_near(config->charge_curve.x[i], charge_V[i]);
    for (size_t i = 0; i < 3; i++)
        assert_near(config->discharge_curve.x[i], discharge_V[i]);
    assert_near(config->charge_curve.y[3], 0.1);
    assert_near(config->discharge_curve.y[1], 0.05);
}

static void an_empty_file_gives_the_defaults(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "");
    assert_memory_equal(&bench->config, &bench->before, sizeof bench->config);
}

static void settings_ini_reads_without_a_finding_and_gives_the_defaults(void **state)
{
    struct bench *bench = *state;
    char *text = slurp("settings.ini");
    int errors = read_text(bench, text);

    free(text);
    print_findings(bench);
    assert_int_equal(errors, 0);
    assert_int_equal(bench->kept, 0);
    assert_memory_equal(&bench->config, &bench->before, sizeof bench->config);
}

/* Words with one blank between them. */
static void squeeze(const char *text, char *squeezed)
{
    for (text += strspn(text, " "); *text; text++) {
        if (!isspace((unsigned char)*text))
            *squeezed++ = *text;
        else if (text[1] && !isspace((unsigned char)text[1]))
            *squeezed++ = ' ';
    }
    *squeezed = '\0';
}

struct documented {
    const struct settings_key_help *wanted;
    char section[64];
    char comment[2048]; /* of the lines above the key */
    bool seen;
};

/* Finds the wanted key in settings.ini and keeps its section and comment. */
static void find_documented(const char *text, struct documented *out)
{
    char section[64] = "";
    char comment[2048] = "";
    size_t name_length = strlen(out->wanted->key);

    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        size_t length;

        line += *line == '\n';
        length = strcspn(line, "\n");
        if (*line == ';') {
            snprintf(comment + strlen(comment), sizeof comment - strlen(comment), " %.*s", (int)length - 1,
                     line + 1);
        } else if (*line == '[') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(line + 1, "]"), line + 1);
        } else if (strncmp(line, out->wanted->key, name_length) == 0 && line[name_length] == ' ') {
            out->seen = true;
            snprintf(out->section, sizeof out->section, "%s", section);
            squeeze(comment, out->comment);
            return;
        }
        if (*line != ';')
            comment[0] = '\0';
    }
}

static void compare_documented(void *ctx, const struct settings_key_help *key)
{
    struct documented in_file = {.wanted = key};
    char wanted[2048];
    char squeezed[2048];

    if (key->not_needed)
        return;
    find_documented(ctx, &in_file);
    if (!in_file.seen)
        fail_msg("%s is not in settings.ini", key->key);
    snprintf(wanted, sizeof wanted, "%s Allowed: %s%s%s. Default: %s.", key->help, key->range,
             *key->unit ? " " : "", key->unit, *key->default_text ? key->default_text : "empty");
    squeeze(wanted, squeezed);
    squeeze(in_file.comment, wanted);
    assert_string_equal(wanted, squeezed);
    assert_string_equal(in_file.section, key->section);
}

static void settings_ini_has_every_key_with_its_meaning_range_unit_and_default(void **state)
{
    char *text = slurp("settings.ini");

    (void)state;
    settings_each_key(compare_documented, text);
    free(text);
}

static void find_in_man_page(void *ctx, const struct settings_key_help *key)
{
    if (!strstr(ctx, key->key))
        fail_msg("%s is not in the man page", key->key);
    if (key->alias && !strstr(ctx, key->alias))
        fail_msg("%s is not in the man page", key->alias);
}

static void the_man_page_has_every_key_and_older_name(void **state)
{
    char *text = slurp("man/battery-aggregator-settings.5");

    (void)state;
    settings_each_key(find_in_man_page, text);
    free(text);
}

static void the_lto_values_of_settings_ini_are_good_together(void **state)
{
    struct bench *bench = *state;
    char *text = slurp("settings.ini");
    char block[4096] = "OWN_CHARGE_PARAMETERS = True\n";
    const char *line = strstr(text, "; ---- LTO");

    assert_non_null(line);
    while ((line = strstr(line, "\n; "))) {
        line += 3;
        snprintf(block + strlen(block), sizeof block - strlen(block), "%.*s", (int)strcspn(line, "\n") + 1,
                 line);
        line--;
    }
    free(text);
    expect_good(bench, block);
    assert_int_equal(bench->kept, 0);
    assert_near(bench->config.max_cell_voltage_V, 2.55);
    assert_near(bench->config.balancing_voltage_V, 2.5);
    assert_near(bench->config.charge_curve.x[4], 2.55);
}

/* ---- files of the Python services ---- */

/* All keys that a config.ini of 4.x has, in its shape: one section, comments between and behind. */
static const char config_4_x[] =
    "[DEFAULT]\n"
    "\n"
    "; ----- hardware -----\n"
    "NR_OF_BATTERIES = -1\n"
    "NR_OF_CELLS_PER_BATTERY = -1\n"
    "NR_OF_MPPTS = -1\n"
    "\n"
    "; ----- a comment that goes on for more than the two hundred bytes which inih takes of a line, so that "
    "inih alone would take the rest of it for a line of its own, and this rest happens to look like a "
    "setting: OWN_SOC = True\n"
    "BATTERY_SERVICE_NAME = com.victronenergy.battery\n"
    "DCLOAD_SERVICE_NAME = com.victronenergy.dcload\n"
    "BATTERY_PRODUCT_NAME_PATH = /ProductName\n"
    "BATTERY_PRODUCT_NAME = SerialBattery\n"
    "BATTERY_INSTANCE_NAME_PATH = /Serial\n"
    "MULTI_KEYWORD =\n"
    "MPPT_KEYWORD = com.victronenergy.solarcharger\n"
    "SMARTSHUNT_NAME_KEYWORD = SmartShunt\n"
    "SMARTSHUNT_INSTANCE_NAME_PATH = /CustomName\n"
    "SEARCH_TRIALS = 10\n"
    "READ_TRIALS = 10\n"
    "UPDATE_INTERVAL_FIND_DEVICES = 1\n"
    "UPDATE_INTERVAL_DATA = 1\n"
    "TIME_BEFORE_RESTART = 15\n"
    "CAN_batteries = False\n"
    "\n"
    "CURRENT_FROM_VICTRON = True\n"
    ";      drawings in comments: [Multi] ---- [1]\n"
    "USE_SMARTSHUNTS = [278, \"Front\"]\n"
    "INVERT_SMARTSHUNTS = False\n"
    "SMARTSHUNT_AS_BATTERY_CURRENT = False\n"
    "IGNORE_SMARTSHUNT_ABSENCE = false\n"
    "OWN_SOC = TRUE\n"
    "ZERO_SOC = False\n"
    "MAX_CELL_VOLTAGE_SOC_FULL = 3.45\n"
    "MIN_CELL_VOLTAGE_SOC_EMPTY = 2.90\n"
    "OWN_SOC_FULL_VOLTAGE = 0\n"
    "OWN_SOC_FULL_CELL_MEDIAN_VOLTAGE = 0\n"
    "CHARGE_SAVE_PRECISION = 0.0025\n"
    "\n"
    "OWN_CHARGE_PARAMETERS = False\n"
    "BALANCING_VOLTAGE = 3.40\n"
    "BALANCING_REPETITION = 10\n"
    "CHARGE_VOLTAGE_LIST =\n"
    "    3.55,  ; January\n"
    "    3.50,  ; February\n"
    "    3.50,  ; March\n"
    "    3.45,  ; April\n"
    "    3.40,  ; May\n"
    "    3.40,  ; June\n"
    "    3.40,  ; July\n"
    "\n"
    "    ; late summer\n"
    "    3.40,  ; August\n"
    "    3.45,  ; September\n"
    "    3.50,  ; October\n"
    "    3.50,  ; November\n"
    "    3.51   ; December\n"
    "MAX_CELL_VOLTAGE = 3.45\n"
    "MIN_CELL_VOLTAGE = 2.90\n"
    "MIN_CELL_HYSTERESIS = 0.1\n"
    "CELL_DIFF_MAX = 0.025\n"
    "BATTERY_EFFICIENCY = 0.98\n"
    "MAX_CHARGE_CURRENT = 200\n"
    "MAX_DISCHARGE_CURRENT = 150 ; the fuse has 160 A and a comment of its own that makes this line longer "
    "than what inih takes of a line, for somebody wanted to remember where he bought it, when, for how much, "
    "and MAX_CELL_VOLTAGE = 9\n"
    "CELL_CHARGE_LIMITING_VOLTAGE =\n"
    "CELL_CHARGE_LIMITED_CURRENT = 0.2, 1, 1, 0.1, 0\n"
    "CELL_DISCHARGE_LIMITING_VOLTAGE =\n"
    "CELL_DISCHARGE_LIMITED_CURRENT = 0, 0.05, 1\n"
    "KEEP_MAX_CVL = False\n"
    "SEND_CELL_VOLTAGES = 1\n"
    "LOGGING = INFO\n"
    "LOG_PERIOD = 300\n";

static void a_config_ini_of_4_x_reads_unchanged(void **state)
{
    struct bench *bench = *state;
    const struct config *config = &bench->config;

    expect_good(bench, config_4_x);
    assert_int_equal(bench->kept, 0);
    assert_int_equal(config->nr_of_batteries, CONFIG_NOT_SET);
    assert_int_equal(config->nr_of_mppts, CONFIG_NOT_SET);
    assert_string_equal(config->battery_product_names.pattern[0], "SerialBattery");
    assert_string_equal(config->battery_instance_name_path, "/Serial");
    assert_string_equal(config->multi_keyword, "");
    assert_true(config->current_from_victron && config->own_soc && config->send_cell_voltages);
    assert_int_equal(config->use_smartshunts, SHUNTS_LISTED);
    assert_near(config->charge_voltage_V[1], 3.50);
    assert_near(config->charge_voltage_V[7], 3.40);
    assert_near(config->charge_voltage_V[11], 3.51);
    assert_true(config->max_charge_current_set && config->max_discharge_current_set);
    assert_near(config->max_discharge_current_A, 150);
    assert_near(config->max_cell_voltage_V, 3.45);
}

static void every_key_of_the_table_stands_in_that_config_ini_but_ours(void **state)
{
    static const char ours[] = "BANK CURRENT_SHARING BLOCKED_PACK BLOCK_REJOIN_DIFF SOC_METHOD "
                               "UPDATE_COALESCE STALE_AFTER PACK_LOST LOST_GRACE CVL_CONTROL "
                               "FEED_IN_RETURN FEED_IN_MIN_HOLD CAPACITY PACKS IGNORE CURRENT_SOURCES "
                               "PACK_SHUNT";

    (void)state;
    for (size_t i = 0; i < settings_key_count; i++) {
        if (!strstr(config_4_x, settings_keys[i].name) && !strstr(ours, settings_keys[i].name))
            fail_msg("%s", settings_keys[i].name);
    }
}

static void a_month_above_max_cell_voltage_is_a_warning_that_tells_of_feed_in(void **state)
{
    static const char own[] = "OWN_CHARGE_PARAMETERS = True\n";
    struct bench *bench = *state;

    expect_only(bench, own, SETTINGS_WARNING, "turns DC feed-in off every noon");
    assert_true(found(bench, SETTINGS_WARNING, "January 3.55, February 3.50, March 3.50, October 3.50"));
    assert_true(found(bench, SETTINGS_WARNING, "November 3.50, December 3.55"));
    assert_false(found(bench, SETTINGS_WARNING, "April"));
    expect_good(bench, "OWN_CHARGE_PARAMETERS = False\n");
    expect_good(bench, "OWN_CHARGE_PARAMETERS = True\nMAX_CELL_VOLTAGE = 3.55\n");
}

static void names_of_the_3_x_generation_are_known(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(read_text(bench, "MULTI_KEY_WORD = multi\nMPPT_KEY_WORD = mppt\nDC_LOADS = True\n"
                                      "INVERT_SMARTSHUNT = True\nCURRENT_FROM_VICTRON = True\n"),
                     0);
    assert_string_equal(bench->config.multi_keyword, "multi");
    assert_string_equal(bench->config.mppt_keyword, "mppt");
    assert_int_equal(bench->config.use_smartshunts, SHUNTS_ALL);
}

static void the_words_of_3_x_about_shunts_mean_what_they_meant_there(void **state)
{
    static const struct {
        const char *lines, *said;
        bool subtracted, inverted;
    } cases[] = {
        {"DC_LOADS = True\nINVERT_SMARTSHUNT = False\n", "2: INVERT_SMARTSHUNT is the word of 3.x", true,
         false},
        {"DC_LOADS = True\nINVERT_SMARTSHUNT = True\n",
         "monitor is added. In today's words: USE_SMARTSHUNTS, "
         "and INVERT_SMARTSHUNTS = False",
         false, false},
        {"DC_LOADS = True\n",
         "1: DC_LOADS is the word of 3.x and means what it meant there: a shunt set to "
         "battery monitor is subtracted",
         true, false},
        {"INVERT_SMARTSHUNT = False\nUSE_SMARTSHUNTS = [278]\n", "INVERT_SMARTSHUNTS = True", true, false},
        {"DC_LOADS = True\nINVERT_SMARTSHUNTS = False\n", NULL, false, false},
        {"USE_SMARTSHUNTS = True\nINVERT_SMARTSHUNTS = True\n", NULL, false, true},
        {"DC_LOADS = False\nINVERT_SMARTSHUNT = False\n", NULL, false, false},
        {"USE_SMARTSHUNTS = True\n", NULL, false, false},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];

        snprintf(text, sizeof text, "%sCURRENT_FROM_VICTRON = True\n", cases[i].lines);
        assert_int_equal(read_text(bench, text), 0);
        assert_int_equal(bench->config.subtract_battery_shunts, cases[i].subtracted);
        assert_int_equal(bench->config.invert_smartshunts, cases[i].inverted);
        assert_int_equal(bench->count[SETTINGS_WARNING], cases[i].said != NULL);
        assert_true(!cases[i].said || found(bench, SETTINGS_WARNING, cases[i].said));
    }
}

static void that_a_shunt_s_absence_is_ignored_is_accepted_and_changes_nothing(void **state)
{
    struct bench *bench = *state;

    expect_good(bench,
                "CURRENT_FROM_VICTRON = True\nUSE_SMARTSHUNTS = True\nIGNORE_SMARTSHUNT_ABSENCE = True\n");
    assert_int_equal(bench->config.use_smartshunts, SHUNTS_ALL);
}

static void a_voltage_of_full_that_we_do_not_use_is_noted_unless_0(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "OWN_SOC_FULL_VOLTAGE = 0.0\n");
    assert_int_equal(bench->kept, 0);
    expect_only(bench, "OWN_SOC_FULL_VOLTAGE = 55.2\n", SETTINGS_NOTE, "OWN_SOC_FULL_VOLTAGE = '55.2'");
    expect_only(bench, "OWN_SOC_FULL_CELL_MEDIAN_VOLTAGE = 3.4\n", SETTINGS_NOTE, "no effect");
}

/* ---- how a file may be written ---- */

static void keys_stand_in_any_section_or_none_and_in_any_case(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "own_soc = true\n[nonsense]\nLog_Period = 60\n[bank]\ncan_BATTERIES = x\n"
                       "MAX_cell_VOLTAGE: 3.5\n");
    assert_true(bench->config.own_soc);
    assert_int_equal(bench->config.log_period_s, 60);
    assert_near(bench->config.max_cell_voltage_V, 3.5);
}

static void yes_and_no_have_many_words(void **state)
{
    static const char *const words[2][6] = {{"False", "FALSE", "no", "Off", "0", "nO"},
                                            {"True", "true", "YES", "on", "1", "yEs"}};
    struct bench *bench = *state;
    char text[64];

    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 6; i++) {
            snprintf(text, sizeof text, "OWN_SOC = %s\nZERO_SOC = %s\n", words[value][i], words[!value][i]);
            expect_good(bench, text);
            assert_int_equal(bench->config.own_soc, value);
            assert_int_equal(bench->config.zero_soc, !value);
        }
    }
    expect_error(bench, "OWN_SOC = 2\n", "my.ini:1: OWN_SOC = '2': neither True nor False. Allowed:");
    expect_error(bench, "OWN_SOC =\n", "OWN_SOC = ''");
    expect_error(bench, "OWN_SOC = True False\n", "OWN_SOC = 'True False'");
}

static void a_list_may_have_brackets_a_comma_at_its_end_and_several_lines(void **state)
{
    static const char *const lists[] = {
        "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 3.0, 3.2\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.9, 3.0, 3.2]\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.9,3.0,3.2,]\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE =\n  2.9, ; first\n\t3.0, # second\n\n ; between\n  3.2,\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE = [ ; opened\n  2.9,\n  3.0, 3.2\n  ] ; closed\nOWN_SOC = 1\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9,\r\n  3.0,\r\n  3.2\r\n",
        "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9,\n  3.0,\n  3.2", /* no line feed at the end */
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        expect_good(bench, lists[i]);
        assert_int_equal(bench->config.discharge_curve.count, 3);
        assert_near(bench->config.discharge_curve.x[0], 2.9);
        assert_near(bench->config.discharge_curve.x[1], 3.0);
        assert_near(bench->config.discharge_curve.x[2], 3.2);
    }
}

static void what_is_no_list_of_numbers_is_an_error(void **state)
{
    static const char *const lists[] = {"[2.9, 3.0, 3.2", "2.9, 3.0, 3.2]",  "2.9 3.0 3.2",
                                        "2.9,, 3.0, 3.2", "[[2.9, 3, 3.2]]", "2.9, 3.0, x",
                                        "2.9, nan, 3.2",  "2.9, 3.0, inf",   "2.9; 3.0",
                                        "2.9, 0x3, 3.2",  ", 2.9, 3, 3.2",   "2.9, 3.0, 3.2 V"};
    struct bench *bench = *state;
    char text[128];

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        snprintf(text, sizeof text, "CELL_DISCHARGE_LIMITING_VOLTAGE = %s\n", lists[i]);
        expect_error(bench, text, "my.ini:1: CELL_DISCHARGE_LIMITING_VOLTAGE = '");
    }
}

static void a_bracket_that_is_missing_or_not_the_last_is_told_with_its_place(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.9, 3.0, 3.2\n",
                 "': the ']' is missing (at its end). Allowed: ");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.9,\n   3.0, 3.2, ; the last\nOWN_SOC = 1\n",
                 "my.ini:1: CELL_DISCHARGE_LIMITING_VOLTAGE = '[2.9, 3.0, 3.2,': the ']' is missing");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 3.0, 3.2]\n",
                 "the '[' at the beginning is missing (at ']')");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.9, 3.0], 3.2\n",
                 "something stands behind the ']' (at ', 3.2')");
    expect_error(bench, "USE_SMARTSHUNTS = [278, \"Front\"\n", "': the ']' is missing (at its end)");
    expect_error(bench, "USE_SMARTSHUNTS = 278, 279]\n", "the '[' at the beginning is missing (at ']')");
    expect_error(bench, "USE_SMARTSHUNTS = [278] x\n", "something stands behind the ']' (at 'x')");
}

static void a_list_may_name_numbers_of_other_settings(void **state)
{
    struct bench *bench = *state;
    const struct curve *curve = &bench->config.charge_curve;

    expect_good(bench, "CELL_CHARGE_LIMITING_VOLTAGE = [MIN_CELL_VOLTAGE, MIN_CELL_VOLTAGE + 0.05,\n"
                       "    balancing_voltage - 0.1, BALANCING_VOLTAGE, MAX_CELL_VOLTAGE]\n"
                       "MIN_CELL_VOLTAGE = 2.8\nMAX_CELL_VOLTAGE = 3.5\n");
    assert_near(curve->x[0], 2.8);
    assert_near(curve->x[1], 2.85);
    assert_near(curve->x[2], 3.3);
    assert_near(curve->x[4], 3.5);
    expect_error(bench, "CELL_CHARGE_LIMITING_VOLTAGE = MIN_CELL_VOLTAGE, NO_SUCH_THING, 3, 3.1, 3.2\n",
                 "(at 'NO_SUCH_THING");
    expect_error(bench, "CELL_CHARGE_LIMITING_VOLTAGE = MIN_CELL_VOLTAGE * 1.1, 3, 3.1, 3.2, 3.3\n",
                 "(at '* 1.1");
    expect_error(bench, "CELL_CHARGE_LIMITING_VOLTAGE = OWN_SOC, 3, 3.1, 3.2, 3.3\n", "(at 'OWN_SOC");
}

static void a_single_number_that_names_another_setting_is_refused_not_guessed(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "MAX_CHARGE_CURRENT = MAX_DISCHARGE_CURRENT\nMAX_DISCHARGE_CURRENT = 150\n",
                 "names of other settings may stand in lists only");
}

/* Names on the bus are UTF-8: a Latin-1 one would fit none of them, and not look wrong. A comment may be. */
static void a_name_that_is_not_utf_8_is_told(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "BANK = M\xFChle + B\n", "my.ini:1: BANK = 'M\xFChle + B': not UTF-8");
    expect_error(bench, "PACKS = M\xFChle\n", "not UTF-8 text. Save the file as UTF-8");
    expect_error(bench, "BATTERY_PRODUCT_NAME = caf\xC3\n", "not UTF-8");
    expect_good(bench, "BANK = M\xC3\xBChle + \xE6\x88\xBF\xE5\xAD\x90 + \xF0\x9F\x94\x8B\n");
    expect_good(bench, "; Gr\xF6\xDF"
                       "e\nBANK = A + B ; gro\xDF\n");
}

static void a_byte_order_mark_and_windows_line_ends_do_no_harm(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "\xEF\xBB\xBF[DEFAULT]\r\nOWN_SOC = True\r\nLOG_PERIOD = 60\r\n");
    assert_true(bench->config.own_soc);
    assert_int_equal(bench->config.log_period_s, 60);
    expect_good(bench, "\xEF\xBB\xBFOWN_SOC = True\n");
    assert_true(bench->config.own_soc);
}

static void a_line_that_begins_with_a_comment_sign_is_one_however_long(void **state)
{
    struct bench *bench = *state;
    char text[1600];

    for (const char *sign = "#;"; *sign; sign++) {
        for (int indent = 0; indent <= 2; indent += 2) {
            snprintf(
                text, sizeof text,
                "LOG_PERIOD = 60\n%*s%c OWN_SOC = True\n%*s%c%*s OWN_SOC = True\n%*s%c%*s\nZERO_SOC = 1\n",
                indent, "", *sign, indent, "", *sign, 198 - indent, "", indent, "", *sign, 900,
                "OWN_SOC = True");
            expect_good(bench, text);
            assert_int_equal(bench->kept, 0);
            assert_int_equal(bench->config.log_period_s, 60);
            assert_true(bench->config.zero_soc);
            assert_false(bench->config.own_soc);
        }
    }
}

static void texts_may_have_quotes_and_keep_what_is_no_comment(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "BATTERY_PRODUCT_NAME = \"Pack #1\"\nSMARTSHUNT_NAME_KEYWORD = 'My Shunt' ; mine\n");
    assert_string_equal(bench->config.battery_product_names.pattern[0], "Pack #1");
    assert_string_equal(bench->config.smartshunt_name_keyword, "My Shunt");
    expect_good(bench, "BATTERY_PRODUCT_NAME = A;B #2 = x\n");
    assert_string_equal(bench->config.battery_product_names.pattern[0], "A;B #2 = x");
    expect_good(bench, "BATTERY_PRODUCT_NAME =;all of them\n");
    assert_int_equal(bench->config.battery_product_names.count, 0);
    expect_error(bench, "BATTERY_PRODUCT_NAME = \"A ;B\"\n", "a quote is missing");
    expect_error(bench, "BATTERY_SERVICE_NAME =\n", "BATTERY_SERVICE_NAME = '': empty");
    expect_error(bench, "BATTERY_INSTANCE_NAME_PATH = /Name\n",
                 "Allowed: /ProductName, /CustomName or /Serial");
}

static void a_text_is_taken_whole_or_not_at_all(void **state)
{
    struct bench *bench = *state;
    char name[CONFIG_TEXT_MAX + 1];
    char text[128];

    memset(name, 'n', sizeof name);
    name[CONFIG_TEXT_MAX - 1] = '\0';
    snprintf(text, sizeof text, "BATTERY_PRODUCT_NAME = %s\n", name);
    expect_good(bench, text);
    assert_string_equal(bench->config.battery_product_names.pattern[0], name);
    name[CONFIG_TEXT_MAX - 1] = 'n';
    name[CONFIG_TEXT_MAX] = '\0';
    snprintf(text, sizeof text, "BATTERY_PRODUCT_NAME = %s\n", name);
    expect_error(bench, text, "too long");
}

static void smartshunts_are_none_all_or_those_listed(void **state)
{
    struct bench *bench = *state;
    const struct config *config = &bench->config;

    expect_good(bench, "USE_SMARTSHUNTS = []\n");
    assert_int_equal(config->use_smartshunts, SHUNTS_NONE);
    expect_good(bench, "USE_SMARTSHUNTS =\n");
    assert_int_equal(config->use_smartshunts, SHUNTS_NONE);
    expect_good(bench, "USE_SMARTSHUNTS = true\nCURRENT_FROM_VICTRON = True\n");
    assert_int_equal(config->use_smartshunts, SHUNTS_ALL);
    expect_good(bench, "USE_SMARTSHUNTS = 278\nCURRENT_FROM_VICTRON = True\n");
    assert_int_equal(config->smartshunts.count, 1);
    assert_string_equal(config->smartshunts.name[0], "278");
    expect_good(bench, "USE_SMARTSHUNTS = [278, \"Front, left\", 'Rear' ,\n  Middle one,]\n"
                       "CURRENT_FROM_VICTRON = True\n");
    assert_int_equal(config->use_smartshunts, SHUNTS_LISTED);
    assert_int_equal(config->smartshunts.count, 4);
    assert_string_equal(config->smartshunts.name[1], "Front, left");
    assert_string_equal(config->smartshunts.name[2], "Rear");
    assert_string_equal(config->smartshunts.name[3], "Middle one");
    expect_error(bench, "USE_SMARTSHUNTS = Flase\n", "USE_SMARTSHUNTS = 'Flase'");
    expect_error(bench, "USE_SMARTSHUNTS = [278\n", "USE_SMARTSHUNTS");
    expect_error(bench, "USE_SMARTSHUNTS = [278] x\n", "USE_SMARTSHUNTS");
    expect_error(bench, "USE_SMARTSHUNTS = [\"Front]\n", "USE_SMARTSHUNTS");
    expect_error(bench, "USE_SMARTSHUNTS = [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]\n", "up to 16");
}

static void packs_are_named_with_or_without_quotes_and_by_instance(void **state)
{
    struct bench *bench = *state;
    const struct pattern_list *packs = &bench->config.packs;

    expect_good(bench, "PACKS = \"House 1, left\", #289 , Pylon* ,'A: B',\n");
    assert_int_equal(packs->count, 4);
    assert_string_equal(packs->pattern[0], "House 1, left");
    assert_string_equal(packs->pattern[1], "#289");
    assert_string_equal(packs->pattern[2], "Pylon*");
    assert_string_equal(packs->pattern[3], "A: B");
    expect_good(bench, "PACKS = [House 1]\nIGNORE = [\"#1 of all\"]\n");
    assert_string_equal(packs->pattern[0], "House 1");
    assert_string_equal(bench->config.ignore.pattern[0], "#1 of all");
    expect_good(bench, "BATTERY_PRODUCT_NAME = SerialBattery, \"Pylon, 48 V\"\n");
    assert_int_equal(bench->config.battery_product_names.count, 2);
    assert_string_equal(bench->config.battery_product_names.pattern[1], "Pylon, 48 V");
}

static void a_wrong_list_of_names_is_told_with_its_place_and_what_to_do(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "PACKS = \"House 1\" \"House 2\"\n", "a comma is missing (at '\"House 2\"')");
    expect_error(bench, "PACKS = A, \"House\n", "a quote is missing (what stands behind a blank");
    expect_error(bench, "PACKS = A,, B\n", "nothing stands between two commas (at ', B')");
    expect_error(bench, "PACKS = #left\n", "put a name that begins with # in quotes (at '#left')");
    expect_error(bench, "IGNORE = [A, B\n", "the ']' is missing (at its end)");
    expect_error(bench, "IGNORE = [A] B\n", "behind the ']' (at 'B')");
    expect_error(bench, "IGNORE = A, \"\"\n", "a name is missing (at '\"\"')");
}

static void an_instance_that_begins_a_line_is_no_comment_by_accident(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "PACKS = A,\n   #289\n", "my.ini:2: '#289': a line that begins with # is a comment");
    expect_good(bench, "PACKS = A,\n   B, #289\n   # the two of them\n");
    assert_int_equal(bench->config.packs.count, 3);
}

/* None of these lists is silently shorter than it looks. */
static void a_comment_sign_takes_no_name_out_of_a_list_unsaid(void **state)
{
    static const struct {
        const char *text;
        enum settings_severity severity;
        const char *finding;
    } cases[] = {
        {"PACKS = A,\n#289\nOWN_SOC = 1\n", SETTINGS_ERROR,
         "my.ini:2: '#289': a line that begins with # is a comment. Put this instance at the end"},
        {"BANK =\n  #288 |\n  #289\n", SETTINGS_ERROR, "my.ini:2: '#288 |': a line that begins with #"},
        {"USE_SMARTSHUNTS = [278,\n  #288\n  ]\nCURRENT_FROM_VICTRON = 1\n", SETTINGS_ERROR,
         "my.ini:2: '#288'"},
        {"PACKS = \"A\" ; \"B\", C\n", SETTINGS_WARNING, "my.ini:1: PACKS: '\"B\", C' is a comment"},
        {"IGNORE = A, #288 ;#289\n", SETTINGS_WARNING,
         "IGNORE: '#289' is a comment, for it stands behind a blank"},
        {"BANK = A + B ; #289\n", SETTINGS_WARNING, "BANK: '#289' is a comment"},
        {"PACKS = A #289, B\n", SETTINGS_WARNING,
         "PACKS: '#289, B' is taken for a part of the name before it"},
        {"PACKS = A # the old\n", SETTINGS_WARNING, "PACKS: '# the old' is taken for a part of the name"},
        {"PACKS = \"C\", A; B\n", SETTINGS_WARNING, "PACKS: '; B' is taken for a part of the name"},
        {"BANK = A + B # old\n", SETTINGS_WARNING, "BANK: '# old' is taken for a part of the name"},
        {"BATTERY_PRODUCT_NAME = A # old\n", SETTINGS_WARNING, "put that name in quotes"},
        {"PACKS = House 1\n  House 2\n", SETTINGS_WARNING, "my.ini:2: PACKS: 'House 2' continues the name"},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_only(bench, cases[i].text, cases[i].severity, cases[i].finding);
}

static void what_is_plainly_a_comment_or_a_name_is_said_by_nobody(void **state)
{
    static const char *const texts[] = {
        "PACKS = \"A\", #288\n",
        "PACKS = A, ; the first\n   B ; \"B\" is in the cellar\n",
        "PACKS = A ; #1 of two\n; \"C\"\n#289\n",
        "PACKS = [ ; \"all\" of them\n  A, 'B # 2',\n  \"C #3\"\n  ]\n",
        "PACKS = ; \"House 1\", #289\n",
        "BANK = (A + #288) |\n   (#289 + \"B; C # 1\")\n",
        "BANK = A\n  + B\n",
        "PACK_SHUNT = A: #279\n   soc, #2: #280\n",
        "BATTERY_PRODUCT_NAME = Pack #1, A;B\n",
        "CURRENT_SOURCES = vebus, - #288\nCURRENT_FROM_VICTRON = 1\n",
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        expect_good(bench, texts[i]);
        assert_int_equal(bench->kept, 0);
    }
}

static void a_shunt_may_be_named_by_the_sign_of_an_instance(void **state)
{
    struct bench *bench = *state;
    const struct config *config = &bench->config;

    expect_good(bench, "USE_SMARTSHUNTS = \"Front\", #288, \"#7\", #x\nCURRENT_FROM_VICTRON = True\n");
    assert_int_equal(config->smartshunts.count, 4);
    assert_string_equal(config->smartshunts.name[1], "288");
    assert_string_equal(config->smartshunts.name[2], "#7");
    assert_string_equal(config->smartshunts.name[3], "#x");
}

static void a_pack_has_a_shunt_by_instance_with_soc_if_told(void **state)
{
    struct bench *bench = *state;
    const struct pack_shunts *shunts = &bench->config.pack_shunts;

    expect_good(bench, "PACK_SHUNT = \"House: 1\": 279, #2 : #280 soc, C:-281\n");
    assert_int_equal(shunts->count, 3);
    assert_string_equal(shunts->shunt[0].pack, "House: 1");
    assert_int_equal(shunts->shunt[0].instance, 279);
    assert_false(shunts->shunt[0].soc || shunts->shunt[0].inverted || shunts->shunt[1].inverted);
    assert_string_equal(shunts->shunt[1].pack, "#2");
    assert_int_equal(shunts->shunt[1].instance, 280);
    assert_true(shunts->shunt[1].soc && shunts->shunt[2].inverted);
    expect_error(bench, "PACK_SHUNT = A\n",
                 "the shunt of this pack is missing, as in \"House 1\": 279 (at 'A')");
    expect_error(bench, "PACK_SHUNT = A: left\n", "the instance of a shunt, a number");
    expect_good(bench, "PACK_SHUNT = [A: +279, 'B': -#280 soc]\n");
    expect_error(bench, "PACK_SHUNT = A: 12345678901\n", "the instance of a shunt, a number");
    expect_error(bench, "PACK_SHUNT = [A: 279\n", "the ']' is missing");
    expect_error(bench, "PACK_SHUNT = \"A: 279\n", "a quote is missing");
    expect_error(bench, "PACK_SHUNT = A: 279 B: 280\n", "only soc may stand");
    expect_error(bench, "PACK_SHUNT = #x: 279\n", "behind # stands an instance");
    expect_error(bench, "PACK_SHUNT = A: 279 sok\n", "only soc may stand (at 'sok')");
    expect_error(bench, "PACK_SHUNT = A: 279, A: 280\n", "this pack stands twice");
    expect_error(bench, "PACK_SHUNT = A: 279, B: 279\n", "it measures one pack only (at 'B: 279')");
}

static void sources_of_current_are_classes_and_instances_with_a_sign(void **state)
{
    struct bench *bench = *state;
    const struct current_source *source = bench->config.current_sources.source;

    expect_good(bench, "");
    assert_int_equal(bench->config.current_sources.count, 2);
    assert_true(source[0].dc_class == DC_VEBUS && source[1].dc_class == DC_SOLARCHARGER);
    expect_good(bench, "CURRENT_FROM_VICTRON = True\nCURRENT_SOURCES = multi, -dcload#31, +#30, + dcdc\n");
    assert_int_equal(bench->config.current_sources.count, 4);
    assert_true(source[0].dc_class == DC_MULTI && source[0].instance == CONFIG_NOT_SET &&
                source[0].sign == 0);
    assert_true(source[1].dc_class == DC_DCLOAD && source[1].instance == 31 && source[1].sign == -1);
    assert_true(source[2].dc_class == DC_ANY && source[2].instance == 30 && source[2].sign == 1);
    assert_true(source[3].dc_class == DC_DCDC && source[3].sign == 1);
    expect_error(bench, "CURRENT_SOURCES = vebus, -mppt\n",
                 "no class of services on the DC side (at '-mppt')");
    expect_error(bench, "CURRENT_SOURCES = mppt\n", "dcsystem, motordrive, battery, #INSTANCE");
    expect_error(bench, "CURRENT_SOURCES = dcload#x\n", "behind # stands an instance");
    expect_error(bench, "CURRENT_SOURCES = vebus, , dcload\n", "nothing stands between two commas");
    expect_error(bench, "CURRENT_SOURCES = -\n", "neither a class of services nor #INSTANCE");
    expect_error(bench, "CURRENT_SOURCES = [vebus\n", "the ']' is missing");
    expect_error(bench, "CURRENT_SOURCES = #1, -#1\n", "this stands twice");
    expect_error(bench, "CURRENT_SOURCES = dcload, -dcload\n", "this stands twice");
    expect_error(bench, "CURRENT_SOURCES = dcload dcsystem\n", "a comma is missing (at 'dcsystem')");
}

static void sources_that_count_twice_by_the_settings_are_told(void **state)
{
    static const char victron[] = "CURRENT_FROM_VICTRON = True\n";
    struct bench *bench = *state;
    char text[256];

    snprintf(text, sizeof text, "%sCURRENT_SOURCES = acsystem, multi\n", victron);
    expect_only(bench, text, SETTINGS_WARNING, "the sum of its multis");
    snprintf(text, sizeof text, "%sCURRENT_SOURCES = #279\nPACK_SHUNT = A: 279\n", victron);
    expect_only(bench, text, SETTINGS_WARNING, "it counts for that pack only");
    snprintf(text, sizeof text, "%sUSE_SMARTSHUNTS = [278, 279]\nPACK_SHUNT = A: 279\n", victron);
    expect_only(bench, text, SETTINGS_WARNING, "USE_SMARTSHUNTS names 279, which PACK_SHUNT gives");
    snprintf(text, sizeof text, "%sCURRENT_SOURCES = dcdc\n", victron);
    expect_only(bench, text, SETTINGS_NOTE, "Write +dcdc if its output charges the bank");
    expect_only(bench, "CURRENT_SOURCES = vebus\n", SETTINGS_NOTE, "CURRENT_SOURCES has no effect");
    expect_only(bench, "PACKS = A\nBATTERY_PRODUCT_NAME = B\n", SETTINGS_NOTE, "while PACKS names the packs");
}

/* A list of so many elements "x1", "x2", ... or "x1: 1", "x2: 2", ... on lines short enough to be read. */
static const char *long_list(const char *key, const char *name, bool numbered, int count)
{
    static char text[4096];
    size_t used = (size_t)snprintf(text, sizeof text, "%s = ", key);

    for (int i = 1; i <= count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", name, i);
        if (numbered)
            used += (size_t)snprintf(text + used, sizeof text - used, ": %d", i);
        used += (size_t)snprintf(text + used, sizeof text - used, i < count ? ",\n  " : "\n");
    }
    return text;
}

static void a_list_of_names_that_is_full_takes_no_more(void **state)
{
    struct bench *bench = *state;
    struct config *config = &bench->config;

    expect_good(bench, long_list("IGNORE", "x", false, CONFIG_PATTERNS_MAX));
    assert_int_equal(config->ignore.count, CONFIG_PATTERNS_MAX);
    assert_string_equal(config->ignore.pattern[CONFIG_PATTERNS_MAX - 1], "x32");
    expect_error(bench, long_list("IGNORE", "x", false, CONFIG_PATTERNS_MAX + 1), "too many names: let *");
    expect_good(bench, long_list("PACK_SHUNT", "x", true, CONFIG_NAMES_MAX));
    assert_int_equal(config->pack_shunts.shunt[CONFIG_NAMES_MAX - 1].instance, CONFIG_NAMES_MAX);
    expect_error(bench, long_list("PACK_SHUNT", "x", true, CONFIG_NAMES_MAX + 1), "too many shunts");
    assert_int_equal(read_text(bench, long_list("CURRENT_SOURCES", "dcload#", false, CONFIG_NAMES_MAX)), 0);
    assert_int_equal(config->current_sources.count, CONFIG_NAMES_MAX);
    expect_error(bench, long_list("CURRENT_SOURCES", "dcload#", false, CONFIG_NAMES_MAX + 1),
                 "too many sources: name their classes");
}

static void a_list_of_nobody_is_one_of_two_quotes_and_an_instance_has_a_size(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "IGNORE = \"\"\nPACKS = ''\n");
    assert_int_equal(bench->config.ignore.count, 0);
    assert_int_equal(bench->config.packs.count, 0);
    expect_error(bench, "IGNORE = #12345678901\n", "behind # stands an instance");
    expect_error(bench, "IGNORE = #\n", "behind # stands an instance");
    expect_error(bench, "PACK_SHUNT = A: 279 soc5\n", "only soc may stand (at 'soc5')");
    expect_good(bench, "PACK_SHUNT = A: 279 soc\n");
    assert_true(bench->config.pack_shunts.shunt[0].soc);
    expect_error(bench, "PACKS = A,\n   #289, \"a long name that stands behind it\"\n",
                 "a line that begins with # is a comment");
}

static void only_the_sources_by_default_are_said_by_nobody(void **state)
{
    static const char *const others[] = {"vebus, solarcharger#5", "vebus, -solarcharger", "#5, solarcharger",
                                         "vebus, solarcharger, alternator"};
    struct bench *bench = *state;
    char text[80];

    expect_good(bench, "CURRENT_SOURCES = vebus, solarcharger\n");
    assert_int_equal(bench->kept, 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        snprintf(text, sizeof text, "CURRENT_SOURCES = %s\n", others[i]);
        expect_only(bench, text, SETTINGS_NOTE, "while CURRENT_FROM_VICTRON is False");
    }
}

/* What cannot be that shunt, by its class or by its name, is none of the pack's. */
static void a_source_of_another_class_with_the_number_of_a_packs_shunt_is_another_device(void **state)
{
    static const char begin[] = "CURRENT_FROM_VICTRON = True\nPACK_SHUNT = A: 279\n";
    struct bench *bench = *state;
    char text[160];

    snprintf(text, sizeof text, "%sCURRENT_SOURCES = acsystem, alternator#279\n", begin);
    expect_good(bench, text);
    assert_int_equal(bench->kept, 0);
    snprintf(text, sizeof text, "%sCURRENT_SOURCES = battery#279\n", begin);
    expect_only(bench, text, SETTINGS_WARNING, "it counts for that pack only");
    snprintf(text, sizeof text, "%sCURRENT_SOURCES = dcload#279\n", begin);
    expect_only(bench, text, SETTINGS_WARNING, "it counts for that pack only");
    snprintf(text, sizeof text, "%sUSE_SMARTSHUNTS = [\"279 a\", \"Front\", 280]\n", begin);
    expect_good(bench, text);
    assert_int_equal(bench->kept, 0);
}

static void a_choice_is_one_of_its_words_and_no_other(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "PACK_LOST = Hold\nSOC_METHOD = reference\n");
    assert_int_equal(bench->config.pack_lost, PACK_LOST_HOLD);
    assert_int_equal(bench->config.soc_method, SOC_REFERENCE);
    expect_error(bench, "PACK_LOST = sometimes\n",
                 "none of the words that are known. Allowed: degrade, hold or stop");
    expect_error(bench, "PACK_LOST = hol\n", "PACK_LOST = 'hol'");
    expect_error(bench, "PACK_LOST = holds\n", "PACK_LOST = 'holds'");
    expect_error(bench, "PACK_LOST = or\n", "PACK_LOST = 'or'");
    expect_error(bench, "PACK_LOST =\n", "PACK_LOST = ''");
}

static void the_name_of_a_shunt_is_taken_whole_or_not_at_all(void **state)
{
    struct bench *bench = *state;
    char name[CONFIG_TEXT_MAX + 1];
    char text[160];

    memset(name, 'n', sizeof name);
    name[CONFIG_TEXT_MAX] = '\0';
    snprintf(text, sizeof text, "USE_SMARTSHUNTS = ['%s']\n", name);
    expect_error(bench, text, "USE_SMARTSHUNTS");
    name[CONFIG_TEXT_MAX - 1] = '\0';
    snprintf(text, sizeof text, "CURRENT_FROM_VICTRON = True\nUSE_SMARTSHUNTS = ['%s']\n", name);
    expect_good(bench, text);
    assert_string_equal(bench->config.smartshunts.name[0], name);
    expect_error(bench, "USE_SMARTSHUNTS = ['']\n", "USE_SMARTSHUNTS");
    expect_error(bench, "USE_SMARTSHUNTS = ['a' 'b']\n", "USE_SMARTSHUNTS");
    expect_error(bench, "USE_SMARTSHUNTS = [, 1]\n", "USE_SMARTSHUNTS");
}

static void a_curve_has_two_to_sixteen_points(void **state)
{
    struct bench *bench = *state;
    char text[256] = "CELL_DISCHARGE_LIMITING_VOLTAGE = ";

    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 3\nCELL_DISCHARGE_LIMITED_CURRENT = 0, 0.5, 1\n",
                 "one point is no curve");
    for (int i = 0; i < CURVE_POINTS_MAX + 1; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s2.%d", i ? ", " : "", 70 + i);
    strcat(text, "\n");
    expect_error(bench, text, "too many points");
}

/* It is read over by what stands in its place: nothing is guessed. */
static void words_that_are_no_setting_however_long_are_no_number(void **state)
{
    struct bench *bench = *state;
    char text[256];

    snprintf(text, sizeof text, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.8, %0*d\n", 0, 3);
    memset(text + strlen("CELL_DISCHARGE_LIMITING_VOLTAGE = 2.8, "), 'A', 100);
    strcpy(text + strlen("CELL_DISCHARGE_LIMITING_VOLTAGE = 2.8, ") + 100, "\n");
    expect_error(bench, text, "not a list of numbers (at 'AAAA");
    memset(text, 'B', 150);
    strcpy(text + 150, " = 1\n");
    expect_error(bench, text, "is no setting. Remove the line");
    expect_error(bench, "BATTERY_PRODUCT_NAME = '\n", "a quote is missing");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = [2.8, 3, 3.1] and more\n",
                 "something stands behind the ']' (at 'and more')");
}

static void whoever_does_not_listen_is_told_the_number_of_errors_all_the_same(void **state)
{
    static const char wrong[] = "NO_SUCH_THING = 1\nMAX_CELL_VOLTAGE = 34\n";
    struct bench *bench = *state;

    forget(bench);
    assert_int_equal(settings_read_text("my.ini", wrong, strlen(wrong), &bench->config, NULL, NULL), 2);
    assert_int_equal(settings_read("/nowhere/settings.ini", &bench->config, NULL, NULL), 1);
    assert_memory_equal(&bench->config, &bench->before, sizeof bench->config);
}

static void a_current_left_empty_is_200_A_and_no_cap(void **state)
{
    struct bench *bench = *state;
    const struct config *config = &bench->config;

    expect_good(bench, "MAX_CHARGE_CURRENT =\n");
    assert_near(config->max_charge_current_A, 200);
    assert_false(config->max_charge_current_set || config->max_discharge_current_set);
    expect_good(bench, "MAX_CHARGE_CURRENT = 200\nMAX_DISCHARGE_CURRENT = 80.5 ; A\n");
    assert_true(config->max_charge_current_set && config->max_discharge_current_set);
    assert_near(config->max_discharge_current_A, 80.5);
    expect_only(bench, "MAX_CHARGE_CURRENT = 0\n", SETTINGS_WARNING, "never charged");
    expect_only(bench, "MAX_DISCHARGE_CURRENT = 0\n", SETTINGS_WARNING, "never discharged");
}

/* ---- what is wrong is said ---- */

static void an_error_names_file_line_key_what_was_found_and_what_is_allowed(void **state)
{
    struct bench *bench = *state;

    read_text(bench, "\n\nMAX_CELL_VOLTAGE = 34 ; oops\n");
    assert_int_equal(bench->kept, 1);
    assert_string_equal(bench->finding[0],
                        "my.ini:3: MAX_CELL_VOLTAGE = '34': out of range. Allowed: 1 to 5 V");
}

static void all_errors_are_told_at_once(void **state)
{
    struct bench *bench = *state;
    int errors = read_text(bench, "[DEFAULT]\nMAX_CELL_VOLTAGE = 34\nNR_OF_BATERIES = 2\nOWN_SOC = perhaps\n"
                                  "nonsense\nmore nonsense\n[open\n");

    assert_int_equal(errors, 6);
    assert_int_equal(bench->count[SETTINGS_ERROR], 6);
    for (int line = 2; line <= 7; line++) {
        char where[32];

        snprintf(where, sizeof where, "my.ini:%d: ", line);
        assert_true(found(bench, SETTINGS_ERROR, where));
    }
}

/* Whatever finds them (the lines, the values, the checks across keys): whoever mends them goes down the file.
 */
static void findings_are_told_by_line_from_top_to_bottom(void **state)
{
    static const char text[] = "LOG_PERIOD = soon\n"                  /* a value; late in the table */
                               "MIN_CELL_VOLTAGE = 3.6\n"             /* a check across keys */
                               "CELL_CHARGE_LIMITED_CURRENT = 1, x\n" /* a list */
                               "OWN_SOC_FULL_VOLTAGE = 3.4\n"         /* a note */
                               "NR_OF_BATTERIES = many\n"             /* the first of the table */
                               "nonsense\n"                           /* found before all others */
                               "CELL_DISCHARGE_LIMITED_CURRENT = 0, 1\n" /* a curve */;
    struct bench *bench = *state;
    char begin[32];

    assert_int_equal(read_text(bench, text), 6);
    for (size_t i = 0; i < 7; i++) {
        snprintf(begin, sizeof begin, "my.ini:%zu: ", i + 1);
        if (bench->kept <= i || strncmp(bench->finding[i], begin, strlen(begin)) != 0) {
            print_findings(bench);
            fail_msg("line %zu is not in its place", i + 1);
        }
    }
    read_text(bench, "OWN_SOC = 7\nOWN_SOC = True\nINVERT_SMARTSHUNT = True\nUSE_SMARTSHUNTS = x\n");
    assert_non_null(strstr(bench->finding[0], "my.ini:1: OWN_SOC = '7'"));
    assert_non_null(strstr(bench->finding[1], "my.ini:2: OWN_SOC stands already on line 1"));
}

/* What stands above is never given up for what stands below. */
static void of_too_many_findings_those_of_the_first_lines_are_told(void **state)
{
    static char text[20000];
    struct bench *bench = *state;

    strcpy(text, "LOG_PERIOD = soon\n");
    for (int i = 0; i < 200; i++)
        strcat(text, "nonsense here\n");
    assert_int_equal(read_text(bench, text), 201);
    assert_int_equal(bench->kept, 101);
    assert_non_null(strstr(bench->finding[0], "my.ini:1: LOG_PERIOD = 'soon'"));
    assert_non_null(strstr(bench->finding[99], "my.ini:100: "));
    assert_non_null(strstr(bench->finding[100], "101 more findings are not shown"));
}

static void a_misspelt_key_is_told_the_nearest_real_one(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "NR_OF_BATERIES = 2\n",
                 "NR_OF_BATERIES is no setting. Did you mean NR_OF_BATTERIES?");
    expect_error(bench, "MAX_CEL_VOLTAGE = 3.5\n", "Did you mean MAX_CELL_VOLTAGE?");
    expect_error(bench, "max-charge-current = 3.5\n", "Did you mean MAX_CHARGE_CURRENT?");
    expect_error(bench, "MULTI_KEYWRD = x\n", "Did you mean MULTI_KEYWORD?");
    expect_error(bench, "DC_LOAD = True\n", "Did you mean USE_SMARTSHUNTS?"); /* near its older name */
    expect_error(bench, "FLUX_CAPACITOR = 88\n", "FLUX_CAPACITOR is no setting. Remove the line");
    expect_error(bench, "= 2\n", "my.ini:1: the name before '=' is missing");
}

static void a_key_given_twice_is_an_error_that_names_both_lines(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "OWN_SOC = True\n[x]\nown_soc = False\n",
                 "my.ini:3: own_soc stands already on line 1");
    expect_error(bench, "MULTI_KEY_WORD = a\nMULTI_KEYWORD = b\n",
                 ":2: MULTI_KEYWORD stands already on line 1");
    expect_error(bench,
                 "CELL_DISCHARGE_LIMITED_CURRENT = 0, 0.05, 1\nCELL_DISCHARGE_LIMITED_CURRENT = 0,\n  1\n",
                 "stands already on line 1");
}

static void what_is_no_plain_number_is_an_error(void **state)
{
    static const char *const numbers[] = {"nan", "inf", "-inf", "1e999", "0x3",     "0X3",   "3.45V",
                                          "",    "+-3", "3.4.", "three", "3.4 3.5", "[3.4]", "--3"};
    struct bench *bench = *state;
    char text[64];

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(text, sizeof text, "MAX_CELL_VOLTAGE = %s\n", numbers[i]);
        expect_error(bench, text, "not a number. Allowed: 1 to 5 V");
    }
    expect_error(bench, "MAX_CELL_VOLTAGE = 3,45\n", "decimals are written with a point");
    expect_error(bench, "BALANCING_REPETITION = 2.5\n", "not a whole number");
    expect_error(bench, "LOGGING = LOUD\n", "Allowed: ERROR, WARNING, INFO or DEBUG");
}

static void every_number_has_a_range_and_nothing_outside_it_passes(void **state)
{
    struct bench *bench = *state;
    char text[128];

    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];
        const double outside[] = {key->min - 1, key->max + 1};

        if (key->type != KEY_WHOLE && key->type != KEY_REAL && key->type != KEY_REAL_SET &&
            key->type != KEY_COUNT)
            continue;
        assert_true(key->max > key->min);
        for (int side = 0; side < 2; side++) {
            if (key->type == KEY_COUNT && outside[side] == -1)
                continue; /* -1 is "not set" */
            snprintf(text, sizeof text, "%s = %.5f\n", key->name, outside[side]);
            read_text(bench, text);
            snprintf(text, sizeof text, "my.ini:1: %s = '", key->name);
            assert_true(found(bench, SETTINGS_ERROR, text));
            assert_true(found(bench, SETTINGS_ERROR, "out of range"));
        }
        for (int side = 0; side < 2; side++) { /* the ends belong to it */
            snprintf(text, sizeof text, "%s = %.5f\n", key->name, side ? key->max : key->min);
            read_text(bench, text);
            assert_false(found(bench, SETTINGS_ERROR, "out of range"));
        }
    }
}

static void an_indented_setting_is_an_error_and_never_lost(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "OWN_SOC = True\n  ZERO_SOC = True\n", "my.ini:2: 'ZERO_SOC = True'");
    expect_error(bench, "  OWN_SOC = True\n", "my.ini:1: 'OWN_SOC = True'");
    expect_error(bench, "[DEFAULT]\n  OWN_SOC : True\n", "my.ini:2: 'OWN_SOC : True': indented");
    expect_error(bench, "BATTERY_PRODUCT_NAME = X\n[s]\n  b b: 2\n", "my.ini:3: 'b b: 2': indented");
    assert_int_equal(read_text(bench, " [DEFAULT]\n OWN_SOC = True\n LOG_PERIOD = 1\n"), 3);
}

static void a_line_that_is_nothing_is_an_error_and_so_is_what_would_be_lost_behind_a_section(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "OWN_SOC\n", "my.ini:1: 'OWN_SOC': neither KEY = value");
    expect_error(bench, "OWN_SOC = True\nCHARGE_VOLTAGE_LIST ; = 3\n  3.4\n",
                 "my.ini:2: 'CHARGE_VOLTAGE_LIST'");
    expect_error(bench, "[DEFAULT] OWN_SOC = True\n", "would be lost");
    expect_error(bench, "[DEFAULT\nOWN_SOC = True\n",
                 "my.ini:1: '[DEFAULT': the ']' of a section is missing");
    expect_good(bench, "[DEFAULT] ; a comment may stand there\nOWN_SOC = True\n");
    assert_true(bench->config.own_soc);
}

/* inih cuts lines at 199 bytes without a word: whatever the length, the list is whole or refused. */
static void a_long_line_is_read_whole_or_refused_never_cut(void **state)
{
    struct bench *bench = *state;
    int read_whole = 0;
    int refused = 0;

    for (int padding = 80; padding<400; padding += padding> 130 ? 50 : 1) {
        char text[600];

        snprintf(
            text, sizeof text,
            "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,%*s3.456789\nLOG_PERIOD = 7\n",
            padding, "");
        if (read_text(bench, text) == 0) {
            assert_near(bench->config.charge_voltage_V[11], 3.456789);
            assert_int_equal(bench->config.log_period_s, 7);
            read_whole++;
        } else {
            assert_int_equal(bench->kept, 1);
            assert_true(found(bench, SETTINGS_ERROR, "my.ini:1: "));
            assert_true(found(bench, SETTINGS_ERROR, "longer than 198 bytes. Break it and indent the rest"));
            refused++;
        }
    }
    assert_true(read_whole > 20 && refused > 10);
}

static void a_line_of_198_bytes_passes_and_one_of_199_does_not(void **state)
{
    struct bench *bench = *state;
    char text[256];

    for (int length = 198; length <= 199; length++) {
        snprintf(text, sizeof text, "LOG_PERIOD =%*s", length - (int)strlen("LOG_PERIOD ="), "60");
        assert_int_equal(strlen(text), length);
        assert_int_equal(read_text(bench, text), length - 198);
        strcat(text, "\n");
        assert_int_equal(read_text(bench, text), length - 198);
    }
    memset(text, ' ', sizeof text - 1); /* blanks at the end do not count */
    text[sizeof text - 1] = '\0';
    memcpy(text, "LOG_PERIOD = 60", 15);
    expect_good(bench, text);
    assert_int_equal(bench->config.log_period_s, 60);
}

static void the_rest_of_a_refused_value_says_nothing_more(void **state)
{
    struct bench *bench = *state;
    char text[512];

    snprintf(text, sizeof text,
             "CHARGE_VOLTAGE_LIST = 3.4,%*s3.4,\n  3.4, 3.4,\n  3.4\nNO_KEY_AT_ALL =\n  1,\n  2\n", 200, "");
    assert_int_equal(read_text(bench, text), 2);
}

static void a_value_of_endless_lines_is_refused(void **state)
{
    struct bench *bench = *state;
    static char text[40000];

    strcpy(text, "CHARGE_VOLTAGE_LIST =\n");
    while (strlen(text) < sizeof text - 32)
        strcat(text, "  3.4, 3.4, 3.4, 3.4,\n");
    read_text(bench, text);
    assert_true(found(bench, SETTINGS_ERROR, "the value becomes longer than 2000 bytes"));
}

static void a_file_of_another_kind_is_an_error_and_never_a_crash(void **state)
{
    struct bench *bench = *state;
    char *large = malloc(FILE_BYTES);

    assert_int_equal(read_bytes(bench, "OWN_SOC = True\nLOG\0_PERIOD = 60\n", 32), 1);
    assert_true(found(bench, SETTINGS_ERROR, "my.ini:2: there is a NUL byte"));
    assert_int_equal(read_bytes(bench, "\xFF\xFEO\0W\0N\0", 8), 1); /* UTF-16 */
    memset(large, '\n', FILE_BYTES);
    assert_int_equal(read_bytes(bench, large, FILE_BYTES), 1);
    assert_true(found(bench, SETTINGS_ERROR, "larger than 256 KiB"));
    assert_int_equal(read_bytes(bench, large, 256 * 1024), 0);
    free(large);
    expect_error(bench, "OWN_SOC = True\rLOG_PERIOD = 60\r", "control character");
    expect_error(bench, "LOG_PERIOD = \033[31m60\n", "control character");
}

static void a_thousand_errors_are_counted_but_not_all_said(void **state)
{
    struct bench *bench = *state;
    static char text[20000];

    text[0] = '\0';
    for (int i = 0; i < 1000; i++)
        strcat(text, "nonsense here\n");
    assert_int_equal(read_text(bench, text), 1000);
    assert_int_equal(bench->kept, 101);
    assert_true(found(bench, SETTINGS_NOTE, "900 more findings are not shown"));
}

/* Bytes turned, removed and doubled in a good file: it may be wrong then, it must not break. */
static void whatever_bytes_a_file_has_the_reading_ends_well(void **state)
{
    static const char spoilers[] = " \t=[];#,\n\"'0-+.e:";
    struct bench *bench = *state;
    size_t length = sizeof config_4_x - 1;
    char *text = malloc(length);
    uint32_t random = 1;

    for (int round = 0; round < 300; round++) {
        memcpy(text, config_4_x, length);
        for (int i = 0; i < 1 + round % 40; i++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % length] = round % 3 ? spoilers[random >> 28] : (char)(random >> 24);
        }
        read_bytes(bench, text, length - (random >> 8) % (length / 2));
    }
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < length; i++) {
            random = random * 1664525 + 1013904223;
            text[i] = (char)(random >> 24);
            if (!text[i])
                text[i] = '\n';
        }
        assert_true(read_bytes(bench, text, length) > 0);
    }
    free(text);
}

static void a_file_that_is_not_there_or_a_folder_is_an_error_with_its_path(void **state)
{
    struct bench *bench = *state;

    forget(bench);
    assert_int_equal(settings_read("/nowhere/settings.ini", &bench->config, keep, bench), 1);
    assert_true(found(bench, SETTINGS_ERROR, "/nowhere/settings.ini: cannot be read: No such file"));
    forget(bench);
    assert_int_equal(settings_read("/", &bench->config, keep, bench), 1);
    assert_true(found(bench, SETTINGS_ERROR, "cannot be read: Is a directory"));
    assert_int_equal(settings_read("/nowhere/settings.ini", &bench->config, NULL, NULL), 1);
    assert_memory_equal(&bench->config, &bench->before, sizeof bench->config);
}

/* ---- checks across keys ---- */

static void a_list_of_months_needs_twelve(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "CHARGE_VOLTAGE_LIST = 3.4, 3.4, 3.4\n", "3 numbers where 12 belong");
    expect_error(bench, "CHARGE_VOLTAGE_LIST =\n", "0 numbers where 12 belong");
    expect_error(bench, "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4\n",
                 "13 numbers where 12 belong");
    expect_error(bench, "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,34\n",
                 "number 12 (34) is out of range");
}

static void each_voltage_of_a_curve_needs_its_current(void **state)
{
    struct bench *bench = *state;

    expect_error(
        bench, "CELL_CHARGE_LIMITED_CURRENT = 1, 0.5, 0\n",
        "CELL_CHARGE_LIMITING_VOLTAGE has 5 voltages (as it is empty) and CELL_CHARGE_LIMITED_CURRENT "
        "has 3 currents");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 3.0\n",
                 "has 2 voltages and CELL_DISCHARGE_LIMITED_CURRENT has 3 currents (as it is not given)");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9\n", "one point is no curve");
    expect_error(bench, "CELL_DISCHARGE_LIMITED_CURRENT = 0, 5, 100\n", "number 2 (5) is out of range");
}

/* "has 2 voltages and ... 5 currents" would send the user after a fault that is none. */
static void a_curve_that_cannot_be_read_is_not_counted_against_the_other(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "CELL_CHARGE_LIMITING_VOLTAGE = 2.9, 3.4\nCELL_CHARGE_LIMITED_CURRENT = 1, 2\n",
                 "my.ini:2: CELL_CHARGE_LIMITED_CURRENT = '1, 2': number 2 (2) is out of range");
    expect_error(bench, "CELL_CHARGE_LIMITING_VOLTAGE = 2.9, x\nCELL_CHARGE_LIMITED_CURRENT = 1, 0\n",
                 "my.ini:1: CELL_CHARGE_LIMITING_VOLTAGE = '2.9, x': not a list of numbers");
}

static void voltages_of_a_curve_ascend_in_any_mode(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 2.8, 3.1\n",
                 "voltage 2 is 2.800 V and the one before it 2.900 V");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 3.0, 3.0\n", "voltage 3 is 3.000 V");
    expect_error(bench, "CELL_DISCHARGE_LIMITING_VOLTAGE = 2.9, 2.7 + 0.1 + 0.1, 3.1\n",
                 "voltage 2 is 2.900 V"); /* equal but for the last bit */
}

/* Months that raise no warning of their own. */
#define OWN "OWN_CHARGE_PARAMETERS = True\n"
#define OWN_SOC_ZERO "ZERO_SOC = True\n"
#define MONTHS "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4\n"
#define LTO_MONTHS "CHARGE_VOLTAGE_LIST = 2.4,2.4,2.4,2.4,2.4,2.4,2.4,2.4,2.4,2.4,2.4,2.4\n"

static void curves_that_follow_from_voltages_too_close_are_told(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, OWN MONTHS "MIN_CELL_VOLTAGE = 3.25\n", "these are too close");
    expect_only(bench, "MIN_CELL_VOLTAGE = 3.25\n", SETTINGS_WARNING, "these are too close");
}

static void max_cell_voltage_is_above_balancing_voltage(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, OWN MONTHS "MAX_CELL_VOLTAGE = 3.4\n",
                 "my.ini:3: MAX_CELL_VOLTAGE (3.400 V) must be above BALANCING_VOLTAGE (3.400 V)");
    expect_error(bench, OWN MONTHS "BALANCING_VOLTAGE = 3.5\n",
                 "my.ini:3: MAX_CELL_VOLTAGE (3.450 V) must be above BALANCING_VOLTAGE (3.500 V)");
    expect_only(bench, "MAX_CELL_VOLTAGE = 3.4\n", SETTINGS_WARNING, "must be above BALANCING_VOLTAGE");
}

static void min_cell_voltage_is_below_max_cell_voltage_in_any_mode(void **state)
{
    struct bench *bench = *state;

    assert_true(read_text(bench, "MIN_CELL_VOLTAGE = 3.45\n") > 0);
    assert_true(found(bench, SETTINGS_ERROR, "must be below MAX_CELL_VOLTAGE"));
    assert_true(read_text(bench, OWN "MIN_CELL_VOLTAGE = 3.6\n") > 0);
    assert_true(found(bench, SETTINGS_ERROR, "must be below MAX_CELL_VOLTAGE"));
}

/* Whichever of the two the user wrote, the line is named. */
static void a_check_across_keys_names_the_line_of_the_one_that_is_given(void **state)
{
    struct bench *bench = *state;

    read_text(bench, "\nMAX_CELL_VOLTAGE = 2.8\n");
    assert_true(found(bench, SETTINGS_ERROR, "my.ini:2: MIN_CELL_VOLTAGE (2.900 V) must be below"));
    read_text(bench, "\nMIN_CELL_VOLTAGE = 3.35\nMIN_CELL_HYSTERESIS = 0.1\n");
    assert_true(found(bench, SETTINGS_WARNING, "my.ini:3: MIN_CELL_VOLTAGE + MIN_CELL_HYSTERESIS"));
    assert_true(found(bench, SETTINGS_WARNING, "my.ini:2: CELL_CHARGE_LIMITING_VOLTAGE"));
    read_text(bench, OWN "BALANCING_VOLTAGE = 3.3\nMIN_CELL_VOLTAGE = 3.25\n");
    assert_true(found(bench, SETTINGS_ERROR, "my.ini:3: MIN_CELL_VOLTAGE + MIN_CELL_HYSTERESIS"));
    expect_only(bench, OWN_SOC_ZERO "MAX_CELL_VOLTAGE_SOC_FULL = 2.9\n", SETTINGS_ERROR,
                "my.ini:2: MIN_CELL_VOLTAGE_SOC_EMPTY");
    expect_only(bench, OWN "MAX_CELL_VOLTAGE = 3.54\n", SETTINGS_WARNING,
                "my.ini:2: CHARGE_VOLTAGE_LIST is above");
}

/* It would never be whole, and nobody would say why. */
static void no_more_packs_are_waited_for_than_bank_names(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, "NR_OF_BATTERIES = 3\nBANK = A + B\n",
                 "my.ini:1: NR_OF_BATTERIES is 3, but BANK names 2 packs: the bank would never be whole. "
                 "Leave NR_OF_BATTERIES empty, or name them all");
    expect_good(bench, "NR_OF_BATTERIES = 2\nBANK = A + B\n");
    expect_good(bench, "NR_OF_BATTERIES = 1\nBANK = A | B\n");
    expect_good(bench, "BANK = A + B\n");
}

static void an_empty_bank_can_be_discharged_again(void **state)
{
    struct bench *bench = *state;

    expect_error(bench, OWN MONTHS "MIN_CELL_HYSTERESIS = 0.5\n", "hardly ever discharged again");
    expect_only(bench, "MIN_CELL_HYSTERESIS = 0.5\n", SETTINGS_WARNING, "hardly ever discharged again");
}

static void full_is_above_empty_where_the_counter_decides_by_it(void **state)
{
    struct bench *bench = *state;
    static const char inverted[] = "MAX_CELL_VOLTAGE_SOC_FULL = 3.0\nMIN_CELL_VOLTAGE_SOC_EMPTY = 3.2\n";
    char text[256];

    expect_only(bench, inverted, SETTINGS_WARNING, "must be below MAX_CELL_VOLTAGE_SOC_FULL");
    snprintf(text, sizeof text, "%sZERO_SOC = True\n", inverted);
    expect_error(bench, text, "must be below MAX_CELL_VOLTAGE_SOC_FULL");
}

static void lto_and_lfp_voltages_do_not_mix_in_our_own_charge_control(void **state)
{
    struct bench *bench = *state;

    read_text(bench, OWN MONTHS "BALANCING_VOLTAGE = 2.5\nMIN_CELL_VOLTAGE = 1.9\n");
    assert_true(found(bench, SETTINGS_ERROR, "MAX_CELL_VOLTAGE is 3.45 V and BALANCING_VOLTAGE is 2.50 V"));
    assert_true(found(bench, SETTINGS_ERROR, "3.40 V for January and BALANCING_VOLTAGE is 2.50 V"));
    assert_true(found(bench, SETTINGS_ERROR, "one belongs to LTO cells, the other to LFP cells"));
    expect_error(bench, OWN MONTHS "MIN_CELL_VOLTAGE = 1.9\n", "MIN_CELL_VOLTAGE is 1.90 V and BALANCING");
    expect_error(bench, OWN "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,2.4,3.4,3.4,3.4,3.4,3.4\n",
                 "2.40 V for July");
    expect_error(bench, OWN "CHARGE_VOLTAGE_LIST = 3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,3.4,2.4\n",
                 "2.40 V for December");
    expect_good(bench, OWN LTO_MONTHS
                "BALANCING_VOLTAGE = 2.5\nMAX_CELL_VOLTAGE = 2.55\nMIN_CELL_VOLTAGE = 1.9\n"
                "MIN_CELL_VOLTAGE_SOC_EMPTY = 1.9\n"); /* SOC_FULL, left at 3.45, decides nothing here */
}

static void a_merged_lto_bank_needs_only_the_voltages_that_decide(void **state)
{
    struct bench *bench = *state;

    expect_good(bench, "MAX_CELL_VOLTAGE_SOC_FULL = 2.5\nMIN_CELL_VOLTAGE_SOC_EMPTY = 1.9\n");
    assert_int_equal(read_text(bench, "BALANCING_VOLTAGE = 2.5\nMAX_CELL_VOLTAGE_SOC_FULL = 3.45\n"), 0);
    assert_true(found(bench, SETTINGS_WARNING, "MAX_CELL_VOLTAGE_SOC_FULL is 3.45 V and BALANCING"));
}

static void what_has_no_effect_is_noted(void **state)
{
    struct bench *bench = *state;

    expect_only(bench, "USE_SMARTSHUNTS = True\n", SETTINGS_NOTE, "while CURRENT_FROM_VICTRON is False");
    expect_good(bench, "USE_SMARTSHUNTS = True\nSMARTSHUNT_AS_BATTERY_CURRENT = True\n");
    assert_int_equal(bench->kept, 0);
    expect_only(bench, OWN MONTHS "KEEP_MAX_CVL = True\n", SETTINGS_NOTE, "KEEP_MAX_CVL has no effect");
}

static void a_pack_that_is_to_be_ignored_is_told_and_which_of_the_two_prevails(void **state)
{
    struct bench *bench = *state;

    expect_only(bench, "PACKS = A, House 1\nOWN_SOC = 0\nIGNORE = B, House 1\n", SETTINGS_WARNING,
                "my.ini:3: IGNORE names 'House 1', which PACKS names too: IGNORE prevails, it is no pack");
    expect_only(bench, "PACKS = #289, A\nIGNORE = \"#28?\"\n", SETTINGS_WARNING, "IGNORE names '#289'");
    expect_only(bench, "PACKS = House ?\nIGNORE = H*\n", SETTINGS_WARNING, "IGNORE names 'House ?'");
    expect_only(
        bench, "BANK = A + B\nIGNORE = B\n", SETTINGS_WARNING,
        "IGNORE names 'B', which BANK names too: IGNORE prevails, and its place in the bank stays empty");
    expect_good(bench, "PACKS = House *, #289\nIGNORE = House 3, House ?, *9\nBANK = \"House 12\" + B\n");
    assert_int_equal(bench->kept, 0); /* all but some of them */
}

/* ---- the command ---- */

/* What `check` prints about this text; returns its exit status. */
static int run_check(const char *text, char *output, size_t size)
{
    char path[] = "/tmp/test_settings.XXXXXX";
    int file = mkstemp(path);
    FILE *capture = tmpfile();
    int saved;
    int status;
    size_t length;

    assert_true(file >= 0 && capture);
    assert_int_equal(write(file, text, strlen(text)), strlen(text));
    close(file);
    fflush(stdout);
    saved = dup(STDOUT_FILENO);
    dup2(fileno(capture), STDOUT_FILENO);
    status = command_check(path, true);
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    rewind(capture);
    length = fread(output, 1, size - 1, capture);
    output[length] = '\0';
    fclose(capture);
    unlink(path);
    return status;
}

static void check_prints_every_finding_and_fails_on_errors_only(void **state)
{
    char output[4096];

    (void)state;
    assert_int_equal(run_check("OWN_SOC = 1\n", output, sizeof output), 0);
    assert_non_null(strstr(output, "0 errors, 0 warnings\n"));
    assert_int_equal(run_check(OWN, output, sizeof output), 0);
    assert_non_null(strstr(output, "warning: "));
    assert_non_null(strstr(output, "0 errors, 1 warning\n"));
    assert_int_equal(
        run_check("OWN_SOC = 7\nNOT_A_KEY_AT_ALL = 1\nOWN_SOC_FULL_VOLTAGE = 3\n", output, sizeof output), 1);
    assert_non_null(strstr(output, "error: "));
    assert_non_null(strstr(output, "OWN_SOC = '7'"));
    assert_non_null(strstr(output, "NOT_A_KEY_AT_ALL"));
    assert_non_null(strstr(output, "note: "));
    assert_non_null(strstr(output, "2 errors, 0 warnings: the daemon would not start\n"));
    assert_int_equal(command_check("/nowhere/settings.ini", true), 1);
    assert_int_equal(command_check("/nowhere/settings.ini", false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_defaults_are_those_of_lfp_cells_and_of_the_reference),
        TEST(an_empty_file_gives_the_defaults),
        TEST(settings_ini_reads_without_a_finding_and_gives_the_defaults),
        TEST(settings_ini_has_every_key_with_its_meaning_range_unit_and_default),
        TEST(the_man_page_has_every_key_and_older_name),
        TEST(the_lto_values_of_settings_ini_are_good_together),
        TEST(a_config_ini_of_4_x_reads_unchanged),
        TEST(every_key_of_the_table_stands_in_that_config_ini_but_ours),
        TEST(a_month_above_max_cell_voltage_is_a_warning_that_tells_of_feed_in),
        TEST(names_of_the_3_x_generation_are_known),
        TEST(the_words_of_3_x_about_shunts_mean_what_they_meant_there),
        TEST(that_a_shunt_s_absence_is_ignored_is_accepted_and_changes_nothing),
        TEST(a_voltage_of_full_that_we_do_not_use_is_noted_unless_0),
        TEST(keys_stand_in_any_section_or_none_and_in_any_case),
        TEST(yes_and_no_have_many_words),
        TEST(a_list_may_have_brackets_a_comma_at_its_end_and_several_lines),
        TEST(what_is_no_list_of_numbers_is_an_error),
        TEST(a_bracket_that_is_missing_or_not_the_last_is_told_with_its_place),
        TEST(a_list_may_name_numbers_of_other_settings),
        TEST(a_single_number_that_names_another_setting_is_refused_not_guessed),
        TEST(a_name_that_is_not_utf_8_is_told),
        TEST(a_byte_order_mark_and_windows_line_ends_do_no_harm),
        TEST(a_line_that_begins_with_a_comment_sign_is_one_however_long),
        TEST(texts_may_have_quotes_and_keep_what_is_no_comment),
        TEST(a_text_is_taken_whole_or_not_at_all),
        TEST(smartshunts_are_none_all_or_those_listed),
        TEST(packs_are_named_with_or_without_quotes_and_by_instance),
        TEST(a_wrong_list_of_names_is_told_with_its_place_and_what_to_do),
        TEST(an_instance_that_begins_a_line_is_no_comment_by_accident),
        TEST(a_comment_sign_takes_no_name_out_of_a_list_unsaid),
        TEST(what_is_plainly_a_comment_or_a_name_is_said_by_nobody),
        TEST(a_shunt_may_be_named_by_the_sign_of_an_instance),
        TEST(a_pack_has_a_shunt_by_instance_with_soc_if_told),
        TEST(sources_of_current_are_classes_and_instances_with_a_sign),
        TEST(sources_that_count_twice_by_the_settings_are_told),
        TEST(a_list_of_names_that_is_full_takes_no_more),
        TEST(a_list_of_nobody_is_one_of_two_quotes_and_an_instance_has_a_size),
        TEST(only_the_sources_by_default_are_said_by_nobody),
        TEST(a_source_of_another_class_with_the_number_of_a_packs_shunt_is_another_device),
        TEST(a_choice_is_one_of_its_words_and_no_other),
        TEST(the_name_of_a_shunt_is_taken_whole_or_not_at_all),
        TEST(a_curve_has_two_to_sixteen_points),
        TEST(words_that_are_no_setting_however_long_are_no_number),
        TEST(whoever_does_not_listen_is_told_the_number_of_errors_all_the_same),
        TEST(a_current_left_empty_is_200_A_and_no_cap),
        TEST(an_error_names_file_line_key_what_was_found_and_what_is_allowed),
        TEST(all_errors_are_told_at_once),
        TEST(findings_are_told_by_line_from_top_to_bottom),
        TEST(of_too_many_findings_those_of_the_first_lines_are_told),
        TEST(a_misspelt_key_is_told_the_nearest_real_one),
        TEST(a_key_given_twice_is_an_error_that_names_both_lines),
        TEST(what_is_no_plain_number_is_an_error),
        TEST(every_number_has_a_range_and_nothing_outside_it_passes),
        TEST(an_indented_setting_is_an_error_and_never_lost),
        TEST(a_line_that_is_nothing_is_an_error_and_so_is_what_would_be_lost_behind_a_section),
        TEST(a_long_line_is_read_whole_or_refused_never_cut),
        TEST(a_line_of_198_bytes_passes_and_one_of_199_does_not),
        TEST(the_rest_of_a_refused_value_says_nothing_more),
        TEST(a_value_of_endless_lines_is_refused),
        TEST(a_file_of_another_kind_is_an_error_and_never_a_crash),
        TEST(a_thousand_errors_are_counted_but_not_all_said),
        TEST(whatever_bytes_a_file_has_the_reading_ends_well),
        TEST(a_file_that_is_not_there_or_a_folder_is_an_error_with_its_path),
        TEST(a_list_of_months_needs_twelve),
        TEST(each_voltage_of_a_curve_needs_its_current),
        TEST(a_curve_that_cannot_be_read_is_not_counted_against_the_other),
        TEST(voltages_of_a_curve_ascend_in_any_mode),
        TEST(curves_that_follow_from_voltages_too_close_are_told),
        TEST(max_cell_voltage_is_above_balancing_voltage),
        TEST(min_cell_voltage_is_below_max_cell_voltage_in_any_mode),
        TEST(a_check_across_keys_names_the_line_of_the_one_that_is_given),
        TEST(no_more_packs_are_waited_for_than_bank_names),
        TEST(an_empty_bank_can_be_discharged_again),
        TEST(full_is_above_empty_where_the_counter_decides_by_it),
        TEST(lto_and_lfp_voltages_do_not_mix_in_our_own_charge_control),
        TEST(a_merged_lto_bank_needs_only_the_voltages_that_decide),
        TEST(what_has_no_effect_is_noted),
        TEST(a_pack_that_is_to_be_ignored_is_told_and_which_of_the_two_prevails),
        TEST(check_prints_every_finding_and_fails_on_errors_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
