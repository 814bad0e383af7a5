#include "sim/fleet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "bus/monitor.h"
#include "core/alarms.h"
#include "sim/chance.h"
#include "sim/fleet_service.h"
#include "sim/sensors.h"

#define AGGREGATE "com.victronenergy.battery.aggregate"
#define FEED_IN_PATH "/Settings/CGwacs/OvervoltageFeedIn"
#define SETTINGS_INTERFACE "com.victronenergy.Settings"

enum {
    SERVICES_MAX = PLANT_PACKS_MAX + PLANT_MPPTS_MAX + 16,
    TICK_MS = 50,
    STEP_LONGEST_S = 5,
    LINE_BYTES_MAX = 1024,
    PATH_BYTES_MAX = 160,
    CHARGERS_TIME_OUT_S = 60,
};

enum kind { KIND_PACK, KIND_MULTI, KIND_MPPT, KIND_SHUNT, KIND_SETTINGS, KIND_SYSTEM };

struct device {
    struct fleet_service service;
    enum kind kind;
    size_t index;
    double due_s; /* when it publishes next */
};

struct fleet {
    const struct fleet_options *options;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t sigterm, sigint;
    uv_pipe_t input;
    char line[LINE_BYTES_MAX];
    size_t line_used;

    struct plant plant;
    struct plant_limits limits;
    struct device device[SERVICES_MAX];
    size_t count, arrived;
    uint64_t random;
    double last_s;
    bool paused, stopping;
    bool unreached; /* there is no bus, and that is said */

    /* What the system service knows of the aggregate: as DVCC, it hands the limits on. */
    struct bus *reader_bus;
    struct monitor *reader;
    struct paths *limit_paths;
    double limit[3]; /* CVL, CCL, DCL */
    bool led;        /* the aggregate is there */
    double left_s;   /* when it went */
};

static double now_s(void)
{
    return (double)uv_hrtime() / 1e9;
}

/* ---- what the services show ---- */

/* Items of one kind of service that do not move. */
struct fixed_item {
    const char *path;
    char type;
    int decimals;
    const char *unit;
    double number;
    const char *text;
};

static const struct fixed_item pack_items[] = {
    {"/Mgmt/ProcessName", 's', 0, "", 0, "battery-fleet"},
    {"/Mgmt/ProcessVersion", 's', 0, "", 0, "1"},
    {"/ProductId", 'i', 0, "", 0xBA77, NULL},
    {"/ProductName", 's', 0, "", 0, "SerialBattery(Simulated)"},
    {"/FirmwareVersion", 's', 0, "", 0, "1.0"},
    {"/Connected", 'i', 0, "", 1, NULL},
    {"/Dc/0/Voltage", 'd', 2, "V", 0, NULL},
    {"/Dc/0/Current", 'd', 1, "A", 0, NULL},
    {"/Dc/0/Power", 'd', 0, "W", 0, NULL},
    {"/Dc/0/Temperature", 'd', 1, "C", 0, NULL},
    {"/Soc", 'd', 1, "%", 0, NULL},
    {"/Soh", 'd', 0, "%", 100, NULL},
    {"/InstalledCapacity", 'd', 0, "Ah", 0, NULL},
    {"/Capacity", 'd', 1, "Ah", 0, NULL},
    {"/ConsumedAmphours", 'd', 1, "Ah", 0, NULL},
    {"/Voltages/Sum", 'd', 3, "V", 0, NULL},
    {"/Voltages/Diff", 'd', 3, "V", 0, NULL},
    {"/System/MinCellVoltage", 'd', 3, "V", 0, NULL},
    {"/System/MaxCellVoltage", 'd', 3, "V", 0, NULL},
    {"/System/MinVoltageCellId", 's', 0, "", 0, ""},
    {"/System/MaxVoltageCellId", 's', 0, "", 0, ""},
    {"/System/MinCellTemperature", 'd', 1, "C", 0, NULL},
    {"/System/MaxCellTemperature", 'd', 1, "C", 0, NULL},
    {"/System/MinTemperatureCellId", 's', 0, "", 0, "T1"},
    {"/System/MaxTemperatureCellId", 's', 0, "", 0, "T2"},
    {"/System/NrOfModulesOnline", 'i', 0, "", 1, NULL},
    {"/System/NrOfModulesOffline", 'i', 0, "", 0, NULL},
    {"/System/NrOfModulesBlockingCharge", 'i', 0, "", 0, NULL},
    {"/System/NrOfModulesBlockingDischarge", 'i', 0, "", 0, NULL},
    {"/Info/MaxChargeVoltage", 'd', 2, "V", 0, NULL},
    {"/Info/MaxChargeCurrent", 'd', 1, "A", 0, NULL},
    {"/Info/MaxDischargeCurrent", 'd', 1, "A", 0, NULL},
    {"/Info/BatteryLowVoltage", 'd', 1, "V", 0, NULL},
    {"/Info/ChargeMode", 's', 0, "", 0, "Bulk"},
    {"/Io/AllowToCharge", 'i', 0, "", 1, NULL},
    {"/Io/AllowToDischarge", 'i', 0, "", 1, NULL},
    {"/Io/AllowToBalance", 'i', 0, "", 1, NULL},
    {"/Balancing", 'i', 0, "", 0, NULL},
    {"/History/ChargeCycles", 'i', 0, "", 12, NULL},
    {"/History/TotalAhDrawn", 'd', 1, "Ah", 0, NULL},
};

static const struct fixed_item multi_items[] = {
    {"/ProductName", 's', 0, "", 0, "MultiPlus-II 48/5000/70-50"},
    {"/Connected", 'i', 0, "", 1, NULL},
    {"/Dc/0/Voltage", 'd', 2, "V", 0, NULL},
    {"/Dc/0/Current", 'd', 1, "A", 0, NULL},
    {"/Mode", 'i', 0, "", 3, NULL},
    {"/State", 'i', 0, "", 9, NULL},
};

static const struct fixed_item mppt_items[] = {
    {"/ProductName", 's', 0, "", 0, "SmartSolar MPPT 250/100"},
    {"/Connected", 'i', 0, "", 1, NULL},
    {"/Dc/0/Voltage", 'd', 2, "V", 0, NULL},
    {"/Dc/0/Current", 'd', 1, "A", 0, NULL},
    {"/State", 'i', 0, "", 3, NULL},
};

static const struct fixed_item shunt_items[] = {
    {"/ProductName", 's', 0, "", 0, "SmartShunt 500A/50mV"},
    {"/ProductId", 'i', 0, "", 0xA389, NULL},
    {"/Connected", 'i', 0, "", 1, NULL},
    {"/Dc/0/Voltage", 'd', 2, "V", 0, NULL},
    {"/Dc/0/Current", 'd', 2, "A", 0, NULL},
    {"/Dc/0/Power", 'd', 0, "W", 0, NULL},
    {"/Soc", 'd', 1, "%", 0, NULL},
};

static const struct fixed_item settings_items[] = {
    {FEED_IN_PATH, 'i', 0, "", 1, NULL},
    {"/Settings/CGwacs/PreventFeedback", 'i', 0, "", 0, NULL},
    {"/Settings/SystemSetup/MaxChargeCurrent", 'd', 1, "A", -1, NULL},
    {"/Settings/SystemSetup/BatteryService", 's', 0, "", 0, "default"},
    {"/Settings/SystemSetup/BmsInstance", 'i', 0, "", -1, NULL},
};

static const struct fixed_item system_items[] = {
    {"/SystemState/LowSoc", 'i', 0, "", 0, NULL},
    {"/Ac/ActiveIn/Source", 'i', 0, "", 1, NULL},
    {"/Dc/Pv/Current", 'd', 1, "A", 0, NULL},
    {"/Dc/Pv/Power", 'd', 0, "W", 0, NULL},
};

static void add_items(struct fleet_service *service, const struct fixed_item *items, size_t count,
                      bool writable)
{
    for (size_t i = 0; i < count; i++) {
        fleet_service_add(service, items[i].path, items[i].type, items[i].decimals, items[i].unit, writable);
        if (items[i].type == 's')
            fleet_service_text(service, items[i].path, items[i].text);
        else
            fleet_service_number(service, items[i].path, items[i].number);
    }
}

#define ADD_ITEMS(service, table, writable) \
    add_items(service, table, sizeof(table) / sizeof *(table), writable)

static void add_identity(struct fleet_service *service, int instance, const char *custom_name,
                         const char *serial)
{
    fleet_service_add(service, "/DeviceInstance", 'i', 0, "", false);
    fleet_service_add(service, "/CustomName", 's', 0, "", false);
    fleet_service_add(service, "/Serial", 's', 0, "", false);
    fleet_service_add(service, "/Mgmt/Connection", 's', 0, "", false);
    fleet_service_number(service, "/DeviceInstance", instance);
    fleet_service_text(service, "/CustomName", custom_name);
    fleet_service_text(service, "/Serial", serial);
    fleet_service_text(service, "/Mgmt/Connection", "simulated");
}

static void add_pack_items(struct fleet *fleet, struct device *device)
{
    struct fleet_service *service = &device->service;
    char name[32];
    char serial[32];
    char path[PATH_BYTES_MAX];

    snprintf(name, sizeof name, "House %zu", device->index + 1);
    snprintf(serial, sizeof serial, "SIM%05zu", device->index + 1);
    add_identity(service, (int)device->index + 1, name, serial);
    ADD_ITEMS(service, pack_items, false);
    fleet_service_add(service, "/System/NrOfCellsPerBattery", 'i', 0, "", false);
    fleet_service_number(service, "/System/NrOfCellsPerBattery", (double)fleet->plant.setup.cells);
    fleet_service_number(service, "/InstalledCapacity", fleet->plant.setup.capacity_Ah);
    for (size_t i = 0; i < fleet->plant.setup.cells; i++) {
        snprintf(path, sizeof path, "/Voltages/Cell%zu", i + 1);
        fleet_service_add(service, path, 'd', 3, "V", false);
    }
    for (int i = 0; i < ALARM_COUNT; i++) {
        snprintf(path, sizeof path, "/Alarms/%s", alarm_name((enum alarm)i));
        fleet_service_add(service, path, 'i', 0, "", false);
        fleet_service_number(service, path, 0);
    }
}

/* ---- readings: the plant, with the noise of real sensors ---- */

static double flicker(struct fleet *fleet, double deviation)
{
    return fleet->options->quiet ? 0 : deviation * chance_flicker(&fleet->random);
}

static double show_cells(struct fleet *fleet, struct device *device, const struct plant_pack *pack)
{
    struct fleet_service *service = &device->service;
    size_t lowest = 0, highest = 0;
    double shown_V[PLANT_CELLS_MAX] = {0};
    double sum_V = 0;
    char path[PATH_BYTES_MAX];
    char id[16];

    for (size_t i = 0; i < fleet->plant.setup.cells; i++) {
        shown_V[i] = round((pack->cell[i].voltage_V + flicker(fleet, 0.001)) * 1000) / 1000;
        sum_V += shown_V[i];
        lowest = shown_V[i] < shown_V[lowest] ? i : lowest;
        highest = shown_V[i] > shown_V[highest] ? i : highest;
        snprintf(path, sizeof path, "/Voltages/Cell%zu", i + 1);
        fleet_service_number(service, path, shown_V[i]);
    }
    fleet_service_number(service, "/System/MinCellVoltage", shown_V[lowest]);
    fleet_service_number(service, "/System/MaxCellVoltage", shown_V[highest]);
    snprintf(id, sizeof id, "C%zu", lowest + 1);
    fleet_service_text(service, "/System/MinVoltageCellId", id);
    snprintf(id, sizeof id, "C%zu", highest + 1);
    fleet_service_text(service, "/System/MaxVoltageCellId", id);
    fleet_service_number(service, "/Voltages/Sum", sum_V);
    fleet_service_number(service, "/Voltages/Diff", shown_V[highest] - shown_V[lowest]);
    return shown_V[highest];
}

/* What its BMS allows: less towards the ends, nothing when it blocks. */
static void show_limits(struct fleet *fleet, struct device *device, const struct plant_pack *pack,
                        double highest_V)
{
    struct fleet_service *service = &device->service;
    struct bms_limits limits = sensors_bms_limits(&fleet->plant.setup, pack, highest_V);

    fleet_service_number(service, "/Info/MaxChargeVoltage", limits.cvl_V);
    fleet_service_number(service, "/Info/MaxChargeCurrent", limits.ccl_A);
    fleet_service_number(service, "/Info/MaxDischargeCurrent", limits.dcl_A);
    fleet_service_number(service, "/Info/BatteryLowVoltage", 2.8 * (double)fleet->plant.setup.cells);
    fleet_service_text(service, "/Info/ChargeMode", highest_V > 3.44 ? "Absorption" : "Bulk");
    fleet_service_number(service, "/Io/AllowToCharge", !pack->blocks_charge);
    fleet_service_number(service, "/Io/AllowToDischarge", !pack->blocks_discharge);
    fleet_service_number(service, "/System/NrOfModulesBlockingCharge", pack->blocks_charge);
    fleet_service_number(service, "/System/NrOfModulesBlockingDischarge", pack->blocks_discharge);
    fleet_service_number(service, "/Alarms/HighCellVoltage", pack->blocks_charge ? 2 : 0);
    fleet_service_number(service, "/Alarms/LowCellVoltage", pack->blocks_discharge ? 2 : 0);
}

static void show_pack(struct fleet *fleet, struct device *device)
{
    struct fleet_service *service = &device->service;
    const struct plant_pack *pack = &fleet->plant.pack[device->index];
    double capacity_Ah = fleet->plant.setup.capacity_Ah;
    double soc = fmin(fmax(plant_pack_soc(pack, fleet->plant.setup.cells), 0), 1);
    double current_A = round((pack->current_A + flicker(fleet, 0.1)) * 10) / 10;

    fleet_service_number(service, "/Dc/0/Voltage", pack->voltage_V + flicker(fleet, 0.01));
    fleet_service_number(service, "/Dc/0/Current", current_A);
    fleet_service_number(service, "/Dc/0/Power", pack->voltage_V * current_A);
    fleet_service_number(service, "/Dc/0/Temperature", pack->temperature_C);
    fleet_service_number(service, "/System/MinCellTemperature", pack->temperature_C - 1);
    fleet_service_number(service, "/System/MaxCellTemperature", pack->temperature_C + 1);
    fleet_service_number(service, "/Soc", 100 * soc);
    fleet_service_number(service, "/Capacity", soc * capacity_Ah);
    fleet_service_number(service, "/ConsumedAmphours", (soc - 1) * capacity_Ah);
    fleet_service_number(service, "/History/TotalAhDrawn", -pack->discharged_Ah);
    show_limits(fleet, device, pack, show_cells(fleet, device, pack));
}

static double mppts_A(const struct fleet *fleet)
{
    double sum_A = 0;

    for (size_t i = 0; i < fleet->plant.setup.mppts; i++)
        sum_A += fleet->plant.mppt_A[i];
    return sum_A;
}

static void show(struct fleet *fleet, struct device *device)
{
    struct fleet_service *service = &device->service;
    double voltage_V = fleet->plant.voltage_V;
    double bank_A = mppts_A(fleet) + fleet->plant.multi_A;

    switch (device->kind) {
    case KIND_PACK:
        show_pack(fleet, device);
        break;
    case KIND_MULTI:
        fleet_service_number(service, "/Dc/0/Voltage", voltage_V);
        fleet_service_number(service, "/Dc/0/Current", fleet->plant.multi_A);
        break;
    case KIND_MPPT:
        fleet_service_number(service, "/Dc/0/Voltage", voltage_V);
        fleet_service_number(service, "/Dc/0/Current", fleet->plant.mppt_A[device->index]);
        break;
    case KIND_SHUNT:
        fleet_service_number(service, "/Dc/0/Voltage", voltage_V);
        fleet_service_number(service, "/Dc/0/Current", bank_A);
        fleet_service_number(service, "/Dc/0/Power", bank_A * voltage_V);
        break;
    case KIND_SYSTEM:
        fleet_service_number(service, "/Dc/Pv/Current", mppts_A(fleet));
        fleet_service_number(service, "/Dc/Pv/Power", mppts_A(fleet) * voltage_V);
        break;
    case KIND_SETTINGS:
        break;
    }
}

/* ---- the settings service ---- */

static int on_setting_written(void *ctx, struct fleet_service *service, int item, const struct value *value)
{
    (void)ctx;
    if (value->kind == VALUE_TEXT)
        items_set_text(service->items, item, value->text);
    else
        items_set_number(service->items, item, value->number);
    fleet_service_publish(service);
    return 0;
}

/* "battery:99" -> the next instance of that class that no other setting has. */
static void make_instance_unique(struct fleet_service *service, const char *path, const char *wish,
                                 char *unique)
{
    const char *colon = strchr(wish, ':');
    int own = items_find(service->items, path);
    long instance = colon ? strtol(colon + 1, NULL, 10) : 0;
    bool taken = true;

    for (; taken; instance++) {
        snprintf(unique, ITEMS_TEXT_MAX, "%.*s:%ld", colon ? (int)(colon - wish) : 0, wish, instance);
        taken = false;
        for (int i = 0; i < (int)items_count(service->items) && !taken; i++) {
            struct value value = items_value(service->items, i);

            taken = value.kind == VALUE_TEXT && strcmp(value.text, unique) == 0 && i != own;
        }
    }
}

/* One setting of AddSettings: an existing value is kept. Returns its item, -1 when it cannot be. */
static int add_setting(struct fleet_service *service, const char *path, const struct value *preset)
{
    int item = items_find(service->items, path);
    char unique[ITEMS_TEXT_MAX];

    if (item >= 0)
        return item;
    item = fleet_service_add(service, path, preset->kind == VALUE_TEXT ? 's' : 'd', 3, "", true);
    if (item < 0)
        return -1;
    if (preset->kind != VALUE_TEXT) {
        items_set_number(service->items, item, preset->number);
    } else if (strstr(path, "/ClassAndVrmInstance")) {
        make_instance_unique(service, path, preset->text, unique);
        items_set_text(service->items, item, unique);
    } else {
        items_set_text(service->items, item, preset->text);
    }
    return item;
}

static void append_pair(DBusMessageIter *dict, const char *key, char type, struct value value)
{
    DBusMessageIter entry;

    dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry);
    dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key);
    value_append(&entry, type, &value);
    dbus_message_iter_close_container(dict, &entry);
}

/* a{sv} with path and default; the answer is a{sv} with path, error and value. */
static void answer_setting(struct fleet_service *service, DBusMessageIter *definition,
                           DBusMessageIter *answers)
{
    struct value path = value_invalid();
    struct value preset = value_invalid();
    DBusMessageIter answer;
    int item = -1;

    for (; dbus_message_iter_get_arg_type(definition) == DBUS_TYPE_DICT_ENTRY;
         dbus_message_iter_next(definition)) {
        DBusMessageIter entry;
        const char *key;

        dbus_message_iter_recurse(definition, &entry);
        dbus_message_iter_get_basic(&entry, &key);
        dbus_message_iter_next(&entry);
        if (strcmp(key, "path") == 0)
            value_read(&entry, &path);
        else if (strcmp(key, "default") == 0)
            value_read(&entry, &preset);
    }
    if (path.kind == VALUE_TEXT && preset.kind != VALUE_INVALID)
        item = add_setting(service, path.text, &preset);
    dbus_message_iter_open_container(answers, DBUS_TYPE_ARRAY, "{sv}", &answer);
    if (path.kind == VALUE_TEXT)
        append_pair(&answer, "path", 's', path);
    append_pair(&answer, "error", 'i', value_number(item < 0 ? -1 : 0));
    if (item >= 0) {
        struct value value = items_value(service->items, item);

        append_pair(&answer, "value", value.kind == VALUE_TEXT ? 's' : 'd', value);
    }
    dbus_message_iter_close_container(answers, &answer);
}

static bool on_settings_message(void *ctx, struct fleet_service *service, DBusMessage *message)
{
    DBusMessage *reply;
    DBusMessageIter args, definitions, out, answers;

    (void)ctx;
    if (!dbus_message_is_method_call(message, SETTINGS_INTERFACE, "AddSettings") ||
        !dbus_message_has_signature(message, "aa{sv}"))
        return false;
    reply = dbus_message_new_method_return(message);
    if (!reply)
        return true;
    dbus_message_iter_init(message, &args);
    dbus_message_iter_recurse(&args, &definitions);
    dbus_message_iter_init_append(reply, &out);
    dbus_message_iter_open_container(&out, DBUS_TYPE_ARRAY, "a{sv}", &answers);
    for (; dbus_message_iter_get_arg_type(&definitions) == DBUS_TYPE_ARRAY;
         dbus_message_iter_next(&definitions)) {
        DBusMessageIter definition;

        dbus_message_iter_recurse(&definitions, &definition);
        answer_setting(service, &definition, &answers);
    }
    dbus_message_iter_close_container(&out, &answers);
    bus_send(service->bus, reply);
    dbus_message_unref(reply);
    fleet_service_publish(service);
    return true;
}

/* ---- DVCC: the limits of the aggregate lead the chargers ---- */

static const char *const limit_names[] = {"/Info/MaxChargeVoltage", "/Info/MaxChargeCurrent",
                                          "/Info/MaxDischargeCurrent"};

static const struct paths *reader_wanted(void *ctx, const char *name)
{
    struct fleet *fleet = ctx;

    return strcmp(name, AGGREGATE) == 0 ? fleet->limit_paths : NULL;
}

static void reader_found(void *ctx, struct monitor_service *service)
{
    (void)ctx;
    (void)service;
}

static void reader_value(void *ctx, struct monitor_service *service, int index, const struct value *value)
{
    struct fleet *fleet = ctx;

    (void)service;
    fleet->limit[index] = value->kind == VALUE_NUMBER ? value->number : NAN;
    fleet->led = true;
}

static void reader_settled(void *ctx, struct monitor_service *service, bool first)
{
    (void)ctx;
    (void)service;
    (void)first;
}

static void reader_silent(void *ctx, struct monitor_service *service, const char *why)
{
    (void)ctx;
    (void)service;
    (void)why;
}

static void reader_gone(void *ctx, struct monitor_service *service)
{
    struct fleet *fleet = ctx;

    (void)service;
    fleet->led = false;
    fleet->left_s = now_s();
}

static void reader_up(void *ctx)
{
    struct fleet *fleet = ctx;

    monitor_up(fleet->reader);
}

static void reader_down(void *ctx, const char *why)
{
    struct fleet *fleet = ctx;

    (void)why;
    monitor_down(fleet->reader);
}

static bool reader_message(void *ctx, DBusMessage *message)
{
    struct fleet *fleet = ctx;

    return monitor_message(fleet->reader, message);
}

static bool start_reader(struct fleet *fleet)
{
    const struct bus_owner owner = {fleet, reader_up, reader_down, reader_message};
    const struct monitor_client client = {fleet,          reader_wanted, reader_found, reader_value,
                                          reader_settled, reader_silent, reader_gone,  NULL};

    fleet->limit_paths = paths_new(limit_names, 3);
    fleet->reader_bus = bus_new(&fleet->loop, fleet->options->bus_address, &owner);
    if (!fleet->limit_paths || !fleet->reader_bus)
        return false;
    fleet->reader = monitor_new(fleet->reader_bus, &fleet->loop, "com.victronenergy.", &client);
    return fleet->reader != NULL;
}

static struct device *find_kind(struct fleet *fleet, enum kind kind)
{
    for (size_t i = 0; i < fleet->count; i++) {
        if (fleet->device[i].kind == kind)
            return &fleet->device[i];
    }
    return NULL;
}

/* Unknown limits unleash: no CCL, no DCL. Without any CVL chargers use what they are set to, until they
 * miss their BMS and stop. */
static void lead(struct fleet *fleet)
{
    struct device *settings = find_kind(fleet, KIND_SETTINGS);
    int feed_in = settings ? items_find(settings->service.items, FEED_IN_PATH) : -1;
    bool known = fleet->led && !isnan(fleet->limit[0]);

    fleet->limits.cvl_V = known ? fleet->limit[0] : 3.45 * (double)fleet->plant.setup.cells;
    fleet->limits.ccl_A = known && !isnan(fleet->limit[1]) ? fleet->limit[1] : 1000;
    fleet->limits.dcl_A = known && !isnan(fleet->limit[2]) ? fleet->limit[2] : 1000;
    fleet->limits.charging =
        known || fleet->options->no_system || now_s() - fleet->left_s < CHARGERS_TIME_OUT_S;
    fleet->limits.feed_in = feed_in >= 0 && items_value(settings->service.items, feed_in).number == 1;
}

/* ---- time ---- */

static void on_tick(uv_timer_t *timer)
{
    struct fleet *fleet = timer->data;
    double now = now_s();
    double left_s = (now - fleet->last_s) * fleet->options->speed;

    fleet->last_s = now;
    lead(fleet);
    while (left_s > 0 && !fleet->paused && !fleet->options->quiet) {
        double dt_s = fmin(left_s, STEP_LONGEST_S);

        plant_step(&fleet->plant, dt_s, &fleet->limits);
        left_s -= dt_s;
    }
    for (size_t i = 0; i < fleet->count; i++) {
        struct device *device = &fleet->device[i];

        if (now < device->due_s)
            continue;
        device->due_s = fmax(device->due_s + fleet->options->period_ms / 1000.0, now);
        if (!fleet->paused && !fleet->options->quiet)
            show(fleet, device);
        fleet_service_publish(&device->service);
    }
}

/* ---- commands ---- */

static void answer(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void answer(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void on_arrived(void *ctx, struct fleet_service *service)
{
    struct fleet *fleet = ctx;

    fleet->unreached = false;
    fleet->arrived++;
    if (fleet->arrived == fleet->count && fleet->options->ready)
        answer("ready");
    else if (fleet->arrived > fleet->count)
        answer("ok %s is here", service->name);
}

/* All services find it out at once. */
static void on_unreached(void *ctx, const char *why)
{
    struct fleet *fleet = ctx;
    const char *address = fleet->options->bus_address;

    if (fleet->unreached)
        return;
    fleet->unreached = true;
    fprintf(stderr,
            "battery-fleet: no bus at %s (%s): trying again until there is one. Start a dbus-daemon there, "
            "or name "
            "another by --bus\n",
            address ? address : bus_default_address(), why);
}

static struct device *find_device(struct fleet *fleet, char **words)
{
    char *who = strsep(words, " ");
    size_t number;

    if (who && strcmp(who, "pack") == 0) {
        who = strsep(words, " ");
        number = who ? strtoul(who, NULL, 10) : 0;
        for (size_t i = 0; i < fleet->count; i++) {
            if (fleet->device[i].kind == KIND_PACK && fleet->device[i].index + 1 == number)
                return &fleet->device[i];
        }
        return NULL;
    }
    for (size_t i = 0; who && i < fleet->count; i++) {
        const char *name = fleet->device[i].service.name;

        if (strcmp(name, who) == 0 || strcmp(strrchr(name, '.') + 1, who) == 0)
            return &fleet->device[i];
    }
    return NULL;
}

static void do_remove(struct fleet *fleet, struct device *device, char *words)
{
    (void)fleet;
    (void)words;
    fleet_service_go(&device->service);
    answer("ok %s is away", device->service.name);
}

/* Answered when its name is on the bus. */
static void do_return(struct fleet *fleet, struct device *device, char *words)
{
    const char *name = strncmp(words, "as ", 3) == 0 ? words + 3 : NULL;

    (void)fleet;
    if (device->service.bus) {
        answer("error: %s is here", device->service.name);
        return;
    }
    if (name)
        snprintf(device->service.name, sizeof device->service.name, "%s", name);
    if (!fleet_service_come(&device->service))
        answer("error: out of memory");
}

static void do_freeze(struct fleet *fleet, struct device *device, char *words)
{
    (void)fleet;
    (void)words;
    device->service.frozen = true;
    answer("ok %s says and answers nothing", device->service.name);
}

static void do_thaw(struct fleet *fleet, struct device *device, char *words)
{
    (void)fleet;
    (void)words;
    device->service.frozen = false;
    answer("ok %s speaks again", device->service.name);
}

static void do_set(struct fleet *fleet, struct device *device, char *words)
{
    char *path = strsep(&words, " ");
    const char *why = words ? fleet_service_override(&device->service, path, words) : "set WHO PATH VALUE";

    (void)fleet;
    if (why) {
        answer("error: %s", why);
        return;
    }
    fleet_service_publish(&device->service);
    answer("ok");
}

static void do_release(struct fleet *fleet, struct device *device, char *words)
{
    const char *why = fleet_service_release(&device->service, words);

    (void)fleet;
    if (why)
        answer("error: %s", why);
    else
        answer("ok");
}

static const struct {
    const char *name;
    void (*act)(struct fleet *fleet, struct device *device, char *words);
} device_commands[] = {{"remove", do_remove}, {"return", do_return}, {"freeze", do_freeze},
                       {"thaw", do_thaw},     {"set", do_set},       {"release", do_release}};

static void stop(struct fleet *fleet);

/* "sun 0.5", "load 800", "hour 13"; false when it is none of them. */
static bool do_world_command(struct fleet *fleet, const char *name, const char *words)
{
    bool sun = strcmp(name, "sun") == 0;
    bool load = strcmp(name, "load") == 0;
    char *end;
    double number = strtod(words, &end);

    if (!sun && !load && strcmp(name, "hour") != 0)
        return false;
    if (end == words || *end || !isfinite(number) || number < 0) {
        answer("error: %s takes a number from 0 on", name);
        return true;
    }
    if (sun)
        fleet->plant.sun = number;
    else if (load)
        fleet->plant.setup.load_W = number;
    else
        fleet->plant.setup.hour += number - plant_hour(&fleet->plant);
    answer("ok");
    return true;
}

/* Commands about the whole fleet; false when it is none of them. */
static bool do_fleet_command(struct fleet *fleet, const char *name, const char *words)
{
    if (do_world_command(fleet, name, words))
        return true;
    if (strcmp(name, "list") == 0) {
        for (size_t i = 0; i < fleet->count; i++)
            answer("%s %s", fleet->device[i].service.name, fleet->device[i].service.bus ? "here" : "away");
    } else if (strcmp(name, "pause") == 0 || strcmp(name, "resume") == 0) {
        fleet->paused = *name == 'p';
    } else if (strcmp(name, "quit") == 0) {
        stop(fleet);
    } else {
        return false;
    }
    answer("ok");
    return true;
}

static void do_line(struct fleet *fleet, char *line)
{
    char *words = line;
    char *name = strsep(&words, " ");
    char none[] = "";
    struct device *device;

    if (!*name || do_fleet_command(fleet, name, words ? words : none))
        return;
    for (size_t i = 0; i < sizeof device_commands / sizeof *device_commands; i++) {
        if (strcmp(name, device_commands[i].name) != 0)
            continue;
        device = words ? find_device(fleet, &words) : NULL;
        if (device)
            device_commands[i].act(fleet, device, words ? words : none);
        else
            answer("error: no such device (try list)");
        return;
    }
    answer("error: no such command: %s", name);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct fleet *fleet = handle->data;

    (void)suggested;
    *buffer = uv_buf_init(fleet->line + fleet->line_used, (unsigned)(sizeof fleet->line - fleet->line_used));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct fleet *fleet = stream->data;
    char *end;

    (void)buffer;
    if (count < 0) {
        uv_read_stop(stream); /* nobody speaks to us any more; the world goes on */
        return;
    }
    fleet->line_used += (size_t)count;
    while ((end = memchr(fleet->line, '\n', fleet->line_used))) {
        size_t length = (size_t)(end - fleet->line) + 1;

        *end = '\0';
        do_line(fleet, fleet->line);
        fleet->line_used -= length;
        memmove(fleet->line, fleet->line + length, fleet->line_used);
    }
    if (fleet->line_used == sizeof fleet->line)
        fleet->line_used = 0; /* no command is that long */
}

/* ---- beginning and end ---- */

static struct device *add_device(struct fleet *fleet, enum kind kind, size_t index, const char *format,
                                 int number)
{
    struct device *device = &fleet->device[fleet->count];
    struct fleet_service_client client = {fleet, on_arrived, on_unreached, NULL, NULL};
    char name[FLEET_NAME_MAX];

    if (fleet->count == SERVICES_MAX)
        return NULL;
    snprintf(name, sizeof name, "com.victronenergy.%s%d", format, number);
    if (number < 0)
        snprintf(name, sizeof name, "com.victronenergy.%s", format);
    if (kind == KIND_SETTINGS) {
        client.message = on_settings_message;
        client.set = on_setting_written;
    }
    if (!fleet_service_init(&device->service, name, &fleet->loop, fleet->options->bus_address, &client))
        return NULL;
    device->kind = kind;
    device->index = index;
    fleet->count++;
    return device;
}

static void add_devices(struct fleet *fleet)
{
    struct device *device;
    char serial[32];

    if (!fleet->options->no_settings && (device = add_device(fleet, KIND_SETTINGS, 0, "settings", -1)))
        ADD_ITEMS(&device->service, settings_items, true);
    if (!fleet->options->no_system && (device = add_device(fleet, KIND_SYSTEM, 0, "system", -1)))
        ADD_ITEMS(&device->service, system_items, false);
    for (size_t i = 0; i < fleet->plant.setup.packs; i++) {
        if ((device = add_device(fleet, KIND_PACK, i, "battery.ttyUSB", (int)i)))
            add_pack_items(fleet, device);
    }
    if ((device = add_device(fleet, KIND_MULTI, 0, "vebus.ttyS", 4))) {
        add_identity(&device->service, 276, "", "HQ1");
        ADD_ITEMS(&device->service, multi_items, false);
    }
    for (size_t i = 0; i < fleet->plant.setup.mppts; i++) {
        snprintf(serial, sizeof serial, "HQ2%zu", i);
        if ((device = add_device(fleet, KIND_MPPT, i, "solarcharger.ttyS", 5 + (int)i))) {
            add_identity(&device->service, 288 + (int)i, "", serial);
            ADD_ITEMS(&device->service, mppt_items, false);
        }
    }
    for (size_t i = 0; i < fleet->options->shunts; i++) {
        snprintf(serial, sizeof serial, "HQ3%zu", i);
        if ((device = add_device(fleet, KIND_SHUNT, i, "battery.ttyS", 20 + (int)i))) {
            add_identity(&device->service, 278 + (int)i, "", serial);
            ADD_ITEMS(&device->service, shunt_items, false);
        }
    }
}

static void stop(struct fleet *fleet)
{
    if (fleet->stopping)
        return;
    fleet->stopping = true;
    for (size_t i = 0; i < fleet->count; i++)
        fleet_service_end(&fleet->device[i].service);
    if (fleet->reader) {
        monitor_free(fleet->reader);
        bus_close(fleet->reader_bus, NULL, NULL);
    }
    uv_close((uv_handle_t *)&fleet->tick, NULL);
    uv_close((uv_handle_t *)&fleet->input, NULL);
    uv_close((uv_handle_t *)&fleet->sigterm, NULL);
    uv_close((uv_handle_t *)&fleet->sigint, NULL);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    stop(signal->data);
}

static void start_handles(struct fleet *fleet)
{
    uv_timer_init(&fleet->loop, &fleet->tick);
    uv_signal_init(&fleet->loop, &fleet->sigterm);
    uv_signal_init(&fleet->loop, &fleet->sigint);
    uv_pipe_init(&fleet->loop, &fleet->input, 0);
    fleet->tick.data = fleet->sigterm.data = fleet->sigint.data = fleet->input.data = fleet;
    uv_timer_start(&fleet->tick, on_tick, 0, TICK_MS);
    uv_signal_start(&fleet->sigterm, on_signal, SIGTERM);
    uv_signal_start(&fleet->sigint, on_signal, SIGINT);
    /* A terminal or a pipe; of anything else (a file, /dev/null) no commands come. */
    if ((uv_guess_handle(0) == UV_NAMED_PIPE || uv_guess_handle(0) == UV_TTY) &&
        uv_pipe_open(&fleet->input, 0) == 0)
        uv_read_start((uv_stream_t *)&fleet->input, on_alloc, on_read);
}

static void begin(struct fleet *fleet)
{
    double now = now_s();

    fleet->last_s = now;
    fleet->left_s = now;
    fleet->limit[0] = fleet->limit[1] = fleet->limit[2] = NAN;
    fleet->random = chance_seed(fleet->options->plant.seed, 9);
    plant_init(&fleet->plant, &fleet->options->plant);
    add_devices(fleet);
    for (size_t i = 0; i < fleet->count; i++) {
        struct device *device = &fleet->device[i];

        /* Each at its own moment of the period, as devices do that were not started together. */
        device->due_s = now + (double)i / (double)fleet->count * fleet->options->period_ms / 1000.0;
        show(fleet, device);
        fleet_service_come(&device->service);
    }
}

int fleet_run(const struct fleet_options *options)
{
    struct fleet *fleet = calloc(1, sizeof *fleet);
    int status = 1;

    if (!fleet)
        return status;
    fleet->options = options;
    uv_loop_init(&fleet->loop);
    begin(fleet);
    if (options->no_system || start_reader(fleet)) {
        start_handles(fleet);
        uv_run(&fleet->loop, UV_RUN_DEFAULT);
        status = 0;
    }
    uv_loop_close(&fleet->loop);
    for (size_t i = 0; i < fleet->count; i++)
        fleet_service_free(&fleet->device[i].service);
    paths_free(fleet->limit_paths);
    free(fleet);
    return status;
}
