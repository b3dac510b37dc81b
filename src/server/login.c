/* SPDX-License-Identifier: MIT */
/* From credentials to an open maildrop: the worker's own memory of checks, else auth; the delay of a failed
 * login; limits by user; the maildrop's lock, and waiting for it while another session has it. */
#include <stdlib.h>

#include "base/container_of.h"
#include "base/user_name.h"
#include "server/session.h"

enum { AUTH_MS = 10000, RETRY_MS = 250 };

static struct session *session_of_call(struct auth_call *call)
{
    return CONTAINER_OF(call, struct session, call);
}

static void question_of(const struct session *session, struct verification_question *out)
{
    *out = (struct verification_question){.source = bytes_of("file"),
                                          .user = bytes_of(session->asked_name),
                                          .service = bytes_of("pop3"),
                                          .password = session->secret};
}

static void forget_question(struct session *session)
{
    session->secret = secret_free(session->secret);
    free(session->asked_name);
    session->asked_name = NULL;
}

void login_forget_user(struct session *session)
{
    if (session->user == NULL) {
        return;
    }
    uint8_t key[LIMITS_KEY_SIZE];
    limits_user_key(bytes_of(session->user), key);
    limits_give(session->worker->limits, LIMIT_USER, key, session->worker->process);
    free(session->user);
    free(session->path);
    session->user = NULL;
    session->path = NULL;
}

/* The answer; and the end, if that was one failure too many: who keeps his connection must not have more
 * tries than who makes a new one. */
static void answer_failure(struct session *session)
{
    session->wait = WAIT_NOTHING;
    pop3_server_failed(session->engine, session_failure_of(session->refusal));
    if (session_failed_too_often(session)) {
        session_end(session, POP3_END_LIMIT, "failures-per-address-limit");
    }
}

static void fail(struct session *session, enum error_kind kind)
{
    struct worker *worker = session->worker;
    uint64_t until = session->asked_at + worker->configuration.failure_delay_ms;
    char name[160];
    session->refusal = kind;
    if (kind == ERROR_BAD_CREDENTIALS || kind == ERROR_NO_SUCH_USER) {
        uint8_t key[LIMITS_KEY_SIZE];
        address_key(&session->peer, key);
        limits_fail(worker->limits, key, uv_hrtime() / 1000000);
        session->bad_logins++;
    }
    struct bytes asked =
        session->asked_name == NULL ? (struct bytes){0} : bytes_of(session->asked_name);
    log_write(LOG_LEVEL_INFO, "login failed user=\"%s\" address=%s reason=%s",
              bytes_escape(asked, name, sizeof name), session->address, error_metric(kind));
    forget_question(session);
    if (until <= uv_now(&worker->loop)) {
        answer_failure(session);
        return;
    }
    session->wait = WAIT_DELAY;
    session->wait_until = until;
    pop3_server_flush(session->engine);
}

void login_delay_is_over(struct session *session)
{
    answer_failure(session);
    session_drive(session);
}

/* The credentials are right: is there room for one more session of this user? */
static void succeed(struct session *session, const char *user, const char *path)
{
    struct worker *worker = session->worker;
    struct error error;
    uint8_t key[LIMITS_KEY_SIZE];
    session->wait = WAIT_NOTHING;
    if (user_name_check(bytes_of(user), &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        fail(session, ERROR_PERMANENT);
        return;
    }
    limits_user_key(bytes_of(user), key);
    if (!limits_take(worker->limits, LIMIT_USER, key, worker->process,
                     worker->configuration.connections_per_user)) {
        fail(session, ERROR_LIMIT);
        return;
    }
    session->user = strdup(user);
    session->path = path == NULL ? NULL : strdup(path);
    if (session->user == NULL || (path != NULL && session->path == NULL)) {
        limits_give(worker->limits, LIMIT_USER, key, worker->process);
        free(session->user);
        free(session->path);
        session->user = NULL;
        session->path = NULL;
        fail(session, ERROR_TEMPORARY);
        return;
    }
    forget_question(session);
    pop3_server_authenticated(session->engine);
}

static void on_result(struct auth_call *call, const struct auth_result *result)
{
    struct session *session = session_of_call(call);
    session->wait = WAIT_NOTHING;
    if (result->kind != ERROR_NONE) {
        fail(session, (enum error_kind)result->kind);
    } else {
        const char *path = result->path[0] == '\0' ? NULL : result->path;
        struct verification_question question;
        struct verification_answer answer = {.user = result->user, .maildrop = path};
        question_of(session, &question);
        if (result->may_cache) {
            verification_cache_insert(session->worker->cache, &question, result->generation,
                                      &answer);
        }
        succeed(session, result->user, path);
    }
    session_drive(session);
}

static void ask_auth(struct session *session)
{
    struct auth_question question = {.method = POP3_METHOD_PASSWORD,
                                     .name = bytes_of(session->asked_name),
                                     .response = secret_octets(session->secret),
                                     .address = session->address};
    session->call.done = on_result;
    if (auth_client_ask(&session->worker->auth, &session->call, &question) < 0) {
        fail(session, ERROR_TEMPORARY);
        return;
    }
    session->wait = WAIT_AUTH;
    session->wait_until = session->asked_at + AUTH_MS;
    pop3_server_flush(session->engine);
}

void login_begin(struct session *session, const struct pop3_server_event *event)
{
    struct worker *worker = session->worker;
    struct bytes name = {.data = (const uint8_t *)event->u.authenticate.name,
                         .size = event->u.authenticate.name_size};
    struct bytes password = {.data = event->u.authenticate.response,
                             .size = event->u.authenticate.response_size};
    struct error error;
    session->asked_at = uv_now(&worker->loop);
    if (event->u.authenticate.method != POP3_METHOD_PASSWORD) {
        fail(session, ERROR_PERMANENT); /* no other is offered */
        return;
    }
    session->asked_name = strndup((const char *)name.data, name.size);
    if (session->asked_name == NULL || secret_create(password, &session->secret, &error) < 0) {
        fail(session, ERROR_TEMPORARY);
        return;
    }
    if (user_name_check(name, &error) < 0) {
        fail(session, ERROR_NO_SUCH_USER);
        return;
    }
    struct verification_question question;
    struct verification_answer answer;
    question_of(session, &question);
    uint64_t generation = atomic_load(&worker->generations->accounts_file);
    if (verification_cache_lookup(worker->cache, &question, generation, &answer)) {
        succeed(session, answer.user, answer.maildrop);
    } else {
        ask_auth(session);
    }
}

/* The maildrop could not be opened: the session is as before the login. */
static void refuse_open(struct session *session, enum error_kind kind)
{
    login_forget_user(session);
    session->wait = WAIT_NOTHING;
    pop3_server_failed(session->engine, session_failure_of(kind));
}

static void take_maildrop(struct session *session)
{
    struct maildrop_operation *operation = &session->operation;
    session->maildrop = operation->result.opened.maildrop;
    session->message_count = operation->result.opened.count;
    session->message_octets = operation->result.opened.octets;
    session->silent_since = session->active = uv_now(&session->worker->loop);
    maildrop_identity(session->maildrop, &session->holder.device, &session->holder.inode);
    if (session->holder.inode != 0) {
        session->holding = holders_add(&session->worker->holders, &session->holder);
    }
    pop3_server_opened(session->engine, session->message_count, session->message_octets);
}

static void on_freed(struct waiter *waiter)
{
    login_try_again(CONTAINER_OF(waiter, struct session, waiter));
}

static void try_open(struct session *session);

static void on_opened(struct session *session)
{
    struct worker *worker = session->worker;
    const struct error *error = &session->operation.error;
    session->wait = WAIT_NOTHING;
    if (error->kind == ERROR_NONE) {
        take_maildrop(session);
        return;
    }
    if (error->kind != ERROR_IN_USE) {
        log_write(error_log_level(error->kind), "maildrop of user=%s: %s", session->user,
                  error->text);
        refuse_open(session, error->kind);
        return;
    }
    uint64_t now = uv_now(&worker->loop);
    if (now >= session->in_use_until) {
        refuse_open(session, ERROR_IN_USE);
        return;
    }
    session->wait = WAIT_HOLDER;
    session->wait_until =
        now + RETRY_MS < session->in_use_until ? now + RETRY_MS : session->in_use_until;
    session->waiter.freed = on_freed;
    if (holders_ask(&worker->holders, &session->waiter, session->operation.result.holder.device,
                    session->operation.result.holder.inode)) {
        session->wait_until = now; /* freed: try again as soon as the timer can */
    }
    pop3_server_flush(session->engine);
}

static void try_open(struct session *session)
{
    struct maildrop_owner owner = {.user = session->user, .path = session->path};
    enum maildrop_progress progress =
        maildrop_open(session->worker->store, &owner, &session->operation);
    if (progress == MAILDROP_PENDING) {
        session->wait = WAIT_OPEN;
    }
    session_wait_for_store(session, progress, on_opened);
}

void login_open(struct session *session)
{
    session->in_use_until =
        uv_now(&session->worker->loop) + session->worker->configuration.in_use_wait_ms;
    try_open(session);
}

void login_try_again(struct session *session)
{
    holders_forget(&session->worker->holders, &session->waiter);
    if (session->wait != WAIT_HOLDER) {
        return;
    }
    session->wait = WAIT_NOTHING;
    try_open(session);
    session_drive(session);
}

/* Drops what is under way before there is a maildrop. */
void login_abandon(struct session *session)
{
    struct worker *worker = session->worker;
    if (session->wait == WAIT_AUTH) {
        auth_client_forget(&worker->auth, &session->call);
    } else if (session->wait == WAIT_HOLDER) {
        holders_forget(&worker->holders, &session->waiter);
    } else if (session->wait == WAIT_OPEN && session->store_busy) {
        session->abandoned = true;
        maildrop_cancel(&session->operation);
    }
    if (session->wait != WAIT_STORE) {
        session->wait = WAIT_NOTHING;
    }
    forget_question(session);
}
