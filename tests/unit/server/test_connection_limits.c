/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/connection_limits.h"

enum { ALICE = 1, BOB = 2 };

static struct limits *limits;

static const uint8_t *key(uint8_t who)
{
    static uint8_t octets[LIMITS_KEY_SIZE];
    memset(octets, 0, sizeof octets);
    octets[0] = who;
    return octets;
}

static const uint8_t *numbered(uint32_t number)
{
    static uint8_t octets[LIMITS_KEY_SIZE];
    memset(octets, 0, sizeof octets);
    memcpy(octets, &number, sizeof number);
    return octets;
}

static int set_up(void **state)
{
    (void)state;
    struct error error;
    int descriptor = limits_create(100, &error);
    assert_true(descriptor >= 0);
    assert_int_equal(limits_map(descriptor, &limits, &error), 0);
    return close(descriptor);
}

static int tear_down(void **state)
{
    (void)state;
    limits = limits_unmap(limits);
    return 0;
}

static void test_counts_by_key_over_processes(void **state)
{
    (void)state;
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 0, 2));
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 1, 2));
    assert_false(limits_take(limits, LIMIT_USER, key(ALICE), 2, 2));
    assert_true(limits_take(limits, LIMIT_USER, key(BOB), 2, 2));
    assert_true(limits_take(limits, LIMIT_ADDRESS, key(ALICE), 2, 2)); /* another kind of key */
    limits_give(limits, LIMIT_USER, key(ALICE), 0);
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 2, 2));
    assert_false(limits_take(limits, LIMIT_USER, key(ALICE), 0, 2));
}

static void test_a_gift_of_what_was_not_taken_counts_nothing(void **state)
{
    (void)state;
    limits_give(limits, LIMIT_USER, key(ALICE), 0);
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 1, 1));
    limits_give(limits, LIMIT_USER, key(ALICE), 0);
    assert_false(limits_take(limits, LIMIT_USER, key(ALICE), 0, 1));
}

static void test_connections_in_all(void **state)
{
    (void)state;
    assert_true(limits_connect(limits, 0, 2));
    assert_true(limits_connect(limits, 1, 2));
    assert_false(limits_connect(limits, 0, 2));
    limits_disconnect(limits, 1);
    assert_true(limits_connect(limits, 0, 2));
}

static void test_more_keys_than_were_expected(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_true(limits_take(limits, LIMIT_ADDRESS, numbered(i), i % 3, 1));
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_false(limits_take(limits, LIMIT_ADDRESS, numbered(i), 0, 1));
    }
    for (uint32_t i = 0; i < KEYS; i += 2) {
        limits_give(limits, LIMIT_ADDRESS, numbered(i), i % 3);
    }
    for (uint32_t i = 0; i < KEYS; i++) {
        assert_int_equal(limits_take(limits, LIMIT_ADDRESS, numbered(i), 0, 1), i % 2 == 0);
    }
}

static void test_what_a_dead_process_held_is_forgotten(void **state)
{
    (void)state;
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 0, 3));
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 1, 3));
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 1, 3));
    assert_true(limits_connect(limits, 1, 1));
    limits_clear(limits, 1);
    assert_true(limits_connect(limits, 0, 1));
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 0, 3));
    assert_true(limits_take(limits, LIMIT_USER, key(ALICE), 0, 3));
    assert_false(limits_take(limits, LIMIT_USER, key(ALICE), 0, 3));
}

static void churn(uint32_t process)
{
    for (uint32_t i = 0;; i++) {
        if (limits_take(limits, LIMIT_ADDRESS, numbered(i % 64), process, 1000)) {
            limits_give(limits, LIMIT_ADDRESS, numbered(i % 64), process);
        }
    }
}

/* Killed at any instruction, also inside the mutex. */
static void test_killed_processes_leave_the_counts_right(void **state)
{
    (void)state;
    assert_true(limits_take(limits, LIMIT_ADDRESS, numbered(7), 0, 1000));
    for (int round = 0; round < 200; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            churn(1);
        }
        (void)usleep((useconds_t)(50 + round));
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        limits_clear(limits, 1);
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(limits_take(limits, LIMIT_ADDRESS, numbered(i), 0, 1), i != 7);
    }
}

static void test_failures_count_for_a_window(void **state)
{
    (void)state;
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 1000), 0);
    limits_fail(limits, LIMIT_ADDRESS, key(ALICE), 1000);
    limits_fail(limits, LIMIT_ADDRESS, key(ALICE), 2000);
    limits_fail(limits, LIMIT_ADDRESS, key(BOB), 2000);
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 3000), 2);
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, key(BOB), 3000), 1);
    assert_int_equal(
        limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 999 + LIMITS_FAILURE_WINDOW_MS), 2);
    assert_int_equal(
        limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 1000 + LIMITS_FAILURE_WINDOW_MS), 0);
    limits_fail(limits, LIMIT_ADDRESS, key(ALICE), 1000 + LIMITS_FAILURE_WINDOW_MS);
    assert_int_equal(
        limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 1000 + LIMITS_FAILURE_WINDOW_MS), 1);
}

static void test_a_flood_of_failures_evicts_the_oldest(void **state)
{
    (void)state;
    limits_fail(limits, LIMIT_ADDRESS, key(ALICE), 1);
    for (uint32_t i = 1000; i < 100000; i++) {
        limits_fail(limits, LIMIT_ADDRESS, numbered(i), i);
    }
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 100000), 0);
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, numbered(99999), 100000), 1);
}

static void test_failures_of_addresses_and_users_are_apart(void **state)
{
    (void)state;
    limits_fail(limits, LIMIT_USER, key(ALICE), 1000);
    assert_int_equal(limits_failures(limits, LIMIT_ADDRESS, key(ALICE), 1000), 0);
    assert_int_equal(limits_failures(limits, LIMIT_USER, key(ALICE), 1000), 1);
}

/* Who tries ever new names must not make us forget which one he is after. */
static void test_a_flood_of_names_does_not_evict_who_is_attacked(void **state)
{
    (void)state;
    limits_fail(limits, LIMIT_USER, key(ALICE), 1);
    limits_fail(limits, LIMIT_USER, key(ALICE), 2);
    for (uint32_t i = 1000; i < 100000; i++) {
        limits_fail(limits, LIMIT_USER, numbered(i), i);
    }
    assert_int_equal(limits_failures(limits, LIMIT_USER, key(ALICE), 100000), 2);
    assert_int_equal(limits_failures(limits, LIMIT_USER, numbered(99999), 100000), 1);
    assert_int_equal(limits_failures(limits, LIMIT_USER, key(ALICE), 1 + LIMITS_FAILURE_WINDOW_MS),
                     0);
}

static void test_only_who_failed_himself_waits(void **state)
{
    (void)state;
    static const struct {
        uint32_t of_address, of_user;
        uint64_t first, most, expected;
    } cases[] = {
        {0, 0, 2000, 30000, 0},
        {0, 1000000, 2000, 30000, 0},
        {1, 0, 2000, 30000, 0},
        {3, 3, 2000, 30000, 0}, /* people mistype */
        {4, 1, 2000, 30000, 2000},
        {5, 4, 2000, 30000, 4000},
        {1, 6, 2000, 30000, 8000},
        {8, 1, 2000, 30000, 30000},
        {1, UINT32_MAX, 2000, 30000, 30000},
        {UINT32_MAX, 9, 1, 5000, 5000},
        {4, 4, 0, 30000, 0},
        {4, 4, 2000, 0, 0},
        {4, 1, 2000, 1000, 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(limits_throttle_ms(cases[i].of_address, cases[i].of_user, cases[i].first,
                                            cases[i].most),
                         cases[i].expected);
    }
}

static void test_logins_keep_their_pace(void **state)
{
    (void)state;
    struct limits_pace pace = {.every_ms = 1000, .burst = 3};
    for (int i = 0; i < 3; i++) {
        assert_true(limits_login(limits, key(ALICE), &pace, 50000));
    }
    assert_false(limits_login(limits, key(ALICE), &pace, 50000));
    assert_true(limits_login(limits, key(BOB), &pace, 50000));
    assert_false(limits_login(limits, key(ALICE), &pace, 50999));
    assert_true(
        limits_login(limits, key(ALICE), &pace, 51000)); /* what was refused did not count */
    assert_false(limits_login(limits, key(ALICE), &pace, 51000));
    for (int i = 0; i < 3; i++) { /* rested, the whole burst is there again, and no more */
        assert_true(limits_login(limits, key(ALICE), &pace, 900000));
    }
    assert_false(limits_login(limits, key(ALICE), &pace, 900000));
}

static void test_a_flood_of_logins_evicts_who_may_come_back_first(void **state)
{
    (void)state;
    struct limits_pace pace = {.every_ms = 1000, .burst = 1};
    assert_true(limits_login(limits, key(ALICE), &pace, 1000));
    for (uint32_t i = 1000; i < 200000; i++) {
        assert_true(limits_login(limits, numbered(i), &pace, 1001));
    }
    assert_true(
        limits_login(limits, key(ALICE), &pace, 1002)); /* forgotten: in favour of the user */
    assert_false(limits_login(limits, key(ALICE), &pace, 1003));
}

static void test_user_keys_differ(void **state)
{
    (void)state;
    uint8_t alice[LIMITS_KEY_SIZE];
    uint8_t bob[LIMITS_KEY_SIZE];
    limits_user_key(bytes_of("alice"), alice);
    limits_user_key(bytes_of("bob"), bob);
    assert_memory_not_equal(alice, bob, sizeof alice);
    uint8_t longer[LIMITS_KEY_SIZE];
    uint8_t other[LIMITS_KEY_SIZE];
    limits_user_key(bytes_of("fifteen-octets-"), alice);
    limits_user_key(bytes_of("fifteen-octets-a"), longer);
    limits_user_key(bytes_of("fifteen-octets-b"), other);
    assert_memory_not_equal(alice, longer, sizeof alice);
    assert_memory_not_equal(longer, other, sizeof longer);
    assert_true(alice[0] < LIMITS_KEY_SIZE);
    for (char last = 'a'; last <= 'z'; last++) { /* no hash is taken for a short name */
        char name[] = "sixteen-octets-?";
        name[sizeof name - 2] = last;
        limits_user_key(bytes_of(name), longer);
        assert_true(longer[0] >= 0x80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_by_key_over_processes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_gift_of_what_was_not_taken_counts_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_connections_in_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_keys_than_were_expected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_dead_process_held_is_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_killed_processes_leave_the_counts_right, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_failures_count_for_a_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_failures_evicts_the_oldest, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_logins_keep_their_pace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_logins_evicts_who_may_come_back_first,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_of_addresses_and_users_are_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_flood_of_names_does_not_evict_who_is_attacked,
                                        set_up, tear_down),
        cmocka_unit_test(test_only_who_failed_himself_waits),
        cmocka_unit_test(test_user_keys_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
