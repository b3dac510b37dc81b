/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_FACTS_H
#define RESTANTE_MAILDROP_FACTS_H

#include "base/bytes.h"

/* Looks for octets over 0x7F in the header of a message. Begins zeroed; feed it in turn until it is
 * complete (the blank line was seen, or an 8-bit octet) or the message ends. */
struct header_facts {
    bool complete;
    bool has_8bit;
    uint8_t state;
};

void header_facts_feed(struct header_facts *facts, struct bytes octets);

#endif
