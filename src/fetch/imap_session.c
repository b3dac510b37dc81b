/* SPDX-License-Identifier: MIT */
/* A connection, the engine above it, and the way to the mailbox: TLS, login (imap_login.c), the mailbox's name with
 * the server's separators, the mailbox itself, which is made if it is missing. */
#include "fetch/imap_session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { CA_OCTETS_MOST = 4 * 1024 * 1024, REASON_OCTETS = 200 };

static int make_tls(struct imap_session *session, struct error *error)
{
    const struct fetch_account *account = session->account;
    struct tls_client_settings settings = {.fingerprint = account->imap_fingerprint,
                                           .protocol = "imap"};
    if (account->imap_clear && !session->url.is_implicit_tls) {
        return 0;
    }
    int result = account->imap_ca_file == NULL
                     ? 0
                     : file_read(account->imap_ca_file, CA_OCTETS_MOST, &settings.ca);
    if (result < 0) {
        return error_set(error, ERROR_CONFIGURATION, -result, "imap-ca-file %s",
                         account->imap_ca_file);
    }
    result = tls_client_context_create(&settings, &session->tls, error);
    free((void *)(uintptr_t)settings.ca.data);
    return result;
}

int imap_session_create(struct imap_session *session, const struct target_options *options,
                        struct error *error)
{
    *session = (struct imap_session){.account = options->described, .stop = options->stop};
    session->stream = (struct blocking_stream){.descriptor = -1,
                                               .cancel = options->cancel,
                                               .limit_s = options->time_limit_s,
                                               .peer = "the IMAP server"};
    if (imap_url_parse(options->place, &session->url) < 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is no IMAP folder; write imaps://USER@HOST/FOLDER", options->place);
    }
    bool is_address = strchr(session->url.host, ':') != NULL;
    (void)snprintf(session->place, sizeof session->place, is_address ? "[%s]:%u" : "%s:%u",
                   session->url.host, session->url.port);
    session->memory = malloc(imap_client_size());
    if (session->memory == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    return make_tls(session, error);
}

void imap_session_free(struct imap_session *session)
{
    imap_session_close(session);
    session->tls = tls_client_context_free(session->tls);
    session->secret = secret_free(session->secret);
    session->refused = secret_free(session->refused);
    if (session->memory != NULL) {
        explicit_bzero(session->memory, imap_client_size()); /* a password may be in its output */
    }
    free(session->memory);
}

void imap_session_drop(struct imap_session *session)
{
    blocking_stream_close(&session->stream);
    session->client = NULL;
    session->unfed = (struct bytes){0};
}

void imap_session_close(struct imap_session *session)
{
    struct imap_client_event event;
    if (session->client != NULL) {
        imap_client_next(session->client, &event);
        bool may_leave = event.type == IMAP_CLIENT_LOGIN ||
                         (event.type == IMAP_CLIENT_IDLE && event.outstanding == 0);
        if (may_leave) {
            imap_client_logout(session->client);
            imap_client_next(session->client, &event);
            (void)blocking_stream_send(&session->stream, event.octets, NULL);
        }
    }
    imap_session_drop(session);
}

/* ---- events ---- */

static void lose(struct imap_session *session)
{
    session->unfed = (struct bytes){0};
    imap_client_end(session->client);
}

static void receive(struct imap_session *session, struct error *lost)
{
    if (session->unfed.size == 0) {
        ssize_t size =
            blocking_stream_receive(&session->stream, session->input, sizeof session->input, lost);
        if (size <= 0) {
            lose(session);
            return;
        }
        session->unfed = (struct bytes){session->input, (size_t)size};
    }
    session->unfed = bytes_from(session->unfed, imap_client_feed(session->client, session->unfed));
}

/* What the server said in the clear after its reply could be anybody's: RFC 9051 section 6.2.1. */
static void secure(struct imap_session *session, struct error *lost)
{
    session->unfed = (struct bytes){0};
    if (blocking_stream_secure(&session->stream, session->tls, session->url.host, lost) < 0) {
        lose(session);
    } else {
        imap_client_secured(session->client);
    }
}

static void send_some(struct imap_session *session, struct bytes octets, struct error *lost)
{
    ssize_t count = blocking_stream_send(&session->stream, octets, lost);
    if (count >= 0) {
        imap_client_written(session->client, (size_t)count);
        return;
    }
    /* It may have said why before it closed. */
    while (blocking_stream_has_input(&session->stream)) {
        ssize_t size =
            blocking_stream_receive(&session->stream, session->input, sizeof session->input, NULL);
        if (size <= 0) {
            break;
        }
        (void)imap_client_feed(session->client, (struct bytes){session->input, (size_t)size});
    }
    lose(session);
}

static int complain_of_close(const struct imap_client_event *event, const struct error *lost,
                             struct error *error)
{
    char text[REASON_OCTETS];
    (void)bytes_escape(event->text, text, sizeof text);
    switch (event->error) {
    case IMAP_CLIENT_ERROR_BYE:
        return error_set(error, ERROR_TEMPORARY, 0, "the IMAP server ends the session: %s", text);
    case IMAP_CLIENT_ERROR_RESPONSE:
        return error_set(error, ERROR_TEMPORARY, 0, "what the IMAP server says is no IMAP: %s",
                         text);
    case IMAP_CLIENT_ERROR_LIMIT:
        return error_set(error, ERROR_TEMPORARY, 0, "the IMAP server says more than it may");
    case IMAP_CLIENT_ERROR_PREAUTH:
        return error_set(error, ERROR_PERMANENT, 0,
                         "the IMAP server takes nobody's password and no TLS (PREAUTH)");
    case IMAP_CLIENT_ERROR_NONE:
    case IMAP_CLIENT_ERROR_PEER_GONE:
        break;
    }
    if (lost->kind != ERROR_NONE) {
        *error = *lost;
        return -1;
    }
    return error_set(error, ERROR_TEMPORARY, 0, "the IMAP server closed the connection");
}

int imap_session_step(struct imap_session *session, bool waits, struct imap_client_event *event_out,
                      struct error *error)
{
    struct error lost = {0};
    for (;;) {
        imap_client_next(session->client, event_out);
        bool reads = event_out->type == IMAP_CLIENT_NEED_INPUT ||
                     (event_out->type == IMAP_CLIENT_IDLE && waits && event_out->outstanding > 0);
        if (reads) {
            receive(session, &lost);
        } else if (event_out->type == IMAP_CLIENT_WRITE) {
            send_some(session, event_out->octets, &lost);
        } else if (event_out->type == IMAP_CLIENT_SECURE) {
            secure(session, &lost);
        } else if (event_out->type == IMAP_CLIENT_CLOSE) {
            (void)complain_of_close(event_out, &lost, error);
            imap_session_drop(session);
            return -1;
        } else {
            return 0;
        }
    }
}

void imap_session_take_input(struct imap_session *session)
{
    struct error lost; /* the engine tells of its CLOSE */
    if (session->unfed.size > 0 || blocking_stream_has_input(&session->stream)) {
        receive(session, &lost);
    }
}

void imap_session_check(struct imap_session *session)
{
    struct imap_client_event event;
    if (session->client != NULL) {
        imap_session_take_input(session);
        imap_client_next(session->client, &event);
        if (event.type == IMAP_CLIENT_CLOSE) {
            imap_session_drop(session);
        }
    }
}

int imap_session_complain(const struct imap_client_event *result, const char *command,
                          struct error *error)
{
    char text[REASON_OCTETS];
    (void)bytes_escape(result->text, text, sizeof text);
    enum imap_meaning meaning = imap_code_meaning(result->code);
    bool may_pass = meaning == IMAP_MEANS_LATER;
    return error_set(error, may_pass ? ERROR_TEMPORARY : ERROR_PERMANENT, 0,
                     "the IMAP server says %s to %s: %s", result->status == IMAP_NO ? "NO" : "BAD",
                     command, text);
}

/* ---- one command after the other ---- */

/* The result of the command with that number, 0: it could not be said. */
static int await(struct imap_session *session, uint32_t number, const char *command,
                 struct imap_client_event *result_out, struct error *error)
{
    if (number == 0) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s cannot be asked for: %s", command,
                         session->mailbox);
    }
    return imap_session_step(session, true, result_out, error);
}

int imap_session_search(struct imap_session *session, const struct imap_criteria *criteria,
                        struct imap_client_event *result_out, struct error *error)
{
    uint32_t number = imap_client_search(session->client, criteria);
    if (await(session, number, "SEARCH", result_out, error) < 0) {
        return -1;
    }
    return result_out->status == IMAP_OK ? 0 : imap_session_complain(result_out, "SEARCH", error);
}

int imap_session_create_mailbox(struct imap_session *session, struct error *error)
{
    struct imap_client_event result;
    if (await(session, imap_client_create(session->client, session->mailbox), "CREATE", &result,
              error) < 0) {
        return -1;
    }
    if (result.status != IMAP_OK && result.code != IMAP_CODE_ALREADYEXISTS) {
        return imap_session_complain(&result, "CREATE", error);
    }
    /* So that mail programs show it; it is no failure if not. */
    return await(session, imap_client_subscribe(session->client, session->mailbox), "SUBSCRIBE",
                 &result, error);
}

/* Levels are separated by / in the URL. */
static int name_mailbox(struct imap_session *session, struct error *error)
{
    struct imap_client_event result;
    (void)snprintf(session->mailbox, sizeof session->mailbox, "%s", session->url.mailbox);
    if (strchr(session->mailbox, '/') == NULL) {
        return 0;
    }
    if (await(session, imap_client_list_root(session->client), "LIST", &result, error) < 0) {
        return -1;
    }
    for (char *at = session->mailbox; result.separator != 0 && *at != '\0'; at++) {
        *at = *at == '/' ? result.separator : *at;
    }
    return 0;
}

static int examine(struct imap_session *session, struct imap_client_event *result_out,
                   struct error *error)
{
    uint32_t number = imap_client_examine(session->client, session->mailbox);
    return await(session, number, "EXAMINE", result_out, error);
}

int imap_session_refresh(struct imap_session *session, struct error *error)
{
    struct imap_client_event result;
    if (examine(session, &result, error) < 0) {
        return -1;
    }
    return result.status == IMAP_OK ? 0 : imap_session_complain(&result, "EXAMINE", error);
}

static int enter_mailbox(struct imap_session *session, struct error *error)
{
    struct imap_client_event result;
    if (name_mailbox(session, error) < 0 || examine(session, &result, error) < 0) {
        return -1;
    }
    if (result.status == IMAP_NO && imap_code_meaning(result.code) != IMAP_MEANS_LATER) {
        if (imap_session_create_mailbox(session, error) < 0 ||
            examine(session, &result, error) < 0) {
            return -1;
        }
    }
    if (result.status != IMAP_OK) {
        return imap_session_complain(&result, "EXAMINE", error);
    }
    session->uid_validity = result.uid_validity;
    session->uid_next = result.uid_next;
    return 0;
}

static int connect_to_server(struct imap_session *session, struct error *error)
{
    struct imap_client_options options = {.starttls = session->tls != NULL &&
                                                      !session->url.is_implicit_tls};
    if (blocking_stream_connect(&session->stream, session->place, error) < 0) {
        return -1;
    }
    if (session->url.is_implicit_tls &&
        blocking_stream_secure(&session->stream, session->tls, session->url.host, error) < 0) {
        blocking_stream_close(&session->stream);
        return -1;
    }
    session->client = imap_client_init(session->memory, &options);
    return 0;
}

static int open_once(struct imap_session *session, struct error *error)
{
    if (connect_to_server(session, error) < 0) {
        return -1;
    }
    struct imap_client_event event; /* IDLE, once the server has said what it can do */
    if (imap_session_log_in(session, error) < 0 ||
        imap_session_step(session, true, &event, error) < 0 || enter_mailbox(session, error) < 0) {
        imap_session_close(session);
        return -1;
    }
    return 0;
}

/* A token may end before it expires: it is taken back, or a clock is wrong. Another one is asked for, once. */
int imap_session_open(struct imap_session *session, struct error *error)
{
    if (session->client != NULL) {
        return 0;
    }
    int result = open_once(session, error);
    if (result < 0 && session->refused != NULL) {
        result = open_once(session, error);
        session->refused = secret_free(session->refused);
    }
    return result;
}
