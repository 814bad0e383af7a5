/* What a test may do to the world of the daemon that it started. */
#ifndef TESTS_SHIM_WORLD_H
#define TESTS_SHIM_WORLD_H

struct world {
    long wall_s;      /* added to the time of day */
    long monotonic_s; /* added to the monotonic clock: never take it back */
    int disk_errno;   /* ENOSPC: nothing can be written; EROFS: nothing can be opened for writing; 0: fine */
};

#endif
