/* core/shape: BANK says how the packs are wired, and what is wrong with it is told where. */
#include "fixture.h"

#include "core/shape.h"

static struct shape shape;
static char wrong[SHAPE_WRONG_MAX];

static void expect_wrong(const char *text, const char *what)
{
    const char *found = shape_parse(text, &shape, wrong);

    if (!found || !strstr(found, what))
        fail_msg("\"%s\": %s", text, found ? found : "nothing is wrong with it");
    assert_int_equal(shape.strings, 0);
    assert_int_equal(shape.packs, 0);
}

static void nothing_told_is_no_shape(void **state)
{
    (void)state;
    assert_null(shape_parse("  ", &shape, wrong));
    assert_int_equal(shape.strings, 0);
}

static void strings_and_packs_are_read_with_and_without_brackets_and_quotes(void **state)
{
    (void)state;
    assert_null(shape_parse("(\"House 1\" + B) | C+ 'D+E' | #289", &shape, wrong));
    assert_int_equal(shape.strings, 3);
    assert_int_equal(shape.packs, 5);
    assert_int_equal(shape.string[0].first, 0);
    assert_int_equal(shape.string[0].count, 2);
    assert_int_equal(shape.string[1].first, 2);
    assert_int_equal(shape.string[1].count, 2);
    assert_int_equal(shape.string[2].count, 1);
    assert_string_equal(shape.pack[0], "House 1");
    assert_string_equal(shape.pack[3], "D+E");
    assert_string_equal(shape.pack[4], "#289");
}

static void a_name_may_hold_spaces_without_quotes(void **state)
{
    (void)state;
    assert_null(shape_parse(" House 1  |  House 2 ", &shape, wrong));
    assert_string_equal(shape.pack[0], "House 1");
    assert_string_equal(shape.pack[1], "House 2");
}

static void packs_are_found_by_name_serial_and_instance(void **state)
{
    (void)state;
    assert_null(shape_parse("A | S123 | #289", &shape, wrong));
    assert_int_equal(shape_find(&shape, "A", "", NAN), 0);
    assert_int_equal(shape_find(&shape, "Shed", "S123", 7), 1);
    assert_int_equal(shape_find(&shape, "Van", "S9", 289), 2);
    assert_int_equal(shape_find(&shape, "Van", "S9", 28), -1);
    assert_int_equal(shape_find(&shape, "Van", "", NAN), -1);
}

static void what_is_wrong_is_told_where(void **state)
{
    char many[1024] = "A0";

    (void)state;
    expect_wrong("A + | B", "the name of a pack is missing at \"| B\"");
    expect_wrong("A |", "the name of a pack is missing at its end");
    expect_wrong("(A + B", "a bracket is not closed at its end");
    expect_wrong("(A + B | C", "only + may stand in a bracket at \"| C\"");
    expect_wrong("(A | B) + (C | D)", "only + may stand in a bracket at \"| B) + (C | D)\"");
    expect_wrong("A \"B\"", "+ or | is missing at \"\"B\"\"");
    expect_wrong("\"A | B", "a quote is not closed");
    expect_wrong("A + B | A", "this pack is there twice at \"A\"");
    expect_wrong("A) | B", "+ or | is missing at \") | B\"");
    expect_wrong("0123456789012345678901234567890123456789012345678", "too long");
    for (int i = 1; i <= SHAPE_PACKS_MAX; i++)
        sprintf(many + strlen(many), "+A%d", i);
    expect_wrong(many, "too many packs");
    strcpy(many, "A0");
    for (int i = 1; i < SHAPE_STRINGS_MAX; i++)
        sprintf(many + strlen(many), "|A%d", i);
    assert_null(shape_parse(many, &shape, wrong));
    assert_int_equal(shape.strings, SHAPE_STRINGS_MAX);
    strcat(many, "|B");
    expect_wrong(many, "too many strings");
}

/* PACKS has commas, BANK has not: one name "A, B" would be waited for in vain. */
static void a_comma_is_no_sign_but_may_stand_in_quotes(void **state)
{
    (void)state;
    expect_wrong("House 1, House 2",
                 "between packs stands + (in series) or | (in parallel), no comma at \", House 2\"");
    expect_wrong("A + B,", "no comma");
    assert_null(shape_parse("\"A, B\" + C", &shape, wrong));
    assert_string_equal(shape.pack[0], "A, B");
}

static void behind_a_hash_stands_an_instance(void **state)
{
    (void)state;
    expect_wrong("#1 + #abc", "behind # stands an instance, a number at \"#abc\"");
    expect_wrong("#", "behind # stands an instance, a number at \"#\"");
    expect_wrong("#28 9 | B", "behind # stands an instance, a number at \"#28 9 | B\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_told_is_no_shape),
        cmocka_unit_test(strings_and_packs_are_read_with_and_without_brackets_and_quotes),
        cmocka_unit_test(a_name_may_hold_spaces_without_quotes),
        cmocka_unit_test(packs_are_found_by_name_serial_and_instance),
        cmocka_unit_test(what_is_wrong_is_told_where),
        cmocka_unit_test(a_comma_is_no_sign_but_may_stand_in_quotes),
        cmocka_unit_test(behind_a_hash_stands_an_instance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
