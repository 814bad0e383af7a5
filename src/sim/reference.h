/* How dbus-aggregate-batteries handles DC feed-in, for comparison in simulations: it looks at the return at
 * one instant only. The rest of its charge control is that of core/ with CVL_CONTROL = reference. */
#ifndef SIM_REFERENCE_H
#define SIM_REFERENCE_H

#include <stdbool.h>

struct reference {
    bool peaking; /* in the last step */
    bool owed;    /* it was on when the dynamic CVL began */
};

/* The value of OvervoltageFeedIn after this step: turned off where a peak begins; returned where it ends, if
 * the cells are even at that instant. A pack that blocks counts as a peak. Source: the reference behaviour,
 * "Own charge control" and what was seen when it ran. */
bool reference_feed_in(struct reference *reference, bool peaking, bool balanced, bool setting);

#endif
