/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_SESSION_H
#define RESTANTE_POP3_SESSION_H

/* The server's session as its own files see it: server.c drives it, server_event.c asks
 * the host, server_authorization.c, server_transaction.c and server_update.c hold the commands. */

#include <pop3/server.h>

#include "base/buffer.h"
#include "pop3/command.h"
#include "pop3/multiline.h"
#include "pop3/replies.h"

enum {
    SESSION_NAME_OCTETS = 255, /* a USER name: leaves PASS the 255 octets of RFC 2449 section 4 */
    SESSION_CHALLENGE_OCTETS = 4096 /* room kept for a SASL challenge, if the output is as large */
};

/* What goes on. Everything but READING and the two listings is an event that waits for its answer. */
enum doing {
    DOING_READING, /* commands, or the lines of an AUTH exchange */
    DOING_LENDING_MARKS,
    DOING_LENDING_SASL,
    DOING_AUTHENTICATING,
    DOING_CANCELLING,
    DOING_IDENTIFYING,
    DOING_OPENING,
    DOING_ROWS,    /* of what `listing` says */
    DOING_LISTING, /* capabilities, languages, mechanisms: no event, only room is needed */
    DOING_SENDING,
    DOING_MESSAGE,
    DOING_STOPPING,
    DOING_COMMITTING,
    DOING_STARTING_TLS,
    DOING_RELEASING,
    DOING_CLOSING
};

enum listing {
    LISTING_SIZES,
    LISTING_UNIQUE_IDS,
    LISTING_SIZE,      /* LIST n */
    LISTING_UNIQUE_ID, /* UIDL n */
    LISTING_DELETION,  /* DELE n asks for its row */
    LISTING_CAPABILITIES,
    LISTING_LANGUAGES,
    LISTING_MECHANISMS
};

struct pop3_server {
    const struct pop3_server_options *options;
    const struct pop3_server_connection *connection;
    enum pop3_state state;
    enum doing doing;
    enum language language;

    bool greeting_due;
    bool line_complete; /* a whole command waits for room to answer */
    bool discarding;    /* until the next LF: the line was too long */
    bool followed;      /* octets came behind the line that is complete */
    bool capa_asked;
    bool client_taken;  /* from XCLIENT */
    bool more_held;     /* the host holds octets that follow those that were fed */
    bool name_is_new;   /* the name was given by the command under way */
    bool exchange;      /* of AUTH */
    bool long_auth;     /* the line under way is an AUTH that needs the room of `sasl` */
    bool utf8;          /* the client said UTF8 */
    bool tls_begun;     /* STARTTLS has been given to the host */
    bool maildrop_open; /* or may be: OPEN has been asked for */
    bool flush;
    bool muted;          /* nothing more is written */
    enum text last_line; /* due before CLOSE */
    enum text deferred;  /* why CANCEL, or that the line cannot be taken */

    struct buffer output; /* lent; data NULL: not now */
    struct buffer
        sasl;       /* lent; the line under way if it is a long one of an exchange, or begins one */
    uint8_t *marks; /* lent */

    uint32_t count;  /* messages in the snapshot */
    uint64_t octets; /* of all of them */
    struct pop3_server_counters counters;

    enum listing listing;
    uint32_t number;     /* the message that the command is about, or the next to be listed */
    uint32_t rows_count; /* of the ROWS event that is out; 0: none is */
    bool top;
    uint64_t top_lines;
    struct multiline message;

    struct {
        enum pop3_server_method method;
        struct bytes name, response;
        bool has_response;
    } authenticate;

    struct {
        struct bytes address;
        uint16_t port;
    } client; /* of XCLIENT */

    size_t name_size; /* of the name that waits for PASS, at the front of `line`; 0: none */
    size_t line_size; /* of the line, without its LF, behind it or in `sasl` */
    uint8_t line[POP3_LINE_OCTETS];
};

/* The only place where the state changes. */
void session_set_state(struct pop3_server *session, enum pop3_state state);

/* Writes a command's one reply; TEXT_NONE writes nothing. */
void session_reply(struct pop3_server *session, const struct reply *reply);

/* The command is done with: its octets are wiped, the next line may come. */
void session_end_command(struct pop3_server *session);

/* The line under way goes on in `sasl`, which is there. */
void session_move_line(struct pop3_server *session);

/* Overwrites the line and the name that waits. */
void session_wipe(struct pop3_server *session);

/* The reply that a command waited for, and its end. */
void session_answer(struct pop3_server *session, struct reply reply);

/* Nothing is obeyed any more: what is buffered is written, an open maildrop is released, then CLOSE. */
void session_close(struct pop3_server *session);

/* Does all that can be done without the host. */
void session_go_on(struct pop3_server *session);

/* Must output be lent or drained before anything goes on? */
bool session_lacks_room(const struct pop3_server *session);

/* Is the client one that must not be sent UTF-8 in a header? RFC 6856 section 2.1. */
static inline bool session_needs_surrogates(const struct pop3_server *session)
{
    return session->options->utf8 && !session->utf8;
}

static inline size_t session_pending(const struct pop3_server *session)
{
    return session->muted ? 0 : session->output.written - session->output.read;
}

static inline bool session_is_marked(const struct pop3_server *session, uint64_t number)
{
    return session->marks != NULL &&
           (session->marks[(number - 1) / 8] >> (number - 1) % 8 & 1) != 0;
}

/* server_authorization.c */
struct reply handle_user(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_pass(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_apop(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_auth(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_stls(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_utf8(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_lang(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_xclient(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_capa(struct pop3_server *session, const struct arguments *arguments);

/* A line of an AUTH exchange. */
struct reply authorization_continue(struct pop3_server *session, uint8_t *line, size_t size);

/* Appends a line with the `index`th name of connection->sasl_mechanisms; false if there are no more. */
bool authorization_append_mechanism(const struct pop3_server *session, unsigned index,
                                    struct buffer *out);

/* server_transaction.c */
struct reply handle_stat(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_list(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_uidl(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_retr(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_top(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_dele(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_noop(struct pop3_server *session, const struct arguments *arguments);
struct reply handle_rset(struct pop3_server *session, const struct arguments *arguments);

/* Room that the next step of DOING_ROWS needs. */
size_t transaction_rows_room(const struct pop3_server *session);

/* Goes on with DOING_ROWS up to its next question: true if a ROWS event is to be given. */
bool transaction_next_rows(struct pop3_server *session);

/* server_update.c */
struct reply handle_quit(struct pop3_server *session, const struct arguments *arguments);

#endif
