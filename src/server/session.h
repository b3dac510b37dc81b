/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_SESSION_H
#define RESTANTE_SERVER_SESSION_H

#include <uv.h>

#include "net/address.h"
#include "net/stream.h"
#include "server/worker.h"

/* One connection: the engine of libpop3 between a stream and a maildrop. Its five parts:
 * session.c drives the engine, deadlines.c keeps the times, proxied.c learns from a proxy who the client is,
 * login.c, login_sasl.c and login_open.c answer AUTHENTICATE and OPEN, transfer.c what concerns messages. */

/* In which of the limits a session counts. */
enum session_counted {
    COUNTED_NOT,
    COUNTED_IN_ALL,     /* of the server */
    COUNTED_AT_PROXY,   /* and with those of its proxy that have not said whose they are */
    COUNTED_BY_ADDRESS, /* and with those of its address */
};

enum session_wait {
    WAIT_NOTHING,
    WAIT_THROTTLE, /* who failed before is not looked at at once */
    WAIT_AUTH,     /* auth decides */
    WAIT_DELAY,    /* the answer to a failed login is held back */
    WAIT_OPEN,     /* the store opens the maildrop */
    WAIT_HOLDER,   /* another session has the maildrop */
    WAIT_STORE     /* rows, octets or a commit */
};

struct session {
    struct stream stream; /* first: a stream's address is its session's */
    uv_timer_t timer;
    struct worker *worker;
    struct session *previous, *next; /* all of the worker */
    struct session *rested_next;
    bool rested;
    bool closing;
    bool lingering;  /* our end is shut, the peer's octets are thrown away */
    bool store_busy; /* an operation is under way */
    bool abandoned;  /* its result is of no use */
    bool sampled;
    bool waited;      /* the throttle's time is over */
    bool handshaking; /* TLS is being set up: the engine has to wait */
    bool header_due;  /* the proxy has not said whose connection it is: the engine has to wait */
    bool tls_first;   /* TLS from the first octet, but for a PROXY header */
    bool near;        /* the other end is on this machine */
    bool unknown;     /* `peer` is a proxy that forwards for whom it can't say */
    bool client_tls;  /* the client's way to its proxy is under TLS */
    enum session_counted counted;
    uint8_t handles; /* that are not closed yet */
    enum session_wait wait;
    uint32_t bad_logins;

    struct pop3_server *engine;
    struct pop3_server_connection connection;
    struct bytes input; /* what the engine has not taken yet */
    uint8_t *held;      /* memory of `input`, if it outlived its event */
    size_t write_size;  /* of the WRITE that the stream has not taken whole */

    /* Times of the loop, milliseconds. */
    uint64_t began, active, wrote, wait_until;
    struct tcp_progress sample; /* of the connection when it had been silent for a while */
    uint64_t silent_since;      /* as of that sample */
    uint64_t armed;             /* when the timer fires; 0: it does not */

    struct sockaddr_storage peer; /* who the client is, as far as is known: its proxy before */
    char address[ADDRESS_TEXT_SIZE];
    char *proxy;     /* its address; NULL: none */
    const char *end; /* why it ended; NULL while it lasts */

    /* Login. */
    struct auth_call call;
    struct waiter waiter;
    char mechanisms[SASL_LIST_SIZE];
    char *timestamp;                /* of APOP; NULL: it is not offered */
    const char *method;             /* of the login under way, or the last */
    struct sasl_server *collecting; /* PLAIN or LOGIN */
    struct secret *secret;
    char *asked_name; /* as the peer gave it */
    uint64_t asked_at, in_use_until;
    enum error_kind refusal;
    enum account_rule rule; /* that refused the login; for the log */
    char *user;             /* canonical; NULL before login */
    char *path;             /* of the maildrop, if the account says so */

    /* Maildrop. */
    struct holder holder;
    bool holding;
    struct maildrop_store *granted; /* by auth, with one maildrop; NULL: the worker's has it */
    struct maildrop *maildrop;
    uint32_t message_count;
    uint64_t message_octets;
    uint32_t removed;
    struct maildrop_operation operation;
    void (*operation_done)(struct session *session);
    struct maildrop_page *page;
    uint32_t row_count; /* that were asked for */
    bool checked;       /* this deletion's message can be served */
    struct loan output;
    void *marks, *sasl;
    struct loan chunk; /* octets of the open message, chunk_used .. chunk_size are to be sent */
    size_t chunk_size, chunk_used;
    uint64_t chunk_offset; /* of the next read */
    bool chunk_last;
    uint32_t open_message;
    bool open_for_top;
    uint64_t sent_before; /* the engine's count of RETR's octets when it was opened */
    bool wants_surrogates;
    struct conversion
        *conversion; /* of that message into its surrogate; NULL: it goes out as it is */

    max_align_t engine_memory[];
};

/* Takes a connection that waits at `listener`. */
void session_accept(struct listener *listener);

/* Ends it as the engine does: SHUTDOWN when the worker is drained, TAKEN_OVER when another login needs the
 * maildrop. Sessions in UPDATE finish first. */
void session_end(struct session *session, enum pop3_end_reason reason, const char *why);

bool session_is_logged_in(const struct session *session);

/* Has the peer's address used up its failed logins? */
bool session_failed_too_often(const struct session *session);

/* For the parts: */

/* Does what the engine says until it has to wait, or others have to have their turn. */
void session_drive(struct session *session);

/* Closes the connection now. */
void session_disconnect(struct session *session);

/* The store answered `progress` to an operation: calls `done` now, or when it is there. */
void session_wait_for_store(struct session *session, enum maildrop_progress progress,
                            void (*done)(struct session *session));

enum pop3_failure session_failure_of(enum error_kind kind);

/* It is known who the client is, or that nobody will tell: its session begins, if it is welcome. */
void session_begin(struct session *session);

/* Fills what depends on who the client is, and counts him; false: he is not welcome, and it is over. */
bool session_admit(struct session *session);

/* Gives back its place in the limits. */
void session_uncount(struct session *session);

/* proxied.c */
/* A connection to a listener for proxies: closed at once if it is none's, else its header is waited for. */
void proxied_begin(struct session *session);
/* Octets of the header, `session->input`. What is left there then is the client's. */
void proxied_take_header(struct session *session);
/* A connection to another listener: if it is a proxy's, XCLIENT may say who its client is. False: there is no
 * place for it, and it is over. */
bool proxied_offer(struct session *session);
void proxied_xclient(struct session *session, const struct pop3_server_event *event);
/* A login begins: whose address it is will not be told any more. False: it is not welcome, and over. */
bool proxied_settle(struct session *session);

/* deadlines.c */
void deadlines_arm(struct session *session);
bool deadlines_give_up(struct holder *holder);

/* login.c */
void login_begin(struct session *session, const struct pop3_server_event *event);
void login_delay_is_over(struct session *session);
void login_throttle_is_over(struct session *session);
void login_abandon(struct session *session);
void login_forget_user(struct session *session);
/* For the other files of the login: how each ends. The answer to a failed one is held back. */
/* What auth has to know of the connection, whatever proves who the client is. */
void login_facts(const struct session *session, struct auth_facts *facts_out);
void login_with_password(struct session *session, struct bytes name, struct bytes password);
/* Takes `maildrop`, the channel of a maildrop that auth granted; -1: the workers' own store has it. */
void login_succeed(struct session *session, const char *user, const char *path, int maildrop);
void login_fail(struct session *session, enum error_kind kind);
void login_wait_for_auth(struct session *session);
void login_forget_question(struct session *session);

/* login_sasl.c */
/* Fills what the connection offers: at its begin, and when TLS is there. */
void login_offer(struct session *session);
/* Keeps the name, prepared (RFC 4013), as the one that was asked for. ERROR_NO_SUCH_USER: nobody can be called so. */
enum error_kind login_take_name(struct session *session, struct bytes name);
void login_apop(struct session *session, struct bytes name, struct bytes digest);
void login_sasl_begin(struct session *session, struct bytes mechanism, const struct bytes *initial);
void login_sasl_continue(struct session *session, struct bytes response);

/* login_open.c */
void login_open(struct session *session, const struct pop3_server_event *event);
void login_try_again(struct session *session);

/* throttle.c: a wrong password, or a name of nobody, was given; how long the next try has to wait. */
void throttle_count_failure(struct session *session);
uint64_t throttle_ms(const struct session *session, struct bytes name);

/* transfer.c */
void transfer_rows(struct session *session, const struct pop3_server_event *event);
void transfer_send(struct session *session, const struct pop3_server_event *event);
void transfer_message(struct session *session);
void transfer_stop(struct session *session);
void transfer_commit(struct session *session, const struct pop3_server_event *event);
void transfer_release(struct session *session);
void transfer_free(struct session *session);

#endif
