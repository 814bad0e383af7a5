#include "sim/reference.h"

bool reference_feed_in(struct reference *reference, bool peaking, bool balanced, bool setting)
{
    bool begins = peaking && !reference->peaking;
    bool ends = !peaking && reference->peaking;

    reference->peaking = peaking;
    if (begins) {
        reference->owed = reference->owed || setting;
        return false;
    }
    if (!ends || !balanced || !reference->owed)
        return setting;
    reference->owed = false;
    return true;
}
