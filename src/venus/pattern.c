#include "venus/pattern.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* In UTF-8 a character is several bytes. */
static const char *next_character(const char *text)
{
    do
        text++;
    while (((unsigned char)*text & 0xC0) == 0x80);
    return text;
}

/* Each * first stands for nothing and takes one character more whenever what follows does not fit. */
bool pattern_fits(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *taken = NULL;

    if (!*text)
        return false;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            taken = text;
        } else if (*pattern == '?') {
            pattern++;
            text = next_character(text);
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++taken;
        } else {
            return false;
        }
    }
    return !pattern[strspn(pattern, "*")];
}

/* Long names are cut when they are read. */
static bool is_name(const char *pattern, const char *name)
{
    size_t length = strlen(name);

    return pattern_fits(pattern, name) ||
           (length == READING_TEXT_MAX - 1 && strncmp(pattern, name, length) == 0);
}

bool pattern_names(const char *pattern, const struct pack_reading *reading)
{
    char instance[24] = "";

    if (!isnan(reading->device_instance))
        snprintf(instance, sizeof instance, "#%.0f", reading->device_instance);
    return is_name(pattern, reading->custom_name) || is_name(pattern, reading->serial) ||
           is_name(pattern, reading->product_name) || (*pattern == '#' && pattern_fits(pattern, instance));
}

bool pattern_list_names(const struct pattern_list *list, const struct pack_reading *reading)
{
    for (size_t i = 0; i < list->count; i++) {
        if (pattern_names(list->pattern[i], reading))
            return true;
    }
    return false;
}

/* A pattern taken as text: its * is more than one character, and an instance is no name. */
static bool covers(const char *wide, const char *narrow)
{
    return strcmp(wide, narrow) == 0 ||
           (pattern_fits(wide, narrow) && !(strchr(wide, '?') && strchr(narrow, '*')) &&
            (*narrow != '#' || *wide == '#'));
}

bool pattern_list_covers(const struct pattern_list *list, const char *pattern)
{
    for (size_t i = 0; i < list->count; i++) {
        if (covers(list->pattern[i], pattern))
            return true;
    }
    return false;
}

bool pattern_list_in(const struct pattern_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *pattern = list->pattern[i];

        if (strpbrk(pattern, "*?") ? pattern_fits(pattern, text) : strstr(text, pattern) != NULL)
            return true;
    }
    return false;
}
