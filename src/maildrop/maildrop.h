/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDROP_H
#define RESTANTE_MAILDROP_MAILDROP_H

/* The store: one interface for every kind of maildrop.
 *
 * Every operation is submitted and completes on the submitter's loop. A function that returns
 * MAILDROP_DONE has completed: the result is in the operation and `done` is not called. One that returns
 * MAILDROP_PENDING calls `done` later, from the executor's loop, never from within the call. Until then
 * the operation and every buffer given with it belong to the store. The result is a success if
 * operation->error.kind is ERROR_NONE.
 *
 * All functions of one store are called from one thread, the one on which its executor completes. */

#include <pop3/server.h>

#include "base/bytes.h"
#include "base/error.h"

struct maildrop;
struct maildrop_store;

/* A piece of work that may block. `run` is called on any thread, then `complete` on the submitter's. */
struct maildrop_job {
    void (*run)(struct maildrop_job *job);
    void (*complete)(struct maildrop_job *job);
    uint64_t device; /* st_dev that it will wait for, 0 if unknown: for the host's fairness */
    void *host;      /* the executor's own, while the job is its */
    struct maildrop_job *next;
};

/* Given by the host: libuv's pool in the server; NULL in its place runs everything inline. */
struct maildrop_executor {
    void (*submit)(struct maildrop_executor *executor, struct maildrop_job *job);
};

enum maildrop_progress { MAILDROP_DONE, MAILDROP_PENDING };

struct maildrop_operation {
    void (*done)(struct maildrop_operation *operation);
    struct error error;
    union {
        struct {
            struct maildrop *maildrop; /* the caller's, until commit or release */
            uint32_t count;
            uint64_t octets;
        } opened;
        struct {
            uint64_t device, inode; /* of what is locked: the same for every name of one maildrop */
        } holder;                   /* where open failed with ERROR_IN_USE */
        struct {
            size_t size; /* octets read; 0 only at the end */
            bool end;    /* no more octets follow */
            bool
                needs_surrogate; /* by a read at offset 0, where the owner's client wants surrogates */
            bool row_was_wrong; /* by a read at offset 0: the file is not as long as its row says,
                                   * which is right at the next login */
        } read;
        struct {
            uint32_t removed, not_removed;
        } committed;
    } result;

    /* The store's from here on. */
    struct maildrop_job job;
    bool cancelled;
    struct maildrop_store *store;
    struct maildrop *maildrop;
    void *store_data;
    struct maildrop_operation *next;
    enum {
        MAILDROP_OPEN,
        MAILDROP_ROWS,
        MAILDROP_READ,
        MAILDROP_CHECK,
        MAILDROP_COMMIT,
        MAILDROP_RELEASE
    } kind;
    union {
        struct {
            bool surrogates;
        } open;
        struct {
            uint32_t first, count;
            struct maildrop_page *page;
        } rows;
        struct {
            uint32_t index;
            uint64_t offset;
            void *buffer;
            size_t capacity;
        } read;
        struct {
            uint32_t index;
        } check;
        struct {
            const uint8_t *marks;
        } commit;
    } request;
};

/* Whose maildrop, and for what client. */
struct maildrop_owner {
    const char *user; /* canonical name; user_name_check is applied to it */
    const char *path; /* where it is, if the account says so; NULL: the store's is expanded */
    const char *home; /* for a `path` that begins there; NULL: there is none */
    bool surrogates;  /* messages that need UTF-8 are to be counted as their surrogates */
};

struct maildrop_options {
    const char *path; /* as maildrop_path_check wants it; for maildir */
};

enum { MAILDROP_PAGE_ROWS = 64 };

/* Room for rows with their unique ids; the caller's. */
struct maildrop_page {
    struct pop3_row rows[MAILDROP_PAGE_ROWS];
    char unique_ids[MAILDROP_PAGE_ROWS][POP3_UNIQUE_ID_OCTETS];
};

/* The stores. `executor` is borrowed for the life of the store; NULL: everything completes at once.
 * `options` is copied. */
int maildrop_maildir_create(const struct maildrop_options *options,
                            struct maildrop_executor *executor, struct maildrop_store **store_out,
                            struct error *error) MUST_CHECK;
int maildrop_memory_create(struct maildrop_executor *executor, struct maildrop_store **store_out,
                           struct error *error) MUST_CHECK;
/* No maildrop may be open and no operation under way. Takes NULL; returns NULL. */
struct maildrop_store *maildrop_store_free(struct maildrop_store *store);

/* Locks the maildrop and takes its snapshot. ERROR_IN_USE: result.holder says what is locked. */
enum maildrop_progress maildrop_open(struct maildrop_store *store,
                                     const struct maildrop_owner *owner,
                                     struct maildrop_operation *operation) MUST_CHECK;

/* The device and inode that the lock is on, as result.holder of another's attempt says them; both 0
 * where nothing is locked. */
void maildrop_identity(const struct maildrop *maildrop, uint64_t *device_out, uint64_t *inode_out);

/* Fills page->rows[0 .. count-1] with rows `first` .. (counted from 0); count <= MAILDROP_PAGE_ROWS. */
enum maildrop_progress maildrop_rows(struct maildrop *maildrop, uint32_t first, uint32_t count,
                                     struct maildrop_page *page,
                                     struct maildrop_operation *operation) MUST_CHECK;

/* Reads octets of message `index` (from 0) as stored, from `offset` on. A read at offset 0 opens the
 * message and fails with ERROR_GONE or ERROR_UNREADABLE where RETR and TOP must say -ERR. Later reads
 * continue. One message is open at a time. What needs_surrogate says is the caller's to make. */
enum maildrop_progress maildrop_read(struct maildrop *maildrop, uint32_t index, uint64_t offset,
                                     void *buffer, size_t capacity,
                                     struct maildrop_operation *operation) MUST_CHECK;
/* The message that is open was read whole, in turn, and makes so many octets (RFC 1939 section 11). False:
 * its row says otherwise, which was not known before, and is right at the next login. Not while an operation
 * is under way. */
bool maildrop_sent(struct maildrop *maildrop, uint64_t octets);
/* The file of the message that is open, for who reads it by himself, and how many of its octets are served.
 * Borrowed until the message is closed; -1: this kind of store has none. Not while an operation is under
 * way. */
int maildrop_descriptor(const struct maildrop *maildrop, uint64_t *octets_out);
/* Closes the message that is open, if any. */
void maildrop_read_close(struct maildrop *maildrop);
/* The same of a message of a burst: what it holds may be given back with that of others, at the latest by
 * maildrop_rest, which whoever calls this has to call before he waits for anything. */
void maildrop_read_done(struct maildrop *maildrop);
void maildrop_rest(struct maildrop *maildrop);

/* Can DELE succeed on message `index`? (What can't be served must not be deleted unseen.) Answers from
 * what is known: a message is known to be unreadable once a read of it failed, else it is checked. */
enum maildrop_progress maildrop_check(struct maildrop *maildrop, uint32_t index,
                                      struct maildrop_operation *operation) MUST_CHECK;

/* Removes exactly the messages in `marks` (as in the COMMIT event; NULL: none), unlocks, frees the
 * maildrop. Succeeds also where some could not be removed: result.committed counts them. Never cancelled. */
enum maildrop_progress maildrop_commit(struct maildrop *maildrop, const uint8_t *marks,
                                       struct maildrop_operation *operation) MUST_CHECK;

/* Unlocks, removes nothing, frees the maildrop. An operation of it under way is cancelled. */
void maildrop_release(struct maildrop *maildrop);

/* Drops an operation under way: `done` will be called, with ERROR_TEMPORARY, and a maildrop that open
 * brought meanwhile is released. A commit is not cancelled. */
void maildrop_cancel(struct maildrop_operation *operation);

/* Delivery, blocking: for `deliver` and for jobs. The message is durable when finish returns 0, or not
 * there at all. append takes any chunks; CR LF is stored as LF. finish and abort free the delivery. */
struct maildrop_delivery;
int maildrop_deliver_begin(struct maildrop_store *store, const struct maildrop_owner *owner,
                           struct maildrop_delivery **delivery_out, struct error *error) MUST_CHECK;
int maildrop_deliver_append(struct maildrop_delivery *delivery, struct bytes octets,
                            struct error *error) MUST_CHECK;
int maildrop_deliver_finish(struct maildrop_delivery *delivery, struct error *error) MUST_CHECK;
void maildrop_deliver_abort(struct maildrop_delivery *delivery);

#endif
