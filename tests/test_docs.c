/* docs/: the parts that are made from the tables in the code say what the code says. */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "docs.h"
#include "settings_table.h"

enum { PAGE_MAX = 256 * 1024, PIECE_MIN = 8 };

/* The whole file. Tests run in the top folder. */
static char *read_page(const char *path, char *text)
{
    FILE *file = fopen(path, "r");
    size_t size;

    if (!file)
        fail_msg("%s cannot be read", path);
    size = fread(text, 1, PAGE_MAX, file);
    fclose(file);
    assert_in_range(size, 1, PAGE_MAX - 1);
    text[size] = '\0';
    return text;
}

static void expect_current(const char *path, const char *made)
{
    static char page[PAGE_MAX];
    char *begin = strstr(read_page(path, page), DOCS_BEGIN "\n");
    char *end = strstr(page, DOCS_END "\n");

    if (!begin || !end)
        fail_msg("%s has lost its marks", path);
    *end = '\0';
    if (strcmp(begin + strlen(DOCS_BEGIN "\n"), made) != 0)
        fail_msg("%s is not what the code says: run `make docs`", path);
}

static void the_page_of_settings_is_current(void **state)
{
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);

    (void)state;
    docs_write_settings(out);
    fclose(out);
    for (size_t i = 0; i < settings_key_count; i++) {
        if (!strstr(made, settings_keys[i].name))
            fail_msg("%s is not in it", settings_keys[i].name);
    }
    expect_current("docs/settings.md", made);
    free(made);
}

static void the_page_of_paths_is_current(void **state)
{
    static const char *const lines[] = {
        "| `/Dc/0/Voltage` | double | V | `53.12V` |",
        "| `/CustomName` | string, writable |  | the same |",
        "| `/State` | int32 |  | 0-8 Initializing, 9 Running |",
        "| `/Alarms/BmsCable` | int32 |  | 0 Ok, 1 Warning, 2 Alarm |",
        "| `/Voltages/<pack>_Cell<k>` | double | V | `3.346V` |",
        "| `/Battery/Request/Id` | int32, writable |",
        "| `/Battery/<n>/Cell/<k>/Voltage` | double | V |",
        "| `/Diagnostics/Module<n-1>/Alarms/<alarm>` | int32 |  | 0 Ok, 1 Warning, 2 Alarm |",
        "| `/DeviceInstance` | int32 |  | `99` |",
        "| `/Soc` | double | % | `71.3%` |",
    };
    char *made = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&made, &size);

    (void)state;
    assert_true(docs_write_paths(out));
    fclose(out);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        if (!strstr(made, lines[i]))
            fail_msg("\"%s\" is not in it", lines[i]);
    }
    expect_current("docs/dbus.md", made);
    free(made);
}

/* The longest piece of a format that is the same whenever it is said: between two values or quotes. */
static size_t constant_piece(const char *format, const char **piece)
{
    size_t longest = 0;

    while (*format && *format != '"') {
        size_t length = strcspn(format, "%\\\"`");

        if (length > longest) {
            longest = length;
            *piece = format;
        }
        format += length;
        if (*format == '%')
            format += 1 + strcspn(format + 1, "diouxXeEfgGscp%") + 1;
        else if (*format == '\\')
            format += 2;
        else if (*format == '`')
            format++;
    }
    return longest;
}

static void expect_explained(const char *source, const char *said_by, const char *answers)
{
    static char text[PAGE_MAX];
    const char *at = read_page(source, text);

    while ((at = strstr(at, said_by))) {
        const char *piece = "";
        size_t length;

        at = strchr(at, '"') + 1;
        length = constant_piece(at, &piece);
        while (length > 0 && strchr(" (", piece[length - 1]))
            length--;
        for (; length > 0 && strchr(" ).:;,", *piece); length--)
            piece++;
        assert_in_range(length, PIECE_MIN, PAGE_MAX);
        if (!memmem(answers, strlen(answers), piece, length))
            fail_msg("%s: docs/troubleshooting.md does not explain \"%.*s\"", source, (int)length, piece);
    }
}

static void every_warning_of_the_daemon_has_its_answer(void **state)
{
    static const char *const sources[] = {"src/daemon.c", "src/engine.c", "src/report.c",
                                          "src/report_names.c", "src/venus/system_settings.c"};
    static char answers[PAGE_MAX];

    (void)state;
    read_page("docs/troubleshooting.md", answers);
    for (char *c = answers; *c; c++)
        *c = *c == '\n' ? ' ' : *c; /* a text may go on in the next line */
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        expect_explained(sources[i], "log_warning(", answers);
        expect_explained(sources[i], "log_error(", answers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_of_settings_is_current),
        cmocka_unit_test(the_page_of_paths_is_current),
        cmocka_unit_test(every_warning_of_the_daemon_has_its_answer),
    };

    return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
