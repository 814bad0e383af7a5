#include "core/reading.h"

#include <math.h>
#include <string.h>

/* Texts stand first in a reading, then numbers without gaps. */
static void clear(void *reading, size_t first_number, size_t size)
{
    const double unknown = NAN;

    memset(reading, 0, first_number);
    for (size_t at = first_number; at < size; at += sizeof unknown)
        memcpy((char *)reading + at, &unknown, sizeof unknown);
}

void pack_reading_clear(struct pack_reading *reading)
{
    clear(reading, offsetof(struct pack_reading, device_instance), sizeof *reading);
}

void source_reading_clear(struct source_reading *reading)
{
    clear(reading, offsetof(struct source_reading, device_instance), sizeof *reading);
}

size_t pack_reading_cells_shown(const struct pack_reading *reading)
{
    size_t cells = READING_CELLS_MAX;

    while (cells > 0 && isnan(reading->cell_V[cells - 1]))
        cells--;
    return cells;
}

int pack_reading_has_cells(const struct pack_reading *reading)
{
    return !isnan(reading->cell_voltage_max_V) || !isnan(reading->cell_voltage_min_V) ||
           pack_reading_cells_shown(reading) > 0;
}
