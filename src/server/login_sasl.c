/* SPDX-License-Identifier: MIT */
/* AUTH and APOP in a worker: what this connection offers, and the way of each message. PLAIN and LOGIN only
 * collect a name and a password, here, and go on as USER and PASS do; all others are auth's, which has what
 * they need. */
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/buffer.h"
#include "base/container_of.h"
#include "base/user_name.h"
#include "server/session.h"

/* The client's own name, if its certificate has one that can be an account's. */
static bool certificate_name(const struct session *session, char *out, size_t capacity)
{
    const struct tls *tls = stream_tls(&session->stream);
    enum tls_client_name rule = session->worker->configuration.tls_client_name;
    if (tls == NULL || rule == TLS_CLIENT_NAME_NONE) {
        return false;
    }
    enum tls_name_kind kind = rule == TLS_CLIENT_NAME_COMMON ? TLS_NAME_COMMON : TLS_NAME_EMAIL;
    return tls_peer_name(tls, kind, out, capacity) && user_name_check(bytes_of(out), NULL) == 0;
}

/* What decides about the connection, and what auth has to know of it. */
static void look(const struct session *session, struct sasl_offer *offer, struct auth_facts *facts)
{
    const struct worker *worker = session->worker;
    const struct tls *tls = stream_tls(&session->stream);
    login_facts(session, facts);
    if (tls != NULL) {
        facts->exporter_size = (uint8_t)tls_exporter(tls, facts->exporter);
        facts->unique_size = (uint8_t)tls_unique(tls, facts->unique);
    }
    *offer = (struct sasl_offer){.verifiers = atomic_load(&worker->generations->verifiers),
                                 .chosen = worker->configuration.mechanisms,
                                 .password_allowed = session->connection.user_allowed != 0,
                                 .has_tokens = configuration_has_tokens(&worker->configuration),
                                 .has_binding = facts->exporter_size + facts->unique_size > 0,
                                 .has_certificate = certificate_name(session, facts->certificate,
                                                                     sizeof facts->certificate)};
}

/* Different each time and known to nobody before (RFC 1939 section 7). NULL: no memory. */
static char *make_timestamp(struct worker *worker)
{
    uint8_t random[16];
    char digits[2 * sizeof random + 1];
    size_t capacity = sizeof "<@>" + sizeof digits + strlen(worker->host);
    char *timestamp = malloc(capacity);
    if (timestamp == NULL) {
        return NULL;
    }
    struct buffer text;
    randomness_draw(&worker->randomness, random, sizeof random);
    (void)sodium_bin2hex(digits, sizeof digits, random, sizeof random);
    buffer_init(&text, timestamp, capacity);
    buffer_append_octet(&text, '<');
    buffer_append_text(&text, digits);
    buffer_append_octet(&text, '@');
    buffer_append_text(&text, worker->host);
    buffer_append(&text, (struct bytes){.data = (const uint8_t *)">", .size = sizeof ">"});
    return timestamp;
}

void login_offer(struct session *session)
{
    struct sasl_offer offer;
    struct auth_facts facts;
    look(session, &offer, &facts);
    session->connection.sasl_mechanisms = sasl_list(&offer, session->mechanisms);
    if (session->timestamp == NULL && sasl_is_offered(&offer, SASL_APOP)) {
        session->timestamp = make_timestamp(session->worker);
    }
    session->connection.timestamp = session->timestamp;
}

static void on_result(struct auth_call *call, const struct auth_result *result, int maildrop)
{
    struct session *session = CONTAINER_OF(call, struct session, call);
    session->wait = WAIT_NOTHING;
    if (result->kind != ERROR_NONE) {
        if (session->asked_name == NULL) {
            session->asked_name = strdup(result->user); /* for the log */
        }
        session->rule = (enum account_rule)result->rule;
        login_fail(session, (enum error_kind)result->kind);
    } else if (result->is_challenge) {
        pop3_server_challenge(session->engine, result->challenge, result->challenge_size);
    } else {
        login_succeed(session, result->user, result->path[0] == '\0' ? NULL : result->path,
                      maildrop);
    }
    session_drive(session);
}

static void ask(struct session *session, const struct auth_question *question)
{
    session->call.done = on_result;
    if (auth_client_ask(&session->worker->auth, &session->call, question) < 0) {
        login_fail(session, ERROR_TEMPORARY);
    } else {
        login_wait_for_auth(session);
    }
}

void login_apop(struct session *session, struct bytes name, struct bytes digest)
{
    struct auth_facts facts;
    struct auth_question question = {
        .type = AUTH_APOP, .response = digest, .address = session->address, .facts = &facts};
    session->method = sasl_mechanism_name(SASL_APOP);
    login_facts(session, &facts);
    (void)snprintf(facts.timestamp, sizeof facts.timestamp, "%s", session->timestamp);
    enum error_kind refusal = login_take_name(session, name);
    if (refusal != ERROR_NONE) {
        login_fail(session, refusal);
        return;
    }
    question.name = bytes_of(session->asked_name);
    ask(session, &question);
}

static void collect(struct session *session, const struct sasl_event *event)
{
    if (event->type == SASL_EVENT_CHALLENGE) {
        pop3_server_challenge(session->engine, event->octets.data, event->octets.size);
    } else if (event->type == SASL_EVENT_VERIFY) {
        login_with_password(session, bytes_of(event->name), event->password);
    } else {
        login_fail(session, ERROR_BAD_CREDENTIALS);
    }
}

static void begin_collecting(struct session *session, enum sasl_mechanism mechanism,
                             const struct bytes *initial)
{
    struct sasl_facts none = {0};
    struct sasl_event event;
    struct error error;
    if (sasl_server_create(mechanism, &none, &session->collecting, &error) < 0) {
        login_fail(session, ERROR_TEMPORARY);
        return;
    }
    sasl_server_begin(session->collecting, initial, &event);
    collect(session, &event);
}

void login_sasl_begin(struct session *session, struct bytes name, const struct bytes *initial)
{
    enum sasl_mechanism mechanism =
        sasl_mechanism_find(name); /* the engine took it from our list */
    enum sasl_family family = sasl_mechanism_family(mechanism);
    session->method = sasl_mechanism_name(mechanism);
    if (family == SASL_FAMILY_PLAIN || family == SASL_FAMILY_LOGIN) {
        begin_collecting(session, mechanism, initial);
        return;
    }
    if (initial != NULL && initial->size > sasl_message_octets_max(mechanism)) {
        login_fail(session, ERROR_BAD_CREDENTIALS); /* of no mechanism that there is */
        return;
    }
    struct sasl_offer offer;
    struct auth_facts facts;
    look(session, &offer, &facts);
    facts.plus_offered = sasl_is_offered(&offer, sasl_mechanism_hash(mechanism) == SCRAM_SHA_1
                                                     ? SASL_SCRAM_SHA_1_PLUS
                                                     : SASL_SCRAM_SHA_256_PLUS);
    facts.has_response = initial != NULL;
    struct auth_question question = {
        .type = AUTH_BEGIN, .name = name, .address = session->address, .facts = &facts};
    if (initial != NULL) {
        question.response = *initial;
    }
    ask(session, &question);
}

static size_t message_octets_max(const struct session *session)
{
    return sasl_message_octets_max(sasl_mechanism_find(bytes_of(session->method)));
}

void login_sasl_continue(struct session *session, struct bytes response)
{
    struct sasl_event event;
    if (session->collecting != NULL) {
        sasl_server_continue(session->collecting, response, &event);
        collect(session, &event);
    } else if (response.size > message_octets_max(session)) {
        login_fail(session, ERROR_BAD_CREDENTIALS);
    } else if (auth_client_continue(&session->worker->auth, &session->call, response) < 0) {
        login_fail(session, ERROR_TEMPORARY);
    } else {
        login_wait_for_auth(session);
    }
}
