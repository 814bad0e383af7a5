#include "core/dc_class.h"

#include <string.h>

static const struct {
    const char *name;
    double sign;
} classes[DC_CLASS_COUNT] = {
    [DC_ANY] = {"", 1},
    [DC_VEBUS] = {"vebus", 1},
    [DC_MULTI] = {"multi", 1},
    [DC_ACSYSTEM] = {"acsystem", 1},
    [DC_INVERTER] = {"inverter", 1},
    [DC_SOLARCHARGER] = {"solarcharger", 1},
    [DC_CHARGER] = {"charger", 1},
    [DC_ALTERNATOR] = {"alternator", 1},
    [DC_DCDC] = {"dcdc", -1},
    [DC_DCGENSET] = {"dcgenset", 1},
    [DC_FUELCELL] = {"fuelcell", 1},
    [DC_DCSOURCE] = {"dcsource", 1},
    [DC_DCLOAD] = {"dcload", -1},
    [DC_DCSYSTEM] = {"dcsystem", -1},
    [DC_MOTORDRIVE] = {"motordrive", -1},
    [DC_BATTERY] = {"battery", 1},
};

const char *dc_class_name(enum dc_class dc_class)
{
    return classes[dc_class].name;
}

enum dc_class dc_class_find(const char *name, size_t length)
{
    for (int i = DC_ANY + 1; i < DC_CLASS_COUNT; i++) {
        if (strlen(classes[i].name) == length && strncmp(classes[i].name, name, length) == 0)
            return (enum dc_class)i;
    }
    return DC_ANY;
}

double dc_class_sign(enum dc_class dc_class)
{
    return classes[dc_class].sign;
}
