#include "venus/pages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meaning.h"

/* One path under /Battery/<n>/, from a field of struct pack: a double, or a char array for 's'. */
struct field {
    struct item_def item;
    size_t offset;
    double step; /* smaller changes are not shown; of the pack that is asked for a fifth of that */
};

#define OF(member) offsetof(struct pack, member)
#define REAL(path, decimals, unit, member, step, help)                                           \
    {                                                                                            \
        {path, 'd', decimals, ROUND_NEAREST, unit, NULL, MEANING(help), false}, OF(member), step \
    }
#define LIMIT(path, decimals, unit, member, step, help)                                       \
    {                                                                                         \
        {path, 'd', decimals, ROUND_DOWN, unit, NULL, MEANING(help), false}, OF(member), step \
    }
#define NAMED(path, names, member, help)                                                \
    {                                                                                   \
        {path, 'i', 0, ROUND_NEAREST, NULL, names, MEANING(help), false}, OF(member), 0 \
    }
#define WORDS(path, member, help)                                                      \
    {                                                                                  \
        {path, 's', 0, ROUND_NEAREST, NULL, NULL, MEANING(help), false}, OF(member), 0 \
    }

static const char *const yes_no[] = {"No", "Yes", NULL};

static const struct field fields[] = {
    {{"Soc", 'i', 0, ROUND_NEAREST, "%", NULL, "Its state of charge", false}, OF(reading.soc_pct), 1},
    REAL("Voltage", 2, "V", reading.voltage_V, 0.05, "Its voltage"),
    REAL("Current", 1, "A", reading.current_A, 1, "Current into it, + charges"),
    REAL("Temperature", 1, "°C", reading.temperature_C, 1, "Its temperature"),
    REAL("Capacity", 1, "Ah", reading.capacity_installed_Ah, 0, "Its capacity when full"),
    WORDS("FwVersion", reading.firmware, "Firmware of its BMS"),
    REAL("System/MinCellVoltage", 3, "V", cells.lowest_V, 0.01, "Its lowest cell"),
    REAL("System/MaxCellVoltage", 3, "V", cells.highest_V, 0.01, "Its highest cell"),
    LIMIT("Info/MaxChargeVoltage", 2, "V", reading.charge_voltage_max_V, 0, "The CVL it asks for"),
    LIMIT("Info/MaxChargeCurrent", 1, "A", reading.charge_current_max_A, 1, "The CCL it asks for"),
    LIMIT("Info/MaxDischargeCurrent", 1, "A", reading.discharge_current_max_A, 1, "The DCL it asks for"),
    WORDS("Info/ChargeMode", reading.charge_mode, "What its driver says about charging"),
    NAMED("Io/AllowToCharge", yes_no, reading.allow_charge, "0: it blocks charging"),
    NAMED("Io/AllowToDischarge", yes_no, reading.allow_discharge, "0: it blocks discharging"),
};

/* What was learned of it, from a field of struct pages_learned. */
#define LEARNED(path, type, decimals, unit, member, step, help)                  \
    {                                                                            \
        {path, type, decimals, ROUND_NEAREST, unit, NULL, MEANING(help), false}, \
            offsetof(struct pages_learned, member), step                         \
    }

static const struct field learned_fields[] = {
    LEARNED(
        "Share", 'i', 0, "%", share_pct, 1,
        "Part of the bank's charge current that CCL takes it to carry (CURRENT_SHARING); of a string, what "
        "each of its packs carries"),
    LEARNED("Resistance", 'd', 1, "mOhm", resistance_mOhm, 0.3,
            "Its resistance, from steps of its own current and voltage"),
    LEARNED("ResistanceDeviation", 'd', 1, "mOhm", deviation_mOhm, 0.3,
            "How certain that is: one standard deviation"),
};

enum who { WHO_SERVICE, WHO_NAME, WHO_SERIAL, WHO_STATE, WHO_ALARM, WHO_AGE, WHO_COUNT };

static const struct item_def who_items[WHO_COUNT] = {
    [WHO_SERVICE] = {"Service", 's', 0, 0, NULL, NULL, "Its service on the bus, there in full detail", false},
    [WHO_NAME] = {"Name", 's', 0, 0, NULL, NULL, "What it is called here", false},
    [WHO_SERIAL] = {"Serial", 's', 0, 0, NULL, NULL, "Its serial number, by which it is known again", false},
    [WHO_STATE] = {"State", 's', 0, 0, NULL, NULL, "online, or missing", false},
    [WHO_ALARM] = {"Alarm", 'i', 0, 0, NULL, outputs_alarm_levels,
                   "The highest of its alarms; 1 at least while it is missing", false},
    [WHO_AGE] = {"Age", 'i', 0, 0, "s", NULL,
                 "Since it last said or answered anything, in steps of 10 s, minutes, hours", false},
};

static const size_t who_room[WHO_COUNT] = {
    [WHO_SERVICE] = ITEMS_TEXT_MAX,
    [WHO_NAME] = READING_TEXT_MAX,
    [WHO_SERIAL] = READING_TEXT_MAX,
    [WHO_STATE] = sizeof "missing", /* no state is longer */
};

static const struct item_def request_item = {
    "/Battery/Request/Id",
    'i',
    0,
    0,
    NULL,
    NULL,
    "The pack that the user interface looks at: its cells are shown, its values finer and every second",
    true};
static const struct item_def cell_item = {
    NULL, 'd', 3, 0, "V", NULL, "A cell of the pack in /Battery/Request/Id, to 2 mV; of the others not shown",
    false};
static const struct item_def module_id_item = {
    NULL, 's', 0, 0, NULL, NULL, "What the pack is called; ten packs at most", false};
static const struct item_def module_alarm_item = {
    NULL,
    'i',
    0,
    0,
    NULL,
    outputs_alarm_levels,
    "The alarms of this pack, those that it knows; BmsCable is 1 while it is missing",
    false};

#define ASKED_SHARE 0.2
#define CELL_STEP_V 0.0025

enum {
    FIELDS = sizeof fields / sizeof *fields,
    LEARNED_FIELDS = sizeof learned_fields / sizeof *learned_fields,
    PAGE_PATH_MAX = 80,
    MISSING_LEVEL = 1, /* as the bank says it */
};

struct page {
    bool used;                   /* the items are there */
    bool present;                /* the slot has a pack that is here */
    bool taken;                  /* the slot has a pack */
    int first;                   /* its items: enum who, and then fields */
    int learned[LEARNED_FIELDS]; /* -1: never known */
    double learned_shown[LEARNED_FIELDS];
    double shown[FIELDS]; /* numbers as they were before rounding; NAN = not shown */
};

struct module {
    int id;
    int alarm[ALARM_COUNT]; /* -1: its pack never showed that alarm */
};

struct pages {
    struct items *items;
    int request;
    size_t slot;                 /* that is asked for */
    int cell[READING_CELLS_MAX]; /* its cells; -1: not shown so far */
    double cell_shown_V[READING_CELLS_MAX];
    struct page page[OUTPUTS_PACKS_MAX];
    struct module module[PAGES_MODULES_MAX];
};

/* room: of a text. */
static int add(struct items *items, const struct item_def *like, const char *path, size_t room)
{
    struct item_def def = *like;

    def.path = path;
    return items_add_short(items, &def, room);
}

struct pages *pages_new(struct items *items)
{
    struct pages *pages = calloc(1, sizeof *pages);

    if (!pages)
        return NULL;
    pages->items = items;
    pages->request = items_add(items, &request_item);
    memset(pages->cell, -1, sizeof pages->cell);
    memset(pages->module, -1, sizeof pages->module);
    if (pages->request < 0) {
        pages_free(pages);
        return NULL;
    }
    items_set_number(items, pages->request, 1);
    return pages;
}

void pages_free(struct pages *pages)
{
    free(pages);
}

static int who_item(const struct page *page, enum who who)
{
    return page->first + (int)who;
}

static int field_item(const struct page *page, size_t field)
{
    return page->first + WHO_COUNT + (int)field;
}

/* ---- who is there ---- */

static bool add_page(struct pages *pages, size_t slot)
{
    struct page *page = &pages->page[slot];
    char path[PAGE_PATH_MAX];

    page->first = (int)items_count(pages->items);
    for (int i = 0; i < WHO_COUNT; i++) {
        snprintf(path, sizeof path, "/Battery/%zu/%s", slot + 1, who_items[i].path);
        if (add(pages->items, &who_items[i], path, who_room[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < FIELDS; i++) {
        snprintf(path, sizeof path, "/Battery/%zu/%s", slot + 1, fields[i].item.path);
        if (add(pages->items, &fields[i].item, path, READING_TEXT_MAX) < 0)
            return false;
        page->shown[i] = NAN;
    }
    memset(page->learned, -1, sizeof page->learned);
    if (slot < PAGES_MODULES_MAX) {
        snprintf(path, sizeof path, "/Diagnostics/Module%zu/Id", slot);
        pages->module[slot].id = add(pages->items, &module_id_item, path, READING_TEXT_MAX);
    }
    return true;
}

void pages_set_pack(struct pages *pages, size_t slot, const struct pages_pack *pack)
{
    struct page *page;

    if (slot >= OUTPUTS_PACKS_MAX)
        return;
    page = &pages->page[slot];
    if (!page->used) {
        if (!*pack->service || !add_page(pages, slot))
            return; /* out of memory: the bank goes on without this page */
        page->used = true;
    }
    page->taken = *pack->service != '\0';
    page->present = page->taken && pack->present;
    items_set_known_text(pages->items, who_item(page, WHO_SERVICE), pack->service);
    items_set_known_text(pages->items, who_item(page, WHO_NAME), pack->name);
    items_set_known_text(pages->items, who_item(page, WHO_SERIAL), pack->serial);
    items_set_known_text(pages->items, who_item(page, WHO_STATE),
                         !page->taken    ? ""
                         : page->present ? "online"
                                         : "missing");
    if (slot < PAGES_MODULES_MAX && pages->module[slot].id >= 0)
        items_set_known_text(pages->items, pages->module[slot].id, pack->name);
}

/* ---- what it says ---- */

bool pages_is_turn(const struct pages *pages, size_t slot, size_t turn)
{
    return slot == pages->slot || slot % PAGES_TURNS == turn % PAGES_TURNS;
}

/* A value at the edge between two roundings would be news every time, and the last digit of a cell always is.
 * Zero is no approximation: a limit of 0 is shown as that. */
static void set_coarsely(struct items *items, int item, double number, double step, double *shown)
{
    if (fabs(number - *shown) < step && (number != 0) == (*shown != 0))
        return;
    *shown = number;
    items_set_number(items, item, number);
}

static void set_fields(struct pages *pages, struct page *page, const struct pack *pack, double share)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const void *field = (const char *)pack + fields[i].offset;

        if (fields[i].item.type == 's')
            items_set_known_text(pages->items, field_item(page, i), field);
        else
            set_coarsely(pages->items, field_item(page, i), *(const double *)field, share * fields[i].step,
                         &page->shown[i]);
    }
}

static void forget_fields(struct pages *pages, struct page *page)
{
    for (size_t i = 0; i < FIELDS; i++) {
        page->shown[i] = NAN;
        items_set_invalid(pages->items, field_item(page, i));
    }
}

static double age_shown_s(double age_s)
{
    double step_s = age_s < 60 ? PAGES_AGE_STEP_S : age_s < 3600 ? 60 : 3600;

    return floor(age_s / step_s) * step_s;
}

static double highest_alarm(const struct pack *pack)
{
    double highest = pack ? NAN : MISSING_LEVEL;

    for (int i = 0; pack && i < ALARM_COUNT; i++)
        highest = fmax(highest, pack->reading.alarm[i]);
    return highest;
}

/* Items for what the pack shows only: most drivers know half of the alarms. */
static void set_module_alarm(struct pages *pages, size_t slot, enum alarm alarm, double level)
{
    int *item = &pages->module[slot].alarm[alarm];
    char path[PAGE_PATH_MAX];

    if (*item < 0 && isnan(level))
        return;
    if (*item < 0) {
        snprintf(path, sizeof path, "/Diagnostics/Module%zu/Alarms/%s", slot, alarm_name(alarm));
        *item = add(pages->items, &module_alarm_item, path, 0);
    }
    if (*item >= 0)
        items_set_number(pages->items, *item, level);
}

static void set_module(struct pages *pages, size_t slot, const struct pack *pack)
{
    bool taken = pages->page[slot].taken;

    for (int i = 0; i < ALARM_COUNT; i++) {
        double level = pack ? pack->reading.alarm[i] : NAN;

        if (i == ALARM_BMS_CABLE && taken)
            level = pack ? fmax(level, 0) : MISSING_LEVEL;
        set_module_alarm(pages, slot, (enum alarm)i, level);
    }
}

/* Only of the pack that somebody looks at: 64 packs of 16 cells would be a thousand values that change all
 * the time. */
static void set_cells(struct pages *pages, const struct pack *pack)
{
    for (size_t i = 0; i < READING_CELLS_MAX; i++) {
        double voltage_V = pack ? pack->reading.cell_V[i] : NAN;
        char path[PAGE_PATH_MAX];

        if (pages->cell[i] < 0 && !isnan(voltage_V)) {
            snprintf(path, sizeof path, "/Battery/%zu/Cell/%zu/Voltage", pages->slot + 1, i + 1);
            pages->cell[i] = items_find(pages->items, path);
            pages->cell_shown_V[i] = NAN;
            if (pages->cell[i] < 0)
                pages->cell[i] = add(pages->items, &cell_item, path, 0);
        }
        if (pages->cell[i] >= 0)
            set_coarsely(pages->items, pages->cell[i], voltage_V, CELL_STEP_V, &pages->cell_shown_V[i]);
    }
}

void pages_set_values(struct pages *pages, size_t slot, const struct pack *pack, double age_s)
{
    struct page *page;
    bool is_asked_for = slot == pages->slot;

    if (slot >= OUTPUTS_PACKS_MAX || !pages->page[slot].used)
        return;
    page = &pages->page[slot];
    if (!page->present)
        pack = NULL;
    if (pack)
        set_fields(pages, page, pack, is_asked_for ? ASKED_SHARE : 1);
    else
        forget_fields(pages, page);
    items_set_number(pages->items, who_item(page, WHO_ALARM), page->taken ? highest_alarm(pack) : NAN);
    items_set_number(pages->items, who_item(page, WHO_AGE), page->taken ? age_shown_s(age_s) : NAN);
    if (slot < PAGES_MODULES_MAX)
        set_module(pages, slot, pack);
    if (is_asked_for)
        set_cells(pages, pack);
}

/* Items for what is known only: without limits that are merged there are no shares, and most of 64 packs
 * never make a step. */
void pages_set_learned(struct pages *pages, size_t slot, const struct pages_learned *learned)
{
    struct page *page;

    if (slot >= OUTPUTS_PACKS_MAX || !pages->page[slot].used)
        return;
    page = &pages->page[slot];
    for (size_t i = 0; i < LEARNED_FIELDS; i++) {
        const struct field *field = &learned_fields[i];
        double number = *(const double *)(const void *)((const char *)learned + field->offset);
        char path[PAGE_PATH_MAX];

        if (page->learned[i] < 0 && isnan(number))
            continue;
        if (page->learned[i] < 0) {
            snprintf(path, sizeof path, "/Battery/%zu/%s", slot + 1, field->item.path);
            page->learned[i] = add(pages->items, &field->item, path, 0);
            page->learned_shown[i] = NAN;
        }
        if (page->learned[i] >= 0)
            set_coarsely(pages->items, page->learned[i], page->present ? number : NAN, field->step,
                         &page->learned_shown[i]);
    }
}

/* ---- who is looked at ---- */

bool pages_request(struct pages *pages, double id)
{
    if (!(id >= 1 && id <= OUTPUTS_PACKS_MAX) || !pages->page[(size_t)id - 1].taken)
        return false;
    set_cells(pages, NULL);
    memset(pages->cell, -1, sizeof pages->cell);
    pages->slot = (size_t)id - 1;
    items_set_number(pages->items, pages->request, (double)pages->slot + 1);
    return true;
}

int pages_request_item(const struct pages *pages)
{
    return pages->request;
}
