/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_OCTETS_H
#define RESTANTE_MAILDROP_MAILDIR_OCTETS_H

#include "base/bytes.h"
#include "base/fs.h"

enum { OCTETS_BUFFER = 65536, OCTETS_MAGIC_MOST = 16 };

/* Is this the beginning of what another server compressed or encrypted? A client that was sent it would
 * see garbage and delete it. */
bool octets_are_encoded(struct bytes beginning);

struct octets_counted {
    uint64_t octets; /* with line ends as CR LF */
    uint64_t size;   /* of the file */
    bool encoded;
};

/* Reads all of a file, through a buffer of OCTETS_BUFFER. `short_is_end`: a read that gives less than was
 * asked for is the last, as on every local file system. 0 or a negated errno. */
int octets_count(const struct fs *fs, int descriptor, uint8_t *buffer, bool short_is_end,
                 struct octets_counted *counted_out);

/* Opens the file of a message; no link, and nothing outside of the folder. Negated errno. */
int octets_open(const struct fs *fs, struct fs_name name);

/* Does this errno say something of the one message, not of the machine? */
bool octets_is_unreadable(int number);

#endif
