/* SPDX-License-Identifier: MIT */
/* The floor: a server on the same loop as Restante's (libuv) that sends the same octets and does no work.
 * It believes every name and password, has the replies ready in memory and never looks at a disk while it
 * serves. What a real server costs more than this one is the price of being one. Under TLS its connections are those
 * of src/net, as Restante's: OpenSSL and nothing else.
 *
 *     floor --corpus FOLDER [--ready-fd N]
 */
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/container_of.h"
#include "base/number.h"
#include "floor_session.h"
#include "net/stream.h"

enum { BACKLOG = 4096, GATHERED_OCTETS = 64 * 1024 };

/* Pieces go out as they lie in memory. */
struct plain {
    uv_tcp_t tcp;
    uv_write_t request;
    struct floor_session session;
};

static void on_plain_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct plain, tcp));
}

static void close_plain(struct floor_session *session)
{
    struct plain *plain = CONTAINER_OF(session, struct plain, session);

    session->closing = true;
    if (!uv_is_closing((uv_handle_t *)&plain->tcp)) {
        uv_close((uv_handle_t *)&plain->tcp, on_plain_closed);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room_out)
{
    static char input[FLOOR_INPUT_OCTETS];
    struct plain *plain = CONTAINER_OF(handle, struct plain, tcp);

    (void)suggested;
    *room_out = uv_buf_init(input, (unsigned)floor_session_room(&plain->session));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    struct plain *plain = CONTAINER_OF(stream, struct plain, tcp);

    if (size < 0) {
        close_plain(&plain->session);
    } else if (size > 0) {
        floor_session_take(&plain->session,
                           (struct bytes){(const uint8_t *)room->base, (size_t)size});
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct plain *plain = CONTAINER_OF(request, struct plain, request);

    if (status != 0) {
        close_plain(&plain->session);
        return;
    }
    floor_session_sent(&plain->session);
    if (!plain->session.busy && !uv_is_closing((uv_handle_t *)&plain->tcp)) {
        uv_read_start((uv_stream_t *)&plain->tcp, on_room, on_read);
    }
}

static bool send_plain(struct floor_session *session)
{
    struct plain *plain = CONTAINER_OF(session, struct plain, session);
    uv_stream_t *stream = (uv_stream_t *)&plain->tcp;
    uv_buf_t *pieces = session->pieces;
    unsigned count = session->piece_count;
    int written = uv_try_write(stream, pieces, count);

    if (written < 0 && written != UV_EAGAIN) {
        close_plain(session);
        return true;
    }
    size_t left = written < 0 ? 0 : (size_t)written;
    while (count > 0 && left >= pieces->len) {
        left -= pieces->len;
        pieces++;
        count--;
    }
    if (count == 0) {
        return true;
    }
    pieces->base += left;
    pieces->len -= left;
    uv_read_stop(stream);
    if (uv_write(&plain->request, stream, pieces, count, on_written) != 0) {
        close_plain(session);
        return true;
    }
    return false;
}

static const struct floor_connection plain_connection = {.send = send_plain, .close = close_plain};

static void accept_plain(uv_stream_t *listener, int status)
{
    struct plain *plain = status == 0 ? malloc(sizeof *plain) : NULL;

    if (plain == NULL) {
        return;
    }
    uv_tcp_init(listener->loop, &plain->tcp);
    if (uv_accept(listener, (uv_stream_t *)&plain->tcp) != 0) {
        uv_close((uv_handle_t *)&plain->tcp, on_plain_closed);
        return;
    }
    uv_read_start((uv_stream_t *)&plain->tcp, on_room, on_read);
    floor_session_start(&plain->session, &plain_connection);
}

/* Small pieces share records, and with them writes; a large one is encrypted from where it lies. */
struct secure {
    struct stream stream;
    struct floor_session session;
    unsigned next; /* piece */
    uint8_t gathered[GATHERED_OCTETS];
};

static struct stream_loop shared;
static struct tls_context *context;

static struct bytes gather(struct secure *secure)
{
    const struct floor_session *session = &secure->session;
    size_t size = 0;

    while (secure->next < session->piece_count) {
        const uv_buf_t *piece = &session->pieces[secure->next];
        if (piece->len > GATHERED_OCTETS - size) {
            break;
        }
        memcpy(secure->gathered + size, piece->base, piece->len);
        size += piece->len;
        secure->next++;
    }
    if (size == 0) {
        const uv_buf_t *piece = &session->pieces[secure->next++];
        return (struct bytes){(const uint8_t *)piece->base, piece->len};
    }
    return (struct bytes){secure->gathered, size};
}

static bool send_rest(struct secure *secure)
{
    while (secure->next < secure->session.piece_count) {
        if (!stream_write(&secure->stream, gather(secure))) {
            stream_read(&secure->stream, false);
            return false;
        }
    }
    return true;
}

static bool send_secure(struct floor_session *session)
{
    struct secure *secure = CONTAINER_OF(session, struct secure, session);

    secure->next = 0;
    return send_rest(secure);
}

static void close_secure(struct floor_session *session)
{
    struct secure *secure = CONTAINER_OF(session, struct secure, session);

    if (!uv_is_closing((uv_handle_t *)&secure->stream.tcp)) {
        stream_finish(&secure->stream);
        stream_close(&secure->stream);
    }
}

static const struct floor_connection secure_connection = {.send = send_secure,
                                                          .close = close_secure};

static void on_secured(struct stream *stream)
{
    struct secure *secure = CONTAINER_OF(stream, struct secure, stream);

    floor_session_start(&secure->session, &secure_connection);
}

static void on_data(struct stream *stream, struct bytes octets)
{
    struct secure *secure = CONTAINER_OF(stream, struct secure, stream);

    floor_session_take(&secure->session, octets);
}

static void on_drained(struct stream *stream)
{
    struct secure *secure = CONTAINER_OF(stream, struct secure, stream);

    if (!send_rest(secure)) {
        return;
    }
    floor_session_sent(&secure->session);
    if (!secure->session.busy) {
        stream_read(stream, true);
    }
}

static void on_ended(struct stream *stream)
{
    if (!uv_is_closing((uv_handle_t *)&stream->tcp)) {
        stream_close(stream);
    }
}

static void on_closed(struct stream *stream)
{
    free(CONTAINER_OF(stream, struct secure, stream));
}

static const struct stream_events secure_events = {.data = on_data,
                                                   .drained = on_drained,
                                                   .secured = on_secured,
                                                   .ended = on_ended,
                                                   .closed = on_closed};

static void accept_secure(uv_stream_t *listener, int status)
{
    struct secure *secure = status == 0 ? malloc(sizeof *secure) : NULL;

    if (secure == NULL || stream_accept(&secure->stream, listener, &secure_events, &shared) != 0) {
        return; /* the latter closes, and that frees */
    }
    if (stream_secure(&secure->stream, context, (struct bytes){0}) != 0) {
        stream_close(&secure->stream);
        return;
    }
    stream_read(&secure->stream, true);
}

/* As Restante's own: a key of P-256, tickets. */
static int make_context(struct error *error)
{
    static struct tls_tickets tickets = {.count = 1};
    struct tls_settings settings = {
        .identity_count = 1, .protocol = "pop3", .tickets = &tickets, .only_1_3 = true};
    struct bytes certificate = {0}, key = {0};

    tls_make_ticket_key(tickets.keys[0]);
    int result = tls_make_self_signed("localhost", &certificate, &key, error);
    if (result == 0) {
        settings.identities[0].certificate = certificate;
        settings.identities[0].key = key;
        result = tls_context_create(&settings, &context, error);
    }
    free((uint8_t *)(uintptr_t)certificate.data);
    free((uint8_t *)(uintptr_t)key.data);
    return result;
}

/* Accepted sockets inherit the option from the listener: no system call a connection. */
static int listen_on_loopback(uv_tcp_t *listener, uv_connection_cb on_connection,
                              const char *service, int ready)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address, descriptor, on = 1;

    if (uv_tcp_init(uv_default_loop(), listener) != 0 ||
        uv_tcp_bind(listener, (struct sockaddr *)&address, 0) != 0 ||
        uv_fileno((uv_handle_t *)listener, &descriptor) != 0 ||
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        uv_listen((uv_stream_t *)listener, BACKLOG, on_connection) != 0 ||
        uv_tcp_getsockname(listener, (struct sockaddr *)&address, &size) != 0) {
        return -1;
    }
    return dprintf(ready, "%s 127.0.0.1:%u\n", service, ntohs(address.sin_port)) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"corpus", required_argument, NULL, 'c'},
                                            {"ready-fd", required_argument, NULL, 'r'},
                                            {NULL, 0, NULL, 0}};
    static uv_tcp_t plain, secure;
    const char *folder = NULL;
    uint64_t ready = 1;
    struct error error;

    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'c') {
            folder = optarg;
        } else if (option != 'r' || number_parse(bytes_of(optarg), 1023, &ready) != 0) {
            return 64;
        }
    }
    if (folder == NULL) {
        fputs("usage: floor --corpus FOLDER [--ready-fd N]\n", stderr);
        return 64;
    }
    if (floor_load_maildrops(folder, &error) != 0 || make_context(&error) != 0) {
        fprintf(stderr, "floor: %s\n", error.text);
        return 1;
    }
    if (stream_loop_init(&shared, uv_default_loop()) != 0 ||
        listen_on_loopback(&plain, accept_plain, "pop3", (int)ready) != 0 ||
        listen_on_loopback(&secure, accept_secure, "pop3s", (int)ready) != 0 ||
        dprintf((int)ready, "ready\n") < 0) {
        fputs("floor: cannot listen on 127.0.0.1\n", stderr);
        return 1;
    }
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
