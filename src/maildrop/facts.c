/* SPDX-License-Identifier: MIT */
/* RFC 6856 section 2.1: a client that did not say UTF8 must not be sent 8-bit header octets. The header
 * ends at the first empty line, LF or CR LF alike. */
#include "maildrop/facts.h"

enum { AT_LINE_START, IN_LINE, AFTER_CR };

static void feed_octet(struct header_facts *facts, uint8_t octet)
{
    if (octet >= 0x80) {
        facts->has_8bit = true;
        facts->complete = true;
    } else if (octet == '\n') {
        facts->complete = facts->state != IN_LINE;
        facts->state = AT_LINE_START;
    } else if (octet == '\r' && facts->state == AT_LINE_START) {
        facts->state = AFTER_CR;
    } else {
        facts->state = IN_LINE;
    }
}

void header_facts_feed(struct header_facts *facts, struct bytes octets)
{
    for (size_t i = 0; i < octets.size && !facts->complete; i++) {
        feed_octet(facts, octets.data[i]);
    }
}
