/* The rooms of venus/ and core/ put together: values of services in, limits and published items out, in
 * whatever time the caller says. The daemon feeds it from the bus, replay from a recording. */
#ifndef ENGINE_H
#define ENGINE_H

#include <stdbool.h>

#include "bus/items.h"
#include "core/aggregator.h"
#include "core/contradiction.h"
#include "report.h"
#include "report_names.h"
#include "roster.h"
#include "venus/devices.h"
#include "venus/inputs.h"
#include "venus/outputs.h"
#include "venus/pages.h"

struct engine {
    struct config config;
    struct inputs *inputs;
    struct items *items; /* what is published */
    struct outputs *outputs;
    struct pages *pages;
    bool shows_pages; /* the caller wants them: replay does not, for they repeat what it reads */
    double turn_s;    /* when pages were last looked at, and how often that was */
    size_t turns;
    double heard_s[OUTPUTS_PACKS_MAX]; /* of the pack in each slot; NAN = never */
    struct devices devices;
    struct roster roster;
    struct aggregator aggregator;
    struct aggregate aggregate; /* the result of the last step */
    struct report report;
    struct report_unmatched unmatched;
    bool packs_changed; /* the roster must be looked at */
    bool more_to_come; /* the caller says so: others that are here have not told yet. The first packs of a run
                          come together, so that their places follow their instances */
    bool settings_silent; /* the caller says so: what the settings service reads may be from before our writes
                           */
    bool cannot_save;     /* the caller says so: it is shown as an alarm */
    struct contradiction_watch current_contradicts;
    double contradictions_s; /* when they were looked for last */
    bool was_complete;       /* in this run: from then on one pack suffices to be shown again */
    double
        never_here_s; /* since when a pack that BANK names and that never came is waited for; NAN = none is */
    double all_lost_s; /* since when no pack is there while we are shown; NAN = not so */
};

/* Builds the tables and the tree in an engine that is all 0 (and large: much of it is touched only by large
 * banks). config may be the engine's own. set and ctx are for writes to our items, see items_new. The
 * aggregator begins without a stored charge: call aggregator_init for another beginning. False when out of
 * memory; engine_free is due in either case. */
bool engine_init(struct engine *engine, const struct config *config, items_set_fn set, void *ctx);
void engine_free(struct engine *engine);

/* Other settings from now on: roles and names are decided anew, what is known stays. False when the names of
 * the classes of services differ, or CURRENT_SOURCES names a class that is not read yet: those that are read
 * were chosen by them, so they hold from the next start. */
bool engine_reconfigure(struct engine *engine, const struct config *config);

/* The paths that we read of a service; NULL = we do not read it. */
const struct paths *engine_wants(const struct engine *engine, const char *service);

/* A service comes, and goes. NULL when it is not wanted, or there are too many (said in the log). */
struct device *engine_here(struct engine *engine, const char *service);
void engine_gone(struct engine *engine, struct device *device);

/* One value of it: index into engine_wants. How soon what follows from it should be seen. */
enum engine_news {
    ENGINE_NOTHING, /* nothing changed */
    ENGINE_FLICKER, /* noise: with the next publication, some time */
    ENGINE_NEWS,    /* within the gathering time */
    ENGINE_URGENT,  /* a limit falls: when the instant is complete */
};
enum engine_news engine_value(struct engine *engine, struct device *device, int index,
                              const struct value *value);

/* The values of an instant of this device are in; first: all it has was said once. True when a role, a
 * name or the membership changed. */
bool engine_settled(struct engine *engine, struct device *device, bool first);

/* It says and answers nothing (any more), by the caller's clock. */
void engine_stale(struct engine *engine, struct device *device, bool stale);

/* /Battery/Request/Id is written: false when there is no such pack. */
bool engine_request(struct engine *engine, double id);

/* One pass: roster, aggregator_step, items. now_s is monotonic. False while no pack was ever there. */
bool engine_step(struct engine *engine, double now_s, const struct calendar *today);

/* Whether the bank may be shown. It is complete enough to enter when NR_OF_BATTERIES packs are there (one
 * when unset, or when that was so before: a new instance, or a bus that restarted, is no new bank) and there
 * is a CVL; it is to leave AGGREGATOR_LOST_RELEASE_S after its last pack went. */
enum engine_presence { ENGINE_STAY, ENGINE_ENTER, ENGINE_LEAVE };
enum engine_presence engine_presence(struct engine *engine, double now_s, bool shown);

/* Packs that make the bank whole enough to begin. */
size_t engine_packs_needed(const struct engine *engine);

#endif
