/* SPDX-License-Identifier: MIT */
#include "cmocka_first.h"

#include <string.h>

#include "net/address.h"

static struct sockaddr_storage parsed(const char *text)
{
    struct sockaddr_storage address;
    socklen_t size;
    assert_int_equal(address_parse(text, &address, &size), 0);
    return address;
}

static void test_parse_and_format_agree(void **state)
{
    (void)state;
    static const char *const texts[] = {"127.0.0.1:1110", "0.0.0.0:0", "[::1]:65535",
                                        "[2001:db8::5]:110"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sockaddr_storage address = parsed(texts[i]);
        char out[ADDRESS_TEXT_SIZE];
        assert_string_equal(address_format(&address, out), texts[i]);
    }
}

static void test_parse_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        ":110",
                                        "[::1]",
                                        "::1:110",
                                        "1.2.3.4:65536",
                                        "1.2.3.4:-1",
                                        "localhost:110",
                                        "[::1:110",
                                        "1.2.3.4: 110",
                                        "1.2.3:110"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sockaddr_storage address;
        socklen_t size;
        if (address_parse(texts[i], &address, &size) == 0) {
            fail_msg("%s was taken", texts[i]);
        }
    }
}

static void test_loopback(void **state)
{
    (void)state;
    struct sockaddr_storage address = parsed("127.255.0.9:1");
    assert_true(address_is_loopback(&address));
    address = parsed("[::1]:1");
    assert_true(address_is_loopback(&address));
    address = parsed("[::ffff:127.0.0.1]:1");
    assert_true(address_is_loopback(&address));
    address = parsed("[::ffff:10.0.0.1]:1");
    assert_false(address_is_loopback(&address));
    address = parsed("128.0.0.1:1");
    assert_false(address_is_loopback(&address));
    address = parsed("[::2]:1");
    assert_false(address_is_loopback(&address));
}

static int same_key(const char *a, const char *b)
{
    struct sockaddr_storage left = parsed(a);
    struct sockaddr_storage right = parsed(b);
    uint8_t left_key[16];
    uint8_t right_key[16];
    address_key(&left, left_key);
    address_key(&right, right_key);
    return memcmp(left_key, right_key, sizeof left_key) == 0;
}

static void test_key_is_the_address_or_its_64(void **state)
{
    (void)state;
    assert_true(same_key("10.0.0.1:5", "10.0.0.1:6"));
    assert_true(same_key("10.0.0.1:5", "[::ffff:10.0.0.1]:6"));
    assert_false(same_key("10.0.0.1:5", "10.0.0.2:5"));
    assert_true(same_key("[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:1"));
    assert_false(same_key("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format_agree),
        cmocka_unit_test(test_parse_refuses),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_key_is_the_address_or_its_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
