/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/number.h"

struct number_case {
    const char *text;
    int result;
    uint64_t value;
};

static void test_parse(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"1", 0, 1},
        {"00001", 0, 1},
        {"4294967297", 0, UINT64_C(4294967297)},
        {"18446744073709551615", 0, UINT64_MAX},
        {"00000000000000000000000000000000000007", 0, 7},
        {"18446744073709551616", -1, 0},
        {"18446744073709551625", -1, 0},
        {"99999999999999999999", -1, 0},
        {"184467440737095516150", -1, 0},
        {"", -1, 0},
        {"-1", -1, 0},
        {"+1", -1, 0},
        {" 1", -1, 0},
        {"1 ", -1, 0},
        {"1x", -1, 0},
        {"0x1", -1, 0},
        {"1.0", -1, 0},
        {"/", -1, 0},
        {":", -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 77;
        assert_int_equal(number_parse(bytes_of(cases[i].text), UINT64_MAX, &value),
                         cases[i].result);
        assert_int_equal(value, cases[i].result == 0 ? cases[i].value : 77);
    }
}

static void test_parse_most(void **state)
{
    (void)state;
    uint64_t value;
    assert_int_equal(number_parse(bytes_of("65535"), 65535, &value), 0);
    assert_int_equal(number_parse(bytes_of("65536"), 65535, &value), -1);
    assert_int_equal(number_parse(bytes_of("1"), 0, &value), -1);
    assert_int_equal(number_parse(bytes_of("0"), 0, &value), 0);
}

static void test_parse_size(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"512", 0, 512},
        {"1K", 0, 1024},
        {"256M", 0, UINT64_C(268435456)},
        {"2G", 0, UINT64_C(2147483648)},
        {"17179869183G", 0, UINT64_MAX - ((UINT64_C(1) << 30) - 1)},
        {"17179869184G", -1, 0},
        {"18446744073709551616K", -1, 0},
        {"1k", -1, 0},
        {"1 K", -1, 0},
        {"K", -1, 0},
        {"", -1, 0},
        {"1KB", -1, 0},
        {"-1K", -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 77;
        assert_int_equal(number_parse_size(bytes_of(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].result == 0 ? cases[i].value : 77);
    }
}

static void test_parse_duration(void **state)
{
    (void)state;
    static const struct number_case cases[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"250ms", 0, 250},
        {"2s", 0, 2000},
        {"10m", 0, 600000},
        {"1h", 0, 3600000},
        {"366d", 0, UINT64_C(366) * 86400000},
        {"367d", -1, 0},
        {"8785h", -1, 0},
        {"10", -1, 0},
        {"1", -1, 0},
        {"s", -1, 0},
        {"1.5s", -1, 0},
        {"1 s", -1, 0},
        {"1S", -1, 0},
        {"18446744073709551615d", -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 77;
        assert_int_equal(number_parse_duration(bytes_of(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].result == 0 ? cases[i].value : 77);
    }
}

/* What is written is read back. */
static void test_format(void **state)
{
    (void)state;
    uint64_t values[200] = {0, 1, 9, 10, 99, 100, UINT32_MAX, UINT64_MAX, UINT64_MAX - 1};
    for (size_t i = 9; i < 200; i++) {
        values[i] = values[i - 1] / 3 + i;
    }
    for (size_t i = 0; i < 200; i++) {
        uint8_t digits[20];
        uint64_t value;
        size_t size = number_format(values[i], digits);
        assert_true(size == 1 || digits[0] != '0');
        assert_int_equal(number_parse((struct bytes){digits, size}, UINT64_MAX, &value), 0);
        assert_int_equal(value, values[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),      cmocka_unit_test(test_parse_most),
        cmocka_unit_test(test_parse_size), cmocka_unit_test(test_parse_duration),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
