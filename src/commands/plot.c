#include "commands/plot.h"

#include <math.h>

enum { LEFT = 70, RIGHT = 20, HEAD = 60, TITLE_HEIGHT = 24, FOOT = 24, GRID_LINES = 4, LEGEND_STEP = 170 };

static double x_of(const struct plot_panel *panel, double x)
{
    return LEFT + (x - panel->x_min) / (panel->x_max - panel->x_min) * (PLOT_WIDTH - LEFT - RIGHT);
}

static double top_of(const struct plot *plot)
{
    return plot->y + TITLE_HEIGHT;
}

static double bottom_of(const struct plot *plot)
{
    return plot->y + PLOT_PANEL_HEIGHT - FOOT;
}

static double y_of(const struct plot *plot, const struct plot_panel *panel, double y)
{
    double inside = fmin(fmax(y, panel->y_min), panel->y_max);

    return bottom_of(plot) -
           (inside - panel->y_min) / (panel->y_max - panel->y_min) * (bottom_of(plot) - top_of(plot));
}

void plot_begin(struct plot *plot, FILE *to, const char *title, const char *subtitle, size_t panels)
{
    int height = HEAD + (int)panels * PLOT_PANEL_HEIGHT + FOOT;

    plot->to = to;
    plot->y = HEAD;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"26\" font-size=\"18\">%s</text>\n"
            "<text x=\"%d\" y=\"46\" fill=\"#555\">%s</text>\n",
            PLOT_WIDTH, height, PLOT_WIDTH, height, LEFT, title, LEFT, subtitle);
}

void plot_end(struct plot *plot)
{
    fputs("</svg>\n", plot->to);
}

static void draw_x_labels(struct plot *plot, const struct plot_panel *panel)
{
    int count = 0;

    while (panel->x_labels[count])
        count++;
    for (int i = 0; i < count; i++) {
        double x = LEFT + (double)i / count * (PLOT_WIDTH - LEFT - RIGHT);

        fprintf(plot->to,
                "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#eee\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" fill=\"#555\">%s</text>\n",
                x, top_of(plot), x, bottom_of(plot), x + 2, bottom_of(plot) + 14, panel->x_labels[i]);
    }
}

void plot_panel_begin(struct plot *plot, const struct plot_panel *panel)
{
    fprintf(plot->to, "<text x=\"%d\" y=\"%.1f\" font-weight=\"bold\">%s</text>\n", LEFT, plot->y + 16,
            panel->title);
    for (int i = 0; i <= GRID_LINES; i++) {
        double value = panel->y_min + (panel->y_max - panel->y_min) * i / GRID_LINES;
        double y = y_of(plot, panel, value);

        fprintf(plot->to,
                "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"#555\">%.*f</text>\n",
                LEFT, y, PLOT_WIDTH - RIGHT, y, LEFT - 6, y + 4, panel->decimals, value);
    }
    draw_x_labels(plot, panel);
}

void plot_panel_end(struct plot *plot)
{
    plot->y += PLOT_PANEL_HEIGHT;
}

static void legend(struct plot *plot, const char *name, int place, const char *colour)
{
    double x = PLOT_WIDTH - RIGHT - (place + 1) * LEGEND_STEP;

    fprintf(plot->to,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" fill=\"%s\"/>"
            "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            x, plot->y + 9, colour, x + 20, plot->y + 16, name);
}

void plot_line(struct plot *plot, const struct plot_panel *panel, const char *name, int place,
               const char *colour, const double x[], const double y[], size_t n)
{
    legend(plot, name, place, colour);
    fprintf(plot->to, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.2\" d=\"", colour);
    for (size_t i = 0; i < n; i++) {
        if (isnan(y[i]))
            continue;
        fprintf(plot->to, "%c%.1f %.1f", i == 0 || isnan(y[i - 1]) ? 'M' : 'L', x_of(panel, x[i]),
                y_of(plot, panel, y[i]));
    }
    fputs("\"/>\n", plot->to);
}

void plot_band(struct plot *plot, const struct plot_panel *panel, const char *name, int place,
               const char *colour, const double x[], const double low[], const double high[], size_t n)
{
    legend(plot, name, place, colour);
    if (n == 0)
        return;
    fprintf(plot->to, "<path fill=\"%s\" fill-opacity=\"0.45\" d=\"", colour);
    for (size_t i = 0; i < n; i++)
        fprintf(plot->to, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(panel, x[i]), y_of(plot, panel, high[i]));
    for (size_t i = n; i-- > 0;)
        fprintf(plot->to, "L%.1f %.1f", x_of(panel, x[i]), y_of(plot, panel, low[i]));
    fputs("Z\"/>\n", plot->to);
}

void plot_mark(struct plot *plot, const struct plot_panel *panel, const char *colour, double x)
{
    double at = x_of(panel, x);
    double y = bottom_of(plot);

    fprintf(plot->to, "<path fill=\"%s\" d=\"M%.1f %.1fl4 8l-8 0Z\"/>\n", colour, at, y - 8);
}
