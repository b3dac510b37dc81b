/* SPDX-License-Identifier: MIT */
#include "server/holders.h"

#include <search.h>
#include <stddef.h>

#include "server/child.h"

static int compare(const void *a, const void *b)
{
    const struct holder *left = a;
    const struct holder *right = b;
    if (left->device != right->device) {
        return left->device < right->device ? -1 : 1;
    }
    return left->inode < right->inode ? -1 : left->inode > right->inode;
}

bool holders_add(struct holders *holders, struct holder *holder)
{
    return tsearch(holder, &holders->tree, compare) != NULL;
}

void holders_remove(struct holders *holders, struct holder *holder)
{
    (void)tdelete(holder, &holders->tree, compare);
}

bool holders_give_up(struct holders *holders, uint64_t device, uint64_t inode)
{
    struct holder key = {.device = device, .inode = inode};
    struct holder **found = tfind(&key, &holders->tree, compare);
    return found != NULL && (*found)->give_up(*found);
}

bool holders_ask(struct holders *holders, struct waiter *waiter, uint64_t device, uint64_t inode)
{
    if (holders_give_up(holders, device, inode)) {
        return true;
    }
    holders_forget(holders, waiter);
    waiter->ticket = ++holders->last_ticket;
    waiter->next = holders->waiters;
    holders->waiters = waiter;
    struct message message = {
        .type = MESSAGE_GIVE_UP, .ticket = waiter->ticket, .device = device, .inode = inode};
    child_send(&message);
    return false;
}

void holders_forget(struct holders *holders, struct waiter *waiter)
{
    for (struct waiter **link = &holders->waiters; *link != NULL; link = &(*link)->next) {
        if (*link == waiter) {
            *link = waiter->next;
            return;
        }
    }
}

void holders_freed(struct holders *holders, uint64_t ticket)
{
    for (struct waiter *waiter = holders->waiters; waiter != NULL; waiter = waiter->next) {
        if (waiter->ticket == ticket) {
            holders_forget(holders, waiter);
            waiter->freed(waiter);
            return;
        }
    }
}
