/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_DISCOVER_H
#define RESTANTE_FETCH_DISCOVER_H

/* Where the mail of an address is fetched: what its domain says by SRV records (RFC 6186) and in Mozilla's autoconfig
 * documents, what Mozilla's database knows, and the usual names. Blocking, for a process that waits for nothing
 * else. Nothing is asked without TLS but DNS, and no password is needed: servers are tried up to their greeting,
 * under TLS, with a good certificate. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/error.h"
#include "fetch/account.h"

enum {
    DISCOVER_HOST_OCTETS = 256, /* of a domain name, with its NUL */
    DISCOVER_USER_OCTETS = 512,
    DISCOVER_ORIGIN_OCTETS = 384,
    DISCOVER_SERVERS_MOST = 24
};

/* NUL-terminated. */
struct discover_address {
    char whole[DISCOVER_USER_OCTETS]; /* as it was given */
    char local[DISCOVER_USER_OCTETS];
    char domain[DISCOVER_HOST_OCTETS]; /* in A-labels (RFC 5890), lower case */
};

struct discover_server {
    char host[DISCOVER_HOST_OCTETS]; /* letters, digits, hyphens, underscores and dots */
    uint32_t port;
    enum fetch_tls tls;                  /* not FETCH_TLS_NEVER */
    char user[DISCOVER_USER_OCTETS];     /* no control characters */
    char origin[DISCOVER_ORIGIN_OCTETS]; /* who says so, in words */
    bool is_guess;                       /* nobody says so: a usual name */
    bool
        is_foreign; /* the host is not of the address's domain, which only unsecured DNS vouches for */
    bool wants_token; /* it wants OAuth 2.0 */
    bool answers;     /* it greeted, under TLS with a good certificate; else: */
    struct error failure;
};

/* In the order in which they were tried: those that somebody names, and usual names only where none of those
 * answers. The last one answers, if one does. */
struct discovery {
    struct discover_address address;
    struct discover_server servers[DISCOVER_SERVERS_MOST];
    size_t count;
    char notes[2048]; /* lines: sources that gave nothing, and why */
};

/* Parts `text`; ERROR_USAGE: it is no address. */
int discover_parse_address(const char *text, struct discover_address *address_out,
                           struct error *error) MUST_CHECK;

/* Finds the servers of discovery->address. `ca_file`: trusted instead of the system's authorities, by HTTP and
 * by servers; NULL: those. 0: the last of discovery->servers answers. ERROR_GONE: the domain says that it has no
 * POP3; ERROR_TEMPORARY: no server was found that answers, which may pass; ERROR_CONFIGURATION: ca_file. */
int discover(struct discovery *discovery, const char *ca_file, struct error *error) MUST_CHECK;

#endif
