#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_check.h"
#include "settings_list.h"
#include "settings_table.h"
#include "settings_value.h"

enum {
    FILE_BYTES_MAX = 256 * 1024,
    VALUE_BYTES_MAX = 2048,
    MESSAGE_BYTES_MAX = 768,
    FINDINGS_MAX = 100, /* what follows is counted, not said: the file is no settings file */
};

/* One key as the file gives it; values over several lines are joined with a space. */
struct given {
    int line;      /* 0 = not given */
    bool older;    /* under the name that an older generation had for it */
    size_t points; /* of a curve: how many */
    bool wrong;    /* the value cannot be taken, and the user knows */
    char value[VALUE_BYTES_MAX];
};

/* What an indented line continues. */
enum above {
    ABOVE_NOTHING, /* the beginning of the file or of a section */
    ABOVE_KEY,     /* reader.key */
    ABOVE_REFUSED, /* a line with an error: its continuation says nothing more */
};

struct finding {
    int line; /* 0 = the file as a whole */
    enum settings_severity severity;
    char message[MESSAGE_BYTES_MAX];
};

/* A reading of one file. */
struct reader {
    const char *name;
    settings_report_fn report;
    void *ctx;
    int errors;
    int findings;
    struct finding *finding; /* the first FINDINGS_MAX of them, by line: users mend from top to bottom */
    int kept;

    const char *text; /* what is left of the file */
    size_t left;
    int line;
    bool indented;    /* the line that inih handles now continues reader.key */
    char content[64]; /* the beginning of that line */
    char comment[64]; /* ... and of what stands behind its ';' */
    bool awaits_pair; /* ... and must be a pair, by what we saw of it */
    enum above above;
    const struct key *key;

    struct given *given; /* settings_key_count of them */
    struct config config;
};

/* ---- saying what is wrong ---- */

/* Whatever stands in the file, a finding stays one line of plain text. */
static void replace_control_characters(char *text)
{
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text))
            *text = '?';
    }
}

/* Behind those of the same line. NULL when there are enough of the lines above. */
static struct finding *make_room(struct reader *reader, int line)
{
    struct finding *finding = reader->finding;
    int at = reader->kept;

    while (at > 0 && finding[at - 1].line > line)
        at--;
    if (at == FINDINGS_MAX)
        return NULL;
    reader->kept += reader->kept < FINDINGS_MAX;
    memmove(&finding[at + 1], &finding[at], (size_t)(reader->kept - 1 - at) * sizeof *finding);
    return &finding[at];
}

static void say(struct reader *reader, enum settings_severity severity, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct reader *reader, enum settings_severity severity, int line, const char *format, ...)
{
    struct finding *finding = make_room(reader, line);
    va_list arguments;
    int used;

    reader->errors += severity == SETTINGS_ERROR;
    reader->findings++;
    if (!finding)
        return;
    finding->line = line;
    finding->severity = severity;
    used = line > 0 ? snprintf(finding->message, MESSAGE_BYTES_MAX, "%.200s:%d: ", reader->name, line)
                    : snprintf(finding->message, MESSAGE_BYTES_MAX, "%.200s: ", reader->name);
    va_start(arguments, format);
    vsnprintf(finding->message + used, MESSAGE_BYTES_MAX - (size_t)used, format, arguments);
    va_end(arguments);
    replace_control_characters(finding->message);
}

static void tell_findings(const struct reader *reader)
{
    char more[MESSAGE_BYTES_MAX];

    if (!reader->report)
        return;
    for (int i = 0; i < reader->kept; i++)
        reader->report(reader->ctx, reader->finding[i].severity, reader->finding[i].message);
    if (reader->findings == reader->kept)
        return;
    snprintf(more, sizeof more, "%.200s: %d more findings are not shown. Is this the right file?",
             reader->name, reader->findings - reader->kept);
    replace_control_characters(more);
    reader->report(reader->ctx, SETTINGS_NOTE, more);
}

static void say_not_allowed(struct reader *reader, const struct key *key, const struct given *given,
                            const char *why)
{
    char range[SETTINGS_RANGE_MAX];

    say(reader, SETTINGS_ERROR, given->line, "%s = '%.80s'%s: %s. Allowed: %s%s%s", key->name, given->value,
        strlen(given->value) > 80 ? "..." : "", why, settings_key_range(key, range, sizeof range),
        *settings_key_unit(key) ? " " : "", settings_key_unit(key));
}

static void say_unknown(struct reader *reader, const char *name)
{
    const struct key *nearest = reader->findings < FINDINGS_MAX ? settings_nearest_key(name) : NULL;

    if (!*name)
        say(reader, SETTINGS_ERROR, reader->line, "the name before '=' is missing");
    else if (nearest)
        say(reader, SETTINGS_ERROR, reader->line, "%.64s is no setting. Did you mean %s?", name,
            nearest->name);
    else
        say(reader, SETTINGS_ERROR, reader->line,
            "%.64s is no setting. Remove the line; docs/settings.md lists them all", name);
}

/* ---- reading the lines, through inih ----
 *
 * inih as Debian builds it (version 55) takes 199 bytes of a line, drops what follows of a value and
 * takes the rest of a comment for the next line. It loses what stands behind a [section], leaves
 * comments on continued lines, lets one name twice pass, cuts names of continued values at 49 bytes and
 * reports the first bad line only. So each line is looked at here first, and inih splits those that
 * have nothing of this. */

static const char *skip_space(const char *text)
{
    return text + strspn(text, " \t");
}

/* How much of the line is neither a comment (a ';' at its beginning or behind a blank) nor blank. */
static size_t content_length(const char *text, size_t length)
{
    size_t end = 0;

    while (end < length && (text[end] == ' ' || text[end] == '\t'))
        end++;
    if (end < length && text[end] == '#')
        return 0;
    for (end = 0; end < length; end++) {
        if (text[end] == ';' && (end == 0 || isspace((unsigned char)text[end - 1])))
            break;
    }
    while (end > 0 && isspace((unsigned char)text[end - 1]))
        end--;
    return end;
}

/* A line that cannot be used; neither can what continues it. */
static void refuse_line(struct reader *reader, const char *text, const char *why)
{
    say(reader, SETTINGS_ERROR, reader->line, "'%.40s'%s: %s", text, strlen(text) > 40 ? "..." : "", why);
    reader->above = ABOVE_REFUSED;
}

/* "KEY = value" that is indented would silently become a part of the value above it. */
static bool looks_like_a_key(const char *text)
{
    size_t length = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    return length > 0 && *skip_space(text + length) == '=';
}

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if (iscntrl((unsigned char)*text) && *text != '\t')
            return true;
    }
    return false;
}

/* The following tell whether inih is to have the line. */

static bool accept_continued(struct reader *reader, const char *text)
{
    if (looks_like_a_key(text))
        refuse_line(reader, text,
                    "a setting that is indented would continue the one above. Move it to the left");
    else if (reader->above == ABOVE_NOTHING)
        refuse_line(reader, text, "indented, but there is no setting above that it could continue");
    return reader->above == ABOVE_KEY;
}

static bool accept_section(struct reader *reader, const char *text)
{
    const char *end = strchr(text, ']');

    reader->above = ABOVE_NOTHING;
    if (!end)
        refuse_line(reader, text, "the ']' of a section is missing");
    else if (end[1])
        refuse_line(reader, text, "what stands behind a [section] would be lost. Give it a line of its own");
    return reader->above == ABOVE_NOTHING;
}

static bool accept_line(struct reader *reader, const char *text)
{
    bool accepted = true;

    reader->indented = *text == ' ' || *text == '\t';
    if (has_control_character(text)) {
        refuse_line(reader, text, "there is a control character. Save it as plain text with line feeds");
        return false;
    }
    if (reader->indented)
        accepted = accept_continued(reader, skip_space(text));
    else if (*text == '[')
        return accept_section(reader, text);
    snprintf(reader->content, sizeof reader->content, "%.*s", (int)sizeof reader->content - 1, text);
    reader->awaits_pair = accepted;
    return accepted;
}

static void finish_line(struct reader *reader)
{
    if (reader->awaits_pair) {
        refuse_line(reader, reader->content,
                    "neither KEY = value, nor [section], nor a comment (; or #). A line that continues a "
                    "value is indented");
    }
    reader->awaits_pair = false;
}

static char last_character(const char *text)
{
    return *text ? text[strlen(text) - 1] : '\0';
}

/* "   #289" behind a list of names would be a comment, and the pack nobody's; so would "#289" be that is not
 * indented, when the list is to go on. */
static bool loses_instance(const struct reader *reader, const char *line, size_t length)
{
    const char *value;
    size_t start = 0;

    while (start < length && (line[start] == ' ' || line[start] == '\t'))
        start++;
    if (start + 1 >= length || line[start] != '#' || !isdigit((unsigned char)line[start + 1]) ||
        reader->above != ABOVE_KEY || !settings_value_is_names(reader->key))
        return false;
    value = reader->given[reader->key - settings_keys].value;
    return start > 0 || (*value && settings_list_is_between(last_character(value)));
}

static void keep_comment(struct reader *reader, const char *text, size_t length)
{
    size_t skipped = 0;

    while (skipped < length && (isspace((unsigned char)text[skipped]) || text[skipped] == ';'))
        skipped++;
    length -= skipped;
    snprintf(reader->comment, sizeof reader->comment, "%.*s",
             (int)(length < sizeof reader->comment ? length : sizeof reader->comment - 1), text + skipped);
}

/* inih's reader, in the manner of fgets. */
static char *next_line(char *buffer, int size, void *stream)
{
    struct reader *reader = stream;
    const char *line = reader->text;
    const char *end;
    size_t length, whole;

    finish_line(reader);
    if (reader->left == 0)
        return NULL;
    end = memchr(line, '\n', reader->left);
    length = end ? (size_t)(end - line) : reader->left;
    reader->text += length + (end != NULL);
    reader->left -= length + (end != NULL);
    reader->line++;

    if (loses_instance(reader, line, length)) {
        snprintf(buffer, (size_t)size, "%.*s", (int)(length < 40 ? length : 40), line);
        refuse_line(reader, skip_space(buffer),
                    "a line that begins with # is a comment. Put this instance at the end of the line above; "
                    "if it is meant as one, begin it with ;");
        reader->given[reader->key - settings_keys].wrong = true;
        length = 0;
    }
    whole = length;
    length = content_length(line, length);
    keep_comment(reader, line + length, whole - length);
    if (length + 2 > (size_t)size) {
        memcpy(buffer, line, (size_t)size - 1);
        buffer[size - 1] = '\0';
        refuse_line(reader, buffer, "the line is longer than 198 bytes. Break it and indent the rest");
        length = 0;
    }
    memcpy(buffer, line, length);
    buffer[length] = '\0';
    if (length > 0 && !accept_line(reader, buffer))
        length = 0;
    buffer[length] = '\n';
    buffer[length + 1] = '\0';
    return buffer;
}

/* Only numbers and words have a '#' comment cut off: in a text it may belong to the name. */
static size_t value_length(const struct key *key, const char *value)
{
    size_t length = *value == ';' ? 0 : strlen(value);

    if (!settings_value_is_text(key))
        length = strcspn(value, "#;");
    while (length > 0 && isspace((unsigned char)value[length - 1]))
        length--;
    return length;
}

/* Names that the user sees in the file and that are none, or one instead of two. */
static void warn_of_lost_names(struct reader *reader, const char *before, const char *value)
{
    const char *key = reader->key->name;

    if (settings_list_is_of_names(reader->comment))
        say(reader, SETTINGS_WARNING, reader->line,
            "%s: '%.40s' is a comment, for it stands behind a blank and ;. Between names stands a comma; a "
            "comment "
            "of names has a line of its own",
            key, reader->comment);
    if (reader->key->type != KEY_PACK_SHUNTS && !settings_list_is_between(last_character(before)) &&
        !settings_list_is_between(*value))
        say(reader, SETTINGS_WARNING, reader->line,
            "%s: '%.40s' continues the name at the end of the line above. If it is another one, put a comma "
            "between them",
            key, value);
}

static void append_value(struct reader *reader, const char *value)
{
    struct given *given = &reader->given[reader->key - settings_keys];
    size_t used = strlen(given->value);
    size_t length = value_length(reader->key, value);

    if (length == 0)
        return;
    if (settings_value_is_names(reader->key))
        warn_of_lost_names(reader, given->value, value);
    if (used + length + 2 > sizeof given->value) {
        refuse_line(reader, value, "the value becomes longer than 2000 bytes");
        return;
    }
    if (used > 0)
        given->value[used++] = ' ';
    memcpy(given->value + used, value, length);
    given->value[used + length] = '\0';
}

static void take_name(struct reader *reader, const char *name)
{
    const struct key *key = settings_find_key(name);
    struct given *given = key ? &reader->given[key - settings_keys] : NULL;

    reader->key = key;
    reader->above = ABOVE_REFUSED;
    if (!key) {
        say_unknown(reader, name);
    } else if (given->line > 0) {
        say(reader, SETTINGS_ERROR, reader->line, "%s stands already on line %d. Keep one of them", name,
            given->line);
    } else {
        given->line = reader->line;
        given->older = key->alias && strcasecmp(name, key->alias) == 0;
        reader->above = ABOVE_KEY;
    }
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;

    (void)section; /* a key may stand in any */
    reader->awaits_pair = false;
    if (!reader->indented)
        take_name(reader, name);
    if (reader->above == ABOVE_KEY)
        append_value(reader, value);
    return 1;
}

/* ---- the whole file ---- */

/* "0" and "0.0" are how users' files turn it off. */
static bool is_zero(const char *text)
{
    char *end;

    return strtod(text, &end) == 0 && !*end;
}

/* Whether a text could be one on the bus: a name in Latin-1 would fit none there, and not look wrong. */
static bool is_utf8(const char *text)
{
    while (*text) {
        unsigned char lead = (unsigned char)*text++;
        int more = lead < 0x80   ? 0
                   : lead < 0xC2 ? -1
                   : lead < 0xE0 ? 1
                   : lead < 0xF0 ? 2
                   : lead < 0xF5 ? 3
                                 : -1;

        if (more < 0)
            return false;
        for (; more > 0; more--, text++) {
            if ((*text & 0xC0) != 0x80)
                return false;
        }
    }
    return true;
}

/* "A # old" is a name, and so is "A #289": it may be none that the user knows. */
static void warn_of_doubtful_names(struct reader *reader, const struct key *key, const struct given *given)
{
    const char *doubtful;

    if (!settings_value_is_names(key) || key->type == KEY_SOURCES || given->line == 0 || given->wrong)
        return;
    doubtful = settings_list_doubtful(given->value, key->type != KEY_TEXTS);
    if (doubtful)
        say(reader, SETTINGS_WARNING, given->line,
            "%s: '%.40s%s' is taken for a part of the name before it. If it is, put that name in quotes; if "
            "it is "
            "another one, put a comma between them; a comment begins with a blank and ;",
            key->name, doubtful, strlen(doubtful) > 40 ? "..." : "");
}

/* Lists come last, for they may name keys. */
static void store_all(struct reader *reader, bool lists)
{
    for (size_t i = 0; i < settings_key_count; i++) {
        const struct key *key = &settings_keys[i];
        struct given *given = &reader->given[i];
        char wrong[SETTINGS_WRONG_MAX];
        const char *why;

        if (settings_value_is_list(key) != lists)
            continue;
        if (is_utf8(given->value))
            why =
                settings_value_store(key, given->line > 0 && !given->wrong ? given->value : key->default_text,
                                     &reader->config, &given->points, wrong);
        else
            why = "not UTF-8 text. Save the file as UTF-8";
        if (why) {
            given->wrong = true;
            say_not_allowed(reader, key, given, why);
            /* so that the checks across keys say no nonsense */
            settings_value_store(key, key->default_text, &reader->config, &given->points, wrong);
        }
        warn_of_doubtful_names(reader, key, given);
        if (strncmp(key->name, "OWN_SOC_FULL", strlen("OWN_SOC_FULL")) == 0 && given->line > 0 &&
            !is_zero(given->value))
            say(reader, SETTINGS_NOTE, given->line, "%s = '%.40s' has no effect here", key->name,
                given->value);
    }
}

static const struct given *given_of(const struct reader *reader, const char *name)
{
    return &reader->given[settings_find_key(name) - settings_keys];
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
    if (points != y->points && !x->wrong && !y->wrong)
        say(reader, SETTINGS_ERROR, y->line > 0 ? y->line : x->line,
            "%s has %zu voltages%s and %s has %zu currents%s. Each voltage needs its current", x_name, points,
            x->points == 0 ? " (as it is empty)" : "", y_name, y->points,
            y->line == 0 ? " (as it is not given)" : "");
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

/* Who writes the words of 3.x means what they meant there: a shunt set to battery monitor was subtracted
 * unless INVERT_SMARTSHUNT said otherwise, and those set to DC metering were unknown. Another sign would be
 * another current. */
static void keep_words_of_3x(struct reader *reader)
{
    struct config *config = &reader->config;
    const struct given *shunts = given_of(reader, "USE_SMARTSHUNTS");
    const struct given *invert = given_of(reader, "INVERT_SMARTSHUNTS");
    bool added = config->invert_smartshunts;

    if (config->use_smartshunts == SHUNTS_NONE || (invert->line > 0 ? !invert->older : !shunts->older))
        return;
    config->invert_smartshunts = false;
    config->subtract_battery_shunts = !added;
    say(reader, SETTINGS_WARNING, invert->line > 0 ? invert->line : shunts->line,
        "%s is the word of 3.x and means what it meant there: a shunt set to battery monitor is %s. In "
        "today's "
        "words: USE_SMARTSHUNTS, and INVERT_SMARTSHUNTS = %s",
        invert->line > 0 ? "INVERT_SMARTSHUNT" : "DC_LOADS", added ? "added" : "subtracted",
        added ? "False" : "True");
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
    reader->finding = calloc(FINDINGS_MAX, sizeof *reader->finding);
    return reader->given && reader->finding;
}

static void reader_free(struct reader *reader)
{
    free(reader->given);
    free(reader->finding);
}

/* NUL bytes and sizes that no settings file has. */
static bool is_text(struct reader *reader)
{
    const char *nul = reader->left > 0 ? memchr(reader->text, '\0', reader->left) : NULL;
    int line = 1;

    if (reader->left > FILE_BYTES_MAX) {
        say(reader, SETTINGS_ERROR, 0, "larger than 256 KiB: this is no settings file");
        return false;
    }
    if (!nul)
        return true;
    for (const char *at = reader->text; at < nul; at++)
        line += *at == '\n';
    say(reader, SETTINGS_ERROR, line,
        "there is a NUL byte: this is no text file. Save it as plain text (UTF-8)");
    return false;
}

static void read_all(struct reader *reader)
{
    struct settings_checker checker = {.ctx = reader, .line_of = line_of, .finding = on_finding};

    if (!is_text(reader))
        return;
    if (reader->left >= 3 && memcmp(reader->text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
        reader->text += 3;
        reader->left -= 3;
    }
    if (ini_parse_stream(next_line, reader, take_pair, reader) != 0 && reader->errors == 0)
        say(reader, SETTINGS_ERROR, 0, "cannot be taken apart");
    store_all(reader, false);
    store_all(reader, true);
    finish_curves(reader);
    keep_words_of_3x(reader);
    checker.charge_curve_computed = given_of(reader, "CELL_CHARGE_LIMITING_VOLTAGE")->points == 0;
    checker.discharge_curve_computed = given_of(reader, "CELL_DISCHARGE_LIMITING_VOLTAGE")->points == 0;
    settings_check(&reader->config, &checker);
}

int settings_read_text(const char *name, const char *text, size_t length, struct config *config,
                       settings_report_fn report, void *ctx)
{
    struct reader reader;

    if (!reader_init(&reader, name, text, length, report, ctx)) {
        if (report)
            report(ctx, SETTINGS_ERROR, "out of memory");
        reader_free(&reader);
        return 1;
    }
    read_all(&reader);
    tell_findings(&reader);
    if (reader.errors == 0)
        *config = reader.config;
    reader_free(&reader);
    return reader.errors;
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
        char range[SETTINGS_RANGE_MAX];
        struct settings_key_help help = {key->section,
                                         key->name,
                                         key->alias,
                                         settings_key_range(key, range, sizeof range),
                                         settings_key_unit(key),
                                         key->default_text,
                                         key->help,
                                         key->type == KEY_NOT_NEEDED};

        each(ctx, &help);
    }
}
