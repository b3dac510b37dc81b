/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_TASK_STATE_H
#define RESTANTE_FETCH_TASK_STATE_H

/* What the files of a task share: task.c (its life), conversation.c (what the engine says), login.c, survey.c
 * (the listing), transfer.c (messages), deletion.c. */

#include <pop3/client.h>

#include "fetch/helper.h"
#include "fetch/plan.h"
#include "fetch/put_off.h"
#include "fetch/remote_listing.h"
#include "fetch/task.h"
#include "fetch/token_request.h"

enum {
    TASK_COMMANDS = 4096,
    TASK_WINDOW_OCTETS = 8 * 1024 * 1024, /* asked for and not come yet */
    /* The same for a command or a server, which may take its time, with what waits for it: that fits into the storer's
     * pool, so that the server is not left in the middle of a reply. */
    TASK_SLOW_WINDOW_OCTETS = STORER_POOL_OCTETS / 2,
    TASK_UNKNOWN_OCTETS = 64 * 1024, /* what a message counts that LIST does not know */
    TASK_HEADER_OCTETS = 64 * 1024,  /* of a header, for filter and preview: no more is kept */
    TASK_ROUNDS_MOST = 100,
    TASK_REFUSALS_IN_A_ROW = 3 /* RETRs that fail one after the other: the server has had enough */
};

enum task_phase {
    TASK_STARTING, /* the state opens */
    TASK_ASKING_PASSWORD,
    TASK_CONNECTING,
    TASK_AUTHORIZATION,
    TASK_LISTING,
    TASK_PLANNING, /* the storer says what it knows */
    TASK_TRANSFER,
    TASK_FLUSHING,  /* the storer makes durable what came */
    TASK_DELETING,  /* and QUIT */
    TASK_CLOSING,   /* the connection; then the storer's last events of the round */
    TASK_WAITING,   /* for the next connection */
    TASK_FINISHING, /* the storer */
    TASK_DONE
};

/* Beyond PLAN_STAY ... PLAN_FETCH: what has become of a message in this session. */
enum task_mark { MARK_NONE, MARK_UNDERWAY, MARK_DONE, MARK_DELETE, MARK_DELETED };

struct task_message {
    uint8_t action; /* enum plan_action */
    uint8_t mark;   /* enum task_mark */
};

/* How one connection's login goes. */
struct task_login {
    bool encrypted;
    bool accepted;
    bool stls_asked;
    bool utf8_asked;
    bool securing;             /* the handshake after STLS has begun */
    bool fallback;             /* SCRAM was refused without a word that the password is wrong */
    struct exchange *exchange; /* of SASL, under way */
    const char *name;          /* of the method under way; NULL: none */
};

/* What has been asked for. */
struct task_transfer {
    size_t next;      /* in the listing */
    size_t last;      /* this one after all others; SIZE_MAX: none */
    size_t in_flight; /* RETR and TOP */
    uint64_t octets_in_flight;
    uint32_t *again; /* indices to be asked for (again) before `next` goes on */
    size_t again_count, again_capacity;
    size_t current; /* the message that comes; SIZE_MAX: none */
    uint64_t current_octets;
    uint32_t wrong_sizes; /* LIST said something else than what came */
    size_t awaited;       /* ended, and the storer has not said what became of them */
    uint64_t octets_awaited;
    uint32_t refused_in_a_row;
    bool stopped; /* softly: nothing more is asked for */
    bool full;    /* so many octets are in flight that none are asked for till fewer are */
    bool paused;  /* the storer is full */
    /* For the filter and previews: */
    uint8_t *header;
    size_t header_size;
    struct helper *filter;
    size_t filtered; /* the message whose header is asked for, or at the filter; SIZE_MAX: none */
};

struct task {
    struct task_options options;
    const struct fetch_account *account;
    enum task_phase phase;
    struct error error;    /* the first that ends the account; ERROR_NONE */
    enum error_kind worst; /* of what failed without ending it */
    bool stopping;         /* the person has had enough */

    struct storer *storer;
    bool storer_failed, storer_ready, listing_lent;
    struct secret *password;
    struct helper *helper;
    struct token_request *token_request;
    struct secret *refused; /* the token that the server did not take */
    bool token_renewed;     /* since the last login that was accepted */

    struct stream stream;
    bool stream_open;
    bool writing; /* the socket has taken a WRITE in part */
    size_t writing_size;
    struct tls_client_context *tls;
    struct pop3_client *client;
    struct pop3_client_options client_options;
    bool exchange; /* AUTH is under way: lines are secrets */
    struct task_login login;

    uv_timer_t timer;
    uint64_t
        last_ms; /* when the server was last heard, or something else than the server waited for */
    uint64_t busy_ms; /* when the server was last waited for */
    bool noop;        /* was asked for, and is not answered */
    uint64_t reported_ms;

    struct remote_listing listing;
    struct task_message *messages; /* one for each of the listing */
    bool has_stat, stat_failed, list_failed, uidl_failed, uidl_again, list_again, no_ids;
    uint32_t stat_count;
    struct plan_policy policy;
    struct task_transfer transfer;
    struct put_off put_off;

    size_t deleting; /* DELE was asked for of all from here on */
    bool quit;       /* was asked for */
    bool quit_accepted;

    uint32_t round;
    bool brought_new;              /* this round stored something */
    bool retry;                    /* the connection broke: try again */
    bool progress_made;            /* a message came whole on this connection */
    uint32_t retries;              /* connections in a row without progress */
    bool one_at_a_time, suspected; /* the server; not proven yet */
    bool silent;                   /* it has said nothing for as long as it may */
    bool endless; /* the culprit came larger than it may be: it is not asked for again */
    uint32_t in_use_retries;
    uint64_t wait_ms;        /* before the next connection */
    uint64_t login_delay_ms; /* of the server; UINT64_MAX: it has not said what it can */
    uint8_t
        *culprit; /* unique id of the message at which the connection broke: it is fetched last */
    size_t culprit_size;

    struct fetch_progress progress;
    uint64_t began_ms;
};

/* task.c */
void task_report(struct task *task, struct fetch_report *report);
void task_note(struct task *task, const char *format, ...) PRINTF_LIKE(2, 3);
void task_warn(struct task *task, const char *format, ...) PRINTF_LIKE(2, 3);
void task_outcome(struct task *task, size_t index, enum fetch_outcome outcome, const char *text);
void task_show_progress(struct task *task, bool now);
/* Something failed and the account goes on: the exit status tells. */
void task_remember(struct task *task, enum error_kind kind);
/* Ends the account with an error: the first one counts. */
void task_fail(struct task *task, enum error_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* Closes the connection; what follows depends on what was set. */
void task_disconnect(struct task *task);
void task_connect(struct task *task);
/* The end of everything but the storer. */
void task_finish_storer(struct task *task);
/* The stream is closed. */
void task_disconnected(struct task *task);
const char *task_escape(struct bytes text, char *out, size_t capacity);

/* credentials.c: asks for what is not there, then task_connect. */
void credentials_ask(struct task *task);
void credentials_cancel(struct task *task);

/* conversation.c */
extern const struct stream_events conversation_events;
/* Goes on with what the engine says. */
void conversation_drive(struct task *task);
int conversation_begin(struct task *task);
void conversation_silent(struct task *task); /* the server has not answered in time */
void conversation_end(struct task *task);

/* secure.c: -1: the task has failed. */
int secure_prepare(struct task *task) MUST_CHECK;
int secure_begin(struct task *task) MUST_CHECK;
void secure_finish(struct task *task);

/* login.c: true if something was asked of the server. */
bool login_step(struct task *task);
void login_reply(struct task *task, const struct pop3_client_event *event);
/* False: the answer takes a while. */
bool login_challenge(struct task *task, const struct pop3_client_event *event);
void login_finish(struct task *task);

/* survey.c */
void survey_begin(struct task *task);
void survey_reply(struct task *task, const struct pop3_client_event *event);
void survey_row(struct task *task, const struct pop3_client_event *event);
/* All answers have come. True if something was asked again. */
bool survey_complete(struct task *task);
/* The storer knows: the plan is made. */
void survey_planned(struct task *task, size_t vanished);

/* transfer.c */
void transfer_begin(struct task *task);
void transfer_ask(struct task *task);
bool transfer_idle(struct task *task);
void transfer_reply(struct task *task, const struct pop3_client_event *event);
void transfer_octets(struct task *task, struct bytes octets);
void transfer_end(struct task *task);
void transfer_stored(struct task *task, const struct storer_event *event);
/* The connection is gone. */
void transfer_break(struct task *task);
void transfer_ask_again(struct task *task, size_t index);
void transfer_clear(struct task *task);

/* sieve.c: headers for the filter, and previews. */
void sieve_header(struct task *task, size_t index);
void sieve_cancel(struct task *task);

/* deletion.c */
void deletion_begin(struct task *task);
void deletion_ask(struct task *task);
void deletion_reply(struct task *task, const struct pop3_client_event *event);

#endif
