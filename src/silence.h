/* Silence alone is no fault: a resting pack changes nothing for minutes and a charger nothing all night, but
 * they answer when they are asked. Asks the packs, chargers and shunts that are quiet and tells the engine
 * which of them are stale. */
#ifndef SILENCE_H
#define SILENCE_H

#include "bus/monitor.h"
#include "engine.h"

/* Said at each change; may be NULL. */
typedef void (*silence_changed_fn)(void *ctx, struct monitor_service *service, bool stale);

/* Call it once a second. One that has said nothing for half of STALE_AFTER is asked; one that was asked
 * and has still said nothing at STALE_AFTER is stale, until it says anything. The monitor's services carry
 * their device in `user`. */
void silence_watch(struct monitor *monitor, struct engine *engine, double now_s, silence_changed_fn changed,
                   void *ctx);

#endif
