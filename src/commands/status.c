#include "commands/status.h"
int command_status(const struct status_options *o)
{
    (void)o;
    return 1;
}
