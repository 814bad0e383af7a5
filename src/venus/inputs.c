#include "venus/inputs.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reading.h"

/* One path. A number has its plausible range; a text has the size of its field. */
struct input {
    const char *path;
    size_t offset;
    double min, max;  /* of a number */
    size_t text_size; /* 0 = a number */
    bool identity;    /* says who the device is: a change may change its role or its name */
    enum input_kind kind;
    double
        flicker; /* changes up to this are of no interest before the next publication; of a text: 1 = all */
};

#define NUMBER(type, path, member, min, max)                                    \
    {                                                                           \
        path, offsetof(struct type, member), min, max, 0, false, INPUT_PLAIN, 0 \
    }
#define MEASURED(type, path, member, min, max, flicker)                               \
    {                                                                                 \
        path, offsetof(struct type, member), min, max, 0, false, INPUT_PLAIN, flicker \
    }
#define SAFETY(type, path, member, min, max, kind, flicker)                    \
    {                                                                          \
        path, offsetof(struct type, member), min, max, 0, false, kind, flicker \
    }
#define TEXT(type, path, member)                                                                           \
    {                                                                                                      \
        path, offsetof(struct type, member), 0, 0, sizeof((struct type *)0)->member, false, INPUT_PLAIN, 0 \
    }
/* Which cell is the highest changes as often as the noise of the cells. */
#define WHICH_TEXT(type, path, member)                                                                     \
    {                                                                                                      \
        path, offsetof(struct type, member), 0, 0, sizeof((struct type *)0)->member, false, INPUT_PLAIN, 1 \
    }
#define WHO_NUMBER(type, path, member, min, max)                               \
    {                                                                          \
        path, offsetof(struct type, member), min, max, 0, true, INPUT_PLAIN, 0 \
    }
#define WHO_TEXT(type, path, member)                                                                      \
    {                                                                                                     \
        path, offsetof(struct type, member), 0, 0, sizeof((struct type *)0)->member, true, INPUT_PLAIN, 0 \
    }

/* Ranges: wide enough for every chemistry and for banks of up to 1 kV and 5 kA, narrow enough to catch
 * the sentinel values that drivers let slip (0xFFFF / 10, 6553.5, -2147483648). */
static const struct input battery_inputs[] = {
    WHO_TEXT(pack_reading, "/ProductName", product_name),
    WHO_TEXT(pack_reading, "/CustomName", custom_name),
    WHO_TEXT(pack_reading, "/Serial", serial),
    TEXT(pack_reading, "/FirmwareVersion", firmware),
    WHO_NUMBER(pack_reading, "/DeviceInstance", device_instance, 0, 1e6),
    WHO_NUMBER(pack_reading, "/ProductId", product_id, 0, 4294967295.0),
    WHO_NUMBER(pack_reading, "/Connected", connected, 0, 1),
    SAFETY(pack_reading, "/Dc/0/Voltage", voltage_V, 0, 1000, INPUT_MEASURE, 0.05),
    SAFETY(pack_reading, "/Dc/0/Current", current_A, -5000, 5000, INPUT_MEASURE, 2),
    MEASURED(pack_reading, "/Dc/0/Power", power_W, -1e6, 1e6, 100),
    MEASURED(pack_reading, "/Dc/0/Temperature", temperature_C, -60, 150, 0.5),
    MEASURED(pack_reading, "/Voltages/Sum", cells_sum_V, 0, 1000, 0.05),
    SAFETY(pack_reading, "/System/MinCellVoltage", cell_voltage_min_V, 0, 5, INPUT_CELL, 0.005),
    SAFETY(pack_reading, "/System/MaxCellVoltage", cell_voltage_max_V, 0, 5, INPUT_CELL, 0.005),
    MEASURED(pack_reading, "/System/MinCellTemperature", cell_temperature_min_C, -60, 150, 0.5),
    MEASURED(pack_reading, "/System/MaxCellTemperature", cell_temperature_max_C, -60, 150, 0.5),
    WHICH_TEXT(pack_reading, "/System/MinVoltageCellId", cell_voltage_min_id),
    WHICH_TEXT(pack_reading, "/System/MaxVoltageCellId", cell_voltage_max_id),
    WHICH_TEXT(pack_reading, "/System/MinTemperatureCellId", cell_temperature_min_id),
    WHICH_TEXT(pack_reading, "/System/MaxTemperatureCellId", cell_temperature_max_id),
    NUMBER(pack_reading, "/System/NrOfCellsPerBattery", cells_in_series, 1, 512),
    NUMBER(pack_reading, "/Soc", soc_pct, 0, 100),
    NUMBER(pack_reading, "/Soh", soh_pct, 0, 100),
    NUMBER(pack_reading, "/InstalledCapacity", capacity_installed_Ah, 0.1, 1e5),
    MEASURED(pack_reading, "/Capacity", capacity_Ah, 0, 1e5, 0.5),
    MEASURED(pack_reading, "/ConsumedAmphours", consumed_Ah, -1e5, 1e5, 0.5),
    MEASURED(pack_reading, "/TimeToGo", time_to_go_s, 0, 1e9, 600),
    SAFETY(pack_reading, "/Info/MaxChargeVoltage", charge_voltage_max_V, 1, 1000, INPUT_LIMIT, 0),
    SAFETY(pack_reading, "/Info/MaxChargeCurrent", charge_current_max_A, 0, 5000, INPUT_LIMIT, 0),
    SAFETY(pack_reading, "/Info/MaxDischargeCurrent", discharge_current_max_A, 0, 5000, INPUT_LIMIT, 0),
    NUMBER(pack_reading, "/Info/BatteryLowVoltage", low_voltage_V, 0, 1000),
    NUMBER(pack_reading, "/Info/ChargeRequest", charge_request, 0, 1),
    TEXT(pack_reading, "/Info/ChargeMode", charge_mode),
    SAFETY(pack_reading, "/Io/AllowToCharge", allow_charge, 0, 1, INPUT_ALLOW, 0),
    SAFETY(pack_reading, "/Io/AllowToDischarge", allow_discharge, 0, 1, INPUT_ALLOW, 0),
    NUMBER(pack_reading, "/Io/AllowToBalance", allow_balance, 0, 1),
    NUMBER(pack_reading, "/Balancing", balancing, 0, 2),
    NUMBER(pack_reading, "/System/NrOfModulesOnline", modules_online, 0, 1000),
    NUMBER(pack_reading, "/System/NrOfModulesOffline", modules_offline, 0, 1000),
    NUMBER(pack_reading, "/System/NrOfModulesBlockingCharge", modules_blocking_charge, 0, 1000),
    NUMBER(pack_reading, "/System/NrOfModulesBlockingDischarge", modules_blocking_discharge, 0, 1000),
    NUMBER(pack_reading, "/History/ChargeCycles", charge_cycles, 0, 1e6),
    MEASURED(pack_reading, "/History/ChargedEnergy", charged_energy_kWh, 0, 1e9, 1),
    MEASURED(pack_reading, "/History/DischargedEnergy", discharged_energy_kWh, 0, 1e9, 1),
    MEASURED(pack_reading, "/History/TotalAhDrawn", drawn_Ah, -1e9, 1e9, 1),
    MEASURED(pack_reading, "/History/DeepestDischarge", history.deepest_discharge_Ah, -1e5, 1e5, 1),
    MEASURED(pack_reading, "/History/LastDischarge", history.last_discharge_Ah, -1e5, 1e5, 1),
    MEASURED(pack_reading, "/History/AverageDischarge", history.average_discharge_Ah, -1e5, 1e5, 1),
    NUMBER(pack_reading, "/History/FullDischarges", history.full_discharges, 0, 1e6),
    MEASURED(pack_reading, "/History/TimeSinceLastFullCharge", history.since_full_s, 0, 1e9, 600),
    MEASURED(pack_reading, "/History/MinimumVoltage", history.voltage_min_V, 0, 1000, 1),
    MEASURED(pack_reading, "/History/MaximumVoltage", history.voltage_max_V, 0, 1000, 1),
    MEASURED(pack_reading, "/History/MinimumCellVoltage", history.cell_voltage_min_V, 0, 5, 0.1),
    MEASURED(pack_reading, "/History/MaximumCellVoltage", history.cell_voltage_max_V, 0, 5, 0.1),
    MEASURED(pack_reading, "/History/MinimumTemperature", history.temperature_min_C, -60, 150, 1),
    MEASURED(pack_reading, "/History/MaximumTemperature", history.temperature_max_C, -60, 150, 1),
    NUMBER(pack_reading, "/History/LowVoltageAlarms", history.low_voltage_alarms, 0, 1e6),
    NUMBER(pack_reading, "/History/HighVoltageAlarms", history.high_voltage_alarms, 0, 1e6),
};

static const struct input source_inputs[] = {
    WHO_TEXT(source_reading, "/ProductName", product_name),
    WHO_TEXT(source_reading, "/CustomName", custom_name),
    WHO_TEXT(source_reading, "/Serial", serial),
    WHO_NUMBER(source_reading, "/DeviceInstance", device_instance, 0, 1e6),
    WHO_NUMBER(source_reading, "/Connected", connected, 0, 1),
    MEASURED(source_reading, "/Dc/0/Voltage", voltage_V, 0, 1000, 0.05),
    MEASURED(source_reading, "/Dc/0/Current", current_A, -5000, 5000, 2),
    NUMBER(source_reading, "/State", state, 0, 1e6),
    MEASURED(source_reading, "/Dc/In/I", input_current_A, -5000, 5000, 2),
    NUMBER(source_reading, "/StatusCode", status_code, 0, 1e6),
};

static const struct input system_inputs[] = {
    NUMBER(system_reading, "/SystemState/LowSoc", low_soc, 0, 1),
};

static const struct input settings_inputs[] = {
    NUMBER(settings_reading, SETTINGS_FEED_IN_PATH, overvoltage_feed_in, 0, 1),
    TEXT(settings_reading, "/Settings/System/TimeZone", time_zone),
    TEXT(settings_reading, SETTINGS_INSTANCE_PATH, class_and_instance),
    TEXT(settings_reading, SETTINGS_NAME_PATH, custom_name),
};

/* Both ways in which drivers name a single cell. */
static const struct {
    const char *before, *after; /* the number of the cell, from 1 on, stands between */
} cell_paths[] = {{"/Voltages/Cell", ""}, {"/Cell/", "/Volts"}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define CELL_FLICKER_V 0.005

enum {
    GENERATED_PATH_MAX = 48,
    GENERATED_COUNT = ALARM_COUNT + (int)COUNT(cell_paths) * READING_CELLS_MAX,
    CELL_VOLTAGE_LIMIT_V = 5,
    ALARM_LEVEL_MAX = 2,
};

struct table {
    struct input *rows;
    const char **names;
    size_t count;
    struct paths *paths;
};

struct inputs {
    struct table table[CLASS_COUNT];
    char generated[GENERATED_COUNT][GENERATED_PATH_MAX];
};

static bool table_init(struct table *table, const struct input *rows, size_t count, size_t extra)
{
    table->rows = calloc(count + extra, sizeof *table->rows);
    table->names = calloc(count + extra, sizeof *table->names);
    if (!table->rows || !table->names)
        return false;
    memcpy(table->rows, rows, count * sizeof *rows);
    table->count = count;
    return true;
}

static bool table_finish(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        table->names[i] = table->rows[i].path;
    table->paths = paths_new(table->names, table->count);
    return table->paths != NULL;
}

/* Adds the rows that are many of one kind: alarms and single cells. */
static void add_generated(struct inputs *inputs)
{
    struct table *table = &inputs->table[CLASS_BATTERY];
    size_t next = 0;

    for (int alarm = 0; alarm < ALARM_COUNT; alarm++) {
        char *path = inputs->generated[next++];

        snprintf(path, GENERATED_PATH_MAX, "/Alarms/%s", alarm_name((enum alarm)alarm));
        table->rows[table->count++] =
            (struct input){path,        offsetof(struct pack_reading, alarm) + (size_t)alarm * sizeof(double),
                           0,           ALARM_LEVEL_MAX,
                           0,           false,
                           INPUT_PLAIN, 0};
    }
    for (size_t form = 0; form < COUNT(cell_paths); form++) {
        for (int cell = 0; cell < READING_CELLS_MAX; cell++) {
            char *path = inputs->generated[next++];

            snprintf(path, GENERATED_PATH_MAX, "%s%d%s", cell_paths[form].before, cell + 1,
                     cell_paths[form].after);
            table->rows[table->count++] = (struct input){
                path,       offsetof(struct pack_reading, cell_V) + (size_t)cell * sizeof(double),
                0,          CELL_VOLTAGE_LIMIT_V,
                0,          false,
                INPUT_CELL, CELL_FLICKER_V};
        }
    }
}

struct inputs *inputs_new(void)
{
    struct inputs *inputs = calloc(1, sizeof *inputs);

    if (!inputs)
        return NULL;
    if (!table_init(&inputs->table[CLASS_BATTERY], battery_inputs, COUNT(battery_inputs), GENERATED_COUNT) ||
        !table_init(&inputs->table[CLASS_SOURCE], source_inputs, COUNT(source_inputs), 0) ||
        !table_init(&inputs->table[CLASS_SYSTEM], system_inputs, COUNT(system_inputs), 0) ||
        !table_init(&inputs->table[CLASS_SETTINGS], settings_inputs, COUNT(settings_inputs), 0))
        goto fail;
    add_generated(inputs);
    for (int i = 0; i < CLASS_COUNT; i++) {
        if (!table_finish(&inputs->table[i]))
            goto fail;
    }
    return inputs;

fail:
    inputs_free(inputs);
    return NULL;
}

void inputs_free(struct inputs *inputs)
{
    if (!inputs)
        return;
    for (int i = 0; i < CLASS_COUNT; i++) {
        paths_free(inputs->table[i].paths);
        free(inputs->table[i].rows);
        free(inputs->table[i].names);
    }
    free(inputs);
}

const struct paths *inputs_paths(const struct inputs *inputs, enum device_class device_class)
{
    return inputs->table[device_class].paths;
}

/* Some drivers show their instance as a text, "1". */
static double number_in_text(const char *text)
{
    char *end;
    double number = strtod(text, &end);

    return end != text && !*end && !text[strspn(text, "0123456789")] ? number : NAN;
}

static enum input_result store_number(const struct input *input, const struct value *value, void *reading)
{
    double *field = (double *)(void *)((char *)reading + input->offset);
    double number = NAN;
    enum input_result result = INPUT_SAME;

    if (value->kind == VALUE_NUMBER)
        number = value->number;
    else if (input->identity && value->kind == VALUE_TEXT)
        number = number_in_text(value->text);
    if (!(number >= input->min && number <= input->max))
        number = NAN;
    if (isnan(number) && value->kind != VALUE_INVALID)
        result = INPUT_IMPLAUSIBLE;

    if (isnan(number) ? isnan(*field) : number == *field)
        return result;
    *field = number;
    return result == INPUT_IMPLAUSIBLE ? result : INPUT_CHANGED;
}

/* Some drivers show a serial or a firmware version as a number. */
static enum input_result store_text(const struct input *input, const struct value *value, void *reading)
{
    char *field = (char *)reading + input->offset;
    char text[READING_TEXT_MAX] = "";
    enum input_result result = INPUT_SAME;

    if (value->kind == VALUE_TEXT)
        snprintf(text, sizeof text, "%.*s", (int)input->text_size - 1, value->text);
    else if (value->kind == VALUE_NUMBER && isfinite(value->number))
        snprintf(text, sizeof text, "%.15g", value->number);
    else if (value->kind != VALUE_INVALID)
        result = INPUT_IMPLAUSIBLE;

    if (strcmp(field, text) == 0)
        return result;
    memcpy(field, text, input->text_size < sizeof text ? input->text_size : sizeof text);
    return result == INPUT_IMPLAUSIBLE ? result : INPUT_CHANGED;
}

enum input_result inputs_store(const struct inputs *inputs, enum device_class device_class, int index,
                               const struct value *value, void *reading)
{
    const struct input *input = &inputs->table[device_class].rows[index];

    return input->text_size ? store_text(input, value, reading) : store_number(input, value, reading);
}

bool inputs_is_identity(const struct inputs *inputs, enum device_class device_class, int index)
{
    return inputs->table[device_class].rows[index].identity;
}

enum input_kind inputs_kind(const struct inputs *inputs, enum device_class device_class, int index)
{
    return inputs->table[device_class].rows[index].kind;
}

double inputs_flicker(const struct inputs *inputs, enum device_class device_class, int index)
{
    return inputs->table[device_class].rows[index].flicker;
}

double inputs_number(const struct inputs *inputs, enum device_class device_class, int index,
                     const void *reading)
{
    const struct input *input = &inputs->table[device_class].rows[index];
    double number;

    if (input->text_size)
        return NAN;
    memcpy(&number, (const char *)reading + input->offset, sizeof number);
    return number;
}

const char *inputs_range(const struct inputs *inputs, enum device_class device_class, int index, char *buf,
                         size_t size)
{
    const struct input *input = &inputs->table[device_class].rows[index];

    if (input->text_size)
        snprintf(buf, size, "a text");
    else
        snprintf(buf, size, "%g to %g", input->min, input->max);
    return buf;
}

const char *inputs_text(const struct inputs *inputs, enum device_class device_class, const char *path,
                        const void *reading)
{
    const struct table *table = &inputs->table[device_class];
    int index = paths_find(table->paths, path);

    if (index == PATHS_NONE || !table->rows[index].text_size)
        return NULL;
    return (const char *)reading + table->rows[index].offset;
}
