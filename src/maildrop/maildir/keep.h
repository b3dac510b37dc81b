/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_KEEP_H
#define RESTANTE_MAILDROP_MAILDIR_KEEP_H

#include "maildrop/maildir/index.h"

/* Keeping an index true through changes of our own: it was valid before them, and nothing else changed
 * meanwhile. The folders' times cannot tell two changes in one tick from one, so the kernel is asked to
 * count (inotify). Whatever is in doubt leaves the index as it is: the next login scans. */

enum {
    KEEP_ROWS_LEAST = 256,          /* fewer are scanned as fast */
    KEEP_PATIENT_ROWS_LEAST = 4096, /* so many take longer to scan than the clock to move on */
    KEEP_BLOCKS_MOST = 4096         /* 16 MiB to copy */
};

/* How long the clock is waited for; a tick is at most 10 ms. */
#define KEEP_PATIENCE_NS INT64_C(25000000)

struct keep {
    const struct fs *fs;
    int cur, new_folder; /* borrowed */
    struct fs_facts facts;
    struct index_header header; /* valid before the changes */
    int watch;                  /* -1: nothing is kept */
};

void keep_init(struct keep *keep);
/* Begins to count. False: `header` is not valid now, or nobody can count. */
bool keep_begin(struct keep *keep, const struct fs *fs, int cur, int new_folder,
                const struct index_header *header);
/* Were there exactly so many changes? Then `header_out` is what an index with them must say; its rows are
 * the caller's duty. Waits for the clock up to `patience_ns`. */
bool keep_prove(const struct keep *keep, int changes, int64_t patience_ns,
                struct index_header *header_out);
void keep_finish(struct keep *keep);

/* For deliver: an index that was valid when the delivery began, and is nobody else's to extend. */
struct keep_index {
    struct keep keep;
    int root; /* borrowed */
    int cur;
    int descriptor; /* locked; -1: there is nothing to extend */
    bool examined;  /* and its rows tell of surrogates */
};

void keep_index_begin(struct keep_index *index, const struct fs *fs, int root, int new_folder);
/* The file with this name and these octets, and nothing else, came into new/. */
void keep_index_extend(struct keep_index *index, const struct index_row *row);
void keep_index_finish(struct keep_index *index);

#endif
