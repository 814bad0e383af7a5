/* The parts of docs/ that are made from the tables in the code: what is published, and the settings. As
 * Markdown, each between two marker lines of its page; `make docs` puts them there and a test compares. */
#ifndef DOCS_H
#define DOCS_H

#include <stdbool.h>
#include <stdio.h>

#define DOCS_BEGIN "<!-- made by `make docs` from the tables in the code: begin -->"
#define DOCS_END "<!-- made by `make docs` from the tables in the code: end -->"

void docs_write_settings(FILE *out);

/* Every path that may be on the bus. False when out of memory. */
bool docs_write_paths(FILE *out);

#endif
