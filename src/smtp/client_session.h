/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SMTP_CLIENT_SESSION_H
#define RESTANTE_SMTP_CLIENT_SESSION_H

/* A session of the client's end as its files see it; its host has client.h. */

#include "base/buffer.h"
#include "smtp/client.h"
#include "smtp/data.h"

enum { SMTP_RESPONSE_OCTETS = 12288 /* of a line of AUTH: RFC 4954 section 4 */ };

/* Whose reply comes next. */
enum state {
    STATE_GREETING,
    STATE_HELLO, /* EHLO or LHLO */
    STATE_HELO,
    STATE_IDLE,
    STATE_STARTTLS,
    STATE_HANDSHAKE, /* nobody's, until TLS is there */
    STATE_AUTH,
    STATE_CHALLENGED, /* nobody's, until the host responds */
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
    enum smtp_protocol protocol;
    struct {
        bool pipelining, eight_bit, size, tls;
        uint64_t max_octets; /* 0: no limit */
        char mechanisms[256];
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
    struct bytes challenge; /* in `line` */
    bool cancelled;         /* the exchange; its result is to come */

    /* What the host has not been told. */
    bool has_result;
    bool under_way, unclear;
    enum smtp_outcome outcome;
    uint32_t result_code;
    enum smtp_client_error error;
    size_t result_size;
    uint8_t result[SMTP_TEXT_OCTETS];

    struct buffer output, held; /* the latter: a first response too long for the line of AUTH */
    uint8_t output_memory[16384], held_memory[SMTP_RESPONSE_OCTETS];
    char host[256];
};

void smtp_client_close(struct smtp_client *client, enum smtp_client_error error);
/* Says EHLO or LHLO. */
void smtp_client_hello(struct smtp_client *client);
/* Appends a line; whose reply comes `then`. */
void smtp_client_command(struct smtp_client *client, enum state then, const char *text);
void smtp_client_send_recipient(struct smtp_client *client);
/* What an exchange of AUTH has left behind. */
void smtp_client_wipe(struct smtp_client *client);

#endif
