/* Which service is what: a pack, a shunt, a Multi, an MPPT, or nothing for us; and what a pack is
 * called, so that no two packs of a bank share a name. */
#ifndef VENUS_DISCOVERY_H
#define VENUS_DISCOVERY_H

#include "venus/devices.h"

/* What the settings say of the device, by what it has shown so far: PACKS, IGNORE, PACK_SHUNT,
 * CURRENT_SOURCES. A name that falls silent does not change it. */
void discovery_look_up(const struct config *config, const struct inputs *inputs, struct device *device);

/* The role by what the device has shown so far and discovery_look_up found. A battery service is
 *   an aggregate (never an input): ProductId 0xBA44, or "Aggregat" in its product name;
 *   nothing for us: named by IGNORE;
 *   a shunt: SMARTSHUNT_NAME_KEYWORD, "SmartShunt" or "BMV" in its product name, or its instance in
 * PACK_SHUNT and neither limits nor cells; a pack: named by PACKS or, when that is empty, one of
 * BATTERY_PRODUCT_NAME in its product name or, when that is empty too, it shows a charge voltage limit or
 * cells. */
enum device_role discovery_role(const struct config *config, const struct inputs *inputs,
                                const struct device *device);

/* /DeviceInstance, NAN when unknown or the class has none. */
double discovery_instance(const struct device *device);

/* Gives every pack its name: the text at BATTERY_INSTANCE_NAME_PATH, else its serial, else its product
 * and instance; packs that claim the same are told apart by serial or, when that is the same or empty,
 * by instance, and at last by service. True when a name changed. */
bool discovery_name_packs(struct devices *devices);

/* True when two packs claim the name that this one claims. */
bool discovery_name_shared(const struct devices *devices, const struct device *device);

#endif
