#include "fuzz/outcome.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/targets.h"

void fuzz_broken(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

void outcome_pack(struct pack *pack)
{
    struct pack_reading *reading = &pack->reading;

    pack_clear(pack);
    snprintf(pack->name, sizeof pack->name, "Pack");
    for (int i = 0; i < 16; i++)
        reading->cell_V[i] = 3.32;
    reading->cells_in_series = 16;
    reading->cell_voltage_min_V = reading->cell_voltage_max_V = 3.32;
    reading->voltage_V = reading->cells_sum_V = 16 * 3.32;
    reading->current_A = 20;
    reading->soc_pct = 60;
    reading->capacity_installed_Ah = 280;
    reading->allow_charge = reading->allow_discharge = 1;
    reading->charge_voltage_max_V = 56;
    reading->charge_current_max_A = 100;
    reading->discharge_current_max_A = 120;
    pack_remember(pack);
}

static void check_limit(double value)
{
    REQUIRE(isnan(value) || (isfinite(value) && value >= 0));
}

void outcome_check(const struct limits *limits)
{
    check_limit(limits->charge_voltage.value);
    check_limit(limits->charge_current.value);
    check_limit(limits->discharge_current.value);
}

void outcome_lead(struct aggregator *aggregator, const struct config *config)
{
    struct pack pack;
    const struct pack *packs[] = {&pack};
    struct aggregator_input in = {.packs = packs, .pack_count = 1, .today = {true, 20700, 9}, .feed_in = 1};
    struct aggregate out;

    outcome_pack(&pack);
    for (int step = 0; step < 8; step++) {
        in.time_s = step * (double)AGGREGATOR_SETTLE_S;
        aggregator_step(aggregator, config, &in, &out);
        outcome_check(&out.limits);
    }
    REQUIRE(isfinite(out.limits.charge_current.value) && isfinite(out.limits.discharge_current.value));
    REQUIRE(isfinite(out.limits.charge_voltage.value) ||
            out.bank.packs == 0); /* BANK names others: not shown */
    REQUIRE(isnan(out.soc_pct) || (out.soc_pct >= 0 && out.soc_pct <= 100));
}

void outcome_check_line(const char *text)
{
    for (; *text; text++)
        REQUIRE((unsigned char)*text >= 0x20 && *text != 0x7f);
}
