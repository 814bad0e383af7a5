/* The text format of record and replay. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "recording.h"

static const char *parse(const char *text, struct recording_line *line)
{
    static char buffer[RECORDING_LINE_MAX];

    strcpy(buffer, text);
    return recording_parse(buffer, strlen(buffer), line);
}

static void a_line_is_time_service_path_and_value(void **state)
{
    struct recording_line line = {0};

    (void)state;
    assert_null(parse("1700000000.25\tcom.victronenergy.battery.a\t/Dc/0/Voltage\t-52.125", &line));
    assert_int_equal(line.kind, RECORDING_VALUE);
    assert_true(line.time_s == 1700000000.25);
    assert_string_equal(line.service, "com.victronenergy.battery.a");
    assert_int_equal(line.service_length, 27);
    assert_string_equal(line.path, "/Dc/0/Voltage");
    assert_int_equal(line.path_length, 13);
    assert_int_equal(line.value.kind, VALUE_NUMBER);
    assert_true(line.value.number == -52.125);
}

static void every_form_of_number_reads_as_strtod_has_it(void **state)
{
    static const char *const numbers[] = {"0",
                                          "-0",
                                          "3.3",
                                          "52.91",
                                          "-1.5e-3",
                                          "1e300",
                                          "123456789012345",
                                          ".5",
                                          "5.",
                                          "-.25",
                                          "0.1",
                                          "9007199254740993",
                                          "3.336",
                                          "1700000000.123456",
                                          "+4",
                                          "inf",
                                          "-inf",
                                          "1E5",
                                          "0.30000000000000004"};
    struct recording_line line = {0};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[128];

        snprintf(text, sizeof text, "1\ts\t/p\t%s", numbers[i]);
        assert_null(parse(text, &line));
        if (line.value.number != strtod(numbers[i], NULL))
            fail_msg("%s was read as %.17g", numbers[i], line.value.number);
    }
    assert_null(parse("1\ts\t/p\tnan", &line));
    assert_true(line.value.kind == VALUE_NUMBER && isnan(line.value.number));
}

static void texts_are_unescaped_and_anything_else_is_invalid_or_unusable(void **state)
{
    struct recording_line line = {0};

    (void)state;
    assert_null(parse("1\ts\t/p\t\"a \\\"b\\\" \\\\ \\t\\n\\r ü\"", &line));
    assert_int_equal(line.value.kind, VALUE_TEXT);
    assert_string_equal(line.value.text, "a \"b\" \\ \t\n\r ü");
    assert_null(parse("1\ts\t/p\t\"\"", &line));
    assert_string_equal(line.value.text, "");
    assert_null(parse("1\ts\t/p\t-", &line));
    assert_int_equal(line.value.kind, VALUE_INVALID);
    assert_null(parse("1\ts\t/p\t?", &line));
    assert_int_equal(line.value.kind, VALUE_UNUSABLE);
}

static void services_come_go_fall_silent_and_are_heard(void **state)
{
    static const struct {
        const char *word;
        enum recording_kind kind;
    } events[] = {{"here", RECORDING_HERE},
                  {"gone", RECORDING_GONE},
                  {"silent", RECORDING_SILENT},
                  {"heard", RECORDING_HEARD}};
    struct recording_line line = {0};

    (void)state;
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        char text[64];

        snprintf(text, sizeof text, "1\ts\t\t%s", events[i].word);
        assert_null(parse(text, &line));
        assert_int_equal(line.kind, events[i].kind);
    }
    assert_null(parse("7.5\t.\t\t", &line));
    assert_int_equal(line.kind, RECORDING_END);
    assert_true(line.time_s == 7.5);
    assert_null(parse("", &line));
    assert_int_equal(line.kind, RECORDING_COMMENT);
    assert_null(parse("# made by hand", &line));
    assert_int_equal(line.kind, RECORDING_COMMENT);
}

static void a_wrong_line_is_told_by_its_part(void **state)
{
    static const struct {
        const char *line, *said;
    } wrong[] = {{"1\ts\t/p", "four parts"},
                 {"hello", "four parts"},
                 {"x\ts\t/p\t1", "time"},
                 {"\ts\t/p\t1", "time"},
                 {"inf\ts\t/p\t1", "time"},
                 {"nan\ts\t/p\t1", "time"},
                 {"1e300\ts\t/p\t1", "time"},
                 {"-1e12\ts\t/p\t1", "time"},
                 {"1\t\t/p\t1", "service is empty"},
                 {"1\ts\tp\t1", "begins with /"},
                 {"1\ts\t\tmaybe", "here, gone"},
                 {"1\ts\t/p\t", "neither a number"},
                 {"1\ts\t/p\t1.2.3", "neither a number"},
                 {"1\ts\t/p\t0x10", "neither a number"},
                 {"1\ts\t/p\t 1", "neither a number"},
                 {"1\ts\t/p\t1 ", "neither a number"},
                 {"1\ts\t/p\tabc", "neither a number"},
                 {"1\ts\t/p\t\"", "quoted"},
                 {"1\ts\t/p\t\"open", "quoted"},
                 {"1\ts\t/p\t\"a\"b\"", "quoted"},
                 {"1\ts\t/p\t\"a\\\"", "quoted"},
                 {"1\ts\t/p\t\"a\\x\"", "quoted"}};
    struct recording_line line = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *said = parse(wrong[i].line, &line);

        if (!said || !strstr(said, wrong[i].said))
            fail_msg("'%s' was told as '%s'", wrong[i].line, said ? said : "good");
    }
}

static void a_wrong_time_does_not_become_that_of_the_next_line(void **state)
{
    struct recording_line line = {0};

    (void)state;
    assert_null(parse("5\ts\t/p\t1", &line));
    assert_non_null(parse("nan\ts\t/p\t1", &line));
    assert_non_null(parse("nan\ts\t/p\t1", &line));
    assert_null(parse("5\ts\t/p\t1", &line));
    assert_true(line.time_s == 5);
}

static void what_is_written_reads_back_the_same(void **state)
{
    const struct value values[] = {value_number(0.1 + 0.2), value_number(-52),
                                   value_number(1e-300),    value_text("Pack \"1\"\\\t\n\r"),
                                   value_invalid(),         {VALUE_UNUSABLE, NAN, NULL}};
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct recording_line line = {0};
    char time[RECORDING_TIME_MAX];
    char *at;

    (void)state;
    recording_time(1700000000.5, time);
    assert_string_equal(time, "1700000000.5");
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        recording_write_value(to, time, "s", "/p", &values[i]);
    recording_write_event(to, time, "s", RECORDING_SILENT);
    recording_write_event(to, time, "ignored", RECORDING_END);
    fclose(to);
    at = text;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *end = strchr(at, '\n');

        assert_null(recording_parse(at, (size_t)(end - at), &line));
        assert_int_equal(line.value.kind, values[i].kind);
        if (values[i].kind == VALUE_NUMBER)
            assert_true(line.value.number == values[i].number);
        if (values[i].kind == VALUE_TEXT)
            assert_string_equal(line.value.text, values[i].text);
        at = end + 1;
    }
    assert_string_equal(at, "1700000000.5\ts\t\tsilent\n1700000000.5\t.\t\t\n");
    free(text);
}

static void times_are_written_without_needless_digits(void **state)
{
    char time[RECORDING_TIME_MAX];

    (void)state;
    recording_time(1700000000, time);
    assert_string_equal(time, "1700000000");
    recording_time(0, time);
    assert_string_equal(time, "0");
    recording_time(100.000001, time);
    assert_string_equal(time, "100.000001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_service_path_and_value),
        cmocka_unit_test(every_form_of_number_reads_as_strtod_has_it),
        cmocka_unit_test(texts_are_unescaped_and_anything_else_is_invalid_or_unusable),
        cmocka_unit_test(services_come_go_fall_silent_and_are_heard),
        cmocka_unit_test(a_wrong_line_is_told_by_its_part),
        cmocka_unit_test(a_wrong_time_does_not_become_that_of_the_next_line),
        cmocka_unit_test(what_is_written_reads_back_the_same),
        cmocka_unit_test(times_are_written_without_needless_digits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
