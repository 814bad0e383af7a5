#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands/status_view.h"
#include "core/alarms.h"
#include "core/feed_in.h"

enum { LINE_BYTES_MAX = 1024, NUMBER_BYTES_MAX = 32, BAR_CELLS = 20, COLUMN_WIDTH = 7 };

static const char red[] = "\033[31m";
static const char yellow[] = "\033[33m";
static const char plain[] = "\033[0m";

/* ---- pieces ---- */

/* "53.21", or "-" when it is unknown. */
static const char *number_text(char *buf, double number, int decimals)
{
    if (isfinite(number))
        snprintf(buf, NUMBER_BYTES_MAX, "%.*f", decimals, number);
    else
        strcpy(buf, "-");
    return buf;
}

/* The same for a column of a table: what no bank has, such as 1e+30 V, takes no more room. */
static const char *column_text(char *buf, double number, int decimals)
{
    if (isfinite(number) && snprintf(buf, NUMBER_BYTES_MAX, "%.*f", decimals, number) > COLUMN_WIDTH)
        snprintf(buf, NUMBER_BYTES_MAX, "%.0e", number);
    else
        number_text(buf, number, decimals);
    return buf;
}

static const char *or_dash(const char *text)
{
    return *text ? text : "-";
}

/* A line as it grows; what does not fit is cut. */
struct line {
    char text[LINE_BYTES_MAX];
    size_t used;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line->text + line->used, sizeof line->text - line->used, format, arguments);
    va_end(arguments);
    if (length > 0)
        line->used += (size_t)length;
    if (line->used >= sizeof line->text)
        line->used = sizeof line->text - 1;
}

/* A text in a column of so many letters, cut or filled up; a UTF-8 byte that continues a letter has no
 * width. */
static void add_column(struct line *line, const char *text, int width)
{
    int letters = 0;
    int bytes = 0;

    for (; text[bytes]; bytes++) {
        if (((unsigned char)text[bytes] & 0xC0) != 0x80 && letters++ == width)
            break;
    }
    add(line, "%.*s%*s", bytes, text, letters < width ? width - letters : 0, "");
}

static void add_number(struct line *line, const char *before, double number, int decimals, const char *unit)
{
    char text[NUMBER_BYTES_MAX];

    add(line, "%s%s %s", before, number_text(text, number, decimals), unit);
}

/* Writes it, cut to the width at a character's boundary (a UTF-8 byte that continues one has no column). */
static void put_line(FILE *out, const struct line *line, const struct status_style *style, const char *colour)
{
    size_t length = 0;
    int columns = 0;

    while (line->text[length]) {
        if (((unsigned char)line->text[length] & 0xC0) != 0x80 && style->width > 0 &&
            columns++ == style->width)
            break;
        length++;
    }
    if (style->colour && colour)
        fprintf(out, "%s%.*s%s", colour, (int)length, line->text, plain);
    else
        fprintf(out, "%.*s", (int)length, line->text);
}

static double worst_alarm(const struct status_view *view)
{
    double worst = 0;

    for (int i = 0; i < ALARM_COUNT; i++)
        worst = fmax(worst, view->number[BANK_ALARM_FIRST + i]);
    return worst;
}

static const char *alarm_colour(const struct status_view *view)
{
    double worst = worst_alarm(view);

    return worst >= 2 ? red : worst >= 1 ? yellow : NULL;
}

static void add_alarms(struct line *line, const struct status_view *view)
{
    if (worst_alarm(view) < 1) {
        add(line, "no alarm");
        return;
    }
    for (int i = 0; i < ALARM_COUNT; i++) {
        double level = view->number[BANK_ALARM_FIRST + i];

        if (level >= 1)
            add(line, "%s %s! ", level >= 2 ? "ALARM" : "warning", alarm_name((enum alarm)i));
    }
    line->text[--line->used] = '\0';
}

static void add_feed_in(struct line *line, const struct status_view *view)
{
    double guard = view->number[BANK_GUARD];

    if (isnan(view->feed_in))
        add(line, "feed-in: no ESS settings");
    else
        add(line, "feed-in %s", view->feed_in > 0 ? "on" : "off");
    if (guard == FEED_IN_HOLDING || guard == FEED_IN_RETURNING)
        add(line, " (%s)", feed_in_state_name((enum feed_in_state)guard));
}

static void add_packs(struct line *line, const struct status_view *view)
{
    add_number(line, "", view->number[BANK_PACKS], 0, view->number[BANK_PACKS] == 1 ? "pack" : "packs");
    if (view->number[BANK_OFFLINE] > 0)
        add(line, ", %.0f offline", view->number[BANK_OFFLINE]);
}

static void add_cells(struct line *line, const struct status_view *view)
{
    add_number(line, "cells ", view->number[BANK_CELL_MIN], 3, "V");
    add(line, " (%s) to ", or_dash(view->text[BANK_CELL_MIN_ID]));
    add_number(line, "", view->number[BANK_CELL_MAX], 3, "V");
    add(line, " (%s)", or_dash(view->text[BANK_CELL_MAX_ID]));
}

static const struct {
    const char *name, *unit;
    int number, why, decimals;
} limits[] = {{"CVL", "V", BANK_CVL, BANK_CVL_WHY, 2},
              {"CCL", "A", BANK_CCL, BANK_CCL_WHY, 1},
              {"DCL", "A", BANK_DCL, BANK_DCL_WHY, 1}};

enum { LIMITS = sizeof limits / sizeof *limits };

/* ---- one line ---- */

void status_line(FILE *out, const struct status_view *view, const struct status_style *style)
{
    struct line line = {"", 0};

    add_number(&line, "SoC ", view->number[BANK_SOC], 1, "%");
    add_number(&line, " | ", view->number[BANK_VOLTAGE], 2, "V");
    add_number(&line, " ", view->number[BANK_CURRENT], 1, "A");
    add_number(&line, " ", view->number[BANK_POWER], 0, "W | ");
    add_cells(&line, view);
    for (int i = 0; i < LIMITS; i++) {
        add(&line, " | %s ", limits[i].name);
        add_number(&line, "", view->number[limits[i].number], limits[i].decimals, limits[i].unit);
        add(&line, " (%s)", or_dash(view->text[limits[i].why]));
    }
    add(&line, " | ");
    add_packs(&line, view);
    add(&line, " | ");
    add_feed_in(&line, view);
    add(&line, " | ");
    add_alarms(&line, view);
    put_line(out, &line, style, alarm_colour(view));
    fputs("\n", out);
}

/* ---- the table ---- */

static void put_bar(FILE *out, const struct status_view *view, const struct status_style *style)
{
    struct line line = {"", 0};
    double soc = view->number[BANK_SOC];

    add_number(&line, "SoC ", soc, 1, "% [");
    for (int i = 0; i < BAR_CELLS; i++)
        add(&line, "%c", soc / 100 * BAR_CELLS > i ? '#' : '.');
    add_number(&line, "] ", view->number[BANK_CAPACITY], 1, "of ");
    add_number(&line, "", view->number[BANK_INSTALLED], 1, "Ah");
    if (!isnan(view->number[BANK_SOC_UNCERTAINTY]))
        add_number(&line, "  +- ", view->number[BANK_SOC_UNCERTAINTY], 1, "%");
    if (view->text[BANK_NAME][0])
        add(&line, "   %s", view->text[BANK_NAME]);
    put_line(out, &line, style, NULL);
}

static void put_bank(FILE *out, const struct status_view *view, const struct status_style *style,
                     const char *end)
{
    struct line line = {"", 0};

    put_bar(out, view, style);
    fputs(end, out);
    add_number(&line, "", view->number[BANK_VOLTAGE], 2, "V  ");
    add_number(&line, "", view->number[BANK_CURRENT], 1, "A  ");
    add_number(&line, "", view->number[BANK_POWER], 0, "W  ");
    add_number(&line, "", view->number[BANK_TEMPERATURE], 1, "°C");
    put_line(out, &line, style, NULL);
    fputs(end, out);
    line = (struct line){"", 0};
    add_cells(&line, view);
    add_number(&line, ", ", view->number[BANK_CELL_DIFF] * 1000, 0, "mV apart");
    put_line(out, &line, style, NULL);
    fputs(end, out);
    for (int i = 0; i < LIMITS; i++) {
        char number[NUMBER_BYTES_MAX];

        line = (struct line){"", 0};
        add(&line, "%s %8s %s  %s", limits[i].name,
            number_text(number, view->number[limits[i].number], limits[i].decimals), limits[i].unit,
            or_dash(view->text[limits[i].why]));
        put_line(out, &line, style, view->number[limits[i].number] == 0 ? yellow : NULL);
        fputs(end, out);
    }
    line = (struct line){"", 0};
    add_packs(&line, view);
    add(&line, "  ");
    add_feed_in(&line, view);
    add(&line, "  ");
    add_alarms(&line, view);
    put_line(out, &line, style, alarm_colour(view));
    fputs(end, out);
}

static void put_pack(FILE *out, const struct status_pack *pack, const struct status_style *style)
{
    static const int decimals[PACK_NUMBERS] = {
        [PACK_VOLTAGE] = 2, [PACK_CURRENT] = 1, [PACK_SOC] = 1, [PACK_CELL_MIN] = 3,   [PACK_CELL_MAX] = 3,
        [PACK_CVL] = 2,     [PACK_CCL] = 1,     [PACK_DCL] = 1, [PACK_TEMPERATURE] = 1};
    struct line line = {"", 0};
    char number[NUMBER_BYTES_MAX], resistance[NUMBER_BYTES_MAX];

    add_column(&line, or_dash(pack->name), 16);
    add(&line, " %-8.8s", or_dash(pack->state));
    for (int i = 0; i < PACK_NUMBERS; i++)
        add(&line, " %*s", COLUMN_WIDTH, column_text(number, pack->number[i], decimals[i]));
    add(&line, " %7s %7s", number_text(number, pack->learned[LEARNED_SHARE], 0),
        number_text(resistance, pack->learned[LEARNED_RESISTANCE], 1));
    if (!isnan(pack->learned[LEARNED_DEVIATION]))
        add(&line, " +- %.1f", pack->learned[LEARNED_DEVIATION]);
    put_line(out, &line, style, strcmp(pack->state, "online") == 0 ? NULL : yellow);
}

/* On a terminal each line ends with "clear to its end", so that the table can be drawn over itself. */
void status_table(FILE *out, const struct status_view *view, const struct status_style *style)
{
    const char *end = style->width > 0 ? "\033[K\n" : "\n";
    struct line heading = {"", 0};

    put_bank(out, view, style, end);
    fputs(end, out);
    add(&heading, "%-16s %-8s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s %7s", "pack", "state", "V", "A",
        "SoC %", "min V", "max V", "CVL V", "CCL A", "DCL A", "C", "share %", "mOhm");
    put_line(out, &heading, style, NULL);
    fputs(end, out);
    for (size_t i = 0; i < view->packs; i++) {
        put_pack(out, &view->pack[i], style);
        fputs(end, out);
    }
}

/* ---- JSON ---- */

static void json_text(FILE *out, const char *text)
{
    if (!*text) {
        fputs("null", out);
        return;
    }
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putc('\\', out);
        if ((unsigned char)*text >= 0x20)
            putc(*text, out);
    }
    putc('"', out);
}

static void json_number(FILE *out, const char *key, double number)
{
    if (isfinite(number))
        fprintf(out, "\"%s\":%.10g,", key, number);
    else
        fprintf(out, "\"%s\":null,", key);
}

static void json_named(FILE *out, const char *key, const char *text)
{
    fprintf(out, "\"%s\":", key);
    json_text(out, text);
    putc(',', out);
}

static void json_pack(FILE *out, const struct status_pack *pack)
{
    static const char *const keys[PACK_NUMBERS] = {
        [PACK_VOLTAGE] = "voltage_V",   [PACK_CURRENT] = "current_A",   [PACK_SOC] = "soc_pct",
        [PACK_CELL_MIN] = "cell_min_V", [PACK_CELL_MAX] = "cell_max_V", [PACK_CVL] = "cvl_V",
        [PACK_CCL] = "ccl_A",           [PACK_DCL] = "dcl_A",           [PACK_TEMPERATURE] = "temperature_C"};
    static const char *const learned_keys[LEARNED_NUMBERS] = {[LEARNED_SHARE] = "share_pct",
                                                              [LEARNED_RESISTANCE] = "resistance_mOhm",
                                                              [LEARNED_DEVIATION] =
                                                                  "resistance_deviation_mOhm"};

    putc('{', out);
    json_named(out, "name", pack->name);
    json_named(out, "service", pack->service);
    for (int i = 0; i < PACK_NUMBERS; i++)
        json_number(out, keys[i], pack->number[i]);
    for (int i = 0; i < LEARNED_NUMBERS; i++)
        json_number(out, learned_keys[i], pack->learned[i]);
    fputs("\"state\":", out);
    json_text(out, pack->state);
    putc('}', out);
}

void status_json(FILE *out, const struct status_view *view)
{
    static const char *const numbers[BANK_ALARM_FIRST] = {[BANK_SOC] = "soc_pct",
                                                          [BANK_VOLTAGE] = "voltage_V",
                                                          [BANK_CURRENT] = "current_A",
                                                          [BANK_POWER] = "power_W",
                                                          [BANK_TEMPERATURE] = "temperature_C",
                                                          [BANK_CAPACITY] = "capacity_Ah",
                                                          [BANK_INSTALLED] = "capacity_installed_Ah",
                                                          [BANK_CELL_MAX] = "cell_max_V",
                                                          [BANK_CELL_MIN] = "cell_min_V",
                                                          [BANK_CELL_DIFF] = "cell_diff_V",
                                                          [BANK_CVL] = "cvl_V",
                                                          [BANK_CCL] = "ccl_A",
                                                          [BANK_DCL] = "dcl_A",
                                                          [BANK_PACKS] = "packs_online",
                                                          [BANK_OFFLINE] = "modules_offline",
                                                          [BANK_GUARD] = "feed_in_guard",
                                                          [BANK_INSTANCE] = "device_instance",
                                                          [BANK_SOC_UNCERTAINTY] = "soc_uncertainty_pct"};
    static const char *const texts[BANK_TEXTS] = {
        [BANK_CELL_MAX_ID] = "cell_max_id", [BANK_CELL_MIN_ID] = "cell_min_id", [BANK_CVL_WHY] = "cvl_reason",
        [BANK_CCL_WHY] = "ccl_reason",      [BANK_DCL_WHY] = "dcl_reason",      [BANK_NAME] = "name"};

    putc('{', out);
    for (int i = 0; i < BANK_ALARM_FIRST; i++)
        json_number(out, numbers[i], view->number[i]);
    for (int i = 0; i < BANK_TEXTS; i++)
        json_named(out, texts[i], view->text[i]);
    json_number(out, "feed_in", view->feed_in);
    fputs("\"alarms\":{", out);
    for (int i = 0; i < ALARM_COUNT; i++) {
        double level = view->number[BANK_ALARM_FIRST + i];

        fprintf(out, "%s\"%s\":", i ? "," : "", alarm_name((enum alarm)i));
        if (isfinite(level))
            fprintf(out, "%.0f", level);
        else
            fputs("null", out);
    }
    fputs("},\"packs\":[", out);
    for (size_t i = 0; i < view->packs; i++) {
        if (i > 0)
            putc(',', out);
        json_pack(out, &view->pack[i]);
    }
    fputs("]}\n", out);
}
