#include "bus/watch.h"

#include <stdlib.h>

enum { WATCHES_PER_FD = 4 }; /* libdbus uses two: one for reading, one for writing */

/* uv allows one uv_poll_t for a file descriptor, libdbus has several watches on it. */
struct poll {
    struct poll *next;
    uv_poll_t handle;
    struct watches *watches;
    int fd;
    int events; /* what uv waits for now */
    DBusWatch *watch[WATCHES_PER_FD];
};

struct timeout {
    uv_timer_t handle;
    struct watches *watches;
    DBusTimeout *timeout;
};

static void handle_closed(struct watches *watches)
{
    watches->open_handles--;
    watches->handle_gone(watches->ctx);
}

static void poll_closed(uv_handle_t *handle)
{
    struct poll *poll = handle->data;
    struct watches *watches = poll->watches;

    free(poll);
    handle_closed(watches);
}

static void timeout_closed(uv_handle_t *handle)
{
    struct timeout *timer = handle->data;
    struct watches *watches = timer->watches;

    free(timer);
    handle_closed(watches);
}

static void poll_ready(uv_poll_t *handle, int status, int events)
{
    struct poll *poll = handle->data;
    struct watches *watches = poll->watches;
    unsigned int flags = 0;
    DBusConnection *connection;

    if (status < 0) {
        watches->broken(watches->ctx, uv_strerror(status));
        return;
    }
    if (events & UV_READABLE)
        flags |= DBUS_WATCH_READABLE;
    if (events & UV_WRITABLE)
        flags |= DBUS_WATCH_WRITABLE;

    connection = dbus_connection_ref(watches->connection);
    /* Handling one watch may remove the others: their slots are empty then. */
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        DBusWatch *watch = poll->watch[i];
        unsigned int wanted;

        if (!watch || !dbus_watch_get_enabled(watch))
            continue;
        wanted = flags & dbus_watch_get_flags(watch);
        if (wanted)
            dbus_watch_handle(watch, wanted);
    }
    dbus_connection_unref(connection);
}

static bool poll_update(struct poll *poll)
{
    int events = 0;

    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        unsigned int flags;

        if (!poll->watch[i] || !dbus_watch_get_enabled(poll->watch[i]))
            continue;
        flags = dbus_watch_get_flags(poll->watch[i]);
        if (flags & DBUS_WATCH_READABLE)
            events |= UV_READABLE;
        if (flags & DBUS_WATCH_WRITABLE)
            events |= UV_WRITABLE;
    }
    if (events == poll->events)
        return true;
    poll->events = events;
    if (!events)
        return uv_poll_stop(&poll->handle) == 0;
    return uv_poll_start(&poll->handle, events, poll_ready) == 0;
}

static struct poll *poll_of(struct watches *watches, int fd)
{
    struct poll *poll;

    for (poll = watches->polls; poll; poll = poll->next) {
        if (poll->fd == fd)
            return poll;
    }
    poll = calloc(1, sizeof *poll);
    if (!poll)
        return NULL;
    if (uv_poll_init(watches->loop, &poll->handle, fd) < 0) {
        free(poll);
        return NULL;
    }
    watches->open_handles++;
    poll->handle.data = poll;
    poll->watches = watches;
    poll->fd = fd;
    poll->next = watches->polls;
    watches->polls = poll;
    return poll;
}

/* The descriptor is closed by libdbus right after this, so uv must let go of it now. */
static void poll_drop(struct poll *poll)
{
    struct poll **link = &poll->watches->polls;

    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        if (poll->watch[i])
            return;
    }
    while (*link != poll)
        link = &(*link)->next;
    *link = poll->next;
    uv_close((uv_handle_t *)&poll->handle, poll_closed);
}

static void watch_remove(DBusWatch *watch, void *data)
{
    struct poll *poll = dbus_watch_get_data(watch);

    (void)data;
    if (!poll)
        return;
    dbus_watch_set_data(watch, NULL, NULL);
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        if (poll->watch[i] == watch)
            poll->watch[i] = NULL;
    }
    poll_update(poll);
    poll_drop(poll);
}

static dbus_bool_t watch_add(DBusWatch *watch, void *data)
{
    struct poll *poll = poll_of(data, dbus_watch_get_unix_fd(watch));

    if (!poll)
        return FALSE;
    for (size_t i = 0; i < WATCHES_PER_FD; i++) {
        if (poll->watch[i])
            continue;
        poll->watch[i] = watch;
        dbus_watch_set_data(watch, poll, NULL);
        if (poll_update(poll))
            return TRUE;
        break;
    }
    watch_remove(watch, data);
    return FALSE;
}

static void watch_toggled(DBusWatch *watch, void *data)
{
    struct poll *poll = dbus_watch_get_data(watch);

    (void)data;
    if (poll)
        poll_update(poll);
}

/* --- timeouts --- */

static void timeout_due(uv_timer_t *handle)
{
    struct timeout *timer = handle->data;
    DBusConnection *connection = dbus_connection_ref(timer->watches->connection);

    dbus_timeout_handle(timer->timeout);
    dbus_connection_unref(connection);
}

static void timeout_update(struct timeout *timer)
{
    if (dbus_timeout_get_enabled(timer->timeout)) {
        uint64_t interval_ms = (uint64_t)dbus_timeout_get_interval(timer->timeout);

        uv_timer_start(&timer->handle, timeout_due, interval_ms, interval_ms);
    } else {
        uv_timer_stop(&timer->handle);
    }
}

static dbus_bool_t timeout_add(DBusTimeout *timeout, void *data)
{
    struct watches *watches = data;
    struct timeout *timer = calloc(1, sizeof *timer);

    if (!timer)
        return FALSE;
    uv_timer_init(watches->loop, &timer->handle);
    watches->open_handles++;
    timer->handle.data = timer;
    timer->watches = watches;
    timer->timeout = timeout;
    dbus_timeout_set_data(timeout, timer, NULL);
    timeout_update(timer);
    return TRUE;
}

static void timeout_remove(DBusTimeout *timeout, void *data)
{
    struct timeout *timer = dbus_timeout_get_data(timeout);

    (void)data;
    if (!timer)
        return;
    dbus_timeout_set_data(timeout, NULL, NULL);
    uv_close((uv_handle_t *)&timer->handle, timeout_closed);
}

static void timeout_toggled(DBusTimeout *timeout, void *data)
{
    struct timeout *timer = dbus_timeout_get_data(timeout);

    (void)data;
    if (timer)
        timeout_update(timer);
}

bool watches_attach(struct watches *watches, DBusConnection *connection)
{
    watches->connection = connection;
    return dbus_connection_set_watch_functions(connection, watch_add, watch_remove, watch_toggled, watches,
                                               NULL) &&
           dbus_connection_set_timeout_functions(connection, timeout_add, timeout_remove, timeout_toggled,
                                                 watches, NULL);
}

void watches_detach(struct watches *watches)
{
    dbus_connection_set_timeout_functions(watches->connection, NULL, NULL, NULL, NULL, NULL);
    dbus_connection_set_watch_functions(watches->connection, NULL, NULL, NULL, NULL, NULL);
    watches->connection = NULL;
}
