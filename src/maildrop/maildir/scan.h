/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_SCAN_H
#define RESTANTE_MAILDROP_MAILDIR_SCAN_H

#include "maildrop/maildir/folders.h"
#include "maildrop/maildir/index.h"
#include "maildrop/maildir/listing.h"

/* The state of a maildrop at one moment: an index that nobody writes to any more. */
struct snapshot {
    int descriptor; /* -1: empty, for a maildrop that does not exist */
    bool memory;    /* it has no name on a disk */
    struct index_header header;
};

void snapshot_init(struct snapshot *snapshot);
void snapshot_finish(struct snapshot *snapshot, const struct fs *fs);

/* The maildrop's index file, if it can be believed for the folders as they are now, and tells of surrogates if
 * they are wanted. 0, -ENOENT if not
 * (`snapshot` is then what was found all the same: its sizes may help a scan), -EAGAIN. */
int snapshot_open(struct snapshot *snapshot, const struct maildir_folders *folders,
                  const struct fs *fs, bool surrogates);

/* What is listed. A folder that is as a trusted index has seen it has the rows of that index. */
enum scan_lists { SCAN_BOTH, SCAN_NEW_ONLY, SCAN_CUR_ONLY };

/* A look at all files. Three steps, so that the second can be done by several threads at once. */
struct scan {
    const struct fs *fs;
    struct maildir_folders *folders;
    const struct snapshot *old; /* borrowed; its sizes are believed */
    enum scan_lists lists;
    bool whole;    /* both folders have to be listed */
    uint32_t same; /* rows of the old index before the first that may differ */
    struct listing listing;
    struct index_header header;
    bool surrogates;  /* it must be known which messages need UTF-8 */
    size_t uncounted; /* files of which neither name nor index tell all that is wanted */
};

enum { SCAN_PARTS = 2 };

void scan_init(struct scan *scan, const struct fs *fs, struct maildir_folders *folders,
               const struct snapshot *old, bool surrogates);
void scan_finish(struct scan *scan);

/* 0, or -1. */
int scan_list(struct scan *scan, struct error *error) MUST_CHECK;
/* Counts the octets of part `part` of `parts` of the files. Parts may be done at the same time. */
int scan_count(const struct scan *scan, size_t part, size_t parts, struct error *error) MUST_CHECK;
/* Gives every message its id and writes the index. */
int scan_write(struct scan *scan, struct snapshot *snapshot_out, struct error *error) MUST_CHECK;

/* Is it of a folder that was not listed, because it is as the old index has it? */
bool scan_keeps_row(const struct scan *scan, const struct index_row *row);

/* All of it, with a `scan` that was initialised; it is finished. */
int scan_all(struct scan *scan, struct snapshot *snapshot_out, struct error *error) MUST_CHECK;

#endif
