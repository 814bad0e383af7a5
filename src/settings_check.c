#include "settings_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/calendar.h"
#include "venus/pattern.h"

enum { FINDING_MAX = 640 };

/* Cells tell their chemistry by voltage: LTO is full below 2.9 V, LFP and NMC above 3.2 V. An empty LTO
 * cell has less than 2.2 V, where others are damaged. */
#define LTO_FULL_MAX_V 2.9
#define LTO_EMPTY_MAX_V 2.2

#define SAME_V 1e-6 /* sums of settings that are equal but for the last bit */

static void found(const struct settings_checker *checker, enum settings_severity severity, const char *key,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

static void found(const struct settings_checker *checker, enum settings_severity severity, const char *key,
                  const char *format, ...)
{
    char message[FINDING_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    checker->finding(checker->ctx, severity, checker->line_of(checker->ctx, key), message);
}

static bool is_given(const struct settings_checker *checker, const char *key)
{
    return checker->line_of(checker->ctx, key) > 0;
}

/* Of the keys that a finding is about, the first that the user wrote: there it can be mended. */
static const char *first_given(const struct settings_checker *checker, const char *const keys[])
{
    for (size_t i = 0; keys[i]; i++) {
        if (is_given(checker, keys[i]))
            return keys[i];
    }
    return keys[0];
}

#define FIRST_GIVEN(checker, ...) first_given(checker, (const char *const[]){__VA_ARGS__, NULL})

static bool is_above(double voltage_V, double other_V)
{
    return voltage_V > other_V + SAME_V;
}

/* An error where our own charge control decides by it, else a warning. */
static enum settings_severity if_own(const struct config *config)
{
    return config->own_charge_parameters ? SETTINGS_ERROR : SETTINGS_WARNING;
}

/* A curve that follows from MIN, BALANCING and MAX is not wrong by itself: check_order has said why. */
static void check_curve(const struct config *config, const struct settings_checker *checker, const char *key,
                        const struct curve *curve, bool computed)
{
    for (size_t i = 1; i < curve->count; i++) {
        if (is_above(curve->x[i], curve->x[i - 1]))
            continue;
        if (computed && (!is_above(config->max_cell_voltage_V, config->balancing_voltage_V) ||
                         !is_above(config->max_cell_voltage_V, config->min_cell_voltage_V)))
            return;
        found(checker, computed ? if_own(config) : SETTINGS_ERROR,
              FIRST_GIVEN(checker, key, "MIN_CELL_VOLTAGE", "BALANCING_VOLTAGE", "MAX_CELL_VOLTAGE"),
              "%s: voltage %zu is %.3f V and the one before it %.3f V. Each must be above the one before%s",
              key, i + 1, curve->x[i], curve->x[i - 1],
              computed ? " (left empty, they follow from MIN_CELL_VOLTAGE, BALANCING_VOLTAGE and "
                         "MAX_CELL_VOLTAGE: these are too close)"
                       : "");
        return;
    }
}

static void check_curves(const struct config *config, const struct settings_checker *checker)
{
    check_curve(config, checker, "CELL_CHARGE_LIMITING_VOLTAGE", &config->charge_curve,
                checker->charge_curve_computed);
    check_curve(config, checker, "CELL_DISCHARGE_LIMITING_VOLTAGE", &config->discharge_curve,
                checker->discharge_curve_computed);
}

/* Voltages of one chemistry. Our own charge control decides by all of these but SOC_FULL; the merging
 * mode by SOC_FULL alone, where BALANCING_VOLTAGE is often left at its default. */
static void check_chemistry(const struct config *config, const struct settings_checker *checker)
{
    bool lto = config->balancing_voltage_V < LTO_FULL_MAX_V;
    const struct {
        const char *key;
        double voltage_V;
        double limit_V;
        bool matters;
    } voltages[] = {
        {"MAX_CELL_VOLTAGE", config->max_cell_voltage_V, LTO_FULL_MAX_V, config->own_charge_parameters},
        {"MAX_CELL_VOLTAGE_SOC_FULL", config->max_cell_voltage_soc_full_V, LTO_FULL_MAX_V, false},
        {"MIN_CELL_VOLTAGE", config->min_cell_voltage_V, LTO_EMPTY_MAX_V, config->own_charge_parameters},
    };

    for (size_t i = 0; i < sizeof voltages / sizeof *voltages; i++) {
        const char *key = voltages[i].key;
        bool both = is_given(checker, key) && is_given(checker, "BALANCING_VOLTAGE");

        if ((voltages[i].voltage_V < voltages[i].limit_V) == lto || (!voltages[i].matters && !both))
            continue;
        found(checker, voltages[i].matters ? SETTINGS_ERROR : SETTINGS_WARNING,
              FIRST_GIVEN(checker, key, "BALANCING_VOLTAGE"),
              "%s is %.2f V and BALANCING_VOLTAGE is %.2f V: one belongs to LTO cells, the other to LFP "
              "cells. Set all voltages for the cells you have",
              key, voltages[i].voltage_V, config->balancing_voltage_V);
    }
}

static void check_months_chemistry(const struct config *config, const struct settings_checker *checker)
{
    bool lto = config->balancing_voltage_V < LTO_FULL_MAX_V;

    for (int month = 1; month <= 12; month++) {
        double voltage_V = config->charge_voltage_V[month - 1];

        if ((voltage_V < LTO_FULL_MAX_V) == lto)
            continue;
        found(checker, if_own(config), FIRST_GIVEN(checker, "CHARGE_VOLTAGE_LIST", "BALANCING_VOLTAGE"),
              "CHARGE_VOLTAGE_LIST has %.2f V for %s and BALANCING_VOLTAGE is %.2f V: one belongs to LTO "
              "cells, the other to LFP cells. Set all voltages for the cells you have",
              voltage_V, calendar_month_name(month), config->balancing_voltage_V);
        return;
    }
}

static void check_order(const struct config *config, const struct settings_checker *checker)
{
    double discharged_again_V = config->min_cell_voltage_V + config->min_cell_hysteresis_V;

    if (!is_above(config->max_cell_voltage_V, config->min_cell_voltage_V))
        found(checker, SETTINGS_ERROR, FIRST_GIVEN(checker, "MIN_CELL_VOLTAGE", "MAX_CELL_VOLTAGE"),
              "MIN_CELL_VOLTAGE (%.3f V) must be below MAX_CELL_VOLTAGE (%.3f V)", config->min_cell_voltage_V,
              config->max_cell_voltage_V);
    else if (!is_above(config->balancing_voltage_V, discharged_again_V))
        found(checker, if_own(config),
              FIRST_GIVEN(checker, "MIN_CELL_HYSTERESIS", "MIN_CELL_VOLTAGE", "BALANCING_VOLTAGE"),
              "MIN_CELL_VOLTAGE + MIN_CELL_HYSTERESIS (%.3f V) must be below BALANCING_VOLTAGE (%.3f V): "
              "else an empty bank is hardly ever discharged again",
              discharged_again_V, config->balancing_voltage_V);
    if (!is_above(config->max_cell_voltage_V, config->balancing_voltage_V))
        found(checker, if_own(config), FIRST_GIVEN(checker, "MAX_CELL_VOLTAGE", "BALANCING_VOLTAGE"),
              "MAX_CELL_VOLTAGE (%.3f V) must be above BALANCING_VOLTAGE (%.3f V): else a cell peaks before "
              "the bank can balance, and DC feed-in is turned off at every full charge",
              config->max_cell_voltage_V, config->balancing_voltage_V);
}

/* The thresholds of the counter decide in the merging mode only, the lower one with ZERO_SOC only. */
static void check_soc(const struct config *config, const struct settings_checker *checker)
{
    bool matters = !config->own_charge_parameters && config->zero_soc;

    if (is_above(config->max_cell_voltage_soc_full_V, config->min_cell_voltage_soc_empty_V))
        return;
    found(checker, matters ? SETTINGS_ERROR : SETTINGS_WARNING,
          FIRST_GIVEN(checker, "MIN_CELL_VOLTAGE_SOC_EMPTY", "MAX_CELL_VOLTAGE_SOC_FULL"),
          "MIN_CELL_VOLTAGE_SOC_EMPTY (%.3f V) must be below MAX_CELL_VOLTAGE_SOC_FULL (%.3f V)",
          config->min_cell_voltage_soc_empty_V, config->max_cell_voltage_soc_full_V);
}

/* A warning only: users' files have such months, and they work. One line for all of them. */
static void check_months(const struct config *config, const struct settings_checker *checker)
{
    char months[12 * sizeof "September 5.000, "] = "";
    size_t used = 0;

    if (!config->own_charge_parameters)
        return;
    for (int month = 1; month <= 12; month++) {
        if (is_above(config->charge_voltage_V[month - 1], config->max_cell_voltage_V))
            used += (size_t)snprintf(months + used, sizeof months - used, "%s%s %.2f", used > 0 ? ", " : "",
                                     calendar_month_name(month), config->charge_voltage_V[month - 1]);
    }
    if (used > 0)
        found(checker, SETTINGS_WARNING,
              FIRST_GIVEN(checker, "CHARGE_VOLTAGE_LIST", "MAX_CELL_VOLTAGE", "OWN_CHARGE_PARAMETERS"),
              "CHARGE_VOLTAGE_LIST is above MAX_CELL_VOLTAGE (%.2f V) in %s: this turns DC feed-in off every "
              "noon, for a cell reaches MAX_CELL_VOLTAGE before the bank reaches its target. Lower these "
              "months, or raise MAX_CELL_VOLTAGE",
              config->max_cell_voltage_V, months);
}

/* What BANK does not name is no pack. */
static void check_bank(const struct config *config, const struct settings_checker *checker)
{
    size_t named = config->shape.packs;

    if (named > 0 && config->nr_of_batteries != CONFIG_NOT_SET && (size_t)config->nr_of_batteries > named)
        found(checker, SETTINGS_ERROR, "NR_OF_BATTERIES",
              "NR_OF_BATTERIES is %d, but BANK names %zu pack%s: the bank would never be whole. Leave "
              "NR_OF_BATTERIES empty, or name them all",
              config->nr_of_batteries, named, named == 1 ? "" : "s");
}

static bool is_pack_shunt(const struct config *config, int instance)
{
    for (size_t i = 0; i < config->pack_shunts.count; i++) {
        if (config->pack_shunts.shunt[i].instance == instance)
            return true;
    }
    return false;
}

static bool has_class(const struct config *config, enum dc_class dc_class)
{
    for (size_t i = 0; i < config->current_sources.count; i++) {
        if (config->current_sources.source[i].dc_class == dc_class)
            return true;
    }
    return false;
}

static bool are_default_sources(const struct current_sources *sources)
{
    static const enum dc_class by_default[] = {DC_VEBUS, DC_SOLARCHARGER};

    if (sources->count != sizeof by_default / sizeof *by_default)
        return false;
    for (size_t i = 0; i < sources->count; i++) {
        if (sources->source[i].dc_class != by_default[i] || sources->source[i].instance != CONFIG_NOT_SET ||
            sources->source[i].sign != 0)
            return false;
    }
    return true;
}

static void check_sources(const struct config *config, const struct settings_checker *checker)
{
    const struct current_sources *sources = &config->current_sources;

    if (!are_default_sources(sources) && !config->current_from_victron)
        found(checker, SETTINGS_NOTE, "CURRENT_SOURCES",
              "CURRENT_SOURCES has no effect while CURRENT_FROM_VICTRON is False");
    if (has_class(config, DC_ACSYSTEM) && has_class(config, DC_MULTI))
        found(
            checker, SETTINGS_WARNING, "CURRENT_SOURCES",
            "CURRENT_SOURCES has acsystem and multi: an acsystem is the sum of its multis, which would count "
            "twice. Name one of the two");
    for (size_t i = 0; i < sources->count; i++) {
        const struct current_source *source = &sources->source[i];

        if (source->dc_class == DC_DCDC && source->sign == 0)
            found(
                checker, SETTINGS_NOTE, "CURRENT_SOURCES",
                "CURRENT_SOURCES: dcdc takes from the bank, by its input current. Write +dcdc if its output "
                "charges the bank, -dcdc to silence this note");
        if ((source->dc_class == DC_ANY || source->dc_class == DC_BATTERY || source->dc_class == DC_DCLOAD) &&
            is_pack_shunt(config, source->instance))
            found(checker, SETTINGS_WARNING, "CURRENT_SOURCES",
                  "CURRENT_SOURCES names #%d, which PACK_SHUNT gives to a pack: it counts for that pack only",
                  source->instance);
    }
}

/* A shunt that measures a pack counts for nothing else. */
static void check_listed_shunts(const struct config *config, const struct settings_checker *checker)
{
    for (size_t i = 0; i < config->smartshunts.count && config->use_smartshunts == SHUNTS_LISTED; i++) {
        const char *name = config->smartshunts.name[i];
        char *end;
        long instance = strtol(name, &end, 10);

        if (end != name && !*end && is_pack_shunt(config, (int)instance))
            found(checker, SETTINGS_WARNING, "USE_SMARTSHUNTS",
                  "USE_SMARTSHUNTS names %ld, which PACK_SHUNT gives to a pack: it counts for that pack only",
                  instance);
    }
}

/* Who takes a few out of "House *" means it; who names one in both has forgotten one of them. */
static void check_ignored(const struct config *config, const struct settings_checker *checker)
{
    for (size_t i = 0; i < config->packs.count; i++) {
        if (pattern_list_covers(&config->ignore, config->packs.pattern[i]))
            found(checker, SETTINGS_WARNING, "IGNORE",
                  "IGNORE names '%s', which PACKS names too: IGNORE prevails, it is no pack. Take it out of "
                  "one "
                  "of them",
                  config->packs.pattern[i]);
    }
    for (size_t i = 0; i < config->shape.packs; i++) {
        if (pattern_list_covers(&config->ignore, config->shape.pack[i]))
            found(checker, SETTINGS_WARNING, "IGNORE",
                  "IGNORE names '%s', which BANK names too: IGNORE prevails, and its place in the bank stays "
                  "empty. Take it out of one of them",
                  config->shape.pack[i]);
    }
}

/* What the user wrote, and what it will not do. */
static void check_effects(const struct config *config, const struct settings_checker *checker)
{
    if (config->max_charge_current_set && config->max_charge_current_A == 0)
        found(checker, SETTINGS_WARNING, "MAX_CHARGE_CURRENT",
              "MAX_CHARGE_CURRENT = 0: the bank is never charged. For no limit leave it empty");
    if (config->max_discharge_current_set && config->max_discharge_current_A == 0)
        found(checker, SETTINGS_WARNING, "MAX_DISCHARGE_CURRENT",
              "MAX_DISCHARGE_CURRENT = 0: the bank is never discharged. For no limit leave it empty");
    if (config->use_smartshunts != SHUNTS_NONE && !config->current_from_victron &&
        !config->smartshunt_as_battery_current)
        found(checker, SETTINGS_NOTE, "USE_SMARTSHUNTS",
              "USE_SMARTSHUNTS has no effect while CURRENT_FROM_VICTRON is False");
    check_sources(config, checker);
    check_listed_shunts(config, checker);
    check_ignored(config, checker);
    if (config->packs.count > 0 && config->battery_product_names.count > 0)
        found(checker, SETTINGS_NOTE, "BATTERY_PRODUCT_NAME",
              "BATTERY_PRODUCT_NAME has no effect while PACKS names the packs");
    if (config->keep_max_cvl && config->own_charge_parameters)
        found(checker, SETTINGS_NOTE, "KEEP_MAX_CVL",
              "KEEP_MAX_CVL has no effect while OWN_CHARGE_PARAMETERS is True");
}

void settings_check(const struct config *config, const struct settings_checker *checker)
{
    check_bank(config, checker);
    check_chemistry(config, checker);
    check_months_chemistry(config, checker);
    check_order(config, checker);
    check_soc(config, checker);
    check_curves(config, checker);
    check_months(config, checker);
    check_effects(config, checker);
}
