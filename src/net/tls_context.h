/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_TLS_CONTEXT_H
#define RESTANTE_NET_TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* The context lives on until tls_context_free is called once more. */
SSL_CTX *tls_context_hold(struct tls_context *context);

#endif
