/* The bus for commands that ask one thing after the other and may wait for each answer. */
#ifndef COMMANDS_CONNECT_H
#define COMMANDS_CONNECT_H

#include <dbus/dbus.h>
#include <stdbool.h>

#include "bus/value.h"

enum { CONNECT_ANSWER_MS = 2000 };

/* A private connection; address NULL = as Venus programs choose it. NULL: said on stderr. */
DBusConnection *connect_bus(const char *address);
void connect_close(DBusConnection *connection); /* NULL is fine */

/* GetValue of a number. False when there is no answer; a text is told as its kind only. */
bool connect_get(DBusConnection *connection, const char *service, const char *path, struct value *value);

/* SetValue with an int32. What it answered: 0 accepted; -1 when there was no answer. */
int connect_set(DBusConnection *connection, const char *service, const char *path, int number);

#endif
