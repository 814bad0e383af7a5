/* The command line of battery-fleet. */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/fleet.h"

static const char usage[] =
    "Usage: battery-fleet [OPTION...]\n"
    "Simulated packs and chargers as real services on a D-Bus, for trying battery-aggregator.\n"
    "  --packs N       packs in parallel (2)         --cells N    cells in series in each (16)\n"
    "  --mppts N       solar chargers (1)            --shunts N   SmartShunts as battery monitor (0)\n"
    "  --capacity AH   of a pack (280)               --soc PCT    at the start (60)\n"
    "  --hour H        of the day at the start (10)  --speed X    times as fast as life (1)\n"
    "  --period MS     between publications (1000)   --seed N     another world (1)\n"
    "  --bus ADDRESS   D-Bus address (session bus if DBUS_SESSION_BUS_ADDRESS is set, else system bus)\n"
    "  --no-settings   without com.victronenergy.settings\n"
    "  --no-system     without com.victronenergy.system: nobody hands the limits on to the chargers\n"
    "  --quiet         nothing moves by itself: values are set by commands\n"
    "  --ready         print \"ready\" when all services are on the bus\n"
    "Commands on stdin, each answered by a line:\n"
    "  list | remove WHO | return WHO [as NAME] | freeze WHO | thaw WHO\n"
    "  set WHO PATH VALUE (a number, \"text\", or - for invalid) | release WHO PATH\n"
    "  sun FACTOR | load WATTS | hour H | pause | resume | quit\n"
    "WHO is a service (com.victronenergy.battery.ttyUSB0), its last part, or `pack N` from 1 on.\n";

enum number_option { PACKS, CELLS, MPPTS, SHUNTS, CAPACITY, SOC, HOUR, SPEED, PERIOD, SEED, NUMBERS };
enum other_option { BUS = NUMBERS, NO_SETTINGS, NO_SYSTEM, QUIET, READY, HELP };

static const struct option options[] = {{"packs", required_argument, NULL, PACKS},
                                        {"cells", required_argument, NULL, CELLS},
                                        {"mppts", required_argument, NULL, MPPTS},
                                        {"shunts", required_argument, NULL, SHUNTS},
                                        {"capacity", required_argument, NULL, CAPACITY},
                                        {"soc", required_argument, NULL, SOC},
                                        {"hour", required_argument, NULL, HOUR},
                                        {"speed", required_argument, NULL, SPEED},
                                        {"period", required_argument, NULL, PERIOD},
                                        {"seed", required_argument, NULL, SEED},
                                        {"bus", required_argument, NULL, BUS},
                                        {"no-settings", no_argument, NULL, NO_SETTINGS},
                                        {"no-system", no_argument, NULL, NO_SYSTEM},
                                        {"quiet", no_argument, NULL, QUIET},
                                        {"ready", no_argument, NULL, READY},
                                        {"help", no_argument, NULL, HELP},
                                        {NULL, 0, NULL, 0}};

static const struct {
    double min, max, preset;
} ranges[NUMBERS] = {
    [PACKS] = {0, PLANT_PACKS_MAX, 2},
    [CELLS] = {1, PLANT_CELLS_MAX, 16},
    [MPPTS] = {0, PLANT_MPPTS_MAX, 1},
    [SHUNTS] = {0, 4, 0},
    [CAPACITY] = {1, 10000, 280},
    [SOC] = {0, 100, 60},
    [HOUR] = {0, 24, 10},
    [SPEED] = {0.01, 3600, 1},
    [PERIOD] = {10, 60000, 1000},
    [SEED] = {0, 4294967295.0, 1},
};

int main(int argc, char *argv[])
{
    struct fleet_options fleet = {.plant = plant_setup_default()};
    double number[NUMBERS];
    int option;

    for (int i = 0; i < NUMBERS; i++)
        number[i] = ranges[i].preset;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end = NULL;

        if (option < NUMBERS) {
            number[option] = strtod(optarg, &end);
            if (*end || end == optarg || !(number[option] >= ranges[option].min) ||
                !(number[option] <= ranges[option].max)) {
                fprintf(stderr, "battery-fleet: '%s' must be a number of %g to %g\n", optarg,
                        ranges[option].min, ranges[option].max);
                return 2;
            }
            continue;
        }
        fleet.no_settings |= option == NO_SETTINGS;
        fleet.no_system |= option == NO_SYSTEM;
        fleet.quiet |= option == QUIET;
        fleet.ready |= option == READY;
        if (option == BUS)
            fleet.bus_address = optarg;
        if (option == HELP || option == '?') {
            fputs(usage, option == HELP ? stdout : stderr);
            return option == HELP ? 0 : 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "battery-fleet: one argument too many: %s\n", argv[optind]);
        return 2;
    }
    fleet.plant.packs = (size_t)number[PACKS];
    fleet.plant.cells = (size_t)number[CELLS];
    fleet.plant.mppts = (size_t)number[MPPTS];
    fleet.plant.capacity_Ah = number[CAPACITY];
    fleet.plant.soc = number[SOC] / 100;
    fleet.plant.hour = number[HOUR];
    fleet.plant.seed = (uint64_t)number[SEED];
    fleet.shunts = (size_t)number[SHUNTS];
    fleet.speed = number[SPEED];
    fleet.period_ms = (int)number[PERIOD];
    return fleet_run(&fleet);
}
