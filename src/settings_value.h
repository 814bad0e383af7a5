/* The text of one setting becomes its member of struct config. Knows types and ranges, and nothing of
 * files or lines. */
#ifndef SETTINGS_VALUE_H
#define SETTINGS_VALUE_H

#include <stddef.h>

#include "core/config.h"
#include "settings_table.h"

enum { SETTINGS_WRONG_MAX = 160 };

/* Stores text as the value of key. Lists may name keys of one number ("MIN_CELL_VOLTAGE + 0.05"), which
 * must be stored already. *points receives how many numbers a curve's list has. Returns NULL, or what is
 * wrong with the text (perhaps in wrong); then *config may be half changed. */
const char *settings_value_store(const struct key *key, const char *text, struct config *config,
                                 size_t *points, char wrong[SETTINGS_WRONG_MAX]);

/* True for the types that hold several numbers. */
bool settings_value_is_list(const struct key *key);

/* True for the types that are lists of names (of packs, shunts, products, sources). */
bool settings_value_is_names(const struct key *key);

/* True when '#' may be a part of the value: texts and names. */
bool settings_value_is_text(const struct key *key);

#endif
