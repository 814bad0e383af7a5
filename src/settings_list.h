/* Lists of names, of shunts and of sources of current: elements with commas between them, with or without
 * brackets around and a comma at the end. Each function returns NULL, or says in wrong what is wrong and
 * where. */
#ifndef SETTINGS_LIST_H
#define SETTINGS_LIST_H

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

#endif
