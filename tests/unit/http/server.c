/* SPDX-License-Identifier: MIT */
#include "server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../net/cmocka_first.h"

static bool wait_for(const struct server *server, int descriptor)
{
    struct pollfd polled[] = {{.fd = server->wake[0], .events = POLLIN},
                              {.fd = descriptor, .events = POLLIN}};
    return poll(polled, 2, -1) > 0 && polled[0].revents == 0;
}

static int read_some(SSL *tls, int peer, void *memory, size_t size)
{
    return tls == NULL ? (int)read(peer, memory, size) : SSL_read(tls, memory, (int)size);
}

static void write_all(SSL *tls, int peer, const char *data, size_t size)
{
    while (size != 0) {
        int done = tls == NULL ? (int)send(peer, data, size, MSG_NOSIGNAL)
                               : SSL_write(tls, data, (int)size);
        if (done <= 0) {
            return;
        }
        data += done;
        size -= (size_t)done;
    }
}

static bool is_whole(struct server *server)
{
    server->request[server->request_size] = '\0';
    const char *end = strstr(server->request, "\r\n\r\n");
    const char *length = strcasestr(server->request, "\r\nContent-Length: ");
    size_t body = 0;
    if (end != NULL && length != NULL && length < end) {
        for (length += 18; *length >= '0' && *length <= '9'; length++) {
            body = body * 10 + (size_t)(*length - '0');
        }
    }
    return end != NULL && server->request_size >= (size_t)(end + 4 - server->request) + body;
}

static void answer(struct server *server, SSL *tls, int peer)
{
    static const char filling[4096] = {'x'};
    if (server->answer == NULL) {
        (void)wait_for(server, -1);
        return;
    }
    write_all(tls, peer, server->answer, strlen(server->answer));
    for (size_t left = server->flood; left != 0;) {
        size_t size = left < sizeof filling ? left : sizeof filling;
        write_all(tls, peer, filling, size);
        left -= size;
    }
}

/* False: the connection has ended, or the server is to. */
static bool read_request(struct server *server, SSL *tls, int peer)
{
    size_t got = 0;
    do {
        bool pending = tls != NULL && SSL_pending(tls) > 0;
        if (!pending && !wait_for(server, peer)) {
            return false;
        }
        int size = read_some(tls, peer, server->request + got, sizeof server->request - 1 - got);
        if (size <= 0) {
            return false;
        }
        got += (size_t)size;
        server->request_size = got;
    } while (!is_whole(server));
    return true;
}

static void serve(struct server *server, SSL *tls, int peer)
{
    bool open = true;
    while (open && read_request(server, tls, peer)) {
        server->requests++;
        answer(server, tls, peer);
        open = server->flood == 0 && server->answer != NULL;
    }
}

static void *run(void *context)
{
    struct server *server = context;
    while (wait_for(server, server->listener)) {
        int peer = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        SSL *tls = server->tls == NULL ? NULL : SSL_new(server->tls);
        server->connections++;
        if (tls == NULL || (SSL_set_fd(tls, peer) == 1 && SSL_accept(tls) == 1)) {
            serve(server, tls, peer);
        }
        SSL_free(tls);
        (void)close(peer);
    }
    return NULL;
}

void server_start(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pipe(server->wake), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
}

void server_stop(struct server *server)
{
    (void)!write(server->wake[1], "x", 1);
    assert_int_equal(pthread_join(server->thread, NULL), 0);
    (void)close(server->wake[0]);
    (void)close(server->wake[1]);
    (void)close(server->listener);
}
