/* commands/status: how it is written for people and for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "commands/status_view.h"
#include "core/alarms.h"
#include "core/feed_in.h"

static struct status_view view;
static char *written;

static int setup(void **state)
{
    (void)state;
    memset(&view, 0, sizeof view);
    for (int i = 0; i < STATUS_NUMBERS_MAX; i++)
        view.number[i] = NAN;
    for (int i = 0; i < ALARM_COUNT; i++)
        view.number[BANK_ALARM_FIRST + i] = 0;
    view.number[BANK_SOC] = 61.25;
    view.number[BANK_VOLTAGE] = 53.2;
    view.number[BANK_CCL] = 0;
    view.number[BANK_PACKS] = 2;
    strcpy(view.text[BANK_CCL_WHY], "Pack \"Cold\" blocks charging");
    strcpy(view.text[BANK_CELL_MAX_ID], "House 2: C7");
    view.feed_in = NAN;
    view.packs = 2;
    for (size_t i = 0; i < 2; i++) {
        strcpy(view.pack[i].name, i ? "House 2" : "House 1");
        strcpy(view.pack[i].state, i ? "missing" : "online");
        for (int k = 0; k < PACK_NUMBERS; k++)
            view.pack[i].number[k] = i ? (double)NAN : k;
        for (int k = 0; k < LEARNED_NUMBERS; k++)
            view.pack[i].learned[k] = NAN;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(written);
    written = NULL;
    return 0;
}

enum form { LINE, TABLE, JSON };

static const char *write_as(enum form form, struct status_style style)
{
    size_t size;
    FILE *out = open_memstream(&written, &size);

    if (form == LINE)
        status_line(out, &view, &style);
    else if (form == TABLE)
        status_table(out, &view, &style);
    else
        status_json(out, &view);
    fclose(out);
    return written;
}

static const struct status_style to_file = {false, 0};

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void the_line_has_the_facts_and_the_reasons(void **state)
{
    const char *line = write_as(LINE, to_file);

    (void)state;
    assert_says(line, "SoC 61.2 %");
    assert_says(line, "53.20 V");
    assert_says(line, "CCL 0.0 A (Pack \"Cold\" blocks charging)");
    assert_says(line, "House 2: C7");
    assert_says(line, "2 packs");
    assert_says(line, "no alarm");
    assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
}

static void unknown_is_a_dash_never_0(void **state)
{
    const char *line;

    (void)state;
    view.number[BANK_SOC] = NAN;
    line = write_as(LINE, to_file);
    assert_says(line, "SoC - %");
    assert_says(line, "CVL - V (-)");
    assert_says(line, "no ESS settings");
}

static void alarms_are_named_with_their_level(void **state)
{
    const char *line;

    (void)state;
    view.number[BANK_ALARM_FIRST + ALARM_BMS_CABLE] = 1;
    view.number[BANK_ALARM_FIRST + ALARM_HIGH_CELL_VOLTAGE] = 2;
    line = write_as(LINE, to_file);
    assert_says(line, "warning BmsCable!");
    assert_says(line, "ALARM HighCellVoltage!");
}

static void the_guard_over_feed_in_is_named_while_it_acts(void **state)
{
    (void)state;
    view.feed_in = 0;
    view.number[BANK_GUARD] = FEED_IN_HOLDING;
    assert_says(write_as(LINE, to_file), "feed-in off (holding)");
}

static void the_table_has_a_row_a_pack_and_no_escapes_in_a_file(void **state)
{
    const char *table = write_as(TABLE, to_file);

    (void)state;
    assert_says(table, "House 1          online");
    assert_says(table, "House 2          missing        -");
    assert_null(strchr(table, '\033'));
}

static void the_table_and_the_json_have_what_was_learned_of_a_pack(void **state)
{
    const char *table;

    (void)state;
    view.pack[0].learned[LEARNED_SHARE] = 67;
    view.pack[0].learned[LEARNED_RESISTANCE] = 12.34;
    view.pack[0].learned[LEARNED_DEVIATION] = 0.55;
    table = write_as(TABLE, to_file);
    assert_says(table, "share %    mOhm\n");
    assert_says(table, "     67    12.3 +- 0.6\n");
    assert_says(table, "      -       -\n"); /* of the other nothing */
    free(written);
    assert_says(write_as(JSON, to_file),
                "\"share_pct\":67,\"resistance_mOhm\":12.34,\"resistance_deviation_mOhm\":0.55,");
}

static void on_a_terminal_lines_are_cut_to_its_width(void **state)
{
    const char *table = write_as(TABLE, (struct status_style){false, 30});

    (void)state;
    for (const char *line = table; *line; line = strchr(line, '\n') + 1)
        assert_true(strcspn(line, "\033\n") <= 30 + 4); /* bytes: a degree sign has two */
}

static void colour_marks_alarms_only_where_it_is_wanted(void **state)
{
    (void)state;
    view.number[BANK_ALARM_FIRST + ALARM_BMS_CABLE] = 2;
    assert_null(strchr(write_as(LINE, to_file), '\033'));
    free(written);
    assert_says(write_as(LINE, (struct status_style){true, 0}), "\033[31m");
}

static void json_says_null_for_unknown_and_escapes_quotes(void **state)
{
    const char *json = write_as(JSON, to_file);

    (void)state;
    assert_says(json, "\"soc_pct\":61.25,");
    assert_says(json, "\"cvl_V\":null,");
    assert_says(json, "\"ccl_reason\":\"Pack \\\"Cold\\\" blocks charging\"");
    assert_says(json, "\"BmsCable\":0");
    assert_says(json, "\"name\":\"House 1\"");
    assert_says(json, "\"state\":\"missing\"}]}");
}

/* Columns of a table, not its bytes: how far "online" stands from the left. */
static int columns_before_online(const char *table, const char *name)
{
    const char *row = strstr(table, name);
    int columns = 0;

    assert_non_null(row);
    for (; strncmp(row, "online", 6) != 0; row++)
        columns += ((unsigned char)*row & 0xC0) != 0x80;
    return columns;
}

static void absurd_numbers_and_names_of_more_bytes_than_letters_keep_the_columns(void **state)
{
    const char *table;

    (void)state;
    view.pack[0].number[PACK_VOLTAGE] = 1e30;
    view.pack[0].number[PACK_CCL] = -1e9;
    assert_says(write_as(TABLE, to_file), "online     1e+30     1.0");
    assert_says(written, " -1e+09 ");
    free(written);
    strcpy(view.pack[0].name, "M\xC3\xBChle am Bach, die gro\xC3\x9F"
                              "e");
    table = write_as(TABLE, to_file);
    assert_int_equal(columns_before_online(table, "M\xC3"), 17);
    assert_says(table, "M\xC3\xBChle am Bach, d online");
    free(written);
    strcpy(view.pack[0].name, "0123456789abcde\xC3\xBC");
    assert_says(write_as(TABLE, to_file), "0123456789abcde\xC3\xBC online"); /* not half a letter */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_line_has_the_facts_and_the_reasons, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_is_a_dash_never_0, setup, teardown),
        cmocka_unit_test_setup_teardown(alarms_are_named_with_their_level, setup, teardown),
        cmocka_unit_test_setup_teardown(the_guard_over_feed_in_is_named_while_it_acts, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_has_a_row_a_pack_and_no_escapes_in_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(absurd_numbers_and_names_of_more_bytes_than_letters_keep_the_columns,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_and_the_json_have_what_was_learned_of_a_pack, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(on_a_terminal_lines_are_cut_to_its_width, setup, teardown),
        cmocka_unit_test_setup_teardown(colour_marks_alarms_only_where_it_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(json_says_null_for_unknown_and_escapes_quotes, setup, teardown),
    };

    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
