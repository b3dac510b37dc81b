/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_PUT_OFF_H
#define RESTANTE_FETCH_PUT_OFF_H

/* Messages that this run has tried and not stored, or left: a fresh listing does not bring them up again, the next
 * run does. */

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

struct put_off {
    struct bytes *ids; /* copies */
    size_t count, capacity;
    bool is_sorted;
    bool has_unknown; /* one that cannot be told from others: no unique id, or no memory for it */
};

void put_off_add(struct put_off *put_off, struct bytes unique_id);
bool put_off_has(struct put_off *put_off, struct bytes unique_id);
/* Empties it and frees its memory. */
void put_off_clear(struct put_off *put_off);

#endif
