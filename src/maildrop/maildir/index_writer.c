/* SPDX-License-Identifier: MIT */
/* Writing the index. The header is written last; nobody sees the file before it has its name. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/index.h"
#include "maildrop/maildir/index_format.h"

int index_create(const struct fs *fs, int root, const char *beside)
{
    struct fs_name name = {root, beside};
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    int descriptor = fs_open(fs, name, flags, 0);
    if (descriptor == -EEXIST) {
        (void)fs->operations->unlink(fs, name); /* the next open tells */
        descriptor = fs_open(fs, name, flags, 0);
    }
    return descriptor;
}

int index_publish(const struct fs *fs, struct fs_name beside, int descriptor, int failure)
{
    int result = failure;
    if (result == 0) {
        struct fs_name name = {beside.directory, INDEX_NAME};
        result = fs->operations->rename(fs, beside, name, true);
    }
    if (result < 0) {
        (void)fs->operations->unlink(fs, beside); /* only a cache */
        fs_close(fs, &descriptor);
    }
    return result < 0 ? result : descriptor;
}

struct index_writer *index_writer_create(const struct fs *fs, int descriptor)
{
    struct index_writer *writer = malloc(sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->fs = fs;
    writer->descriptor = descriptor;
    writer->failure = 0;
    writer->offset = INDEX_BLOCK_OCTETS;
    writer->count = 0;
    writer->blocks = 0;
    writer->octets = 0;
    writer->examined = true;
    writer->surrogates = 0;
    writer->used = 0;
    writer->block_row = 0;
    writer->block_used = 0;
    return writer;
}

static void write_out(struct index_writer *writer)
{
    if (writer->used != 0 && writer->failure == 0) {
        writer->failure = fs_write_full(writer->fs, writer->descriptor, writer->data, writer->used,
                                        writer->offset);
    }
    writer->offset += writer->used;
    writer->used = 0;
}

static void finish_block(struct index_writer *writer)
{
    uint8_t *block = writer->data + writer->used;
    memset(block + writer->block_used, 0, INDEX_BLOCK_OCTETS - writer->block_used);
    index_put_32(block + INDEX_AT_FIRST_ROW, writer->block_row);
    index_put_32(block + INDEX_AT_ROWS, writer->count - writer->block_row);
    writer->blocks++;
    index_put_64(block, index_block_checksum(block, writer->blocks));
    writer->used += INDEX_BLOCK_OCTETS;
    writer->block_row = writer->count;
    writer->block_used = 0;
    if (writer->used == sizeof writer->data) {
        write_out(writer);
    }
}

void index_writer_add(struct index_writer *writer, const struct index_row *row)
{
    bool has_surrogate = (row->flags & INDEX_ROW_SURROGATE) != 0;
    size_t surrogate_at = INDEX_ROW_OCTETS + row->name.size + row->unique_id.size;
    size_t size = surrogate_at + (has_surrogate ? INDEX_ROW_SURROGATE_OCTETS : 0);
    assert(size <= INDEX_BLOCK_OCTETS - INDEX_AT_FIRST);
    if (writer->block_used + size > INDEX_BLOCK_OCTETS) {
        finish_block(writer);
    }
    if (writer->block_used == 0) {
        writer->block_used = INDEX_AT_FIRST;
    }
    uint8_t *at = writer->data + writer->used + writer->block_used;
    index_put_64(at + INDEX_ROW_AT_OCTETS, row->octets);
    index_put_64(at + INDEX_ROW_AT_SIZE, row->size);
    index_put_32(at + INDEX_ROW_AT_FLAGS, row->flags);
    index_put_16(at + INDEX_ROW_AT_NAME_SIZE, (uint16_t)row->name.size);
    index_put_16(at + INDEX_ROW_AT_ID_SIZE, (uint16_t)row->unique_id.size);
    memcpy(at + INDEX_ROW_OCTETS, row->name.data, row->name.size);
    if (row->unique_id.size != 0) {
        memcpy(at + INDEX_ROW_OCTETS + row->name.size, row->unique_id.data, row->unique_id.size);
    }
    if (has_surrogate) {
        index_put_64(at + surrogate_at, row->surrogate);
    }
    writer->block_used += size;
    writer->count++;
    writer->octets += row->octets;
    writer->examined &= (row->flags & INDEX_ROW_EXAMINED) != 0;
    writer->surrogates += index_row_shown(row, true);
}

int64_t index_writer_copy(struct index_writer *writer, struct index_reader *reader, uint32_t before)
{
    const struct index_header *header = reader->header;
    for (uint32_t number = 0; number < header->blocks; number++) {
        int result = index_reader_load(reader, number);
        if (result < 0) {
            return result;
        }
        if (reader->block.first_row != writer->count) {
            return -EBADMSG;
        }
        if (before - writer->count < reader->block.rows) {
            break;
        }
        memcpy(writer->data + writer->used, reader->data, INDEX_BLOCK_OCTETS);
        writer->used += INDEX_BLOCK_OCTETS;
        writer->blocks++;
        writer->count += reader->block.rows;
        writer->block_row = writer->count;
        if (writer->used == sizeof writer->data) {
            write_out(writer);
        }
    }
    writer->octets = header->octets;
    writer->surrogates = header->surrogates;
    writer->examined = writer->count == 0 || header->examined;
    return writer->count;
}

void index_writer_take_back(struct index_writer *writer, const struct index_row *row)
{
    writer->octets -= row->octets;
    writer->surrogates -= index_row_shown(row, true);
}

static void put_stamp(uint8_t *at, const struct index_stamp *stamp)
{
    index_put_64(at, stamp->device);
    index_put_64(at + 8, stamp->inode);
    index_put_64(at + 16, stamp->size);
    index_put_64(at + 24, (uint64_t)stamp->modified_ns);
    index_put_64(at + 32, (uint64_t)stamp->changed_ns);
}

int index_writer_finish(struct index_writer *writer, struct index_header *header)
{
    if (writer->block_used != 0) {
        finish_block(writer);
    }
    write_out(writer);
    header->count = writer->count;
    header->blocks = writer->blocks;
    header->octets = writer->octets;
    header->examined = writer->examined;
    header->surrogates = writer->surrogates;
    uint8_t *block = writer->data;
    memset(block, 0, INDEX_BLOCK_OCTETS);
    memcpy(block + INDEX_AT_MAGIC, INDEX_MAGIC, sizeof INDEX_MAGIC - 1);
    index_put_32(block + INDEX_AT_TRUSTED, header->trusted);
    index_put_32(block + INDEX_AT_COUNT, header->count);
    index_put_32(block + INDEX_AT_BLOCKS, header->blocks);
    index_put_64(block + INDEX_AT_OCTETS, header->octets);
    index_put_32(block + INDEX_AT_EXAMINED, header->examined);
    index_put_64(block + INDEX_AT_SURROGATES, header->surrogates);
    index_put_64(block + INDEX_AT_SCANNED, (uint64_t)header->scanned_ns);
    put_stamp(block + INDEX_AT_NEW, &header->folder_new);
    put_stamp(block + INDEX_AT_CUR, &header->folder_cur);
    put_stamp(block + INDEX_AT_IDS, &header->ids);
    index_put_64(block, index_block_checksum(block, 0));
    if (writer->failure == 0) {
        writer->failure =
            fs_write_full(writer->fs, writer->descriptor, block, INDEX_BLOCK_OCTETS, 0);
    }
    return writer->failure;
}
