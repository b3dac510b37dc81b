/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
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

static void assert_content(const char *path, const char *content, unsigned mode)
{
    struct bytes text;
    struct stat facts;
    assert_int_equal(file_read(path, 100, &text), 0);
    assert_true(bytes_equal(text, bytes_of(content)));
    free((void *)(uintptr_t)text.data);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, mode);
}

static void replaces(void **state)
{
    (void)state;
    char folder[] = "/tmp/file-XXXXXX", path[64], fresh[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    (void)snprintf(fresh, sizeof fresh, "%s/file.new", folder);
    assert_int_equal(file_replace(path, bytes_of("one"), 0600), 0);
    assert_content(path, "one", 0600);
    assert_int_equal(file_replace(path, bytes_of(""), 0644), 0);
    assert_content(path, "", 0644);
    /* What a kill left is no hindrance, what somebody else put there is. */
    assert_int_equal(file_replace(fresh, bytes_of("much longer than two"), 0600), 0);
    assert_int_equal(file_replace(path, bytes_of("two"), 0644), 0);
    assert_content(path, "two", 0644);
    assert_int_equal(access(fresh, F_OK), -1);
    assert_int_equal(symlink("/dev/null", fresh), 0);
    assert_int_equal(file_replace(path, bytes_of("three"), 0644), -ELOOP);
    assert_content(path, "two", 0644);
    assert_int_equal(unlink(fresh), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_replace(path, bytes_of("four"), 0644), -EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rmdir(folder), 0); /* nothing is left of it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_or_not_at_all),
        cmocka_unit_test(says_why_not),
        cmocka_unit_test(replaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
