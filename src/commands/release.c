#include "commands/release.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/connect.h"
#include "state.h"
#include "venus/inputs.h"
#include "venus/outputs.h"

#define SETTINGS_SERVICE "com.victronenergy.settings"

static int still_owed(const char *why)
{
    fprintf(stderr, "battery-aggregator: DC feed-in is still owed to the user: %s\n", why);
    return 1;
}

/* While the daemon runs it holds feed-in off for a reason, and pays by itself. */
static const char *pay(DBusConnection *connection)
{
    struct value value;

    if (dbus_bus_name_has_owner(connection, OUTPUTS_SERVICE, NULL))
        return "the daemon runs and returns it when the cells are calm. To pay it now, stop the daemon first";
    if (!connect_get(connection, SETTINGS_SERVICE, SETTINGS_FEED_IN_PATH, &value))
        return SETTINGS_SERVICE " is not on the bus or does not answer: try again when the system is up, or "
                                "turn it on in the GUI (Settings, ESS, DC-coupled PV - feed in excess)";
    if (connect_set(connection, SETTINGS_SERVICE, SETTINGS_FEED_IN_PATH, 1) != 0)
        return SETTINGS_SERVICE " refused to turn it on";
    if (!connect_get(connection, SETTINGS_SERVICE, SETTINGS_FEED_IN_PATH, &value) ||
        value.kind != VALUE_NUMBER || value.number != 1)
        return "it was written but does not read back as 1";
    return NULL;
}

int command_release(const struct command_arguments *arguments)
{
    char message[512];
    struct work_memory work;
    struct state state;
    enum state_finding finding;
    DBusConnection *connection;
    const char *unpaid;
    int result;

    if (access(arguments->data_directory, F_OK) != 0) {
        fprintf(stderr, "battery-aggregator: %s: %s. The data folder of the daemon is named by --data\n",
                arguments->data_directory, strerror(errno));
        return 1;
    }
    finding = state_read(arguments->data_directory, &state, &work, message, sizeof message);
    if (finding > STATE_MISSING) /* of a first start there is nothing to tell */
        fprintf(stderr, "battery-aggregator: %s\n", message);
    if (!state.feed_in_debt) {
        printf("Nothing is owed by state.ini in %s (another folder is named by --data)\n",
               arguments->data_directory);
        return 0;
    }
    connection = connect_bus(arguments->bus_address);
    if (!connection)
        return still_owed("there is no bus");
    unpaid = pay(connection);
    connect_close(connection);
    if (unpaid)
        return still_owed(unpaid);
    state.feed_in_debt = false;
    state.feed_in_held_s = 0;
    state.feed_in_packs = 0;
    result = state_write(arguments->data_directory, &state);
    if (result < 0) {
        fprintf(stderr, "battery-aggregator: DC feed-in is on again, but state.ini cannot be written: %s\n",
                strerror(-result));
        return 1;
    }
    printf("DC feed-in is on again, as the user had it\n");
    return 0;
}
