#include "bus/methods.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES_MAX = 256 };

struct method_answer {
    DBusMessage *call;
    DBusMessage *reply; /* NULL = out of memory */
    DBusMessageIter iter, pairs;
    bool complete;
    char error[TEXT_BYTES_MAX]; /* "" = none */
    const char *error_name;
};

/* libdbus would abort the program over anything that is not UTF-8. */
static void copy_valid(char *to, const char *from)
{
    snprintf(to, TEXT_BYTES_MAX, "%s", from);
    if (dbus_validate_utf8(to, NULL))
        return;
    for (; *to; to++) {
        if ((unsigned char)*to >= 0x80)
            *to = '?';
    }
}

void method_pair(struct method_answer *answer, const char *key, double number)
{
    char text[TEXT_BYTES_MAX];
    const char *valid = text;
    DBusMessageIter entry;

    if (!isfinite(number) || !answer->complete)
        return;
    copy_valid(text, key);
    answer->complete = dbus_message_iter_open_container(&answer->pairs, DBUS_TYPE_DICT_ENTRY, NULL, &entry) &&
                       dbus_message_iter_append_basic(&entry, DBUS_TYPE_STRING, &valid) &&
                       dbus_message_iter_append_basic(&entry, DBUS_TYPE_DOUBLE, &number) &&
                       dbus_message_iter_close_container(&answer->pairs, &entry);
}

void method_refuse(struct method_answer *answer, bool wrong, const char *text)
{
    copy_valid(answer->error, text);
    answer->error_name = wrong ? DBUS_ERROR_INVALID_ARGS : DBUS_ERROR_FAILED;
}

static const struct method *find(const struct methods *methods, const char *member)
{
    for (size_t i = 0; i < methods->count; i++) {
        if (member && strcmp(methods->method[i].name, member) == 0)
            return &methods->method[i];
    }
    return NULL;
}

bool methods_know(const struct methods *methods, const char *interface, const char *member)
{
    if (interface)
        return strcmp(interface, methods->interface) == 0;
    return find(methods, member) != NULL;
}

/* The only argument, of exactly the type that the method takes. */
static bool read_argument(const struct method *method, DBusMessage *call, double *number)
{
    const char wanted[2] = {method->in, '\0'};
    DBusMessageIter iter;
    struct value value;

    if (!dbus_message_has_signature(call, wanted) || !dbus_message_iter_init(call, &iter))
        return false;
    value_read(&iter, &value);
    *number = value.number;
    return value.kind == VALUE_NUMBER;
}

static void answer_call(const struct methods *methods, const struct method *method, double argument,
                        struct method_answer *answer)
{
    answer->reply = dbus_message_new_method_return(answer->call);
    if (!answer->reply)
        return;
    dbus_message_iter_init_append(answer->reply, &answer->iter);
    answer->complete = !method->pairs || dbus_message_iter_open_container(&answer->iter, DBUS_TYPE_ARRAY,
                                                                          "{sd}", &answer->pairs);
    if (answer->complete)
        method->answer(methods->ctx, argument, answer);
    if (method->pairs && answer->complete)
        answer->complete = dbus_message_iter_close_container(&answer->iter, &answer->pairs);
}

DBusMessage *methods_reply(const struct methods *methods, DBusMessage *call)
{
    const struct method *method = find(methods, dbus_message_get_member(call));
    struct method_answer answer = {.call = call};
    char text[TEXT_BYTES_MAX];
    double argument;

    if (!method)
        return dbus_message_new_error(call, DBUS_ERROR_UNKNOWN_METHOD, dbus_message_get_member(call));
    if (!read_argument(method, call, &argument)) {
        snprintf(text, sizeof text, "%s takes one argument, %s, of type '%c'", method->name, method->in_name,
                 method->in);
        return dbus_message_new_error(call, DBUS_ERROR_INVALID_ARGS, text);
    }
    answer_call(methods, method, argument, &answer);
    if (answer.reply && (answer.error[0] || !answer.complete)) {
        dbus_message_unref(answer.reply);
        answer.reply = answer.error[0] ? dbus_message_new_error(call, answer.error_name, answer.error) : NULL;
    }
    return answer.reply;
}

void methods_introspect(const struct methods *methods, FILE *xml)
{
    fprintf(xml, " <interface name=\"%s\">\n", methods->interface);
    for (size_t i = 0; i < methods->count; i++) {
        const struct method *method = &methods->method[i];

        fprintf(xml, "  <method name=\"%s\"><arg direction=\"in\" name=\"%s\" type=\"%c\"/>%s</method>\n",
                method->name, method->in_name, method->in,
                method->pairs ? "<arg direction=\"out\" type=\"a{sd}\"/>" : "");
    }
    fputs(" </interface>\n", xml);
}
