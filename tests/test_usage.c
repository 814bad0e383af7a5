/* What the command line says of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { SAID_BYTES = 16384 };

/* Runs the program with these words; its exit status. */
static int run(const char *words, const char *redirected, char said[SAID_BYTES])
{
    const char *program = getenv("AGGREGATOR");
    char command[512];
    FILE *pipe;
    int status;

    snprintf(command, sizeof command, "timeout 60 %s %s %s </dev/null",
             program ? program : BUILD_DIR "/battery-aggregator", words, redirected);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    said[fread(said, 1, SAID_BYTES - 1, pipe)] = '\0';
    status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Each command with what its part of the man page has. */
static const struct {
    const char *name;
    const char *has[6];
} commands[] = {
    {"check", {"[FILE]", "--settings", "Exit status 0"}},
    {"status", {"--watch", "--table", "--json", "--history", "--bus"}},
    {"capacity", {"--bus", "sweep"}},
    {"work", {"--clear", "--bus"}},
    {"set", {"soc PERCENT", "offset AMPERE", "--bus"}},
    {"record", {"[FILE]", "--bus"}},
    {"replay", {"--settings", "[FILE | -]", "--log-level"}},
    {"release", {"--data", "--bus"}},
    {"import", {"[PATH]", "config.ini", "settings.py"}},
    {"simulate", {"--weak-cell", "--settings"}},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void each_command_helps_with_its_own_usage_and_options(void **state)
{
    static const struct {
        const char *before, *behind;
    } asks[] = {{"", " --help"}, {"", " -h"}, {"--help ", ""}};
    char said[SAID_BYTES], words[64], begin[64];

    (void)state;
    for (size_t i = 0; i < COMMANDS; i++) {
        for (size_t ask = 0; ask < (strcmp(commands[i].name, "simulate") == 0 ? 2 : 3); ask++) {
            snprintf(words, sizeof words, "%s%s%s", asks[ask].before, commands[i].name, asks[ask].behind);
            snprintf(begin, sizeof begin, "Usage: battery-aggregator %s ", commands[i].name);
            if (run(words, "2>&1", said) != 0 || strncmp(said, begin, strlen(begin)) != 0)
                fail_msg("%s says %s", words, said);
            for (size_t k = 0; k < 6 && commands[i].has[k]; k++) {
                if (!strstr(said, commands[i].has[k]))
                    fail_msg("%s says nothing of %s: %s", words, commands[i].has[k], said);
            }
            assert_null(strstr(said, "Commands:"));
        }
    }
}

static void without_a_command_it_helps_with_all_of_them(void **state)
{
    char said[SAID_BYTES], line[64];

    (void)state;
    assert_int_equal(run("--help", "2>/dev/null", said), 0);
    assert_non_null(strstr(said, "Usage: battery-aggregator [OPTION...] [COMMAND]"));
    for (size_t i = 0; i < COMMANDS; i++) {
        snprintf(line, sizeof line, "\n  %s ", commands[i].name);
        assert_non_null(strstr(said, line));
    }
    assert_int_equal(run("-h", "2>/dev/null", said), 0);
}

static void an_option_that_is_unknown_is_told_with_the_usage_of_its_command(void **state)
{
    char said[SAID_BYTES], words[64], usage[64], hint[64];

    (void)state;
    for (size_t i = 0; i < COMMANDS; i++) {
        snprintf(words, sizeof words, "%s --nonsense", commands[i].name);
        snprintf(usage, sizeof usage, "\nUsage: battery-aggregator %s ", commands[i].name);
        snprintf(hint, sizeof hint, "\nTry 'battery-aggregator %s --help'.\n", commands[i].name);
        assert_int_equal(run(words, "2>&1 >/dev/null", said), 2);
        if (!strstr(said, "--nonsense") || !strstr(said, usage) || !strstr(said, hint))
            fail_msg("%s says %s", words, said);
    }
    assert_int_equal(run("--nonsense", "2>&1", said), 2);
    assert_non_null(strstr(said, "\nTry 'battery-aggregator --help'.\n"));
}

static void what_is_wrong_with_the_words_of_a_command_is_told_with_its_usage(void **state)
{
    char said[SAID_BYTES];

    (void)state;
    assert_int_equal(run("check a b", "2>&1", said), 2);
    assert_non_null(strstr(said, "one argument too many: b\nUsage: battery-aggregator check [FILE]\n"));
    assert_int_equal(run("--table capacity", "2>&1", said), 2);
    assert_non_null(strstr(said, "an option of status: --table\nUsage: battery-aggregator capacity "));
    assert_int_equal(run("chekc --help", "2>&1", said), 2);
    assert_non_null(strstr(said, "unknown command"));
    assert_int_equal(run("--settings /nowhere.ini check", "2>&1", said), 1); /* the value is no command */
    assert_non_null(strstr(said, "/nowhere.ini: cannot be read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_helps_with_its_own_usage_and_options),
        cmocka_unit_test(without_a_command_it_helps_with_all_of_them),
        cmocka_unit_test(an_option_that_is_unknown_is_told_with_the_usage_of_its_command),
        cmocka_unit_test(what_is_wrong_with_the_words_of_a_command_is_told_with_its_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
