#include "venus/system_settings.h"

#include <math.h>
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
    settings->heard_s = NAN;
}

/* ---- whether it answers ---- */

static void note_life(struct system_settings *settings)
{
    if (settings->silence_said)
        log_info("%s answers again", SETTINGS_SERVICE);
    settings->silent = settings->silence_said = false;
}

/* Every answer to a call of ours comes here. Who hangs has not refused: it does what it was told when it
 * wakes up. True when there was none. */
static bool is_unanswered(struct system_settings *settings, DBusMessage *reply)
{
    if (!settings->here || !reply || dbus_message_is_error(reply, DBUS_ERROR_NO_REPLY)) {
        settings->silent = settings->silent || (settings->here && reply && bus_is_timeout(reply));
        return true;
    }
    note_life(settings);
    return false;
}

bool system_settings_silent(const struct system_settings *settings)
{
    return settings->silent;
}

static void on_probed(void *ctx, DBusMessage *reply)
{
    struct system_settings *settings = ctx;

    settings->probed = false;
    is_unanswered(settings, reply);
}

void system_settings_probe(struct system_settings *settings)
{
    DBusMessage *call;

    if (!settings->here || settings->silent || settings->probed ||
        !bus_may_ask(settings->bus, settings->owner))
        return;
    call =
        dbus_message_new_method_call(settings->owner, SETTINGS_FEED_IN_PATH, BUSITEM_INTERFACE, "GetValue");
    if (!call)
        return;
    settings->probed = true;
    bus_call(settings->bus, call, 0, on_probed, settings);
    dbus_message_unref(call);
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

    if (is_unanswered(ctx, reply))
        return;
    if (dbus_message_get_args(reply, NULL, DBUS_TYPE_INT32, &code, DBUS_TYPE_INVALID) && code == 0)
        return;
    log_warning("%s did not take a setting of ours; it will not survive a restart", SETTINGS_SERVICE);
}

/* A call that writes, NULL when the service is not here or memory is out. */
static DBusMessage *new_write(const struct system_settings *settings, const char *path, char type,
                              struct value value)
{
    DBusMessage *call =
        settings->here ? dbus_message_new_method_call(settings->owner, path, BUSITEM_INTERFACE, "SetValue")
                       : NULL;
    DBusMessageIter args;

    if (!call)
        return NULL;
    dbus_message_iter_init_append(call, &args);
    if (value_append(&args, type, &value))
        return call;
    dbus_message_unref(call);
    return NULL;
}

/* False: it is not written, and there is no answer. */
static bool write_setting(struct system_settings *settings, const char *path, char type, struct value value,
                          bus_reply_fn reply)
{
    DBusMessage *call = new_write(settings, path, type, value);

    if (!call)
        return false;
    bus_call(settings->bus, call, 0, reply, settings);
    dbus_message_unref(call);
    return true;
}

static void write_name(struct system_settings *settings);

/* What it read before our write is no news; a service that went or hung before it answered is told again. */
static void on_name_written(void *ctx, DBusMessage *reply)
{
    struct system_settings *settings = ctx;
    bool again = settings->name_again;

    settings->name_asked = settings->name_again = false;
    if (is_unanswered(settings, reply))
        return;
    if (again) {
        write_name(settings);
        return;
    }
    settings->name_pending = false;
    on_written(ctx, reply);
}

/* One at a time: names come from whoever likes to give us one, and calls that a service does not answer are
 * few before the bus refuses them all. */
static void write_name(struct system_settings *settings)
{
    if (!settings->name_pending || !settings->answered)
        return;
    if (settings->name_asked) {
        settings->name_again = true;
        return;
    }
    if (!bus_may_ask(settings->bus, settings->owner))
        return;
    settings->name_asked = true;
    if (!write_setting(settings, SETTINGS_NAME_PATH, 's', value_text(settings->custom_name), on_name_written))
        settings->name_asked = false;
}

static void on_added(void *ctx, DBusMessage *reply)
{
    struct system_settings *settings = ctx;
    DBusMessageIter args, list;

    if (!reply || !settings->here)
        return;
    settings->added = !is_unanswered(settings, reply);
    settings->answered = true;
    if (settings->added && dbus_message_get_type(reply) == DBUS_MESSAGE_TYPE_ERROR) {
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

/* Registers ours there. */
static void add_settings(struct system_settings *settings)
{
    DBusMessage *call = dbus_message_new_method_call(settings->owner, "/", SETTINGS_INTERFACE, "AddSettings");
    char instance[INSTANCE_TEXT_MAX];
    DBusMessageIter args, list;

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

void system_settings_here(struct system_settings *settings, const char *owner)
{
    snprintf(settings->owner, sizeof settings->owner, "%s", owner);
    settings->here = true;
    settings->answered = settings->added = false;
    settings->heard_s = NAN;
    if (bus_may_ask(settings->bus, owner)) {
        add_settings(settings);
        return;
    }
    settings->silent = settings->answered = true; /* it was here before, and never answered */
    settings->client.changed(settings->client.ctx);
}

void system_settings_gone(struct system_settings *settings)
{
    settings->here = false;
    settings->answered = false;
    settings->silent = settings->silence_said = false;
}

static void say_silence(struct system_settings *settings)
{
    settings->silence_said = true;
    log_warning("%s does not answer: DC feed-in and the name of the bank are set when it does again. If that "
                "lasts, restart it, or the device",
                SETTINGS_SERVICE);
}

void system_settings_watch(struct system_settings *settings, double heard_s)
{
    bool heard = heard_s > settings->heard_s || (isnan(settings->heard_s) && !isnan(heard_s));

    if (!settings->here)
        return;
    if (settings->silent && heard)
        note_life(settings);
    if (!settings->silent)
        settings->heard_s = heard_s;
    else if (!settings->silence_said)
        say_silence(settings);
    if (settings->silent)
        return;
    if (settings->answered && !settings->added && bus_may_ask(settings->bus, settings->owner))
        add_settings(settings);
    if (!settings->name_asked)
        write_name(settings);
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
    is_unanswered(ctx, reply);
}

/* Who does not answer is told all the same, for it does what it was told last when it wakes up. The bus does
 * not count a call to which no answer is expected. */
void system_settings_set_feed_in(struct system_settings *settings, bool on)
{
    DBusMessage *call = new_write(settings, SETTINGS_FEED_IN_PATH, 'i', value_number(on ? 1 : 0));

    if (!call)
        return;
    if (!settings->silent && bus_may_ask(settings->bus, settings->owner)) {
        bus_call(settings->bus, call, 0, on_feed_in_written, settings);
    } else {
        settings->silent = true;
        dbus_message_set_no_reply(call, TRUE);
        bus_send(settings->bus, call);
    }
    dbus_message_unref(call);
}
