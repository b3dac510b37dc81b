/* SPDX-License-Identifier: MIT */
/* One derivation checks all that SCRAM keeps under one salt: as a rule that is every secret of an account. */
#include "account/account_secrets.h"

#include <sodium.h>

#include "account/verifier.h"

enum { DERIVATION_OCTETS = 8192 /* what OpenSSL's contexts take */ };

static int wrong(struct error *error)
{
    return error_set(error, ERROR_BAD_CREDENTIALS, 0, "wrong password");
}

/* What was accepted when the account was found; if not, nothing is there that could let anybody in. */
static bool parse(const struct account *account, struct extra_fields *fields_out)
{
    if (extra_fields_parse(bytes_of(account->extra), fields_out, NULL) < 0) {
        *fields_out = (struct extra_fields){.is_locked = true};
        return false;
    }
    return true;
}

static bool has_key(struct bytes verifier, const struct scram_keys *derived)
{
    struct scram_keys kept;
    return verifier_scram_keys(verifier, SCRAM_SHA_256, &kept) &&
           scram_keys_have_one_salt(&kept, derived) &&
           sodium_memcmp(kept.stored_key, derived->stored_key, scram_key_size(SCRAM_SHA_256)) == 0;
}

/* Is it one of the app passwords? `derived` is zero where none is kept by SCRAM. */
static void find_app_password(const struct extra_fields *fields, const struct secret *secret,
                              const struct scram_keys *derived, size_t *number_out)
{
    for (size_t i = 0; i < fields->app_password_count; i++) {
        struct bytes text, verifier = fields->app_passwords[i].verifier;
        bool is_it = verifier_text(verifier, &text) ? secret_equal_octets(secret, text)
                                                    : has_key(verifier, derived);
        if (is_it) {
            *number_out = 1 + i;
        }
    }
}

static int check_main(const struct account *account, const struct secret *secret,
                      size_t *number_out, struct error *error)
{
    struct error inner;
    if (verifier_check(bytes_of(account->verifier), secret, &inner) == 0) {
        *number_out = ACCOUNT_MAIN_SECRET;
    } else if (inner.kind != ERROR_BAD_CREDENTIALS) {
        return error_set(error, inner.kind, inner.number, "%s", inner.text);
    }
    return 0;
}

static int find(const struct account *account, const struct secret *secret, size_t *number_out,
                struct error *error)
{
    struct extra_fields fields;
    struct scram_keys keys, derived = {0};
    struct bytes main = bytes_of(account->verifier);
    (void)parse(account, &fields); /* else there is none but the main password, and it is locked */
    bool derives = extra_fields_scram(&fields, &derived);
    if (derives && scram_derive(SCRAM_SHA_256, secret_octets(secret), &derived, error) < 0) {
        return -1;
    }
    if (derives && verifier_scram_keys(main, SCRAM_SHA_256, &keys) &&
        scram_keys_have_one_salt(&keys, &derived)) {
        *number_out = has_key(main, &derived) ? ACCOUNT_MAIN_SECRET : *number_out;
    } else if (check_main(account, secret, number_out, error) < 0) {
        return -1;
    }
    find_app_password(&fields, secret, &derived, number_out);
    sodium_memzero(&derived, sizeof derived);
    if (fields.is_locked) {
        *number_out = ACCOUNT_SECRETS_MAX;
    }
    return 0;
}

int account_check(const struct account *account, const struct secret *secret, size_t *number_out,
                  struct error *error)
{
    struct bytes octets = secret_octets(secret);
    struct secret *prepared = NULL;
    int result = 0;
    *number_out = ACCOUNT_SECRETS_MAX;
    if (secret_prepare(secret, SASL_PREPARE_QUERY, &prepared, NULL) == 0 && prepared != NULL) {
        result = find(account, prepared, number_out, error);
        (void)secret_free(prepared);
    }
    if (result == 0 && *number_out == ACCOUNT_SECRETS_MAX) {
        result = find(account, secret, number_out, error);
    }
    secret_wipe_stack();
    if (result < 0) {
        return -1;
    }
    /* HMAC's padding makes "x" and "x\\0" one key. */
    bool has_nul = bytes_find(octets, 0) < octets.size;
    return *number_out == ACCOUNT_SECRETS_MAX || has_nul || !account->may_login ? wrong(error) : 0;
}

uint64_t account_memory(const struct account *account)
{
    struct extra_fields fields;
    struct scram_keys keys;
    uint64_t memory = verifier_memory(bytes_of(account->verifier));
    bool derives = parse(account, &fields) && extra_fields_scram(&fields, &keys);
    return derives && memory < DERIVATION_OCTETS ? DERIVATION_OCTETS : memory;
}

size_t account_verifiers(const struct account *account,
                         struct bytes verifiers_out[ACCOUNT_SECRETS_MAX])
{
    struct extra_fields fields;
    (void)parse(account, &fields); /* else there are none */
    verifiers_out[ACCOUNT_MAIN_SECRET] = bytes_of(account->verifier);
    for (size_t i = 0; i < fields.app_password_count; i++) {
        verifiers_out[1 + i] = fields.app_passwords[i].verifier;
    }
    return 1 + fields.app_password_count;
}

enum account_rule account_refusal_without_secret(const struct account *account,
                                                 const struct account_connection *connection)
{
    struct extra_fields fields;
    return parse(account, &fields) ? account_rules_refusal(&fields.rules, connection)
                                   : ACCOUNT_RULE_NETWORK;
}

enum account_rule account_refusal(const struct account *account, size_t number,
                                  const struct account_connection *connection)
{
    struct extra_fields fields;
    enum account_rule rule = account_refusal_without_secret(account, connection);
    if (rule != ACCOUNT_RULE_NONE || !parse(account, &fields)) {
        return rule;
    }
    if (number == ACCOUNT_MAIN_SECRET) {
        return fields.refuses_main_password ? ACCOUNT_RULE_MAIN_PASSWORD : ACCOUNT_RULE_NONE;
    }
    return account_rules_refusal(&fields.app_passwords[number - 1].rules, connection);
}

void account_fingerprint(struct bytes user, struct bytes verifier,
                         uint8_t out[SECRET_FINGERPRINT_OCTETS])
{
    crypto_generichash_state state;
    static const uint8_t between[1];
    (void)crypto_generichash_init(&state, NULL, 0, SECRET_FINGERPRINT_OCTETS);
    (void)crypto_generichash_update(&state, user.data, user.size); /* always 0, as those below */
    (void)crypto_generichash_update(&state, between, sizeof between);
    (void)crypto_generichash_update(&state, verifier.data, verifier.size);
    (void)crypto_generichash_final(&state, out, SECRET_FINGERPRINT_OCTETS);
    sodium_memzero(&state, sizeof state);
    secret_wipe_stack();
}
