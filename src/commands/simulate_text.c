#include <math.h>
#include <stddef.h>

#include "commands/simulate.h"

static const char *const controllers[] = {"our control", "the reference's control"};

static double share_pct(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

static double turns_an_hour(const struct year_report *report)
{
    return report->absorption_h > 0 ? report->cvl_turns / report->absorption_h : 0;
}

static void print_energy(FILE *file, const struct year_report *report)
{
    const struct plant_energy *energy = &report->energy_Wh;

    fprintf(file, "Sun        %.0f kWh; taken %.0f kWh, refused %.0f kWh (%.1f %%)\n", energy->sun / 1000,
            energy->taken / 1000, report->refused_Wh / 1000, share_pct(report->refused_Wh, energy->sun));
    fprintf(file, "           %.1f kWh of it (%.1f %% of the sun) the best control would have taken\n",
            report->avoidable_Wh / 1000, share_pct(report->avoidable_Wh, energy->sun));
    fprintf(file, "House      %.0f kWh from sun and battery, %.0f kWh from the grid, %.1f kWh not served\n",
            energy->load / 1000, energy->imported / 1000, energy->unserved / 1000);
    fprintf(file, "Grid       %.0f kWh fed in\n", energy->exported / 1000);
    fprintf(file, "Battery    %.0f kWh charged, %.0f kWh drawn\n", energy->charged / 1000,
            energy->drawn / 1000);
}

static void print_cells(FILE *file, const struct year_report *report)
{
    fprintf(file,
            "Cells      highest ever %.3f V, on day %d: %.1f mV over MAX_CELL_VOLTAGE; %.1f h above it\n",
            report->highest_V, (int)(report->highest_at_s / 86400) + 1, report->over_limit_V * 1000,
            report->over_limit_h);
    fprintf(file, "           lowest ever %.3f V; BMS disconnections: %u\n", report->lowest_V,
            report->disconnections);
    fprintf(file, "Voltage    hours at a mean cell voltage of\n          ");
    for (int i = 0; i < YEAR_BANDS; i++) {
        if (i + 1 < YEAR_BANDS)
            fprintf(file, " %.2f..%.2f V %.0f%s", year_band_from_V[i], year_band_from_V[i + 1],
                    report->band_h[i], i == 3 ? "\n          " : ",");
        else
            fprintf(file, " from %.2f V %.0f\n", year_band_from_V[i], report->band_h[i]);
    }
}

void simulate_print(FILE *file, const struct year_options *options, const struct year_report *report,
                    double took_s)
{
    fprintf(file, "%zu packs of %zu cells, %.0f Ah each, world %llu, %.0f days under %s%s\n\n",
            options->plant.packs, options->plant.cells, options->plant.capacity_Ah,
            (unsigned long long)options->plant.seed, report->days, controllers[options->controller],
            options->feed_in ? ", DC feed-in on" : "");
    print_energy(file, report);
    print_cells(file, report);
    if (options->feed_in)
        fprintf(file, "Feed-in    held off %.1f h in all, %u times\n", report->feed_in_held_h,
                report->feed_in_holds);
    fprintf(file, "Balancing  reached %u times, %.1f days apart at most; cells even at the top ",
            report->balancings, report->balancing_gap_days);
    if (isnan(report->even_after_days))
        fprintf(file, "never\n");
    else
        fprintf(file, "from day %.1f on\n", report->even_after_days);
    fprintf(file, "CVL        %.0f moves a day; %.1f changes of direction an hour in %.0f h of absorption\n",
            report->cvl_moves / report->days, turns_an_hour(report), report->absorption_h);
    fprintf(file, "SoC        error: mean %.2f %%, worst %.2f %%\n", report->soc_error_mean_pct,
            report->soc_error_worst_pct);
    fprintf(file, "\nSimulated in %.1f s on one core.\n", took_s);
}

void simulate_print_json(FILE *file, const struct year_options *options, const struct year_report *report,
                         double took_s)
{
    const struct plant_energy *energy = &report->energy_Wh;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"seed", (double)options->plant.seed},
        {"days", report->days},
        {"sun_kWh", energy->sun / 1000},
        {"taken_kWh", energy->taken / 1000},
        {"refused_kWh", report->refused_Wh / 1000},
        {"avoidable_kWh", report->avoidable_Wh / 1000},
        {"surplus_kWh", report->surplus_Wh / 1000},
        {"load_kWh", energy->load / 1000},
        {"imported_kWh", energy->imported / 1000},
        {"unserved_kWh", energy->unserved / 1000},
        {"exported_kWh", energy->exported / 1000},
        {"charged_kWh", energy->charged / 1000},
        {"drawn_kWh", energy->drawn / 1000},
        {"highest_cell_V", report->highest_V},
        {"highest_on_day", floor(report->highest_at_s / 86400) + 1},
        {"over_limit_mV", report->over_limit_V * 1000},
        {"over_limit_h", report->over_limit_h},
        {"best_highest_cell_V", report->best_highest_V},
        {"lowest_cell_V", report->lowest_V},
        {"disconnections", report->disconnections},
        {"feed_in_held_h", report->feed_in_held_h},
        {"feed_in_holds", report->feed_in_holds},
        {"balancings", report->balancings},
        {"balancing_gap_days", report->balancing_gap_days},
        {"even_after_days", report->even_after_days},
        {"absorption_h", report->absorption_h},
        {"cvl_moves_per_day", report->cvl_moves / report->days},
        {"cvl_turns_per_h", turns_an_hour(report)},
        {"soc_error_mean_pct", report->soc_error_mean_pct},
        {"soc_error_worst_pct", report->soc_error_worst_pct},
        {"steps", report->steps},
        {"took_s", took_s},
    };

    fprintf(file, "{\"controller\": \"%s\"", options->controller == YEAR_OURS ? "ours" : "reference");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (isfinite(numbers[i].value))
            fprintf(file, ", \"%s\": %.10g", numbers[i].name, numbers[i].value);
        else
            fprintf(file, ", \"%s\": null", numbers[i].name);
    }
    for (int i = 0; i < YEAR_BANDS; i++)
        fprintf(file, "%s%.2f", i == 0 ? ", \"band_h\": [" : ", ", report->band_h[i]);
    fprintf(file, "]}\n");
}
