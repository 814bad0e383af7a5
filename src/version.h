/* The version of the program; `make` passes it from the one place in the Makefile. */
#ifndef VERSION_H
#define VERSION_H

#ifndef VERSION
#define VERSION "0.0.0"
#endif

/* The day of this version, in seconds since 1970: no clock that shows an earlier one has been set. */
#ifndef VERSION_EPOCH_S
#define VERSION_EPOCH_S 0
#endif

#endif
