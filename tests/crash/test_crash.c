/* SPDX-License-Identifier: MIT */
/* The power goes at every operation of a delivery, a session and a first login with ids to be written
 * down; the disk then loses all, nothing or some of what was not synced. Whatever was promised before
 * holds afterwards (DESIGN: promises 1, 2 and 4). */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/index.h"

enum { MESSAGES = 4, LOSSES = 12 };

/* The first two lose all and nothing, the others some. */
static void crash(struct world *world, uint64_t loss)
{
    world->disk->random = loss;
    disk_crash(world->disk, loss == 0   ? DISK_LOSE_ALL
                            : loss == 1 ? DISK_LOSE_NOTHING
                                        : DISK_LOSE_SOME);
}

static void put_durably(struct world *world)
{
    world_make_maildrop(world);
    for (int i = 1; i <= MESSAGES; i++) {
        char name[64];
        char text[8];
        (void)snprintf(name, sizeof name, i % 2 == 0 ? "cur/%d.x:2," : "new/%d.x", i);
        (void)snprintf(text, sizeof text, "%dx\n", i);
        world_put(world, name, text);
    }
}

static bool exists(struct world *world)
{
    return disk_exists(world->disk, "/mail/alice/cur");
}

/* Every message that a client can see is whole; how many have this text. */
static unsigned count_whole(struct world *world, const char *text)
{
    unsigned found = 0;
    struct maildrop *maildrop = open_drop(world);
    uint32_t count = maildir_of(maildrop)->snapshot.header.count;
    for (uint32_t i = 0; i < count; i++) {
        enum error_kind kind;
        const char *read = read_text(maildrop, i, &kind);
        assert_non_null(read);
        if (strcmp(read, text) == 0) {
            found++;
        } else {
            assert_true(read[0] >= '1' && read[0] <= '4');
            assert_string_equal(read + 1, "x\n");
        }
    }
    maildrop_release(maildrop);
    return found;
}

enum maildrop_before { NONE_YET, DURABLE, JUST_MADE_BY_ANOTHER };

static void make_before(struct world *world, enum maildrop_before before)
{
    if (before == DURABLE) {
        put_durably(world);
        world->disk->now_ns += INT64_C(3) * 24 * 3600 * 1000000000;
    } else if (before == JUST_MADE_BY_ANOTHER) {
        disk_make_folder(world->disk, "/mail/alice");
        disk_make_folder(world->disk, "/mail/alice/tmp");
        disk_make_folder(world->disk, "/mail/alice/cur");
        disk_make_folder(world->disk, "/mail/alice/new");
    }
}

/* Crashes at operation `nth` of a delivery; false once the delivery needs fewer. */
static bool deliver_and_crash(enum maildrop_before before, uint64_t nth, uint64_t loss)
{
    static const char text[] = "From: a\n\nhello\n";
    struct world world = world_create(NULL);
    make_before(&world, before);
    uint64_t begin = world.disk->count;
    world.disk->fail_at = begin + nth;
    world.disk->stop_at_failure = true;
    bool delivered = deliver(&world, "alice", text) == ERROR_NONE;
    bool reached = world.disk->count >= begin + nth;
    assert_true(delivered || reached);
    crash(&world, loss);
    unsigned found = exists(&world) ? count_whole(&world, text) : 0;
    if (delivered) {
        assert_int_equal(found, 1);
    }
    assert_true(found <= 1);
    if (before == DURABLE) {
        assert_int_equal(disk_count(world.disk, "/mail/alice/cur"), 2);
        assert_true(disk_count(world.disk, "/mail/alice/new") >= 2);
    }
    world_finish(&world);
    return reached;
}

static void deliver_at_every_point(enum maildrop_before before, uint64_t least)
{
    for (uint64_t loss = 0; loss < LOSSES; loss++) {
        uint64_t nth = 1;
        while (deliver_and_crash(before, nth, loss)) {
            nth++;
        }
        assert_true(nth > least); /* else nothing was tried */
    }
}

static void what_was_delivered_survives_a_crash(void **state)
{
    (void)state;
    deliver_at_every_point(DURABLE, 15);
}

static void what_was_delivered_into_a_new_maildrop_survives_a_crash(void **state)
{
    (void)state;
    deliver_at_every_point(NONE_YET, 25);
}

static void what_was_delivered_into_another_programs_new_maildrop_survives_a_crash(void **state)
{
    (void)state;
    deliver_at_every_point(JUST_MADE_BY_ANOTHER, 20);
}

/* A session that marks the first and the third message; commits if it is told to. */
static void session(struct world *world, bool commits)
{
    struct maildrop_operation operation;
    if (try_open(world, &operation) != ERROR_NONE) {
        return;
    }
    struct maildrop *maildrop = operation.result.opened.maildrop;
    for (uint32_t i = 0; i < operation.result.opened.count; i++) {
        (void)read_error(maildrop, i);
        (void)check_error(maildrop, i);
    }
    if (!commits) {
        maildrop_release(maildrop);
        return;
    }
    uint8_t marks = 0x05;
    struct maildrop_operation committing = {0};
    assert_int_equal(maildrop_commit(maildrop, &marks, &committing), MAILDROP_DONE);
}

static bool is_there(struct world *world, int number)
{
    char id[8];
    bool found = false;
    (void)snprintf(id, sizeof id, "%d.x", number);
    struct maildrop *maildrop = open_drop(world);
    for (uint32_t i = 0; i < maildir_of(maildrop)->snapshot.header.count; i++) {
        if (strcmp(row_id(maildrop, i), id) == 0) {
            enum error_kind kind;
            const char *text = read_text(maildrop, i, &kind);
            assert_non_null(text);
            assert_true(text[0] == (char)('0' + number) && strcmp(text + 1, "x\n") == 0);
            found = true;
        }
    }
    maildrop_release(maildrop);
    return found;
}

static bool session_and_crash(bool commits, uint64_t nth, uint64_t loss)
{
    struct world world = world_create(NULL);
    put_durably(&world);
    if (nth % 2 == 0) {
        maildrop_release(open_drop(&world)); /* with an index, which is not durable */
    }
    uint64_t begin = world.disk->count;
    world.disk->fail_at = begin + nth;
    world.disk->stop_at_failure = true;
    session(&world, commits);
    bool reached = world.disk->count >= begin + nth;
    crash(&world, loss);
    for (int i = 1; i <= MESSAGES; i++) {
        bool marked = commits && (i == 1 || i == 3);
        assert_true(is_there(&world, i) || marked);
    }
    world_finish(&world);
    return reached;
}

static void sessions_at_every_point(bool commits)
{
    for (uint64_t loss = 0; loss < LOSSES; loss++) {
        uint64_t nth = 1;
        while (session_and_crash(commits, nth, loss)) {
            nth++;
        }
        assert_true(nth > 30);
    }
}

static void a_session_without_a_commit_loses_nothing_in_a_crash(void **state)
{
    (void)state;
    sessions_at_every_point(false);
}

static void a_commit_loses_only_what_was_marked_in_a_crash(void **state)
{
    (void)state;
    sessions_at_every_point(true);
}

struct shown {
    uint32_t count;
    char ids[MESSAGES][POP3_UNIQUE_ID_OCTETS + 1];
    char texts[MESSAGES][16];
};

static void look(struct maildrop *maildrop, struct shown *shown)
{
    shown->count = maildir_of(maildrop)->snapshot.header.count;
    assert_true(shown->count <= MESSAGES);
    for (uint32_t i = 0; i < shown->count; i++) {
        enum error_kind kind;
        (void)snprintf(shown->ids[i], sizeof shown->ids[i], "%s", row_id(maildrop, i));
        const char *text = read_text(maildrop, i, &kind);
        assert_non_null(text);
        (void)snprintf(shown->texts[i], sizeof shown->texts[i], "%s", text);
    }
}

/* A message that was shown with an id has it afterwards. */
static void expect_same_ids(const struct shown *before, const struct shown *after)
{
    assert_int_equal(before->count, after->count);
    for (uint32_t i = 0; i < before->count; i++) {
        assert_string_equal(before->texts[i], after->texts[i]);
        assert_string_equal(before->ids[i], after->ids[i]);
    }
}

/* One message is known; then others come that have its id by their names and come before it. Who was
 * shown what must not change, whatever is lost. Returns false once the login needs fewer operations. */
static bool show_and_crash(uint64_t nth, uint64_t loss)
{
    struct world world = world_create(NULL);
    struct shown before = {.count = 0};
    struct shown after = {.count = 0};
    world_make_maildrop(&world);
    world_put(&world, "cur/5.x,S=9,W=9:2,", "known\n");
    maildrop_release(open_drop(&world));
    disk_settle(world.disk);
    world_put(&world, "cur/5.x,S=4,W=5:2,", "new\n");
    world_put(&world, "new/5.x", "new2\n");
    uint64_t begin = world.disk->count;
    world.disk->fail_at = begin + nth;
    world.disk->stop_at_failure = true;
    struct maildrop_operation operation;
    bool opened = try_open(&world, &operation) == ERROR_NONE;
    bool reached = world.disk->count >= begin + nth;
    world.disk->fail_at = 0;
    if (opened && !world.disk->stopped) {
        look(operation.result.opened.maildrop, &before);
    }
    if (opened) {
        maildrop_release(operation.result.opened.maildrop);
    }
    world.disk->stopped = false;
    crash(&world, loss);
    if (loss % 2 == 0 && disk_exists(world.disk, "/mail/alice/" INDEX_NAME)) {
        disk_remove(world.disk, "/mail/alice/" INDEX_NAME);
    }
    struct maildrop *maildrop = open_drop(&world);
    look(maildrop, &after);
    maildrop_release(maildrop);
    assert_int_equal(after.count, 3);
    if (before.count != 0) {
        expect_same_ids(&before, &after);
    }
    world_finish(&world);
    return reached;
}

static void ids_that_were_shown_survive_a_crash(void **state)
{
    (void)state;
    for (uint64_t loss = 0; loss < LOSSES; loss++) {
        uint64_t nth = 1;
        while (show_and_crash(nth, loss)) {
            nth++;
        }
        assert_true(nth > 30);
    }
}

/* What the disk brings back after a removal has its old id. */
static void mail_that_a_crash_brings_back_has_its_old_id(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct shown before;
    struct shown after;
    world_make_maildrop(&world);
    world_put(&world, "cur/5.x,S=4,W=5:2,", "one\n");
    world_put(&world, "cur/5.x,S=6,W=7:2,", "two__\n");
    struct maildrop *maildrop = open_drop(&world);
    look(maildrop, &before);
    assert_int_equal(commit(maildrop, "01").removed, 2);
    disk_crash(world.disk, DISK_LOSE_ALL);
    maildrop = open_drop(&world);
    look(maildrop, &after);
    maildrop_release(maildrop);
    expect_same_ids(&before, &after);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_delivered_survives_a_crash),
        cmocka_unit_test(what_was_delivered_into_a_new_maildrop_survives_a_crash),
        cmocka_unit_test(what_was_delivered_into_another_programs_new_maildrop_survives_a_crash),
        cmocka_unit_test(a_session_without_a_commit_loses_nothing_in_a_crash),
        cmocka_unit_test(a_commit_loses_only_what_was_marked_in_a_crash),
        cmocka_unit_test(ids_that_were_shown_survive_a_crash),
        cmocka_unit_test(mail_that_a_crash_brings_back_has_its_old_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
