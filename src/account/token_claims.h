/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_CLAIMS_H
#define RESTANTE_ACCOUNT_TOKEN_CLAIMS_H

#include <jansson.h>

#include "account/token.h"

/* What somebody says of himself or is said of by others: of a JWT (RFC 7519 section 4) whose signature is right,
 * or of an introspection (RFC 7662 section 2.2). */
enum token_origin { TOKEN_OF_JWT, TOKEN_OF_INTROSPECTION };

struct token_case {
    const struct token_options *options;
    enum token_origin origin;
    struct bytes name; /* who the client says that it is; empty: it does not say */
    uint64_t now_s;    /* Unix time */
};

/* Are these claims those of a token that lets in, and whom? A JWT must have "exp", "iss" and "aud"; an
 * introspection's are looked at where they are there, its "aud" is needed where an audience is expected.
 * 0; ERROR_BAD_CREDENTIALS: no, and why. */
int token_claims_check(const json_t *claims, const struct token_case *token,
                       struct token_verdict *verdict_out, struct error *error) MUST_CHECK;

#endif
