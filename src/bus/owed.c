#include "bus/owed.h"

#include <stdlib.h>
#include <string.h>

enum { DOUBLINGS_MAX = 30 };

struct owed_call {
    struct owed_call *next;
    uint64_t sent_ms;
    uint32_t serial;
    bool heard; /* who owes it was, since */
    char to[];
};

void owed_note(struct owed *owed, uint32_t serial, const char *to, uint64_t sent_ms)
{
    size_t size = strlen(to) + 1;
    struct owed_call *call = malloc(sizeof *call + size);

    if (!call)
        return; /* one call more may be asked than there should be */
    *call = (struct owed_call){.next = owed->first, .sent_ms = sent_ms, .serial = serial};
    memcpy(call->to, to, size);
    owed->first = call;
    owed->count++;
}

bool owed_answered(struct owed *owed, uint32_t serial)
{
    for (struct owed_call **link = &owed->first; *link; link = &(*link)->next) {
        struct owed_call *call = *link;

        if (call->serial != serial)
            continue;
        *link = call->next;
        owed->count--;
        free(call);
        return true;
    }
    return false;
}

void owed_heard(struct owed *owed, const char *from)
{
    for (struct owed_call *call = owed->first; call; call = call->next)
        call->heard = call->heard || strcmp(call->to, from) == 0;
}

bool owed_may_ask(const struct owed *owed, const char *to, size_t open_to, size_t open, uint64_t now_ms)
{
    size_t all = owed->count + open;
    size_t most = all < OWED_MANY ? OWED_MAX : all < OWED_TOO_MANY ? OWED_MAX / 2 : 1;
    size_t count = 0, beyond;
    bool heard = true;
    uint64_t last_ms = 0;

    if (open_to >= OWED_OPEN_MAX)
        return false;
    for (const struct owed_call *call = owed->first; call; call = call->next) {
        if (strcmp(call->to, to) != 0)
            continue;
        count++;
        heard = heard && call->heard;
        if (call->sent_ms > last_ms)
            last_ms = call->sent_ms;
    }
    if (count < most)
        return true;
    beyond = count - most < DOUBLINGS_MAX ? count - most : DOUBLINGS_MAX;
    return heard && now_ms - last_ms >= (uint64_t)OWED_PAUSE_MS << beyond;
}

void owed_clear(struct owed *owed)
{
    while (owed->first) {
        struct owed_call *call = owed->first;

        owed->first = call->next;
        free(call);
    }
    owed->count = 0;
}
