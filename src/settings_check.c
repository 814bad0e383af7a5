#include "settings_check.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/calendar.h"

enum { FINDING_MAX = 512 };

/* The chemistry by its balancing voltage: LTO cells end below 2.9 V, LFP and NMC cells above 3.2 V. */
#define LTO_VOLTAGE_MAX_V 2.9

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

static void check_curve(const struct settings_checker *checker, const char *key, const struct curve *curve)
{
    for (size_t i = 1; i < curve->count; i++) {
        if (curve->x[i] > curve->x[i - 1])
            continue;
        found(checker, SETTINGS_ERROR, key,
              "%s: voltage %zu is %.3f V and the one before it %.3f V. They must ascend%s", key, i + 1,
              curve->x[i], curve->x[i - 1],
              checker->line_of(checker->ctx, key) == 0
                  ? " (left empty, they follow from MIN_CELL_VOLTAGE, BALANCING_VOLTAGE and MAX_CELL_VOLTAGE)"
                  : "");
        return;
    }
}

static void check_chemistry(const struct config *config, const struct settings_checker *checker)
{
    bool lto = config->balancing_voltage_V < LTO_VOLTAGE_MAX_V;
    const struct {
        const char *key;
        double voltage_V;
    } voltages[] = {{"MAX_CELL_VOLTAGE", config->max_cell_voltage_V},
                    {"MAX_CELL_VOLTAGE_SOC_FULL", config->max_cell_voltage_soc_full_V},
                    {"CHARGE_VOLTAGE_LIST", config->charge_voltage_V[0]}};

    for (size_t i = 0; i < sizeof voltages / sizeof *voltages; i++) {
        if ((voltages[i].voltage_V < LTO_VOLTAGE_MAX_V) == lto)
            continue;
        found(
            checker, SETTINGS_ERROR,
            checker->line_of(checker->ctx, voltages[i].key) ? voltages[i].key : "BALANCING_VOLTAGE",
            "%s is %.2f V but BALANCING_VOLTAGE is %.2f V: one belongs to LTO cells, the other to LFP cells. "
            "Set all voltages for the cells you have",
            voltages[i].key, voltages[i].voltage_V, config->balancing_voltage_V);
    }
}

static void check_order(const struct config *config, const struct settings_checker *checker)
{
    enum settings_severity own = config->own_charge_parameters ? SETTINGS_ERROR : SETTINGS_WARNING;

    if (config->min_cell_voltage_V >= config->max_cell_voltage_V)
        found(checker, SETTINGS_ERROR, "MIN_CELL_VOLTAGE",
              "MIN_CELL_VOLTAGE (%.3f V) must be below MAX_CELL_VOLTAGE (%.3f V)", config->min_cell_voltage_V,
              config->max_cell_voltage_V);
    if (config->max_cell_voltage_V <= config->balancing_voltage_V)
        found(checker, own, "MAX_CELL_VOLTAGE",
              "MAX_CELL_VOLTAGE (%.3f V) must be above BALANCING_VOLTAGE (%.3f V): else a cell peaks before "
              "the "
              "bank can balance, and DC feed-in is turned off at every full charge",
              config->max_cell_voltage_V, config->balancing_voltage_V);
    if (config->min_cell_voltage_soc_empty_V >= config->max_cell_voltage_soc_full_V)
        found(checker, SETTINGS_ERROR, "MIN_CELL_VOLTAGE_SOC_EMPTY",
              "MIN_CELL_VOLTAGE_SOC_EMPTY (%.3f V) must be below MAX_CELL_VOLTAGE_SOC_FULL (%.3f V)",
              config->min_cell_voltage_soc_empty_V, config->max_cell_voltage_soc_full_V);
    if (config->min_cell_voltage_V + config->min_cell_hysteresis_V >= config->balancing_voltage_V)
        found(checker, own, "MIN_CELL_HYSTERESIS",
              "MIN_CELL_VOLTAGE + MIN_CELL_HYSTERESIS (%.3f V) must be below BALANCING_VOLTAGE (%.3f V): "
              "else an "
              "empty bank is never discharged again",
              config->min_cell_voltage_V + config->min_cell_hysteresis_V, config->balancing_voltage_V);
}

/* A warning only: users' files have such months, and they work. */
static void check_months(const struct config *config, const struct settings_checker *checker)
{
    if (!config->own_charge_parameters)
        return;
    for (int month = 1; month <= 12; month++) {
        double voltage_V = config->charge_voltage_V[month - 1];

        if (voltage_V <= config->max_cell_voltage_V)
            continue;
        found(
            checker, SETTINGS_WARNING, "CHARGE_VOLTAGE_LIST",
            "CHARGE_VOLTAGE_LIST: %s (%.2f V) is above MAX_CELL_VOLTAGE (%.2f V): the highest cell reaches "
            "its "
            "limit before the bank its target, and DC feed-in is turned off every noon. Lower the month, or "
            "raise MAX_CELL_VOLTAGE",
            calendar_month_name(month), voltage_V, config->max_cell_voltage_V);
    }
}

void settings_check(const struct config *config, const struct settings_checker *checker)
{
    check_chemistry(config, checker);
    check_order(config, checker);
    check_curve(checker, "CELL_CHARGE_LIMITING_VOLTAGE", &config->charge_curve);
    check_curve(checker, "CELL_DISCHARGE_LIMITING_VOLTAGE", &config->discharge_curve);
    check_months(config, checker);
}
