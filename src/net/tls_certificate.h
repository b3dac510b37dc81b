/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_CERTIFICATE_H
#define RESTANTE_NET_TLS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { TLS_FINGERPRINT_SIZE = 32 };

/* Who a server should be. */
struct tls_expected {
    const char *host; /* an ASCII name, or a numeric address */
    bool is_address;
    const uint8_t *fingerprint; /* SHA-256; NULL: chain, time and name decide */
};

/* Judges the certificate that `store` was made for, and sets the store's error, from which the alert is made.
 * -1: ERROR_PERMANENT says in words what is wrong with it. */
int tls_certificate_verify(X509_STORE_CTX *store, const struct tls_expected *expected,
                           struct error *error) MUST_CHECK;

#endif
