/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "reader/bounds.h"
#include "reader/file_name.h"

static void test_names(void **state)
{
    static const struct {
        const char *said, *expected;
    } cases[] = {
        {"letter.pdf", "letter.pdf"},
        {"../../etc/passwd", "passwd"},
        {"/absolute", "absolute"},
        {"C:\\Windows\\x.exe", "x.exe"},
        {"folder/", "part-7.txt"},
        {"", "part-7.txt"},
        {NULL, "part-7.txt"},
        {".", "part-7.txt"},
        {"..", "part-7.txt"},
        {"...", "part-7.txt"},
        {" - ", "part-7.txt"},
        {".hidden", "hidden"},
        {"--option", "option"},
        {"a\x1b[2J\nb", "a_[2J b"},
        {"a\x7f\xC2\x9B\xE2\x80\xAE\xFF"
         "b",
         "a____b"},
        {"zero\xE2\x80\x8Bwidth", "zero_width"},
        {"e\xCC\x81.txt", "e\xCC\x81.txt"},
        {"a*?\"<>|:$`;&!'b", "a____________"
                             "_b"},
        {"tail.  ", "tail"},
        {"\xE6\x97\xA5.txt", "\xE6\x97\xA5.txt"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        file_name_append(out, cases[i].said, 7, ".txt");
        assert_string_equal(out->str, cases[i].expected);
    }
}

static void test_long_names(void **state)
{
    char said[1000];
    g_autoptr(GString) out = g_string_new(NULL);
    (void)state;
    memset(said, 'n', sizeof said);
    memcpy(said + sizeof said - 5, ".pdf", 5);
    file_name_append(out, said, 1, "");
    assert_int_equal(out->len, READER_FILE_NAME_OCTETS);
    assert_true(g_str_has_suffix(out->str, "n.pdf"));
    g_autoptr(GString) attempt = g_string_new(NULL);
    file_name_append_attempt(attempt, out->str, 1234);
    assert_int_equal(attempt->len, READER_FILE_NAME_OCTETS);
    assert_true(g_str_has_suffix(attempt->str, "n-1234.pdf"));
    /* No character is cut in two. */
    for (size_t i = 0; i + 3 < sizeof said; i += 3) {
        memcpy(said + i, "\xE6\x97\xA5", 3);
    }
    said[sizeof said - 1] = '\0';
    for (size_t shift = 0; shift < 3; shift++) {
        (void)g_string_truncate(out, 0);
        said[0] = 'a';
        said[1] = 'b';
        said[2] = 'c';
        file_name_append(out, said + shift, 1, "");
        assert_true(out->len <= READER_FILE_NAME_OCTETS);
        assert_true(out->len > READER_FILE_NAME_OCTETS - 3);
        assert_true(g_utf8_validate(out->str, -1, NULL));
    }
}

static void test_attempts(void **state)
{
    static const struct {
        const char *name, *expected;
    } cases[] = {{"a.txt", "a-2.txt"},
                 {"a", "a-2"},
                 {"a.tar.gz", "a.tar-2.gz"},
                 {"a.of-a-very-long-extension", "a.of-a-very-long-extension-2"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        g_autoptr(GString) out = g_string_new(NULL);
        file_name_append_attempt(out, cases[i].name, 2);
        assert_string_equal(out->str, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_attempts),
    };
    return cmocka_run_group_tests_name("file_name", tests, NULL, NULL);
}
