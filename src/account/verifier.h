/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_VERIFIER_H
#define RESTANTE_ACCOUNT_VERIFIER_H

/* A verifier is what a file of accounts keeps in place of a password: "{SCHEME}octets", as Dovecot writes
 * it. Schemes: PLAIN, CRYPT (yescrypt, gost-yescrypt, scrypt, bcrypt, sha512-crypt, sha256-crypt,
 * md5-crypt, DES), SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT, ARGON2ID, ARGON2I, SCRAM-SHA-256, SCRAM-SHA-1.
 * All functions may be called from any thread. */

#include "account/secret.h"
#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"
#include "sasl/scram_keys.h"

enum {
    VERIFIER_OCTETS_MAX = 1024,
    VERIFIER_MADE_OCTETS = 256, /* room for what verifier_make writes, its NUL included */
    VERIFIER_SCRAM_ITERATIONS = 100000,
};

/* Costs in a file beyond these are an error of the file, not work for the server. */
#define VERIFIER_MEMORY_MAX (UINT64_C(1) << 30)

enum verifier_scheme {
    VERIFIER_PLAIN,
    VERIFIER_CRYPT,
    VERIFIER_ARGON2,
    VERIFIER_SCRAM_SHA_256,
    VERIFIER_SCRAM_SHA_1,
};

/* What a check of the verifier costs. Two verifiers with equal costs take the same time. */
struct verifier_cost {
    enum verifier_scheme scheme;
    uint32_t method; /* within CRYPT and ARGON2 */
    uint64_t memory; /* octets that one check takes while it runs */
    uint64_t work;   /* iterations, rounds, passes: comparable within a method only */
    uint64_t work_of_app_passwords; /* iterations of SCRAM-SHA-256 on top; 0: none */
};

bool verifier_cost_equal(const struct verifier_cost *a, const struct verifier_cost *b);

/* Reads a verifier as far as it can be without a password. ERROR_CONFIGURATION with a text that says
 * what would be right: no scheme, a scheme that is not served, a malformed hash, an absurd cost. */
int verifier_examine(struct bytes verifier, struct verifier_cost *cost_out,
                     struct error *error) MUST_CHECK;

/* Blocks for as long as the scheme wants: off the loops only. 0 if the secret is right;
 * ERROR_BAD_CREDENTIALS if it is wrong; ERROR_CONFIGURATION as verifier_examine; ERROR_TEMPORARY: no
 * memory. No copy of the secret is left behind. */
int verifier_check(struct bytes verifier, const struct secret *secret,
                   struct error *error) MUST_CHECK;

/* The octets that verifier_check will take for it, 0 for one that verifier_examine refuses. */
uint64_t verifier_memory(struct bytes verifier);

/* For exchanges that prove a password without sending it. The keys of that hash, if the verifier holds
 * them; the password itself, borrowed from the verifier, if that is {PLAIN}. False: it is of another kind. */
bool verifier_scram_keys(struct bytes verifier, enum scram_hash hash, struct scram_keys *keys_out);
bool verifier_text(struct bytes verifier, struct bytes *password_out);

/* Is `scheme` one that verifier_make makes: "scram-sha-256" or "argon2id", in any case? ERROR_USAGE: no. */
int verifier_check_scheme(const char *scheme, struct error *error) MUST_CHECK;

/* Writes a new verifier of the prepared secret (RFC 4013, as a stored string), with a random salt or, of SCRAM,
 * with the salt and the iterations of `alike` unless that is NULL. ERROR_USAGE: a scheme that
 * verifier_check_scheme refuses, or a secret that is empty or cannot be prepared, with the reason;
 * ERROR_TEMPORARY: no memory. */
int verifier_make(const char *scheme, const struct secret *secret, const struct scram_keys *alike,
                  char verifier_out[VERIFIER_MADE_OCTETS], struct error *error) MUST_CHECK;

#endif
