#include "sim/sensors.h"

#include <math.h>
#include <stdio.h>

#include "sim/chance.h"

void sensors_init(struct sensors *sensors, const struct plant *plant)
{
    *sensors = (struct sensors){
        .cell_noise_V = 0.001, .current_noise_A = 0.1, .random = chance_seed(plant->setup.seed, 5)};
    for (size_t i = 0; i < PLANT_PACKS_MAX; i++) {
        struct pack *pack = &sensors->pack[i];

        pack_clear(pack);
        snprintf(pack->name, sizeof pack->name, "House %zu", i + 1);
        pack->reading.cells_in_series = (double)plant->setup.cells;
        pack->reading.capacity_installed_Ah = plant->setup.capacity_Ah;
        sensors->list[i] = pack;
    }
}

struct bms_limits sensors_bms_limits(const struct plant_setup *setup, const struct plant_pack *pack,
                                     double highest_V)
{
    double most_A = 0.5 * setup->capacity_Ah;
    double share = fmin(fmax((3.55 - highest_V) / 0.15, 0.02), 1);

    return (struct bms_limits){.cvl_V = 3.45 * (double)setup->cells,
                               .ccl_A = pack->blocks_charge ? 0 : most_A * share,
                               .dcl_A = pack->blocks_discharge ? 0 : most_A};
}

static void read_cells(struct sensors *sensors, const struct plant *plant, const struct plant_pack *pack,
                       struct pack_reading *reading)
{
    double highest_V = -INFINITY, lowest_V = INFINITY, sum_V = 0;

    for (size_t i = 0; i < plant->setup.cells; i++) {
        double noise_V = sensors->cell_noise_V * chance_flicker(&sensors->random);
        double shown_V = floor((pack->cell[i].voltage_V + noise_V) * 1000 + 0.5) / 1000;

        reading->cell_V[i] = shown_V;
        sum_V += shown_V;
        highest_V = shown_V > highest_V ? shown_V : highest_V;
        lowest_V = shown_V < lowest_V ? shown_V : lowest_V;
    }
    reading->cells_sum_V = sum_V;
    reading->cell_voltage_max_V = highest_V;
    reading->cell_voltage_min_V = lowest_V;
}

static void read_pack(struct sensors *sensors, const struct plant *plant, const struct plant_pack *pack,
                      struct pack_reading *reading)
{
    double current_A = pack->current_A * (1 + sensors->gain_error) + sensors->offset_A +
                       sensors->current_noise_A * chance_flicker(&sensors->random);
    struct bms_limits limits;

    read_cells(sensors, plant, pack, reading);
    limits = sensors_bms_limits(&plant->setup, pack, reading->cell_voltage_max_V);
    reading->voltage_V = floor(pack->voltage_V * 100 + chance_flicker(&sensors->random) + 0.5) / 100;
    reading->current_A = floor(current_A * 10 + 0.5) / 10;
    reading->power_W = reading->voltage_V * reading->current_A;
    reading->temperature_C = pack->temperature_C;
    reading->cell_temperature_min_C = pack->temperature_C - 1;
    reading->cell_temperature_max_C = pack->temperature_C + 1;
    reading->soc_pct = 100 * fmin(fmax(plant_pack_soc(pack, plant->setup.cells), 0), 1);
    reading->capacity_Ah = reading->soc_pct / 100 * plant->setup.capacity_Ah;
    reading->allow_charge = !pack->blocks_charge;
    reading->allow_discharge = !pack->blocks_discharge;
    reading->charge_voltage_max_V = limits.cvl_V;
    reading->charge_current_max_A = limits.ccl_A;
    reading->discharge_current_max_A = limits.dcl_A;
}

void sensors_read(struct sensors *sensors, const struct plant *plant)
{
    for (size_t i = 0; i < plant->setup.packs; i++) {
        read_pack(sensors, plant, &plant->pack[i], &sensors->pack[i].reading);
        pack_remember(&sensors->pack[i]);
    }
}
