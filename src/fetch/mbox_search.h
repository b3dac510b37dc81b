/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_MBOX_SEARCH_H
#define RESTANTE_FETCH_MBOX_SEARCH_H

#include "base/error.h"
#include "fetch/mbox_message.h"

/* What a place in an mbox says: "OFFSET LENGTH TIME HASH". */
struct mbox_place {
    uint64_t offset, length;
    int64_t time_s; /* of the From_ line */
    uint8_t hash[MBOX_HASH_OCTETS];
};

enum { MBOX_PLACE_OCTETS = 128 };

void mbox_place_write(const struct mbox_place *place, char out[MBOX_PLACE_OCTETS]);
bool mbox_place_read(const char *text, struct mbox_place *place_out);

/* Of a file that is being looked through, all messages once they were needed. */
struct mbox_search {
    int file;
    struct mbox_found *found;
    size_t count;
    bool searched;
};

/* Is the message there, where it was put or wherever a mail client has moved it? If the file ends within it, as a
 * kill leaves it, what there is of it is cut off. */
int mbox_search(struct mbox_search *search, const struct mbox_place *place, bool *there_out,
                struct error *error) MUST_CHECK;
void mbox_search_finish(struct mbox_search *search);

#endif
