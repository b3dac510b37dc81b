/* SPDX-License-Identifier: MIT */
/* Rows of the snapshot. They never change in a session: what is found to be wrong of them is noted and
 * written into the index when the session ends. */
#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/ids.h"
#include "maildrop/maildir/maildir.h"
#include "maildrop/maildir/name.h"

struct index_reader *maildir_reader(struct maildir_maildrop *opened, const struct fs *fs,
                                    struct index_reader *own)
{
    struct maildir_store *store = maildir_store_of(opened);
    bool shared = fs->cached_only && !opened->remade;
    struct index_reader *reader = shared ? &store->reader : own;
    if (!shared || store->reader_of != opened) {
        index_reader_init(reader, fs, opened->snapshot.descriptor, &opened->snapshot.header);
        reader->block = opened->last_block;
    }
    if (shared) {
        store->reader_of = opened;
    }
    reader->fs = opened->snapshot.memory ? opened->fs : fs;
    return reader;
}

void maildir_reader_done(struct maildir_maildrop *opened, const struct index_reader *reader)
{
    opened->last_block = reader->block;
}

/* Scans anew in place of an index that is damaged or older than the file of ids. Only if the maildrop is
 * still as the session was told. */
static int make_anew(struct maildir_maildrop *opened, struct error *error)
{
    struct snapshot fresh;
    const struct index_header *header = &opened->snapshot.header;
    struct scan scan;
    scan_init(&scan, opened->fs, &opened->folders, &opened->snapshot, opened->surrogates);
    if (scan_all(&scan, &fresh, error) < 0) {
        return -1;
    }
    if (!index_stamp_equal(&fresh.header.folder_cur, &header->folder_cur) ||
        !index_stamp_equal(&fresh.header.folder_new, &header->folder_new) ||
        fresh.header.count != header->count || fresh.header.octets != header->octets ||
        (opened->surrogates && fresh.header.surrogates != header->surrogates)) {
        snapshot_finish(&fresh, opened->fs);
        return error_set(error, ERROR_CORRUPT, 0,
                         "%s: the index was damaged or the ids were changed, and so was the mail",
                         opened->folders.place.path);
    }
    snapshot_finish(&opened->snapshot, opened->fs);
    opened->snapshot = fresh;
    opened->remade = true;
    opened->ids_checked = true;
    return 0;
}

int maildir_row(struct maildir_maildrop *opened, struct index_reader *reader, uint32_t index,
                struct index_row *row_out, struct error *error)
{
    const struct fs *fs = reader->fs;
    for (int attempt = 0;; attempt++) {
        if (reader->descriptor != opened->snapshot.descriptor) {
            index_reader_init(reader, fs, opened->snapshot.descriptor, &opened->snapshot.header);
        }
        int result = index_reader_row(reader, index, row_out);
        if (result == 0) {
            return 0;
        }
        if (fs->cached_only) {
            return MAILDIR_WOULD_BLOCK;
        }
        if (attempt > 0) {
            return error_from_errno(error, -result, "%s: the index cannot be read",
                                    opened->folders.place.path);
        }
        if (make_anew(opened, error) < 0) {
            return -1;
        }
        reader->descriptor = -1;
    }
}

/* The ids that the index holds are those of the file of ids as it is now? */
static int check_ids(struct maildir_maildrop *opened, const struct fs *fs, struct error *error)
{
    struct fs_stat stat = {0};
    AUTO_FREE char *path = folders_path(&opened->folders, IDS_NAME);
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int descriptor = fs_open(fs, (struct fs_name){AT_FDCWD, path}, O_PATH | O_NOFOLLOW, 0);
    int result = descriptor == -ENOENT ? 0 : descriptor;
    if (descriptor >= 0) {
        result = fs_stat_descriptor(fs, descriptor, &stat);
        fs_close(fs, &descriptor);
    }
    if (result == -EAGAIN) {
        return MAILDIR_WOULD_BLOCK;
    }
    if (result < 0) {
        return error_from_errno(error, -result, "%s cannot be looked at", IDS_NAME);
    }
    struct index_stamp now =
        descriptor == -ENOENT ? (struct index_stamp){0} : index_stamp_of(&stat);
    if (index_stamp_equal(&now, &opened->snapshot.header.ids)) {
        opened->ids_checked = true;
        return 0;
    }
    return fs->cached_only ? MAILDIR_WOULD_BLOCK : make_anew(opened, error);
}

static void fill_row(struct maildrop_page *page, uint32_t at, const struct index_row *row,
                     bool surrogates)
{
    size_t size = row->unique_id.size;
    if (size != 0) {
        memcpy(page->unique_ids[at], row->unique_id.data, size);
    } else {
        size = maildir_unique_id(index_row_base(row), page->unique_ids[at]);
    }
    page->rows[at] = (struct pop3_row){
        .octets = index_row_shown(row, surrogates),
        .unique_id = page->unique_ids[at],
        .unique_id_size = size,
    };
}

int maildir_rows(struct maildir_maildrop *opened, const struct fs *fs,
                 struct maildrop_operation *operation)
{
    struct error *error = &operation->error;
    if (!opened->ids_checked) {
        int result = check_ids(opened, fs, error);
        if (result != 0) {
            return result;
        }
    }
    UNINITIALIZED struct index_reader own;
    struct index_reader *reader = maildir_reader(opened, fs, &own);
    for (uint32_t i = 0; i < operation->request.rows.count; i++) {
        struct index_row row;
        int result = maildir_row(opened, reader, operation->request.rows.first + i, &row, error);
        if (result != 0) {
            return result;
        }
        fill_row(operation->request.rows.page, i, &row, opened->surrogates);
    }
    maildir_reader_done(opened, reader);
    return 0;
}

static void apply_note(const struct maildir_note *note, struct index_row *row)
{
    row->octets = note->octets;
    row->size = note->size;
    row->surrogate = note->surrogate;
    row->flags &= ~(uint32_t)(INDEX_ROW_COUNTED | INDEX_ROW_UNSERVED | INDEX_ROW_EXAMINED |
                              INDEX_ROW_SURROGATE);
    row->flags |= note->flags;
}

/* Where a walk through the notes stands. */
struct noted {
    struct index_reader reader; /* of the snapshot */
    size_t next;
    struct index_row row; /* of the next note */
};

static int next_note(const struct maildir_maildrop *opened, struct noted *noted)
{
    if (noted->next == opened->note_count) {
        return 0;
    }
    return index_reader_row(&noted->reader, opened->notes[noted->next].index, &noted->row);
}

/* Both are in order of base names. */
static int apply_notes(const struct maildir_maildrop *opened, struct noted *noted,
                       struct index_row *row)
{
    int result = 0;
    while (result == 0 && noted->next < opened->note_count) {
        int order = maildir_name_compare(index_row_base(&noted->row), index_row_base(row));
        if (order > 0) {
            break;
        }
        if (order == 0) {
            apply_note(&opened->notes[noted->next], row);
        }
        noted->next++;
        result = next_note(opened, noted);
    }
    return result;
}

/* The first row that may not stay as it is. */
static uint32_t first_changed(const struct maildir_maildrop *opened, const struct snapshot *newest,
                              const uint8_t *marks)
{
    if (newest != &opened->snapshot) {
        return 0; /* the numbers of marks and notes are those of another index */
    }
    uint32_t first = opened->note_count != 0 ? opened->notes[0].index : newest->header.count;
    for (uint32_t i = 0; marks != NULL && i < first; i += 8) {
        if (marks[i / 8] != 0) {
            uint32_t marked = i + (uint32_t)__builtin_ctz(marks[i / 8]);
            return marked < first ? marked : first;
        }
    }
    return first;
}

/* Copies the newest index with what was noted and without what `marks` says. */
static int copy_rows(const struct maildir_maildrop *opened, const struct snapshot *newest,
                     const uint8_t *marks, struct index_writer *writer)
{
    struct index_reader from;
    struct noted noted = {.next = 0};
    index_reader_init(&from, opened->fs, newest->descriptor, &newest->header);
    index_reader_init(&noted.reader, opened->fs, opened->snapshot.descriptor,
                      &opened->snapshot.header);
    int64_t copied = index_writer_copy(writer, &from, first_changed(opened, newest, marks));
    int result = copied < 0 ? (int)copied : next_note(opened, &noted);
    for (uint32_t i = (uint32_t)copied; result == 0 && i < newest->header.count; i++) {
        struct index_row row;
        result = index_reader_row(&from, i, &row);
        if (result == 0) {
            index_writer_take_back(writer, &row);
            result = apply_notes(opened, &noted, &row);
        }
        if (result == 0 && (marks == NULL || (marks[i / 8] >> i % 8 & 1) == 0)) {
            index_writer_add(writer, &row);
        }
    }
    return result;
}

static void write_index(const struct maildir_maildrop *opened, const uint8_t *marks,
                        struct index_header *header)
{
    const struct fs *fs = opened->fs;
    const struct snapshot *newest = opened->moved != NULL ? opened->moved : &opened->snapshot;
    int root = folders_open_root(&opened->folders, fs);
    int descriptor = root < 0 ? -1 : index_create(fs, root, INDEX_NEW_NAME);
    if (descriptor >= 0) {
        struct index_writer *writer = index_writer_create(fs, descriptor);
        int result = writer == NULL ? -ENOMEM : copy_rows(opened, newest, marks, writer);
        if (result == 0) {
            result = index_writer_finish(writer, header);
        }
        free(writer);
        descriptor = index_publish(fs, (struct fs_name){root, INDEX_NEW_NAME}, descriptor, result);
        fs_close(fs, &descriptor);
    }
    fs_close(fs, &root);
}

void maildir_write_index(struct maildir_maildrop *opened, const uint8_t *marks,
                         const struct index_header *header)
{
    const struct snapshot *newest = opened->moved != NULL ? opened->moved : &opened->snapshot;
    struct index_header new_header = header != NULL ? *header : newest->header;
    if ((header == NULL && opened->note_count == 0) || !folders_begin_writing(&opened->folders)) {
        return;
    }
    write_index(opened, header != NULL ? marks : NULL, &new_header);
    folders_end_writing(&opened->folders, opened->fs);
    opened->note_count = 0;
}
