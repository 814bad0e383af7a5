#include "sim/fleet_service.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/items_tree.h"

static void on_up(void *ctx)
{
    struct fleet_service *service = ctx;

    bus_name_request(&service->own);
}

static void on_down(void *ctx, const char *why)
{
    struct fleet_service *service = ctx;

    bus_name_down(&service->own);
    if (service->client.unreached)
        service->client.unreached(service->client.ctx, why);
}

static bool on_message(void *ctx, DBusMessage *message)
{
    struct fleet_service *service = ctx;

    if (service->frozen)
        return true; /* taken, and never answered */
    if (items_message(service->items, service->bus, message))
        return true;
    return service->client.message && service->client.message(service->client.ctx, service, message);
}

static void on_acquired(void *ctx)
{
    struct fleet_service *service = ctx;

    items_take_changes(service->items, NULL, NULL);
    service->client.arrived(service->client.ctx, service);
}

static void on_taken(void *ctx)
{
    struct fleet_service *service = ctx;

    fprintf(stderr, "battery-fleet: %s belongs to somebody else, trying again\n", service->name);
}

static int on_set(void *ctx, int item, const struct value *value)
{
    struct fleet_service *service = ctx;

    return service->client.set ? service->client.set(service->client.ctx, service, item, value) : 2;
}

bool fleet_service_init(struct fleet_service *service, const char *name, uv_loop_t *loop, const char *address,
                        const struct fleet_service_client *client)
{
    memset(service, 0, sizeof *service);
    snprintf(service->name, sizeof service->name, "%s", name);
    service->client = *client;
    service->loop = loop;
    service->address = address;
    bus_name_init(&service->own, NULL, loop, service->name,
                  &(struct bus_name_owner){service, on_acquired, on_taken});
    service->items = items_new(on_set, service);
    return service->items != NULL;
}

void fleet_service_end(struct fleet_service *service)
{
    fleet_service_go(service);
    bus_name_close(&service->own);
}

void fleet_service_free(struct fleet_service *service)
{
    for (int item = 0; item < FLEET_ITEMS_MAX; item++)
        free(service->own_text[item]);
    items_free(service->items);
}

bool fleet_service_come(struct fleet_service *service)
{
    const struct bus_owner owner = {service, on_up, on_down, on_message};

    if (service->bus)
        return true;
    service->frozen = false;
    service->bus = bus_new(service->loop, service->address, &owner);
    if (!service->bus)
        return false;
    service->own.bus = service->bus;
    return true;
}

void fleet_service_go(struct fleet_service *service)
{
    if (!service->bus)
        return;
    bus_name_down(&service->own);
    bus_close(service->bus, NULL, NULL);
    service->bus = NULL;
}

int fleet_service_add(struct fleet_service *service, const char *path, char type, int decimals,
                      const char *unit, bool writable)
{
    const struct item_def def = {path, type,    (signed char)decimals, ROUND_NEAREST, unit, NULL,
                                 NULL, writable};

    if (items_count(service->items) >= FLEET_ITEMS_MAX)
        return -1;
    return items_add(service->items, &def);
}

void fleet_service_number(struct fleet_service *service, const char *path, double number)
{
    int item = items_find(service->items, path);

    if (item >= 0 && !service->overruled[item])
        items_set_number(service->items, item, number);
}

void fleet_service_text(struct fleet_service *service, const char *path, const char *text)
{
    int item = items_find(service->items, path);

    if (item >= 0 && !service->overruled[item])
        items_set_text(service->items, item, text);
}

/* A hand may put a text where a number belongs and the other way round: drivers do. */
static char hand_type(char own_type, bool text)
{
    if (text)
        return 's';
    return own_type == 's' ? 'd' : own_type;
}

static void keep_own(struct fleet_service *service, int item)
{
    struct value value = items_value(service->items, item);

    service->own_type[item] = items_kind(service->items, item)->type;
    service->own_number[item] = value.kind == VALUE_NUMBER ? value.number : NAN;
    free(service->own_text[item]);
    service->own_text[item] = value.kind == VALUE_TEXT ? strdup(value.text) : NULL;
}

static void restore_own(struct fleet_service *service, int item)
{
    items_set_type(service->items, item, service->own_type[item]);
    if (service->own_text[item])
        items_set_text(service->items, item, service->own_text[item]);
    else
        items_set_number(service->items, item, service->own_number[item]);
}

const char *fleet_service_override(struct fleet_service *service, const char *path, const char *value)
{
    size_t length = strlen(value);
    bool text = length >= 2 && value[0] == '"' && value[length - 1] == '"';
    bool invalid = strcmp(value, "-") == 0;
    int item = items_find(service->items, path);
    double number = NAN;
    char words[ITEMS_TEXT_MAX];
    char *end;

    if (!text && !invalid) {
        number = strtod(value, &end);
        if (end == value || *end)
            return "a value is a number, a \"text\" or -";
    }
    if (item < 0)
        item = fleet_service_add(service, path, text ? 's' : 'd', 3, "", false);
    if (item < 0)
        return "no such path, and it cannot be added";
    if (!service->overruled[item])
        keep_own(service, item);
    service->overruled[item] = true;
    if (!invalid && !items_set_type(service->items, item, hand_type(service->own_type[item], text)))
        return "out of memory";
    snprintf(words, sizeof words, "%.*s", text ? (int)length - 2 : 0, value + 1);
    if (text)
        items_set_text(service->items, item, words);
    else
        items_set_number(service->items, item, number);
    return NULL;
}

const char *fleet_service_release(struct fleet_service *service, const char *path)
{
    int item = items_find(service->items, path);

    if (item < 0)
        return "no such path";
    if (service->overruled[item])
        restore_own(service, item);
    service->overruled[item] = false;
    return NULL;
}

void fleet_service_publish(struct fleet_service *service)
{
    if (service->bus && !service->frozen && bus_name_is_ours(&service->own))
        items_publish(service->items, service->bus);
}
