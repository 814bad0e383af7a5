#include "bus/paths.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* index + 1, so that a zeroed slot is a free one. */
struct slot {
    uint32_t hash;
    uint32_t number;
};

struct paths {
    const char **list;
    size_t count;
    size_t mask; /* slots - 1; a power of two, at most half of them taken */
    struct slot *slots;
};

/* FNV-1a, 32 bit (Fowler, Noll, Vo). */
static uint32_t paths_hash(const char *path)
{
    uint32_t hash = 2166136261u;

    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 16777619u;
    return hash;
}

/* The slot of path, or the free one where it would go. */
static struct slot *paths_slot(const struct paths *paths, const char *path, uint32_t hash)
{
    for (size_t at = hash & paths->mask;; at = (at + 1) & paths->mask) {
        struct slot *slot = &paths->slots[at];

        if (!slot->number)
            return slot;
        if (slot->hash == hash && strcmp(paths->list[slot->number - 1], path) == 0)
            return slot;
    }
}

struct paths *paths_new(const char *const list[], size_t count)
{
    struct paths *paths = calloc(1, sizeof *paths);
    size_t slots = 8;

    if (!paths)
        return NULL;
    while (slots < 2 * count)
        slots *= 2;
    paths->list = calloc(count ? count : 1, sizeof *paths->list);
    paths->slots = calloc(slots, sizeof *paths->slots);
    if (!paths->list || !paths->slots) {
        paths_free(paths);
        return NULL;
    }
    paths->count = count;
    paths->mask = slots - 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t hash = paths_hash(list[i]);
        struct slot *slot;

        paths->list[i] = list[i];
        slot = paths_slot(paths, list[i], hash);
        if (!slot->number)
            *slot = (struct slot){hash, (uint32_t)i + 1};
    }
    return paths;
}

void paths_free(struct paths *paths)
{
    if (!paths)
        return;
    free(paths->list);
    free(paths->slots);
    free(paths);
}

size_t paths_count(const struct paths *paths)
{
    return paths->count;
}

const char *paths_get(const struct paths *paths, size_t index)
{
    return paths->list[index];
}

int paths_find(const struct paths *paths, const char *path)
{
    return (int)paths_slot(paths, path, paths_hash(path))->number - 1;
}
