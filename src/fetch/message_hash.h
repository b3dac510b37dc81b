/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_MESSAGE_HASH_H
#define RESTANTE_FETCH_MESSAGE_HASH_H

#include <sodium.h>
#include <stdbool.h>

#include "base/bytes.h"

/* What tells one message from another, over the octets as the server sends them (BLAKE2b). The header's
 * hash ends before the empty line, so that it is the same whether TOP n 0 sends that or not. */

enum { CONTENT_HASH_OCTETS = 32, HEADER_HASH_OCTETS = 16 };

struct message_digest {
    uint64_t octets;
    uint8_t content[CONTENT_HASH_OCTETS];
    uint8_t header[HEADER_HASH_OCTETS];
};

struct message_hash {
    crypto_generichash_state content, header;
    uint64_t octets;
    bool in_header, line_begins, cr_held;
};

void message_hash_init(struct message_hash *hash);
void message_hash_feed(struct message_hash *hash, struct bytes octets);
void message_hash_finish(struct message_hash *hash, struct message_digest *digest_out);

#endif
