/* SPDX-License-Identifier: MIT */
/* The client end of SMTP (RFC 5321) and LMTP (RFC 2033). MAIL and RCPT go out together where the
 * server says PIPELINING; DATA waits for their replies, so that a server that refuses is never sent a message. */
#include "smtp/client.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "smtp/client_session.h"

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
    *client = (struct smtp_client){.state = STATE_GREETING, .protocol = options->protocol};
    memcpy(client->host, host.data, host.size);
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    buffer_init(&client->held, client->held_memory, sizeof client->held_memory);
    return client;
}

void smtp_client_close(struct smtp_client *client, enum smtp_client_error error)
{
    enum state state = client->state;
    if (state == STATE_CLOSED) {
        return;
    }
    client->under_way = !client->has_result && state >= STATE_MAIL && state <= STATE_FINAL;
    client->unclear = state == STATE_FINAL && client->under_way;
    client->state = STATE_CLOSED;
    client->error = error;
    smtp_client_wipe(client);
}

void smtp_client_command(struct smtp_client *client, enum state then, const char *text)
{
    buffer_append_text(&client->output, text);
    buffer_append_text(&client->output, "\r\n");
    client->state = then;
}

void smtp_client_hello(struct smtp_client *client)
{
    /* RFC 3207 section 4.2: what was known of the server before TLS is forgotten */
    memset(&client->server, 0, sizeof client->server);
    buffer_append_text(&client->output, client->protocol == SMTP_PROTOCOL_LMTP ? "LHLO " : "EHLO ");
    smtp_client_command(client, STATE_HELLO, client->host);
}

void smtp_client_send_recipient(struct smtp_client *client)
{
    buffer_append_text(&client->output, "RCPT TO:<");
    buffer_append(&client->output, client->envelope.recipient);
    buffer_append_text(&client->output, ">\r\n");
}

void smtp_client_wipe(struct smtp_client *client)
{
    explicit_bzero(client->held_memory, sizeof client->held_memory);
    explicit_bzero(client->output_memory, sizeof client->output_memory);
    buffer_consume(&client->held, buffer_pending(&client->held).size);
    buffer_consume(&client->output, buffer_pending(&client->output).size);
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
    } else if (client->state == STATE_HANDSHAKE) {
        event_out->type = SMTP_CLIENT_HANDSHAKE;
    } else if (client->state == STATE_CHALLENGED) {
        event_out->type = SMTP_CLIENT_CHALLENGE;
        event_out->text = client->challenge;
    } else if (client->state == STATE_MESSAGE) {
        event_out->type = SMTP_CLIENT_MESSAGE;
    }
}

void smtp_client_written(struct smtp_client *client, size_t count)
{
    assert(count <= buffer_pending(&client->output).size);
    buffer_consume(&client->output, count);
    if (client->state == STATE_AUTH && buffer_pending(&client->output).size == 0) {
        explicit_bzero(client->output_memory, sizeof client->output_memory);
    }
}

void smtp_client_end(struct smtp_client *client)
{
    smtp_client_close(client, client->state == STATE_QUIT ? SMTP_CLIENT_ERROR_NONE
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

/* What the server would refuse need not be sent. */
static bool decline(struct smtp_client *client, const char *text)
{
    client->result_size = strlen(text);
    memcpy(client->result, text, client->result_size);
    client->result_code = 0;
    client->outcome = SMTP_PERMANENT;
    client->has_result = true;
    return true;
}

/* RFC 1870 section 6.1. */
static bool is_too_large(struct smtp_client *client)
{
    char text[100];
    if (!client->server.size || client->server.max_octets == 0 ||
        client->envelope.octets <= client->server.max_octets) {
        return false;
    }
    (void)snprintf(text, sizeof text, "the server takes messages of at most %llu octets",
                   (unsigned long long)client->server.max_octets);
    return decline(client, text);
}

/* RFC 6152 section 3. An LMTP server has it always (RFC 2033 section 5), whether it says so or not. */
static bool is_too_wide(struct smtp_client *client)
{
    return client->protocol == SMTP_PROTOCOL_SMTP && client->envelope.is_8bit &&
           !client->server.eight_bit &&
           decline(client, "the server does not take octets above 127 (it has no 8BITMIME)");
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
    if (is_too_large(client) || is_too_wide(client)) {
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
    smtp_client_command(client, STATE_MAIL, "");
    if (client->server.pipelining) {
        smtp_client_send_recipient(client);
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
        smtp_client_command(client, STATE_QUIT, "QUIT");
    }
}

bool smtp_client_offers_tls(const struct smtp_client *client)
{
    return client->server.tls;
}

const char *smtp_client_mechanisms(const struct smtp_client *client)
{
    return client->server.mechanisms;
}

void smtp_client_starttls(struct smtp_client *client)
{
    assert(client->state == STATE_IDLE || client->state == STATE_CLOSED);
    if (client->state == STATE_IDLE) {
        smtp_client_command(client, STATE_STARTTLS, "STARTTLS");
    }
}

void smtp_client_secured(struct smtp_client *client)
{
    assert(client->state == STATE_HANDSHAKE || client->state == STATE_CLOSED);
    if (client->state == STATE_HANDSHAKE) {
        smtp_client_hello(client);
    }
}

static void append_response(struct buffer *out, struct bytes response)
{
    if (response.size == 0) {
        buffer_append_text(out, "="); /* RFC 4954 section 4: an initial response that is empty */
    } else {
        base64_encode(out, response);
    }
}

int smtp_client_auth(struct smtp_client *client, const char *mechanism,
                     const struct bytes *response)
{
    size_t size = strlen("AUTH \r\n") + strlen(mechanism);
    size_t code = response == NULL ? 0 : base64_encoded_size(response->size);
    if (client->state != STATE_IDLE || client->has_result ||
        code + size > sizeof client->held_memory) {
        return -1;
    }
    client->cancelled = false;
    buffer_append_text(&client->output, "AUTH ");
    buffer_append_text(&client->output, mechanism);
    if (response != NULL && size + 1 + code <= SMTP_COMMAND_OCTETS) {
        buffer_append_text(&client->output, " ");
        append_response(&client->output, *response);
    } else if (response != NULL) {
        base64_encode(&client->held, *response);
    }
    smtp_client_command(client, STATE_AUTH, "");
    return 0;
}

int smtp_client_respond(struct smtp_client *client, struct bytes response)
{
    if (client->state != STATE_CHALLENGED ||
        base64_encoded_size(response.size) + 2 > SMTP_RESPONSE_OCTETS) {
        return -1;
    }
    base64_encode(&client->output, response);
    smtp_client_command(client, STATE_AUTH, "");
    return 0;
}

void smtp_client_cancel(struct smtp_client *client)
{
    if (client->state == STATE_CHALLENGED || client->state == STATE_AUTH) {
        smtp_client_wipe(client);
        client->cancelled = true;
        smtp_client_command(client, STATE_AUTH, "*");
    }
}
