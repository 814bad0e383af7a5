/* What we show of the bank: one table from field of the aggregate to path, type, text, rounding and meaning.
 * A new path is one row here; a value for people and for Venus at once. */
#ifndef VENUS_OUTPUTS_H
#define VENUS_OUTPUTS_H

#include "bus/items.h"
#include "core/aggregator.h"

#define OUTPUTS_SERVICE "com.victronenergy.battery.aggregate"
#define OUTPUTS_PRODUCT_NAME "Battery Aggregator"
enum { OUTPUTS_PRODUCT_ID = 0xBA44, OUTPUTS_INSTANCE_WISH = 99 };

/* What does not come from the packs. */
struct outputs_identity {
    const char *connection; /* "4 packs on D-Bus" */
    const char *custom_name;
    int device_instance;
};

enum { OUTPUTS_PACKS_MAX = 64 };

extern const char *const outputs_alarm_levels[]; /* names of 0, 1, 2; NULL-terminated */

struct outputs;

/* Adds every path to items. NULL when out of memory. */
struct outputs *outputs_new(struct items *items);
void outputs_free(struct outputs *outputs);

/* Sets all values; what did not change is not marked. */
void outputs_set(struct outputs *outputs, const struct aggregate *aggregate);
void outputs_set_identity(struct outputs *outputs, const struct outputs_identity *identity);

/* SEND_CELL_VOLTAGES: /Voltages/<pack>_Cell<k> for every cell. A path that was shown stays, be it unknown;
 * false when there are so many that some cells have no place. */
bool outputs_set_cells(struct outputs *outputs, const struct pack *const packs[], size_t n);

/* What outputs_set_cells showed is unknown until it is called again, as it is when its packs change. */
void outputs_forget_cells(struct outputs *outputs);

/* The item of /CustomName, which users may write. */
int outputs_custom_name_item(const struct outputs *outputs);

#endif
