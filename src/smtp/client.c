/* SPDX-License-Identifier: MIT */
/* The client end of LMTP (RFC 2033, and RFC 5321 where it refers to that). MAIL and RCPT go out together where the
 * server says PIPELINING; DATA waits for their replies, so that a server that refuses is never sent a message.
 * A refused message is followed by RSET, so that the next one finds no transaction. */
#include "smtp/client.h"

#include <assert.h>
#include <stdio.h>

#include "base/number.h"
#include "smtp/data.h"

/* Whose reply comes next. */
enum state {
    STATE_GREETING,
    STATE_LHLO,
    STATE_IDLE,
    STATE_MAIL,
    STATE_RCPT,
    STATE_DATA,
    STATE_MESSAGE, /* nobody's: the message goes out */
    STATE_FINAL,
    STATE_RSET,
    STATE_QUIT,
    STATE_CLOSED
};

struct smtp_client {
    enum state state;
    struct {
        bool pipelining, eight_bit, size;
        uint64_t max_octets; /* 0: no limit */
    } server;
    struct smtp_envelope envelope;
    uint8_t sender[SMTP_PATH_OCTETS], recipient[SMTP_PATH_OCTETS];
    struct smtp_data data;

    /* The reply that comes. */
    size_t line_size;
    uint8_t line[SMTP_LINE_OCTETS];
    uint32_t lines, code;
    size_t text_size;
    uint8_t text[SMTP_TEXT_OCTETS];

    /* What the host has not been told. */
    bool has_result;
    bool under_way, unclear;
    enum smtp_outcome outcome;
    uint32_t result_code;
    enum smtp_client_error error;
    size_t result_size;
    uint8_t result[SMTP_TEXT_OCTETS];

    struct buffer output;
    uint8_t output_memory[16384];
    char host[256];
};

size_t smtp_client_size(void)
{
    return sizeof(struct smtp_client);
}

static bool is_word(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] >= 0x7F) {
            return false;
        }
    }
    return text.size > 0;
}

struct smtp_client *smtp_client_init(void *memory, const struct smtp_options *options)
{
    struct smtp_client *client = memory;
    struct bytes host = bytes_of(options->host);
    if (!is_word(host) || host.size >= sizeof client->host) {
        return NULL;
    }
    *client = (struct smtp_client){.state = STATE_GREETING};
    memcpy(client->host, host.data, host.size);
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    return client;
}

static void keep_text(struct smtp_client *client)
{
    client->result_code = client->code;
    client->result_size = client->text_size;
    memcpy(client->result, client->text, client->text_size);
}

static void close_session(struct smtp_client *client, enum smtp_client_error error)
{
    enum state state = client->state;
    if (state == STATE_CLOSED) {
        return;
    }
    client->under_way = !client->has_result && state >= STATE_MAIL && state <= STATE_FINAL;
    client->unclear = state == STATE_FINAL && client->under_way;
    client->state = STATE_CLOSED;
    client->error = error;
    buffer_consume(&client->output, buffer_pending(&client->output).size);
}

static enum smtp_outcome outcome_of(uint32_t code)
{
    return code < 400 ? SMTP_ACCEPTED : code < 500 ? SMTP_TEMPORARY : SMTP_PERMANENT;
}

static void command(struct smtp_client *client, enum state then, const char *text)
{
    buffer_append_text(&client->output, text);
    buffer_append_text(&client->output, "\r\n");
    client->state = then;
}

/* A line of the reply to LHLO, a keyword and its parameter: RFC 5321 section 4.1.1.1. */
static void take_keyword(struct smtp_client *client, struct bytes text)
{
    struct bytes keyword = {text.data, bytes_find(text, ' ')};
    struct bytes parameter = bytes_from(text, keyword.size + 1);
    if (bytes_equal_ignoring_case(keyword, bytes_of("PIPELINING"))) {
        client->server.pipelining = true;
    } else if (bytes_equal_ignoring_case(keyword, bytes_of("8BITMIME"))) {
        client->server.eight_bit = true;
    } else if (bytes_equal_ignoring_case(keyword, bytes_of("SIZE"))) {
        client->server.size = true;
        if (number_parse(parameter, UINT64_MAX, &client->server.max_octets) < 0) {
            client->server.max_octets = 0; /* RFC 1870 section 4: then nothing is said of a limit */
        }
    }
}

static void take_result(struct smtp_client *client)
{
    client->has_result = true;
    client->outcome = outcome_of(client->code);
    keep_text(client);
}

/* The message is refused before it was sent; what the server may hold of it is dropped. */
static void refuse(struct smtp_client *client)
{
    if (!client->has_result) {
        take_result(client);
    }
    command(client, STATE_RSET, "RSET");
}

static void send_recipient(struct smtp_client *client)
{
    buffer_append_text(&client->output, "RCPT TO:<");
    buffer_append(&client->output, client->envelope.recipient);
    buffer_append_text(&client->output, ">\r\n");
}

static void on_refused_greeting(struct smtp_client *client)
{
    client->outcome = outcome_of(client->code);
    keep_text(client);
    close_session(client, SMTP_CLIENT_ERROR_REFUSED);
}

static void on_opening(struct smtp_client *client, bool good)
{
    if (!good) {
        on_refused_greeting(client);
    } else if (client->state == STATE_GREETING) {
        buffer_append_text(&client->output, "LHLO ");
        command(client, STATE_LHLO, client->host);
    } else {
        client->state = STATE_IDLE;
    }
}

static void on_mail(struct smtp_client *client, bool good)
{
    if (!good) {
        take_result(client);
    }
    if (client->server.pipelining) {
        client->state = STATE_RCPT; /* its reply comes all the same */
    } else if (!good) {
        refuse(client);
    } else {
        send_recipient(client);
        client->state = STATE_RCPT;
    }
}

static void on_recipient(struct smtp_client *client, bool good)
{
    if (client->has_result || !good) {
        refuse(client);
    } else {
        command(client, STATE_DATA, "DATA");
    }
}

static void on_data(struct smtp_client *client)
{
    if (client->code == 354) {
        client->data = (struct smtp_data){0};
        client->state = STATE_MESSAGE;
    } else if (client->code >= 400) {
        refuse(client);
    } else {
        close_session(client, SMTP_CLIENT_ERROR_REPLY);
    }
}

/* The server ends the session by itself: RFC 5321 section 3.8. A reply to a message is one all the same. */
static void on_shutdown(struct smtp_client *client)
{
    if (client->state >= STATE_MAIL && client->state <= STATE_FINAL && !client->has_result) {
        take_result(client);
        client->state = STATE_IDLE;
    } else {
        keep_text(client);
    }
    client->outcome = SMTP_TEMPORARY;
    close_session(client, SMTP_CLIENT_ERROR_REFUSED);
}

static void on_reply(struct smtp_client *client)
{
    bool good = client->code < 300;
    if (client->code == 421 && client->state != STATE_GREETING && client->state != STATE_QUIT) {
        on_shutdown(client);
        return;
    }
    if (client->code >= 300 && client->code < 400 && client->state != STATE_DATA) {
        close_session(client, SMTP_CLIENT_ERROR_REPLY);
        return;
    }
    switch (client->state) {
    case STATE_GREETING:
    case STATE_LHLO:
        on_opening(client, good);
        return;
    case STATE_MAIL:
        on_mail(client, good);
        return;
    case STATE_RCPT:
        on_recipient(client, good);
        return;
    case STATE_DATA:
        on_data(client);
        return;
    case STATE_FINAL:
        take_result(client);
        client->state = STATE_IDLE;
        return;
    case STATE_RSET:
        if (good) {
            client->state = STATE_IDLE;
        } else {
            close_session(client, SMTP_CLIENT_ERROR_REPLY);
        }
        return;
    case STATE_QUIT:
        close_session(client, SMTP_CLIENT_ERROR_NONE);
        return;
    case STATE_IDLE:
    case STATE_MESSAGE:
        close_session(client, SMTP_CLIENT_ERROR_UNASKED);
        return;
    case STATE_CLOSED:
        return;
    }
}

static void add_text(struct smtp_client *client, struct bytes text)
{
    size_t room = sizeof client->text - client->text_size;
    if (client->lines > 1 && room > 0) {
        client->text[client->text_size++] = ' ';
        room--;
    }
    size_t size = text.size < room ? text.size : room;
    if (size > 0) {
        memcpy(client->text + client->text_size, text.data, size);
        client->text_size += size;
    }
}

/* Three digits, "-" where more lines follow, text: RFC 5321 section 4.2. */
static void on_line(struct smtp_client *client, struct bytes line)
{
    uint64_t code = 0;
    struct bytes digits = {line.data, line.size < 3 ? line.size : 3};
    bool more = line.size > 3 && line.data[3] == '-';
    if (digits.size < 3 || number_parse(digits, 999, &code) < 0 || code < 200 || code > 599 ||
        (line.size > 3 && !more && line.data[3] != ' ') ||
        (client->lines > 0 && code != client->code)) {
        close_session(client, SMTP_CLIENT_ERROR_REPLY);
        return;
    }
    if (++client->lines > SMTP_REPLY_LINES) {
        close_session(client, SMTP_CLIENT_ERROR_LIMIT);
        return;
    }
    client->code = (uint32_t)code;
    struct bytes text = bytes_from(line, 4);
    add_text(client, text);
    if (client->state == STATE_LHLO && client->lines > 1) {
        take_keyword(client, text);
    }
    if (!more) {
        on_reply(client);
        client->lines = 0;
        client->text_size = 0;
    }
}

static void take_octet(struct smtp_client *client, uint8_t octet)
{
    if (client->line_size == sizeof client->line) {
        close_session(client, SMTP_CLIENT_ERROR_LIMIT);
        return;
    }
    client->line[client->line_size++] = octet;
    if (octet != '\n') {
        return;
    }
    size_t size = client->line_size;
    client->line_size = 0;
    if (size < 2 || client->line[size - 2] != '\r') {
        close_session(client, SMTP_CLIENT_ERROR_LINE_END);
        return;
    }
    on_line(client, (struct bytes){client->line, size - 2});
}

size_t smtp_client_feed(struct smtp_client *client, struct bytes octets)
{
    size_t taken = 0;
    /* behind a result, nothing is taken that was said after it, but what belongs to its message */
    while (taken < octets.size && client->state != STATE_CLOSED &&
           !(client->has_result && client->state == STATE_IDLE)) {
        take_octet(client, octets.data[taken++]);
    }
    return client->state == STATE_CLOSED ? octets.size : taken;
}

void smtp_client_next(struct smtp_client *client, struct smtp_client_event *event_out)
{
    *event_out = (struct smtp_client_event){.type = SMTP_CLIENT_NEED_INPUT};
    struct bytes text = {client->result, client->result_size};
    struct bytes pending = buffer_pending(&client->output);
    if (client->has_result && (client->state == STATE_IDLE || client->state == STATE_RSET ||
                               client->state == STATE_CLOSED)) {
        client->has_result = false;
        event_out->type = SMTP_CLIENT_RESULT;
        event_out->outcome = client->outcome;
        event_out->code = client->result_code;
        event_out->text = text;
    } else if (client->state == STATE_CLOSED) {
        event_out->type = SMTP_CLIENT_CLOSE;
        event_out->error = client->error;
        event_out->under_way = client->under_way;
        event_out->unclear = client->unclear;
        if (client->error == SMTP_CLIENT_ERROR_REFUSED) {
            event_out->outcome = client->outcome;
            event_out->code = client->result_code;
            event_out->text = text;
        }
    } else if (pending.size > 0) {
        event_out->type = SMTP_CLIENT_WRITE;
        event_out->write = pending;
    } else if (client->state == STATE_IDLE) {
        event_out->type = SMTP_CLIENT_IDLE;
    } else if (client->state == STATE_MESSAGE) {
        event_out->type = SMTP_CLIENT_MESSAGE;
    }
}

void smtp_client_written(struct smtp_client *client, size_t count)
{
    assert(count <= buffer_pending(&client->output).size);
    buffer_consume(&client->output, count);
}

void smtp_client_end(struct smtp_client *client)
{
    close_session(client, client->state == STATE_QUIT ? SMTP_CLIENT_ERROR_NONE
                                                      : SMTP_CLIENT_ERROR_PEER_GONE);
}

/* What may stand between the brackets of a path; blanks only in a quoted local part. */
static bool is_path(struct bytes path)
{
    bool quoted = false;
    for (size_t i = 0; i < path.size; i++) {
        uint8_t octet = path.data[i];
        bool escaped = quoted && octet == '\\' && i + 1 < path.size;
        if (octet == '"') {
            quoted = !quoted;
        }
        i += escaped ? 1 : 0;
        octet = path.data[i];
        if (octet < ' ' || octet >= 0x7F ||
            (!quoted && (octet == ' ' || octet == '<' || octet == '>'))) {
            return false;
        }
    }
    return !quoted && path.size <= SMTP_PATH_OCTETS;
}

static struct bytes keep_path(struct bytes path, uint8_t *memory)
{
    if (path.size > 0) {
        memcpy(memory, path.data, path.size);
    }
    return (struct bytes){memory, path.size};
}

/* RFC 1870 section 6.1: what the server would refuse need not be sent. */
static bool is_too_large(struct smtp_client *client)
{
    if (!client->server.size || client->server.max_octets == 0 ||
        client->envelope.octets <= client->server.max_octets) {
        return false;
    }
    int size = snprintf((char *)client->result, sizeof client->result,
                        "the server takes messages of at most %llu octets",
                        (unsigned long long)client->server.max_octets);
    client->result_size = (size_t)size;
    client->result_code = 0;
    client->outcome = SMTP_PERMANENT;
    client->has_result = true;
    return true;
}

int smtp_client_deliver(struct smtp_client *client, const struct smtp_envelope *envelope)
{
    if (client->state != STATE_IDLE || client->has_result || !is_path(envelope->sender) ||
        !is_path(envelope->recipient) || envelope->recipient.size == 0) {
        return -1;
    }
    client->envelope = *envelope;
    client->envelope.sender = keep_path(envelope->sender, client->sender);
    client->envelope.recipient = keep_path(envelope->recipient, client->recipient);
    if (is_too_large(client)) {
        return 0;
    }
    struct buffer *out = &client->output;
    buffer_append_text(out, "MAIL FROM:<");
    buffer_append(out, client->envelope.sender);
    buffer_append_text(out, ">");
    if (client->server.size && envelope->octets > 0) {
        buffer_append_text(out, " SIZE=");
        buffer_append_number(out, envelope->octets);
    }
    if (client->server.eight_bit && envelope->is_8bit) {
        buffer_append_text(out, " BODY=8BITMIME");
    }
    command(client, STATE_MAIL, "");
    if (client->server.pipelining) {
        send_recipient(client);
    }
    return 0;
}

size_t smtp_client_message(struct smtp_client *client, struct bytes octets)
{
    assert(client->state == STATE_MESSAGE || client->state == STATE_CLOSED);
    if (client->state == STATE_CLOSED) {
        return octets.size;
    }
    /* room is kept for the end */
    size_t held = client->output.capacity;
    client->output.capacity = held - SMTP_DATA_END_OCTETS;
    size_t taken = smtp_data_put(&client->data, octets, &client->output);
    client->output.capacity = held;
    return taken;
}

void smtp_client_message_end(struct smtp_client *client)
{
    assert(client->state == STATE_MESSAGE || client->state == STATE_CLOSED);
    if (client->state == STATE_MESSAGE) {
        smtp_data_end(&client->data, &client->output);
        client->state = STATE_FINAL;
    }
}

void smtp_client_quit(struct smtp_client *client)
{
    assert(client->state == STATE_IDLE || client->state == STATE_CLOSED);
    if (client->state == STATE_IDLE) {
        command(client, STATE_QUIT, "QUIT");
    }
}
