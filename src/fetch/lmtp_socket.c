/* SPDX-License-Identifier: MIT */
#include "fetch/lmtp_socket.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HOST_OCTETS = 256, PORT_OCTETS = 32 };

static int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static int wait_for(const struct lmtp_socket *socket, short events, struct error *error)
{
    int64_t end = now_ms() + (int64_t)socket->limit_s * 1000;
    struct pollfd polled[] = {{.fd = socket->descriptor, .events = events},
                              {.fd = socket->cancel, .events = POLLIN}};
    for (;;) {
        int64_t left = end - now_ms();
        left = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
        int count = poll(polled, 2, (int)left);
        if (count > 0 && polled[1].revents != 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "given up, as this run is to end");
        }
        if (count > 0) {
            return 0;
        }
        if (count == 0) {
            return error_set(error, ERROR_TEMPORARY, 0,
                             "the LMTP server did not answer within %u s", socket->limit_s);
        }
        if (errno != EINTR) {
            return error_from_errno(error, errno, "the LMTP server cannot be waited for");
        }
    }
}

static int finish_connecting(struct lmtp_socket *connection, struct error *error)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (wait_for(connection, POLLOUT, error) < 0) {
        return -1;
    }
    if (getsockopt(connection->descriptor, SOL_SOCKET, SO_ERROR, &number, &size) < 0) {
        number = errno;
    }
    return number == 0 ? 0 : error_from_errno(error, number, "the LMTP server cannot be reached");
}

static int connect_to(struct lmtp_socket *connection, const struct sockaddr *address,
                      socklen_t size, struct error *error)
{
    int one = 1;
    connection->descriptor =
        socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection->descriptor < 0) {
        return error_from_errno(error, errno, "no socket can be made");
    }
    int result = connect(connection->descriptor, address, size);
    if (result < 0 && errno == EINPROGRESS) {
        result = finish_connecting(connection, error);
    } else if (result < 0) {
        (void)error_from_errno(error, errno, "the LMTP server cannot be reached");
    }
    if (result < 0) {
        lmtp_socket_close(connection);
        return -1;
    }
    if (address->sa_family != AF_UNIX) {
        /* Only for speed. */
        (void)setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return 0;
}

static int connect_path(struct lmtp_socket *connection, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof address.sun_path) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s is too long for a socket's path", path);
    }
    memcpy(address.sun_path, path, size);
    return connect_to(connection, (const struct sockaddr *)&address, sizeof address, error);
}

static bool split(const char *place, char host[HOST_OCTETS], char port[PORT_OCTETS])
{
    const char *colon = strrchr(place, ':');
    if (colon == NULL || colon == place || colon[1] == '\0') {
        return false;
    }
    const char *begin = place;
    size_t size = (size_t)(colon - place);
    if (size > 2 && place[0] == '[' && colon[-1] == ']') {
        begin++;
        size -= 2;
    } else if (memchr(place, ':', size) != NULL) {
        return false; /* an address without brackets: which of its colons is the last? */
    }
    if (size >= HOST_OCTETS || strlen(colon + 1) >= PORT_OCTETS) {
        return false;
    }
    memcpy(host, begin, size);
    host[size] = '\0';
    (void)snprintf(port, PORT_OCTETS, "%s", colon + 1);
    return true;
}

int lmtp_socket_connect(struct lmtp_socket *connection, const char *place, struct error *error)
{
    char host[HOST_OCTETS];
    char port[PORT_OCTETS];
    if (place[0] == '/') {
        return connect_path(connection, place, error);
    }
    if (!split(place, host, port)) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s is no LMTP server: HOST:PORT, [ADDRESS]:PORT or /PATH", place);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        bool may_pass = result == EAI_AGAIN || result == EAI_SYSTEM || result == EAI_MEMORY;
        return error_set(error, may_pass ? ERROR_TEMPORARY : ERROR_CONFIGURATION, 0, "%s: %s",
                         place, gai_strerror(result));
    }
    result = -1;
    for (const struct addrinfo *one = found; one != NULL && result < 0; one = one->ai_next) {
        result = connect_to(connection, one->ai_addr, one->ai_addrlen, error);
    }
    freeaddrinfo(found);
    return result;
}

void lmtp_socket_close(struct lmtp_socket *connection)
{
    auto_close(&connection->descriptor);
    connection->descriptor = -1;
}

ssize_t lmtp_socket_send(struct lmtp_socket *connection, struct bytes octets, struct error *error)
{
    for (;;) {
        ssize_t count = send(connection->descriptor, octets.data, octets.size, MSG_NOSIGNAL);
        if (count > 0) {
            return count;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return error_from_errno(error, errno, "the connection to the LMTP server is lost");
        }
        if (wait_for(connection, POLLOUT, error) < 0) {
            return -1;
        }
    }
}

ssize_t lmtp_socket_receive(struct lmtp_socket *connection, void *buffer, size_t size,
                            struct error *error)
{
    for (;;) {
        ssize_t count = recv(connection->descriptor, buffer, size, 0);
        if (count >= 0) {
            return count;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return error_from_errno(error, errno, "the connection to the LMTP server is lost");
        }
        if (wait_for(connection, POLLIN, error) < 0) {
            return -1;
        }
    }
}
