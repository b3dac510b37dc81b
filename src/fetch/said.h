/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_SAID_H
#define RESTANTE_FETCH_SAID_H

/* What a watcher has said of an account already: what stays as it is, is said once and not after every run. */

#include "fetch/report.h"

enum { SAID_MOST = 64 }; /* warnings and messages; the oldest is forgotten first */

struct said {
    enum error_kind failure; /* of the last failure, while it lasts */
    uint64_t hashes[SAID_MOST];
    unsigned next;
};

/* Is it news? Remembers it. */
bool said_is_news(struct said *said, const struct fetch_report *report);

#endif
