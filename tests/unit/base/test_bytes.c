/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/bytes.h"

static struct bytes raw(const char *text, size_t size)
{
    return (struct bytes){.data = (const uint8_t *)text, .size = size};
}

static void test_find(void **state)
{
    (void)state;
    assert_int_equal(bytes_find(bytes_of("a:b:c"), ':'), 1);
    assert_int_equal(bytes_find(bytes_of("abc"), ':'), 3);
    assert_int_equal(bytes_find((struct bytes){0}, ':'), 0);
    assert_int_equal(bytes_find(raw("a\0b", 3), '\0'), 1);
    assert_int_equal(bytes_find(raw("ab:", 2), ':'), 2);
}

static void test_from(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_from(bytes_of("abc"), 1), bytes_of("bc")));
    assert_int_equal(bytes_from(bytes_of("abc"), 3).size, 0);
    assert_int_equal(bytes_from(bytes_of("abc"), 4).size, 0);
    assert_int_equal(bytes_from(bytes_of("abc"), SIZE_MAX).size, 0);
}

static void test_take(void **state)
{
    (void)state;
    struct bytes rest = bytes_of("a::b");
    assert_true(bytes_equal(bytes_take(&rest, ':'), bytes_of("a")));
    assert_true(bytes_equal(bytes_take(&rest, ':'), bytes_of("")));
    assert_true(bytes_equal(bytes_take(&rest, ':'), bytes_of("b")));
    assert_int_equal(rest.size, 0);
    assert_int_equal(bytes_take(&rest, ':').size, 0);
    rest = bytes_of("a:");
    assert_true(bytes_equal(bytes_take(&rest, ':'), bytes_of("a")));
    assert_int_equal(rest.size, 0);
}

static void test_take_prefix(void **state)
{
    (void)state;
    struct bytes b = bytes_of("key=value");
    assert_false(bytes_take_prefix(&b, "key:"));
    assert_true(bytes_equal(b, bytes_of("key=value")));
    assert_true(bytes_take_prefix(&b, "key="));
    assert_true(bytes_equal(b, bytes_of("value")));
    assert_false(bytes_take_prefix(&b, "values"));
    assert_true(bytes_take_prefix(&b, "value"));
    assert_true(bytes_take_prefix(&b, ""));
    assert_int_equal(b.size, 0);
}

static void test_equal(void **state)
{
    (void)state;
    assert_true(bytes_equal((struct bytes){0}, bytes_of("")));
    assert_false(bytes_equal(bytes_of("a"), bytes_of("ab")));
    assert_false(bytes_equal(raw("a\0b", 3), raw("a\0c", 3)));
}

/* ASCII letters only: '@' is not '`', and no locale makes an octet equal to another. */
static void test_equal_ignoring_case(void **state)
{
    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char first[2] = {'x', (char)a};
            char second[2] = {'X', (char)b};
            unsigned low = a < b ? a : b;
            unsigned high = a < b ? b : a;
            bool expected = a == b || (low >= 'A' && low <= 'Z' && high == low + 32);
            assert_int_equal(bytes_equal_ignoring_case(raw(first, 2), raw(second, 2)), expected);
        }
    }
    assert_false(bytes_equal_ignoring_case(bytes_of("LIST"), bytes_of("LIS")));
}

static void test_escape(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(bytes_escape(bytes_of("plain ~text"), out, sizeof out), "plain ~text");
    assert_string_equal(bytes_escape(raw("a\0\n\x1b[31m\"\\\x7f\xff", 12), out, sizeof out),
                        "a\\x00\\x0a\\x1b[31m\\x22\\x5c\\x7f\\xff");
    assert_string_equal(bytes_escape((struct bytes){0}, out, sizeof out), "");
}

/* Whatever the room, the result is terminated, printable, and whole escapes. */
static void test_escape_cuts(void **state)
{
    (void)state;
    uint8_t octets[100];
    for (size_t kind = 0; kind < 2; kind++) {
        memset(octets, kind == 0 ? 'a' : 0x80, sizeof octets);
        for (size_t capacity = 8; capacity < 450; capacity++) {
            char out[450];
            memset(out, '#', sizeof out);
            struct bytes b = {.data = octets, .size = sizeof octets};
            size_t size = strlen(bytes_escape(b, out, capacity));
            size_t whole = kind == 0 ? 100 : 400;
            assert_true(size < capacity);
            assert_true(capacity > whole ? size == whole : memcmp(out + size - 3, "...", 3) == 0);
            assert_int_equal((capacity > whole ? size : size - 3) % (kind == 0 ? 1 : 4), 0);
            assert_true(capacity == sizeof out || out[capacity] == '#');
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),   cmocka_unit_test(test_from),
        cmocka_unit_test(test_take),   cmocka_unit_test(test_take_prefix),
        cmocka_unit_test(test_equal),  cmocka_unit_test(test_equal_ignoring_case),
        cmocka_unit_test(test_escape), cmocka_unit_test(test_escape_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
