/* Makes D-Bus messages that libdbus takes for good, of any signature, led by the bytes of an input: mostly
 * of the shapes, names and paths that our handlers look for, so that they get past the first test. */
#ifndef TESTS_FUZZ_MAKER_H
#define TESTS_FUZZ_MAKER_H

#include <dbus/dbus.h>

#include "bus/paths.h"
#include "fuzz/bytes.h"

#define MAKER_NUMBER_PATH "/Fuzz/Number" /* a number of ours that may be written */

enum { MAKER_TEXT_MAX = 512 };

struct maker {
    struct bytes bytes;
    const struct paths *paths; /* those of a battery: likely keys */
};

extern const char *const maker_names[];  /* well-known names on the bus */
extern const char *const maker_owners[]; /* unique names */
extern const size_t maker_name_count, maker_owner_count;

/* Each is to be unreferenced. */
DBusMessage *maker_signal(struct maker *maker);                   /* of a service */
DBusMessage *maker_owner_changed(struct maker *maker);            /* of the bus, or of who claims to be it */
DBusMessage *maker_call(struct maker *maker);                     /* of a client of ours */
DBusMessage *maker_reply(struct maker *maker, DBusMessage *call); /* NULL: none comes */

#endif
