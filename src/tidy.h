/* Memory that was needed for a while, to start or to read 64 packs at once, goes back to the system: what a
 * daemon keeps for months is what it needs every second. */
#ifndef TIDY_H
#define TIDY_H

#include <stddef.h>
#include <stdio.h>

/* Once, before anything is allocated. */
void tidy_begin(void);

/* Gives back what is not needed now: free blocks, and the programs' and libraries' pages that were only
 * needed once (the kernel maps 64 KiB around each address that is, and relocating touches them all). Costs
 * about a millisecond, and a fault for each of these that is needed again: not for every second. */
void tidy_up(void);

struct tidy_mapping {
    void *first;
    size_t size;
};

/* From the kernel's smaps the mappings of files of which nothing is lost when they are let go of: what is
 * needed of them comes back with a fault. Not those of which pages are ours alone, here or in swap: written
 * before they were protected, as relocations are, or where a debugger stops. None where smaps is not to be
 * trusted: an emulator's has no mapping that begins where the program does, or none with relocations, which
 * every program has. None of what follows the first max. How many. */
size_t tidy_find(FILE *smaps, const void *program, struct tidy_mapping found[], size_t max);

#endif
