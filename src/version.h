/* The version of the program; `make` passes it from the one line in the Makefile. */
#ifndef VERSION_H
#define VERSION_H

#ifndef VERSION
#define VERSION "0.0.0"
#endif

#endif
