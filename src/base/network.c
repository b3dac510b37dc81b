/* SPDX-License-Identifier: MIT */
#include "base/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/number.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const uint8_t address[16])
{
    return memcmp(address, mapped_prefix, sizeof mapped_prefix) == 0;
}

/* Are the first `bits` of two addresses the same? */
static bool begins_alike(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    size_t octets = bits / 8;
    if (memcmp(a, b, octets) != 0) {
        return false;
    }
    unsigned mask = 0xff00u >> bits % 8 & 0xff;
    return mask == 0 || ((a[octets] ^ b[octets]) & mask) == 0;
}

/* Splits off "/BITS"; without it, all bits of the address count. */
static int parse_bits(struct bytes text, size_t slash, uint64_t most, uint64_t *bits_out)
{
    if (slash == text.size) {
        *bits_out = most;
        return 0;
    }
    return number_parse(bytes_from(text, slash + 1), most, bits_out);
}

int network_parse(struct bytes text, struct network *network_out)
{
    char host[INET6_ADDRSTRLEN];
    size_t slash = bytes_find(text, '/');
    if (slash == 0 || slash >= sizeof host || memchr(text.data, '\0', slash) != NULL) {
        return -1;
    }
    memcpy(host, text.data, slash);
    host[slash] = '\0';
    struct network network = {0};
    uint64_t bits;
    if (inet_pton(AF_INET6, host, network.address) == 1) {
        if (parse_bits(text, slash, 128, &bits) < 0) {
            return -1;
        }
    } else if (inet_pton(AF_INET, host, network.address + sizeof mapped_prefix) == 1) {
        memcpy(network.address, mapped_prefix, sizeof mapped_prefix);
        if (parse_bits(text, slash, 32, &bits) < 0) {
            return -1;
        }
        bits += 96;
    } else {
        return -1;
    }
    network.prefix_bits = (uint8_t)bits;
    for (size_t i = bits; i < 128; i++) {
        if ((network.address[i / 8] & 0x80u >> i % 8) != 0) {
            return -1;
        }
    }
    *network_out = network;
    return 0;
}

bool network_contains(const struct network *network, const struct sockaddr *address)
{
    uint8_t octets[16] = {0};
    if (address->sa_family == AF_INET) {
        memcpy(octets, mapped_prefix, sizeof mapped_prefix);
        memcpy(octets + sizeof mapped_prefix,
               &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        memcpy(octets, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    } else {
        return false;
    }
    if (is_mapped(octets) && !is_mapped(network->address)) {
        return false;
    }
    return begins_alike(octets, network->address, network->prefix_bits);
}
