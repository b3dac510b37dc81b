/* SPDX-License-Identifier: MIT */
/* URLs that are taken, and what is put into them. */
#include <string.h>

#include "../net/cmocka_first.h"
#include "http/form.h"
#include "http/http.h"

static void test_urls(void **state)
{
    static const struct {
        const char *url, *host;
    } good[] = {
        {"https://example.org", "example.org"},
        {"HTTPS://example.org:8443/a?b#c", "example.org"},
        {"https://[2001:db8::1]:443/", "2001:db8::1"},
        {"http://localhost/", "localhost"},
        {"http://127.0.0.1:8080", "127.0.0.1"},
        {"http://[::1]:1/x", "::1"},
    };
    static const char *const bad[] = {
        "",
        "example.org",
        "https:///x",
        "https://:443/",
        "https://[::1/",
        "https://[]/",
        "https://[::1]x/",
        "https://example.org:/",
        "https://example.org:443x/",
        "https://example.org:123456/",
        "https://me@example.org/",
        "https://example.org/a b",
        "https://example.org/\n",
        "https://example.org\\@localhost/",
        "http://example.org/",
        "http://127.0.0.1.example.org/",
        "http://localhost@example.org/",
        "http://localhost:1@example.org/",
        "ftp://localhost/",
        "file:///etc/passwd",
    };
    struct bytes host;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(http_url_check(good[i].url, &host));
        assert_true(bytes_equal(host, bytes_of(good[i].host)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (http_url_check(bad[i], NULL)) {
            fail_msg("%s is taken", bad[i]);
        }
    }
    static char endless[HTTP_URL_OCTETS_MAX + 2];
    memset(endless, 'x', sizeof endless - 1);
    memcpy(endless, "https://a/", 10);
    assert_false(http_url_check(endless, NULL));
    endless[HTTP_URL_OCTETS_MAX] = '\0';
    assert_true(http_url_check(endless, NULL));
}

static void test_pairs(void **state)
{
    uint8_t memory[100];
    struct buffer out;
    char value[8];
    (void)state;
    buffer_init(&out, memory, sizeof memory);
    http_append_pair(&out, "a", bytes_of("x y&="));
    http_append_pair(&out, "b", (struct bytes){(const uint8_t *)"\xC3\xA4~", 3});
    struct bytes form = buffer_pending(&out);
    assert_true(bytes_equal(form, bytes_of("a=x%20y%26%3D&b=%C3%A4~")));
    assert_true(http_find_pair(form, "a", value, sizeof value));
    assert_string_equal(value, "x y&=");
    assert_true(http_find_pair(form, "b", value, sizeof value));
    assert_string_equal(value, "\xC3\xA4~");
    assert_false(http_find_pair(form, "c", value, sizeof value));
    buffer_init(&out, memory, sizeof memory);
    buffer_append_text(&out, "https://x/?");
    http_append_pair(&out, "a", bytes_of("1"));
    assert_true(bytes_equal(buffer_pending(&out), bytes_of("https://x/?a=1")));
}

static void test_decoding(void **state)
{
    char value[8];
    (void)state;
    assert_true(http_find_pair(bytes_of("ab=1&a=2&a=3"), "a", value, sizeof value));
    assert_string_equal(value, "2");
    assert_true(http_find_pair(bytes_of("a=%4a+%4A"), "a", value, sizeof value));
    assert_string_equal(value, "J J");
    assert_true(http_find_pair(bytes_of("a"), "a", value, sizeof value));
    assert_string_equal(value, "");
    assert_true(http_find_pair(bytes_of("a=1234567"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=12345678"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%00"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%4"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%g0"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%0g"), "a", value, sizeof value));
    assert_false(http_find_pair(bytes_of("a=%!0"), "a", value, sizeof value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
