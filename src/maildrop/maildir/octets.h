/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_OCTETS_H
#define RESTANTE_MAILDROP_MAILDIR_OCTETS_H

#include "base/bytes.h"
#include "base/fs.h"

enum { OCTETS_BUFFER = 65536, OCTETS_MAGIC_MOST = 16 };

/* Is this the beginning of what another server compressed or encrypted? A client that was sent it would
 * see garbage and delete it. */
bool octets_are_encoded(struct bytes beginning);

/* A file to be read whole. */
struct octets_file {
    const struct fs *fs;
    int descriptor;
    uint8_t *buffer; /* of OCTETS_BUFFER */
    bool
        short_is_end; /* a read that gives less than was asked for is the last, as on every local file system */
    bool examine; /* it is to be known whether the message needs UTF-8 */
};

struct octets_counted {
    uint64_t octets; /* with line ends as CR LF */
    uint64_t size;   /* of the file */
    bool encoded;
    uint32_t
        flags; /* where it was examined: INDEX_ROW_EXAMINED, and INDEX_ROW_SURROGATE if it has one */
    uint64_t surrogate; /* octets of that */
};

/* 0 or a negated errno. */
int octets_count(const struct octets_file *file, struct octets_counted *counted_out);

/* Opens the file of a message; no link, and nothing outside of the folder. Negated errno. */
int octets_open(const struct fs *fs, struct fs_name name);

/* Does this errno say something of the one message, not of the machine? */
bool octets_is_unreadable(int number);

#endif
