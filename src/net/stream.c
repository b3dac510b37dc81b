/* SPDX-License-Identifier: MIT */
/* A TCP connection on libuv, under TLS if it was secured. A write is tried at once, and only what the kernel
 * does not take waits for the loop: plaintext where its owner has it, records in a copy. */
#include "net/stream.h"

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/container_of.h"

/* Records that the kernel did not take at once. */
struct record_write {
    uv_write_t write;
    bool of_data; /* the owner waits for it; else it is of TLS itself */
    uint8_t octets[];
};

struct stream_client {
    struct connector *connector; /* until the connection stands or has failed */
    struct error error;          /* why it ended */
};

/* Only a client tells its owner why. */
static void note_failure(struct stream *stream, int status)
{
    if (stream->client == NULL || stream->ended) {
        return;
    }
    if (status != UV_EOF) {
        (void)error_set(&stream->client->error, ERROR_TEMPORARY, 0, "the connection broke: %s",
                        uv_strerror(status));
    } else if (stream->tls != NULL && !stream->secured) {
        (void)error_set(&stream->client->error, ERROR_TEMPORARY, 0,
                        "the server closed the connection during the TLS handshake");
    }
}

static void end(struct stream *stream)
{
    stream_read(stream, false);
    if (!stream->ended) {
        stream->ended = true;
        stream->events->ended(stream);
    }
}

static bool is_closing(const struct stream *stream)
{
    return uv_is_closing((const uv_handle_t *)&stream->tcp);
}

/* What the kernel takes at once; a broken connection takes all. */
static size_t try_write(struct stream *stream, struct bytes octets)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)octets.data, (unsigned)octets.size);
    int taken = uv_try_write((uv_stream_t *)&stream->tcp, &buffer, 1);
    if (taken == UV_EAGAIN) {
        return 0;
    }
    return taken < 0 ? octets.size : (size_t)taken;
}

static void go_on_writing(struct stream *stream, int status);

static void on_record_written(uv_write_t *write, int status)
{
    struct record_write *record = CONTAINER_OF(write, struct record_write, write);
    struct stream *stream = CONTAINER_OF(write->handle, struct stream, tcp);
    bool of_data = record->of_data;
    free(record);
    if (of_data) {
        go_on_writing(stream, status);
    }
}

/* Sends records; false if some wait in a copy. */
static bool send_records(struct stream *stream, const struct tls_output *output, bool of_data)
{
    struct bytes octets = {.data = output->data, .size = output->size};
    if (octets.size == 0) {
        return true;
    }
    octets = bytes_from(octets, try_write(stream, octets));
    if (octets.size == 0) {
        return true;
    }
    struct record_write *record = malloc(sizeof *record + octets.size);
    if (record == NULL) {
        return true; /* a record is missing: the peer will see it, and close */
    }
    record->of_data = of_data;
    memcpy(record->octets, octets.data, octets.size);
    uv_buf_t buffer = uv_buf_init((char *)record->octets, (unsigned)octets.size);
    if (uv_write(&record->write, (uv_stream_t *)&stream->tcp, &buffer, 1, on_record_written) < 0) {
        free(record);
        return true;
    }
    return false;
}

static struct tls_output shared_output(struct stream *stream)
{
    return (struct tls_output){.data = stream->shared->output,
                               .capacity = sizeof stream->shared->output};
}

/* Encrypts what is unsent, a chunk at a time; false if the kernel does not take it at once. */
static bool encrypt(struct stream *stream)
{
    while (stream->unsent.size > 0) {
        struct tls_output output = shared_output(stream);
        struct bytes chunk = stream->unsent;
        chunk.size = chunk.size < STREAM_CHUNK_SIZE ? chunk.size : STREAM_CHUNK_SIZE;
        stream->unsent = bytes_from(stream->unsent, chunk.size);
        if (tls_write(stream->tls, chunk, &output) != TLS_MORE) {
            stream->unsent = (struct bytes){0};
            return true; /* broken: the next read tells */
        }
        if (!send_records(stream, &output, true)) {
            return false;
        }
    }
    return true;
}

static void go_on_writing(struct stream *stream, int status)
{
    if (status == UV_ECANCELED) {
        return; /* closed meanwhile */
    }
    if (status < 0) {
        stream->writing = false;
        note_failure(stream, status);
        end(stream);
        return;
    }
    if (stream->tls != NULL && !encrypt(stream)) {
        return;
    }
    stream->writing = false;
    stream->events->drained(stream);
}

static void on_written(uv_write_t *write, int status)
{
    go_on_writing(CONTAINER_OF(write->handle, struct stream, tcp), status);
}

static bool write_plaintext(struct stream *stream, struct bytes octets)
{
    octets = bytes_from(octets, try_write(stream, octets));
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)octets.data, (unsigned)octets.size);
    return octets.size == 0 ||
           uv_write(&stream->write, (uv_stream_t *)&stream->tcp, &buffer, 1, on_written) < 0;
}

bool stream_write(struct stream *stream, struct bytes octets)
{
    bool taken;
    if (stream->tls == NULL) {
        taken = write_plaintext(stream, octets);
    } else {
        stream->unsent = octets;
        taken = encrypt(stream);
    }
    stream->writing = !taken;
    return taken;
}

/* One step of TLS; false if there is nothing more to do now. */
static bool step_tls(struct stream *stream)
{
    struct tls_output output = shared_output(stream);
    size_t size = 0;
    enum tls_result result = stream->secured
                                 ? tls_read(stream->tls, stream->shared->plaintext,
                                            sizeof stream->shared->plaintext, &size, &output)
                                 : tls_handshake(stream->tls, &output);
    (void)send_records(stream, &output, false);
    if (result == TLS_WAIT) {
        return false;
    }
    if (result == TLS_CLOSED || result == TLS_FAILED) {
        if (result == TLS_FAILED && stream->client != NULL) {
            stream->client->error = *tls_error(stream->tls);
        }
        end(stream);
        return false;
    }
    if (!stream->secured) {
        stream->secured = true;
        stream->events->secured(stream);
        return true;
    }
    struct bytes octets = {.data = stream->shared->plaintext, .size = size};
    stream->events->data(stream, octets);
    return true;
}

/* Octets that TLS has not taken outlive the event in a copy. False: no memory. */
static bool keep_unread(struct stream *stream, struct bytes rest)
{
    if (rest.size == 0 || (stream->unread_held != NULL && rest.data == stream->unread.data)) {
        stream->unread = rest;
        return true;
    }
    uint8_t *copy = malloc(rest.size);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, rest.data, rest.size);
    free(stream->unread_held);
    stream->unread_held = copy;
    stream->unread = (struct bytes){.data = copy, .size = rest.size};
    return true;
}

static void take_records(struct stream *stream, struct bytes octets)
{
    tls_give(stream->tls, octets);
    while (stream->reading && !is_closing(stream) && step_tls(stream)) {
    }
    explicit_bzero(stream->shared->plaintext, sizeof stream->shared->plaintext);
    if (is_closing(stream) || stream->ended) {
        return;
    }
    struct bytes rest = tls_rest(stream->tls);
    tls_give(stream->tls, (struct bytes){0});
    if (!keep_unread(stream, rest)) {
        end(stream);
    } else if (rest.size == 0) {
        free(stream->unread_held);
        stream->unread_held = NULL;
    }
}

/* Plaintext for the owner, who may find that a handshake begins in it. */
static void give_plaintext(struct stream *stream, struct bytes octets)
{
    stream->events->data(stream, octets);
    if (stream->reading && stream->tls != NULL && stream->unread.size > 0 && !is_closing(stream)) {
        take_records(stream, stream->unread); /* before what comes after them */
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct stream *stream = CONTAINER_OF(handle, struct stream, tcp);
    *out = uv_buf_init((char *)stream->shared->input, sizeof stream->shared->input);
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct stream *stream = CONTAINER_OF(handle, struct stream, tcp);
    struct bytes octets = {.data = (const uint8_t *)buffer->base, .size = (size_t)size};
    if (size < 0) {
        note_failure(stream, (int)size);
        end(stream);
    } else if (size > 0 && stream->tls == NULL) {
        give_plaintext(stream, octets);
    } else if (size > 0) {
        take_records(stream, octets);
    }
}

static void forget_resumed(struct stream *stream)
{
    struct stream **link = &stream->shared->resumed;
    while (stream->resumed && *link != NULL && *link != stream) {
        link = &(*link)->resumed_next;
    }
    if (stream->resumed && *link == stream) {
        *link = stream->resumed_next;
    }
    stream->resumed = false;
}

/* Streams that are read again while TLS holds octets of them. */
static void on_idle(uv_idle_t *idle)
{
    struct stream_loop *shared = CONTAINER_OF(idle, struct stream_loop, idle);
    while (shared->resumed != NULL) {
        struct stream *stream = shared->resumed;
        forget_resumed(stream);
        if (stream->reading) {
            take_records(stream, stream->unread);
        }
    }
    (void)uv_idle_stop(idle);
}

static void resume(struct stream *stream)
{
    if (!stream->resumed) {
        stream->resumed = true;
        stream->resumed_next = stream->shared->resumed;
        stream->shared->resumed = stream;
        (void)uv_idle_start(&stream->shared->idle, on_idle);
    }
}

/* The client's end of a handshake begins it. */
static bool must_speak_first(const struct stream *stream)
{
    return stream->client != NULL && !stream->secured;
}

void stream_read(struct stream *stream, bool on)
{
    if (on == stream->reading || is_closing(stream) || (on && stream->ended)) {
        return;
    }
    stream->reading = on;
    if (!on) {
        (void)uv_read_stop((uv_stream_t *)&stream->tcp);
        return;
    }
    (void)uv_read_start((uv_stream_t *)&stream->tcp, on_allocate, on_read); /* fails if closing */
    if (stream->tls != NULL &&
        (stream->unread.size > 0 || tls_has_pending(stream->tls) || must_speak_first(stream))) {
        resume(stream);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = CONTAINER_OF(handle, struct stream, tcp);
    stream->events->closed(stream);
}

int stream_loop_init(struct stream_loop *shared, uv_loop_t *loop)
{
    shared->loop = loop;
    shared->resumed = NULL;
    return uv_idle_init(loop, &shared->idle);
}

int stream_accept(struct stream *stream, uv_stream_t *listener, const struct stream_events *events,
                  struct stream_loop *shared)
{
    *stream = (struct stream){.events = events, .shared = shared};
    int result = uv_tcp_init(listener->loop, &stream->tcp);
    if (result == 0) {
        result = uv_accept(listener, (uv_stream_t *)&stream->tcp);
    }
    if (result < 0) {
        stream_close(stream);
    }
    return result;
}

/* Takes the socket, or what hinders it. */
static int take_connection(struct stream *stream, int descriptor)
{
    if (descriptor < 0) {
        stream->client->error = *connector_error(stream->client->connector);
        return -1;
    }
    int result = uv_tcp_open(&stream->tcp, descriptor);
    if (result < 0) {
        note_failure(stream, result);
        (void)close(descriptor);
        return -1;
    }
    (void)uv_tcp_nodelay(&stream->tcp, 1); /* commands are gathered before they are written */
    return 0;
}

static void on_connection(void *owner, int descriptor)
{
    struct stream *stream = owner;
    int result = take_connection(stream, descriptor);
    stream->client->connector = connector_free(stream->client->connector);
    if (result < 0) {
        end(stream);
    } else {
        stream->events->connected(stream);
    }
}

int stream_connect(struct stream *stream, const struct connection_target *target,
                   const struct stream_events *events, struct stream_loop *shared)
{
    *stream = (struct stream){.events = events, .shared = shared};
    (void)uv_tcp_init(shared->loop, &stream->tcp); /* never fails */
    stream->client = calloc(1, sizeof *stream->client);
    if (stream->client != NULL) {
        stream->client->connector = connector_create(shared->loop, target, on_connection, stream);
    }
    if (stream->client == NULL || stream->client->connector == NULL) {
        stream_close(stream);
        return UV_ENOMEM;
    }
    return 0;
}

const struct error *stream_error(const struct stream *stream)
{
    static const struct error none;
    return stream->client == NULL ? &none : &stream->client->error;
}

int stream_secure(struct stream *stream, struct tls_context *context, struct bytes first)
{
    stream->tls = tls_accept(context);
    return stream->tls == NULL || !keep_unread(stream, first) ? -1 : 0;
}

int stream_secure_client(struct stream *stream, struct tls_client_context *context,
                         const char *host)
{
    stream->tls = tls_connect(context, host, &stream->client->error);
    if (stream->tls == NULL) {
        return -1;
    }
    if (stream->reading) {
        resume(stream);
    }
    return 0;
}

const struct tls *stream_tls(const struct stream *stream)
{
    return stream->secured ? stream->tls : NULL;
}

bool stream_peer(const struct stream *stream, struct sockaddr_storage *address_out)
{
    int size = sizeof *address_out;
    *address_out = (struct sockaddr_storage){0};
    return uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)address_out, &size) == 0;
}

bool stream_progress(const struct stream *stream, struct tcp_progress *out)
{
    uv_os_fd_t descriptor;
    return uv_fileno((const uv_handle_t *)&stream->tcp, &descriptor) == 0 &&
           tcp_progress(descriptor, out);
}

/* Without it, the peer could not tell the end from a cut (RFC 8446 section 6.1). */
static void finish_tls(struct stream *stream)
{
    if (stream->secured && !stream->writing && !stream->ended) {
        struct tls_output output = shared_output(stream);
        tls_finish(stream->tls, &output);
        (void)send_records(stream, &output, false);
    }
}

void stream_finish(struct stream *stream)
{
    uv_os_fd_t descriptor;
    finish_tls(stream);
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &descriptor) == 0) {
        (void)shutdown(descriptor, SHUT_WR); /* fails where the peer is gone, which ends it too */
    }
}

void stream_close(struct stream *stream)
{
    stream->reading = false;
    finish_tls(stream);
    forget_resumed(stream);
    stream->tls = tls_free(stream->tls);
    free(stream->unread_held);
    stream->unread_held = NULL;
    if (stream->client != NULL) {
        (void)connector_free(stream->client->connector);
        free(stream->client);
        stream->client = NULL;
    }
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}
