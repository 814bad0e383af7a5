/* Random worlds for core/: configurations, packs, chargers, clocks and settings services that behave and
 * misbehave, and what must hold in each of them. The same seed makes the same world. */
#ifndef TESTS_FUZZ_WORLDS_H
#define TESTS_FUZZ_WORLDS_H

#include <stddef.h>
#include <stdint.h>

/* Lives through one world. NULL, or what did not hold, with its numbers (valid until the next call). */
const char *worlds_live(uint64_t seed);

#endif
