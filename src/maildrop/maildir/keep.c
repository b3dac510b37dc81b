/* SPDX-License-Identifier: MIT */
#include "maildrop/maildir/keep.h"

#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/name.h"

#define NEW_NAME INDEX_NAME ".deliver"

void keep_init(struct keep *keep)
{
    *keep = (struct keep){.watch = -1};
}

void keep_finish(struct keep *keep)
{
    if (keep->watch >= 0) {
        fs_close(keep->fs, &keep->watch);
    }
}

static int look(const struct keep *keep, struct fs_stat *cur, struct fs_stat *new_folder)
{
    int result = fs_stat_descriptor(keep->fs, keep->new_folder, new_folder);
    return result < 0 ? result : fs_stat_descriptor(keep->fs, keep->cur, cur);
}

bool keep_begin(struct keep *keep, const struct fs *fs, int cur, int new_folder,
                const struct index_header *header)
{
    struct fs_stat cur_stat;
    struct fs_stat new_stat;
    keep_init(keep);
    keep->fs = fs;
    keep->cur = cur;
    keep->new_folder = new_folder;
    keep->header = *header;
    if (cur < 0 || new_folder < 0 || header->count < KEEP_ROWS_LEAST) {
        return false;
    }
    struct fs_name folders[] = {{new_folder, "."}, {cur, "."}};
    int watch = fs->operations->watch(fs, folders, 2);
    if (watch < 0) {
        return false;
    }
    keep->watch = watch;
    if (fs->operations->facts(fs, cur, &keep->facts) < 0 || look(keep, &cur_stat, &new_stat) < 0 ||
        !index_is_valid(header, &cur_stat, &new_stat, fs->operations->clock(fs))) {
        keep_finish(keep);
        return false;
    }
    return true;
}

/* Another program that is in the middle of a change has the folder locked: a listing waits for it, and
 * the kernel has counted the change by then. */
static int await_changes(const struct fs *fs, int folder)
{
    uint8_t buffer[2048];
    int reader = fs_reopen_folder(fs, folder);
    if (reader < 0) {
        return reader;
    }
    ssize_t result = fs->operations->list(fs, reader, buffer, sizeof buffer);
    fs_close(fs, &reader);
    return result < 0 ? (int)result : 0;
}

bool keep_prove(const struct keep *keep, int changes, int64_t patience_ns,
                struct index_header *header_out)
{
    const struct fs *fs = keep->fs;
    struct fs_stat cur;
    struct fs_stat new_folder;
    if (keep->watch < 0 || look(keep, &cur, &new_folder) < 0) {
        return false;
    }
    int64_t now = fs->operations->clock(fs);
    int64_t settled = index_settles_at(&cur, &new_folder, &keep->facts);
    if (settled < 0 || settled - now > patience_ns) {
        return false;
    }
    if (settled > now) {
        fs->operations->sleep(fs, settled - now);
    }
    now = fs->operations->clock(fs);
    if (look(keep, &cur, &new_folder) < 0 || now < settled ||
        index_settles_at(&cur, &new_folder, &keep->facts) > now ||
        await_changes(fs, keep->new_folder) < 0 || await_changes(fs, keep->cur) < 0 ||
        fs->operations->watched(fs, keep->watch) != changes) {
        return false;
    }
    *header_out = keep->header;
    header_out->trusted = true;
    header_out->scanned_ns = now;
    header_out->folder_cur = index_stamp_of(&cur);
    header_out->folder_new = index_stamp_of(&new_folder);
    return true;
}

/* The index file, locked against other deliveries, and still under its name. */
static int lock_index(const struct fs *fs, int root, struct index_header *header_out)
{
    struct fs_stat opened;
    struct fs_stat named;
    struct fs_name name = {root, INDEX_NAME};
    int descriptor = fs_open(fs, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (descriptor < 0) {
        return descriptor;
    }
    int result = fs->operations->lock(fs, descriptor);
    if (result == 0) {
        result = fs_stat_descriptor(fs, descriptor, &opened);
    }
    if (result == 0) {
        result = fs_stat_name(fs, name, FS_STAT_LINK, &named);
    }
    if (result == 0 && named.inode != opened.inode) {
        result = -ESTALE;
    }
    if (result == 0) {
        result = index_read_header(fs, descriptor, header_out);
    }
    if (result < 0) {
        fs_close(fs, &descriptor);
    }
    return result < 0 ? result : descriptor;
}

void keep_index_begin(struct keep_index *index, const struct fs *fs, int root, int new_folder)
{
    struct index_header header;
    *index = (struct keep_index){.root = root, .cur = -1, .descriptor = -1};
    keep_init(&index->keep);
    index->keep.fs = fs;
    index->descriptor = lock_index(fs, root, &header);
    if (index->descriptor < 0) {
        return;
    }
    /* With a file of ids, or too much to copy for one message, the next login does it. */
    struct index_stamp none = {0};
    if (header.blocks <= KEEP_BLOCKS_MOST && index_stamp_equal(&header.ids, &none)) {
        index->cur =
            fs_open(fs, (struct fs_name){root, "cur"}, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
        if (index->cur >= 0 && keep_begin(&index->keep, fs, index->cur, new_folder, &header)) {
            index->examined = header.examined;
            return;
        }
    }
    keep_index_finish(index);
}

void keep_index_finish(struct keep_index *index)
{
    keep_finish(&index->keep);
    if (index->cur >= 0) {
        fs_close(index->keep.fs, &index->cur);
    }
    if (index->descriptor >= 0) {
        fs_close(index->keep.fs, &index->descriptor);
    }
}

static bool have_one_id(struct bytes a, struct bytes b)
{
    char id[POP3_UNIQUE_ID_OCTETS];
    char other[POP3_UNIQUE_ID_OCTETS];
    size_t size = maildir_unique_id(a, id);
    return maildir_unique_id(b, other) == size && memcmp(id, other, size) == 0;
}

/* Can it stand behind all rows? Where there is no file of ids, they follow from names, and only names with one key
 * have one id. */
static bool belongs_last(struct index_reader *reader, const struct index_row *added)
{
    struct bytes base = index_row_base(added);
    for (uint32_t i = reader->header->count; i > 0; i--) {
        struct index_row row;
        if (index_reader_row(reader, i - 1, &row) < 0) {
            return false;
        }
        struct bytes other = index_row_base(&row);
        if (maildir_name_compare(other, base) >= 0) {
            return false;
        }
        if (maildir_name_key(other) != maildir_name_key(base)) {
            return true;
        }
        if (have_one_id(other, base)) {
            return false;
        }
    }
    return true;
}

/* All rows, and the new one after them, in the last block if it has room. */
static int copy_rows(const struct keep_index *index, const struct index_row *added,
                     struct index_writer *writer)
{
    struct index_reader reader;
    const struct index_header *header = &index->keep.header;
    index_reader_init(&reader, index->keep.fs, index->descriptor, header);
    if (!belongs_last(&reader, added)) {
        return -ECANCELED;
    }
    int result = index_reader_load(&reader, header->blocks - 1);
    int64_t copied =
        result < 0 ? result : index_writer_copy(writer, &reader, reader.block.first_row);
    if (copied < 0) {
        return (int)copied;
    }
    for (uint32_t i = (uint32_t)copied; i < header->count; i++) {
        struct index_row row;
        result = index_reader_row(&reader, i, &row);
        if (result < 0) {
            return result;
        }
        index_writer_take_back(writer, &row);
        index_writer_add(writer, &row);
    }
    index_writer_add(writer, added);
    return 0;
}

void keep_index_extend(struct keep_index *index, const struct index_row *row)
{
    const struct fs *fs = index->keep.fs;
    struct index_header header;
    if (index->descriptor < 0 || !keep_prove(&index->keep, 1, KEEP_PATIENCE_NS, &header)) {
        return;
    }
    int descriptor = index_create(fs, index->root, NEW_NAME);
    if (descriptor < 0) {
        return;
    }
    struct index_writer *writer = index_writer_create(fs, descriptor);
    int result = writer == NULL ? -ENOMEM : copy_rows(index, row, writer);
    if (result == 0) {
        result = index_writer_finish(writer, &header);
    }
    free(writer);
    descriptor = index_publish(fs, (struct fs_name){index->root, NEW_NAME}, descriptor, result);
    if (descriptor >= 0) {
        fs_close(fs, &descriptor);
    }
}
