#include "clock.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "version.h"

enum { ZONE_MAX = 48 };

#define JUMP_S 3600.0     /* summer time moves local time, never the clock itself */
#define DISTRUST_S 3600.0 /* time enough for the network to mend it */

struct calendar clock_day_at(struct clock *clock, double monotonic_s, double epoch_s, long utc_offset_s)
{
    struct calendar today = calendar_at(epoch_s, utc_offset_s);
    double offset_s = epoch_s - monotonic_s;
    double not_before_s = clock->not_before_s > 0 ? clock->not_before_s : VERSION_EPOCH_S;
    bool believable = today.trusted && epoch_s >= not_before_s;
    bool was_believable = clock->looked && clock->offset_s + monotonic_s >= not_before_s;

    if (was_believable && fabs(offset_s - clock->offset_s) > JUMP_S)
        clock->distrust_s = monotonic_s + DISTRUST_S;
    clock->offset_s = offset_s;
    clock->looked = true;
    today.trusted = believable && monotonic_s >= clock->distrust_s;
    return today;
}

long clock_utc_offset_s(double epoch_s)
{
    time_t seconds = (time_t)epoch_s;
    struct tm local;

    return localtime_r(&seconds, &local) ? local.tm_gmtoff : 0;
}

struct calendar clock_today(struct clock *clock, double monotonic_s)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return clock_day_at(clock, monotonic_s, (double)now.tv_sec, clock_utc_offset_s((double)now.tv_sec));
}

/* "Europe/Berlin", "Etc/GMT+3": the C library opens a file of that name, which must be one of the zones. */
static bool is_zone(const char *zone)
{
    return isalpha((unsigned char)*zone) && !strstr(zone, "..") && strlen(zone) < ZONE_MAX &&
           !zone[strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/")];
}

void clock_set_zone(const char *zone)
{
    const char *now = getenv("TZ");
    char value[ZONE_MAX + 1];

    snprintf(value, sizeof value, ":%s", zone);
    if (!is_zone(zone) || (now && strcmp(now, value) == 0))
        return;
    setenv("TZ", value, 1);
    tzset();
}
