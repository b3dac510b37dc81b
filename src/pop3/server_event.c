/* SPDX-License-Identifier: MIT */
/* What the host is asked: the one event that stands for what the session does, and the answers about
 * output and loans. An event is made anew each time from the session, so that it comes again until it is
 * answered. */
#include <pop3/server.h>

#include <assert.h>

#include "pop3/session.h"

static void give_write(const struct pop3_server *session, struct pop3_server_event *event)
{
    struct bytes pending = buffer_pending(&session->output);
    event->type = POP3_SERVER_WRITE;
    event->u.write.data = pending.data;
    event->u.write.size = pending.size;
}

static void give_lend(struct pop3_server_event *event, enum pop3_server_purpose purpose,
                      size_t size)
{
    event->type = POP3_SERVER_LEND;
    event->u.lend.purpose = purpose;
    event->u.lend.size = size;
}

static bool give_return(struct pop3_server_event *event, enum pop3_server_purpose purpose,
                        void *memory)
{
    event->type = POP3_SERVER_RETURN;
    event->u.returned.purpose = purpose;
    event->u.returned.memory = memory;
    return memory != NULL;
}

/* The loan that is not needed while the session waits for input. */
static bool give_needless(struct pop3_server *session, struct pop3_server_event *event)
{
    if (!session->exchange && !session->long_auth &&
        give_return(event, POP3_LEND_SASL, session->sasl.data)) {
        return true;
    }
    if (session->counters.marked_count == 0 &&
        give_return(event, POP3_LEND_MARKS, session->marks)) {
        return true;
    }
    return give_return(event, POP3_LEND_OUTPUT, session->output.data);
}

static void give_idle(struct pop3_server *session, struct pop3_server_event *event)
{
    if (!session->more_held) {
        if (session_pending(session) != 0) {
            give_write(session, event);
            return;
        }
        if (give_needless(session, event)) {
            return;
        }
    }
    event->type = POP3_SERVER_NEED_INPUT;
}

static void give_starttls(struct pop3_server *session, struct pop3_server_event *event)
{
    if (session_pending(session) != 0) {
        give_write(session, event);
    } else if (session->more_held) {
        session_close(session); /* plaintext behind STLS: never interpreted */
        event->type = POP3_SERVER_CLOSE;
    } else if (!give_needless(session, event)) {
        session->tls_begun = true;
        event->type = POP3_SERVER_STARTTLS;
    }
}

static void give_authenticate(const struct pop3_server *session, struct pop3_server_event *event)
{
    event->type = POP3_SERVER_AUTHENTICATE;
    event->u.authenticate.method = session->authenticate.method;
    event->u.authenticate.name = (const char *)session->authenticate.name.data;
    event->u.authenticate.name_size = session->authenticate.name.size;
    event->u.authenticate.response = session->authenticate.response.data;
    event->u.authenticate.response_size = session->authenticate.response.size;
    event->u.authenticate.has_response = session->authenticate.has_response;
}

static void give_message_event(const struct pop3_server *session, struct pop3_server_event *event)
{
    if (session->doing == DOING_ROWS) {
        event->type = POP3_SERVER_ROWS;
        event->u.rows.first = session->number;
        event->u.rows.count = session->rows_count;
        event->u.rows.deletion = session->listing == LISTING_DELETION;
    } else if (session->doing == DOING_SENDING) {
        event->type = POP3_SERVER_SEND;
        event->u.send.number = session->number;
        event->u.send.top = session->top;
        event->u.send.surrogate = session_needs_surrogates(session);
    } else {
        event->type = POP3_SERVER_COMMIT;
        event->u.commit.count = (uint32_t)session->counters.marked_count;
        event->u.commit.marks = event->u.commit.count == 0 ? NULL : session->marks;
    }
}

/* The event that stands for what is being done. */
static void give(struct pop3_server *session, struct pop3_server_event *event)
{
    switch (session->doing) {
    case DOING_READING:
    case DOING_LISTING:
        give_idle(session, event);
        break;
    case DOING_LENDING_MARKS:
        give_lend(event, POP3_LEND_MARKS, (session->count + UINT64_C(7)) / 8);
        break;
    case DOING_LENDING_SASL:
        give_lend(event, POP3_LEND_SASL, POP3_SASL_LINE_OCTETS);
        break;
    case DOING_AUTHENTICATING:
        give_authenticate(session, event);
        break;
    case DOING_CANCELLING:
        event->type = POP3_SERVER_CANCEL;
        break;
    case DOING_IDENTIFYING:
        event->type = POP3_SERVER_CLIENT;
        event->u.client.address = (const char *)session->client.address.data;
        event->u.client.address_size = session->client.address.size;
        event->u.client.port = session->client.port;
        break;
    case DOING_OPENING:
        event->type = POP3_SERVER_OPEN;
        event->u.open.surrogates = session_needs_surrogates(session);
        break;
    case DOING_ROWS:
    case DOING_SENDING:
    case DOING_COMMITTING:
        give_message_event(session, event);
        break;
    case DOING_MESSAGE:
        event->type = POP3_SERVER_MESSAGE;
        break;
    case DOING_STOPPING:
        event->type = POP3_SERVER_STOP;
        break;
    case DOING_STARTING_TLS:
        give_starttls(session, event);
        break;
    case DOING_RELEASING:
        event->type = POP3_SERVER_RELEASE;
        break;
    case DOING_CLOSING:
        if (session_pending(session) != 0) {
            give_write(session, event);
        } else {
            event->type = POP3_SERVER_CLOSE;
        }
        break;
    }
}

void pop3_server_next(struct pop3_server *session, struct pop3_server_event *event)
{
    session_go_on(session);
    *event = (struct pop3_server_event){.type = POP3_SERVER_NEED_INPUT};
    if (session->flush && session_pending(session) != 0) {
        give_write(session, event);
    } else if (!session_lacks_room(session)) {
        give(session, event);
    } else if (session->output.data == NULL) {
        give_lend(event, POP3_LEND_OUTPUT, POP3_OUTPUT_LEAST_OCTETS);
    } else {
        give_write(session, event);
    }
}

void pop3_server_flush(struct pop3_server *session)
{
    session->flush = session_pending(session) != 0;
}

void pop3_server_written(struct pop3_server *session, size_t count)
{
    if (session->muted) {
        return; /* the session was ended while the host wrote */
    }
    buffer_consume(&session->output, count);
    session->flush = session->flush && session_pending(session) != 0;
}

static void lend_sasl(struct pop3_server *session, void *memory, size_t size)
{
    session->doing = DOING_READING;
    if (memory == NULL) {
        session->deferred = TEXT_TEMPORARY;
        session->discarding = true;
        session->line_complete = true;
        return;
    }
    assert(size >= POP3_SASL_LINE_OCTETS);
    buffer_init(&session->sasl, memory, POP3_SASL_LINE_OCTETS);
    session_move_line(session);
}

static void lend_marks(struct pop3_server *session, void *memory, size_t size)
{
    if (memory == NULL) {
        session_answer(session, reply_of(TEXT_TEMPORARY));
        return;
    }
    size_t needed = (size_t)((session->count + UINT64_C(7)) / 8);
    assert(size >= needed);
    session->marks = memory;
    memset(session->marks, 0, needed);
    session->doing = DOING_ROWS;
}

void pop3_server_lent(struct pop3_server *session, void *memory, size_t size)
{
    if (session->doing == DOING_LENDING_MARKS) {
        lend_marks(session, memory, size);
    } else if (session->doing == DOING_LENDING_SASL) {
        lend_sasl(session, memory, size);
    } else if (memory == NULL) {
        session->muted = true;
        session->last_line = TEXT_NONE;
        if (session->state != POP3_ENDED) {
            session_close(session);
        }
    } else {
        assert(session->output.data == NULL && size >= POP3_OUTPUT_LEAST_OCTETS);
        buffer_init(&session->output, memory, size);
    }
}

void pop3_server_returned(struct pop3_server *session)
{
    struct pop3_server_event event;
    bool given = give_needless(session, &event);
    assert(given);
    switch (event.u.returned.purpose) {
    case POP3_LEND_SASL:
        session->sasl = (struct buffer){0};
        break;
    case POP3_LEND_MARKS:
        session->marks = NULL;
        break;
    case POP3_LEND_OUTPUT:
        session->output = (struct buffer){0};
        break;
    }
}
