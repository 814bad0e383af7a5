#include "commands/simulate.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands/plot_svg.h"
#include "settings.h"

enum { BAR_WIDTH = 40, CSV_EVERY_S = 600 };

static const char usage[] =
    "Usage: battery-aggregator simulate [OPTION...]\n"
    "What these settings would do to a battery of LFP cells in a simulated house.\n"
    "  --settings FILE     settings to try (default: own charge control and own SoC, else the defaults)\n"
    "  --controller WHICH  ours, or the reference's (dbus-aggregate-batteries) in the same world\n"
    "  --days N            (365)          --start-day N      day of the year at the start (1)\n"
    "  --packs N           (2)            --capacity AH      of a pack (280)\n"
    "  --sun KW            at best (8)    --load W           mean of the house (600)\n"
    "  --weak-cell PCT     one cell is smaller and of higher resistance by ten times that (0)\n"
    "  --imbalance MV      one cell is ahead by this at the top when it begins (0)\n"
    "  --feed-in           the owner has DC feed-in on\n"
    "  --export W          that the inverter can feed in (5000)\n"
    "  --outages           the grid fails four times a month\n"
    "  --charger-lag S     that chargers need to follow (8)\n"
    "  --sensor-offset A   of each pack's current sensor (0)\n"
    "  --sensor-gain PCT   it shows too much (0)\n"
    "  --partial-from DAY  from then on a car takes the sun: the bank is never full (never)\n"
    "  --soc-from DAY      from then on the error of the state of charge counts (0)\n"
    "  --seed N            another world (1)\n"
    "  --plot FILE.svg     draws the year and one day; --plot-day N chooses it (default: of the highest "
    "cell)\n"
    "  --csv FILE          a line every ten minutes\n"
    "  --json              the verdict for programs\n";

/* Options that are numbers, each with its range. */
enum number_option {
    DAYS,
    START_DAY,
    PACKS,
    CAPACITY,
    SUN,
    LOAD,
    WEAK_CELL,
    IMBALANCE,
    EXPORT,
    CHARGER_LAG,
    SENSOR_OFFSET,
    SENSOR_GAIN,
    PARTIAL_FROM,
    SOC_FROM,
    SEED,
    PLOT_DAY,
    NUMBERS
};
enum other_option { SETTINGS = NUMBERS, CONTROLLER, FEED_IN, OUTAGES, PLOT, CSV, JSON, HELP = 'h' };

static const struct option options[] = {{"days", required_argument, NULL, DAYS},
                                        {"start-day", required_argument, NULL, START_DAY},
                                        {"packs", required_argument, NULL, PACKS},
                                        {"capacity", required_argument, NULL, CAPACITY},
                                        {"sun", required_argument, NULL, SUN},
                                        {"load", required_argument, NULL, LOAD},
                                        {"weak-cell", required_argument, NULL, WEAK_CELL},
                                        {"imbalance", required_argument, NULL, IMBALANCE},
                                        {"export", required_argument, NULL, EXPORT},
                                        {"charger-lag", required_argument, NULL, CHARGER_LAG},
                                        {"sensor-offset", required_argument, NULL, SENSOR_OFFSET},
                                        {"sensor-gain", required_argument, NULL, SENSOR_GAIN},
                                        {"partial-from", required_argument, NULL, PARTIAL_FROM},
                                        {"soc-from", required_argument, NULL, SOC_FROM},
                                        {"seed", required_argument, NULL, SEED},
                                        {"plot-day", required_argument, NULL, PLOT_DAY},
                                        {"settings", required_argument, NULL, SETTINGS},
                                        {"controller", required_argument, NULL, CONTROLLER},
                                        {"feed-in", no_argument, NULL, FEED_IN},
                                        {"outages", no_argument, NULL, OUTAGES},
                                        {"plot", required_argument, NULL, PLOT},
                                        {"csv", required_argument, NULL, CSV},
                                        {"json", no_argument, NULL, JSON},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

static const struct {
    double min, max, preset;
    bool whole;
} ranges[NUMBERS] = {
    [DAYS] = {1, 3660, 365, true},         [START_DAY] = {1, 365, 1, true},
    [PACKS] = {1, 64, NAN, true},          [CAPACITY] = {1, 10000, 280, false},
    [SUN] = {0, 1000, 8, false},           [LOAD] = {0, 100000, 600, false},
    [WEAK_CELL] = {0, 30, 0, false},       [IMBALANCE] = {0, 200, 0, false},
    [EXPORT] = {0, 1e6, 5000, false},      [CHARGER_LAG] = {0.1, 60, 8, false},
    [SENSOR_OFFSET] = {-5, 5, 0, false},   [SENSOR_GAIN] = {-10, 10, 0, false},
    [PARTIAL_FROM] = {0, 3660, NAN, true}, [SOC_FROM] = {0, 3660, 0, true},
    [SEED] = {0, 4294967295.0, 1, true},   [PLOT_DAY] = {1, 3660, NAN, true},
};

struct simulation {
    struct config config;
    struct year_options year;
    double number[NUMBERS];
    const char *settings_path, *plot_path, *csv_path;
    bool outages, json;
    FILE *csv;
    struct plot *plot;
    bool bar; /* somebody watches */
};

/* ---- options ---- */

static int refuse(const char *what, const char *found)
{
    fprintf(stderr, "battery-aggregator: %s: %s\nTry 'battery-aggregator simulate --help'.\n", what, found);
    return 2;
}

static bool take_number(struct simulation *simulation, int option, const char *text)
{
    char *end = NULL;
    double number = strtod(text, &end);

    if (*end || end == text || !(number >= ranges[option].min) || !(number <= ranges[option].max) ||
        (ranges[option].whole && floor(number) != number)) {
        fprintf(stderr, "battery-aggregator: --%s %s: must be a %s of %g to %.0f\n", options[option].name,
                text, ranges[option].whole ? "whole number" : "number", ranges[option].min,
                ranges[option].max);
        return false;
    }
    simulation->number[option] = number;
    return true;
}

/* Returns -1 to go on, else the exit status. */
static int take_option(struct simulation *simulation, int option, const char *value)
{
    if (option >= 0 && option < NUMBERS)
        return take_number(simulation, option, value) ? -1 : 2;
    switch (option) {
    case SETTINGS:
        simulation->settings_path = value;
        return -1;
    case CONTROLLER:
        if (strcmp(value, "ours") != 0 && strcmp(value, "reference") != 0)
            return refuse("unknown controller (ours or reference)", value);
        simulation->year.controller = *value == 'o' ? YEAR_OURS : YEAR_REFERENCE;
        return -1;
    case FEED_IN:
        simulation->year.feed_in = true;
        return -1;
    case OUTAGES:
        simulation->outages = true;
        return -1;
    case PLOT:
        simulation->plot_path = value;
        return -1;
    case CSV:
        simulation->csv_path = value;
        return -1;
    case JSON:
        simulation->json = true;
        return -1;
    case HELP:
        fputs(usage, stdout);
        return 0;
    default:
        fputs("Usage: battery-aggregator simulate [OPTION...]\nTry 'battery-aggregator simulate --help'.\n",
              stderr);
        return 2;
    }
}

static int parse(struct simulation *simulation, int argc, char *argv[])
{
    int option;

    for (int i = 0; i < NUMBERS; i++)
        simulation->number[i] = ranges[i].preset;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int status = take_option(simulation, option, optarg);

        if (status >= 0)
            return status;
    }
    return optind < argc ? refuse("one argument too many", argv[optind]) : -1;
}

/* ---- the world that they describe ---- */

static void print_finding(void *ctx, enum settings_severity severity, const char *message)
{
    static const char *const names[] = {"note", "warning", "error"};

    (void)ctx;
    if (severity != SETTINGS_NOTE)
        fprintf(stderr, "%s: %s\n", names[severity], message);
}

static bool read_settings(struct simulation *simulation)
{
    struct config *config = &simulation->config;

    settings_default(config);
    if (!simulation->settings_path)
        config->own_charge_parameters = config->own_soc = true;
    else if (settings_read(simulation->settings_path, config, print_finding, NULL) > 0)
        return false;
    config->current_from_victron = false; /* the packs' sensors are what is simulated */
    if (config->balancing_voltage_V < 3 || config->max_cell_voltage_V < 3) {
        fprintf(stderr, "battery-aggregator: only LFP cells can be simulated, and these settings are for "
                        "others\n");
        return false;
    }
    return true;
}

static void describe_world(struct simulation *simulation)
{
    const double *number = simulation->number;
    const struct config *config = &simulation->config;
    struct plant_setup *plant = &simulation->year.plant;
    double top_V = config->max_cell_voltage_V;

    *plant = year_plant_default();
    plant->packs = config->nr_of_batteries == CONFIG_NOT_SET ? 2 : (size_t)config->nr_of_batteries;
    if (!isnan(number[PACKS]))
        plant->packs = (size_t)number[PACKS];
    simulation->config.nr_of_batteries = CONFIG_NOT_SET;
    if (config->nr_of_cells_per_battery != CONFIG_NOT_SET)
        plant->cells = (size_t)config->nr_of_cells_per_battery;
    plant->capacity_Ah = number[CAPACITY];
    plant->sun_peak_W = number[SUN] * 1000 / (double)plant->mppts;
    plant->load_W = number[LOAD];
    plant->weak_share = number[WEAK_CELL] / 100;
    plant->ahead_Ah =
        plant->capacity_Ah * (plant_soc_at(top_V) - plant_soc_at(top_V - number[IMBALANCE] / 1000));
    plant->export_limit_W = number[EXPORT];
    plant->charger_lag_s = number[CHARGER_LAG];
    plant->diverter_W = isnan(number[PARTIAL_FROM]) ? 0 : number[SUN] * 1000;
    plant->weather.outages_a_month = simulation->outages ? 4 : 0;
    plant->weather.day_of_year = (int)number[START_DAY];
    plant->seed = (uint64_t)number[SEED];
    simulation->year.config = config;
    simulation->year.days = (int)number[DAYS];
    simulation->year.sensor_offset_A = number[SENSOR_OFFSET];
    simulation->year.sensor_gain_error = number[SENSOR_GAIN] / 100;
    simulation->year.diverter_from_day = isnan(number[PARTIAL_FROM]) ? 0 : (int)number[PARTIAL_FROM];
    simulation->year.soc_from_day = (int)number[SOC_FROM];
}

/* ---- while it runs ---- */

static void on_minute(void *ctx, const struct year_sample *now)
{
    struct simulation *simulation = ctx;

    if (simulation->plot)
        plot_minute(simulation->plot, now);
    if (!simulation->csv || fmod(now->time_s, CSV_EVERY_S) >= 60)
        return;
    fprintf(simulation->csv, "%.0f,%.2f,%.2f,%.3f,%.4f,%.4f,%.3f,%.1f,%.1f,%.0f,%.0f,%.0f,%.0f,%.2f,%d,%d\n",
            now->time_s, now->soc_pct, now->shown_soc_pct, now->voltage_V, now->highest_V, now->lowest_V,
            now->cvl_V, now->ccl_A, now->dcl_A, now->sun_W, now->refused_W, now->load_W, now->export_W,
            now->current_A, now->feed_in, now->grid);
}

static bool on_day(void *ctx, const struct year_day *day)
{
    struct simulation *simulation = ctx;
    int days = simulation->year.days;
    int done = (day->day + 1) * BAR_WIDTH / days;

    if (simulation->plot)
        plot_day(simulation->plot, day);
    if (simulation->bar) {
        fprintf(stderr, "\r[%.*s%*s] %3d %%", done, "########################################",
                BAR_WIDTH - done, "", (day->day + 1) * 100 / days);
        if (day->day + 1 >= days)
            fputs("\r\033[K", stderr);
    }
    return true;
}

static int complain(const char *path)
{
    fprintf(stderr, "battery-aggregator: %s: %s\n", path, strerror(errno));
    return 1;
}

static bool open_files(struct simulation *simulation)
{
    if (simulation->csv_path) {
        simulation->csv = fopen(simulation->csv_path, "w");
        if (!simulation->csv)
            return complain(simulation->csv_path) == 0;
        fputs("seconds,soc_pct,soc_shown_pct,bank_V,highest_cell_V,lowest_cell_V,cvl_V,ccl_A,dcl_A,sun_W,"
              "refused_W,load_W,fed_in_W,bank_A,feed_in,grid\n",
              simulation->csv);
    }
    if (simulation->plot_path) {
        int chosen =
            isnan(simulation->number[PLOT_DAY]) ? PLOT_HIGHEST_DAY : (int)simulation->number[PLOT_DAY] - 1;

        simulation->plot = plot_new(&simulation->year, chosen);
        if (!simulation->plot)
            return complain(simulation->plot_path) == 0;
    }
    return true;
}

static int close_files(struct simulation *simulation)
{
    int status = 0;

    if (simulation->csv && fclose(simulation->csv) != 0)
        status = complain(simulation->csv_path);
    if (simulation->plot && plot_write(simulation->plot, simulation->plot_path) != 0)
        status = complain(simulation->plot_path);
    plot_free(simulation->plot);
    return status;
}

/* Of this core: what else the machine does is not ours to count. */
static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int command_simulate(int argc, char *argv[])
{
    struct simulation simulation = {0};
    struct year_report report;
    double begun_s = now_s();
    int status = parse(&simulation, argc, argv);

    if (status >= 0)
        return status;
    if (!read_settings(&simulation))
        return 1;
    describe_world(&simulation);
    if (simulation.year.plant.cells > PLANT_CELLS_MAX) {
        fprintf(stderr, "battery-aggregator: no more than %d cells can be simulated\n", PLANT_CELLS_MAX);
        return 1;
    }
    if (simulation.number[PLOT_DAY] > simulation.number[DAYS])
        return refuse("--plot-day is after the last day", "--days");
    if (!open_files(&simulation))
        return 1;
    simulation.bar = isatty(STDERR_FILENO);
    simulation.year.on_minute = simulation.csv || simulation.plot ? on_minute : NULL;
    simulation.year.on_day = on_day;
    simulation.year.ctx = &simulation;
    if (year_run(&simulation.year, &report) != 0) {
        fputs("battery-aggregator: out of memory\n", stderr);
        status = 1;
    } else if (simulation.json) {
        simulate_print_json(stdout, &simulation.year, &report, now_s() - begun_s);
    } else {
        simulate_print(stdout, &simulation.year, &report, now_s() - begun_s);
    }
    return close_files(&simulation) != 0 || status > 0;
}
