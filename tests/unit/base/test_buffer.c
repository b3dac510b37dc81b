/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_appends_in_order(void **state)
{
    (void)state;
    uint8_t memory[64];
    struct buffer buffer;
    buffer_init(&buffer, memory, sizeof memory);
    buffer_append_text(&buffer, "+OK ");
    buffer_append_number(&buffer, 3);
    buffer_append_octet(&buffer, ' ');
    buffer_append_number(&buffer, UINT64_MAX);
    buffer_append(&buffer, (struct bytes){0});
    assert_true(bytes_equal(buffer_pending(&buffer), bytes_of("+OK 3 18446744073709551615")));
    assert_int_equal(buffer_room(&buffer), 64 - 26);
    assert_false(buffer.overflow);
}

/* What does not fit is left out whole, the flag stays, and the memory behind is not touched. */
static void test_overflow(void **state)
{
    (void)state;
    uint8_t memory[8] = "#######";
    struct buffer buffer;
    buffer_init(&buffer, memory, 4);
    buffer_append_text(&buffer, "abc");
    buffer_append_text(&buffer, "de");
    assert_true(buffer.overflow);
    assert_true(bytes_equal(buffer_pending(&buffer), bytes_of("abc")));
    buffer_append_octet(&buffer, 'd');
    assert_true(bytes_equal(buffer_pending(&buffer), bytes_of("abcd")));
    buffer_append_octet(&buffer, 'e');
    assert_true(buffer.overflow);
    assert_memory_equal(memory + 4, "###", 3);
    buffer_consume(&buffer, 4);
    assert_true(buffer.overflow);
}

static void test_consume(void **state)
{
    (void)state;
    uint8_t memory[8];
    struct buffer buffer;
    buffer_init(&buffer, memory, sizeof memory);
    buffer_append_text(&buffer, "abcdefgh");
    buffer_consume(&buffer, 3);
    assert_true(bytes_equal(buffer_pending(&buffer), bytes_of("defgh")));
    assert_int_equal(buffer_room(&buffer), 0); /* room comes back with the last octet */
    buffer_consume(&buffer, 5);
    assert_int_equal(buffer_room(&buffer), 8);
    assert_int_equal(buffer_pending(&buffer).size, 0);
    buffer_append_text(&buffer, "i");
    assert_true(buffer_pending(&buffer).data == memory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_in_order),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_consume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
