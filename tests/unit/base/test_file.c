/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"

static int read_pipe(const char *text, size_t most, struct bytes *out)
{
    int ends[2];
    char path[40];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], text, strlen(text)), (ssize_t)strlen(text));
    (void)close(ends[1]);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    int result = file_read(path, most, out);
    (void)close(ends[0]);
    return result;
}

static void reads_whole_or_not_at_all(void **state)
{
    (void)state;
    struct bytes text = {0};
    assert_int_equal(read_pipe("four", 5, &text), 0);
    assert_true(bytes_equal(text, bytes_of("four")));
    free((void *)(uintptr_t)text.data);
    assert_int_equal(read_pipe("", 5, &text), 0);
    assert_int_equal(text.size, 0);
    free((void *)(uintptr_t)text.data);
    assert_int_equal(read_pipe("four", 4, &text), -EFBIG);
    assert_int_equal(read_pipe("four and more", 4, &text), -EFBIG);
}

static void says_why_not(void **state)
{
    (void)state;
    struct bytes text;
    assert_int_equal(file_read("/nowhere/at/all", 5, &text), -ENOENT);
    assert_int_equal(file_read("/", 5, &text), -EISDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_or_not_at_all),
        cmocka_unit_test(says_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
