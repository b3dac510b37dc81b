/* SPDX-License-Identifier: MIT */
/* A TCP connection on libuv. Reads go into one buffer of the loop, so that an idle connection owns none;
 * a write is tried at once, and only what the kernel does not take waits for the loop. */
#include "net/stream.h"

#include <stdint.h>

#include "base/container_of.h"

static struct stream *stream_of(void *handle)
{
    return CONTAINER_OF(handle, struct stream, tcp);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)suggested;
    struct bytes buffer = stream_of(handle)->read_buffer;
    *out = uv_buf_init((char *)(uintptr_t)buffer.data, (unsigned)buffer.size);
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct stream *stream = stream_of(handle);
    if (size < 0) {
        stream_read(stream, false);
        stream->events->ended(stream);
    } else if (size > 0) {
        struct bytes octets = {.data = (const uint8_t *)buffer->base, .size = (size_t)size};
        stream->events->data(stream, octets);
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct stream *stream = stream_of(write->handle);
    stream->writing = false;
    if (status == UV_ECANCELED) {
        return; /* closed meanwhile */
    }
    if (status < 0) {
        stream->events->ended(stream);
    } else {
        stream->events->drained(stream);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = stream_of(handle);
    stream->events->closed(stream);
}

int stream_accept(struct stream *stream, uv_stream_t *listener, const struct stream_events *events,
                  struct bytes read_buffer)
{
    *stream = (struct stream){.events = events, .read_buffer = read_buffer};
    int result = uv_tcp_init(listener->loop, &stream->tcp);
    if (result == 0) {
        result = uv_accept(listener, (uv_stream_t *)&stream->tcp);
    }
    if (result < 0) {
        stream_close(stream);
    }
    return result;
}

void stream_read(struct stream *stream, bool on)
{
    if (on == stream->reading) {
        return;
    }
    stream->reading = on;
    if (on) {
        (void)uv_read_start((uv_stream_t *)&stream->tcp, on_allocate,
                            on_read); /* fails if closing */
    } else {
        (void)uv_read_stop((uv_stream_t *)&stream->tcp);
    }
}

size_t stream_write(struct stream *stream, struct bytes octets)
{
    uv_stream_t *handle = (uv_stream_t *)&stream->tcp;
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)octets.data, (unsigned)octets.size);
    int taken = uv_try_write(handle, &buffer, 1);
    if (taken == UV_EAGAIN) {
        taken = 0;
    }
    if (taken < 0 || (size_t)taken == octets.size) {
        return octets.size; /* a broken connection is told by the next read */
    }
    buffer.base += taken;
    buffer.len -= (size_t)taken;
    if (uv_write(&stream->write, handle, &buffer, 1, on_written) < 0) {
        return octets.size;
    }
    stream->writing = true;
    return (size_t)taken;
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

void stream_finish(struct stream *stream)
{
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &descriptor) == 0) {
        (void)shutdown(descriptor, SHUT_WR); /* fails where the peer is gone, which ends it too */
    }
}

void stream_close(struct stream *stream)
{
    stream->reading = false;
    uv_close((uv_handle_t *)&stream->tcp, on_closed);
}
