/* A D-Bus variant <-> our value. A reader meets every width of number, text and arrays; we keep what a
 * battery can use and call the rest by its name. */
#ifndef BUS_VALUE_H
#define BUS_VALUE_H

#include <stdbool.h>

enum value_kind {
    VALUE_INVALID,  /* the empty array: the owner does not know it */
    VALUE_NUMBER,   /* any integer, boolean or double; may be NAN or infinite as the sender wrote it */
    VALUE_TEXT,     /* s, o or g */
    VALUE_UNUSABLE, /* an array with content, a struct, a file descriptor: nothing we can use */
};

struct value {
    enum value_kind kind;
    double number;    /* NAN unless VALUE_NUMBER */
    const char *text; /* borrowed from the message, NULL unless VALUE_TEXT */
};

struct value value_invalid(void);
struct value value_number(double number);
struct value value_text(const char *text); /* borrowed */

/* The whole of text as a number ("12.5", " 3 "); false when it is none. For writers over MQTT. */
bool value_parse_number(const char *text, double *number);

/* The D-Bus side. DBusMessageIter is named only here, so that rooms without a bus can use values. */
struct DBusMessageIter;

/* Reads the value at iter, through any depth of variants. Never fails: see the kinds. */
void value_read(struct DBusMessageIter *iter, struct value *out);

/* Appends a variant: 'i' int32 (rounded; out of range saturates), 'd' double, 's' string; an empty
 * int32 array when the value is invalid, its kind does not fit the type, its number is not finite or its
 * text is not UTF-8. False when out of memory. */
bool value_append(struct DBusMessageIter *iter, char type, const struct value *value);

#endif
