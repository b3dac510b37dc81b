/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_STATUS_H
#define RESTANTE_FETCH_STATUS_H

/* How an account's runs went: what `restante fetch --status` shows, and what hooks and metrics are made from. It is
 * kept in NAME.status beside the account's state and not in it: it is read while a run has the state, and written
 * when the state itself is what is broken. Times are seconds since the epoch, 0: never. The calls on files block. */

#include <stdint.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum { STATUS_REASON_SIZE = 300, STATUS_TEXT_SIZE = 1024, STATUS_INTERVALS_MOST = 3 };

struct fetch_status {
    int64_t attempt;           /* the last run's end */
    int64_t success;           /* the last good run's end */
    int64_t failing_since;     /* the first of the failures in a row; 0: the last run was good */
    uint32_t failures;         /* in a row */
    enum error_kind kind;      /* of the last one; ERROR_NONE: there is none */
    uint64_t messages, octets; /* stored in all runs; octets as the servers' lists say */
    int64_t next;              /* when the watcher tries again; 0: none is at work */
    uint64_t
        interval_s; /* of the watcher, or what the server wants between logins if that is more */
    char reason[STATUS_REASON_SIZE]; /* of the last failure, printable; empty: there is none */
};

/* What one run comes to. */
struct fetch_result {
    enum error_kind kind; /* ERROR_NONE: all was done */
    bool interrupted;     /* by the person: what was stored counts, the rest says nothing */
    uint64_t messages, octets;
    int64_t ended;
    char reason[STATUS_REASON_SIZE];
};

/* Another session that has the mailbox, and a server that wants more time between logins, are neither success nor
 * failure. */
bool status_counts(enum error_kind kind);
void status_add(struct fetch_status *status, const struct fetch_result *result);

enum status_health { STATUS_WELL, STATUS_NEVER, STATUS_STALE, STATUS_FAILING };

/* STALE: no success for longer than `most_age_s`, or, if that is 0, than STATUS_INTERVALS_MOST intervals of the
 * watcher, if there is or was one. NEVER: there was no run that counts. */
enum status_health status_health(const struct fetch_status *status, int64_t now,
                                 uint64_t most_age_s);
const char *status_health_word(enum status_health health);

/* As in the file: at most STATUS_TEXT_SIZE octets; returns how many. */
size_t status_format(const struct fetch_status *status, char out[STATUS_TEXT_SIZE]);
/* Lines that are not known are skipped, so that a newer version's file can be read. -1: it is no status. */
int status_parse(struct bytes text, struct fetch_status *out) MUST_CHECK;

/* `folder` as for state_open. All 0, if there is no file. CORRUPT: it is no status. */
int status_read(const char *folder, const char *account, struct fetch_status *out,
                struct error *error) MUST_CHECK;

typedef void status_change(void *owner, struct fetch_status *status);
/* Reads (what is no status counts as none), lets `change` change it, and writes, all under a lock: from any thread,
 * beside other processes. The old one is replaced as a whole. */
int status_update(const char *folder, const char *account, status_change *change, void *owner,
                  struct error *error) MUST_CHECK;

/* The lock on all statuses of a folder, which is made if it is missing; a descriptor to be closed. -1: `error`. */
int status_lock(const char *folder, struct error *error) MUST_CHECK;

#endif
