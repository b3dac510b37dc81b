/* SPDX-License-Identifier: MIT */
/* What completes at once, what waits for the executor, in which order, and what cancelling does. */
#include "support.h"

#include <stdio.h>
#include <string.h>

static char order[16];

/* Each operation's store_data is free once it is done: the test's letter is in its place. */
struct lettered {
    struct maildrop_operation operation;
    char letter;
};

static void note_done(struct maildrop_operation *operation)
{
    const struct lettered *lettered = (const struct lettered *)(void *)operation;
    size_t size = strlen(order);
    order[size] = lettered->letter;
    order[size + 1] = '\0';
}

struct fixture {
    struct world world;
    struct manual_executor manual;
};

static void begin(struct fixture *fixture)
{
    order[0] = '\0';
    manual_init(&fixture->manual);
    fixture->world = world_create(&fixture->manual.executor);
    world_make_maildrop(&fixture->world);
    world_put(&fixture->world, "cur/1.a:2,", "a\n");
    world_put(&fixture->world, "cur/2.b:2,", "b\n");
}

static void end(struct fixture *fixture)
{
    assert_int_equal(fixture->manual.waiting, 0);
    assert_false(disk_is_locked(fixture->world.disk, "/mail/alice/cur"));
    world_finish(&fixture->world);
}

static enum maildrop_progress start_open(struct fixture *fixture, struct lettered *lettered)
{
    static const struct maildrop_owner owner = {.user = "alice"};
    lettered->operation.done = note_done;
    return maildrop_open(fixture->world.store, &owner, &lettered->operation);
}

/* The first time, when nothing is known of the device. */
static struct maildrop *open_slowly(struct fixture *fixture)
{
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(fixture, &open), MAILDROP_PENDING);
    assert_string_equal(order, "");
    manual_drain(&fixture->manual);
    assert_string_equal(order, "o");
    assert_int_equal(open.operation.error.kind, ERROR_NONE);
    assert_int_equal(open.operation.result.opened.count, 2);
    order[0] = '\0';
    return open.operation.result.opened.maildrop;
}

static void what_is_cached_completes_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    maildrop_release(open_slowly(&fixture));
    unsigned submitted = fixture.manual.submitted;
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(&fixture, &open), MAILDROP_DONE);
    struct maildrop *maildrop = open.operation.result.opened.maildrop;
    static struct maildrop_page page;
    char buffer[100];
    struct maildrop_operation operation = {.done = note_done};
    assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &operation), MAILDROP_DONE);
    assert_int_equal(maildrop_read(maildrop, 0, 0, buffer, sizeof buffer, &operation),
                     MAILDROP_DONE);
    assert_int_equal(operation.result.read.size, 2);
    assert_int_equal(maildrop_check(maildrop, 1, &operation), MAILDROP_DONE);
    assert_int_equal(maildrop_commit(maildrop, NULL, &operation), MAILDROP_DONE);
    assert_int_equal(fixture.manual.submitted, submitted);
    assert_string_equal(order, ""); /* `done` is for what was pending */
    end(&fixture);
}

static void what_is_not_cached_waits_for_the_executor(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    maildrop_release(open_slowly(&fixture));
    fixture.world.disk->cold = true;
    struct maildrop *maildrop = open_slowly(&fixture);
    assert_int_equal(fixture.manual.last_device, 0); /* not even that is known */
    static struct maildrop_page page;
    char buffer[100];
    struct lettered rows = {.operation = {.done = note_done}, .letter = 'r'};
    assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &rows.operation), MAILDROP_PENDING);
    assert_int_equal(fixture.manual.last_device, 7);
    manual_drain(&fixture.manual);
    assert_int_equal(page.rows[1].octets, 3);
    assert_int_equal(maildrop_read(maildrop, 1, 0, buffer, sizeof buffer, &rows.operation),
                     MAILDROP_PENDING);
    manual_drain(&fixture.manual);
    assert_memory_equal(buffer, "b\n", 2);
    assert_int_equal(maildrop_check(maildrop, 0, &rows.operation), MAILDROP_PENDING);
    manual_drain(&fixture.manual);
    assert_string_equal(order, "rrr");
    maildrop_release(maildrop);
    end(&fixture);
}

/* Reads from the loop; what it cannot give at once, an executor does. */
static struct maildrop_operation read_message(struct fixture *fixture, struct maildrop *maildrop,
                                              uint32_t index, char *buffer, size_t capacity)
{
    struct lettered read = {.operation = {.done = note_done}, .letter = 'r'};
    if (maildrop_read(maildrop, index, 0, buffer, capacity, &read.operation) == MAILDROP_PENDING) {
        manual_drain(&fixture->manual);
    }
    maildrop_read_close(maildrop);
    return read.operation;
}

static struct maildrop *open_drained(struct fixture *fixture, const char *user)
{
    const struct maildrop_owner owner = {.user = user};
    struct lettered open = {.operation = {.done = note_done}, .letter = 'o'};
    if (maildrop_open(fixture->world.store, &owner, &open.operation) == MAILDROP_PENDING) {
        manual_drain(&fixture->manual);
    }
    return open.operation.result.opened.maildrop;
}

static void a_message_of_known_size_costs_three_operations(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    const struct disk *disk = fixture.world.disk;
    char buffer[100];
    unsigned submitted = fixture.manual.submitted;
    (void)read_message(&fixture, maildrop, 0, buffer, sizeof buffer);
    uint64_t before = disk->count;
    struct maildrop_operation read = read_message(&fixture, maildrop, 1, buffer, sizeof buffer);
    assert_int_equal(read.result.read.size, 2);
    assert_true(read.result.read.end);
    assert_memory_equal(buffer, "b\n", 2);
    assert_int_equal(disk->count, before + 3); /* open, read, close */
    struct maildrop_operation check = {.done = note_done};
    static struct maildrop_page page;
    assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &check), MAILDROP_DONE);
    before = disk->count;
    assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &check), MAILDROP_DONE);
    assert_int_equal(disk->count, before); /* the block of the index is at hand */
    assert_int_equal(fixture.manual.submitted, submitted);
    maildrop_release(maildrop);
    end(&fixture);
}

/* As a session does, for as long as nothing has to be waited for. */
static enum maildrop_progress read_and_go_on(struct maildrop *maildrop, struct lettered *read)
{
    static char buffer[100];
    *read = (struct lettered){.operation = {.done = note_done}, .letter = 'r'};
    enum maildrop_progress progress =
        maildrop_read(maildrop, 1, 0, buffer, sizeof buffer, &read->operation);
    maildrop_read_done(maildrop);
    return progress;
}

static void a_burst_closes_its_messages_together(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    struct lettered read;
    const uint64_t *closes = &fixture.world.disk->counts[DISK_CLOSE];
    uint64_t before = *closes;
    for (int i = 0; i < FS_CLOSE_MOST - 1; i++) {
        assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_DONE);
    }
    assert_int_equal(*closes, before);
    assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_DONE);
    assert_in_range(*closes, before + 1, before + 2); /* but one they are neighbours */
    before = *closes;
    maildrop_rest(maildrop);
    assert_int_equal(*closes, before); /* nothing was left */
    assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_DONE);
    assert_int_equal(*closes, before);
    maildrop_rest(maildrop);
    assert_int_equal(*closes, before + 1);
    assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_DONE);
    fixture.world.disk->cold = true;
    assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_PENDING);
    assert_int_equal(*closes, before + 2); /* a disk is not waited for with open files */
    manual_drain(&fixture.manual);
    assert_int_equal(*closes, before + 3);
    fixture.world.disk->cold = false;
    assert_int_equal(read_and_go_on(maildrop, &read), MAILDROP_DONE);
    assert_int_equal(*closes, before + 3);
    maildrop_release(maildrop);
    assert_true(*closes >= before + 5); /* the message, and those of the maildrop */
    end(&fixture);
}

static void the_block_at_hand_is_of_the_maildrop_that_is_asked(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    disk_make_folder(fixture.world.disk, "/mail/bob");
    disk_make_folder(fixture.world.disk, "/mail/bob/new");
    disk_make_folder(fixture.world.disk, "/mail/bob/cur");
    disk_put_text(fixture.world.disk, "/mail/bob/cur/9.bob:2,", "bob\n");
    disk_settle(fixture.world.disk);
    world_wait(&fixture.world);
    struct maildrop *alice = open_drained(&fixture, "alice");
    struct maildrop *bob = open_drained(&fixture, "bob");
    char buffer[100];
    for (int i = 0; i < 3; i++) {
        (void)read_message(&fixture, alice, 1, buffer, sizeof buffer);
        assert_memory_equal(buffer, "b\n", 2);
        assert_int_equal(read_message(&fixture, bob, 0, buffer, sizeof buffer).result.read.size, 4);
        assert_memory_equal(buffer, "bob\n", 4);
    }
    maildrop_release(alice);
    maildrop_release(bob);
    assert_null(((struct maildir_store *)(void *)fixture.world.store)->reader_of);
    end(&fixture);
}

/* The kernel gives what is cached: a read that ends where a page does need not end the file. */
static void a_page_that_ends_like_the_row_hides_nothing(void **state)
{
    (void)state;
    static char text[3 * 4096];
    static char buffer[sizeof text];
    struct fixture fixture;
    begin(&fixture);
    memset(text, 'x', sizeof text);
    disk_put(fixture.world.disk, "/mail/alice/cur/3.c,S=4096,W=4098:2,", text, sizeof text);
    disk_settle(fixture.world.disk);
    world_wait(&fixture.world);
    struct maildrop *maildrop = open_drained(&fixture, "alice");
    (void)read_message(&fixture, maildrop, 0, buffer, sizeof buffer); /* the index is at hand */
    fixture.world.disk->cached_most = 4096;
    struct maildrop_operation read = read_message(&fixture, maildrop, 2, buffer, sizeof buffer);
    assert_true(read.result.read.row_was_wrong);
    assert_int_equal(read.result.read.size, sizeof text);
    fixture.world.disk->cached_most = 0;
    maildrop_release(maildrop);
    manual_drain(&fixture.manual);
    end(&fixture);
}

static void in_use_is_told_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(&fixture, &open), MAILDROP_DONE);
    assert_int_equal(open.operation.error.kind, ERROR_IN_USE);
    uint64_t device;
    uint64_t inode;
    maildrop_identity(maildrop, &device, &inode);
    assert_int_equal(open.operation.result.holder.device, device);
    assert_int_equal(open.operation.result.holder.inode, inode);
    maildrop_release(maildrop);
    end(&fixture);
}

static void operations_of_a_maildrop_run_in_turn(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    fixture.world.disk->cold = true;
    static struct maildrop_page page;
    char buffer[100];
    struct lettered operations[4];
    for (size_t i = 0; i < 4; i++) {
        operations[i] =
            (struct lettered){.operation = {.done = note_done}, .letter = (char)('a' + i)};
    }
    assert_int_equal(maildrop_rows(maildrop, 0, 2, &page, &operations[0].operation),
                     MAILDROP_PENDING);
    fixture.world.disk->cold = false; /* what is cached waits for its turn too */
    assert_int_equal(maildrop_read(maildrop, 0, 0, buffer, sizeof buffer, &operations[1].operation),
                     MAILDROP_PENDING);
    assert_int_equal(maildrop_check(maildrop, 1, &operations[2].operation), MAILDROP_PENDING);
    uint8_t marks = 1;
    assert_int_equal(maildrop_commit(maildrop, &marks, &operations[3].operation), MAILDROP_PENDING);
    while (fixture.manual.first != NULL) {
        assert_int_equal(fixture.manual.waiting, 1);
        (void)manual_step(&fixture.manual);
    }
    assert_string_equal(order, "abcd");
    assert_int_equal(operations[1].operation.result.read.size, 2);
    assert_int_equal(operations[3].operation.result.committed.removed, 1);
    assert_int_equal(disk_count(fixture.world.disk, "/mail/alice/cur"), 1);
    end(&fixture);
}

static void a_large_count_is_shared_by_two(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    for (int i = 0; i < 400; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/cur/%d.x:2,", 100 + i);
        disk_put_text(fixture.world.disk, path, "x\n");
    }
    world_wait(&fixture.world);
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(&fixture, &open), MAILDROP_PENDING);
    assert_int_equal(fixture.manual.waiting, 1);
    assert_true(manual_step(&fixture.manual));
    assert_int_equal(fixture.manual.waiting, 2);
    assert_int_equal(fixture.manual.last_device, 7);
    assert_true(manual_step(&fixture.manual));
    assert_true(manual_step(&fixture.manual));
    assert_int_equal(fixture.manual.waiting, 1);
    assert_string_equal(order, "");
    assert_true(manual_step(&fixture.manual));
    assert_string_equal(order, "o");
    assert_int_equal(open.operation.result.opened.count, 402);
    assert_int_equal(open.operation.result.opened.octets, 3 * 402);
    maildrop_release(open.operation.result.opened.maildrop);
    end(&fixture);
}

/* At every step of a login, before and after a job has run. */
static void a_cancelled_open_frees_the_lock_at_once(void **state)
{
    (void)state;
    for (int steps = 0; steps < 4; steps++) {
        for (int half = 0; half < 2; half++) {
            struct fixture fixture;
            begin(&fixture);
            for (int i = 0; i < 400; i++) {
                char path[64];
                (void)snprintf(path, sizeof path, "/mail/alice/cur/%d.x:2,", 100 + i);
                disk_put_text(fixture.world.disk, path, "x\n");
            }
            world_wait(&fixture.world);
            struct lettered open = {.letter = 'o'};
            assert_int_equal(start_open(&fixture, &open), MAILDROP_PENDING);
            for (int i = 0; i < steps; i++) {
                assert_true(manual_step(&fixture.manual));
            }
            struct maildrop_job *ran = half != 0 ? manual_run(&fixture.manual) : NULL;
            assert_string_equal(order, "");
            maildrop_cancel(&open.operation);
            assert_false(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
            assert_string_equal(order, "");
            /* Another can have it now, while the first is not done. */
            disk_hold_lock(fixture.world.disk, "/mail/alice/cur", true);
            if (ran != NULL) {
                ran->complete(ran);
            }
            manual_drain(&fixture.manual);
            assert_string_equal(order, "o");
            assert_int_equal(open.operation.error.kind, ERROR_TEMPORARY);
            assert_true(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
            disk_hold_lock(fixture.world.disk, "/mail/alice/cur", false);
            end(&fixture);
        }
    }
}

static void a_cancelled_open_writes_nothing(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    world_put(&fixture.world, "cur/2.b,S=2:2,", "b\n"); /* needs an id in the file of ids */
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(&fixture, &open), MAILDROP_PENDING);
    maildrop_cancel(&open.operation);
    manual_drain(&fixture.manual);
    assert_int_equal(open.operation.error.kind, ERROR_TEMPORARY);
    assert_int_equal(disk_count(fixture.world.disk, "/mail/alice"), 3);
    end(&fixture);
}

static void a_release_cancels_what_is_under_way(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        struct fixture fixture;
        begin(&fixture);
        struct maildrop *maildrop = open_slowly(&fixture);
        fixture.world.disk->cold = true;
        char buffer[100];
        static struct maildrop_page page;
        struct lettered read = {.operation = {.done = note_done}, .letter = 'a'};
        struct lettered rows = {.operation = {.done = note_done}, .letter = 'b'};
        assert_int_equal(maildrop_read(maildrop, 0, 0, buffer, sizeof buffer, &read.operation),
                         MAILDROP_PENDING);
        assert_int_equal(maildrop_rows(maildrop, 0, 1, &page, &rows.operation), MAILDROP_PENDING);
        struct maildrop_job *ran = half != 0 ? manual_run(&fixture.manual) : NULL;
        maildrop_release(maildrop);
        assert_false(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
        assert_string_equal(order, "");
        if (ran != NULL) {
            ran->complete(ran);
        }
        manual_drain(&fixture.manual);
        assert_string_equal(order, "ab");
        assert_int_equal(read.operation.error.kind, ERROR_TEMPORARY);
        assert_int_equal(rows.operation.error.kind, ERROR_TEMPORARY);
        end(&fixture);
    }
}

static void a_cancelled_read_leaves_the_maildrop_open(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    fixture.world.disk->cold = true;
    char buffer[100];
    struct lettered read = {.operation = {.done = note_done}, .letter = 'a'};
    assert_int_equal(maildrop_read(maildrop, 0, 0, buffer, sizeof buffer, &read.operation),
                     MAILDROP_PENDING);
    maildrop_cancel(&read.operation);
    maildrop_read_close(maildrop);
    assert_true(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
    manual_drain(&fixture.manual);
    assert_int_equal(read.operation.error.kind, ERROR_TEMPORARY);
    fixture.world.disk->cold = false;
    assert_int_equal(maildrop_read(maildrop, 1, 0, buffer, sizeof buffer, &read.operation),
                     MAILDROP_DONE);
    assert_memory_equal(buffer, "b\n", 2);
    maildrop_release(maildrop);
    end(&fixture);
}

static void a_commit_is_never_cancelled(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    struct maildrop *maildrop = open_slowly(&fixture);
    uint8_t marks = 3;
    struct lettered commit_both = {.operation = {.done = note_done}, .letter = 'c'};
    assert_int_equal(maildrop_commit(maildrop, &marks, &commit_both.operation), MAILDROP_PENDING);
    maildrop_cancel(&commit_both.operation);
    assert_true(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
    manual_drain(&fixture.manual);
    assert_int_equal(commit_both.operation.error.kind, ERROR_NONE);
    assert_int_equal(commit_both.operation.result.committed.removed, 2);
    assert_int_equal(disk_count(fixture.world.disk, "/mail/alice/cur"), 0);
    end(&fixture);
}

/* What a session found out is written under the lock, which goes after that. */
static void a_release_with_notes_is_work_for_the_executor(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    world_put(&fixture.world, "cur/3.c,S=9,W=9:2,", "c\n");
    struct lettered open = {.letter = 'o'};
    assert_int_equal(start_open(&fixture, &open), MAILDROP_PENDING);
    manual_drain(&fixture.manual);
    struct maildrop *maildrop = open.operation.result.opened.maildrop;
    char buffer[100];
    struct lettered read = {.operation = {.done = note_done}, .letter = 'r'};
    assert_int_equal(maildrop_read(maildrop, 2, 0, buffer, sizeof buffer, &read.operation),
                     MAILDROP_PENDING);
    manual_drain(&fixture.manual);
    assert_true(read.operation.result.read.row_was_wrong);
    maildrop_release(maildrop);
    assert_int_equal(fixture.manual.waiting, 1);
    assert_true(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
    manual_drain(&fixture.manual);
    assert_false(disk_is_locked(fixture.world.disk, "/mail/alice/cur"));
    assert_int_equal(start_open(&fixture, &open), MAILDROP_DONE);
    assert_int_equal(open.operation.result.opened.octets, 9);
    maildrop_release(open.operation.result.opened.maildrop);
    end(&fixture);
}

static void another_machines_disk_is_never_waited_for_on_the_loop(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    fixture.world.disk->remote = true;
    for (int i = 0; i < 3; i++) {
        maildrop_release(open_slowly(&fixture));
    }
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cached_completes_at_once),
        cmocka_unit_test(what_is_not_cached_waits_for_the_executor),
        cmocka_unit_test(a_message_of_known_size_costs_three_operations),
        cmocka_unit_test(a_burst_closes_its_messages_together),
        cmocka_unit_test(the_block_at_hand_is_of_the_maildrop_that_is_asked),
        cmocka_unit_test(a_page_that_ends_like_the_row_hides_nothing),
        cmocka_unit_test(in_use_is_told_at_once),
        cmocka_unit_test(operations_of_a_maildrop_run_in_turn),
        cmocka_unit_test(a_large_count_is_shared_by_two),
        cmocka_unit_test(a_cancelled_open_frees_the_lock_at_once),
        cmocka_unit_test(a_cancelled_open_writes_nothing),
        cmocka_unit_test(a_release_cancels_what_is_under_way),
        cmocka_unit_test(a_cancelled_read_leaves_the_maildrop_open),
        cmocka_unit_test(a_commit_is_never_cancelled),
        cmocka_unit_test(a_release_with_notes_is_work_for_the_executor),
        cmocka_unit_test(another_machines_disk_is_never_waited_for_on_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
