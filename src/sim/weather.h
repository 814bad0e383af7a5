/* What the house is given and what it asks for: the sun, the load, and whether the grid is there, as
 * functions of time alone. Drawn from a seed of its own at moments of its own: the same world for every
 * controller and for every length of step. */
#ifndef SIM_WEATHER_H
#define SIM_WEATHER_H

#include <stdbool.h>
#include <stdint.h>

struct weather_setup {
    uint64_t seed;
    /* false: a fair day at the equinox, every day. true: seasons, days that differ, clouds with hard
     * edges, appliances that are switched on and off. */
    bool year;
    int day_of_year;        /* 1..366 at the start */
    double latitude_deg;    /* north */
    double outages_a_month; /* of the grid, by chance */
};

struct weather {
    /* What is now. */
    double sun;         /* 0..1 of what the panels can give at best */
    double load;        /* 1 = the house's mean */
    double appliance_W; /* beside it */
    bool grid;

    /* How it goes on. */
    struct weather_setup setup;
    uint64_t random_sky, random_house, random_grid;
    double clear_sun; /* without a cloud */
    double tick_s;    /* next slow change: sun's height, drifting haze, load of the hour */
    double edge_s;    /* next edge of a cloud */
    double switch_s;
    double grid_s;
    long day;
    double mood;  /* of the weather, from day to day: mean 0, deviation 1 */
    double cover; /* share of today's sky that is clouded */
    double haze;  /* 0 clear .. 1 dark: the fair day's slow cloud */
    bool shadow;  /* a cloud is before the sun */
};

void weather_init(struct weather *weather, const struct weather_setup *setup);

/* Brings it to time_s, >= the time before; hours is local time since the first midnight. */
void weather_advance(struct weather *weather, double time_s, double hours);

/* When something changes next, on the axis of time_s. */
double weather_next_s(const struct weather *weather);

/* Share of the best that panels tilted 35 degrees to the south get from a clear sky, 0..1. Position of the
 * sun: declination by the day, then spherical trigonometry; attenuation 0.7^(AM^0.678) by the air mass AM
 * = 1 / sin(height) (Meinel & Meinel 1976). */
double weather_clear_sun(double latitude_deg, double day_of_year, double hour);

#endif
