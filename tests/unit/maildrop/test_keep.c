/* SPDX-License-Identifier: MIT */
/* The index is kept true through deliveries and commits of our own, unless anything else happened. */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "maildrop/maildir/keep.h"

enum { MESSAGES = KEEP_ROWS_LEAST + 10 };

/* With an index that is valid. */
static struct world create_with(int messages)
{
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    for (int i = 0; i < messages; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/%s/%d.x,S=2,W=3%s",
                       i % 2 == 0 ? "cur" : "new", 1000 + i, i % 2 == 0 ? ":2," : "");
        disk_put_text(world.disk, path, "x\n");
    }
    disk_settle(world.disk);
    world_wait(&world);
    maildrop_release(open_drop(&world));
    return world;
}

static struct world create(void)
{
    return create_with(MESSAGES);
}

/* Opens; whether the folders had to be listed. */
static bool is_scanned(struct world *world, uint32_t count)
{
    uint64_t lists = world->disk->counts[DISK_LIST];
    struct maildrop *maildrop = open_drop(world);
    assert_int_equal(maildir_of(maildrop)->snapshot.header.count, count);
    maildrop_release(maildrop);
    return world->disk->counts[DISK_LIST] != lists;
}

static void a_delivery_extends_the_index(void **state)
{
    (void)state;
    struct world world = create();
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(deliver(&world, "alice", "From: a\r\n\r\nnew\r\n"), ERROR_NONE);
        assert_false(is_scanned(&world, MESSAGES + i));
    }
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, MESSAGES + 3, MESSAGES * 3 + 3 * 16);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, MESSAGES + 2, &kind), "From: a\n\nnew\n");
    const char *id = row_id(maildrop, MESSAGES + 2);
    maildrop_release(maildrop);
    /* The same id as a scan gives it. */
    disk_remove(world.disk, "/mail/alice/" INDEX_NAME);
    assert_true(is_scanned(&world, MESSAGES + 3));
    maildrop = open_drop(&world);
    assert_string_equal(row_id(maildrop, MESSAGES + 2), id);
    assert_int_equal(commit(maildrop, "").removed, 0);
    world_finish(&world);
}

static void a_commit_keeps_the_index(void **state)
{
    (void)state;
    struct world world = create();
    world.disk->tick_ns = 0; /* every change has a time of its own: there is no time to wait */
    world_wait(&world);
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    assert_false(is_scanned(&world, MESSAGES + 1));
    assert_int_equal(commit(open_drop(&world), "0123456789").removed, 10);
    assert_false(is_scanned(&world, MESSAGES - 9));
    struct maildrop *maildrop = open_drop(&world);
    assert_string_equal(row_id(maildrop, 0), "1010.x");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, MESSAGES - 10, &kind), "x");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_commit_does_not_wait_for_the_clock(void **state)
{
    (void)state;
    struct world world = create();
    int64_t before = world.disk->now_ns;
    uint64_t count = world.disk->count;
    assert_int_equal(commit(open_drop(&world), "0").removed, 1);
    int64_t operations = (int64_t)(world.disk->count - count);
    assert_int_equal(world.disk->now_ns - before, operations * world.disk->step_ns);
    assert_true(is_scanned(&world, MESSAGES - 1));
    world_finish(&world);
}

static void a_commit_to_a_large_maildrop_waits_for_the_clock(void **state)
{
    (void)state;
    const uint32_t messages = KEEP_PATIENT_ROWS_LEAST + 10;
    struct world world = create_with((int)messages);
    world.disk->tick_ns = 4000000;
    world_wait(&world);
    int64_t before = world.disk->now_ns;
    /* The last one: only the end of the index is written anew. */
    struct maildrop *maildrop = open_drop(&world);
    uint8_t marks[(KEEP_PATIENT_ROWS_LEAST + 10 + 7) / 8] = {0};
    marks[(messages - 1) / 8] |= (uint8_t)(1U << (messages - 1) % 8);
    assert_int_equal(commit_marks(maildrop, marks).removed, 1);
    assert_true(world.disk->now_ns - before >= 8000000);
    assert_true(world.disk->now_ns - before < KEEP_PATIENCE_NS);
    assert_false(is_scanned(&world, messages - 1));
    maildrop = open_drop(&world);
    expect_drop(maildrop, messages - 1, (messages - 1) * 3);
    maildrop_release(maildrop);
    world_finish(&world);
}

/* What is left is scanned faster than the clock moves on. */
static void a_commit_of_nearly_all_does_not_wait(void **state)
{
    (void)state;
    const uint32_t messages = KEEP_PATIENT_ROWS_LEAST + 10;
    struct world world = create_with((int)messages);
    uint8_t marks[(KEEP_PATIENT_ROWS_LEAST + 10 + 7) / 8];
    memset(marks, 0xFF, sizeof marks);
    marks[0] = 0xFE;
    world.disk->step_ns = 1;
    int64_t before = world.disk->now_ns;
    assert_int_equal(commit_marks(open_drop(&world), marks).removed, messages - 1);
    assert_true(world.disk->now_ns - before < 4000000);
    world_finish(&world);
}

static void many_deliveries_fill_the_last_block(void **state)
{
    (void)state;
    struct world world = create();
    uint32_t count = MESSAGES;
    for (; count < MESSAGES + 100; count++) {
        assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    }
    assert_false(is_scanned(&world, count));
    struct maildrop *maildrop = open_drop(&world);
    struct index_header header = maildir_of(maildrop)->snapshot.header;
    maildrop_release(maildrop);
    disk_remove(world.disk, "/mail/alice/" INDEX_NAME);
    maildrop = open_drop(&world);
    assert_int_equal(maildir_of(maildrop)->snapshot.header.blocks, header.blocks);
    assert_int_equal(maildir_of(maildrop)->snapshot.header.octets, header.octets);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void what_cannot_be_proven_is_scanned(void **state)
{
    (void)state;
    struct world world = create();
    world.disk->no_watch = true;
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    assert_true(is_scanned(&world, MESSAGES + 1));
    world.disk->no_watch = false;
    /* The index was not valid before. */
    world_wait(&world);
    disk_put_text(world.disk, "/mail/alice/new/5000.x", "x\n");
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    world_wait(&world);
    assert_true(is_scanned(&world, MESSAGES + 3));
    /* Another delivery is about to extend it. */
    disk_hold_lock(world.disk, "/mail/alice/" INDEX_NAME, true);
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    disk_hold_lock(world.disk, "/mail/alice/" INDEX_NAME, false);
    world_wait(&world);
    assert_true(is_scanned(&world, MESSAGES + 4));
    /* It does not belong at the end. */
    disk_put_text(world.disk, "/mail/alice/new/9999999999.x", "x\n");
    world_wait(&world);
    assert_true(is_scanned(&world, MESSAGES + 5));
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
    world_wait(&world);
    assert_true(is_scanned(&world, MESSAGES + 6));
    world_finish(&world);
}

/* The name of what was delivered, which is the last that came. */
static const char *delivered_name(const struct world *world)
{
    const char *found = NULL;
    for (size_t i = 0; i < disk_count(world->disk, "/mail/alice/new"); i++) {
        const char *name = disk_name(world->disk, "/mail/alice/new", i);
        found = strchr(name, 'Q') != NULL ? name : found;
    }
    return found;
}

/* Delivers to a maildrop that has this name too. */
static struct world deliver_beside(const char *name)
{
    struct world world = create();
    char path[300];
    (void)snprintf(path, sizeof path, "/mail/alice/cur/%s:2,", name);
    disk_put_text(world.disk, path, "x\n");
    world_wait(&world);
    assert_true(is_scanned(&world, MESSAGES + 1));
    assert_int_equal(deliver(&world, "alice", "new"), ERROR_NONE);
    return world;
}

/* The deliveries of a process differ by their number only, where the clock says the same. */
static void an_id_in_use_is_not_given_by_a_delivery(void **state)
{
    (void)state;
    struct world first = deliver_beside("4000.x,S=2,W=3");
    const char *name = delivered_name(&first);
    assert_non_null(name);
    int number = 0;
    size_t stem = (size_t)(strchr(name, 'Q') - name) + 1;
    assert_int_equal(sscanf(name + stem, "%d", &number), 1);
    char twin[256];
    const char *host = strchr(name + stem, '.');
    assert_non_null(host);
    (void)snprintf(twin, sizeof twin, "%.*s%d%.*s,S=2,W=3", (int)stem, name, number + 1,
                   (int)strcspn(host, ","), host);
    world_finish(&first);

    struct world world = deliver_beside(twin);
    assert_memory_equal(delivered_name(&world), twin, strcspn(twin, ","));
    struct maildrop *maildrop = open_drop(&world);
    char id[POP3_UNIQUE_ID_OCTETS + 1];
    (void)snprintf(id, sizeof id, "%s", row_id(maildrop, MESSAGES));
    assert_string_not_equal(row_id(maildrop, MESSAGES + 1), id);
    maildrop_release(maildrop);
    world_finish(&world);
}

enum action { ARRIVE, REMOVE, MOVE, ACTIONS };

static struct {
    uint64_t at;
    enum action action;
    bool done;
} foreign;

static void act_in_time(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)operation;
    (void)name;
    if (foreign.done || disk->count + 1 < foreign.at) {
        return;
    }
    foreign.done = true;
    if (foreign.action == ARRIVE) {
        disk_put_text(disk, "/mail/alice/new/5000.x,S=2,W=3", "x\n");
    } else if (foreign.action == REMOVE) {
        disk_remove(disk, "/mail/alice/cur/1100.x,S=2,W=3:2,");
    } else {
        disk_move(disk, "/mail/alice/new/1101.x,S=2,W=3", "/mail/alice/cur/1101.x,S=2,W=3:2,");
    }
}

/* Does something of our own while another program acts before the `nth` operation of it; false once it
 * needs fewer. */
static bool interfere(enum action action, bool commits, int64_t tick, uint64_t nth)
{
    struct world world = create();
    world.disk->tick_ns = tick;
    world_wait(&world);
    foreign.action = action;
    foreign.done = false;
    struct maildrop *maildrop = commits ? open_drop(&world) : NULL;
    foreign.at = world.disk->count + nth;
    world.disk->before = act_in_time;
    uint32_t expected = MESSAGES;
    if (commits) {
        assert_int_equal(commit(maildrop, "12").removed, 2);
        expected -= 2;
    } else {
        assert_int_equal(deliver(&world, "alice", "x"), ERROR_NONE);
        expected++;
    }
    bool reached = foreign.done;
    world.disk->before = NULL;
    if (!reached) {
        /* After all of it, in the same tick. */
        foreign.at = 0;
        act_in_time(world.disk, DISK_OPERATIONS, "");
    }
    expected = expected + (action == ARRIVE) - (action == REMOVE);
    world_wait(&world);
    (void)is_scanned(&world, expected);
    maildrop = open_drop(&world);
    if (action == MOVE) {
        enum error_kind kind;
        assert_string_equal(read_text(maildrop, commits ? 99 : 101, &kind), "x\n");
    }
    maildrop_release(maildrop);
    world_finish(&world);
    return reached;
}

static void interfere_everywhere(bool commits)
{
    for (int action = 0; action < ACTIONS; action++) {
        static const int64_t ticks[] = {0, 4000000};
        for (size_t tick = 0; tick < 2; tick++) {
            uint64_t nth = 1;
            while (interfere((enum action)action, commits, ticks[tick], nth)) {
                nth++;
            }
            assert_true(nth > (ticks[tick] == 0 ? 20U : 8U));
        }
    }
}

static void another_program_may_act_during_a_delivery(void **state)
{
    (void)state;
    interfere_everywhere(false);
}

static void another_program_may_act_during_a_commit(void **state)
{
    (void)state;
    interfere_everywhere(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_delivery_extends_the_index),
        cmocka_unit_test(a_commit_keeps_the_index),
        cmocka_unit_test(a_commit_does_not_wait_for_the_clock),
        cmocka_unit_test(a_commit_to_a_large_maildrop_waits_for_the_clock),
        cmocka_unit_test(a_commit_of_nearly_all_does_not_wait),
        cmocka_unit_test(many_deliveries_fill_the_last_block),
        cmocka_unit_test(what_cannot_be_proven_is_scanned),
        cmocka_unit_test(an_id_in_use_is_not_given_by_a_delivery),
        cmocka_unit_test(another_program_may_act_during_a_delivery),
        cmocka_unit_test(another_program_may_act_during_a_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
