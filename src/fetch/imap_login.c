/* SPDX-License-Identifier: MIT */
/* Logging in to the IMAP server: the best mechanism that both have, else LOGIN; the person's choice before that. */
#include <string.h>

#include "fetch/grant.h"
#include "fetch/imap_session.h"
#include "fetch/password.h"
#include "sasl/client.h"

static int get_token(struct imap_session *session, struct error *error)
{
    struct oauth_grant grant;
    struct error reason = {0};
    fetch_grant_make_imap(session->account, &grant);
    grant.cancel = session->stop;
    session->secret = secret_free(session->secret); /* it may have expired since */
    if (oauth_access_token(&grant, session->refused, &session->secret, &reason) < 0) {
        return error_set(error, reason.kind, 0, "there is no access token for IMAP: %s",
                         reason.text);
    }
    return 0;
}

static int get_secret(struct imap_session *session, struct error *error)
{
    const struct fetch_account *account = session->account;
    struct error reason = {0};
    if (account->imap_oauth != NULL) {
        return get_token(session, error);
    }
    if (session->secret == NULL &&
        password_wait(account->imap_password_command, account->imap_password_file,
                      session->stream.cancel, &session->secret, &reason) < 0) {
        return error_set(error, reason.kind, 0, "the IMAP password: %s", reason.text);
    }
    return 0;
}

/* A token that was refused is kept, for another one to be asked for. `status`: what the server says of it, or NULL. */
static void take_refusal(struct imap_session *session, const char *status, struct error *error)
{
    struct error said = *error;
    bool was_fresh = session->refused != NULL;
    (void)error_set(error, ERROR_BAD_CREDENTIALS, 0,
                    "the IMAP server does not take the token of %s%s; did they allow IMAP and "
                    "authorize it (`restante fetch --authorize %s')? %s%s%s",
                    session->url.user, was_fresh ? ", not a fresh one either" : "",
                    session->account->name, status == NULL ? "" : status,
                    status == NULL ? "" : ": ", said.text);
    if (!was_fresh) {
        session->refused = session->secret;
        session->secret = NULL;
    }
}

/* A refused login says so, and that it is the destination's. */
static int judge(struct imap_session *session, const struct imap_client_event *result,
                 const char *status, struct error *error)
{
    if (result->status == IMAP_OK) {
        return 0;
    }
    bool may_pass = result->code == IMAP_CODE_UNAVAILABLE || result->code == IMAP_CODE_INUSE;
    (void)imap_session_complain(result, "the login", error);
    error->kind = may_pass ? ERROR_TEMPORARY : ERROR_BAD_CREDENTIALS;
    if (session->account->imap_oauth != NULL && !may_pass && result->status == IMAP_NO) {
        take_refusal(session, status, error);
    }
    session->secret = secret_free(session->secret);
    return -1;
}

static int answer(struct imap_session *session, struct sasl_client *exchange,
                  struct bytes challenge, struct error *error)
{
    struct sasl_client_event event;
    sasl_client_continue(exchange, challenge, &event);
    while (event.type == SASL_CLIENT_DERIVE) {
        sasl_client_derive(exchange, &event);
    }
    if (event.type == SASL_CLIENT_SEND) {
        if (imap_client_respond(session->client, event.octets) == 0) {
            return 0;
        }
        return error_set(error, ERROR_CONFIGURATION, 0, "the IMAP login is too long");
    }
    imap_client_cancel(session->client);
    if (event.type == SASL_CLIENT_FAILED) {
        *error = *event.error;
        return -1;
    }
    return error_set(error, ERROR_PROTOCOL, 0, "the IMAP server asks for more than there is");
}

static int exchange_until_result(struct imap_session *session, struct sasl_client *exchange,
                                 struct error *error)
{
    struct imap_client_event event;
    for (;;) {
        if (imap_session_step(session, true, &event, error) < 0) {
            return -1;
        }
        if (event.type == IMAP_CLIENT_RESULT) {
            break;
        }
        if (answer(session, exchange, event.octets, error) < 0) {
            return -1;
        }
    }
    if (judge(session, &event, sasl_client_status(exchange), error) < 0) {
        return -1;
    }
    return sasl_client_finish(exchange, error);
}

static int authenticate(struct imap_session *session, enum sasl_mechanism mechanism,
                        struct error *error)
{
    uint8_t exporter[TLS_EXPORTER_SIZE], unique[TLS_UNIQUE_SIZE];
    const struct tls *tls = blocking_stream_tls(&session->stream);
    struct sasl_client *exchange;
    struct sasl_client_event event;
    struct sasl_client_identity identity = {.name = bytes_of(session->url.user),
                                            .password = secret_octets(session->secret)};
    struct sasl_client_facts facts = {.offered =
                                          imap_client_capabilities(session->client)->mechanisms,
                                      .host = session->url.host,
                                      .port = session->url.port};
    if (tls != NULL) {
        facts.tls_exporter = (struct bytes){exporter, tls_exporter(tls, exporter)};
        facts.tls_unique = (struct bytes){unique, tls_unique(tls, unique)};
    }
    if (sasl_client_create(mechanism, &identity, &facts, &exchange, error) < 0) {
        return -1;
    }
    sasl_client_begin(exchange, &event);
    int result = -1;
    if (event.type == SASL_CLIENT_FAILED) {
        *error = *event.error;
    } else {
        bool speaks_first = event.type == SASL_CLIENT_SEND;
        struct bytes response = speaks_first ? event.octets : (struct bytes){0};
        if (imap_client_authenticate(session->client, sasl_mechanism_name(mechanism), response) ==
            0) {
            (void)error_set(error, ERROR_CONFIGURATION, 0, "the IMAP login is too long");
        } else {
            result = exchange_until_result(session, exchange, error);
        }
    }
    (void)sasl_client_free(exchange);
    return result;
}

static int log_in_plainly(struct imap_session *session, struct error *error)
{
    struct imap_client_event event;
    if (imap_client_login(session->client, bytes_of(session->url.user),
                          secret_octets(session->secret)) == 0) {
        return error_set(error, ERROR_PERMANENT, 0,
                         "the IMAP server offers no way to log in that can be used (it says: %s)",
                         imap_client_capabilities(session->client)->login_disabled
                             ? "LOGINDISABLED"
                             : imap_client_capabilities(session->client)->mechanisms);
    }
    if (imap_session_step(session, true, &event, error) < 0) {
        return -1;
    }
    return judge(session, &event, NULL, error);
}

static enum sasl_mechanism choose(const struct imap_session *session)
{
    const char *offered = imap_client_capabilities(session->client)->mechanisms;
    const struct tls *tls = blocking_stream_tls(&session->stream);
    uint8_t octets[TLS_UNIQUE_SIZE > TLS_EXPORTER_SIZE ? TLS_UNIQUE_SIZE : TLS_EXPORTER_SIZE];
    if (session->account->imap_oauth != NULL) {
        bool has_standard = strstr(offered, "OAUTHBEARER") != NULL;
        bool has_older = strstr(offered, "XOAUTH2") != NULL;
        return has_standard ? SASL_OAUTHBEARER : has_older ? SASL_XOAUTH2 : SASL_MECHANISM_COUNT;
    }
    struct sasl_client_choice choice = {
        .password_allowed = true, /* under TLS, or the person has said imap-clear = yes */
        .has_binding =
            tls != NULL && (tls_exporter(tls, octets) != 0 || tls_unique(tls, octets) != 0)};
    return sasl_client_choose(offered, &choice);
}

int imap_session_log_in(struct imap_session *session, struct error *error)
{
    struct imap_client_event event;
    const char *auth = session->account->imap_auth;
    if (imap_session_step(session, true, &event, error) < 0) {
        return -1;
    }
    if (event.type != IMAP_CLIENT_LOGIN) {
        return 0; /* PREAUTH */
    }
    enum sasl_mechanism mechanism =
        strcmp(auth, "auto") == 0 ? choose(session) : sasl_mechanism_find(bytes_of(auth));
    if (mechanism == SASL_MECHANISM_COUNT && session->account->imap_oauth != NULL) {
        return error_set(error, ERROR_PERMANENT, 0,
                         "the IMAP server takes no tokens (its mechanisms: %s)",
                         imap_client_capabilities(session->client)->mechanisms);
    }
    if (get_secret(session, error) < 0) {
        return -1;
    }
    return mechanism == SASL_MECHANISM_COUNT ? log_in_plainly(session, error)
                                             : authenticate(session, mechanism, error);
}
