/* SPDX-License-Identifier: MIT */
/* Listing the folders. All names are in one piece of memory, so that a million of them cost their
 * octets and 40 more each. */
#include "maildrop/maildir/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "maildrop/maildir/index.h"
#include "maildrop/maildir/name.h"

enum {
    LIST_OCTETS = 65536,
    NAME_OCTETS_MOST = 1023,
    SORT_BY_KEYS_LEAST = 512 /* fewer are sorted sooner by comparing them */
};

void listing_finish(struct listing *listing)
{
    free(listing->entries);
    free(listing->names);
    free(listing->surrogates);
    *listing = (struct listing){0};
}

bool listing_add_surrogates(struct listing *listing)
{
    listing->surrogates = calloc(listing->count + 1, sizeof *listing->surrogates);
    return listing->surrogates != NULL;
}

uint32_t listing_keep(struct listing *listing, struct bytes octets)
{
    size_t need = listing->names_size + octets.size + 1;
    if (need > UINT32_MAX) {
        return UINT32_MAX;
    }
    if (need > listing->names_capacity) {
        size_t capacity = need + listing->names_capacity / 2 + 4096;
        char *names = realloc(listing->names, capacity);
        if (names == NULL) {
            return UINT32_MAX;
        }
        listing->names = names;
        listing->names_capacity = capacity;
    }
    uint32_t place = (uint32_t)listing->names_size;
    memcpy(listing->names + place, octets.data, octets.size);
    listing->names[place + octets.size] = '\0';
    listing->names_size = need;
    return place;
}

static struct listing_entry *add_entry(struct listing *listing, struct bytes name)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity + listing->capacity / 2 + 64;
        struct listing_entry *entries =
            realloc(listing->entries, capacity * sizeof *listing->entries);
        if (entries == NULL) {
            return NULL;
        }
        listing->entries = entries;
        listing->capacity = capacity;
    }
    uint32_t place = listing_keep(listing, name);
    if (place == UINT32_MAX) {
        return NULL;
    }
    struct maildir_name parsed;
    maildir_name_parse(name, &parsed);
    struct listing_entry *entry = &listing->entries[listing->count++];
    *entry = (struct listing_entry){
        .key = maildir_name_key(parsed.base),
        .octets = parsed.octets,
        .size = parsed.size,
        .name = place,
        .name_size = (uint16_t)name.size,
        .base_size = (uint16_t)parsed.base.size,
    };
    return entry;
}

bool listing_add(struct listing *listing, struct bytes name)
{
    return add_entry(listing, name) != NULL;
}

/* A folder, a device, a link where a message should be: shown with its size, never opened. */
static int look_at_kind(struct listing_entry *entry, const struct fs *fs, struct fs_name name)
{
    struct fs_stat stat;
    int result = fs_stat_name(fs, name, FS_STAT_LINK, &stat);
    if (result == 0 && !S_ISREG(stat.mode)) {
        entry->flags |= LISTING_ODD | INDEX_ROW_UNSERVED;
        entry->octets = stat.size;
        entry->size = stat.size;
    }
    return result == -ENOENT ? 0 : result;
}

static int add(struct listing *listing, const struct fs *fs, int folder,
               const struct dirent64 *found, uint16_t flags)
{
    struct bytes name = bytes_of(found->d_name);
    if (name.data[0] == '.') {
        return 0;
    }
    if (name.size > NAME_OCTETS_MOST || listing->count == UINT32_MAX) {
        return -EOVERFLOW;
    }
    struct listing_entry *entry = add_entry(listing, name);
    if (entry == NULL) {
        return -ENOMEM;
    }
    entry->flags = flags;
    if (found->d_type == DT_REG) {
        return 0;
    }
    return look_at_kind(entry, fs, (struct fs_name){folder, found->d_name});
}

int listing_read(struct listing *listing, const struct fs *fs, int folder, uint16_t flags)
{
    int reader = fs_reopen_folder(fs, folder);
    if (reader < 0) {
        return reader;
    }
    int result = 0;
    uint8_t *buffer = malloc(LIST_OCTETS);
    while (buffer != NULL && result == 0) {
        ssize_t size = fs->operations->list(fs, reader, buffer, LIST_OCTETS);
        if (size <= 0) {
            result = (int)size;
            break;
        }
        for (ssize_t at = 0; at < size && result == 0;) {
            const struct dirent64 *found = (const struct dirent64 *)(const void *)(buffer + at);
            result = add(listing, fs, folder, found, flags);
            at += found->d_reclen;
        }
    }
    fs_close(fs, &reader);
    if (buffer == NULL) {
        return -ENOMEM;
    }
    free(buffer);
    return result;
}

struct sort_item {
    uint64_t key;
    uint32_t entry;
};

static int compare(const void *a, const void *b, void *context)
{
    const struct sort_item *first = a;
    const struct sort_item *second = b;
    const struct listing *listing = context;
    if (first->key != second->key) {
        return first->key < second->key ? -1 : 1;
    }
    const struct listing_entry *one = &listing->entries[first->entry];
    const struct listing_entry *other = &listing->entries[second->entry];
    int order = maildir_name_compare(listing_base(listing, one), listing_base(listing, other));
    if (order == 0) {
        order = (one->flags & INDEX_ROW_NEW) - (other->flags & INDEX_ROW_NEW);
    }
    return order != 0 ? order : strcmp(listing->names + one->name, listing->names + other->name);
}

static void swap(struct sort_item **a, struct sort_item **b)
{
    struct sort_item *other = *a;
    *a = *b;
    *b = other;
}

/* Sorts by keys, a few bits of them at a time, the lowest first: those of a maildrop are times and mostly differ in
 * their last 30 bits. Returns where the sorted items are, in `items` or in `spare`. */
static struct sort_item *sort_by_keys(struct sort_item *items, struct sort_item *spare,
                                      size_t count)
{
    enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };
    uint64_t different = 0;
    for (size_t i = 1; i < count; i++) {
        different |= items[i].key ^ items[0].key;
    }
    for (unsigned shift = 0; shift < 64 && different >> shift != 0; shift += DIGIT_BITS) {
        uint32_t places[DIGITS] = {0};
        if ((different >> shift & (DIGITS - 1)) == 0) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            places[items[i].key >> shift & (DIGITS - 1)]++;
        }
        uint32_t place = 0;
        for (size_t digit = 0; digit < DIGITS; digit++) {
            uint32_t number = places[digit];
            places[digit] = place;
            place += number;
        }
        for (size_t i = 0; i < count; i++) {
            spare[places[items[i].key >> shift & (DIGITS - 1)]++] = items[i];
        }
        swap(&items, &spare);
    }
    return items;
}

/* `spare` has room for as many. Returns where they are in order. */
static struct sort_item *sort(struct listing *listing, struct sort_item *items,
                              struct sort_item *spare)
{
    size_t count = listing->count;
    if (count < SORT_BY_KEYS_LEAST) {
        qsort_r(items, count, sizeof *items, compare, listing);
        return items;
    }
    items = sort_by_keys(items, spare, count);
    for (size_t i = 0; i < count;) {
        size_t first = i;
        while (i < count && items[i].key == items[first].key) {
            i++;
        }
        if (i - first > 1) {
            qsort_r(items + first, i - first, sizeof *items, compare, listing);
        }
    }
    return items;
}

/* Entries in their order, those with the base name of the one before them left out. */
static size_t copy_in_order(const struct listing *listing, const struct sort_item *items,
                            struct listing_entry *sorted)
{
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const struct listing_entry *entry = &listing->entries[items[i].entry];
        struct listing_entry *last = kept == 0 ? NULL : &sorted[kept - 1];
        if (last != NULL && entry->key == last->key &&
            bytes_equal(listing_base(listing, last), listing_base(listing, entry))) {
            last->flags |= INDEX_ROW_DOUBLE;
        } else {
            sorted[kept++] = *entry;
        }
    }
    return kept;
}

ssize_t listing_sort(struct listing *listing)
{
    if (listing->count == 0) {
        return 0;
    }
    struct sort_item *items = malloc(2 * listing->count * sizeof *items);
    struct listing_entry *sorted = malloc(listing->count * sizeof *sorted);
    if (items == NULL || sorted == NULL) {
        free(items);
        free(sorted);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < listing->count; i++) {
        items[i] = (struct sort_item){.key = listing->entries[i].key, .entry = i};
    }
    const struct sort_item *in_order = sort(listing, items, items + listing->count);
    size_t kept = copy_in_order(listing, in_order, sorted);
    size_t dropped = listing->count - kept;
    free(items);
    free(listing->entries);
    listing->entries = sorted;
    listing->capacity = listing->count;
    listing->count = kept;
    return (ssize_t)dropped;
}
