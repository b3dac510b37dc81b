/* SPDX-License-Identifier: MIT */
/* A folder that has not changed since the index was made is not listed; what comes of it is what listing both gives. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "maildrop/maildir/ids.h"
#include "maildrop/maildir/index.h"
#include "maildrop/maildir/name.h"

enum { MESSAGES = 400 };

#define INDEX_PATH "/mail/alice/" INDEX_NAME
#define IDS_PATH   "/mail/alice/" IDS_NAME

static uint32_t count_of(const struct maildrop *maildrop)
{
    return maildir_of((struct maildrop *)(uintptr_t)maildrop)->snapshot.header.count;
}

/* With a trusted index: 1000, 1004 and so on in cur/, 1002, 1006 and so on in new/. */
static struct world create(void)
{
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    for (int i = 0; i < MESSAGES; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/%s/%d.x,S=2%s", i % 2 == 0 ? "cur" : "new",
                       1000 + 2 * i, i % 2 == 0 ? ":2," : "");
        disk_put_text(world.disk, path, "x\n");
    }
    disk_settle(world.disk);
    world_wait(&world);
    maildrop_release(open_drop(&world));
    return world;
}

/* What a login sees, in words. */
struct sight {
    char text[(MESSAGES + 10) * 40];
    size_t size;
};

static void see(struct world *world, struct sight *sight)
{
    struct maildrop *maildrop = open_drop(world);
    sight->size = 0;
    for (uint32_t i = 0; i < count_of(maildrop); i++) {
        sight->size += (size_t)snprintf(sight->text + sight->size, sizeof sight->text - sight->size,
                                        "%s %llu\n", row_id(maildrop, i),
                                        (unsigned long long)row_octets(maildrop, i));
        assert_true(sight->size < sizeof sight->text);
    }
    struct index_header header = maildir_of(maildrop)->snapshot.header;
    sight->size +=
        (size_t)snprintf(sight->text + sight->size, sizeof sight->text - sight->size,
                         "%u %llu %llu %d\n", header.count, (unsigned long long)header.octets,
                         (unsigned long long)header.surrogates, header.examined);
    maildrop_release(maildrop);
}

/* Logs in; then again, with both folders listed: that shows the same. The disk lists two names a call,
 * and each folder has half of them. */
static void expect_same_as_whole(struct world *world, bool lists_one)
{
    static struct sight part;
    static struct sight whole;
    world_wait(world);
    uint64_t before = world->disk->counts[DISK_LIST];
    see(world, &part);
    assert_int_equal(world->disk->counts[DISK_LIST] - before < MESSAGES * 3 / 8, lists_one);
    see(world, &whole);
    assert_string_equal(part.text, whole.text);
    disk_remove(world->disk, INDEX_PATH);
    see(world, &whole);
    assert_string_equal(part.text, whole.text);
}

static void only_what_changed_is_listed(void **state)
{
    (void)state;
    struct world world = create();
    disk_put_text(world.disk, "/mail/alice/new/2000.x,S=4", "x\ny\n");
    disk_put_text(world.disk, "/mail/alice/new/0900.x", "first\n");
    disk_put_text(world.disk, "/mail/alice/new/1101.y", "between\n");
    disk_remove(world.disk, "/mail/alice/new/1002.x,S=2");
    expect_same_as_whole(&world, true);
    disk_put_text(world.disk, "/mail/alice/cur/2001.x:2,", "x\n");
    disk_move(world.disk, "/mail/alice/cur/1012.x,S=2:2,", "/mail/alice/cur/1012.x,S=2:2,S");
    disk_remove(world.disk, "/mail/alice/cur/1796.x,S=2:2,");
    expect_same_as_whole(&world, true);
    disk_move(world.disk, "/mail/alice/new/1006.x,S=2", "/mail/alice/cur/1006.x,S=2:2,");
    expect_same_as_whole(&world, false);
    world_finish(&world);
}

static void a_folder_may_become_empty(void **state)
{
    (void)state;
    struct world world = create();
    for (int i = 1; i < MESSAGES; i += 2) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/new/%d.x,S=2", 1000 + 2 * i);
        disk_remove(world.disk, path);
    }
    expect_same_as_whole(&world, true);
    world_finish(&world);
}

static void where_ids_could_meet_both_are_listed(void **state)
{
    (void)state;
    static const char *const names[] = {"1000.x,S=4", "1796.x,S=4", "1796.y", "1000.a", "1002.y"};
    for (size_t i = 0; i < 5; i++) {
        struct world world = create();
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/new/%s", names[i]);
        disk_put_text(world.disk, path, "x\ny\n");
        expect_same_as_whole(&world, i == 4); /* beside one of the folder that is listed */
        assert_int_equal(disk_exists(world.disk, IDS_PATH), i < 2);
        /* With ids that do not follow from names both are, from now on. */
        disk_put_text(world.disk, "/mail/alice/new/3000.x", "x\n");
        expect_same_as_whole(&world, i >= 2);
        world_finish(&world);
    }
}

static void one_message_in_both_folders_is_one(void **state)
{
    (void)state;
    struct world world = create();
    disk_put_text(world.disk, "/mail/alice/new/1000.x,S=2", "x\n");
    expect_same_as_whole(&world, false);
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(count_of(maildrop), MESSAGES);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void put_another(struct disk *disk, enum disk_operation operation, const char *name)
{
    if (operation == DISK_OPEN && strcmp(name, IDS_NAME) == 0 &&
        !disk_exists(disk, "/mail/alice/new/2001.x")) {
        disk_put_text(disk, "/mail/alice/new/2001.x", "x\n");
    }
}

static void ids_that_appear_are_heeded(void **state)
{
    (void)state;
    struct world world = create();
    disk_put_text(world.disk, IDS_PATH, "restante ids 1\n=taken 1000.x,S=2\n");
    disk_put_text(world.disk, "/mail/alice/new/2000.x", "x\n");
    world_wait(&world);
    world.disk->before = put_another;
    expect_same_as_whole(&world, false);
    world.disk->before = NULL;
    struct maildrop *maildrop = open_drop(&world);
    assert_string_equal(row_id(maildrop, 0), "=taken");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void damage_elsewhere_costs_a_whole_scan(void **state)
{
    (void)state;
    struct world world = create();
    static uint8_t copy[64 * INDEX_BLOCK_OCTETS];
    size_t size;
    const uint8_t *octets = disk_get(world.disk, INDEX_PATH, &size);
    assert_true(size > 4 * INDEX_BLOCK_OCTETS && size <= sizeof copy);
    memcpy(copy, octets, size);
    copy[3 * INDEX_BLOCK_OCTETS + 100] ^= 1;
    disk_overwrite(world.disk, INDEX_PATH, copy, size);
    disk_put_text(world.disk, "/mail/alice/new/2000.x", "x\n");
    expect_same_as_whole(&world, false);
    world_finish(&world);
}

static void lose_a_file(struct disk *disk, enum disk_operation operation, const char *name)
{
    if (operation == DISK_OPEN && strstr(name, "2000.x") != NULL) {
        disk_remove(disk, "/mail/alice/new/2000.x");
    }
}

static void a_file_that_vanishes_meanwhile_is_not_shown(void **state)
{
    (void)state;
    struct world world = create();
    disk_put_text(world.disk, "/mail/alice/new/2000.x", "x\n");
    disk_put_text(world.disk, "/mail/alice/new/2001.x", "x\n");
    world_wait(&world);
    world.disk->before = lose_a_file;
    struct maildrop *maildrop = open_drop(&world);
    world.disk->before = NULL;
    assert_int_equal(count_of(maildrop), MESSAGES + 1);
    assert_string_equal(row_id(maildrop, MESSAGES), "2001.x");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void who_needs_surrogates_gets_all_examined(void **state)
{
    (void)state;
    struct world world = create();
    world.surrogates = true;
    disk_put_text(world.disk, "/mail/alice/new/2000.x", "Subject: \xc3\xa4\n\nx\n");
    expect_same_as_whole(&world, false);
    disk_put_text(world.disk, "/mail/alice/new/2001.x", "Subject: \xc3\xb6\n\nx\n");
    expect_same_as_whole(&world, true);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed_is_listed),
        cmocka_unit_test(a_folder_may_become_empty),
        cmocka_unit_test(where_ids_could_meet_both_are_listed),
        cmocka_unit_test(one_message_in_both_folders_is_one),
        cmocka_unit_test(ids_that_appear_are_heeded),
        cmocka_unit_test(damage_elsewhere_costs_a_whole_scan),
        cmocka_unit_test(a_file_that_vanishes_meanwhile_is_not_shown),
        cmocka_unit_test(who_needs_surrogates_gets_all_examined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
