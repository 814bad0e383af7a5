/* bus/loop.h without a bus: calls wait here until somebody answers them, and what is sent is looked at.
 * Linked in place of loop.c. */
#ifndef TESTS_FUZZ_FAKE_BUS_H
#define TESTS_FUZZ_FAKE_BUS_H

#include "bus/loop.h"

struct bus *fake_bus_new(void);
void fake_bus_free(struct bus *bus); /* no call and no rule may be left */

/* The calls that have no answer yet, the oldest first. */
size_t fake_bus_calls(const struct bus *bus);
DBusMessage *fake_bus_call(const struct bus *bus, size_t index);
/* reply NULL: the call could not be made. */
void fake_bus_answer(struct bus *bus, size_t index, DBusMessage *reply);

/* The connection breaks: every call is answered with NULL, and rules are gone. Then it is there again. */
void fake_bus_break(struct bus *bus);
void fake_bus_mend(struct bus *bus);

/* The largest number of rules and calls that there ever were at once. */
size_t fake_bus_most_rules(const struct bus *bus);
size_t fake_bus_most_calls(const struct bus *bus);

#endif
