/* What `status` shows, as plain data: filled from the bus by status_read.c, written for people and
 * programs by status_text.c. */
#ifndef COMMANDS_STATUS_VIEW_H
#define COMMANDS_STATUS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { STATUS_TEXT_MAX = 160, STATUS_PACKS_MAX = 64, STATUS_NUMBERS_MAX = 48, STATUS_TEXTS_MAX = 12 };

/* The aggregate: unknown is NAN or "". The alarms follow as numbers, in the order of core/alarms.h. */
enum status_bank_number {
    BANK_SOC,
    BANK_VOLTAGE,
    BANK_CURRENT,
    BANK_POWER,
    BANK_TEMPERATURE,
    BANK_CAPACITY,
    BANK_INSTALLED,
    BANK_CELL_MAX,
    BANK_CELL_MIN,
    BANK_CELL_DIFF,
    BANK_CVL,
    BANK_CCL,
    BANK_DCL,
    BANK_PACKS,
    BANK_OFFLINE,
    BANK_GUARD,
    BANK_INSTANCE,
    BANK_SOC_UNCERTAINTY,
    BANK_ALARM_FIRST /* and the rest of them */
};
enum status_bank_text {
    BANK_CELL_MAX_ID,
    BANK_CELL_MIN_ID,
    BANK_CVL_WHY,
    BANK_CCL_WHY,
    BANK_DCL_WHY,
    BANK_NAME,
    BANK_TEXTS
};

enum status_pack_number {
    PACK_VOLTAGE,
    PACK_CURRENT,
    PACK_SOC,
    PACK_CELL_MIN,
    PACK_CELL_MAX,
    PACK_CVL,
    PACK_CCL,
    PACK_DCL,
    PACK_TEMPERATURE,
    PACK_NUMBERS
};

enum status_learned_number { LEARNED_SHARE, LEARNED_RESISTANCE, LEARNED_DEVIATION, LEARNED_NUMBERS };

struct status_pack {
    char name[STATUS_TEXT_MAX];
    char service[STATUS_TEXT_MAX];
    char state[STATUS_TEXT_MAX];
    double number[PACK_NUMBERS];
    double learned[LEARNED_NUMBERS]; /* what the aggregate knows of it */
};

struct status_view {
    double number[STATUS_NUMBERS_MAX];
    char text[STATUS_TEXTS_MAX][STATUS_TEXT_MAX];
    double feed_in; /* OvervoltageFeedIn: 0, 1; NAN = no settings service */
    size_t packs;
    struct status_pack pack[STATUS_PACKS_MAX];
};

/* How it is written. */
struct status_style {
    bool colour;
    int width; /* columns of the terminal, 0 = do not cut */
};

/* One line with the facts that matter. */
void status_line(FILE *out, const struct status_view *view, const struct status_style *style);
/* The bank in a few lines, then a row a pack. */
void status_table(FILE *out, const struct status_view *view, const struct status_style *style);
/* One JSON object on one line; unknown is null. */
void status_json(FILE *out, const struct status_view *view);

/* ---- reading ---- */

struct status_reader;

/* Connects to the bus. NULL with a message on stderr when that fails. */
struct status_reader *status_reader_new(const char *address);
void status_reader_free(struct status_reader *reader);

enum status_found { STATUS_FOUND, STATUS_NO_DAEMON, STATUS_NO_BUS };

/* Reads it all anew, the packs only when with_packs. */
enum status_found status_read(struct status_reader *reader, bool with_packs, struct status_view *view);

#endif
