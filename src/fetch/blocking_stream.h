/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_BLOCKING_STREAM_H
#define RESTANTE_FETCH_BLOCKING_STREAM_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "net/tls_client.h"

struct blocking_tls;

/* A connection, in the clear or under TLS, of a thread that may wait: each time at most so long, or until
 * `cancel` can be read. The octets are those of net/stream.h, without a loop. */
struct blocking_stream {
    int descriptor;           /* -1: not connected */
    int cancel;               /* -1: none */
    unsigned limit_s;         /* of each wait */
    const char *peer;         /* what errors call it, as "the LMTP server"; borrowed */
    struct blocking_tls *tls; /* NULL: in the clear */
};

/* To HOST:PORT, [ADDRESS]:PORT or the path of a socket: every address that the name has is tried. */
int blocking_stream_connect(struct blocking_stream *stream, const char *place,
                            struct error *error) MUST_CHECK;

/* From here on everything is under TLS: at once after connecting, or after the reply to STARTTLS. What was
 * received in the clear and not yet used must be forgotten by the caller (RFC 2595 section 2.4, and
 * CVE-2011-0411). `host` is whom the certificate must name. ERROR_PERMANENT: the server is another. */
int blocking_stream_secure(struct blocking_stream *stream, struct tls_client_context *context,
                           const char *host, struct error *error) MUST_CHECK;

/* For channel binding and what is told of the connection; NULL: in the clear. */
const struct tls *blocking_stream_tls(const struct blocking_stream *stream);

/* Takes leave of TLS, without waiting. Takes one that is not connected. */
void blocking_stream_close(struct blocking_stream *stream);

/* How many octets went out, at least 1; or -1. */
ssize_t blocking_stream_send(struct blocking_stream *stream, struct bytes octets,
                             struct error *error);

/* How many came; 0 at the end; or -1. */
ssize_t blocking_stream_receive(struct blocking_stream *stream, void *buffer, size_t size,
                                struct error *error);

/* Something has come (octets, the end, a failure): receiving would hardly wait. For who sends much and wants to
 * know early that the peer objects. */
bool blocking_stream_has_input(const struct blocking_stream *stream);

#endif
