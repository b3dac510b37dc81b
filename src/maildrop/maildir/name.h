/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_NAME_H
#define RESTANTE_MAILDROP_MAILDIR_NAME_H

#include <pop3/server.h>

#include "base/bytes.h"

/* What the name of a message's file says. A file's base name is what stands before the first ':'; the
 * rest are flags, which change. docs/formats.md freezes the grammar. */

/* A value that the name does not say, or not as a number that a file can have. */
#define MAILDIR_UNKNOWN     UINT64_MAX
#define MAILDIR_MOST_OCTETS ((UINT64_C(1) << 48) - 1)

struct maildir_name {
    struct bytes base;
    uint64_t size;   /* ,S=: octets of the file */
    uint64_t octets; /* ,W=: octets with line ends as CR LF */
};

void maildir_name_parse(struct bytes name, struct maildir_name *name_out);

/* For sorting: two base names are in the order of their keys; where those are equal,
 * maildir_name_compare decides. */
uint64_t maildir_name_key(struct bytes base);

/* The order of arrival: by the decimal number before the first '.', names without one first, then by
 * octets. 0 only for equal names. */
int maildir_name_compare(struct bytes a, struct bytes b);

/* The unique id of a base name; how many octets. */
size_t maildir_unique_id(struct bytes base, char id_out[POP3_UNIQUE_ID_OCTETS]);

/* The id for a message whose own is another's already: a hash of the whole base name and, for an
 * `attempt` over 0, of a NUL and that number. */
size_t maildir_unique_id_whole(struct bytes base, unsigned attempt,
                               char id_out[POP3_UNIQUE_ID_OCTETS]);

/* 1 to 70 octets of 0x21 to 0x7E. */
bool maildir_is_unique_id(struct bytes id);

#endif
