/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_OAUTH_TOKENS_H
#define RESTANTE_OAUTH_TOKENS_H

/* Tokens in memory, and what a provider's answers say (RFC 6749 section 5, RFC 8628 section 3.2). */

#include <stdint.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum { OAUTH_TOKEN_OCTETS_MAX = 8192, OAUTH_ANSWER_OCTETS_MAX = 64 * 1024 };

/* Texts are malloc'ed; NULL: there is none. */
struct oauth_tokens {
    char *access, *refresh;
    uint64_t obtained_s; /* Unix time */
    uint64_t expires_s;  /* of the access token; 0: the provider does not say */
};

void oauth_tokens_finish(struct oauth_tokens *tokens); /* wipes */

/* What an endpoint said if it was no success. */
struct oauth_refusal {
    char
        error[64]; /* a code of RFC 6749 section 5.2 or RFC 8628 section 3.5; empty: it gave none */
    char description[160]; /* printable */
};

/* A JSON object with tokens. 0; or -1: it has none, and `refusal_out` says why, as far as it says it. Of what the answer
 * leaves out, the refresh token too, nothing is made up. */
int oauth_tokens_parse(struct bytes text, uint64_t now_s, struct oauth_tokens *tokens_out,
                       struct oauth_refusal *refusal_out) MUST_CHECK;

/* Texts as they are kept; malloc'ed and NUL-terminated. NULL: no memory. */
char *oauth_tokens_write(const struct oauth_tokens *tokens);
/* -1: it is not what oauth_tokens_write wrote. */
int oauth_tokens_read(struct bytes text, struct oauth_tokens *tokens_out) MUST_CHECK;

struct oauth_device {
    char code[1024];     /* ours: a secret */
    char user_code[64];  /* the person's; printable */
    char page[512];      /* where they type it; printable */
    uint32_t interval_s; /* at least 1 */
    uint32_t expires_s;
};

/* As oauth_tokens_parse. */
int oauth_device_parse(struct bytes text, struct oauth_device *device_out,
                       struct oauth_refusal *refusal_out) MUST_CHECK;

#endif
