#include "commands/simulate_view.h"

#include <math.h>
#include <string.h>

#include "commands/plot.h"

#define MINUTES_A_DAY 1440.0

/* ---- what is kept ---- */

static void widen(double *least, double *most, double value, bool first)
{
    *least = first ? value : fmin(*least, value);
    *most = first ? value : fmax(*most, value);
}

void view_sample(struct view *view, const struct year_sample *sample)
{
    size_t index = (size_t)(sample->time_s / 86400);
    struct view_day *day = &view->day[index];
    bool first = index >= view->days;

    if (index >= VIEW_DAYS_MAX)
        return;
    view->days = index + 1;
    widen(&day->soc_least, &day->soc_most, sample->true_soc_pct, first);
    widen(&day->cvl_least_V, &day->cvl_most_V, sample->cvl_V, first);
    day->highest_V = first ? sample->highest_V : fmax(day->highest_V, sample->highest_V);
    day->held_h += sample->feed_in_held ? 1.0 / 60 : 0;
    day->balanced = day->balanced || sample->balancing == BALANCING_HOLDING;
    if ((long)index == view->plot_day && view->minutes < VIEW_MINUTES)
        view->minute[view->minutes++] = *sample;
}

/* ---- the verdict ---- */

static const char *controller_name(const struct year_options *options)
{
    return options->controller == YEAR_REFERENCE ? "reference" : "ours";
}

static void verdict_cells(FILE *to, const struct year_options *options, const struct year_result *result)
{
    double limit_V = options->config.max_cell_voltage_V;

    fprintf(to, "Highest cell ever     %.3f V, %.0f mV %s MAX_CELL_VOLTAGE", result->highest_V,
            fabs(result->highest_V - limit_V) * 1000, result->highest_V > limit_V ? "over" : "under");
    if (result->over_s > 0)
        fprintf(to, "; over it for %.1f h", result->over_s / 3600);
    fprintf(to, "\nBMS disconnections    %d\n", result->disconnections);
    fprintf(to, "Highest cell at      ");
    for (int band = 0; band < YEAR_BANDS; band++) {
        if (result->band_h[band] > 0)
            fprintf(to, " %s: %.0f h;", year_band_text[band], result->band_h[band]);
    }
    fprintf(to, "\n");
}

static void verdict_energy(FILE *to, const struct year_options *options, const struct year_result *result)
{
    const struct plant_energy *energy = &result->energy;

    fprintf(to,
            "Sun                   %.0f kWh, of which %.0f kWh refused (%.1f kWh or %.2f %% without need)\n",
            energy->sun_Wh / 1000, result->refused_Wh / 1000, result->avoidable_Wh / 1000,
            100 * result->avoidable_Wh / energy->sun_Wh);
    fprintf(to, "Battery               %.0f kWh in, %.0f kWh out", energy->charged_Wh / 1000,
            energy->discharged_Wh / 1000);
    if (options->feed_in)
        fprintf(to, "; %.0f kWh fed in, feed-in held off for %.1f h", energy->exported_Wh / 1000,
                result->held_h);
    fprintf(to, "\n");
}

void view_verdict(FILE *to, const struct year_options *options, const struct year_result *result,
                  double cpu_s)
{
    fprintf(to, "%.0f days, %zu packs of %.0f Ah, controller: %s (%.1f s)\n", options->days,
            options->plant.packs, options->plant.capacity_Ah, controller_name(options), cpu_s);
    verdict_cells(to, options, result);
    verdict_energy(to, options, result);
    fprintf(to, "Balanced              %zu times", result->balancings);
    if (!isnan(result->even_after_days))
        fprintf(to, "; cells even at the top after %.1f days", result->even_after_days);
    fprintf(to, "\nCVL in absorption     %.1f moves a day; %.1f turns an hour, at most %d in one\n",
            result->cvl_moves / options->days,
            result->absorption_h > 0 ? result->cvl_turns / result->absorption_h : 0, result->cvl_turns_worst);
    if (isnan(result->soc_error_mean_pct))
        fprintf(to, "SoC error             unknown: the bank was never full\n");
    else
        fprintf(to, "SoC error             mean %.1f %%, worst %.1f %% since it was first full\n",
                result->soc_error_mean_pct, result->soc_error_worst_pct);
}

static void json_number(FILE *to, const char *name, double value)
{
    if (isnan(value))
        fprintf(to, "\"%s\": null, ", name);
    else
        fprintf(to, "\"%s\": %.6g, ", name, value);
}

void view_json(FILE *to, const struct year_options *options, const struct year_result *result, double cpu_s)
{
    fprintf(to, "{");
    json_number(to, "days", options->days);
    json_number(to, "seed", (double)options->plant.seed);
    json_number(to, "cell_over_mV", (result->highest_V - options->config.max_cell_voltage_V) * 1000);
    json_number(to, "cell_over_h", result->over_s / 3600);
    json_number(to, "disconnections", result->disconnections);
    json_number(to, "absorption_h", result->absorption_h);
    json_number(to, "cvl_moves", result->cvl_moves);
    json_number(to, "cvl_turns_per_h",
                result->absorption_h > 0 ? result->cvl_turns / result->absorption_h : 0);
    json_number(to, "cvl_turns_worst_h", result->cvl_turns_worst);
    json_number(to, "feed_in_held_h", result->held_h);
    json_number(to, "sun_kWh", result->energy.sun_Wh / 1000);
    json_number(to, "refused_kWh", result->refused_Wh / 1000);
    json_number(to, "avoidable_kWh", result->avoidable_Wh / 1000);
    json_number(to, "exported_kWh", result->energy.exported_Wh / 1000);
    json_number(to, "soc_error_mean_pct", result->soc_error_mean_pct);
    json_number(to, "soc_error_worst_pct", result->soc_error_worst_pct);
    json_number(to, "lean_error_mean_pct", result->lean_error_mean_pct);
    json_number(to, "lean_error_worst_pct", result->lean_error_worst_pct);
    json_number(to, "balancings", (double)result->balancings);
    json_number(to, "even_after_days", result->even_after_days);
    json_number(to, "cpu_s", cpu_s);
    fprintf(to, "\"controller\": \"%s\"}\n", controller_name(options));
}

/* ---- the drawing ---- */

static const char *const hours[] = {"0 h", "3 h", "6 h", "9 h", "12 h", "15 h", "18 h", "21 h", NULL};
static const char *const tenths[] = {"0",    "10 %", "20 %", "30 %", "40 %", "50 %",
                                     "60 %", "70 %", "80 %", "90 %", NULL};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
                                     "Aug", "Sep", "Oct", "Nov", "Dec", NULL};

static void plot_days(struct plot *plot, const struct view *view, const struct year_options *options)
{
    static double x[VIEW_DAYS_MAX], low[VIEW_DAYS_MAX], high[VIEW_DAYS_MAX];
    double cells = (double)options->plant.cells;
    bool whole_year = view->days >= 364 && view->days <= 366 && options->plant.day <= 0;
    struct plot_panel panel = {.title = "State of charge, % (least to most of each day; triangles: balanced)",
                               .x_max = (double)view->days,
                               .y_max = 100,
                               .x_labels = whole_year ? months : tenths};

    for (size_t i = 0; i < view->days; i++) {
        x[i] = (double)i + 0.5;
        low[i] = view->day[i].soc_least;
        high[i] = view->day[i].soc_most;
    }
    plot_panel_begin(plot, &panel);
    plot_band(plot, &panel, "SoC", 0, "#4a90d9", x, low, high, view->days);
    for (size_t i = 0; i < view->days; i++) {
        if (view->day[i].balanced)
            plot_mark(plot, &panel, "#2c7a2c", x[i]);
    }
    plot_panel_end(plot);

    panel.title = "Highest cell, and CVL for each cell, V";
    panel.y_min = 3.3;
    panel.y_max = 3.6;
    panel.decimals = 3;
    plot_panel_begin(plot, &panel);
    for (size_t i = 0; i < view->days; i++) {
        low[i] = view->day[i].cvl_least_V / cells;
        high[i] = view->day[i].cvl_most_V / cells;
    }
    plot_band(plot, &panel, "CVL, least to most", 0, "#e0a030", x, low, high, view->days);
    for (size_t i = 0; i < view->days; i++) {
        low[i] = options->config.max_cell_voltage_V;
        high[i] = view->day[i].highest_V;
    }
    plot_line(plot, &panel, "MAX_CELL_VOLTAGE", 1, "#999", x, low, view->days);
    plot_line(plot, &panel, "highest cell", 2, "#c03030", x, high, view->days);
    plot_panel_end(plot);

    if (!options->feed_in)
        return;
    panel = (struct plot_panel){.title = "Feed-in held off, hours of each day",
                                .x_max = (double)view->days,
                                .y_max = 24,
                                .x_labels = panel.x_labels};
    for (size_t i = 0; i < view->days; i++) {
        low[i] = 0;
        high[i] = view->day[i].held_h;
    }
    plot_panel_begin(plot, &panel);
    plot_band(plot, &panel, "held off", 0, "#7040a0", x, low, high, view->days);
    plot_panel_end(plot);
}

static void plot_minutes(struct plot *plot, const struct view *view, const struct year_options *options)
{
    static double x[VIEW_MINUTES], one[VIEW_MINUTES], two[VIEW_MINUTES], three[VIEW_MINUTES];
    double cells = (double)options->plant.cells;
    char title[96];
    size_t n = view->minutes;
    double most_W = 1000;
    struct plot_panel panel = {.title = title,
                               .x_max = MINUTES_A_DAY,
                               .y_min = 3.1,
                               .y_max = 3.55,
                               .x_labels = hours,
                               .decimals = 3};

    snprintf(title, sizeof title, "Day %ld: cells and CVL for each cell, V", view->plot_day + 1);
    for (size_t i = 0; i < n; i++) {
        x[i] = fmod(view->minute[i].time_s / 60, MINUTES_A_DAY);
        one[i] = view->minute[i].highest_V;
        two[i] = view->minute[i].cvl_V / cells;
        three[i] = view->minute[i].lowest_V;
        most_W = fmax(most_W, view->minute[i].sun_W);
    }
    plot_panel_begin(plot, &panel);
    plot_line(plot, &panel, "highest cell", 2, "#c03030", x, one, n);
    plot_line(plot, &panel, "CVL", 1, "#e0a030", x, two, n);
    plot_line(plot, &panel, "lowest cell", 0, "#3060c0", x, three, n);
    plot_panel_end(plot);

    panel = (struct plot_panel){.title = "The same day: power, kW",
                                .x_max = MINUTES_A_DAY,
                                .y_max = ceil(most_W / 1000),
                                .x_labels = hours,
                                .decimals = 1};
    for (size_t i = 0; i < n; i++) {
        one[i] = view->minute[i].sun_W / 1000;
        two[i] = view->minute[i].mppts_A * view->minute[i].voltage_V / 1000;
        three[i] = view->minute[i].export_A * view->minute[i].voltage_V / 1000;
    }
    plot_panel_begin(plot, &panel);
    plot_line(plot, &panel, "sun", 2, "#e0a030", x, one, n);
    plot_line(plot, &panel, "taken", 1, "#2c7a2c", x, two, n);
    plot_line(plot, &panel, "fed in", 0, "#7040a0", x, three, n);
    plot_panel_end(plot);
}

void view_plot(FILE *to, const struct view *view, const struct year_options *options,
               const struct year_result *result)
{
    struct plot plot;
    char subtitle[200];

    snprintf(
        subtitle, sizeof subtitle,
        "%zu packs of %.0f Ah, controller: %s. Highest cell ever %.3f V, %d BMS disconnections, %.0f kWh of "
        "sun refused.",
        options->plant.packs, options->plant.capacity_Ah, controller_name(options), result->highest_V,
        result->disconnections, result->refused_Wh / 1000);
    plot_begin(&plot, to, "A simulated battery bank", subtitle, options->feed_in ? 5 : 4);
    plot_days(&plot, view, options);
    plot_minutes(&plot, view, options);
    plot_end(&plot);
}
