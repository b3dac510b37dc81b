/* SPDX-License-Identifier: MIT */
/* The client's machine: octets in, one event at a time out. Commands are in client_commands.c, replies in
 * client_replies.c.
 *
 * 1. While an event is due no input is taken, so one place for an event is enough. 2. What is out in a WRITE
 * stays where it is: the output is filled only when it is empty. 3. Each reply belongs to the oldest command
 * in flight; octets that belong to none end the session. 4. Octets that the server sends grow nothing: lines
 * have a fixed place, rows and capabilities a count, messages are handed on where they are. */
#include <pop3/client.h>

#include <assert.h>

#include "pop3/client_session.h"

size_t pop3_client_size(uint32_t commands)
{
    return sizeof(struct pop3_client) + ((size_t)commands + 1) * sizeof(struct client_command);
}

struct pop3_client *pop3_client_init(void *memory, uint32_t commands,
                                     const struct pop3_client_options *options)
{
    assert(commands != 0 && commands < UINT32_MAX / 2);
    struct pop3_client *client = memory;
    *client = (struct pop3_client){.options = options, .encrypted = options->encrypted != 0};
    client->queue = (struct client_command *)(void *)(client + 1);
    client->queue_capacity = commands + 1; /* one is kept for a CAPA of our own */
    client->queue[0] = (struct client_command){.command = POP3_CLIENT_CONNECT};
    client->queue_count = 1;
    client->sent = 1;
    buffer_init(&client->output, client->output_memory, sizeof client->output_memory);
    return client;
}

/* Overwrites lines of an exchange. The rest of the memory that was lent was never used. */
static void wipe_lines(struct pop3_client *client)
{
    explicit_bzero(client->line, sizeof client->line);
    if (client->lent.data != NULL) {
        explicit_bzero(client->lent.data, client->lent.written);
        client->lent.written = 0;
    }
}

void client_fail(struct pop3_client *client, enum pop3_client_error error, struct bytes line)
{
    if (client->closed) {
        return;
    }
    client->closed = true;
    client->state = POP3_CLIENT_ENDED;
    client->error = error;
    explicit_bzero(client->output_memory, sizeof client->output_memory);
    client->output.read = client->output.written = 0;
    client->responding = client->initial = client->cancel_due = false;
    client->challenge_due = client->starttls_due = false;
    client->response = (struct bytes){0};
    if (client->exchange) {
        wipe_lines(client);
        line = (struct bytes){0};
    }
    client->challenge = line; /* told with CLOSE */
}

void client_end_command(struct pop3_client *client)
{
    client->reading = READING_REPLY;
    client->queue_head = (client->queue_head + 1) % client->queue_capacity;
    client->queue_count--;
    client->sent--;
}

struct pop3_client_event *client_tell(struct pop3_client *client, enum pop3_client_event_type type)
{
    assert(!client->event_due);
    client->event_due = true;
    client->event = (struct pop3_client_event){.type = type};
    return &client->event;
}

static void take_message(struct pop3_client *client, struct bytes *input)
{
    struct bytes piece;
    size_t taken = unstuff(&client->message, *input, &piece);
    *input = bytes_from(*input, taken);
    const struct client_command *command = client_answered(client);
    uint64_t most = client->options->max_message_octets;
    if (most != 0 && piece.size > most - client->message_octets) {
        client_fail(client, POP3_CLIENT_ERROR_MESSAGE_SIZE, (struct bytes){0});
    } else if (client->message == UNSTUFF_END) {
        struct pop3_client_event *event = client_tell(client, POP3_CLIENT_MESSAGE_END);
        event->u.message_end.number = command->number;
        event->u.message_end.top = command->command == POP3_CLIENT_TOP;
        event->u.message_end.octets = client->message_octets;
        client_end_command(client);
    } else if (piece.size != 0) {
        client->message_octets += piece.size;
        struct pop3_client_event *event = client_tell(client, POP3_CLIENT_MESSAGE);
        event->u.message.number = command->number;
        event->u.message.data = piece.data;
        event->u.message.size = piece.size;
    }
}

/* Where the line under way is collected. */
static uint8_t *line_memory(struct pop3_client *client, size_t *capacity)
{
    if (client->lent.data != NULL) {
        *capacity = client->lent.capacity;
        return client->lent.data;
    }
    *capacity = sizeof client->line;
    return client->line;
}

static void take_line(struct pop3_client *client, struct bytes *input)
{
    size_t capacity;
    uint8_t *line = line_memory(client, &capacity);
    size_t room = capacity - client->line_size;
    size_t end = bytes_find(*input, '\n');
    size_t taken = end < input->size ? end + 1 : end;
    if (taken > room) {
        struct bytes begun = {.data = line, .size = client->line_size};
        client_fail(client, POP3_CLIENT_ERROR_LINE_LENGTH, begun);
        return;
    }
    memcpy(line + client->line_size, input->data, taken);
    client->line_size += taken;
    *input = bytes_from(*input, taken);
    if (client->lent.data != NULL && client->lent.written < client->line_size) {
        client->lent.written = client->line_size;
    }
    if (line[client->line_size - 1] != '\n') {
        return;
    }
    size_t size = client->line_size - 1;
    client->line_size = 0;
    if (size == 0 || line[size - 1] != '\r') {
        client_fail(client, POP3_CLIENT_ERROR_LINE_END, (struct bytes){.data = line, .size = size});
        return;
    }
    client_obey_line(client, line, size - 1);
}

/* The server speaks and was not asked: a last word before it hangs up, or replies out of step. */
static void take_unasked(struct pop3_client *client, struct bytes input)
{
    struct bytes line = {.data = input.data, .size = bytes_find(input, '\r')};
    line.size = line.size < sizeof client->line ? line.size : sizeof client->line;
    memcpy(client->line, line.data, line.size);
    line.data = client->line;
    client_fail(client, POP3_CLIENT_ERROR_UNASKED, line);
}

size_t pop3_client_feed(struct pop3_client *client, const void *data, size_t size)
{
    struct bytes input = {.data = data, .size = size};
    while (input.size != 0 && !client->closed && !client->event_due && !client->capabilities_due) {
        if (client->starttls_due) {
            client_fail(client, POP3_CLIENT_ERROR_STLS_INJECTED, (struct bytes){0});
        } else if (client->challenge_due) {
            break;
        } else if (client->sent == 0) {
            take_unasked(client, input);
        } else if (client->reading == READING_MESSAGE) {
            take_message(client, &input);
        } else {
            take_line(client, &input);
        }
    }
    if (client->starttls_due && input.size != 0) {
        client_fail(client, POP3_CLIENT_ERROR_STLS_INJECTED, (struct bytes){0});
        client->event_due = false; /* the +OK too: nothing that came with it counts */
    }
    return client->closed ? size : size - input.size;
}

static void tell_close(const struct pop3_client *client, struct pop3_client_event *event)
{
    event->type = POP3_CLIENT_CLOSE;
    event->u.close.error = client->error;
    event->u.close.pipelined = client->was_pipelined;
    event->u.close.text = (const char *)client->challenge.data;
    event->u.close.text_size = client->challenge.size;
}

void pop3_client_next(struct pop3_client *client, struct pop3_client_event *event)
{
    *event = (struct pop3_client_event){0};
    if (client->event_due) {
        *event = client->event;
        client->event_due = false;
    } else if (client->capabilities_due) {
        event->type = POP3_CLIENT_CAPABILITIES;
        event->u.capabilities = &client->capabilities;
        client->capabilities_due = false;
    } else if (client->closed) {
        tell_close(client, event);
    } else if (client->starttls_due) {
        event->type = POP3_CLIENT_STARTTLS;
    } else if (client->challenge_due) {
        event->type = POP3_CLIENT_CHALLENGE;
        event->u.challenge.data = client->challenge.data;
        event->u.challenge.size = client->challenge.size;
    } else {
        client_fill_output(client);
        struct bytes pending = buffer_pending(&client->output);
        event->type = client->queue_count == 0 ? POP3_CLIENT_IDLE : POP3_CLIENT_NEED_INPUT;
        if (pending.size != 0) {
            event->type = POP3_CLIENT_WRITE;
            event->u.write.data = pending.data;
            event->u.write.size = pending.size;
        }
    }
}

void pop3_client_written(struct pop3_client *client, size_t count)
{
    struct bytes pending = buffer_pending(&client->output);
    if (client->closed) {
        return; /* the WRITE was out when the session failed */
    }
    assert(count <= pending.size);
    explicit_bzero(client->output.data + client->output.read, count);
    buffer_consume(&client->output, count);
}

void pop3_client_end(struct pop3_client *client)
{
    client->capabilities_due = false;
    client_fail(client, POP3_CLIENT_ERROR_PEER_GONE, (struct bytes){0});
}

void pop3_client_respond(struct pop3_client *client, const void *data, size_t size)
{
    if (client->closed) {
        return;
    }
    assert(client->challenge_due);
    wipe_lines(client);
    client->challenge_due = false;
    client->responding = true;
    client->response = (struct bytes){.data = data, .size = size};
}

void client_cancel(struct pop3_client *client)
{
    wipe_lines(client);
    client->challenge_due = client->initial = false;
    client->response = (struct bytes){0};
    client->cancelled = client->cancel_due = true;
}

void pop3_client_cancel(struct pop3_client *client)
{
    if (client->closed) {
        return;
    }
    assert(client->challenge_due);
    client_cancel(client);
}

void pop3_client_tls_started(struct pop3_client *client)
{
    if (client->closed) {
        return;
    }
    assert(client->starttls_due);
    client->starttls_due = false;
    client->encrypted = true;
    client_forget_server(client);
    client_ask_capabilities(client);
}

uint32_t pop3_client_room(const struct pop3_client *client)
{
    return client->state == POP3_CLIENT_ENDED || client->queue_count >= client->queue_capacity - 1
               ? 0
               : client->queue_capacity - 1 - client->queue_count;
}

enum pop3_client_state pop3_client_state(const struct pop3_client *client)
{
    return client->state;
}

const char *pop3_client_timestamp(const struct pop3_client *client)
{
    return client->timestamp[0] == '\0' ? NULL : client->timestamp;
}

const struct pop3_client_capabilities *pop3_client_capabilities(const struct pop3_client *client)
{
    return &client->capabilities;
}

int pop3_client_pipelining(const struct pop3_client *client)
{
    return !client->distrusted && client->options->one_at_a_time == 0 &&
           (client->capabilities.set & POP3_CAPABILITY_PIPELINING) != 0;
}

void pop3_client_pipeline(struct pop3_client *client)
{
    client->distrusted = false;
}
