/* SPDX-License-Identifier: MIT */
/* The linker puts the functions of faults.c in place of the system's, so that each call of a change can be
 * made to fail. */
#include "account/accounts_edit.h"
#include "account/verifier.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "account/accounts.h"
#include "faults.h"
#include "scratch.h"

#define BEFORE                                                                                     \
    "# people\n\nalice:{PLAIN}one:1000:1000:Alice A.:/home/a:/bin/sh:userdb_mail=maildir:/m/a "    \
    "x=y\r\n"                                                                                      \
    "  \nbob:{PLAIN}two\n#carol:{PLAIN}x\nCarol:!:::::"

enum { SET_VERIFIER = 100 }; /* the second field of the line, by accounts_edit_line */

static int set_verifier(struct bytes line, struct buffer *out, void *context, struct error *error)
{
    const char *const *verifier = context;
    struct verifier_cost cost;
    if (verifier_examine(bytes_of(*verifier), &cost, error) < 0) {
        return -1;
    }
    size_t start = bytes_find(line, ':') + 1;
    struct bytes rest = bytes_from(line, start);
    buffer_append(out, (struct bytes){line.data, start});
    buffer_append_text(out, *verifier);
    buffer_append(out, bytes_from(rest, bytes_find(rest, ':')));
    return 0;
}

static int edit(const struct scratch *scratch, int kind, const char *name, const char *verifier,
                struct error *error)
{
    *error = (struct error){0};
    if (kind == SET_VERIFIER) {
        return accounts_edit_line(scratch->path, bytes_of(name), set_verifier, &verifier, error);
    }
    return accounts_edit(scratch->path, (enum accounts_change)kind, bytes_of(name), verifier,
                         error);
}

static const struct {
    int kind;
    const char *name, *verifier, *before, *after;
} changes[] = {
    {ACCOUNTS_ADD, "a", "{PLAIN}x", "", "a:{PLAIN}x\n"},
    {ACCOUNTS_ADD, "a", "{PLAIN}x", "\n", "\na:{PLAIN}x\n"},
    {ACCOUNTS_ADD, "a", "{PLAIN}x", "# c", "# c\na:{PLAIN}x\n"},
    {ACCOUNTS_ADD, "b@x.org", "{PLAIN}y", BEFORE, BEFORE "\nb@x.org:{PLAIN}y\n"},
    {ACCOUNTS_ADD, "caro", "{PLAIN}y", BEFORE "\n", BEFORE "\ncaro:{PLAIN}y\n"},
    {SET_VERIFIER, "alice", "{PLAIN}new", BEFORE,
     "# people\n\nalice:{PLAIN}new:1000:1000:Alice A.:/home/a:/bin/sh:userdb_mail=maildir:/m/a "
     "x=y\r\n"
     "  \nbob:{PLAIN}two\n#carol:{PLAIN}x\nCarol:!:::::"},
    {SET_VERIFIER, "bob", "{PLAIN}longer than before", BEFORE,
     "# people\n\nalice:{PLAIN}one:1000:1000:Alice A.:/home/a:/bin/sh:userdb_mail=maildir:/m/a "
     "x=y\r\n"
     "  \nbob:{PLAIN}longer than before\n#carol:{PLAIN}x\nCarol:!:::::"},
    {SET_VERIFIER, "Carol", "{PLAIN}z", BEFORE,
     "# people\n\nalice:{PLAIN}one:1000:1000:Alice A.:/home/a:/bin/sh:userdb_mail=maildir:/m/a "
     "x=y\r\n"
     "  \nbob:{PLAIN}two\n#carol:{PLAIN}x\nCarol:{PLAIN}z:::::"},
    {SET_VERIFIER, "a", "{PLAIN}z", "a:", "a:{PLAIN}z"},
    {SET_VERIFIER, "a", "{PLAIN}z", "a:\r\n", "a:{PLAIN}z\r\n"},
    {SET_VERIFIER, "a", "{PLAIN}z", "a:{PLAIN}1\r\nb:{PLAIN}2\r\n", "a:{PLAIN}z\r\nb:{PLAIN}2\r\n"},
    {SET_VERIFIER, "A", "{PLAIN}z", "b:!\na:{PLAIN}1", "b:!\na:{PLAIN}z"},
    {SET_VERIFIER, "a", "{PLAIN}z", "a::1:1\n", "a:{PLAIN}z:1:1\n"},
    {ACCOUNTS_REMOVE, "alice", NULL, BEFORE,
     "# people\n\n  \nbob:{PLAIN}two\n#carol:{PLAIN}x\nCarol:!:::::"},
    {ACCOUNTS_REMOVE, "Carol", NULL, BEFORE,
     "# people\n\nalice:{PLAIN}one:1000:1000:Alice A.:/home/a:/bin/sh:userdb_mail=maildir:/m/a "
     "x=y\r\n"
     "  \nbob:{PLAIN}two\n#carol:{PLAIN}x\n"},
    {ACCOUNTS_REMOVE, "a", NULL, "a:{PLAIN}1", ""},
    /* mistakes of others stay, and one can be mended */
    {ACCOUNTS_ADD, "a", "{PLAIN}x", "b:b\nb\n:\n", "b:b\nb\n:\na:{PLAIN}x\n"},
    {SET_VERIFIER, "a", "{PLAIN}x", "b\na:{MD5}y:1:1\n", "b\na:{PLAIN}x:1:1\n"},
};

enum { CHANGES = sizeof changes / sizeof *changes };

static void changes_one_line_and_nothing_else(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    for (size_t i = 0; i < CHANGES; i++) {
        struct error error;
        scratch_write_text(&scratch, changes[i].before);
        if (edit(&scratch, changes[i].kind, changes[i].name, changes[i].verifier, &error) < 0) {
            fail_msg("%zu: %s", i, error.text);
        }
        char *after = scratch_read(&scratch, NULL);
        assert_string_equal(after, changes[i].after);
        free(after);
        assert_int_equal(access(scratch.new_path, F_OK), -1);
    }
    scratch_finish(&scratch);
}

static const struct {
    int kind;
    const char *name, *verifier, *before;
    enum error_kind error;
    const char *text; /* in the error */
} refusals[] = {
    {ACCOUNTS_ADD, "bob", "{PLAIN}x", BEFORE, ERROR_USAGE,
     "/accounts:5: the account is there already"},
    {ACCOUNTS_ADD, "BOB", "{PLAIN}x", BEFORE, ERROR_USAGE,
     "/accounts:5: the account is there already"},
    {ACCOUNTS_ADD, "", "{PLAIN}x", BEFORE, ERROR_USAGE, "a user name is not empty"},
    {ACCOUNTS_ADD, "a\nb", "{PLAIN}x", BEFORE, ERROR_USAGE, "no control characters"},
    {ACCOUNTS_ADD, "a/b", "{PLAIN}x", BEFORE, ERROR_USAGE, "a user name has no '/' in it"},
    {ACCOUNTS_ADD, "a:b", "{PLAIN}x", BEFORE, ERROR_USAGE, "has no ':'"},
    {ACCOUNTS_ADD, "#a", "{PLAIN}x", BEFORE, ERROR_USAGE, "begins with '#'"},
    {ACCOUNTS_ADD, " a", "{PLAIN}x", BEFORE, ERROR_USAGE, "a blank at either end"},
    {ACCOUNTS_ADD, "a ", "{PLAIN}x", BEFORE, ERROR_USAGE, "a blank at either end"},
    {ACCOUNTS_ADD, "new", "plain", BEFORE, ERROR_CONFIGURATION, "the password has no scheme"},
    {SET_VERIFIER, "dave", "{PLAIN}x", BEFORE, ERROR_NO_SUCH_USER, "no account is called dave"},
    {SET_VERIFIER, "#carol", "{PLAIN}x", BEFORE, ERROR_NO_SUCH_USER, "no account is called"},
    {SET_VERIFIER, "bob", "x", BEFORE, ERROR_CONFIGURATION, "the password has no scheme"},
    {ACCOUNTS_REMOVE, "dave", NULL, BEFORE, ERROR_NO_SUCH_USER, "no account is called dave"},
    {ACCOUNTS_REMOVE, "bob:{PLAIN}two", NULL, BEFORE, ERROR_NO_SUCH_USER, "no account is called"},
    {ACCOUNTS_REMOVE, "b", NULL, "b:{PLAIN}x\nb:{PLAIN}x\n", ERROR_CONFIGURATION,
     "/accounts:2: the name is on"},
};

static void refusal_leaves_the_file(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct error error;
        struct stat before, after;
        scratch_write_text(&scratch, refusals[i].before);
        assert_int_equal(stat(scratch.path, &before), 0);
        assert_int_equal(
            edit(&scratch, refusals[i].kind, refusals[i].name, refusals[i].verifier, &error), -1);
        assert_int_equal(error.kind, refusals[i].error);
        if (strstr(error.text, refusals[i].text) == NULL) {
            fail_msg("%zu: %s", i, error.text);
        }
        char *text = scratch_read(&scratch, NULL);
        assert_string_equal(text, refusals[i].before);
        free(text);
        assert_int_equal(stat(scratch.path, &after), 0);
        assert_int_equal(after.st_ino, before.st_ino);
    }
    scratch_finish(&scratch);
}

static void mode_owner_and_access_list_stay(void **state)
{
    (void)state;
    struct scratch scratch;
    struct error error;
    struct stat before, after;
    /* version 2; user::rw-, user:12345:r--, group::r--, mask::r--, other::--- */
    static const unsigned char list[] = {2,   0,   0,   0,   1,   0,    6,    0,   255, 255, 255,
                                         255, 2,   0,   4,   0,   0x39, 0x30, 0,   0,   4,   0,
                                         4,   0,   255, 255, 255, 255,  16,   0,   4,   0,   255,
                                         255, 255, 255, 32,  0,   0,    0,    255, 255, 255, 255};
    unsigned char kept[sizeof list + 1];
    scratch_init(&scratch);
    for (mode_t mode = 0600; mode <= 0660; mode += 020) {
        scratch_write_text(&scratch, BEFORE);
        assert_int_equal(chmod(scratch.path, mode), 0);
        if (getuid() == 0) {
            assert_int_equal(chown(scratch.path, 12, 34), 0);
        }
        assert_int_equal(stat(scratch.path, &before), 0);
        assert_int_equal(edit(&scratch, ACCOUNTS_REMOVE, "bob", NULL, &error), 0);
        assert_int_equal(stat(scratch.path, &after), 0);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(after.st_uid, before.st_uid);
        assert_int_equal(after.st_gid, before.st_gid);
        assert_int_not_equal(after.st_ino, before.st_ino);
    }
    if (setxattr(scratch.path, "system.posix_acl_access", list, sizeof list, 0) == 0) {
        assert_int_equal(edit(&scratch, ACCOUNTS_REMOVE, "alice", NULL, &error), 0);
        assert_int_equal(getxattr(scratch.path, "system.posix_acl_access", kept, sizeof kept),
                         sizeof list);
        assert_memory_equal(kept, list, sizeof list);
    } else {
        assert_int_equal(errno, EOPNOTSUPP); /* this file system has none */
    }
    scratch_finish(&scratch);
}

static void symbolic_link_stays_one(void **state)
{
    (void)state;
    struct scratch scratch, other;
    struct error error;
    struct stat status;
    scratch_init(&scratch);
    scratch_init(&other);
    scratch_write_text(&other, "a:{PLAIN}x\n");
    assert_int_equal(symlink(other.path, scratch.path), 0);
    assert_int_equal(edit(&scratch, ACCOUNTS_ADD, "b", "{PLAIN}y", &error), 0);
    assert_int_equal(lstat(scratch.path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    char *text = scratch_read(&other, NULL);
    assert_string_equal(text, "a:{PLAIN}x\nb:{PLAIN}y\n");
    free(text);
    scratch_finish(&scratch);
    scratch_finish(&other);
}

static void what_a_crash_left_is_cleared(void **state)
{
    (void)state;
    struct scratch scratch;
    struct error error;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "a:{PLAIN}x\n");
    FILE *file = fopen(scratch.new_path, "w");
    assert_non_null(file);
    assert_true(fputs("half of a", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(edit(&scratch, ACCOUNTS_REMOVE, "a", NULL, &error), 0);
    assert_int_equal(access(scratch.new_path, F_OK), -1);
    scratch_finish(&scratch);
}

/* Makes the n-th call of a change fail, for every n. */
static void every_fault_leaves_a_whole_file(void **state)
{
    (void)state;
    struct scratch scratch;
    scratch_init(&scratch);
    for (size_t i = 0; i < CHANGES; i++) {
        unsigned n = 1;
        bool was_last = false;
        for (; !was_last; n++) {
            struct error error;
            scratch_write_text(&scratch, changes[i].before);
            faults_arm(n, ENOSPC);
            int result =
                edit(&scratch, changes[i].kind, changes[i].name, changes[i].verifier, &error);
            const char *failed = faults_disarm();
            was_last = failed == NULL;
            assert_int_equal(result, was_last ? 0 : -1);
            if (result < 0 && error.kind != ERROR_NO_SPACE) {
                fail_msg("%s: %s", failed, error.text);
            }
            /* once the name was given away, only the folder's fsync is left to fail */
            bool is_changed = was_last || strcmp(failed, "fsync of the folder") == 0;
            char *text = scratch_read(&scratch, NULL);
            assert_string_equal(text, is_changed ? changes[i].after : changes[i].before);
            free(text);
            assert_int_equal(access(scratch.new_path, F_OK), -1);
        }
        assert_in_range(n, 9, 30); /* the calls were really met */
    }
    scratch_finish(&scratch);
}

/* The new octets are on the disk before the name is, and the name before success is told. */
static void order_is_durable(void **state)
{
    (void)state;
    struct scratch scratch;
    struct error error;
    scratch_init(&scratch);
    scratch_write_text(&scratch, BEFORE);
    faults_arm(0, 0);
    assert_int_equal(edit(&scratch, ACCOUNTS_ADD, "new", "{PLAIN}x", &error), 0);
    assert_null(faults_disarm());
    assert_string_equal(faults_trace(), "open open flock unlink create chmod sendfile write "
                                        "fsync rename fsync of the folder ");
    scratch_finish(&scratch);
}

/* Eight processes that add, change and remove at once: nobody's change is lost. */
static void concurrent_changes_all_count(void **state)
{
    (void)state;
    enum { PROCESSES = 8, EACH = 20 };
    struct scratch scratch;
    struct error error;
    scratch_init(&scratch);
    scratch_write_text(&scratch, "# kept\n");
    for (int p = 0; p < PROCESSES; p++) {
        pid_t child = fork();
        assert_true(child >= 0);
        for (int i = 0; child == 0 && i <= EACH; i++) {
            char name[32];
            if (i == EACH) {
                _exit(0);
            }
            (void)snprintf(name, sizeof name, "user%d-%d", p, i);
            if (edit(&scratch, ACCOUNTS_ADD, name, "{PLAIN}one", &error) < 0 ||
                edit(&scratch, SET_VERIFIER, name, "{PLAIN}two", &error) < 0 ||
                (i % 2 == 1 && edit(&scratch, ACCOUNTS_REMOVE, name, NULL, &error) < 0)) {
                _exit(1);
            }
        }
    }
    for (int p = 0; p < PROCESSES; p++) {
        int status;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct accounts *accounts = NULL;
    assert_int_equal(accounts_load(scratch.path, &accounts, &error), 0);
    assert_int_equal(accounts_facts(accounts).count, PROCESSES * EACH / 2);
    for (uint32_t i = 0; i < accounts_facts(accounts).count; i++) {
        struct account *account;
        assert_int_equal(accounts_at(accounts, i, &account, &error), 0);
        assert_string_equal(account->verifier, "{PLAIN}two");
        account_free(account);
    }
    accounts_free(accounts);
    char *text = scratch_read(&scratch, NULL);
    assert_memory_equal(text, "# kept\n", 7);
    free(text);
    scratch_finish(&scratch);
}

static void create_makes_a_private_file_once(void **state)
{
    (void)state;
    struct scratch scratch;
    struct stat status;
    struct error error = {0};
    scratch_init(&scratch);
    assert_int_equal(edit(&scratch, ACCOUNTS_ADD, "a", "{PLAIN}x", &error), -1);
    assert_int_equal(error.number, ENOENT);
    mode_t old = umask(0);
    uid_t uid = getuid() == 0 ? 12 : (uid_t)-1;
    assert_int_equal(accounts_create(scratch.path, uid, (gid_t)-1, &error), 0);
    (void)umask(old);
    assert_int_equal(stat(scratch.path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_uid, getuid() == 0 ? 12 : getuid());
    assert_int_equal(edit(&scratch, ACCOUNTS_ADD, "a", "{PLAIN}x", &error), 0);
    assert_int_equal(accounts_create(scratch.path, (uid_t)-1, (gid_t)-1, &error), 0);
    char *text = scratch_read(&scratch, NULL);
    assert_string_equal(text, "a:{PLAIN}x\n");
    free(text);
    scratch_finish(&scratch);
    assert_int_equal(accounts_create(scratch.path, (uid_t)-1, (gid_t)-1, &error), -1);
    assert_non_null(strstr(error.text, "/accounts: cannot make: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_one_line_and_nothing_else),
        cmocka_unit_test(refusal_leaves_the_file),
        cmocka_unit_test(mode_owner_and_access_list_stay),
        cmocka_unit_test(symbolic_link_stays_one),
        cmocka_unit_test(what_a_crash_left_is_cleared),
        cmocka_unit_test(every_fault_leaves_a_whole_file),
        cmocka_unit_test(order_is_durable),
        cmocka_unit_test(concurrent_changes_all_count),
        cmocka_unit_test(create_makes_a_private_file_once),
    };
    return cmocka_run_group_tests_name("accounts_edit", tests, NULL, NULL);
}
