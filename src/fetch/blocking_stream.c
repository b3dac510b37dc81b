/* SPDX-License-Identifier: MIT */
/* A socket that never blocks in itself, so that each wait is a poll with a limit that `cancel` can end. TLS lies
 * above it by the calls of net/tls.h: records in and out of the two buffers. */
#include "fetch/blocking_stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

static int wait_for(const struct blocking_stream *stream, short events, struct error *error)
{
    int64_t end = now_ms() + (int64_t)stream->limit_s * 1000;
    struct pollfd polled[] = {{.fd = stream->descriptor, .events = events},
                              {.fd = stream->cancel, .events = POLLIN}};
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
            return error_set(error, ERROR_TEMPORARY, 0, "%s did not answer within %u s",
                             stream->peer, stream->limit_s);
        }
        if (errno != EINTR) {
            return error_from_errno(error, errno, "%s cannot be waited for", stream->peer);
        }
    }
}

static int finish_connecting(struct blocking_stream *stream, struct error *error)
{
    int number = 0;
    socklen_t size = sizeof number;
    if (wait_for(stream, POLLOUT, error) < 0) {
        return -1;
    }
    if (getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &number, &size) < 0) {
        number = errno;
    }
    return number == 0 ? 0 : error_from_errno(error, number, "%s cannot be reached", stream->peer);
}

static int connect_to(struct blocking_stream *stream, const struct sockaddr *address,
                      socklen_t size, struct error *error)
{
    int one = 1;
    stream->descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stream->descriptor < 0) {
        return error_from_errno(error, errno, "no socket can be made");
    }
    int result = connect(stream->descriptor, address, size);
    if (result < 0 && errno == EINPROGRESS) {
        result = finish_connecting(stream, error);
    } else if (result < 0) {
        (void)error_from_errno(error, errno, "%s cannot be reached", stream->peer);
    }
    if (result < 0) {
        blocking_stream_close(stream);
        return -1;
    }
    if (address->sa_family != AF_UNIX) {
        /* Only for speed. */
        (void)setsockopt(stream->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    return 0;
}

static int connect_path(struct blocking_stream *stream, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size >= sizeof address.sun_path) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s is too long for a socket's path", path);
    }
    memcpy(address.sun_path, path, size);
    return connect_to(stream, (const struct sockaddr *)&address, sizeof address, error);
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

int blocking_stream_connect(struct blocking_stream *stream, const char *place, struct error *error)
{
    char host[HOST_OCTETS];
    char port[PORT_OCTETS];
    if (place[0] == '/') {
        return connect_path(stream, place, error);
    }
    if (!split(place, host, port)) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s cannot be %s: write HOST:PORT, [ADDRESS]:PORT or /PATH", place,
                         stream->peer);
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
        result = connect_to(stream, one->ai_addr, one->ai_addrlen, error);
    }
    freeaddrinfo(found);
    return result;
}

static ssize_t send_some(struct blocking_stream *stream, struct bytes octets, struct error *error)
{
    for (;;) {
        ssize_t count = send(stream->descriptor, octets.data, octets.size, MSG_NOSIGNAL);
        if (count > 0) {
            return count;
        }
        if (count < 0 && errno != EAGAIN && errno != EINTR) {
            return error_from_errno(error, errno, "the connection to %s is lost", stream->peer);
        }
        if (wait_for(stream, POLLOUT, error) < 0) {
            return -1;
        }
    }
}

static ssize_t receive_some(struct blocking_stream *stream, void *buffer, size_t size,
                            struct error *error)
{
    for (;;) {
        ssize_t count = recv(stream->descriptor, buffer, size, 0);
        if (count >= 0) {
            return count;
        }
        if (errno != EAGAIN && errno != EINTR) {
            return error_from_errno(error, errno, "the connection to %s is lost", stream->peer);
        }
        if (wait_for(stream, POLLIN, error) < 0) {
            return -1;
        }
    }
}

/* ---- TLS ---- */

struct blocking_tls {
    struct tls *tls;
    uint8_t input[TLS_RECORD_SIZE];
    uint8_t output[2 * TLS_RECORD_SIZE]; /* a record, or what a handshake says at once */
};

static struct tls_output output_of(struct blocking_tls *secured)
{
    return (struct tls_output){.data = secured->output, .capacity = sizeof secured->output};
}

static int send_records(struct blocking_stream *stream, const struct tls_output *output,
                        struct error *error)
{
    struct bytes left = {output->data, output->size};
    while (left.size != 0) {
        ssize_t count = send_some(stream, left, error);
        if (count < 0) {
            return -1;
        }
        left = bytes_from(left, (size_t)count);
    }
    return 0;
}

static int receive_records(struct blocking_stream *stream, struct error *error)
{
    struct blocking_tls *secured = stream->tls;
    ssize_t count = receive_some(stream, secured->input, sizeof secured->input, error);
    if (count > 0) {
        tls_give(secured->tls, (struct bytes){secured->input, (size_t)count});
    }
    return count < 0 ? -1 : count > 0;
}

/* An alert says to the peer why; then the reason is ours. */
static int fail_tls(struct blocking_stream *stream, const struct tls_output *output,
                    struct error *error)
{
    (void)send_records(stream, output, NULL);
    if (error != NULL) {
        *error = *tls_error(stream->tls->tls);
    }
    return -1;
}

static int shake_hands(struct blocking_stream *stream, struct error *error)
{
    for (;;) {
        struct tls_output output = output_of(stream->tls);
        enum tls_result result = tls_handshake(stream->tls->tls, &output);
        if (result == TLS_FAILED) {
            return fail_tls(stream, &output, error);
        }
        if (send_records(stream, &output, error) < 0) {
            return -1;
        }
        if (result == TLS_MORE) {
            return 0;
        }
        int came = result == TLS_CLOSED ? 0 : receive_records(stream, error);
        if (came == 0) {
            return error_set(error, ERROR_TEMPORARY, 0,
                             "%s closed the connection in the handshake of TLS", stream->peer);
        }
        if (came < 0) {
            return -1;
        }
    }
}

int blocking_stream_secure(struct blocking_stream *stream, struct tls_client_context *context,
                           const char *host, struct error *error)
{
    stream->tls = calloc(1, sizeof *stream->tls);
    if (stream->tls == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    stream->tls->tls = tls_connect(context, host, error);
    if (stream->tls->tls == NULL) {
        free(stream->tls);
        stream->tls = NULL;
        return -1;
    }
    return shake_hands(stream, error);
}

const struct tls *blocking_stream_tls(const struct blocking_stream *stream)
{
    return stream->tls == NULL ? NULL : stream->tls->tls;
}

static ssize_t send_secured(struct blocking_stream *stream, struct bytes octets,
                            struct error *error)
{
    struct tls_output output = output_of(stream->tls);
    octets.size = octets.size < TLS_RECORD_SIZE ? octets.size : TLS_RECORD_SIZE;
    if (tls_write(stream->tls->tls, octets, &output) != TLS_MORE) {
        return fail_tls(stream, &output, error);
    }
    return send_records(stream, &output, error) < 0 ? -1 : (ssize_t)octets.size;
}

static ssize_t receive_secured(struct blocking_stream *stream, void *buffer, size_t size,
                               struct error *error)
{
    for (;;) {
        size_t count = 0;
        struct tls_output output = output_of(stream->tls);
        enum tls_result result = tls_read(stream->tls->tls, buffer, size, &count, &output);
        if (result == TLS_FAILED) {
            return fail_tls(stream, &output, error);
        }
        if (send_records(stream, &output, error) < 0) {
            return -1;
        }
        if (count != 0) {
            return (ssize_t)count;
        }
        int came = result == TLS_WAIT ? receive_records(stream, error) : 1;
        if (result == TLS_CLOSED || came <= 0) {
            return result == TLS_CLOSED ? 0 : came;
        }
    }
}

/* ---- either way ---- */

ssize_t blocking_stream_send(struct blocking_stream *stream, struct bytes octets,
                             struct error *error)
{
    return stream->tls == NULL ? send_some(stream, octets, error)
                               : send_secured(stream, octets, error);
}

ssize_t blocking_stream_receive(struct blocking_stream *stream, void *buffer, size_t size,
                                struct error *error)
{
    return stream->tls == NULL ? receive_some(stream, buffer, size, error)
                               : receive_secured(stream, buffer, size, error);
}

bool blocking_stream_has_input(const struct blocking_stream *stream)
{
    struct pollfd polled = {.fd = stream->descriptor, .events = POLLIN};
    bool is_held = stream->tls != NULL &&
                   (tls_rest(stream->tls->tls).size != 0 || tls_has_pending(stream->tls->tls));
    return is_held || poll(&polled, 1, 0) > 0;
}

void blocking_stream_close(struct blocking_stream *stream)
{
    if (stream->tls != NULL) {
        struct tls_output output = output_of(stream->tls);
        tls_finish(stream->tls->tls, &output);
        if (output.size != 0) {
            (void)send(stream->descriptor, output.data, output.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        (void)tls_free(stream->tls->tls);
        free(stream->tls);
        stream->tls = NULL;
    }
    auto_close(&stream->descriptor);
    stream->descriptor = -1;
}
