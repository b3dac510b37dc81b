/* SPDX-License-Identifier: MIT */
#include "client_host.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"

static void append(uint8_t **memory, size_t *size, size_t *capacity, struct bytes octets)
{
    if (*size + octets.size + 1 > *capacity) {
        *capacity = 2 * (*size + octets.size) + 1000;
        *memory = realloc(*memory, *capacity);
        assert(*memory != NULL);
    }
    if (octets.size != 0) {
        memcpy(*memory + *size, octets.data, octets.size);
    }
    *size += octets.size;
    (*memory)[*size] = '\0';
}

static void say(struct client_host *host, const void *data, size_t size)
{
    append(&host->said, &host->said_size, &host->said_capacity,
           (struct bytes){.data = data, .size = size});
}

static void say_text(struct client_host *host, const char *text)
{
    say(host, text, strlen(text));
}

void client_host_init(struct client_host *host)
{
    *host = (struct client_host){.commands = CLIENT_HOST_COMMANDS};
}

void client_host_start(struct client_host *host)
{
    void *memory = malloc(pop3_client_size(host->commands));
    assert(memory != NULL);
    memset(memory, 0xa5, pop3_client_size(host->commands));
    host->client = pop3_client_init(memory, host->commands, &host->options);
    client_host_forget(host);
    client_host_run(host);
}

void client_host_finish(struct client_host *host)
{
    free(host->client);
    free(host->sent);
    free(host->said);
    host->client = NULL;
    host->sent = host->said = NULL;
    host->sent_size = host->said_size = host->sent_capacity = host->said_capacity = 0;
}

static void say_reply(struct client_host *host, const struct pop3_client_event *event)
{
    char facts[100] = "";
    enum pop3_client_command command = event->u.reply.command;
    bool row = event->u.reply.ok && event->u.reply.number != 0;
    host->last_reply = *event;
    say_text(host, event->u.reply.ok ? "+OK" : "-ERR");
    if (event->u.reply.code != POP3_CLIENT_CODE_NONE) {
        say_text(host, " [");
        say(host, event->u.reply.code_text, event->u.reply.code_size);
        say_text(host, "]");
    }
    if (command == POP3_CLIENT_STAT && event->u.reply.ok) {
        (void)snprintf(facts, sizeof facts, " %u %" PRIu64, event->u.reply.count,
                       event->u.reply.octets);
    } else if (command == POP3_CLIENT_LIST && row) {
        (void)snprintf(facts, sizeof facts, " %u %" PRIu64, event->u.reply.number,
                       event->u.reply.octets);
    } else if (command == POP3_CLIENT_UIDL && row) {
        (void)snprintf(facts, sizeof facts, " %u ", event->u.reply.number);
        say_text(host, facts);
        say(host, event->u.reply.unique_id, event->u.reply.unique_id_size);
    } else if (event->u.reply.text_size != 0) {
        say_text(host, " ");
        say(host, event->u.reply.text, event->u.reply.text_size);
    }
    say_text(host, command == POP3_CLIENT_UIDL && row ? "" : facts);
    say_text(host, "\r\n");
    host->line_start = true;
    host->after_cr = false;
}

static void say_row(struct client_host *host, const struct pop3_client_event *event)
{
    char text[100];
    if (event->u.row.command == POP3_CLIENT_LIST) {
        (void)snprintf(text, sizeof text, "%u %" PRIu64 "\r\n", event->u.row.number,
                       event->u.row.octets);
        say_text(host, text);
        return;
    }
    (void)snprintf(text, sizeof text, "%u ", event->u.row.number);
    say_text(host, text);
    say(host, event->u.row.unique_id, event->u.row.unique_id_size);
    say_text(host, "\r\n");
}

/* Dots go in again, octet by octet. */
static void say_message(struct client_host *host, const uint8_t *data, size_t size)
{
    assert(size != 0);
    for (size_t i = 0; i < size; i++) {
        if (host->line_start && data[i] == '.') {
            say_text(host, ".");
        }
        say(host, data + i, 1);
        host->line_start = host->after_cr && data[i] == '\n';
        host->after_cr = data[i] == '\r';
    }
}

static void say_challenge(struct client_host *host, const struct pop3_client_event *event)
{
    struct bytes challenge = {.data = event->u.challenge.data, .size = event->u.challenge.size};
    host->challenged = true;
    host->challenge_size = challenge.size;
    assert(challenge.size <= sizeof host->challenge);
    memcpy(host->challenge, challenge.data, challenge.size);
    say_text(host, "+ ");
    while (challenge.size != 0) {
        uint8_t memory[64];
        struct buffer encoded;
        size_t most = sizeof memory / 4 * 3;
        buffer_init(&encoded, memory, sizeof memory);
        base64_encode(&encoded, (struct bytes){
                                    .data = challenge.data,
                                    .size = challenge.size < most ? challenge.size : most,
                                });
        say(host, memory, encoded.written);
        challenge = bytes_from(challenge, most);
    }
    say_text(host, "\r\n");
}

static void close_session(struct client_host *host, const struct pop3_client_event *event)
{
    size_t size = event->u.close.text_size;
    size = size < sizeof host->close_text ? size : sizeof host->close_text - 1;
    host->closed = true;
    host->error = event->u.close.error;
    host->close_pipelined = event->u.close.pipelined != 0;
    if (size != 0) {
        memcpy(host->close_text, event->u.close.text, size);
    }
    host->close_text[size] = '\0';
}

static void write_some(struct client_host *host, const struct pop3_client_event *event)
{
    size_t size = event->u.write.size;
    size = host->write_size != 0 && host->write_size < size ? host->write_size : size;
    append(&host->sent, &host->sent_size, &host->sent_capacity,
           (struct bytes){.data = event->u.write.data, .size = size});
    pop3_client_written(host->client, size);
}

/* What is told once, or is a fact. */
static void tell(struct client_host *host, const struct pop3_client_event *event)
{
    switch (event->type) {
    case POP3_CLIENT_REPLY:
        say_reply(host, event);
        break;
    case POP3_CLIENT_ROW:
        say_row(host, event);
        break;
    case POP3_CLIENT_CAPABILITY:
        say(host, event->u.capability.text, event->u.capability.text_size);
        say_text(host, "\r\n");
        break;
    case POP3_CLIENT_CAPABILITIES:
        host->capabilities = *event->u.capabilities;
        say_text(host, event->u.capabilities->absent ? "" : ".\r\n");
        break;
    case POP3_CLIENT_MESSAGE:
        say_message(host, event->u.message.data, event->u.message.size);
        break;
    case POP3_CLIENT_MESSAGE_END:
        assert(host->line_start);
        host->message_octets = event->u.message_end.octets;
        say_text(host, ".\r\n");
        break;
    case POP3_CLIENT_ROWS_END:
        say_text(host, ".\r\n");
        break;
    case POP3_CLIENT_CHALLENGE:
        say_challenge(host, event);
        break;
    case POP3_CLIENT_CLOSE:
        close_session(host, event);
        break;
    case POP3_CLIENT_IDLE:
    case POP3_CLIENT_NEED_INPUT:
    case POP3_CLIENT_WRITE:
    case POP3_CLIENT_STARTTLS:
        break;
    }
}

void client_host_run(struct client_host *host)
{
    bool on = true;
    host->challenged = false;
    while (on) {
        struct pop3_client_event event;
        pop3_client_next(host->client, &event);
        host->events[event.type]++;
        tell(host, &event);
        host->idle = event.type == POP3_CLIENT_IDLE;
        on = !host->idle && !host->closed && !host->challenged &&
             event.type != POP3_CLIENT_NEED_INPUT;
        if (event.type == POP3_CLIENT_WRITE && !host->write_nothing) {
            write_some(host, &event);
        } else if (event.type == POP3_CLIENT_WRITE) {
            on = false;
        } else if (event.type == POP3_CLIENT_STARTTLS && host->keep_starttls) {
            on = false;
        } else if (event.type == POP3_CLIENT_STARTTLS) {
            pop3_client_tls_started(host->client);
        }
    }
}

void client_host_feed(struct client_host *host, const void *data, size_t size)
{
    struct bytes rest = {.data = data, .size = size};
    while (rest.size != 0) {
        size_t most = host->feed_size == 0 ? rest.size : host->feed_size;
        size_t piece = most < rest.size ? most : rest.size;
        uint8_t *copy = malloc(piece); /* so that a sanitizer sees who reads beyond or too late */
        assert(copy != NULL);
        memcpy(copy, rest.data, piece);
        for (size_t used = 0; used < piece;) {
            size_t taken = pop3_client_feed(host->client, copy + used, piece - used);
            used += taken;
            assert(taken != 0); /* all events have been told, no challenge is open */
            client_host_run(host);
        }
        free(copy);
        rest = bytes_from(rest, piece);
    }
}

void client_host_feed_text(struct client_host *host, const char *text)
{
    client_host_feed(host, text, strlen(text));
}

const char *client_host_sent(struct client_host *host)
{
    append(&host->sent, &host->sent_size, &host->sent_capacity, (struct bytes){0});
    return (const char *)host->sent;
}

const char *client_host_said(struct client_host *host)
{
    append(&host->said, &host->said_size, &host->said_capacity, (struct bytes){0});
    return (const char *)host->said;
}

void client_host_forget(struct client_host *host)
{
    host->sent_size = host->said_size = 0;
    (void)client_host_sent(host);
    (void)client_host_said(host);
}

struct client_host *client_host_new(void)
{
    struct client_host *host = malloc(sizeof *host);
    assert(host != NULL);
    client_host_init(host);
    client_host_start(host);
    client_host_feed_text(host, "+OK ready <1896.697170952@dbc.mtview.ca.us>\r\n");
    client_host_forget(host);
    return host;
}

struct client_host *client_host_new_session(bool pipelining)
{
    struct client_host *host = client_host_new();
    if (pipelining) {
        assert(pop3_client_capa(host->client) == POP3_CLIENT_TAKEN);
        client_host_run(host);
        client_host_feed_text(host, "+OK\r\nPIPELINING\r\n.\r\n");
    }
    assert(pop3_client_user(host->client, "alice", 5) == POP3_CLIENT_TAKEN);
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    assert(pop3_client_pass(host->client, "secret", 6) == POP3_CLIENT_TAKEN);
    client_host_run(host);
    client_host_feed_text(host, "+OK\r\n");
    client_host_forget(host);
    assert(pop3_client_state(host->client) == POP3_CLIENT_TRANSACTION);
    return host;
}

void client_host_delete(struct client_host *host)
{
    client_host_finish(host);
    free(host);
}
