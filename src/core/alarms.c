#include "core/alarms.h"

const char *alarm_name(enum alarm alarm)
{
    static const char *const names[ALARM_COUNT] = {
#define ALARM_NAME(id, name) name,
        ALARM_LIST(ALARM_NAME)
#undef ALARM_NAME
    };

    return names[alarm];
}
