#include "core/current.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_off(const struct source *source)
{
    return source->state == 0 || source->status_code == 0;
}

/* A generator that stands still, a converter that is off: some show no current then. */
static double or_off_A(const struct source *source, double current_A)
{
    return isnan(current_A) && is_off(source) ? 0 : current_A;
}

double source_current_A(const struct config *config, const struct source *source)
{
    double sign = config->invert_smartshunts ? -1 : 1;
    double told = source->sign != 0 ? source->sign : 1;

    if (source->silent)
        return NAN;
    if (source->sign != 0 && (source->kind == SOURCE_SHUNT_BATTERY || source->kind == SOURCE_SHUNT_LOAD))
        return told * source->current_A;

    switch (source->kind) {
    case SOURCE_MULTI:
        if (isnan(source->connected))
            return NAN; /* silence is not the word of a Multi that is off */
        return source->connected == 1 ? told * source->current_A : 0;
    case SOURCE_MPPT:
        return told * source->current_A;
    case SOURCE_SHUNT_BATTERY:
        sign *= config->subtract_battery_shunts && !config->smartshunt_as_battery_current ? -1 : 1;
        return sign * source->current_A;
    case SOURCE_SHUNT_LOAD:
        return -sign * source->current_A;
    case SOURCE_OTHER:
        return told * or_off_A(source, source->current_A);
    case SOURCE_BY_INPUT:
        return told * or_off_A(source, source->input_current_A);
    }
    return NAN;
}

static void miss(struct bank_current *out, const char *what)
{
    snprintf(out->missing, sizeof out->missing, "%s", what);
}

static void miss_source(struct bank_current *out, const struct source *source)
{
    snprintf(out->missing, sizeof out->missing, "%s%s", source->name,
             source->silent ? " (it answers nothing)" : "");
}

/* The packs' own measurements, as they stand in. */
static void from_packs(const struct bank *bank, struct bank_current *out)
{
    out->current_A = bank->current_A;
    out->power_W = bank->power_W;
    out->from_victron = false;
}

static double battery_shunt_A(const struct config *config, const struct source sources[], size_t n,
                              struct bank_current *out)
{
    for (size_t i = 0; i < n; i++) {
        if (sources[i].kind != SOURCE_SHUNT_BATTERY)
            continue;
        if (isnan(source_current_A(config, &sources[i])))
            miss_source(out, &sources[i]);
        return source_current_A(config, &sources[i]);
    }
    miss(out, "a SmartShunt as battery monitor");
    return NAN;
}

static double sum_of_sources_A(const struct config *config, const struct source sources[], size_t n,
                               struct bank_current *out)
{
    size_t mppts = 0;
    size_t counted = 0;
    double sum_A = 0;

    for (size_t i = 0; i < n; i++) {
        double current_A = source_current_A(config, &sources[i]);

        if (sources[i].kind == SOURCE_MPPT && config->nr_of_mppts != CONFIG_NOT_SET &&
            mppts >= (size_t)config->nr_of_mppts)
            continue;
        if (isnan(current_A)) {
            miss_source(out, &sources[i]);
            return NAN;
        }
        mppts += sources[i].kind == SOURCE_MPPT;
        counted++;
        sum_A += current_A;
    }
    if (config->nr_of_mppts != CONFIG_NOT_SET && mppts < (size_t)config->nr_of_mppts) {
        snprintf(out->missing, sizeof out->missing, "%d of %d solar chargers",
                 config->nr_of_mppts - (int)mppts, config->nr_of_mppts);
        return NAN;
    }
    if (counted == 0) {
        miss(out, "any Multi, solar charger or shunt");
        return NAN;
    }
    return sum_A;
}

void bank_current(const struct config *config, const struct bank *bank, const struct source sources[],
                  size_t n, struct bank_current *out)
{
    out->missing[0] = '\0';
    from_packs(bank, out);
    if (!config->current_from_victron && !config->smartshunt_as_battery_current)
        return;
    out->current_A = config->smartshunt_as_battery_current ? battery_shunt_A(config, sources, n, out)
                                                           : sum_of_sources_A(config, sources, n, out);
    if (isnan(out->current_A)) {
        from_packs(bank, out);
        return;
    }
    out->power_W = bank->voltage_V * out->current_A;
    out->from_victron = true;
}

/* The source without which the sum comes nearest to packs_A, within allowed_A; NULL when there is none. */
static const struct source *find_twice(const struct config *config, const struct source sources[], size_t n,
                                       double packs_A, double allowed_A)
{
    const struct source *found = NULL;
    double sum_A = 0;

    for (size_t i = 0; i < n; i++)
        sum_A += source_current_A(config, &sources[i]);
    for (size_t i = 0; i < n && n > 1; i++) {
        double off_A = fabs(sum_A - source_current_A(config, &sources[i]) - packs_A);

        if (off_A > allowed_A || isnan(off_A))
            continue;
        allowed_A = off_A;
        found = &sources[i];
    }
    return found;
}

void sources_describe(const struct config *config, const struct source sources[], size_t n, double packs_A,
                      double allowed_A, char *text, size_t size)
{
    const struct source *twice = find_twice(config, sources, n, packs_A, allowed_A);
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s\"%s\" %.1f A", i > 0 ? ", " : "",
                                 sources[i].name, source_current_A(config, &sources[i]));
    if (twice && used < size)
        snprintf(text + used, size - used, "; without \"%s\" the two would agree", twice->name);
}
