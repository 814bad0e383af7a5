#include "fuzz/targets.h"

#include <math.h>
#include <string.h>

#include "fuzz/outcome.h"
#include "settings.h"
#include "settings_table.h"

enum { MESSAGES_MAX = 100 };

struct heard {
    int errors, findings;
};

static void on_finding(void *ctx, enum settings_severity severity, const char *message)
{
    struct heard *heard = ctx;

    heard->findings++;
    heard->errors += severity == SETTINGS_ERROR;
    REQUIRE(*message);
    outcome_check_line(message);
}

static void check_number(const struct key *key, double number)
{
    REQUIRE(number >= key->min && number <= key->max);
}

static void check_curve(const struct key *key, const double *numbers, size_t count)
{
    REQUIRE(count <= CURVE_POINTS_MAX);
    for (size_t i = 0; i < count; i++)
        REQUIRE(isfinite(numbers[i]) && (key->type == KEY_CURVE_X || numbers[i] >= 0));
}

static void check_patterns(const struct pattern_list *list)
{
    REQUIRE(list->count <= CONFIG_PATTERNS_MAX);
    for (size_t i = 0; i < list->count; i++)
        REQUIRE(memchr(list->pattern[i], '\0', CONFIG_TEXT_MAX) && list->pattern[i][0]);
}

static void check_pack_shunts(const struct pack_shunts *list)
{
    REQUIRE(list->count <= CONFIG_NAMES_MAX);
    for (size_t i = 0; i < list->count; i++)
        REQUIRE(memchr(list->shunt[i].pack, '\0', CONFIG_TEXT_MAX) && list->shunt[i].pack[0] &&
                list->shunt[i].instance >= 0);
}

static void check_sources(const struct current_sources *list)
{
    REQUIRE(list->count <= CONFIG_NAMES_MAX);
    for (size_t i = 0; i < list->count; i++) {
        const struct current_source *source = &list->source[i];

        REQUIRE(source->dc_class >= DC_ANY && source->dc_class < DC_CLASS_COUNT);
        REQUIRE(source->instance >= 0 || (source->instance == CONFIG_NOT_SET && source->dc_class != DC_ANY));
        REQUIRE(source->sign >= -1 && source->sign <= 1);
    }
}

/* Every pack belongs to one string, and has a name. */
static void check_shape(const struct shape *shape)
{
    size_t packs = 0;

    REQUIRE(shape->strings <= SHAPE_STRINGS_MAX && shape->packs <= SHAPE_PACKS_MAX);
    for (size_t i = 0; i < shape->strings; i++) {
        REQUIRE(shape->string[i].first == packs && shape->string[i].count > 0);
        packs += shape->string[i].count;
    }
    REQUIRE(packs == shape->packs);
    for (size_t i = 0; i < packs; i++)
        REQUIRE(shape->pack[i][0] && memchr(shape->pack[i], '\0', SHAPE_NAME_MAX));
}

/* Each member is what its row in the table allows. */
static void check_member(const struct key *key, const struct config *config)
{
    const void *member = (const char *)config + key->offset;
    int whole;

    switch (key->type) {
    case KEY_REAL:
    case KEY_REAL_SET:
        check_number(key, *(const double *)member);
        break;
    case KEY_WHOLE:
        check_number(key, *(const int *)member);
        break;
    case KEY_COUNT:
        memcpy(&whole, member, sizeof whole);
        if (whole != CONFIG_NOT_SET)
            check_number(key, whole);
        break;
    case KEY_SHAPE:
        check_shape(member);
        break;
    case KEY_TEXT:
    case KEY_TEXT_PATH:
        REQUIRE(memchr(member, '\0', CONFIG_TEXT_MAX) && strlen(member) >= (size_t)key->min);
        break;
    case KEY_MONTHS:
        for (int month = 0; month < 12; month++)
            check_number(key, ((const double *)member)[month]);
        break;
    case KEY_CURVE_X:
        check_curve(key, ((const struct curve *)member)->x, ((const struct curve *)member)->count);
        break;
    case KEY_CURVE_Y:
        check_curve(key, ((const struct curve *)member)->y, ((const struct curve *)member)->count);
        break;
    case KEY_TEXTS:
    case KEY_PACKS:
        check_patterns(member);
        break;
    case KEY_PACK_SHUNTS:
        check_pack_shunts(member);
        break;
    case KEY_SOURCES:
        check_sources(member);
        break;
    case KEY_BOOL:
    case KEY_SHUNTS:
    case KEY_LEVEL:
    case KEY_CHOICE:
    case KEY_NOT_NEEDED:
        break;
    }
}

static void check_accepted(const struct config *config)
{
    struct aggregator aggregator;

    for (size_t i = 0; i < settings_key_count; i++)
        check_member(&settings_keys[i], config);
    REQUIRE(config->smartshunts.count <= CONFIG_NAMES_MAX);
    for (size_t i = 1; i < config->charge_curve.count && config->own_charge_parameters; i++)
        REQUIRE(config->charge_curve.x[i] > config->charge_curve.x[i - 1]);
    for (size_t i = 1; i < config->discharge_curve.count && config->own_charge_parameters; i++)
        REQUIRE(config->discharge_curve.x[i] > config->discharge_curve.x[i - 1]);
    aggregator_init(&aggregator, NAN, NAN);
    outcome_lead(&aggregator, config);
}

void fuzz_settings(const uint8_t *data, size_t size)
{
    static struct config defaults, config;
    struct heard heard = {0};
    int errors;

    settings_default(&defaults);
    config = defaults;
    errors = settings_read_text("settings.ini", (const char *)data, size, &config, on_finding, &heard);
    REQUIRE(heard.findings <= MESSAGES_MAX + 1);
    REQUIRE(heard.errors == errors || (heard.findings > MESSAGES_MAX && heard.errors <= errors));
    if (errors > 0)
        REQUIRE(memcmp(&config, &defaults, sizeof config) == 0);
    else
        check_accepted(&config);
}
