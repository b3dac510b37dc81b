/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_POP3_HOST_H
#define RESTANTE_TESTS_POP3_HOST_H

/* A host for server sessions in tests: one account, a maildrop in memory, the peer's octets recorded. It
 * asserts the contract of <pop3/server.h> on the way, so that every test that uses it checks that too. */

#include <pop3/server.h>

#include "base/bytes.h"

enum { HOST_MESSAGES_MOST = 200, HOST_EVENTS = POP3_SERVER_CLOSE + 1 };

struct host_message {
    const uint8_t *data;
    size_t size;
    char unique_id[32];
    const uint8_t *shown; /* from OPEN on: it, or its surrogate */
    size_t shown_size;
    uint8_t *surrogate; /* to be freed */
    uint64_t octets;    /* what its row says, if not 0: for sizes that no test can hold */
    bool removed;
};

struct host {
    /* Set by the test before host_start. */
    struct pop3_server_options options;
    struct pop3_server_connection connection;
    const char *user;
    const char *password;
    size_t password_size;
    struct host_message messages[HOST_MESSAGES_MOST];
    uint32_t message_count;
    size_t output_size;  /* of the buffer that is lent; 0: 64 KiB */
    size_t write_size;   /* octets that the peer takes at once; 0: all */
    size_t read_size;    /* octets of a message that are read at once; 0: all */
    size_t feed_size;    /* octets that are fed at once; 0: all */
    uint64_t fail_event; /* the n-th question of the session (from 1) fails; 0: none */
    bool flush;          /* at every question */
    bool refuses_utf8;   /* it makes no surrogates */
    /* The next event of this type fails so (-1: none). */
    int fail_type;
    enum pop3_failure failure;
    uint32_t not_removed;
    int refuse; /* enum pop3_server_purpose that is not lent, -1: all is */

    /* What happened. */
    struct pop3_server *session;
    uint8_t *sent; /* to the peer */
    size_t sent_size, sent_capacity;
    uint64_t events[HOST_EVENTS];
    uint64_t questions;
    bool closed, committed, released;
    bool locked; /* the maildrop is */
    uint32_t open_message;
    size_t open_offset;
    void *lent[3];
    size_t lent_size[3];
    char last_name[300];
    uint8_t last_response[POP3_SASL_LINE_OCTETS];
    size_t last_response_size;
};

/* A host with user alice, password secret, USER allowed, nothing else. */
void host_init(struct host *host);
void host_add_message(struct host *host, const void *data, size_t size);
void host_start(struct host *host);
void host_finish(struct host *host);

/* Gives octets of the peer and runs the session until it needs more, or is over. */
void host_feed(struct host *host, const void *data, size_t size);
void host_feed_text(struct host *host, const char *text);
/* Runs it without. */
void host_run(struct host *host);
void host_end(struct host *host, enum pop3_end_reason reason);

/* On the heap: a host with so many messages of 20 octets; and one whose session is logged in. */
struct host *host_new(unsigned messages);
struct host *host_new_session(unsigned messages);
void host_delete(struct host *host);

/* Feeds the commands and runs up to an event of this type, which it leaves unanswered. */
void host_run_to(struct host *host, const char *commands, enum pop3_server_event_type type);

/* Answers one event that pop3_server_next gave, for tests that stop in between. */
void host_answer(struct host *host, const struct pop3_server_event *event);

/* What was sent since the last call of it, NUL-terminated. */
const char *host_sent(struct host *host);

/* Logs in and forgets what was sent. */
void host_log_in(struct host *host);

/* What RETR must send for a message, terminator included, by the plainest code there is: the judge of
 * multiline.c. `out` has room for 3 * size + 16. */
size_t host_expand(const uint8_t *data, size_t size, uint8_t *out, uint64_t *octets_out);

/* The same of TOP: cuts what host_expand made. */
size_t host_cut(uint8_t *lines, size_t size, uint64_t body_lines);

#endif
