/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_HTTP_SERVER_H
#define RESTANTE_TESTS_HTTP_SERVER_H

/* A server on 127.0.0.1, on a thread of its own, that remembers what it was asked and answers as the test says. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

struct server {
    const char *answer; /* to every request; NULL: none, until it is stopped */
    size_t flood;       /* so many octets more behind it */
    SSL_CTX *tls;       /* NULL: in the clear */
    unsigned requests;  /* after server_stop, as the following */
    unsigned connections;
    char request[65536]; /* the last one */
    size_t request_size;
    /* Its own: */
    uint16_t port;
    int listener, wake[2];
    pthread_t thread;
};

void server_start(struct server *server);
void server_stop(struct server *server);

#endif
