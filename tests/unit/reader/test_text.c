/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <locale.h>
#include <string.h>

#include "reader/text.h"

static GString *harmless(const char *octets, size_t size, enum text_mode mode)
{
    GString *out = g_string_new(NULL);
    text_append(out, (struct bytes){.data = (const uint8_t *)octets, .size = size}, mode);
    return out;
}

static void test_append(void **state)
{
    static const struct {
        const char *octets;
        size_t size; /* 0: strlen */
        const char *line, *body;
    } cases[] = {
        {"plain", 0, "plain", "plain"},
        {"a\tb\nc\r\nd\re", 0,
         "a b c d\xE2\x90\x8D"
         "e",
         "a\tb\nc\nd\xE2\x90\x8D"
         "e"},
        {"\x1b[2J", 0, "\xE2\x90\x9B[2J", "\xE2\x90\x9B[2J"},
        {"\0", 1, "\xE2\x90\x80", "\xE2\x90\x80"},
        {"\x7f", 0, "\xE2\x90\xA1", "\xE2\x90\xA1"},
        /* C1 as one octet and as UTF-8. */
        {"\x9b"
         "1m\xC2\x9B"
         "1m",
         0,
         "\xEF\xBF\xBD"
         "1m\xEF\xBF\xBD"
         "1m",
         "\xEF\xBF\xBD"
         "1m\xEF\xBF\xBD"
         "1m"},
        /* U+202A, U+202E, U+2066, U+2069; their neighbours stay. */
        {"\xE2\x80\xAA\xE2\x80\xAE\xE2\x81\xA6\xE2\x81\xA9", 0,
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xE2\x80\xA9\xE2\x80\xAF\xE2\x81\xA5", 0, " \xE2\x80\xAF\xE2\x81\xA5",
         "\n\xE2\x80\xAF\xE2\x81\xA5"},
        /* Overlong ESC, a surrogate, beyond Unicode, cut off. */
        {"\xC0\x9B", 0, "\xEF\xBF\xBD\xEF\xBF\xBD", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF4\x90\x80\x80", 0, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
         "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"a\xE2\x82", 0, "a\xEF\xBF\xBD\xEF\xBF\xBD", "a\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x98\x80", 0, "\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = cases[i].size != 0 ? cases[i].size : strlen(cases[i].octets);
        g_autoptr(GString) line = harmless(cases[i].octets, size, TEXT_LINE);
        g_autoptr(GString) body = harmless(cases[i].octets, size, TEXT_BODY);
        assert_string_equal(line->str, cases[i].line);
        assert_string_equal(body->str, cases[i].body);
    }
}

/* A stream gives the same, wherever it is cut. */
static void test_pieces(void **state)
{
    static const char octets[] =
        "a\xE2\x82\xAC\xF0\x9F\x98\x80\r\n\xC3\xBC\x80\xE2\x80\xAE\xF0\x9F\r\xE2\x82z\xF0";
    struct bytes all = {.data = (const uint8_t *)octets, .size = sizeof octets - 1};
    g_autoptr(GString) expected = harmless(octets, all.size, TEXT_BODY);
    (void)state;
    for (size_t step = 1; step <= all.size; step++) {
        g_autoptr(GString) out = g_string_new(NULL);
        size_t at = 0;
        for (size_t end = step; end < all.size; end += step) {
            struct bytes piece = {.data = all.data + at, .size = end - at};
            size_t taken = text_append_piece(out, piece, TEXT_BODY, false);
            assert_in_range(piece.size - taken, 0, 3);
            at += taken;
        }
        (void)text_append_piece(out, bytes_from(all, at), TEXT_BODY, true);
        assert_string_equal(out->str, expected->str);
    }
}

static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(text_columns(""), 0);
    assert_int_equal(text_columns("abc"), 3);
    assert_int_equal(text_columns("\xE6\x97\xA5\xE6\x9C\xAC"), 4);
    assert_int_equal(text_columns("e\xCC\x81"), 1);
    assert_int_equal(text_columns("\xD0\x96"), 1);
    assert_int_equal(text_columns("\xF0\x9F\x98\x80"), 2);
}

static void test_fitted(void **state)
{
    static const struct {
        const char *text;
        unsigned columns;
        const char *expected;
    } cases[] = {
        {"abc", 5, "abc  "},
        {"abc", 3, "abc"},
        {"abcd", 3, "ab\xE2\x80\xA6"},
        {"abcd", 1, "\xE2\x80\xA6"},
        {"abcd", 0, ""},
        {"", 2, "  "},
        /* A wide one that would be cut in half is left out whole. */
        {"\xE6\x97\xA5\xE6\x9C\xAC", 4, "\xE6\x97\xA5\xE6\x9C\xAC"},
        {"\xE6\x97\xA5\xE6\x9C\xAC", 3, "\xE6\x97\xA5\xE2\x80\xA6"},
        {"\xE6\x97\xA5\xE6\x9C\xAC", 2, "\xE2\x80\xA6 "},
        /* Combining ones stay with theirs, no more than four. */
        {"e\xCC\x81"
         "bc",
         2, "e\xCC\x81\xE2\x80\xA6"},
        {"e\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81"
         "b",
         2,
         "e\xCC\x81\xCC\x81\xCC\x81\xCC\x81"
         "b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        text_append_fitted(out, cases[i].text, cases[i].columns, true);
        assert_string_equal(out->str, cases[i].expected);
    }
    g_autoptr(GString) out = g_string_new(NULL);
    text_append_fitted(out, "abc", 5, false);
    assert_string_equal(out->str, "abc");
}

static void test_codeset(void **state)
{
    static const struct {
        const char *text, *codeset, *expected;
    } cases[] = {
        {"Gr\xC3\xBC\xC3\x9F"
         "e",
         "UTF-8",
         "Gr\xC3\xBC\xC3\x9F"
         "e"},
        {"Gr\xC3\xBC\xC3\x9F"
         "e",
         "ISO-8859-1",
         "Gr\xFC\xDF"
         "e"},
        {"Gr\xC3\xBC\xC3\x9F"
         "e",
         "ANSI_X3.4-1968", "Gr??e"},
        {"\xD0\x96 \xE6\x97\xA5", "KOI8-R", "\xF6 ?"},
        {"\xE2\x80\x9Cq\xE2\x80\x9D \xE2\x80\x93 \xE2\x80\x99\xE2\x80\xA6", "ISO-8859-1",
         "\"q\" - '~"},
        {"e\xCC\x81", "ISO-8859-1", "e"},
        {"\xC3\xBC", "no such charset", "?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) text = g_string_new(cases[i].text);
        g_autoptr(GString) out = text_to_codeset(text, cases[i].codeset);
        assert_string_equal(out->str, cases[i].expected);
    }
}

static void test_json(void **state)
{
    static const char text[] = "a\"\\\n\x1b\x7f\xC2\x9B\xC3\xBC\xE2\x80\xAE\xF0\x9F\x98\x80\xFF";
    g_autoptr(GString) out = g_string_new(NULL);
    (void)state;
    text_append_json(out, bytes_of(text));
    assert_string_equal(
        out->str, "\"a\\\"\\\\\\u000a\\u001b\\u007f\\u009b\\u00fc\\u202e\\ud83d\\ude00\\ufffd\"");
}

static void test_size(void **state)
{
    static const struct {
        uint64_t octets;
        const char *expected;
    } cases[] = {{0, "0"},           {1023, "1023"},    {1024, "1.0K"},
                 {1025, "1.1K"},     {10240, "10K"},    {10241, "11K"},
                 {1048575, "1024K"}, {1048576, "1.0M"}, {UINT64_C(1) << 30, "1.0G"},
                 {UINT64_MAX, "16E"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        text_append_size(out, cases[i].octets);
        assert_string_equal(out->str, cases[i].expected);
    }
}

static int set_locale(void **state)
{
    (void)state;
    return setlocale(LC_ALL, "C.UTF-8") == NULL ? -1 : 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),  cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_columns), cmocka_unit_test(test_fitted),
        cmocka_unit_test(test_codeset), cmocka_unit_test(test_json),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests_name("text", tests, set_locale, NULL);
}
