/* SPDX-License-Identifier: MIT */
/* Where a message's file is. Other programs rename files when flags change and move them from new/ to
 * cur/; what they removed is gone. A file that is not where the snapshot has it is looked for by its base
 * name in a new scan, once for each change of the folders. */
#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/maildir.h"
#include "maildrop/maildir/name.h"

enum { ATTEMPTS = 10 };

int maildir_set_place(const struct maildir_maildrop *opened, const struct index_row *row,
                      struct maildir_place *place_out, struct error *error)
{
    if (row->name.size >= sizeof place_out->name) {
        return error_set(error, ERROR_UNREADABLE, 0, "%s: a file's name is too long",
                         opened->folders.place.path);
    }
    bool is_new = (row->flags & INDEX_ROW_NEW) != 0;
    place_out->folder = is_new ? opened->folders.new_folder : opened->folders.cur;
    memcpy(place_out->name, row->name.data, row->name.size);
    place_out->name[row->name.size] = '\0';
    return 0;
}

static const struct snapshot *newest(const struct maildir_maildrop *opened)
{
    return opened->moved != NULL ? opened->moved : &opened->snapshot;
}

bool maildir_is_current(const struct maildir_maildrop *opened)
{
    struct fs_stat cur;
    struct fs_stat new_folder;
    const struct fs *fs = opened->fs;
    return folders_look(&opened->folders, fs, &cur, &new_folder) == 0 &&
           index_is_valid(&newest(opened)->header, &cur, &new_folder, fs->operations->clock(fs));
}

int maildir_scan_again(struct maildir_maildrop *opened, struct error *error)
{
    struct snapshot fresh;
    struct scan scan;
    scan_init(&scan, opened->fs, &opened->folders, newest(opened), opened->surrogates);
    if (scan_all(&scan, &fresh, error) < 0) {
        return -1;
    }
    if (opened->moved == NULL) {
        opened->moved = malloc(sizeof *opened->moved);
        if (opened->moved == NULL) {
            snapshot_finish(&fresh, opened->fs);
            return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        }
    } else {
        snapshot_finish(opened->moved, opened->fs);
    }
    *opened->moved = fresh;
    return 0;
}

int maildir_find_moved(const struct maildir_maildrop *opened, struct maildir_place *place,
                       struct error *error)
{
    struct index_reader reader;
    struct index_row row;
    if (opened->moved == NULL) {
        return 0;
    }
    struct bytes base = {.data = (const uint8_t *)place->name, .size = strlen(place->name)};
    base.size = bytes_find(base, ':');
    index_reader_init(&reader, opened->fs, opened->moved->descriptor, &opened->moved->header);
    int result = index_reader_find(&reader, base, &row);
    if (result < 0) {
        return error_from_errno(error, -result, "%s: the index cannot be read",
                                opened->folders.place.path);
    }
    return result == 1 && maildir_set_place(opened, &row, place, error) < 0 ? -1 : result;
}

static int set_gone(const struct maildir_maildrop *opened, const struct maildir_place *place,
                    struct error *error)
{
    char name[120];
    return error_set(error, ERROR_GONE, 0, "%s: %s was removed by another program",
                     opened->folders.place.path,
                     bytes_escape(bytes_of(place->name), name, sizeof name));
}

static int search(struct maildir_maildrop *opened, struct maildir_place *place, maildir_act *act,
                  void *context, struct error *error)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int found = maildir_find_moved(opened, place, error);
        if (found < 0) {
            return -1;
        }
        if (found == 1 && act(context, place)) {
            return 0;
        }
        /* A scan of just now tells what is absent; an older one only if nothing changed since. */
        bool known = attempt > 0 || (opened->moved != NULL && maildir_is_current(opened));
        if (found == 0 && known) {
            return set_gone(opened, place, error);
        }
        if (maildir_scan_again(opened, error) < 0) {
            return -1;
        }
    }
    return error_set(error, ERROR_TEMPORARY, 0, "%s: files change their names all the time",
                     opened->folders.place.path);
}

int maildir_locate(struct maildir_maildrop *opened, const struct fs *fs, uint32_t index,
                   struct maildir_place *place_out, maildir_act *act, void *context,
                   struct error *error)
{
    UNINITIALIZED struct index_reader own;
    struct index_row row;
    struct index_reader *reader = maildir_reader(opened, fs, &own);
    int result = maildir_row(opened, reader, index, &row, error);
    if (result != 0) {
        return result;
    }
    maildir_reader_done(opened, reader);
    place_out->flags = row.flags;
    place_out->octets = row.octets;
    place_out->shown = index_row_shown(&row, opened->surrogates);
    place_out->size = row.size;
    if (maildir_set_place(opened, &row, place_out, error) < 0) {
        return -1;
    }
    if (act(context, place_out)) {
        return 0;
    }
    return fs->cached_only ? MAILDIR_WOULD_BLOCK : search(opened, place_out, act, context, error);
}
