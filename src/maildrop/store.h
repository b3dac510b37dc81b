/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_STORE_H
#define RESTANTE_MAILDROP_STORE_H

#include "maildrop/maildrop.h"

/* What a kind of store gives to maildrop.c, which does the rest: one operation of a maildrop at a time,
 * the others in a queue; first an attempt that cannot block, then the executor. A kind without the functions
 * of delivery is only for reading. */
struct maildrop_type {
    void (*store_free)(struct maildrop_store *store);

    /* As maildrop_open; the operation is prepared. */
    enum maildrop_progress (*open)(struct maildrop_store *store, const struct maildrop_owner *owner,
                                   struct maildrop_operation *operation);
    /* The open under way is unwanted: free the lock at once. Its result is dropped by whoever
     * completes it. */
    void (*cancel_open)(struct maildrop_operation *operation);

    void (*identity)(const struct maildrop *maildrop, uint64_t *device_out, uint64_t *inode_out);

    /* Does what operation->request says, on any thread, and writes result and error. False: it would
     * block, `may_block` is false, and nothing has changed that a second call would not bear. A RELEASE
     * does what must be done under the lock before it goes, if anything. */
    bool (*perform)(struct maildrop *maildrop, struct maildrop_operation *operation,
                    bool may_block);
    /* These only while no operation is under way. */
    int (*descriptor)(const struct maildrop *maildrop, uint64_t *octets_out);
    bool (*sent)(struct maildrop *maildrop, uint64_t octets);
    void (*read_close)(struct maildrop *maildrop);
    /* The same, but what it holds may stay until `rest`, or the end. NULL, both: read_close does it. */
    void (*read_done)(struct maildrop *maildrop);
    void (*rest)(struct maildrop *maildrop);
    /* The lock goes now, while an operation may be under way on another thread. */
    void (*unlock)(struct maildrop *maildrop);
    /* Unlocks, if it is still locked, and frees. */
    void (*free)(struct maildrop *maildrop);

    int (*deliver_begin)(struct maildrop_store *store, const struct maildrop_owner *owner,
                         struct maildrop_delivery **delivery_out, struct error *error);
    int (*deliver_append)(struct maildrop_delivery *delivery, struct bytes octets,
                          struct error *error);
    int (*deliver_finish)(struct maildrop_delivery *delivery, struct error *error);
    void (*deliver_abort)(struct maildrop_delivery *delivery);
};

/* The first member of every kind's own struct. */
struct maildrop_store {
    const struct maildrop_type *type;
    struct maildrop_executor *executor;
};

struct maildrop {
    struct maildrop_store *store;
    struct maildrop_operation *running;
    struct maildrop_operation *queue, **queue_end;
    uint64_t device; /* for the executor */
    bool closing;    /* released while operations were under way */
    bool read_close; /* wanted when the running operation is done */
};

struct maildrop_delivery {
    struct maildrop_store *store;
};

void maildrop_init(struct maildrop *maildrop, struct maildrop_store *store);

/* For an operation that was cancelled. */
void maildrop_set_cancelled(struct maildrop_operation *operation);

#endif
