/* SPDX-License-Identifier: MIT */
/* The times of a session. One timer, moved as seldom as possible: when it fires, the deadlines are looked
 * at, and it is set to the next one. What counts as silence: no octet received, none acknowledged. */
#include "base/container_of.h"
#include "server/session.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the session has to be looked at next. */
static uint64_t next_deadline(const struct session *session)
{
    const struct configuration *configuration = &session->worker->configuration;
    uint64_t deadline = UINT64_MAX;
    if (session->lingering) {
        return session->wait_until;
    }
    if (session->header_due) {
        return session->began + configuration->proxy_header_timeout_ms;
    }
    if (session->wait == WAIT_AUTH || session->wait == WAIT_DELAY || session->wait == WAIT_HOLDER ||
        session->wait == WAIT_THROTTLE) {
        deadline = session->wait_until;
    }
    if (session->stream.writing) {
        deadline = earlier(deadline, session->wrote + configuration->write_timeout_ms);
    }
    if (!session_is_logged_in(session)) {
        return earlier(deadline, session->began + configuration->login_timeout_ms);
    }
    if (session->stream.reading) {
        deadline = earlier(deadline, session->wrote + configuration->idle_timeout_ms);
    }
    if (!session->sampled) {
        deadline = earlier(deadline, session->active + configuration->take_over_idle_ms / 2);
    }
    return deadline;
}

static void on_timer(uv_timer_t *timer);

void deadlines_arm(struct session *session)
{
    if (session->closing) {
        return;
    }
    uint64_t now = uv_now(&session->worker->loop);
    uint64_t deadline = next_deadline(session);
    if (session->armed != 0 && session->armed <= deadline) {
        return; /* it fires soon enough and is set anew then */
    }
    session->armed = deadline;
    (void)uv_timer_start(&session->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

/* Octets that the peer acknowledges are a sign of life, too. */
static void take_sample(struct session *session)
{
    uint64_t now = uv_now(&session->worker->loop);
    struct tcp_progress progress;
    if (!stream_progress(&session->stream, &progress)) {
        return;
    }
    if (!session->sampled) {
        uint64_t acknowledged = now - earlier(now, progress.acknowledged_ms_ago);
        session->silent_since = acknowledged > session->active ? acknowledged : session->active;
    } else if (progress.received != session->sample.received ||
               progress.acknowledged != session->sample.acknowledged) {
        session->silent_since = now;
    }
    session->sample = progress;
    session->sampled = true;
}

bool deadlines_give_up(struct holder *holder)
{
    struct session *session = CONTAINER_OF(holder, struct session, holder);
    uint64_t now = uv_now(&session->worker->loop);
    take_sample(session);
    if (pop3_server_state(session->engine) != POP3_TRANSACTION ||
        now - session->silent_since < session->worker->configuration.take_over_idle_ms) {
        return false;
    }
    session_end(session, POP3_END_TAKEN_OVER, "taken-over");
    return true;
}

/* Has a reply moved since it was looked at? Acknowledgements count. */
static bool reply_moves(struct session *session)
{
    struct tcp_progress progress;
    if (!stream_progress(&session->stream, &progress)) {
        return false;
    }
    bool moves = progress.acknowledged != session->sample.acknowledged;
    session->sample = progress;
    session->sampled = true;
    return moves;
}

static void check_deadlines(struct session *session)
{
    const struct configuration *configuration = &session->worker->configuration;
    uint64_t now = uv_now(&session->worker->loop);
    if (session->lingering) {
        session_disconnect(session);
        return;
    }
    if (session->header_due) {
        if (now >= session->began + configuration->proxy_header_timeout_ms) {
            session_end(session, POP3_END_TIMEOUT, "proxy-header-timeout");
        }
        return;
    }
    if (session->stream.writing && now >= session->wrote + configuration->write_timeout_ms) {
        if (!reply_moves(session)) {
            session_end(session, POP3_END_PEER_GONE, "write-timeout");
            return;
        }
        session->wrote = now;
    }
    if (!session_is_logged_in(session) && now >= session->began + configuration->login_timeout_ms) {
        session_end(session, POP3_END_TIMEOUT, "login-timeout");
        return;
    }
    if (session_is_logged_in(session)) {
        if (session->stream.reading && now >= session->wrote + configuration->idle_timeout_ms) {
            session_end(session, POP3_END_TIMEOUT, "idle-timeout");
            return;
        }
        if (!session->sampled && now >= session->active + configuration->take_over_idle_ms / 2) {
            take_sample(session);
        }
    }
    if (session->wait_until <= now) {
        if (session->wait == WAIT_AUTH) {
            struct auth_result late = {.kind = ERROR_TEMPORARY};
            auth_client_forget(&session->worker->auth, &session->call);
            session->call.done(&session->call, &late, -1);
        } else if (session->wait == WAIT_DELAY) {
            login_delay_is_over(session);
        } else if (session->wait == WAIT_THROTTLE) {
            login_throttle_is_over(session);
        } else if (session->wait == WAIT_HOLDER) {
            login_try_again(session);
        }
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct session *session = timer->data;
    session->armed = 0;
    check_deadlines(session);
    deadlines_arm(session);
}
