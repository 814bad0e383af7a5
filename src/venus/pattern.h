/* Names as users write them: whole, or with * for any text and ? for one character. */
#ifndef VENUS_PATTERN_H
#define VENUS_PATTERN_H

#include <stdbool.h>

#include "core/config.h"
#include "core/reading.h"

/* The whole text fits the pattern; upper and lower case differ. An empty text fits none. */
bool pattern_fits(const char *pattern, const char *text);

/* The pattern is the custom name, the serial, the product name or "#<instance>" of this battery. */
bool pattern_names(const char *pattern, const struct pack_reading *reading);

/* One of the patterns does. */
bool pattern_list_names(const struct pattern_list *list, const struct pack_reading *reading);

/* Whatever fits the pattern fits one of the list too, by the same of its names. */
bool pattern_list_covers(const struct pattern_list *list, const char *pattern);

/* One of the patterns is a part of the text or, where it has * or ?, fits all of it. */
bool pattern_list_in(const struct pattern_list *list, const char *text);

#endif
