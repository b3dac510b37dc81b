/* SPDX-License-Identifier: MIT */
/* TRANSACTION: STAT, LIST, UIDL, RETR, TOP, DELE, NOOP, RSET (RFC 1939 sections 5 and 7) and the answers
 * to ROWS, SEND, MESSAGE and STOP.
 *
 * 1. The session holds totals and marks, never a list: rows are asked for page by page, as the output
 * drains. 2. What is marked is neither shown nor counted, and no command reaches it. 3. A multi-line
 * response ends with its terminator, or the connection ends without it. */
#include <pop3/server.h>

#include <assert.h>

#include "base/number.h"
#include "pop3/session.h"

enum {
    SIZE_ROW_OCTETS = 10 + 1 + 20 + 2, /* message number, octets */
    UNIQUE_ID_ROW_OCTETS = 10 + 1 + POP3_UNIQUE_ID_OCTETS + 2,
    TERMINATOR_OCTETS = 3
};

static uint32_t unmarked_count(const struct pop3_server *session)
{
    return session->count - (uint32_t)session->counters.marked_count;
}

static uint64_t unmarked_octets(const struct pop3_server *session)
{
    uint64_t marked = session->counters.marked_octets;
    return session->octets > marked ? session->octets - marked : 0;
}

struct reply handle_stat(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    return (struct reply){.text = TEXT_NUMBERS,
                          .numbers = {unmarked_count(session), unmarked_octets(session)}};
}

static struct reply ask_row(struct pop3_server *session, enum listing listing, uint64_t number)
{
    session->doing = DOING_ROWS;
    session->listing = listing;
    session->number = (uint32_t)number;
    session->rows_count = 0;
    return reply_of(TEXT_NONE);
}

struct reply handle_list(struct pop3_server *session, const struct arguments *arguments)
{
    if (arguments->count != 0) {
        return ask_row(session, LISTING_SIZE, arguments->numbers[0]);
    }
    (void)ask_row(session, LISTING_SIZES, 1);
    uint32_t count = unmarked_count(session);
    return (struct reply){.text = count == 1 ? TEXT_ONE_MESSAGE : TEXT_MESSAGES,
                          .numbers = {count}};
}

struct reply handle_uidl(struct pop3_server *session, const struct arguments *arguments)
{
    if (arguments->count != 0) {
        return ask_row(session, LISTING_UNIQUE_ID, arguments->numbers[0]);
    }
    (void)ask_row(session, LISTING_UNIQUE_IDS, 1);
    return reply_of(TEXT_UNIQUE_IDS);
}

static struct reply send(struct pop3_server *session, const struct arguments *arguments, bool top)
{
    session->doing = DOING_SENDING;
    session->number = (uint32_t)arguments->numbers[0];
    session->top = top;
    session->top_lines = arguments->numbers[1];
    return reply_of(TEXT_NONE);
}

struct reply handle_retr(struct pop3_server *session, const struct arguments *arguments)
{
    return send(session, arguments, false);
}

struct reply handle_top(struct pop3_server *session, const struct arguments *arguments)
{
    return send(session, arguments, true);
}

struct reply handle_dele(struct pop3_server *session, const struct arguments *arguments)
{
    (void)ask_row(session, LISTING_DELETION, arguments->numbers[0]);
    if (session->marks == NULL) {
        session->doing = DOING_LENDING_MARKS; /* then its row */
    }
    return reply_of(TEXT_NONE);
}

struct reply handle_noop(struct pop3_server *session, const struct arguments *arguments)
{
    (void)session;
    (void)arguments;
    return reply_of(TEXT_OK);
}

struct reply handle_rset(struct pop3_server *session, const struct arguments *arguments)
{
    (void)arguments;
    if (session->marks != NULL) {
        memset(session->marks, 0, (session->count + UINT64_C(7)) / 8);
    }
    session->counters.marked_count = 0;
    session->counters.marked_octets = 0;
    return reply_of(TEXT_UNMARKED);
}

static bool is_whole_listing(const struct pop3_server *session)
{
    return session->listing == LISTING_SIZES || session->listing == LISTING_UNIQUE_IDS;
}

static size_t row_octets(const struct pop3_server *session)
{
    return session->listing == LISTING_SIZES ? SIZE_ROW_OCTETS : UNIQUE_ID_ROW_OCTETS;
}

size_t transaction_rows_room(const struct pop3_server *session)
{
    if (!is_whole_listing(session) || session->rows_count != 0) {
        return 0; /* a first line has its room already; so have rows that were asked for */
    }
    return row_octets(session) + TERMINATOR_OCTETS;
}

bool transaction_next_rows(struct pop3_server *session)
{
    if (session->rows_count != 0) {
        return true;
    }
    if (!is_whole_listing(session)) {
        session->rows_count = 1;
        return true;
    }
    while (session->number <= session->count && session_is_marked(session, session->number)) {
        session->number++;
    }
    if (session->number > session->count) {
        reply_append_terminator(&session->output);
        session_end_command(session);
        return false;
    }
    size_t fits = (buffer_room(&session->output) - TERMINATOR_OCTETS) / row_octets(session);
    uint32_t count = session->count - session->number + 1;
    count = count < POP3_ROWS_MOST ? count : POP3_ROWS_MOST;
    session->rows_count = count < fits ? count : (uint32_t)fits;
    return true;
}

/* The line of a whole listing. */
static void append_row(struct pop3_server *session, uint32_t number, const struct pop3_row *row)
{
    struct buffer *output = &session->output;
    uint8_t digits[20];
    struct bytes head = {.data = digits, .size = number_format(number, digits)};
    uint8_t octets_digits[20];
    struct bytes tail = {.data = (const uint8_t *)row->unique_id, .size = row->unique_id_size};
    if (session->listing == LISTING_SIZES) {
        tail.data = octets_digits;
        tail.size = number_format(row->octets, octets_digits);
    }
    reply_append_line(output, head, tail);
}

static void append_rows(struct pop3_server *session, const struct pop3_row *rows)
{
    for (uint32_t i = 0; i < session->rows_count; i++) {
        if (!session_is_marked(session, session->number + i)) {
            append_row(session, session->number + i, &rows[i]);
        }
    }
    session->number += session->rows_count;
    session->rows_count = 0;
}

static struct reply mark(struct pop3_server *session, const struct pop3_row *row)
{
    uint32_t index = session->number - 1;
    session->marks[index / 8] |= (uint8_t)(1U << index % 8);
    session->counters.marked_count++;
    session->counters.marked_octets += row->octets;
    return reply_of(TEXT_MARKED);
}

void pop3_server_rows(struct pop3_server *session, const struct pop3_row *rows, uint32_t count)
{
    assert(session->doing == DOING_ROWS && count == session->rows_count);
    struct reply reply = reply_of(TEXT_NONE);
    switch (session->listing) {
    case LISTING_SIZES:
    case LISTING_UNIQUE_IDS:
        append_rows(session, rows);
        return;
    case LISTING_SIZE:
        reply = (struct reply){.text = TEXT_NUMBERS, .numbers = {session->number, rows->octets}};
        break;
    case LISTING_UNIQUE_ID:
        reply = (struct reply){.text = TEXT_NUMBER, .numbers = {session->number}};
        reply.suffix =
            (struct bytes){.data = (const uint8_t *)rows->unique_id, .size = rows->unique_id_size};
        break;
    case LISTING_DELETION:
        reply = mark(session, rows);
        break;
    case LISTING_CAPABILITIES:
    case LISTING_LANGUAGES:
    case LISTING_MECHANISMS:
        assert(false);
        break;
    }
    session_answer(session, reply);
}

void pop3_server_message_opened(struct pop3_server *session, int needs_utf8)
{
    assert(session->doing == DOING_SENDING);
    if (session_needs_surrogates(session) && needs_utf8) {
        struct reply refusal = reply_of(TEXT_NEEDS_UTF8);
        session_reply(session, &refusal);
        session->doing = DOING_STOPPING;
        return;
    }
    struct reply reply = reply_of(session->top ? TEXT_TOP : TEXT_MESSAGE);
    session_reply(session, &reply);
    session->message = (struct multiline){0};
    if (session->top) {
        multiline_begin_top(&session->message, session->top_lines);
        session->counters.top_count++;
    } else {
        session->counters.retr_count++;
    }
    session->doing = DOING_MESSAGE;
}

static void count_octets(struct pop3_server *session, uint64_t before)
{
    uint64_t octets = session->message.octets - before;
    if (session->top) {
        session->counters.top_octets += octets;
    } else {
        session->counters.retr_octets += octets;
    }
}

static void end_message(struct pop3_server *session)
{
    uint64_t before = session->message.octets;
    multiline_end(&session->message, &session->output);
    count_octets(session, before);
}

size_t pop3_server_message(struct pop3_server *session, const void *data, size_t size)
{
    assert(session->doing == DOING_MESSAGE);
    uint64_t before = session->message.octets;
    struct bytes stored = {.data = data, .size = size};
    size_t taken = multiline_feed(&session->message, &session->output, stored);
    count_octets(session, before);
    if (session->message.enough) {
        end_message(session);
        session->doing = DOING_STOPPING;
    }
    return taken;
}

void pop3_server_message_end(struct pop3_server *session)
{
    assert(session->doing == DOING_MESSAGE);
    end_message(session);
    session_end_command(session);
}

void pop3_server_stopped(struct pop3_server *session)
{
    assert(session->doing == DOING_STOPPING);
    session_end_command(session);
}

void pop3_server_failed(struct pop3_server *session, enum pop3_failure failure)
{
    bool inside = session->doing == DOING_MESSAGE ||
                  (session->doing == DOING_ROWS && is_whole_listing(session));
    assert(inside || session->doing == DOING_AUTHENTICATING ||
           session->doing == DOING_IDENTIFYING || session->doing == DOING_OPENING ||
           session->doing == DOING_ROWS || session->doing == DOING_SENDING);
    if (inside) {
        session_close(session); /* without the terminator: nobody takes a part for the whole */
        return;
    }
    session->exchange = false;
    if (session->doing == DOING_OPENING) {
        session->maildrop_open = false;
    }
    session_answer(session, reply_of_failure(failure));
}
