/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_CONNECTION_H
#define RESTANTE_NET_TLS_CONNECTION_H

#include <openssl/ssl.h>

#include "net/tls.h"

struct tls_client; /* what only the client end has */

struct tls {
    SSL *ssl;
    struct tls_context *context; /* the server end's */
    struct tls_client *client;   /* NULL: the server end */
    struct bytes input;
    struct tls_output *output; /* of the call under way */
};

/* A connection of neither end yet, whose SSL has it as app data. NULL: no memory. */
struct tls *tls_create(SSL_CTX *context);

/* Why OpenSSL failed, in words; called before its queue of errors is cleared. */
void tls_client_note_failure(struct tls *tls);
struct tls_client *tls_client_free(struct tls_client *client);

#endif
