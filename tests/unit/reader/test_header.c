/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <gmime/gmime.h>

#include "reader/bounds.h"
#include "reader/charset.h"
#include "reader/header.h"

static void test_find(void **state)
{
    struct bytes header = bytes_of("subject: one\r\nSUBJECT: two\nSubject-Not: x\nTo :  a\n\tb \n"
                                   "Empty:\nFolded:\n more\nX\n\nCc: body\n");
    static const struct {
        const char *name, *expected;
    } cases[] = {{"Subject", "one"}, {"To", "a\tb"}, {"Empty", ""},  {"Folded", "more"},
                 {"Cc", NULL},       {"X", NULL},    {"Subj", NULL}, {"Subject-Not", "x"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autofree char *value = header_raw(header, cases[i].name);
        if (cases[i].expected == NULL) {
            assert_null(value);
        } else {
            assert_string_equal(value, cases[i].expected);
        }
    }
    assert_int_equal(header_size(bytes_of("A: b\n\nbody")), 6);
    assert_int_equal(header_size(bytes_of("A: b\r\n\r\nbody")), 8);
    assert_int_equal(header_size(bytes_of("A: b")), 4);
}

static void test_field_has_a_limit(void **state)
{
    g_autoptr(GString) header = g_string_new("Subject: ");
    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        (void)g_string_append(header, "abcdefghi\n ");
    }
    struct bytes octets = {.data = (const uint8_t *)header->str, .size = header->len};
    g_autofree char *value = header_raw(octets, "Subject");
    assert_in_range(strlen(value), READER_FIELD_OCTETS - 20, READER_FIELD_OCTETS);
}

static void test_encoded_words(void **state)
{
    static const struct {
        const char *raw, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"=?utf-8?q?=C3=BC?=", "\xC3\xBC"},
        {"=?UTF-8?B?w7w=?=", "\xC3\xBC"},
        {"=?iso-8859-1?q?=FC_x?=", "\xC3\xBC x"},
        {"a =?utf-8?q?b?= c", "a b c"},
        /* The blank between two goes, RFC 2047 section 6.2. */
        {"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
        {"=?utf-8?q?a?= \t =?iso-8859-1?q?b?=", "ab"},
        /* A character that is split over two. */
        {"=?utf-8?q?=E6=97?= =?utf-8?q?=A5?=", "\xE6\x97\xA5"},
        {"=?utf-8?B?5pc=?= =?utf-8?B?pQ==?=", "\xE6\x97\xA5"},
        {"=?utf-8?B?5g==?= =?UTF-8?b?lw==?=\t=?utf-8?B?pQ==?= x", "\xE6\x97\xA5 x"},
        {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xE6\x97\xA5\xE6\x9C\xAC"},
        /* Language, RFC 2231 section 5. */
        {"=?utf-8*de?q?=C3=BC?=", "\xC3\xBC"},
        /* Bad ones. */
        {"=?utf-8?q?abc", "=?utf-8?q?abc"},
        {"=?utf-8?x?abc?=", "=?utf-8?x?abc?="},
        {"=??q?abc?=", "=??q?abc?="},
        /* Without a charset: UTF-8, else Windows-1252. */
        {"\xC3\xBC", "\xC3\xBC"},
        {"\xFC\x80", "\xC3\xBC\xE2\x82\xAC"},
        {"=?utf-8?q?=1B[2J=0A=C2=9B?=", "\xE2\x90\x9B[2J \xEF\xBF\xBD"},
        {"=?utf-8?q?=E2=80=AE?=", "\xEF\xBF\xBD"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autofree char *header = g_strdup_printf("Subject: %s\n", cases[i].raw);
        g_autofree char *value = header_text(bytes_of(header), "Subject");
        assert_string_equal(value, cases[i].expected);
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *raw, *names, *all;
    } cases[] = {
        {"a@b", "a@b", "a@b"},
        {"Alice <a@b>", "Alice", "Alice <a@b>"},
        {"\"Last, First\" <a@b>, c@d", "Last, First, c@d", "Last, First <a@b>, c@d"},
        {"=?utf-8?q?=C3=BC?= <a@b>", "\xC3\xBC", "\xC3\xBC <a@b>"},
        {"friends: a@b, c@d;", "friends", "friends: a@b, c@d;"},
        {"=?utf-8?B?G1sySg==?= <a@b>", "\xE2\x90\x9B[2J", "\xE2\x90\x9B[2J <a@b>"},
        {"", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autofree char *header = g_strdup_printf("From: %s\n", cases[i].raw);
        g_autofree char *names = header_addresses(bytes_of(header), "From", true);
        g_autofree char *all = header_addresses(bytes_of(header), "From", false);
        assert_string_equal(names, cases[i].names);
        assert_string_equal(all, cases[i].all);
    }
    assert_null(header_addresses(bytes_of("To: x\n"), "From", false));
}

static void test_date(void **state)
{
    int64_t seconds;
    (void)state;
    assert_true(header_date(bytes_of("Date: Tue, 24 Nov 2026 10:00:00 +0100\n"), &seconds));
    assert_int_equal(seconds, 1795510800);
    assert_false(header_date(bytes_of("Date: whenever\n"), &seconds));
    assert_false(header_date(bytes_of("Subject: x\n"), &seconds));
}

static void test_charset(void **state)
{
    static const struct {
        const char *octets, *charset, *expected;
    } cases[] = {
        {"\xFC", "iso-8859-1", "\xC3\xBC"},
        {"\x80", "ISO-8859-1", "\xE2\x82\xAC"},
        {"\xC3\xBC", NULL, "\xC3\xBC"},
        {"\xFC", NULL, "\xC3\xBC"},
        {"\xFC", "us-ascii", "\xC3\xBC"},
        {"\xC3\xBC", "nothing-known", "\xC3\xBC"},
        {"\xC3\xBC", "../../tmp/x", "\xC3\xBC"},
        {"\xC3\xBC", "utf-8//IGNORE", "\xC3\xBC"},
        /* What the charset does not have is replaced, and the rest is there. */
        {"a\x81\xFF"
         "b",
         "shift_jis",
         "a\xEF\xBF\xBD\xEF\xBF\xBD"
         "b"},
        {"\xD6\xD0", "gb2312", "\xE4\xB8\xAD"},
        {"", "big5", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        charset_append(out, bytes_of(cases[i].octets), cases[i].charset);
        assert_string_equal(out->str, cases[i].expected);
    }
}

static int begin(void **state)
{
    (void)state;
    g_mime_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),          cmocka_unit_test(test_field_has_a_limit),
        cmocka_unit_test(test_encoded_words), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_date),          cmocka_unit_test(test_charset),
    };
    return cmocka_run_group_tests_name("header", tests, begin, NULL);
}
