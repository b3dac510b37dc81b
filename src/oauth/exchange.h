/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_EXCHANGE_H
#define RESTANTE_OAUTH_EXCHANGE_H

/* One question to an endpoint of the provider (RFC 6749 section 3.2), with the client's authentication. */

#include "base/buffer.h"
#include "http/http.h"
#include "oauth/provider.h"
#include "oauth/tokens.h"

struct oauth_exchange {
    const struct oauth_grant *grant;
    const struct oauth_endpoints *endpoints;
    struct http_client *client;
    uint8_t *form_memory, *secret_memory;
    struct buffer form;  /* of the question: oauth_exchange_begin, then http_append_pair */
    struct bytes secret; /* the client's; empty: it has none */
    const char *kept; /* what no text may repeat: the code or token that is sent; NULL: nothing */
    uint32_t status;  /* of the answer */
    struct oauth_refusal refusal;
};

/* Borrows both. ERROR_CONFIGURATION: the client's secret cannot be read, or HTTP cannot be loaded. */
int oauth_exchange_open(struct oauth_exchange *exchange, const struct oauth_grant *grant,
                        const struct oauth_endpoints *endpoints, struct error *error) MUST_CHECK;
/* Wipes. */
void oauth_exchange_close(struct oauth_exchange *exchange);

/* A new form, with the client's name, and its secret where it goes there. */
void oauth_exchange_begin(struct oauth_exchange *exchange);
/* Sends the form. 0: tokens; -1: none, and `refusal.error` says why unless it is empty; `error` is set in any case. */
int oauth_exchange_tokens(struct oauth_exchange *exchange, struct oauth_tokens *tokens_out,
                          struct error *error) MUST_CHECK;
/* The same to the device endpoint. */
int oauth_exchange_device(struct oauth_exchange *exchange, struct oauth_device *device_out,
                          struct error *error) MUST_CHECK;

#endif
