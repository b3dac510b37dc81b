/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_NET_ENDS_H
#define RESTANTE_TESTS_NET_ENDS_H

/* One end of a connection that remembers what happened to it, on the loop of the test. */

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"

struct end {
    struct stream stream;
    bool connected;
    bool secured;
    bool ended;
    bool closed;
    bool read_at_once;       /* reading is turned on when the connection stands */
    struct tls_context *tls; /* the server end: TLS from the beginning */
    size_t received_size;
    uint8_t received[4096];
};

extern uv_loop_t loop;
extern struct stream_loop shared;

/* Setup and teardown of a test: the loop. Teardown fails if anything is left on it. */
int begin_loop(void **state);
int finish_loop(void **state);

/* Runs the loop until `flag` is true, or fails the test after five seconds. */
void run_until(const bool *flag);
void run_for(uint64_t ms);

/* A listener on a loopback address ("127.0.0.1", "::1") whose connections `server` takes, one after
 * another. */
struct listener {
    uv_tcp_t tcp;
    struct end *server;
    uint16_t port;
    bool closed;
};
void listen_on(struct listener *listener, const char *address, struct end *server);
/* A port of 127.0.0.1 that refuses. */
uint16_t refusing_port(void);

/* The client end; the host is as for stream_connect. */
void connect_to(struct end *client, const char *host, uint16_t port, uint32_t timeout_ms);
/* Closes it, if it is open, and waits till it is. */
void close_end(struct end *end);
void close_listener(struct listener *listener);

#endif
