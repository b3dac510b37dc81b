/* SPDX-License-Identifier: MIT */
/* {SCRAM-SHA-256}: "iterations,salt,StoredKey,ServerKey" in base64, as Dovecot writes it. RFC 5802
 * section 3 and RFC 7677; the password's octets are hashed as they came, as Dovecot hashes them. It has
 * what a SCRAM exchange needs and checks a plain password too; who steals it can do neither. */
#include <limits.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "account/verifier_schemes.h"
#include "base/number.h"

enum {
    KEY_OCTETS = crypto_hash_sha256_BYTES,
    SALT_OCTETS_MAX = 64,
    SALT_OCTETS_MADE = 16,
    ITERATIONS_MAX = 10 * 1000 * 1000,
    MEMORY_OCTETS = 8192, /* what OpenSSL's contexts take */
};

_Static_assert(crypto_hash_sha256_BYTES == crypto_auth_hmacsha256_KEYBYTES,
               "a SCRAM-SHA-256 key is a key of HMAC-SHA-256");

struct scram {
    uint64_t iterations;
    uint8_t salt[SALT_OCTETS_MAX];
    size_t salt_size;
    uint8_t stored_key[KEY_OCTETS];
    uint8_t server_key[KEY_OCTETS];
};

static const char right[] = "it is iterations,salt,StoredKey,ServerKey in base64";

/* Takes a field up to the comma, or up to the end for the last. */
static struct bytes take_field(struct bytes *rest)
{
    struct bytes field = {rest->data, bytes_find(*rest, ',')};
    *rest = bytes_from(*rest, field.size + 1);
    return field;
}

static int decode(struct bytes text, uint8_t *octets_out, size_t capacity, size_t *size_out)
{
    return sodium_base642bin(octets_out, capacity, (const char *)text.data, text.size, NULL,
                             size_out, NULL, sodium_base64_VARIANT_ORIGINAL);
}

static int parse(struct bytes hash, struct scram *scram_out)
{
    struct bytes rest = hash;
    struct bytes iterations = take_field(&rest);
    struct bytes salt = take_field(&rest);
    struct bytes stored_key = take_field(&rest);
    size_t stored_size, server_size;
    if (number_parse(iterations, UINT32_MAX, &scram_out->iterations) < 0 ||
        scram_out->iterations == 0 ||
        decode(salt, scram_out->salt, SALT_OCTETS_MAX, &scram_out->salt_size) < 0 ||
        scram_out->salt_size == 0 ||
        decode(stored_key, scram_out->stored_key, KEY_OCTETS, &stored_size) < 0 ||
        stored_size != KEY_OCTETS ||
        decode(rest, scram_out->server_key, KEY_OCTETS, &server_size) < 0 ||
        server_size != KEY_OCTETS) {
        return -1;
    }
    return 0;
}

int verifier_scram_examine(struct bytes hash, struct verifier_cost *cost_out, struct error *error)
{
    struct scram scram;
    if (parse(hash, &scram) < 0) {
        return verifier_malformed(error, "a malformed SCRAM-SHA-256 hash", right);
    }
    if (scram.iterations > ITERATIONS_MAX) {
        return verifier_absurd(error, "the count of SCRAM iterations", ITERATIONS_MAX);
    }
    *cost_out = (struct verifier_cost){
        .scheme = VERIFIER_SCRAM_SHA_256, .memory = MEMORY_OCTETS, .work = scram.iterations};
    return 0;
}

static int derive(const struct secret *secret, struct scram *scram, struct error *error)
{
    static const char client_text[] = "Client Key";
    static const char server_text[] = "Server Key";
    uint8_t salted[KEY_OCTETS], client_key[KEY_OCTETS];
    struct bytes password = secret_octets(secret);
    if (PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, scram->salt,
                          (int)scram->salt_size, (int)scram->iterations, EVP_sha256(), KEY_OCTETS,
                          salted) != 1) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for a SCRAM hash");
    }
    (void)crypto_auth_hmacsha256(client_key, (const uint8_t *)client_text, sizeof client_text - 1,
                                 salted);                                       /* always 0 */
    (void)crypto_hash_sha256(scram->stored_key, client_key, sizeof client_key); /* always 0 */
    (void)crypto_auth_hmacsha256(scram->server_key, (const uint8_t *)server_text,
                                 sizeof server_text - 1, salted); /* always 0 */
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client_key, sizeof client_key);
    return 0;
}

int verifier_scram_check(struct bytes hash, const struct secret *secret, struct error *error)
{
    struct scram kept, derived;
    if (parse(hash, &kept) < 0) {
        return verifier_malformed(error, "a malformed SCRAM-SHA-256 hash", right);
    }
    derived = kept;
    if (derive(secret, &derived, error) < 0) {
        return -1;
    }
    int wrong = sodium_memcmp(kept.stored_key, derived.stored_key, KEY_OCTETS);
    sodium_memzero(&derived, sizeof derived);
    if (wrong != 0) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    }
    return 0;
}

int verifier_scram_make(const struct secret *secret, char verifier_out[VERIFIER_MADE_OCTETS],
                        struct error *error)
{
    struct scram scram = {.iterations = VERIFIER_SCRAM_ITERATIONS, .salt_size = SALT_OCTETS_MADE};
    if (sodium_init() < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "libsodium does not start");
    }
    randombytes_buf(scram.salt, scram.salt_size);
    if (derive(secret, &scram, error) < 0) {
        return -1;
    }
    char salt[sodium_base64_ENCODED_LEN(SALT_OCTETS_MADE, sodium_base64_VARIANT_ORIGINAL)];
    char stored[sodium_base64_ENCODED_LEN(KEY_OCTETS, sodium_base64_VARIANT_ORIGINAL)];
    char server[sodium_base64_ENCODED_LEN(KEY_OCTETS, sodium_base64_VARIANT_ORIGINAL)];
    int variant = sodium_base64_VARIANT_ORIGINAL;
    (void)sodium_bin2base64(salt, sizeof salt, scram.salt, scram.salt_size, variant);
    (void)sodium_bin2base64(stored, sizeof stored, scram.stored_key, KEY_OCTETS, variant);
    (void)sodium_bin2base64(server, sizeof server, scram.server_key, KEY_OCTETS, variant);
    (void)snprintf(verifier_out, VERIFIER_MADE_OCTETS, "{SCRAM-SHA-256}%d,%s,%s,%s",
                   VERIFIER_SCRAM_ITERATIONS, salt, stored,
                   server); /* fits: 15 + 7 + 25 + 2 * 45 */
    return 0;
}
