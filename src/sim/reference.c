#include "sim/reference.h"

#include <math.h>

#include "core/curve.h"

void reference_init(struct reference *reference)
{
    *reference = (struct reference){.balanced_day = CALENDAR_NONE, .charge_Ah = NAN, .last_time_s = NAN};
}

static double target_of_day_V(struct reference *reference, const struct config *config,
                              const struct reference_input *in, struct reference_output *out)
{
    double cells = in->bank->cells_in_series;
    double normal_V = cells * config->charge_voltage_V[in->today.month - 1];
    double balancing_V = cells * config->balancing_voltage_V;
    long age_days = in->today.day - reference->balanced_day;
    bool due = reference->balanced_day == CALENDAR_NONE || age_days >= config->balancing_repetition_days;
    bool reached =
        in->bank->voltage_V >= balancing_V && in->bank->cell_voltage_diff_V < config->cell_diff_max_V;

    if (balancing_V <= normal_V) {
        reference->cycle = REFERENCE_IDLE;
        out->balanced = reached && reference->balanced_day != in->today.day;
    } else if (reference->cycle == REFERENCE_IDLE && due) {
        reference->cycle = REFERENCE_RAISING;
    } else if (reference->cycle == REFERENCE_RAISING && reached) {
        reference->cycle = REFERENCE_HOLDING;
    } else if (reference->cycle == REFERENCE_HOLDING && in->bank->voltage_V <= normal_V) {
        reference->cycle = REFERENCE_IDLE;
        out->balanced = true;
    }
    if (out->balanced)
        reference->balanced_day = in->today.day;
    return reference->cycle == REFERENCE_IDLE ? normal_V : balancing_V;
}

/* Each pack less the whole overshoot of its cells, every second anew: it hunts with their noise. */
static double dynamic_cvl_V(const struct config *config, const struct reference_input *in)
{
    double lowest_V = INFINITY;

    for (size_t i = 0; i < in->pack_count; i++) {
        const struct pack_reading *reading = &in->packs[i]->reading;
        double reduced_V = pack_cells_sum_V(reading);

        for (size_t k = 0; k < pack_reading_cells_shown(reading); k++)
            reduced_V -= fmax(reading->cell_V[k] - config->max_cell_voltage_V, 0);
        lowest_V = fmin(lowest_V, reduced_V);
    }
    return lowest_V;
}

static void limit_voltage(struct reference *reference, const struct config *config,
                          const struct reference_input *in, struct reference_output *out)
{
    bool was_dynamic = reference->dynamic;

    reference->dynamic = in->bank->cell_voltage_max_V.value >= config->max_cell_voltage_V;
    out->cvl_V = out->target_V;
    if (reference->dynamic)
        out->cvl_V = fmin(dynamic_cvl_V(config, in), out->target_V);
    if (reference->dynamic && !was_dynamic) {
        reference->owes_feed_in = reference->owes_feed_in || in->feed_in > 0;
        out->feed_in = 0;
    } else if (!reference->dynamic && was_dynamic && reference->owes_feed_in &&
               in->bank->cell_voltage_diff_V < config->cell_diff_max_V) {
        reference->owes_feed_in = false;
        out->feed_in = 1;
    }
}

static void limit_currents(struct reference *reference, const struct config *config,
                           const struct reference_input *in, struct reference_output *out)
{
    double highest_V = in->bank->cell_voltage_max_V.value;
    double lowest_V = in->bank->cell_voltage_min_V.value;

    if (lowest_V <= config->min_cell_voltage_V)
        reference->empty = true;
    else if (lowest_V > config->min_cell_voltage_V + config->min_cell_hysteresis_V)
        reference->empty = false;
    out->ccl_A = in->bank->allow_charge == 0
                     ? 0
                     : config->max_charge_current_A * curve_at(&config->charge_curve, highest_V);
    out->dcl_A = in->bank->allow_discharge == 0 || reference->empty
                     ? 0
                     : config->max_discharge_current_A * curve_at(&config->discharge_curve, lowest_V);
}

static void count_charge(struct reference *reference, const struct config *config,
                         const struct reference_input *in, struct reference_output *out)
{
    const struct bank *bank = in->bank;
    double capacity_Ah = bank->capacity_installed_Ah;
    double hours = (in->time_s - reference->last_time_s) / 3600;

    if (isnan(reference->charge_Ah))
        reference->charge_Ah = bank->soc_pct / 100 * capacity_Ah;
    else
        reference->charge_Ah +=
            bank->current_A * hours * (bank->current_A > 0 ? config->battery_efficiency : 1);
    reference->last_time_s = in->time_s;
    if (bank->voltage_V >= bank->cells_in_series * config->balancing_voltage_V)
        reference->charge_Ah = capacity_Ah;
    if (config->zero_soc && bank->cell_voltage_min_V.value <= config->min_cell_voltage_V)
        reference->charge_Ah = 0;
    reference->charge_Ah = fmin(fmax(reference->charge_Ah, 0), capacity_Ah);
    out->soc_pct = 100 * reference->charge_Ah / capacity_Ah;
}

void reference_step(struct reference *reference, const struct config *config,
                    const struct reference_input *in, struct reference_output *out)
{
    *out = (struct reference_output){.feed_in = NAN};
    out->target_V = target_of_day_V(reference, config, in, out);
    limit_voltage(reference, config, in, out);
    limit_currents(reference, config, in, out);
    count_charge(reference, config, in, out);
}
