/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_LMTP_SOCKET_H
#define RESTANTE_FETCH_LMTP_SOCKET_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

/* A socket of a thread that may wait, each time at most so long, or until `cancel` can be read. */
struct lmtp_socket {
    int descriptor; /* -1: not connected */
    int cancel;     /* -1: none */
    unsigned limit_s;
};

/* To HOST:PORT, [ADDRESS]:PORT or the path of a socket: every address that the name has is tried. */
int lmtp_socket_connect(struct lmtp_socket *socket, const char *place,
                        struct error *error) MUST_CHECK;
void lmtp_socket_close(struct lmtp_socket *socket);
/* How many octets went out, at least 1; or -1. */
ssize_t lmtp_socket_send(struct lmtp_socket *socket, struct bytes octets, struct error *error);
/* How many came; 0 at the end; or -1. */
ssize_t lmtp_socket_receive(struct lmtp_socket *socket, void *buffer, size_t size,
                            struct error *error);

#endif
