/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_CLIENT_H
#define RESTANTE_NET_TLS_CLIENT_H

/* The client end of TLS: who the server is gets verified as RFC 7817 asks of mail clients, or by the
 * fingerprint that the person has pinned. One thread. */

#include "net/tls.h"

struct tls_client_settings {
    struct bytes ca; /* PEM, instead of the system's certificates; empty: those */
    const char
        *fingerprint; /* SHA-256 of the server's certificate, 64 hexadecimal digits, colons allowed:
                                then neither chain nor name nor time is asked. NULL: they are */
    struct bytes certificate; /* PEM of our own, then its chain; empty: none */
    struct bytes key;         /* PEM */
    bool only_1_3;
    const char *protocol; /* offered by ALPN; NULL: none */
};

/* For connections of one account: a second connection to the same host goes on with the session of the
 * first, whose server has been verified by the same settings. */
struct tls_client_context;

/* Everything is parsed and checked, nothing is borrowed: ERROR_CONFIGURATION names what is wrong. */
int tls_client_context_create(const struct tls_client_settings *settings,
                              struct tls_client_context **context_out,
                              struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. Connections that were made of it go on. */
struct tls_client_context *tls_client_context_free(struct tls_client_context *context);

/* The client end of a connection to `host`, the name that the person gave or a numeric address; it speaks
 * first: call tls_handshake. NULL: `error` says why. */
struct tls *tls_connect(struct tls_client_context *context, const char *host, struct error *error);

/* Why the client end has failed; ERROR_PERMANENT: the server is not who it should be. */
const struct error *tls_error(const struct tls *tls);

#endif
