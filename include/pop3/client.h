/* SPDX-License-Identifier: MIT */
#ifndef POP3_CLIENT_H
#define POP3_CLIENT_H

/* The client end of a POP3 session (RFC 1939, 2449, 2595, 3206, 5034, 6856) without input or output.
 *
 * The host drives it. It asks for commands (pop3_client_retr and its like), gives the octets that came from
 * the server to pop3_client_feed, and does what pop3_client_next says:
 *
 *     for (;;) {
 *         pop3_client_next(client, &event);
 *         switch (event.type) {
 *         case POP3_CLIENT_NEED_INPUT:   feed what is left, or wait for the server and then feed
 *         case POP3_CLIENT_IDLE:         ask for a command: nothing is under way
 *         case POP3_CLIENT_WRITE:        pop3_client_written
 *         case POP3_CLIENT_REPLY:        a command's first line has come
 *         case POP3_CLIENT_ROW:          a line of LIST or UIDL
 *         case POP3_CLIENT_ROWS_END:     that was the last one
 *         case POP3_CLIENT_CAPABILITY:   a line of CAPA
 *         case POP3_CLIENT_CAPABILITIES: what the server can do is known
 *         case POP3_CLIENT_MESSAGE:      octets of a message
 *         case POP3_CLIENT_MESSAGE_END:  the message is whole
 *         case POP3_CLIENT_CHALLENGE:    pop3_client_respond or pop3_client_cancel
 *         case POP3_CLIENT_STARTTLS:     pop3_client_tls_started
 *         case POP3_CLIENT_CLOSE:        close the connection, forget the session
 *         }
 *     }
 *
 * WRITE, CHALLENGE and STARTTLS come again until they are answered, IDLE and NEED_INPUT as long as they are
 * true; the others come once. What the server said comes before WRITE, so a host whose socket takes no more
 * feeds, and asks again. Many commands may be asked for at once: they go out together if the server says
 * PIPELINING, else one at a time; replies come in the order of the commands. A host that keeps many in
 * flight must read while it writes, or the two ends may wait for each other.
 *
 * Pointers in an event point into the session or into the octets that were fed: they are valid until the
 * next pop3_client_feed, and so long those octets must stay. WRITE's are valid until it is answered. Text
 * and ids are octets of a stranger: not NUL-terminated, and with any octet but LF.
 *
 * The session allocates nothing, knows no time, and is one block of pop3_client_size() octets: below 5 KiB,
 * and 12 more for each command that may wait or be in flight; nothing grows with what the server sends. A
 * challenge of a SASL mechanism that is longer than a line needs memory that is lent with
 * pop3_client_auth. What is written is overwritten once it was written, lines of an AUTH exchange once they
 * were answered; the host does the same with what it gave. One session belongs to one thread at a time. A
 * failure is sticky: after CLOSE, only CLOSE comes. */

#include <stddef.h>
#include <stdint.h>

#include <pop3/reply.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    POP3_CLIENT_COMMAND_OCTETS = 255, /* a command, CR LF included: RFC 2449 section 4 */
    POP3_CLIENT_LINE_OCTETS =
        2048, /* a line of the server outside messages, CR LF included: 4 times what
                                       RFC 2449 allows, for servers that do not keep to it */
    POP3_CLIENT_CAPABILITIES_MOST = 256, /* lines in the reply to CAPA */
    POP3_CLIENT_TEXT_OCTETS = 256 /* of a timestamp and of the list of mechanisms, NUL included */
};

#define POP3_CLIENT_ROWS_MOST UINT32_C(10000000) /* unless options say otherwise */

enum pop3_client_state {
    POP3_CLIENT_GREETING, /* the server speaks first */
    POP3_CLIENT_AUTHORIZATION,
    POP3_CLIENT_TRANSACTION,
    POP3_CLIENT_ENDED /* QUIT was asked for, or the session is over */
};

enum pop3_client_command {
    POP3_CLIENT_CONNECT, /* no command: what the greeting replies to */
    POP3_CLIENT_CAPA,
    POP3_CLIENT_STLS,
    POP3_CLIENT_UTF8,
    POP3_CLIENT_AUTH,
    POP3_CLIENT_USER,
    POP3_CLIENT_PASS,
    POP3_CLIENT_APOP,
    POP3_CLIENT_STAT,
    POP3_CLIENT_LIST,
    POP3_CLIENT_UIDL,
    POP3_CLIENT_TOP,
    POP3_CLIENT_RETR,
    POP3_CLIENT_DELE,
    POP3_CLIENT_RSET,
    POP3_CLIENT_NOOP,
    POP3_CLIENT_QUIT
};

/* Why a command was not taken; nothing has changed then. */
enum pop3_client_refusal {
    POP3_CLIENT_TAKEN = 0,
    POP3_CLIENT_BUSY, /* no room, or it must be the only one: try again when events have come */
    POP3_CLIENT_WRONG_STATE, /* not now: log in first, USER before PASS, a timestamp before APOP ... */
    POP3_CLIENT_BAD_ARGUMENT, /* CR, LF or NUL in an argument, message 0 ... */
    POP3_CLIENT_TOO_LONG      /* the command would exceed POP3_CLIENT_COMMAND_OCTETS */
};

/* Why the session ends. */
enum pop3_client_error {
    POP3_CLIENT_ERROR_NONE = 0, /* after QUIT, or the host ended it */
    POP3_CLIENT_ERROR_PEER_GONE, /* the connection ended first; a message without its end is not whole */
    POP3_CLIENT_ERROR_REFUSED,     /* the greeting was -ERR */
    POP3_CLIENT_ERROR_REPLY,       /* what came is no reply, or not one to this command */
    POP3_CLIENT_ERROR_UNASKED,     /* the server spoke, and nothing had been asked */
    POP3_CLIENT_ERROR_ROW,         /* a line of LIST or UIDL makes no sense */
    POP3_CLIENT_ERROR_LINE_END,    /* LF without CR */
    POP3_CLIENT_ERROR_LINE_LENGTH, /* over POP3_CLIENT_LINE_OCTETS, or what was lent for a challenge */
    POP3_CLIENT_ERROR_MANY,        /* more messages, rows or capabilities than the limit */
    POP3_CLIENT_ERROR_MESSAGE_SIZE, /* over max_message_octets */
    POP3_CLIENT_ERROR_STLS_INJECTED /* plaintext behind the reply to STLS */
};

/* Response codes (RFC 2449 section 8, RFC 3206, RFC 6856). */
enum pop3_client_code {
    POP3_CLIENT_CODE_NONE,
    POP3_CLIENT_CODE_OTHER, /* one that is not known here: see `code` */
    POP3_CLIENT_CODE_LOGIN_DELAY,
    POP3_CLIENT_CODE_IN_USE,
    POP3_CLIENT_CODE_SYS_TEMP,
    POP3_CLIENT_CODE_SYS_PERM,
    POP3_CLIENT_CODE_AUTH,
    POP3_CLIENT_CODE_UTF8
};

/* Bits of pop3_client_capabilities.set. */
enum {
    POP3_CAPABILITY_TOP = 1 << 0,
    POP3_CAPABILITY_USER = 1 << 1,
    POP3_CAPABILITY_SASL = 1 << 2,
    POP3_CAPABILITY_RESP_CODES = 1 << 3,
    POP3_CAPABILITY_LOGIN_DELAY = 1 << 4,
    POP3_CAPABILITY_PIPELINING = 1 << 5,
    POP3_CAPABILITY_EXPIRE = 1 << 6,
    POP3_CAPABILITY_UIDL = 1 << 7,
    POP3_CAPABILITY_IMPLEMENTATION = 1 << 8,
    POP3_CAPABILITY_STLS = 1 << 9,
    POP3_CAPABILITY_AUTH_RESP_CODE = 1 << 10,
    POP3_CAPABILITY_UTF8 = 1 << 11,
    POP3_CAPABILITY_LANG = 1 << 12,
    POP3_CAPABILITY_UTF8_USER = 1 << 13 /* UTF8 with the argument USER */
};

struct pop3_client_capabilities {
    int known;    /* nonzero: CAPA has been answered since the connection or TLS began */
    int absent;   /* nonzero: it was answered with -ERR */
    uint32_t set; /* POP3_CAPABILITY_* */
    uint32_t login_delay_seconds;
    uint32_t expire_days; /* UINT32_MAX: NEVER */
    /* Single spaces between; whole names, as many as find room. */
    char sasl_mechanisms[POP3_CLIENT_TEXT_OCTETS];
};

/* Borrowed: must stay unchanged while a session uses it. */
struct pop3_client_options {
    uint32_t max_messages;       /* that STAT may say, and rows; 0: POP3_CLIENT_ROWS_MOST */
    uint64_t max_message_octets; /* of one message or TOP, after un-stuffing; 0: no limit */
    int ask_capa;      /* nonzero: CAPA is asked for by itself after the greeting, TLS and login */
    int encrypted;     /* nonzero: TLS is there from the beginning, STLS is not to be asked for */
    int one_at_a_time; /* nonzero: whatever the server says of PIPELINING: it was seen to break it */
};

enum pop3_client_event_type {
    POP3_CLIENT_NEED_INPUT,
    POP3_CLIENT_IDLE,
    POP3_CLIENT_WRITE,
    POP3_CLIENT_REPLY,
    POP3_CLIENT_ROW,
    POP3_CLIENT_ROWS_END,
    POP3_CLIENT_CAPABILITY,
    POP3_CLIENT_CAPABILITIES,
    POP3_CLIENT_MESSAGE,
    POP3_CLIENT_MESSAGE_END,
    POP3_CLIENT_CHALLENGE,
    POP3_CLIENT_STARTTLS,
    POP3_CLIENT_CLOSE
};

struct pop3_client_event {
    enum pop3_client_event_type type;
    union {
        struct {
            const void *data;
            size_t size;
        } write;
        struct {
            enum pop3_client_command command;
            uint32_t number; /* of the message that the command is about; 0: none */
            int ok;          /* +OK. A listing, CAPA or a message follows if it was one of those */
            enum pop3_client_code code;
            const char *code_text; /* between the brackets */
            size_t code_size;
            const char *text; /* what follows */
            size_t text_size;
            uint32_t count;        /* STAT: messages */
            uint64_t octets;       /* STAT and LIST n */
            const char *unique_id; /* UIDL n */
            size_t unique_id_size;
            int pipelined; /* another command was in flight with it: -ERR may mean that the server cannot */
            int cancelled; /* AUTH: the exchange was left with "*", by the host or for bad base64 */
        } reply;
        struct {
            enum pop3_client_command command; /* LIST or UIDL */
            uint32_t number;                  /* as the server says: any order, even twice */
            uint64_t octets;                  /* LIST */
            const char *unique_id;            /* UIDL: any octets, perhaps none */
            size_t unique_id_size;
        } row;
        struct {
            enum pop3_client_command command;
            uint32_t count;
        } rows_end;
        struct {
            const char *text; /* the line */
            size_t text_size;
        } capability;
        const struct pop3_client_capabilities
            *capabilities; /* stays true until the next ones come */
        struct {
            uint32_t number;
            const void *data; /* line ends as they came, dots un-stuffed */
            size_t size;      /* at least 1 */
        } message;
        struct {
            uint32_t number;
            int top;         /* nonzero: of TOP */
            uint64_t octets; /* of all pieces */
        } message_end;
        struct {
            const void *data; /* decoded */
            size_t size;
        } challenge;
        struct {
            enum pop3_client_error error;
            int pipelined; /* several commands have been in flight: where the error is REPLY, ROW, UNASKED or
                              PEER_GONE, the host should remember the server with one_at_a_time */
            const char *text; /* the line that was in the way, or its beginning; may be empty */
            size_t text_size;
        } close;
    } u;
};

struct pop3_client;

/* Octets for a session that can have so many commands waiting or in flight (1 or more), to be suitably
 * aligned for any object. */
POP3_EXPORT size_t pop3_client_size(uint32_t commands);
/* Makes a session in `memory` of pop3_client_size(commands) octets. There is nothing to free. */
POP3_EXPORT struct pop3_client *pop3_client_init(void *memory, uint32_t commands,
                                                 const struct pop3_client_options *options);

/* Takes octets from the server; returns how many were consumed. Fewer than `size` when there is an event to
 * be told: ask pop3_client_next until it says NEED_INPUT, then feed the rest. Give all that one read
 * brought: that is how octets behind the reply to STLS are seen. After the end all is dropped. */
POP3_EXPORT size_t pop3_client_feed(struct pop3_client *client, const void *data, size_t size);
POP3_EXPORT void pop3_client_next(struct pop3_client *client, struct pop3_client_event *event);
POP3_EXPORT void pop3_client_written(struct pop3_client *client, size_t count);
/* The peer has closed the connection, or it is lost: CLOSE comes next, with PEER_GONE unless QUIT had been
 * answered. Also for a host that gives up. Call it after all that came was fed. */
POP3_EXPORT void pop3_client_end(struct pop3_client *client);

/* Commands. Each is taken, or refused and then nothing has changed. STLS, UTF8, AUTH, USER, PASS and APOP
 * must be the only one under way. Arguments are copied, except the responses of AUTH. */
POP3_EXPORT enum pop3_client_refusal pop3_client_capa(struct pop3_client *client);
/* Not after UTF8 has succeeded: RFC 6856 section 2.1. */
POP3_EXPORT enum pop3_client_refusal pop3_client_stls(struct pop3_client *client);
/* From its +OK on the server sends messages as they are, UTF-8 in their headers included. Only where CAPA has
 * POP3_CAPABILITY_UTF8, and once. */
POP3_EXPORT enum pop3_client_refusal pop3_client_utf8(struct pop3_client *client);
/* USER, PASS and APOP take any octets of a name or password but CR, LF and NUL: RFC 6856 section 2.2 allows
 * those beyond ASCII only where the server has POP3_CAPABILITY_UTF8_USER, and prepared by SASLprep. */
POP3_EXPORT enum pop3_client_refusal pop3_client_user(struct pop3_client *client, const void *name,
                                                      size_t size);
/* Only after USER was answered with +OK. */
POP3_EXPORT enum pop3_client_refusal pop3_client_pass(struct pop3_client *client,
                                                      const void *password, size_t size);
/* `digest`: 32 lower-case hexadecimal digits, the MD5 of pop3_client_timestamp and the shared secret. */
POP3_EXPORT enum pop3_client_refusal pop3_client_apop(struct pop3_client *client, const void *name,
                                                      size_t size, const char *digest);
struct pop3_client_auth {
    const char *mechanism;
    const void *
        response; /* the initial response, not encoded; NULL: none. Borrowed until CHALLENGE or REPLY */
    size_t
        response_size; /* it goes out with the command if it fits, else behind an empty challenge */
    void *
        memory; /* lent until the REPLY: for challenges of over POP3_CLIENT_LINE_OCTETS; may be NULL */
    size_t memory_size;
};
POP3_EXPORT enum pop3_client_refusal pop3_client_auth(struct pop3_client *client,
                                                      const struct pop3_client_auth *auth);
/* Answers to CHALLENGE. `data` is not encoded, borrowed until the next CHALLENGE or REPLY. */
POP3_EXPORT void pop3_client_respond(struct pop3_client *client, const void *data, size_t size);
POP3_EXPORT void pop3_client_cancel(struct pop3_client *client);
/* Answers STARTTLS: what is fed from now on is what TLS decrypts. What was known of the server before, the
 * timestamp and the capabilities, is forgotten. */
POP3_EXPORT void pop3_client_tls_started(struct pop3_client *client);

POP3_EXPORT enum pop3_client_refusal pop3_client_stat(struct pop3_client *client);
/* `number` 0: all messages. */
POP3_EXPORT enum pop3_client_refusal pop3_client_list(struct pop3_client *client, uint32_t number);
POP3_EXPORT enum pop3_client_refusal pop3_client_uidl(struct pop3_client *client, uint32_t number);
POP3_EXPORT enum pop3_client_refusal pop3_client_top(struct pop3_client *client, uint32_t number,
                                                     uint32_t lines);
POP3_EXPORT enum pop3_client_refusal pop3_client_retr(struct pop3_client *client, uint32_t number);
POP3_EXPORT enum pop3_client_refusal pop3_client_dele(struct pop3_client *client, uint32_t number);
POP3_EXPORT enum pop3_client_refusal pop3_client_rset(struct pop3_client *client);
POP3_EXPORT enum pop3_client_refusal pop3_client_noop(struct pop3_client *client);
/* After it nothing is taken. */
POP3_EXPORT enum pop3_client_refusal pop3_client_quit(struct pop3_client *client);

/* Commands that could be taken now. */
POP3_EXPORT uint32_t pop3_client_room(const struct pop3_client *client);
POP3_EXPORT enum pop3_client_state pop3_client_state(const struct pop3_client *client);
/* The timestamp of the greeting for APOP, "<...@...>", NUL-terminated; NULL: none, no APOP. */
POP3_EXPORT const char *pop3_client_timestamp(const struct pop3_client *client);
POP3_EXPORT const struct pop3_client_capabilities *
pop3_client_capabilities(const struct pop3_client *client);
/* Nonzero: commands go out without waiting for replies. A -ERR to a command that was in flight with others
 * ends that, as some servers announce PIPELINING and break it; a host that has asked again and knows that the
 * message is the reason says so with pop3_client_pipeline. */
POP3_EXPORT int pop3_client_pipelining(const struct pop3_client *client);
POP3_EXPORT void pop3_client_pipeline(struct pop3_client *client);

#ifdef __cplusplus
}
#endif

#endif
