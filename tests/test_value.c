/* bus/value: a D-Bus variant <-> our value. */
#include <dbus/dbus.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bus/value.h"

/* cmocka.h needs the others before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static int setup(void **state)
{
    *state = dbus_message_new_signal("/", "com.example.Test", "Test");
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    dbus_message_unref(*state);
    return 0;
}

static struct value read_first(DBusMessage *message)
{
    DBusMessageIter iter;
    struct value value;

    dbus_message_iter_init(message, &iter);
    value_read(&iter, &value);
    return value;
}

/* Appends basic inside as many variants as depth says. */
static void append_nested(DBusMessageIter *iter, int depth, int type, const void *basic)
{
    DBusMessageIter variant;
    char signature[2] = {(char)type, '\0'};

    if (depth == 0) {
        dbus_message_iter_append_basic(iter, type, basic);
        return;
    }
    dbus_message_iter_open_container(iter, DBUS_TYPE_VARIANT, depth > 1 ? "v" : signature, &variant);
    append_nested(&variant, depth - 1, type, basic);
    dbus_message_iter_close_container(iter, &variant);
}

static struct value through_message(int depth, int type, const void *basic, DBusMessage *message)
{
    DBusMessageIter iter;

    dbus_message_iter_init_append(message, &iter);
    append_nested(&iter, depth, type, basic);
    return read_first(message);
}

static void every_width_of_number_becomes_the_same_double(void **state)
{
    unsigned char y = 200;
    dbus_bool_t b = TRUE;
    dbus_int16_t n = -32768;
    dbus_uint16_t q = 65535;
    dbus_int32_t i = INT32_MIN;
    dbus_uint32_t u = UINT32_MAX;
    dbus_int64_t x = -1234567890123LL;
    dbus_uint64_t t = 1234567890123ULL;
    double d = 52.91;
    const struct {
        int type;
        const void *basic;
        double expected;
    } rows[] = {
        {DBUS_TYPE_BYTE, &y, 200},
        {DBUS_TYPE_BOOLEAN, &b, 1},
        {DBUS_TYPE_INT16, &n, -32768},
        {DBUS_TYPE_UINT16, &q, 65535},
        {DBUS_TYPE_INT32, &i, -2147483648.0},
        {DBUS_TYPE_UINT32, &u, 4294967295.0},
        {DBUS_TYPE_INT64, &x, -1234567890123.0},
        {DBUS_TYPE_UINT64, &t, 1234567890123.0},
        {DBUS_TYPE_DOUBLE, &d, 52.91},
    };

    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        for (int depth = 0; depth <= 3; depth++) {
            struct value value;

            teardown(state);
            setup(state);
            value = through_message(depth, rows[row].type, rows[row].basic, *state);
            assert_int_equal(value.kind, VALUE_NUMBER);
            assert_true(value.number == rows[row].expected);
            assert_null(value.text);
        }
    }
}

static void false_is_zero(void **state)
{
    dbus_bool_t no = FALSE;
    struct value value = through_message(1, DBUS_TYPE_BOOLEAN, &no, *state);

    assert_int_equal(value.kind, VALUE_NUMBER);
    assert_true(value.number == 0);
}

static void nan_and_infinity_arrive_as_the_numbers_they_are(void **state)
{
    double number = NAN;
    struct value value = through_message(1, DBUS_TYPE_DOUBLE, &number, *state);

    assert_int_equal(value.kind, VALUE_NUMBER);
    assert_true(isnan(value.number));
    teardown(state);
    setup(state);
    number = -INFINITY;
    value = through_message(1, DBUS_TYPE_DOUBLE, &number, *state);
    assert_int_equal(value.kind, VALUE_NUMBER);
    assert_true(isinf(value.number) && value.number < 0);
}

static void strings_object_paths_and_signatures_are_text(void **state)
{
    static const struct {
        int type;
        const char *text;
    } rows[] = {{DBUS_TYPE_STRING, "Pylontech"},
                {DBUS_TYPE_STRING, ""},
                {DBUS_TYPE_OBJECT_PATH, "/Dc/0/Voltage"},
                {DBUS_TYPE_SIGNATURE, "a{sv}"}};

    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        struct value value;

        teardown(state);
        setup(state);
        value = through_message(2, rows[row].type, &rows[row].text, *state);
        assert_int_equal(value.kind, VALUE_TEXT);
        assert_string_equal(value.text, rows[row].text);
        assert_true(isnan(value.number));
    }
}

/* Appends a variant with an array of the element signature; filled when element is not NULL. */
static struct value array_value(DBusMessage *message, const char *signature, int type, const void *element)
{
    DBusMessageIter iter, variant, array;

    dbus_message_iter_init_append(message, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_VARIANT, signature, &variant);
    dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, signature + 1, &array);
    if (element)
        dbus_message_iter_append_basic(&array, type, element);
    dbus_message_iter_close_container(&variant, &array);
    dbus_message_iter_close_container(&iter, &variant);
    return read_first(message);
}

static void an_empty_array_of_any_type_is_invalid(void **state)
{
    static const char *const signatures[] = {"ai", "as", "ad", "av", "a{sv}", "a(ii)", "aai"};

    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        teardown(state);
        setup(state);
        assert_int_equal(array_value(*state, signatures[i], 0, NULL).kind, VALUE_INVALID);
    }
}

static void an_array_with_content_is_unusable(void **state)
{
    dbus_int32_t number = 0;
    struct value value = array_value(*state, "ai", DBUS_TYPE_INT32, &number);

    assert_int_equal(value.kind, VALUE_UNUSABLE);
    assert_true(isnan(value.number));
    assert_null(value.text);
}

static void a_structure_is_unusable(void **state)
{
    DBusMessageIter iter, variant, structure;
    dbus_int32_t number = 7;

    dbus_message_iter_init_append(*state, &iter);
    dbus_message_iter_open_container(&iter, DBUS_TYPE_VARIANT, "(i)", &variant);
    dbus_message_iter_open_container(&variant, DBUS_TYPE_STRUCT, NULL, &structure);
    dbus_message_iter_append_basic(&structure, DBUS_TYPE_INT32, &number);
    dbus_message_iter_close_container(&variant, &structure);
    dbus_message_iter_close_container(&iter, &variant);
    assert_int_equal(read_first(*state).kind, VALUE_UNUSABLE);
}

/* Taking it out would duplicate it, and nobody would close the copy. */
static void a_file_descriptor_is_unusable_and_not_taken(void **state)
{
    int fd = STDIN_FILENO;
    int next = dup(STDIN_FILENO), again;
    DBusMessageIter iter;
    struct value value;

    close(next);
    dbus_message_iter_init_append(*state, &iter);
    append_nested(&iter, 1, DBUS_TYPE_UNIX_FD, &fd); /* the message holds a copy: it is `next` now */
    value = read_first(*state);
    assert_int_equal(value.kind, VALUE_UNUSABLE);
    again = dup(STDIN_FILENO);
    assert_int_equal(again, next + 1);
    close(again);
}

static void nothing_at_all_is_unusable(void **state)
{
    assert_int_equal(read_first(*state).kind, VALUE_UNUSABLE);
}

static const char *appended(DBusMessage **message, char type, struct value value, struct value *back)
{
    DBusMessageIter iter, variant;
    static char signature[16];
    char *text;

    dbus_message_unref(*message);
    *message = dbus_message_new_signal("/", "com.example.Test", "Test");
    dbus_message_iter_init_append(*message, &iter);
    assert_true(value_append(&iter, type, &value));
    dbus_message_iter_init(*message, &iter);
    assert_int_equal(dbus_message_iter_get_arg_type(&iter), DBUS_TYPE_VARIANT);
    dbus_message_iter_recurse(&iter, &variant);
    text = dbus_message_iter_get_signature(&variant);
    strncpy(signature, text, sizeof signature - 1);
    dbus_free(text);
    value_read(&iter, back);
    return signature;
}

static void an_integer_is_rounded_and_saturates(void **state)
{
    static const struct {
        double number, expected;
    } rows[] = {{1.4, 1},
                {1.5, 2},
                {-1.5, -2},
                {-0.2, 0},
                {2147483646.4, 2147483646.0},
                {2147483647.0, 2147483647.0},
                {1e300, 2147483647.0},
                {-2147483648.0, -2147483648.0},
                {-1e10, -2147483648.0}};
    struct value back;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(appended((DBusMessage **)state, 'i', value_number(rows[i].number), &back), "i");
        assert_int_equal(back.kind, VALUE_NUMBER);
        assert_true(back.number == rows[i].expected);
    }
}

static void a_double_and_a_text_come_back_as_they_went(void **state)
{
    struct value back;

    assert_string_equal(appended((DBusMessage **)state, 'd', value_number(52.912345678), &back), "d");
    assert_true(back.number == 52.912345678);
    assert_string_equal(appended((DBusMessage **)state, 's', value_text("Grüße"), &back), "s");
    assert_string_equal(back.text, "Grüße");
}

static void what_does_not_fit_goes_out_as_invalid(void **state)
{
    const struct {
        char type;
        struct value value;
    } rows[] = {{'i', value_invalid()},         {'d', value_invalid()},   {'s', value_invalid()},
                {'i', value_text("12")},        {'d', value_text("12")},  {'s', value_number(12)},
                {'d', value_number(NAN)},       {'i', value_number(NAN)}, {'d', value_number(INFINITY)},
                {'i', value_number(-INFINITY)}, {'s', value_text(NULL)},  {'d', {VALUE_UNUSABLE, NAN, NULL}}};
    struct value back;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(appended((DBusMessage **)state, rows[i].type, rows[i].value, &back), "ai");
        assert_int_equal(back.kind, VALUE_INVALID);
    }
}

/* libdbus would end the program. */
static void text_that_is_cut_inside_a_character_goes_out_as_invalid(void **state)
{
    struct value back;

    assert_string_equal(appended((DBusMessage **)state, 's', value_text("Gr\xc3"), &back), "ai");
}

static void numbers_in_text_are_read_whole(void **state)
{
    static const struct {
        const char *text;
        double expected;
    } rows[] = {{"12.5", 12.5}, {" 3 ", 3},  {"-7", -7}, {"+0.5", 0.5},
                {"1e3", 1000},  {".5", 0.5}, {"5.\n", 5}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double number = NAN;

        assert_true(value_parse_number(rows[i].text, &number));
        assert_true(number == rows[i].expected);
    }
}

static void text_that_is_no_number_leaves_the_number_alone(void **state)
{
    static const char *const rows[] = {"",     " ",     "abc", "12V", "1 2", "1.2.3", "nan",      "inf",
                                       "0x10", "1e999", "--1", "1,5", "e",   "+",     "infinity", "1e"};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double number = 42;

        assert_false(value_parse_number(rows[i], &number));
        assert_true(number == 42);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_width_of_number_becomes_the_same_double),
        TEST(false_is_zero),
        TEST(nan_and_infinity_arrive_as_the_numbers_they_are),
        TEST(strings_object_paths_and_signatures_are_text),
        TEST(an_empty_array_of_any_type_is_invalid),
        TEST(an_array_with_content_is_unusable),
        TEST(a_structure_is_unusable),
        TEST(a_file_descriptor_is_unusable_and_not_taken),
        TEST(nothing_at_all_is_unusable),
        TEST(an_integer_is_rounded_and_saturates),
        TEST(a_double_and_a_text_come_back_as_they_went),
        TEST(what_does_not_fit_goes_out_as_invalid),
        TEST(text_that_is_cut_inside_a_character_goes_out_as_invalid),
        TEST(numbers_in_text_are_read_whole),
        TEST(text_that_is_no_number_leaves_the_number_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
