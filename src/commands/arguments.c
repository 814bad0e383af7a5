#include "commands/arguments.h"

#include <stdio.h>
#include <unistd.h>

#include "settings.h"

static void on_finding(void *ctx, enum settings_severity severity, const char *message)
{
    (void)ctx;
    if (severity != SETTINGS_NOTE)
        fprintf(stderr, "%s: %s\n", severity == SETTINGS_ERROR ? "error" : "warning", message);
}

bool arguments_read_settings(const struct command_arguments *arguments, struct config *config)
{
    settings_default(config);
    if (!arguments->settings_named && access(arguments->settings_path, F_OK) < 0)
        return true;
    return settings_read(arguments->settings_path, config, on_finding, NULL) == 0;
}
