/* SPDX-License-Identifier: MIT */
/* Reading messages: whole or with an error, wherever other programs put the file meanwhile. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct maildrop_operation read_once(struct maildrop *maildrop, uint32_t index,
                                           uint64_t offset, size_t capacity)
{
    static char buffer[70000];
    struct maildrop_operation operation = {0};
    assert_true(capacity <= sizeof buffer);
    assert_int_equal(maildrop_read(maildrop, index, offset, buffer, capacity, &operation),
                     MAILDROP_DONE);
    return operation;
}

static void octets_come_as_stored_in_any_pieces(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    char text[5000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * 31 % 255 + 1);
    }
    text[sizeof text - 1] = '\0';
    world_put(&world, "cur/1.a:2,", text);
    world_put(&world, "cur/2.empty:2,", "");
    struct maildrop *maildrop = open_drop(&world);
    for (size_t piece = 1; piece < 6000; piece = piece * 3 + 1) {
        uint64_t offset = 0;
        struct maildrop_operation operation;
        do {
            char buffer[6000];
            operation = (struct maildrop_operation){0};
            assert_int_equal(maildrop_read(maildrop, 0, offset, buffer, piece, &operation),
                             MAILDROP_DONE);
            assert_int_equal(operation.error.kind, ERROR_NONE);
            assert_memory_equal(buffer, text + offset, operation.result.read.size);
            offset += operation.result.read.size;
        } while (!operation.result.read.end);
        assert_int_equal(offset, strlen(text));
        maildrop_read_close(maildrop);
    }
    struct maildrop_operation empty = read_once(maildrop, 1, 0, 100);
    assert_int_equal(empty.error.kind, ERROR_NONE);
    assert_true(empty.result.read.end);
    assert_int_equal(empty.result.read.size, 0);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void the_row_says_what_is_sent(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "a",          "a\n",     "a\nb",
                                        "\n\n", "a\r\nb\r\n", ".\n.a\n", "a\r.b\n",
                                        "a\rb", "a\r",        "\r\r\n",  "a\n\r.\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world_put(&world, "cur/1.a:2,", texts[i]);
        struct maildrop *maildrop = open_drop(&world);
        struct pop3_octet_count count = {0};
        pop3_octet_count_feed(&count, texts[i], strlen(texts[i]));
        assert_int_equal(row_octets(maildrop, 0), pop3_octet_count_end(&count));
        struct maildrop_operation operation = read_once(maildrop, 0, 0, 1000);
        assert_false(operation.result.read.row_was_wrong);
        assert_true(maildrop_sent(maildrop, pop3_octet_count_end(&count)));
        maildrop_release(maildrop);
        world_finish(&world);
    }
}

static void a_file_that_was_renamed_is_found(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "new/1.a", "a\n");
    world_put(&world, "cur/2.b:2,", "b\n");
    world_put(&world, "cur/3.c:2,", "c\n");
    struct maildrop *maildrop = open_drop(&world);
    disk_move(world.disk, "/mail/alice/new/1.a", "/mail/alice/cur/1.a:2,S");
    disk_move(world.disk, "/mail/alice/cur/2.b:2,", "/mail/alice/cur/2.b:2,RS");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "a\n");
    uint64_t lists = world.disk->counts[DISK_LIST];
    world_wait(&world);
    assert_string_equal(read_text(maildrop, 1, &kind), "b\n");
    assert_string_equal(read_text(maildrop, 2, &kind), "c\n");
    assert_int_equal(world.disk->counts[DISK_LIST], lists); /* one scan for both */
    /* And once more, after that scan. */
    disk_move(world.disk, "/mail/alice/cur/2.b:2,RS", "/mail/alice/cur/2.b:2,T");
    assert_string_equal(read_text(maildrop, 1, &kind), "b\n");
    expect_drop(maildrop, 3, 9);
    assert_int_equal(commit(maildrop, "012").removed, 3);
    assert_int_equal(disk_count(world.disk, "/mail/alice/cur"), 0);
    world_finish(&world);
}

static void a_file_that_was_removed_is_gone_and_the_session_goes_on(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    world_put(&world, "cur/2.b:2,", "b\n");
    struct maildrop *maildrop = open_drop(&world);
    disk_remove(world.disk, "/mail/alice/cur/1.a:2,");
    world_wait(&world);
    assert_int_equal(read_error(maildrop, 0), ERROR_GONE);
    uint64_t lists = world.disk->counts[DISK_LIST];
    assert_int_equal(read_error(maildrop, 0), ERROR_GONE);
    assert_int_equal(check_error(maildrop, 0), ERROR_GONE);
    assert_int_equal(world.disk->counts[DISK_LIST], lists); /* nothing changed since */
    assert_string_equal(row_id(maildrop, 0), "1.a");        /* rows never change */
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 1, &kind), "b\n");
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_name_that_lies_about_the_size_is_served_whole(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=400,W=410:2,", "a\nb\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 410);
    struct maildrop_operation operation = read_once(maildrop, 0, 0, 2);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    assert_true(operation.result.read.row_was_wrong); /* known before the first octet is sent */
    assert_false(operation.result.read.end);
    maildrop_read_close(maildrop);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "a\nb\n");
    expect_drop(maildrop, 1, 410); /* for this session */
    assert_int_equal(commit(maildrop, "").not_removed, 0);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 6);
    operation = read_once(maildrop, 0, 0, 100);
    assert_false(operation.result.read.row_was_wrong);
    maildrop_release(maildrop);
    /* It stays right when the folder changes. */
    world_put(&world, "cur/2.b,S=0,W=0:2,", "");
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 6);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_name_that_lies_about_the_octets_is_noticed_at_the_end(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=4,W=5:2,", "a\nb\n");
    world_put(&world, "cur/2.b,S=4,W=6:2,", "a\nb\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 11);
    struct maildrop_operation operation = read_once(maildrop, 0, 0, 3);
    assert_false(operation.result.read.row_was_wrong);
    operation = read_once(maildrop, 0, 3, 3);
    assert_true(operation.result.read.end);
    assert_false(maildrop_sent(maildrop, 6));
    operation = read_once(maildrop, 1, 0, 100);
    assert_true(maildrop_sent(maildrop, 6));
    maildrop_release(maildrop);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 12);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_file_that_changed_after_it_was_counted_is_counted_anew(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\nb\n");
    maildrop_release(open_drop(&world));
    disk_overwrite(world.disk, "/mail/alice/cur/1.a:2,", "a\nb\nc\n", 6);
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 6);
    assert_true(read_once(maildrop, 0, 0, 100).result.read.row_was_wrong);
    maildrop_release(maildrop);
    maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 9);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void what_another_server_encoded_is_never_served(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=1000,W=1010:2,", "\x1f\x8b\x08xyz\n");
    world_put(&world, "cur/2.b:2,", "CRYPTED\x03\x07xyz\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 1010 + 13);
    for (uint32_t i = 0; i < 2; i++) {
        static const size_t capacities[] = {1, 4, 100};
        for (size_t c = 0; c < 3; c++) {
            struct maildrop_operation operation = read_once(maildrop, i, 0, capacities[c]);
            assert_int_equal(operation.error.kind, ERROR_UNREADABLE);
        }
        assert_int_equal(check_error(maildrop, i), ERROR_UNREADABLE);
    }
    maildrop_release(maildrop);
    /* Its file's size from the next login on. */
    maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 7 + 13);
    assert_int_equal(check_error(maildrop, 0), ERROR_UNREADABLE);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_file_that_is_cut_while_it_is_read_is_an_error(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "0123456789");
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(read_once(maildrop, 0, 0, 4).result.read.size, 4);
    disk_overwrite(world.disk, "/mail/alice/cur/1.a:2,", "0123", 4);
    struct maildrop_operation operation = read_once(maildrop, 0, 4, 100);
    assert_int_equal(operation.error.kind, ERROR_UNREADABLE);
    maildrop_read_close(maildrop);
    /* What is added while it is read is not sent. */
    operation = read_once(maildrop, 0, 0, 2);
    disk_overwrite(world.disk, "/mail/alice/cur/1.a:2,", "0123456789", 10);
    operation = read_once(maildrop, 0, 2, 100);
    assert_int_equal(operation.result.read.size, 2);
    assert_true(operation.result.read.end);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_read_error_is_of_that_message_only(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
    world_put(&world, "cur/2.b,S=2,W=3:2,", "b\n");
    disk_deny(world.disk, "/mail/alice/cur/1.a,S=2,W=3:2,", 0, EIO);
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(read_error(maildrop, 0), ERROR_UNREADABLE);
    assert_int_equal(check_error(maildrop, 0), ERROR_UNREADABLE);
    assert_int_equal(check_error(maildrop, 1), ERROR_NONE);
    assert_int_equal(read_error(maildrop, 1), ERROR_NONE);
    maildrop_release(maildrop);
    /* Too few descriptors say nothing of the message. */
    maildrop = open_drop(&world);
    disk_deny(world.disk, "/mail/alice/cur/2.b,S=2,W=3:2,", EMFILE, 0);
    assert_int_equal(read_error(maildrop, 1), ERROR_TEMPORARY);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void what_was_read_needs_no_check(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(read_error(maildrop, 0), ERROR_NONE);
    uint64_t count = world.disk->count;
    assert_int_equal(check_error(maildrop, 0), ERROR_NONE);
    assert_int_equal(world.disk->count, count);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void hostile_names_are_served(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    char longest[256];
    memset(longest, 'x', 255);
    longest[255] = '\0';
    const char *names[] = {"a\nb", "c\xc3\xa9", ":2,S", "=equals", "%n%s", longest, " ", "1.\x7f"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[300];
        char text[4] = {(char)('0' + i), '\n', '\0'};
        (void)snprintf(name, sizeof name, "cur/%s", names[i]);
        world_put(&world, name, text);
    }
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 8, 24);
    bool seen[8] = {false};
    for (uint32_t i = 0; i < 8; i++) {
        enum error_kind kind;
        const char *text = read_text(maildrop, i, &kind);
        assert_non_null(text);
        seen[text[0] - '0'] = true;
        const char *id = row_id(maildrop, i);
        for (const char *at = id; *at != '\0'; at++) {
            assert_true(*at >= 0x21 && *at <= 0x7E);
        }
    }
    for (size_t i = 0; i < 8; i++) {
        assert_true(seen[i]);
    }
    assert_int_equal(commit(maildrop, "01234567").removed, 8);
    assert_int_equal(disk_count(world.disk, "/mail/alice/cur"), 0);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_come_as_stored_in_any_pieces),
        cmocka_unit_test(the_row_says_what_is_sent),
        cmocka_unit_test(a_file_that_was_renamed_is_found),
        cmocka_unit_test(a_file_that_was_removed_is_gone_and_the_session_goes_on),
        cmocka_unit_test(a_name_that_lies_about_the_size_is_served_whole),
        cmocka_unit_test(a_name_that_lies_about_the_octets_is_noticed_at_the_end),
        cmocka_unit_test(a_file_that_changed_after_it_was_counted_is_counted_anew),
        cmocka_unit_test(what_another_server_encoded_is_never_served),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_read_is_an_error),
        cmocka_unit_test(a_read_error_is_of_that_message_only),
        cmocka_unit_test(what_was_read_needs_no_check),
        cmocka_unit_test(hostile_names_are_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
