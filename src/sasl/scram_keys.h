/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SASL_SCRAM_KEYS_H
#define RESTANTE_SASL_SCRAM_KEYS_H

/* What SCRAM knows of a password (RFC 5802 section 3, RFC 7677). Any thread. */

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum scram_hash { SCRAM_SHA_256, SCRAM_SHA_1, SCRAM_HASH_COUNT };

enum {
    SCRAM_SALT_OCTETS_MAX = 64,
    SCRAM_KEY_OCTETS_MAX = 32,
    SCRAM_ITERATIONS_LEAST = 4096 /* RFC 5802 section 5.1 */
};

struct scram_keys {
    uint32_t iterations;
    size_t salt_size;
    uint8_t salt[SCRAM_SALT_OCTETS_MAX];
    uint8_t stored_key[SCRAM_KEY_OCTETS_MAX];
    uint8_t server_key[SCRAM_KEY_OCTETS_MAX];
};

/* Are salt and iterations the same, so that one derivation does for both? */
bool scram_keys_have_one_salt(const struct scram_keys *a, const struct scram_keys *b);

/* Octets of each key. */
size_t scram_key_size(enum scram_hash hash);

/* Computes the keys from salt and iterations, which are there already. Blocks for as long as the iterations
 * take. The password's octets are hashed as they came: who wants them prepared does it before. */
int scram_derive(enum scram_hash hash, struct bytes password, struct scram_keys *keys,
                 struct error *error) MUST_CHECK;

/* SaltedPassword of RFC 5802 section 3; blocks for as long as the iterations take. -1: no memory. */
int scram_salt(enum scram_hash hash, struct bytes password, struct bytes salt, uint32_t iterations,
               uint8_t out[SCRAM_KEY_OCTETS_MAX]) MUST_CHECK;

/* HMAC and hash under that name; the outputs have scram_key_size octets. -1: no memory. */
int scram_hmac(enum scram_hash hash, const uint8_t *key, struct bytes text,
               uint8_t out[SCRAM_KEY_OCTETS_MAX]) MUST_CHECK;
int scram_digest(enum scram_hash hash, const uint8_t *octets,
                 uint8_t out[SCRAM_KEY_OCTETS_MAX]) MUST_CHECK;

#endif
