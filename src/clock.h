/* What day it is, and whether that can be believed: a device without a battery for its clock starts in
 * 1970, and jumps by decades when the time arrives. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>

#include "core/calendar.h"

struct clock {
    double not_before_s; /* an epoch before it is not believed; 0 = the day this version was built */
    double offset_s;     /* wall clock - monotonic clock, when last looked at */
    bool looked;         /* offset_s is valid */
    double distrust_s;   /* monotonic time until which a jump is not believed */
};

/* The local date. Not trusted before not_before_s, nor for an hour after a jump from
 * one believable time to another; a jump from an unbelievable time is the clock being set. */
struct calendar clock_today(struct clock *clock, double monotonic_s);

/* The same for a wall clock and an offset from UTC that are given; for tests. */
struct calendar clock_day_at(struct clock *clock, double monotonic_s, double epoch_s, long utc_offset_s);

/* Seconds that local time is ahead of UTC at that moment. */
long clock_utc_offset_s(double epoch_s);

/* Local time is that of this zone from now on ("Europe/Berlin"; "" = as it is). */
void clock_set_zone(const char *zone);

#endif
