/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <string.h>

#include "maildrop/facts.h"
#include "maildrop/line_ends.h"

struct conversion {
    const char *in, *out;
};

static const struct conversion conversions[] = {
    {"", ""},
    {"a\r\nb\r\n", "a\nb\n"},
    {"a\nb\n", "a\nb\n"},
    {"a\rb", "a\rb"},
    {"a\r\r\nb", "a\r\r\nb"}, /* stored as CR LF it would be sent with one CR less */
    {"a\r\r\r\nb", "a\r\r\r\nb"},
    {"\r\n\r\n", "\n\n"},
    {"\n\r", "\n\r"},
    {"\r", "\r"},
    {"\r\r", "\r\r"},
    {"a\r\n\r\r\n\r\nb", "a\n\r\r\n\nb"},
};

/* In every way to cut it in two. */
static void line_ends_are_converted_in_any_chunks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        struct bytes in = bytes_of(conversions[i].in);
        for (size_t cut = 0; cut <= in.size; cut++) {
            uint8_t out[64];
            struct line_ends line_ends = {0};
            size_t size = line_ends_feed(&line_ends, (struct bytes){in.data, cut}, out);
            size += line_ends_feed(&line_ends, bytes_from(in, cut), out + size);
            size += line_ends_finish(&line_ends, out + size);
            assert_true(bytes_equal((struct bytes){out, size}, bytes_of(conversions[i].out)));
        }
    }
}

static uint64_t octets_of(const void *data, size_t size)
{
    struct pop3_octet_count count = {0};
    pop3_octet_count_feed(&count, data, size);
    return pop3_octet_count_end(&count);
}

/* What is sent of what is stored is what came, if that had no bare LF. */
static void nothing_is_lost_between_delivery_and_retrieval(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof conversions / sizeof conversions[0]; i++) {
        struct bytes in = bytes_of(conversions[i].in);
        struct bytes out = bytes_of(conversions[i].out);
        assert_int_equal(octets_of(in.data, in.size), octets_of(out.data, out.size));
    }
}

static void eight_bit_headers_are_seen_in_any_chunks(void **state)
{
    (void)state;
    struct {
        const char *message;
        bool has_8bit;
    } cases[] = {
        {"Subject: a\n\n\xc3\xa9", false},
        {"Subject: \xc3\xa9\n\na", true},
        {"Subject: a\r\n\r\n\xc3", false},
        {"\n\xc3", false},
        {"\r\n\xc3", false},
        {"Subject: a\r\n\r\xc3\n\n", true},
        {"Subject: a\n \xff\n\nb", true},
        {"Subject: a\n\rb\n\xff", true},
        {"", false},
        {"no end \x80", true},
        {"Subject: a\rb\r\n\r\n\xff", false},
        {"a\n\n\n\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes message = bytes_of(cases[i].message);
        for (size_t cut = 0; cut <= message.size; cut++) {
            struct header_facts facts = {0};
            header_facts_feed(&facts, (struct bytes){message.data, cut});
            header_facts_feed(&facts, bytes_from(message, cut));
            assert_int_equal(facts.has_8bit, cases[i].has_8bit);
        }
    }
}

static void encoded_messages_are_told_by_their_first_octets(void **state)
{
    (void)state;
    struct {
        const char *data;
        size_t size;
        bool encoded;
    } cases[] = {
        {"\x1f\x8b\x08\x00", 4, true},
        {"BZh91AY&SY\x00", 11, true},
        {"BZh11AY&SY\x00", 11, true},
        {"BZh9\x17\x72\x45\x38\x50\x90", 10, true},
        {"\x04\x22\x4d\x18\x00", 5, true},
        {"Dovecot-LZ4\x0d\x2a\x9b\xc5\x00", 16, true},
        {"\x28\xb5\x2f\xfd\x00", 5, true},
        {"\xfd\x37zXZ\x00", 6, true},
        {"CRYPTED\x03\x07\x02", 10, true},
        {"CRYPTED: a header\n", 18, false},
        {"BZh0 no level\n", 14, false},
        {"BZh: a header\n", 14, false},
        {"Dovecot-LZ4: a header\n", 22, false},
        {"\x1f", 1, false},
        {"From: a\n", 8, false},
        {"", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes beginning = {(const uint8_t *)cases[i].data, cases[i].size};
        assert_int_equal(octets_are_encoded(beginning), cases[i].encoded);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_ends_are_converted_in_any_chunks),
        cmocka_unit_test(nothing_is_lost_between_delivery_and_retrieval),
        cmocka_unit_test(eight_bit_headers_are_seen_in_any_chunks),
        cmocka_unit_test(encoded_messages_are_told_by_their_first_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
