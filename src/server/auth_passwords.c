/* SPDX-License-Identifier: MIT */
/* A name and what proves it at once: a password, which is hashed on the pool, or a digest of APOP. */
#include <stdlib.h>

#include <sodium.h>

#include "account/verifier.h"
#include "base/container_of.h"
#include "server/auth_search.h"
#include "server/auth_state.h"

struct check {
    struct hash_job job;
    struct search search;
    struct client *client;
    uint64_t id;
    struct secret *secret;
    struct error error;
};

static void finish(struct check *check)
{
    const struct search *search = &check->search;
    struct auth_result result = {
        .id = check->id, .generation = search->generation, .kind = check->error.kind};
    if (check->error.kind == ERROR_NONE) {
        /* Only the file tells when it has changed, and what is asked before it could know the name now. */
        result.may_cache = search->is_file && search->source == 0;
        result.source = search->source;
        auth_describe(search->auth, &result, search->account);
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
    if (account_check(check->search.account, check->secret, &check->error) == 0) {
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
    if (!now->may_login || strcmp(now->verifier, search->account->verifier) != 0) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "the account has changed");
    }
    (void)account_free(search->account);
    search->account = now;
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
        }
        finish(check);
        return;
    }
    /* An unknown name takes the time that a known one takes. */
    if (search->account == NULL &&
        (search->error.kind != ERROR_NO_SUCH_USER ||
         accounts_decoy(auth->accounts, &search->account, &check->error) < 0)) {
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
    char timestamp[AUTH_TIMESTAMP_SIZE];
    uint8_t digest[MESSAGE_NAME_SIZE];
    size_t digest_size;
};

/* Microseconds, whoever was asked for: where there is no password, the digest is of one that nobody knows. */
static void on_apop_found(struct search *search)
{
    struct apop *apop = CONTAINER_OF(search, struct apop, search);
    struct account *account = search->account;
    struct auth_result result = {.id = apop->id, .generation = search->generation};
    uint8_t unknown[32];
    struct bytes password = {unknown, sizeof unknown};
    randombytes_buf(unknown, sizeof unknown);
    if (account == NULL && search->error.kind != ERROR_NO_SUCH_USER) {
        result.kind = search->error.kind;
    } else {
        bool usable = account != NULL && account->may_login &&
                      verifier_text(bytes_of(account->verifier), &password);
        bool fits = sasl_apop_fits(bytes_of(apop->timestamp), password,
                                   (struct bytes){apop->digest, apop->digest_size});
        if (fits && usable) {
            result.source = search->source;
            auth_describe(search->auth, &result, account);
        } else {
            result.kind = ERROR_BAD_CREDENTIALS;
        }
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
    apop->search.auth = client->auth;
    apop->search.done = on_apop_found;
    apop->search.is_tls = request->facts.is_tls != 0;
    memcpy(apop->search.address, request->address, sizeof request->address);
    memcpy(apop->timestamp, request->facts.timestamp, sizeof apop->timestamp);
    apop->digest_size = digest.size < sizeof apop->digest ? digest.size : sizeof apop->digest;
    memcpy(apop->digest, digest.data, apop->digest_size);
    client_use(client);
    search_start(&apop->search, auth_request_name(request));
}
