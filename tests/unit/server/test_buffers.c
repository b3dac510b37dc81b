/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include "server/buffers.h"

static void test_the_last_returned_is_lent_first(void **state)
{
    (void)state;
    struct buffers buffers = {0};
    struct loan a = buffers_lend(&buffers);
    struct loan b = buffers_lend(&buffers);
    uint8_t *last = a.memory;
    assert_int_equal(a.size, BUFFERS_LARGE);
    buffers_return(&buffers, &b);
    buffers_return(&buffers, &a);
    assert_null(a.memory);
    struct loan again = buffers_lend(&buffers);
    assert_ptr_equal(again.memory, last);
    buffers_return(&buffers, &again);
    buffers_return(&buffers, &again); /* nothing is lent: nothing happens */
    assert_int_equal(buffers.large_lent, 0);
    for (uint32_t i = 0; i < buffers.kept_count; i++) {
        struct loan kept = {.memory = buffers.kept[i], .size = BUFFERS_SMALL};
        buffers_return(&buffers, &kept);
    }
}

static void test_many_slow_readers_get_small_ones(void **state)
{
    (void)state;
    static struct loan loans[2 * BUFFERS_MOST_LARGE];
    struct buffers buffers = {0};
    size_t octets = 0;
    for (size_t i = 0; i < 2 * BUFFERS_MOST_LARGE; i++) {
        loans[i] = buffers_lend(&buffers);
        assert_non_null(loans[i].memory);
        octets += loans[i].size;
    }
    assert_int_equal(octets, BUFFERS_MOST_LARGE * (BUFFERS_LARGE + BUFFERS_SMALL));
    for (size_t i = 0; i < 2 * BUFFERS_MOST_LARGE; i++) {
        buffers_return(&buffers, &loans[i]);
    }
    assert_int_equal(buffers.large_lent, 0);
    assert_true(buffers.kept_count <= BUFFERS_KEPT);
    for (uint32_t i = 0; i < buffers.kept_count; i++) {
        struct loan kept = {.memory = buffers.kept[i], .size = BUFFERS_SMALL};
        buffers_return(&buffers, &kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_returned_is_lent_first),
        cmocka_unit_test(test_many_slow_readers_get_small_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
