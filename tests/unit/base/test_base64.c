/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/base64.h"

static const struct {
    const char *plain;
    const char *code;
} vectors[] = {
    /* RFC 4648 section 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t memory[32];
        struct buffer buffer;
        struct bytes plain = bytes_of(vectors[i].plain);
        struct bytes code = bytes_of(vectors[i].code);
        buffer_init(&buffer, memory, sizeof memory);
        base64_encode(&buffer, plain);
        assert_true(bytes_equal(buffer_pending(&buffer), code));
        assert_int_equal(base64_encoded_size(plain.size), code.size);
        size_t size;
        assert_int_equal(base64_decode(memory, code.size, &size), 0);
        assert_true(bytes_equal((struct bytes){memory, size}, plain));
    }
}

/* RFC 5034 section 4: anything else is rejected, not ignored. */
static void test_rejects(void **state)
{
    (void)state;
    static const char *const bad[] = {"A",    "AA",       "AAA",   "A===",  "====",     "=AAA",
                                      "A=AA", "AAA=BBB=", "AA==A", "AA A",  "AAAA\n",   "AA-_",
                                      "*AAA", "AAA\x80",  "AA=A",  "AAAA=", "AAAA====", " AAA"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t data[16];
        size_t size;
        memcpy(data, bad[i], strlen(bad[i]));
        assert_int_equal(base64_decode(data, strlen(bad[i]), &size), -1);
    }
    uint8_t nul[4] = {'A', 'A', 0, 'A'};
    size_t size;
    assert_int_equal(base64_decode(nul, 4, &size), -1);
}

static void test_every_octet(void **state)
{
    (void)state;
    uint8_t all[256];
    uint8_t memory[512];
    struct buffer buffer;
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)i;
    }
    for (size_t from = 0; from < sizeof all; from++) {
        struct bytes plain = {.data = all + from, .size = sizeof all - from};
        buffer_init(&buffer, memory, sizeof memory);
        base64_encode(&buffer, plain);
        size_t size;
        assert_int_equal(base64_decode(memory, buffer.written, &size), 0);
        assert_true(bytes_equal((struct bytes){memory, size}, plain));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_every_octet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
