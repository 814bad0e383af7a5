#include "sim/weather.h"

#include <math.h>
#include <string.h>

#include "sim/chance.h"

#define PI 3.14159265358979
#define TICK_S 20.0
#define DAYS_A_YEAR 365.0
#define HOURS_A_DAY 24.0
#define EQUINOX_DAY 80
#define HAZE_S 600.0 /* of a fair day: comes and goes in about ten minutes */
#define TILT_DEG 35.0
#define CLEAR_BEST 0.72 /* attenuation under the highest sun, so that the best is about 1 */

/* Appliances: one every few hours of the day, for minutes to an hour. */
#define SWITCH_MEAN_S 9000.0
#define SWITCH_ON_MEAN_S 1200.0
#define SWITCH_LEAST_W 800.0
#define SWITCH_MOST_W 3000.0
#define WAKE_H 6.0
#define SLEEP_H 23.0

#define OUTAGE_MEAN_S 2400.0
#define SECONDS_A_MONTH (30 * 86400.0)

double weather_clear_sun(double latitude_deg, double day_of_year, double hour)
{
    double degree = PI / 180;
    double declination = -23.44 * degree * cos(2 * PI * (day_of_year + 10) / DAYS_A_YEAR);
    double turn = (hour - 12) * PI / 12;
    double latitude = latitude_deg * degree;
    double facing = latitude - TILT_DEG * degree; /* a tilted panel lies like a flat one further south */
    double height =
        sin(latitude) * sin(declination) + cos(latitude) * cos(declination) * cos(turn); /* its sine */
    double incidence = sin(facing) * sin(declination) + cos(facing) * cos(declination) * cos(turn);

    if (height <= 0.01)
        return 0;
    return fmin((fmax(incidence, 0) + 0.1 * height) * pow(0.7, pow(1 / height, 0.678)) / CLEAR_BEST, 1);
}

/* A house wakes up, cooks and goes to bed. */
static double load_of_hour(double hour)
{
    return 0.6 + 0.5 * exp(-pow((hour - 7.5) / 1.2, 2)) + 0.9 * exp(-pow((hour - 12.5) / 1.0, 2)) +
           1.4 * exp(-pow((hour - 19.5) / 2.0, 2));
}

void weather_init(struct weather *weather, const struct weather_setup *setup)
{
    memset(weather, 0, sizeof *weather);
    weather->setup = *setup;
    weather->random_sky = chance_seed(setup->seed, 2);
    weather->random_house = chance_seed(setup->seed, 3);
    weather->random_grid = chance_seed(setup->seed, 4);
    weather->grid = true;
    weather->day = -1;
    weather->edge_s = weather->switch_s = weather->grid_s = INFINITY;
    if (setup->year) {
        weather->edge_s = 0;
        weather->switch_s = chance_exponential(&weather->random_house, SWITCH_MEAN_S);
    }
    if (setup->outages_a_month > 0)
        weather->grid_s = chance_exponential(&weather->random_grid, SECONDS_A_MONTH / setup->outages_a_month);
}

static double day_of_year(const struct weather *weather, double hours)
{
    return weather->setup.year ? weather->setup.day_of_year + floor(hours / HOURS_A_DAY) : EQUINOX_DAY;
}

/* 1 in midwinter, -1 in midsummer. */
static double winter(double day)
{
    return cos(2 * PI * (day + 10) / DAYS_A_YEAR);
}

/* Weather stays for some days, and winter is the darker half. */
static void begin_day(struct weather *weather, double hours)
{
    weather->mood = 0.7 * weather->mood + 0.714 * chance_normal(&weather->random_sky);
    weather->cover =
        fmin(fmax(0.45 + 0.15 * winter(day_of_year(weather, hours)) + 0.33 * weather->mood, 0.02), 0.98);
}

/* Few clouds pass in minutes; a grey sky stays for an hour. */
static void pass_cloud(struct weather *weather)
{
    double shadow_s = 90 + 3600 * pow(weather->cover, 4);
    double bright_s = shadow_s * (1 - weather->cover) / weather->cover;

    weather->shadow = !weather->shadow;
    weather->edge_s += 5 + chance_exponential(&weather->random_sky, weather->shadow ? shadow_s : bright_s);
}

static void use_appliance(struct weather *weather, double hour)
{
    bool on = weather->appliance_W == 0 && hour > WAKE_H && hour < SLEEP_H;
    double power_W =
        SWITCH_LEAST_W + (SWITCH_MOST_W - SWITCH_LEAST_W) * chance_uniform(&weather->random_house);

    weather->appliance_W = on ? power_W : 0;
    weather->switch_s +=
        30 + chance_exponential(&weather->random_house, on ? SWITCH_ON_MEAN_S : SWITCH_MEAN_S);
}

static void turn_grid(struct weather *weather)
{
    double up_s = SECONDS_A_MONTH / weather->setup.outages_a_month;

    weather->grid = !weather->grid;
    weather->grid_s += 60 + chance_exponential(&weather->random_grid, weather->grid ? up_s : OUTAGE_MEAN_S);
}

static double through_clouds(const struct weather *weather)
{
    if (!weather->setup.year)
        return fmin(fmax(1 - fabs(weather->haze), 0.1), 1);
    return weather->shadow ? 0.7 - 0.55 * weather->cover : 1;
}

static void tick(struct weather *weather, double hours)
{
    double hour = fmod(hours, HOURS_A_DAY);
    double day = day_of_year(weather, hours);

    if (weather->setup.year && (long)floor(hours / HOURS_A_DAY) != weather->day)
        begin_day(weather, hours);
    weather->day = (long)floor(hours / HOURS_A_DAY);
    weather->haze +=
        -weather->haze * TICK_S / HAZE_S +
        (weather->setup.year ? 0 : 0.25 * sqrt(TICK_S / HAZE_S) * chance_normal(&weather->random_sky));
    weather->load = load_of_hour(hour) * (weather->setup.year ? 1 + 0.2 * winter(day) : 1);
    weather->clear_sun = weather_clear_sun(weather->setup.latitude_deg, day, hour);
}

void weather_advance(struct weather *weather, double time_s, double hours)
{
    while (weather->tick_s <= time_s) {
        tick(weather, hours - (time_s - weather->tick_s) / 3600);
        weather->tick_s += TICK_S;
    }
    while (weather->edge_s <= time_s)
        pass_cloud(weather);
    while (weather->switch_s <= time_s)
        use_appliance(weather, fmod(hours, HOURS_A_DAY));
    while (weather->grid_s <= time_s)
        turn_grid(weather);
    weather->sun = weather->clear_sun * through_clouds(weather);
}

double weather_next_s(const struct weather *weather)
{
    return fmin(fmin(weather->edge_s, weather->switch_s), weather->grid_s);
}
