/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_VERIFIER_SCHEMES_H
#define RESTANTE_ACCOUNT_VERIFIER_SCHEMES_H

/* What verifier.c's table is made of: one pair of functions a family of schemes. `hash` is what follows
 * the closing brace; check is given only what examine has accepted. */

#include "account/verifier.h"

/* For texts about what the author of the file cannot be expected to know. */
int verifier_malformed(struct error *error, const char *what, const char *right) MUST_CHECK;
int verifier_absurd(struct error *error, const char *what, uint64_t most) MUST_CHECK;

int verifier_crypt_examine(struct bytes hash, struct verifier_cost *cost_out,
                           struct error *error) MUST_CHECK;
int verifier_crypt_check(struct bytes hash, const struct secret *secret,
                         struct error *error) MUST_CHECK;

int verifier_scram_sha_256_examine(struct bytes hash, struct verifier_cost *cost_out,
                                   struct error *error) MUST_CHECK;
int verifier_scram_sha_256_check(struct bytes hash, const struct secret *secret,
                                 struct error *error) MUST_CHECK;
int verifier_scram_sha_1_examine(struct bytes hash, struct verifier_cost *cost_out,
                                 struct error *error) MUST_CHECK;
int verifier_scram_sha_1_check(struct bytes hash, const struct secret *secret,
                               struct error *error) MUST_CHECK;
int verifier_scram_parse(enum scram_hash hash, struct bytes text,
                         struct scram_keys *keys_out) MUST_CHECK;
int verifier_scram_make(const struct secret *secret, const struct scram_keys *alike,
                        char verifier_out[VERIFIER_MADE_OCTETS], struct error *error) MUST_CHECK;

int verifier_argon2_examine(struct bytes hash, struct verifier_cost *cost_out,
                            struct error *error) MUST_CHECK;
int verifier_argon2_check(struct bytes hash, const struct secret *secret,
                          struct error *error) MUST_CHECK;
int verifier_argon2_make(const struct secret *secret, char verifier_out[VERIFIER_MADE_OCTETS],
                         struct error *error) MUST_CHECK;

#endif
