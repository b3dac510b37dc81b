/* SPDX-License-Identifier: MIT */
#include "sasl/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static const EVP_MD *function_of(enum scram_hash hash)
{
    return hash == SCRAM_SHA_256 ? EVP_sha256() : EVP_sha1();
}

bool scram_keys_have_one_salt(const struct scram_keys *a, const struct scram_keys *b)
{
    return a->iterations == b->iterations && a->salt_size == b->salt_size &&
           memcmp(a->salt, b->salt, a->salt_size) == 0;
}

size_t scram_key_size(enum scram_hash hash)
{
    return hash == SCRAM_SHA_256 ? 32 : 20;
}

int scram_hmac(enum scram_hash hash, const uint8_t *key, struct bytes text,
               uint8_t out[SCRAM_KEY_OCTETS_MAX])
{
    return HMAC(function_of(hash), key, (int)scram_key_size(hash), text.data, text.size, out,
                NULL) == NULL
               ? -1
               : 0;
}

int scram_digest(enum scram_hash hash, const uint8_t *octets, uint8_t out[SCRAM_KEY_OCTETS_MAX])
{
    return EVP_Digest(octets, scram_key_size(hash), out, NULL, function_of(hash), NULL) == 1 ? 0
                                                                                             : -1;
}

int scram_salt(enum scram_hash hash, struct bytes password, struct bytes salt, uint32_t iterations,
               uint8_t out[SCRAM_KEY_OCTETS_MAX])
{
    return PKCS5_PBKDF2_HMAC((const char *)password.data, (int)password.size, salt.data,
                             (int)salt.size, (int)iterations, function_of(hash),
                             (int)scram_key_size(hash), out) == 1
               ? 0
               : -1;
}

int scram_derive(enum scram_hash hash, struct bytes password, struct scram_keys *keys,
                 struct error *error)
{
    uint8_t salted[SCRAM_KEY_OCTETS_MAX], client_key[SCRAM_KEY_OCTETS_MAX];
    struct bytes salt = {keys->salt, keys->salt_size};
    bool done = scram_salt(hash, password, salt, keys->iterations, salted) == 0 &&
                scram_hmac(hash, salted, bytes_of("Client Key"), client_key) == 0 &&
                scram_digest(hash, client_key, keys->stored_key) == 0 &&
                scram_hmac(hash, salted, bytes_of("Server Key"), keys->server_key) == 0;
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    return done ? 0 : error_set(error, ERROR_TEMPORARY, 0, "no memory for a SCRAM hash");
}
