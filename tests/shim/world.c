/* Preloaded into the daemon under test: its clocks jump and its disk fails when the test says so, through a
 * struct world in the file $WORLD that both have mapped. Without one nothing is changed. */
#include "shim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int open(const char *path, int flags, ...);
int clock_gettime(clockid_t clock, struct timespec *time);
ssize_t write(int fd, const void *data, size_t length);

static const struct world *world;

__attribute__((constructor)) static void map_world(void)
{
    const char *path = getenv("WORLD");
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped;

    if (fd < 0)
        return;
    mapped = mmap(NULL, sizeof *world, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        world = mapped;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, clock, time);

    if (result == 0 && world)
        time->tv_sec += clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ? world->wall_s
                        : clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID
                            ? 0
                            : world->monotonic_s;
    return result;
}

static bool disk_fails(int flags)
{
    return world && world->disk_errno && (flags & (O_CREAT | O_WRONLY | O_RDWR));
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    int mode;

    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, int) : 0;
    va_end(arguments);
    if (disk_fails(flags) && world->disk_errno == EROFS) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* A full disk takes a new file, but nothing into it. What is no file is no disk. */
ssize_t write(int fd, const void *data, size_t length)
{
    if (disk_fails(O_WRONLY) && world->disk_errno == ENOSPC && lseek(fd, 0, SEEK_CUR) >= 0) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, data, length);
}
