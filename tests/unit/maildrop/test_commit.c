/* SPDX-License-Identifier: MIT */
/* Removing exactly what was marked (promise 1). */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void put_five(struct world *world)
{
    world_make_maildrop(world);
    for (int i = 1; i <= 5; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, i % 2 == 0 ? "new/%d.x" : "cur/%d.x:2,", i);
        world_put(world, name, "x\n");
    }
}

static size_t messages(const struct world *world)
{
    return disk_count(world->disk, "/mail/alice/new") + disk_count(world->disk, "/mail/alice/cur");
}

/* All 32 sets of five messages. */
static void exactly_the_marked_are_removed(void **state)
{
    (void)state;
    for (unsigned set = 0; set < 32; set++) {
        struct world world = world_create(NULL);
        put_five(&world);
        char numbers[6] = {0};
        for (unsigned i = 0, used = 0; i < 5; i++) {
            if ((set >> i & 1) != 0) {
                numbers[used++] = (char)('0' + i);
            }
        }
        struct committed committed = commit(open_drop(&world), numbers);
        assert_int_equal(committed.removed, strlen(numbers));
        assert_int_equal(committed.not_removed, 0);
        for (unsigned i = 0; i < 5; i++) {
            char path[64];
            (void)snprintf(path, sizeof path,
                           i % 2 == 1 ? "/mail/alice/new/%u.x" : "/mail/alice/cur/%u.x:2,", i + 1);
            assert_int_equal(disk_exists(world.disk, path), (set >> i & 1) == 0);
        }
        assert_false(disk_is_locked(world.disk, "/mail/alice/cur"));
        world_finish(&world);
    }
}

static void release_removes_nothing(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    put_five(&world);
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(check_error(maildrop, 0), ERROR_NONE); /* what DELE asks */
    maildrop_release(maildrop);
    assert_int_equal(messages(&world), 5);
    assert_int_equal(commit(open_drop(&world), "").removed, 0);
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_commit(open_drop(&world), NULL, &operation), MAILDROP_DONE);
    assert_int_equal(messages(&world), 5);
    world_finish(&world);
}

static void what_moved_is_removed_and_what_is_gone_is_no_failure(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    put_five(&world);
    struct maildrop *maildrop = open_drop(&world);
    disk_move(world.disk, "/mail/alice/new/2.x", "/mail/alice/cur/2.x:2,S");
    disk_move(world.disk, "/mail/alice/cur/3.x:2,", "/mail/alice/cur/3.x:2,T");
    disk_remove(world.disk, "/mail/alice/cur/1.x:2,");
    uint64_t lists = world.disk->counts[DISK_LIST];
    struct committed committed = commit(maildrop, "0123");
    assert_int_equal(committed.removed, 4);
    assert_int_equal(committed.not_removed, 0);
    assert_int_equal(messages(&world), 1);
    assert_true(disk_exists(world.disk, "/mail/alice/cur/5.x:2,"));
    assert_true(world.disk->counts[DISK_LIST] - lists <= 8); /* one scan for all of them */
    world_finish(&world);
}

static int renames;

static void rename_again(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)name;
    if (operation == DISK_UNLINK && renames > 0) {
        char from[64];
        char to[64];
        renames--;
        (void)snprintf(from, sizeof from, "/mail/alice/cur/1.x:2,%d", renames + 1);
        (void)snprintf(to, sizeof to, "/mail/alice/cur/1.x:2,%d", renames);
        disk_move(disk, from, to);
    }
}

static void a_file_that_is_renamed_between_scan_and_removal_is_found(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.x:2,3", "x\n");
    renames = 3;
    struct maildrop *maildrop = open_drop(&world);
    world.disk->before = rename_again;
    struct committed committed = commit(maildrop, "0");
    assert_int_equal(committed.removed, 1);
    assert_int_equal(messages(&world), 0);
    /* One that is renamed for ever stays, and is told of. */
    world.disk->before = NULL;
    world_put(&world, "cur/1.x:2,1000", "x\n");
    renames = 1000;
    maildrop = open_drop(&world);
    world.disk->before = rename_again;
    committed = commit(maildrop, "0");
    assert_int_equal(committed.removed, 0);
    assert_int_equal(committed.not_removed, 1);
    assert_int_equal(messages(&world), 1);
    world_finish(&world);
}

/* RFC 1939 section 6: some deleted messages not removed. */
static void a_removal_that_fails_is_counted_and_the_others_go_on(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct world world = world_create(NULL);
        put_five(&world);
        struct maildrop *maildrop = open_drop(&world);
        uint64_t begin = world.disk->count;
        world.disk->fail_at = begin + nth;
        world.disk->fail_number = EACCES;
        struct committed committed = commit(maildrop, "024");
        bool reached = world.disk->count >= begin + nth;
        assert_int_equal(committed.removed + committed.not_removed, 3);
        assert_int_equal(5 - messages(&world), committed.removed);
        assert_true(disk_exists(world.disk, "/mail/alice/new/2.x"));
        assert_true(disk_exists(world.disk, "/mail/alice/new/4.x"));
        world.disk->fail_at = 0;
        struct maildrop *again = open_drop(&world);
        expect_drop(again, 5 - committed.removed, 3 * (5 - committed.removed));
        maildrop_release(again);
        world_finish(&world);
        if (!reached) {
            assert_int_equal(committed.removed, 3);
            break;
        }
    }
}

static void it_costs_what_is_removed(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    for (int i = 0; i < 300; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/cur/%d.x,S=2,W=3:2,", i);
        disk_put_text(world.disk, path, "x\n");
    }
    world_wait(&world);
    maildrop_release(open_drop(&world));
    struct maildrop *maildrop = open_drop(&world);
    uint64_t before = world.disk->count;
    assert_int_equal(commit(maildrop, "159").removed, 3);
    assert_true(world.disk->count - before <= 40);
    assert_int_equal(world.disk->counts[DISK_SYNC], 0); /* `+OK` does not wait for a disk */
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_the_marked_are_removed),
        cmocka_unit_test(release_removes_nothing),
        cmocka_unit_test(what_moved_is_removed_and_what_is_gone_is_no_failure),
        cmocka_unit_test(a_file_that_is_renamed_between_scan_and_removal_is_found),
        cmocka_unit_test(a_removal_that_fails_is_counted_and_the_others_go_on),
        cmocka_unit_test(it_costs_what_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
