/* Lists of names, of shunts and of sources of current: elements with commas between them, with or without
 * brackets around and a comma at the end. Each function returns NULL, or says in wrong what is wrong and
 * where. */
#ifndef SETTINGS_LIST_H
#define SETTINGS_LIST_H

#include <stdbool.h>

#include "core/config.h"
#include "settings_value.h"

/* Texts: SerialBattery, "A, B". */
const char *settings_list_texts(const char *text, struct pattern_list *list, char wrong[SETTINGS_WRONG_MAX]);

/* Packs: "House 1", #289, Pylon*. */
const char *settings_list_packs(const char *text, struct pattern_list *list, char wrong[SETTINGS_WRONG_MAX]);

/* Packs and their shunts: "House 1": 279, #2: 280 soc. */
const char *settings_list_pack_shunts(const char *text, struct pack_shunts *list,
                                      char wrong[SETTINGS_WRONG_MAX]);

/* Sources of current: vebus, dcload#31, -#30. */
const char *settings_list_sources(const char *text, struct current_sources *list,
                                  char wrong[SETTINGS_WRONG_MAX]);

/* Where in a list of names, separated by commas or the signs of BANK, something is taken for a part of the
 * name before it that looks like a comment ("A # old", "A; B") or, with instances, like one ("A #289"). NULL
 * = nowhere. */
const char *settings_list_doubtful(const char *text, bool instances);

/* True when the text is nothing but such names in quotes and instances, or begins with one and its comma:
 * who has written it for a comment would have written words. */
bool settings_list_is_of_names(const char *text);

/* True when a name could not end, or could not begin, at this place: a separator, a bracket or nothing. */
bool settings_list_is_between(char character);

#endif
