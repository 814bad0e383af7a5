/* What must hold of the limits, whatever was read. */
#ifndef TESTS_FUZZ_OUTCOME_H
#define TESTS_FUZZ_OUTCOME_H

#include "core/aggregator.h"
#include "core/config.h"

/* A pack that is well and tells all, for a step under whatever was read. */
void outcome_pack(struct pack *pack);

/* Steps a bank of this one pack for a while. */
void outcome_lead(struct aggregator *aggregator, const struct config *config);

/* Limits are never negative and never endless. */
void outcome_check(const struct limits *limits);

/* A line for the log or a person: one line of plain text. */
void outcome_check_line(const char *text);

#endif
