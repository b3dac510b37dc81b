/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_OUTBOX_H
#define RESTANTE_SERVER_OUTBOX_H

#include <stdbool.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/bytes.h"

/* The writing side of a channel between our processes. A socket holds a few hundred messages only, and many people
 * may come in the same moment: what it has no room for waits here, in order. It may be secret, and is wiped when it
 * leaves. All is of the thread of the loop. */

struct outbox_message;

struct outbox {
    uv_poll_t *
        poll; /* of the channel; borrowed. Who owns it gets READABLE, and WRITABLE while something waits */
    uv_poll_cb on_ready;
    int channel;
    uint32_t most; /* messages that may wait */
    uint32_t count;
    struct outbox_message *first, *last;
};

/* Starts `poll`, which belongs to the channel. 0 or an error of libuv. */
int outbox_start(struct outbox *outbox, uv_poll_t *poll, uv_poll_cb on_ready, int channel,
                 uint32_t most) MUST_CHECK;
/* Sends the message, or keeps a copy of it. Takes `descriptor` (-1: none) in any case. 0, or -1 with errno: nobody
 * reads any more; ENOBUFS: so many wait that nobody can; ENOMEM. */
int outbox_send(struct outbox *outbox, const void *message, size_t size, int descriptor) MUST_CHECK;
/* What `on_ready` calls first. 0, or -1 with errno: nobody reads any more. */
int outbox_flush(struct outbox *outbox, int status, int events) MUST_CHECK;
/* Forgets what waits. */
void outbox_clear(struct outbox *outbox);

#endif
