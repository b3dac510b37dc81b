/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CHILDREN_H
#define RESTANTE_SERVER_CHILDREN_H

#include <stdbool.h>
#include <uv.h>

#include "server/messages.h"

/* A process of ours as the master sees it: started from our own executable, so that it shares nothing with
 * the master's memory, with a channel between. */
struct child_process;

struct child_events {
    /* A message came. */
    void (*message)(struct child_process *child, const struct message *message);
    /* It is gone; `how` says it in words. The memory is freed after this call. */
    void (*gone)(struct child_process *child, const char *how);
};

struct child_process {
    uv_process_t process;
    uv_poll_t poll;
    int channel;
    int received; /* the descriptor that came with the message; whoever takes it writes -1 here */
    const struct child_events *events;
    void *owner; /* of whoever started it */
    struct child_process *next;
    const char *role;
    uint32_t slot;    /* of a worker */
    uint32_t number;  /* in the limits, of a worker */
    uint64_t started; /* uv_now */
    bool ready;
    bool draining;
    bool exited, channel_closed; /* freed when both are so */
    char how[64];
};

/* Starts `restante ROLE`. The child is freed by itself, after `gone`. NULL on failure. */
struct child_process *children_start(uv_loop_t *loop, const char *role,
                                     const struct child_events *events, void *owner,
                                     struct error *error);

/* Sends; the descriptor (-1: none) stays the caller's. A child that does not read is killed. */
void children_send(struct child_process *child, const struct message *message, int descriptor);

void children_kill(struct child_process *child);

#endif
