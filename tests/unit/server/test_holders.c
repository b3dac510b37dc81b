/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include <stdlib.h>

#include "server/child.h"
#include "server/holders.h"

/* What goes to the master, in place of child.c. */
static struct message sent;
static int sent_count;

void __wrap_child_send(const struct message *message);
void __wrap_child_send(const struct message *message)
{
    sent = *message;
    sent_count++;
}

static bool willing;
static int freed_count;

static bool give_up(struct holder *holder)
{
    (void)holder;
    return willing;
}

static void freed(struct waiter *waiter)
{
    (void)waiter;
    freed_count++;
}

static int set_up(void **state)
{
    (void)state;
    sent_count = 0;
    freed_count = 0;
    willing = false;
    return 0;
}

static void test_our_own_holder_is_asked_first(void **state)
{
    (void)state;
    struct holders holders = {0};
    struct holder holder = {.device = 1, .inode = 2, .give_up = give_up};
    struct waiter waiter = {.freed = freed};
    assert_true(holders_add(&holders, &holder));
    willing = true;
    assert_true(holders_ask(&holders, &waiter, 1, 2));
    assert_int_equal(sent_count, 0);
    assert_int_equal(freed_count, 0);
    assert_null(holders.waiters);
    holders_remove(&holders, &holder);
    assert_null(holders.tree);
}

static void test_others_are_asked_through_the_master(void **state)
{
    (void)state;
    struct holders holders = {0};
    struct holder holder = {.device = 1, .inode = 2, .give_up = give_up};
    struct waiter waiter = {.freed = freed};
    assert_true(holders_add(&holders, &holder));
    assert_false(holders_ask(&holders, &waiter, 1, 3));
    assert_int_equal(sent_count, 1);
    assert_int_equal(sent.type, MESSAGE_GIVE_UP);
    assert_int_equal(sent.device, 1);
    assert_int_equal(sent.inode, 3);
    holders_freed(&holders, sent.ticket + 1); /* of somebody who is gone */
    assert_int_equal(freed_count, 0);
    holders_freed(&holders, sent.ticket);
    assert_int_equal(freed_count, 1);
    holders_freed(&holders, sent.ticket);
    assert_int_equal(freed_count, 1);
    holders_remove(&holders, &holder);
}

static void test_who_does_not_wait_any_more_is_not_told(void **state)
{
    (void)state;
    struct holders holders = {0};
    struct waiter first = {.freed = freed};
    struct waiter second = {.freed = freed};
    assert_false(holders_ask(&holders, &first, 1, 2));
    uint64_t ticket = sent.ticket;
    assert_false(holders_ask(&holders, &second, 1, 2));
    holders_forget(&holders, &first);
    holders_freed(&holders, ticket);
    assert_int_equal(freed_count, 0);
    assert_false(holders_ask(&holders, &second, 1, 2)); /* again: the ticket before is void */
    assert_ptr_equal(holders.waiters, &second);
    assert_null(second.next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_our_own_holder_is_asked_first, set_up),
        cmocka_unit_test_setup(test_others_are_asked_through_the_master, set_up),
        cmocka_unit_test_setup(test_who_does_not_wait_any_more_is_not_told, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
