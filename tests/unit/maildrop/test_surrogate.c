/* SPDX-License-Identifier: MIT */
/* Surrogates in the store: which messages need one is found out once, kept in the index, and never costs anything
 * where nobody asks. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "maildrop/maildir/keep.h"

#define PLAIN     "Subject: a\n\n"
#define NEEDY     "Subject: \xc3\xa9\n\n"
#define IN_PART   "Content-Type: multipart/x; boundary=b\n\n--b\nX: \xc3\xa9\n\n"

/* What is sent of that. */
#define PART_LEFT "Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\n\r\n"

enum { PLAIN_OCTETS = 14, NEEDY_OCTETS = 15, SURROGATE_OCTETS = 29 };

static struct world create(void)
{
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=12,W=14:2,", PLAIN);
    world_put(&world, "cur/2.b,S=13,W=15:2,", NEEDY);
    world_put(&world, "new/3.c,S=13,W=15", NEEDY);
    world.surrogates = true;
    return world;
}

static uint64_t open_octets(struct world *world)
{
    struct maildrop_operation operation;
    assert_int_equal(try_open(world, &operation), ERROR_NONE);
    maildrop_release(operation.result.opened.maildrop);
    return operation.result.opened.octets;
}

static bool needs(struct maildrop *maildrop, uint32_t index, size_t capacity)
{
    static char buffer[10000];
    struct maildrop_operation operation = {0};
    assert_int_equal(maildrop_read(maildrop, index, 0, buffer, capacity, &operation),
                     MAILDROP_DONE);
    assert_int_equal(operation.error.kind, ERROR_NONE);
    return operation.result.read.needs_surrogate;
}

static void each_session_is_shown_its_own_octets(void **state)
{
    (void)state;
    struct world world = create();
    for (int round = 0; round < 4; round++) {
        world.surrogates = round % 2 == 0;
        uint64_t octets = world.surrogates ? SURROGATE_OCTETS : NEEDY_OCTETS;
        assert_int_equal(open_octets(&world), PLAIN_OCTETS + 2 * octets);
        struct maildrop *maildrop = open_drop(&world);
        assert_int_equal(row_octets(maildrop, 0), PLAIN_OCTETS);
        assert_int_equal(row_octets(maildrop, 1), octets);
        assert_int_equal(row_octets(maildrop, 2), octets);
        assert_string_equal(row_id(maildrop, 1), "2.b");
        assert_false(needs(maildrop, 0, 100));
        assert_int_equal(needs(maildrop, 1, 100), world.surrogates);
        assert_int_equal(needs(maildrop, 1, 1), world.surrogates);
        maildrop_release(maildrop);
    }
    world_finish(&world);
}

static void nobody_reads_messages_who_has_utf8(void **state)
{
    (void)state;
    struct world world = create();
    world.surrogates = false;
    uint64_t reads = world.disk->counts[DISK_READ];
    maildrop_release(open_drop(&world));
    uint64_t first = world.disk->counts[DISK_READ] - reads;
    world.surrogates = true;
    reads = world.disk->counts[DISK_READ];
    maildrop_release(open_drop(&world));
    assert_true(world.disk->counts[DISK_READ] - reads >= first + 3);
    world_finish(&world);
}

static void what_was_found_out_is_kept(void **state)
{
    (void)state;
    struct world world = create();
    maildrop_release(open_drop(&world));
    uint64_t lists = world.disk->counts[DISK_LIST];
    maildrop_release(open_drop(&world));
    assert_int_equal(world.disk->counts[DISK_LIST], lists);
    /* A scan by who has UTF-8 keeps it, and only the new message is read by who has not. */
    world_put(&world, "new/4.d,S=12,W=14", PLAIN);
    world.surrogates = false;
    maildrop_release(open_drop(&world));
    world.surrogates = true;
    disk_deny(world.disk, "/mail/alice/cur/2.b,S=13,W=15:2,", EACCES, 0);
    assert_int_equal(open_octets(&world), 2 * PLAIN_OCTETS + 2 * SURROGATE_OCTETS);
    struct maildrop *maildrop = open_drop(&world);
    assert_true(maildir_of(maildrop)->snapshot.header.examined);
    assert_int_equal(commit(maildrop, "0").removed, 1);
    disk_deny(world.disk, "/mail/alice/cur/2.b,S=13,W=15:2,", 0, 0);
    assert_int_equal(open_octets(&world), PLAIN_OCTETS + 2 * SURROGATE_OCTETS);
    world_finish(&world);
}

static void headers_of_parts_count(void **state)
{
    (void)state;
    struct world world = create();
    world_put(&world, "cur/4.d:2,", IN_PART);
    struct maildrop *maildrop = open_drop(&world);
    assert_true(needs(maildrop, 3, 100));
    assert_int_equal(row_octets(maildrop, 3), sizeof PART_LEFT - 1);
    maildrop_release(maildrop);
    world_finish(&world);
}

/* The header may go on behind what is read first. */
static void no_row_lets_8bit_headers_through(void **state)
{
    (void)state;
    struct world world = create();
    char header[9000];
    memset(header, 'a', sizeof header);
    (void)snprintf(header + 8000, 100, "\n\nbody");
    world_put(&world, "cur/5.e:2,", header);
    maildrop_release(open_drop(&world));
    (void)snprintf(header + 7996, 100, "\xc3\xa9\xc3\xa9\n\nbody");
    disk_overwrite(world.disk, "/mail/alice/cur/5.e:2,", header, strlen(header));
    static const size_t capacities[] = {1, 15, 16, 100, 8000, 9000};
    struct maildrop *maildrop = open_drop(&world);
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        assert_true(needs(maildrop, 3, capacities[i]));
        assert_false(needs(maildrop, 0, capacities[i]));
        maildrop_read_close(maildrop);
    }
    uint64_t wrong = row_octets(maildrop, 3);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 3, &kind), header);
    assert_int_equal(row_octets(maildrop, 3), wrong); /* in this session */
    maildrop_release(maildrop);
    world.surrogates = false; /* of the message itself nothing was wrong */
    maildrop = open_drop(&world);
    assert_int_equal(row_octets(maildrop, 3), wrong);
    maildrop_release(maildrop);
    world.surrogates = true;
    maildrop = open_drop(&world);
    assert_int_equal(row_octets(maildrop, 3), sizeof "\r\nbody\r\n" - 1); /* it was no field */
    assert_true(needs(maildrop, 3, 100));
    maildrop_release(maildrop);
    world_finish(&world);
}

/* A name that lies: whoever reads it finds it out, and the surrogate with it. */
static void a_file_of_another_size_is_examined_anew(void **state)
{
    (void)state;
    struct world world = create();
    world_put(&world, "cur/4.d,S=12,W=14:2,", PLAIN);
    maildrop_release(open_drop(&world));
    disk_overwrite(world.disk, "/mail/alice/cur/4.d,S=12,W=14:2,", IN_PART, sizeof IN_PART - 1);
    struct maildrop *maildrop = open_drop(&world);
    assert_int_equal(row_octets(maildrop, 3), PLAIN_OCTETS);
    assert_true(needs(maildrop, 3, 100));
    maildrop_read_close(maildrop);
    assert_true(needs(maildrop, 3, 100)); /* known by now */
    maildrop_release(maildrop);
    uint64_t lists = world.disk->counts[DISK_LIST];
    maildrop = open_drop(&world);
    assert_int_equal(row_octets(maildrop, 3), sizeof PART_LEFT - 1);
    assert_int_equal(world.disk->counts[DISK_LIST], lists);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void what_cannot_be_read_does_not_stop_the_login(void **state)
{
    (void)state;
    struct world world = create();
    world_put(&world, "cur/4.d,S=12,W=14:2,", PLAIN);
    world_put(&world, "cur/5.e:2,", "\x1f\x8b\xff\xff\n");
    disk_put_link(world.disk, "/mail/alice/cur/6.f:2,", "/etc/passwd");
    disk_deny(world.disk, "/mail/alice/cur/4.d,S=12,W=14:2,", EACCES, 0);
    world_wait(&world);
    struct maildrop *maildrop = open_drop(&world);
    const struct index_header *header = &maildir_of(maildrop)->snapshot.header;
    assert_int_equal(header->count, 6);
    assert_true(header->examined);
    assert_int_equal(read_error(maildrop, 3), ERROR_UNREADABLE);
    assert_int_equal(read_error(maildrop, 4), ERROR_UNREADABLE);
    maildrop_release(maildrop);
    world_finish(&world);
}

static void a_delivery_is_examined(void **state)
{
    (void)state;
    struct world world = create();
    for (int i = 0; i < KEEP_ROWS_LEAST; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/mail/alice/cur/%d.x,S=12,W=14:2,", 1000 + i);
        disk_put_text(world.disk, path, PLAIN);
    }
    disk_settle(world.disk);
    world_wait(&world);
    for (int round = 0; round < 2; round++) {
        uint64_t octets = open_octets(&world);
        uint64_t lists = world.disk->counts[DISK_LIST];
        assert_int_equal(deliver(&world, "alice", NEEDY), ERROR_NONE);
        lists = world.disk->counts[DISK_LIST];
        assert_int_equal(open_octets(&world),
                         octets + (world.surrogates ? SURROGATE_OCTETS : NEEDY_OCTETS));
        assert_int_equal(world.disk->counts[DISK_LIST], lists);
        world.surrogates = false;
    }
    world.surrogates = true;
    uint64_t lists = world.disk->counts[DISK_LIST];
    maildrop_release(open_drop(&world));
    assert_int_equal(world.disk->counts[DISK_LIST], lists);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_session_is_shown_its_own_octets),
        cmocka_unit_test(nobody_reads_messages_who_has_utf8),
        cmocka_unit_test(what_was_found_out_is_kept),
        cmocka_unit_test(headers_of_parts_count),
        cmocka_unit_test(no_row_lets_8bit_headers_through),
        cmocka_unit_test(a_file_of_another_size_is_examined_anew),
        cmocka_unit_test(what_cannot_be_read_does_not_stop_the_login),
        cmocka_unit_test(a_delivery_is_examined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
