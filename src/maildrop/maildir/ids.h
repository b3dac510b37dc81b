/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_IDS_H
#define RESTANTE_MAILDROP_MAILDIR_IDS_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"
#include "maildrop/maildir/index.h"

/* The unique ids that do not follow from the names of the files: durable truth, never a cache
 * (docs/formats.md). Lines are only ever added. */

#define IDS_NAME     "restante.ids"
#define IDS_NEW_NAME "restante.ids.new"

struct ids_entry {
    struct bytes base;
    struct bytes unique_id;
};

struct ids {
    uint8_t *text;             /* the file; what the entries point to, unescaped in place */
    struct ids_entry *entries; /* by base name */
    struct ids_entry *owners;  /* the same, by id */
    size_t count;
    struct index_stamp stamp; /* zero: there is no file */
};

/* Reads the file in the folder `root`; none is as good as an empty one. ERROR_CORRUPT says which line is
 * wrong. Caller's: ids_finish. */
int ids_load(const struct fs *fs, int root, struct ids *ids_out, struct error *error) MUST_CHECK;
void ids_finish(struct ids *ids);

/* NULL if the file says nothing about this base name. */
const struct ids_entry *ids_find(const struct ids *ids, struct bytes base);

/* Whose id this is, or was; NULL: nobody's. */
const struct ids_entry *ids_find_owner(const struct ids *ids, struct bytes unique_id);

/* Adds entries to the file, durably: when it returns 0 they survive a power cut. Only under the lock.
 * `stamp_out` is the new file's. */
int ids_add(const struct fs *fs, int root, const struct ids_entry *entries, size_t count,
            struct index_stamp *stamp_out, struct error *error) MUST_CHECK;

#endif
