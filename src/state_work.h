/* What core/work.h remembers as sections of state.ini: [work] is the bank, [work 1] and so on are its packs.
 * Unknown has no line; ids and names are written so that no byte of theirs means anything to the file. */
#ifndef STATE_WORK_H
#define STATE_WORK_H

#include <stdbool.h>
#include <stdio.h>

#include "core/work.h"

#define STATE_WORK_SECTION "work"

/* Writes the sections; nothing before something was counted. */
void state_work_write(FILE *out, const struct work_memory *memory);

/* One pair of such a section into memory, which is initialised. False when it cannot be; keys of another
 * version are let pass. */
bool state_work_take(struct work_memory *memory, const char *section, const char *key, const char *value);

/* To be called when all pairs are taken: packs without an id are dropped. */
void state_work_end(struct work_memory *memory);

#endif
