/* SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

int address_parse(const char *text, struct sockaddr_storage *address_out, socklen_t *size_out)
{
    const char *colon = strrchr(text, ':');
    uint64_t port;
    char host[INET6_ADDRSTRLEN + 2];
    if (colon == NULL || number_parse(bytes_of(colon + 1), UINT16_MAX, &port) < 0 ||
        (size_t)(colon - text) >= sizeof host) {
        return -1;
    }
    size_t size = (size_t)(colon - text);
    memcpy(host, text, size);
    host[size] = '\0';
    *address_out = (struct sockaddr_storage){0};
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)address_out;
        host[size - 1] = '\0';
        ipv6->sin6_family = AF_INET6;
        ipv6->sin6_port = htons((uint16_t)port);
        *size_out = sizeof *ipv6;
        return inet_pton(AF_INET6, host + 1, &ipv6->sin6_addr) == 1 ? 0 : -1;
    }
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)address_out;
    ipv4->sin_family = AF_INET;
    ipv4->sin_port = htons((uint16_t)port);
    *size_out = sizeof *ipv4;
    return inet_pton(AF_INET, host, &ipv4->sin_addr) == 1 ? 0 : -1;
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

char *address_format(const struct sockaddr_storage *address, char *out)
{
    char host[INET6_ADDRSTRLEN];
    uint32_t ipv4;
    if (as_ipv4(address, &ipv4)) {
        struct in_addr network = {.s_addr = htonl(ipv4)};
        uint16_t port = address->ss_family == AF_INET
                            ? ((const struct sockaddr_in *)address)->sin_port
                            : ((const struct sockaddr_in6 *)address)->sin6_port;
        (void)inet_ntop(AF_INET, &network, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%s:%u", host, ntohs(port));
    } else {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof host);
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "[%s]:%u", host, ntohs(ipv6->sin6_port));
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
