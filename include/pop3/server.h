/* SPDX-License-Identifier: MIT */
#ifndef POP3_SERVER_H
#define POP3_SERVER_H

/* The server end of a POP3 session (RFC 1939, 2449, 3206, 5034, 6856) without input or output.
 *
 * The host drives it. It gives the octets that came from the peer to pop3_server_feed, asks
 * pop3_server_next what to do, does it, and says so with the one function that answers that event:
 *
 *     for (;;) {
 *         pop3_server_next(session, &event);
 *         switch (event.type) {
 *         case POP3_SERVER_NEED_INPUT:   feed, or wait for the peer and then feed
 *         case POP3_SERVER_WRITE:        pop3_server_written
 *         case POP3_SERVER_LEND:         pop3_server_lent
 *         case POP3_SERVER_RETURN:       pop3_server_returned
 *         case POP3_SERVER_AUTHENTICATE: pop3_server_authenticated, _challenge or _failed
 *         case POP3_SERVER_CANCEL:       pop3_server_cancelled
 *         case POP3_SERVER_CLIENT:       pop3_server_client_taken or _failed
 *         case POP3_SERVER_OPEN:         pop3_server_opened or _failed
 *         case POP3_SERVER_ROWS:         pop3_server_rows or _failed
 *         case POP3_SERVER_SEND:         pop3_server_message_opened or _failed
 *         case POP3_SERVER_MESSAGE:      pop3_server_message, _message_end or _failed
 *         case POP3_SERVER_STOP:         pop3_server_stopped
 *         case POP3_SERVER_COMMIT:       pop3_server_committed
 *         case POP3_SERVER_RELEASE:      pop3_server_released
 *         case POP3_SERVER_STARTTLS:     pop3_server_tls_started
 *         case POP3_SERVER_CLOSE:        close the connection, forget the session
 *         }
 *     }
 *
 * Until it is answered, the same event comes again from pop3_server_next (except that after
 * pop3_server_flush a WRITE may come first; the other event may be answered meanwhile too). Pointers in
 * an event are borrowed and stay valid until it is answered or pop3_server_end is called. An answer that
 * does not belong to the outstanding event is an error of the host and stops the program (assert).
 *
 * The session allocates nothing, knows no time, and keeps what it may need of the peer's input in memory
 * of fixed size: a session that waits for its peer owns nothing but pop3_server_size() octets, and marks
 * if there are any. A command's octets, the password among them, are overwritten once it is answered;
 * the host does the same with what it fed. One session belongs to one thread at a time; different
 * sessions know nothing of each other. A failure is sticky: after CLOSE, only CLOSE comes. */

#include <stddef.h>
#include <stdint.h>

#include <pop3/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    POP3_LINE_OCTETS =
        512, /* a command or a first reply line, CR LF included: RFC 2449 section 4 */
    POP3_SASL_LINE_OCTETS = 16384,  /* a base64 line of an AUTH exchange, CR LF included */
    POP3_UNIQUE_ID_OCTETS = 70,     /* RFC 1939 section 7 */
    POP3_ROWS_MOST = 64,            /* the most rows that one ROWS event asks for */
    POP3_OUTPUT_LEAST_OCTETS = 1024 /* the least output buffer that a host may lend */
};

/* RFC 1939 section 3; ENDED: only RELEASE and CLOSE may follow. */
enum pop3_state { POP3_AUTHORIZATION, POP3_TRANSACTION, POP3_UPDATE, POP3_ENDED };

/* What is the same for all sessions of a host. Borrowed: must stay unchanged while a session uses it. */
struct pop3_server_options {
    const char *greeting; /* text of the greeting, e.g. "Restante ready"; not NULL */
    const char
        *implementation; /* for CAPA in TRANSACTION, e.g. "Restante-0.1.0"; NULL: not announced */
    const char *expire;  /* argument of EXPIRE, e.g. "NEVER", "0", "30"; NULL: not announced */
    uint32_t login_delay_seconds; /* LOGIN-DELAY; 0: not announced */
    uint32_t max_bad_commands; /* in a row; then the connection is closed politely; 0: no limit */
    int utf8;                  /* nonzero: UTF8 is offered (RFC 6856 section 2) */
    int utf8_user; /* nonzero: with USER: the host prepares names and passwords (section 2.2) */
};

/* Facts of one connection. Borrowed until it is replaced by pop3_server_tls_started or the session ends. */
struct pop3_server_connection {
    int user_allowed; /* nonzero: USER/PASS may be used here */
    int starttls;     /* nonzero: STLS is offered now */
    int encrypted;    /* nonzero: the octets travel under TLS */
    const char
        *sasl_mechanisms;  /* names with single spaces between, best first; NULL: no AUTH here */
    const char *timestamp; /* "<...@...>" for APOP (RFC 1939 section 7); NULL: no APOP */
    int proxied; /* nonzero: a proxy logs in here for its client, and may hand on line ends in a name or a
                    password. In AUTHORIZATION, octets behind a command end the session, unless CAPA was
                    asked: only then does a client know that it may pipeline (RFC 2449 section 6.6) */
    int xclient; /* nonzero: XCLIENT, by which a proxy says who its client is, is offered */
};

enum pop3_server_event_type {
    POP3_SERVER_NEED_INPUT,   /* nothing to do until the peer sends more */
    POP3_SERVER_WRITE,        /* send `write` to the peer, all or a part */
    POP3_SERVER_LEND,         /* lend `lend.size` octets for `lend.purpose` */
    POP3_SERVER_RETURN,       /* memory that was lent is needed no more: `returned` */
    POP3_SERVER_AUTHENTICATE, /* decide about `authenticate` */
    POP3_SERVER_CANCEL,       /* drop the authentication exchange under way */
    POP3_SERVER_CLIENT,       /* a proxy says that its client is `client` */
    POP3_SERVER_OPEN,         /* lock the authenticated user's maildrop and take its snapshot */
    POP3_SERVER_ROWS,         /* look up rows `rows.first` .. `rows.first + rows.count - 1` */
    POP3_SERVER_SEND,         /* open message `send` to be read */
    POP3_SERVER_MESSAGE,      /* give the next octets of the open message, as stored */
    POP3_SERVER_STOP,         /* the open message is done with: close it */
    POP3_SERVER_COMMIT,       /* remove what `commit` marks, unlock the maildrop */
    POP3_SERVER_RELEASE,      /* unlock the maildrop, remove nothing */
    POP3_SERVER_STARTTLS, /* begin the TLS handshake; octets fed from now on are what TLS decrypts */
    POP3_SERVER_CLOSE     /* close the connection */
};

enum pop3_server_purpose {
    POP3_LEND_OUTPUT, /* replies are written here; size is the least, more is better (64 KiB) */
    POP3_LEND_MARKS,  /* one bit a message, at the first DELE; need not be zeroed */
    POP3_LEND_SASL    /* a long line of an AUTH exchange */
};

enum pop3_server_method {
    POP3_METHOD_PASSWORD, /* USER and PASS: `name` and `response` (the password) */
    POP3_METHOD_APOP, /* `name`, `response` (32 hexadecimal digits) and the connection's timestamp */
    POP3_METHOD_SASL_BEGIN, /* AUTH: `name` is the mechanism; `response` the initial response, decoded */
    POP3_METHOD_SASL_CONTINUE /* `response` is the next message of the exchange, decoded; no name */
};

struct pop3_server_event {
    enum pop3_server_event_type type;
    union {
        struct {
            const void *data;
            size_t size;
        } write;
        struct {
            enum pop3_server_purpose purpose;
            size_t size; /* octets */
        } lend;
        struct {
            enum pop3_server_purpose purpose;
            void *memory; /* as it was lent */
        } returned;
        struct {
            enum pop3_server_method method;
            const char *name; /* octets of the peer, not NUL-terminated */
            size_t name_size;
            const void *response;
            size_t response_size;
            int has_response; /* zero: AUTH came without an initial response */
        } authenticate;
        struct {
            const char *address; /* octets of the peer, not NUL-terminated: an address in numbers */
            size_t address_size;
            uint16_t port; /* 0: it was not said */
        } client;
        struct {
            int surrogates; /* nonzero: the client did not say UTF8, where it is offered: messages that need
                               it are counted as their surrogates (<pop3/surrogate.h>), here and in rows */
        } open;
        struct {
            uint32_t first; /* message number, from 1 */
            uint32_t count; /* at least 1 */
            int deletion; /* nonzero: this one message is about to be marked; where it could not be
                               served, fail with POP3_FAILURE_UNREADABLE: nobody deletes unseen mail */
        } rows;
        struct {
            uint32_t number; /* message number, from 1 */
            int top;         /* nonzero: TOP, STOP may come before the end */
            int surrogate; /* nonzero: as OPEN said: a message that needs UTF-8 is given as its surrogate */
        } send;
        struct {
            const uint8_t
                *marks;     /* message n is marked if marks[(n-1)/8] has bit (n-1)%8; NULL: none */
            uint32_t count; /* messages that are marked */
        } commit;
    } u;
};

/* A row of the snapshot. */
struct pop3_row {
    uint64_t octets;       /* as sent: line ends as CR LF, without stuffed dots and terminator */
    const char *unique_id; /* 1 to 70 octets of 0x21 to 0x7E, not NUL-terminated */
    size_t unique_id_size;
};

/* What a session did, for the host's log. */
struct pop3_server_counters {
    uint64_t retr_count, retr_octets; /* octets of messages, without stuffed dots and terminators */
    uint64_t top_count, top_octets;
    uint64_t marked_count, marked_octets; /* what is marked now; after COMMIT, what it marked */
    uint32_t bad_commands;                /* in a row, up to now */
    int pipelined; /* nonzero: octets behind a command ended it, see `proxied` */
};

enum pop3_end_reason {
    POP3_END_PEER_GONE, /* nothing more can be written */
    POP3_END_TIMEOUT,
    POP3_END_TAKEN_OVER, /* another session of the same user takes the maildrop */
    POP3_END_LIMIT,      /* too many connections, or too many failures, of this peer */
    POP3_END_SHUTDOWN    /* the server stops */
};

struct pop3_server;

/* Octets that a session needs, suitably aligned for any object. */
POP3_EXPORT size_t pop3_server_size(void);

/* Makes a session in `memory` of pop3_server_size() octets. The first event brings the greeting. There is
 * nothing to free: when the session is over, the memory may be reused. */
POP3_EXPORT struct pop3_server *pop3_server_init(void *memory,
                                                 const struct pop3_server_options *options,
                                                 const struct pop3_server_connection *connection);

/* Takes octets from the peer; returns how many were consumed. Fewer than `size` only while the session
 * waits for an answer or for its output to drain: the host keeps the rest, does what pop3_server_next
 * says, and feeds the rest when it says NEED_INPUT, which comes before the replies so far are written,
 * for there may be more to go with them. A peer that has closed its end may have pipelined QUIT before:
 * feed all that came, then call pop3_server_end. After the end, everything is consumed and dropped. */
POP3_EXPORT size_t pop3_server_feed(struct pop3_server *session, const void *data, size_t size);

/* Tells what to do. WRITE is given when there is nothing else to do or the output buffer is full, so that
 * replies to pipelined commands go out together. */
POP3_EXPORT void pop3_server_next(struct pop3_server *session, struct pop3_server_event *event);

/* The outstanding event will take a while: if replies are buffered, pop3_server_next gives a WRITE with
 * them before it gives that event again. */
POP3_EXPORT void pop3_server_flush(struct pop3_server *session);

/* Answers to events, in the order of the list above. */
POP3_EXPORT void pop3_server_written(struct pop3_server *session, size_t count);
/* `memory` NULL refuses: without output the session closes, without the others a command fails. The
 * memory is the session's until RETURN or CLOSE (which returns all). `size` is what was lent. */
POP3_EXPORT void pop3_server_lent(struct pop3_server *session, void *memory, size_t size);
POP3_EXPORT void pop3_server_returned(struct pop3_server *session);
POP3_EXPORT void pop3_server_authenticated(struct pop3_server *session);
/* The exchange goes on: `data` is sent, encoded. 3000 octets find room in any output of 4096 or more; a
 * challenge that finds none ends the exchange with -ERR [SYS/TEMP]. */
POP3_EXPORT void pop3_server_challenge(struct pop3_server *session, const void *data, size_t size);
POP3_EXPORT void pop3_server_cancelled(struct pop3_server *session);
/* The facts of the connection may be others now: `connection` replaces them. */
POP3_EXPORT void pop3_server_client_taken(struct pop3_server *session,
                                          const struct pop3_server_connection *connection);
POP3_EXPORT void pop3_server_opened(struct pop3_server *session, uint32_t count, uint64_t octets);
/* `count` rows, as many as were asked for; borrowed for the call. */
POP3_EXPORT void pop3_server_rows(struct pop3_server *session, const struct pop3_row *rows,
                                  uint32_t count);
/* `needs_utf8` nonzero refuses it with [UTF8], if SEND asked for surrogates: for a host that makes none. */
POP3_EXPORT void pop3_server_message_opened(struct pop3_server *session, int needs_utf8);
/* Octets of the open message, or its surrogate, as stored (line ends LF or CR LF); returns how many were consumed. WRITE
 * comes next if they were fewer than there are (then give the rest), or STOP (then nothing more). */
POP3_EXPORT size_t pop3_server_message(struct pop3_server *session, const void *data, size_t size);
POP3_EXPORT void pop3_server_message_end(struct pop3_server *session);
POP3_EXPORT void pop3_server_stopped(struct pop3_server *session);
POP3_EXPORT void pop3_server_committed(struct pop3_server *session, uint32_t not_removed);
POP3_EXPORT void pop3_server_released(struct pop3_server *session);
POP3_EXPORT void pop3_server_tls_started(struct pop3_server *session,
                                         const struct pop3_server_connection *connection);
/* The outstanding AUTHENTICATE, CLIENT, OPEN, ROWS, SEND or MESSAGE could not be done. In the middle of a
 * multi-line response this ends the connection without the terminator. */
POP3_EXPORT void pop3_server_failed(struct pop3_server *session, enum pop3_failure failure);

/* The host ends the session, at any time. The outstanding event is void, and with it what the host was
 * doing: a message is closed, an authentication dropped. Only COMMIT is carried out and answered first.
 * RELEASE comes next if a maildrop is open (also if its OPEN was outstanding), then CLOSE. Between them a
 * WRITE tells the peer (TAKEN_OVER and SHUTDOWN only, and never inside a multi-line response): a host that
 * will not wait for it calls pop3_server_end again, with PEER_GONE. */
POP3_EXPORT void pop3_server_end(struct pop3_server *session, enum pop3_end_reason reason);

POP3_EXPORT enum pop3_state pop3_server_state(const struct pop3_server *session);
POP3_EXPORT const struct pop3_server_counters *
pop3_server_counters(const struct pop3_server *session);

/* The octets that RETR sends for a message as stored, without stuffed dots and terminator; also what
 * LIST must say of it (RFC 1939 section 11). Feed it with any chunks in turn, beginning with an empty
 * (zeroed) state, then ask for the sum. */
struct pop3_octet_count {
    uint64_t octets;
    uint32_t state; /* private */
};
POP3_EXPORT void pop3_octet_count_feed(struct pop3_octet_count *count, const void *data,
                                       size_t size);
POP3_EXPORT uint64_t pop3_octet_count_end(const struct pop3_octet_count *count);

#ifdef __cplusplus
}
#endif

#endif
