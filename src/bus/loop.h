/* libdbus on libuv: one connection that lives as long as its owner wants it. It connects, says Hello,
 * reconnects with back-off when the bus goes, and carries asynchronous calls with a timeout each.
 * Nothing here blocks and nothing polls. */
#ifndef BUS_LOOP_H
#define BUS_LOOP_H

#include <dbus/dbus.h>
#include <stdbool.h>
#include <uv.h>

enum {
    BUS_CALL_TIMEOUT_MS = 3000,
    BUS_RECONNECT_MIN_MS = 50,
    BUS_RECONNECT_MAX_MS = 1000,
    /* A bus refuses a call when 128 of one connection have no answer yet (max_replies_per_connection of a
     * system bus): patient calls leave the rest to urgent ones. */
    BUS_PATIENT_MAX = 96,
    BUS_OPEN_MAX = 112,     /* the same, with those that were given up by us and not by the bus */
    BUS_WAITING_MAX = 8192, /* patient calls that wait; further ones are answered with NULL at once */
};

struct bus;

struct bus_owner {
    void *ctx;
    /* The connection is up and has its unique name: subscribe, scan, register. */
    void (*up)(void *ctx);
    /* The connection is gone with everything that was on it; every call in flight has been answered
     * with NULL before. A new attempt is under way. why is for the log. */
    void (*down)(void *ctx, const char *why);
    /* A signal, a method call that nobody took, or the answer to a call that was given up. Returns true when
     * it was handled. May be NULL. */
    bool (*message)(void *ctx, DBusMessage *message);
};

/* The reply of a call: a method return or an error message, borrowed; NULL when the connection went.
 * A timeout arrives as the error org.freedesktop.DBus.Error.NoReply. */
typedef void (*bus_reply_fn)(void *ctx, DBusMessage *reply);

/* The address that Venus programs use: the session bus if DBUS_SESSION_BUS_ADDRESS is set, else the
 * system bus (DBUS_SYSTEM_BUS_ADDRESS, or its well-known socket). Never NULL. */
const char *bus_default_address(void);

/* Starts connecting to address (copied; NULL = bus_default_address). The first attempt is made at once,
 * its outcome arrives through owner. NULL only when out of memory. */
struct bus *bus_new(uv_loop_t *loop, const char *address, const struct bus_owner *owner);

/* Flushes what is queued, closes and frees; calls in flight get NULL. closed (may be NULL) is called
 * when all handles are gone and the bus is freed. No owner callback after this. */
void bus_close(struct bus *bus, void (*closed)(void *ctx), void *ctx);

bool bus_is_up(const struct bus *bus);

/* The connection, NULL while down. For appending match rules and registering object paths. */
DBusConnection *bus_connection(struct bus *bus);

/* Sends a method call (takes a reference of its own) and answers through reply exactly once.
 * timeout_ms 0 = BUS_CALL_TIMEOUT_MS. While down, reply is called at once with NULL. */
void bus_call(struct bus *bus, DBusMessage *call, int timeout_ms, bus_reply_fn reply, void *ctx);

/* The same for those who ask many at once: the call waits, in order, while BUS_PATIENT_MAX are in flight, or
 * BUS_OPEN_MAX at the bus. The timeout runs from its sending. With that many given up and none on its way
 * reply is called at once with NULL. */
void bus_call_patient(struct bus *bus, DBusMessage *call, int timeout_ms, bus_reply_fn reply, void *ctx);

/* The bus keeps a call that timed out, and there is an end to what it keeps: whoever asks the same service
 * again and again looks here before. False: to (a unique name) has not answered so many that it is not to be
 * asked now; see owed.h. */
bool bus_may_ask(const struct bus *bus, const char *to);

/* Whether that is how a call ends that was not answered in time: it may still be done. */
bool bus_is_timeout(DBusMessage *reply);

/* Takes back a patient call that still waits; its reply is not called then. False: it is on its way. */
bool bus_call_forget(struct bus *bus, bus_reply_fn reply, const void *ctx);

/* Queues a message without waiting for an answer; false while down or out of memory. */
bool bus_send(struct bus *bus, DBusMessage *message);

/* Adds a match rule without waiting for the answer. */
void bus_match_add(struct bus *bus, const char *rule);
void bus_match_remove(struct bus *bus, const char *rule);

/* Writes out what is queued as far as the socket takes it without blocking... and, when `wait` is true,
 * until it is out (used once, when the program leaves). */
void bus_flush(struct bus *bus, bool wait);

#endif
