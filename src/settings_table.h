/* The inside of settings.ini: the table of keys, for the reader, the checks and the documentation. */
#ifndef SETTINGS_TABLE_H
#define SETTINGS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/config.h"

enum { SETTINGS_RANGE_MAX = 256 };

enum key_type {
    KEY_BOOL,        /* bool */
    KEY_COUNT,       /* int; empty or -1: CONFIG_NOT_SET */
    KEY_WHOLE,       /* int */
    KEY_REAL,        /* double */
    KEY_REAL_SET,    /* double; empty: the default, and *set stays false */
    KEY_TEXT,        /* char[CONFIG_TEXT_MAX] */
    KEY_TEXT_PATH,   /* the same; one of the paths that hold a name */
    KEY_MONTHS,      /* double[12] */
    KEY_CURVE_X,     /* struct curve: its voltages; empty: computed */
    KEY_CURVE_Y,     /* struct curve: its shares */
    KEY_SHAPE,       /* struct shape */
    KEY_SHUNTS,      /* no, all, or a list of instances or names */
    KEY_TEXTS,       /* struct pattern_list, of texts */
    KEY_PACKS,       /* struct pattern_list, of packs */
    KEY_PACK_SHUNTS, /* struct pack_shunts */
    KEY_SOURCES,     /* struct current_sources */
    KEY_LEVEL,       /* enum log_level */
    KEY_CHOICE,      /* an enum; `unit` has its words in order: "degrade, hold or stop" */
    KEY_NOT_NEEDED   /* accepted and ignored */
};

struct key {
    const char *section; /* heading in settings.ini */
    const char *name;
    const char *alias; /* what an older generation called it, NULL = the same */
    enum key_type type;
    size_t offset;     /* in struct config */
    size_t set_offset; /* of a KEY_REAL_SET: the bool */
    double min, max;   /* of numbers; of a text: its fewest bytes */
    const char *unit;
    const char *default_text;
    const char *help;
};

extern const struct key settings_keys[];
extern const size_t settings_key_count;

/* The key of this name or older name, in upper or lower case; NULL when there is none. */
const struct key *settings_find_key(const char *name);

/* Edits from one word to another, Levenshtein's distance without regard to case; SIZE_MAX for long ones. */
size_t settings_edits(const char *a, const char *b);

/* What a misspelt name was meant to be; NULL when nothing is near. */
const struct key *settings_nearest_key(const char *name);

/* What is allowed, for messages and documentation: "0 to 1000", "True or False". Returns buf. */
const char *settings_key_range(const struct key *key, char *buf, size_t size);

/* The unit of a number, "" where there is none. */
const char *settings_key_unit(const struct key *key);

#endif
