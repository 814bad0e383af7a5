#include "state_work.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 1e12

enum { KEY_MAX = 32, NUMBERS_MAX = 5 };

static const char *const extreme_keys[WORK_EXTREMES] = {
    [WORK_VOLTAGE_MIN] = "voltage_min", [WORK_VOLTAGE_MAX] = "voltage_max", [WORK_CELL_MIN] = "cell_min",
    [WORK_CELL_MAX] = "cell_max",       [WORK_DEEPEST] = "deepest",
};
static const char sweep_key[] = "sweep_";

/* ---- writing ---- */

/* Letters, digits and a few others stand for themselves, the rest as %xx. */
static void put_text(FILE *out, const char *key, const char *text)
{
    if (!*text)
        return;
    fprintf(out, "%s = ", key);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        fprintf(out, c < 0x80 && (isalnum(c) || strchr("_-.", c)) ? "%c" : "%%%02x", c);
    }
    putc('\n', out);
}

static void put_date(FILE *out, long day)
{
    char date[CALENDAR_TEXT_MAX] = "-";

    if (day != CALENDAR_NONE)
        calendar_format(day, date);
    fprintf(out, " %s\n", date);
}

static void put_count(FILE *out, const char *key, const struct work_count *count)
{
    if (count->hours > 0)
        fprintf(out, "%s = %.10g %.10g %.10g %.10g %.10g\n", key, count->in_Ah, count->out_Ah, count->in_kWh,
                count->out_kWh, count->hours);
}

static void put_record(FILE *out, const struct work_record *record)
{
    put_text(out, "id", record->id);
    put_text(out, "name", record->name);
    if (isfinite(record->installed_Ah))
        fprintf(out, "installed_Ah = %.10g\n", record->installed_Ah);
    if (record->cycles > 0)
        fprintf(out, "cycles = %.10g\n", record->cycles);
    put_count(out, "total", &record->total);
    put_count(out, "full_to_full", &record->closed);
    for (int i = 0; i < WORK_EXTREMES; i++) {
        if (!isfinite(record->extreme[i].value))
            continue;
        fprintf(out, "%s = %.10g", extreme_keys[i], record->extreme[i].value);
        put_date(out, record->extreme[i].day);
    }
    for (size_t i = 0; i < record->capacity.count; i++) {
        const struct capacity_sweep *sweep = &record->capacity.sweep[i];

        fprintf(out, "%s%zu = %.10g %.10g %.10g %.10g", sweep_key, i + 1, sweep->capacity_Ah,
                sweep->deviation_Ah, sweep->depth, sweep->installed_Ah);
        put_date(out, sweep->day);
    }
}

void state_work_write(FILE *out, const struct work_memory *memory)
{
    if (!memory->begun)
        return;
    fprintf(out, "\n[" STATE_WORK_SECTION "]\nsince =");
    put_date(out, memory->since_day);
    if (isfinite(memory->full_age_s)) {
        fprintf(out, "full = %.10g", memory->full_age_s);
        put_date(out, memory->full_day);
    }
    put_record(out, &memory->bank);
    for (size_t i = 0; i < memory->packs; i++) {
        fprintf(out, "\n[" STATE_WORK_SECTION " %zu]\n", i + 1);
        put_record(out, &memory->pack[i]);
    }
}

/* ---- reading ---- */

static bool take_text(char *to, const char *value)
{
    size_t used = 0;

    for (; *value; value++) {
        char digits[3] = "";

        if (used + 1 >= READING_TEXT_MAX)
            return false;
        if (*value != '%') {
            to[used++] = *value;
            continue;
        }
        if (!isxdigit((unsigned char)value[1]) || !isxdigit((unsigned char)value[2]))
            return false;
        memcpy(digits, value + 1, 2);
        to[used++] = (char)strtol(digits, NULL, 16);
        value += 2;
    }
    to[used] = '\0';
    return used > 0 && strlen(to) == used;
}

/* So many numbers, then a date ("-" = unknown) where one is wanted, and nothing else. */
static bool take_numbers(const char *value, double *numbers, int count, long *day)
{
    for (int i = 0; i < count; i++) {
        char *end;

        numbers[i] = strtod(value, &end);
        if (end == value || !(fabs(numbers[i]) <= LARGEST))
            return false;
        value = end;
    }
    value += strspn(value, " ");
    if (!day)
        return !*value;
    *day = strcmp(value, "-") == 0 ? CALENDAR_NONE : calendar_parse(value);
    return *day != CALENDAR_NONE || strcmp(value, "-") == 0;
}

static bool take_count(struct work_count *count, const char *value)
{
    double n[NUMBERS_MAX];

    if (!take_numbers(value, n, NUMBERS_MAX, NULL))
        return false;
    for (int i = 0; i < NUMBERS_MAX; i++) {
        if (n[i] < 0)
            return false;
    }
    *count = (struct work_count){n[0], n[1], n[2], n[3], n[4]};
    return true;
}

static bool take_sweep(struct capacity_record *record, const char *key, const char *value)
{
    char *end;
    unsigned long number = strtoul(key + strlen(sweep_key), &end, 10);
    struct capacity_sweep sweep;
    double n[4];

    if (*end || number < 1 || number > CAPACITY_SWEEPS_MAX || number > record->count + 1 ||
        !take_numbers(value, n, 4, &sweep.day) || !(n[0] > 0) || !(n[1] > 0) || !(n[2] > 0 && n[2] <= 1) ||
        !(n[3] > 0))
        return false;
    sweep.capacity_Ah = n[0];
    sweep.deviation_Ah = n[1];
    sweep.depth = n[2];
    sweep.installed_Ah = n[3];
    record->sweep[number - 1] = sweep;
    if (number > record->count)
        record->count = number;
    return true;
}

static bool take_positive(double *to, const char *value)
{
    double number;

    if (!take_numbers(value, &number, 1, NULL) || !(number > 0))
        return false;
    *to = number;
    return true;
}

static bool take_of_record(struct work_record *record, const char *key, const char *value)
{
    if (strcmp(key, "id") == 0)
        return take_text(record->id, value);
    if (strcmp(key, "name") == 0)
        return take_text(record->name, value);
    if (strcmp(key, "installed_Ah") == 0)
        return take_positive(&record->installed_Ah, value);
    if (strcmp(key, "cycles") == 0)
        return take_positive(&record->cycles, value);
    if (strcmp(key, "total") == 0)
        return take_count(&record->total, value);
    if (strcmp(key, "full_to_full") == 0)
        return take_count(&record->closed, value);
    if (strncmp(key, sweep_key, strlen(sweep_key)) == 0)
        return take_sweep(&record->capacity, key, value);
    for (int i = 0; i < WORK_EXTREMES; i++) {
        double number;
        long day;

        if (strcmp(key, extreme_keys[i]) != 0)
            continue;
        if (!take_numbers(value, &number, 1, &day))
            return false;
        record->extreme[i].value = number;
        record->extreme[i].day = day;
        return true;
    }
    return true; /* a key of another version */
}

static bool take_of_bank(struct work_memory *memory, const char *key, const char *value)
{
    double age_s;
    long day;

    memory->begun = true;
    if (strcmp(key, "since") == 0)
        return take_numbers(value, NULL, 0, &memory->since_day);
    if (strcmp(key, "full") != 0)
        return take_of_record(&memory->bank, key, value);
    if (!take_numbers(value, &age_s, 1, &day) || age_s < 0)
        return false;
    memory->full_age_s = age_s;
    memory->full_day = day;
    return true;
}

bool state_work_take(struct work_memory *memory, const char *section, const char *key, const char *value)
{
    const char *tail = section + strlen(STATE_WORK_SECTION);
    unsigned long number;
    char *end;

    if (!*tail)
        return take_of_bank(memory, key, value);
    number = strtoul(tail, &end, 10);
    if (*end || number < 1 || number > WORK_PACKS_MAX || number > memory->packs + 1)
        return false;
    if (number > memory->packs)
        work_record_init(&memory->pack[memory->packs++]);
    return take_of_record(&memory->pack[number - 1], key, value);
}

void state_work_end(struct work_memory *memory)
{
    size_t kept = 0;

    for (size_t i = 0; i < memory->packs; i++) {
        if (memory->pack[i].id[0])
            memory->pack[kept++] = memory->pack[i];
    }
    memory->packs = kept;
}
