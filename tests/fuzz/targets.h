/* The fuzz targets: each takes any bytes as its input and ends the program when something does not hold.
 * `make fuzz` lets libFuzzer search with them, test_corpus replays what is kept. */
#ifndef TESTS_FUZZ_TARGETS_H
#define TESTS_FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

/* A settings file: the reader with all of its checks, and one step under the settings that it accepts. */
void fuzz_settings(const uint8_t *data, size_t size);

/* Files of a data folder, each after a line "=name": read, restored, written and read again. */
void fuzz_state(const uint8_t *data, size_t size);

/* A recording through `replay`; what stands before a line "[recording]" is its settings file. */
void fuzz_recording(const uint8_t *data, size_t size);

/* First byte even: messages of the wire, one behind the other. Odd: bytes that lead a maker of well-formed
 * ones. Both into monitor and items with the engine behind them. */
void fuzz_messages(const uint8_t *data, size_t size);

/* Like assert, but always there. */
#define REQUIRE(condition) ((condition) ? (void)0 : fuzz_broken(#condition, __FILE__, __LINE__))
void fuzz_broken(const char *condition, const char *file, int line) __attribute__((noreturn));

#endif
