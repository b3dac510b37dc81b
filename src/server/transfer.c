/* SPDX-License-Identifier: MIT */
/* What concerns the messages of an open maildrop: rows, octets, removal. */
#include <stdlib.h>

#include <pop3/surrogate.h>

#include "server/session.h"

/* A message on its way into its surrogate: out[used .. size-1] is to be sent. */
struct conversion {
    size_t size, used;
    struct pop3_surrogate *surrogate; /* in `memory` */
    uint8_t out[4096];
    max_align_t memory[];
};

static void log_failure(const struct session *session, const char *what)
{
    const struct error *error = &session->operation.error;
    log_write(error_log_level(error->kind), "%s of user=%s: %s", what, session->user, error->text);
}

static void on_rows(struct session *session)
{
    if (session->operation.error.kind != ERROR_NONE) {
        log_failure(session, "listing");
        pop3_server_failed(session->engine, session_failure_of(session->operation.error.kind));
        return;
    }
    pop3_server_rows(session->engine, session->page->rows, session->row_count);
}

static void look_up(struct session *session, uint32_t first, uint32_t count)
{
    if (session->page == NULL) {
        session->page = malloc(sizeof *session->page);
    }
    if (session->page == NULL) {
        pop3_server_failed(session->engine, POP3_FAILURE_TEMPORARY);
        return;
    }
    session->row_count = count;
    session_wait_for_store(
        session,
        maildrop_rows(session->maildrop, first - 1, count, session->page, &session->operation),
        on_rows);
}

static void on_checked(struct session *session)
{
    enum error_kind kind = session->operation.error.kind;
    if (kind == ERROR_NONE) {
        session->checked = true; /* the event comes again, for the row */
        return;
    }
    log_failure(session, "deletion");
    pop3_server_failed(session->engine, session_failure_of(kind));
}

void transfer_rows(struct session *session, const struct pop3_server_event *event)
{
    uint32_t first = event->u.rows.first;
    if (event->u.rows.deletion && !session->checked) {
        session_wait_for_store(
            session, maildrop_check(session->maildrop, first - 1, &session->operation), on_checked);
        return;
    }
    session->checked = false;
    look_up(session, first, event->u.rows.count);
}

static void take_chunk(struct session *session)
{
    session->chunk_size = session->operation.result.read.size;
    session->chunk_used = 0;
    session->chunk_offset += session->chunk_size;
    session->chunk_last = session->operation.result.read.end;
}

static void log_wrong_row(const struct session *session)
{
    log_write(
        LOG_LEVEL_WARNING,
        "maildrop of user=%s: message %u is not as large as its file's name says; it was sent "
        "whole, and its row is right from the next login on",
        session->user, session->open_message + 1);
}

static void begin_conversion(struct session *session)
{
    struct conversion *conversion = malloc(sizeof *conversion + pop3_surrogate_size());
    if (conversion != NULL) {
        conversion->size = conversion->used = 0;
        conversion->surrogate = pop3_surrogate_init(conversion->memory);
    }
    session->conversion = conversion;
}

static void end_conversion(struct session *session)
{
    free(session->conversion);
    session->conversion = NULL;
}

/* Until there is something to send of it, or no more of the message is here. */
static void convert(struct session *session)
{
    struct conversion *conversion = session->conversion;
    while (conversion->used == conversion->size && session->chunk_used < session->chunk_size) {
        conversion->used = 0;
        session->chunk_used +=
            pop3_surrogate_feed(conversion->surrogate, session->chunk.memory + session->chunk_used,
                                session->chunk_size - session->chunk_used, conversion->out,
                                sizeof conversion->out, &conversion->size);
    }
    if (conversion->used == conversion->size && session->chunk_last) {
        conversion->used = 0;
        conversion->size =
            pop3_surrogate_end(conversion->surrogate, conversion->out, sizeof conversion->out);
    }
}

static void close_message(struct session *session)
{
    end_conversion(session);
    maildrop_read_done(session->maildrop);
    buffers_return(&session->worker->buffers, &session->chunk);
}

static void on_message_opened(struct session *session)
{
    const struct error *error = &session->operation.error;
    if (error->kind != ERROR_NONE) {
        log_failure(session, "message");
        close_message(session);
        pop3_server_failed(session->engine, session_failure_of(error->kind));
        return;
    }
    if (session->operation.result.read.row_was_wrong) {
        log_wrong_row(session);
    }
    if (session->operation.result.read.needs_surrogate) {
        begin_conversion(session);
        if (session->conversion == NULL) {
            close_message(session);
            pop3_server_failed(session->engine, POP3_FAILURE_TEMPORARY);
            return;
        }
    }
    take_chunk(session);
    pop3_server_message_opened(session->engine, 0);
}

void transfer_send(struct session *session, const struct pop3_server_event *event)
{
    session->chunk = buffers_lend(&session->worker->buffers);
    if (session->chunk.memory == NULL) {
        pop3_server_failed(session->engine, POP3_FAILURE_TEMPORARY);
        return;
    }
    session->open_message = event->u.send.number - 1;
    session->open_for_top = event->u.send.top != 0;
    session->sent_before = pop3_server_counters(session->engine)->retr_octets;
    session->chunk_offset = 0;
    session_wait_for_store(session,
                           maildrop_read(session->maildrop, session->open_message, 0,
                                         session->chunk.memory, session->chunk.size,
                                         &session->operation),
                           on_message_opened);
}

static void on_chunk(struct session *session)
{
    const struct error *error = &session->operation.error;
    if (error->kind != ERROR_NONE) {
        log_failure(session, "message");
        close_message(session);
        pop3_server_failed(session->engine, session_failure_of(error->kind));
        return;
    }
    take_chunk(session);
}

static void end_message(struct session *session)
{
    uint64_t sent = pop3_server_counters(session->engine)->retr_octets - session->sent_before;
    if (!session->open_for_top && !maildrop_sent(session->maildrop, sent)) {
        log_wrong_row(session);
    }
    close_message(session);
}

void transfer_message(struct session *session)
{
    struct conversion *conversion = session->conversion;
    if (conversion != NULL) {
        convert(session);
    }
    if (conversion != NULL && conversion->used < conversion->size) {
        conversion->used += pop3_server_message(session->engine, conversion->out + conversion->used,
                                                conversion->size - conversion->used);
    } else if (session->chunk_used < session->chunk_size) {
        session->chunk_used +=
            pop3_server_message(session->engine, session->chunk.memory + session->chunk_used,
                                session->chunk_size - session->chunk_used);
    } else if (session->chunk_last) {
        pop3_server_message_end(session->engine);
        end_message(session);
    } else {
        session_wait_for_store(session,
                               maildrop_read(session->maildrop, session->open_message,
                                             session->chunk_offset, session->chunk.memory,
                                             session->chunk.size, &session->operation),
                               on_chunk);
    }
}

void transfer_stop(struct session *session)
{
    close_message(session);
    pop3_server_stopped(session->engine);
}

static void let_go(struct session *session)
{
    if (session->holding) {
        holders_remove(&session->worker->holders, &session->holder);
        session->holding = false;
    }
    session->maildrop = NULL;
}

static void on_committed(struct session *session)
{
    const struct error *error = &session->operation.error;
    uint32_t not_removed = session->operation.result.committed.not_removed;
    session->removed = session->operation.result.committed.removed;
    if (error->kind != ERROR_NONE || not_removed > 0) {
        log_write(LOG_LEVEL_WARNING, "maildrop of user=%s: %u messages not removed%s%s",
                  session->user, not_removed, error->kind != ERROR_NONE ? ": " : "",
                  error->kind != ERROR_NONE ? error->text : "");
    }
    pop3_server_committed(session->engine, not_removed);
}

void transfer_commit(struct session *session, const struct pop3_server_event *event)
{
    struct maildrop *maildrop = session->maildrop;
    let_go(session);
    session_wait_for_store(session,
                           maildrop_commit(maildrop, event->u.commit.marks, &session->operation),
                           on_committed);
}

void transfer_release(struct session *session)
{
    struct maildrop *maildrop = session->maildrop;
    if (maildrop != NULL) {
        if (!session->store_busy) { /* else a thread may be writing into it */
            buffers_return(&session->worker->buffers, &session->chunk);
        }
        let_go(session);
        maildrop_release(maildrop);
    }
}

void transfer_free(struct session *session)
{
    buffers_return(&session->worker->buffers, &session->chunk);
    buffers_return(&session->worker->buffers, &session->output);
    end_conversion(session);
    free(session->marks);
    free(session->sasl);
    free(session->page);
    session->granted = maildrop_store_free(session->granted);
}
