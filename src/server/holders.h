/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_HOLDERS_H
#define RESTANTE_SERVER_HOLDERS_H

#include <stdbool.h>
#include <stdint.h>

/* Who holds which maildrop in this worker, and who waits for one that somebody else holds. A maildrop is
 * known by the device and inode that its lock is on. */

struct holder {
    uint64_t device, inode;
    bool (*give_up)(struct holder *holder); /* true: it is free now; false: it is in use */
};

struct waiter {
    struct waiter *next;
    uint64_t ticket;
    void (*freed)(struct waiter *waiter);
};

struct holders {
    void *tree; /* of struct holder */
    struct waiter *waiters;
    uint64_t last_ticket;
};

/* Both embedded in a session; borrowed until removed. holders_add is false where there is no memory. */
bool holders_add(struct holders *holders, struct holder *holder);
void holders_remove(struct holders *holders, struct holder *holder);

/* Asks our own holder of that maildrop to give it up; true if it did. */
bool holders_give_up(struct holders *holders, uint64_t device, uint64_t inode);

/* Asks, here and through the master all other workers; `freed` may be called once. Returns true if it was
 * freed at once; then nothing is called. */
bool holders_ask(struct holders *holders, struct waiter *waiter, uint64_t device, uint64_t inode);
void holders_forget(struct holders *holders, struct waiter *waiter);

/* Another worker has freed what this ticket waits for. */
void holders_freed(struct holders *holders, uint64_t ticket);

#endif
