/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"

/* What was closed, as ranges. */
static int closed[8][2];
static size_t closed_count;

static int note_close(const struct fs *fs, int first, int last)
{
    (void)fs;
    closed[closed_count][0] = first;
    closed[closed_count++][1] = last;
    return 0;
}

static const struct fs_operations noting = {.close = note_close};
static const struct fs notes = {.operations = &noting};

static void check(const int *descriptors, size_t count, const int (*expected)[2], size_t ranges)
{
    int list[FS_CLOSE_MOST];
    for (size_t i = 0; i < count; i++) {
        list[i] = descriptors[i];
    }
    closed_count = 0;
    fs_close_all(&notes, list, count);
    assert_int_equal(closed_count, ranges);
    for (size_t i = 0; i < ranges; i++) {
        assert_int_equal(closed[i][0], expected[i][0]);
        assert_int_equal(closed[i][1], expected[i][1]);
    }
}

static void test_neighbours_are_closed_together_and_nothing_else(void **state)
{
    (void)state;
    check((const int[]){12, 10, 11}, 3, (const int[][2]){{10, 12}}, 1);
    check((const int[]){12, -1, 10, -1, 7}, 5, (const int[][2]){{7, 7}, {10, 10}, {12, 12}}, 3);
    check((const int[]){5, 9, 4, 8}, 4, (const int[][2]){{4, 5}, {8, 9}}, 2);
    check((const int[]){-1, 0, -1}, 3, (const int[][2]){{0, 0}}, 1);
    check((const int[]){-1, -1}, 2, (const int[][2]){{0, 0}}, 0);
    check(NULL, 0, (const int[][2]){{0, 0}}, 0);
}

static bool is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) >= 0;
}

static void test_the_real_system_closes_them(void **state)
{
    (void)state;
    int first = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100);
    assert_int_equal(first, 100);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 100 + i), 100 + i);
    }
    int descriptors[] = {first + 2, first + 1, -1};
    fs_close_all(&fs_real, descriptors, 3);
    assert_true(is_open(first) && is_open(first + 3));
    assert_false(is_open(first + 1) || is_open(first + 2));
    fs_close_all(&fs_real, (int[]){first, first + 3}, 2);
    assert_false(is_open(first) || is_open(first + 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_neighbours_are_closed_together_and_nothing_else),
        cmocka_unit_test(test_the_real_system_closes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
