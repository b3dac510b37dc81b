/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/private_file.h"

struct place {
    char folder[40], file[64], link[64];
    int descriptor;
};

static int set_up(void **state)
{
    struct place *place = test_malloc(sizeof *place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/private-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->file, sizeof place->file, "%s/file", place->folder);
    (void)snprintf(place->link, sizeof place->link, "%s/link", place->folder);
    assert_int_equal(file_replace(place->file, bytes_of("secret\n"), 0600), 0);
    assert_int_equal(symlink("file", place->link), 0);
    place->descriptor = open(place->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(place->descriptor >= 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    (void)unlink(place->link);
    (void)unlink(place->file);
    (void)rmdir(place->file);
    assert_int_equal(rmdir(place->folder), 0);
    (void)close(place->descriptor);
    test_free(place);
    return 0;
}

static void assert_read(int folder, const char *path, const char *text)
{
    uint8_t memory[20];
    struct error error;
    ssize_t size = private_file_read(folder, path, memory, sizeof memory, &error);
    assert_int_equal(size, (ssize_t)strlen(text));
    assert_memory_equal(memory, text, strlen(text));
}

static void assert_refused(int folder, const char *path, int number, const char *words)
{
    uint8_t memory[20];
    struct error error;
    assert_int_equal(private_file_read(folder, path, memory, sizeof memory, &error), -1);
    assert_int_equal(error.kind, ERROR_CONFIGURATION);
    assert_int_equal(error.number, number);
    assert_non_null(strstr(error.text, words));
    assert_memory_equal(error.text, path, strlen(path));
}

static void reads_by_path_or_in_a_folder(void **state)
{
    const struct place *place = *state;
    uint8_t memory[4];
    struct error error;
    assert_read(PRIVATE_FILE_ANYWHERE, place->file, "secret\n");
    assert_read(PRIVATE_FILE_ANYWHERE, place->link, "secret\n");
    assert_read(place->descriptor, place->file, "secret\n");
    assert_read(place->descriptor, "file", "secret\n");
    assert_read(place->descriptor, "/elsewhere/file", "secret\n"); /* the folder decides */
    assert_int_equal(private_file_read(place->descriptor, "file", memory, 4, &error), 4);
    assert_memory_equal(memory, "secr", 4);
}

static void refuses_a_link_in_a_folder(void **state)
{
    const struct place *place = *state;
    assert_refused(place->descriptor, place->link, ELOOP, "link");
}

static void refuses_what_is_not_private(void **state)
{
    const struct place *place = *state;
    static const mode_t modes[] = {0640, 0620, 0610, 0604, 0602, 0601};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        assert_int_equal(chmod(place->file, modes[i]), 0);
        assert_refused(PRIVATE_FILE_ANYWHERE, place->file, 0, "chmod 600");
        assert_refused(place->descriptor, place->file, 0, "chmod 600");
    }
}

static void refuses_what_is_no_file(void **state)
{
    const struct place *place = *state;
    assert_int_equal(unlink(place->file), 0);
    assert_refused(PRIVATE_FILE_ANYWHERE, place->file, ENOENT, "No such file");
    assert_refused(place->descriptor, place->file, ENOENT, "No such file");
    assert_int_equal(mkfifo(place->file, 0600), 0);
    assert_refused(place->descriptor, place->file, 0, "no regular file");
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_refused(PRIVATE_FILE_ANYWHERE, place->file, 0, "no regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_by_path_or_in_a_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_link_in_a_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_not_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
