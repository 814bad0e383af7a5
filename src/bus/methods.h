/* Methods of our own beside those of items: a table of names, signatures and who answers. What they are
 * about is their owner's business; here arguments are checked and answers packed. */
#ifndef BUS_METHODS_H
#define BUS_METHODS_H

#include <dbus/dbus.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bus/value.h"

/* An answer as it grows. */
struct method_answer;

/* Answers a call with its only argument: a number ('d', or 'b' as 0 or 1). */
typedef void (*method_fn)(void *ctx, double argument, struct method_answer *answer);

struct method {
    const char *name;
    char in;             /* type of the only argument: 'd' or 'b' */
    const char *in_name; /* for Introspect, and for those who call it wrongly: "soc_pct" */
    bool pairs;          /* the answer is a{sd}, filled by method_pair; else it is empty */
    method_fn answer;
};

struct methods {
    const char *interface; /* all of them are on "/" */
    const struct method *method;
    size_t count;
    void *ctx;
};

/* One key and its number; a number that is not finite is left out, for a{sd} knows no unknown. */
void method_pair(struct method_answer *answer, const char *key, double number);

/* The answer is an error with this text instead. wrong: the argument is; else it cannot be done now. */
void method_refuse(struct method_answer *answer, bool wrong, const char *text);

/* True when the call is for this interface, or for none and one of its members. */
bool methods_know(const struct methods *methods, const char *interface, const char *member);

/* The reply to such a call on "/". NULL when out of memory. */
DBusMessage *methods_reply(const struct methods *methods, DBusMessage *call);

/* Its part of Introspect. */
void methods_introspect(const struct methods *methods, FILE *xml);

#endif
