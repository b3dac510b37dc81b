/* SPDX-License-Identifier: MIT */
/* Unique ids: unique in a maildrop, and the same for as long as the message is there (promise 4). */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/ids.h"
#include "maildrop/maildir/index.h"
#include "maildrop/maildir/name.h"

#define IDS_PATH   "/mail/alice/" IDS_NAME
#define INDEX_PATH "/mail/alice/" INDEX_NAME

static void expect_ids(struct world *world, const char *const *expected, uint32_t count)
{
    struct maildrop *maildrop = open_drop(world);
    assert_int_equal(maildir_of(maildrop)->snapshot.header.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(row_id(maildrop, i), expected[i]);
    }
    maildrop_release(maildrop);
}

static const char *whole_id(const char *base)
{
    static char ids[4][POP3_UNIQUE_ID_OCTETS + 1];
    static unsigned next;
    char *id = ids[next++ % 4];
    id[maildir_unique_id_whole(bytes_of(base), 0, id)] = '\0';
    return id;
}

static void ids_survive_the_loss_of_the_index(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
    world_put(&world, "cur/1.a,S=4,W=6:2,", "a\na\n");
    world_put(&world, "cur/with space:2,", "s\n");
    char hashed[POP3_UNIQUE_ID_OCTETS + 1];
    hashed[maildir_unique_id(bytes_of("with space"), hashed)] = '\0';
    const char *expected[] = {hashed, "1.a", whole_id("1.a,S=4,W=6")};
    expect_ids(&world, expected, 3);
    disk_remove(world.disk, INDEX_PATH);
    expect_ids(&world, expected, 3);
    /* The one whose id it was first goes: the other keeps its own all the same. */
    disk_remove(world.disk, "/mail/alice/cur/1.a,S=2,W=3:2,");
    disk_remove(world.disk, INDEX_PATH);
    world_wait(&world);
    const char *left[] = {hashed, whole_id("1.a,S=4,W=6")};
    expect_ids(&world, left, 2);
    world_finish(&world);
}

static void a_later_message_with_an_id_in_use_gets_another(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=4,W=6:2,", "a\na\n");
    const char *first[] = {"1.a"};
    expect_ids(&world, first, 1);
    /* It sorts before the one that is known, which keeps its id. */
    world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
    const char *both[] = {whole_id("1.a,S=2,W=3"), "1.a"};
    expect_ids(&world, both, 2);
    disk_remove(world.disk, INDEX_PATH);
    expect_ids(&world, both, 2);
    size_t size;
    const char *text = (const char *)disk_get(world.disk, IDS_PATH, &size);
    char line[200];
    (void)snprintf(line, sizeof line, "restante ids 1\n%s 1.a,S=2,W=3\n", both[0]);
    assert_string_equal(text, line);
    world_finish(&world);
}

/* All their stripped names are one. */
static void many_messages_with_one_name_all_differ(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    for (unsigned i = 0; i < 30; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s/5.x,S=%u,W=1:2,", i % 2 == 0 ? "cur" : "new", i);
        world_put(&world, name, "");
    }
    char before[30][POP3_UNIQUE_ID_OCTETS + 1] = {{0}};
    for (int round = 0; round < 2; round++) {
        struct maildrop *maildrop = open_drop(&world);
        for (uint32_t i = 0; i < 30; i++) {
            const char *id = row_id(maildrop, i);
            for (uint32_t j = 0; j < i; j++) {
                assert_string_not_equal(id, before[j]);
            }
            if (round == 1) {
                assert_string_equal(id, before[i]);
            }
            (void)snprintf(before[i], sizeof before[i], "%s", id);
        }
        maildrop_release(maildrop);
        disk_remove(world.disk, INDEX_PATH);
    }
    world_finish(&world);
}

static void the_file_of_ids_comes_before_names(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    world_put(&world, "cur/2.b c,S=2:2,", "b\n");
    disk_put_text(world.disk, IDS_PATH,
                  "restante ids 1\nUID1-7 1.a\nUID1-9 2.b%20c,S=2\nUID1-3 0.gone\n");
    const char *expected[] = {"UID1-7", "UID1-9"};
    expect_ids(&world, expected, 2);
    expect_ids(&world, expected, 2);
    world_finish(&world);
}

static void the_file_of_ids_is_heeded_when_it_changes(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a:2,", "a\n");
    const char *name[] = {"1.a"};
    expect_ids(&world, name, 1);
    disk_put_text(world.disk, IDS_PATH, "restante ids 1\nUID1-7 1.a\n");
    const char *given[] = {"UID1-7"};
    expect_ids(&world, given, 1);
    world_wait(&world);
    disk_remove(world.disk, IDS_PATH);
    disk_put_text(world.disk, IDS_PATH, "restante ids 1\nUID1-8 1.a\n");
    const char *other[] = {"UID1-8"};
    expect_ids(&world, other, 1);
    world_finish(&world);
}

static void an_id_of_the_file_is_not_used_again(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    disk_put_text(world.disk, IDS_PATH, "restante ids 1\n1.a 0.gone\n2.b 9.here\n");
    world_put(&world, "cur/1.a:2,", "a\n");
    world_put(&world, "cur/2.b:2,", "b\n");
    world_put(&world, "cur/9.here:2,", "c\n");
    const char *expected[] = {whole_id("1.a"), whole_id("2.b"), "2.b"};
    expect_ids(&world, expected, 3);
    disk_remove(world.disk, INDEX_PATH);
    expect_ids(&world, expected, 3);
    world_finish(&world);
}

static void the_whole_hash_of_another_is_not_taken_either(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    char text[200];
    (void)snprintf(text, sizeof text, "restante ids 1\n%s 7.other\n", whole_id("1.a,S=2,W=3"));
    disk_put_text(world.disk, IDS_PATH, text);
    world_put(&world, "cur/1.a,S=0,W=0:2,", "");
    world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
    char second[POP3_UNIQUE_ID_OCTETS + 1];
    second[maildir_unique_id_whole(bytes_of("1.a,S=2,W=3"), 1, second)] = '\0';
    const char *expected[] = {"1.a", second};
    expect_ids(&world, expected, 2);
    world_finish(&world);
}

#define SEVENTY  "1234567890123456789012345678901234567890123456789012345678901234567890"
#define TOO_LONG "restante ids 1\n" SEVENTY "1 1.a\n"

static void a_wrong_file_of_ids_stops_the_login(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "restante ids 2\n",
        "restante ids 1",
        "restante ids 1\nX 1.a",     /* no line end */
        "restante ids 1\nX\n",       /* no name */
        "restante ids 1\n 1.a\n",    /* no id */
        "restante ids 1\nX 1.a b\n", /* a space that is not escaped */
        "restante ids 1\nX 1.a%2\n",
        "restante ids 1\nX 1.a%2g\n",
        "restante ids 1\nX 1.a%2f\n",     /* lower case */
        "restante ids 1\nX 1.a\nX 2.b\n", /* one id, two messages */
        "restante ids 1\nX 1.a\nY 1.a\n", /* one message, two ids */
        "restante ids 1\n\xc3\xa9 1.a\n",
        TOO_LONG,
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct world world = world_create(NULL);
        world_make_maildrop(&world);
        world_put(&world, "cur/1.a:2,", "a\n");
        disk_put_text(world.disk, IDS_PATH, wrong[i]);
        struct maildrop_operation operation;
        assert_int_equal(try_open(&world, &operation), ERROR_CORRUPT);
        assert_false(disk_is_locked(world.disk, "/mail/alice/cur"));
        world_finish(&world);
    }
}

static void ids_have_no_room(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)operation;
    disk->full = strstr(name, IDS_NAME) != NULL;
}

static void ids_that_found_no_room_are_written_later(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "cur/1.a,S=2,W=3:2,", "a\n");
    world_put(&world, "cur/1.a,S=4,W=6:2,", "a\na\n");
    const char *expected[] = {"1.a", whole_id("1.a,S=4,W=6")};
    world.disk->before = ids_have_no_room;
    expect_ids(&world, expected, 2);
    world.disk->before = NULL;
    world.disk->full = false;
    assert_true(disk_exists(world.disk, INDEX_PATH));
    assert_false(disk_exists(world.disk, IDS_PATH));
    expect_ids(&world, expected, 2);
    assert_true(disk_exists(world.disk, IDS_PATH));
    world_finish(&world);
}

static void names_are_escaped_and_come_back(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    char base[300];
    size_t size = 0;
    for (int octet = 1; octet < 256; octet++) {
        if (octet != '/' && octet != ':' && octet != '\n') {
            base[size++] = (char)octet;
        }
    }
    base[size++] = '\n';
    struct ids_entry entries[2] = {
        {.base = {(const uint8_t *)base, size}, .unique_id = bytes_of("id!~")},
        {.base = {(const uint8_t *)"", 0}, .unique_id = bytes_of("empty")},
    };
    int root = fs_open(&world.disk->fs, (struct fs_name){AT_FDCWD, "/mail/alice"}, O_PATH, 0);
    struct index_stamp stamp;
    struct index_stamp second_stamp;
    assert_int_equal(ids_add(&world.disk->fs, root, &entries[0], 1, &stamp, &world.error), 0);
    assert_int_equal(ids_add(&world.disk->fs, root, &entries[1], 1, &second_stamp, &world.error),
                     0);
    struct ids ids;
    assert_int_equal(ids_load(&world.disk->fs, root, &ids, &world.error), 0);
    assert_int_equal(ids.count, 2);
    assert_true(index_stamp_equal(&ids.stamp, &second_stamp));
    for (size_t i = 0; i < 2; i++) {
        const struct ids_entry *found = ids_find(&ids, entries[i].base);
        assert_non_null(found);
        assert_true(bytes_equal(found->unique_id, entries[i].unique_id));
        assert_ptr_equal(ids_find(&ids, bytes_of("other")), NULL);
        found = ids_find_owner(&ids, entries[i].unique_id);
        assert_true(bytes_equal(found->base, entries[i].base));
    }
    ids_finish(&ids);
    fs_close(&world.disk->fs, &root);
    world_finish(&world);
}

static void doubles_are_one_message(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "new/1.a,S=2,W=3", "n\n");
    world_put(&world, "cur/1.a,S=2,W=3:2,S", "c\n");
    world_put(&world, "new/2.b", "b\n");
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 2, 6);
    assert_string_equal(row_id(maildrop, 0), "1.a");
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "c\n"); /* cur/'s is shown */
    struct committed committed = commit(maildrop, "0");
    assert_int_equal(committed.removed, 1);
    assert_int_equal(committed.not_removed, 0);
    assert_int_equal(disk_count(world.disk, "/mail/alice/cur"), 0);
    assert_int_equal(disk_count(world.disk, "/mail/alice/new"), 1);
    const char *left[] = {"2.b"};
    expect_ids(&world, left, 1);
    world_finish(&world);
}

static int moves;

static void move_to_cur(struct disk *disk, enum disk_operation operation, const char *name)
{
    (void)name;
    /* After new/ was listed, and by link and unlink, so that it is in both for a while. */
    if (operation == DISK_LIST && moves > 0 && --moves == 0) {
        disk_put_text(disk, "/mail/alice/cur/1.a:2,", "a\n");
        disk_remove(disk, "/mail/alice/new/1.a");
    }
}

static void a_message_on_its_way_is_no_double(void **state)
{
    (void)state;
    struct world world = world_create(NULL);
    world_make_maildrop(&world);
    world_put(&world, "new/1.a", "a\n");
    moves = 3;
    world.disk->before = move_to_cur;
    struct maildrop *maildrop = open_drop(&world);
    expect_drop(maildrop, 1, 3);
    enum error_kind kind;
    assert_string_equal(read_text(maildrop, 0, &kind), "a\n");
    maildrop_release(maildrop);
    assert_int_equal(moves, 0);
    world_finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_survive_the_loss_of_the_index),
        cmocka_unit_test(a_later_message_with_an_id_in_use_gets_another),
        cmocka_unit_test(many_messages_with_one_name_all_differ),
        cmocka_unit_test(the_file_of_ids_comes_before_names),
        cmocka_unit_test(the_file_of_ids_is_heeded_when_it_changes),
        cmocka_unit_test(an_id_of_the_file_is_not_used_again),
        cmocka_unit_test(the_whole_hash_of_another_is_not_taken_either),
        cmocka_unit_test(a_wrong_file_of_ids_stops_the_login),
        cmocka_unit_test(ids_that_found_no_room_are_written_later),
        cmocka_unit_test(names_are_escaped_and_come_back),
        cmocka_unit_test(doubles_are_one_message),
        cmocka_unit_test(a_message_on_its_way_is_no_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
