/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SMTP_CLIENT_H
#define RESTANTE_SMTP_CLIENT_H

/* The client end of an SMTP session (RFC 5321) or an LMTP one (RFC 2033) without input or output: one recipient a
 * message, one message after another. The host drives it:
 *
 *     for (;;) {
 *         smtp_client_next(client, &event);
 *         switch (event.type) {
 *         case SMTP_CLIENT_NEED_INPUT: feed what is left, or read from the server and feed
 *         case SMTP_CLIENT_WRITE:      write, then smtp_client_written
 *         case SMTP_CLIENT_IDLE:       smtp_client_deliver, _starttls, _auth or _quit
 *         case SMTP_CLIENT_HANDSHAKE:  begin TLS, then smtp_client_secured; octets that are left unfed came in the
 *                                      clear, and whoever sent them is not to be trusted
 *         case SMTP_CLIENT_CHALLENGE:  smtp_client_respond or _cancel
 *         case SMTP_CLIENT_MESSAGE:    smtp_client_message with octets of it, smtp_client_message_end after the last
 *         case SMTP_CLIENT_RESULT:     what became of the message, of AUTH, or of STARTTLS if that was refused
 *         case SMTP_CLIENT_CLOSE:      close the connection, forget the session
 *         }
 *     }
 *
 * RESULT comes once, the others as long as they are true. Pointers in an event are valid
 * until the next call. The session allocates nothing, knows no time, and is one block of fixed size; nothing grows
 * with what the server sends. What AUTH says is wiped when the server has answered it. One thread at a time. After
 * CLOSE, only CLOSE comes. */

#include <stdbool.h>

#include "base/attributes.h"
#include "base/bytes.h"

enum {
    SMTP_LINE_OCTETS = 2048, /* of a reply, CR LF included: 4 times RFC 5321 section 4.5.3.1.5 */
    SMTP_REPLY_LINES = 128,
    SMTP_TEXT_OCTETS = 512,    /* of a reply's text that are kept */
    SMTP_COMMAND_OCTETS = 512, /* CR LF included: RFC 5321 section 4.5.3.1.4 */
    SMTP_PATH_OCTETS = 254     /* RFC 5321 section 4.5.3.1.3, without the brackets */
};

struct smtp_client;

enum smtp_protocol { SMTP_PROTOCOL_SMTP, SMTP_PROTOCOL_LMTP };

struct smtp_options {
    enum smtp_protocol protocol;
    const char *host; /* our name, or address literal, for EHLO or LHLO; copied */
};

struct smtp_envelope {
    struct bytes
        sender; /* ASCII, without brackets; empty: nobody must be told (RFC 5321 section 4.5.5) */
    struct bytes recipient; /* ASCII, without brackets */
    uint64_t octets;        /* of the message, about; 0: not known */
    bool is_8bit;           /* may it have octets above 127? */
};

enum smtp_outcome {
    SMTP_ACCEPTED,
    SMTP_TEMPORARY, /* try again later */
    SMTP_PERMANENT  /* trying again as it is will not help */
};

/* Why the session ends. */
enum smtp_client_error {
    SMTP_CLIENT_ERROR_NONE, /* after QUIT, or the host ended it */
    SMTP_CLIENT_ERROR_PEER_GONE,
    SMTP_CLIENT_ERROR_REFUSED, /* the greeting, EHLO, LHLO or 421: `outcome` and `text` say how */
    SMTP_CLIENT_ERROR_REPLY,   /* what came is no reply, or not one to what was said */
    SMTP_CLIENT_ERROR_UNASKED,
    SMTP_CLIENT_ERROR_LINE_END, /* LF without CR */
    SMTP_CLIENT_ERROR_LIMIT     /* a line too long, a reply of too many */
};

enum smtp_client_event_type {
    SMTP_CLIENT_NEED_INPUT,
    SMTP_CLIENT_WRITE,
    SMTP_CLIENT_IDLE,
    SMTP_CLIENT_HANDSHAKE,
    SMTP_CLIENT_CHALLENGE,
    SMTP_CLIENT_MESSAGE,
    SMTP_CLIENT_RESULT,
    SMTP_CLIENT_CLOSE
};

struct smtp_client_event {
    enum smtp_client_event_type type;
    struct bytes write;
    enum smtp_outcome outcome; /* RESULT; CLOSE with REFUSED */
    uint32_t code;             /* the reply's three digits; 0: there was none */
    struct bytes
        text; /* a stranger's octets: what follows the code, lines joined by blanks; CHALLENGE: decoded */
    enum smtp_client_error error; /* CLOSE */
    bool under_way;               /* CLOSE: a message was under way and has no result */
    bool unclear; /* CLOSE: all of it had been given to be sent: the server may have taken it */
};

size_t smtp_client_size(void);
/* Makes a session in `memory` of smtp_client_size() octets, suitably aligned. NULL: the host's name is none. */
struct smtp_client *smtp_client_init(void *memory, const struct smtp_options *options);

/* Takes octets from the server; returns how many. Fewer than given when there is an event to be told. */
size_t smtp_client_feed(struct smtp_client *client, struct bytes octets);
void smtp_client_next(struct smtp_client *client, struct smtp_client_event *event_out);
void smtp_client_written(struct smtp_client *client, size_t count);
/* The connection is lost, or the host gives up. Call it after all that came was fed. */
void smtp_client_end(struct smtp_client *client);

/* What the server said last in answer to EHLO: does it start TLS; the mechanisms of AUTH, in capitals, blanks
 * between them. Nothing under LMTP that does not say so, nor after HELO. */
bool smtp_client_offers_tls(const struct smtp_client *client);
const char *smtp_client_mechanisms(const struct smtp_client *client);

/* Only when IDLE; HANDSHAKE or RESULT follows. */
void smtp_client_starttls(struct smtp_client *client);
/* Only at HANDSHAKE: what follows is under TLS. All that was known of the server is asked anew. */
void smtp_client_secured(struct smtp_client *client);

/* AUTH (RFC 4954), only when IDLE; CHALLENGE or RESULT follows. `response`: the initial one, not encoded; NULL:
 * there is none. -1, and nothing has changed: not IDLE, or too long. */
int smtp_client_auth(struct smtp_client *client, const char *mechanism,
                     const struct bytes *response) MUST_CHECK;
/* Only at CHALLENGE. -1: not that, or too long. */
int smtp_client_respond(struct smtp_client *client, struct bytes response) MUST_CHECK;
/* Gives the exchange up; RESULT follows. A challenge that is no base64 does so by itself. */
void smtp_client_cancel(struct smtp_client *client);

/* Begins a message; only when IDLE. -1, and nothing has changed: not IDLE, or an address that cannot be
 * written: empty recipient, too long, not ASCII, with control octets or brackets. */
int smtp_client_deliver(struct smtp_client *client,
                        const struct smtp_envelope *envelope) MUST_CHECK;
/* Only at MESSAGE. LF, CR LF and CR alone are line ends. Returns how many octets were taken. */
size_t smtp_client_message(struct smtp_client *client, struct bytes octets);
void smtp_client_message_end(struct smtp_client *client);
/* Only when IDLE. */
void smtp_client_quit(struct smtp_client *client);

#endif
