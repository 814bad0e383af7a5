#include "venus/system_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/value.h"
#include "log.h"
#include "venus/inputs.h"

#define SETTINGS_SERVICE "com.victronenergy.settings"
#define SETTINGS_INTERFACE "com.victronenergy.Settings"
#define BUSITEM_INTERFACE "com.victronenergy.BusItem"
#define BATTERY_CLASS "battery:"

enum { INSTANCE_TEXT_MAX = 32 };

void system_settings_init(struct system_settings *settings, struct bus *bus, int wish,
                          const struct system_settings_client *client)
{
    memset(settings, 0, sizeof *settings);
    settings->bus = bus;
    settings->client = *client;
    settings->instance = wish;
}

int system_settings_parse_instance(const char *class_and_instance)
{
    char *end;
    long instance;

    if (strncmp(class_and_instance, BATTERY_CLASS, strlen(BATTERY_CLASS)) != 0)
        return -1;
    class_and_instance += strlen(BATTERY_CLASS);
    instance = strtol(class_and_instance, &end, 10);
    if (end == class_and_instance || *end || instance < 0 || instance > 1000000)
        return -1;
    return (int)instance;
}

static bool append_entry(DBusMessageIter *dict, const char *key, const char *text)
{
    DBusMessageIter entry;
    struct value value = value_text(text);

    return dbus_message_iter_open_container(dict, DBUS_TYPE_DICT_ENTRY, NULL, &entry) &&
           dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &key) &&
           value_append(&entry, 's', &value) && dbus_message_iter_close_container(dict, &entry);
}

static bool append_setting(DBusMessageIter *list, const char *path, const char *default_text)
{
    DBusMessageIter dict;

    return dbus_message_iter_open_container(list, DBUS_TYPE_ARRAY, "{sv}", &dict) &&
           append_entry(&dict, "path", path) && append_entry(&dict, "default", default_text) &&
           dbus_message_iter_close_container(list, &dict);
}

/* One answer of AddSettings: a{sv} with path and value. */
static void take_answer(struct system_settings *settings, DBusMessageIter *dict)
{
    struct value path = value_invalid();
    struct value value = value_invalid();

    for (; dbus_message_iter_get_arg_type(dict) == DBUS_TYPE_DICT_ENTRY; dbus_message_iter_next(dict)) {
        DBusMessageIter entry;
        const char *key;

        dbus_message_iter_recurse(dict, &entry);
        if (dbus_message_iter_get_arg_type(&entry) != DBUS_TYPE_STRING)
            return;
        dbus_message_iter_get_basic(&entry, &key);
        dbus_message_iter_next(&entry);
        if (strcmp(key, "path") == 0)
            value_read(&entry, &path);
        else if (strcmp(key, "value") == 0)
            value_read(&entry, &value);
    }
    if (path.kind != VALUE_TEXT || value.kind != VALUE_TEXT)
        return;
    if (strcmp(path.text, SETTINGS_INSTANCE_PATH) == 0) {
        int instance = system_settings_parse_instance(value.text);

        if (instance >= 0)
            settings->instance = instance;
    } else if (strcmp(path.text, SETTINGS_NAME_PATH) == 0 && !settings->name_pending) {
        snprintf(settings->custom_name, sizeof settings->custom_name, "%s", value.text);
    }
}

static void on_written(void *ctx, DBusMessage *reply)
{
    dbus_int32_t code = -1;

    (void)ctx;
    if (reply && dbus_message_get_args(reply, NULL, DBUS_TYPE_INT32, &code, DBUS_TYPE_INVALID) && code == 0)
        return;
    log_warning("%s did not take a setting of ours; it will not survive a restart", SETTINGS_SERVICE);
}

static void write_setting(struct system_settings *settings, const char *path, char type, struct value value,
                          bus_reply_fn reply)
{
    DBusMessage *call;
    DBusMessageIter args;

    if (!settings->here)
        return;
    call = dbus_message_new_method_call(SETTINGS_SERVICE, path, BUSITEM_INTERFACE, "SetValue");
    if (!call)
        return;
    dbus_message_iter_init_append(call, &args);
    if (value_append(&args, type, &value))
        bus_call(settings->bus, call, 0, reply, settings);
    dbus_message_unref(call);
}

/* What it read before our write is no news; a service that went before it answered is told again. */
static void on_name_written(void *ctx, DBusMessage *reply)
{
    struct system_settings *settings = ctx;

    if (!settings->here || (reply && dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY)))
        return;
    settings->name_pending = false;
    on_written(ctx, reply);
}

static void write_name(struct system_settings *settings)
{
    if (settings->name_pending && settings->answered)
        write_setting(settings, SETTINGS_NAME_PATH, 's', value_text(settings->custom_name), on_name_written);
}

static void on_added(void *ctx, DBusMessage *reply)
{
    struct system_settings *settings = ctx;
    DBusMessageIter args, list;

    if (!reply || !settings->here)
        return;
    settings->answered = true;
    if (dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR) {
        log_warning("%s did not take our settings (%s): instance %d and the name are not kept there",
                    SETTINGS_SERVICE, dbus_message_get_error_name(reply), settings->instance);
    } else if (dbus_message_iter_init(reply, &args) &&
               dbus_message_iter_get_arg_type(&args) == DBUS_TYPE_ARRAY) {
        dbus_message_iter_recurse(&args, &list);
        for (; dbus_message_iter_get_arg_type(&list) == DBUS_TYPE_ARRAY; dbus_message_iter_next(&list)) {
            DBusMessageIter dict;

            dbus_message_iter_recurse(&list, &dict);
            take_answer(settings, &dict);
        }
    }
    write_name(settings);
    settings->client.changed(settings->client.ctx);
}

void system_settings_here(struct system_settings *settings)
{
    DBusMessage *call =
        dbus_message_new_method_call(SETTINGS_SERVICE, "/", SETTINGS_INTERFACE, "AddSettings");
    char instance[INSTANCE_TEXT_MAX];
    DBusMessageIter args, list;

    settings->here = true;
    settings->answered = false;
    snprintf(instance, sizeof instance, BATTERY_CLASS "%d", settings->instance);
    if (!call)
        return;
    dbus_message_iter_init_append(call, &args);
    if (dbus_message_iter_open_container(&args, DBUS_TYPE_ARRAY, "a{sv}", &list) &&
        append_setting(&list, SETTINGS_INSTANCE_PATH, instance) &&
        append_setting(&list, SETTINGS_NAME_PATH, settings->custom_name) &&
        dbus_message_iter_close_container(&args, &list))
        bus_call(settings->bus, call, 0, on_added, settings);
    dbus_message_unref(call);
}

void system_settings_gone(struct system_settings *settings)
{
    settings->here = false;
    settings->answered = false;
}

bool system_settings_ready(const struct system_settings *settings)
{
    return !settings->here || settings->answered;
}

void system_settings_instance_changed(struct system_settings *settings, const char *class_and_instance)
{
    int instance = system_settings_parse_instance(class_and_instance);

    if (!settings->answered || instance < 0 || instance == settings->instance)
        return;
    settings->instance = instance;
    settings->client.changed(settings->client.ctx);
}

void system_settings_name_changed(struct system_settings *settings, const char *name)
{
    if (!settings->answered || settings->name_pending || strcmp(name, settings->custom_name) == 0)
        return;
    snprintf(settings->custom_name, sizeof settings->custom_name, "%s", name);
    settings->client.changed(settings->client.ctx);
}

void system_settings_set_instance(struct system_settings *settings, int instance)
{
    char text[INSTANCE_TEXT_MAX];

    settings->instance = instance;
    snprintf(text, sizeof text, BATTERY_CLASS "%d", instance);
    write_setting(settings, SETTINGS_INSTANCE_PATH, 's', value_text(text), on_written);
}

void system_settings_set_name(struct system_settings *settings, const char *name)
{
    snprintf(settings->custom_name, sizeof settings->custom_name, "%s", name);
    settings->name_pending = true;
    write_name(settings);
}

/* Refused or not: the guard looks at what the setting reads, and tries again. */
static void on_feed_in_written(void *ctx, DBusMessage *reply)
{
    (void)ctx;
    (void)reply;
}

void system_settings_set_feed_in(struct system_settings *settings, bool on)
{
    write_setting(settings, SETTINGS_FEED_IN_PATH, 'i', value_number(on ? 1 : 0), on_feed_in_written);
}
