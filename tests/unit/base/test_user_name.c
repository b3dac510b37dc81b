/* SPDX-License-Identifier: MIT */
#include "base/user_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    const char *name;
    size_t size; /* 0: strlen */
    const char *text;
} refused[] = {
    {"", 0, "a user name is not empty"},
    {".", 0, "a user name does not begin with '.'"},
    {"..", 0, "a user name does not begin with '.'"},
    {".hidden", 0, "a user name does not begin with '.'"},
    {"/", 0, "a user name has no '/' in it"},
    {"a/../b", 0, "a user name has no '/' in it"},
    {"alice\0", 6, "a user name has no control characters in it"},
    {"al\0ice", 6, "a user name has no control characters in it"},
    {"alice\n", 0, "a user name has no control characters in it"},
    {"\x1F", 0, "a user name has no control characters in it"},
    {"alice\x7F", 0, "a user name has no control characters in it"},
};

static const char *const accepted[] = {
    "a", "alice",  "Alice@example.org", "a.b",          "a..", "~",
    "-", "o'neil", "with space",        "\xC3\xA9mile",
};

static void refuses_with_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct error error = {0};
        struct bytes name = bytes_of(refused[i].name);
        if (refused[i].size != 0) {
            name.size = refused[i].size;
        }
        assert_int_equal(user_name_check(name, &error), -1);
        assert_int_equal(error.kind, ERROR_NO_SUCH_USER);
        assert_string_equal(error.text, refused[i].text);
    }
}

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        assert_int_equal(user_name_check(bytes_of(accepted[i]), NULL), 0);
    }
}

static void length_has_a_limit(void **state)
{
    (void)state;
    uint8_t octets[USER_NAME_OCTETS_MAX + 1];
    memset(octets, 'x', sizeof octets);
    struct error error = {0};
    struct bytes name = {octets, USER_NAME_OCTETS_MAX};
    assert_int_equal(user_name_check(name, &error), 0);
    name.size++;
    assert_int_equal(user_name_check(name, &error), -1);
    assert_string_equal(error.text, "a user name has at most 255 octets");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_with_the_reason),
        cmocka_unit_test(accepts),
        cmocka_unit_test(length_has_a_limit),
    };
    return cmocka_run_group_tests_name("user_name", tests, NULL, NULL);
}
