#include "bus/value.h"

#include <dbus/dbus.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct value value_invalid(void)
{
    return (struct value){VALUE_INVALID, NAN, NULL};
}

struct value value_number(double number)
{
    return (struct value){VALUE_NUMBER, number, NULL};
}

struct value value_text(const char *text)
{
    return (struct value){VALUE_TEXT, NAN, text};
}

/* strtod alone would also take "nan", "infinity" and hexadecimal: nothing a person means by a setting. */
bool value_parse_number(const char *text, double *number)
{
    static const char space[] = " \t\r\n";
    char *end;
    double parsed;

    text += strspn(text, space);
    if (!*text || text[strspn(text, "0123456789+-.eE \t\r\n")])
        return false;
    parsed = strtod(text, &end);
    if (end == text || end[strspn(end, space)] || !isfinite(parsed))
        return false;
    *number = parsed;
    return true;
}

static void value_read_basic(DBusMessageIter *iter, int type, struct value *out)
{
    DBusBasicValue basic;

    dbus_message_iter_get_basic(iter, &basic);
    switch (type) {
    case DBUS_TYPE_BYTE:
        *out = value_number(basic.byt);
        break;
    case DBUS_TYPE_BOOLEAN:
        *out = value_number(basic.bool_val ? 1 : 0);
        break;
    case DBUS_TYPE_INT16:
        *out = value_number(basic.i16);
        break;
    case DBUS_TYPE_UINT16:
        *out = value_number(basic.u16);
        break;
    case DBUS_TYPE_INT32:
        *out = value_number(basic.i32);
        break;
    case DBUS_TYPE_UINT32:
        *out = value_number(basic.u32);
        break;
    case DBUS_TYPE_INT64:
        *out = value_number((double)basic.i64);
        break;
    case DBUS_TYPE_UINT64:
        *out = value_number((double)basic.u64);
        break;
    case DBUS_TYPE_DOUBLE:
        *out = value_number(basic.dbl);
        break;
    default: /* s, o, g */
        *out = value_text(basic.str);
        break;
    }
}

void value_read(DBusMessageIter *iter, struct value *out)
{
    DBusMessageIter at = *iter;
    int type;

    while ((type = dbus_message_iter_get_arg_type(&at)) == DBUS_TYPE_VARIANT) {
        DBusMessageIter inner;

        dbus_message_iter_recurse(&at, &inner);
        at = inner;
    }
    *out = (struct value){VALUE_UNUSABLE, NAN, NULL};
    if (type == DBUS_TYPE_ARRAY) {
        DBusMessageIter element;

        dbus_message_iter_recurse(&at, &element);
        if (dbus_message_iter_get_arg_type(&element) == DBUS_TYPE_INVALID)
            *out = value_invalid();
    } else if (dbus_type_is_basic(type) && type != DBUS_TYPE_UNIX_FD) {
        value_read_basic(&at, type, out);
    }
}

static bool append_basic(DBusMessageIter *iter, int type, const char *signature, const void *basic)
{
    DBusMessageIter variant;

    if (!dbus_message_iter_open_container(iter, DBUS_TYPE_VARIANT, signature, &variant))
        return false;
    if (!dbus_message_iter_append_basic(&variant, type, basic)) {
        dbus_message_iter_abandon_container(iter, &variant);
        return false;
    }
    return dbus_message_iter_close_container(iter, &variant);
}

static bool append_invalid(DBusMessageIter *iter)
{
    DBusMessageIter variant, array;

    if (!dbus_message_iter_open_container(iter, DBUS_TYPE_VARIANT, "ai", &variant))
        return false;
    if (!dbus_message_iter_open_container(&variant, DBUS_TYPE_ARRAY, "i", &array)) {
        dbus_message_iter_abandon_container(iter, &variant);
        return false;
    }
    if (!dbus_message_iter_close_container(&variant, &array)) {
        dbus_message_iter_abandon_container(iter, &variant);
        return false;
    }
    return dbus_message_iter_close_container(iter, &variant);
}

static dbus_int32_t saturated(double number)
{
    if (number >= INT32_MAX)
        return INT32_MAX;
    if (number <= INT32_MIN)
        return INT32_MIN;
    return (dbus_int32_t)lround(number);
}

bool value_append(DBusMessageIter *iter, char type, const struct value *value)
{
    bool is_number = value->kind == VALUE_NUMBER && isfinite(value->number);

    if (type == 'i' && is_number) {
        dbus_int32_t number = saturated(value->number);

        return append_basic(iter, DBUS_TYPE_INT32, "i", &number);
    }
    if (type == 'd' && is_number)
        return append_basic(iter, DBUS_TYPE_DOUBLE, "d", &value->number);
    /* libdbus ends the program that hands it text which is not UTF-8. */
    if (type == 's' && value->kind == VALUE_TEXT && value->text && dbus_validate_utf8(value->text, NULL))
        return append_basic(iter, DBUS_TYPE_STRING, "s", &value->text);
    return append_invalid(iter);
}
