/* Our place in com.victronenergy.settings (localsettings): the device instance and the name that the
 * user gives the bank. Both survive there; without that service we keep what we had. */
#ifndef VENUS_SYSTEM_SETTINGS_H
#define VENUS_SYSTEM_SETTINGS_H

#include <stdbool.h>

#include "bus/loop.h"
#include "core/reading.h"

struct system_settings_client {
    void *ctx;
    /* instance or custom_name is known anew. */
    void (*changed)(void *ctx);
};

struct system_settings {
    struct bus *bus;
    struct system_settings_client client;
    bool here;     /* the service is on the bus */
    bool answered; /* it told, or refused; or did not answer in time */
    int instance;  /* ours: the wish until the service says otherwise */
    char custom_name[READING_TEXT_MAX];
    bool name_pending; /* it is the user's, and the service does not have it yet */
};

/* wish: the instance we had last, or the one we would like. */
void system_settings_init(struct system_settings *settings, struct bus *bus, int wish,
                          const struct system_settings_client *client);

/* The service came: registers our settings there (an existing value is kept) and reads them back. */
void system_settings_here(struct system_settings *settings);
void system_settings_gone(struct system_settings *settings);

/* True when instance and name are as good as they will get: told, or nobody there to tell. */
bool system_settings_ready(const struct system_settings *settings);

/* The setting changed there: "battery:100", or a name. */
void system_settings_instance_changed(struct system_settings *settings, const char *class_and_instance);
void system_settings_name_changed(struct system_settings *settings, const char *name);

/* Writes them there, and takes them on here. */
void system_settings_set_instance(struct system_settings *settings, int instance);
void system_settings_set_name(struct system_settings *settings, const char *name);

/* Writes OvervoltageFeedIn. That it was taken shows when it reads so. */
void system_settings_set_feed_in(struct system_settings *settings, bool on);

/* The instance in "battery:99", -1 when it is none of the class battery. */
int system_settings_parse_instance(const char *class_and_instance);

#endif
