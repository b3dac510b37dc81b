/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_INDEX_H
#define RESTANTE_MAILDROP_MAILDIR_INDEX_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/fs.h"

/* The index: the rows of a maildrop in order of arrival, in a file (docs/formats.md). It is a cache.
 * Whatever its octets are, reading it is safe; what its checksums do not confirm is -EBADMSG. */

#define INDEX_NAME "restante.index"

enum { INDEX_BLOCK_OCTETS = 4096 };

/* Which state of a folder or file was seen; all zero: there was none. */
struct index_stamp {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
};

struct index_header {
    bool trusted; /* nothing can have changed unseen while the folders have these stamps */
    uint32_t count;
    uint32_t blocks;
    uint64_t octets;     /* of all rows */
    bool examined;       /* every row is */
    uint64_t surrogates; /* octets of all rows, surrogates in place of the messages that need one */
    int64_t scanned_ns;
    struct index_stamp folder_new, folder_cur, ids;
};

enum index_row_flags {
    INDEX_ROW_NEW = 1,       /* it is in new/ */
    INDEX_ROW_COUNTED = 2,   /* the octets were counted, not taken from the name */
    INDEX_ROW_UNSERVED = 4,  /* it could not be served: the octets are the file's size */
    INDEX_ROW_DOUBLE = 8,    /* more files have its base name */
    INDEX_ROW_UNSEEN = 16,   /* no session was shown it; only while a scan is under way */
    INDEX_ROW_EXAMINED = 32, /* it is known whether it needs UTF-8 */
    INDEX_ROW_SURROGATE = 64 /* it does, and so has a surrogate */
};

struct index_row {
    struct bytes name;
    struct bytes unique_id; /* empty: it is the name's own */
    uint64_t octets;
    uint64_t size;      /* octets of the file, or MAILDIR_UNKNOWN */
    uint64_t surrogate; /* octets of that, if there is one */
    uint32_t flags;
};

static inline struct bytes index_row_base(const struct index_row *row)
{
    return (struct bytes){.data = row->name.data, .size = bytes_find(row->name, ':')};
}

/* The octets that a session shows, one that wants surrogates or one that does not. */
static inline uint64_t index_row_shown(const struct index_row *row, bool surrogates)
{
    return surrogates && (row->flags & INDEX_ROW_SURROGATE) != 0 ? row->surrogate : row->octets;
}

struct index_stamp index_stamp_of(const struct fs_stat *stat);
bool index_stamp_equal(const struct index_stamp *a, const struct index_stamp *b);

/* When the folders' last changes are so far back that the stamps of a look at that time, or later, change
 * with every change to come (racy-clean, as git's index has it). Negative: never. */
int64_t index_settles_at(const struct fs_stat *cur, const struct fs_stat *new_folder,
                         const struct fs_facts *facts);

/* Can the index be believed now, with the folders like this? */
bool index_is_valid(const struct index_header *header, const struct fs_stat *cur,
                    const struct fs_stat *new_folder, int64_t now_ns);

/* 0 or a negated errno. */
int index_read_header(const struct fs *fs, int descriptor, struct index_header *header_out);

/* Which rows a block has; rows 0: none is known. */
struct index_block {
    uint32_t number, first_row, rows;
};

/* Reads rows; one block is in memory. `header` and `fs` are borrowed. */
struct index_reader {
    const struct fs *fs;
    const struct index_header *header;
    int descriptor;
    bool loaded;              /* `block` is in `data` */
    struct index_block block; /* else, where the next row that is wanted may be near */
    uint32_t next_row;        /* where a walk through the block stands */
    uint32_t next_offset;
    uint32_t last_offset; /* of the row before that: a row is often asked for twice */
    uint8_t data[INDEX_BLOCK_OCTETS];
};

void index_reader_init(struct index_reader *reader, const struct fs *fs, int descriptor,
                       const struct index_header *header);

/* Row `number` (from 0). What the row points to is valid until the next call. 0 or a negated errno. */
int index_reader_row(struct index_reader *reader, uint32_t number, struct index_row *row_out);

/* Brings block `number` (from 0) into memory: which rows it has is then in `block`. 0 or a negated errno. */
int index_reader_load(struct index_reader *reader, uint32_t number);

/* The row whose base name this is. 1, 0 if there is none, or a negated errno. */
int index_reader_find(struct index_reader *reader, struct bytes base, struct index_row *row_out);

/* Writes an index to an empty file, rows in order, then the header. */
struct index_writer {
    const struct fs *fs;
    int descriptor;
    int failure;     /* negated errno, sticky */
    uint64_t offset; /* where `data` goes */
    uint32_t count;  /* rows so far */
    uint32_t blocks; /* finished ones */
    uint64_t octets; /* of the rows */
    bool examined;   /* all of them are */
    uint64_t surrogates;
    size_t used;        /* octets of finished blocks in `data` */
    uint32_t block_row; /* first row of the unfinished block */
    size_t block_used;  /* octets of the unfinished block; 0: there is none */
    uint8_t data[16 * INDEX_BLOCK_OCTETS];
};

#define INDEX_NEW_NAME INDEX_NAME ".new"

/* Makes the empty file `beside` that will be the index of the folder `root`; a descriptor or a negated
 * errno. One that a process left which died is replaced. */
int index_create(const struct fs *fs, int root, const char *beside);
/* Gives it its name in place of the old one, or, after `failure` (a negated errno), removes and closes it.
 * Returns `descriptor` or a negated errno. */
int index_publish(const struct fs *fs, struct fs_name beside, int descriptor, int failure);

/* On the heap; free() it. NULL without memory. */
struct index_writer *index_writer_create(const struct fs *fs, int descriptor);
void index_writer_add(struct index_writer *writer, const struct index_row *row);

/* For an index that differs little from the reader's: copies its blocks as they are while all their rows are before
 * row `before`, into a writer that has nothing yet, and gives it the totals of the whole old index. The caller goes on with
 * the row behind them: each of the old index is taken back from the totals, and what stays of them is added. How many rows
 * were copied, or a negated errno. */
int64_t index_writer_copy(struct index_writer *writer, struct index_reader *reader,
                          uint32_t before);
void index_writer_take_back(struct index_writer *writer, const struct index_row *row);

/* Fills in the header's count, blocks, octets and what is known of surrogates. 0 or a negated errno of this or an earlier write. */
int index_writer_finish(struct index_writer *writer, struct index_header *header);

#endif
