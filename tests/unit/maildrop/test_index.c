/* SPDX-License-Identifier: MIT */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maildrop/maildir/index.h"
#include "maildrop/maildir/index_format.h"
#include "maildrop/maildir/name.h"

/* Row i of the indexes here: names of many lengths, every seventh with an id of its own. */
struct example {
    char name[300];
    char id[POP3_UNIQUE_ID_OCTETS + 1];
    struct index_row row;
};

static void make_example(uint32_t number, struct example *example)
{
    (void)snprintf(example->name, sizeof example->name, "%u.x%0*d:2,S", 2 * number + 1,
                   (int)(number * 37 % 200 + 1), 7);
    (void)snprintf(example->id, sizeof example->id, "id-%u", number);
    example->row = (struct index_row){
        .name = bytes_of(example->name),
        .octets = 1000 + number,
        .size = number % 3 == 0 ? MAILDIR_UNKNOWN : number,
        .flags = number % 128,
    };
    if ((example->row.flags & INDEX_ROW_SURROGATE) != 0) {
        example->row.surrogate = 5000 + number;
    }
    if (number % 7 == 0) {
        example->row.unique_id = bytes_of(example->id);
    }
}

static int write_index(struct disk *disk, uint32_t count, struct index_header *header)
{
    int descriptor = disk->fs.operations->memory(&disk->fs, "index");
    struct index_writer *writer = index_writer_create(&disk->fs, descriptor);
    assert_non_null(writer);
    for (uint32_t i = 0; i < count; i++) {
        struct example example;
        make_example(i, &example);
        index_writer_add(writer, &example.row);
    }
    *header = (struct index_header){
        .trusted = true,
        .scanned_ns = 12345,
        .folder_new = {1, 2, 3, 4, 5},
        .folder_cur = {6, 7, 8, -9, 10},
        .ids = {11, 12, 13, 14, 15},
    };
    assert_int_equal(index_writer_finish(writer, header), 0);
    free(writer);
    return descriptor;
}

static void expect_row(const struct index_row *row, uint32_t number)
{
    struct example example;
    make_example(number, &example);
    assert_true(bytes_equal(row->name, example.row.name));
    assert_true(bytes_equal(row->unique_id, example.row.unique_id));
    assert_int_equal(row->octets, example.row.octets);
    assert_int_equal(row->size, example.row.size);
    assert_int_equal(row->surrogate, example.row.surrogate);
    assert_int_equal(row->flags, example.row.flags);
}

static void rows_come_back_in_any_order(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 2, 40, 1000, 5000};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        struct disk *disk = disk_create();
        struct index_header written;
        struct index_header header;
        int descriptor = write_index(disk, counts[c], &written);
        assert_int_equal(index_read_header(&disk->fs, descriptor, &header), 0);
        assert_true(header.trusted);
        assert_int_equal(header.blocks, written.blocks);
        assert_int_equal(header.octets, written.octets);
        assert_int_equal(header.surrogates, written.surrogates);
        assert_int_equal(header.examined, counts[c] == 0);
        assert_int_equal(header.scanned_ns, 12345);
        assert_true(index_stamp_equal(&header.folder_new, &written.folder_new));
        assert_true(index_stamp_equal(&header.folder_cur, &written.folder_cur));
        assert_true(index_stamp_equal(&header.ids, &written.ids));
        assert_int_equal(header.count, counts[c]);
        struct index_reader reader;
        struct index_row row;
        index_reader_init(&reader, &disk->fs, descriptor, &header);
        for (uint32_t i = 0; i < counts[c]; i++) {
            assert_int_equal(index_reader_row(&reader, i, &row), 0);
            expect_row(&row, i);
            assert_int_equal(index_reader_row(&reader, i, &row), 0); /* a row twice */
            expect_row(&row, i);
        }
        for (uint32_t i = 0; i < counts[c]; i++) {
            uint32_t number = (uint32_t)((uint64_t)i * 7919 % counts[c]);
            assert_int_equal(index_reader_row(&reader, number, &row), 0);
            expect_row(&row, number);
        }
        assert_int_equal(index_reader_row(&reader, counts[c], &row), -EBADMSG);
        assert_int_equal(index_reader_row(&reader, UINT32_MAX, &row), -EBADMSG);
        disk_free(disk);
    }
}

static void a_walk_reads_each_block_once(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    struct index_header header;
    int descriptor = write_index(disk, 3000, &header);
    struct index_reader reader;
    struct index_row row;
    index_reader_init(&reader, &disk->fs, descriptor, &header);
    uint64_t before = disk->counts[DISK_READ];
    for (uint32_t i = 0; i < 3000; i++) {
        assert_int_equal(index_reader_row(&reader, i, &row), 0);
    }
    assert_int_equal(disk->counts[DISK_READ] - before, header.blocks);
    disk_free(disk);
}

static void rows_are_found_by_base_name(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    struct index_header header;
    int descriptor = write_index(disk, 1500, &header);
    struct index_reader reader;
    struct index_row row;
    index_reader_init(&reader, &disk->fs, descriptor, &header);
    for (uint32_t i = 0; i < 1500; i++) {
        struct example example;
        make_example(i, &example);
        struct bytes base = {.data = example.row.name.data, .size = example.row.name.size - 4};
        assert_int_equal(index_reader_find(&reader, base, &row), 1);
        expect_row(&row, i);
        char absent[32];
        (void)snprintf(absent, sizeof absent, "%u.", 2 * i);
        assert_int_equal(index_reader_find(&reader, bytes_of(absent), &row), 0);
    }
    assert_int_equal(index_reader_find(&reader, bytes_of("9999999.z"), &row), 0);
    assert_int_equal(index_reader_find(&reader, bytes_of(""), &row), 0);
    disk_free(disk);
}

/* One octet after another is changed: nothing wrong is ever believed. */
/* Copies an index but for one row (or none), with what is before row `before` in whole blocks. */
static int copy_index(struct disk *disk, int from, const struct index_header *old, uint32_t before,
                      uint32_t removed, struct index_header *header)
{
    int descriptor = disk->fs.operations->memory(&disk->fs, "copy");
    struct index_writer *writer = index_writer_create(&disk->fs, descriptor);
    struct index_reader reader;
    struct index_row row;
    assert_non_null(writer);
    index_reader_init(&reader, &disk->fs, from, old);
    int64_t copied = index_writer_copy(writer, &reader, before);
    assert_true(copied <= before);
    for (uint32_t i = (uint32_t)copied; i < old->count; i++) {
        assert_int_equal(index_reader_row(&reader, i, &row), 0);
        index_writer_take_back(writer, &row);
        if (i != removed) {
            index_writer_add(writer, &row);
        }
    }
    *header = *old;
    assert_int_equal(index_writer_finish(writer, header), 0);
    free(writer);
    return descriptor;
}

static void what_is_before_a_change_is_copied(void **state)
{
    (void)state;
    static const uint32_t changes[] = {0, 1, 55, 1500, 2998, 2999, 3000};
    struct disk *disk = disk_create();
    struct index_header old;
    int descriptor = write_index(disk, 3000, &old);
    for (size_t c = 0; c < sizeof changes / sizeof changes[0]; c++) {
        uint32_t change = changes[c];
        struct index_header header;
        int copy = copy_index(disk, descriptor, &old, change, change, &header);
        struct example example = {0};
        if (change < 3000) {
            make_example(change, &example);
        }
        assert_int_equal(header.count, change < 3000 ? 2999 : 3000);
        assert_int_equal(header.octets, old.octets - example.row.octets);
        assert_int_equal(header.surrogates,
                         old.surrogates -
                             (change < 3000 ? index_row_shown(&example.row, true) : 0));
        struct index_reader reader;
        struct index_row row;
        index_reader_init(&reader, &disk->fs, copy, &header);
        for (uint32_t i = 0; i < header.count; i++) {
            assert_int_equal(index_reader_row(&reader, i, &row), 0);
            expect_row(&row, i < change ? i : i + 1);
        }
    }
    disk_free(disk);
}

static void a_damaged_index_is_not_copied(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    struct index_header header;
    int descriptor = write_index(disk, 3000, &header);
    struct index_writer *writer = index_writer_create(&disk->fs, descriptor);
    struct index_reader reader;
    uint8_t wrong = 0xFF;
    assert_non_null(writer);
    assert_int_equal(fs_write_full(&disk->fs, descriptor, &wrong, 1, INDEX_BLOCK_OCTETS * 3 + 99),
                     0);
    index_reader_init(&reader, &disk->fs, descriptor, &header);
    assert_int_equal(index_writer_copy(writer, &reader, 3000), -EBADMSG);
    free(writer);
    disk_free(disk);
}

static void a_damaged_octet_is_noticed(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    struct index_header header;
    int descriptor = write_index(disk, 60, &header);
    static uint8_t copy[4 * INDEX_BLOCK_OCTETS];
    ssize_t size = fs_read_full(&disk->fs, descriptor, copy, sizeof copy, 0);
    assert_true(size > 2 * INDEX_BLOCK_OCTETS && size < (ssize_t)sizeof copy);
    for (ssize_t i = 0; i < size; i += 3) {
        uint8_t wrong = (uint8_t)(copy[i] ^ (1U << i % 8));
        assert_int_equal(fs_write_full(&disk->fs, descriptor, &wrong, 1, (uint64_t)i), 0);
        struct index_header damaged;
        int result = index_read_header(&disk->fs, descriptor, &damaged);
        if (i < INDEX_BLOCK_OCTETS) {
            assert_int_equal(result, -EBADMSG);
        } else {
            struct index_reader reader;
            struct index_row row;
            index_reader_init(&reader, &disk->fs, descriptor, &damaged);
            uint32_t good = 0;
            for (uint32_t r = 0; r < 60; r++) {
                int found = index_reader_row(&reader, r, &row);
                if (found == 0) {
                    expect_row(&row, r);
                    good++;
                } else {
                    assert_int_equal(found, -EBADMSG);
                }
            }
            assert_true(good < 60);
        }
        assert_int_equal(fs_write_full(&disk->fs, descriptor, &copy[i], 1, (uint64_t)i), 0);
    }
    disk_free(disk);
}

static void a_shorter_file_is_noticed(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    disk_make_folder(disk, "/d");
    struct index_header header;
    int descriptor = write_index(disk, 60, &header);
    static uint8_t copy[4 * INDEX_BLOCK_OCTETS];
    ssize_t size = fs_read_full(&disk->fs, descriptor, copy, sizeof copy, 0);
    disk_put(disk, "/d/index", copy, (size_t)size);
    for (ssize_t cut = 0; cut < size; cut += 512) {
        disk_overwrite(disk, "/d/index", copy, (size_t)cut);
        int file = fs_open(&disk->fs, (struct fs_name){AT_FDCWD, "/d/index"}, O_RDONLY, 0);
        struct index_header cut_header;
        int result = index_read_header(&disk->fs, file, &cut_header);
        assert_int_equal(result, cut < INDEX_BLOCK_OCTETS ? -EBADMSG : 0);
        struct index_reader reader;
        struct index_row row;
        index_reader_init(&reader, &disk->fs, file, &header);
        assert_int_equal(index_reader_row(&reader, 59, &row), -EBADMSG);
        fs_close(&disk->fs, &file);
    }
    disk_free(disk);
}

/* Blocks whose checksums are right and whose contents are hostile. */
static void hostile_rows_are_refused(void **state)
{
    (void)state;
    struct {
        const char *name;
        size_t name_size;
        uint16_t told_name_size, told_id_size;
        uint32_t first_row, rows;
    } cases[] = {
        {"../x", 4, 4, 0, 0, 1},         {"a/b", 3, 3, 0, 0, 1},
        {".hidden", 7, 7, 0, 0, 1},      {"a\0b", 3, 3, 0, 0, 1},
        {"abc", 3, 0, 0, 0, 1},          {"abc", 3, 60000, 0, 0, 1},
        {"abc", 3, 3, 60000, 0, 1},      {"abc", 3, 3, 71, 0, 1},
        {"abcd e", 6, 4, 2, 0, 1},       {"abc", 3, 3, 0, 1, 1},
        {"abc", 3, 3, 0, 0, 2},          {"abc", 3, 3, 0, 0, 0},
        {"abc", 3, 3, 0, 0, 99999},      {"abc", 3, 3, 0, UINT32_MAX, 1},
        {"abc", 3, 3, 0, 1, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct disk *disk = disk_create();
        struct index_header header = {.count = 1, .blocks = 1};
        uint8_t block[INDEX_BLOCK_OCTETS] = {0};
        index_put_32(block + INDEX_AT_FIRST_ROW, cases[i].first_row);
        index_put_32(block + INDEX_AT_ROWS, cases[i].rows);
        uint8_t *row_at = block + INDEX_AT_FIRST;
        index_put_16(row_at + INDEX_ROW_AT_NAME_SIZE, cases[i].told_name_size);
        index_put_16(row_at + INDEX_ROW_AT_ID_SIZE, cases[i].told_id_size);
        memcpy(row_at + INDEX_ROW_OCTETS, cases[i].name, cases[i].name_size);
        index_put_64(block, index_block_checksum(block, 1));
        int descriptor = disk->fs.operations->memory(&disk->fs, "index");
        assert_int_equal(
            fs_write_full(&disk->fs, descriptor, block, sizeof block, INDEX_BLOCK_OCTETS), 0);
        struct index_reader reader;
        struct index_row row;
        index_reader_init(&reader, &disk->fs, descriptor, &header);
        assert_int_equal(index_reader_row(&reader, 0, &row), -EBADMSG);
        disk_free(disk);
    }
}

static void a_block_in_anothers_place_is_refused(void **state)
{
    (void)state;
    struct disk *disk = disk_create();
    struct index_header header;
    int descriptor = write_index(disk, 100, &header);
    uint8_t block[INDEX_BLOCK_OCTETS];
    assert_true(header.blocks >= 2);
    (void)fs_read_full(&disk->fs, descriptor, block, sizeof block, 2 * INDEX_BLOCK_OCTETS);
    assert_int_equal(fs_write_full(&disk->fs, descriptor, block, sizeof block, INDEX_BLOCK_OCTETS),
                     0);
    struct index_reader reader;
    struct index_row row;
    index_reader_init(&reader, &disk->fs, descriptor, &header);
    assert_int_equal(index_reader_row(&reader, 0, &row), -EBADMSG);
    disk_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_in_any_order),
        cmocka_unit_test(a_walk_reads_each_block_once),
        cmocka_unit_test(rows_are_found_by_base_name),
        cmocka_unit_test(what_is_before_a_change_is_copied),
        cmocka_unit_test(a_damaged_index_is_not_copied),
        cmocka_unit_test(a_damaged_octet_is_noticed),
        cmocka_unit_test(a_shorter_file_is_noticed),
        cmocka_unit_test(hostile_rows_are_refused),
        cmocka_unit_test(a_block_in_anothers_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
