/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_HOPS_H
#define RESTANTE_FETCH_HOPS_H

#include <stdbool.h>

#include "base/bytes.h"

/* RFC 5321 section 6.3: a message with more fields Received than that goes round in a circle. */
enum { HOPS_MOST = 100 };

/* Counts the fields Received of a header that comes in pieces. Zeroed: at its beginning. */
struct hops {
    unsigned count;
    unsigned
        matched; /* octets of the name at the beginning of this line; UINT_MAX: it is another */
    bool in_line, in_body;
};

void hops_feed(struct hops *hops, struct bytes octets);

#endif
