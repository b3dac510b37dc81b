/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "base/network.h"

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *ipv4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)&address;
    if (inet_pton(AF_INET, text, &ipv4->sin_addr) == 1) {
        ipv4->sin_family = AF_INET;
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &ipv6->sin6_addr), 1);
        ipv6->sin6_family = AF_INET6;
    }
    return address;
}

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        unsigned bits;
    } cases[] = {
        {"192.0.2.0/24", 0, 120},
        {"192.0.2.7", 0, 128},
        {"192.0.2.7/32", 0, 128},
        {"0.0.0.0/0", 0, 96},
        {"2001:db8::/32", 0, 32},
        {"2001:db8::1", 0, 128},
        {"::/0", 0, 0},
        {"::ffff:192.0.2.0/120", 0, 120},
        {"192.0.2.128/25", 0, 121},
        {"0:0:0:0:0:ffff:255.255.255.255/128", 0, 128},
        {"192.0.2.1/24", -1, 0},
        {"::ffff:0:0/95", -1, 0},
        {"192.0.2.128/24", -1, 0},
        {"192.0.2.0/33", -1, 0},
        {"2001:db8::/129", -1, 0},
        {"2001:db8::1/32", -1, 0},
        {"2001:db8:8000::/32", -1, 0},
        {"192.0.2.0/", -1, 0},
        {"192.0.2.0/-1", -1, 0},
        {"192.0.2.0/24/24", -1, 0},
        {"192.0.2.0/ 24", -1, 0},
        {"192.0.2.0/255.255.255.0", -1, 0},
        {"192.0.2", -1, 0},
        {"192.0.2.256", -1, 0},
        {" 192.0.2.1", -1, 0},
        {"192.0.2.1 ", -1, 0},
        {"192.0.2.1:110", -1, 0},
        {"[2001:db8::1]", -1, 0},
        {"fe80::1%lo", -1, 0},
        {"localhost", -1, 0},
        {"/24", -1, 0},
        {"", -1, 0},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/1", -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct network network = {.prefix_bits = 77};
        int result = network_parse(bytes_of(cases[i].text), &network);
        if (result != cases[i].result) {
            fail_msg("\"%s\" gives %d", cases[i].text, result);
        }
        assert_int_equal(network.prefix_bits, result == 0 ? cases[i].bits : 77);
    }
    struct network network;
    struct bytes with_nul = {.data = (const uint8_t *)"192.0.2.1\0/32", .size = 13};
    assert_int_equal(network_parse(with_nul, &network), -1);
    assert_int_equal(network_parse((struct bytes){0}, &network), -1);
}

static void test_contains(void **state)
{
    (void)state;
    static const struct {
        const char *network;
        const char *address;
        bool contained;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"192.0.2.0/24", "::192.0.2.9", false},
        {"192.0.2.0/24", "2001:db8::1", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.4/30", "192.0.2.7", true},
        {"192.0.2.4/30", "192.0.2.8", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"::/0", "::ffff:192.0.2.1", false},
        {"::fffe:0:0/95", "192.0.2.1", false},
        {"::ffff:192.0.2.0/120", "192.0.2.1", true},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"2001:db8::1", "2001:db8::1", true},
        {"2001:db8::1", "2001:db8::2", false},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct network network;
        assert_int_equal(network_parse(bytes_of(cases[i].network), &network), 0);
        struct sockaddr_storage address = address_of(cases[i].address);
        if (network_contains(&network, (struct sockaddr *)&address) != cases[i].contained) {
            fail_msg("%s in %s", cases[i].address, cases[i].network);
        }
    }
    struct network all;
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_int_equal(network_parse(bytes_of("::/0"), &all), 0);
    assert_false(network_contains(&all, &local));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_contains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
