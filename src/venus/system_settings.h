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
    char owner[READING_TEXT_MAX]; /* unique name of the service */
    bool here;                    /* it is on the bus */
    bool added;                   /* it answered when ours were registered, be it that it refused */
    bool silent;                  /* it has not answered a call of ours in time, nor been heard since */
    bool silence_said;
    bool probed;    /* it is asked whether it lives, no answer yet */
    double heard_s; /* when it was heard last, while it is not silent; NAN = it was not yet */
    bool answered;  /* it told, or refused; or did not answer in time */
    int instance;   /* ours: the wish until the service says otherwise */
    char custom_name[READING_TEXT_MAX];
    bool name_pending; /* it is the user's, and the service does not have it yet */
    bool name_asked;   /* a write of it is under way */
    bool name_again;   /* and it was given anew meanwhile */
};

/* wish: the instance we had last, or the one we would like. */
void system_settings_init(struct system_settings *settings, struct bus *bus, int wish,
                          const struct system_settings_client *client);

/* The service came: registers our settings there (an existing value is kept) and reads them back. */
void system_settings_here(struct system_settings *settings, const char *owner);
void system_settings_gone(struct system_settings *settings);

/* Once a second, with the time at which the service last said or answered anything (NAN = not yet): a name
 * that it has not taken yet is written again, and that it does not answer is said, once each time. */
void system_settings_watch(struct system_settings *settings, double heard_s);

/* It hangs: what was written is done when it answers again, and what it reads is from before. */
bool system_settings_silent(const struct system_settings *settings);

/* Asks it for a sign of life: one that took what we wrote and hangs before that is on its disk is silent by
 * the time that a call may take. Once a second while it matters. */
void system_settings_probe(struct system_settings *settings);

/* True when instance and name are as good as they will get: told, or nobody there to tell. */
bool system_settings_ready(const struct system_settings *settings);

/* The setting changed there: "battery:100", or a name. */
void system_settings_instance_changed(struct system_settings *settings, const char *class_and_instance);
void system_settings_name_changed(struct system_settings *settings, const char *name);

/* Writes them there, and takes them on here. */
void system_settings_set_instance(struct system_settings *settings, int instance);
void system_settings_set_name(struct system_settings *settings, const char *name);

/* Writes OvervoltageFeedIn, in order: who hangs and wakes up ends with what was written last. That it was
 * taken shows when it reads so. */
void system_settings_set_feed_in(struct system_settings *settings, bool on);

/* The instance in "battery:99", -1 when it is none of the class battery. */
int system_settings_parse_instance(const char *class_and_instance);

#endif
