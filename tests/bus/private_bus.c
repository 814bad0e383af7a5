#include "private_bus.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* cmocka.h needs the others before it */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

enum { AWAIT_S = 60 };

static const char config[] =
    "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\"\n"
    " \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n"
    "<busconfig><type>session</type><listen>%s</listen><auth>EXTERNAL</auth>\n"
    "<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\n"
    "<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";

static void file_name(const struct private_bus *bus, const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", bus->dir, name);
}

void private_bus_init(struct private_bus *bus)
{
    char path[128];
    FILE *file;

    memset(bus, 0, sizeof *bus);
    snprintf(bus->dir, sizeof bus->dir, "/tmp/aggregator-bus-XXXXXX");
    assert_non_null(mkdtemp(bus->dir));
    snprintf(bus->address, sizeof bus->address, "unix:path=%s/socket", bus->dir);
    file_name(bus, "config", path, sizeof path);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, config, bus->address);
    fclose(file);
}

void private_bus_start(struct private_bus *bus)
{
    char path[128], option[160], print[40], address[256];
    int ready[2];

    assert_int_equal(pipe(ready), 0);
    file_name(bus, "config", path, sizeof path);
    snprintf(option, sizeof option, "--config-file=%s", path);
    snprintf(print, sizeof print, "--print-address=%d", ready[1]);
    bus->pid = fork();
    assert_true(bus->pid >= 0);
    if (bus->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        if (!getenv("BUS_LOG")) /* it complains of limits that it may not raise */
            stderr = freopen("/dev/null", "w", stderr);
        execlp("dbus-daemon", "dbus-daemon", option, "--nofork", "--nopidfile", print, (char *)NULL);
        _exit(127);
    }
    close(ready[1]);
    assert_true(read(ready[0], address, sizeof address) > 0); /* it prints when it listens */
    close(ready[0]);
}

void private_bus_kill(struct private_bus *bus)
{
    char path[128];

    if (!bus->pid)
        return;
    kill(bus->pid, SIGKILL);
    waitpid(bus->pid, NULL, 0);
    bus->pid = 0;
    file_name(bus, "socket", path, sizeof path);
    unlink(path);
}

void private_bus_remove(struct private_bus *bus)
{
    char path[128];

    private_bus_kill(bus);
    file_name(bus, "config", path, sizeof path);
    unlink(path);
    rmdir(bus->dir);
}

static void await_due(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void await(uv_loop_t *loop, bool (*met)(void *ctx), void *ctx, const char *what)
{
    static uv_timer_t timer; /* outlives its close callback */
    bool late = false;
    uv_timer_t *deadline = &timer;

    uv_timer_init(loop, deadline);
    deadline->data = &late;
    uv_update_time(loop);
    uv_timer_start(deadline, await_due, AWAIT_S * 1000, 0);
    while (!met(ctx) && !late)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)deadline, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    if (!met(ctx))
        fail_msg("waited in vain: %s", what);
}

void loop_finish(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(loop), 0);
}
