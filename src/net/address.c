/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/number.h"

int address_parse_host(struct bytes host, uint16_t port, struct sockaddr_storage *address_out)
{
    char text[INET6_ADDRSTRLEN];
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address_out;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address_out;
    *address_out = (struct sockaddr_storage){0};
    if (host.size >= sizeof text || bytes_find(host, '\0') < host.size) {
        return -1;
    }
    memcpy(text, host.data, host.size);
    text[host.size] = '\0';
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(port);
        return 0;
    }
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(port);
    return inet_pton(AF_INET6, text, &ipv6->sin6_addr) == 1 ? 0 : -1;
}

int address_parse(const char *text, struct sockaddr_storage *address_out, socklen_t *size_out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    if (colon == NULL || number_parse(bytes_of(colon + 1), UINT16_MAX, &port) < 0) {
        return -1;
    }
    struct bytes host = {.data = (const uint8_t *)text, .size = (size_t)(colon - text)};
    sa_family_t family = AF_INET;
    if (host.size >= 2 && text[0] == '[' && colon[-1] == ']') {
        host = (struct bytes){.data = host.data + 1, .size = host.size - 2};
        family = AF_INET6;
    }
    *size_out = family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return address_parse_host(host, (uint16_t)port, address_out) == 0 &&
                   address_out->ss_family == family
               ? 0
               : -1;
}

uint16_t address_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

/* The IPv4 address of an IPv4 or IPv4-mapped peer, in host order; false if it has none. */
static bool as_ipv4(const struct sockaddr_storage *address, uint32_t *out)
{
    if (address->ss_family == AF_INET) {
        *out = ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr);
        return true;
    }
    const struct in6_addr *ipv6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
    if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(ipv6)) {
        uint32_t network;
        memcpy(&network, ipv6->s6_addr + 12, 4);
        *out = ntohl(network);
        return true;
    }
    return false;
}

/* Every session begins with this: inet_ntop and snprintf would be a tenth of what one costs outside of the kernel. */
static void format_ipv4(uint32_t ipv4, uint16_t port, char *out)
{
    struct buffer text;
    buffer_init(&text, out, ADDRESS_TEXT_SIZE);
    for (unsigned shift = 32; shift != 0;) {
        shift -= 8;
        buffer_append_number(&text, ipv4 >> shift & 0xff);
        buffer_append_octet(&text, shift == 0 ? ':' : '.');
    }
    buffer_append_number(&text, port);
    buffer_append_octet(&text, '\0');
}

char *address_format(const struct sockaddr_storage *address, char *out)
{
    uint32_t ipv4;
    if (as_ipv4(address, &ipv4)) {
        format_ipv4(ipv4, address_port(address), out);
    } else {
        char host[INET6_ADDRSTRLEN];
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", host, address_port(address));
    }
    return out;
}

bool address_is_loopback(const struct sockaddr_storage *address)
{
    uint32_t ipv4;
    if (as_ipv4(address, &ipv4)) {
        return ipv4 >> 24 == 127;
    }
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

void address_key(const struct sockaddr_storage *address, uint8_t key_out[16])
{
    uint32_t ipv4;
    memset(key_out, 0, 16);
    if (as_ipv4(address, &ipv4)) {
        key_out[10] = 0xff; /* as an IPv4-mapped IPv6 address, which no /64 of a customer equals */
        key_out[11] = 0xff;
        memcpy(key_out + 12, &ipv4, 4);
    } else if (address->ss_family == AF_INET6) {
        memcpy(key_out, ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr, 8);
    }
}
