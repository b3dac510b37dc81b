/* SPDX-License-Identifier: MIT */
/* Removing what a session marked: exactly that set (RFC 1939 section 6), one system call a message, no
 * fsync. A file that is not where the snapshot has it is looked for after all others, so that however
 * many there are, the folders are scanned once for each round. */
#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/keep.h"
#include "maildrop/maildir/maildir.h"
#include "maildrop/maildir/name.h"

enum { ROUNDS_MOST = 10 };

struct commit {
    struct maildir_maildrop *opened;
    uint32_t removed, not_removed;
    int unlinked; /* names, those of doubles too */
    /* Messages that were not where they should be. */
    uint32_t *pending;
    size_t pending_count;
    /* Base names of which there are several files, one after another, each with a NUL. */
    struct listing doubles;
};

static void set_pending(struct commit *commit, uint32_t index)
{
    if ((commit->pending_count & (commit->pending_count - 1)) == 0) {
        size_t capacity = commit->pending_count == 0 ? 1 : commit->pending_count * 2;
        uint32_t *pending = realloc(commit->pending, capacity * sizeof *pending);
        if (pending == NULL) {
            commit->not_removed++;
            return;
        }
        commit->pending = pending;
    }
    commit->pending[commit->pending_count++] = index;
}

static int unlink_name(struct commit *commit, struct fs_name name)
{
    const struct fs *fs = commit->opened->fs;
    int result = fs->operations->unlink(fs, name);
    commit->unlinked += result == 0;
    return result;
}

static int unlink_place(struct commit *commit, const struct maildir_place *place)
{
    return unlink_name(commit, (struct fs_name){place->folder, place->name});
}

static void count_removal(struct commit *commit, int result)
{
    if (result == 0) {
        commit->removed++;
    } else {
        commit->not_removed++;
    }
}

static void note_double(struct commit *commit, const struct index_row *row)
{
    struct bytes base = index_row_base(row);
    /* Without memory the other file stays, and comes back with its old id. */
    (void)listing_add(&commit->doubles, base);
}

static void remove_marked(struct commit *commit, const uint8_t *marks)
{
    struct maildir_maildrop *opened = commit->opened;
    struct index_reader reader;
    index_reader_init(&reader, opened->fs, opened->snapshot.descriptor, &opened->snapshot.header);
    for (uint32_t i = 0; i < opened->snapshot.header.count; i++) {
        if ((marks[i / 8] >> i % 8 & 1) == 0) {
            continue;
        }
        struct index_row row;
        struct maildir_place place;
        struct error ignored; /* the count of what was not removed tells */
        if (maildir_row(opened, &reader, i, &row, &ignored) != 0 ||
            maildir_set_place(opened, &row, &place, &ignored) < 0) {
            commit->not_removed++;
            continue;
        }
        if ((row.flags & INDEX_ROW_DOUBLE) != 0) {
            note_double(commit, &row);
        }
        int result = unlink_place(commit, &place);
        if (result == -ENOENT) {
            set_pending(commit, i);
        } else {
            count_removal(commit, result);
        }
    }
}

/* One round over those that moved; what the new scan does not have is gone, as was wanted. */
static void remove_moved(struct commit *commit)
{
    struct maildir_maildrop *opened = commit->opened;
    struct index_reader reader;
    size_t count = commit->pending_count;
    size_t left = 0;
    index_reader_init(&reader, opened->fs, opened->snapshot.descriptor, &opened->snapshot.header);
    for (size_t i = 0; i < count; i++) {
        struct index_row row;
        struct maildir_place place;
        struct error ignored;
        int found = -1;
        if (maildir_row(opened, &reader, commit->pending[i], &row, &ignored) == 0 &&
            maildir_set_place(opened, &row, &place, &ignored) == 0) {
            found = maildir_find_moved(opened, &place, &ignored);
        }
        int result = found == 1 ? unlink_place(commit, &place) : found;
        if (result == -ENOENT && found == 1) {
            commit->pending[left++] = commit->pending[i];
        } else {
            count_removal(commit, result);
        }
    }
    commit->pending_count = left;
}

static void remove_pending(struct commit *commit)
{
    struct error ignored;
    for (int round = 0; commit->pending_count != 0 && round < ROUNDS_MOST; round++) {
        if (maildir_scan_again(commit->opened, &ignored) < 0) {
            break;
        }
        remove_moved(commit);
    }
    commit->not_removed += (uint32_t)commit->pending_count;
}

static bool is_marked_double(const struct commit *commit, struct bytes base)
{
    size_t low = 0;
    size_t high = commit->doubles.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct bytes other = listing_name(&commit->doubles, &commit->doubles.entries[middle]);
        int order = maildir_name_compare(other, base);
        if (order == 0) {
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

/* The other files of messages that are there twice. The marks were walked in order of base names, so
 * `doubles` is sorted. */
static void remove_doubles(struct commit *commit)
{
    const struct maildir_maildrop *opened = commit->opened;
    const struct fs *fs = opened->fs;
    struct listing listing = {0};
    int result = 0;
    if (opened->folders.new_folder >= 0) {
        result = listing_read(&listing, fs, opened->folders.new_folder, INDEX_ROW_NEW);
    }
    if (result == 0) {
        result = listing_read(&listing, fs, opened->folders.cur, 0);
    }
    for (size_t i = 0; result == 0 && i < listing.count; i++) {
        const struct listing_entry *entry = &listing.entries[i];
        if (!is_marked_double(commit, listing_base(&listing, entry))) {
            continue;
        }
        bool is_new = (entry->flags & INDEX_ROW_NEW) != 0;
        struct fs_name name = {
            .directory = is_new ? opened->folders.new_folder : opened->folders.cur,
            .name = listing.names + entry->name,
        };
        int removed = unlink_name(commit, name);
        if (removed < 0 && removed != -ENOENT && commit->removed > 0) {
            commit->removed--;
            commit->not_removed++;
        }
    }
    listing_finish(&listing);
}

static void remove_all(struct commit *commit, const uint8_t *marks)
{
    remove_marked(commit, marks);
    remove_pending(commit);
    if (commit->doubles.count != 0) {
        remove_doubles(commit);
    }
    free(commit->pending);
    listing_finish(&commit->doubles);
}

int maildir_commit(struct maildir_maildrop *opened, struct maildrop_operation *operation)
{
    const uint8_t *marks = operation->request.commit.marks;
    const struct maildir_folders *folders = &opened->folders;
    const struct index_header *header = &opened->snapshot.header;
    struct commit commit = {.opened = opened};
    struct keep keep;
    struct index_header proven;
    keep_init(&keep);
    if (opened->moved == NULL && header->blocks <= KEEP_BLOCKS_MOST) {
        /* If it cannot be kept, the next login scans. */
        (void)keep_begin(&keep, opened->fs, folders->cur, folders->new_folder, header);
    }
    remove_all(&commit, marks);
    uint32_t left = header->count - commit.removed;
    int64_t patience_ns = left < KEEP_PATIENT_ROWS_LEAST ? 0 : KEEP_PATIENCE_NS;
    bool kept = commit.not_removed == 0 && opened->moved == NULL &&
                keep_prove(&keep, commit.unlinked, patience_ns, &proven);
    keep_finish(&keep);
    maildir_write_index(opened, marks, kept ? &proven : NULL);
    operation->result.committed.removed = commit.removed;
    operation->result.committed.not_removed = commit.not_removed;
    return 0;
}
