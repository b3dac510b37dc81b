/* SPDX-License-Identifier: MIT */
/* What the server says, and what follows from it. A refused message is followed by RSET, so that the next one
 * finds no transaction. */
#include "smtp/client_session.h"

#include "base/base64.h"
#include "base/number.h"

static void keep_text(struct smtp_client *client)
{
    client->result_code = client->code;
    client->result_size = client->text_size;
    memcpy(client->result, client->text, client->text_size);
}

static enum smtp_outcome outcome_of(uint32_t code)
{
    return code < 400 ? SMTP_ACCEPTED : code < 500 ? SMTP_TEMPORARY : SMTP_PERMANENT;
}

/* The words after AUTH (RFC 4954 section 3), in capitals; one that does not fit is none. */
static void take_mechanisms(struct smtp_client *client, struct bytes words)
{
    size_t used = 0;
    for (size_t i = 0; i < words.size && used + 1 < sizeof client->server.mechanisms; i++) {
        uint8_t octet = words.data[i];
        bool is_small = octet >= 'a' && octet <= 'z';
        client->server.mechanisms[used++] = (char)(is_small ? octet - 'a' + 'A' : octet);
    }
    while (used < words.size && used > 0 && client->server.mechanisms[used - 1] != ' ') {
        used--;
    }
    client->server.mechanisms[used] = '\0';
}

/* A line of the reply to EHLO or LHLO, a keyword and its parameter: RFC 5321 section 4.1.1.1. */
static void take_keyword(struct smtp_client *client, struct bytes text)
{
    struct bytes keyword = {text.data, bytes_find(text, ' ')};
    struct bytes parameter = bytes_from(text, keyword.size + 1);
    if (bytes_equal_ignoring_case(keyword, bytes_of("PIPELINING"))) {
        client->server.pipelining = true;
    } else if (bytes_equal_ignoring_case(keyword, bytes_of("8BITMIME"))) {
        client->server.eight_bit = true;
    } else if (bytes_equal_ignoring_case(keyword, bytes_of("STARTTLS"))) {
        client->server.tls = true;
    } else if (bytes_equal_ignoring_case(keyword, bytes_of("AUTH"))) {
        take_mechanisms(client, parameter);
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
    smtp_client_command(client, STATE_RSET, "RSET");
}

static void on_refused_greeting(struct smtp_client *client)
{
    client->outcome = outcome_of(client->code);
    keep_text(client);
    smtp_client_close(client, SMTP_CLIENT_ERROR_REFUSED);
}

/* RFC 5321 section 3.2: a server that knows no EHLO may know HELO. */
static bool may_be_old(const struct smtp_client *client)
{
    return client->state == STATE_HELLO && client->protocol == SMTP_PROTOCOL_SMTP &&
           client->code >= 500;
}

static void on_opening(struct smtp_client *client, bool good)
{
    if (good && client->state == STATE_GREETING) {
        smtp_client_hello(client);
    } else if (good) {
        client->state = STATE_IDLE;
    } else if (may_be_old(client)) {
        buffer_append_text(&client->output, "HELO ");
        smtp_client_command(client, STATE_HELO, client->host);
    } else {
        on_refused_greeting(client);
    }
}

static void on_starttls(struct smtp_client *client)
{
    if (client->code == 220) {
        client->state = STATE_HANDSHAKE;
    } else if (client->code >= 400) {
        take_result(client);
        client->state = STATE_IDLE;
    } else {
        smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
    }
}

/* What was held back for the length of its line is what the server waits for now. */
static void send_held(struct smtp_client *client)
{
    buffer_append(&client->output, buffer_pending(&client->held));
    smtp_client_command(client, STATE_AUTH, "");
    buffer_consume(&client->held, buffer_pending(&client->held).size);
}

static void on_auth(struct smtp_client *client)
{
    if (client->code != 334) {
        take_result(client);
        smtp_client_wipe(client);
        client->state = STATE_IDLE;
    } else if (client->cancelled) {
        smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
    } else if (client->lines != 1 || client->challenge.data == NULL) {
        smtp_client_cancel(client);
    } else if (buffer_pending(&client->held).size == 0) {
        client->state = STATE_CHALLENGED;
    } else if (client->challenge.size == 0) {
        send_held(client);
    } else {
        smtp_client_cancel(client);
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
        smtp_client_send_recipient(client);
        client->state = STATE_RCPT;
    }
}

static void on_recipient(struct smtp_client *client, bool good)
{
    if (client->has_result || !good) {
        refuse(client);
    } else {
        smtp_client_command(client, STATE_DATA, "DATA");
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
        smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
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
    smtp_client_close(client, SMTP_CLIENT_ERROR_REFUSED);
}

static void on_reply(struct smtp_client *client)
{
    bool good = client->code < 300;
    if (client->code == 421 && client->state != STATE_GREETING && client->state != STATE_QUIT) {
        on_shutdown(client);
        return;
    }
    if (client->code >= 300 && client->code < 400 && client->state != STATE_DATA &&
        client->state != STATE_AUTH) {
        smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
        return;
    }
    switch (client->state) {
    case STATE_GREETING:
    case STATE_HELLO:
    case STATE_HELO:
        on_opening(client, good);
        return;
    case STATE_STARTTLS:
        on_starttls(client);
        return;
    case STATE_AUTH:
        on_auth(client);
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
            smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
        }
        return;
    case STATE_QUIT:
        smtp_client_close(client, SMTP_CLIENT_ERROR_NONE);
        return;
    case STATE_IDLE:
    case STATE_HANDSHAKE:
    case STATE_CHALLENGED:
    case STATE_MESSAGE:
        smtp_client_close(client, SMTP_CLIENT_ERROR_UNASKED);
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

/* A challenge is base64: RFC 4954 section 4. Decoded where it stands. */
static void take_challenge(struct smtp_client *client, struct bytes text)
{
    uint8_t *data = client->line + 4; /* behind the code */
    size_t size = 0;
    bool good = text.size == 0 || base64_decode(data, text.size, &size) == 0;
    client->challenge = (struct bytes){good ? data : NULL, size};
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
        smtp_client_close(client, SMTP_CLIENT_ERROR_REPLY);
        return;
    }
    if (++client->lines > SMTP_REPLY_LINES) {
        smtp_client_close(client, SMTP_CLIENT_ERROR_LIMIT);
        return;
    }
    client->code = (uint32_t)code;
    struct bytes text = bytes_from(line, 4);
    add_text(client, text);
    if (client->state == STATE_HELLO && client->lines > 1) {
        take_keyword(client, text);
    }
    if (client->state == STATE_AUTH && code == 334) {
        take_challenge(client, text);
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
        smtp_client_close(client, SMTP_CLIENT_ERROR_LIMIT);
        return;
    }
    client->line[client->line_size++] = octet;
    if (octet != '\n') {
        return;
    }
    size_t size = client->line_size;
    client->line_size = 0;
    if (size < 2 || client->line[size - 2] != '\r') {
        smtp_client_close(client, SMTP_CLIENT_ERROR_LINE_END);
        return;
    }
    on_line(client, (struct bytes){client->line, size - 2});
}

/* Behind a result, nothing is taken that was said after it, but what belongs to its message. */
static bool takes_more(const struct smtp_client *client)
{
    return client->state != STATE_CLOSED && client->state != STATE_HANDSHAKE &&
           client->state != STATE_CHALLENGED &&
           !(client->has_result && client->state == STATE_IDLE);
}

size_t smtp_client_feed(struct smtp_client *client, struct bytes octets)
{
    size_t taken = 0;
    while (taken < octets.size && takes_more(client)) {
        take_octet(client, octets.data[taken++]);
    }
    return client->state == STATE_CLOSED ? octets.size : taken;
}
