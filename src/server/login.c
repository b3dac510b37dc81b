/* SPDX-License-Identifier: MIT */
/* From a name and a password to a user: the worker's own memory of checks, else auth; the delay of a failed
 * login; what limits a user's logins. Exchanges of SASL are login_sasl.c's, which ends in the same ways. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/user_name.h"
#include "sasl/prepare.h"
#include "server/delegate_maildrop.h"
#include "server/session.h"

enum {
    AUTH_MS = 10000,
    LOGIN_BURST = 3, /* phones send, and then receive */
    CONNECTION_SIZE = ADDRESS_TEXT_SIZE + 16,
    DAY_SECONDS = 24 * 60 * 60,
};

/* What a question about a password is made of, and its texts. */
struct question {
    struct verification_question asked;
    char connection[CONNECTION_SIZE];
    char day[32];
};

static struct session *session_of_call(struct auth_call *call)
{
    return CONTAINER_OF(call, struct session, call);
}

void login_facts(const struct session *session, struct auth_facts *facts_out)
{
    *facts_out = (struct auth_facts){.is_tls = session->connection.encrypted != 0};
    if (!session->unknown) {
        facts_out->peer = session->peer;
    }
}

/* Only what the first source says, which no other can overrule, is remembered. */
static const char *first_source(const struct session *session)
{
    return session->worker->configuration.sources.list[0];
}

/* The peer's port decides nothing, and differs each time. Some answers hold for a day only: auth has to hear
 * of a secret's use as often as it notes the date. */
static void question_of(const struct session *session, bool is_for_today, struct question *out)
{
    struct buffer connection;
    struct buffer day;
    struct bytes address = bytes_of(session->unknown ? "" : session->address);
    while (address.size > 0 && address.data[--address.size] != ':') {
    }
    buffer_init(&connection, out->connection, sizeof out->connection);
    buffer_append_text(&connection, session->connection.encrypted != 0 ? "TLS " : "plaintext ");
    buffer_append(&connection, address);
    buffer_init(&day, out->day, sizeof out->day);
    if (is_for_today) {
        buffer_append_text(&day, "day ");
        buffer_append_number(&day, (uint64_t)time(NULL) / DAY_SECONDS);
    }
    out->asked = (struct verification_question){.source = bytes_of(first_source(session)),
                                                .user = bytes_of(session->asked_name),
                                                .service = bytes_of("pop3"),
                                                .rules = buffer_pending(&day),
                                                .connection = buffer_pending(&connection),
                                                .password = session->secret};
}

/* Does the worker remember that the password was right? */
static bool remembers(const struct session *session, struct verification_answer *answer_out)
{
    struct worker *worker = session->worker;
    struct question question;
    uint64_t generation = atomic_load(&worker->generations->accounts_file);
    if (!configuration_is_file(&worker->configuration, 0)) {
        return false;
    }
    question_of(session, false, &question);
    if (verification_cache_lookup(worker->cache, &question.asked, generation, answer_out)) {
        return true;
    }
    question_of(session, true, &question);
    return verification_cache_lookup(worker->cache, &question.asked, generation, answer_out);
}

void login_forget_question(struct session *session)
{
    auth_client_forget(&session->worker->auth, &session->call);
    session->collecting = sasl_server_free(session->collecting);
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

void login_fail(struct session *session, enum error_kind kind)
{
    struct worker *worker = session->worker;
    uint64_t until = session->asked_at + worker->configuration.failure_delay_ms;
    session->refusal = kind;
    session->granted = maildrop_store_free(session->granted);
    if (kind == ERROR_BAD_CREDENTIALS || kind == ERROR_NO_SUCH_USER) {
        throttle_count_failure(session);
        session->bad_logins++;
    }
    struct bytes asked =
        session->asked_name == NULL ? (struct bytes){0} : bytes_of(session->asked_name);
    const struct log_field fields[] = {
        log_quoted("user", asked), log_address("address", session->address),
        log_word("method", session->method), log_word("reason", error_metric(kind)),
        log_word("rule", account_rule_name(session->rule))};
    size_t count = sizeof fields / sizeof fields[0];
    log_event(LOG_LEVEL_INFO, "login failed", fields,
              session->rule == ACCOUNT_RULE_NONE ? count - 1 : count);
    session->rule = ACCOUNT_RULE_NONE;
    login_forget_question(session);
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

/* A path of the account's own that no worker may open: better told than found out. */
static bool is_within_roots(const struct session *session, const char *user, const char *path)
{
    if (path == NULL || mail_roots_hold(&session->worker->roots, path)) {
        return true;
    }
    char name[160];
    log_write(LOG_LEVEL_ERROR,
              "maildrop of user=%s: %s lies outside of all mail roots; add its folder to roots in "
              "[maildrop]",
              bytes_escape(bytes_of(user), name, sizeof name), path);
    return false;
}

/* May this user have one more session now? */
static enum error_kind take_place(struct session *session, const char *user)
{
    const struct worker *worker = session->worker;
    const struct configuration *configuration = &worker->configuration;
    uint8_t key[LIMITS_KEY_SIZE];
    limits_user_key(bytes_of(user), key);
    if (!limits_take(worker->limits, LIMIT_USER, key, worker->process,
                     configuration->connections_per_user)) {
        return ERROR_LIMIT;
    }
    struct limits_pace pace = {.every_ms = configuration->login_delay_ms, .burst = LOGIN_BURST};
    if (pace.every_ms != 0 && !limits_login(worker->limits, key, &pace, uv_hrtime() / 1000000)) {
        limits_give(worker->limits, LIMIT_USER, key, worker->process);
        return ERROR_LOGIN_DELAY;
    }
    return ERROR_NONE;
}

/* Where auth granted a maildrop: false if it cannot be had. */
static bool take_grant(struct session *session, int maildrop)
{
    struct worker *worker = session->worker;
    struct error error;
    if (maildrop < 0) {
        return true;
    }
    session->granted =
        delegate_maildrop_create(&worker->loop, &worker->executor.interface, maildrop, &error);
    if (session->granted == NULL) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        (void)close(maildrop);
    }
    return session->granted != NULL;
}

void login_succeed(struct session *session, const char *user, const char *path, int maildrop)
{
    struct error error;
    session->wait = WAIT_NOTHING;
    if (!take_grant(session, maildrop)) {
        login_fail(session, ERROR_TEMPORARY);
        return;
    }
    if (user_name_check(bytes_of(user), &error) < 0) {
        log_write(LOG_LEVEL_ERROR, "%s", error.text);
        login_fail(session, ERROR_PERMANENT);
        return;
    }
    if (session->granted == NULL && !is_within_roots(session, user, path)) {
        login_fail(session, ERROR_PERMANENT);
        return;
    }
    enum error_kind refusal = take_place(session, user);
    if (refusal != ERROR_NONE) {
        login_fail(session, refusal);
        return;
    }
    session->user = strdup(user);
    session->path = path == NULL ? NULL : strdup(path);
    if (session->user == NULL || (path != NULL && session->path == NULL)) {
        uint8_t key[LIMITS_KEY_SIZE];
        limits_user_key(bytes_of(user), key);
        limits_give(session->worker->limits, LIMIT_USER, key, session->worker->process);
        free(session->user);
        free(session->path);
        session->user = NULL;
        session->path = NULL;
        login_fail(session, ERROR_TEMPORARY);
        return;
    }
    login_forget_question(session);
    pop3_server_authenticated(session->engine);
}

static void on_result(struct auth_call *call, const struct auth_result *result, int maildrop)
{
    struct session *session = session_of_call(call);
    session->wait = WAIT_NOTHING;
    if (result->kind != ERROR_NONE) {
        session->rule = (enum account_rule)result->rule;
        login_fail(session, (enum error_kind)result->kind);
    } else {
        const char *path = result->path[0] == '\0' ? NULL : result->path;
        struct question question;
        struct verification_answer answer = {.user = result->user, .maildrop = path};
        question_of(session, result->is_for_today != 0, &question);
        if (result->may_cache) {
            verification_cache_insert(session->worker->cache, &question.asked, result->generation,
                                      &answer);
        }
        login_succeed(session, result->user, path, maildrop);
    }
    session_drive(session);
}

/* Auth's own part, and the most that each source may take. */
static uint64_t auth_ms(const struct session *session)
{
    const struct configuration *configuration = &session->worker->configuration;
    uint32_t sources =
        configuration->sources.asked - (configuration_has_file(configuration) ? 1 : 0);
    return AUTH_MS + sources * configuration->source_timeout_ms;
}

void login_wait_for_auth(struct session *session)
{
    session->wait = WAIT_AUTH;
    session->wait_until = session->asked_at + auth_ms(session);
    pop3_server_flush(session->engine);
}

static void ask_auth(struct session *session)
{
    struct auth_facts facts;
    struct auth_question question = {.type = AUTH_PASSWORD,
                                     .name = bytes_of(session->asked_name),
                                     .response = secret_octets(session->secret),
                                     .address = session->address,
                                     .facts = &facts};
    login_facts(session, &facts);
    session->call.done = on_result;
    if (auth_client_ask(&session->worker->auth, &session->call, &question) < 0) {
        login_fail(session, ERROR_TEMPORARY);
    } else {
        login_wait_for_auth(session);
    }
}

/* Where UTF8 USER is announced, what cannot be prepared is refused (RFC 6856 section 2.2); else octets beyond
 * ASCII are nobody's business but the accounts file's. */
static bool is_acceptable(const struct session *session, struct bytes password)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared = password;
    bool can_prepare = sasl_prepare(password, SASL_PREPARE_QUERY, memory, &prepared, NULL) == 0;
    if (can_prepare && prepared.data == memory) {
        sodium_memzero(memory, sizeof memory);
    }
    return can_prepare || !session->worker->configuration.utf8;
}

enum error_kind login_take_name(struct session *session, struct bytes name)
{
    uint8_t memory[SASL_PREPARED_OCTETS];
    struct bytes prepared = name;
    bool can_prepare = sasl_prepare(name, SASL_PREPARE_QUERY, memory, &prepared, NULL) == 0;
    session->asked_name = strndup((const char *)prepared.data, prepared.size);
    if (session->asked_name == NULL) {
        return ERROR_TEMPORARY;
    }
    bool is_name = (can_prepare || !session->worker->configuration.utf8) &&
                   user_name_check(prepared, NULL) == 0;
    return is_name ? ERROR_NONE : ERROR_NO_SUCH_USER;
}

void login_with_password(struct session *session, struct bytes name, struct bytes password)
{
    struct error error;
    enum error_kind refusal = login_take_name(session, name);
    if (refusal == ERROR_NONE && secret_create(password, &session->secret, &error) < 0) {
        refusal = ERROR_TEMPORARY;
    } else if (refusal == ERROR_NONE && !is_acceptable(session, password)) {
        refusal = ERROR_BAD_CREDENTIALS;
    }
    if (refusal != ERROR_NONE) {
        login_fail(session, refusal);
        return;
    }
    struct verification_answer answer;
    if (remembers(session, &answer)) {
        login_succeed(session, answer.user, answer.maildrop, -1);
    } else {
        ask_auth(session);
    }
}

/* Who has failed before waits before he is heard again. The event stays, and is given again then. */
static bool must_wait(struct session *session, const struct pop3_server_event *event)
{
    struct bytes name = {0}; /* in an exchange of SASL it comes later, if at all */
    bool waited = session->waited;
    session->waited = false;
    if (waited || event->u.authenticate.method == POP3_METHOD_SASL_CONTINUE) {
        return false;
    }
    if (event->u.authenticate.method != POP3_METHOD_SASL_BEGIN) {
        name = (struct bytes){.data = (const uint8_t *)event->u.authenticate.name,
                              .size = event->u.authenticate.name_size};
    }
    uint64_t wait = throttle_ms(session, name);
    if (wait == 0) {
        return false;
    }
    session->wait = WAIT_THROTTLE;
    session->wait_until = session->asked_at + wait;
    pop3_server_flush(session->engine);
    return true;
}

void login_throttle_is_over(struct session *session)
{
    session->wait = WAIT_NOTHING;
    session->waited = true;
    session_drive(session);
}

void login_begin(struct session *session, const struct pop3_server_event *event)
{
    struct bytes name = {.data = (const uint8_t *)event->u.authenticate.name,
                         .size = event->u.authenticate.name_size};
    struct bytes response = {.data = event->u.authenticate.response,
                             .size = event->u.authenticate.response_size};
    session->asked_at = uv_now(&session->worker->loop);
    if (!proxied_settle(session) || must_wait(session, event)) {
        return;
    }
    switch (event->u.authenticate.method) {
    case POP3_METHOD_PASSWORD:
        session->method = "USER";
        login_with_password(session, name, response);
        return;
    case POP3_METHOD_APOP:
        login_apop(session, name, response);
        return;
    case POP3_METHOD_SASL_BEGIN:
        login_sasl_begin(session, name, event->u.authenticate.has_response != 0 ? &response : NULL);
        return;
    case POP3_METHOD_SASL_CONTINUE:
        login_sasl_continue(session, response);
        return;
    }
}

/* Drops what is under way before there is a maildrop. */
void login_abandon(struct session *session)
{
    struct worker *worker = session->worker;
    if (session->wait == WAIT_HOLDER) {
        holders_forget(&worker->holders, &session->waiter);
    } else if (session->wait == WAIT_OPEN && session->store_busy) {
        session->abandoned = true;
        maildrop_cancel(&session->operation);
    }
    if (session->wait != WAIT_STORE) {
        session->wait = WAIT_NOTHING;
    }
    login_forget_question(session); /* auth, too, has nothing more to answer */
}
