#include "commands/check.h"

#include <stdio.h>
#include <unistd.h>

#include "settings.h"

struct tally {
    int warnings;
};

static void print_finding(void *ctx, enum settings_severity severity, const char *message)
{
    static const char *const names[] = {"note", "warning", "error"};
    struct tally *tally = ctx;

    tally->warnings += severity == SETTINGS_WARNING;
    printf("%s: %s\n", names[severity], message);
}

int command_check(const char *path, bool named)
{
    struct config config;
    struct tally tally = {0};
    int errors;

    if (!named && access(path, F_OK) != 0) {
        printf("%s is not there: every setting has its default\n", path);
        return 0;
    }
    settings_default(&config);
    errors = settings_read(path, &config, print_finding, &tally);
    printf("%s: %d error%s, %d warning%s%s\n", path, errors, errors == 1 ? "" : "s", tally.warnings,
           tally.warnings == 1 ? "" : "s", errors ? ": the daemon would not start" : "");
    return errors > 0;
}
