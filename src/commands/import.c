#include "commands/import.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "commands/import_read.h"
#include "settings.h"
#include "settings_table.h"

enum { FILE_MAX = 256 * 1024, PATH_LONGEST = 4096, WRAP_AT = 100 };

enum kind { KIND_INI, KIND_PYTHON, KIND_JSON };

static const struct {
    const char *file;
    const char *program;
    void (*read)(const char *text, import_line_fn take, void *ctx);
} kinds[] = {
    [KIND_INI] = {"config.ini", "dbus-aggregate-batteries 4.x", import_read_ini},
    [KIND_PYTHON] = {"settings.py", "dbus-aggregate-batteries 3.x", import_read_python},
    [KIND_JSON] = {"config.json", "BatteryAggregator", import_read_json},
};

/* Names of settings.py that the settings table does not know as older names. */
static const struct {
    const char *name;
    const char *ours;
} python_names[] = {
    {"SMARTSHUNT_NAME_KEY_WORD", "SMARTSHUNT_NAME_KEYWORD"},
    {"BATTERY_KEY_WORD", "BATTERY_SERVICE_NAME"},
    {"BATTERY_NAME_KEY_WORD", "BATTERY_PRODUCT_NAME"},
    {"BATTERY_NAME_PATH", "BATTERY_INSTANCE_NAME_PATH"},
    {"NR_OF_CELLS_PER_BATTERIE", "NR_OF_CELLS_PER_BATTERY"},
};

/* What a file of theirs means when it leaves the key out, where that is not our default. */
static const struct {
    const char *name;
    const char *value;
} their_defaults[] = {
    {"BATTERY_PRODUCT_NAME", "SerialBattery"},
    {"BATTERY_INSTANCE_NAME_PATH", "/Serial"},
};

const struct import_json_key import_json_keys[] = {
    {"logLevel", "LOGGING", "CRITICAL is ERROR here; NOTSET is the default"},
    {"cvlMode", "KEEP_MAX_CVL",
     "max_when_balancing and max_when_floating are True, min_when_balancing and dvcc are False; max_always "
     "would keep the highest CVL over full cells and is not taken"},
    {"capacity", NULL, "the packs say their capacity"},
    {"currentRatioMethod", NULL, "CURRENT_SHARING says how the packs share"},
    {"excludedServices", NULL,
     "IGNORE or PACKS say which batteries are packs; shunts are none by themselves"},
    {"primaryServices", NULL, "CURRENT_FROM_VICTRON, USE_SMARTSHUNTS and OWN_SOC bring in other sources"},
    {"auxiliaryServices", NULL, "CURRENT_FROM_VICTRON and USE_SMARTSHUNTS bring in other sources"},
    {"virtualBatteries", NULL, "a pack is one service here; write packs in series as BANK = A + B"},
    {"reconnectTimeout", NULL, "STALE_AFTER, PACK_LOST and LOST_GRACE say what happens to a lost pack"},
    {"serviceName", NULL, "the name on the bus is com.victronenergy.battery.aggregate"},
    {"classes", NULL, "there are no classes to exchange"},
};

const size_t import_json_key_count = sizeof import_json_keys / sizeof *import_json_keys;

struct given {
    int line; /* 0 = not given */
    char value[IMPORT_VALUE_MAX];
};

struct import {
    enum kind kind;
    FILE *said;
    struct given *given; /* settings_key_count of them */
    int errors;
};

const char *import_python_name(const char *name)
{
    for (size_t i = 0; i < sizeof python_names / sizeof *python_names; i++) {
        if (strcmp(python_names[i].name, name) == 0)
            return python_names[i].ours;
    }
    return NULL;
}

static void say(struct import *import, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct import *import, const char *what, const char *format, ...)
{
    va_list arguments;

    import->errors += strcmp(what, "error") == 0;
    fprintf(import->said, "  %-10s ", what);
    va_start(arguments, format);
    vfprintf(import->said, format, arguments);
    va_end(arguments);
    fputc('\n', import->said);
}

static struct given *given_of(struct import *import, const char *name)
{
    return &import->given[settings_find_key(name) - settings_keys];
}

static bool is_true(const struct given *given)
{
    return given->line > 0 && strcasecmp(given->value, "true") == 0;
}

/* ---- taking one line ---- */

static void take_json(struct import *import, const struct import_line *found,
                      const struct import_json_key *json)
{
    static const struct {
        const char *name, *theirs, *ours;
    } words[] = {
        {"logLevel", "DEBUG", "DEBUG"},
        {"logLevel", "INFO", "INFO"},
        {"logLevel", "WARNING", "WARNING"},
        {"logLevel", "ERROR", "ERROR"},
        {"logLevel", "CRITICAL", "ERROR"},
        {"cvlMode", "max_when_balancing", "True"},
        {"cvlMode", "max_when_floating", "True"},
        {"cvlMode", "min_when_balancing", "False"},
        {"cvlMode", "dvcc", "False"},
    };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct given *given;

        if (strcmp(words[i].name, json->name) != 0 || strcmp(words[i].theirs, found->value) != 0)
            continue;
        given = given_of(import, json->becomes);
        given->line = found->line;
        snprintf(given->value, sizeof given->value, "%s", words[i].ours);
        say(import, "taken", "%s = %s (%s = %s)", json->becomes, words[i].ours, json->name, found->value);
        return;
    }
    say(import, "not taken", "%s = %.60s: %s", json->name, found->value, json->why);
}

static void take_json_line(struct import *import, const struct import_line *found)
{
    for (size_t i = 0; i < import_json_key_count; i++) {
        if (strcmp(import_json_keys[i].name, found->name) == 0) {
            take_json(import, found, &import_json_keys[i]);
            return;
        }
    }
    if (*found->name)
        say(import, "not taken", "%s: there is no such setting here", found->name);
    else
        say(import, "error", "line %d: this is no JSON from here on", found->line);
}

/* LOGGING of 3.x is a place (1 console, 2 file), not a level. */
static bool is_place_of_log(const struct key *key, const char *value)
{
    return strcmp(key->name, "LOGGING") == 0 && isdigit((unsigned char)*value);
}

static void take_key(struct import *import, const struct import_line *found, const struct key *key)
{
    struct given *given = &import->given[key - settings_keys];

    if (!found->value) {
        say(import, "error", "line %d: %s is not understood. Write a plain value there", found->line,
            found->name);
    } else if (key->type == KEY_NOT_NEEDED) {
        say(import, "not needed", "%s: %s", found->name, key->help);
    } else if (is_place_of_log(key, found->value)) {
        say(import, "not taken", "LOGGING = %s: the log is in /var/log/battery-aggregator, its level INFO",
            found->value);
    } else {
        given->line = found->line;
        snprintf(given->value, sizeof given->value, "%s", found->value);
    }
}

static void take_line(void *ctx, const struct import_line *found)
{
    struct import *import = ctx;
    const char *ours = import->kind == KIND_PYTHON ? import_python_name(found->name) : NULL;
    const struct key *key = settings_find_key(ours ? ours : found->name);

    if (import->kind == KIND_JSON)
        take_json_line(import, found);
    else if (!*found->name)
        say(import, "not taken", "line %d: it is no setting", found->line);
    else if (!key)
        say(import, "not taken", "%s (line %d): there is no such setting here", found->name, found->line);
    else
        take_key(import, found, key);
}

/* ---- where the same word means something else ---- */

static void add_their_defaults(struct import *import)
{
    for (size_t i = 0; i < sizeof their_defaults / sizeof *their_defaults; i++) {
        struct given *given = given_of(import, their_defaults[i].name);

        if (given->line > 0)
            continue;
        given->line = 1;
        snprintf(given->value, sizeof given->value, "%s", their_defaults[i].value);
    }
}

/* 3.x found shunts set to battery monitor only, and subtracted them unless told otherwise; here those add. */
static void turn_shunts(struct import *import)
{
    const struct given *shunts = given_of(import, "USE_SMARTSHUNTS");
    struct given *invert = given_of(import, "INVERT_SMARTSHUNTS");

    if (!is_true(shunts))
        return;
    snprintf(invert->value, sizeof invert->value, "%s", is_true(invert) ? "False" : "True");
    invert->line = shunts->line;
    say(import, "remark",
        "DC_LOADS: a shunt set to battery monitor was subtracted, here it adds: INVERT_SMARTSHUNTS is turned "
        "round, to %s. Is there one set to DC metering too, which 3.x did not know? Then name in "
        "USE_SMARTSHUNTS the one that is meant",
        invert->value);
}

static void remark(struct import *import)
{
    static const char *const caps[] = {"MAX_CHARGE_CURRENT", "MAX_DISCHARGE_CURRENT"};
    bool own = is_true(given_of(import, "OWN_CHARGE_PARAMETERS"));

    for (size_t i = 0; i < sizeof caps / sizeof *caps && !own; i++) {
        if (given_of(import, caps[i])->line > 0)
            say(import, "remark",
                "%s had no effect while OWN_CHARGE_PARAMETERS is False; here it caps the merged limit too. "
                "Empty: no cap",
                caps[i]);
    }
    if (own)
        say(import, "remark",
            "own charge control keeps cells below MAX_CELL_VOLTAGE ahead of time; CVL_CONTROL = reference "
            "and "
            "FEED_IN_RETURN = balanced do as the Python service did");
    if (is_true(given_of(import, "OWN_SOC")))
        say(import, "remark",
            "own SoC learns from full charges; SOC_METHOD = reference counts as the Python service did");
    if (import->kind == KIND_PYTHON && is_true(given_of(import, "KEEP_MAX_CVL")))
        say(import, "remark", "KEEP_MAX_CVL had no effect in 3.4; here it has");
}

static void say_taken(struct import *import)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        if (import->given[i].line > 0)
            say(import, "taken", "%s = %s", settings_keys[i].name, import->given[i].value);
    }
}

/* ---- writing ---- */

/* Broken behind a comma before it becomes too long a line; what follows is indented. */
static void write_value(FILE *out, const char *name, const char *value)
{
    size_t column = strlen(name) + 3;

    fprintf(out, "%s = ", name);
    while (*value) {
        size_t length = strcspn(value, ",");

        length += value[length] == ',';
        if (column > 4 && column + length > WRAP_AT) {
            fputs("\n    ", out);
            column = 4;
            value += strspn(value, " ");
            continue;
        }
        fwrite(value, 1, length, out);
        column += length;
        value += length;
    }
    fputc('\n', out);
}

static void write_settings(const struct import *import, const char *path, FILE *out)
{
    const char *section = "";

    fprintf(out,
            "; Taken over from %s (%s).\n"
            "; What is not here has its default; settings.default.ini explains every key.\n",
            path, kinds[import->kind].program);
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];

        if (import->given[i].line == 0)
            continue;
        if (strcmp(section, key->section) != 0)
            fprintf(out, "\n[%s]\n", key->section);
        section = key->section;
        write_value(out, key->name, import->given[i].value);
    }
}

static void on_finding(void *ctx, enum settings_severity severity, const char *message)
{
    static const char *const names[] = {"remark", "warning", "error"};

    say(ctx, names[severity], "%s", message);
}

/* ---- reading ---- */

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = file ? calloc(1, FILE_MAX + 1) : NULL;
    struct stat status;

    if (text && (fstat(fileno(file), &status) < 0 || !S_ISREG(status.st_mode) ||
                 fread(text, 1, FILE_MAX + 1, file) > FILE_MAX || ferror(file))) {
        free(text);
        text = NULL;
    }
    if (file)
        fclose(file);
    return text;
}

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);

    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

/* The file and what it is. settings.py beside a config.default.ini is a part of the 4.x program. */
static bool find_source(const char *path, char *file, size_t size, enum kind *kind)
{
    snprintf(file, size, "%s", path);
    if (is_file(path)) {
        *kind = ends_with(path, ".py") ? KIND_PYTHON : ends_with(path, ".json") ? KIND_JSON : KIND_INI;
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        *kind = (enum kind)i;
        snprintf(file, size, "%s/%s", path, kinds[i].file);
        if (is_file(file))
            return true;
        snprintf(file, size, "%s/config.default.ini", path);
        if (is_file(file))
            return false;
    }
    return false;
}

static int finish(struct import *import, const char *path, FILE *out)
{
    struct config config;
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);

    if (!memory)
        return 1;
    write_settings(import, path, memory);
    fclose(memory);
    settings_default(&config);
    settings_read_text("settings.ini", text, size, &config, on_finding, import);
    fwrite(text, 1, size, out);
    free(text);
    return import->errors > 0 || fflush(out) != 0;
}

int import_settings(const char *path, FILE *out, FILE *said)
{
    struct import import = {.said = said};
    char file[PATH_LONGEST];
    char *text;
    int result = 1;

    if (!find_source(path, file, sizeof file, &import.kind)) {
        fprintf(said,
                "%s: there is no config.ini (dbus-aggregate-batteries 4.x), settings.py (3.x) or "
                "config.json (BatteryAggregator)\n",
                path);
        return 2;
    }
    text = slurp(file);
    import.given = calloc(settings_key_count, sizeof *import.given);
    if (!text || !import.given) {
        fprintf(said, "%s: cannot be read\n", file);
    } else {
        fprintf(said, "%s: settings of %s\n", file, kinds[import.kind].program);
        kinds[import.kind].read(text, take_line, &import);
        if (import.kind != KIND_JSON)
            add_their_defaults(&import);
        if (import.kind == KIND_PYTHON)
            turn_shunts(&import);
        if (import.kind != KIND_JSON)
            say_taken(&import);
        remark(&import);
        result = import.errors > 0 ? 1 : finish(&import, file, out);
    }
    free(import.given);
    free(text);
    return result;
}

int command_import(const char *path)
{
    static const char *const folders[] = {"/data/apps/dbus-aggregate-batteries",
                                          "/data/dbus-aggregate-batteries",
                                          "/data/setupOptions/BatteryAggregator"};
    int result = 2;

    if (path)
        return import_settings(path, stdout, stderr);
    for (size_t i = 0; i < sizeof folders / sizeof *folders && result == 2; i++)
        result = import_settings(folders[i], stdout, stderr);
    return result;
}
