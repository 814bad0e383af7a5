/* generate paths|settings < PAGE > NEW: a page of docs/ with the part that is made from the code as it is
 * now. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "docs.h"

int main(int argc, char *argv[])
{
    bool paths = argc == 2 && strcmp(argv[1], "paths") == 0;
    bool inside = false;
    bool met = false;
    char line[4096];

    if (!paths && !(argc == 2 && strcmp(argv[1], "settings") == 0))
        return 2;
    while (fgets(line, sizeof line, stdin)) {
        bool begins = strcmp(line, DOCS_BEGIN "\n") == 0;

        if (strcmp(line, DOCS_END "\n") == 0)
            inside = false;
        if (!inside)
            fputs(line, stdout);
        if (!begins)
            continue;
        inside = met = true;
        if (!paths)
            docs_write_settings(stdout);
        else if (!docs_write_paths(stdout))
            return 1;
    }
    return met && !inside && fflush(stdout) == 0 ? 0 : 1;
}
