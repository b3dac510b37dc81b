/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_PROXY_HEADER_H
#define RESTANTE_NET_PROXY_HEADER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/attributes.h"
#include "base/bytes.h"

/* The header of the PROXY protocol, versions 1 and 2, in which a proxy says whose connection it forwards
 * (haproxy.org, doc/proxy-protocol.txt). It comes before all else, also before TLS. */

enum {
    PROXY_HEADER_V1_OCTETS_MAX = 107,       /* CR LF included */
    PROXY_HEADER_OCTETS_MAX = 16 + 4 * 1024 /* of version 2; the specification would allow 64 KiB */
};

struct proxy_header {
    size_t size;     /* octets; what follows is the client's */
    bool is_local;   /* LOCAL: the proxy speaks for itself, for a health check */
    bool has_client; /* false: the proxy doesn't say who it is, or that it has no such address */
    bool client_tls; /* the client came to the proxy with TLS (PP2_CLIENT_SSL) */
    struct sockaddr_storage client;
};

enum proxy_header_result {
    PROXY_HEADER_WHOLE, /* *out is filled */
    PROXY_HEADER_MORE,  /* so far it is one; call again with all octets and some more */
    PROXY_HEADER_BAD    /* *reason_out says what is wrong: text of ours, static */
};

/* Reads the header at the front of `octets`. What does not begin like one is BAD at its first wrong octet,
 * and MORE is never the answer to PROXY_HEADER_OCTETS_MAX octets. */
enum proxy_header_result proxy_header_parse(struct bytes octets, struct proxy_header *out,
                                            const char **reason_out) MUST_CHECK;

#endif
