/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_ADDRESS_H
#define RESTANTE_NET_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attributes.h"
#include "base/bytes.h"

enum { ADDRESS_TEXT_SIZE = 64 };

/* A numeric ADDRESS:PORT or [ADDRESS]:PORT; port 0 is allowed. 0 or -1. */
int address_parse(const char *text, struct sockaddr_storage *address_out,
                  socklen_t *size_out) MUST_CHECK;

/* The same notation back; `out` has ADDRESS_TEXT_SIZE octets. Returns `out`. */
char *address_format(const struct sockaddr_storage *address, char *out);

/* A numeric address without a port, with a port of its own. 0 or -1. */
int address_parse_host(struct bytes host, uint16_t port,
                       struct sockaddr_storage *address_out) MUST_CHECK;

/* In the host's order of octets. */
uint16_t address_port(const struct sockaddr_storage *address);

/* Is the peer on this machine? IPv4-mapped addresses count as IPv4. */
bool address_is_loopback(const struct sockaddr_storage *address);

/* What limits per address count by: the IPv4 address, or the first 64 bits of an IPv6 address (one
 * customer has them all). Two addresses have the same key if they count as one. */
void address_key(const struct sockaddr_storage *address, uint8_t key_out[16]);

#endif
