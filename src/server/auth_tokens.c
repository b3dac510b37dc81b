/* SPDX-License-Identifier: MIT */
#include "server/auth_tokens.h"

#include <stdio.h>
#include <time.h>

#include "account/token_cache.h"
#include "base/container_of.h"
#include "server/auth_state.h"

/* A provider's trouble is its administrator's to read; a token that lets nobody in is told with its reason, never with
 * the token. */
static void log_end(const struct token_check *check)
{
    enum error_kind kind = check->error.kind;
    bool refused = kind == ERROR_BAD_CREDENTIALS;
    const char *reason = check->lacks_scope ? "the token lacks the scope" : check->error.text;
    const struct log_field fields[] = {log_quoted("user", bytes_of(check->name)),
                                       log_address("address", check->address),
                                       log_quoted("reason", bytes_of(reason))};
    if (refused || check->lacks_scope) {
        log_event(LOG_LEVEL_INFO, "token refused", fields, sizeof fields / sizeof fields[0]);
    } else if (kind != ERROR_NONE) {
        log_write(error_log_level(kind), "source oauth: %s", check->error.text);
    }
}

static void finish(struct token_check *check)
{
    check->token = secret_free(check->token);
    check->job.password = NULL;
    log_end(check);
    check->done(check);
}

/* Milliseconds; one that does not say is good for as long as it is believed. */
static uint64_t valid_ms(uint64_t expires_s)
{
    uint64_t now_s = (uint64_t)time(NULL);
    if (expires_s == 0) {
        return UINT64_MAX;
    }
    return expires_s <= now_s ? 0 : (expires_s - now_s) * 1000;
}

static void take_answer(struct token_check *check, const struct source_answer *answer)
{
    struct auth *auth = check->auth;
    struct bytes user = bytes_of(answer->name);
    if (user_name_check(user, &check->error) < 0) {
        return;
    }
    check->error.kind = ERROR_NONE;
    memcpy(check->user, answer->name, user.size + 1);
    check->lacks_scope = answer->token_lacks_scope;
    if (auth->tokens != NULL && !check->lacks_scope) {
        token_cache_add(auth->tokens, secret_octets(check->token), check->user, uv_now(&auth->loop),
                        valid_ms(answer->token_expires_s));
    }
}

static void on_reply(struct source_job *job, const struct source_reply *reply)
{
    struct token_check *check = CONTAINER_OF(job, struct token_check, job);
    if (reply->kind == ERROR_NONE) {
        take_answer(check, &reply->answer);
    } else {
        (void)error_set(&check->error, (enum error_kind)reply->kind, 0, "%s", reply->text);
    }
    finish(check);
}

/* Whose it was when it was asked for; a client may not say another name now. */
static bool is_remembered(struct token_check *check, struct bytes token)
{
    struct auth *auth = check->auth;
    const char *user =
        auth->tokens == NULL ? NULL : token_cache_find(auth->tokens, token, uv_now(&auth->loop));
    if (user == NULL) {
        return false;
    }
    (void)snprintf(check->user, sizeof check->user, "%s", user);
    if (check->name[0] != '\0' &&
        !bytes_equal_ignoring_case(bytes_of(check->name), bytes_of(user))) {
        (void)error_set(&check->error, ERROR_BAD_CREDENTIALS, 0,
                        "the token is not of who the client says that it is");
    }
    return true;
}

void token_check_start(struct token_check *check, struct bytes token)
{
    struct auth *auth = check->auth;
    check->error.kind = ERROR_NONE;
    if (is_remembered(check, token) ||
        secret_create_token(token, &check->token, &check->error) < 0) {
        finish(check);
        return;
    }
    check->job = (struct source_job){.name = bytes_of(check->name),
                                     .password = check->token,
                                     .address = check->address,
                                     .is_tls = check->is_tls,
                                     .done = on_reply};
    source_queue_add(&auth->queues[auth->configuration.sources.count], &check->job);
}

/* A signature costs less to check than what a key that was taken back lets in. */
int token_check_init(struct auth *auth, struct error *error)
{
    if (auth->configuration.token_introspection_url[0] == '\0') {
        return 0;
    }
    auth->tokens = token_cache_create(auth->configuration.token_cache_ms);
    return auth->tokens == NULL
               ? error_set(error, ERROR_TEMPORARY, 0, "no memory to remember tokens")
               : 0;
}
