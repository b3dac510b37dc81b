/* SPDX-License-Identifier: MIT */
/* Exchanges of SASL. Look-ups are made on the loop; keys that have to be computed from a {PLAIN} password are
 * computed on the pool. A name that is nobody's takes the same way with keys that nobody knows.
 * An exchange is as old as its worker's session lets it be; if a worker forgot some, the oldest go. */
#include <search.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "account/verifier.h"
#include "base/container_of.h"
#include "base/user_name.h"
#include "server/auth_search.h"
#include "server/auth_secrets.h"
#include "server/auth_state.h"
#include "server/auth_tokens.h"

enum { DERIVE_OCTETS = 8192 };

struct exchange {
    struct hash_job job;
    struct search search;
    struct token_check *token; /* NULL: none was brought */
    struct client *client;
    struct exchange *older, *newer;
    uint64_t id;
    struct sasl_server *server;
    enum sasl_mechanism mechanism;
    bool busy; /* its job waits or runs, or its search, or the check of its token */
    bool gone; /* cancelled meanwhile */
    bool proves_secret;
    char name[USER_NAME_OCTETS_MAX + 1];            /* as the client gave it */
    uint8_t secrets_hash[crypto_generichash_BYTES]; /* of those of which one is proved */
    struct auth_facts facts;
    struct auth_secrets secrets;
    size_t proved;          /* an index into them */
    enum account_rule rule; /* that refused */
    struct error error;
};

static int compare(const void *a, const void *b)
{
    const struct exchange *left = a;
    const struct exchange *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static struct exchange *find(const struct client *client, uint64_t id)
{
    struct exchange key = {.id = id};
    struct exchange **found = tfind(&key, &client->exchanges, compare);
    return found == NULL ? NULL : *found;
}

static bool link_exchange(struct client *client, struct exchange *exchange)
{
    struct exchange **found = tsearch(exchange, &client->exchanges, compare);
    if (found == NULL || *found != exchange) {
        return false; /* no memory, or a worker that uses an id twice */
    }
    exchange->older = client->newest;
    *(client->newest != NULL ? &client->newest->newer : &client->oldest) = exchange;
    client->newest = exchange;
    client->exchange_count++;
    return true;
}

static void unlink_exchange(struct client *client, struct exchange *exchange)
{
    (void)tdelete(exchange, &client->exchanges, compare);
    *(exchange->older != NULL ? &exchange->older->newer : &client->oldest) = exchange->newer;
    *(exchange->newer != NULL ? &exchange->newer->older : &client->newest) = exchange->older;
    client->exchange_count--;
}

static void free_exchange(struct exchange *exchange)
{
    struct client *client = exchange->client;
    (void)sasl_server_free(exchange->server);
    auth_secrets_forget(&exchange->secrets);
    free(exchange->token);
    sodium_memzero(exchange, sizeof *exchange);
    free(exchange);
    client_release(client);
}

/* Takes it out of the worker's exchanges; what runs on the pool is waited for. */
static void end(struct exchange *exchange)
{
    unlink_exchange(exchange->client, exchange);
    if (exchange->busy) {
        exchange->gone = true;
    } else {
        free_exchange(exchange);
    }
}

/* `account` is what the search has found, or NULL. */
static void decide(struct exchange *exchange, enum error_kind kind, const struct account *account)
{
    struct auth_result result = {.id = exchange->id,
                                 .generation = auth_accounts_generation(exchange->client->auth),
                                 .kind = kind,
                                 .rule = exchange->rule};
    if (account != NULL) {
        result.source = exchange->search.source;
        auth_describe(exchange->client->auth, &result, account);
    } else {
        result.uid = ACCOUNT_NO_ID;
        result.gid = ACCOUNT_NO_ID;
        (void)snprintf(result.user, sizeof result.user, "%s", exchange->name);
    }
    client_use(exchange->client);
    client_send(exchange->client, &result);
    struct client *client = exchange->client;
    if (!uv_is_closing((uv_handle_t *)&client->poll)) {
        end(exchange); /* else it was cancelled with all others */
    }
    client_release(client);
}

static void challenge(struct exchange *exchange, struct bytes octets)
{
    struct auth_result result = {
        .id = exchange->id, .is_challenge = 1, .challenge_size = (uint16_t)octets.size};
    if (octets.size > 0) {
        memcpy(result.challenge, octets.data, octets.size); /* both have the same most */
    }
    client_send(exchange->client, &result);
}

/* Of the main password, and of the extra fields that have app passwords and rules. */
static void hash_secrets(const struct auth *auth, const struct account *account,
                         uint8_t out[crypto_generichash_BYTES])
{
    crypto_generichash_state state;
    const uint8_t *verifier = (const uint8_t *)account->verifier;
    const uint8_t *extra = (const uint8_t *)account->extra;
    (void)crypto_generichash_init(&state, auth->salt_key, sizeof auth->salt_key,
                                  crypto_generichash_BYTES); /* always 0, as those below */
    (void)crypto_generichash_update(&state, verifier, strlen(account->verifier) + 1);
    (void)crypto_generichash_update(&state, extra, strlen(account->extra));
    (void)crypto_generichash_final(&state, out, crypto_generichash_BYTES);
    sodium_memzero(&state, sizeof state);
}

/* For the log, if it fails. */
static void keep_name(struct exchange *exchange, const char *name)
{
    (void)snprintf(exchange->name, sizeof exchange->name, "%s", name);
}

static void search_for(struct exchange *exchange, const char *name,
                       void (*done)(struct search *search))
{
    keep_name(exchange, name);
    exchange->search.done = done;
    exchange->busy = true;
    search_start(&exchange->search, bytes_of(name));
}

/* What was found; the exchange goes on, unless it was cancelled meanwhile. */
static bool take_found(struct exchange *exchange, struct account **account_out)
{
    exchange->busy = false;
    *account_out = exchange->search.account;
    exchange->search.account = NULL;
    if (exchange->gone) {
        *account_out = account_free(*account_out);
        free_exchange(exchange);
        return false;
    }
    return true;
}

/* Is the account still one that what was proved lets in? */
static bool lets_in(struct exchange *exchange, const struct account *account)
{
    struct auth *auth = exchange->client->auth;
    struct account_connection connection = auth_connection(&exchange->facts);
    uint8_t hash[crypto_generichash_BYTES];
    if (!account->may_login) {
        return false;
    }
    if (!exchange->proves_secret) { /* but a certificate, or a token */
        exchange->rule = account_refusal_without_secret(account, &connection);
        return exchange->rule == ACCOUNT_RULE_NONE;
    }
    hash_secrets(auth, account, hash);
    if (sodium_memcmp(hash, exchange->secrets_hash, sizeof hash) != 0) {
        return false;
    }
    size_t number = exchange->secrets.numbers[exchange->proved];
    exchange->rule = account_refusal(account, number, &connection);
    if (exchange->rule != ACCOUNT_RULE_NONE) {
        return false;
    }
    auth_uses_note(auth, account, number);
    return true;
}

/* The client is who it says; is that still somebody? */
static void on_found_again(struct search *search)
{
    struct exchange *exchange = CONTAINER_OF(search, struct exchange, search);
    struct account *account;
    if (!take_found(exchange, &account)) {
        return;
    }
    struct error error = search->error;
    if (account != NULL && !lets_in(exchange, account)) {
        (void)error_set(&error, ERROR_BAD_CREDENTIALS, 0, "locked, refused or changed meanwhile");
    }
    decide(exchange, error.kind, error.kind == ERROR_NONE ? account : NULL);
    (void)account_free(account);
}

static void handle(struct exchange *exchange, const struct sasl_event *event);

static void give_keys(struct exchange *exchange)
{
    struct sasl_event event;
    auth_secrets_give(&exchange->secrets, exchange->server, &event);
    handle(exchange, &event);
}

static void run(struct hash_job *job)
{
    struct exchange *exchange = CONTAINER_OF(job, struct exchange, job);
    if (auth_secrets_derive(&exchange->secrets, sasl_mechanism_hash(exchange->mechanism),
                            &exchange->error) == 0) {
        exchange->error.kind = ERROR_NONE;
    }
    secret_wipe_stack();
}

static void done(struct hash_job *job, bool ran)
{
    struct exchange *exchange = CONTAINER_OF(job, struct exchange, job);
    exchange->busy = false;
    if (exchange->gone) {
        free_exchange(exchange);
    } else if (!ran || exchange->error.kind != ERROR_NONE) {
        decide(exchange, ERROR_TEMPORARY, NULL);
    } else {
        give_keys(exchange);
    }
}

static void find_keys(struct exchange *exchange, const struct account *account)
{
    struct auth *auth = exchange->client->auth;
    struct account_connection connection = auth_connection(&exchange->facts);
    if (auth_secrets_collect(auth, exchange->name, sasl_mechanism_hash(exchange->mechanism),
                             account, &connection, &exchange->secrets, &exchange->error) < 0) {
        decide(exchange, ERROR_TEMPORARY, NULL);
    } else if (auth_secrets_must_derive(&exchange->secrets)) {
        exchange->job = (struct hash_job){.memory = DERIVE_OCTETS, .run = run, .done = done};
        exchange->busy = true;
        hash_queue_add(&auth->hashes, &exchange->job);
    } else {
        give_keys(exchange);
    }
}

static void give_passwords(struct exchange *exchange, const struct account *account)
{
    struct bytes passwords[SASL_SECRETS_MAX];
    uint8_t unknown[32];
    struct sasl_event event;
    if (account != NULL) {
        auth_secrets_texts(account, &exchange->secrets, passwords);
    }
    if (exchange->secrets.count == 0) {
        randombytes_buf(unknown, sizeof unknown);
        passwords[0] = (struct bytes){unknown, sizeof unknown};
        exchange->secrets.count = 1;
    }
    sasl_server_passwords(exchange->server, passwords, exchange->secrets.count, &event);
    secret_wipe_stack();
    handle(exchange, &event);
}

/* Who shows the password in no other way than in clear is for this mechanism as one who is not there. */
static void on_found(struct search *search)
{
    struct exchange *exchange = CONTAINER_OF(search, struct exchange, search);
    bool scram = sasl_mechanism_family(exchange->mechanism) == SASL_FAMILY_SCRAM;
    struct account *account;
    if (!take_found(exchange, &account)) {
        return;
    }
    enum error_kind kind = search->error.kind;
    if (account == NULL && kind != ERROR_NO_SUCH_USER && kind != ERROR_PERMANENT) {
        decide(exchange, kind, NULL);
        return;
    }
    if (account != NULL && (!account->may_login || account->verifier[0] == '\0')) {
        account = account_free(account);
    }
    exchange->proves_secret = true;
    if (account != NULL) {
        hash_secrets(exchange->client->auth, account, exchange->secrets_hash);
    }
    if (scram) {
        find_keys(exchange, account);
    } else {
        give_passwords(exchange, account);
    }
    (void)account_free(account);
}

/* Who is in no source has no account, unless every owner of a token shall have one. */
static void on_owner_found(struct search *search)
{
    struct exchange *exchange = CONTAINER_OF(search, struct exchange, search);
    struct account *account;
    if (!take_found(exchange, &account)) {
        return;
    }
    enum error_kind kind = search->error.kind;
    bool unknown = kind == ERROR_NO_SUCH_USER || kind == ERROR_PERMANENT;
    if (account != NULL && !lets_in(exchange, account)) {
        decide(exchange, ERROR_BAD_CREDENTIALS, NULL);
    } else if (account != NULL) {
        decide(exchange, ERROR_NONE, account);
    } else if (unknown && exchange->client->auth->configuration.token_users_any) {
        decide(exchange, ERROR_NONE, NULL);
    } else {
        decide(exchange, unknown ? ERROR_NO_SUCH_USER : kind, NULL);
    }
    (void)account_free(account);
}

static void on_token_checked(struct token_check *check)
{
    struct exchange *exchange = check->owner;
    struct sasl_event event;
    exchange->busy = false;
    if (exchange->gone) {
        free_exchange(exchange);
    } else if (check->error.kind == ERROR_NONE && !check->lacks_scope) {
        search_for(exchange, check->user, on_owner_found);
    } else if (check->error.kind == ERROR_NONE || check->error.kind == ERROR_BAD_CREDENTIALS) {
        sasl_server_refuse_token(exchange->server,
                                 check->lacks_scope ? SASL_REFUSAL_INSUFFICIENT_SCOPE
                                                    : SASL_REFUSAL_INVALID_TOKEN,
                                 &event);
        handle(exchange, &event);
    } else {
        decide(exchange, check->error.kind, NULL);
    }
}

static void check_token(struct exchange *exchange, const struct sasl_event *event)
{
    struct token_check *check = calloc(1, sizeof *check);
    keep_name(exchange, event->name == NULL ? "" : event->name);
    if (check == NULL) {
        decide(exchange, ERROR_TEMPORARY, NULL);
        return;
    }
    check->auth = exchange->client->auth;
    check->owner = exchange;
    check->done = on_token_checked;
    memcpy(check->name, exchange->name, sizeof check->name);
    memcpy(check->address, exchange->search.address, sizeof check->address);
    check->is_tls = exchange->search.is_tls;
    exchange->token = check;
    exchange->busy = true;
    token_check_start(check, event->password);
}

static void handle(struct exchange *exchange, const struct sasl_event *event)
{
    switch (event->type) {
    case SASL_EVENT_CHALLENGE:
        challenge(exchange, event->octets);
        return;
    case SASL_EVENT_LOOKUP:
        search_for(exchange, event->name, on_found);
        return;
    case SASL_EVENT_DONE:
        exchange->proved = event->secret;
        search_for(exchange, event->name, on_found_again);
        return;
    case SASL_EVENT_FAILED:
        if (event->secret < SASL_SECRETS_MAX) {
            exchange->rule = (enum account_rule)exchange->secrets.rules[event->secret];
        }
        break;
    case SASL_EVENT_TOKEN:
        check_token(exchange, event);
        return;
    case SASL_EVENT_VERIFY: /* workers collect passwords themselves */
        break;
    }
    decide(exchange, ERROR_BAD_CREDENTIALS, NULL);
}

static int create(struct client *client, const struct auth_request *request,
                  struct exchange **exchange_out, struct error *error)
{
    const struct auth_facts *facts = &request->facts;
    const struct configuration *configuration = &client->auth->configuration;
    struct sasl_facts known = {
        .tls_exporter = {facts->exporter, facts->exporter_size},
        .tls_unique = {facts->unique, facts->unique_size},
        .plus_offered = facts->plus_offered != 0,
        .certificate = facts->certificate,
        .host = client->auth->host,
        .hosts = configuration->token_hosts,
        .scope = configuration->token_scope,
        .discovery = configuration->token_discovery_url,
    };
    struct exchange *exchange = calloc(1, sizeof *exchange);
    enum sasl_mechanism mechanism = sasl_mechanism_find(auth_request_name(request));
    if (mechanism == SASL_MECHANISM_COUNT || exchange == NULL ||
        sasl_server_create(mechanism, &known, &exchange->server, error) < 0) {
        free(exchange);
        return error_set(error, ERROR_TEMPORARY, 0, "no exchange can begin");
    }
    exchange->mechanism = mechanism;
    exchange->client = client;
    exchange->id = request->id;
    exchange->facts = *facts;
    exchange->search.auth = client->auth;
    exchange->search.is_tls = facts->is_tls != 0;
    memcpy(exchange->search.address, request->address, sizeof request->address);
    *exchange_out = exchange;
    return 0;
}

void auth_exchange_begin(struct client *client, const struct auth_request *request)
{
    struct exchange *exchange;
    struct sasl_event event;
    struct error error;
    if (client->exchange_count == AUTH_MOST_EXCHANGES) {
        end(client->oldest);
    }
    if (create(client, request, &exchange, &error) < 0) {
        struct auth_result result = {.id = request->id, .kind = error.kind};
        client_send(client, &result);
        return;
    }
    client_use(client);
    if (!link_exchange(client, exchange)) {
        free_exchange(exchange); /* the worker's deadline answers */
        return;
    }
    struct bytes initial = auth_request_response(request);
    sasl_server_begin(exchange->server, request->facts.has_response != 0 ? &initial : NULL, &event);
    handle(exchange, &event);
}

void auth_exchange_continue(struct client *client, const struct auth_request *request)
{
    struct exchange *exchange = find(client, request->id);
    struct sasl_event event;
    if (exchange == NULL) { /* of an auth before this one, or too old */
        struct auth_result result = {.id = request->id, .kind = ERROR_TEMPORARY};
        client_send(client, &result);
    } else if (exchange->busy) {
        client_close(client); /* nobody had asked it to go on */
    } else {
        sasl_server_continue(exchange->server, auth_request_response(request), &event);
        handle(exchange, &event);
    }
}

void auth_exchange_cancel(struct client *client, uint64_t id)
{
    struct exchange *exchange = find(client, id);
    if (exchange != NULL) {
        end(exchange);
    }
}

void auth_exchange_cancel_all(struct client *client)
{
    while (client->oldest != NULL) {
        end(client->oldest);
    }
}
