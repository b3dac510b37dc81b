/* SPDX-License-Identifier: MIT */
#include "fetch/said.h"

#include <xxhash.h>

static uint64_t hash_of(const struct fetch_report *report)
{
    struct bytes text = bytes_of(report->text == NULL ? "" : report->text);
    uint64_t hash = XXH3_64bits_withSeed(text.data, text.size, (XXH64_hash_t)report->type);
    if (report->type == REPORT_MESSAGE) {
        /* Its number changes with the listing. */
        hash = XXH3_64bits_withSeed(report->unique_id.data, report->unique_id.size,
                                    hash + (uint64_t)report->outcome);
    }
    return hash == 0 ? 1 : hash;
}

static bool is_new(struct said *said, const struct fetch_report *report)
{
    uint64_t hash = hash_of(report);
    for (unsigned i = 0; i < SAID_MOST; i++) {
        if (said->hashes[i] == hash) {
            return false;
        }
    }
    said->hashes[said->next] = hash;
    said->next = (said->next + 1) % SAID_MOST;
    return true;
}

bool said_is_news(struct said *said, const struct fetch_report *report)
{
    enum error_kind before = said->failure;
    switch (report->type) {
    case REPORT_FAILED: /* its words may change with each attempt: an address, a time */
        said->failure = report->kind;
        return report->kind != before;
    case REPORT_DONE:
        if (report->kind == ERROR_NONE) {
            said->failure = ERROR_NONE;
        }
        return true;
    case REPORT_WARNING:
    case REPORT_NOTE:
        return is_new(said, report);
    case REPORT_MESSAGE:
        return report->outcome == OUTCOME_STORED || is_new(said, report);
    case REPORT_LOGIN:
    case REPORT_LISTED:
    case REPORT_PROGRESS:
    case REPORT_HEADER:
    case REPORT_SENT:
    case REPORT_RECEIVED:
    case REPORT_RESULT:
    case REPORT_WATCH:
        return true;
    }
    return true;
}
