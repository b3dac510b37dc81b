/* SPDX-License-Identifier: MIT */
/* {SCRAM-SHA-256} and {SCRAM-SHA-1}: "iterations,salt,StoredKey,ServerKey" in base64, as Dovecot writes it.
 * RFC 5802 section 3 and RFC 7677; the password's octets are hashed as they came, as Dovecot hashes them.
 * It has what a SCRAM exchange needs and checks a plain password too; who steals it can do neither. */
#include <limits.h>
#include <stdio.h>

#include <sodium.h>

#include "account/verifier_schemes.h"
#include "base/number.h"

enum {
    SALT_OCTETS_MADE = 16,
    ITERATIONS_MAX = 10 * 1000 * 1000,
    MEMORY_OCTETS = 8192, /* what OpenSSL's contexts take */
};

static const struct {
    const char *name;
    enum verifier_scheme scheme;
} hashes[SCRAM_HASH_COUNT] = {
    [SCRAM_SHA_256] = {"SCRAM-SHA-256", VERIFIER_SCRAM_SHA_256},
    [SCRAM_SHA_1] = {"SCRAM-SHA-1", VERIFIER_SCRAM_SHA_1},
};

static int malformed(enum scram_hash hash, struct error *error)
{
    char what[48];
    (void)snprintf(what, sizeof what, "a malformed %s hash", hashes[hash].name);
    return verifier_malformed(error, what, "it is iterations,salt,StoredKey,ServerKey in base64");
}

static int decode(struct bytes text, uint8_t *octets_out, size_t capacity, size_t *size_out)
{
    return sodium_base642bin(octets_out, capacity, (const char *)text.data, text.size, NULL,
                             size_out, NULL, sodium_base64_VARIANT_ORIGINAL);
}

int verifier_scram_parse(enum scram_hash hash, struct bytes text, struct scram_keys *keys_out)
{
    struct bytes rest = text;
    struct bytes iterations = bytes_take(&rest, ',');
    struct bytes salt = bytes_take(&rest, ',');
    struct bytes stored_key = bytes_take(&rest, ',');
    size_t key_size = scram_key_size(hash), stored_size, server_size;
    uint64_t count;
    *keys_out = (struct scram_keys){0};
    if (number_parse(iterations, UINT32_MAX, &count) < 0 || count == 0 ||
        decode(salt, keys_out->salt, sizeof keys_out->salt, &keys_out->salt_size) < 0 ||
        keys_out->salt_size == 0 ||
        decode(stored_key, keys_out->stored_key, key_size, &stored_size) < 0 ||
        stored_size != key_size || decode(rest, keys_out->server_key, key_size, &server_size) < 0 ||
        server_size != key_size) {
        return -1;
    }
    keys_out->iterations = (uint32_t)count;
    return 0;
}

static int examine(enum scram_hash hash, struct bytes text, struct verifier_cost *cost_out,
                   struct error *error)
{
    struct scram_keys keys;
    if (verifier_scram_parse(hash, text, &keys) < 0) {
        return malformed(hash, error);
    }
    if (keys.iterations > ITERATIONS_MAX) {
        return verifier_absurd(error, "the count of SCRAM iterations", ITERATIONS_MAX);
    }
    *cost_out = (struct verifier_cost){
        .scheme = hashes[hash].scheme, .memory = MEMORY_OCTETS, .work = keys.iterations};
    return 0;
}

static int check(enum scram_hash hash, struct bytes text, const struct secret *secret,
                 struct error *error)
{
    struct scram_keys kept;
    if (verifier_scram_parse(hash, text, &kept) < 0) {
        return malformed(hash, error);
    }
    struct scram_keys derived = kept;
    if (scram_derive(hash, secret_octets(secret), &derived, error) < 0) {
        return -1;
    }
    int wrong = sodium_memcmp(kept.stored_key, derived.stored_key, scram_key_size(hash));
    sodium_memzero(&derived, sizeof derived);
    if (wrong != 0) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    }
    return 0;
}

int verifier_scram_sha_256_examine(struct bytes hash, struct verifier_cost *cost_out,
                                   struct error *error)
{
    return examine(SCRAM_SHA_256, hash, cost_out, error);
}

int verifier_scram_sha_256_check(struct bytes hash, const struct secret *secret,
                                 struct error *error)
{
    return check(SCRAM_SHA_256, hash, secret, error);
}

int verifier_scram_sha_1_examine(struct bytes hash, struct verifier_cost *cost_out,
                                 struct error *error)
{
    return examine(SCRAM_SHA_1, hash, cost_out, error);
}

int verifier_scram_sha_1_check(struct bytes hash, const struct secret *secret, struct error *error)
{
    return check(SCRAM_SHA_1, hash, secret, error);
}

int verifier_scram_make(const struct secret *secret, const struct scram_keys *alike,
                        char verifier_out[VERIFIER_MADE_OCTETS], struct error *error)
{
    enum { KEY_OCTETS = 32 };
    struct scram_keys keys = {.iterations = VERIFIER_SCRAM_ITERATIONS,
                              .salt_size = SALT_OCTETS_MADE};
    if (sodium_init() < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "libsodium does not start");
    }
    if (alike != NULL) {
        keys = *alike;
    } else {
        randombytes_buf(keys.salt, keys.salt_size);
    }
    if (scram_derive(SCRAM_SHA_256, secret_octets(secret), &keys, error) < 0) {
        return -1;
    }
    char salt[sodium_base64_ENCODED_LEN(SCRAM_SALT_OCTETS_MAX, sodium_base64_VARIANT_ORIGINAL)];
    char stored[sodium_base64_ENCODED_LEN(KEY_OCTETS, sodium_base64_VARIANT_ORIGINAL)];
    char server[sodium_base64_ENCODED_LEN(KEY_OCTETS, sodium_base64_VARIANT_ORIGINAL)];
    int variant = sodium_base64_VARIANT_ORIGINAL;
    (void)sodium_bin2base64(salt, sizeof salt, keys.salt, keys.salt_size, variant);
    (void)sodium_bin2base64(stored, sizeof stored, keys.stored_key, KEY_OCTETS, variant);
    (void)sodium_bin2base64(server, sizeof server, keys.server_key, KEY_OCTETS, variant);
    (void)snprintf(verifier_out, VERIFIER_MADE_OCTETS, "{SCRAM-SHA-256}%u,%s,%s,%s",
                   keys.iterations, salt, stored, server); /* fits: 15 + 11 + 89 + 2 * 45 */
    return 0;
}
