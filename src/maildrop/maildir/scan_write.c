/* SPDX-License-Identifier: MIT */
/* The end of a scan: every message gets its unique id, ids that do not follow from names go to the file
 * of ids, durably, before anybody sees them, and the rows are written as an index. Where a disk cannot
 * be written the index is in memory and the ids are shown all the same. */
#include <errno.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "maildrop/maildir/ids.h"
#include "maildrop/maildir/name.h"
#include "maildrop/maildir/octets.h"
#include "maildrop/maildir/scan.h"

enum { LOST_ATTEMPTS = 10 };

/* The ids given so far: places of entries, found by hash. */
struct id_slot {
    uint32_t entry; /* + 1; 0: free */
    uint32_t tag;   /* of the id's hash, to look at few others */
};

struct id_set {
    const struct listing *listing;
    const struct ids *ids;
    bool any; /* ids are in use that do not follow from names */
    struct id_slot *slots;
    size_t mask;
};

static struct bytes id_of(const struct listing *listing, const struct listing_entry *entry,
                          char buffer[POP3_UNIQUE_ID_OCTETS])
{
    if (entry->unique_id_size != 0) {
        return (struct bytes){.data = (const uint8_t *)listing->names + entry->unique_id,
                              .size = entry->unique_id_size};
    }
    size_t size = maildir_unique_id(listing_base(listing, entry), buffer);
    return (struct bytes){.data = (const uint8_t *)buffer, .size = size};
}

/* Where the id is, or where it would go; the tag is set. */
static struct id_slot *find_slot(const struct id_set *set, struct bytes id)
{
    uint64_t hash = XXH3_64bits(id.data, id.size);
    uint32_t tag = (uint32_t)(hash >> 32);
    size_t at = (size_t)hash & set->mask;
    for (;;) {
        struct id_slot *slot = &set->slots[at];
        if (slot->entry == 0) {
            slot->tag = tag;
            return slot;
        }
        char buffer[POP3_UNIQUE_ID_OCTETS];
        const struct listing_entry *entry = &set->listing->entries[slot->entry - 1];
        if (slot->tag == tag && bytes_equal(id_of(set->listing, entry, buffer), id)) {
            return slot;
        }
        at = (at + 1) & set->mask;
    }
}

/* False: it is another's already, or was: no id is used again. */
static bool claim_id(const struct id_set *set, uint32_t entry)
{
    char buffer[POP3_UNIQUE_ID_OCTETS];
    struct bytes base = listing_base(set->listing, &set->listing->entries[entry]);
    struct bytes id = id_of(set->listing, &set->listing->entries[entry], buffer);
    const struct ids_entry *owner = ids_find_owner(set->ids, id);
    struct id_slot *slot = find_slot(set, id);
    if (slot->entry != 0 || (owner != NULL && !bytes_equal(owner->base, base))) {
        return false;
    }
    slot->entry = entry + 1;
    return true;
}

static int set_id(struct listing *listing, uint32_t entry, struct bytes id)
{
    uint32_t place = listing_keep(listing, id);
    if (place == UINT32_MAX) {
        return -1;
    }
    listing->entries[entry].unique_id = place;
    listing->entries[entry].unique_id_size = (uint16_t)id.size;
    return 0;
}

/* For a message whose id is another's. */
static int give_whole_id(const struct id_set *set, struct listing *listing, uint32_t entry)
{
    for (unsigned attempt = 0;; attempt++) {
        char buffer[POP3_UNIQUE_ID_OCTETS];
        struct bytes base = listing_base(listing, &listing->entries[entry]);
        struct bytes id = {.data = (const uint8_t *)buffer,
                           .size = maildir_unique_id_whole(base, attempt, buffer)};
        if (set_id(listing, entry, id) < 0) {
            return -1;
        }
        if (claim_id(set, entry)) {
            return 0;
        }
    }
}

/* In turn: ids of the file, ids that were shown before, the others in order of arrival. */
enum round { FROM_FILE, SHOWN_BEFORE, NEWLY_SEEN };

static enum round round_of(const struct listing_entry *entry, const struct ids_entry *given)
{
    if (given != NULL) {
        return FROM_FILE;
    }
    return (entry->flags & LISTING_KNOWN) != 0 ? SHOWN_BEFORE : NEWLY_SEEN;
}

struct additions {
    struct ids_entry *entries;
    uint32_t *numbers; /* of the messages */
    size_t count;
};

static int note_addition(struct additions *additions, uint32_t entry)
{
    if ((additions->count & (additions->count - 1)) == 0) {
        size_t capacity = additions->count == 0 ? 1 : additions->count * 2;
        uint32_t *numbers = realloc(additions->numbers, capacity * sizeof *numbers);
        if (numbers == NULL) {
            return -1;
        }
        additions->numbers = numbers;
    }
    additions->numbers[additions->count++] = entry;
    return 0;
}

/* Can another message have the same id? Fields never stand before the first '.' of an arrival number, so
 * names that give one id have one key, and are neighbours. Ids that do not follow from names can be
 * anybody's. */
static bool may_collide(const struct id_set *set, uint32_t entry)
{
    const struct listing *listing = set->listing;
    const struct listing_entry *here = &listing->entries[entry];
    return set->any || (entry > 0 && here[-1].key == here->key) ||
           (entry + 1 < listing->count && here[1].key == here->key);
}

static int assign_round(struct scan *scan, const struct id_set *set, const struct ids *ids,
                        enum round round, struct additions *additions)
{
    struct listing *listing = &scan->listing;
    for (uint32_t i = 0; i < listing->count; i++) {
        struct listing_entry *entry = &listing->entries[i];
        if (!may_collide(set, i)) {
            continue;
        }
        const struct ids_entry *given = ids_find(ids, listing_base(listing, entry));
        if (round_of(entry, given) != round) {
            continue;
        }
        if (given != NULL && set_id(listing, i, given->unique_id) < 0) {
            return -1;
        }
        if (claim_id(set, i)) {
            if (round != FROM_FILE && entry->unique_id_size != 0 &&
                note_addition(additions, i) < 0) {
                return -1; /* an id that was shown and could not be written down */
            }
            continue;
        }
        if (give_whole_id(set, listing, i) < 0 || note_addition(additions, i) < 0) {
            return -1;
        }
    }
    return 0;
}

static int assign_ids(struct scan *scan, const struct ids *ids, struct additions *additions)
{
    struct id_set set = {.listing = &scan->listing, .ids = ids, .mask = 15, .any = ids->count != 0};
    for (size_t i = 0; i < scan->listing.count && !set.any; i++) {
        set.any = scan->listing.entries[i].unique_id_size != 0;
    }
    while (set.mask < scan->listing.count * 2) {
        set.mask = set.mask * 2 + 1;
    }
    set.slots = calloc(set.mask + 1, sizeof *set.slots);
    if (set.slots == NULL) {
        return -1;
    }
    int result = assign_round(scan, &set, ids, FROM_FILE, additions);
    if (result == 0) {
        result = assign_round(scan, &set, ids, SHOWN_BEFORE, additions);
    }
    if (result == 0) {
        result = assign_round(scan, &set, ids, NEWLY_SEEN, additions);
    }
    free(set.slots);
    return result;
}

static bool cannot_be_written(const struct error *error)
{
    return error->number == EROFS || error->number == ENOSPC || error->number == EDQUOT ||
           error->number == EACCES || error->number == EPERM;
}

/* Writes the ids down that do not follow from names. */
static int record_ids(struct scan *scan, int root, struct additions *additions, struct error *error)
{
    struct listing *listing = &scan->listing;
    additions->entries = calloc(additions->count, sizeof *additions->entries);
    if (additions->entries == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    for (size_t i = 0; i < additions->count; i++) {
        const struct listing_entry *entry = &listing->entries[additions->numbers[i]];
        additions->entries[i] = (struct ids_entry){
            .base = listing_base(listing, entry),
            .unique_id = id_of(listing, entry, NULL),
        };
    }
    if (!folders_begin_writing(scan->folders)) {
        return error_set(error, ERROR_TEMPORARY, 0, "the operation was cancelled");
    }
    struct error failure;
    int result =
        ids_add(scan->fs, root, additions->entries, additions->count, &scan->header.ids, &failure);
    folders_end_writing(scan->folders, scan->fs);
    if (result < 0 && !cannot_be_written(&failure)) {
        *error = failure;
        return -1;
    }
    if (result < 0) {
        scan->header.trusted = false; /* shown all the same, and the next login tries again */
    }
    return 0;
}

static int resolve_ids(struct scan *scan, int root, struct error *error)
{
    struct ids ids;
    if (ids_load(scan->fs, root, &ids, error) < 0) {
        return -1;
    }
    scan->header.ids = ids.stamp;
    struct additions additions = {0};
    int result = assign_ids(scan, &ids, &additions);
    if (result < 0) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "no memory for the ids of a maildrop");
    } else if (additions.count != 0) {
        result = record_ids(scan, root, &additions, error);
    }
    free(additions.entries);
    free(additions.numbers);
    ids_finish(&ids);
    return result;
}

static void add_entry(const struct scan *scan, size_t number, struct index_writer *writer)
{
    const struct listing *listing = &scan->listing;
    const struct listing_entry *entry = &listing->entries[number];
    if ((entry->flags & LISTING_LOST) != 0 || entry->octets == MAILDIR_UNKNOWN) {
        return;
    }
    struct index_row row = {
        .name = listing_name(listing, entry),
        .octets = entry->octets,
        .size = entry->size,
        .flags = entry->flags & 0xFFU,
    };
    if (entry->unique_id_size != 0) {
        row.unique_id = id_of(listing, entry, NULL);
    }
    if (listing->surrogates != NULL) {
        row.surrogate = listing->surrogates[number];
    }
    index_writer_add(writer, &row);
}

static bool is_before(const struct scan *scan, size_t number, const struct index_row *row)
{
    return maildir_name_compare(listing_base(&scan->listing, &scan->listing.entries[number]),
                                index_row_base(row)) < 0;
}

/* Adds the listing, and the rows of the folder that was not listed in between; the number of the first that was not
 * added, or a negated errno. */
static ssize_t add_kept_rows(const struct scan *scan, struct index_writer *writer)
{
    struct index_reader reader;
    size_t next = 0;
    index_reader_init(&reader, scan->fs, scan->old->descriptor, &scan->old->header);
    int64_t copied = index_writer_copy(writer, &reader, scan->same);
    if (copied < 0) {
        return (ssize_t)copied;
    }
    for (uint32_t i = (uint32_t)copied; i < scan->old->header.count; i++) {
        struct index_row row;
        int result = index_reader_row(&reader, i, &row);
        if (result < 0) {
            return result;
        }
        index_writer_take_back(writer, &row);
        while (next < scan->listing.count && is_before(scan, next, &row)) {
            add_entry(scan, next++, writer);
        }
        if (scan_keeps_row(scan, &row)) {
            index_writer_add(writer, &row);
        }
    }
    return (ssize_t)next;
}

static int add_rows(const struct scan *scan, struct index_writer *writer)
{
    ssize_t next = scan->lists == SCAN_BOTH ? 0 : add_kept_rows(scan, writer);
    for (size_t i = (size_t)next; next >= 0 && i < scan->listing.count; i++) {
        add_entry(scan, i, writer);
    }
    return next < 0 ? (int)next : 0;
}

static int write_rows(struct scan *scan, int descriptor)
{
    struct index_writer *writer = index_writer_create(scan->fs, descriptor);
    if (writer == NULL) {
        return -ENOMEM;
    }
    int result = add_rows(scan, writer);
    if (result == 0) {
        result = index_writer_finish(writer, &scan->header);
    }
    free(writer);
    return result;
}

/* A descriptor of the new index under its name, or a negated errno. */
static int write_file(struct scan *scan, int root)
{
    int descriptor = index_create(scan->fs, root, INDEX_NEW_NAME);
    if (descriptor < 0) {
        return descriptor;
    }
    return index_publish(scan->fs, (struct fs_name){root, INDEX_NEW_NAME}, descriptor,
                         write_rows(scan, descriptor));
}

static int write_memory(struct scan *scan)
{
    int descriptor = scan->fs->operations->memory(scan->fs, INDEX_NAME);
    int result = descriptor < 0 ? descriptor : write_rows(scan, descriptor);
    if (result < 0) {
        fs_close(scan->fs, &descriptor);
        return result;
    }
    return descriptor;
}

static int write_snapshot(struct scan *scan, int root, struct snapshot *snapshot_out,
                          struct error *error)
{
    int descriptor = -EROFS;
    if (root >= 0) {
        if (!folders_begin_writing(scan->folders)) {
            return error_set(error, ERROR_TEMPORARY, 0, "the operation was cancelled");
        }
        descriptor = write_file(scan, root);
        folders_end_writing(scan->folders, scan->fs);
    }
    bool memory = descriptor < 0;
    if (memory) {
        descriptor = write_memory(scan);
    }
    if (descriptor < 0) {
        return error_from_errno(error, -descriptor, "%s: no index can be written",
                                scan->folders->place.path);
    }
    *snapshot_out = (struct snapshot){
        .descriptor = descriptor,
        .memory = memory,
        .header = scan->header,
    };
    return 0;
}

/* Files went away, or changed their names, between listing and counting: what was counted becomes the
 * old index of another look. */
static int list_again(struct scan *scan, struct error *error)
{
    struct snapshot counted;
    for (size_t i = 0; i < scan->listing.count; i++) {
        struct listing_entry *entry = &scan->listing.entries[i];
        entry->flags |= (entry->flags & LISTING_KNOWN) == 0 ? INDEX_ROW_UNSEEN : 0;
    }
    if (write_snapshot(scan, -1, &counted, error) < 0) {
        return -1;
    }
    const struct snapshot *old = scan->old;
    scan->old = &counted;
    int result = scan_list(scan, error);
    scan->old = old;
    snapshot_finish(&counted, scan->fs);
    return result == 0 && scan->uncounted != 0 ? scan_count(scan, 0, 1, error) : result;
}

static bool has_lost(const struct listing *listing)
{
    for (size_t i = 0; i < listing->count; i++) {
        if ((listing->entries[i].flags & LISTING_LOST) != 0) {
            return true;
        }
    }
    return false;
}

/* Ids that were written down meanwhile can be anybody's. */
static int list_whole_for_ids(struct scan *scan, int root, struct error *error)
{
    struct ids ids;
    if (scan->lists == SCAN_BOTH) {
        return 0;
    }
    if (ids_load(scan->fs, root, &ids, error) < 0) {
        return -1;
    }
    scan->whole = ids.count != 0;
    ids_finish(&ids);
    return scan->whole ? list_again(scan, error) : 0;
}

static int list_lost(struct scan *scan, struct error *error)
{
    for (int attempt = 1; has_lost(&scan->listing); attempt++) {
        if (attempt == LOST_ATTEMPTS) {
            return error_set(error, ERROR_TEMPORARY, 0, "%s: files change their names all the time",
                             scan->folders->place.path);
        }
        if (list_again(scan, error) < 0) {
            return -1;
        }
    }
    return 0;
}

int scan_write(struct scan *scan, struct snapshot *snapshot_out, struct error *error)
{
    int root = folders_open_root(scan->folders, scan->fs);
    if (root < 0) {
        return error_from_errno(error, -root, "%s: cannot be opened", scan->folders->place.path);
    }
    int result = list_whole_for_ids(scan, root, error);
    if (result == 0) {
        result = list_lost(scan, error);
    }
    if (result == 0) {
        result = resolve_ids(scan, root, error);
    }
    if (result == 0) {
        result = write_snapshot(scan, root, snapshot_out, error);
    }
    fs_close(scan->fs, &root);
    return result;
}
