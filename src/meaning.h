/* Texts that only the documents show. The program for devices, where every kilobyte is looked at, leaves them
 * out (-DNO_MEANINGS): they lie beside it in docs/ and settings.default.ini. */
#ifndef MEANING_H
#define MEANING_H

#ifdef NO_MEANINGS
#define MEANING(text) ""
#else
#define MEANING(text) text
#endif

#endif
