/* SPDX-License-Identifier: MIT */
/* A name and what proves it at once: a password, which is hashed on the pool, or a digest of APOP. */
#include <stdlib.h>

#include <sodium.h>

#include "account/verifier.h"
#include "base/container_of.h"
#include "server/auth_state.h"

struct check {
    struct hash_job job;
    struct client *client;
    uint64_t id;
    uint64_t generation; /* under which the account was found */
    struct account *account;
    struct secret *secret;
    struct error error;
};

static void finish(struct check *check)
{
    struct auth_result result = {
        .id = check->id, .generation = check->generation, .kind = check->error.kind};
    if (check->error.kind == ERROR_NONE) {
        result.may_cache = 1;
        client_describe(&result, check->account);
    }
    client_send(check->client, &result);
    (void)account_free(check->account);
    (void)secret_free(check->secret);
    client_release(check->client);
    free(check);
}

static void run(struct hash_job *job)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    if (account_check(check->account, check->secret, &check->error) == 0) {
        check->error.kind = ERROR_NONE;
    }
}

/* The accounts changed while a check was under way: does its success still count? */
static void check_again(struct auth *auth, struct check *check)
{
    struct account *now;
    check->generation = auth_accounts_generation(auth);
    if (accounts_lookup(auth->accounts, bytes_of(check->account->name), &now, &check->error) < 0) {
        return;
    }
    if (!now->may_login || strcmp(now->verifier, check->account->verifier) != 0) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0, "the account has changed");
    }
    (void)account_free(check->account);
    check->account = now;
}

static void done(struct hash_job *job, bool ran)
{
    struct check *check = CONTAINER_OF(job, struct check, job);
    struct auth *auth = check->client->auth;
    if (!ran) {
        (void)error_set(&check->error, ERROR_TEMPORARY, 0, "too many logins at once");
    } else if (check->error.kind == ERROR_NONE &&
               check->generation != auth_accounts_generation(auth)) {
        check_again(auth, check);
    }
    finish(check);
}

/* Fills the check, or says in check->error why it need not be made. */
static int prepare(struct auth *auth, const struct auth_request *request, struct check *check)
{
    if (accounts_lookup(auth->accounts, auth_request_name(request), &check->account,
                        &check->error) < 0) {
        if (check->error.kind != ERROR_NO_SUCH_USER) {
            return -1;
        }
        /* An unknown name takes the time that a known one takes. */
        if (accounts_decoy(auth->accounts, &check->account, &check->error) < 0) {
            return -1;
        }
    }
    check->job.memory = account_memory(check->account);
    return secret_create(auth_request_response(request), &check->secret, &check->error);
}

void auth_password(struct client *client, const struct auth_request *request)
{
    struct auth *auth = client->auth;
    struct check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return; /* the worker's deadline answers */
    }
    check->client = client;
    check->id = request->id;
    check->generation = auth_accounts_generation(auth);
    check->job.run = run;
    check->job.done = done;
    client_use(client);
    if (prepare(auth, request, check) < 0) {
        finish(check);
        return;
    }
    hash_queue_add(&auth->hashes, &check->job);
}

/* Microseconds, whoever is asked for: where there is no password, the digest is of one that nobody knows. */
void auth_apop(struct client *client, const struct auth_request *request)
{
    struct account *account = NULL;
    struct error error = {0};
    uint8_t unknown[32];
    struct auth_result result = {.id = request->id,
                                 .generation = auth_accounts_generation(client->auth)};
    struct bytes password = {unknown, sizeof unknown};
    randombytes_buf(unknown, sizeof unknown);
    if (accounts_lookup(client->auth->accounts, auth_request_name(request), &account, &error) < 0 &&
        error.kind != ERROR_NO_SUCH_USER) {
        result.kind = error.kind;
    } else {
        bool usable = account != NULL && account->may_login &&
                      verifier_text(bytes_of(account->verifier), &password);
        bool fits = sasl_apop_fits(bytes_of(request->facts.timestamp), password,
                                   auth_request_response(request));
        if (fits && usable) {
            client_describe(&result, account);
        } else {
            result.kind = ERROR_BAD_CREDENTIALS;
        }
    }
    (void)account_free(account);
    secret_wipe_stack();
    client_send(client, &result);
}
