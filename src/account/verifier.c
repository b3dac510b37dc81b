/* SPDX-License-Identifier: MIT */
/* The table of schemes. A scheme is a name, a family that knows its hashes, and the prefix that its hashes
 * must have where the family has several. */
#include "account/verifier.h"

#include <strings.h>

#include "account/verifier_schemes.h"

struct scheme {
    const char *name;
    const char *prefix;
    int (*examine)(struct bytes hash, struct verifier_cost *cost_out, struct error *error);
    int (*check)(struct bytes hash, const struct secret *secret, struct error *error);
};

static int plain_examine(struct bytes hash, struct verifier_cost *cost_out, struct error *error)
{
    if (hash.size > SECRET_OCTETS_MAX) {
        return error_set(error, ERROR_CONFIGURATION, 0, "a {PLAIN} password has at most %d octets",
                         SECRET_OCTETS_MAX);
    }
    if (hash.size == 0) {
        return verifier_malformed(error, "an empty {PLAIN} password",
                                  "leave the whole field empty to lock the account");
    }
    *cost_out = (struct verifier_cost){.scheme = VERIFIER_PLAIN};
    return 0;
}

static int plain_check(struct bytes hash, const struct secret *secret, struct error *error)
{
    if (!secret_equal_octets(secret, hash)) {
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    }
    return 0;
}

static const struct scheme schemes[] = {
    {"PLAIN", "", plain_examine, plain_check},
    {"CRYPT", "", verifier_crypt_examine, verifier_crypt_check},
    {"SHA512-CRYPT", "$6$", verifier_crypt_examine, verifier_crypt_check},
    {"SHA256-CRYPT", "$5$", verifier_crypt_examine, verifier_crypt_check},
    {"BLF-CRYPT", "$2", verifier_crypt_examine, verifier_crypt_check},
    {"MD5-CRYPT", "$1$", verifier_crypt_examine, verifier_crypt_check},
    {"ARGON2ID", "$argon2id$", verifier_argon2_examine, verifier_argon2_check},
    {"ARGON2I", "$argon2i$", verifier_argon2_examine, verifier_argon2_check},
    {"SCRAM-SHA-256", "", verifier_scram_sha_256_examine, verifier_scram_sha_256_check},
    {"SCRAM-SHA-1", "", verifier_scram_sha_1_examine, verifier_scram_sha_1_check},
};

int verifier_malformed(struct error *error, const char *what, const char *right)
{
    return error_set(error, ERROR_CONFIGURATION, 0, "%s: %s", what, right);
}

int verifier_absurd(struct error *error, const char *what, uint64_t most)
{
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "%s would cost a login too much: at most %llu, make a new hash", what,
                     (unsigned long long)most);
}

/* Splits "{SCHEME}hash". */
static int find_scheme(struct bytes verifier, const struct scheme **scheme_out,
                       struct bytes *hash_out, struct error *error)
{
    if (verifier.size > VERIFIER_OCTETS_MAX) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a password hash has at most %d octets: is a ':' missing?",
                         VERIFIER_OCTETS_MAX);
    }
    if (verifier.size == 0 || verifier.data[0] != '{') {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the password has no scheme: write {CRYPT} before a hash of crypt(3), "
                         "{PLAIN} before a bare password");
    }
    size_t end = bytes_find(verifier, '}');
    if (end == verifier.size) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "the scheme has no closing brace: write {SCHEME}hash");
    }
    struct bytes name = {verifier.data + 1, end - 1};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (bytes_equal_ignoring_case(name, bytes_of(schemes[i].name))) {
            *scheme_out = &schemes[i];
            *hash_out = bytes_from(verifier, end + 1);
            return 0;
        }
    }
    char escaped[32];
    return error_set(error, ERROR_CONFIGURATION, 0,
                     "scheme {%s} is not served: use SCRAM-SHA-256, ARGON2ID, CRYPT, SHA512-CRYPT, "
                     "BLF-CRYPT or PLAIN",
                     bytes_escape(name, escaped, sizeof escaped));
}

static int examine(struct bytes verifier, const struct scheme **scheme_out, struct bytes *hash_out,
                   struct verifier_cost *cost_out, struct error *error)
{
    if (find_scheme(verifier, scheme_out, hash_out, error) < 0) {
        return -1;
    }
    struct bytes prefix = bytes_of((*scheme_out)->prefix);
    struct bytes start = *hash_out;
    if (start.size > prefix.size) {
        start.size = prefix.size;
    }
    if (!bytes_equal(start, prefix)) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "a hash of {%s} begins with %s: correct it, or say which scheme it is",
                         (*scheme_out)->name, (*scheme_out)->prefix);
    }
    return (*scheme_out)->examine(*hash_out, cost_out, error);
}

int verifier_examine(struct bytes verifier, struct verifier_cost *cost_out, struct error *error)
{
    const struct scheme *scheme;
    struct bytes hash;
    return examine(verifier, &scheme, &hash, cost_out, error);
}

int verifier_check(struct bytes verifier, const struct secret *secret, struct error *error)
{
    const struct scheme *scheme;
    struct bytes hash;
    struct verifier_cost cost;
    if (examine(verifier, &scheme, &hash, &cost, error) < 0) {
        return -1;
    }
    struct bytes octets = secret_octets(secret);
    int result = scheme->check(hash, secret, error);
    secret_wipe_stack();
    if (result == 0 && bytes_find(octets, 0) < octets.size) {
        /* crypt(3) stops at a NUL, and HMAC's padding makes "x" and "x\0" one key. */
        return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
    }
    return result;
}

uint64_t verifier_memory(struct bytes verifier)
{
    struct verifier_cost cost;
    return verifier_examine(verifier, &cost, NULL) == 0 ? cost.memory : 0;
}

bool verifier_scram_keys(struct bytes verifier, enum scram_hash hash, struct scram_keys *keys_out)
{
    static const enum verifier_scheme kept_as[SCRAM_HASH_COUNT] = {
        [SCRAM_SHA_256] = VERIFIER_SCRAM_SHA_256, [SCRAM_SHA_1] = VERIFIER_SCRAM_SHA_1};
    const struct scheme *scheme;
    struct bytes text;
    struct verifier_cost cost;
    return examine(verifier, &scheme, &text, &cost, NULL) == 0 && cost.scheme == kept_as[hash] &&
           verifier_scram_parse(hash, text, keys_out) == 0;
}

bool verifier_text(struct bytes verifier, struct bytes *password_out)
{
    const struct scheme *scheme;
    struct verifier_cost cost;
    return examine(verifier, &scheme, password_out, &cost, NULL) == 0 &&
           cost.scheme == VERIFIER_PLAIN;
}

bool verifier_cost_equal(const struct verifier_cost *a, const struct verifier_cost *b)
{
    return a->scheme == b->scheme && a->method == b->method && a->memory == b->memory &&
           a->work == b->work && a->work_of_app_passwords == b->work_of_app_passwords;
}

static bool is_argon2id(const char *scheme)
{
    return strcasecmp(scheme, "argon2id") == 0;
}

int verifier_check_scheme(const char *scheme, struct error *error)
{
    char escaped[32];
    if (is_argon2id(scheme) || strcasecmp(scheme, "scram-sha-256") == 0) {
        return 0;
    }
    return error_set(error, ERROR_USAGE, 0,
                     "new passwords are kept as scram-sha-256 or argon2id, not as %s",
                     bytes_escape(bytes_of(scheme), escaped, sizeof escaped));
}

int verifier_make(const char *scheme, const struct secret *secret, const struct scram_keys *alike,
                  char verifier_out[VERIFIER_MADE_OCTETS], struct error *error)
{
    struct bytes octets = secret_octets(secret);
    if (verifier_check_scheme(scheme, error) < 0) {
        return -1;
    }
    if (octets.size == 0) {
        return error_set(error, ERROR_USAGE, 0, "the password is empty");
    }
    if (bytes_find(octets, 0) < octets.size) {
        return error_set(error, ERROR_USAGE, 0, "the password has a NUL octet in it");
    }
    struct secret *prepared;
    struct error reason;
    if (secret_prepare(secret, SASL_PREPARE_STORED, &prepared, &reason) < 0) {
        return error_set(error, reason.kind, 0, "the password cannot be kept: %s; choose another",
                         reason.text);
    }
    const struct secret *kept = prepared != NULL ? prepared : secret;
    int result = is_argon2id(scheme) ? verifier_argon2_make(kept, verifier_out, error)
                                     : verifier_scram_make(kept, alike, verifier_out, error);
    (void)secret_free(prepared);
    secret_wipe_stack();
    return result;
}
