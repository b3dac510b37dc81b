/* SPDX-License-Identifier: MIT */
#include "support.h"

#include "maildrop/memory.h"

#include <string.h>

static struct maildrop_store *create(struct maildrop_executor *executor)
{
    struct maildrop_store *store;
    struct error error;
    assert_int_equal(maildrop_memory_create(executor, &store, &error), 0);
    return store;
}

static int put(struct maildrop_store *store, const char *text)
{
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_delivery *delivery;
    struct error error;
    if (maildrop_deliver_begin(store, &owner, &delivery, &error) < 0) {
        return -1;
    }
    if (maildrop_deliver_append(delivery, bytes_of(text), &error) < 0) {
        maildrop_deliver_abort(delivery);
        return -1;
    }
    return maildrop_deliver_finish(delivery, &error);
}

static struct maildrop *open_box(struct maildrop_store *store, enum error_kind expected)
{
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, expected);
    return expected == ERROR_NONE ? operation.result.opened.maildrop : NULL;
}

static void a_session_sees_its_snapshot(void **state)
{
    (void)state;
    struct maildrop_store *store = create(NULL);
    assert_int_equal(put(store, "one\r\n"), 0);
    assert_int_equal(put(store, "two\r\n\r\nmore"), 0);
    struct maildrop *maildrop = open_box(store, ERROR_NONE);
    assert_int_equal(put(store, "three"), 0);
    assert_int_equal(row_octets(maildrop, 0), 5);
    assert_int_equal(row_octets(maildrop, 1), 13);
    assert_string_equal(row_id(maildrop, 1), "2");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 1, &kind), "two\n\nmore");
    struct committed committed = commit(maildrop, "0");
    assert_int_equal(committed.removed, 1);
    maildrop = open_box(store, ERROR_NONE);
    assert_string_equal(row_id(maildrop, 0), "2");
    assert_string_equal(row_id(maildrop, 1), "3");
    maildrop_release(maildrop);
    assert_int_equal(put(store, "four"), 0);
    maildrop = open_box(store, ERROR_NONE);
    assert_string_equal(row_id(maildrop, 2), "4");
    (void)commit(maildrop, "");
    maildrop_store_free(store);
}

static void it_is_locked(void **state)
{
    (void)state;
    struct maildrop_store *store = create(NULL);
    assert_int_equal(put(store, "one"), 0);
    struct maildrop *first = open_box(store, ERROR_NONE);
    uint64_t device;
    uint64_t inode;
    maildrop_identity(first, &device, &inode);
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_IN_USE);
    assert_int_equal(operation.result.holder.device, device);
    assert_int_equal(operation.result.holder.inode, inode);
    maildrop_release(first);
    maildrop_release(open_box(store, ERROR_NONE));
    maildrop_store_free(store);
}

static void others_can_remove_and_spoil(void **state)
{
    (void)state;
    struct maildrop_store *store = create(NULL);
    assert_int_equal(put(store, "one"), 0);
    assert_int_equal(put(store, "two"), 0);
    struct maildrop *maildrop = open_box(store, ERROR_NONE);
    assert_int_equal(maildrop_memory_remove(store, "alice", 0), 0);
    assert_int_equal(maildrop_memory_spoil(store, "alice", 1), 0);
    assert_int_equal(maildrop_memory_spoil(store, "alice", 2), -1);
    assert_int_equal(read_error(maildrop, 0), ERROR_GONE);
    assert_int_equal(check_error(maildrop, 0), ERROR_GONE);
    assert_int_equal(read_error(maildrop, 1), ERROR_UNREADABLE);
    assert_int_equal(check_error(maildrop, 1), ERROR_UNREADABLE);
    maildrop_release(maildrop);
    maildrop = open_box(store, ERROR_NONE);
    assert_string_equal(row_id(maildrop, 0), "2");
    maildrop_release(maildrop);
    maildrop_store_free(store);
}

static void each_call_can_fail(void **state)
{
    (void)state;
    struct maildrop_store *store = create(NULL);
    for (uint64_t nth = 1; nth <= 3; nth++) {
        maildrop_memory_fail_at(store, nth);
        assert_int_equal(put(store, "one"), -1);
    }
    maildrop_memory_fail_at(store, 0);
    assert_int_equal(put(store, "one"), 0);
    maildrop_memory_fail_at(store, 1);
    (void)open_box(store, ERROR_TEMPORARY);
    struct maildrop *maildrop = open_box(store, ERROR_NONE);
    maildrop_memory_fail_at(store, 1);
    assert_int_equal(read_error(maildrop, 0), ERROR_TEMPORARY);
    maildrop_memory_fail_at(store, 1);
    struct committed committed = commit(maildrop, "0");
    assert_int_equal(committed.not_removed, 1);
    maildrop = open_box(store, ERROR_NONE);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "one");
    maildrop_release(maildrop);
    maildrop_store_free(store);
}

static bool completed;

static void set_completed(struct maildrop_operation *operation)
{
    (void)operation;
    completed = true;
}

static void with_an_executor_everything_waits_for_it(void **state)
{
    (void)state;
    struct manual_executor manual;
    manual_init(&manual);
    struct maildrop_store *store = create(&manual.executor);
    assert_int_equal(put(store, "one"), 0);
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_operation operation = {.done = set_completed};
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_PENDING);
    assert_false(completed);
    manual_drain(&manual);
    assert_true(completed);
    struct maildrop *maildrop = operation.result.opened.maildrop;
    completed = false;
    char buffer[10];
    assert_int_equal(maildrop_read(maildrop, 0, 0, buffer, sizeof buffer, &operation),
                     MAILDROP_PENDING);
    manual_drain(&manual);
    assert_true(completed && operation.result.read.end);
    assert_memory_equal(buffer, "one", 3);
    /* An open that is cancelled leaves no lock. */
    maildrop_release(maildrop);
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_PENDING);
    maildrop_cancel(&operation);
    manual_drain(&manual);
    assert_int_equal(operation.error.kind, ERROR_TEMPORARY);
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_PENDING);
    manual_drain(&manual);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    maildrop_release(operation.result.opened.maildrop);
    maildrop_store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_sees_its_snapshot),
        cmocka_unit_test(it_is_locked),
        cmocka_unit_test(others_can_remove_and_spoil),
        cmocka_unit_test(each_call_can_fail),
        cmocka_unit_test(with_an_executor_everything_waits_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
