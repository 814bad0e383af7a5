#include "venus/outputs.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meaning.h"
#include "version.h"

/* One path that follows a field of struct aggregate: a double for 'i' and 'd', a char array for 's'. */
struct output {
    struct item_def item;
    size_t offset;
};

#define OF(member) offsetof(struct aggregate, member)
#define REAL(path, decimals, unit, member, help)                                           \
    {                                                                                      \
        {path, 'd', decimals, ROUND_NEAREST, unit, NULL, MEANING(help), false}, OF(member) \
    }
#define LIMIT(path, decimals, unit, member, help)                                       \
    {                                                                                   \
        {path, 'd', decimals, ROUND_DOWN, unit, NULL, MEANING(help), false}, OF(member) \
    }
#define WHOLE(path, unit, member, help)                                             \
    {                                                                               \
        {path, 'i', 0, ROUND_NEAREST, unit, NULL, MEANING(help), false}, OF(member) \
    }
#define NAMED(path, names, member, help)                                             \
    {                                                                                \
        {path, 'i', 0, ROUND_NEAREST, NULL, names, MEANING(help), false}, OF(member) \
    }
#define WORDS(path, member, help)                                                   \
    {                                                                               \
        {path, 's', 0, ROUND_NEAREST, NULL, NULL, MEANING(help), false}, OF(member) \
    }

static const char *const yes_no[] = {"No", "Yes", NULL};
static const char *const feed_in_names[] = {"free", "holding", "returning", NULL}; /* enum feed_in_state */
const char *const outputs_alarm_levels[] = {"Ok", "Warning", "Alarm", NULL};

static const struct output outputs_table[] = {
    REAL("/Dc/0/Voltage", 2, "V", bank.voltage_V,
         "Voltage: mean of the packs that tell theirs. Shared with the chargers as sensed voltage"),
    REAL("/Dc/0/Current", 2, "A", current.current_A,
         "Current into the bank, + charges: sum of the packs, or as CURRENT_FROM_VICTRON has it"),
    REAL("/Dc/0/Power", 0, "W", current.power_W, "Power into the bank, + charges"),
    REAL("/Dc/0/Temperature", 1, "°C", bank.temperature_C, "Temperature: mean of the packs"),
    REAL("/Soc", 1, "%", soc_pct, "State of charge: mean of the packs by capacity, or our own with OWN_SOC"),
    REAL("/Info/SocUncertainty", 1, "%", soc_uncertainty_pct,
         "How sure our own SoC is: one standard deviation. Only with OWN_SOC and SOC_METHOD = learned"),
    REAL("/Soh", 1, "%", bank.soh_pct, "State of health: mean of the packs by capacity"),
    REAL("/InstalledCapacity", 1, "Ah", bank.capacity_installed_Ah,
         "Capacity when full: sum of the packs, those lost for less than LOST_GRACE included"),
    REAL("/Capacity", 1, "Ah", capacity_Ah, "Charge that is left"),
    REAL("/ConsumedAmphours", 1, "Ah", consumed_Ah,
         "Charge left less installed capacity: 0 is full, never above"),
    WHOLE("/TimeToGo", "s", time_to_go_s,
          "Until empty. Mean of the packs by capacity, unknown if one of them does not tell; with OWN_SOC "
          "known "
          "while discharging"),
    REAL("/Voltages/Sum", 2, "V", bank.cells_sum_V, "Sum of the cells of a pack: mean of the packs"),
    REAL("/Voltages/Diff", 3, "V", bank.cell_voltage_diff_V, "Highest less lowest cell of the whole bank"),
    REAL("/System/MaxCellVoltage", 3, "V", bank.cell_voltage_max_V.value, "Highest cell of the bank"),
    WORDS("/System/MaxVoltageCellId", bank.cell_voltage_max_V.id, "Which cell that is: <pack>: <its own id>"),
    REAL("/System/MinCellVoltage", 3, "V", bank.cell_voltage_min_V.value, "Lowest cell of the bank"),
    WORDS("/System/MinVoltageCellId", bank.cell_voltage_min_V.id, "Which cell that is"),
    REAL("/System/MaxCellTemperature", 1, "°C", bank.cell_temperature_max_C.value,
         "Hottest cell of the bank"),
    WORDS("/System/MaxTemperatureCellId", bank.cell_temperature_max_C.id, "Which cell, or sensor, that is"),
    REAL("/System/MinCellTemperature", 1, "°C", bank.cell_temperature_min_C.value,
         "Coldest cell of the bank"),
    WORDS("/System/MinTemperatureCellId", bank.cell_temperature_min_C.id, "Which cell, or sensor, that is"),
    WHOLE("/System/NrOfCellsPerBattery", "", bank.cells_in_series,
          "Cells in series in a pack; unknown when the packs differ"),
    WHOLE("/System/NrOfBatteries", "", packs_online, "Packs that are here"),
    WHOLE("/System/BatteriesParallel", "", packs_online, "Packs in parallel"),
    WHOLE("/System/NrOfModulesOnline", "", bank.modules_online, "Modules at work: sum of the packs"),
    WHOLE("/System/NrOfModulesOffline", "", bank.modules_offline,
          "Modules that are not: sum of the packs, and each pack that is lost"),
    WHOLE("/System/NrOfModulesBlockingCharge", "", bank.modules_blocking_charge, "Sum of the packs"),
    WHOLE("/System/NrOfModulesBlockingDischarge", "", bank.modules_blocking_discharge, "Sum of the packs"),
    LIMIT("/Info/MaxChargeVoltage", 2, "V", limits.charge_voltage.value,
          "CVL: the voltage that chargers hold. Valid as long as we are on the bus"),
    LIMIT("/Info/MaxChargeCurrent", 1, "A", limits.charge_current.value,
          "CCL: charging current for the bank"),
    LIMIT("/Info/MaxDischargeCurrent", 1, "A", limits.discharge_current.value,
          "DCL: discharging current for the bank"),
    REAL("/Info/BatteryLowVoltage", 2, "V", bank.low_voltage_V,
         "The highest that a pack says, else MIN_CELL_VOLTAGE of all cells under OWN_CHARGE_PARAMETERS; "
         "stands "
         "while no pack tells it. Venus hands it to the Multi and goes by DCL"),
    NAMED("/Info/ChargeRequest", yes_no, bank.charge_request,
          "1: a pack is so low that it asks to be charged. An ESS system then charges from the grid"),
    WORDS("/Info/ChargeMode", limits.charge_voltage.reason, "Why CVL is what it is"),
    WORDS("/Info/ChargeLimitation", limits.charge_current.reason, "Why CCL is what it is"),
    WORDS("/Info/DischargeLimitation", limits.discharge_current.reason, "Why DCL is what it is"),
    NAMED("/Io/AllowToCharge", yes_no, bank.allow_charge, "0: a pack blocks charging, and CCL is 0"),
    NAMED("/Io/AllowToDischarge", yes_no, bank.allow_discharge, "0: a pack blocks discharging, and DCL is 0"),
    NAMED("/Io/AllowToBalance", yes_no, bank.allow_balance,
          "0: a pack does not allow its cells to be balanced"),
    NAMED("/Info/FeedIn", feed_in_names, feed_in_state,
          "Our guard over DC feed-in: free, holding it off, returning it. Only with OWN_CHARGE_PARAMETERS"),
    WHOLE("/Balancing", "", bank.balancing, "1 or 2: a pack is balancing its cells"),
    REAL("/History/ChargeCycles", 1, "", bank.charge_cycles, "Mean of the packs"),
    REAL("/History/ChargedEnergy", 2, "kWh", bank.charged_energy_kWh, "Sum of the packs"),
    REAL("/History/DischargedEnergy", 2, "kWh", bank.discharged_energy_kWh, "Sum of the packs"),
    REAL("/History/TotalAhDrawn", 1, "Ah", bank.drawn_Ah, "Sum of the packs"),
    REAL("/History/DeepestDischarge", 1, "Ah", bank.history.deepest_discharge_Ah,
         "Sum of the deepest of each pack: the bank's own was not deeper"),
    REAL("/History/LastDischarge", 1, "Ah", bank.history.last_discharge_Ah, "Sum of the packs"),
    REAL("/History/AverageDischarge", 1, "Ah", bank.history.average_discharge_Ah, "Sum of the packs"),
    WHOLE("/History/FullDischarges", "", bank.history.full_discharges, "Of the pack that had most"),
    WHOLE("/History/TimeSinceLastFullCharge", "s", bank.history.since_full_s,
          "Of the pack for which it is longest"),
    REAL("/History/MinimumVoltage", 2, "V", bank.history.voltage_min_V, "Lowest of the packs"),
    REAL("/History/MaximumVoltage", 2, "V", bank.history.voltage_max_V, "Highest of the packs"),
    REAL("/History/MinimumCellVoltage", 3, "V", bank.history.cell_voltage_min_V, "Lowest of the packs"),
    REAL("/History/MaximumCellVoltage", 3, "V", bank.history.cell_voltage_max_V, "Highest of the packs"),
    REAL("/History/MinimumTemperature", 1, "°C", bank.history.temperature_min_C, "Lowest of the packs"),
    REAL("/History/MaximumTemperature", 1, "°C", bank.history.temperature_max_C, "Highest of the packs"),
    WHOLE("/History/LowVoltageAlarms", "", bank.history.low_voltage_alarms, "Sum of the packs"),
    WHOLE("/History/HighVoltageAlarms", "", bank.history.high_voltage_alarms, "Sum of the packs"),
    REAL("/History/Efficiency", 1, "%", history.efficiency_pct, "Energy out over in, from full to full"),
};

/* Paths that do not follow the aggregate. */
enum fixed {
    FIXED_PROCESS_NAME,
    FIXED_PROCESS_VERSION,
    FIXED_CONNECTION,
    FIXED_INSTANCE,
    FIXED_PRODUCT_ID,
    FIXED_PRODUCT_NAME,
    FIXED_CUSTOM_NAME,
    FIXED_FIRMWARE,
    FIXED_HARDWARE,
    FIXED_CONNECTED,
    FIXED_STATE,
    FIXED_ERROR,
    FIXED_SERIES,
    FIXED_HAS_TEMPERATURE,
    FIXED_COUNT
};

static const char *const states[] = {"Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Initializing",
                                     "Running",
                                     NULL};

static const struct {
    struct item_def item;
    const char *text; /* of an 's' */
    double number;
} fixed_table[FIXED_COUNT] = {
    [FIXED_PROCESS_NAME] = {{"/Mgmt/ProcessName", 's', 0, 0, NULL, NULL, "This program", false},
                            "battery-aggregator",
                            0},
    [FIXED_PROCESS_VERSION] = {{"/Mgmt/ProcessVersion", 's', 0, 0, NULL, NULL, "Its version", false},
                               VERSION,
                               0},
    [FIXED_CONNECTION] = {{"/Mgmt/Connection", 's', 0, 0, NULL, NULL, "What the bank is made of", false},
                          "D-Bus",
                          0},
    [FIXED_INSTANCE] =
        {{"/DeviceInstance", 'i', 0, 0, NULL, NULL,
          "The number by which Venus knows us: choose it as battery monitor and controlling BMS", false},
         NULL,
         OUTPUTS_INSTANCE_WISH},
    [FIXED_PRODUCT_ID] = {{"/ProductId", 'i', 0, 0, NULL, NULL, "0xBA44, as aggregates have it", false},
                          NULL,
                          OUTPUTS_PRODUCT_ID},
    [FIXED_PRODUCT_NAME] = {{"/ProductName", 's', 0, 0, NULL, NULL, "What this battery is", false},
                            OUTPUTS_PRODUCT_NAME,
                            0},
    [FIXED_CUSTOM_NAME] = {{"/CustomName", 's', 0, 0, NULL, NULL,
                            "The user's name for the bank, kept in the system's settings", true},
                           "",
                           0},
    [FIXED_FIRMWARE] = {{"/FirmwareVersion", 's', 0, 0, NULL, NULL, "Version of this program", false},
                        VERSION,
                        0},
    [FIXED_HARDWARE] = {{"/HardwareVersion", 's', 0, 0, NULL, NULL, "There is no hardware", false}, "-", 0},
    [FIXED_CONNECTED] = {{"/Connected", 'i', 0, 0, NULL, NULL,
                          "Always 1: when we have nothing to say we leave the bus", false},
                         NULL,
                         1},
    [FIXED_STATE] = {{"/State", 'i', 0, 0, NULL, states, "9 as long as we are on the bus", false}, NULL, 9},
    [FIXED_ERROR] =
        {{"/ErrorCode", 'i', 0, 0, NULL, NULL, "Always 0: what is wrong is told by /Alarms", false}, NULL, 0},
    [FIXED_SERIES] = {{"/System/BatteriesSeries", 'i', 0, 0, "", NULL, "Packs in series", false}, NULL, 1},
    [FIXED_HAS_TEMPERATURE] = {{"/Settings/HasTemperature", 'i', 0, 0, NULL, NULL,
                                "1: the history may show temperatures", false},
                               NULL,
                               1},
};

enum {
    OUTPUTS_COUNT = sizeof outputs_table / sizeof *outputs_table,
    OUTPUT_PATH_MAX = 128,
    ELEMENT_MAX = READING_TEXT_MAX + 16,                      /* a name, and what is added to it */
    ITEMS_MAX = OUTPUTS_PACKS_MAX * (READING_CELLS_MAX + 64), /* names that change leave theirs behind */
};

/* Where the cells of a pack are shown. */
struct cell_row {
    char name[READING_TEXT_MAX]; /* of the pack that stands in this place */
    int item[READING_CELLS_MAX]; /* the item + 1; 0 = not looked up yet */
};

struct outputs {
    struct items *items;
    int item[OUTPUTS_COUNT];
    int alarm[ALARM_COUNT];
    int fixed[FIXED_COUNT];
    struct cell_row *row; /* OUTPUTS_PACKS_MAX of them, from the first cell that is shown on */
    size_t rows;
};

static const char *alarm_help(enum alarm alarm)
{
    switch (alarm) {
    case ALARM_BMS_CABLE:
        return "Highest level of the packs, and ours: 1 a pack is lost or incomplete, 2 all are lost";
    case ALARM_INTERNAL_FAILURE:
        return "Highest level of the packs, and ours: 1 a pack says what cannot be where safety depends on "
               "it, "
               "our files cannot be saved, or DC feed-in cannot be written";
    default:
        return "Highest level that a pack knows";
    }
}

static bool add_all(struct outputs *outputs)
{
    struct items *items = outputs->items;
    bool good = true;

    for (int i = 0; i < FIXED_COUNT; i++) {
        outputs->fixed[i] = items_add(items, &fixed_table[i].item);
        good = good && outputs->fixed[i] >= 0;
        if (fixed_table[i].text)
            items_set_text(items, outputs->fixed[i], fixed_table[i].text);
        else
            items_set_number(items, outputs->fixed[i], fixed_table[i].number);
    }
    for (size_t i = 0; i < OUTPUTS_COUNT; i++) {
        outputs->item[i] = items_add(items, &outputs_table[i].item);
        good = good && outputs->item[i] >= 0;
    }
    for (int i = 0; i < ALARM_COUNT; i++) {
        char path[OUTPUT_PATH_MAX];
        struct item_def def = {
            path, 'i', 0, ROUND_NEAREST, NULL, outputs_alarm_levels, alarm_help((enum alarm)i), false};

        snprintf(path, sizeof path, "/Alarms/%s", alarm_name((enum alarm)i));
        outputs->alarm[i] = items_add(items, &def);
        good = good && outputs->alarm[i] >= 0;
    }
    return good;
}

struct outputs *outputs_new(struct items *items)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);

    if (!outputs)
        return NULL;
    outputs->items = items;
    if (!add_all(outputs)) {
        outputs_free(outputs);
        return NULL;
    }
    return outputs;
}

void outputs_free(struct outputs *outputs)
{
    if (outputs)
        free(outputs->row);
    free(outputs);
}

void outputs_set(struct outputs *outputs, const struct aggregate *aggregate)
{
    for (size_t i = 0; i < OUTPUTS_COUNT; i++) {
        const void *field = (const char *)aggregate + outputs_table[i].offset;

        if (outputs_table[i].item.type == 's')
            items_set_known_text(outputs->items, outputs->item[i], field);
        else
            items_set_number(outputs->items, outputs->item[i], *(const double *)field);
    }
    for (int i = 0; i < ALARM_COUNT; i++)
        items_set_number(outputs->items, outputs->alarm[i], aggregate->bank.alarm[i]);
}

void outputs_set_identity(struct outputs *outputs, const struct outputs_identity *identity)
{
    items_set_text(outputs->items, outputs->fixed[FIXED_CONNECTION], identity->connection);
    items_set_text(outputs->items, outputs->fixed[FIXED_CUSTOM_NAME], identity->custom_name);
    items_set_number(outputs->items, outputs->fixed[FIXED_INSTANCE], identity->device_instance);
}

/* A name as an element of an object path: what D-Bus does not allow there is dropped. "" when nothing
 * is left. */
static void path_element(const char *name, char *element, size_t size)
{
    size_t used = 0;

    for (; *name && used + 1 < size; name++) {
        unsigned char c = (unsigned char)*name;

        if (c < 0x80 && (isalnum(c) || c == '_'))
            element[used++] = *name;
    }
    element[used] = '\0';
}

/* Whether one of these, other than the one at index, has a name that leads to this element. */
static bool is_name_of_another(const struct pack *const packs[], size_t n, size_t index, const char *element)
{
    for (size_t i = 0; i < n; i++) {
        char other[READING_TEXT_MAX];

        path_element(packs[i]->name, other, sizeof other);
        if (i != index && strcmp(element, other) == 0)
            return true;
    }
    return false;
}

/* The pack's part of the path; numbered when it would be empty or that of a pack before it, in a way that no
 * name of another has already. */
static void cell_element(const struct pack *const packs[], size_t n, size_t index, char *element)
{
    size_t used;

    path_element(packs[index]->name, element, READING_TEXT_MAX);
    if (*element && !is_name_of_another(packs, index, index, element))
        return;
    used = strlen(element);
    used += (size_t)snprintf(element + used, ELEMENT_MAX - used, "_%zu", index + 1);
    while (used + 1 < ELEMENT_MAX && is_name_of_another(packs, n, index, element)) {
        element[used++] = '_';
        element[used] = '\0';
    }
}

/* The item of a cell, a new one if need be; -1 when there is no room. */
static int find_cell(struct outputs *outputs, const struct pack *const packs[], size_t index, size_t cell)
{
    char element[ELEMENT_MAX], path[OUTPUT_PATH_MAX];
    const struct item_def def = {
        path,
        'd',
        3,
        ROUND_NEAREST,
        "V",
        NULL,
        "A cell, with SEND_CELL_VOLTAGES; the name of the pack without what a path cannot have",
        false};
    int item;

    cell_element(packs, outputs->rows, index, element);
    snprintf(path, sizeof path, "/Voltages/%s_Cell%zu", element, cell + 1);
    item = items_find(outputs->items, path);
    if (item >= 0 || items_count(outputs->items) >= ITEMS_MAX)
        return item;
    return items_add(outputs->items, &def);
}

static bool set_row(struct outputs *outputs, const struct pack *const packs[], size_t index)
{
    struct cell_row *row = &outputs->row[index];
    const struct pack_reading *reading = &packs[index]->reading;
    size_t cells = pack_reading_cells_shown(reading);
    bool all = true;

    for (size_t cell = 0; cell < READING_CELLS_MAX; cell++) {
        int *item = &row->item[cell];

        if (cell < cells && *item == 0)
            *item = find_cell(outputs, packs, index, cell) + 1;
        if (*item > 0) /* also of the last ones when they fall silent */
            items_set_number(outputs->items, *item - 1, reading->cell_V[cell]);
        all = all && (cell >= cells || *item > 0);
    }
    return all;
}

static bool are_same_packs(const struct outputs *outputs, const struct pack *const packs[], size_t n)
{
    for (size_t i = 0; i < n && i < outputs->rows; i++) {
        if (strcmp(outputs->row[i].name, packs[i]->name) != 0)
            return false;
    }
    return n == outputs->rows;
}

/* Each row is looked up once for as long as the same packs stand in the same order: to look for a thousand
 * paths each time cost more than all the rest. */
bool outputs_set_cells(struct outputs *outputs, const struct pack *const packs[], size_t n)
{
    bool all = true;

    if (!outputs->row)
        outputs->row = calloc(OUTPUTS_PACKS_MAX, sizeof *outputs->row);
    if (!outputs->row)
        return false;
    if (!are_same_packs(outputs, packs, n)) {
        outputs_forget_cells(outputs);
        for (outputs->rows = 0; outputs->rows < n; outputs->rows++)
            memcpy(outputs->row[outputs->rows].name, packs[outputs->rows]->name, READING_TEXT_MAX);
    }
    for (size_t i = 0; i < n; i++)
        all = set_row(outputs, packs, i) && all;
    return all;
}

void outputs_forget_cells(struct outputs *outputs)
{
    for (size_t i = 0; i < items_count(outputs->items); i++) {
        char path[ITEMS_PATH_MAX];

        items_path(outputs->items, (int)i, path);
        if (strncmp(path, "/Voltages/", strlen("/Voltages/")) == 0 && strstr(path, "_Cell"))
            items_set_invalid(outputs->items, (int)i);
    }
    if (outputs->row)
        memset(outputs->row, 0, outputs->rows * sizeof *outputs->row);
    outputs->rows = 0;
}

int outputs_custom_name_item(const struct outputs *outputs)
{
    return outputs->fixed[FIXED_CUSTOM_NAME];
}
