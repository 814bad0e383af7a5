/* A drawing for people as an SVG file: panels below each other with axes, lines, bands and marks. */
#ifndef COMMANDS_PLOT_H
#define COMMANDS_PLOT_H

#include <stddef.h>
#include <stdio.h>

struct plot {
    FILE *to;
    double y; /* the top of the next panel */
};

/* One panel; all share the width. */
struct plot_panel {
    const char *title; /* "Highest cell of the day, V" */
    double x_min, x_max, y_min, y_max;
    const char *const *x_labels; /* at even distances from x_min on, NULL-terminated */
    int decimals;                /* of the labels of y */
};

enum { PLOT_WIDTH = 1100, PLOT_PANEL_HEIGHT = 190 };

void plot_begin(struct plot *plot, FILE *to, const char *title, const char *subtitle, size_t panels);
void plot_end(struct plot *plot);

/* Draws frame, grid and labels. */
void plot_panel_begin(struct plot *plot, const struct plot_panel *panel);
void plot_panel_end(struct plot *plot);

/* A line through n points; unknown ones (NAN) interrupt it. name goes into the legend, at its place. */
void plot_line(struct plot *plot, const struct plot_panel *panel, const char *name, int place,
               const char *colour, const double x[], const double y[], size_t n);

/* The area between two lines. */
void plot_band(struct plot *plot, const struct plot_panel *panel, const char *name, int place,
               const char *colour, const double x[], const double low[], const double high[], size_t n);

/* A small triangle at the bottom. */
void plot_mark(struct plot *plot, const struct plot_panel *panel, const char *colour, double x);

#endif
