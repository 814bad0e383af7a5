/* Dates without a clock: days counted from 1970-01-01, so that New Year and leap years are nothing
 * special. Whoever has the clock says whether it can be trusted. */
#ifndef CORE_CALENDAR_H
#define CORE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>

enum { CALENDAR_TEXT_MAX = 11, CALENDAR_NONE = -1 };

struct calendar {
    bool trusted; /* false: the clock is not set yet, or it jumped; only then the rest means nothing */
    long day;     /* days since 1970-01-01, local time */
    int month;    /* 1..12 */
};

/* The day of a moment: seconds since the epoch, UTC, and the offset of local time from UTC. trusted. */
struct calendar calendar_at(double epoch_s, long utc_offset_s);

/* year, month 1..12, day 1..31 -> days since 1970-01-01 (proleptic Gregorian); CALENDAR_NONE if no date. */
long calendar_day(int year, int month, int day);

/* "2026-11-21" <-> days. text must hold CALENDAR_TEXT_MAX. */
void calendar_format(long day, char *text);
long calendar_parse(const char *text); /* CALENDAR_NONE if it is none */

/* The last date up to `today` with that day of the year (1..366), as the Python service stored it. */
long calendar_from_day_of_year(int day_of_year, long today);

/* "January" for 1. */
const char *calendar_month_name(int month);

#endif
