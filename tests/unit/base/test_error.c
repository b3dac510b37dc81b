/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include <cmocka.h>

#include "base/error.h"

static void test_set(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(error_set(&error, ERROR_LIMIT, 0, "%s %d", "only", 3), -1);
    assert_int_equal(error.kind, ERROR_LIMIT);
    assert_int_equal(error.number, 0);
    assert_string_equal(error.text, "only 3");
    assert_int_equal(error_set(&error, ERROR_TEMPORARY, ENOENT, "open %s", "cur"), -1);
    assert_int_equal(error.number, ENOENT);
    assert_string_equal(error.text, "open cur: No such file or directory");
    assert_int_equal(error_set(NULL, ERROR_LIMIT, 0, "nobody asks"), -1);
}

/* An error is often made from another: the argument may be its own text. */
static void test_set_from_itself(void **state)
{
    (void)state;
    struct error error = {0};
    (void)error_set(&error, ERROR_LIMIT, 0, "inner");
    (void)error_set(&error, ERROR_LIMIT, 0, "outer: %s", error.text);
    assert_string_equal(error.text, "outer: inner");
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char text[500];
    struct error error = {0};
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int size = 150; size < 499; size++) {
        (void)error_set(&error, ERROR_PERMANENT, ENOSPC, "%.*s", size, text);
        size_t used = strlen(error.text);
        assert_true(used < sizeof error.text);
        assert_true(used >= 150);
    }
}

static void test_kinds_of_errno(void **state)
{
    (void)state;
    static const struct {
        int number;
        enum error_kind kind;
    } cases[] = {
        {ENOSPC, ERROR_NO_SPACE},  {EDQUOT, ERROR_NO_SPACE},   {EROFS, ERROR_PERMANENT},
        {ELOOP, ERROR_PERMANENT},  {ENOTDIR, ERROR_PERMANENT}, {EIO, ERROR_TEMPORARY},
        {EMFILE, ERROR_TEMPORARY}, {EACCES, ERROR_TEMPORARY},  {ENOMEM, ERROR_TEMPORARY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        assert_int_equal(error_from_errno(&error, cases[i].number, "x"), -1);
        assert_int_equal(error.kind, cases[i].kind);
        assert_int_equal(error.number, cases[i].number);
    }
}

/* Every kind has an answer for every door, and the doors agree whether it may pass by itself. */
static void test_every_kind_has_every_door(void **state)
{
    (void)state;
    for (enum error_kind kind = ERROR_NONE + 1; kind < ERROR_KIND_COUNT; kind++) {
        const char *lmtp = error_lmtp_reply(kind);
        assert_non_null(lmtp);
        assert_true(lmtp[0] == '4' || lmtp[0] == '5');
        assert_int_equal(strlen(lmtp), strlen("450 4.2.1"));
        assert_int_equal(lmtp[4], lmtp[0]); /* RFC 3463: the class of the enhanced code */
        assert_true(error_exit_status(kind) >= EX__BASE && error_exit_status(kind) <= EX__MAX);
        assert_true(error_exit_status(kind) != EX_TEMPFAIL || lmtp[0] == '4');
        assert_non_null(error_metric(kind));
        assert_true(error_log_level(kind) <= LOG_LEVEL_DEBUG);
        for (enum error_kind other = ERROR_NONE; other < kind; other++) {
            assert_string_not_equal(error_metric(kind), error_metric(other));
        }
    }
    assert_int_equal(error_exit_status(ERROR_NO_SUCH_USER), EX_NOUSER); /* 67 */
    assert_int_equal(error_exit_status(ERROR_NO_SPACE), EX_TEMPFAIL);   /* 75 */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_from_itself),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_kinds_of_errno),
        cmocka_unit_test(test_every_kind_has_every_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
