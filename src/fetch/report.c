/* SPDX-License-Identifier: MIT */
#include "fetch/report.h"

const char *fetch_outcome_word(enum fetch_outcome outcome)
{
    static const char *const words[] = {
#define REPORT_OUTCOME(identifier, word) [OUTCOME_##identifier] = (word),
        REPORT_OUTCOMES
#undef REPORT_OUTCOME
    };
    return words[outcome];
}

bool fetch_outcome_is_bad(enum fetch_outcome outcome)
{
    return outcome == OUTCOME_FAILED || outcome == OUTCOME_DEFERRED || outcome == OUTCOME_REFUSED ||
           outcome == OUTCOME_QUARANTINED;
}
