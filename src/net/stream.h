/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_NET_STREAM_H
#define RESTANTE_NET_STREAM_H

#include <sys/socket.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"
#include "net/connector.h"
#include "net/tcp_progress.h"
#include "net/tls.h"
#include "net/tls_client.h"

/* A connection as a stream of octets with a few events, under TLS or not. Embedded in its owner; one loop,
 * one thread. No event is given from within a call on the stream. */
struct stream;

struct stream_events {
    /* What stream_connect began stands: reading is off, as after stream_accept. */
    void (*connected)(struct stream *stream);
    /* Octets of the peer, valid during the event; none are given while reading is off. */
    void (*data)(struct stream *stream, struct bytes octets);
    /* All that stream_write left over has been taken. */
    void (*drained)(struct stream *stream);
    /* The handshake that stream_secure began is complete. */
    void (*secured)(struct stream *stream);
    /* The peer closed its end, or the connection or its TLS broke, or never stood. Comes once; what is
     * written may be lost. */
    void (*ended)(struct stream *stream);
    /* After stream_close: the memory is the owner's again. */
    void (*closed)(struct stream *stream);
};

enum { STREAM_INPUT_SIZE = 65536, STREAM_CHUNK_SIZE = 4 * TLS_RECORD_SIZE };

/* What all streams of a loop share, filled and emptied within one event, so that an idle connection owns
 * no buffer. */
struct stream_loop {
    uv_loop_t *loop;
    uv_idle_t idle;
    struct stream *resumed; /* those that have octets of before to be read */
    uint8_t input[STREAM_INPUT_SIZE];
    uint8_t plaintext[TLS_RECORD_SIZE];
    uint8_t output[STREAM_CHUNK_SIZE + STREAM_CHUNK_SIZE / TLS_RECORD_SIZE * TLS_OVERHEAD + 16384];
};

struct stream_client; /* what only the client end has */

struct stream {
    uv_tcp_t tcp;
    uv_write_t write;
    struct stream_loop *shared;
    const struct stream_events *events;
    struct stream_client *client; /* NULL: the server end */
    struct tls *tls;              /* NULL: plaintext */
    struct bytes unsent;          /* plaintext that stream_write was given and has not encrypted */
    struct bytes unread;          /* octets of the peer that TLS has not taken */
    uint8_t *unread_held;         /* their memory */
    struct stream *resumed_next;
    bool resumed;
    bool reading;
    bool writing;
    bool secured;
    bool ended;
};

/* 0 or a negative libuv error. */
int stream_loop_init(struct stream_loop *shared, uv_loop_t *loop) MUST_CHECK;

/* Takes a connection from `listener`. 0 or a negative libuv error; then `closed` follows all the same.
 * `events` and `shared` are borrowed for the stream's life. */
int stream_accept(struct stream *stream, uv_stream_t *listener, const struct stream_events *events,
                  struct stream_loop *shared) MUST_CHECK;

/* Begins a connection to `target`, which is copied; `connected` or `ended` follows, within its time limit.
 * Nothing else is called before, but stream_close at any time. 0 or a negative libuv error; then `closed`
 * follows all the same. */
int stream_connect(struct stream *stream, const struct connection_target *target,
                   const struct stream_events *events, struct stream_loop *shared) MUST_CHECK;

/* From here on the peer's octets belong to a TLS handshake, which runs while reading is on; `secured` or
 * `ended` follows. Nothing may be half written. `first` are octets of it that came in this `data` event,
 * behind others that were no handshake's; they are copied. -1: no memory. */
int stream_secure(struct stream *stream, struct tls_context *context,
                  struct bytes first) MUST_CHECK;

/* The same for the client end, of a plaintext connection that stands, after a reply to STLS or at once:
 * the server has to be `host`. Octets that one read brought with the reply were the owner's to refuse (libpop3
 * does); all later ones are read by TLS only. -1: stream_error says why. */
int stream_secure_client(struct stream *stream, struct tls_client_context *context,
                         const char *host) MUST_CHECK;

/* Turns reading on or off; off, the kernel's buffer fills and the peer has to wait. */
void stream_read(struct stream *stream, bool on);

/* True: all octets were taken. False: they must stay where they are until `drained`, and nothing else may
 * be written till then. A broken connection takes all: `ended` tells of it. */
bool stream_write(struct stream *stream, struct bytes octets);

/* The connection's TLS, for its facts; NULL before `secured`. */
const struct tls *stream_tls(const struct stream *stream);

/* Why a client's stream ended, after `ended` and until stream_close: what failed, at which address. Kind
 * ERROR_NONE: the peer closed its end. */
const struct error *stream_error(const struct stream *stream);

/* The peer's address; false if it is gone. */
bool stream_peer(const struct stream *stream, struct sockaddr_storage *address_out);

bool stream_progress(const struct stream *stream, struct tcp_progress *out);

/* Tells the peer that no more comes; what was written still arrives. */
void stream_finish(struct stream *stream);

/* Closes; `closed` follows. Once only. */
void stream_close(struct stream *stream);

#endif
