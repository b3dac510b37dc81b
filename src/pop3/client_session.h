/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_CLIENT_SESSION_H
#define RESTANTE_POP3_CLIENT_SESSION_H

/* The client's session as its own files see it: client.c drives it, client_commands.c holds what the host
 * asks for, client_replies.c what the server answers, client_capabilities.c what CAPA and the greeting say. */

#include <pop3/client.h>

#include "base/buffer.h"
#include "pop3/unstuff.h"

enum { CLIENT_OUTPUT_OCTETS = 1024 };

/* A command that waits or is in flight. */
struct client_command {
    uint32_t number; /* of the message; 0: none */
    uint32_t lines;  /* of TOP */
    uint8_t command; /* enum pop3_client_command */
    uint8_t pipelined;
};

/* What the next octets of the server are. */
enum client_reading { READING_REPLY, READING_ROWS, READING_CAPABILITIES, READING_MESSAGE };

struct pop3_client {
    const struct pop3_client_options *options;
    enum pop3_client_state state;
    enum client_reading reading;

    bool event_due; /* `event` has not been told */
    bool capabilities_due;
    bool starttls_due;
    bool challenge_due;
    bool closed;

    bool encrypted;
    bool utf8;          /* UTF8 was answered with +OK */
    bool user_accepted; /* PASS may follow */
    bool capa_unknown;  /* CAPA was answered with -ERR: it is not asked for by itself again */
    bool distrusted;    /* -ERR to a command in flight with others: one at a time from now on */
    bool was_pipelined; /* several commands have been in flight */
    bool exchange;      /* AUTH */
    bool cancelled;
    bool cancel_due; /* "*" goes out */
    bool initial;    /* `response` is the initial response, and waits for an empty challenge */
    bool responding; /* `response` goes out */
    struct bytes response; /* borrowed from the host: what is still to be sent */
    struct bytes challenge;

    struct client_command
        *queue; /* a ring, behind the session; the oldest is the one that is answered */
    uint32_t queue_capacity, queue_head;
    uint32_t queue_count; /* commands in it */
    uint32_t sent;        /* of them, in the output or beyond */

    uint32_t rows; /* of the listing or of CAPA under way */
    uint64_t message_octets;
    enum unstuff message;

    struct pop3_client_event event;
    enum pop3_client_error error;
    struct pop3_client_capabilities capabilities;
    char timestamp[POP3_CLIENT_TEXT_OCTETS];

    struct buffer output;
    struct buffer lent; /* lines of an exchange; data NULL: `line` */
    size_t line_size;
    uint8_t output_memory[CLIENT_OUTPUT_OCTETS];
    uint8_t line[POP3_CLIENT_LINE_OCTETS];
};

/* The command that the server answers; at least one must be in flight. */
static inline struct client_command *client_answered(struct pop3_client *client)
{
    return &client->queue[client->queue_head];
}

/* Nothing is obeyed any more; `line` is what was in the way, or empty. */
void client_fail(struct pop3_client *client, enum pop3_client_error error, struct bytes line);

/* The oldest command has been answered in full. */
void client_end_command(struct pop3_client *client);

/* Leaves the exchange; the server will say -ERR. */
void client_cancel(struct pop3_client *client);

/* An event that next will tell, zeroed but for its type. */
struct pop3_client_event *client_tell(struct pop3_client *client, enum pop3_client_event_type type);

/* client_commands.c */
/* CAPA, if the options want it by itself. */
void client_ask_capabilities(struct pop3_client *client);
/* Fills the output with what may be sent. */
void client_fill_output(struct pop3_client *client);

/* client_replies.c */
/* A line without its CR LF. It stays where it is until the next feed, and may be decoded in place. */
void client_obey_line(struct pop3_client *client, uint8_t *line, size_t size);

/* client_capabilities.c */
void client_forget_server(struct pop3_client *client);
void client_find_timestamp(struct pop3_client *client, struct bytes greeting);
void client_begin_capabilities(struct pop3_client *client);
void client_add_capability(struct pop3_client *client, struct bytes line);

/* The octets up to a space, which are taken from `rest` with the spaces behind them. */
static inline struct bytes client_take_word(struct bytes *rest)
{
    struct bytes word = {.data = rest->data, .size = bytes_find(*rest, ' ')};
    *rest = bytes_from(*rest, word.size);
    while (rest->size != 0 && rest->data[0] == ' ') {
        *rest = bytes_from(*rest, 1);
    }
    return word;
}

#endif
