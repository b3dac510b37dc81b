/* SPDX-License-Identifier: MIT */
/* From a user who is known to an open maildrop: its lock, and waiting for it while another session has it. */
#include <stdlib.h>

#include "base/container_of.h"
#include "server/session.h"

enum { RETRY_MS = 250 };

/* The maildrop could not be opened: the session is as before the login. */
static void refuse_open(struct session *session, enum error_kind kind)
{
    login_forget_user(session);
    session->granted = maildrop_store_free(session->granted);
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
    session->connection.timestamp = NULL; /* nobody logs in twice */
    free(session->timestamp);
    session->timestamp = NULL;
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
    struct maildrop_owner owner = {
        .user = session->user, .path = session->path, .surrogates = session->wants_surrogates};
    struct maildrop_store *store =
        session->granted != NULL ? session->granted : session->worker->store;
    enum maildrop_progress progress = maildrop_open(store, &owner, &session->operation);
    if (progress == MAILDROP_PENDING) {
        session->wait = WAIT_OPEN;
    }
    session_wait_for_store(session, progress, on_opened);
}

void login_open(struct session *session, const struct pop3_server_event *event)
{
    session->wants_surrogates = event->u.open.surrogates != 0;
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
