/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_POP3_CLIENT_HOST_H
#define RESTANTE_TESTS_POP3_CLIENT_HOST_H

/* A host for client sessions in tests. What the client sends is recorded, and the events that it tells are
 * written out again as the lines that the server must have sent: dots stuffed anew, rows and the numbers of
 * STAT from their values. So a test compares two texts. */

#include <pop3/client.h>

#include "base/bytes.h"

enum { CLIENT_HOST_EVENTS = POP3_CLIENT_CLOSE + 1, CLIENT_HOST_COMMANDS = 64 };

struct client_host {
    /* Set by the test before client_host_start. */
    struct pop3_client_options options;
    uint32_t commands;  /* 0: CLIENT_HOST_COMMANDS */
    size_t feed_size;   /* octets that are fed at once; 0: all */
    size_t write_size;  /* octets that the socket takes at once; 0: all */
    bool write_nothing; /* the socket is full */
    bool keep_starttls; /* STARTTLS stays unanswered */

    /* What happened. */
    struct pop3_client *client;
    struct pop3_client_event last_reply; /* its pointers are not valid */
    struct pop3_client_capabilities capabilities;
    uint64_t events[CLIENT_HOST_EVENTS];
    uint64_t message_octets; /* of the last MESSAGE_END */
    bool challenged, closed, idle;
    enum pop3_client_error error;
    bool close_pipelined;
    char close_text[100];
    uint8_t *sent;
    size_t sent_size, sent_capacity;
    uint8_t *said;
    size_t said_size, said_capacity;
    uint8_t challenge[20000];
    size_t challenge_size;
    bool line_start, after_cr; /* of the message that is written out */
};

void client_host_init(struct client_host *host);
void client_host_start(struct client_host *host);
void client_host_finish(struct client_host *host);

/* On the heap, started, with a greeting behind it; and logged in by USER and PASS. */
struct client_host *client_host_new(void);
struct client_host *client_host_new_session(bool pipelining);
void client_host_delete(struct client_host *host);

/* Gives octets of the server, each piece in memory of its own, and runs the session until it needs more. */
void client_host_feed(struct client_host *host, const void *data, size_t size);
void client_host_feed_text(struct client_host *host, const char *text);
/* Tells events up to NEED_INPUT, IDLE, a CHALLENGE or CLOSE; WRITE is answered. */
void client_host_run(struct client_host *host);

/* As strings; what was recorded is forgotten by client_host_forget. */
const char *client_host_sent(struct client_host *host);
const char *client_host_said(struct client_host *host);
void client_host_forget(struct client_host *host);

#endif
