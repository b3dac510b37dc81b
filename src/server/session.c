/* SPDX-License-Identifier: MIT */
/* Drives the engine: what it asks for is done at once where it can be, so that a session whose octets are
 * there runs through in one event of the loop, without a copy of its input and with one write for all
 * that it says. What can't be done at once sets `wait`; the session goes on where that is answered.
 * Times are deadlines.c's: here, activity only notes them. */
#include "server/session.h"

#include <stdlib.h>

#include "base/container_of.h"

enum {
    TURN_EVENTS = 256, /* of the engine, before others get their turn */
    LINGER_MS = 1000   /* for the peer to read a last line and close */
};

static const struct stream_events events;

enum pop3_failure session_failure_of(enum error_kind kind)
{
    static const enum pop3_failure failures[ERROR_KIND_COUNT] = {
#define ERROR_KIND(name, pop3, lmtp, status, level, metric) [ERROR_##name] = POP3_FAILURE_##pop3,
#include "base/error_kinds.def"
#undef ERROR_KIND
    };
    return failures[kind];
}

bool session_is_logged_in(const struct session *session)
{
    return pop3_server_state(session->engine) != POP3_AUTHORIZATION;
}

/* The line that an operator wants: who, from where, what, how long, why it ended. */
static void log_end(const struct session *session)
{
    const struct pop3_server_counters *counters = pop3_server_counters(session->engine);
    uint64_t ms = uv_now(&session->worker->loop) - session->began;
    const struct log_field fields[] = {
        log_name("user", session->user),
        log_address("address", session->address),
        log_word("method", session->user == NULL ? "-" : session->method),
        log_number("messages", session->message_count),
        log_number("octets", session->message_octets),
        log_counted("retr", counters->retr_count, counters->retr_octets),
        log_counted("top", counters->top_count, counters->top_octets),
        log_counted("dele", counters->marked_count, counters->marked_octets),
        log_number("removed", session->removed),
        log_number("failed-logins", session->bad_logins),
        log_duration("duration", ms),
        log_word("end", session->end != NULL ? session->end : "closed"),
        log_address("proxy", session->proxy == NULL ? "" : session->proxy),
    };
    size_t count = sizeof fields / sizeof fields[0];
    log_event(LOG_LEVEL_INFO, "session", fields, session->proxy == NULL ? count - 1 : count);
}

static void wipe_held(struct session *session)
{
    if (session->held != NULL) {
        explicit_bzero((void *)(uintptr_t)session->input.data,
                       session->input.size); /* the rest is */
        free(session->held);
        session->held = NULL;
    }
    session->input = (struct bytes){0};
}

static void free_if_over(struct session *session)
{
    if (session->handles == 0 && !session->store_busy) {
        worker_remove(session->worker, session);
        transfer_free(session);
        free(session->timestamp);
        free(session->proxy);
        free(session);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct session *session = handle->data;
    session->handles--;
    free_if_over(session);
}

static void on_stream_closed(struct stream *stream)
{
    struct session *session = CONTAINER_OF(stream, struct session, stream);
    session->handles--;
    free_if_over(session);
}

void session_uncount(struct session *session)
{
    struct worker *worker = session->worker;
    uint8_t key[LIMITS_KEY_SIZE];
    address_key(&session->peer, key);
    if (session->counted == COUNTED_BY_ADDRESS) {
        limits_give(worker->limits, LIMIT_ADDRESS, key, worker->process);
    } else if (session->counted == COUNTED_AT_PROXY) {
        limits_give(worker->limits, LIMIT_PROXY, key, worker->process);
    }
    if (session->counted != COUNTED_NOT) {
        limits_disconnect(worker->limits, worker->process);
    }
    session->counted = COUNTED_NOT;
}

void session_disconnect(struct session *session)
{
    if (session->closing) {
        return;
    }
    session->closing = true;
    session_uncount(session);
    log_end(session);
    login_abandon(session);
    login_forget_user(session);
    wipe_held(session);
    worker_forget_rest(session->worker, session);
    stream_close(&session->stream);
    uv_close((uv_handle_t *)&session->timer, on_timer_closed);
}

/* A connection that is closed while octets of the peer lie unread is reset, which may take our last line
 * from him. */
static void close_gently(struct session *session)
{
    bool quit = session->end != NULL && strcmp(session->end, "quit") == 0;
    bool gone = session->end != NULL && strcmp(session->end, "peer-gone") == 0;
    if (gone || (quit && session->input.size == 0)) {
        session_disconnect(session);
        return;
    }
    session->lingering = true;
    session->wait_until = uv_now(&session->worker->loop) + LINGER_MS;
    wipe_held(session);
    stream_finish(&session->stream);
    stream_read(&session->stream, true);
}

static void write_event(struct session *session, const struct pop3_server_event *event)
{
    struct bytes octets = {.data = event->u.write.data, .size = event->u.write.size};
    bool taken = stream_write(&session->stream, octets);
    session->wrote = uv_now(&session->worker->loop);
    if (taken) {
        pop3_server_written(session->engine, octets.size);
    } else {
        session->write_size = octets.size; /* answered when all of it is gone */
    }
}

static void lend(struct session *session, const struct pop3_server_event *event)
{
    switch (event->u.lend.purpose) {
    case POP3_LEND_OUTPUT:
        session->output = buffers_lend(&session->worker->buffers);
        if (session->output.memory == NULL && session->end == NULL) {
            session->end = "no-memory";
        }
        pop3_server_lent(session->engine, session->output.memory, session->output.size);
        return;
    case POP3_LEND_MARKS:
        session->marks = malloc(event->u.lend.size);
        pop3_server_lent(session->engine, session->marks, event->u.lend.size);
        return;
    case POP3_LEND_SASL:
        session->sasl = malloc(event->u.lend.size);
        pop3_server_lent(session->engine, session->sasl, event->u.lend.size);
        return;
    }
}

static void take_back(struct session *session, const struct pop3_server_event *event)
{
    switch (event->u.returned.purpose) {
    case POP3_LEND_OUTPUT:
        buffers_return(&session->worker->buffers, &session->output);
        break;
    case POP3_LEND_MARKS:
        free(session->marks);
        session->marks = NULL;
        break;
    case POP3_LEND_SASL:
        free(session->sasl);
        session->sasl = NULL;
        break;
    }
    pop3_server_returned(session->engine);
}

/* Feeds what is there; false if the peer has to send more. */
static bool feed(struct session *session)
{
    if (session->input.size == 0) {
        return false;
    }
    size_t taken = pop3_server_feed(session->engine, session->input.data, session->input.size);
    if (session->held != NULL) { /* a password may have been in it */
        explicit_bzero((void *)(uintptr_t)session->input.data, taken);
    }
    session->input = bytes_from(session->input, taken);
    if (session->input.size == 0) {
        free(session->held);
        session->held = NULL;
    }
    return true;
}

static bool bad_commands_were_too_many(const struct session *session)
{
    uint32_t most = session->worker->configuration.max_bad_commands;
    return most != 0 && pop3_server_counters(session->engine)->bad_commands >= most;
}

/* `first`: octets that the peer has sent for it already. */
static void begin_tls(struct session *session, struct bytes first)
{
    session->handshaking = true;
    if (stream_secure(&session->stream, session->worker->tls, first) < 0) {
        session->end = "no-memory";
        session_disconnect(session);
        return;
    }
    stream_read(&session->stream, true);
}

/* Does one event; false if the session has to wait, or is over. */
static bool handle(struct session *session, const struct pop3_server_event *event)
{
    switch (event->type) {
    case POP3_SERVER_NEED_INPUT:
        return feed(session);
    case POP3_SERVER_WRITE:
        write_event(session, event);
        return true;
    case POP3_SERVER_LEND:
        lend(session, event);
        return true;
    case POP3_SERVER_RETURN:
        take_back(session, event);
        return true;
    case POP3_SERVER_AUTHENTICATE:
        login_begin(session, event);
        return true;
    case POP3_SERVER_CANCEL:
        login_abandon(session);
        pop3_server_cancelled(session->engine);
        return true;
    case POP3_SERVER_CLIENT:
        proxied_xclient(session, event);
        return true;
    case POP3_SERVER_OPEN:
        login_open(session, event);
        return true;
    case POP3_SERVER_ROWS:
        transfer_rows(session, event);
        return true;
    case POP3_SERVER_SEND:
        transfer_send(session, event);
        return true;
    case POP3_SERVER_MESSAGE:
        transfer_message(session);
        return true;
    case POP3_SERVER_STOP:
        transfer_stop(session);
        return true;
    case POP3_SERVER_COMMIT:
        session->end = "quit";
        transfer_commit(session, event);
        return true;
    case POP3_SERVER_RELEASE:
        transfer_release(session);
        pop3_server_released(session->engine);
        return true;
    case POP3_SERVER_STARTTLS:
        begin_tls(session, (struct bytes){0});
        return false;
    case POP3_SERVER_CLOSE:
        break;
    }
    if (session->end == NULL) {
        session->end = pop3_server_counters(session->engine)->pipelined ? "pipelined"
                       : bad_commands_were_too_many(session)            ? "bad-commands"
                                                                        : "quit";
    }
    close_gently(session);
    return false;
}

static void keep_input(struct session *session)
{
    if (session->input.size == 0 || session->held != NULL) {
        return;
    }
    session->held = malloc(session->input.size);
    if (session->held == NULL) {
        session->input = (struct bytes){0};
        session_end(session, POP3_END_SHUTDOWN, "no-memory");
        return;
    }
    memcpy(session->held, session->input.data, session->input.size);
    session->input.data = session->held;
}

void session_drive(struct session *session)
{
    uint32_t turns = 0;
    bool needs_input = false;
    while (!session->closing && !session->lingering && !session->handshaking &&
           !session->stream.writing) {
        struct pop3_server_event event;
        pop3_server_next(session->engine, &event);
        if (session->wait != WAIT_NOTHING && event.type != POP3_SERVER_WRITE) {
            break;
        }
        if (++turns == TURN_EVENTS) {
            worker_rest(session->worker, session);
            break;
        }
        if (!handle(session, &event)) {
            needs_input = event.type == POP3_SERVER_NEED_INPUT;
            break;
        }
    }
    if (session->maildrop != NULL) {
        maildrop_rest(session->maildrop);
    }
    if (!session->closing && !session->lingering && !session->handshaking) {
        stream_read(&session->stream, needs_input);
        if (needs_input && session->page != NULL) {
            free(session->page);
            session->page = NULL;
        }
    }
    deadlines_arm(session);
}

/* Octets behind those that are held. */
static void take_more(struct session *session, struct bytes octets)
{
    if (session->held == NULL) {
        session->input = octets;
        return;
    }
    uint8_t *both = malloc(session->input.size + octets.size);
    if (both == NULL) {
        session_end(session, POP3_END_SHUTDOWN, "no-memory");
        return;
    }
    memcpy(both, session->input.data, session->input.size);
    memcpy(both + session->input.size, octets.data, octets.size);
    size_t size = session->input.size + octets.size;
    wipe_held(session);
    session->held = both;
    session->input = (struct bytes){.data = both, .size = size};
}

static void on_data(struct stream *stream, struct bytes octets)
{
    struct session *session = CONTAINER_OF(stream, struct session, stream);
    if (session->lingering) {
        return;
    }
    bool secret = !session_is_logged_in(session);
    session->active = uv_now(&session->worker->loop);
    session->sampled = false;
    if (session->header_due) {
        take_more(session, octets);
        proxied_take_header(session);
    } else {
        session->input = octets;
        session_drive(session);
    }
    if (!session->closing) {
        keep_input(session);
    }
    if (secret) {
        explicit_bzero((void *)(uintptr_t)octets.data, octets.size);
    }
}

static void on_drained(struct stream *stream)
{
    struct session *session = CONTAINER_OF(stream, struct session, stream);
    session->active = session->wrote = uv_now(&session->worker->loop);
    session->sampled = false;
    pop3_server_written(session->engine, session->write_size);
    session_drive(session);
}

static bool may_send_password(const struct session *session)
{
    enum plaintext_login allowed = session->worker->configuration.plaintext_login;
    bool near = session->near && !session->unknown && address_is_loopback(&session->peer);
    return session->connection.encrypted || allowed == PLAINTEXT_LOGIN_ALWAYS ||
           (allowed == PLAINTEXT_LOGIN_LOOPBACK && near);
}

static void on_secured(struct stream *stream)
{
    struct session *session = CONTAINER_OF(stream, struct session, stream);
    bool after_stls = session->connection.starttls != 0;
    session->handshaking = false;
    session->connection.encrypted = 1;
    session->connection.starttls = 0;
    session->connection.user_allowed = may_send_password(session);
    login_offer(session);
    if (after_stls) {
        pop3_server_tls_started(session->engine, &session->connection);
    }
    session_drive(session);
}

static void on_ended(struct stream *stream)
{
    struct session *session = CONTAINER_OF(stream, struct session, stream);
    if (session->lingering) {
        session_disconnect(session);
    } else {
        session_end(session, POP3_END_PEER_GONE, "peer-gone");
    }
}

static const struct stream_events events = {.data = on_data,
                                            .drained = on_drained,
                                            .secured = on_secured,
                                            .ended = on_ended,
                                            .closed = on_stream_closed};

void session_end(struct session *session, enum pop3_end_reason reason, const char *why)
{
    if (session->closing || session->lingering) {
        return;
    }
    if (session->end == NULL) {
        session->end = why;
    }
    session->handshaking = false;
    if (session->header_due) {
        session_disconnect(session); /* nothing is said before it is known to whom */
        return;
    }
    if (pop3_server_state(session->engine) != POP3_UPDATE) {
        login_abandon(session);
        if (session->store_busy) {
            session->abandoned = true;
        }
        session->wait = WAIT_NOTHING;
    }
    pop3_server_end(session->engine, reason);
    if (session->stream.writing && reason == POP3_END_PEER_GONE) {
        transfer_release(session);
        session_disconnect(session); /* nothing can be written: no use in waiting for it */
        return;
    }
    session_drive(session);
}

static void on_store_done(struct maildrop_operation *operation)
{
    struct session *session = CONTAINER_OF(operation, struct session, operation);
    session->store_busy = false;
    if (session->abandoned) {
        session->abandoned = false;
        free_if_over(session);
        return;
    }
    session->wait = WAIT_NOTHING;
    session->operation_done(session);
    session_drive(session);
    free_if_over(session);
}

void session_wait_for_store(struct session *session, enum maildrop_progress progress,
                            void (*done)(struct session *session))
{
    if (progress == MAILDROP_DONE) {
        done(session);
        return;
    }
    session->store_busy = true;
    session->operation_done = done;
    if (session->wait == WAIT_NOTHING) {
        session->wait = WAIT_STORE;
    }
    pop3_server_flush(session->engine);
}

/* What is not welcome is told so by the engine, and closed. */
static bool is_welcome(struct session *session)
{
    struct worker *worker = session->worker;
    const struct configuration *configuration = &worker->configuration;
    uint8_t key[LIMITS_KEY_SIZE];
    address_key(&session->peer, key);
    if (!limits_connect(worker->limits, worker->process, configuration->connections)) {
        session->end = "connections-limit";
        return false;
    }
    if (!limits_take(worker->limits, LIMIT_ADDRESS, key, worker->process,
                     configuration->connections_per_address)) {
        limits_disconnect(worker->limits, worker->process);
        session->end = "connections-per-address-limit";
        return false;
    }
    session->counted = COUNTED_BY_ADDRESS;
    return true;
}

bool session_failed_too_often(const struct session *session)
{
    uint32_t most = session->worker->configuration.failures_per_address;
    uint8_t key[LIMITS_KEY_SIZE];
    address_key(&session->peer, key);
    return most != 0 && limits_failures(session->worker->limits, LIMIT_ADDRESS, key,
                                        uv_hrtime() / 1000000) >= most;
}

bool session_admit(struct session *session)
{
    bool secured = session->stream.secured;
    session->connection.encrypted = secured || session->client_tls;
    session->connection.user_allowed = may_send_password(session);
    session->connection.starttls = !session->tls_first && !session->connection.encrypted;
    if (!session->tls_first || secured) {
        login_offer(session); /* else when TLS is there: nothing is said before */
    }
    if (session->counted == COUNTED_AT_PROXY) {
        return true; /* who it is will be told */
    }
    if (session_failed_too_often(session)) {
        session->end = "failures-per-address-limit";
        session_disconnect(session);
    } else if (!is_welcome(session)) {
        session_end(session, POP3_END_LIMIT, NULL);
    }
    return session->end == NULL;
}

void session_begin(struct session *session)
{
    if (!session_admit(session)) {
        return;
    }
    if (session->tls_first) {
        begin_tls(session, session->input);
        wipe_held(session);
        deadlines_arm(session);
    } else {
        session_drive(session);
    }
}

static struct session *create(struct worker *worker)
{
    struct session *session = calloc(1, sizeof *session + pop3_server_size());
    if (session == NULL) {
        log_write(LOG_LEVEL_ERROR, "no memory for another session");
        abort(); /* the connection could neither be answered nor left: begin anew */
    }
    session->worker = worker;
    session->began = session->active = session->wrote = uv_now(&worker->loop);
    session->handles = 2;
    (void)uv_timer_init(&worker->loop, &session->timer);
    session->timer.data = session;
    session->holder.give_up = deadlines_give_up;
    session->operation.done = on_store_done;
    worker_add(worker, session);
    return session;
}

void session_accept(struct listener *listener)
{
    struct worker *worker = listener->worker;
    struct session *session = create(worker);
    if (stream_accept(&session->stream, (uv_stream_t *)&listener->tcp, &events, &worker->streams) <
            0 ||
        !stream_peer(&session->stream, &session->peer)) {
        /* gone before it was accepted */
        session->closing = true;
        if (!uv_is_closing((uv_handle_t *)&session->stream.tcp)) {
            stream_close(&session->stream);
        }
        uv_close((uv_handle_t *)&session->timer, on_timer_closed);
        return;
    }
    (void)address_format(&session->peer, session->address);
    session->tls_first = (listener->kind & LISTENER_TLS) != 0;
    session->near = address_is_loopback(&session->peer);
    session->engine =
        pop3_server_init(session->engine_memory, &worker->options, &session->connection);
    if ((listener->kind & LISTENER_PROXY) != 0) {
        proxied_begin(session);
    } else if (proxied_offer(session)) {
        session_begin(session);
    }
}
