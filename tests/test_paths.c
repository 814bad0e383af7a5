/* bus/paths: a set of object paths with a number each. */
#include <stdio.h>
#include <string.h>

#include "bus/paths.h"

/* cmocka.h needs the others before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

static void a_path_is_found_by_its_place_in_the_list(void **state)
{
    static const char *const list[] = {"/Soc", "/Dc/0/Voltage", "/Dc/0/Current"};
    struct paths *paths = paths_new(list, 3);

    (void)state;
    assert_non_null(paths);
    assert_int_equal(paths_count(paths), 3);
    for (int i = 0; i < 3; i++) {
        char copy[32];

        strcpy(copy, list[i]); /* another address: it is the text that counts */
        assert_int_equal(paths_find(paths, copy), i);
        assert_string_equal(paths_get(paths, (size_t)i), list[i]);
    }
    paths_free(paths);
}

static void a_path_that_is_not_in_the_set_has_no_number(void **state)
{
    static const char *const list[] = {"/Dc/0/Voltage"};
    struct paths *paths = paths_new(list, 1);

    (void)state;
    assert_int_equal(paths_find(paths, "/Dc/0/Voltag"), PATHS_NONE);
    assert_int_equal(paths_find(paths, "/Dc/0/Voltage/"), PATHS_NONE);
    assert_int_equal(paths_find(paths, "/dc/0/voltage"), PATHS_NONE);
    assert_int_equal(paths_find(paths, ""), PATHS_NONE);
    paths_free(paths);
}

static void of_a_path_that_is_there_twice_the_first_wins(void **state)
{
    static const char *const list[] = {"/Soc", "/Soh", "/Soc"};
    struct paths *paths = paths_new(list, 3);

    (void)state;
    assert_int_equal(paths_find(paths, "/Soc"), 0);
    assert_int_equal(paths_find(paths, "/Soh"), 1);
    paths_free(paths);
}

static void an_empty_set_finds_nothing(void **state)
{
    struct paths *paths = paths_new(NULL, 0);

    (void)state;
    assert_non_null(paths);
    assert_int_equal(paths_count(paths), 0);
    assert_int_equal(paths_find(paths, "/Soc"), PATHS_NONE);
    paths_free(paths);
}

/* Enough for paths to share slots: collisions are told apart by the text. */
static void thousands_of_paths_keep_their_own_numbers(void **state)
{
    enum { COUNT = 5000 };
    static char text[COUNT][24];
    static const char *list[COUNT];
    struct paths *paths;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(text[i], sizeof text[i], "/Voltages/Cell%d", i);
        list[i] = text[i];
    }
    paths = paths_new(list, COUNT);
    for (int i = 0; i < COUNT; i++) {
        char other[24];

        assert_int_equal(paths_find(paths, text[i]), i);
        snprintf(other, sizeof other, "/Voltages/Cell%d", i + COUNT);
        assert_int_equal(paths_find(paths, other), PATHS_NONE);
    }
    paths_free(paths);
}

/* Both have the same 32-bit FNV-1a hash (found by search). */
static void two_paths_of_the_same_hash_are_told_apart(void **state)
{
    static const char *const list[] = {"/CHxlo", "/Soc"};
    struct paths *paths = paths_new(list, 2);

    (void)state;
    assert_int_equal(paths_find(paths, "/FeWSO"), PATHS_NONE);
    assert_int_equal(paths_find(paths, "/CHxlo"), 0);
    paths_free(paths);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_found_by_its_place_in_the_list),
        cmocka_unit_test(a_path_that_is_not_in_the_set_has_no_number),
        cmocka_unit_test(of_a_path_that_is_there_twice_the_first_wins),
        cmocka_unit_test(an_empty_set_finds_nothing),
        cmocka_unit_test(thousands_of_paths_keep_their_own_numbers),
        cmocka_unit_test(two_paths_of_the_same_hash_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
