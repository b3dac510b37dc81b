/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BENCH_LINK_H
#define RESTANTE_BENCH_LINK_H

/* The load generator's end of a connection to 127.0.0.1, plain or under TLS 1.3 from its first octet. */

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

enum link_security {
    LINK_PLAIN,
    LINK_FULL,   /* a full handshake for each connection */
    LINK_RESUMED /* each goes on with the session of the first, or it fails */
};

/* Where connections go. The memory is its owner's. */
struct link_target {
    struct sockaddr_in address;
    enum link_security security;
    SSL_CTX *context;     /* NULL: plain */
    SSL_SESSION *session; /* from the first ticket that came */
};

struct link {
    struct link_target *target;
    int descriptor; /* -1: none */
    SSL *tls;       /* NULL: plain */
    bool resumes;   /* a session, or it fails */
};

/* 0 or -1. */
int link_target_init(struct link_target *target, uint16_t port, enum link_security security,
                     struct error *error) MUST_CHECK;
void link_target_free(struct link_target *target);

/* Begins a connection. One that does not wait goes on with its handshake in link_receive. */
int link_open(struct link *link, struct link_target *target, bool waits,
              struct error *error) MUST_CHECK;
void link_close(struct link *link);

/* Sends all of them; whoever does not wait has room for a command. */
int link_send(struct link *link, struct bytes octets, struct error *error) MUST_CHECK;

enum { LINK_LATER = -1, LINK_BROKEN = -2 };

/* How many octets came, 0 behind the last, LINK_LATER (to one that does not wait) or LINK_BROKEN. */
ssize_t link_receive(struct link *link, void *data, size_t capacity, struct error *error);

/* Drops up to `most` octets, in the kernel if it can; how many, or as link_receive. */
ssize_t link_drop(struct link *link, size_t most, struct error *error);

#endif
