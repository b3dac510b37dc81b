/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_CLIENT_H
#define RESTANTE_SASL_CLIENT_H

/* The client's end of one authentication exchange (RFC 4422), without input or output. The host gives it the
 * server's challenges, decoded, and does what the event says that each call returns:
 *
 *     WAIT      the server speaks first: begin without an initial response
 *     SEND      send `octets`, as initial response or as response; there may be none of them
 *     DERIVE    call sasl_client_derive, which may take seconds: from any thread, while nothing else is called
 *     FAILED    the server must not be trusted, or makes no sense: `error` says why. The exchange is over
 *
 * When the server says that the login has succeeded, sasl_client_finish says whether to believe it. An exchange
 * is one block of fixed size, wiped when it is freed. One thread at a time. */

#include "base/error.h"
#include "sasl/mechanism.h"

enum {
    SASL_CLIENT_NAME_OCTETS_MAX = 512,
    SASL_CLIENT_PASSWORD_OCTETS_MAX = 512,
    SASL_CLIENT_TOKEN_OCTETS_MAX = 8192,
    SASL_CLIENT_STATUS_SIZE = 64,
    SASL_CLIENT_CHALLENGE_OCTETS_MAX = 1536, /* longer challenges fail */
    SASL_CLIENT_ITERATIONS_MOST = 10000000   /* of SCRAM: seconds, not hours */
};

/* Copied, and prepared (sasl/prepare.h) as a query: a password may have characters newer than Unicode 3.2, which
 * servers that do not prepare take. */
struct sasl_client_identity {
    struct bytes name;          /* who logs in */
    struct bytes password;      /* nothing for EXTERNAL; the token for OAUTHBEARER and XOAUTH2 */
    struct bytes authorization; /* to act as somebody else; empty: as oneself */
};

/* Facts of the connection, copied. */
struct sasl_client_facts {
    struct bytes tls_exporter; /* RFC 9266; empty: not to be had */
    struct bytes tls_unique; /* RFC 5929 section 3: only of TLS 1.2, and then it is what is used */
    const char *offered; /* the server's list, spaces between: it tells what we could have used */
    const char *nonce;   /* instead of a random one: test vectors need it */
    const char *host;    /* OAUTHBEARER: whom we connected to, and where; NULL and 0: not told */
    uint32_t port;
};

/* What "auto" may choose. */
struct sasl_client_choice {
    bool password_allowed; /* may a password be sent as it is? */
    bool has_binding;      /* can authentication be bound to the channel? */
};

enum sasl_client_event_type {
    SASL_CLIENT_WAIT,
    SASL_CLIENT_SEND,
    SASL_CLIENT_DERIVE,
    SASL_CLIENT_FAILED
};

/* Pointers are borrowed until the next call. */
struct sasl_client_event {
    enum sasl_client_event_type type;
    struct bytes octets; /* never NULL */
    const struct error *error;
};

/* The best of the server's list, spaces between: SCRAM bound to the channel, SCRAM, PLAIN, LOGIN.
 * SASL_MECHANISM_COUNT: none of them. EXTERNAL, CRAM-MD5, APOP and those that need a token are for who asks for them by
 * name. */
enum sasl_mechanism sasl_client_choose(const char *offered,
                                       const struct sasl_client_choice *choice);

struct sasl_client;

/* Not for APOP. ERROR_CONFIGURATION: the identity cannot be used with it; ERROR_PERMANENT: a -PLUS mechanism and
 * nothing to bind to; ERROR_TEMPORARY: no memory. */
int sasl_client_create(enum sasl_mechanism mechanism, const struct sasl_client_identity *identity,
                       const struct sasl_client_facts *facts, struct sasl_client **client_out,
                       struct error *error) MUST_CHECK;
/* Wipes. Takes NULL; returns NULL. */
struct sasl_client *sasl_client_free(struct sasl_client *client);

void sasl_client_begin(struct sasl_client *client, struct sasl_client_event *event_out);
void sasl_client_continue(struct sasl_client *client, struct bytes challenge,
                          struct sasl_client_event *event_out);
void sasl_client_derive(struct sasl_client *client, struct sasl_client_event *event_out);

/* The server says that we are logged in. -1, ERROR_PROTOCOL: before the exchange was complete, or, with SCRAM,
 * before it has proved that it knows the password; close the connection. */
int sasl_client_finish(const struct sasl_client *client, struct error *error) MUST_CHECK;

/* Why the server refused our token, as it said in the exchange (RFC 7628 section 3.2.2), printable and without
 * quotes; NULL: it did not say. */
const char *sasl_client_status(const struct sasl_client *client);

enum { SASL_APOP_DIGEST_SIZE = 33 };
/* APOP's digest (RFC 1939 section 7), NUL-terminated. -1: no memory. */
int sasl_apop_digest(struct bytes timestamp, struct bytes password,
                     char out[SASL_APOP_DIGEST_SIZE]) MUST_CHECK;

#endif
