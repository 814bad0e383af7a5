/* Calls that the bus still keeps though we have given them up: their answers are owed to us. The bus refuses
 * every call of a connection that has 128 of them (max_replies_per_connection of a system bus), and nothing
 * but the answer, or the end of who owes it, takes one away. So who owes some is asked no more. */
#ifndef BUS_OWED_H
#define BUS_OWED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OWED_MAX = 4,         /* of one service; fewer when many services owe */
    OWED_MANY = 32,       /* of all: from here on half of that of each */
    OWED_TOO_MANY = 64,   /* of all: from here on one of each */
    OWED_OPEN_MAX = 16,   /* on their way to one: a connection may have many names, each with its questions */
    OWED_PAUSE_MS = 3000, /* before the first one beyond, doubling with each */
};

struct owed_call;

struct owed {
    struct owed_call *first; /* the latest */
    size_t count;
};

/* to has not answered the call with this serial in time, that was sent then. */
void owed_note(struct owed *owed, uint32_t serial, const char *to, uint64_t sent_ms);
/* The answer came all the same; false when it was none of these. */
bool owed_answered(struct owed *owed, uint32_t serial);
/* from says something: it lives, and may have lost what it was asked. */
void owed_heard(struct owed *owed, const char *from);
/* Whether to may be asked now; open are the calls on their way, to it and to all, that are not given up yet.
 * Who owes OWED_MAX is asked again only when it was heard since the last one, and after a pause: one that
 * talks and never answers is found out, one that lost its calls is not left out for ever. */
bool owed_may_ask(const struct owed *owed, const char *to, size_t open_to, size_t open, uint64_t now_ms);
void owed_clear(struct owed *owed);

#endif
