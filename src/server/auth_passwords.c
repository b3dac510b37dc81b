/* SPDX-License-Identifier: MIT */
/* A name and what proves it at once: a password, which is hashed on the pool, or a digest of APOP. */
#include <stdlib.h>

#include <sodium.h>

#include "account/account_secrets.h"
#include "base/container_of.h"
#include "sasl/prepare.h"
#include "server/auth_search.h"
#include "server/auth_secrets.h"
#include "server/auth_state.h"

struct check {
    struct hash_job job;
    struct search search;
    struct client *client;
    uint64_t id;
    struct secret *secret;
    struct auth_facts facts;
    size_t number;          /* of the secret that it is */
    enum account_rule rule; /* that refused */
    struct error error;
};

static void finish(struct check *check)
{
    const struct search *search = &check->search;
    struct auth_result result = {.id = check->id,
                                 .generation = search->generation,
                                 .kind = check->error.kind,
                                 .rule = check->rule};
    if (check->error.kind == ERROR_NONE) {
        /* Only the file tells when it has changed, and what is asked before it could know the name now. */
        result.may_cache = search->is_file && search->source == 0;
        result.source = search->source;
        auth_describe(search->auth, &result, search->account);
        result.is_for_today = check->number != ACCOUNT_MAIN_SECRET;
        auth_uses_note(search->auth, search->account, check->number);
    }
    client_send(check->client, &result);
    (void)account_free(search->account);
    (void)secret_free(check->secret);
    client_release(check->client);
    free(check);
}

static void run(struct hash_job *job)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    if (account_check(check->search.account, check->secret, &check->number, &check->error) == 0) {
        check->error.kind = ERROR_NONE;
    }
}

/* The accounts changed while a check was under way: does its success still count? */
static void check_again(struct auth *auth, struct check *check)
{
    struct search *search = &check->search;
    struct account *now;
    search->generation = auth_accounts_generation(auth);
    if (accounts_lookup(auth->accounts, bytes_of(search->account->name), &now, &check->error) < 0) {
        return;
    }
    if (!now->may_login || strcmp(now->verifier, search->account->verifier) != 0 ||
        strcmp(now->extra, search->account->extra) != 0) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "the account has changed");
    }
    (void)account_free(search->account);
    search->account = now;
}

/* Rules come last: who is refused by one has waited as for a wrong password. */
static void apply_rules(struct check *check)
{
    struct account_connection connection = auth_connection(&check->facts);
    check->rule = account_refusal(check->search.account, check->number, &connection);
    if (check->rule != ACCOUNT_RULE_NONE) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "a rule refuses");
    }
}

static void done(struct hash_job *job, bool ran)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    struct auth *auth = check->client->auth;
    if (!ran) {
        (void)error_set(&check->error, ERROR_TEMPORARY, 0, "too many logins at once");
    } else if (check->error.kind == ERROR_NONE && check->search.is_file &&
               check->search.generation != auth_accounts_generation(auth)) {
        check_again(auth, check);
    }
    if (check->error.kind == ERROR_NONE) {
        apply_rules(check);
    }
    finish(check);
}

static void on_found(struct search *search)
{
    struct check *check = CONTAINER_OF(search, struct check, search);
    struct auth *auth = check->client->auth;
    check->error = search->error;
    if (search->account != NULL && search->is_right) {
        if (!search->account->may_login) {
            (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "the account is locked");
        } else {
            check->number = ACCOUNT_MAIN_SECRET;
            apply_rules(check);
        }
        finish(check);
        return;
    }
    if (search->account != NULL && !search->account->may_login && !search->is_file) {
        search->account = account_free(search->account); /* what stands there tells no cost */
        search->error.kind = ERROR_NO_SUCH_USER;
    }
    if (search->account == NULL && (search->error.kind != ERROR_NO_SUCH_USER ||
                                    search_decoy(auth, &search->account, &check->error) < 0)) {
        finish(check);
        return;
    }
    check->job.memory = account_memory(search->account);
    hash_queue_add(&auth->hashes, &check->job);
}

void auth_password(struct client *client, const struct auth_request *request)
{
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return; /* the worker's deadline answers */
    }
    check->client = client;
    check->id = request->id;
    check->facts = request->facts;
    check->job.run = run;
    check->job.done = done;
    check->search.auth = client->auth;
    check->search.done = on_found;
    check->search.is_tls = request->facts.is_tls != 0;
    memcpy(check->search.address, request->address, sizeof request->address);
    client_use(client);
    if (secret_create(auth_request_response(request), &check->secret, &check->error) < 0) {
        finish(check);
        return;
    }
    check->search.password = check->secret;
    search_start(&check->search, auth_request_name(request));
}

struct apop {
    struct search search;
    struct client *client;
    uint64_t id;
    struct auth_facts facts;
    uint8_t digest[MESSAGE_NAME_SIZE];
    size_t digest_size;
};

/* RFC 6856 section 2.2: the digest is of the prepared password; of one that was kept before it was prepared, as
 * it is, where that is what the client knows. */
static bool apop_fits(const struct apop *apop, struct bytes password)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared;
    struct bytes timestamp = bytes_of(apop->facts.timestamp);
    struct bytes digest = {apop->digest, apop->digest_size};
    bool fits = sasl_apop_fits(timestamp, password, digest);
    if (sasl_prepare(password, SASL_PREPARE_STORED, memory, &prepared, NULL) == 0 &&
        prepared.data == memory) {
        fits = sasl_apop_fits(timestamp, prepared, digest) || fits;
        sodium_memzero(memory, sizeof memory);
    }
    return fits;
}

/* Which secret of the account has this digest? ACCOUNT_SECRETS_MAX: none. Where there is none that it could be,
 * it is compared with one that nobody knows. */
static size_t find_digest(const struct apop *apop, const struct account *account)
{
    struct bytes texts[SASL_SECRETS_MAX];
    struct auth_secrets secrets = {0};
    uint8_t unknown[32];
    size_t number = ACCOUNT_SECRETS_MAX;
    if (account != NULL && account->may_login) {
        auth_secrets_texts(account, &secrets, texts);
    }
    if (secrets.count == 0) {
        randombytes_buf(unknown, sizeof unknown);
        texts[0] = (struct bytes){unknown, sizeof unknown};
        secrets.numbers[0] = ACCOUNT_SECRETS_MAX;
        secrets.count = 1;
    }
    for (size_t i = 0; i < secrets.count; i++) {
        if (apop_fits(apop, texts[i])) {
            number = secrets.numbers[i];
        }
    }
    return number;
}

static void decide_apop(const struct apop *apop, const struct account *account,
                        struct auth_result *result)
{
    struct account_connection connection = auth_connection(&apop->facts);
    size_t number = find_digest(apop, account);
    result->kind = ERROR_BAD_CREDENTIALS;
    if (number == ACCOUNT_SECRETS_MAX) {
        return;
    }
    result->rule = account_refusal(account, number, &connection);
    if (result->rule == ACCOUNT_RULE_NONE) {
        result->kind = ERROR_NONE;
        result->source = apop->search.source;
        auth_describe(apop->search.auth, result, account);
        auth_uses_note(apop->search.auth, account, number);
    }
}

/* Microseconds, whoever was asked for. */
static void on_apop_found(struct search *search)
{
    struct apop *apop = CONTAINER_OF(search, struct apop, search);
    struct account *account = search->account;
    struct auth_result result = {.id = apop->id, .generation = search->generation};
    if (account == NULL && search->error.kind != ERROR_NO_SUCH_USER) {
        result.kind = search->error.kind;
    } else {
        decide_apop(apop, account, &result);
    }
    (void)account_free(account);
    secret_wipe_stack();
    client_send(apop->client, &result);
    client_release(apop->client);
    free(apop);
}

void auth_apop(struct client *client, const struct auth_request *request)
{
    struct bytes digest = auth_request_response(request);
    struct apop *apop = calloc(1, sizeof *apop);
    if (apop == NULL) {
        return; /* the worker's deadline answers */
    }
    apop->client = client;
    apop->id = request->id;
    apop->facts = request->facts;
    apop->search.auth = client->auth;
    apop->search.done = on_apop_found;
    apop->search.is_tls = request->facts.is_tls != 0;
    memcpy(apop->search.address, request->address, sizeof request->address);
    apop->digest_size = digest.size < sizeof apop->digest ? digest.size : sizeof apop->digest;
    memcpy(apop->digest, digest.data, apop->digest_size);
    client_use(client);
    search_start(&apop->search, auth_request_name(request));
}
