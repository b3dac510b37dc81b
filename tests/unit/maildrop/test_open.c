/* SPDX-License-Identifier: MIT */
/* Locking a Maildir and the snapshot at login. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "maildrop/maildir/index.h"

static void new_and_cur_are_listed_in_order_of_arrival(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/200.b:2,S", "b\n");
    world_put(&world, "new/100.a", "a\n");
    world_put(&world, "cur/nonumber:2,", "n\n");
    world_put(&world, "new/1000.c", "c\n");
    world_put(&world, "cur/.hidden", "h\n");
    world_put(&world, "tmp/50.t", "t\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 4, 12);
    assert_string_equal(row_id(maildrop, 0), "nonumber");
    assert_string_equal(row_id(maildrop, 1), "100.a");
    assert_string_equal(row_id(maildrop, 2), "200.b");
    assert_string_equal(row_id(maildrop, 3), "1000.c");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 1, &kind), "a\n");
    assert_string_equal(read_text(maildrop, 2, &kind), "b\n");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void mail_that_arrives_later_is_not_in_the_session(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "new/200.b", "b\n");
    struct maildrop *maildrop = open_drop(&world);
    disk_put_text(world.disk, "/mail/alice/new/100.a", "earlier number\n");
    disk_put_text(world.disk, "/mail/alice/new/300.c", "c\n");
    expect_drop(maildrop, 1, 3);
    assert_string_equal(row_id(maildrop, 0), "200.b");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "b\n");
    assert_int_equal(commit(maildrop, "0").removed, 1);
    assert_true(disk_exists(world.disk, "/mail/alice/new/100.a"));
    assert_true(disk_exists(world.disk, "/mail/alice/new/300.c"));
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 19);
    assert_string_equal(row_id(maildrop, 0), "100.a");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void octets_come_from_the_name_or_are_counted_once(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=4,W=6:2,", "a\nb\n");
    world_put(&world, "cur/2.b:2,", "a\nb\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 12);
    maildrop_release(maildrop);
    /* Another change: what was counted is not read again. */
    world_put(&world, "cur/3.c,S=0,W=0:2,", "");
    disk_deny(world.disk, "/mail/alice/cur/2.b:2,", EACCES, 0);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 3, 12);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void an_unchanged_maildrop_is_not_scanned(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    maildrop_release(open_drop(&world));
    uint64_t lists = world.disk->counts[DISK_LIST];
    uint64_t writes = world.disk->counts[DISK_WRITE];
    uint64_t count = world.disk->count;
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    maildrop_release(maildrop);
    assert_int_equal(world.disk->counts[DISK_LIST], lists);
    assert_int_equal(world.disk->counts[DISK_WRITE], writes);
    /* Eight to open it, one for the file system's facts, three to close. */
    assert_true(world.disk->count - count <= 12);
    world_finish(&world);
}

static void a_maildrop_that_does_not_exist_is_empty(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 0, 0);
    uint64_t device;
    uint64_t inode;
    maildrop_identity(maildrop, &device, &inode);
    assert_int_equal(device, 0);
    assert_int_equal(inode, 0);
    assert_int_equal(commit(maildrop, "").removed, 0);
    assert_false(disk_exists(world.disk, "/mail/alice")); /* nothing is written */
    /* Its folder alone is no maildrop yet either. */
    disk_make_folder(world.disk, "/mail/alice");
    maildrop = open_drop(&world);
    expect_drop(maildrop, 0, 0);
    maildrop_release(maildrop);
    assert_int_equal(disk_count(world.disk, "/mail/alice"), 0);
    world_finish(&world);
}

static void what_all_users_share_must_be_there(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop_operation operation;
    disk_remove(world.disk, "/mail");
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    disk_put_text(world.disk, "/mail", "a file");
    assert_int_equal(try_open(&world, &operation), ERROR_PERMANENT);
    disk_remove(world.disk, "/mail");
    disk_put_link(world.disk, "/mail", "/not/mounted");
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    world_finish(&world);
}

static void a_link_to_what_is_not_mounted_is_no_missing_folder(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop_operation operation;
    disk_put_link(world.disk, "/mail/alice", "/not/mounted");
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    world_finish(&world);
    /* Between what all share and the user's own folder. */
    world = world_create(NULL);
    struct maildrop_options options = {.path = "/mail/%d/%n"};
    struct maildrop_store *store;
    assert_int_equal(maildir_create(&world.disk->fs, &options, NULL, &store, &world.error), 0);
    struct maildrop_owner owner = {.user = "alice@example.org"};
    operation = (struct maildrop_operation){0};
    disk_put_link(world.disk, "/mail/example.org", "/not/mounted");
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_TEMPORARY);
    disk_remove(world.disk, "/mail/example.org");
    assert_int_equal(maildrop_open(store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    maildrop_release(operation.result.opened.maildrop);
    maildrop_store_free(store);
    world_finish(&world);
}

static void operators_links_down_to_the_maildrop_are_followed(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    disk_make_folder(world.disk, "/disk2");
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    disk_move(world.disk, "/mail/alice", "/disk2/alice");
    disk_put_link(world.disk, "/mail/alice", "/disk2/alice");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "a\n");
    maildrop_release(maildrop);
    assert_true(disk_exists(world.disk, "/disk2/alice/" INDEX_NAME));
    world_finish(&world);
}

static void links_within_a_maildrop_are_never_followed(void **state)
{
    (void)state;
    static const char *const links[] = {"cur", "new"};
    for (size_t i = 0; i < 2; i++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        disk_make_folder(world.disk, "/mail/bob");
        disk_put_text(world.disk, "/mail/bob/1.secret", "bob's\n");
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/%s", links[i]);
        disk_remove(world.disk, path);
        disk_put_link(world.disk, path, "/mail/bob");
        struct maildrop_operation operation;
        assert_int_equal(try_open(&world, &operation), ERROR_PERMANENT);
        world_finish(&world);
    }
    /* A message, the index, the file of ids. */
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_put_text(world.disk, "/mail/bob", "bob's\n");
    disk_put_link(world.disk, "/mail/alice/cur/1.a:2,", "/mail/bob");
    disk_put_link(world.disk, "/mail/alice/" INDEX_NAME, "/mail/bob");
    world_wait(&world);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, strlen("/mail/bob"));
    assert_int_equal(read_error(maildrop, 0), ERROR_UNREADABLE);
    assert_int_equal(check_error(maildrop, 0), ERROR_UNREADABLE);
    maildrop_release(maildrop);
    size_t size;
    assert_string_equal((const char *)disk_get(world.disk, "/mail/bob", &size), "bob's\n");
    disk_put_link(world.disk, "/mail/alice/restante.ids", "/mail/bob");
    world_put(&world, "cur/2.b:2,", "b\n");
    struct maildrop_operation operation;
    assert_int_not_equal(try_open(&world, &operation), ERROR_NONE);
    world_finish(&world);
}

static void permissions_are_a_temporary_failure(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_deny(world.disk, "/mail/alice/cur", EACCES, 0);
    struct maildrop_operation operation;
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    world_finish(&world);
}

static void new_without_cur_gets_one(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_remove(world.disk, "/mail/alice/cur");
    world_put(&world, "new/1.a", "a\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    maildrop_release(maildrop);
    assert_true(disk_exists(world.disk, "/mail/alice/cur"));
    world_finish(&world);
}

static void cur_without_new_is_a_maildrop(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_remove(world.disk, "/mail/alice/new");
    world_put(&world, "cur/1.a:2,", "a\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    maildrop_release(maildrop);
    disk_make_folder(world.disk, "/mail/alice/new");
    world_put(&world, "new/2.b", "b\n");
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 6);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_second_session_is_told_who_holds_the_lock(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    struct maildrop *maildrop = open_drop(&world);
    uint64_t device;
    uint64_t inode;
    maildrop_identity(maildrop, &device, &inode);
    assert_int_not_equal(inode, 0);
    struct maildrop_operation operation;
    assert_int_equal(try_open(&world, &operation), ERROR_IN_USE);
    assert_int_equal(operation.result.holder.device, device);
    assert_int_equal(operation.result.holder.inode, inode);
    maildrop_release(maildrop);
    disk_hold_lock(world.disk, "/mail/alice/cur", true);
    assert_int_equal(try_open(&world, &operation), ERROR_IN_USE);
    disk_hold_lock(world.disk, "/mail/alice/cur", false);
    maildrop_release(open_drop(&world));
    assert_false(disk_is_locked(world.disk, "/mail/alice/cur"));
    world_finish(&world);
}

static void two_names_of_a_maildrop_meet_in_its_lock(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_put_link(world.disk, "/mail/alias", "/mail/alice");
    struct maildrop *maildrop = open_drop(&world);
    struct maildrop_owner owner = {.user = "alias"};
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_open(world.store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_IN_USE);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void where_flock_fails_it_is_permanent(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->no_locks = true;
    struct maildrop_operation operation;
    assert_int_equal(try_open(&world, &operation), ERROR_PERMANENT);
    assert_int_equal(operation.error.number, EBADF);
    world_finish(&world);
}

static int replacements;

static void replace_cur(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)name;
    if (operation == DISK_LOCK && replacements > 0) {
        replacements--;
        char old[64];
        (void)snprintf(old, sizeof old, "/mail/alice/old%d", replacements);
        disk_move(disk, "/mail/alice/cur", old);
        disk_make_folder(disk, "/mail/alice/cur");
        disk_put_text(disk, "/mail/alice/cur/2.b:2,", "b\n");
    }
}

static void a_folder_that_was_replaced_while_it_was_locked_is_left(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    replacements = 1;
    world.disk->before = replace_cur;
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    assert_string_equal(row_id(maildrop, 0), "2.b");
    assert_false(disk_is_locked(world.disk, "/mail/alice/old0"));
    assert_true(disk_is_locked(world.disk, "/mail/alice/cur"));
    maildrop_release(maildrop);
    replacements = 100;
    struct maildrop_operation operation;
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    world_finish(&world);
}

static void a_disk_that_cannot_be_written_is_served(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
        world_put(&world, "cur/1.a,S=4,W=6:2,", "a\na\n"); /* the same id */
        world.disk->read_only = full == 0;
        world.disk->full = full != 0;
        struct maildrop *maildrop = open_drop(&world);
        expect_drop(maildrop, 2, 9);
        char first[POP3_UNIQUE_ID_OCTETS + 1];
        (void)snprintf(first, sizeof first, "%s", row_id(maildrop, 1));
        assert_int_equal(first[0], '=');
        enum error_kind kind;
        assert_string_equal(read_text(maildrop, 1, &kind), "a\na\n");
        assert_int_equal(check_error(maildrop, 0), ERROR_NONE);
        if (full == 0) {
            struct committed committed = commit(maildrop, "0");
            assert_int_equal(committed.removed, 0);
            assert_int_equal(committed.not_removed, 1);
        } else {
            maildrop_release(maildrop);
        }
        assert_false(disk_exists(world.disk, "/mail/alice/" INDEX_NAME));
        maildrop = open_drop(&world);
        assert_string_equal(row_id(maildrop, 1), first);
        maildrop_release(maildrop);
        world_finish(&world);
    }
}

static void what_is_no_file_is_listed_and_never_opened(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    disk_make_folder(world.disk, "/mail/alice/cur/2.folder,S=5,W=6:2,");
    world_wait(&world);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 3 + 4096);
    assert_int_equal(read_error(maildrop, 1), ERROR_UNREADABLE);
    assert_int_equal(check_error(maildrop, 1), ERROR_UNREADABLE);
    assert_int_equal(read_error(maildrop, 0), ERROR_NONE); /* the session goes on */
    struct committed committed = commit(maildrop, "01");
    assert_int_equal(committed.removed, 1);
    assert_int_equal(committed.not_removed, 1);
    world_finish(&world);
}

static void a_file_that_may_not_be_read_is_listed_with_its_size(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\nb\n");
    disk_deny(world.disk, "/mail/alice/cur/1.a:2,", EACCES, 0);
    world_put(&world, "cur/2.b:2,", "a\nb\n");
    disk_deny(world.disk, "/mail/alice/cur/2.b:2,", 0, EIO);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 8);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(read_error(maildrop, i), ERROR_UNREADABLE);
        assert_int_equal(check_error(maildrop, i), ERROR_UNREADABLE);
    }
    maildrop_release(maildrop);
    /* Once it can be read it is served, and its row is right from the next login on. */
    disk_deny(world.disk, "/mail/alice/cur/1.a:2,", 0, 0);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 8);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "a\nb\n");
    maildrop_release(maildrop);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 10);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void sums_go_beyond_four_gigabytes(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=3000000000,W=3100000000:2,", "a\n");
    world_put(&world, "cur/2.b,S=3000000000,W=3100000000:2,", "a\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, UINT64_C(6200000000));
    assert_int_equal(row_octets(maildrop, 1), UINT64_C(3100000000));
    maildrop_release(maildrop);
    world_finish(&world);
}

static void the_accounts_own_path_is_opened(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    disk_make_folder(world.disk, "/home");
    disk_make_folder(world.disk, "/home/cur");
    disk_make_folder(world.disk, "/home/new");
    disk_put_text(world.disk, "/home/new/1.a", "a\n");
    struct maildrop_owner owner = {.user = "alice", .path = "/home"};
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_open(world.store, &owner, &operation), MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    assert_int_equal(operation.result.opened.count, 1);
    assert_int_equal(operation.result.opened.octets, 3);
    maildrop_release(operation.result.opened.maildrop);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_and_cur_are_listed_in_order_of_arrival),
        cmocka_unit_test(mail_that_arrives_later_is_not_in_the_session),
        cmocka_unit_test(octets_come_from_the_name_or_are_counted_once),
        cmocka_unit_test(an_unchanged_maildrop_is_not_scanned),
        cmocka_unit_test(a_maildrop_that_does_not_exist_is_empty),
        cmocka_unit_test(what_all_users_share_must_be_there),
        cmocka_unit_test(a_link_to_what_is_not_mounted_is_no_missing_folder),
        cmocka_unit_test(operators_links_down_to_the_maildrop_are_followed),
        cmocka_unit_test(links_within_a_maildrop_are_never_followed),
        cmocka_unit_test(permissions_are_a_temporary_failure),
        cmocka_unit_test(new_without_cur_gets_one),
        cmocka_unit_test(cur_without_new_is_a_maildrop),
        cmocka_unit_test(a_second_session_is_told_who_holds_the_lock),
        cmocka_unit_test(two_names_of_a_maildrop_meet_in_its_lock),
        cmocka_unit_test(where_flock_fails_it_is_permanent),
        cmocka_unit_test(a_folder_that_was_replaced_while_it_was_locked_is_left),
        cmocka_unit_test(a_disk_that_cannot_be_written_is_served),
        cmocka_unit_test(what_is_no_file_is_listed_and_never_opened),
        cmocka_unit_test(a_file_that_may_not_be_read_is_listed_with_its_size),
        cmocka_unit_test(sums_go_beyond_four_gigabytes),
        cmocka_unit_test(the_accounts_own_path_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
