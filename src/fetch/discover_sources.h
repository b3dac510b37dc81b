/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_DISCOVER_SOURCES_H
#define RESTANTE_FETCH_DISCOVER_SOURCES_H

/* What discover.c asks: DNS, documents, and the servers themselves. */

#include "base/bytes.h"
#include "fetch/discover.h"
#include "net/tls_client.h"

enum { DISCOVER_RECORDS_MOST = 8 };

struct discover_record {
    char target[DISCOVER_HOST_OCTETS];
    uint16_t priority, weight, port;
};

struct discover_records {
    struct discover_record records[DISCOVER_RECORDS_MOST]; /* as RFC 2782 has them tried */
    size_t count;
    bool
        is_refused; /* the target is ".": the service is decidedly not there (RFC 6186 section 3.4) */
};

/* The SRV records of `service`, like _pop3s._tcp, in `domain`; no records are none of them an error.
 * ERROR_TEMPORARY: DNS gave no answer; ERROR_PROTOCOL: one that makes no sense. */
int discover_look_up(const char *service, const char *domain, struct discover_records *records_out,
                     struct error *error) MUST_CHECK;

/* A name of a host that may stand in fetch.conf: at most 253 octets of letters, digits, hyphens, underscores and
 * dots. */
bool discover_is_host(const char *name);

/* Is `host` the domain, or in it? */
bool discover_is_within(const char *host, const char *domain);

/* The POP3 servers of a document of Mozilla's autoconfig, config-v1.1, that have TLS: host, port, tls, user and
 * wants_token; of at most `most`. A document with a DTD is refused, as no such document needs one, and with it
 * all entities. ERROR_PROTOCOL: it is no such document. */
int discover_parse_document(struct bytes document, const struct discover_address *address,
                            struct discover_server *servers, size_t most, size_t *count_out,
                            struct error *error) MUST_CHECK;

/* Connects, secures and awaits the greeting. */
int discover_try(const struct discover_server *server, struct tls_client_context *context,
                 struct error *error) MUST_CHECK;

#endif
