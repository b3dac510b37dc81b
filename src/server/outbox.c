/* SPDX-License-Identifier: MIT */
#include "server/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/channel.h"

struct outbox_message {
    struct outbox_message *next;
    int descriptor;
    size_t size;
    uint8_t data[];
};

static void close_descriptor(int descriptor)
{
    int reason = errno;
    if (descriptor >= 0) {
        (void)close(descriptor);
    }
    errno = reason;
}

static void remove_first(struct outbox *outbox)
{
    struct outbox_message *message = outbox->first;
    outbox->first = message->next;
    outbox->last = outbox->first == NULL ? NULL : outbox->last;
    outbox->count--;
    close_descriptor(message->descriptor);
    explicit_bzero(message->data, message->size);
    free(message);
}

static int keep(struct outbox *outbox, const void *data, size_t size, int descriptor)
{
    struct outbox_message *message = malloc(sizeof *message + size);
    if (message == NULL) {
        return -1;
    }
    *message = (struct outbox_message){.descriptor = descriptor, .size = size};
    memcpy(message->data, data, size);
    if (outbox->last == NULL) {
        outbox->first = message;
    } else {
        outbox->last->next = message;
    }
    outbox->last = message;
    outbox->count++;
    return 0;
}

static void watch(struct outbox *outbox)
{
    int events = UV_READABLE | (outbox->first != NULL ? UV_WRITABLE : 0);
    (void)uv_poll_start(outbox->poll, events, outbox->on_ready);
}

int outbox_start(struct outbox *outbox, uv_poll_t *poll, uv_poll_cb on_ready, int channel,
                 uint32_t most)
{
    *outbox = (struct outbox){.poll = poll, .on_ready = on_ready, .channel = channel, .most = most};
    return uv_poll_start(poll, UV_READABLE, on_ready);
}

int outbox_send(struct outbox *outbox, const void *message, size_t size, int descriptor)
{
    int result = -1;
    bool waits = outbox->first != NULL; /* nothing overtakes what waits */
    if (!waits) {
        result = channel_send(outbox->channel, message, size, descriptor);
    }
    if (waits || (result < 0 && errno == EAGAIN)) {
        if (outbox->count >= outbox->most) {
            errno = ENOBUFS;
        } else if (keep(outbox, message, size, descriptor) == 0) {
            if (!waits) {
                watch(outbox);
            }
            return 0; /* the descriptor is kept, too */
        }
    }
    close_descriptor(descriptor);
    return result;
}

int outbox_flush(struct outbox *outbox, int status, int events)
{
    if (status < 0 || (events & UV_WRITABLE) == 0 || outbox->first == NULL) {
        return 0;
    }
    while (outbox->first != NULL) {
        const struct outbox_message *message = outbox->first;
        if (channel_send(outbox->channel, message->data, message->size, message->descriptor) < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        remove_first(outbox);
    }
    watch(outbox);
    return 0;
}

void outbox_clear(struct outbox *outbox)
{
    while (outbox->first != NULL) {
        remove_first(outbox);
    }
}
