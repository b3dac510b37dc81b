/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_TOKEN_KEYS_H
#define RESTANTE_ACCOUNT_TOKEN_KEYS_H

#include <cjose/cjose.h>

#include "account/token.h"

/* The public keys of a JWK Set (RFC 7517) in a file, which is read again whenever it has changed: an issuer makes new
 * ones, and takes the old ones back. Keys that are for something else, of another kind or too weak are left out. */
struct token_keys;

/* ERROR_CONFIGURATION: there is no such file, or no key in it that can be used. `path` is borrowed. */
int token_keys_create(const char *path, struct token_keys **keys_out,
                      struct error *error) MUST_CHECK;
/* Takes NULL; returns NULL. */
struct token_keys *token_keys_free(struct token_keys *keys);

/* Reads the file if it has changed. Where that fails, -1: what was read before stays. */
int token_keys_refresh(struct token_keys *keys, struct error *error) MUST_CHECK;

/* The keys, from `index` on, with which a signature of `algorithm` may have been made, and whose id is `id`, unless
 * that is NULL. The index of the next one, with the key borrowed until the next refresh; SIZE_MAX: there is none. */
size_t token_keys_next(const struct token_keys *keys, size_t index, enum token_algorithm algorithm,
                       const char *id, const cjose_jwk_t **key_out);

#endif
