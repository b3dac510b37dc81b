/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_CHANNEL_H
#define RESTANTE_SERVER_CHANNEL_H

#include <sys/types.h>

#include "base/attributes.h"
#include "base/bytes.h"

/* Messages between our processes: one end of a SOCK_SEQPACKET pair, which keeps their borders. Both ends
 * do not block. */

/* 0 or -1 with errno. */
int channel_pair(int ends_out[2]) MUST_CHECK;

/* Sends one message, with a descriptor if `descriptor` is not -1 (the receiver gets a copy). 0, or -1 with
 * errno: EAGAIN if the other end does not read. */
int channel_send(int channel, const void *message, size_t size, int descriptor) MUST_CHECK;

/* Takes one message. Octets, 0 at the end, or -1 with errno (EAGAIN: none is there; EMSGSIZE: cut). A
 * descriptor that came with it is the caller's, else *descriptor_out is -1. */
ssize_t channel_receive(int channel, void *message, size_t capacity,
                        int *descriptor_out) MUST_CHECK;

#endif
