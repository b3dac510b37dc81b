/* SPDX-License-Identifier: MIT */
/* The thread and its queues, from the loop's side. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fetch/storer.h"
#include "support.h"

enum { MESSAGES = 600 };

static struct account account;

struct seen {
    uv_loop_t loop;
    struct storer *storer;
    struct storer_message messages[MESSAGES];
    char ids[MESSAGES][8];
    size_t count;
    size_t stored, deferred, listed, rooms;
    bool ready, flushed, failed, finished;
    size_t last_index;
    bool in_order;
    enum error_kind kind;
};

static struct seen seen;

static void handle(void *owner, const struct storer_event *event)
{
    struct seen *mine = owner;
    switch (event->type) {
    case STORER_EVENT_READY:
        mine->ready = true;
        break;
    case STORER_EVENT_LISTED:
        mine->listed++;
        break;
    case STORER_EVENT_ROOM:
        mine->rooms++;
        break;
    case STORER_EVENT_STORED:
        mine->in_order = mine->in_order && (mine->stored == 0 || event->index > mine->last_index);
        mine->last_index = event->index;
        mine->stored++;
        assert_int_equal(mine->messages[event->index].standing, STORER_HELD);
        break;
    case STORER_EVENT_DEFERRED:
        assert_non_null(event->error);
        mine->deferred++;
        break;
    case STORER_EVENT_FLUSHED:
        mine->flushed = true;
        break;
    case STORER_EVENT_FAILED:
        mine->failed = true;
        mine->kind = event->error->kind;
        break;
    case STORER_EVENT_FINISHED:
        mine->finished = true;
        storer_close(mine->storer);
        break;
    case STORER_EVENT_SAME:
    case STORER_EVENT_FETCH_WHOLE:
    case STORER_EVENT_REFUSED:
    case STORER_EVENT_QUARANTINED:
        fail();
    }
}

static void start(enum storer_target_kind kind, const char *place, size_t count)
{
    account_make(&account, kind, place);
    memset(&seen, 0, sizeof seen);
    seen.in_order = true;
    assert_int_equal(uv_loop_init(&seen.loop), 0);
    seen.storer = storer_create(&seen.loop, &account.options, handle, &seen, &account.error);
    assert_non_null(seen.storer);
    seen.count = count;
    for (size_t i = 0; i < count; i++) {
        int size = snprintf(seen.ids[i], sizeof seen.ids[i], "%zu", i);
        seen.messages[i].number = (uint32_t)i + 1;
        seen.messages[i].octets = STORER_OCTETS_UNKNOWN;
        seen.messages[i].unique_id = (struct bytes){(const uint8_t *)seen.ids[i], (size_t)size};
    }
    storer_list(seen.storer, seen.messages, count);
    while (seen.listed == 0 && !seen.failed) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
}

static void end(void)
{
    while (uv_run(&seen.loop, UV_RUN_DEFAULT) != 0) {
    }
    assert_true(seen.finished);
    assert_int_equal(uv_loop_close(&seen.loop), 0);
    account_remove(&account);
}

static void send_message(size_t index, size_t octets)
{
    static uint8_t body[40000];
    memset(body, 'x', sizeof body);
    storer_begin(seen.storer, index, STORER_WHOLE);
    storer_feed(seen.storer, bytes_of("Subject: many\r\n\r\n"));
    while (octets != 0) {
        size_t size = octets < sizeof body ? octets : sizeof body;
        storer_feed(seen.storer, (struct bytes){body, size});
        octets -= size;
        while (storer_is_full(seen.storer)) {
            (void)uv_run(&seen.loop, UV_RUN_ONCE);
        }
    }
    storer_end(seen.storer);
}

static void many_messages_come_in_order(void **state)
{
    (void)state;
    char path[1100];
    start(STORER_TARGET_MAILDIR, "mail", MESSAGES);
    assert_true(seen.ready);
    for (size_t i = 0; i < MESSAGES; i++) {
        assert_int_equal(seen.messages[i].standing, STORER_NEW);
        send_message(i, 3000);
    }
    storer_flush(seen.storer);
    while (!seen.flushed) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_int_equal(seen.stored, MESSAGES);
    assert_true(seen.in_order);
    (void)snprintf(path, sizeof path, "%s/new", account.place);
    assert_int_equal(count_files(path), MESSAGES);
    storer_finish(seen.storer);
    end();
}

static void a_message_alone_is_stored_after_a_second(void **state)
{
    (void)state;
    start(STORER_TARGET_MAILDIR, "mail", 1);
    send_message(0, 10);
    while (seen.stored == 0) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_false(seen.flushed);
    storer_finish(seen.storer);
    end();
}

static void a_large_message_costs_bounded_memory(void **state)
{
    (void)state;
    struct rusage before;
    struct rusage after;
    start(STORER_TARGET_PIPE, "sleep 1", 2);
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    send_message(0, 10); /* the thread waits for its command, and the queue fills */
    send_message(1, 100 * 1024 * 1024);
    storer_finish(seen.storer);
    while (seen.stored < 2) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_true(seen.rooms > 0);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 * 1024); /* KiB; the sanitizers keep some */
    end();
}

static void a_broken_message_is_none(void **state)
{
    (void)state;
    char path[1100];
    start(STORER_TARGET_MAILDIR, "mail", 2);
    storer_begin(seen.storer, 0, STORER_WHOLE);
    storer_feed(seen.storer, bytes_of("half"));
    storer_break(seen.storer);
    storer_break(seen.storer);
    storer_begin(seen.storer, 1, STORER_WHOLE);
    storer_feed(seen.storer, bytes_of("another half"));
    storer_finish(seen.storer);
    (void)snprintf(path, sizeof path, "%s/new", account.place);
    while (!seen.finished) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_int_equal(count_files(path), 0);
    end();
}

static void a_cancelled_run_does_not_wait_for_its_command(void **state)
{
    (void)state;
    start(STORER_TARGET_PIPE, "sleep 50", 3);
    for (size_t i = 0; i < 3; i++) {
        send_message(i, 10);
    }
    (void)usleep(200000);
    storer_cancel(seen.storer);
    uint64_t begin = uv_hrtime();
    while (!seen.finished) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_true(uv_hrtime() - begin < UINT64_C(8000000000));
    assert_int_equal(seen.deferred, 1);
    assert_int_equal(seen.stored, 0);
    end();
}

static void a_failure_ends_the_account_and_its_calls(void **state)
{
    (void)state;
    account_make(&account, STORER_TARGET_MAILDIR, "mail");
    assert_int_equal(account_start(&account), 0); /* another run */
    memset(&seen, 0, sizeof seen);
    assert_int_equal(uv_loop_init(&seen.loop), 0);
    seen.storer = storer_create(&seen.loop, &account.options, handle, &seen, &account.error);
    assert_non_null(seen.storer);
    while (!seen.failed) {
        (void)uv_run(&seen.loop, UV_RUN_ONCE);
    }
    assert_int_equal(seen.kind, ERROR_IN_USE);
    assert_false(seen.ready);
    storer_list(seen.storer, seen.messages, 0);
    storer_begin(seen.storer, 0, STORER_WHOLE);
    storer_feed(seen.storer, bytes_of("x"));
    storer_end(seen.storer);
    storer_flush(seen.storer);
    storer_finish(seen.storer);
    end();
    assert_int_equal(seen.listed, 0);
    assert_false(seen.flushed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_messages_come_in_order),
        cmocka_unit_test(a_message_alone_is_stored_after_a_second),
        cmocka_unit_test(a_large_message_costs_bounded_memory),
        cmocka_unit_test(a_broken_message_is_none),
        cmocka_unit_test(a_cancelled_run_does_not_wait_for_its_command),
        cmocka_unit_test(a_failure_ends_the_account_and_its_calls),
    };
    return cmocka_run_group_tests_name("storer", tests, NULL, NULL);
}
