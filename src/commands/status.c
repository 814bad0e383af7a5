#include "commands/status.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "commands/status_view.h"

enum { WIDTH_UNKNOWN = 100 };

static const char nobody[] =
    "No battery-aggregator is on the bus. Is it running? Its log says what it waits for.";

/* Set by the signals that end --watch, so that the cursor can be shown again. */
static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* a reader that goes shows as an error of stdout */
}

static struct status_style style_of_stdout(const struct status_options *options)
{
    struct status_style style = {false, 0};
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || options->json)
        return style;
    style.colour = !getenv("NO_COLOR");
    if (options->table)
        style.width =
            ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_UNKNOWN;
    return style;
}

static void show(const struct status_options *options, const struct status_view *view,
                 const struct status_style *style)
{
    if (options->json)
        status_json(stdout, view);
    else if (options->table)
        status_table(stdout, view, style);
    else
        status_line(stdout, view, style);
}

static int show_once(const struct status_options *options, struct status_reader *reader,
                     struct status_view *view)
{
    struct status_style style = style_of_stdout(options);

    if (status_read(reader, options->table || options->json, view) != STATUS_FOUND) {
        fprintf(stderr, "battery-aggregator: %s\n", nobody);
        return 1;
    }
    show(options, view, &style);
    return 0;
}

/* Once a second until the bus, the reader of our output or the user goes. */
static int watch(const struct status_options *options, struct status_reader *reader, struct status_view *view)
{
    bool redraw = options->table && isatty(STDOUT_FILENO);
    const struct timespec second = {1, 0};
    enum status_found found = STATUS_FOUND;

    catch_signals();
    fputs(redraw ? "\033[?25l\033[2J" : "", stdout);
    while (!stopped && !ferror(stdout)) {
        struct status_style style = style_of_stdout(options);

        found = status_read(reader, options->table || options->json, view);
        if (found == STATUS_NO_BUS)
            break;
        fputs(redraw ? "\033[H" : "", stdout);
        if (found == STATUS_FOUND)
            show(options, view, &style);
        else if (options->json)
            fputs("null\n", stdout);
        else
            printf("not on the bus%s\n", redraw ? "\033[K" : "");
        fputs(redraw ? "\033[J" : options->table ? "\n" : "", stdout);
        if (fflush(stdout) != 0)
            break;
        nanosleep(&second, NULL);
    }
    fputs(redraw ? "\033[?25h" : "", stdout);
    if (found == STATUS_NO_BUS)
        fputs("battery-aggregator: the bus has gone\n", stderr);
    return found == STATUS_NO_BUS;
}

int command_status(const struct status_options *options)
{
    struct status_reader *reader;
    struct status_view *view;
    int status = 1;

    if (options->json && options->table) {
        fputs("battery-aggregator: --json and --table exclude each other: choose one\n", stderr);
        return 2;
    }
    reader = status_reader_new(options->bus_address);
    view = calloc(1, sizeof *view);
    if (reader && view)
        status = options->watch ? watch(options, reader, view) : show_once(options, reader, view);
    free(view);
    if (reader)
        status_reader_free(reader);
    return status;
}
