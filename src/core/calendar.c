#include "core/calendar.h"

#include <math.h>
#include <stdio.h>

#define SECONDS_A_DAY 86400.0

enum { DAYS_IN_ERA = 146097, YEARS_IN_ERA = 400, EPOCH_TO_ERA = 719468, DAYS_TO_LOOK_BACK = 366 };

struct date {
    int year, month, day;
};

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* A year that begins in March has its leap day at the end, so months need no special case: day of such a
 * year = (153 * month + 2) / 5 + day. Eras of 400 years all have the same length. */
long calendar_day(int year, int month, int day)
{
    long era, year_of_era, day_of_year;

    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return CALENDAR_NONE;
    if (month <= 2)
        year--;
    era = year / YEARS_IN_ERA;
    year_of_era = year - era * YEARS_IN_ERA;
    day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return era * DAYS_IN_ERA + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           EPOCH_TO_ERA;
}

static struct date date_of(long day)
{
    struct date date;
    long days = day + EPOCH_TO_ERA;
    long era = days / DAYS_IN_ERA;
    long day_of_era = days % DAYS_IN_ERA;
    long year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    long day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    long month = (5 * day_of_year + 2) / 153;

    date.day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    date.month = (int)(month < 10 ? month + 3 : month - 9);
    date.year = (int)(era * YEARS_IN_ERA + year_of_era + (date.month <= 2));
    return date;
}

struct calendar calendar_at(double epoch_s, long utc_offset_s)
{
    struct calendar calendar = {false, 0, 1};
    double days = floor((epoch_s + (double)utc_offset_s) / SECONDS_A_DAY);

    if (!(days >= 0 && days < 2932897)) /* until the year 9999 */
        return calendar;
    calendar.trusted = true;
    calendar.day = (long)days;
    calendar.month = date_of(calendar.day).month;
    return calendar;
}

void calendar_format(long day, char *text)
{
    struct date date = date_of(day < 0 ? 0 : day);

    snprintf(text, CALENDAR_TEXT_MAX, "%04u-%02u-%02u", (unsigned)date.year % 10000,
             (unsigned)date.month % 100, (unsigned)date.day % 100);
}

long calendar_parse(const char *text)
{
    int year, month, day, used = 0;

    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || text[used] != '\0')
        return CALENDAR_NONE;
    return calendar_day(year, month, day);
}

long calendar_from_day_of_year(int day_of_year, long today)
{
    if (day_of_year < 1 || day_of_year > DAYS_TO_LOOK_BACK)
        return CALENDAR_NONE;
    for (long day = today; day >= 0 && day > today - 8L * DAYS_TO_LOOK_BACK; day--) {
        struct date date = date_of(day);

        if (day - calendar_day(date.year, 1, 1) + 1 == day_of_year)
            return day;
    }
    return CALENDAR_NONE;
}

const char *calendar_month_name(int month)
{
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

    return month >= 1 && month <= 12 ? names[month - 1] : "?";
}
