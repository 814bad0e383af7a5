#include "fuzz/fake_bus.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz/targets.h"

struct call {
    struct call *next;
    DBusMessage *message;
    bus_reply_fn reply;
    void *ctx;
};

struct rule {
    struct rule *next;
    char text[];
};

struct bus {
    bool up;
    struct call *calls;
    struct rule *rules;
    size_t call_count, rule_count, most_calls, most_rules;
};

struct bus *fake_bus_new(void)
{
    struct bus *bus = calloc(1, sizeof *bus);

    REQUIRE(bus);
    bus->up = true;
    return bus;
}

void fake_bus_free(struct bus *bus)
{
    REQUIRE(!bus->calls && !bus->rules);
    free(bus);
}

size_t fake_bus_calls(const struct bus *bus)
{
    return bus->call_count;
}

size_t fake_bus_most_calls(const struct bus *bus)
{
    return bus->most_calls;
}

size_t fake_bus_most_rules(const struct bus *bus)
{
    return bus->most_rules;
}

DBusMessage *fake_bus_call(const struct bus *bus, size_t index)
{
    struct call *call = bus->calls;

    while (index-- > 0)
        call = call->next;
    return call->message;
}

void fake_bus_answer(struct bus *bus, size_t index, DBusMessage *reply)
{
    struct call **link = &bus->calls;
    struct call *call;

    while (index-- > 0)
        link = &(*link)->next;
    call = *link;
    *link = call->next;
    bus->call_count--;
    if (call->reply)
        call->reply(call->ctx, reply);
    dbus_message_unref(call->message);
    free(call);
}

void fake_bus_break(struct bus *bus)
{
    bus->up = false;
    while (bus->calls)
        fake_bus_answer(bus, 0, NULL);
    while (bus->rules) {
        struct rule *rule = bus->rules;

        bus->rules = rule->next;
        free(rule);
    }
    bus->rule_count = 0;
}

void fake_bus_mend(struct bus *bus)
{
    bus->up = true;
}

/* What goes out is good for the wire: libdbus checks all of it when it takes it apart again. */
static void check_sent(DBusMessage *message)
{
    DBusMessage *copy = dbus_message_copy(message);
    DBusMessage *back;
    char *wire = NULL;
    int length = 0;

    REQUIRE(copy);
    dbus_message_set_serial(copy, 1);
    REQUIRE(dbus_message_marshal(copy, &wire, &length));
    back = dbus_message_demarshal(wire, length, NULL);
    REQUIRE(back);
    dbus_message_unref(back);
    dbus_free(wire);
    dbus_message_unref(copy);
}

/* ---- bus/loop.h ---- */

bool bus_is_up(const struct bus *bus)
{
    return bus->up;
}

void bus_call(struct bus *bus, DBusMessage *message, int timeout_ms, bus_reply_fn reply, void *ctx)
{
    struct call **link = &bus->calls;
    struct call *call;

    (void)timeout_ms;
    if (!bus->up) {
        if (reply)
            reply(ctx, NULL);
        return;
    }
    check_sent(message);
    call = calloc(1, sizeof *call);
    REQUIRE(call);
    *call = (struct call){NULL, dbus_message_ref(message), reply, ctx};
    while (*link)
        link = &(*link)->next;
    *link = call;
    if (++bus->call_count > bus->most_calls)
        bus->most_calls = bus->call_count;
}

void bus_call_patient(struct bus *bus, DBusMessage *message, int timeout_ms, bus_reply_fn reply, void *ctx)
{
    bus_call(bus, message, timeout_ms, reply, ctx);
}

bool bus_may_ask(const struct bus *bus, const char *to)
{
    (void)bus;
    (void)to;
    return true;
}

/* Beyond BUS_PATIENT_MAX they wait. */
bool bus_call_forget(struct bus *bus, bus_reply_fn reply, const void *ctx)
{
    struct call **link = &bus->calls;
    struct call *call;
    size_t before = 0;

    while (*link && ((*link)->reply != reply || (*link)->ctx != ctx)) {
        link = &(*link)->next;
        before++;
    }
    call = *link;
    if (!call || before < BUS_PATIENT_MAX)
        return false;
    *link = call->next;
    bus->call_count--;
    dbus_message_unref(call->message);
    free(call);
    return true;
}

bool bus_send(struct bus *bus, DBusMessage *message)
{
    if (bus->up)
        check_sent(message);
    return bus->up;
}

void bus_match_add(struct bus *bus, const char *text)
{
    size_t size = strlen(text) + 1;
    struct rule *rule;

    if (!bus->up)
        return;
    rule = malloc(sizeof *rule + size);
    REQUIRE(rule && size <= DBUS_MAXIMUM_MATCH_RULE_LENGTH);
    memcpy(rule->text, text, size);
    rule->next = bus->rules;
    bus->rules = rule;
    if (++bus->rule_count > bus->most_rules)
        bus->most_rules = bus->rule_count;
}

/* What is removed was added. */
void bus_match_remove(struct bus *bus, const char *text)
{
    struct rule **link = &bus->rules;
    struct rule *rule;

    if (!bus->up)
        return;
    while (*link && strcmp((*link)->text, text) != 0)
        link = &(*link)->next;
    REQUIRE(*link);
    rule = *link;
    *link = rule->next;
    free(rule);
    bus->rule_count--;
}

void bus_flush(struct bus *bus, bool wait)
{
    (void)bus;
    (void)wait;
}
