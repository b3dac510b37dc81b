/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_NET_CERTIFICATES_H
#define RESTANTE_TESTS_NET_CERTIFICATES_H

/* Certificates of any kind, made for a test. */

#include "base/bytes.h"
#include "net/tls.h"

struct pair {
    struct bytes certificate; /* PEM */
    struct bytes key;         /* PEM */
};

struct wish {
    const char *common_name;
    const char *alternatives; /* as openssl's subjectAltName; NULL: none */
    long begin_days;          /* from now */
    long end_days;
    const struct pair *issuer; /* NULL: itself */
};

struct pair make_pair(const struct wish *wish);
void free_pair(struct pair *pair);
/* SHA-256 in lower case without colons. */
void fingerprint_of(const struct pair *pair, char out[65]);

#endif
