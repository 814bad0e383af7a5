/* fuzz_core [WORLDS [FIRST SEED]]: random worlds on all cores; the seed of one in which something does not
 * hold is printed, and `fuzz_core 1 SEED` repeats it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/worlds.h"

enum { FOUND_MAX = 5 };

static int live(uint64_t first, uint64_t end, uint64_t stride)
{
    int found = 0;

    for (uint64_t seed = first; seed < end && found < FOUND_MAX; seed += stride) {
        const char *wrong = worlds_live(seed);

        if (!wrong)
            continue;
        printf("seed %" PRIu64 ": %s\n", seed, wrong);
        fflush(stdout);
        found++;
    }
    return found > 0;
}

int main(int argc, char *argv[])
{
    uint64_t worlds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int bad = 0;

    for (long i = 0; i < cores; i++) {
        if (fork() == 0)
            _exit(live(first + (uint64_t)i, first + worlds, (uint64_t)cores));
    }
    for (int status; wait(&status) > 0;)
        bad |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    printf("%" PRIu64 " worlds: %s\n", worlds, bad ? "something did not hold" : "everything held");
    return bad;
}
