/* SPDX-License-Identifier: MIT */
/* Reading the index. A reader never trusts what it has not checked: a block's checksum covers its
 * number, and every row must lie within its block. pread, not mmap: a file that somebody cuts short must
 * not be a SIGBUS. */
#include "maildrop/maildir/index.h"

#include <errno.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "maildrop/maildir/index_format.h"
#include "maildrop/maildir/name.h"

uint64_t index_block_checksum(const uint8_t *block, uint32_t number)
{
    return XXH3_64bits_withSeed(block + 8, INDEX_BLOCK_OCTETS - 8, number);
}

struct index_stamp index_stamp_of(const struct fs_stat *stat)
{
    return (struct index_stamp){
        .device = stat->device,
        .inode = stat->inode,
        .size = stat->size,
        .modified_ns = stat->modified_ns,
        .changed_ns = stat->changed_ns,
    };
}

bool index_stamp_equal(const struct index_stamp *a, const struct index_stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

/* A file system that keeps whole seconds, or every second one, shows times without a fraction. */
#define COARSE_NS INT64_C(2000000000)

static int64_t settles_at(const struct fs_stat *stat, const struct fs_facts *facts)
{
    if (stat->inode == 0) {
        return 0; /* there is no folder; one that is made has a stamp */
    }
    int64_t last = stat->modified_ns > stat->changed_ns ? stat->modified_ns : stat->changed_ns;
    int64_t tick = facts->tick_ns;
    if (stat->changed_ns % 1000000000 == 0 && tick < COARSE_NS) {
        tick = COARSE_NS;
    }
    return last + 2 * tick;
}

int64_t index_settles_at(const struct fs_stat *cur, const struct fs_stat *new_folder,
                         const struct fs_facts *facts)
{
    if (facts->tick_ns < 0) {
        return -1;
    }
    int64_t first = settles_at(cur, facts);
    int64_t second = settles_at(new_folder, facts);
    return first > second ? first : second;
}

bool index_is_valid(const struct index_header *header, const struct fs_stat *cur,
                    const struct fs_stat *new_folder, int64_t now_ns)
{
    struct index_stamp cur_stamp = index_stamp_of(cur);
    struct index_stamp new_stamp = index_stamp_of(new_folder);
    return header->trusted && index_stamp_equal(&cur_stamp, &header->folder_cur) &&
           index_stamp_equal(&new_stamp, &header->folder_new) && now_ns >= header->scanned_ns;
}

static struct index_stamp get_stamp(const uint8_t *at)
{
    return (struct index_stamp){
        .device = index_get_64(at),
        .inode = index_get_64(at + 8),
        .size = index_get_64(at + 16),
        .modified_ns = (int64_t)index_get_64(at + 24),
        .changed_ns = (int64_t)index_get_64(at + 32),
    };
}

static int read_block(const struct fs *fs, int descriptor, uint32_t number, uint8_t *block)
{
    ssize_t size = fs_read_full(fs, descriptor, block, INDEX_BLOCK_OCTETS,
                                (uint64_t)number * INDEX_BLOCK_OCTETS);
    if (size < 0) {
        return (int)size;
    }
    if (size != INDEX_BLOCK_OCTETS || index_get_64(block) != index_block_checksum(block, number)) {
        return -EBADMSG;
    }
    return 0;
}

int index_read_header(const struct fs *fs, int descriptor, struct index_header *header_out)
{
    UNINITIALIZED uint8_t block[INDEX_BLOCK_OCTETS];
    int result = read_block(fs, descriptor, 0, block);
    if (result < 0) {
        return result;
    }
    if (memcmp(block + INDEX_AT_MAGIC, INDEX_MAGIC, sizeof INDEX_MAGIC - 1) != 0) {
        return -EBADMSG;
    }
    *header_out = (struct index_header){
        .trusted = index_get_32(block + INDEX_AT_TRUSTED) == 1,
        .count = index_get_32(block + INDEX_AT_COUNT),
        .blocks = index_get_32(block + INDEX_AT_BLOCKS),
        .octets = index_get_64(block + INDEX_AT_OCTETS),
        .examined = index_get_32(block + INDEX_AT_EXAMINED) == 1,
        .surrogates = index_get_64(block + INDEX_AT_SURROGATES),
        .scanned_ns = (int64_t)index_get_64(block + INDEX_AT_SCANNED),
        .folder_new = get_stamp(block + INDEX_AT_NEW),
        .folder_cur = get_stamp(block + INDEX_AT_CUR),
        .ids = get_stamp(block + INDEX_AT_IDS),
    };
    return 0;
}

void index_reader_init(struct index_reader *reader, const struct fs *fs, int descriptor,
                       const struct index_header *header)
{
    reader->fs = fs;
    reader->header = header;
    reader->descriptor = descriptor;
    reader->loaded = false;
    reader->block = (struct index_block){0};
}

int index_reader_load(struct index_reader *reader, uint32_t number)
{
    if (reader->loaded && reader->block.number == number) {
        return 0;
    }
    reader->loaded = false;
    int result = read_block(reader->fs, reader->descriptor, number + 1, reader->data);
    if (result < 0) {
        return result;
    }
    const struct index_block block = {
        .number = number,
        .first_row = index_get_32(reader->data + INDEX_AT_FIRST_ROW),
        .rows = index_get_32(reader->data + INDEX_AT_ROWS),
    };
    if (block.rows == 0 || block.rows > reader->header->count ||
        block.first_row > reader->header->count - block.rows) {
        return -EBADMSG;
    }
    reader->next_row = 0;
    reader->next_offset = INDEX_AT_FIRST;
    reader->block = block;
    reader->loaded = true;
    return 0;
}

/* The row where the walk stands; moves it on. */
static int next_row(struct index_reader *reader, struct index_row *row_out)
{
    size_t at = reader->next_offset;
    if (at + INDEX_ROW_OCTETS > INDEX_BLOCK_OCTETS) {
        return -EBADMSG;
    }
    const uint8_t *row = reader->data + at;
    size_t name_size = index_get_16(row + INDEX_ROW_AT_NAME_SIZE);
    size_t id_size = index_get_16(row + INDEX_ROW_AT_ID_SIZE);
    uint32_t flags = index_get_32(row + INDEX_ROW_AT_FLAGS);
    size_t surrogate_at = INDEX_ROW_OCTETS + name_size + id_size;
    bool has_surrogate = (flags & INDEX_ROW_SURROGATE) != 0;
    size_t end = at + surrogate_at + (has_surrogate ? INDEX_ROW_SURROGATE_OCTETS : 0);
    if (end > INDEX_BLOCK_OCTETS || name_size == 0) {
        return -EBADMSG;
    }
    *row_out = (struct index_row){
        .octets = index_get_64(row + INDEX_ROW_AT_OCTETS),
        .size = index_get_64(row + INDEX_ROW_AT_SIZE),
        .surrogate = has_surrogate ? index_get_64(row + surrogate_at) : 0,
        .flags = flags,
        .name = {.data = row + INDEX_ROW_OCTETS, .size = name_size},
        .unique_id = {.data = row + INDEX_ROW_OCTETS + name_size, .size = id_size},
    };
    /* A name becomes part of a system call, an id part of a reply. */
    if (memchr(row_out->name.data, '/', name_size) != NULL ||
        memchr(row_out->name.data, '\0', name_size) != NULL || row_out->name.data[0] == '.' ||
        (id_size != 0 && !maildir_is_unique_id(row_out->unique_id))) {
        return -EBADMSG;
    }
    reader->next_row++;
    reader->last_offset = (uint32_t)at;
    reader->next_offset = (uint32_t)end;
    return 0;
}

static int row_in_block(struct index_reader *reader, uint32_t number, struct index_row *row_out)
{
    uint32_t wanted = number - reader->block.first_row;
    if (wanted + 1 == reader->next_row) {
        reader->next_row = wanted;
        reader->next_offset = reader->last_offset;
    } else if (wanted < reader->next_row) {
        reader->next_row = 0;
        reader->next_offset = INDEX_AT_FIRST;
    }
    int result;
    do {
        result = next_row(reader, row_out);
    } while (result == 0 && reader->next_row <= wanted);
    return result;
}

/* Rows are of similar size, so the first guess is near; the block after the one that is loaded is the
 * first guess of a walk. */
int index_reader_row(struct index_reader *reader, uint32_t number, struct index_row *row_out)
{
    if (number >= reader->header->count || reader->header->blocks == 0) {
        return -EBADMSG;
    }
    uint32_t low = 0;
    uint32_t high = reader->header->blocks;
    uint32_t guess = (uint32_t)((uint64_t)number * reader->header->blocks / reader->header->count);
    if (reader->block.rows != 0 && number >= reader->block.first_row) {
        bool here = number - reader->block.first_row < reader->block.rows;
        bool next = number - reader->block.first_row == reader->block.rows;
        guess = here || next ? reader->block.number + next : guess;
    }
    while (low < high) {
        if (guess < low || guess >= high) {
            guess = low + (high - low) / 2;
        }
        int result = index_reader_load(reader, guess);
        if (result < 0) {
            return result;
        }
        if (number < reader->block.first_row) {
            high = guess;
            guess = high - 1;
        } else if (number - reader->block.first_row >= reader->block.rows) {
            low = guess + 1;
            guess = low;
        } else {
            return row_in_block(reader, number, row_out);
        }
    }
    return -EBADMSG;
}

/* The last block whose first row is not after `base`, loaded; 0, or a negated errno. */
static int load_for(struct index_reader *reader, struct bytes base)
{
    uint32_t low = 0;
    uint32_t high = reader->header->blocks;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        struct index_row row;
        int result = index_reader_load(reader, middle);
        if (result == 0) {
            result = row_in_block(reader, reader->block.first_row, &row);
        }
        if (result < 0) {
            return result;
        }
        if (maildir_name_compare(index_row_base(&row), base) <= 0) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return index_reader_load(reader, low);
}

int index_reader_find(struct index_reader *reader, struct bytes base, struct index_row *row_out)
{
    if (reader->header->count == 0) {
        return 0;
    }
    int result = load_for(reader, base);
    for (uint32_t i = 0; result == 0 && i < reader->block.rows; i++) {
        result = row_in_block(reader, reader->block.first_row + i, row_out);
        if (result == 0 && bytes_equal(index_row_base(row_out), base)) {
            return 1;
        }
    }
    return result;
}
