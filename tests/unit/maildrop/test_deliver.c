/* SPDX-License-Identifier: MIT */
/* Delivery: a file in new/ with its sizes in its name, or nothing at all. What is durable of it is in
 * tests/crash. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/name.h"

static const char *only_name(const struct world *world)
{
    assert_int_equal(disk_count(world->disk, "/mail/alice/new"), 1);
    return disk_name(world->disk, "/mail/alice/new", 0);
}

static const char *content(const struct world *world, const char *name)
{
    char path[400];
    size_t size;
    (void)snprintf(path, sizeof path, "/mail/alice/new/%s", name);
    return (const char *)disk_get(world->disk, path, &size);
}

static void a_message_is_stored_with_lf_and_its_sizes(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    assert_int_equal(deliver(&world, "alice", "From: a\r\n\r\nhello\r\n.\r\n"), ERROR_NONE);
    const char *name = only_name(&world);
    assert_string_equal(content(&world, name), "From: a\n\nhello\n.\n");
    struct maildir_name parsed;
    maildir_name_parse(bytes_of(name), &parsed);
    assert_int_equal(parsed.size, 17);
    assert_int_equal(parsed.octets, 21);
    assert_int_equal(disk_count(world.disk, "/mail/alice/tmp"), 0);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 21);
    maildrop_release(maildrop);
    /* time.MusecPpidQn.host */
    long long seconds;
    long long microseconds;
    long pid;
    unsigned number;
    int used = 0;
    assert_int_equal(
        sscanf(name, "%lld.M%lldP%ldQ%u.%n", &seconds, &microseconds, &pid, &number, &used), 4);
    assert_true(used > 0 && name[used] != ',');
    assert_int_equal(seconds, world.disk->now_ns / 1000000000);
    world_finish(&world);
}

static void a_missing_maildrop_is_made(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop_options options = {.path = "/mail/%d/%n/Maildir"};
    struct maildrop_store *store;
    assert_int_equal(maildir_create(&world.disk->fs, &options, NULL, &store, &world.error), 0);
    struct maildrop_owner owner = {.user = "al@example.org"};
    struct maildrop_delivery *delivery;
    assert_int_equal(maildrop_deliver_begin(store, &owner, &delivery, &world.error), 0);
    assert_int_equal(maildrop_deliver_finish(delivery, &world.error), 0);
    assert_int_equal(disk_count(world.disk, "/mail/example.org/al/Maildir/new"), 1);
    assert_true(disk_exists(world.disk, "/mail/example.org/al/Maildir/cur"));
    maildrop_store_free(store);
    world_finish(&world);
}

static void what_all_users_share_is_not_made(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    disk_remove(world.disk, "/mail");
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_TEMPORARY);
    assert_false(disk_exists(world.disk, "/mail"));
    world_finish(&world);
}

static void links_are_not_delivered_through(void **state)
{
    (void)state;
    static const char *const names[] = {"new", "tmp", "cur"};
    for (size_t i = 0; i < 3; i++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        disk_make_folder(world.disk, "/mail/bob");
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/%s", names[i]);
        disk_remove(world.disk, path);
        disk_put_link(world.disk, path, "/mail/bob");
        assert_int_not_equal(deliver(&world, "alice", "x"), ERROR_NONE);
        assert_int_equal(disk_count(world.disk, "/mail/bob"), 0);
        world_finish(&world);
    }
}

static void a_large_message_in_many_pieces_is_whole(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_delivery *delivery;
    assert_int_equal(maildrop_deliver_begin(world.store, &owner, &delivery, &world.error), 0);
    enum { SIZE = 200000 };
    char *sent = malloc(SIZE);
    char *stored = malloc(SIZE);
    size_t kept = 0;
    for (size_t i = 0; i < SIZE; i++) {
        sent[i] = i % 50 == 48 ? '\r' : i % 50 == 49 ? '\n' : (char)('a' + i % 26);
        if (sent[i] != '\r') {
            stored[kept++] = sent[i];
        }
    }
    for (size_t at = 0, piece = 1; at < SIZE; at += piece, piece = piece * 5 % 70001 + 1) {
        piece = piece < SIZE - at ? piece : SIZE - at;
        struct bytes octets = {.data = (const uint8_t *)sent + at, .size = piece};
        assert_int_equal(maildrop_deliver_append(delivery, octets, &world.error), 0);
    }
    assert_int_equal(maildrop_deliver_finish(delivery, &world.error), 0);
    const char *text = content(&world, only_name(&world));
    assert_memory_equal(text, stored, kept);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, SIZE);
    maildrop_release(maildrop);
    free(sent);
    free(stored);
    world_finish(&world);
}

static void many_deliveries_have_names_of_their_own(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world.disk->step_ns = 0; /* all at one time */
    for (int i = 0; i < 50; i++) {
        assert_int_equal(deliver(&world, "alice", "x\n"), ERROR_NONE);
    }
    assert_int_equal(disk_count(world.disk, "/mail/alice/new"), 50);
    world_wait(&world);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 50, 150);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void an_abort_leaves_nothing(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_delivery *delivery;
    assert_int_equal(maildrop_deliver_begin(world.store, &owner, &delivery, &world.error), 0);
    assert_int_equal(maildrop_deliver_append(delivery, bytes_of("x"), &world.error), 0);
    maildrop_deliver_abort(delivery);
    assert_int_equal(disk_count(world.disk, "/mail/alice/tmp"), 0);
    assert_int_equal(disk_count(world.disk, "/mail/alice/new"), 0);
    world_finish(&world);
}

static void a_full_disk_is_told_apart(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->full = true;
    assert_int_equal(deliver(&world, "alice", "x"), ERROR_NO_SPACE);
    world.disk->full = false;
    struct maildrop_owner owner = {.user = "alice"};
    struct maildrop_delivery *delivery;
    assert_int_equal(maildrop_deliver_begin(world.store, &owner, &delivery, &world.error), 0);
    world.disk->full = true;
    static char large[70000];
    memset(large, 'x', sizeof large);
    struct bytes octets = {.data = (const uint8_t *)large, .size = sizeof large};
    assert_int_equal(maildrop_deliver_append(delivery, octets, &world.error), -1);
    assert_int_equal(world.error.kind, ERROR_NO_SPACE);
    assert_int_equal(maildrop_deliver_append(delivery, octets, &world.error), -1);
    world.disk->full = false;
    assert_int_equal(maildrop_deliver_finish(delivery, &world.error), -1); /* it stays failed */
    assert_int_equal(world.error.kind, ERROR_NO_SPACE);
    assert_int_equal(disk_count(world.disk, "/mail/alice/tmp"), 0);
    assert_int_equal(disk_count(world.disk, "/mail/alice/new"), 0);
    world_finish(&world);
}

/* The n-th call fails, for every n: delivered whole, or an error and nothing. */
static void every_call_that_fails_leaves_nothing(void **state)
{
    (void)state;
    static const int numbers[] = {EIO, ENOSPC, EACCES, EMFILE};
    for (size_t e = 0; e < sizeof numbers / sizeof numbers[0]; e++) {
        uint64_t nth = 1;
        for (;; nth++) {
            struct world world = world_create(NULL);
            uint64_t begin = world.disk->count;
            world.disk->fail_at = begin + nth;
            world.disk->fail_number = numbers[e];
            enum error_kind kind = deliver(&world, "alice", "From: a\r\n\r\nx\r\n");
            bool reached = world.disk->count >= begin + nth;
            world.disk->fail_at = 0;
            bool there = disk_exists(world.disk, "/mail/alice/new") &&
                         disk_count(world.disk, "/mail/alice/new") != 0;
            assert_int_equal(there, kind == ERROR_NONE);
            assert_true(!disk_exists(world.disk, "/mail/alice/tmp") ||
                        disk_count(world.disk, "/mail/alice/tmp") == 0);
            if (kind != ERROR_NONE) {
                assert_int_equal(kind, numbers[e] == ENOSPC ? ERROR_NO_SPACE : ERROR_TEMPORARY);
            }
            assert_int_equal(disk_open_descriptors(world.disk), 0);
            world_finish(&world);
            if (!reached) {
                break;
            }
        }
        assert_true(nth > 20);
    }
}

static void a_file_system_without_renames_that_do_not_replace(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world.disk->no_replace_flag = true;
    assert_int_equal(deliver(&world, "alice", "x\n"), ERROR_NONE);
    assert_string_equal(content(&world, only_name(&world)), "x\n");
    assert_int_equal(disk_count(world.disk, "/mail/alice/tmp"), 0);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_stored_with_lf_and_its_sizes),
        cmocka_unit_test(a_missing_maildrop_is_made),
        cmocka_unit_test(what_all_users_share_is_not_made),
        cmocka_unit_test(links_are_not_delivered_through),
        cmocka_unit_test(a_large_message_in_many_pieces_is_whole),
        cmocka_unit_test(many_deliveries_have_names_of_their_own),
        cmocka_unit_test(an_abort_leaves_nothing),
        cmocka_unit_test(a_full_disk_is_told_apart),
        cmocka_unit_test(every_call_that_fails_leaves_nothing),
        cmocka_unit_test(a_file_system_without_renames_that_do_not_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
