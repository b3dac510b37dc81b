/* SPDX-License-Identifier: MIT */
/* The machine itself: octets in, commands obeyed when their replies have room, the end. The commands are
 * in server_authorization.c, server_transaction.c and server_update.c, the events in server_event.c.
 *
 * 1. A line is obeyed only when there is room for its reply's first line, so that a handler never waits
 * for the output. 2. While a command is under way no input is taken. 3. Octets that are out in a WRITE
 * stay where they are: replies are only appended behind them. 4. One command, one reply. */
#include <pop3/server.h>

#include <assert.h>

#include "pop3/session.h"

static const unsigned legal_edges[] = {
    [POP3_AUTHORIZATION] = 1U << POP3_TRANSACTION | 1U << POP3_ENDED,
    [POP3_TRANSACTION] = 1U << POP3_UPDATE | 1U << POP3_ENDED,
    [POP3_UPDATE] = 1U << POP3_ENDED,
    [POP3_ENDED] = 0,
};

void session_set_state(struct pop3_server *session, enum pop3_state state)
{
    assert((legal_edges[session->state] >> state & 1U) != 0);
    session->state = state;
}

void session_wipe(struct pop3_server *session)
{
    size_t from = session->name_is_new ? session->name_size : 0;
    explicit_bzero(session->line + from, sizeof session->line - from);
    if (session->sasl.data != NULL) {
        explicit_bzero(session->sasl.data, session->line_size);
    }
}

void session_close(struct pop3_server *session)
{
    session->name_is_new = false;
    session_wipe(session);
    session_set_state(session, POP3_ENDED);
    session->doing = session->maildrop_open ? DOING_RELEASING : DOING_CLOSING;
}

static void write_reply(struct pop3_server *session, const struct reply *reply)
{
    if (!session->muted) {
        reply_append(&session->output, session->language, reply);
    }
}

void session_reply(struct pop3_server *session, const struct reply *reply)
{
    if (reply->text == TEXT_NONE) {
        return;
    }
    if (!reply_is_bad(reply)) {
        session->counters.bad_commands = 0;
        write_reply(session, reply);
        return;
    }
    session->counters.bad_commands++;
    if (session->counters.bad_commands != session->options->max_bad_commands) {
        write_reply(session, reply);
        return;
    }
    struct reply last = reply_of(TEXT_TOO_MANY_BAD);
    write_reply(session, &last);
    session_close(session);
}

void session_end_command(struct pop3_server *session)
{
    session_wipe(session);
    if (!session->name_is_new) {
        session->name_size = 0;
    }
    session->name_is_new = false;
    session->line_size = 0;
    session->line_complete = false;
    session->long_auth = false;
    session->doing = DOING_READING;
}

void session_answer(struct pop3_server *session, struct reply reply)
{
    session_reply(session, &reply);
    if (session->state != POP3_ENDED) {
        session_end_command(session);
    }
}

size_t pop3_server_size(void)
{
    return sizeof(struct pop3_server);
}

struct pop3_server *pop3_server_init(void *memory, const struct pop3_server_options *options,
                                     const struct pop3_server_connection *connection)
{
    struct pop3_server *session = memory;
    *session =
        (struct pop3_server){.options = options, .connection = connection, .greeting_due = true};
    return session;
}

/* Where the line under way is collected, and how many octets it may have without its LF. */
static uint8_t *line_memory(struct pop3_server *session, size_t *capacity)
{
    if (session->sasl.data != NULL && (session->exchange || session->long_auth)) {
        *capacity = session->sasl.capacity - 1;
        return session->sasl.data;
    }
    *capacity = sizeof session->line - session->name_size - 1;
    return session->line + session->name_size;
}

/* An initial response may not be so long (RFC 5034 section 4), but real tokens are. */
static bool begins_auth(const struct pop3_server *session)
{
    struct bytes keyword = bytes_of("AUTH ");
    struct bytes start = {.data = session->line + session->name_size, .size = keyword.size};
    return !session->long_auth && session->state == POP3_AUTHORIZATION &&
           session->connection->sasl_mechanisms != NULL && session->line_size >= keyword.size &&
           bytes_equal_ignoring_case(start, keyword);
}

void session_move_line(struct pop3_server *session)
{
    memcpy(session->sasl.data, session->line + session->name_size, session->line_size);
}

/* The line is longer than it may be: what belongs to an exchange goes on in the room that is lent for it;
 * of any other, the first octets have been taken and the rest will be dropped. */
static void exceed(struct pop3_server *session)
{
    if (session->exchange ? session->sasl.data == NULL : begins_auth(session)) {
        session->long_auth = !session->exchange;
        if (session->sasl.data == NULL) {
            session->doing = DOING_LENDING_SASL;
        } else {
            session_move_line(session); /* still here from an exchange before */
        }
        return;
    }
    session->deferred = TEXT_LINE_TOO_LONG;
    session->discarding = true;
    session->line_complete = true;
}

static size_t take_line(struct pop3_server *session, struct bytes input)
{
    size_t capacity;
    uint8_t *line = line_memory(session, &capacity);
    size_t room = capacity - session->line_size;
    struct bytes window = input;
    window.size = window.size <= room ? window.size : room + 1;
    size_t end = bytes_find(window, '\n');
    size_t stored = end < room ? end : room;
    memcpy(line + session->line_size, input.data, stored);
    session->line_size += stored;
    if (end < window.size) {
        session->line_complete = true;
        return end + 1;
    }
    if (window.size > room) {
        exceed(session);
    }
    return stored;
}

static size_t take(struct pop3_server *session, struct bytes input)
{
    if (!session->discarding) {
        return take_line(session, input);
    }
    size_t end = bytes_find(input, '\n');
    session->discarding = end == input.size;
    return session->discarding ? end : end + 1;
}

static bool is_blank(struct bytes line)
{
    for (size_t i = 0; i < line.size; i++) {
        if (line.data[i] != ' ') {
            return false;
        }
    }
    return true;
}

/* What may be a line end in a name or a password that a proxy handed on, and a command behind it. XCLIENT
 * is the proxy's own, and CAPA the client's: no proxy asks it for him. */
static bool is_smuggled(const struct pop3_server *session, const struct command *command)
{
    return session->followed && session->connection->proxied != 0 &&
           session->state == POP3_AUTHORIZATION && !session->capa_asked &&
           (command == NULL ||
            (command->handler != handle_capa && command->handler != handle_xclient));
}

static struct reply refuse_smuggled(struct pop3_server *session)
{
    session->counters.pipelined = 1;
    session->last_line = TEXT_PIPELINED;
    session_close(session);
    return reply_of(TEXT_NONE);
}

static struct reply obey_command(struct pop3_server *session, struct bytes line)
{
    if (session->deferred != TEXT_NONE && is_smuggled(session, NULL)) {
        return refuse_smuggled(session);
    }
    if (session->deferred != TEXT_NONE) {
        struct reply reply = reply_of(session->deferred);
        session->deferred = TEXT_NONE;
        return reply;
    }
    const struct command *command = NULL;
    struct arguments arguments;
    struct reply reply = command_parse(session, line, &command, &arguments);
    if (is_smuggled(session, command)) {
        return refuse_smuggled(session);
    }
    return reply.text == TEXT_NONE ? command->handler(session, &arguments) : reply;
}

/* The line is complete and its reply has room. */
static void obey_line(struct pop3_server *session)
{
    size_t capacity;
    uint8_t *memory = line_memory(session, &capacity);
    struct bytes line = {.data = memory, .size = session->line_size};
    if (line.size != 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    struct reply reply;
    if (session->exchange && is_smuggled(session, NULL)) {
        reply = refuse_smuggled(session);
    } else if (session->exchange) {
        reply = authorization_continue(session, memory, line.size);
    } else if (is_blank(line) && session->deferred == TEXT_NONE) {
        session->line_size = 0; /* no command: no reply, and a name goes on waiting */
        session->line_complete = false;
        return;
    } else {
        reply = obey_command(session, line);
    }
    session_reply(session, &reply);
    if (session->doing == DOING_READING) {
        session_end_command(session);
    }
}

static void greet(struct pop3_server *session)
{
    const char *timestamp = session->connection->timestamp;
    struct reply reply = {.text =
                              session->connection->xclient != 0 ? TEXT_GREETING_XCLIENT : TEXT_OK,
                          .prefix = session->options->greeting};
    reply.suffix = bytes_of(timestamp == NULL ? "" : timestamp);
    write_reply(session, &reply);
    session->greeting_due = false;
}

/* One line of a listing that asks nobody; false if there are no more. */
static bool append_listed(struct pop3_server *session)
{
    struct buffer *output = &session->output;
    unsigned index = session->number++;
    if (session->listing == LISTING_CAPABILITIES) {
        return command_append_capability(session, index, output);
    }
    if (session->listing == LISTING_MECHANISMS) {
        return authorization_append_mechanism(session, index, output);
    }
    if (index == LANGUAGE_COUNT) {
        return false;
    }
    enum language language = (enum language)index;
    reply_append_line(output, bytes_of(language_tag(language)), bytes_of(language_name(language)));
    return true;
}

static size_t line_room(const struct pop3_server *session)
{
    if (session->state != POP3_AUTHORIZATION || session->connection->sasl_mechanisms == NULL) {
        return REPLY_OCTETS;
    }
    size_t capacity = session->output.data == NULL ? REPLY_OCTETS : session->output.capacity;
    return capacity < SESSION_CHALLENGE_OCTETS ? capacity : SESSION_CHALLENGE_OCTETS;
}

/* The room that the output must have before anything goes on; 0: none is needed. */
static size_t needed_room(const struct pop3_server *session)
{
    switch (session->doing) {
    case DOING_READING:
        return session->greeting_due    ? REPLY_OCTETS
               : session->line_complete ? line_room(session)
                                        : 0;
    case DOING_LISTING:
        return REPLY_OCTETS + 3; /* the terminator */
    case DOING_ROWS:
        return transaction_rows_room(session);
    case DOING_MESSAGE:
        return 4 * MULTILINE_RESERVE_OCTETS;
    case DOING_CLOSING:
        return session->last_line == TEXT_NONE ? 0 : REPLY_OCTETS;
    case DOING_LENDING_MARKS:
    case DOING_LENDING_SASL:
    case DOING_AUTHENTICATING:
    case DOING_CANCELLING:
    case DOING_IDENTIFYING:
    case DOING_OPENING:
    case DOING_SENDING:
    case DOING_STOPPING:
    case DOING_COMMITTING:
    case DOING_STARTING_TLS:
    case DOING_RELEASING:
        break;
    }
    return 0;
}

bool session_lacks_room(const struct pop3_server *session)
{
    size_t needed = needed_room(session);
    return needed != 0 && !session->muted &&
           (session->output.data == NULL || buffer_room(&session->output) < needed);
}

/* Does what can be done without the host: true if something changed. */
static bool step(struct pop3_server *session)
{
    if (session_lacks_room(session)) {
        return false;
    }
    if (session->doing == DOING_READING && session->greeting_due) {
        greet(session);
        return true;
    }
    if (session->doing == DOING_READING && session->line_complete) {
        obey_line(session);
        return true;
    }
    if (session->doing == DOING_LISTING) {
        if (!append_listed(session)) {
            reply_append_terminator(&session->output);
            session_end_command(session);
        }
        return true;
    }
    if (session->doing == DOING_ROWS) {
        return !transaction_next_rows(session);
    }
    if (session->doing == DOING_CLOSING && session->last_line != TEXT_NONE) {
        struct reply reply = reply_of(session->last_line);
        session->last_line = TEXT_NONE;
        write_reply(session, &reply);
        return true;
    }
    return false;
}

void session_go_on(struct pop3_server *session)
{
    while (step(session)) {
    }
}

size_t pop3_server_feed(struct pop3_server *session, const void *data, size_t size)
{
    struct bytes rest = {.data = data, .size = size};
    for (;;) {
        session_go_on(session);
        if (session->state == POP3_ENDED) {
            return size; /* dropped */
        }
        if (rest.size == 0 || session->doing != DOING_READING || session->line_complete) {
            break;
        }
        rest = bytes_from(rest, take(session, rest));
        session->followed = rest.size != 0;
    }
    if (size != 0 && !session->tls_begun) {
        session->more_held = rest.size != 0;
    }
    return size - rest.size;
}

/* Is a multi-line response under way, or the plaintext of the connection at its end? */
static bool is_inside(const struct pop3_server *session)
{
    return session->doing == DOING_MESSAGE || session->doing == DOING_LISTING ||
           session->doing == DOING_STARTING_TLS ||
           (session->doing == DOING_ROWS &&
            (session->listing == LISTING_SIZES || session->listing == LISTING_UNIQUE_IDS));
}

void pop3_server_end(struct pop3_server *session, enum pop3_end_reason reason)
{
    bool silent = reason == POP3_END_PEER_GONE || reason == POP3_END_TIMEOUT;
    if (silent || (session->state != POP3_ENDED && is_inside(session))) {
        session->muted = true;
        session->last_line = TEXT_NONE;
    }
    if (session->doing == DOING_COMMITTING || session->state == POP3_ENDED) {
        return;
    }
    if (!session->muted) {
        session->last_line = reason == POP3_END_TAKEN_OVER ? TEXT_TAKEN_OVER
                             : reason == POP3_END_LIMIT    ? TEXT_LIMIT
                                                           : TEXT_SHUTDOWN;
    }
    session_close(session);
}

enum pop3_state pop3_server_state(const struct pop3_server *session)
{
    return session->state;
}

const struct pop3_server_counters *pop3_server_counters(const struct pop3_server *session)
{
    return &session->counters;
}
