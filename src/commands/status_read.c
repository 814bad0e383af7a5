#include <dbus/dbus.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/paths.h"
#include "bus/tree.h"
#include "commands/connect.h"
#include "commands/status_view.h"
#include "core/alarms.h"
#include "venus/inputs.h"
#include "venus/outputs.h"

#define BUSITEM "com.victronenergy.BusItem"
#define SETTINGS_SERVICE "com.victronenergy.settings"

enum { ANSWER_MS = 2000, SLOT_TEXTS = 3, SLOT_FIELDS = SLOT_TEXTS + LEARNED_NUMBERS, PATH_BYTES_MAX = 64 };

static const char *const bank_numbers[BANK_ALARM_FIRST] = {
    [BANK_SOC] = "/Soc",
    [BANK_VOLTAGE] = "/Dc/0/Voltage",
    [BANK_CURRENT] = "/Dc/0/Current",
    [BANK_POWER] = "/Dc/0/Power",
    [BANK_TEMPERATURE] = "/Dc/0/Temperature",
    [BANK_CAPACITY] = "/Capacity",
    [BANK_INSTALLED] = "/InstalledCapacity",
    [BANK_CELL_MAX] = "/System/MaxCellVoltage",
    [BANK_CELL_MIN] = "/System/MinCellVoltage",
    [BANK_CELL_DIFF] = "/Voltages/Diff",
    [BANK_CVL] = "/Info/MaxChargeVoltage",
    [BANK_CCL] = "/Info/MaxChargeCurrent",
    [BANK_DCL] = "/Info/MaxDischargeCurrent",
    [BANK_PACKS] = "/System/NrOfBatteries",
    [BANK_OFFLINE] = "/System/NrOfModulesOffline",
    [BANK_GUARD] = "/Info/FeedIn",
    [BANK_INSTANCE] = "/DeviceInstance",
    [BANK_SOC_UNCERTAINTY] = "/Info/SocUncertainty",
};

static const char *const bank_texts[BANK_TEXTS] = {
    [BANK_CELL_MAX_ID] = "/System/MaxVoltageCellId",
    [BANK_CELL_MIN_ID] = "/System/MinVoltageCellId",
    [BANK_CVL_WHY] = "/Info/ChargeMode",
    [BANK_CCL_WHY] = "/Info/ChargeLimitation",
    [BANK_DCL_WHY] = "/Info/DischargeLimitation",
    [BANK_NAME] = "/CustomName",
};

static const char *const pack_numbers[PACK_NUMBERS] = {
    [PACK_VOLTAGE] = "/Dc/0/Voltage",
    [PACK_CURRENT] = "/Dc/0/Current",
    [PACK_SOC] = "/Soc",
    [PACK_CELL_MIN] = "/System/MinCellVoltage",
    [PACK_CELL_MAX] = "/System/MaxCellVoltage",
    [PACK_CVL] = "/Info/MaxChargeVoltage",
    [PACK_CCL] = "/Info/MaxChargeCurrent",
    [PACK_DCL] = "/Info/MaxDischargeCurrent",
    [PACK_TEMPERATURE] = "/Dc/0/Temperature",
};

static const char *const slot_fields[SLOT_FIELDS] = {"Name",
                                                     "Service",
                                                     "State",
                                                     [SLOT_TEXTS + LEARNED_SHARE] = "Share",
                                                     [SLOT_TEXTS + LEARNED_RESISTANCE] = "Resistance",
                                                     [SLOT_TEXTS + LEARNED_DEVIATION] =
                                                         "ResistanceDeviation"};

enum {
    BANK_NUMBERS = BANK_ALARM_FIRST + ALARM_COUNT,
    BANK_PATHS = BANK_NUMBERS + BANK_TEXTS + STATUS_PACKS_MAX * SLOT_FIELDS,
};
_Static_assert((int)BANK_NUMBERS <= (int)STATUS_NUMBERS_MAX, "the view holds every number");

struct status_reader {
    DBusConnection *connection;
    struct paths *bank;
    struct paths *pack;
    const char *list[BANK_PATHS];
    char made[ALARM_COUNT + STATUS_PACKS_MAX * SLOT_FIELDS][PATH_BYTES_MAX];
};

/* Numbers, alarms, texts, then the slots of the packs: an index into the set tells which. */
static void list_bank_paths(struct status_reader *reader)
{
    size_t made = 0;

    memcpy(reader->list, bank_numbers, sizeof bank_numbers);
    for (int i = 0; i < ALARM_COUNT; i++) {
        snprintf(reader->made[made], PATH_BYTES_MAX, "/Alarms/%s", alarm_name((enum alarm)i));
        reader->list[BANK_ALARM_FIRST + i] = reader->made[made++];
    }
    memcpy(reader->list + BANK_NUMBERS, bank_texts, sizeof bank_texts);
    for (int slot = 0; slot < STATUS_PACKS_MAX; slot++) {
        for (int field = 0; field < SLOT_FIELDS; field++) {
            snprintf(reader->made[made], PATH_BYTES_MAX, "/Battery/%d/%s", slot + 1, slot_fields[field]);
            reader->list[BANK_NUMBERS + BANK_TEXTS + slot * SLOT_FIELDS + field] = reader->made[made++];
        }
    }
}

struct status_reader *status_reader_new(const char *address)
{
    struct status_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    list_bank_paths(reader);
    reader->bank = paths_new(reader->list, BANK_PATHS);
    reader->pack = paths_new(pack_numbers, PACK_NUMBERS);
    reader->connection = connect_bus(address);
    if (!reader->bank || !reader->pack || !reader->connection) {
        status_reader_free(reader);
        return NULL;
    }
    return reader;
}

void status_reader_free(struct status_reader *reader)
{
    connect_close(reader->connection);
    paths_free(reader->bank);
    paths_free(reader->pack);
    free(reader);
}

static DBusMessage *call(struct status_reader *reader, const char *service, const char *path,
                         const char *member)
{
    DBusMessage *message = dbus_message_new_method_call(service, path, BUSITEM, member);
    DBusMessage *reply;

    if (!message)
        return NULL;
    dbus_message_set_auto_start(message, FALSE);
    reply = dbus_connection_send_with_reply_and_block(reader->connection, message, ANSWER_MS, NULL);
    dbus_message_unref(message);
    return reply;
}

/* All wanted values of a service; false when it does not answer. Older services have no GetItems. */
static bool read_service(struct status_reader *reader, const char *service, struct tree_sink *sink)
{
    DBusMessage *reply = call(reader, service, "/", "GetItems");
    bool read = reply && tree_read_items(reply, sink);

    if (reply)
        dbus_message_unref(reply);
    if (read)
        return true;
    reply = call(reader, service, "/", "GetValue");
    read = reply && tree_read_subtree(reply, sink);
    if (reply)
        dbus_message_unref(reply);
    return read;
}

/* Texts come from anybody: nothing in them may steer a terminal. */
static void copy_text(char *to, const struct value *value)
{
    snprintf(to, STATUS_TEXT_MAX, "%s", value->kind == VALUE_TEXT ? value->text : "");
    for (; *to; to++) {
        if ((unsigned char)*to < 0x20 || *to == 0x7f)
            *to = '?';
    }
}

static void take_bank(void *ctx, int index, const struct value *value)
{
    struct status_view *view = ctx;
    struct status_pack *pack;
    int slot = index - BANK_NUMBERS - BANK_TEXTS;

    if (index < BANK_NUMBERS) {
        view->number[index] = value->number;
    } else if (slot < 0) {
        copy_text(view->text[index - BANK_NUMBERS], value);
    } else if (slot % SLOT_FIELDS >= SLOT_TEXTS) {
        view->pack[slot / SLOT_FIELDS].learned[slot % SLOT_FIELDS - SLOT_TEXTS] = value->number;
    } else {
        pack = &view->pack[slot / SLOT_FIELDS];
        copy_text(slot % SLOT_FIELDS == 0   ? pack->name
                  : slot % SLOT_FIELDS == 1 ? pack->service
                                            : pack->state,
                  value);
    }
}

static void take_pack(void *ctx, int index, const struct value *value)
{
    struct status_pack *pack = ctx;

    pack->number[index] = value->number;
}

static double read_feed_in(struct status_reader *reader)
{
    DBusMessage *reply = call(reader, SETTINGS_SERVICE, SETTINGS_FEED_IN_PATH, "GetValue");
    struct value value = value_invalid();
    DBusMessageIter iter;
    double number;

    if (!reply)
        return NAN;
    if (dbus_message_iter_init(reply, &iter))
        value_read(&iter, &value);
    number = value.number;
    dbus_message_unref(reply);
    return number;
}

static void read_packs(struct status_reader *reader, struct status_view *view)
{
    size_t used = 0;

    for (size_t slot = 0; slot < STATUS_PACKS_MAX; slot++) {
        struct status_pack pack = view->pack[slot];
        struct tree_sink sink = {reader->pack, &pack, take_pack, 0, 0};

        if (!pack.service[0])
            continue;
        for (int i = 0; i < PACK_NUMBERS; i++)
            pack.number[i] = NAN;
        read_service(reader, pack.service, &sink);
        view->pack[used++] = pack;
    }
    view->packs = used;
}

enum status_found status_read(struct status_reader *reader, bool with_packs, struct status_view *view)
{
    struct tree_sink sink = {reader->bank, view, take_bank, 0, 0};

    memset(view, 0, sizeof *view);
    for (int i = 0; i < STATUS_NUMBERS_MAX; i++)
        view->number[i] = NAN;
    for (int slot = 0; slot < STATUS_PACKS_MAX; slot++) {
        for (int i = 0; i < LEARNED_NUMBERS; i++)
            view->pack[slot].learned[i] = NAN;
    }
    if (!dbus_connection_get_is_connected(reader->connection))
        return STATUS_NO_BUS;
    if (!read_service(reader, OUTPUTS_SERVICE, &sink))
        return STATUS_NO_DAEMON;
    view->feed_in = read_feed_in(reader);
    if (with_packs)
        read_packs(reader, view);
    return STATUS_FOUND;
}
