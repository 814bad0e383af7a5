/* Decisions drawn from the bytes of an input; when they are used up, each is the first. */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *at, *end;
};

static inline unsigned bytes_one(struct bytes *bytes)
{
    return bytes->at < bytes->end ? *bytes->at++ : 0;
}

/* 0 to count - 1; count up to 65536. */
static inline size_t bytes_choose(struct bytes *bytes, size_t count)
{
    size_t drawn = bytes_one(bytes);

    if (count > 256)
        drawn |= (size_t)bytes_one(bytes) << 8;
    return count ? drawn % count : 0;
}

#endif
