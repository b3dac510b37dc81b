/* SPDX-License-Identifier: MIT */
/* When the index is believed. Clocks have ticks, and go back; no change is ever overlooked. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/index.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

static uint32_t count_messages(struct world *world)
{
    struct maildrop *maildrop = open_drop(world);
    uint32_t count = maildir_of(maildrop)->snapshot.header.count;
    maildrop_release(maildrop);
    return count;
}

static bool is_trusted(struct world *world)
{
    struct maildrop *maildrop = open_drop(world);
    bool trusted = maildir_of(maildrop)->snapshot.header.trusted;
    maildrop_release(maildrop);
    return trusted;
}

static void a_scan_within_two_ticks_of_a_change_is_not_believed(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->step_ns = 0;
    world.disk->now_ns = world.disk->now_ns / SECOND * SECOND + SECOND + 4 * MILLISECOND;
    disk_put_text(world.disk, "/mail/alice/new/1.a", "a\n");
    assert_false(is_trusted(&world));
    world.disk->now_ns += 7 * MILLISECOND;
    assert_false(is_trusted(&world));
    world.disk->now_ns += 1 * MILLISECOND;
    assert_true(is_trusted(&world));
    world_finish(&world);
}

/* Mail that arrives in the tick of the scan leaves no trace in the folder's time. */
static void mail_in_the_same_tick_is_seen_at_the_next_login(void **state)
{
    (void)state;
    for (int64_t before = 0; before < 12 * MILLISECOND; before += MILLISECOND / 2) {
        for (int64_t after = 0; after < 12 * MILLISECOND; after += MILLISECOND / 2) {
            struct world world = world_create(NULL);
            world_make_maildrop(&world);
            world.disk->step_ns = 0;
            disk_put_text(world.disk, "/mail/alice/new/1.a", "a\n");
            world.disk->now_ns += before;
            assert_int_equal(count_messages(&world), 1);
            world.disk->now_ns += after;
            disk_put_text(world.disk, "/mail/alice/new/2.b", "b\n");
            world_wait(&world);
            assert_int_equal(count_messages(&world), 2);
            world_finish(&world);
        }
    }
}

static void a_clock_that_was_set_back_is_not_believed(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->step_ns = 0;
    int64_t changed = world.disk->now_ns;
    disk_put_text(world.disk, "/mail/alice/new/1.a", "a\n");
    world.disk->now_ns += 3600 * SECOND;
    assert_int_equal(count_messages(&world), 1);
    assert_true(is_trusted(&world));
    /* The very time of the last change comes again, and another change with it. */
    world.disk->now_ns = changed;
    disk_put_text(world.disk, "/mail/alice/new/2.b", "b\n");
    world.disk->now_ns += SECOND;
    assert_int_equal(count_messages(&world), 2);
    /* And what was changed in what is now the future. */
    world.disk->now_ns += 7200 * SECOND;
    disk_put_text(world.disk, "/mail/alice/new/3.c", "c\n");
    world.disk->now_ns -= 3600 * SECOND;
    assert_int_equal(count_messages(&world), 3);
    assert_false(is_trusted(&world));
    world_finish(&world);
}

static void another_machines_times_are_not_believed(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->remote = true;
    world_put(&world, "cur/1.a:2,", "a\n");
    assert_int_equal(count_messages(&world), 1);
    assert_false(is_trusted(&world));
    world_finish(&world);
}

static uint64_t random_number(struct disk *disk, uint64_t below)
{
    disk->random = disk->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (disk->random >> 33) % below;
}

/* The maildrop as another program knows it. */
struct truth {
    bool present[600];
    unsigned made;
};

/* So many that lie in cur/ from the beginning. */
static void begin_with(struct world *world, struct truth *truth, unsigned messages)
{
    for (; truth->made < messages; truth->made++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/cur/%u.x:2,S", truth->made);
        disk_put_text(world->disk, path, "x\n");
        truth->present[truth->made] = true;
    }
}

static void change_something(struct world *world, struct truth *truth)
{
    char path[64];
    char other[64];
    unsigned number = truth->made == 0 ? 0 : (unsigned)random_number(world->disk, truth->made);
    if (random_number(world->disk, 3) == 0 || truth->made == 0) {
        (void)snprintf(path, sizeof path, "/mail/alice/new/%u.x", truth->made);
        disk_put_text(world->disk, path, "x\n");
        truth->present[truth->made++] = true;
        return;
    }
    (void)snprintf(path, sizeof path, "/mail/alice/new/%u.x", number);
    (void)snprintf(other, sizeof other, "/mail/alice/cur/%u.x:2,S", number);
    if (disk_exists(world->disk, path) && random_number(world->disk, 2) == 0) {
        disk_move(world->disk, path, other);
    } else if (truth->present[number]) {
        disk_remove(world->disk, disk_exists(world->disk, path) ? path : other);
        truth->present[number] = false;
    }
}

static void expect_truth(struct world *world, const struct truth *truth)
{
    struct maildrop *maildrop = open_drop(world);
    uint32_t row = 0;
    for (unsigned i = 0; i < truth->made; i++) {
        char id[32];
        if (truth->present[i]) {
            (void)snprintf(id, sizeof id, "%u.x", i);
            assert_true(row < maildir_of(maildrop)->snapshot.header.count);
            assert_string_equal(row_id(maildrop, row), id);
            row++;
        }
    }
    assert_int_equal(maildir_of(maildrop)->snapshot.header.count, row);
    maildrop_release(maildrop);
}

/* Changes and logins at random, with every kind of tick; what is told to the store is the kernel's. */
static void change_at_random(unsigned messages, uint64_t seeds, int steps)
{
    static const int64_t ticks[] = {1,      MILLISECOND, 4 * MILLISECOND, 10 * MILLISECOND,
                                    SECOND, 2 * SECOND};
    for (uint64_t seed = 0; seed < seeds; seed++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world.disk->tick_ns = ticks[seed % 6];
        world.disk->told_tick_ns = seed % 6 >= 4 ? 4 * MILLISECOND : 0;
        world.disk->step_ns = 1000;
        world.disk->random = seed;
        struct truth truth = {.made = 0};
        begin_with(&world, &truth, messages);
        for (int step = 0; step < steps; step++) {
            for (uint64_t changes = random_number(world.disk, 4); changes > 0; changes--) {
                change_something(&world, &truth);
                if (random_number(world.disk, 2) == 0) {
                    world.disk->now_ns +=
                        (int64_t)random_number(world.disk, (uint64_t)world.disk->tick_ns * 3);
                }
            }
            expect_truth(&world, &truth);
        }
        world_finish(&world);
    }
}

static void no_change_is_overlooked(void **state)
{
    (void)state;
    change_at_random(0, 120, 80);
}

/* With so many that a folder that has not changed is not listed. */
static void no_change_of_many_messages_is_overlooked(void **state)
{
    (void)state;
    change_at_random(300, 60, 60);
}

static void a_damaged_index_costs_time_and_nothing_else(void **state)
{
    (void)state;
    for (size_t at = 0; at < 2 * INDEX_BLOCK_OCTETS; at += 37) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world_put(&world, "cur/1.a:2,", "a\n");
        world_put(&world, "new/2.b", "b\n");
        maildrop_release(open_drop(&world));
        size_t size;
        static uint8_t copy[4 * INDEX_BLOCK_OCTETS];
        memcpy(copy, disk_get(world.disk, "/mail/alice/" INDEX_NAME, &size),
               2 * INDEX_BLOCK_OCTETS);
        assert_int_equal(size, 2 * INDEX_BLOCK_OCTETS);
        copy[at] ^= 0x10;
        disk_overwrite(world.disk, "/mail/alice/" INDEX_NAME, copy, size);
        struct maildrop *maildrop = open_drop(&world);
        expect_drop(maildrop, 2, 6);
        assert_string_equal(row_id(maildrop, 0), "1.a");
        assert_string_equal(row_id(maildrop, 1), "2.b");
        enum error_kind kind;
        assert_string_equal(read_text(maildrop, 1, &kind), "b\n");
        assert_int_equal(commit(maildrop, "0").removed, 1);
        world_finish(&world);
    }
}

static void an_index_damaged_during_a_session_is_made_anew(void **state)
{
    (void)state;
    for (int changed = 0; changed < 2; changed++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world_put(&world, "cur/1.a:2,", "a\n");
        world_put(&world, "cur/2.b:2,", "b\n");
        struct maildrop *maildrop = open_drop(&world);
        disk_overwrite(world.disk, "/mail/alice/" INDEX_NAME, "", 0);
        if (changed != 0) {
            disk_put_text(world.disk, "/mail/alice/new/0.first", "would move all rows\n");
            struct maildrop_page page;
            struct maildrop_operation operation = {0};
            assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &operation), MAILDROP_DONE);
            assert_int_equal(operation.error.kind, ERROR_CORRUPT);
            maildrop_release(maildrop);
            maildrop = open_drop(&world);
            expect_drop(maildrop, 3, 6 + 21);
            maildrop_release(maildrop);
        } else {
            assert_string_equal(row_id(maildrop, 1), "2.b");
            enum error_kind kind;
            assert_string_equal(read_text(maildrop, 0, &kind), "a\n");
            assert_int_equal(commit(maildrop, "1").removed, 1);
        }
        world_finish(&world);
    }
}

static void what_stands_in_the_indexs_place_does_no_harm(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    disk_make_folder(world.disk, "/mail/alice/" INDEX_NAME);
    disk_put_text(world.disk, "/mail/alice/" INDEX_NAME ".new", "left by a process that died");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    assert_string_equal(row_id(maildrop, 0), "1.a");
    maildrop_release(maildrop);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_within_two_ticks_of_a_change_is_not_believed),
        cmocka_unit_test(mail_in_the_same_tick_is_seen_at_the_next_login),
        cmocka_unit_test(a_clock_that_was_set_back_is_not_believed),
        cmocka_unit_test(another_machines_times_are_not_believed),
        cmocka_unit_test(no_change_is_overlooked),
        cmocka_unit_test(no_change_of_many_messages_is_overlooked),
        cmocka_unit_test(a_damaged_index_costs_time_and_nothing_else),
        cmocka_unit_test(an_index_damaged_during_a_session_is_made_anew),
        cmocka_unit_test(what_stands_in_the_indexs_place_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
