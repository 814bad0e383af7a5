#include "commands/plot_svg.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MINUTES_A_DAY = 1440 };

#define WIDTH 1000
#define LEFT 70
#define RIGHT 30

struct plot {
    const struct year_options *options;
    int chosen; /* day, or PLOT_HIGHEST_DAY */
    struct year_sample now[MINUTES_A_DAY], shown[MINUTES_A_DAY];
    size_t now_count, shown_count;
    int shown_day;
    double shown_highest_V;
    size_t day_count;
    struct year_day day[]; /* as many as will be simulated */
};

/* One line of a panel: a double in each row of a table. */
struct series {
    const char *name, *color;
    size_t at; /* offset of the double in a row */
    double factor;
};

struct panel {
    const char *title; /* with the unit */
    double y, height;  /* in the picture */
    double low, high;  /* what it shows */
    double x_low, x_high;
    int decimals;
};

struct plot *plot_new(const struct year_options *options, int day)
{
    struct plot *plot = calloc(1, sizeof *plot + (size_t)options->days * sizeof *plot->day);

    if (!plot)
        return NULL;
    plot->options = options;
    plot->chosen = day;
    plot->shown_day = -1;
    return plot;
}

void plot_free(struct plot *plot)
{
    free(plot);
}

void plot_minute(struct plot *plot, const struct year_sample *sample)
{
    if (plot->now_count < MINUTES_A_DAY)
        plot->now[plot->now_count++] = *sample;
}

void plot_day(struct plot *plot, const struct year_day *day)
{
    bool shown =
        plot->chosen == PLOT_HIGHEST_DAY ? day->highest_V > plot->shown_highest_V : day->day == plot->chosen;

    if (plot->day_count < (size_t)plot->options->days)
        plot->day[plot->day_count++] = *day;
    if (shown) {
        memcpy(plot->shown, plot->now, sizeof plot->now);
        plot->shown_count = plot->now_count;
        plot->shown_day = day->day;
        plot->shown_highest_V = day->highest_V;
    }
    plot->now_count = 0;
}

/* ---- panels ---- */

static double at_x(const struct panel *panel, double value)
{
    return LEFT + (value - panel->x_low) / (panel->x_high - panel->x_low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct panel *panel, double value)
{
    double share = (value - panel->low) / (panel->high - panel->low);

    return panel->y + panel->height * (1 - fmin(fmax(share, 0), 1));
}

/* 1, 2 or 5 times a power of ten, so that there are about `count` steps. */
static double nice_step(double span, int count)
{
    double raw = span / count;
    double power = pow(10, floor(log10(raw)));

    return power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
}

static void draw_frame(FILE *file, const struct panel *panel)
{
    double step = nice_step(panel->high - panel->low, 5);
    int first = (int)ceil(panel->low / step);

    fprintf(file, "<rect x='%d' y='%.1f' width='%d' height='%.1f' class='frame'/>\n", LEFT, panel->y,
            WIDTH - LEFT - RIGHT, panel->height);
    fprintf(file, "<text x='%d' y='%.1f' class='title'>%s</text>\n", LEFT, panel->y - 8, panel->title);
    for (int i = 0; i <= (int)floor(panel->high / step + 0.001) - first; i++) {
        double value = (first + i) * step;

        fprintf(file, "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='grid'/>\n", LEFT, WIDTH - RIGHT,
                at_y(panel, value), at_y(panel, value));
        fprintf(file, "<text x='%d' y='%.1f' class='y'>%.*f</text>\n", LEFT - 6, at_y(panel, value) + 4,
                panel->decimals, value);
    }
}

static void draw_x(FILE *file, const struct panel *panel, double step, const char *unit)
{
    for (int i = 0; i <= (int)(panel->x_high / step + 0.001); i++)
        fprintf(file, "<text x='%.1f' y='%.1f' class='x'>%.0f</text>\n", at_x(panel, i * step),
                panel->y + panel->height + 16, i * step);
    fprintf(file, "<text x='%d' y='%.1f' class='x'>%s</text>\n", WIDTH / 2, panel->y + panel->height + 32,
            unit);
}

/* Names right of the title, each in the colour of its line. */
static void draw_legend(FILE *file, const struct panel *panel, const struct series *series, size_t count)
{
    double x = WIDTH - RIGHT;

    for (size_t i = count; i-- > 0;) {
        x -= 7.0 * (double)strlen(series[i].name) + 26;
        fprintf(file,
                "<line x1='%.1f' x2='%.1f' y1='%.1f' y2='%.1f' style='stroke:%s;stroke-width:3'/>"
                "<text x='%.1f' y='%.1f' class='legend'>%s</text>\n",
                x, x + 14, panel->y - 12, panel->y - 12, series[i].color, x + 18, panel->y - 8,
                series[i].name);
    }
}

static double value_at(const void *rows, size_t row, size_t row_size, size_t at)
{
    double value;

    memcpy(&value, (const char *)rows + row * row_size + at, sizeof value);
    return value;
}

static void draw_line(FILE *file, const struct panel *panel, const struct series *series, const void *rows,
                      size_t count, size_t row_size)
{
    double step = count > 1 ? (panel->x_high - panel->x_low) / (double)count : 0;

    fprintf(file, "<polyline style='stroke:%s' points='", series->color);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%.1f,%.1f ", at_x(panel, panel->x_low + ((double)i + 0.5) * step),
                at_y(panel, value_at(rows, i, row_size, series->at) * series->factor));
    fprintf(file, "'/>\n");
}

static void draw_level(FILE *file, const struct panel *panel, double value, const char *name)
{
    fprintf(file,
            "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' class='level'/>"
            "<text x='%d' y='%.1f' class='levelname'>%s</text>\n",
            LEFT, WIDTH - RIGHT, at_y(panel, value), at_y(panel, value), LEFT + 6, at_y(panel, value) - 4,
            name);
}

/* Grows the range of a panel so that a series fits. */
static void fit(struct panel *panel, const struct series *series, const void *rows, size_t count,
                size_t row_size)
{
    for (size_t i = 0; i < count; i++) {
        double value = value_at(rows, i, row_size, series->at) * series->factor;

        panel->low = fmin(panel->low, value);
        panel->high = fmax(panel->high, value);
    }
}

static void draw_panel(FILE *file, struct panel *panel, const struct series *series, size_t series_count,
                       const void *rows, size_t count, size_t row_size)
{
    for (size_t i = 0; i < series_count; i++)
        fit(panel, &series[i], rows, count, row_size);
    draw_frame(file, panel);
    draw_legend(file, panel, series, series_count);
    for (size_t i = 0; i < series_count; i++)
        draw_line(file, panel, &series[i], rows, count, row_size);
}

/* ---- the year ---- */

#define DAY_AT(member) offsetof(struct year_day, member)
#define MINUTE_AT(member) offsetof(struct year_sample, member)
#define COUNT(table) (sizeof(table) / sizeof *(table))

static void draw_balancings(FILE *file, const struct panel *panel, const struct plot *plot)
{
    for (size_t i = 0; i < plot->day_count; i++) {
        double x = at_x(panel, (double)i + 0.5);

        if (plot->day[i].balanced)
            fprintf(
                file,
                "<path d='M%.1f %.1f l-3 7 h6 z' class='mark'><title>balanced on day %zu</title></path>\n", x,
                panel->y + panel->height - 8, i + 1);
    }
}

static double draw_year(FILE *file, const struct plot *plot, double y)
{
    double cells = (double)plot->options->plant.cells;
    double limit_V = plot->options->config->max_cell_voltage_V;
    double days = (double)plot->day_count;
    double step = fmax(1, nice_step(days, 12));
    const struct series charge[] = {{"highest of the day", "#2a7ab0", DAY_AT(soc_max_pct), 1},
                                    {"lowest", "#88bbdd", DAY_AT(soc_min_pct), 1}};
    const struct series cell[] = {{"highest cell", "#c0392b", DAY_AT(highest_V), 1},
                                  {"highest CVL / cells", "#8e44ad", DAY_AT(cvl_max_V), 1 / cells},
                                  {"lowest CVL / cells", "#c9a6dc", DAY_AT(cvl_min_V), 1 / cells}};
    const struct series energy[] = {{"sun", "#e0a000", DAY_AT(sun_kWh), 1},
                                    {"refused", "#c0392b", DAY_AT(refused_kWh), 1},
                                    {"fed in", "#27905a", DAY_AT(exported_kWh), 1}};
    struct panel panels[] = {
        {"State of charge, %", y, 140, 0, 100, 0, days, 0},
        {"Voltage of a cell, V (triangles: balanced)", y + 200, 180, limit_V - 0.1, limit_V + 0.05, 0, days,
         2},
        {"Energy of the day, kWh", y + 440, 140, 0, 1, 0, days, 0},
    };

    draw_panel(file, &panels[0], charge, COUNT(charge), plot->day, plot->day_count, sizeof *plot->day);
    draw_panel(file, &panels[1], cell, COUNT(cell), plot->day, plot->day_count, sizeof *plot->day);
    draw_level(file, &panels[1], limit_V, "MAX_CELL_VOLTAGE");
    draw_balancings(file, &panels[1], plot);
    draw_panel(file, &panels[2], energy, COUNT(energy), plot->day, plot->day_count, sizeof *plot->day);
    for (size_t i = 0; i < COUNT(panels); i++)
        draw_x(file, &panels[i], step, i + 1 == COUNT(panels) ? "day" : "");
    return y + 640;
}

/* ---- the day ---- */

/* Bars over the panel: when feed-in was off that is wished, and when the grid was away. */
static void draw_absences(FILE *file, const struct panel *panel, const struct plot *plot)
{
    for (size_t i = 0; i < plot->shown_count; i++) {
        const struct year_sample *minute = &plot->shown[i];
        double x = at_x(panel, fmod(minute->time_s / 3600, 24));

        if (!minute->feed_in && plot->options->feed_in)
            fprintf(file, "<rect x='%.1f' y='%.1f' width='0.8' height='6' class='held'/>\n", x, panel->y);
        if (!minute->grid)
            fprintf(file, "<rect x='%.1f' y='%.1f' width='0.8' height='6' class='away'/>\n", x, panel->y + 6);
    }
}

static void draw_day(FILE *file, const struct plot *plot, double y)
{
    double cells = (double)plot->options->plant.cells;
    double limit_V = plot->options->config->max_cell_voltage_V;
    const struct series power[] = {{"sun", "#e0a000", MINUTE_AT(sun_W), 0.001},
                                   {"refused", "#c0392b", MINUTE_AT(refused_W), 0.001},
                                   {"house", "#555555", MINUTE_AT(load_W), 0.001},
                                   {"fed in", "#27905a", MINUTE_AT(export_W), 0.001}};
    const struct series cell[] = {{"highest cell", "#c0392b", MINUTE_AT(highest_V), 1},
                                  {"lowest cell", "#2a7ab0", MINUTE_AT(lowest_V), 1},
                                  {"CVL / cells", "#8e44ad", MINUTE_AT(cvl_V), 1 / cells}};
    const struct series charge[] = {{"true", "#2a7ab0", MINUTE_AT(soc_pct), 1},
                                    {"shown", "#e0a000", MINUTE_AT(shown_soc_pct), 1}};
    const struct series current[] = {{"battery", "#27905a", MINUTE_AT(current_A), 1},
                                     {"CCL", "#c0392b", MINUTE_AT(ccl_A), 1}};
    struct panel panels[] = {
        {plot->options->feed_in ? "Power, kW (bars: feed-in held off, grid away)"
                                : "Power, kW (bars: grid away)",
         y, 160, 0, 1, 0, 24, 1},
        {"Voltage of a cell, V", y + 220, 180, limit_V - 0.2, limit_V + 0.02, 0, 24, 2},
        {"Current, A (+ charges)", y + 460, 120, -10, 10, 0, 24, 0},
        {"State of charge, %", y + 640, 120, 0, 100, 0, 24, 0},
    };
    size_t row = sizeof *plot->shown;

    draw_panel(file, &panels[0], power, COUNT(power), plot->shown, plot->shown_count, row);
    draw_absences(file, &panels[0], plot);
    draw_panel(file, &panels[1], cell, COUNT(cell), plot->shown, plot->shown_count, row);
    draw_level(file, &panels[1], limit_V, "MAX_CELL_VOLTAGE");
    draw_panel(file, &panels[2], current, COUNT(current), plot->shown, plot->shown_count, row);
    draw_panel(file, &panels[3], charge, COUNT(charge), plot->shown, plot->shown_count, row);
    for (size_t i = 0; i < COUNT(panels); i++)
        draw_x(file, &panels[i], 2, i + 1 == COUNT(panels) ? "hour of the day" : "");
}

static const char head[] =
    "<svg xmlns='http://www.w3.org/2000/svg' width='1000' height='1640' viewBox='0 0 1000 1640'>\n"
    "<style>text{font:13px sans-serif;fill:#222}.h{font-size:19px;font-weight:bold}.title{font-weight:bold}"
    ".x{text-anchor:middle}.y{text-anchor:end}.levelname{font-size:11px;fill:#777}"
    ".frame{fill:none;stroke:#999}.grid{stroke:#e4e4e4}.level{stroke:#777;stroke-dasharray:5 4}"
    "polyline{fill:none;stroke-width:1.4}.mark{fill:#27905a}.held{fill:#c0392b}.away{fill:#555}</style>\n"
    "<rect width='1000' height='1640' fill='#fff'/>\n";

static void draw(FILE *file, const struct plot *plot)
{
    const struct plant_setup *plant = &plot->options->plant;
    double y;

    fputs(head, file);
    fprintf(file, "<text x='%d' y='32' class='h'>%zu packs of %zu cells, %.0f Ah each, under %s</text>\n",
            LEFT, plant->packs, plant->cells, plant->capacity_Ah,
            plot->options->controller == YEAR_OURS ? "battery-aggregator" : "the reference's control");
    y = draw_year(file, plot, 80);
    if (plot->shown_day >= 0) {
        fprintf(file, "<text x='%d' y='%.0f' class='h'>Day %d</text>\n", LEFT, y + 60, plot->shown_day + 1);
        draw_day(file, plot, y + 108);
    }
    fputs("</svg>\n", file);
}

int plot_write(const struct plot *plot, const char *path)
{
    FILE *file = fopen(path, "w");
    int failed;

    if (!file)
        return -1;
    draw(file, plot);
    failed = ferror(file);
    return fclose(file) != 0 || failed ? -1 : 0;
}
