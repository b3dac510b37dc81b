/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_LISTING_H
#define RESTANTE_MAILDROP_MAILDIR_LISTING_H

#include "base/bytes.h"
#include "base/fs.h"

/* The names of files in new/ and cur/, in order of arrival. */

struct listing_entry {
    uint64_t key; /* maildir_name_key */
    uint64_t octets;
    uint64_t size;
    uint32_t name; /* where it begins in listing->names, NUL-terminated */
    uint32_t unique_id;
    uint16_t name_size, base_size;
    uint16_t unique_id_size; /* 0: it is the name's own */
    uint16_t flags;
};

enum listing_flags {
    /* INDEX_ROW_ flags, and: */
    LISTING_ODD = 0x100,   /* not a regular file */
    LISTING_KNOWN = 0x200, /* it was in the index */
    LISTING_LOST = 0x400   /* it was not there any more when it was to be counted */
};

struct listing {
    struct listing_entry *entries;
    size_t count, capacity;
    char *names;
    size_t names_size, names_capacity;
    uint64_t *
        surrogates; /* of entries with INDEX_ROW_SURROGATE, by their places; NULL: they are not of interest */
};

void listing_finish(struct listing *listing);

/* Adds what is in `folder`, with `flags` for each entry. 0 or a negated errno. */
int listing_read(struct listing *listing, const struct fs *fs, int folder, uint16_t flags);

/* Adds a name. False without memory. */
bool listing_add(struct listing *listing, struct bytes name);

/* Brings the entries into order and merges those with the same base name: the one in cur/ stays and is
 * marked INDEX_ROW_DOUBLE. How many were dropped, or a negated errno. */
ssize_t listing_sort(struct listing *listing);

/* Makes room for `surrogates`: when no entry changes its place any more. False without memory. */
bool listing_add_surrogates(struct listing *listing);

/* Copies octets to where they stay as long as the listing. Its place, or UINT32_MAX without memory. */
uint32_t listing_keep(struct listing *listing, struct bytes octets);

static inline struct bytes listing_name(const struct listing *listing,
                                        const struct listing_entry *entry)
{
    return (struct bytes){.data = (const uint8_t *)listing->names + entry->name,
                          .size = entry->name_size};
}

static inline struct bytes listing_base(const struct listing *listing,
                                        const struct listing_entry *entry)
{
    return (struct bytes){.data = (const uint8_t *)listing->names + entry->name,
                          .size = entry->base_size};
}

#endif
