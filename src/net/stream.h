/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_STREAM_H
#define RESTANTE_NET_STREAM_H

#include <sys/socket.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "net/tcp_progress.h"

/* A connection as a stream of octets with four events, whatever lies beneath. Embedded in its owner; one
 * loop, one thread. No event is given from within a call on the stream. */
struct stream;

struct stream_events {
    /* Octets of the peer, valid during the event; none are given while reading is off. */
    void (*data)(struct stream *stream, struct bytes octets);
    /* All that stream_write left over has been taken. */
    void (*drained)(struct stream *stream);
    /* The peer closed its end, or the connection broke. Comes once; what is written may be lost. */
    void (*ended)(struct stream *stream);
    /* After stream_close: the memory is the owner's again. */
    void (*closed)(struct stream *stream);
};

struct stream {
    uv_tcp_t tcp;
    uv_write_t write;
    const struct stream_events *events;
    struct bytes
        read_buffer; /* shared by all streams of the loop: filled and emptied within one event */
    bool reading;
    bool writing;
};

/* Takes a connection from `listener`. 0 or a negative libuv error; then `closed` follows all the same.
 * `events` and `read_buffer` are borrowed for the stream's life. */
int stream_accept(struct stream *stream, uv_stream_t *listener, const struct stream_events *events,
                  struct bytes read_buffer) MUST_CHECK;

/* Turns reading on or off; off, the kernel's buffer fills and the peer has to wait. */
void stream_read(struct stream *stream, bool on);

/* Writes: returns how many octets were taken at once. If fewer than `size`, the rest must stay where it
 * is until `drained`, and nothing else may be written till then. A broken connection takes all: `ended`
 * tells of it. */
size_t stream_write(struct stream *stream, struct bytes octets);

/* The peer's address; false if it is gone. */
bool stream_peer(const struct stream *stream, struct sockaddr_storage *address_out);

bool stream_progress(const struct stream *stream, struct tcp_progress *out);

/* Tells the peer that no more comes; what was written still arrives. */
void stream_finish(struct stream *stream);

/* Closes; `closed` follows. Once only. */
void stream_close(struct stream *stream);

#endif
