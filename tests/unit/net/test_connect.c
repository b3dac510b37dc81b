/* SPDX-License-Identifier: MIT */
/* stream_connect over real sockets; only the resolver's answers are made up. */
#include "cmocka_first.h"

#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "ends.h"

/* What the next look-up brings. */
static struct {
    int status;
    size_t count;
    const char *addresses[4];
    uint16_t ports[4];
} answer;

static struct addrinfo entries[4];
static struct sockaddr_storage names[4];
static uv_getaddrinfo_cb asked;

static struct addrinfo *make_list(void)
{
    for (size_t i = 0; i < answer.count; i++) {
        bool ipv4 = strchr(answer.addresses[i], ':') == NULL;
        if (ipv4) {
            (void)uv_ip4_addr(answer.addresses[i], answer.ports[i],
                              (struct sockaddr_in *)&names[i]);
        } else {
            (void)uv_ip6_addr(answer.addresses[i], answer.ports[i],
                              (struct sockaddr_in6 *)&names[i]);
        }
        entries[i] = (struct addrinfo){.ai_family = ipv4 ? AF_INET : AF_INET6,
                                       .ai_addr = (struct sockaddr *)&names[i],
                                       .ai_next = i + 1 < answer.count ? &entries[i + 1] : NULL};
    }
    return answer.count == 0 ? NULL : entries;
}

static void on_real_answer(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    freeaddrinfo(list);
    if (status == 0) {
        status = answer.status;
    }
    asked(request, status, status == 0 ? make_list() : NULL);
}

int __real_uv_getaddrinfo(uv_loop_t *on, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback,
                          const char *node, const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *on, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback,
                          const char *node, const char *service, const struct addrinfo *hints);
void __wrap_uv_freeaddrinfo(struct addrinfo *list);

int __wrap_uv_getaddrinfo(uv_loop_t *on, uv_getaddrinfo_t *request, uv_getaddrinfo_cb callback,
                          const char *node, const char *service, const struct addrinfo *hints)
{
    assert_string_equal(node, "mail.example.org");
    assert_int_equal(hints->ai_socktype, SOCK_STREAM);
    asked = callback;
    return __real_uv_getaddrinfo(on, request, on_real_answer, "127.0.0.1", service, NULL);
}

void __wrap_uv_freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

/* A port of 127.0.0.1 that says nothing at all: its queue is full. */
struct silent {
    int listener;
    int filler;
    uint16_t port;
};

static struct silent begin_silence(void)
{
    struct silent silent;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    silent.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    silent.filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(silent.listener, (struct sockaddr *)&name, size), 0);
    assert_int_equal(listen(silent.listener, 0), 0);
    assert_int_equal(getsockname(silent.listener, (struct sockaddr *)&name, &size), 0);
    assert_int_equal(connect(silent.filler, (struct sockaddr *)&name, size), 0);
    silent.port = ntohs(name.sin_port);
    return silent;
}

static void end_silence(struct silent silent)
{
    (void)close(silent.listener);
    (void)close(silent.filler);
}

static void expect_error(const struct end *client, enum error_kind kind, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void expect_error(const struct end *client, enum error_kind kind, const char *format, ...)
{
    char expected[400];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    assert_string_equal(stream_error(&client->stream)->text, expected);
    assert_int_equal(stream_error(&client->stream)->kind, kind);
}

static void exchange(const char *host, const char *address)
{
    struct listener listener;
    struct end server = {.read_at_once = true};
    struct end client = {.read_at_once = true};
    listen_on(&listener, address, &server);
    connect_to(&client, host, listener.port, 5000);
    run_until(&client.connected);
    run_until(&server.connected);
    assert_true(stream_write(&server.stream, bytes_of("+OK\r\n")));
    assert_true(stream_write(&client.stream, bytes_of("QUIT\r\n")));
    while (client.received_size < 5 || server.received_size < 6) {
        (void)uv_run(&loop, UV_RUN_ONCE);
    }
    assert_memory_equal(client.received, "+OK\r\n", 5);
    assert_memory_equal(server.received, "QUIT\r\n", 6);
    close_end(&server);
    run_until(&client.ended);
    assert_int_equal(stream_error(&client.stream)->kind, ERROR_NONE);
    close_end(&client);
    close_listener(&listener);
}

static void test_numeric_addresses(void **state)
{
    (void)state;
    exchange("127.0.0.1", "127.0.0.1");
    exchange("::1", "::1");
    exchange("[::1]", "::1");
}

static void test_refused(void **state)
{
    (void)state;
    struct end client = {0};
    uint16_t port = refusing_port();
    connect_to(&client, "127.0.0.1", port, 5000);
    run_until(&client.ended);
    assert_false(client.connected);
    expect_error(&client, ERROR_TEMPORARY, "127.0.0.1:%u: connection refused", port);
    close_end(&client);
}

static void test_the_next_address_is_tried(void **state)
{
    (void)state;
    struct listener listener;
    struct end server = {0};
    struct end client = {0};
    listen_on(&listener, "127.0.0.1", &server);
    answer.count = 2;
    answer.addresses[0] = answer.addresses[1] = "127.0.0.1";
    answer.ports[0] = refusing_port();
    answer.ports[1] = listener.port;
    connect_to(&client, "mail.example.org", 1, 5000);
    run_until(&client.connected);
    run_until(&server.connected);
    close_end(&client);
    close_end(&server);
    close_listener(&listener);
}

static void test_a_silent_address_does_not_hold_up(void **state)
{
    (void)state;
    struct silent silent = begin_silence();
    struct listener listener;
    struct end server = {0};
    struct end client = {0};
    listen_on(&listener, "127.0.0.1", &server);
    answer.count = 2;
    answer.addresses[0] = answer.addresses[1] = "127.0.0.1";
    answer.ports[0] = silent.port;
    answer.ports[1] = listener.port;
    uint64_t begin = uv_now(&loop);
    connect_to(&client, "mail.example.org", 1, 60000);
    run_until(&client.connected);
    uv_update_time(&loop);
    assert_in_range(uv_now(&loop) - begin, 240, 2000);
    run_until(&server.connected);
    close_end(&client);
    close_end(&server);
    close_listener(&listener);
    end_silence(silent);
}

/* Both families by turns, and each failure named. */
static void test_all_fail(void **state)
{
    (void)state;
    struct end client = {0};
    uint16_t port = refusing_port();
    answer.count = 4;
    answer.addresses[0] = answer.addresses[1] = "::1";
    answer.addresses[2] = "127.0.0.1";
    answer.addresses[3] = "127.0.0.2";
    answer.ports[0] = answer.ports[1] = answer.ports[2] = answer.ports[3] = port;
    connect_to(&client, "mail.example.org", port, 5000);
    run_until(&client.ended);
    expect_error(&client, ERROR_TEMPORARY,
                 "mail.example.org: [::1]:%u: connection refused; "
                 "127.0.0.1:%u: connection refused; [::1]:%u: connection refused; "
                 "127.0.0.2:%u: connection refused",
                 port, port, port, port);
    close_end(&client);
}

static void test_time_limit(void **state)
{
    (void)state;
    struct silent silent = begin_silence();
    struct end client = {0};
    answer.count = 2;
    answer.addresses[0] = answer.addresses[1] = "127.0.0.1";
    answer.ports[0] = refusing_port();
    answer.ports[1] = silent.port;
    connect_to(&client, "mail.example.org", 1, 300);
    run_until(&client.ended);
    expect_error(&client, ERROR_TEMPORARY,
                 "mail.example.org: 127.0.0.1:%u: connection refused; "
                 "127.0.0.1:%u: no answer within 0.3 s",
                 answer.ports[0], silent.port);
    close_end(&client);
    end_silence(silent);
}

static uv_sem_t held;

static void hold(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&held);
}

static void let_go(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

/* All threads that could look a name up hang. */
static void test_look_up_that_hangs(void **state)
{
    (void)state;
    uv_work_t works[4];
    struct end client = {0};
    answer.count = 1;
    assert_int_equal(uv_sem_init(&held, 0), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(uv_queue_work(&loop, &works[i], hold, let_go), 0);
    }
    connect_to(&client, "mail.example.org", 995, 200);
    run_until(&client.ended);
    expect_error(&client, ERROR_TEMPORARY,
                 "mail.example.org: the name could not be looked up within 0.2 s");
    close_end(&client);
    for (size_t i = 0; i < 4; i++) {
        uv_sem_post(&held);
    }
    run_for(50);
    uv_sem_destroy(&held);
}

static void test_unknown_host(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {UV_EAI_NONAME, ERROR_PERMANENT, "mail.example.org: there is no such host"},
        {UV_EAI_AGAIN, ERROR_TEMPORARY, "mail.example.org: temporary failure"},
        {0, ERROR_PERMANENT, "mail.example.org: there is no such host"},
    };
    answer.count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct end client = {0};
        answer.status = rows[i].status;
        connect_to(&client, "mail.example.org", 995, 5000);
        run_until(&client.ended);
        expect_error(&client, rows[i].kind, "%s", rows[i].text);
        close_end(&client);
    }
    answer.status = 0;
}

/* Closed at each stage: nothing comes but `closed`. */
static void test_closed_meanwhile(void **state)
{
    (void)state;
    struct silent silent = begin_silence();
    answer.count = 1;
    answer.addresses[0] = "127.0.0.1";
    answer.ports[0] = silent.port;
    static const uint64_t delays[] = {0, 1, 50, 300};
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++) {
        struct end client = {0};
        connect_to(&client, i % 2 == 0 ? "mail.example.org" : "127.0.0.1", silent.port, 5000);
        if (delays[i] > 0) {
            run_for(delays[i]);
        }
        close_end(&client);
        run_for(20);
        assert_false(client.connected || client.ended);
    }
    end_silence(silent);
}

static void test_reset_is_told(void **state)
{
    (void)state;
    struct listener listener;
    struct end server = {0};
    struct end client = {.read_at_once = true};
    struct linger linger = {.l_onoff = 1};
    uv_os_fd_t descriptor;
    listen_on(&listener, "127.0.0.1", &server);
    connect_to(&client, "127.0.0.1", listener.port, 5000);
    run_until(&client.connected);
    run_until(&server.connected);
    assert_int_equal(uv_fileno((uv_handle_t *)&server.stream.tcp, &descriptor), 0);
    assert_int_equal(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close_end(&server);
    run_until(&client.ended);
    expect_error(&client, ERROR_TEMPORARY, "the connection broke: connection reset by peer");
    close_end(&client);
    close_listener(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_numeric_addresses, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_refused, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_the_next_address_is_tried, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_a_silent_address_does_not_hold_up, begin_loop,
                                        finish_loop),
        cmocka_unit_test_setup_teardown(test_all_fail, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_time_limit, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_look_up_that_hangs, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_unknown_host, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_closed_meanwhile, begin_loop, finish_loop),
        cmocka_unit_test_setup_teardown(test_reset_is_told, begin_loop, finish_loop),
    };
    return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
