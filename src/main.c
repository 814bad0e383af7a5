/* The command line: which command, which settings; nothing else. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/arguments.h"
#include "commands/check.h"
#include "commands/import.h"
#include "commands/record.h"
#include "commands/release.h"
#include "commands/replay.h"
#include "commands/simulate.h"
#include "commands/status.h"
#include "commands/usage.h"
#include "commands/work.h"
#include "daemon.h"
#include "version.h"

struct arguments {
    struct daemon_options daemon;
    struct status_options status;
    enum log_level log_level;
    const char *command;
    const char *file;
    const char *number; /* of set */
    bool history, clear;
};

enum option_id {
    OPT_SETTINGS = 256,
    OPT_DATA,
    OPT_LOG_LEVEL,
    OPT_BUS,
    OPT_WATCH,
    OPT_TABLE,
    OPT_JSON,
    OPT_HISTORY,
    OPT_CLEAR,
    OPT_VERSION,
    OPT_HELP = 'h'
};

static const struct option options[] = {{"settings", required_argument, NULL, OPT_SETTINGS},
                                        {"data", required_argument, NULL, OPT_DATA},
                                        {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
                                        {"bus", required_argument, NULL, OPT_BUS},
                                        {"watch", no_argument, NULL, OPT_WATCH},
                                        {"table", no_argument, NULL, OPT_TABLE},
                                        {"json", no_argument, NULL, OPT_JSON},
                                        {"history", no_argument, NULL, OPT_HISTORY},
                                        {"clear", no_argument, NULL, OPT_CLEAR},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {"version", no_argument, NULL, OPT_VERSION},
                                        {NULL, 0, NULL, 0}};

static int refuse(const char *command, const char *what, const char *found)
{
    fprintf(stderr, "battery-aggregator: %s: %s\n", what, found);
    usage_hint(command);
    return 2;
}

static int refuse_command(const char *found)
{
    return refuse(
        NULL,
        "unknown command (check, status, capacity, work, set, record, replay, simulate, release or import)",
        found);
}

/* Returns -1 to go on, else the exit status. */
static int take_option(struct arguments *arguments, int option, const char *value)
{
    static const char *const levels[] = {"error", "warning", "info", "debug"};

    switch (option) {
    case OPT_SETTINGS:
        arguments->daemon.settings_path = value;
        arguments->daemon.settings_named = true;
        return -1;
    case OPT_DATA:
        arguments->daemon.data_directory = value;
        return -1;
    case OPT_BUS:
        arguments->daemon.bus_address = arguments->status.bus_address = value;
        return -1;
    case OPT_LOG_LEVEL:
        for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
            if (strcasecmp(value, levels[i]) == 0) {
                arguments->log_level = (enum log_level)i;
                arguments->daemon.log_level = &arguments->log_level;
                return -1;
            }
        }
        return refuse(arguments->command, "unknown log level (error, warning, info or debug)", value);
    case OPT_WATCH:
        arguments->status.watch = true;
        return -1;
    case OPT_TABLE:
        arguments->status.table = true;
        return -1;
    case OPT_JSON:
        arguments->status.json = true;
        return -1;
    case OPT_HISTORY:
        arguments->history = true;
        return -1;
    case OPT_CLEAR:
        arguments->clear = true;
        return -1;
    case OPT_HELP:
        return usage_print(arguments->command) ? 0 : refuse_command(arguments->command);
    case OPT_VERSION:
        puts("battery-aggregator " VERSION);
        return 0;
    default:
        usage_hint(arguments->command);
        return 2;
    }
}

static bool takes_file(const char *command)
{
    static const char *const commands[] = {"check", "replay", "record", "import", "set"};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (command && strcmp(command, commands[i]) == 0)
            return true;
    }
    return false;
}

/* `set offset -0.2`: a negative number is no option. Takes it out of argv. */
static const char *take_negative(int *argc, char *argv[])
{
    for (int i = 1; i < *argc; i++) {
        const char *found = argv[i];

        if (found[0] != '-' || !strchr("0123456789.", found[1]) || !found[1])
            continue;
        memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof *argv);
        --*argc;
        return found;
    }
    return NULL;
}

/* Whoever forgets the command wants no second daemon. */
static int refuse_foreign(const struct arguments *arguments)
{
    const struct status_options *status = &arguments->status;
    const struct {
        bool given;
        const char *option, *of;
    } views[] = {{status->watch, "--watch", "status"},
                 {status->table, "--table", "status"},
                 {status->json, "--json", "status"},
                 {arguments->history, "--history", "status"},
                 {arguments->clear, "--clear", "work"}};
    char what[64];

    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        if (!views[i].given || (arguments->command && strcmp(arguments->command, views[i].of) == 0))
            continue;
        snprintf(what, sizeof what, "an option of %s", views[i].of);
        return refuse(arguments->command, what, views[i].option);
    }
    if (arguments->history && (status->watch || status->table || status->json))
        return refuse("status", "--history and other options of status exclude each other", "choose one");
    return -1;
}

/* The command, wherever it stands: what is said of an option depends on it. Brings the options to the front.
 */
static const char *find_command(int argc, char *argv[])
{
    const char *command;

    opterr = 0;
    while (getopt_long(argc, argv, "h", options, NULL) != -1)
        ;
    command = optind < argc ? argv[optind] : NULL;
    opterr = 1;
    optind = 0; /* from the beginning again */
    return command;
}

static int parse(struct arguments *arguments, int argc, char *argv[])
{
    const char *negative = take_negative(&argc, argv);
    int option;

    arguments->daemon.data_directory = ".";
    arguments->command = find_command(argc, argv);
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int status = take_option(arguments, option, optarg);

        if (status >= 0)
            return status;
    }
    optind += arguments->command != NULL;
    if (optind < argc && takes_file(arguments->command))
        arguments->file = argv[optind++];
    if (arguments->command && strcmp(arguments->command, "set") == 0) {
        arguments->number = negative || optind == argc ? negative : argv[optind++];
        negative = NULL;
    }
    if (negative)
        return refuse(arguments->command, "one argument too many", negative);
    if (optind < argc)
        return refuse(arguments->command, "one argument too many", argv[optind]);
    return refuse_foreign(arguments);
}

static int run(const struct arguments *arguments)
{
    const struct command_arguments command = {
        .settings_path = arguments->daemon.settings_path,
        .settings_named = arguments->daemon.settings_named,
        .bus_address = arguments->daemon.bus_address,
        .data_directory = arguments->daemon.data_directory,
        .log_level = arguments->daemon.log_level,
        .file = arguments->file,
    };

    if (!arguments->command)
        return daemon_run(&arguments->daemon);
    if (strcmp(arguments->command, "check") == 0)
        return command_check(command.file ? command.file : command.settings_path,
                             command.file || command.settings_named);
    if (strcmp(arguments->command, "status") == 0)
        return arguments->history ? command_history(command.bus_address) : command_status(&arguments->status);
    if (strcmp(arguments->command, "capacity") == 0)
        return command_capacity(command.bus_address);
    if (strcmp(arguments->command, "work") == 0)
        return command_work(command.bus_address, arguments->clear);
    if (strcmp(arguments->command, "set") == 0)
        return command_set(command.bus_address, arguments->file, arguments->number);
    if (strcmp(arguments->command, "replay") == 0)
        return command_replay(&command);
    if (strcmp(arguments->command, "record") == 0)
        return command_record(&command);
    if (strcmp(arguments->command, "release") == 0)
        return command_release(&command);
    if (strcmp(arguments->command, "import") == 0)
        return command_import(command.file);
    return refuse_command(arguments->command);
}

int main(int argc, char *argv[])
{
    struct arguments arguments = {0};
    char default_settings[4096];
    int status;

    if (argc > 1 && strcmp(argv[1], "simulate") == 0)
        return command_simulate(argc - 1, argv + 1); /* it has options of its own */
    status = parse(&arguments, argc, argv);
    if (status >= 0)
        return status;
    snprintf(default_settings, sizeof default_settings, "%s/settings.ini", arguments.daemon.data_directory);
    if (!arguments.daemon.settings_path)
        arguments.daemon.settings_path = default_settings;

    return run(&arguments);
}
