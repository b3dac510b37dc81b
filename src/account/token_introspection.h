/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_INTROSPECTION_H
#define RESTANTE_ACCOUNT_TOKEN_INTROSPECTION_H

#include "account/token_claims.h"

/* Asks the issuer what a token is (RFC 7662). The connection is kept. Blocks, up to the time that the options say. */
struct token_introspection;

/* ERROR_CONFIGURATION: a file that the options name cannot be read. `options` are borrowed. */
int token_introspection_create(const struct token_options *options,
                               struct token_introspection **introspection_out,
                               struct error *error) MUST_CHECK;
/* Wipes. Takes NULL; returns NULL. */
struct token_introspection *token_introspection_free(struct token_introspection *introspection);

/* 0; ERROR_BAD_CREDENTIALS: the token is not active, or does not let in; ERROR_TEMPORARY: nobody can say, and why. */
int token_introspection_check(struct token_introspection *introspection, struct bytes octets,
                              const struct token_case *token, struct token_verdict *verdict_out,
                              struct error *error) MUST_CHECK;

#endif
