/* SPDX-License-Identifier: MIT */
/* Looking at a Maildir: list new/ and then cur/, so that a message that moves meanwhile is seen at least
 * once; list again if a folder changed, since readdir may miss a file that is renamed. If only one of them has changed
 * since the old index was made, only that is listed. What names and the old index do not tell is counted. */
#include "maildrop/maildir/scan.h"

#include <errno.h>
#include <stdlib.h>

#include "maildrop/maildir/name.h"
#include "maildrop/maildir/octets.h"

enum { LIST_ATTEMPTS = 10, PART_ROWS_LEAST = 256 /* fewer are listed as fast */ };

void snapshot_init(struct snapshot *snapshot)
{
    *snapshot = (struct snapshot){.descriptor = -1};
}

void snapshot_finish(struct snapshot *snapshot, const struct fs *fs)
{
    fs_close(fs, &snapshot->descriptor);
    snapshot_init(snapshot);
}

int snapshot_open(struct snapshot *snapshot, const struct maildir_folders *folders,
                  const struct fs *fs, bool surrogates)
{
    AUTO_FREE char *path = folders_path(folders, INDEX_NAME);
    if (path == NULL) {
        return -ENOENT;
    }
    snapshot->descriptor =
        fs_open(fs, (struct fs_name){AT_FDCWD, path}, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (snapshot->descriptor < 0) {
        return snapshot->descriptor == -EAGAIN ? -EAGAIN : -ENOENT;
    }
    int result = index_read_header(fs, snapshot->descriptor, &snapshot->header);
    if (result < 0) {
        snapshot_finish(snapshot, fs);
        return result == -EAGAIN ? -EAGAIN : -ENOENT;
    }
    bool valid = index_is_valid(&snapshot->header, &folders->cur_stat, &folders->new_stat,
                                fs->operations->clock(fs)) &&
                 (!surrogates || snapshot->header.examined);
    return valid ? 0 : -ENOENT;
}

void scan_init(struct scan *scan, const struct fs *fs, struct maildir_folders *folders,
               const struct snapshot *old, bool surrogates)
{
    *scan = (struct scan){.fs = fs, .folders = folders, .old = old, .surrogates = surrogates};
}

void scan_finish(struct scan *scan)
{
    listing_finish(&scan->listing);
}

struct look {
    int64_t at_ns;
    struct fs_stat cur, new_folder;
};

static int look(const struct scan *scan, struct look *look_out)
{
    look_out->at_ns = scan->fs->operations->clock(scan->fs);
    return folders_look(scan->folders, scan->fs, &look_out->cur, &look_out->new_folder);
}

static bool is_unchanged(const struct fs_stat *before, const struct fs_stat *after)
{
    struct index_stamp first = index_stamp_of(before);
    struct index_stamp second = index_stamp_of(after);
    return index_stamp_equal(&first, &second);
}

static bool is_same_folder(const struct fs_stat *now, const struct index_stamp *then)
{
    struct index_stamp stamp = index_stamp_of(now);
    return index_stamp_equal(&stamp, then);
}

/* A trusted index was made when both folders were at rest: each later change of one shows in its own times. Ids
 * that do not follow from names could be anybody's, so that all messages have to be at hand. */
static enum scan_lists choose_lists(const struct scan *scan, const struct look *now)
{
    static const struct index_stamp no_ids;
    if (scan->whole || scan->old == NULL || scan->old->descriptor < 0) {
        return SCAN_BOTH;
    }
    const struct index_header *old = &scan->old->header;
    bool same_cur = is_same_folder(&now->cur, &old->folder_cur);
    bool same_new = is_same_folder(&now->new_folder, &old->folder_new);
    if (!old->trusted || old->count < PART_ROWS_LEAST || now->at_ns < old->scanned_ns ||
        !index_stamp_equal(&old->ids, &no_ids) || (scan->surrogates && !old->examined) ||
        same_cur == same_new) {
        return SCAN_BOTH;
    }
    return same_cur ? SCAN_NEW_ONLY : SCAN_CUR_ONLY;
}

static int list_once(struct scan *scan, struct look *before, struct look *after)
{
    const struct maildir_folders *folders = scan->folders;
    listing_finish(&scan->listing);
    int result = look(scan, before);
    scan->lists = result == 0 ? choose_lists(scan, before) : SCAN_BOTH;
    if (result == 0 && folders->new_folder >= 0 && scan->lists != SCAN_CUR_ONLY) {
        result = listing_read(&scan->listing, scan->fs, folders->new_folder, INDEX_ROW_NEW);
    }
    if (result == 0 && scan->lists != SCAN_NEW_ONLY) {
        result = listing_read(&scan->listing, scan->fs, folders->cur, 0);
    }
    return result < 0 ? result : look(scan, after);
}

/* Lists until nothing changes meanwhile. New mail that comes all the time cannot hide what was there
 * before, so that is accepted in the end; what happens in cur/ can. */
static int list_steadily(struct scan *scan, struct error *error)
{
    bool looked_for_doubles = false;
    for (int attempt = 1;; attempt++) {
        struct look before;
        struct look after;
        int result = list_once(scan, &before, &after);
        if (result < 0) {
            return error_from_errno(error, -result, "%s: the folders cannot be listed",
                                    scan->folders->place.path);
        }
        bool same_cur = is_unchanged(&before.cur, &after.cur);
        bool same = same_cur && is_unchanged(&before.new_folder, &after.new_folder);
        if (!same && attempt < LIST_ATTEMPTS) {
            continue;
        }
        if (!same_cur) {
            return error_set(error, ERROR_TEMPORARY, 0, "%s: cur/ changes all the time",
                             scan->folders->place.path);
        }
        ssize_t doubles = listing_sort(&scan->listing);
        if (doubles < 0) {
            return error_set(error, ERROR_TEMPORARY, 0, "no memory to list a maildrop");
        }
        if (doubles != 0 && !looked_for_doubles) {
            looked_for_doubles = true; /* perhaps a message just moved */
            continue;
        }
        int64_t settled = index_settles_at(&before.cur, &before.new_folder, &scan->folders->facts);
        scan->header = (struct index_header){
            .trusted = same && settled >= 0 && before.at_ns >= settled,
            .scanned_ns = before.at_ns,
            .folder_cur = index_stamp_of(&before.cur),
            .folder_new = index_stamp_of(&before.new_folder),
        };
        return 0;
    }
}

static void take_examined(const struct listing *listing, struct listing_entry *entry,
                          const struct index_row *row)
{
    if (listing->surrogates != NULL) {
        entry->flags |= row->flags & (INDEX_ROW_EXAMINED | INDEX_ROW_SURROGATE);
        listing->surrogates[entry - listing->entries] = row->surrogate;
    }
}

static int take_from_old(struct listing *listing, struct listing_entry *entry,
                         const struct index_row *row)
{
    entry->flags |= (row->flags & INDEX_ROW_UNSEEN) == 0 ? LISTING_KNOWN : 0;
    if (row->unique_id.size != 0) {
        entry->unique_id = listing_keep(listing, row->unique_id);
        if (entry->unique_id == UINT32_MAX) {
            return -ENOMEM;
        }
        entry->unique_id_size = (uint16_t)row->unique_id.size;
    }
    bool counted = (row->flags & INDEX_ROW_COUNTED) != 0;
    if ((entry->flags & LISTING_ODD) == 0 && (counted || entry->octets == MAILDIR_UNKNOWN)) {
        entry->octets = row->octets;
        entry->size = row->size;
        entry->flags |= row->flags & (INDEX_ROW_COUNTED | INDEX_ROW_UNSERVED);
    }
    if ((entry->flags & LISTING_ODD) == 0 && entry->octets == row->octets) {
        take_examined(listing, entry, row);
    }
    return 0;
}

bool scan_keeps_row(const struct scan *scan, const struct index_row *row)
{
    enum scan_lists of_row = (row->flags & INDEX_ROW_NEW) != 0 ? SCAN_NEW_ONLY : SCAN_CUR_ONLY;
    return scan->lists != SCAN_BOTH && scan->lists != of_row;
}

/* A key that was passed in a walk. */
struct passed {
    bool any;
    uint64_t key;
};

static bool is_passed(const struct passed *passed, uint64_t key)
{
    return passed->any && passed->key == key;
}

/* Takes over what the old index knows of the files that were listed; both are in order, so one walk through both does. A
 * damaged index helps as far as it can be read. Where it stands for a folder it has to be whole, and each id still one
 * message's: a message in both folders, and a new one with the key of one that is not listed, need all names at hand.
 * 0, 1 if both folders have to be listed, or -ENOMEM. */
static int merge_old(struct scan *scan)
{
    const struct listing *listing = &scan->listing;
    const struct index_header *header = &scan->old->header;
    bool partly = scan->lists != SCAN_BOTH;
    struct index_reader reader;
    struct index_row row;
    struct passed kept = {.any = false};
    struct passed fresh = {.any = false};
    bool all_same = true;
    uint32_t number = 0;
    size_t i = 0;
    scan->same = 0;
    index_reader_init(&reader, scan->fs, scan->old->descriptor, header);
    int result = index_reader_row(&reader, 0, &row);
    while (result == 0 && (i < listing->count || (partly && number < header->count))) {
        struct listing_entry *entry = i < listing->count ? &listing->entries[i] : NULL;
        int order = number == header->count ? 1 : -1;
        if (entry != NULL && number < header->count) {
            order = maildir_name_compare(index_row_base(&row), listing_base(listing, entry));
        }
        bool is_kept = order <= 0 && scan_keeps_row(scan, &row);
        if (is_kept) {
            kept = (struct passed){true, maildir_name_key(index_row_base(&row))};
        } else if (order > 0) {
            fresh = (struct passed){true, entry->key};
        }
        if ((is_kept && (order == 0 || is_passed(&fresh, kept.key))) ||
            (order > 0 && is_passed(&kept, fresh.key))) {
            return 1;
        }
        if (order == 0 && take_from_old(&scan->listing, entry, &row) < 0) {
            return -ENOMEM;
        }
        all_same = all_same && order < 0 && is_kept;
        scan->same += all_same;
        i += order >= 0;
        number += order <= 0;
        if (order <= 0 && number < header->count) {
            result = index_reader_row(&reader, number, &row);
        }
    }
    return result < 0 && partly ? 1 : 0;
}

/* 0, 1 if both folders have to be listed, or -1. */
static int take_old(struct scan *scan, struct error *error)
{
    bool has_old = scan->old != NULL && scan->old->descriptor >= 0;
    /* What was found out is kept, whoever looks this time. */
    bool keeps = scan->surrogates || (has_old && scan->old->header.examined);
    int result = keeps && !listing_add_surrogates(&scan->listing) ? -ENOMEM : 0;
    if (result == 0 && has_old) {
        result = merge_old(scan);
    }
    return result < 0 ? error_set(error, ERROR_TEMPORARY, 0, "no memory to list a maildrop")
                      : result;
}

static bool is_uncounted(const struct scan *scan, const struct listing_entry *entry)
{
    return entry->octets == MAILDIR_UNKNOWN ||
           (scan->surrogates && (entry->flags & INDEX_ROW_EXAMINED) == 0);
}

int scan_list(struct scan *scan, struct error *error)
{
    int result = list_steadily(scan, error);
    if (result == 0) {
        result = take_old(scan, error);
    }
    if (result == 1) {
        scan->whole = true;
        result = list_steadily(scan, error);
        if (result == 0) {
            result = take_old(scan, error);
        }
    }
    if (result < 0) {
        return -1;
    }
    scan->uncounted = 0;
    for (size_t i = 0; i < scan->listing.count; i++) {
        struct listing_entry *entry = &scan->listing.entries[i];
        if (scan->surrogates && (entry->flags & LISTING_ODD) != 0) {
            entry->flags |= INDEX_ROW_EXAMINED; /* it is no message */
        }
        scan->uncounted += is_uncounted(scan, entry);
    }
    return 0;
}

static struct fs_name name_of(const struct scan *scan, const struct listing_entry *entry)
{
    bool is_new = (entry->flags & INDEX_ROW_NEW) != 0;
    return (struct fs_name){
        .directory = is_new ? scan->folders->new_folder : scan->folders->cur,
        .name = scan->listing.names + entry->name,
    };
}

static int count_unreadable(const struct scan *scan, struct listing_entry *entry)
{
    struct fs_stat stat;
    int result = fs_stat_name(scan->fs, name_of(scan, entry), FS_STAT_LINK, &stat);
    if (result == 0) {
        entry->octets = stat.size;
        entry->size = stat.size;
        entry->flags |= INDEX_ROW_COUNTED | INDEX_ROW_UNSERVED;
        entry->flags |= scan->surrogates ? INDEX_ROW_EXAMINED : 0;
    }
    return result;
}

/* What one thread counts with. */
struct counter {
    struct fs_closing closing;
    uint8_t buffer[OCTETS_BUFFER];
};

static int count_entry(const struct scan *scan, struct listing_entry *entry,
                       struct counter *counter)
{
    int descriptor = octets_open(scan->fs, name_of(scan, entry));
    int result = descriptor;
    struct octets_counted counted;
    if (descriptor >= 0) {
        struct octets_file file = {
            .fs = scan->fs,
            .descriptor = descriptor,
            .buffer = counter->buffer,
            .short_is_end = scan->folders->facts.local,
            .examine = scan->surrogates,
        };
        result = octets_count(&file, &counted);
        fs_close_later(scan->fs, &counter->closing, &descriptor);
    }
    if (result < 0 && octets_is_unreadable(-result)) {
        result = count_unreadable(scan, entry);
    } else if (result == 0) {
        entry->octets = counted.octets;
        entry->size = counted.size;
        entry->flags |= INDEX_ROW_COUNTED | (uint16_t)counted.flags;
        if (counted.encoded) {
            entry->flags |= INDEX_ROW_UNSERVED;
        }
        if (scan->surrogates) {
            scan->listing.surrogates[entry - scan->listing.entries] = counted.surrogate;
        }
    }
    if (result == -ENOENT) {
        entry->flags |= LISTING_LOST;
        result = 0;
    }
    return result;
}

int scan_count(const struct scan *scan, size_t part, size_t parts, struct error *error)
{
    AUTO_FREE struct counter *counter = malloc(sizeof *counter);
    if (counter == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    counter->closing = (struct fs_closing){0};
    int result = 0;
    size_t end = scan->listing.count * (part + 1) / parts;
    for (size_t i = scan->listing.count * part / parts; i < end && result == 0; i++) {
        struct listing_entry *entry = &scan->listing.entries[i];
        if (is_uncounted(scan, entry)) {
            result = count_entry(scan, entry, counter);
        }
        if (result < 0) {
            char name[80];
            result = error_from_errno(
                error, -result, "%s: %s cannot be counted", scan->folders->place.path,
                bytes_escape(listing_name(&scan->listing, entry), name, sizeof name));
        }
    }
    fs_close_now(scan->fs, &counter->closing);
    return result;
}

int scan_all(struct scan *scan, struct snapshot *snapshot_out, struct error *error)
{
    int result = scan_list(scan, error);
    if (result == 0 && scan->uncounted != 0) {
        result = scan_count(scan, 0, 1, error);
    }
    if (result == 0) {
        result = scan_write(scan, snapshot_out, error);
    }
    scan_finish(scan);
    return result;
}
