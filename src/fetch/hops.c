/* SPDX-License-Identifier: MIT */
#include "fetch/hops.h"

#include <limits.h>

static const char name[] = "received:";

static void take(struct hops *hops, uint8_t octet)
{
    if (octet == '\n') {
        hops->in_body = !hops->in_line;
        hops->in_line = false;
        hops->matched = 0;
    } else if (octet != '\r') {
        uint8_t small = octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
        bool goes_on = hops->matched < sizeof name - 1 && small == (uint8_t)name[hops->matched];
        hops->matched = goes_on ? hops->matched + 1 : UINT_MAX;
        hops->count += hops->matched == sizeof name - 1;
        hops->in_line = true;
    }
}

void hops_feed(struct hops *hops, struct bytes octets)
{
    for (size_t i = 0; i < octets.size && !hops->in_body; i++) {
        take(hops, octets.data[i]);
    }
}
