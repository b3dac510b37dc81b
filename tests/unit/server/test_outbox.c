/* SPDX-License-Identifier: MIT */
#include "server/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cmocka_first.h"
#include "server/channel.h"

enum { MOST = 4000, OCTETS = 700, ENOUGH = 1000 /* for any socket's usual size */ };

struct fixture {
    uv_loop_t loop;
    uv_poll_t poll;
    struct outbox outbox;
    int reader;
    unsigned calls;
    int flushed;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct fixture *fixture = poll->data;
    fixture->calls++;
    fixture->flushed = outbox_flush(&fixture->outbox, status, events);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    int ends[2];
    fixture = (struct fixture){0};
    assert_int_equal(channel_pair(ends), 0);
    assert_int_equal(uv_loop_init(&fixture.loop), 0);
    assert_int_equal(uv_poll_init(&fixture.loop, &fixture.poll, ends[0]), 0);
    fixture.poll.data = &fixture;
    fixture.reader = ends[1];
    assert_int_equal(outbox_start(&fixture.outbox, &fixture.poll, on_ready, ends[0], MOST), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    uv_close((uv_handle_t *)&fixture->poll, NULL);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    outbox_clear(&fixture->outbox);
    (void)close(fixture->outbox.channel);
    if (fixture->reader >= 0) {
        (void)close(fixture->reader);
    }
    return 0;
}

static void send_number(struct fixture *fixture, uint32_t number, int descriptor)
{
    uint8_t message[OCTETS] = {0};
    memcpy(message, &number, sizeof number);
    assert_int_equal(outbox_send(&fixture->outbox, message, sizeof message, descriptor), 0);
}

/* -1: none is there. */
static int64_t receive_number(const struct fixture *fixture, int *descriptor_out)
{
    uint8_t message[OCTETS + 1];
    uint32_t number;
    ssize_t size = channel_receive(fixture->reader, message, sizeof message, descriptor_out);
    if (size < 0) {
        assert_int_equal(errno, EAGAIN);
        return -1;
    }
    assert_int_equal(size, OCTETS);
    memcpy(&number, message, sizeof number);
    return number;
}

static void more_than_a_socket_holds_comes_in_order(void **state)
{
    struct fixture *fixture = *state;
    int64_t expected = 0;
    for (uint32_t i = 0; i < ENOUGH; i++) {
        send_number(fixture, i, -1);
    }
    assert_true(fixture->outbox.count > 0);
    while (expected < ENOUGH) {
        int descriptor;
        int64_t number = receive_number(fixture, &descriptor);
        if (number < 0) {
            (void)uv_run(&fixture->loop, UV_RUN_ONCE);
            continue;
        }
        assert_int_equal(number, expected);
        expected++;
    }
    assert_int_equal(fixture->outbox.count, 0);
}

static void what_comes_later_does_not_overtake(void **state)
{
    struct fixture *fixture = *state;
    int descriptor;
    uint32_t sent = 0;
    while (fixture->outbox.count == 0) {
        send_number(fixture, sent++, -1);
    }
    assert_int_equal(receive_number(fixture, &descriptor), 0); /* there is room again */
    assert_int_equal(receive_number(fixture, &descriptor), 1);
    send_number(fixture, sent++, -1);
    assert_int_equal(fixture->outbox.count, 2);
    for (int64_t expected = 2; expected < sent; expected++) {
        int64_t number;
        while ((number = receive_number(fixture, &descriptor)) < 0) {
            (void)uv_run(&fixture->loop, UV_RUN_ONCE);
        }
        assert_int_equal(number, expected);
    }
}

static void an_idle_channel_does_not_wake_the_loop(void **state)
{
    struct fixture *fixture = *state;
    int descriptor;
    for (uint32_t i = 0; i < ENOUGH; i++) {
        send_number(fixture, i, -1);
    }
    for (unsigned got = 0; got < ENOUGH;) {
        if (receive_number(fixture, &descriptor) >= 0) {
            got++;
        } else {
            (void)uv_run(&fixture->loop, UV_RUN_ONCE);
        }
    }
    unsigned calls = fixture->calls;
    for (int i = 0; i < 10; i++) {
        (void)uv_run(&fixture->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(fixture->calls, calls);
}

static void a_descriptor_waits_with_its_message(void **state)
{
    struct fixture *fixture = *state;
    int ends[2], descriptor = -1;
    char octet = 0;
    uint32_t sent = 0;
    while (fixture->outbox.count == 0) {
        send_number(fixture, sent++, -1);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    send_number(fixture, sent, ends[1]);
    for (int64_t number = -1; number < sent;) {
        number = receive_number(fixture, &descriptor);
        if (number < 0) {
            (void)uv_run(&fixture->loop, UV_RUN_ONCE);
        }
    }
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, "x", 1), 1);
    (void)close(descriptor);
    assert_int_equal(read(ends[0], &octet, 1), 1);
    assert_int_equal(read(ends[0], &octet, 1), 0); /* nobody has kept the other end */
    (void)close(ends[0]);
}

static void what_waits_is_bounded_and_its_descriptors_are_closed(void **state)
{
    struct fixture *fixture = *state;
    uint8_t message[OCTETS] = {0};
    int ends[2];
    char octet;
    fixture->outbox.most = 1;
    while (fixture->outbox.count == 0) {
        send_number(fixture, 0, -1);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(outbox_send(&fixture->outbox, message, sizeof message, ends[1]), -1);
    assert_int_equal(errno, ENOBUFS);
    assert_int_equal(read(ends[0], &octet, 1), 0);
    (void)close(ends[0]);
}

static void a_reader_that_is_gone_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    uint8_t message[OCTETS] = {0};
    while (fixture->outbox.count == 0) {
        send_number(fixture, 0, -1);
    }
    (void)close(fixture->reader);
    fixture->reader = -1;
    assert_int_equal(outbox_flush(&fixture->outbox, 0, UV_WRITABLE), -1);
    outbox_clear(&fixture->outbox);
    assert_int_equal(fixture->outbox.count, 0);
    assert_int_equal(outbox_send(&fixture->outbox, message, sizeof message, -1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(more_than_a_socket_holds_comes_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_comes_later_does_not_overtake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_idle_channel_does_not_wake_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_descriptor_waits_with_its_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded_and_its_descriptors_are_closed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_is_gone_is_an_error, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
