#include "tidy.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE = 64 * 1024, LINE_MAX_BYTES = 512, MAPPINGS_MAX = 128 };

/* What is large lives for a moment (settings that are read again, a scan): left to itself malloc learns from
 * the first such block to keep the next ones. */
void tidy_begin(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE);
    mallopt(M_TRIM_THRESHOLD, LARGE);
}

extern const char __ehdr_start[]; /* where the linker put the beginning of this program */

/* A line of smaps that begins a mapping; false when it is none. */
static bool begins_mapping(const char *line, struct tidy_mapping *mapping)
{
    unsigned long first, end;
    char mode[5], file;
    int fields = sscanf(line, "%lx-%lx %4s %*s %*s %*s %c", &first, &end, mode, &file);

    if (fields < 3)
        return false;
    *mapping = (struct tidy_mapping){(void *)first, end - first};
    if (fields < 4 || file != '/' || mode[0] != 'r' || mode[1] != '-')
        mapping->size = 0;
    return true;
}

static bool is_own_page(const char *line)
{
    unsigned long own_kB;

    return (sscanf(line, "Anonymous: %lu kB", &own_kB) == 1 || sscanf(line, "Swap: %lu kB", &own_kB) == 1) &&
           own_kB > 0;
}

size_t tidy_find(FILE *smaps, const void *program, struct tidy_mapping found[], size_t max)
{
    struct tidy_mapping mapping = {NULL, 0};
    bool tells_own = false, is_ours = false;
    size_t count = 0;
    char line[LINE_MAX_BYTES];

    while (fgets(line, sizeof line, smaps) && count < max) {
        if (is_own_page(line) && mapping.size > 0) {
            tells_own = true;
            mapping.size = 0;
        }
        if (strncmp(line, "VmFlags:", strlen("VmFlags:")) == 0 && mapping.size > 0)
            found[count++] = mapping;
        if (begins_mapping(line, &mapping))
            is_ours = is_ours || mapping.first == program;
    }
    return tells_own && is_ours ? count : 0;
}

void tidy_up(void)
{
    FILE *smaps = fopen("/proc/self/smaps", "re");
    struct tidy_mapping mapping[MAPPINGS_MAX];
    size_t count = smaps ? tidy_find(smaps, __ehdr_start, mapping, MAPPINGS_MAX) : 0;

    for (size_t i = 0; i < count; i++)
        madvise(mapping[i].first, mapping[i].size, MADV_DONTNEED);
    if (smaps)
        fclose(smaps);
    malloc_trim(0);
}
