/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_STORER_H
#define RESTANTE_FETCH_STORER_H

/* The storer of one account: a thread that owns all that may block, which is what is known of the account's
 * messages (SQLite) and the place they go to (Maildir, mbox, command, LMTP, SMTP, IMAP, Gmail). The network's side runs on a
 * loop and talks to it by the calls below; what comes of them is told by events on the same loop. Every
 * call returns at once, and no event comes from within a call.
 *
 *     storer_create  ->  READY, or FAILED
 *     storer_list    ->  LISTED: the standing of each message of the server's listing
 *     per message to be fetched, one after the other, in any order:
 *         storer_begin, storer_feed ..., storer_end   ->  STORED | SAME | FETCH_WHOLE | DEFERRED |
 *                                                         REFUSED | QUARANTINED, in the order of `end`
 *                                       storer_break  ->  nothing: it is as if it had not begun
 *     storer_flush   ->  FLUSHED, after the events of all messages that had ended before
 *     DELE for what is STORED, SAME or was HELD; after +OK to QUIT storer_deleted for each
 *     storer_list again, for a fresh listing
 *     storer_finish  ->  FINISHED
 *     storer_close
 *
 * Messages are gathered into batches, so STORED may wait for other messages or a second: who needs it at
 * once, because nothing more is coming, flushes. Memory is bounded: about STORER_POOL_OCTETS, however large
 * a message is.
 *
 * After FAILED nothing more is stored: the calls do nothing, except that storer_finish still brings
 * FINISHED. All calls and events are on the thread of the loop. */

#include <stdbool.h>
#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"

struct fetch_account;

enum {
    STORER_BLOCK_OCTETS = 64 * 1024,
    STORER_POOL_OCTETS = 4 * 1024 * 1024,
    STORER_KEEP_ABSENT_DAYS = 180,
    STORER_REFUSALS_MOST = 3,
    STORER_TIME_LIMIT_S = 300
};

#define STORER_OCTETS_UNKNOWN UINT64_MAX

enum storer_target_kind {
    STORER_TARGET_MAILDIR, /* `place`: the folder; made, with what leads to it, if it is missing */
    STORER_TARGET_MBOX,    /* `place`: the file; made if it is missing */
    STORER_TARGET_PIPE, /* `place`: a command for /bin/sh -c; the message on its standard input */
    STORER_TARGET_LMTP, /* `place`: HOST:PORT, [ADDRESS]:PORT or /path/of/a/socket */
    STORER_TARGET_SMTP, /* `place`: a URL; `described` says the rest */
    STORER_TARGET_IMAP, /* `place`: a URL, with the folder; `described` says the rest */
    STORER_TARGET_GMAIL /* `place`: the mailbox; `described` says the rest */
};

/* All texts are borrowed until FINISHED. */
struct storer_options {
    const char *account; /* names the state: the section's name, or user@host; any octets but NUL */
    /* Where states are kept; NULL: $XDG_STATE_HOME/restante/fetch, or ~/.local/state/restante/fetch. Made
     * if it is missing, 0700. */
    const char *state_folder;
    enum storer_target_kind target;
    const char *place;
    const struct fetch_account *described; /* what else the target is told; NULL: nothing */
    const char
        *recipient; /* LMTP, SMTP: RCPT TO, without <>; required. Pipe: $RECIPIENT; may be NULL */
    unsigned
        time_limit_s; /* for the command, or for each reply of a server; 0: STORER_TIME_LIMIT_S */
    unsigned refusals_most; /* then it goes to quarantine; 0: STORER_REFUSALS_MOST */
    unsigned
        keep_absent_days; /* until an id that is no longer listed is forgotten; 0: the default */
    int stop;             /* a descriptor, borrowed: readable ends questions by HTTP; -1: none */
    bool
        dry_run; /* the standings are told, and nothing is written anywhere; no message may begin */
    /* Put `Delivered-To:` and `Received:` before the message. They count for no hash. */
    bool trace;
    const char *host,
        *user; /* of the server, for trace headers and $RESTANTE_HOST, $RESTANTE_USER */
};

/* What is known of a message that the server lists. */
enum storer_standing {
    STORER_NEW,  /* never seen, or seen and never got: fetch it */
    STORER_HELD, /* durably here: not to be fetched, may be deleted remotely */
    /* Its id is known, but it may be another message: the id was gone and is back, occurs more than once,
     * its octets are others than last time; or the server has no ids. To be fetched, or its header by TOP n
     * 0 where the server has TOP; SAME or STORED tells what it was. */
    STORER_DOUBT,
    STORER_LEFT,        /* storer_leave was called for it: fetch it if it is now wanted */
    STORER_REFUSED,     /* by the target, `refusals` times: fetch it, it is tried again */
    STORER_QUARANTINED, /* too often refused; a copy is in quarantine: leave it on the server */
    /* Not fetched, and not to be: another program has held it since stored_s, or (0) the person said that it
     * counts as seen, and nobody knows who holds it. */
    STORER_SEEN
};

/* A row of the server's listing. */
struct storer_message {
    /* In: */
    uint32_t number;
    uint64_t octets;        /* as LIST says, or STORER_OCTETS_UNKNOWN */
    struct bytes unique_id; /* as UIDL says; any octets and size; empty: the server gave none */
    /* Out, with LISTED and later events: */
    enum storer_standing standing;
    uint32_t refusals;
    int64_t first_seen_s; /* since the epoch; the time of this listing if it is new */
    int64_t stored_s;     /* 0: not stored */
};

enum storer_event_type {
    STORER_EVENT_READY, /* the state is open and locked, what a killed run left is put in order */
    STORER_EVENT_LISTED, /* the messages' out fields are filled, and the array is the caller's again */
    STORER_EVENT_ROOM, /* storer_is_full was true and is no longer */
    /* Of one message; its standing in the caller's array is set before: */
    STORER_EVENT_STORED,      /* durable at the target, and known to be: HELD */
    STORER_EVENT_SAME,        /* it was DOUBT and is a message that is here already: HELD */
    STORER_EVENT_FETCH_WHOLE, /* its header did not settle the DOUBT: fetch it */
    STORER_EVENT_DEFERRED, /* the target cannot take it now (`error`): NEW or REFUSED, next run */
    STORER_EVENT_REFUSED,  /* the target does not want it (`error`); counted: REFUSED */
    STORER_EVENT_QUARANTINED, /* the same, for the last time: QUARANTINED */
    STORER_EVENT_FLUSHED,
    /* The whole account cannot go on: IN_USE: another run has it; NO_SPACE; CORRUPT; a server that
     * does not answer: TEMPORARY ... Comes at most once. */
    STORER_EVENT_FAILED,
    STORER_EVENT_FINISHED /* the last one: storer_close may be called */
};

struct storer_event {
    enum storer_event_type type;
    size_t index;              /* in the listing */
    const struct error *error; /* DEFERRED, REFUSED, QUARANTINED, FAILED; valid during the event */
    /* READY: how many messages of a killed run were completed without fetching them again; LISTED: how
     * many known ids have disappeared from the listing since the last one. */
    size_t count;
};

typedef void storer_handler(void *owner, const struct storer_event *event);

struct storer;

/* Starts the thread. `options` itself is copied, its texts are not. NULL: out of memory or threads. */
struct storer *storer_create(uv_loop_t *loop, const struct storer_options *options,
                             storer_handler *handler, void *owner, struct error *error);

/* The server's whole listing, in its order. `messages` and the ids are lent until LISTED; the array (not
 * the ids) must stay until the next listing or FINISHED, as events set its standings. Not while a message is
 * begun, nor before LISTED of the last one. What is called for later waits its turn. */
void storer_list(struct storer *storer, struct storer_message *messages, size_t count);

enum storer_content { STORER_WHOLE, STORER_HEADER /* of TOP n 0: only for DOUBT */ };

/* The octets that follow are those of messages[index], of the listing that was LISTED last. */
void storer_begin(struct storer *storer, size_t index, enum storer_content content);

/* Un-stuffed, with line ends as they came; copied, all of them. Then look whether it is full. */
void storer_feed(struct storer *storer, struct bytes octets);

/* True: stop reading from the server until ROOM. What the read that is under way still brings is taken, so
 * that one read (at most STORER_BLOCK_OCTETS) may overrun. */
bool storer_is_full(const struct storer *storer);

/* The message is whole: the server ended it. */
void storer_end(struct storer *storer);

/* It is not, and never will be: what came of it is dropped. Nothing if none has begun. */
void storer_break(struct storer *storer);

/* It was not fetched on purpose (size, filter, policy). With `deleting`, it is to be deleted all the same,
 * as the person has said. Remembered with the next batch; nothing comes back. */
void storer_leave(struct storer *storer, size_t index, bool deleting);

/* The person says that it counts as seen: it is not fetched from now on. Nothing if it is HELD, SEEN or
 * QUARANTINED. Remembered with the next batch; nothing comes back. */
void storer_mark_seen(struct storer *storer, size_t index);

/* +OK to QUIT has come, and DELE of this one was in that session. Nothing comes back. */
void storer_deleted(struct storer *storer, size_t index);

/* Makes durable what has ended so far, without waiting for more. */
void storer_flush(struct storer *storer);

/* Flushes, forgets old ids, closes the state, lets go of the lock; a message that has begun is broken. May be
 * called at any time, once. */
void storer_finish(struct storer *storer);

/* For who cannot wait, before or after storer_finish: what is waiting is dropped (it stays on the server), a
 * command that runs is ended, FINISHED comes soon. */
void storer_cancel(struct storer *storer);

/* After FINISHED; not from within an event other than that. Takes the storer; its handle on the loop is
 * closed, and its memory freed, in a later turn of the loop. */
void storer_close(struct storer *storer);

#endif
