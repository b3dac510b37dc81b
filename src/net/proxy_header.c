/* SPDX-License-Identifier: MIT */
/* Both versions of the header are read from the front each time, without state: it is short, and nearly
 * always comes in one piece. */
#include "net/proxy_header.h"

#include <netinet/in.h>
#include <string.h>

#include "base/number.h"
#include "net/address.h"

enum {
    V2_FIXED_OCTETS = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    FAMILY_UNSPECIFIED = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    FAMILY_UNIX_STREAM = 0x31,
    TCP4_OCTETS = 12,
    TCP6_OCTETS = 36,
    UNIX_OCTETS = 216,
    TLV_FIXED_OCTETS = 3,
    TLV_CRC32C = 0x03,
    TLV_SSL = 0x20,
    SSL_FIXED_OCTETS = 5,
    CLIENT_SSL = 0x01
};

static const uint8_t v2_signature[] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                       '\n', 'Q',  'U',  'I',  'T', '\n'};

static enum proxy_header_result fail(const char **reason_out, const char *reason)
{
    *reason_out = reason;
    return PROXY_HEADER_BAD;
}

static bool begins_with(struct bytes octets, const void *text, size_t size)
{
    return memcmp(octets.data, text, octets.size < size ? octets.size : size) == 0;
}

static bool parse_port(struct bytes text, uint16_t *out)
{
    uint64_t port;
    if (number_parse(text, UINT16_MAX, &port) < 0 || (text.size > 1 && text.data[0] == '0')) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool parse_end(struct bytes host, struct bytes port_text, int family,
                      struct sockaddr_storage *out)
{
    uint16_t port;
    return parse_port(port_text, &port) && address_parse_host(host, port, out) == 0 &&
           out->ss_family == family;
}

/* "SOURCE DESTINATION PORT PORT" of one family. */
static bool parse_v1_ends(struct bytes rest, int family, struct sockaddr_storage *client)
{
    struct sockaddr_storage destination;
    struct bytes source_host = bytes_take(&rest, ' ');
    struct bytes destination_host = bytes_take(&rest, ' ');
    struct bytes source_port = bytes_take(&rest, ' ');
    return parse_end(source_host, source_port, family, client) &&
           parse_end(destination_host, rest, family, &destination);
}

static enum proxy_header_result parse_v1_line(struct bytes line, struct proxy_header *out,
                                              const char **reason_out)
{
    struct bytes rest = bytes_from(line, sizeof "PROXY " - 1);
    struct bytes family = bytes_take(&rest, ' ');
    if (bytes_equal(family, bytes_of("UNKNOWN"))) {
        return PROXY_HEADER_WHOLE; /* whatever follows is to be ignored */
    }
    bool is_ipv4 = bytes_equal(family, bytes_of("TCP4"));
    if (!is_ipv4 && !bytes_equal(family, bytes_of("TCP6"))) {
        return fail(reason_out, "neither TCP4, TCP6 nor UNKNOWN");
    }
    if (!parse_v1_ends(rest, is_ipv4 ? AF_INET : AF_INET6, &out->client)) {
        return fail(reason_out, "not two addresses and two ports");
    }
    out->has_client = true;
    return PROXY_HEADER_WHOLE;
}

static enum proxy_header_result parse_v1(struct bytes octets, struct proxy_header *out,
                                         const char **reason_out)
{
    struct bytes prefix = bytes_of("PROXY ");
    if (!begins_with(octets, prefix.data, prefix.size)) {
        return fail(reason_out, "no PROXY header");
    }
    struct bytes window = octets;
    if (window.size > PROXY_HEADER_V1_OCTETS_MAX) {
        window.size = PROXY_HEADER_V1_OCTETS_MAX;
    }
    size_t cr = bytes_find(window, '\r');
    size_t lf = bytes_find(window, '\n');
    if (cr + 1 < lf && cr + 1 < window.size) {
        return fail(reason_out, "CR without LF");
    }
    if (lf == window.size) {
        return window.size == PROXY_HEADER_V1_OCTETS_MAX ? fail(reason_out, "over 107 octets")
                                                         : PROXY_HEADER_MORE;
    }
    if (cr > lf) {
        return fail(reason_out, "LF without CR");
    }
    out->size = lf + 1;
    return parse_v1_line((struct bytes){.data = octets.data, .size = cr}, out, reason_out);
}

/* The checksum of RFC 3720 section 12.1 over a header, whose own four octets count as zero. */
static uint32_t crc32c(struct bytes header, size_t field)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < header.size; i++) {
        crc ^= i >= field && i < field + 4 ? 0 : header.data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? UINT32_C(0x82f63b78) : 0);
        }
    }
    return ~crc;
}

static uint32_t big_endian_32(const uint8_t *octets)
{
    return (uint32_t)octets[0] << 24 | (uint32_t)octets[1] << 16 | (uint32_t)octets[2] << 8 |
           octets[3];
}

/* Cuts the next TLV off: its type and value; false if the rest is not one. */
static bool next_tlv(struct bytes *rest, uint8_t *type, struct bytes *value)
{
    if (rest->size < TLV_FIXED_OCTETS) {
        return false;
    }
    *type = rest->data[0];
    *value = bytes_from(*rest, TLV_FIXED_OCTETS);
    size_t size = (size_t)rest->data[1] << 8 | rest->data[2];
    if (size > value->size) {
        return false;
    }
    value->size = size;
    *rest = bytes_from(*rest, TLV_FIXED_OCTETS + size);
    return true;
}

static bool parse_ssl(struct bytes value, bool *client_tls)
{
    if (value.size < SSL_FIXED_OCTETS) {
        return false;
    }
    *client_tls = (value.data[0] & CLIENT_SSL) != 0;
    struct bytes rest = bytes_from(value, SSL_FIXED_OCTETS);
    while (rest.size > 0) {
        uint8_t type;
        struct bytes part;
        if (!next_tlv(&rest, &type, &part)) {
            return false;
        }
    }
    return true;
}

static enum proxy_header_result parse_tlvs(struct bytes header, size_t from,
                                           struct proxy_header *out, const char **reason_out)
{
    struct bytes rest = bytes_from(header, from);
    bool has_ssl = false;
    bool has_checksum = false;
    while (rest.size > 0) {
        uint8_t type;
        struct bytes value;
        if (!next_tlv(&rest, &type, &value)) {
            return fail(reason_out, "a TLV that goes beyond the header's end");
        }
        if (type == TLV_CRC32C) {
            if (has_checksum || value.size != 4 ||
                big_endian_32(value.data) != crc32c(header, (size_t)(value.data - header.data))) {
                return fail(reason_out, "a wrong checksum");
            }
            has_checksum = true;
        } else if (type == TLV_SSL) {
            if (has_ssl || !parse_ssl(value, &out->client_tls)) {
                return fail(reason_out, "a wrong TLV about TLS");
            }
            has_ssl = true;
        }
    }
    return PROXY_HEADER_WHOLE;
}

static void take_v2_client(const uint8_t *addresses, uint8_t family, struct proxy_header *out)
{
    out->has_client = true;
    if (family == FAMILY_TCP4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)&out->client;
        ipv4->sin_family = AF_INET;
        memcpy(&ipv4->sin_addr, addresses, 4);
        memcpy(&ipv4->sin_port, addresses + 8, 2);
    } else {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&out->client;
        ipv6->sin6_family = AF_INET6;
        memcpy(&ipv6->sin6_addr, addresses, 16);
        memcpy(&ipv6->sin6_port, addresses + 32, 2);
    }
}

static enum proxy_header_result parse_v2_block(struct bytes header, struct proxy_header *out,
                                               const char **reason_out)
{
    uint8_t family = header.data[13];
    if (header.data[12] == V2_LOCAL) {
        out->is_local = true; /* whatever it says of addresses is to be ignored */
        return PROXY_HEADER_WHOLE;
    }
    if (family == FAMILY_UNSPECIFIED) {
        return PROXY_HEADER_WHOLE;
    }
    size_t needed = V2_FIXED_OCTETS + (size_t)(family == FAMILY_TCP4   ? TCP4_OCTETS
                                               : family == FAMILY_TCP6 ? TCP6_OCTETS
                                                                       : UNIX_OCTETS);
    if (header.size < needed) {
        return fail(reason_out, "too short for its addresses");
    }
    if (family != FAMILY_UNIX_STREAM) {
        take_v2_client(header.data + V2_FIXED_OCTETS, family, out);
    }
    return parse_tlvs(header, needed, out, reason_out);
}

/* What the fixed part forbids, as far as it has come. LOCAL may name any family. */
static const char *check_v2_fixed(struct bytes octets)
{
    if (octets.size > 12 && octets.data[12] != V2_LOCAL && octets.data[12] != V2_PROXY) {
        return "neither version 2, LOCAL nor PROXY";
    }
    if (octets.size > 13 && octets.data[12] == V2_PROXY && octets.data[13] != FAMILY_UNSPECIFIED &&
        octets.data[13] != FAMILY_TCP4 && octets.data[13] != FAMILY_TCP6 &&
        octets.data[13] != FAMILY_UNIX_STREAM) {
        return "no family of stream connections";
    }
    if (octets.size > 14 && octets.data[14] > (PROXY_HEADER_OCTETS_MAX - V2_FIXED_OCTETS) >> 8) {
        return "over 4 KiB";
    }
    return NULL;
}

static enum proxy_header_result parse_v2(struct bytes octets, struct proxy_header *out,
                                         const char **reason_out)
{
    if (!begins_with(octets, v2_signature, sizeof v2_signature)) {
        return fail(reason_out, "no PROXY header");
    }
    const char *reason = check_v2_fixed(octets);
    if (reason != NULL) {
        return fail(reason_out, reason);
    }
    if (octets.size < V2_FIXED_OCTETS) {
        return PROXY_HEADER_MORE;
    }
    size_t size = V2_FIXED_OCTETS + ((size_t)octets.data[14] << 8 | octets.data[15]);
    if (size > PROXY_HEADER_OCTETS_MAX) {
        return fail(reason_out, "over 4 KiB");
    }
    if (octets.size < size) {
        return PROXY_HEADER_MORE;
    }
    out->size = size;
    return parse_v2_block((struct bytes){.data = octets.data, .size = size}, out, reason_out);
}

enum proxy_header_result proxy_header_parse(struct bytes octets, struct proxy_header *out,
                                            const char **reason_out)
{
    *out = (struct proxy_header){0};
    if (octets.size == 0) {
        return PROXY_HEADER_MORE;
    }
    return octets.data[0] == v2_signature[0] ? parse_v2(octets, out, reason_out)
                                             : parse_v1(octets, out, reason_out);
}
