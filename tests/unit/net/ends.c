/* SPDX-License-Identifier: MIT */
#include "ends.h"

#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/container_of.h"
#include "cmocka_first.h"

uv_loop_t loop;
struct stream_loop shared;
static uv_timer_t clock_timer;
static bool time_is_up;

int begin_loop(void **state)
{
    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(stream_loop_init(&shared, &loop), 0);
    return uv_timer_init(&loop, &clock_timer);
}

static void on_time(uv_timer_t *timer)
{
    (void)timer;
    time_is_up = true;
}

void run_until(const bool *flag)
{
    time_is_up = false;
    assert_int_equal(uv_timer_start(&clock_timer, on_time, 5000, 0), 0);
    while (!*flag && !time_is_up) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(uv_timer_stop(&clock_timer), 0);
    assert_true(*flag);
}

void run_for(uint64_t ms)
{
    time_is_up = false;
    assert_int_equal(uv_timer_start(&clock_timer, on_time, ms, 0), 0);
    while (!time_is_up) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
}

static void count_handle(uv_handle_t *handle, void *count)
{
    if (handle != (uv_handle_t *)&clock_timer && handle != (uv_handle_t *)&shared.idle) {
        (*(uint32_t *)count)++;
    }
}

int finish_loop(void **state)
{
    (void)state;
    uint32_t left = 0;
    for (uint32_t i = 0; i < 10; i++) { /* what is closing closes */
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    uv_walk(&loop, count_handle, &left);
    if (left > 0) {
        return -1;
    }
    uv_close((uv_handle_t *)&clock_timer, NULL);
    uv_close((uv_handle_t *)&shared.idle, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static struct end *end_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct end, stream);
}

static void on_connected(struct stream *stream)
{
    assert_false(end_of(stream)->connected);
    end_of(stream)->connected = true;
    stream_read(stream, end_of(stream)->read_at_once);
}

static void on_data(struct stream *stream, struct bytes octets)
{
    struct end *end = end_of(stream);
    assert_true(octets.size > 0 && octets.size <= sizeof end->received - end->received_size);
    memcpy(end->received + end->received_size, octets.data, octets.size);
    end->received_size += octets.size;
}

static void on_drained(struct stream *stream)
{
    (void)stream;
}

static void on_secured(struct stream *stream)
{
    assert_false(end_of(stream)->secured);
    end_of(stream)->secured = true;
}

static void on_ended(struct stream *stream)
{
    assert_false(end_of(stream)->ended || end_of(stream)->closed);
    end_of(stream)->ended = true;
}

static void on_closed(struct stream *stream)
{
    assert_false(end_of(stream)->closed);
    end_of(stream)->closed = true;
}

static const struct stream_events events = {.connected = on_connected,
                                            .data = on_data,
                                            .drained = on_drained,
                                            .secured = on_secured,
                                            .ended = on_ended,
                                            .closed = on_closed};

static void on_connection(uv_stream_t *handle, int status)
{
    struct end *server = CONTAINER_OF(handle, struct listener, tcp)->server;
    assert_int_equal(status, 0);
    assert_int_equal(stream_accept(&server->stream, handle, &events, &shared), 0);
    if (server->tls != NULL) {
        assert_int_equal(stream_secure(&server->stream, server->tls, (struct bytes){0}), 0);
    }
    server->connected = true;
    stream_read(&server->stream, server->read_at_once);
}

void listen_on(struct listener *listener, const char *address, struct end *server)
{
    struct sockaddr_storage name = {0};
    int size = sizeof name;
    *listener = (struct listener){.server = server};
    if (uv_ip4_addr(address, 0, (struct sockaddr_in *)&name) < 0) {
        assert_int_equal(uv_ip6_addr(address, 0, (struct sockaddr_in6 *)&name), 0);
    }
    assert_int_equal(uv_tcp_init(&loop, &listener->tcp), 0);
    assert_int_equal(uv_tcp_bind(&listener->tcp, (struct sockaddr *)&name, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener->tcp, 8, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&name, &size), 0);
    listener->port = ntohs(((struct sockaddr_in *)&name)->sin_port);
}

uint16_t refusing_port(void)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(descriptor, (struct sockaddr *)&name, size), 0);
    assert_int_equal(getsockname(descriptor, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(close(descriptor), 0);
    return ntohs(name.sin_port);
}

void connect_to(struct end *client, const char *host, uint16_t port, uint32_t timeout_ms)
{
    struct connection_target target = {.host = host, .port = port, .timeout_ms = timeout_ms};
    assert_int_equal(stream_connect(&client->stream, &target, &events, &shared), 0);
    assert_false(client->connected || client->ended);
}

void close_end(struct end *end)
{
    stream_close(&end->stream);
    run_until(&end->closed);
}

static void on_listener_closed(uv_handle_t *handle)
{
    CONTAINER_OF(handle, struct listener, tcp)->closed = true;
}

void close_listener(struct listener *listener)
{
    uv_close((uv_handle_t *)&listener->tcp, on_listener_closed);
    run_until(&listener->closed);
}
