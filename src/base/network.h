/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_NETWORK_H
#define RESTANTE_BASE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attributes.h"
#include "base/bytes.h"

/* The addresses that begin with the same bits. An IPv4 network is kept as its IPv4-mapped form
 * (RFC 4291 section 2.5.5.2), so that it doesn't matter through which kind of socket a peer came. */
struct network {
    uint8_t address[16];
    uint8_t prefix_bits; /* of these 16 octets: 192.0.2.0/24 has 120 */
};

/* ADDRESS/BITS in the notation of RFC 4632 section 3.1 or RFC 4291 section 2.3, or a single ADDRESS. 0, or
 * -1 where it is neither, or where bits after the first BITS are set: whoever writes 192.0.2.1/24
 * meant either one address or all of them. `network_out` is written only on success. */
int network_parse(struct bytes text, struct network *network_out) MUST_CHECK;

/* Is the address of this peer one of the network's? An IPv4-mapped IPv6 address counts as IPv4: no
 * network of IPv6 contains it, not even ::/0. An address of another family is in no network. */
bool network_contains(const struct network *network, const struct sockaddr *address);

#endif
