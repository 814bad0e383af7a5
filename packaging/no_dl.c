/* libuv's fs.c looks up mkostemp with dlsym, for uv_fs_mkstemp, which nobody here calls. These stand in for
 * it, so that the release needs no libdl: NULL means "not there", and libuv has its own way then. */
#include <dlfcn.h>
#include <stddef.h>

__attribute__((visibility("hidden"))) void *dlsym(void *handle, const char *name)
{
    (void)handle;
    (void)name;
    return NULL;
}

__attribute__((visibility("hidden"))) char *dlerror(void)
{
    return NULL;
}
