/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_LMTP_CLIENT_H
#define RESTANTE_LMTP_CLIENT_H

/* The client end of an LMTP session (RFC 2033) without input or output: one recipient a message, one message
 * after another. The host drives it:
 *
 *     for (;;) {
 *         lmtp_client_next(client, &event);
 *         switch (event.type) {
 *         case LMTP_CLIENT_NEED_INPUT: feed what is left, or read from the server and feed
 *         case LMTP_CLIENT_WRITE:      write, then lmtp_client_written
 *         case LMTP_CLIENT_IDLE:       lmtp_client_deliver or lmtp_client_quit
 *         case LMTP_CLIENT_MESSAGE:    lmtp_client_message with octets of it, lmtp_client_message_end after the last
 *         case LMTP_CLIENT_RESULT:     what became of the message
 *         case LMTP_CLIENT_CLOSE:      close the connection, forget the session
 *         }
 *     }
 *
 * WRITE, MESSAGE, IDLE and NEED_INPUT come as long as they are true, RESULT once. Pointers in an event are valid
 * until the next call. The session allocates nothing, knows no time, and is one block of fixed size; nothing grows
 * with what the server sends. One thread at a time. After CLOSE, only CLOSE comes. */

#include <stdbool.h>

#include "base/attributes.h"
#include "base/bytes.h"

enum {
    LMTP_LINE_OCTETS = 2048, /* of a reply, CR LF included: 4 times RFC 5321 section 4.5.3.1.5 */
    LMTP_REPLY_LINES = 128,
    LMTP_TEXT_OCTETS = 512, /* of a reply's text that are kept */
    LMTP_PATH_OCTETS = 254  /* RFC 5321 section 4.5.3.1.3, without the brackets */
};

struct lmtp_client;

struct lmtp_options {
    const char *host; /* our name, or address literal, for LHLO; copied */
};

struct lmtp_envelope {
    struct bytes
        sender; /* ASCII, without brackets; empty: nobody must be told (RFC 5321 section 4.5.5) */
    struct bytes recipient; /* ASCII, without brackets */
    uint64_t octets;        /* of the message, about; 0: not known */
    bool is_8bit;           /* may it have octets above 127? */
};

enum lmtp_outcome {
    LMTP_ACCEPTED,
    LMTP_TEMPORARY, /* try again later */
    LMTP_PERMANENT  /* trying again as it is will not help */
};

/* Why the session ends. */
enum lmtp_client_error {
    LMTP_CLIENT_ERROR_NONE, /* after QUIT, or the host ended it */
    LMTP_CLIENT_ERROR_PEER_GONE,
    LMTP_CLIENT_ERROR_REFUSED, /* the greeting, LHLO or 421: `outcome` and `text` say how */
    LMTP_CLIENT_ERROR_REPLY,   /* what came is no reply, or not one to what was said */
    LMTP_CLIENT_ERROR_UNASKED,
    LMTP_CLIENT_ERROR_LINE_END, /* LF without CR */
    LMTP_CLIENT_ERROR_LIMIT     /* a line too long, a reply of too many */
};

enum lmtp_client_event_type {
    LMTP_CLIENT_NEED_INPUT,
    LMTP_CLIENT_WRITE,
    LMTP_CLIENT_IDLE,
    LMTP_CLIENT_MESSAGE,
    LMTP_CLIENT_RESULT,
    LMTP_CLIENT_CLOSE
};

struct lmtp_client_event {
    enum lmtp_client_event_type type;
    struct bytes write;
    enum lmtp_outcome outcome; /* RESULT; CLOSE with REFUSED */
    uint32_t code;             /* the reply's three digits; 0: there was none */
    struct bytes text; /* a stranger's octets: what follows the code, lines joined by blanks */
    enum lmtp_client_error error; /* CLOSE */
    bool under_way;               /* CLOSE: a message was under way and has no result */
    bool unclear; /* CLOSE: all of it had been given to be sent: the server may have taken it */
};

size_t lmtp_client_size(void);
/* Makes a session in `memory` of lmtp_client_size() octets, suitably aligned. NULL: the host's name is none. */
struct lmtp_client *lmtp_client_init(void *memory, const struct lmtp_options *options);

/* Takes octets from the server; returns how many. Fewer than given when there is an event to be told. */
size_t lmtp_client_feed(struct lmtp_client *client, struct bytes octets);
void lmtp_client_next(struct lmtp_client *client, struct lmtp_client_event *event_out);
void lmtp_client_written(struct lmtp_client *client, size_t count);
/* The connection is lost, or the host gives up. Call it after all that came was fed. */
void lmtp_client_end(struct lmtp_client *client);

/* Begins a message; only when IDLE. -1, and nothing has changed: not IDLE, or an address that cannot be
 * written: empty recipient, too long, not ASCII, with control octets or brackets. */
int lmtp_client_deliver(struct lmtp_client *client,
                        const struct lmtp_envelope *envelope) MUST_CHECK;
/* Only at MESSAGE. LF, CR LF and CR alone are line ends. Returns how many octets were taken. */
size_t lmtp_client_message(struct lmtp_client *client, struct bytes octets);
void lmtp_client_message_end(struct lmtp_client *client);
/* Only when IDLE. */
void lmtp_client_quit(struct lmtp_client *client);

#endif
