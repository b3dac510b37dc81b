/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_CONTEXT_H
#define RESTANTE_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* The context lives on until tls_context_free is called once more. */
SSL_CTX *tls_context_hold(struct tls_context *context);

/* What contexts of both ends need. */

/* Sets ERROR_CONFIGURATION: what, and OpenSSL's reason. -1. */
int tls_context_fail(struct error *error, const char *what);
/* PEM: the certificate, then its chain. The certificate is the caller's. */
int tls_context_use_certificate(SSL_CTX *ssl, struct bytes pem, X509 **certificate_out,
                                struct error *error) MUST_CHECK;
int tls_context_use_key(SSL_CTX *ssl, struct bytes pem, struct error *error) MUST_CHECK;
/* Certificates in PEM that chains may end in: how many. */
uint32_t tls_context_trust(SSL_CTX *ssl, struct bytes pem);

#endif
