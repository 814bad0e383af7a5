/* bus/items without a bus: paths, rounding, texts, and which changes there are to send. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/items_tree.h"

static const char *const state_names[] = {"Off", "Low Power", "Fault", NULL};

struct shelf {
    struct items *items;
    int volts; /* two decimals, nearest */
    int limit; /* two decimals, down */
    int whole; /* 'i' with a unit */
    int state; /* 'i' with names */
    int name;  /* 's' */
    int taken[16];
    size_t taken_count;
    char text[ITEMS_TEXT_MAX];
};

static int add(struct items *items, const char *path, char type)
{
    const struct item_def def = {.path = path, .type = type, .decimals = type == 'd' ? 2 : 0};

    return items_add(items, &def);
}

static int setup(void **state)
{
    struct shelf *shelf = test_calloc(1, sizeof *shelf);
    const struct item_def volts = {.path = "/Dc/0/Voltage", .type = 'd', .decimals = 2, .unit = "V"};
    const struct item_def limit = {
        .path = "/Info/MaxChargeVoltage", .type = 'd', .decimals = 2, .rounding = ROUND_DOWN, .unit = "V"};
    const struct item_def whole = {.path = "/TimeToGo", .type = 'i', .unit = "s"};
    const struct item_def named = {.path = "/State", .type = 'i', .names = state_names};

    shelf->items = items_new(NULL, NULL);
    assert_non_null(shelf->items);
    shelf->volts = items_add(shelf->items, &volts);
    shelf->limit = items_add(shelf->items, &limit);
    shelf->whole = items_add(shelf->items, &whole);
    shelf->state = items_add(shelf->items, &named);
    shelf->name = add(shelf->items, "/CustomName", 's');
    *state = shelf;
    return 0;
}

static int teardown(void **state)
{
    struct shelf *shelf = *state;

    items_free(shelf->items);
    test_free(shelf);
    return 0;
}

static void take_one(void *ctx, int item)
{
    struct shelf *shelf = ctx;

    assert_true(shelf->taken_count < sizeof shelf->taken / sizeof *shelf->taken);
    shelf->taken[shelf->taken_count++] = item;
}

static size_t take(struct shelf *shelf)
{
    size_t count;

    shelf->taken_count = 0;
    count = items_take_changes(shelf->items, take_one, shelf);
    assert_int_equal(count, shelf->taken_count);
    return count;
}

static double shown(struct shelf *shelf, int item)
{
    struct value value = items_value(shelf->items, item);

    assert_int_equal(value.kind, VALUE_NUMBER);
    return value.number;
}

/* The number that is shown once this one is set. */
static double set_number(struct shelf *shelf, int item, double number)
{
    items_set_number(shelf->items, item, number);
    return shown(shelf, item);
}

static bool is_invalid(struct shelf *shelf, int item)
{
    return items_value(shelf->items, item).kind == VALUE_INVALID;
}

#define assert_text(shelf, item, expected) \
    assert_string_equal(items_text((shelf)->items, item, (shelf)->text), expected)

static void assert_path(struct shelf *shelf, int item, const char *expected)
{
    char path[ITEMS_PATH_MAX];

    assert_string_equal(items_path(shelf->items, item, path), expected);
}

/* What a text becomes once it is set. */
static const char *set_text(struct shelf *shelf, const char *text)
{
    struct value value;

    items_set_text(shelf->items, shelf->name, text);
    value = items_value(shelf->items, shelf->name);
    assert_int_equal(value.kind, VALUE_TEXT);
    return value.text;
}

/* ---- numbers ---- */

static void a_new_item_is_invalid_and_has_nothing_to_send(void **state)
{
    struct shelf *shelf = *state;

    for (int item = 0; item < (int)items_count(shelf->items); item++) {
        assert_true(is_invalid(shelf, item));
        assert_text(shelf, item, "---");
    }
    assert_int_equal(take(shelf), 0);
}

static void a_number_is_rounded_to_what_its_text_shows(void **state)
{
    struct shelf *shelf = *state;

    assert_true(set_number(shelf, shelf->volts, 52.906) == 52.91);
    assert_text(shelf, shelf->volts, "52.91V");
    assert_true(set_number(shelf, shelf->volts, 52.904) == 52.90);
    assert_text(shelf, shelf->volts, "52.90V");
    assert_true(set_number(shelf, shelf->volts, -0.126) == -0.13);
    assert_text(shelf, shelf->volts, "-0.13V");
}

static void a_limit_is_rounded_down_never_up(void **state)
{
    struct shelf *shelf = *state;

    assert_true(set_number(shelf, shelf->limit, 55.199) == 55.19);
    assert_true(set_number(shelf, shelf->limit, 55.1999) == 55.19);
    assert_true(set_number(shelf, shelf->limit, -1.001) == -1.01);
}

static void a_limit_keeps_each_hundredth_that_binary_fractions_cannot_hold(void **state)
{
    struct shelf *shelf = *state;
    char expected[32];

    assert_true(set_number(shelf, shelf->limit, 22 * 2.4) == 52.80);
    assert_text(shelf, shelf->limit, "52.80V");
    for (int hundredths = 0; hundredths <= 10000; hundredths++) {
        assert_true(set_number(shelf, shelf->limit, hundredths / 100.0) == hundredths / 100.0);
        snprintf(expected, sizeof expected, "%d.%02dV", hundredths / 100, hundredths % 100);
        assert_text(shelf, shelf->limit, expected);
    }
}

static void zero_has_no_sign(void **state)
{
    struct shelf *shelf = *state;
    const double tiny[] = {-0.0, -0.001, 0.001, 0};

    for (size_t i = 0; i < sizeof tiny / sizeof *tiny; i++) {
        assert_false(signbit(set_number(shelf, shelf->volts, tiny[i])));
        assert_text(shelf, shelf->volts, "0.00V");
        assert_false(signbit(set_number(shelf, shelf->whole, tiny[i])));
        assert_text(shelf, shelf->whole, "0s");
    }
    assert_false(signbit(set_number(shelf, shelf->limit, -1e-12)));
    assert_text(shelf, shelf->limit, "0.00V");
}

static void a_number_that_is_none_is_invalid(void **state)
{
    struct shelf *shelf = *state;
    const double none[] = {NAN, -NAN, INFINITY, -INFINITY};

    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        set_number(shelf, shelf->volts, 52);
        items_set_number(shelf->items, shelf->volts, none[i]);
        assert_true(is_invalid(shelf, shelf->volts));
        assert_text(shelf, shelf->volts, "---");
        set_number(shelf, shelf->whole, 52);
        items_set_number(shelf->items, shelf->whole, none[i]);
        assert_true(is_invalid(shelf, shelf->whole));
    }
}

static void an_integer_is_rounded_and_stays_within_32_bits(void **state)
{
    struct shelf *shelf = *state;

    assert_true(set_number(shelf, shelf->whole, 7199.6) == 7200);
    assert_text(shelf, shelf->whole, "7200s");
    assert_true(set_number(shelf, shelf->whole, 3e9) == INT32_MAX);
    assert_text(shelf, shelf->whole, "2147483647s");
    assert_true(set_number(shelf, shelf->whole, -3e9) == INT32_MIN);
    assert_text(shelf, shelf->whole, "-2147483648s");
    assert_true(set_number(shelf, shelf->whole, 1e300) == INT32_MAX);
}

static void a_number_of_any_size_has_a_text_that_fits(void **state)
{
    struct shelf *shelf = *state;
    const double sizes[] = {123456789.012, 1e13, 1e15, 1e22, -1e22, 1e100, 1.7e308, -1.7e308};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        set_number(shelf, shelf->volts, sizes[i]);
        items_text(shelf->items, shelf->volts, shelf->text);
        assert_true(strlen(shelf->text) < ITEMS_TEXT_MAX);
        if (fabs(sizes[i]) <= 1e100)
            assert_near(strtod(shelf->text, NULL), sizes[i], fabs(sizes[i]) * 1e-9);
    }
    assert_true(set_number(shelf, shelf->volts, 123456789.012) == 123456789.01);
    assert_text(shelf, shelf->volts, "123456789.01V");
}

static void an_enumerated_value_is_named_and_one_without_a_name_is_a_number(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->state, 0);
    assert_text(shelf, shelf->state, "Off");
    set_number(shelf, shelf->state, 2);
    assert_text(shelf, shelf->state, "Fault");
    set_number(shelf, shelf->state, 3);
    assert_text(shelf, shelf->state, "3");
    set_number(shelf, shelf->state, -1);
    assert_text(shelf, shelf->state, "-1");
    items_set_invalid(shelf->items, shelf->state);
    assert_text(shelf, shelf->state, "---");
}

/* ---- texts ---- */

static void a_text_is_kept_as_it_is(void **state)
{
    struct shelf *shelf = *state;

    assert_string_equal(set_text(shelf, "Hütte 1 \xE2\x82\xAC \xF0\x9F\x94\x8B"),
                        "Hütte 1 \xE2\x82\xAC \xF0\x9F\x94\x8B");
    assert_text(shelf, shelf->name, "Hütte 1 \xE2\x82\xAC \xF0\x9F\x94\x8B");
    assert_string_equal(set_text(shelf, ""), "");
    items_set_text(shelf->items, shelf->name, NULL);
    assert_true(is_invalid(shelf, shelf->name));
}

static void what_is_no_utf_8_becomes_question_marks(void **state)
{
    static const char *const texts[][2] = {
        {"H\xFCtte", "H?tte"},        /* Latin-1 */
        {"\x80", "?"},                /* a rest without a beginning */
        {"a\xE2\x82", "a??"},         /* ends within a character */
        {"a\xE2\x82z", "a??z"},       /* broken off */
        {"\xC0\xAF", "??"},           /* an overlong slash */
        {"\xE0\x80\xAF", "???"},      /* a longer one */
        {"\xED\xA0\x80", "???"},      /* a surrogate */
        {"\xF4\x90\x80\x80", "????"}, /* above U+10FFFF */
        {"\xF8\x88\x80\x80\x80", "?????"},
        {"\xFF\xFE", "??"},
    };
    struct shelf *shelf = *state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(set_text(shelf, texts[i][0]), texts[i][1]);
}

static void a_long_text_is_cut_at_a_character(void **state)
{
    struct shelf *shelf = *state;
    char text[3 * ITEMS_TEXT_MAX];
    const char *cut;

    for (size_t before = 0; before < 4; before++) {
        size_t length = before;

        memset(text, 'a', before);
        while (length + 3 < sizeof text) {
            memcpy(text + length, "\xE2\x82\xAC", 3);
            length += 3;
        }
        text[length] = '\0';
        cut = set_text(shelf, text);
        assert_true(strlen(cut) > ITEMS_TEXT_MAX - 4 && strlen(cut) < ITEMS_TEXT_MAX);
        assert_int_equal((strlen(cut) - before) % 3, 0);
        assert_memory_equal(cut, text, strlen(cut));
    }
    memset(text, 'b', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(strlen(set_text(shelf, text)), ITEMS_TEXT_MAX - 1);
    memset(text, '\xFF', sizeof text - 1); /* question marks need no more room than what they stand for */
    assert_int_equal(strlen(set_text(shelf, text)), ITEMS_TEXT_MAX - 1);
    assert_int_equal(strlen(items_text(shelf->items, shelf->name, shelf->text)), ITEMS_TEXT_MAX - 1);
}

static void a_value_of_another_type_is_invalid(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 52);
    items_set_text(shelf->items, shelf->volts, "52");
    assert_true(is_invalid(shelf, shelf->volts));
    set_text(shelf, "House");
    items_set_number(shelf->items, shelf->name, 7);
    assert_true(is_invalid(shelf, shelf->name));
}

/* ---- changes ---- */

static void only_what_changed_is_taken_once_and_in_its_order(void **state)
{
    struct shelf *shelf = *state;

    set_text(shelf, "House");
    set_number(shelf, shelf->volts, 52.9);
    set_text(shelf, "Shed");
    assert_int_equal(take(shelf), 2);
    assert_int_equal(shelf->taken[0], shelf->name);
    assert_int_equal(shelf->taken[1], shelf->volts);
    assert_int_equal(take(shelf), 0);
}

static void what_looks_the_same_is_no_change(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 52.90);
    set_number(shelf, shelf->limit, 55.20);
    set_number(shelf, shelf->whole, 10);
    set_text(shelf, "House");
    take(shelf);
    set_number(shelf, shelf->volts, 52.9049);
    set_number(shelf, shelf->limit, 55.2099);
    set_number(shelf, shelf->whole, 10.4);
    set_text(shelf, "House");
    items_set_invalid(shelf->items, shelf->state);
    assert_int_equal(take(shelf), 0);
    set_number(shelf, shelf->volts, 52.9051);
    assert_int_equal(take(shelf), 1);
}

static void to_become_invalid_is_a_change_and_so_is_to_come_back(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 52.9);
    set_text(shelf, "House");
    take(shelf);
    items_set_number(shelf->items, shelf->volts, NAN);
    items_set_text(shelf->items, shelf->name, NULL);
    assert_int_equal(take(shelf), 2);
    items_set_number(shelf->items, shelf->volts, NAN);
    assert_int_equal(take(shelf), 0);
    set_number(shelf, shelf->volts, 52.9);
    set_text(shelf, "House");
    assert_int_equal(take(shelf), 2);
}

static void a_first_value_of_0_or_no_letters_is_a_change(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 0);
    set_text(shelf, "");
    assert_int_equal(take(shelf), 2);
}

static void changes_may_be_forgotten_unseen(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 52.9);
    assert_int_equal(items_take_changes(shelf->items, NULL, NULL), 1);
    assert_int_equal(take(shelf), 0);
}

/* ---- paths ---- */

static void a_path_has_names_of_letters_digits_and_underscores(void **state)
{
    static const char *const bad[] = {"",       "/",     "Dc",    "Dc/0",  "//",         "/Dc/",
                                      "/Dc//1", "/Dc 1", "/Dc-1", "/Dc.1", "/H\xC3\xBC", "/a\n"};
    struct shelf *shelf = *state;
    size_t count = items_count(shelf->items);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(add(shelf->items, bad[i], 'd'), -1);
    assert_int_equal(items_count(shelf->items), count);
    assert_true(add(shelf->items, "/Voltages/House_1_Cell12", 'd') >= 0);
}

static void a_path_is_either_a_value_or_a_branch(void **state)
{
    struct shelf *shelf = *state;

    assert_int_equal(add(shelf->items, "/Dc/0/Voltage", 'd'), -1);
    assert_int_equal(add(shelf->items, "/Dc/0/Voltage/Phase", 'd'), -1);
    assert_int_equal(add(shelf->items, "/Dc/0/Voltage/Phase/1", 'd'), -1);
    assert_int_equal(add(shelf->items, "/Dc/0", 'd'), -1);
    assert_int_equal(add(shelf->items, "/Dc", 'd'), -1);
    assert_true(add(shelf->items, "/Dc/0/Volt", 'd') >= 0); /* only begins like another */
    assert_true(add(shelf->items, "/Dc/0/Voltage2", 'd') >= 0);
    assert_true(add(shelf->items, "/Dc/1/Voltage", 'd') >= 0);
}

static void a_path_longer_than_any_of_the_contract_is_refused(void **state)
{
    struct shelf *shelf = *state;
    char path[4096];

    memset(path, 'a', sizeof path - 1);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(add(shelf->items, path, 'd'), -1);
    path[ITEMS_PATH_MAX] = '\0';
    assert_int_equal(add(shelf->items, path, 'd'), -1);
    path[ITEMS_PATH_MAX - 1] = '\0';
    assert_path(shelf, add(shelf->items, path, 'd'), path);
    path[900] = '/'; /* the longest in two pieces */
    assert_path(shelf, add(shelf->items, path, 'd'), path);
}

static void decimals_have_bounds(void **state)
{
    struct shelf *shelf = *state;
    struct item_def def = {.path = "/Fine", .type = 'd', .decimals = 7};

    assert_int_equal(items_add(shelf->items, &def), -1);
    def.decimals = -1;
    assert_int_equal(items_add(shelf->items, &def), -1);
    def.decimals = 6;
    assert_true(items_add(shelf->items, &def) >= 0);
}

static void an_item_is_found_by_its_whole_path_only(void **state)
{
    struct shelf *shelf = *state;

    assert_int_equal(items_find(shelf->items, "/Dc/0/Voltage"), shelf->volts);
    assert_int_equal(items_find(shelf->items, "/CustomName"), shelf->name);
    assert_path(shelf, shelf->volts, "/Dc/0/Voltage");
    assert_int_equal(items_find(shelf->items, "/Dc/0"), -1);
    assert_int_equal(items_find(shelf->items, "/Dc/0/Voltag"), -1);
    assert_int_equal(items_find(shelf->items, "/Dc/0/Voltage/"), -1);
    assert_int_equal(items_find(shelf->items, "/dc/0/voltage"), -1);
    assert_int_equal(items_find(shelf->items, "/"), -1);
    assert_int_equal(items_find(shelf->items, ""), -1);
}

static void a_branch_has_what_is_below_it_and_not_what_only_begins_like_it(void **state)
{
    struct shelf *shelf = *state;
    size_t first;

    add(shelf->items, "/Dc/0/Current", 'd');
    add(shelf->items, "/Dc/01/Current", 'd'); /* '1' sorts behind '/' */
    add(shelf->items, "/Dc/0_/Current", 'd');
    assert_int_equal(items_below(shelf->items, "/Dc/0", &first), 2);
    assert_path(shelf, shelf->items->sorted[first], "/Dc/0/Current");
    assert_path(shelf, shelf->items->sorted[first + 1], "/Dc/0/Voltage");
    assert_int_equal(items_below(shelf->items, "/Dc", &first), 4);
    assert_int_equal(items_below(shelf->items, "/", &first), items_count(shelf->items));
    assert_int_equal(items_below(shelf->items, "/Dc/0/Voltage", &first), 0);
    assert_int_equal(items_below(shelf->items, "/Nothing", &first), 0);
}

/* Items are sorted by the whole path, wherever it is divided. */
static void branches_of_like_names_are_sorted_and_told_apart(void **state)
{
    static const char *const in_order[] = {
        "/Battery",
        "/Battery0/Soc",
        "/Battery1",
        "/BatteryX",
        "/House/1/A",
        "/House/1/Info/Limit",
        "/House/1/Info/Limit2",
        "/House/1/Info2",
        "/House/1/Soc",
        "/House/10/Info/Mode",
        "/House/10/Soc",
        "/House/10/Temperature",
        "/House/1Soc",
        "/House/1_/Soc",
        "/House/2/Soc",
        "/House/Soc",
        "/House0/Soc",
        "/HouseX",
        "/House_",
    };
    enum { COUNT = sizeof in_order / sizeof *in_order };
    struct items *items = items_new(NULL, NULL);
    size_t first;

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(add(items, in_order[i * 7 % COUNT], 'd'), i);
    for (size_t i = 0; i < COUNT; i++) {
        char path[ITEMS_PATH_MAX];

        assert_string_equal(items_path(items, items->sorted[i], path), in_order[i]);
        assert_int_equal(items_find(items, in_order[i]), items->sorted[i]);
    }
    assert_int_equal(items_below(items, "/House/1", &first), 5);
    assert_int_equal(first, 4);
    assert_int_equal(items_below(items, "/House/1/Info", &first), 2);
    assert_int_equal(items_below(items, "/House/10", &first), 3);
    assert_int_equal(items_below(items, "/House", &first), 12);
    assert_int_equal(items_below(items, "/Battery", &first), 0);
    assert_int_equal(items_find(items, "/House/1/Info"), -1);
    assert_int_equal(items_find(items, "/House/10/A"), -1);
    assert_int_equal(add(items, "/House/1/Info", 'd'), -1);
    assert_int_equal(add(items, "/House/1/Soc/More", 'd'), -1);
    assert_true(add(items, "/House/1/In", 'd') >= 0);
    items_free(items);
}

static void a_full_tree_takes_no_more_and_keeps_what_it_has(void **state)
{
    struct items *items = items_new(NULL, NULL);
    char path[32];

    (void)state;
    for (int i = 0; i < ITEMS_COUNT_MAX; i++) {
        snprintf(path, sizeof path, "/%02X/%02X", (unsigned)i / 256, (unsigned)i % 256);
        if (add(items, path, 'd') != i)
            fail_msg("%s is not taken", path);
        items_set_number(items, i, i);
    }
    assert_int_equal(add(items, "/Soc", 'd'), -1);
    assert_int_equal(add(items, "/FF/FF", 'd'), -1);
    assert_int_equal(items_count(items), ITEMS_COUNT_MAX);
    assert_int_equal(items_find(items, "/00/00"), 0);
    assert_int_equal(items_find(items, path), ITEMS_COUNT_MAX - 1);
    assert_int_equal(items_find(items, "/Soc"), -1);
    assert_true(items_value(items, 0).number == 0);
    assert_true(items_value(items, ITEMS_COUNT_MAX - 1).number == ITEMS_COUNT_MAX - 1);
    assert_int_equal(items_take_changes(items, NULL, NULL), ITEMS_COUNT_MAX);
    items_free(items);
}

/* What items have in common is kept once: each difference has to count. */
static void items_that_differ_in_one_thing_are_not_taken_for_the_same(void **state)
{
    static const char *const other_names[] = {"On", NULL};
    const struct item_def defs[] = {
        {"/A", 'd', 2, ROUND_NEAREST, "V", NULL, "Of it", false},
        {"/B", 'i', 2, ROUND_NEAREST, "V", NULL, "Of it", false},
        {"/C", 'd', 3, ROUND_NEAREST, "V", NULL, "Of it", false},
        {"/D", 'd', 2, ROUND_DOWN, "V", NULL, "Of it", false},
        {"/E", 'd', 2, ROUND_NEAREST, "A", NULL, "Of it", false},
        {"/F", 'd', 2, ROUND_NEAREST, "V", state_names, "Of it", false},
        {"/G", 'd', 2, ROUND_NEAREST, "V", other_names, "Of it", false},
        {"/H", 'd', 2, ROUND_NEAREST, "V", NULL, "Of another", false},
        {"/I", 'd', 2, ROUND_NEAREST, "V", NULL, "Of it", true},
    };
    enum { COUNT = sizeof defs / sizeof *defs };
    struct shelf *shelf = *state;
    int first = items_add(shelf->items, &defs[0]);

    for (int i = 1; i < COUNT; i++)
        assert_int_equal(items_add(shelf->items, &defs[i]), first + i);
    for (int i = 0; i < COUNT; i++) {
        const struct item_def def = items_def(shelf->items, first + i);

        assert_path(shelf, first + i, defs[i].path);
        assert_int_equal(def.type, defs[i].type);
        assert_int_equal(def.decimals, defs[i].decimals);
        assert_int_equal(def.rounding, defs[i].rounding);
        assert_string_equal(def.unit, defs[i].unit);
        assert_ptr_equal(def.names, defs[i].names);
        assert_string_equal(def.description, defs[i].description);
        assert_int_equal(def.writable, defs[i].writable);
    }
}

static void a_text_has_the_room_that_it_was_given(void **state)
{
    static const struct item_def defs[] = {{.path = "/Long", .type = 's'}, {.path = "/Short", .type = 's'}};
    struct shelf *shelf = *state;
    int whole = items_add(shelf->items, &defs[0]);
    int cut = items_add_short(shelf->items, &defs[1], sizeof "miss");

    items_set_text(shelf->items, whole, "missing");
    items_set_text(shelf->items, cut, "missing");
    assert_text(shelf, whole, "missing");
    assert_text(shelf, cut, "miss");
}

static void a_tree_grows_while_it_is_in_use_and_keeps_what_it_has(void **state)
{
    enum { MORE = 1200 };
    struct shelf *shelf = *state;
    size_t before = items_count(shelf->items);
    char path[64];

    set_number(shelf, shelf->volts, 52.9);
    set_text(shelf, "House");
    for (int i = 0; i < MORE; i++) {
        int item;

        snprintf(path, sizeof path, "/Voltages/P%d_Cell%d", i * 7919 % MORE, i); /* in no order */
        item = add(shelf->items, path, 'd');
        assert_int_equal(item, (int)before + i);
        path[0] = '#'; /* the tree has a copy of its own */
        items_set_number(shelf->items, item, i);
    }
    assert_int_equal(items_count(shelf->items), before + MORE);
    assert_int_equal(items_take_changes(shelf->items, NULL, NULL), MORE + 2);
    assert_true(shown(shelf, shelf->volts) == 52.9);
    assert_text(shelf, shelf->name, "House");
    for (int i = 0; i < MORE; i++) {
        snprintf(path, sizeof path, "/Voltages/P%d_Cell%d", i * 7919 % MORE, i);
        assert_int_equal(items_find(shelf->items, path), (int)before + i);
        assert_true(shown(shelf, (int)before + i) == i);
    }
}

static void another_type_makes_a_value_invalid_and_takes_its_own_values_then(void **state)
{
    struct shelf *shelf = *state;

    set_number(shelf, shelf->volts, 52.9);
    assert_true(items_set_type(shelf->items, shelf->volts, 's'));
    assert_true(is_invalid(shelf, shelf->volts));
    items_set_text(shelf->items, shelf->volts, "broken");
    assert_text(shelf, shelf->volts, "broken");
    assert_true(items_set_type(shelf->items, shelf->volts, 'd'));
    assert_true(is_invalid(shelf, shelf->volts));
    assert_true(set_number(shelf, shelf->volts, 12.5) == 12.5);
    assert_true(items_set_type(shelf->items, shelf->volts, 'd'));
    assert_true(shown(shelf, shelf->volts) == 12.5);
}

static void another_type_is_that_of_one_item_only(void **state)
{
    struct shelf *shelf = *state;
    int broken = add(shelf->items, "/Dc/0/Current", 'd');
    int sound = add(shelf->items, "/Dc/1/Current", 'd');

    set_number(shelf, sound, 7.25);
    assert_true(items_set_type(shelf->items, broken, 's'));
    items_set_text(shelf->items, broken, "broken");
    assert_text(shelf, broken, "broken");
    assert_text(shelf, sound, "7.25");
    assert_true(items_set_type(shelf->items, broken, 'd'));
    assert_true(set_number(shelf, broken, 1.2345) == 1.235); /* a text had no decimals to come back to */
    assert_true(set_number(shelf, sound, 1.2345) == 1.23);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_item_is_invalid_and_has_nothing_to_send),
        TEST(a_number_is_rounded_to_what_its_text_shows),
        TEST(a_limit_is_rounded_down_never_up),
        TEST(a_limit_keeps_each_hundredth_that_binary_fractions_cannot_hold),
        TEST(zero_has_no_sign),
        TEST(a_number_that_is_none_is_invalid),
        TEST(an_integer_is_rounded_and_stays_within_32_bits),
        TEST(a_number_of_any_size_has_a_text_that_fits),
        TEST(an_enumerated_value_is_named_and_one_without_a_name_is_a_number),
        TEST(a_text_is_kept_as_it_is),
        TEST(what_is_no_utf_8_becomes_question_marks),
        TEST(a_long_text_is_cut_at_a_character),
        TEST(a_value_of_another_type_is_invalid),
        TEST(only_what_changed_is_taken_once_and_in_its_order),
        TEST(what_looks_the_same_is_no_change),
        TEST(to_become_invalid_is_a_change_and_so_is_to_come_back),
        TEST(a_first_value_of_0_or_no_letters_is_a_change),
        TEST(changes_may_be_forgotten_unseen),
        TEST(a_path_has_names_of_letters_digits_and_underscores),
        TEST(a_path_is_either_a_value_or_a_branch),
        TEST(a_path_longer_than_any_of_the_contract_is_refused),
        TEST(decimals_have_bounds),
        TEST(an_item_is_found_by_its_whole_path_only),
        TEST(a_branch_has_what_is_below_it_and_not_what_only_begins_like_it),
        TEST(branches_of_like_names_are_sorted_and_told_apart),
        TEST(a_full_tree_takes_no_more_and_keeps_what_it_has),
        TEST(items_that_differ_in_one_thing_are_not_taken_for_the_same),
        TEST(a_text_has_the_room_that_it_was_given),
        TEST(a_tree_grows_while_it_is_in_use_and_keeps_what_it_has),
        TEST(another_type_makes_a_value_invalid_and_takes_its_own_values_then),
        TEST(another_type_is_that_of_one_item_only),
    };

    return cmocka_run_group_tests_name("items", tests, NULL, NULL);
}
