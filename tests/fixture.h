/* Packs and devices for the unit tests, made the way the bus makes them. */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "core/config.h"
#include "settings.h"
#include "venus/devices.h"
#include "venus/inputs.h"

static inline void near_or_fail(double found, double expected, double tolerance, const char *file, int line)
{
    if (fabs(found - expected) <= tolerance)
        return;
    print_error("%.9g is not within %g of %.9g\n", found, tolerance, expected);
    _fail(file, line);
}

/* The two numbers are as near as that; NAN is near to nothing. */
#define assert_near(found, expected, tolerance) near_or_fail(found, expected, tolerance, __FILE__, __LINE__)

struct world {
    struct config config;
    struct inputs *inputs;
    struct devices devices;
};

static inline int world_setup(void **state)
{
    struct world *world = test_calloc(1, sizeof *world);

    settings_default(&world->config);
    world->inputs = inputs_new();
    devices_init(&world->devices, &world->config, world->inputs);
    *state = world;
    return 0;
}

static inline int world_teardown(void **state)
{
    struct world *world = *state;

    devices_clear(&world->devices);
    inputs_free(world->inputs);
    test_free(world);
    return 0;
}

static inline enum input_result tell(struct world *world, struct device *device, const char *path,
                                     struct value value)
{
    int index = paths_find(inputs_paths(world->inputs, device->device_class), path);

    assert_int_not_equal(index, PATHS_NONE);
    return devices_store(&world->devices, device, index, &value);
}

static inline enum input_result tell_number(struct world *world, struct device *device, const char *path,
                                            double number)
{
    return tell(world, device, path, value_number(number));
}

static inline enum input_result tell_text(struct world *world, struct device *device, const char *path,
                                          const char *text)
{
    return tell(world, device, path, value_text(text));
}

static inline struct device *arrive(struct world *world, const char *service)
{
    enum device_class device_class;

    assert_true(devices_class_of(&world->config, service, &device_class));
    return devices_add(&world->devices, service, device_class);
}

static inline bool settle(struct world *world, struct device *device)
{
    device->scanned = device->identity_changed = true;
    return devices_settle(&world->devices, device);
}

/* A complete pack of 280 Ah at 53.1 V, as dbus-serialbattery shows it. */
static inline struct device *arrive_pack(struct world *world, const char *service, double instance,
                                         const char *custom_name, const char *serial)
{
    struct device *device = arrive(world, service);

    tell_text(world, device, "/ProductName", "SerialBattery(Test)");
    tell_text(world, device, "/CustomName", custom_name);
    tell_text(world, device, "/Serial", serial);
    tell_number(world, device, "/DeviceInstance", instance);
    tell_number(world, device, "/Dc/0/Voltage", 53.1);
    tell_number(world, device, "/Dc/0/Current", 10);
    tell_number(world, device, "/Soc", 60);
    tell_number(world, device, "/InstalledCapacity", 280);
    tell_number(world, device, "/Info/MaxChargeVoltage", 55.2);
    tell_number(world, device, "/Info/MaxChargeCurrent", 100);
    tell_number(world, device, "/Info/MaxDischargeCurrent", 120);
    tell_number(world, device, "/System/MaxCellVoltage", 3.33);
    tell_number(world, device, "/System/MinCellVoltage", 3.31);
    settle(world, device);
    return device;
}

#endif
