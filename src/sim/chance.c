#include "sim/chance.h"

#include <math.h>

uint64_t chance_seed(uint64_t seed, uint64_t stream)
{
    return (seed * UINT64_C(0x9E3779B97F4A7C15) ^ stream * UINT64_C(0xC2B2AE3D27D4EB4F)) | 1;
}

/* Marsaglia's xorshift64*. */
static uint64_t draw(uint64_t *random)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return *random * UINT64_C(2685821657736338717);
}

double chance_uniform(uint64_t *random)
{
    return (double)(draw(random) >> 11) / 9007199254740992.0;
}

double chance_normal(uint64_t *random)
{
    double sum = 0;

    for (int i = 0; i < 12; i++)
        sum += chance_uniform(random);
    return sum - 6; /* twelve uniform numbers have a variance of 1 */
}

double chance_flicker(uint64_t *random)
{
    uint64_t bits = draw(random);
    uint64_t sum = (bits & 0xFFFF) + (bits >> 16 & 0xFFFF) + (bits >> 32 & 0xFFFF) + (bits >> 48);

    return ((double)sum / 65536 - 2) * 1.7320508; /* four uniform numbers have a variance of 1/3 */
}

double chance_exponential(uint64_t *random, double mean_s)
{
    return -mean_s * log(1 - chance_uniform(random));
}
