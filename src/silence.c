#include "silence.h"

/* Asked for this, a service whose signals are lost tells what it measures all the same. */
#define QUESTION "/Dc/0/Current"

/* Whose word decides about limits or makes the bank current. */
static bool is_watched(const struct device *device)
{
    switch (device->role) {
    case ROLE_PACK:
    case ROLE_SHUNT:
    case ROLE_MULTI:
    case ROLE_MPPT:
    case ROLE_SOURCE:
        return true;
    case ROLE_UNDECIDED:
    case ROLE_SYSTEM:
    case ROLE_SETTINGS:
    case ROLE_NOT_IN_BANK:
    case ROLE_OTHER:
        break;
    }
    return false;
}

static void watch_one(struct monitor *monitor, struct engine *engine, struct monitor_service *service,
                      double now_s, silence_changed_fn changed, void *ctx)
{
    struct device *device = service->user;
    double age_s = now_s - service->heard_s;
    bool quiet = age_s >= engine->config.stale_after_s / 2.0;
    bool stale =
        device->asked && age_s >= engine->config.stale_after_s; /* nobody is lost who was not asked */

    device->asked = quiet;
    if (quiet)
        monitor_ask(monitor, service, QUESTION);
    if (stale == device->stale)
        return;
    engine_stale(engine, device, stale);
    if (changed)
        changed(ctx, service, stale);
}

void silence_watch(struct monitor *monitor, struct engine *engine, double now_s, silence_changed_fn changed,
                   void *ctx)
{
    for (size_t i = 0; i < monitor_count(monitor); i++) {
        struct monitor_service *service = monitor_at(monitor, i);
        const struct device *device = service->user;

        if (device && is_watched(device))
            watch_one(monitor, engine, service, now_s, changed, ctx);
    }
}
