/* SPDX-License-Identifier: MIT */
/* An access token when it is needed. Who asks the provider has the store's lock, so that one asks and the others find
 * what came; what came is kept before it is given out, because a provider that rotates refresh tokens (RFC 9700 section
 * 4.14.2) has made the old one worthless. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "http/form.h"
#include "oauth/assertion.h"
#include "oauth/exchange.h"
#include "oauth/store.h"

enum { MARGIN_S = 60, SKEW_S = 300 };

/* Does it live long enough to be used? One whose end is not known does until a server refuses it. */
static bool is_fresh(const struct oauth_tokens *tokens, const struct secret *refused)
{
    uint64_t now_s = (uint64_t)time(NULL);
    if (tokens->access == NULL || now_s + SKEW_S < tokens->obtained_s) {
        return false;
    }
    if (refused != NULL && bytes_equal(secret_octets(refused), bytes_of(tokens->access))) {
        return false;
    }
    uint64_t life_s = tokens->expires_s - tokens->obtained_s;
    uint64_t margin_s = life_s / 10 < MARGIN_S ? life_s / 10 : MARGIN_S;
    return tokens->expires_s == 0 || now_s + margin_s < tokens->expires_s;
}

static bool needs_person(const struct oauth_grant *grant)
{
    return grant->flow == OAUTH_BY_CODE || grant->flow == OAUTH_BY_DEVICE;
}

static void fill_form(struct oauth_exchange *exchange, const struct oauth_tokens *tokens,
                      const char *assertion)
{
    struct buffer *form = &exchange->form;
    oauth_exchange_begin(exchange);
    if (assertion != NULL) {
        http_append_pair(form, "grant_type",
                         bytes_of("urn:ietf:params:oauth:grant-type:jwt-bearer"));
        http_append_pair(form, "assertion", bytes_of(assertion));
    } else if (exchange->grant->flow == OAUTH_BY_CLIENT) {
        http_append_pair(form, "grant_type", bytes_of("client_credentials"));
        http_append_pair(form, "scope", bytes_of(exchange->endpoints->scope));
    } else {
        http_append_pair(form, "grant_type", bytes_of("refresh_token"));
        http_append_pair(form, "refresh_token", bytes_of(tokens->refresh));
    }
}

static int ask(const struct oauth_grant *grant, struct oauth_endpoints *endpoints,
               const struct oauth_tokens *old, struct oauth_tokens *fresh, struct error *error)
{
    struct oauth_exchange exchange;
    char *assertion = NULL;
    if (grant->flow == OAUTH_BY_SERVICE &&
        oauth_assertion_make(grant, endpoints, (uint64_t)time(NULL), &assertion, error) < 0) {
        return -1;
    }
    int result = oauth_exchange_open(&exchange, grant, endpoints, error);
    if (result == 0) {
        fill_form(&exchange, old, assertion);
        exchange.kept = assertion != NULL ? assertion : old->refresh;
        result = oauth_exchange_tokens(&exchange, fresh, error);
        oauth_exchange_close(&exchange);
    }
    if (assertion != NULL) {
        explicit_bzero(assertion, strlen(assertion));
        free(assertion);
    }
    return result;
}

/* What a person has to know of a refusal. */
static int explain(const struct oauth_grant *grant, bool was_cut_off, struct error *error)
{
    struct error reason = *error;
    if (reason.kind != ERROR_BAD_CREDENTIALS) {
        return -1;
    }
    return error_set(error, reason.kind, 0,
                     "%.150s%s; authorize again with `restante fetch "
                     "--authorize %.60s'",
                     reason.text,
                     was_cut_off ? " (an earlier refresh was cut off, and its answer lost)" : "",
                     grant->account);
}

/* Replaces `tokens` by new ones, which are kept. */
static int refresh(const struct oauth_store *store, const struct oauth_grant *grant,
                   struct oauth_endpoints *endpoints, struct oauth_tokens *tokens,
                   struct error *error)
{
    bool was_cut_off = oauth_store_was_cut_off(store);
    struct oauth_tokens fresh;
    if (oauth_store_begin(store, error) < 0) {
        return -1;
    }
    if (ask(grant, endpoints, tokens, &fresh, error) < 0) {
        /* Without an answer it is not known whether the old token is still good. */
        if (error->kind != ERROR_TEMPORARY) {
            oauth_store_end(store);
        }
        return needs_person(grant) ? explain(grant, was_cut_off, error) : -1;
    }
    if (fresh.refresh == NULL) { /* RFC 6749 section 6: the old one stays */
        fresh.refresh = tokens->refresh;
        tokens->refresh = NULL;
    }
    oauth_tokens_finish(tokens);
    *tokens = fresh;
    if (oauth_store_save(store, tokens, error) < 0) {
        struct error reason = *error;
        return error_set(error, reason.kind, 0, "a new token cannot be kept: %.250s", reason.text);
    }
    oauth_store_end(store);
    return 0;
}

static int find(const struct oauth_store *store, const struct oauth_grant *grant,
                struct oauth_endpoints *endpoints, const struct secret *refused,
                struct oauth_tokens *tokens, struct error *error)
{
    if (oauth_store_load(store, tokens, error) < 0) {
        return -1;
    }
    if (is_fresh(tokens, refused)) {
        return 0;
    }
    if (needs_person(grant) && tokens->refresh == NULL) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s; authorize with `restante fetch --authorize %.100s'",
                         tokens->access == NULL ? "nobody has authorized this account yet"
                                                : "the authorization has ended",
                         grant->account);
    }
    return refresh(store, grant, endpoints, tokens, error);
}

int oauth_access_token(const struct oauth_grant *grant, const struct secret *refused,
                       struct secret **token_out, struct error *error)
{
    struct oauth_endpoints endpoints;
    struct oauth_store store;
    struct oauth_tokens tokens = {0};
    oauth_endpoints_find(grant, &endpoints);
    if (oauth_store_open(&store, grant, &endpoints, error) < 0) {
        return -1;
    }
    int result = find(&store, grant, &endpoints, refused, &tokens, error);
    oauth_store_close(&store);
    if (result == 0) {
        result = secret_create_token(bytes_of(tokens.access), token_out, error);
    }
    oauth_tokens_finish(&tokens);
    return result;
}

int oauth_is_authorized(const struct oauth_grant *grant, bool *is_out, struct error *error)
{
    struct oauth_endpoints endpoints;
    struct oauth_store store;
    struct oauth_tokens tokens = {0};
    *is_out = true;
    if (!needs_person(grant)) {
        return 0;
    }
    oauth_endpoints_find(grant, &endpoints);
    if (oauth_store_open(&store, grant, &endpoints, error) < 0) {
        return -1;
    }
    int result = oauth_store_load(&store, &tokens, error);
    oauth_store_close(&store);
    *is_out = result == 0 && tokens.refresh != NULL;
    oauth_tokens_finish(&tokens);
    return result;
}
