/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_IMAP_CLIENT_H
#define RESTANTE_IMAP_CLIENT_H

/* The client end of an IMAP session (RFC 3501, RFC 9051) without input or output, for who puts messages into a
 * mailbox and looks them up there. The host drives it:
 *
 *     for (;;) {
 *         imap_client_next(client, &event);
 *         switch (event.type) {
 *         case IMAP_CLIENT_NEED_INPUT: feed what is left, or read from the server and feed
 *         case IMAP_CLIENT_WRITE:      write, then imap_client_written
 *         case IMAP_CLIENT_SECURE:     forget what is left; handshake of TLS; imap_client_secured
 *         case IMAP_CLIENT_LOGIN:      imap_client_login or imap_client_authenticate, or imap_client_logout
 *         case IMAP_CLIENT_CHALLENGE:  imap_client_respond, or imap_client_cancel
 *         case IMAP_CLIENT_IDLE:       a command; with `outstanding` appends input may be read as well
 *         case IMAP_CLIENT_MESSAGE:    imap_client_message with octets of the message
 *         case IMAP_CLIENT_RESULT:     what became of a command
 *         case IMAP_CLIENT_CLOSE:      close the connection, forget the session
 *         }
 *     }
 *
 * RESULT comes once, the others as long as they are true. Pointers in an event are valid until the next call. The
 * session allocates nothing, knows no time, and is one block of fixed size; nothing grows with what the server
 * sends. One thread at a time. After CLOSE, only CLOSE comes. */

#include <stdbool.h>

#include "base/attributes.h"
#include "base/bytes.h"

enum {
    IMAP_LINE_OCTETS = 8192,                /* of a response that are kept; more are passed over */
    IMAP_RESPONSE_OCTETS = 4 * 1024 * 1024, /* the most of all that comes before a result */
    IMAP_TEXT_OCTETS = 512,                 /* of a response's text that are kept */
    IMAP_RESPOND_OCTETS = 12 * 1024,        /* the most of a SASL message, before base64 */
    IMAP_MAILBOX_OCTETS = 1000,             /* of a name, as it is sent */
    IMAP_FOUND_MOST = 16,                   /* that SEARCH tells; more are not told */
    IMAP_APPENDS_MOST = 32                  /* that wait for their results */
};

struct imap_client;

/* What the server has said that it can do. */
struct imap_capabilities {
    bool sasl_ir, literal_plus, literal_minus, uid_plus, binary, login_disabled;
    uint64_t append_limit; /* octets, RFC 7889; 0: not said */
    char mechanisms[256];  /* of AUTH=, spaces between */
};

/* Response codes that say more than OK, NO and BAD: RFC 9051 section 7.1, RFC 5530, RFC 4315. */
enum imap_code {
    IMAP_CODE_NONE,
#define IMAP_CODE(identifier, name, meaning) IMAP_CODE_##identifier,
#include "imap/codes.def"
#undef IMAP_CODE
    IMAP_CODE_OTHER
};

/* What a code says of a command that was refused. */
enum imap_meaning {
    IMAP_MEANS_NOTHING,
    IMAP_MEANS_LATER, /* it may pass */
    IMAP_MEANS_NEVER, /* this message, as it is, will not be taken */
    IMAP_MEANS_NOBODY /* nothing will be, until a person has changed something */
};
enum imap_meaning imap_code_meaning(enum imap_code code);

enum imap_status { IMAP_OK, IMAP_NO, IMAP_BAD };

enum imap_client_error {
    IMAP_CLIENT_ERROR_NONE, /* after LOGOUT */
    IMAP_CLIENT_ERROR_PEER_GONE,
    IMAP_CLIENT_ERROR_BYE,      /* the server ends the session: `text` says why */
    IMAP_CLIENT_ERROR_RESPONSE, /* what came is no response, or not one to what was said: `text` */
    IMAP_CLIENT_ERROR_LIMIT,    /* more than fits */
    /* It counts us as logged in where TLS is wanted, and so takes no STARTTLS (RFC 9051 section 7.1.4). */
    IMAP_CLIENT_ERROR_PREAUTH
};

enum imap_client_event_type {
    IMAP_CLIENT_NEED_INPUT,
    IMAP_CLIENT_WRITE,
    IMAP_CLIENT_SECURE,
    IMAP_CLIENT_LOGIN,
    IMAP_CLIENT_CHALLENGE,
    IMAP_CLIENT_IDLE,
    IMAP_CLIENT_MESSAGE,
    IMAP_CLIENT_RESULT,
    IMAP_CLIENT_CLOSE
};

struct imap_client_event {
    enum imap_client_event_type type;
    struct bytes octets;  /* WRITE; CHALLENGE, decoded; MESSAGE: none */
    uint64_t wanted;      /* MESSAGE: octets that are still to be given */
    uint32_t outstanding; /* IDLE: appends without a result */
    /* RESULT */
    uint32_t number; /* that the command's call returned */
    enum imap_status status;
    enum imap_code code;
    struct bytes text;                    /* a stranger's octets; also with CLOSE */
    uint32_t uid_validity, uid_next, uid; /* 0: not said */
    uint32_t found[IMAP_FOUND_MOST];      /* of SEARCH */
    uint32_t found_count;
    char separator; /* of LIST: between levels of names; 0: there are none, or it was not said */
    /* CLOSE */
    enum imap_client_error error;
    uint32_t partial; /* the append that was not written whole; 0: none */
};

struct imap_client_options {
    bool starttls; /* ask for it, whatever the server says */
};

size_t imap_client_size(void);
/* Makes a session in `memory` of imap_client_size() octets, suitably aligned. */
struct imap_client *imap_client_init(void *memory, const struct imap_client_options *options);

/* Takes octets from the server; returns how many. Fewer than given when there is an event to be told. */
size_t imap_client_feed(struct imap_client *client, struct bytes octets);
void imap_client_next(struct imap_client *client, struct imap_client_event *event_out);
void imap_client_written(struct imap_client *client, size_t count);
/* The connection is lost, or the host gives up. Call it after all that came was fed. */
void imap_client_end(struct imap_client *client);

/* TLS stands. */
void imap_client_secured(struct imap_client *client);

/* Valid from LOGIN on. */
const struct imap_capabilities *imap_client_capabilities(const struct imap_client *client);

/* Commands return their number, or 0, and nothing has changed: it cannot be said now, or not by these
 * arguments. */

/* 0 also where the server has LOGINDISABLED, or for what is not printable ASCII. */
uint32_t imap_client_login(struct imap_client *client, struct bytes user, struct bytes password);
/* `response`: the mechanism's first message; data NULL: it has none. It goes with the command where the server
 * has SASL-IR, else when the server asks. Borrowed until the result. */
uint32_t imap_client_authenticate(struct imap_client *client, const char *mechanism,
                                  struct bytes response);
/* 0, or -1: it is too long. */
int imap_client_respond(struct imap_client *client, struct bytes response) MUST_CHECK;
void imap_client_cancel(struct imap_client *client);

/* What separates levels of names: result's `separator`. */
uint32_t imap_client_list_root(struct imap_client *client);
/* Mailboxes are named in UTF-8. Result's uid_validity and uid_next. */
uint32_t imap_client_examine(struct imap_client *client, const char *mailbox);
uint32_t imap_client_create(struct imap_client *client, const char *mailbox);
uint32_t imap_client_subscribe(struct imap_client *client, const char *mailbox);

/* What is to be found in the mailbox that was examined; what is 0 or empty does not count. */
struct imap_criteria {
    uint32_t uid_from; /* only UIDs from this on */
    uint64_t octets;   /* exactly so many */
    const char *field; /* a header field that has `value` in it: printable ASCII */
    struct bytes value;
};
uint32_t imap_client_search(struct imap_client *client, const struct imap_criteria *criteria);

struct imap_append {
    const char *mailbox;
    const char *flags; /* as in a flag-list without parentheses: checked by imap_are_flags */
    const char *date;  /* INTERNALDATE, as imap_date_write makes it; without quotes */
    uint64_t octets;   /* of the message; at least 1 */
    bool is_binary;    /* it has NULs: only where the server has BINARY (RFC 3516) */
};
/* Its octets are asked for by MESSAGE: at once, or when the server has agreed. Where they may follow at once
 * (LITERAL+, RFC 7888) the next append need not wait for the result of this one. */
uint32_t imap_client_append(struct imap_client *client, const struct imap_append *append);
/* At MESSAGE: returns how many octets were taken, at most those that are wanted. 0: the session has gone on by
 * what was fed since, and they are wanted no more. */
size_t imap_client_message(struct imap_client *client, struct bytes octets);

void imap_client_logout(struct imap_client *client);

/* Flags and keywords, blanks between, that a client may set: RFC 9051 section 2.3.2. */
bool imap_are_flags(const char *text);

#endif
