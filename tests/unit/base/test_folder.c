/* SPDX-License-Identifier: MIT */
#include <errno.h>
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

#include "base/folder.h"

struct walked {
    char text[200];
    int refusal;
    const char *refused;
};

static int note(void *owner, const char *path)
{
    struct walked *walked = owner;
    size_t size = strlen(walked->text);
    (void)snprintf(walked->text + size, sizeof walked->text - size, "%s;", path);
    return walked->refused != NULL && strcmp(path, walked->refused) == 0 ? walked->refusal : 0;
}

static void walks_from_the_first_to_the_last(void **state)
{
    (void)state;
    const struct {
        const char *path;
        size_t from;
        const char *folders;
    } rows[] = {
        {"/a/bc/d", 0, "/a;/a/bc;/a/bc/d;"},
        {"a/bc", 0, "a;a/bc;"},
        {"a", 0, "a;"},
        {"//a//b/", 0, "//a;//a//b;"},
        {"/", 0, ""},
        {"", 0, ""},
        {"/a/bc/d", 2, "/a;/a/bc;/a/bc/d;"},
        {"/a/bc/d", 5, "/a/bc;/a/bc/d;"},
        {"/a/bc/d", 7, "/a/bc/d;"},
        {"/a/b", 1, "/;/a;/a/b;"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct walked walked = {.text = ""};
        assert_int_equal(folder_walk(rows[i].path, rows[i].from, note, &walked), 0);
        assert_string_equal(walked.text, rows[i].folders);
    }
}

static void ends_a_walk_at_a_refusal(void **state)
{
    (void)state;
    struct walked walked = {.refusal = -EROFS, .refused = "/a/b"};
    assert_int_equal(folder_walk("/a/b/c", 0, note, &walked), -EROFS);
    assert_string_equal(walked.text, "/a;/a/b;");
    walked = (struct walked){.refusal = 3, .refused = "/a/b/c"};
    assert_int_equal(folder_walk("/a/b/c", 0, note, &walked), 0);
}

static void assert_folder(const char *above, const char *name, unsigned mode)
{
    char path[100];
    struct stat facts;
    (void)snprintf(path, sizeof path, "%s/%s", above, name);
    assert_int_equal(stat(path, &facts), 0);
    assert_true(S_ISDIR(facts.st_mode));
    assert_int_equal(facts.st_mode & 07777, mode);
    assert_int_equal(rmdir(path), 0);
}

static void makes_what_is_missing(void **state)
{
    (void)state;
    char folder[] = "/tmp/folder-XXXXXX", path[64];
    struct error error;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/there", folder);
    assert_int_equal(mkdir(path, 0750), 0);
    (void)snprintf(path, sizeof path, "%s/there/a/b", folder);
    assert_int_equal(folder_make(path, &error), 0);
    assert_int_equal(folder_make(path, &error), 0);
    (void)snprintf(path, sizeof path, "%s/there/a/b/c/file", folder);
    assert_int_equal(folder_make_for(path, &error), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_folder(folder, "there/a/b/c", 0700);
    assert_folder(folder, "there/a/b", 0700);
    assert_folder(folder, "there/a", 0700);
    assert_folder(folder, "there", 0750);
    assert_int_equal(folder_make_for("file", &error), 0);
    assert_int_equal(folder_make_for("/file", &error), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void names_what_cannot_be_made(void **state)
{
    (void)state;
    char folder[] = "/tmp/folder-XXXXXX", path[64], named[64];
    struct error error;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fclose(file);
    (void)snprintf(path, sizeof path, "%s/file/a/b", folder);
    (void)snprintf(named, sizeof named, "%s/file/a: ", folder);
    assert_int_equal(folder_make(path, &error), -1);
    assert_int_equal(error.number, ENOTDIR);
    assert_memory_equal(error.text, named, strlen(named));
    assert_int_equal(folder_make_for(path, &error), -1);
    (void)snprintf(path, sizeof path, "%s/file", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_from_the_first_to_the_last),
        cmocka_unit_test(ends_a_walk_at_a_refusal),
        cmocka_unit_test(makes_what_is_missing),
        cmocka_unit_test(names_what_cannot_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
