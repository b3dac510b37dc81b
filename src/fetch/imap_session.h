/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_IMAP_SESSION_H
#define RESTANTE_FETCH_IMAP_SESSION_H

#include "account/secret.h"
#include "fetch/account.h"
#include "fetch/blocking_stream.h"
#include "fetch/target.h"
#include "imap/client.h"
#include "imap/url.h"

enum { IMAP_SESSION_INPUT_OCTETS = 16384 };

/* A session with the IMAP server that mail goes to, for a thread that may wait. It is open when the person is logged
 * in and the mailbox examined. */
struct imap_session {
    const struct fetch_account *account; /* borrowed */
    struct imap_url url;
    char mailbox[sizeof((struct imap_url *)0)->mailbox + 1]; /* with the server's separators */
    char place[320];                                         /* HOST:PORT */
    struct tls_client_context *tls;                          /* NULL: in the clear */
    struct secret *secret;                                   /* NULL: not asked for yet */
    struct secret *refused; /* a token that the server does not take; NULL: there is none */
    struct blocking_stream stream;
    int stop;                   /* ends asking for a token */
    struct imap_client *client; /* in `memory`, while connected */
    void *memory;
    uint32_t uid_validity, uid_next; /* of the mailbox when it was examined; 0: not said */
    struct bytes unfed;              /* in `input` */
    uint8_t input[IMAP_SESSION_INPUT_OCTETS];
};

int imap_session_create(struct imap_session *session, const struct target_options *options,
                        struct error *error) MUST_CHECK;
void imap_session_free(struct imap_session *session);

/* Nothing if it is open. ERROR_CONFIGURATION, BAD_CREDENTIALS, PERMANENT: a person has to do something. */
int imap_session_open(struct imap_session *session, struct error *error) MUST_CHECK;
/* Takes no leave. */
void imap_session_drop(struct imap_session *session);
/* Takes leave, without waiting for the answer. */
void imap_session_close(struct imap_session *session);

/* Goes on until the host's turn: RESULT, IDLE, MESSAGE, LOGIN or CHALLENGE. -1: the session is over, and dropped;
 * `event_out` is its CLOSE. With `waits`, appends without a result are no turn of the host's: one is waited for. */
int imap_session_step(struct imap_session *session, bool waits, struct imap_client_event *event_out,
                      struct error *error) MUST_CHECK;
/* Takes what has come, without waiting. */
void imap_session_take_input(struct imap_session *session);
/* Of one that has rested: if it was ended meanwhile, it is dropped. */
void imap_session_check(struct imap_session *session);

/* Sees the mailbox as it is now. */
int imap_session_refresh(struct imap_session *session, struct error *error) MUST_CHECK;
int imap_session_search(struct imap_session *session, const struct imap_criteria *criteria,
                        struct imap_client_event *result_out, struct error *error) MUST_CHECK;
/* Makes the mailbox; one that somebody else has just made will do. */
int imap_session_create_mailbox(struct imap_session *session, struct error *error) MUST_CHECK;

/* What a command was answered, in words, and the kind it is. Returns -1. */
int imap_session_complain(const struct imap_client_event *result, const char *command,
                          struct error *error);

/* ---- imap_login.c ---- */
int imap_session_log_in(struct imap_session *session, struct error *error) MUST_CHECK;

#endif
