#include "commands/simulate.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands/arguments.h"
#include "commands/simulate_view.h"

#define SUMMER_DAY 172

static const char usage[] =
    "Usage: battery-aggregator simulate [OPTION...]\n"
    "What would these settings do to my battery? A simulated house with a bank of LFP packs.\n"
    "  --settings FILE   settings; OWN_CHARGE_PARAMETERS and OWN_SOC are True unless it says otherwise\n"
    "  --days N          how long (365)             --start-day N    of the year, 0 = January 1 (0)\n"
    "  --packs N         in parallel (2)            --capacity AH    of each (280)\n"
    "  --cells N         in series (16)             --weak-cell PCT  how much smaller one cell is (0)\n"
    "  --imbalance PCT   SoC of one cell over the others at the start (0)\n"
    "  --sun W           of the panels at noon in summer (12000)\n"
    "  --load W          mean of the house (900)\n"
    "  --feed-in         DC feed-in is on           --export W       most that can be fed in (all)\n"
    "  --outages N       of the grid in a year (0)  --lag S          of the chargers (8)\n"
    "  --noise MV        of the cell voltages (1.5)\n"
    "  --sensor-offset A, --sensor-gain PCT         errors of each pack's current sensor (0, 0)\n"
    "  --lean-from DAY   from then on the bank is kept under 85 % by others (never)\n"
    "  --controller ours|reference   who decides (ours)   --seed N   another world (1)\n"
    "  --plot FILE.svg   draw the time and one day, --plot-day N from 0 on (172, or the middle)\n"
    "  --csv FILE        a row a minute             --json           the verdict for programs\n";

enum number {
    DAYS,
    START_DAY,
    PACKS,
    CAPACITY,
    CELLS,
    WEAK_CELL,
    IMBALANCE,
    SUN,
    LOAD,
    EXPORT,
    OUTAGES,
    LAG,
    NOISE,
    SENSOR_OFFSET,
    SENSOR_GAIN,
    LEAN_FROM,
    SEED,
    PLOT_DAY,
    NUMBERS
};
enum other { SETTINGS = NUMBERS, FEED_IN, CONTROLLER, PLOT, CSV, JSON, HELP };

static const struct {
    const char *name;
    double min, max, preset;
} numbers[NUMBERS] = {
    [DAYS] = {"days", 1, VIEW_DAYS_MAX, 365},
    [START_DAY] = {"start-day", 0, 364, 0},
    [PACKS] = {"packs", 1, PLANT_PACKS_MAX, 2},
    [CAPACITY] = {"capacity", 1, 10000, 280},
    [CELLS] = {"cells", 1, PLANT_CELLS_MAX, 16},
    [WEAK_CELL] = {"weak-cell", 0, 50, 0},
    [IMBALANCE] = {"imbalance", -20, 20, 0},
    [SUN] = {"sun", 0, 1e6, 12000},
    [LOAD] = {"load", 0, 1e6, 900},
    [EXPORT] = {"export", 0, 1e6, 0},
    [OUTAGES] = {"outages", 0, 5000, 0},
    [LAG] = {"lag", 0.1, 300, 8},
    [NOISE] = {"noise", 0, 50, 1.5},
    [SENSOR_OFFSET] = {"sensor-offset", -10, 10, 0},
    [SENSOR_GAIN] = {"sensor-gain", -20, 20, 0},
    [LEAN_FROM] = {"lean-from", 0, VIEW_DAYS_MAX, 0},
    [SEED] = {"seed", 0, 4294967295.0, 1},
    [PLOT_DAY] = {"plot-day", 0, VIEW_DAYS_MAX - 1, -1},
};

struct simulation {
    struct year_options options;
    struct view view;
    double number[NUMBERS];
    const char *settings, *plot, *csv;
    bool feed_in, reference, json;
    FILE *csv_file;
    int percent; /* shown last */
};

/* ---- arguments ---- */

static int refuse(const char *option, const char *found, const char *allowed)
{
    fprintf(stderr, "battery-aggregator simulate: --%s %s: %s\nTry 'battery-aggregator simulate --help'.\n",
            option, found, allowed);
    return 2;
}

/* -1 to go on, else the exit status. */
static int take_number(struct simulation *simulation, int option, const char *text)
{
    char allowed[80];
    char *end;
    double number = strtod(text, &end);

    if (end != text && !*end && number >= numbers[option].min && number <= numbers[option].max) {
        simulation->number[option] = number;
        return -1;
    }
    snprintf(allowed, sizeof allowed, "must be a number of %g to %g", numbers[option].min,
             numbers[option].max);
    return refuse(numbers[option].name, text, allowed);
}

static int take_option(struct simulation *simulation, int option, const char *text)
{
    if (option < NUMBERS)
        return take_number(simulation, option, text);
    switch (option) {
    case SETTINGS:
        simulation->settings = text;
        return -1;
    case FEED_IN:
        simulation->feed_in = true;
        return -1;
    case CONTROLLER:
        simulation->reference = strcmp(text, "reference") == 0;
        return simulation->reference || strcmp(text, "ours") == 0
                   ? -1
                   : refuse("controller", text, "ours or reference");
    case PLOT:
        simulation->plot = text;
        return -1;
    case CSV:
        simulation->csv = text;
        return -1;
    case JSON:
        simulation->json = true;
        return -1;
    case HELP:
        fputs(usage, stdout);
        return 0;
    default:
        fputs("Try 'battery-aggregator simulate --help'.\n", stderr);
        return 2;
    }
}

static int parse(struct simulation *simulation, int argc, char *argv[])
{
    struct option options[HELP + 2] = {0};
    static const struct option others[] = {{"settings", required_argument, NULL, SETTINGS},
                                           {"feed-in", no_argument, NULL, FEED_IN},
                                           {"controller", required_argument, NULL, CONTROLLER},
                                           {"plot", required_argument, NULL, PLOT},
                                           {"csv", required_argument, NULL, CSV},
                                           {"json", no_argument, NULL, JSON},
                                           {"help", no_argument, NULL, HELP}};
    int option;

    for (int i = 0; i < NUMBERS; i++) {
        options[i] = (struct option){numbers[i].name, required_argument, NULL, i};
        simulation->number[i] = numbers[i].preset;
    }
    memcpy(&options[NUMBERS], others, sizeof others);
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int status = take_option(simulation, option, optarg);

        if (status >= 0)
            return status;
    }
    if (optind < argc)
        return refuse("", argv[optind], "one argument too many");
    return -1;
}

static bool read_settings(struct simulation *simulation)
{
    const struct command_arguments arguments = {.settings_path =
                                                    simulation->settings ? simulation->settings : "",
                                                .settings_named = simulation->settings != NULL};
    struct config *config = &simulation->options.config;

    if (!arguments_read_settings(&arguments, config))
        return false;
    if (!simulation->settings)
        config->own_charge_parameters = config->own_soc = true;
    config->nr_of_batteries = CONFIG_NOT_SET;
    config->nr_of_cells_per_battery = CONFIG_NOT_SET;
    config->current_from_victron = false;
    return true;
}

static void set_up(struct simulation *simulation)
{
    struct year_options *options = &simulation->options;
    const double *number = simulation->number;
    struct plant_setup *plant = &options->plant;

    *plant = plant_setup_default();
    plant->packs = (size_t)number[PACKS];
    plant->cells = (size_t)number[CELLS];
    plant->mppts = 2;
    plant->capacity_Ah = number[CAPACITY];
    plant->hour = 0;
    plant->day = number[START_DAY];
    plant->sun_peak_W = number[SUN] / 2;
    plant->load_W = number[LOAD];
    plant->charger_lag_s = number[LAG];
    plant->seed = (uint64_t)number[SEED];
    plant->weak_cell = number[WEAK_CELL] / 100;
    plant->export_W = number[EXPORT];
    plant->outages_year = number[OUTAGES];
    plant->sensor_offset_A = number[SENSOR_OFFSET];
    plant->sensor_gain = number[SENSOR_GAIN] / 100;
    options->days = number[DAYS];
    options->feed_in = simulation->feed_in;
    options->noise_V = number[NOISE] / 1000;
    options->imbalance = number[IMBALANCE] / 100;
    options->lean_from_day = number[LEAN_FROM];
    options->lean_most = number[LEAN_FROM] > 0 ? 0.85 : 0;
    options->controller = simulation->reference ? YEAR_REFERENCE : YEAR_OURS;
    if (simulation->reference)
        options->config.cvl_control = CVL_REFERENCE, options->config.soc_method = SOC_REFERENCE;
    simulation->view.plot_day = number[PLOT_DAY] >= 0       ? (long)number[PLOT_DAY]
                                : number[DAYS] > SUMMER_DAY ? SUMMER_DAY
                                                            : (long)(number[DAYS] / 2);
}

/* ---- on its way ---- */

static void show_progress(struct simulation *simulation, double time_s)
{
    enum { WIDTH = 40 };
    int percent = (int)(100 * time_s / (simulation->options.days * 86400));
    int filled = percent * WIDTH / 100;

    if (percent == simulation->percent || !isatty(STDERR_FILENO))
        return;
    simulation->percent = percent;
    fprintf(stderr, "\r[%.*s%.*s] %3d %%", filled, "########################################", WIDTH - filled,
            "........................................", percent);
}

static void write_row(FILE *to, const struct year_sample *sample)
{
    fprintf(to, "%.0f,%.2f,%.1f,%.4f,%.4f,%.2f,%.1f,%.1f,%.2f,%.2f,%.0f,%.1f,%.1f,%d,%s\n", sample->time_s,
            sample->voltage_V, sample->current_A, sample->highest_V, sample->lowest_V, sample->cvl_V,
            sample->ccl_A, sample->dcl_A, sample->soc_pct, sample->true_soc_pct, sample->sun_W,
            sample->mppts_A, sample->export_A, sample->feed_in_held, balancing_state_name(sample->balancing));
}

static void on_sample(void *ctx, const struct year_sample *sample)
{
    struct simulation *simulation = ctx;

    view_sample(&simulation->view, sample);
    if (simulation->csv_file)
        write_row(simulation->csv_file, sample);
    show_progress(simulation, sample->time_s);
}

static FILE *open_file(const char *name)
{
    FILE *file = fopen(name, "we");

    if (!file)
        fprintf(stderr, "battery-aggregator: %s cannot be written: %s\n", name, strerror(errno));
    return file;
}

static bool close_file(FILE *file, const char *name)
{
    bool failed = ferror(file) != 0;

    if (fclose(file) == 0 && !failed)
        return true;
    fprintf(stderr, "battery-aggregator: %s cannot be written: %s\n", name, strerror(errno));
    return false;
}

static bool plot(const struct simulation *simulation, const struct year_result *result)
{
    FILE *file = open_file(simulation->plot);

    if (!file)
        return false;
    view_plot(file, &simulation->view, &simulation->options, result);
    return close_file(file, simulation->plot);
}

static int run(struct simulation *simulation)
{
    struct year_result result;
    clock_t begin = clock();
    double cpu_s;
    bool good;

    if (simulation->csv) {
        simulation->csv_file = open_file(simulation->csv);
        if (!simulation->csv_file)
            return 1;
        fputs(
            "second,voltage_V,current_A,highest_cell_V,lowest_cell_V,cvl_V,ccl_A,dcl_A,soc_pct,true_soc_pct,"
            "sun_W,chargers_A,exported_A,feed_in_held,balancing\n",
            simulation->csv_file);
    }
    good = year_run(&simulation->options, on_sample, simulation, &result);
    cpu_s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    if (simulation->csv_file)
        good &= close_file(simulation->csv_file, simulation->csv);
    if (good && simulation->plot)
        good = plot(simulation, &result);
    if (simulation->json)
        view_json(stdout, &simulation->options, &result, cpu_s);
    else
        view_verdict(stdout, &simulation->options, &result, cpu_s);
    return good ? 0 : 1;
}

int command_simulate(int argc, char *argv[])
{
    struct simulation *simulation = calloc(1, sizeof *simulation);
    int status;

    if (!simulation)
        return 1;
    simulation->percent = -1;
    status = parse(simulation, argc, argv);
    if (status < 0 && !read_settings(simulation))
        status = 2;
    if (status < 0) {
        set_up(simulation);
        status = run(simulation);
    }
    free(simulation);
    return status;
}
