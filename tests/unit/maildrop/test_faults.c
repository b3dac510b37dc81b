/* SPDX-License-Identifier: MIT */
/* Other programs act, and calls fail, at every point of a session: what is shown is never wrong. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/index.h"

enum { MESSAGES = 6 };

/* Six messages, three in each folder; the third's and the fourth's sizes must be counted. In turn for clients with
 * UTF-8 and without. */
static void put_six(struct world *world)
{
    static unsigned worlds;
    world->surrogates = worlds++ / 2 % 2 != 0;
    static const char *const names[MESSAGES] = {"new/1.x,S=3,W=4", "cur/2.x,S=3,W=4:2,",
                                                "new/3.x",         "cur/4.x:2,S",
                                                "new/5.x,S=3,W=4", "cur/6.x,S=3,W=4:2,"};
    world_make_maildrop(world);
    for (int i = 0; i < MESSAGES; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "%dx\n", i + 1);
        world_put(world, names[i], text);
    }
}

enum action { FLAG, MOVE, REMOVE, ARRIVE, FLAG_ALL, ACTIONS };

static struct {
    uint64_t at; /* the operation before which it happens */
    enum action action;
    bool done;
} foreign;

static void act(struct disk *disk)
{
    switch (foreign.action) {
    case FLAG:
        disk_move(disk, "/mail/alice/cur/4.x:2,S", "/mail/alice/cur/4.x:2,RS");
        break;
    case MOVE:
        disk_move(disk, "/mail/alice/new/3.x", "/mail/alice/cur/3.x:2,");
        break;
    case REMOVE:
        disk_remove(disk, "/mail/alice/cur/6.x,S=3,W=4:2,");
        break;
    case ARRIVE:
        disk_put_text(disk, "/mail/alice/new/0.x,S=3,W=4", "0x\n");
        break;
    case FLAG_ALL:
        disk_move(disk, "/mail/alice/cur/2.x,S=3,W=4:2,", "/mail/alice/cur/2.x,S=3,W=4:2,S");
        disk_move(disk, "/mail/alice/cur/4.x:2,S", "/mail/alice/cur/4.x:2,RS");
        disk_move(disk, "/mail/alice/cur/6.x,S=3,W=4:2,", "/mail/alice/cur/6.x,S=3,W=4:2,S");
        disk_move(disk, "/mail/alice/new/1.x,S=3,W=4", "/mail/alice/cur/1.x,S=3,W=4:2,");
        break;
    case ACTIONS:
        break;
    }
}

static void act_in_time(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)operation;
    (void)name;
    if (disk->count + 1 >= foreign.at && !foreign.done) {
        foreign.done = true;
        act(disk);
    }
}

/* Which of the messages 0 to 6 a row is. */
static int number_of(struct maildrop *maildrop, uint32_t row)
{
    const char *id = row_id(maildrop, row);
    assert_string_equal(id + 1, ".x");
    return id[0] - '0';
}

/* Each message that was there all the time is there once, and can be read. */
static void expect_all(struct maildrop *maildrop, bool readable)
{
    bool seen[MESSAGES + 1] = {false};
    uint32_t count = maildir_of(maildrop)->snapshot.header.count;
    for (uint32_t row = 0; row < count; row++) {
        int number = number_of(maildrop, row);
        assert_true(number >= 0 && number <= MESSAGES && !seen[number]);
        seen[number] = true;
        enum error_kind kind;
        const char *text = read_text(maildrop, row, &kind);
        if (text == NULL) {
            assert_true(!readable || (number == 6 && kind == ERROR_GONE));
        } else {
            assert_int_equal(text[0], '0' + number);
            assert_string_equal(text + 1, "x\n");
        }
    }
    for (int i = 1; i <= MESSAGES; i++) {
        assert_true(seen[i] || (i == 6 && foreign.action == REMOVE));
    }
}

static void another_program_may_act_at_any_time(void **state)
{
    (void)state;
    for (int action = 0; action < ACTIONS; action++) {
        uint64_t nth = 1;
        do {
            struct world world = world_create(NULL);
            put_six(&world);
            if (nth % 2 == 0) {
                maildrop_release(open_drop(&world)); /* with an index */
            }
            foreign.at = world.disk->count + nth / 2 + 1;
            foreign.action = (enum action)action;
            foreign.done = false;
            world.disk->before = act_in_time;
            struct maildrop *maildrop = open_drop(&world);
            expect_all(maildrop, true);
            (void)commit(maildrop, "");
            bool in_time = foreign.done;
            world.disk->before = NULL;
            world_wait(&world);
            maildrop = open_drop(&world);
            expect_all(maildrop, true);
            uint32_t expected = MESSAGES;
            if (in_time) {
                expected = expected + (action == ARRIVE) - (action == REMOVE);
            }
            assert_int_equal(maildir_of(maildrop)->snapshot.header.count, expected);
            maildrop_release(maildrop);
            world_finish(&world);
            nth = in_time ? nth + 1 : 0;
        } while (nth != 0);
    }
}

/* A whole session; false if it did not get to its end. */
static bool session(struct world *world)
{
    struct maildrop_operation operation;
    if (try_open(world, &operation) != ERROR_NONE) {
        return false;
    }
    struct maildrop *maildrop = operation.result.opened.maildrop;
    assert_int_equal(operation.result.opened.count, MESSAGES);
    static struct maildrop_page page;
    operation = (struct maildrop_operation){0};
    assert_int_equal(maildrop_rows(maildrop, 0, MESSAGES, &page, &operation), MAILDROP_DONE);
    if (operation.error.kind == ERROR_NONE) {
        for (int i = 0; i < MESSAGES; i++) {
            assert_int_equal(page.rows[i].unique_id_size, 3);
            assert_int_equal(page.rows[i].unique_id[0], '1' + i);
        }
    }
    for (uint32_t i = 0; i < MESSAGES; i++) {
        enum error_kind kind;
        const char *text = read_text(maildrop, i, &kind);
        assert_true(text == NULL || (text[0] == (char)('1' + i) && strcmp(text + 1, "x\n") == 0));
        assert_int_not_equal(kind, ERROR_GONE);
    }
    operation = (struct maildrop_operation){0};
    uint8_t marks = 0x05; /* the first and the third */
    assert_int_equal(maildrop_commit(maildrop, &marks, &operation), MAILDROP_DONE);
    assert_int_equal(operation.result.committed.removed + operation.result.committed.not_removed,
                     2);
    return true;
}

static void expect_left(struct world *world)
{
    world_wait(world);
    struct maildrop *maildrop = open_drop(world);
    uint32_t count = maildir_of(maildrop)->snapshot.header.count;
    assert_true(count >= MESSAGES - 2 && count <= MESSAGES);
    bool seen[MESSAGES + 1] = {false};
    for (uint32_t i = 0; i < count; i++) {
        int number = number_of(maildrop, i);
        enum error_kind kind;
        const char *text = read_text(maildrop, i, &kind);
        assert_non_null(text);
        assert_int_equal(text[0], '0' + number);
        seen[number] = true;
    }
    assert_true(seen[2] && seen[4] && seen[5] && seen[6]);
    maildrop_release(maildrop);
}

static void every_call_of_a_session_may_fail(void **state)
{
    (void)state;
    static const int numbers[] = {EIO, ENOMEM, EMFILE, EACCES, ENOSPC, EROFS};
    for (size_t e = 0; e < sizeof numbers / sizeof numbers[0]; e++) {
        for (int indexed = 0; indexed < 2; indexed++) {
            uint64_t nth = 1;
            for (bool reached = true; reached; nth++) {
                struct world world = world_create(NULL);
                put_six(&world);
                if (indexed != 0) {
                    maildrop_release(open_drop(&world));
                }
                uint64_t begin = world.disk->count;
                world.disk->fail_at = begin + nth;
                world.disk->fail_number = numbers[e];
                bool whole = session(&world);
                reached = world.disk->count >= begin + nth;
                assert_true(whole || reached);
                world.disk->fail_at = 0;
                assert_int_equal(disk_open_descriptors(world.disk), 0);
                assert_false(disk_is_locked(world.disk, "/mail/alice/cur"));
                expect_left(&world);
                world_finish(&world);
            }
            assert_true(nth > 40);
        }
    }
}

/* From one call on, nothing works: no crash, no leak, nothing removed that was not marked. */
static void a_disk_that_dies_takes_nothing_with_it(void **state)
{
    (void)state;
    uint64_t nth = 1;
    for (bool reached = true; reached; nth++) {
        struct world world = world_create(NULL);
        put_six(&world);
        uint64_t begin = world.disk->count;
        world.disk->fail_at = begin + nth;
        world.disk->stop_at_failure = true;
        (void)session(&world);
        reached = world.disk->count >= begin + nth;
        assert_int_equal(disk_open_descriptors(world.disk), 0);
        world.disk->stopped = false;
        world.disk->fail_at = 0;
        expect_left(&world);
        world_finish(&world);
    }
    assert_true(nth > 40);
}

static int turns;

static void flag_all_the_time(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)name;
    if (operation == DISK_LIST) {
        char from[64];
        char to[64];
        (void)snprintf(from, sizeof from, "/mail/alice/cur/1.x:2,%d", turns);
        (void)snprintf(to, sizeof to, "/mail/alice/cur/1.x:2,%d", turns + 1);
        disk->now_ns += 100000000;
        disk_move(disk, from, to);
        turns++;
    }
}

static void deliver_all_the_time(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)name;
    if (operation == DISK_LIST && turns < 1000) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/new/%d.x,S=0,W=0", 100 + turns);
        disk->now_ns += 100000000;
        disk_put_text(disk, path, "");
        turns++;
    }
}

static void a_folder_that_never_rests_is_a_temporary_failure(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.x:2,0", "x\n");
    turns = 0;
    world.disk->before = flag_all_the_time;
    struct maildrop_operation operation;
    assert_int_equal(try_open(&world, &operation), ERROR_TEMPORARY);
    assert_true(turns > 5);
    world_finish(&world);
    /* New mail all the time hides nothing of the old. */
    world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.x:2,", "x\n");
    turns = 0;
    world.disk->before = deliver_all_the_time;
    struct maildrop *maildrop = open_drop(&world);
    world.disk->before = NULL;
    assert_string_equal(row_id(maildrop, 0), "1.x");
    assert_false(maildir_of(maildrop)->snapshot.header.trusted);
    maildrop_release(maildrop);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_program_may_act_at_any_time),
        cmocka_unit_test(every_call_of_a_session_may_fail),
        cmocka_unit_test(a_disk_that_dies_takes_nothing_with_it),
        cmocka_unit_test(a_folder_that_never_rests_is_a_temporary_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
