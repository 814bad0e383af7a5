#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "settings_check.h"
#include "settings_table.h"

enum {
    FILE_BYTES_MAX = 256 * 1024,
    VALUE_BYTES_MAX = 2048,
    MESSAGE_BYTES_MAX = 768,
    NUMBERS_MAX = 32,
    NAME_DISTANCE_MAX = 4, /* edits that a misspelt key may be away from a real one */
};

/* One key as the file gives it; values over several lines are joined with a space. */
struct given {
    int line;      /* 0 = not given */
    size_t points; /* of a curve: how many */
    char value[VALUE_BYTES_MAX];
};

/* A reading of one file. */
struct reader {
    const char *name;
    settings_report_fn report;
    void *ctx;
    int errors;

    const char *text; /* what is left of the file */
    size_t left;
    int line;
    bool indented; /* the line that inih handles now continues the one before */
    const struct key *last_key;

    struct given *given; /* settings_key_count of them */
    struct config config;
    char wrong[64]; /* the last message that needed making */
};

/* ---- saying what is wrong ---- */

static void say(struct reader *reader, enum settings_severity severity, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct reader *reader, enum settings_severity severity, int line, const char *format, ...)
{
    char message[MESSAGE_BYTES_MAX];
    int used = line > 0 ? snprintf(message, sizeof message, "%s:%d: ", reader->name, line)
                        : snprintf(message, sizeof message, "%s: ", reader->name);
    va_list arguments;

    reader->errors += severity == SETTINGS_ERROR;
    if (used < 0 || (size_t)used >= sizeof message)
        used = 0;
    va_start(arguments, format);
    vsnprintf(message + used, sizeof message - (size_t)used, format, arguments);
    va_end(arguments);
    if (reader->report)
        reader->report(reader->ctx, severity, message);
}

static void say_not_allowed(struct reader *reader, const struct key *key, const struct given *given,
                            const char *why)
{
    char range[96];

    say(reader, SETTINGS_ERROR, given->line, "%s = '%.80s'%s: %s. Allowed: %s%s%s", key->name, given->value,
        strlen(given->value) > 80 ? "..." : "", why, settings_key_range(key, range, sizeof range),
        *key->unit ? " " : "", key->unit);
}

/* ---- finding keys ---- */

static const struct key *find_key(const char *name)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];

        if (strcasecmp(key->name, name) == 0 || (key->alias && strcasecmp(key->alias, name) == 0))
            return key;
    }
    return NULL;
}

/* Edits from a to b: Levenshtein's distance, in one row. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64];
    size_t length = strlen(b);

    if (length >= sizeof row / sizeof *row)
        return SIZE_MAX;
    for (size_t k = 0; k <= length; k++)
        row[k] = k;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t k = 1; k <= length; k++) {
            size_t replaced =
                diagonal + (toupper((unsigned char)a[i - 1]) != toupper((unsigned char)b[k - 1]));
            size_t removed = row[k] + 1;
            size_t added = row[k - 1] + 1;

            diagonal = row[k];
            row[k] = replaced < removed ? replaced : removed;
            row[k] = row[k] < added ? row[k] : added;
        }
    }
    return row[length];
}

static void say_unknown(struct reader *reader, const char *name)
{
    const struct key *nearest = NULL;
    size_t shortest = NAME_DISTANCE_MAX + 1;

    for (size_t i = 0; i < settings_key_count; i++) {
        size_t edits = distance(name, settings_keys[i].name);

        if (edits < shortest) {
            shortest = edits;
            nearest = &settings_keys[i];
        }
    }
    if (nearest)
        say(reader, SETTINGS_ERROR, reader->line, "%.64s is no setting. Did you mean %s?", name,
            nearest->name);
    else
        say(reader, SETTINGS_ERROR, reader->line,
            "%.64s is no setting. `man battery-aggregator-settings` lists them all", name);
}

/* ---- reading the lines, through inih ---- */

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* inih takes the comment off behind a value, but not off behind a line that continues one. */
static void cut_continued_comment(char *line)
{
    for (char *sign = strchr(line, ';'); sign; sign = strchr(sign + 1, ';')) {
        if (sign != line && sign[-1] != ' ' && sign[-1] != '\t' && sign[-1] != ',')
            continue;
        strcpy(sign, "\n");
        return;
    }
}

/* inih asks for one line at a time. It cuts what is longer than its buffer (200 bytes as Debian builds
 * it) and goes on as if nothing was: such a line is refused here, before inih sees it. */
static char *next_line(char *buffer, int size, void *stream)
{
    struct reader *reader = stream;
    const char *end;
    size_t length;

    if (reader->left == 0)
        return NULL;
    end = memchr(reader->text, '\n', reader->left);
    length = end ? (size_t)(end - reader->text) + 1 : reader->left;
    reader->line++;
    if (length >= (size_t)size || memchr(reader->text, '\0', length)) {
        if (length >= (size_t)size)
            say(reader, SETTINGS_ERROR, reader->line,
                "the line is longer than %d bytes. Break it: indent what follows on the next line", size - 2);
        else
            say(reader, SETTINGS_ERROR, reader->line, "there is a NUL byte. Is this a text file?");
        strcpy(buffer, "\n");
        reader->indented = false;
    } else {
        memcpy(buffer, reader->text, length);
        buffer[length] = '\0';
        reader->indented = *buffer == ' ' || *buffer == '\t';
        if (reader->indented)
            cut_continued_comment(buffer);
    }
    reader->text += length;
    reader->left -= length;
    return buffer;
}

static void append_value(struct reader *reader, struct given *given, const char *value)
{
    size_t used = strlen(given->value);

    if (used + strlen(value) + 2 > sizeof given->value) {
        say(reader, SETTINGS_ERROR, reader->line, "the value is longer than %d bytes", VALUE_BYTES_MAX - 2);
        return;
    }
    if (used > 0)
        given->value[used++] = ' ';
    strcpy(given->value + used, value);
}

/* "KEY = value" that is indented would silently become a part of the value above it. */
static bool looks_like_a_key(const char *value)
{
    size_t length = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    return length > 0 && *skip_space(value + length) == '=';
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    const struct key *key;
    struct given *given;

    (void)section; /* a key may stand in any */
    if (reader->indented && reader->last_key) {
        if (looks_like_a_key(value))
            say(reader, SETTINGS_ERROR, reader->line,
                "the line is indented, so it continues %s. Move it to the left margin",
                reader->last_key->name);
        else
            append_value(reader, &reader->given[reader->last_key - settings_keys], value);
        return 1;
    }
    if (reader->indented)
        return 1; /* continues a key that was refused */
    key = find_key(name);
    reader->last_key = key;
    if (!key) {
        say_unknown(reader, name);
        return 1;
    }
    given = &reader->given[key - settings_keys];
    if (given->line > 0) {
        say(reader, SETTINGS_ERROR, reader->line, "%s stands already on line %d. Keep one of them", name,
            given->line);
        return 1;
    }
    given->line = reader->line;
    append_value(reader, given, value);
    return 1;
}

/* ---- values ---- */

/* A number, a key's name, or sums of them: "MIN_CELL_VOLTAGE + 0.05", as files of the 3.x generation
 * have. Names must be those of numbers. Leaves *text behind it. */
static bool parse_term(const struct reader *reader, const char **text, double *number)
{
    size_t length;
    char name[64];
    char *end;

    *text = skip_space(*text);
    length = strspn(*text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
    if (length > 1 && length < sizeof name) {
        const struct key *key;

        memcpy(name, *text, length);
        name[length] = '\0';
        key = find_key(name);
        if (!key || (key->type != KEY_REAL && key->type != KEY_REAL_SET))
            return false;
        memcpy(number, (const char *)&reader->config + key->offset, sizeof *number);
        *text += length;
        return true;
    }
    if (!strchr("0123456789.+-", **text) || !**text)
        return false;
    *number = strtod(*text, &end);
    if (end == *text || memchr(*text, 'x', (size_t)(end - *text)) || !isfinite(*number))
        return false;
    *text = end;
    return true;
}

static bool parse_sum(const struct reader *reader, const char **text, double *number)
{
    double term;

    if (!parse_term(reader, text, number))
        return false;
    for (*text = skip_space(*text); **text == '+' || **text == '-'; *text = skip_space(*text)) {
        double sign = *(*text)++ == '-' ? -1 : 1;

        if (!parse_term(reader, text, &term))
            return false;
        *number += sign * term;
    }
    return true;
}

static bool parse_number(const struct reader *reader, const char *text, double *number)
{
    return parse_sum(reader, &text, number) && !*skip_space(text);
}

/* Numbers with commas between them, with or without brackets and a comma at the end. Returns how many,
 * -1 when something else stands there. */
static int parse_numbers(const struct reader *reader, const char *text, double *numbers)
{
    int count = 0;
    bool bracket;

    text = skip_space(text);
    bracket = *text == '[';
    text = skip_space(text + bracket);
    while (*text && *text != ']') {
        if (count == NUMBERS_MAX || !parse_sum(reader, &text, &numbers[count]))
            return -1;
        count++;
        text = skip_space(text);
        if (*text == ',')
            text = skip_space(text + 1);
        else if (*text && *text != ']')
            return -1;
    }
    if (bracket != (*text == ']') || *skip_space(text + (*text == ']')))
        return -1;
    return count;
}

static bool parse_bool(const char *text, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true},   {"yes", true}, {"on", true},   {"1", true},
                 {"false", false}, {"no", false}, {"off", false}, {"0", false}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    }
    return false;
}

/* One element of a list of names: without its quotes. Leaves *text behind it and its comma. */
static bool parse_name(const char **text, char *name)
{
    char quote = **text == '"' || **text == '\'' ? *(*text)++ : '\0';
    const char ends[] = {quote ? quote : ',', quote ? '\0' : ']', '\0'};
    size_t length = strcspn(*text, ends);
    size_t used = length;

    while (!quote && used > 0 && isspace((unsigned char)(*text)[used - 1]))
        used--;
    if (used == 0 || used >= CONFIG_TEXT_MAX || (quote && (*text)[length] != quote))
        return false;
    memcpy(name, *text, used);
    name[used] = '\0';
    *text = skip_space(*text + length + (quote != '\0'));
    if (**text == ',')
        *text = skip_space(*text + 1);
    else if (**text && **text != ']')
        return false;
    return true;
}

static bool parse_shunts(const char *text, struct config *config)
{
    bool all;
    bool bracket;

    config->smartshunts.count = 0;
    if (parse_bool(text, &all)) {
        config->use_smartshunts = all ? SHUNTS_ALL : SHUNTS_NONE;
        return true;
    }
    bracket = *text == '[';
    text = skip_space(text + bracket);
    while (*text && *text != ']') {
        if (config->smartshunts.count == CONFIG_NAMES_MAX ||
            !parse_name(&text, config->smartshunts.name[config->smartshunts.count]))
            return false;
        config->smartshunts.count++;
    }
    if (bracket != (*text == ']'))
        return false;
    config->use_smartshunts = config->smartshunts.count > 0 ? SHUNTS_LISTED : SHUNTS_NONE;
    return true;
}

static bool parse_level(const char *text, enum log_level *level)
{
    static const char *const names[] = {"ERROR", "WARNING", "INFO", "DEBUG"};

    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* ---- one value into its member; NULL when it is good, else what is wrong ---- */

static const char *store_number(struct reader *reader, const struct key *key, const char *text, void *member)
{
    double number;

    if (key->type == KEY_COUNT && (!*text || strcmp(text, "-1") == 0)) {
        *(int *)member = CONFIG_NOT_SET;
        return NULL;
    }
    if (key->type == KEY_REAL_SET) {
        *(bool *)(void *)((char *)&reader->config + key->set_offset) = *text != '\0';
        if (!*text) {
            *(double *)member = SETTINGS_DEFAULT_CURRENT_A;
            return NULL;
        }
    }
    if (!parse_number(reader, text, &number))
        return "not a number";
    if (number < key->min || number > key->max)
        return "out of range";
    if (key->type == KEY_REAL || key->type == KEY_REAL_SET) {
        *(double *)member = number;
        return NULL;
    }
    if (number != floor(number))
        return "not a whole number";
    *(int *)member = (int)number;
    return NULL;
}

static const char *store_text(const struct key *key, const char *text, char *member)
{
    size_t length = strlen(text);

    if (length >= 2 && (*text == '"' || *text == '\'') && text[length - 1] == *text) {
        text++;
        length -= 2;
    }
    if (length >= CONFIG_TEXT_MAX)
        return "too long";
    if (key->type == KEY_TEXT_PATH && strcmp(text, "/ProductName") != 0 && strcmp(text, "/CustomName") != 0 &&
        strcmp(text, "/Serial") != 0)
        return "no path that holds a name";
    memcpy(member, text, length);
    member[length] = '\0';
    return NULL;
}

static const char *store_numbers(struct reader *reader, const struct key *key, const char *text, void *member)
{
    double numbers[NUMBERS_MAX];
    int count = parse_numbers(reader, text, numbers);
    struct curve *curve = member;

    if (count < 0)
        return "not a list of numbers";
    for (int i = 0; i < count; i++) {
        if (!(numbers[i] >= key->min && numbers[i] <= key->max)) {
            snprintf(reader->wrong, sizeof reader->wrong, "%g is out of range", numbers[i]);
            return reader->wrong;
        }
    }
    if (key->type == KEY_MONTHS) {
        snprintf(reader->wrong, sizeof reader->wrong, "%d numbers where 12 belong", count);
        if (count != 12)
            return reader->wrong;
        memcpy(member, numbers, 12 * sizeof *numbers);
        return NULL;
    }
    if (count > CURVE_POINTS_MAX || count == 1)
        return count == 1 ? "one point is no curve" : "too many points";
    memcpy(key->type == KEY_CURVE_X ? curve->x : curve->y, numbers, (size_t)count * sizeof *numbers);
    reader->given[key - settings_keys].points = (size_t)count;
    return NULL;
}

static const char *store(struct reader *reader, const struct key *key, const char *text)
{
    void *member = (char *)&reader->config + key->offset;

    switch (key->type) {
    case KEY_BOOL:
        return parse_bool(text, member) ? NULL : "neither True nor False";
    case KEY_COUNT:
    case KEY_WHOLE:
    case KEY_REAL:
    case KEY_REAL_SET:
        return store_number(reader, key, text, member);
    case KEY_TEXT:
    case KEY_TEXT_PATH:
        return store_text(key, text, member);
    case KEY_MONTHS:
    case KEY_CURVE_X:
    case KEY_CURVE_Y:
        return store_numbers(reader, key, text, member);
    case KEY_SHUNTS:
        return parse_shunts(text, &reader->config) ? NULL : "neither True, False nor a list of names";
    case KEY_LEVEL:
        return parse_level(text, member) ? NULL : "no log level";
    case KEY_NOT_NEEDED:
        break;
    }
    return NULL;
}

/* ---- the whole file ---- */

static bool is_list(const struct key *key)
{
    return key->type == KEY_MONTHS || key->type == KEY_CURVE_X || key->type == KEY_CURVE_Y;
}

/* Only numbers have comments behind '#' cut off; in a text it may belong to the name. */
static void cut_comment(const struct key *key, char *value)
{
    if (key->type == KEY_TEXT || key->type == KEY_SHUNTS)
        return;
    value[strcspn(value, "#;")] = '\0';
    for (size_t length = strlen(value); length > 0 && isspace((unsigned char)value[length - 1]); length--)
        value[length - 1] = '\0';
}

/* Lists come last, for they may name keys. */
static void store_all(struct reader *reader, bool lists)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];
        struct given *given = &reader->given[i];
        const char *why;

        if (is_list(key) != lists)
            continue;
        cut_comment(key, given->value);
        why = store(reader, key, given->line > 0 ? given->value : key->default_text);
        if (why) {
            say_not_allowed(reader, key, given, why);
            store(reader, key, key->default_text); /* so that the checks across keys say no nonsense */
        }
        if (strncmp(key->name, "OWN_SOC_FULL", strlen("OWN_SOC_FULL")) == 0 && given->line > 0 &&
            strcmp(given->value, "0") != 0)
            say(reader, SETTINGS_NOTE, given->line, "%s has no effect here", key->name);
    }
}

static const struct given *given_of(const struct reader *reader, const char *name)
{
    return &reader->given[find_key(name) - settings_keys];
}

/* The voltages of a curve that the user leaves to us, and lists of unequal length. */
static void finish_curve(struct reader *reader, struct curve *curve, const char *x_name, const char *y_name,
                         const double *default_x, size_t default_count)
{
    const struct given *x = given_of(reader, x_name);
    const struct given *y = given_of(reader, y_name);
    size_t points = x->points;

    if (points == 0) {
        memcpy(curve->x, default_x, default_count * sizeof *default_x);
        points = default_count;
    }
    curve->count = points;
    if (points != y->points)
        say(reader, SETTINGS_ERROR, y->line > 0 ? y->line : x->line,
            "%s has %zu voltages and %s has %zu currents. Each voltage needs its current", x_name, points,
            y_name, y->points);
}

static void finish_curves(struct reader *reader)
{
    struct config *config = &reader->config;
    const double charge[] = {config->min_cell_voltage_V, config->min_cell_voltage_V + 0.05,
                             config->balancing_voltage_V - 0.1, config->balancing_voltage_V,
                             config->max_cell_voltage_V};
    const double discharge[] = {config->min_cell_voltage_V, config->min_cell_voltage_V + 0.1,
                                config->min_cell_voltage_V + 0.2};

    finish_curve(reader, &config->charge_curve, "CELL_CHARGE_LIMITING_VOLTAGE", "CELL_CHARGE_LIMITED_CURRENT",
                 charge, sizeof charge / sizeof *charge);
    finish_curve(reader, &config->discharge_curve, "CELL_DISCHARGE_LIMITING_VOLTAGE",
                 "CELL_DISCHARGE_LIMITED_CURRENT", discharge, sizeof discharge / sizeof *discharge);
}

static int line_of(void *ctx, const char *key)
{
    const struct reader *reader = ctx;

    return given_of(reader, key)->line;
}

static void on_finding(void *ctx, enum settings_severity severity, int line, const char *message)
{
    say(ctx, severity, line, "%s", message);
}

static bool reader_init(struct reader *reader, const char *name, const char *text, size_t length,
                        settings_report_fn report, void *ctx)
{
    const char *slash = strrchr(name, '/');

    memset(reader, 0, sizeof *reader);
    reader->name = slash ? slash + 1 : name;
    reader->report = report;
    reader->ctx = ctx;
    reader->text = text;
    reader->left = length;
    reader->given = calloc(settings_key_count, sizeof *reader->given);
    return reader->given != NULL;
}

/* inih's own complaints: a line that is neither a section, nor a pair, nor a comment. */
static void say_no_pair(struct reader *reader, int line)
{
    if (line > 0)
        say(reader, SETTINGS_ERROR, line, "neither KEY = value, nor [section], nor a comment (; or #)");
    else if (line < 0)
        say(reader, SETTINGS_ERROR, 0, "out of memory");
}

int settings_read_text(const char *name, const char *text, size_t length, struct config *config,
                       settings_report_fn report, void *ctx)
{
    struct reader reader;
    const struct settings_checker checker = {&reader, line_of, on_finding};
    int errors;

    if (!reader_init(&reader, name, text, length, report, ctx)) {
        if (report)
            report(ctx, SETTINGS_ERROR, "out of memory");
        return 1;
    }
    say_no_pair(&reader, ini_parse_stream(next_line, &reader, take_pair, &reader));
    store_all(&reader, false);
    store_all(&reader, true);
    finish_curves(&reader);
    settings_check(&reader.config, &checker);
    errors = reader.errors;
    if (errors == 0)
        *config = reader.config;
    free(reader.given);
    return errors;
}

static void report_one(settings_report_fn report, void *ctx, const char *path, const char *what,
                       const char *why)
{
    char message[MESSAGE_BYTES_MAX];

    snprintf(message, sizeof message, "%.400s: %s%s%s", path, what, *why ? ": " : "", why);
    if (report)
        report(ctx, SETTINGS_ERROR, message);
}

int settings_read(const char *path, struct config *config, settings_report_fn report, void *ctx)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    size_t length;
    int errors = 1;

    if (!file) {
        report_one(report, ctx, path, "cannot be read", strerror(errno));
        return errors;
    }
    text = malloc(FILE_BYTES_MAX + 1);
    length = text ? fread(text, 1, FILE_BYTES_MAX + 1, file) : 0;
    if (!text)
        report_one(report, ctx, path, "out of memory", "");
    else if (ferror(file))
        report_one(report, ctx, path, "cannot be read", strerror(errno));
    else if (length > FILE_BYTES_MAX)
        report_one(report, ctx, path, "is larger than 256 KiB: no settings file", "");
    else
        errors = settings_read_text(path, text, length, config, report, ctx);
    free(text);
    fclose(file);
    return errors;
}

void settings_default(struct config *config)
{
    memset(config, 0, sizeof *config);
    settings_read_text("defaults", "", 0, config, NULL, NULL);
}

void settings_each_key(void (*each)(void *ctx, const struct settings_key_help *key), void *ctx)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];
        char range[96];
        struct settings_key_help help = {
            key->section, key->name,         key->alias, settings_key_range(key, range, sizeof range),
            key->unit,    key->default_text, key->help,  key->type == KEY_NOT_NEEDED};

        each(ctx, &help);
    }
}
