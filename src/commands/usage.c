#include "commands/usage.h"

#include <string.h>

static const char whole[] =
    "Usage: battery-aggregator [OPTION...] [COMMAND]\n"
    "Makes several battery packs on the D-Bus of Venus OS one virtual battery.\n"
    "\n"
    "Without a command it is the daemon: it runs in the foreground and logs to stdout.\n"
    "  --settings FILE    settings (default: settings.ini in the data folder, if there)\n"
    "  --data DIR         where charge and state.ini are kept (default: the current folder)\n"
    "  --log-level LEVEL  error, warning, info or debug (default: LOGGING of the settings)\n"
    "  --bus ADDRESS      D-Bus address (default: the session bus if DBUS_SESSION_BUS_ADDRESS is\n"
    "                     set, else the system bus)\n"
    "  --help, --version\n"
    "\n"
    "Commands:\n"
    "  check [FILE]       say everything that is wrong with the settings; exit status 0 or 1\n"
    "  status             what the running daemon shows, in one line\n"
    "    --watch          a line a second\n"
    "    --table          with a row a pack, redrawn in place on a terminal\n"
    "    --json           for programs\n"
    "    --history        what the bank and its packs have done, since when\n"
    "  capacity           what they really hold, how certain that is, and how to know it better\n"
    "  work [--clear]     the numbers behind both, a line each; --clear begins to count anew\n"
    "  set soc PERCENT    the state of charge is that (OWN_SOC = True)\n"
    "  set offset AMPERE  the current sensor shows so much too much (SOC_METHOD = learned)\n"
    "\n"
    "  record [FILE]      write what the daemon reads on the live bus, until it is stopped\n"
    "  replay [FILE]      what the daemon would have published for a recording (FILE or stdin), on stdout\n"
    "  simulate           what would these settings do to a battery?\n"
    "  release            return DC feed-in to the user, when the daemon that owes it does not run\n"
    "  import [PATH]      the settings of a Python aggregator as a settings.ini, on stdout\n"
    "\n"
    "COMMAND --help says more of it. See battery-aggregator(1) and battery-aggregator-settings(5).\n";

#define BUS_OPTION                                                                                  \
    "  --bus ADDRESS      D-Bus address (default: the session bus if DBUS_SESSION_BUS_ADDRESS is\n" \
    "                     set, else the system bus)\n"
#define SETTINGS_OPTION "  --settings FILE    settings (default: settings.ini in the data folder, if there)\n"

static const struct usage {
    const char *command;
    const char *synopsis; /* what stands behind the command */
    const char *text;
} usages[] = {
    {"check", "[FILE]",
     "Says everything that is wrong with the settings. Exit status 0 when the daemon would start, else 1.\n"
     "  FILE               settings to check (default: those of --settings)\n" SETTINGS_OPTION
     "  --data DIR         the data folder (default: the current folder)\n"},
    {"status", "[--watch] [--table | --json | --history] [--bus ADDRESS]",
     "What the running daemon shows, in one line. Exit status 1 when there is none.\n"
     "  --watch            a line a second; while there is no daemon it waits\n"
     "  --table            with a row a pack, redrawn in place on a terminal\n"
     "  --json             one JSON object a line, unknown is null\n"
     "  --history          what the bank and its packs have done, since when\n" BUS_OPTION},
    {"capacity", "[--bus ADDRESS]",
     "What the bank and each pack really hold, how certain that is, and how certain one more sweep would\n"
     "make it: from a full bank to its lowest cell at its minimum.\n" BUS_OPTION},
    {"work", "[--clear] [--bus ADDRESS]",
     "The numbers that status --history and capacity are made of, a line each.\n"
     "  --clear            then counts and extremes begin anew; sweeps and the last full charge "
     "stay\n" BUS_OPTION},
    {"set", "soc PERCENT | offset AMPERE [--bus ADDRESS]",
     "Tells the running daemon what you know better.\n"
     "  soc PERCENT        the state of charge is that (OWN_SOC = True)\n"
     "  offset AMPERE      the current sensor shows so much too much (SOC_METHOD = learned), up to 1 % of\n"
     "                     the capacity an hour; to be measured while no current flows\n" BUS_OPTION},
    {"record", "[--bus ADDRESS] [FILE]",
     "Writes what the daemon reads on the live bus, until it is stopped (Ctrl-C). Needs no daemon.\n"
     "  FILE               a new file (default: stdout)\n" SETTINGS_OPTION
     "  --data DIR         the data folder (default: the current folder)\n" BUS_OPTION},
    {"replay", "[--settings FILE] [FILE | -]",
     "What the daemon would have published for a recording, on stdout; its log goes to stderr.\n"
     "  FILE               a recording (default, and -: stdin)\n" SETTINGS_OPTION
     "  --data DIR         the data folder, for settings.ini only (default: the current folder)\n"
     "  --log-level LEVEL  error, warning, info or debug (default: warning)\n"},
    {"release", "[--data DIR] [--bus ADDRESS]",
     "Returns DC feed-in to the user when state.ini says that it is owed, for a daemon that will not run\n"
     "again. Exit status 0 when nothing is owed any more.\n"
     "  --data DIR         where state.ini is (default: the current folder)\n" BUS_OPTION},
    {"import", "[PATH]",
     "The settings of a Python aggregator as a settings.ini, on stdout; what was taken and what not, on\n"
     "stderr. Exit status 1 when the daemon would not start with it, 2 when there is nothing to import.\n"
     "  PATH               a config.ini, a settings.py, a config.json or a folder with one of them\n"
     "                     (default: where they are on Venus OS)\n"},
};

static const struct usage *find(const char *command)
{
    for (size_t i = 0; command && i < sizeof usages / sizeof *usages; i++) {
        if (strcmp(command, usages[i].command) == 0)
            return &usages[i];
    }
    return NULL;
}

bool usage_print(const char *command)
{
    const struct usage *usage = find(command);

    if (usage)
        printf("Usage: battery-aggregator %s %s\n%s", usage->command, usage->synopsis, usage->text);
    else if (!command)
        fputs(whole, stdout);
    return usage || !command;
}

void usage_hint(const char *command)
{
    const struct usage *usage = find(command);

    if (usage)
        fprintf(stderr, "Usage: battery-aggregator %s %s\nTry 'battery-aggregator %s --help'.\n",
                usage->command, usage->synopsis, usage->command);
    else
        fputs("Try 'battery-aggregator --help'.\n", stderr);
}
