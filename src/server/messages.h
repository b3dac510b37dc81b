/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_MESSAGES_H
#define RESTANTE_SERVER_MESSAGES_H

/* What our processes say to each other. They run the same executable on the same machine, so a message
 * is a struct as it lies in memory. docs/formats.md tells the story; a change of either protocol raises
 * its version. */

#include <stdint.h>
#include <sys/socket.h>

#include "account/accounts.h"
#include "account/extra_fields.h"
#include "account/source.h"
#include "base/error.h"
#include "base/user_name.h"
#include "net/tls.h"
#include "sasl/server.h"

enum {
    CHILD_CHANNEL = 3, /* the descriptor on which a child talks to the master */
    MESSAGE_NAME_SIZE = 256,
    MESSAGE_PATH_SIZE = 512,
    AUTH_PROTOCOL_VERSION = 4,
    AUTH_TIMESTAMP_SIZE = 320,
    AUTH_DATA_SIZE = SASL_TOKEN_MESSAGE_OCTETS_MAX + MESSAGE_NAME_SIZE
};

enum message_type {
    /* from the master */
    MESSAGE_CONFIGURATION, /* with the text of the configuration in a sealed memfd; `path` names its file */
    MESSAGE_LIMITS,       /* with the memfd of the limits; `process` is the child's number in it */
    MESSAGE_GENERATIONS,  /* with the memfd of the generations */
    MESSAGE_AUTH,         /* with one end of a channel between a worker and auth */
    MESSAGE_TICKETS,      /* with the keys of TLS tickets in `path` */
    MESSAGE_CERTIFICATES, /* with the memfd of certificates and keys */
    MESSAGE_LISTEN,       /* with a listening socket; `kind`: LISTENER_ bits */
    MESSAGE_START,        /* all that is needed was sent */
    MESSAGE_LOG, /* with the descriptor to log to from now on; `kind` says which target, `process` which
                      format */
    MESSAGE_DRAIN, /* accept no more; sessions may go on for `milliseconds` (UINT64_MAX: for ever). To auth: end */
    MESSAGE_FREED,   /* to the worker that asked: the maildrop of `ticket` was given up */
    MESSAGE_REFRESH, /* to auth: read the accounts again, answer REFRESHED with `ticket` */
    MESSAGE_SOURCE, /* to auth, and to a process of a source: one end of a channel between them. `kind` is
                        the source's place in the list, `process` the process' number */
    MESSAGE_LOOKUP, /* to auth: who is `name`, answer FOUND with `ticket` */
    MESSAGE_IDENTITY, /* to a delegate: become `uid`, `gid`; it will be asked for the maildrop `path` */
    MESSAGE_GRANT, /* to a delegate: serve `name`'s maildrop to whoever has the other end of the channel that
                      comes with it. From auth, with `uid`, `gid` and `path`: have that done */
    MESSAGE_END, /* to a delegate that is idle */
    /* from a child */
    MESSAGE_READY,
    MESSAGE_KILL_SOURCE, /* from auth: `process` has not answered in time */
    MESSAGE_GIVE_UP, /* from a worker, and on to all others: who holds `device`, `inode`, silent for long? */
    MESSAGE_REFRESHED, /* `kind` and `path`: the error, if any */
    MESSAGE_FOUND, /* `kind`; `name` is canonical, `path` the maildrop's or empty, `uid` and `gid` whose
                          it is or ACCOUNT_NO_ID */
    MESSAGE_TAKEN, /* from a delegate: grant number `ticket` */
    MESSAGE_IDLE /* from a delegate: nothing was to be done for long, `ticket` grants were taken */
};

struct message {
    uint32_t type;
    uint32_t process;
    uint64_t ticket;
    uint64_t device, inode;
    uint64_t milliseconds;
    uint32_t kind; /* enum error_kind */
    uint32_t uid, gid;
    char name[MESSAGE_NAME_SIZE];
    char path[MESSAGE_PATH_SIZE];
};

enum auth_request_type {
    AUTH_PASSWORD, /* is `response` the password of `name`? */
    AUTH_APOP,     /* is `response` the digest of `facts.timestamp` and the password of `name`? */
    AUTH_BEGIN, /* an exchange of SASL: `name` is the mechanism, `response` what came with AUTH */
    AUTH_CONTINUE, /* the exchange `id` goes on with `response` */
    AUTH_CANCEL    /* forget the exchange `id`; no answer */
};

/* What an answer may depend on besides the name and what proves it. */
struct auth_facts {
    struct sockaddr_storage peer; /* behind a proxy: its client */
    uint8_t is_tls;
    uint8_t exporter_size; /* 0: no such binding */
    uint8_t unique_size;
    uint8_t plus_offered;
    uint8_t has_response; /* there was an initial response, of no octets perhaps */
    uint8_t exporter[TLS_EXPORTER_SIZE];
    uint8_t unique[TLS_UNIQUE_SIZE];
    char certificate[MESSAGE_NAME_SIZE]; /* the name in the client's; empty: none */
    char timestamp[AUTH_TIMESTAMP_SIZE]; /* of APOP */
};

/* worker -> auth. `data` holds the name, then the response; only the used part is sent. */
struct auth_request {
    uint32_t version;
    uint32_t type; /* enum auth_request_type */
    uint64_t id;   /* of the worker's choice; the result bears it */
    uint16_t name_size;
    uint16_t response_size;
    char address[64]; /* of the peer, for the log */
    struct auth_facts facts;
    uint8_t data[AUTH_DATA_SIZE];
};

/* auth -> worker; only the used part of `challenge` is sent */
struct auth_result {
    uint64_t id;
    uint32_t source;       /* which has the account: its place in the list */
    uint32_t uid, gid;     /* whose mail it is; ACCOUNT_NO_ID: the workers' user's */
    uint64_t generation;   /* of the accounts that the answer was made from */
    uint32_t kind;         /* enum error_kind; ERROR_NONE: these credentials are right */
    uint32_t may_cache;    /* nonzero: the worker may remember it under that generation */
    uint32_t is_for_today; /* nonzero: but not on another day (UTC) */
    uint32_t rule; /* enum account_rule: credentials were right, but this refused; for the log */
    char user[MESSAGE_NAME_SIZE]; /* canonical; of an exchange that failed, as the client said it */
    char path[MESSAGE_PATH_SIZE]; /* of the maildrop, if the account says so, else empty */
    uint32_t is_granted;   /* nonzero: a channel to the delegate that reads it comes with this */
    uint16_t is_challenge; /* nonzero: nothing is decided, the client has to answer this */
    uint16_t challenge_size;
    uint8_t challenge[SASL_CHALLENGE_OCTETS_MAX];
};

/* auth -> a process of a source, one at a time. `data` holds the name, then the password; only the used part
 * is sent. */
struct source_request {
    uint64_t id;
    uint16_t name_size;
    uint16_t password_size;
    uint8_t has_password; /* else it is a look-up */
    uint8_t is_tls;
    char address[64];
    uint8_t data[USER_NAME_OCTETS_MAX + SECRET_TOKEN_OCTETS_MAX];
};

/* a process of a source -> auth */
struct source_reply {
    uint64_t id;
    uint32_t kind;     /* enum error_kind */
    uint32_t is_stale; /* nonzero: the process ends instead; another shall be asked */
    char text[300];    /* of the error, for the log */
    struct source_answer answer;
};

#endif
