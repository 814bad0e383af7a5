/* A set of object paths with a number each: built once, looked up for every value that arrives. */
#ifndef BUS_PATHS_H
#define BUS_PATHS_H

#include <stddef.h>

struct paths; /* open-addressed hash, fixed after paths_new */

enum { PATHS_NONE = -1 };

/* Copies nothing: the strings of list must outlive the set. The number of a path is its index in list.
 * NULL when out of memory. Double paths: the first wins. */
struct paths *paths_new(const char *const list[], size_t count);
void paths_free(struct paths *paths);

size_t paths_count(const struct paths *paths);
const char *paths_get(const struct paths *paths, size_t index);

/* The number of path, PATHS_NONE when it is not in the set. */
int paths_find(const struct paths *paths, const char *path);

#endif
