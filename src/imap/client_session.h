/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_IMAP_CLIENT_SESSION_H
#define RESTANTE_IMAP_CLIENT_SESSION_H

/* What client.c (commands, events) and client_responses.c (what the server says) share. */

#include "base/buffer.h"
#include "imap/client.h"

enum imap_state {
    IMAP_STATE_GREETING,
    IMAP_STATE_STARTTLS,
    IMAP_STATE_SECURING, /* the host's turn: TLS */
    IMAP_STATE_CAPABILITY,
    IMAP_STATE_LOGIN,     /* the host's turn: no command is under way, and nobody logged in */
    IMAP_STATE_AUTH,      /* LOGIN or AUTHENTICATE is under way */
    IMAP_STATE_CHALLENGE, /* the host's turn */
    IMAP_STATE_IDLE,      /* the host's turn; appends may wait for results */
    IMAP_STATE_COMMAND,
    IMAP_STATE_GO_AHEAD, /* an append waits for leave to send its message */
    IMAP_STATE_MESSAGE,  /* the host's turn: the message */
    IMAP_STATE_LOGOUT,
    IMAP_STATE_CLOSED
};

struct imap_client {
    enum imap_state state;
    struct imap_client_options options;
    struct imap_capabilities capabilities;
    bool logged_in;

    uint32_t number; /* of the last command */
    /* Appends without a result, the last of which may be under way. */
    uint32_t open[IMAP_APPENDS_MOST];
    uint32_t open_count;
    uint64_t wanted;       /* octets of the message that are still to come */
    uint32_t unwritten;    /* the append that has not been written whole; 0: none */
    struct bytes response; /* of a mechanism that speaks first, where the server must ask */
    bool has_response;

    /* The response that comes. */
    size_t line_size;
    uint8_t line[IMAP_LINE_OCTETS];
    bool is_cut, after_cr;
    uint64_t literal; /* octets of one that are to be passed over */
    uint64_t since_result;

    /* Of the result. */
    bool has_result;
    struct imap_client_event result;
    size_t text_size;
    uint8_t text[IMAP_TEXT_OCTETS];
    uint8_t challenge[IMAP_LINE_OCTETS];
    size_t challenge_size;
    enum imap_client_error error;

    struct buffer output;
    uint8_t output_memory[32768];
};

void imap_client_set_state(struct imap_client *client, enum imap_state state);
void imap_client_close(struct imap_client *client, enum imap_client_error error);
void imap_client_ask_capabilities(struct imap_client *client);

/* A line without its CR LF, what was passed over of literals taken out. True: it ends in a literal, and goes on
 * behind that. */
bool imap_client_take_line(struct imap_client *client, struct bytes line);

#endif
