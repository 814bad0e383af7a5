/* What GetWork answered, written for people. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calibrate.h"
#include "commands/work.h"

enum { NAME_WIDTH = 16, TEXT_BYTES_MAX = 160 };

static double find(const struct work_view *view, const char *of, const char *key)
{
    char wanted[2 * TEXT_BYTES_MAX];

    snprintf(wanted, sizeof wanted, "%s%s%s", of, *of ? "/" : "", key);
    for (size_t i = 0; i < view->count; i++) {
        if (strcmp(view->pair[i].key, wanted) == 0)
            return view->pair[i].number;
    }
    return NAN;
}

/* "12.34 kWh", or "- kWh". */
static const char *quantity(char *text, double number, int decimals, const char *unit)
{
    if (isnan(number))
        snprintf(text, TEXT_BYTES_MAX, "- %s", unit);
    else
        snprintf(text, TEXT_BYTES_MAX, "%.*f %s", decimals, number, unit);
    return text;
}

/* 20261122 -> "2026-11-22". */
static const char *date(char *text, double number)
{
    long day = isnan(number) ? 0 : lround(number);

    if (day <= 0)
        snprintf(text, TEXT_BYTES_MAX, "a day without a date");
    else
        snprintf(text, TEXT_BYTES_MAX, "%04ld-%02ld-%02ld", day / 10000, day / 100 % 100, day % 100);
    return text;
}

/* Calls each for the bank ("") and for every pack. */
static void each_subject(FILE *out, const struct work_view *view,
                         void (*each)(FILE *out, const struct work_view *view, const char *of))
{
    static const char tail[] = "/" WORK_HOURS;

    each(out, view, "");
    for (size_t i = 0; i < view->count; i++) {
        size_t length = strlen(view->pair[i].key);
        char of[TEXT_BYTES_MAX];

        if (length <= strlen(tail) || strcmp(view->pair[i].key + length - strlen(tail), tail) != 0)
            continue;
        snprintf(of, sizeof of, "%.*s", (int)(length - strlen(tail)), view->pair[i].key);
        each(out, view, of);
    }
}

/* ---- history ---- */

static void write_extreme(FILE *out, const struct work_view *view, const char *of, enum work_extreme extreme,
                          const char *what, int decimals, const char *unit)
{
    char number[TEXT_BYTES_MAX], day[TEXT_BYTES_MAX], dated[TEXT_BYTES_MAX];
    const char *key = calibrate_extreme_key(extreme);
    double value = find(view, of, key);

    if (isnan(value))
        return;
    snprintf(dated, sizeof dated, "%s_date", key);
    fprintf(out, "  %s %s, on %s\n", what, quantity(number, value, decimals, unit),
            date(day, find(view, of, dated)));
}

static void write_subject(FILE *out, const struct work_view *view, const char *of)
{
    char text[TEXT_BYTES_MAX];

    fprintf(out, "%s\n", *of ? of : "Bank");
    fprintf(out, "  charged %s", quantity(text, find(view, of, WORK_CHARGED_KWH), 2, "kWh"));
    fprintf(out, " (%s)", quantity(text, find(view, of, WORK_CHARGED_AH), 1, "Ah"));
    fprintf(out, ", discharged %s", quantity(text, find(view, of, WORK_DISCHARGED_KWH), 2, "kWh"));
    fprintf(out, " (%s)", quantity(text, find(view, of, WORK_DISCHARGED_AH), 1, "Ah"));
    fprintf(out, ", %s\n", quantity(text, find(view, of, WORK_CYCLES), 2, "full cycles"));
    if (isnan(find(view, of, WORK_EFFICIENCY_PCT)))
        fputs("  efficiency: not known before a whole capacity went in, from one full charge to another\n",
              out);
    else
        fprintf(out, "  efficiency %.1f %%: energy out over %.1f kWh in, from full charge to full charge\n",
                find(view, of, WORK_EFFICIENCY_PCT), find(view, of, WORK_EFFICIENCY_KWH));
    write_extreme(out, view, of, WORK_VOLTAGE_MIN, "lowest voltage", 2, "V");
    write_extreme(out, view, of, WORK_VOLTAGE_MAX, "highest voltage", 2, "V");
    write_extreme(out, view, of, WORK_CELL_MIN, "lowest cell", 3, "V");
    write_extreme(out, view, of, WORK_CELL_MAX, "highest cell", 3, "V");
    write_extreme(out, view, of, WORK_DEEPEST, "deepest discharge", 1, "Ah");
}

void work_write_history(FILE *out, const struct work_view *view)
{
    double since_full_s = find(view, "", WORK_SINCE_FULL_S);
    char text[TEXT_BYTES_MAX];

    fprintf(out, "Counted since %s", date(text, find(view, "", WORK_SINCE_DATE)));
    fprintf(out, ", in %s\n", quantity(text, find(view, "", WORK_HOURS), 1, "h"));
    if (isnan(since_full_s))
        fputs("Not seen full yet\n", out);
    else
        fprintf(out, "Last full %.1f h ago, on %s\n", since_full_s / 3600,
                date(text, find(view, "", WORK_FULL_DATE)));
    each_subject(out, view, write_subject);
}

/* ---- capacity ---- */

static void write_row(FILE *out, const struct work_view *view, const char *of)
{
    double installed_Ah = find(view, of, WORK_INSTALLED_AH);
    double capacity_Ah = find(view, of, WORK_CAPACITY_AH);
    double deviation_Ah = find(view, of, WORK_CAPACITY_DEVIATION_AH);
    double next_Ah = find(view, of, WORK_CAPACITY_NEXT_AH);
    char text[TEXT_BYTES_MAX];

    fprintf(out, "%-*.*s %12s  ", NAME_WIDTH, NAME_WIDTH, *of ? of : "Bank",
            quantity(text, installed_Ah, 1, "Ah"));
    if (isnan(installed_Ah))
        fputs("unknown: it shows no /InstalledCapacity\n", out);
    else if (isnan(capacity_Ah))
        fprintf(out, "unknown: no sweep yet; one would tell it to +- %.1f Ah\n", next_Ah);
    else
        fprintf(out, "%.1f +- %.1f Ah (%.0f %%) by %.0f sweep%s, the deepest %.0f %%%s +- %.1f Ah\n",
                capacity_Ah, deviation_Ah, 100 * capacity_Ah / installed_Ah,
                find(view, of, WORK_CAPACITY_SWEEPS), find(view, of, WORK_CAPACITY_SWEEPS) == 1 ? "" : "s",
                find(view, of, WORK_CAPACITY_DEPTH_PCT),
                deviation_Ah <= CAPACITY_GOOD * installed_Ah ? ": certain enough; one more:"
                                                             : "; one more would make it",
                next_Ah);
}

void work_write_capacity(FILE *out, const struct work_view *view)
{
    fprintf(out, "%-*s %12s  %s\n", NAME_WIDTH, "", "nameplate", "usable");
    each_subject(out, view, write_row);
    fprintf(
        out,
        "\n"
        "A sweep: charge until the bank is full, then take out until the lowest cell is at its minimum, "
        "within "
        "%.0f h\nand with little charging in between: what the sensor shows too much adds up with the hours. "
        "A pack tells its\nown capacity when its own lowest cell is there. Half as certain, with LFP: take "
        "out "
        "more than half, then let\nit rest for half an hour under 2 %% of its capacity in A.\n"
        "In series (BANK) the nameplate of a string is that of its smallest pack, and usable is what flows "
        "from "
        "its first\nfull pack to its first empty one. A pack there tells its own only when it is full with "
        "the "
        "string and empty with\nit: charge the one that lags alone first.\n",
        CAPACITY_NEXT_HOURS);
}
