/* SPDX-License-Identifier: MIT */
/* {ARGON2ID} and {ARGON2I}: the strings of the reference implementation (RFC 9106 has only the function),
 * "$argon2id$v=19$m=65536,t=2,p=1$salt$hash". libsodium checks and makes them; what it would cost is read
 * here first, because libsodium would take ten gigabytes if the file said so. */
#include <errno.h>
#include <stdio.h>

#include <sodium.h>

#include "account/verifier_schemes.h"
#include "base/number.h"

enum {
    PASSES_MAX = 1000,
    LANES_MAX = 256,
    /* passes times KiB: some ten seconds of one core */
    WORK_MAX = 16 * 1024 * 1024,
    TEXT_OCTETS_MAX = 255,
    HASH_OCTETS_MIN = 16,
    SALT_OCTETS_MIN = 8,
};

static const char right[] = "it is $argon2id$v=19$m=65536,t=2,p=1$salt$hash";

/* Takes "<key><number>" and what ends it from the front of `rest`. */
static int take_number(struct bytes *rest, const char *key, uint8_t end, uint64_t *value_out)
{
    if (!bytes_take_prefix(rest, key)) {
        return -1;
    }
    size_t size = bytes_find(*rest, end);
    struct bytes digits = {rest->data, size};
    if (size == rest->size || number_parse(digits, UINT32_MAX, value_out) < 0) {
        return -1;
    }
    *rest = bytes_from(*rest, size + 1);
    return 0;
}

static bool is_base64(struct bytes text, size_t octets_min)
{
    uint8_t octets[TEXT_OCTETS_MAX];
    size_t size;
    return sodium_base642bin(octets, sizeof octets, (const char *)text.data, text.size, NULL, &size,
                             NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
           size >= octets_min;
}

int verifier_argon2_examine(struct bytes hash, struct verifier_cost *cost_out, struct error *error)
{
    if (hash.size > TEXT_OCTETS_MAX) {
        return verifier_malformed(error, "an argon2 hash that is too long", right);
    }
    struct bytes type = bytes_of("$argon2i");
    struct bytes rest = bytes_from(hash, type.size);
    bool is_id = rest.size > 0 && rest.data[0] == 'd';
    rest = bytes_from(rest, is_id ? 1 : 0);
    uint64_t version, kib, passes, lanes;
    if (take_number(&rest, "$v=", '$', &version) < 0 || version != 19 ||
        take_number(&rest, "m=", ',', &kib) < 0 || take_number(&rest, "t=", ',', &passes) < 0 ||
        take_number(&rest, "p=", '$', &lanes) < 0) {
        return verifier_malformed(error, "a malformed argon2 hash", right);
    }
    size_t salt_size = bytes_find(rest, '$');
    struct bytes salt = {rest.data, salt_size};
    if (salt_size == rest.size || !is_base64(salt, SALT_OCTETS_MIN) ||
        !is_base64(bytes_from(rest, salt_size + 1), HASH_OCTETS_MIN) || passes == 0 || lanes == 0 ||
        kib < 8 * lanes) {
        return verifier_malformed(error, "a malformed argon2 hash", right);
    }
    if (kib > VERIFIER_MEMORY_MAX / 1024) {
        return verifier_absurd(error, "the argon2 memory (m, in KiB)", VERIFIER_MEMORY_MAX / 1024);
    }
    if (passes > PASSES_MAX || kib * passes > WORK_MAX) {
        return verifier_absurd(error, "the argon2 passes (t) times memory (m)", WORK_MAX);
    }
    if (lanes > LANES_MAX) {
        return verifier_absurd(error, "the argon2 lanes (p)", LANES_MAX);
    }
    *cost_out = (struct verifier_cost){.scheme = VERIFIER_ARGON2,
                                       .method = is_id,
                                       .memory = kib * 1024,
                                       .work = passes << 16 | lanes};
    return 0;
}

int verifier_argon2_check(struct bytes hash, const struct secret *secret, struct error *error)
{
    char text[TEXT_OCTETS_MAX + 1] = {0}; /* longer than libsodium's own, which it takes */
    struct bytes password = secret_octets(secret);
    memcpy(text, hash.data, hash.size);
    errno = 0;
    if (crypto_pwhash_str_verify(text, (const char *)password.data, password.size) == 0) {
        return 0;
    }
    if (errno == ENOMEM) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory for an argon2 hash");
    }
    return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
}

int verifier_argon2_make(const struct secret *secret, char verifier_out[VERIFIER_MADE_OCTETS],
                         struct error *error)
{
    char text[crypto_pwhash_STRBYTES];
    struct bytes password = secret_octets(secret);
    if (sodium_init() < 0 ||
        crypto_pwhash_argon2id_str(text, (const char *)password.data, password.size,
                                   crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE,
                                   crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE) != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for an argon2 hash");
    }
    (void)snprintf(verifier_out, VERIFIER_MADE_OCTETS, "{ARGON2ID}%s", text); /* fits: 128 + 11 */
    return 0;
}
