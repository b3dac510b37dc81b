/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_MBOX_MESSAGE_H
#define RESTANTE_FETCH_MBOX_MESSAGE_H

#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "maildrop/line_ends.h"

/* A message as it stands in an mbox (mboxrd): behind a From_ line, with LF line ends and `>` before each line
 * that is `>`s and "From "; and its hash, which is the same after a mail client has put its notes into the header. */

enum {
    MBOX_FROM_OCTETS = 64,
    MBOX_HASH_OCTETS = 16,
    MBOX_NAME_OCTETS = 16 /* of a header field, as far as it matters */
};

/* "From MAILER-DAEMON Thu Jan  1 00:00:00 1970\n" */
size_t mbox_from_line(int64_t now_s, char out[MBOX_FROM_OCTETS]);

/* Octets between From_ lines, in any pieces. */
struct mbox_hash {
    crypto_generichash_state state;
    uint64_t newlines; /* seen at the end so far, not yet counted: empty lines at the end do not */
    char name[MBOX_NAME_OCTETS];
    size_t name_size;
    bool in_header, line_begins, in_name, left_out;
};

void mbox_hash_init(struct mbox_hash *hash);
void mbox_hash_feed(struct mbox_hash *hash, struct bytes octets);
void mbox_hash_finish(struct mbox_hash *hash, uint8_t hash_out[MBOX_HASH_OCTETS]);

struct mbox_quoting {
    struct line_ends line_ends;
    uint8_t matched; /* octets of "From " at the line's beginning that are held back */
    bool in_line;    /* behind what could be quoted */
    bool open;       /* the line has octets */
};

/* `out` has room for twice the octets and 8 more. Returns how many were put there. */
size_t mbox_quote(struct mbox_quoting *quoting, struct bytes octets, uint8_t *out);
/* After the last octet: ends the line and adds the empty one. */
size_t mbox_quote_finish(struct mbox_quoting *quoting, uint8_t *out);

#endif
