/* SPDX-License-Identifier: MIT */
#include "server/auth_secrets.h"

#include <stdlib.h>

#include <sodium.h>

#include "account/verifier.h"
#include "base/user_name.h"
#include "server/auth_search.h"
#include "server/auth_state.h"

enum { SALT_OCTETS = 16 };

struct account_connection auth_connection(const struct auth_facts *facts)
{
    return (struct account_connection){.peer = (const struct sockaddr *)&facts->peer,
                                       .is_tls = facts->is_tls != 0};
}

/* A salt for a name that has none of its own: the same each time, and nobody can tell that it was made. */
static void make_salt(const struct auth *auth, enum scram_hash hash, const char *name,
                      struct scram_keys *keys)
{
    uint8_t text[USER_NAME_OCTETS_MAX + 1];
    size_t size = 0;
    for (; name[size] != '\0'; size++) { /* "Alice" is "alice" */
        bool upper = name[size] >= 'A' && name[size] <= 'Z';
        text[size] = (uint8_t)(upper ? name[size] + ('a' - 'A') : name[size]);
    }
    text[size++] = (uint8_t)hash;
    keys->salt_size = SALT_OCTETS;
    (void)crypto_generichash(keys->salt, SALT_OCTETS, text, size, auth->salt_key,
                             sizeof auth->salt_key);
}

/* Salt and iterations of the first secret that has keys of that hash. */
static bool find_salt(const struct bytes *verifiers, size_t count, bool is_main_last,
                      enum scram_hash hash, struct scram_keys *keys_out)
{
    for (size_t i = 0; i < count; i++) {
        if (verifier_scram_keys(verifiers[(i + is_main_last) % count], hash, keys_out)) {
            return true;
        }
    }
    return false;
}

static int add(struct auth_secrets *secrets, size_t number, const struct scram_keys *keys,
               const struct bytes *text, struct error *error)
{
    size_t i = secrets->count;
    struct secret *prepared = NULL;
    if (text != NULL && secret_create(*text, &secrets->texts[i], error) < 0) {
        return -1;
    }
    if (text != NULL &&
        secret_prepare(secrets->texts[i], SASL_PREPARE_STORED, &prepared, NULL) == 0 &&
        prepared != NULL) {
        (void)secret_free(secrets->texts[i]); /* RFC 5802 section 2.2 */
        secrets->texts[i] = prepared;
    }
    secrets->keys[i] = *keys;
    secrets->numbers[i] = (uint8_t)number;
    secrets->count++;
    return 0;
}

/* As it is with a verifier of the commonest kind. */
static int add_nobodys(struct auth_secrets *secrets, const struct auth *auth, const char *name,
                       enum scram_hash hash, struct error *error)
{
    struct scram_keys keys = {.iterations = search_iterations(auth, hash)};
    uint8_t unknown[32];
    struct bytes text = {unknown, sizeof unknown};
    bool derives = keys.iterations == 0;
    keys.iterations = derives ? SCRAM_ITERATIONS_LEAST : keys.iterations;
    make_salt(auth, hash, name, &keys);
    randombytes_buf(unknown, sizeof unknown);
    randombytes_buf(keys.stored_key, sizeof keys.stored_key);
    randombytes_buf(keys.server_key, sizeof keys.server_key);
    return add(secrets, ACCOUNT_MAIN_SECRET, &keys, derives ? &text : NULL, error);
}

static int collect(struct auth_secrets *secrets, const struct bytes *verifiers, size_t count,
                   enum scram_hash hash, const struct scram_keys *salt, struct error *error)
{
    for (size_t number = 0; number < count; number++) {
        struct scram_keys keys;
        struct bytes text;
        int result = 0;
        if (verifier_text(verifiers[number], &text)) {
            result = add(secrets, number, salt, &text, error);
        } else if (verifier_scram_keys(verifiers[number], hash, &keys) &&
                   scram_keys_have_one_salt(&keys, salt)) {
            result = add(secrets, number, &keys, NULL, error);
        }
        if (result < 0) {
            return -1;
        }
    }
    return 0;
}

int auth_secrets_collect(const struct auth *auth, const char *name, enum scram_hash hash,
                         const struct account *account, const struct account_connection *connection,
                         struct auth_secrets *secrets_out, struct error *error)
{
    struct bytes verifiers[ACCOUNT_SECRETS_MAX];
    struct scram_keys salt = {.iterations = SCRAM_ITERATIONS_LEAST};
    size_t count = account == NULL ? 0 : account_verifiers(account, verifiers);
    bool is_main_last =
        account != NULL &&
        account_refusal(account, ACCOUNT_MAIN_SECRET, connection) == ACCOUNT_RULE_MAIN_PASSWORD;
    *secrets_out = (struct auth_secrets){0};
    secrets_out->keys = calloc(count + 1, sizeof *secrets_out->keys);
    if (secrets_out->keys == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for an exchange");
    }
    if (!find_salt(verifiers, count, is_main_last, hash, &salt)) {
        make_salt(auth, hash, name, &salt);
    }
    int result = collect(secrets_out, verifiers, count, hash, &salt, error);
    for (size_t i = 0; result == 0 && i < secrets_out->count; i++) {
        secrets_out->rules[i] =
            (uint8_t)account_refusal(account, secrets_out->numbers[i], connection);
    }
    if (result == 0 && secrets_out->count == 0) {
        result = add_nobodys(secrets_out, auth, name, hash, error);
    }
    if (result < 0) {
        auth_secrets_forget(secrets_out);
    }
    return result;
}

bool auth_secrets_must_derive(const struct auth_secrets *secrets)
{
    for (size_t i = 0; i < secrets->count; i++) {
        if (secrets->texts[i] != NULL) {
            return true;
        }
    }
    return false;
}

int auth_secrets_derive(struct auth_secrets *secrets, enum scram_hash hash, struct error *error)
{
    for (size_t i = 0; i < secrets->count; i++) {
        if (secrets->texts[i] != NULL &&
            scram_derive(hash, secret_octets(secrets->texts[i]), &secrets->keys[i], error) < 0) {
            return -1;
        }
    }
    return 0;
}

void auth_secrets_give(struct auth_secrets *secrets, struct sasl_server *server,
                       struct sasl_event *event_out)
{
    sasl_server_keys(server, secrets->keys, secrets->count, event_out);
    for (size_t i = 0; i < secrets->count; i++) {
        if (secrets->rules[i] != ACCOUNT_RULE_NONE) {
            sasl_server_refuse(server, i);
        }
    }
    auth_secrets_forget(secrets);
}

void auth_secrets_forget(struct auth_secrets *secrets)
{
    for (size_t i = 0; i < SASL_SECRETS_MAX; i++) {
        secrets->texts[i] = secret_free(secrets->texts[i]);
    }
    if (secrets->keys != NULL) {
        sodium_memzero(secrets->keys, secrets->count * sizeof *secrets->keys);
        free(secrets->keys);
        secrets->keys = NULL;
    }
}

void auth_secrets_texts(const struct account *account, struct auth_secrets *secrets_out,
                        struct bytes texts_out[SASL_SECRETS_MAX])
{
    struct bytes verifiers[ACCOUNT_SECRETS_MAX];
    size_t count = account_verifiers(account, verifiers);
    *secrets_out = (struct auth_secrets){0};
    for (size_t number = 0; number < count; number++) {
        if (verifier_text(verifiers[number], &texts_out[secrets_out->count])) {
            secrets_out->numbers[secrets_out->count++] = (uint8_t)number;
        }
    }
}
