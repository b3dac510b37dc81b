/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_JWT_H
#define RESTANTE_ACCOUNT_TOKEN_JWT_H

#include "account/token_claims.h"
#include "account/token_keys.h"

/* Checks a token that is a signed JWT (RFC 7519, RFC 9068) in compact form: its algorithm, its signature by one of the
 * keys, then its claims. 0; ERROR_BAD_CREDENTIALS: it is none, or does not let in, and why; ERROR_TEMPORARY: no
 * memory. */
int token_jwt_check(const struct token_keys *keys, struct bytes jwt, const struct token_case *token,
                    struct token_verdict *verdict_out, struct error *error) MUST_CHECK;

#endif
