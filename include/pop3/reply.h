/* SPDX-License-Identifier: MIT */
#ifndef POP3_REPLY_H
#define POP3_REPLY_H

/* Marks what the shared library exports. */
#if defined(__GNUC__)
#define POP3_EXPORT __attribute__((visibility("default")))
#else
#define POP3_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Why a host could not do what the session asked. Each stands for one -ERR with its response code
 * (RFC 2449 section 8, RFC 3206, RFC 6856) and a text in the session's language. */
enum pop3_failure {
    POP3_FAILURE_NONE = 0,    /* it could be done */
    POP3_FAILURE_TEMPORARY,   /* [SYS/TEMP] */
    POP3_FAILURE_PERMANENT,   /* [SYS/PERM] */
    POP3_FAILURE_IN_USE,      /* [IN-USE]: another session holds the maildrop */
    POP3_FAILURE_CREDENTIALS, /* [AUTH]: Invalid credentials */
    POP3_FAILURE_LOGIN_DELAY, /* [LOGIN-DELAY] */
    POP3_FAILURE_GONE,        /* the message was removed by somebody else */
    POP3_FAILURE_UNREADABLE,  /* this message cannot be served */
    POP3_FAILURE_NOT_REMOVED, /* some deleted messages not removed (RFC 1939 section 6) */
    POP3_FAILURE_SYNTAX,      /* what the peer sent makes no sense */
    POP3_FAILURE_COUNT
};

#ifdef __cplusplus
}
#endif

#endif
