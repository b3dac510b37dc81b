/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_DELEGATE_MESSAGES_H
#define RESTANTE_SERVER_DELEGATE_MESSAGES_H

/* What a worker and a delegate say to each other: the operations of maildrop.h as messages. A channel is good
 * for the one maildrop that auth granted, so no message names a user or a path. One request is under way at a
 * time; each has one reply, but SENT. The end of the channel releases the maildrop. docs/formats.md. */

#include <stdint.h>

#include <pop3/server.h>

#include "base/error.h"
#include "maildrop/maildrop.h"

enum { DELEGATE_PROTOCOL_VERSION = 2, DELEGATE_MARKS_MOST = 1 << 28 };

enum delegate_request_type {
    DELEGATE_OPEN,
    DELEGATE_ROWS,  /* `count` of them from `index` on */
    DELEGATE_READ,  /* opens message `index`; the reply has its descriptor, to be read from 0 on */
    DELEGATE_SENT,  /* the open message makes `octets` on the wire */
    DELEGATE_CHECK, /* can message `index` be removed? */
    DELEGATE_COMMIT /* with a descriptor of `count` octets of marks; without: nothing is marked */
};

struct delegate_request {
    uint32_t version;
    uint32_t type; /* enum delegate_request_type */
    uint32_t index;
    uint32_t count;
    uint64_t octets;
    uint32_t surrogates; /* OPEN, nonzero: messages that need UTF-8 are shown as their surrogates */
    uint32_t unused;
};

struct delegate_row {
    uint64_t octets;
    uint32_t unique_id_size;
    char unique_id[POP3_UNIQUE_ID_OCTETS];
};

/* Only the rows that were asked for are sent. */
struct delegate_reply {
    struct error error;      /* ERROR_NONE: it succeeded */
    uint32_t count;          /* OPEN: messages; ROWS: rows that follow */
    uint32_t removed;        /* COMMIT */
    uint32_t not_removed;    /* COMMIT */
    uint8_t needs_surrogate; /* READ */
    uint8_t row_was_wrong;   /* READ */
    uint64_t octets;         /* OPEN: all messages'; READ: of the file */
    uint64_t device, inode;  /* OPEN: of what is locked, by us or by who has it in use */
    struct delegate_row rows[MAILDROP_PAGE_ROWS];
};

#endif
