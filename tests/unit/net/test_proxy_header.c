/* SPDX-License-Identifier: MIT */
/* Every header is read whole, cut at every octet, and with octets of the client behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#include "net/address.h"
#include "net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define FROM_4    "\xc0\x00\x02\x01\x7f\x00\x00\x01\x9c\x40\x00\x6e"
#define FROM_6                                                                                     \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x9c\x40\x00\x6e"
#define LONG_6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
/* Its checksum was computed by other means. */
#define SUMMED                                                                                     \
    SIGNATURE "\x21\x11\x00\x2d\xc0\x00\x02\x01\x7f\x00\x00\x01\x9c\x40\x00\x6e\x20\x00\x17\x01"   \
              "\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x05"                                    \
              "alice\x03\x00\x04\xe7\x61\x20\xa4"

struct header_case {
    const char *octets;
    size_t size;
    enum proxy_header_result result;
    const char *client; /* NULL: none is told */
    bool is_local, client_tls;
};

#define CASE(text, result_, client_, ...)                                                          \
    {                                                                                              \
        .octets = text, .size = sizeof text - 1, .result = PROXY_HEADER_##result_,                 \
        .client = client_, __VA_ARGS__                                                             \
    }
#define FROM(text, client)     CASE(text, WHOLE, client, .is_local = false)
#define TLS_FROM(text, client) CASE(text, WHOLE, client, .client_tls = true)
#define FROM_NOBODY(text)      CASE(text, WHOLE, NULL, .is_local = false)
#define LOCAL(text)            CASE(text, WHOLE, NULL, .is_local = true)
#define TORN(text)             CASE(text, MORE, NULL, .is_local = false)
#define BAD(text)              CASE(text, BAD, NULL, .is_local = false)

static const struct header_case cases[] = {
    FROM("PROXY TCP4 192.0.2.1 127.0.0.1 40000 110\r\n", "192.0.2.1:40000"),
    FROM("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
    FROM("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"),
    FROM("PROXY TCP6 2001:db8::1 ::1 40000 110\r\n", "[2001:db8::1]:40000"),
    FROM("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 1\r\n", "192.0.2.1:1"),
    FROM_NOBODY("PROXY UNKNOWN\r\n"),
    FROM_NOBODY("PROXY UNKNOWN anything \x80 at all\r\n"),
    FROM_NOBODY("PROXY UNKNOWN " LONG_6 LONG_6 "65535 65535\r\n"), /* 107 */
    BAD("PROXY UNKNOWN " LONG_6 LONG_6 "65535 655350\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000 110\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000 110\r\r\n"),
    BAD("PROXY TCP4 192.0.2.1\r127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP4  192.0.2.1 127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000 110 \r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000 \r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 40000 110 1\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 65536 110\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 040000 110\r\n"),
    BAD("PROXY TCP4 192.0.2.1 127.0.0.1 -1 110\r\n"),
    BAD("PROXY TCP4 192.0.2.256 127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP4 192.0.2.1\0 127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP4 ::1 ::1 40000 110\r\n"),
    BAD("PROXY TCP6 192.0.2.1 127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP6 fe80::1%lo ::1 40000 110\r\n"),
    BAD("PROXY TCP5 192.0.2.1 127.0.0.1 40000 110\r\n"),
    BAD("PROXY UDP4 192.0.2.1 127.0.0.1 40000 110\r\n"),
    BAD("PROXY TCP4\r\n"),
    BAD("PROXY \r\n"),
    BAD("PROXY UNKNOWNS\r\n"),
    BAD("proxy TCP4 192.0.2.1 127.0.0.1 40000 110\r\n"),
    BAD("USER alice\r\n"),
    BAD("\x16\x03\x01"),
    TORN("\r\n"),
    BAD("\r\nUSER"),
    FROM(SIGNATURE "\x21\x11\x00\x0c" FROM_4, "192.0.2.1:40000"),
    FROM(SIGNATURE "\x21\x21\x00\x24" FROM_6, "[2001:db8::1]:40000"),
    LOCAL(SIGNATURE "\x20\x00\x00\x00"),
    LOCAL(SIGNATURE "\x20\x11\x00\x0c" FROM_4),
    LOCAL(SIGNATURE "\x20\xff\x00\x01x"),
    FROM_NOBODY(SIGNATURE "\x21\x00\x00\x00"),
    FROM_NOBODY(SIGNATURE "\x21\x00\x00\x01x"),
    BAD(SIGNATURE "\x21\x11\x00\x0b" FROM_4),
    BAD(SIGNATURE "\x21\x21\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x21\x31\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x21\x12\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x21\x01\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x21\x41\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x22\x11\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x11\x11\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x31\x11\x00\x0c" FROM_4),
    BAD(SIGNATURE "\x21\x11\x10\x01" FROM_4),
    BAD(SIGNATURE "\x20\x00\xff\xff"),
    BAD(SIGNATURE "\x21\x11\x00\x0d" FROM_4 "\x04"),
    FROM(SIGNATURE "\x21\x11\x00\x0f" FROM_4 "\x04\0\0", "192.0.2.1:40000"),
    BAD(SIGNATURE "\x21\x11\x00\x0f" FROM_4 "\x04\0\1"),
    BAD(SIGNATURE "\x21\x11\x00\x11" FROM_4 "\xee\0\1x\xee"),
    TLS_FROM(SIGNATURE "\x21\x11\x00\x14" FROM_4 "\x20\0\5\1\0\0\0\0", "192.0.2.1:40000"),
    FROM(SIGNATURE "\x21\x11\x00\x14" FROM_4 "\x20\0\5\6\0\0\0\0", "192.0.2.1:40000"),
    BAD(SIGNATURE "\x21\x11\x00\x13" FROM_4 "\x20\0\4\1\0\0\0"),
    BAD(SIGNATURE "\x21\x11\x00\x15" FROM_4 "\x20\0\6\1\0\0\0\0\x21"),
    BAD(SIGNATURE "\x21\x11\x00\x1c" FROM_4 "\x20\0\5\0\0\0\0\0\x20\0\5\1\0\0\0\0"),
    TLS_FROM(SUMMED, "192.0.2.1:40000"),
    BAD(SIGNATURE "\x21\x11\x00\x13" FROM_4 "\x03\0\4\0\0\0\0"),
    BAD(SIGNATURE "\x21\x11\x00\x12" FROM_4 "\x03\0\3\0\0\0"),
};

static enum proxy_header_result parse(const void *octets, size_t size, struct proxy_header *out)
{
    const char *reason = NULL;
    enum proxy_header_result result =
        proxy_header_parse((struct bytes){.data = octets, .size = size}, out, &reason);
    assert_int_equal(result == PROXY_HEADER_BAD, reason != NULL);
    return result;
}

static void check_whole(const struct header_case *expected, size_t size,
                        const struct proxy_header *header)
{
    char text[ADDRESS_TEXT_SIZE];
    assert_int_equal(header->size, size);
    assert_int_equal(header->is_local, expected->is_local);
    assert_int_equal(header->client_tls, expected->client_tls);
    assert_int_equal(header->has_client, expected->client != NULL);
    if (expected->client != NULL) {
        assert_string_equal(address_format(&header->client, text), expected->client);
    }
}

static void check_case(const struct header_case *expected)
{
    char longer[1024] = "";
    struct proxy_header header;
    enum proxy_header_result result = parse(expected->octets, expected->size, &header);
    if (result != expected->result) {
        fail_msg("case %d gives %d", (int)(expected - cases), (int)result);
    }
    if (result == PROXY_HEADER_WHOLE) {
        check_whole(expected, expected->size, &header);
    }
    for (size_t size = 0; size < expected->size && result != PROXY_HEADER_BAD; size++) {
        assert_int_equal(parse(expected->octets, size, &header), PROXY_HEADER_MORE);
    }
    memcpy(longer, expected->octets, expected->size);
    memcpy(longer + expected->size, "\r\nCAPA\r\n", sizeof "\r\nCAPA\r\n");
    if (result != PROXY_HEADER_MORE) {
        assert_int_equal(parse(longer, expected->size + 8, &header), result);
    }
    if (result == PROXY_HEADER_WHOLE) {
        check_whole(expected, expected->size, &header);
    }
}

static void test_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_case(&cases[i]);
    }
}

/* A header whose checksum is right is wrong when any octet of it is another, but for that which says that
 * there is a checksum. */
static void test_checksum_covers_all(void **state)
{
    (void)state;
    static const char summed[] = SUMMED;
    char octets[sizeof summed];
    size_t type = sizeof summed - 1 - 7;
    for (size_t i = 0; i < sizeof summed - 1; i += i + 1 == type ? 2 : 1) {
        struct proxy_header header;
        memcpy(octets, summed, sizeof summed);
        octets[i] ^= 0x40;
        assert_int_not_equal(parse(octets, sizeof summed - 1, &header), PROXY_HEADER_WHOLE);
    }
}

/* Whoever sends no header is found out by his first octets, not by a time limit. */
static void test_early(void **state)
{
    (void)state;
    static const char v2[] = SIGNATURE "\x21\x11";
    struct proxy_header header;
    for (size_t i = 0; i < 6; i++) {
        char octets[] = "PROXY ";
        octets[i] ^= 0x20;
        assert_int_equal(parse(octets, i + 1, &header), PROXY_HEADER_BAD);
    }
    for (size_t i = 1; i < sizeof v2 - 1; i++) {
        char octets[sizeof v2];
        memcpy(octets, v2, sizeof v2);
        octets[i] ^= 0x08;
        assert_int_equal(parse(octets, i + 1, &header), PROXY_HEADER_BAD);
    }
    char endless[PROXY_HEADER_V1_OCTETS_MAX] = "PROXY UNKNOWN ";
    memset(endless + 14, 'x', sizeof endless - 14);
    assert_int_equal(parse(endless, sizeof endless - 1, &header), PROXY_HEADER_MORE);
    assert_int_equal(parse(endless, sizeof endless, &header), PROXY_HEADER_BAD);
}

/* Unix sockets have addresses that nothing here uses; the longest header is taken. */
static void test_long(void **state)
{
    (void)state;
    static uint8_t octets[PROXY_HEADER_OCTETS_MAX];
    struct proxy_header header;
    memcpy(octets, SIGNATURE "\x21\x31\x10\x00", 16);
    octets[16 + 216] = 0x02;
    octets[16 + 217] = (sizeof octets - 16 - 219) >> 8;
    octets[16 + 218] = (sizeof octets - 16 - 219) & 0xff;
    assert_int_equal(parse(octets, sizeof octets, &header), PROXY_HEADER_WHOLE);
    assert_int_equal(header.size, sizeof octets);
    assert_false(header.has_client);
    assert_int_equal(parse(octets, sizeof octets - 1, &header), PROXY_HEADER_MORE);
    octets[16 + 218]++;
    assert_int_equal(parse(octets, sizeof octets, &header), PROXY_HEADER_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_checksum_covers_all),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
