/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_REMOTE_LISTING_H
#define RESTANTE_FETCH_REMOTE_LISTING_H

/* A server's LIST and UIDL put together. Rows may come in any order, twice, or in one of the two only; what
 * they cost is bounded. */

#include "base/error.h"
#include "fetch/storer.h"

enum {
    LISTING_MESSAGES_MOST = 2000000,
    LISTING_ID_OCTETS_MOST = 256 * 1024 * 1024 /* of all unique ids together */
};

struct remote_listing {
    struct storer_message *messages; /* by number, once remote_listing_finish was called */
    size_t count;
    size_t capacity;
    uint8_t *ids; /* octets of all ids, one after the other */
    size_t ids_size, ids_capacity;
    uint32_t repeated; /* rows that said something of a message that another had said */
    uint32_t unlisted; /* messages of UIDL that LIST did not have */
    uint32_t without_id;
};

/* -1: more than the bounds, or no memory. */
int remote_listing_add_octets(struct remote_listing *listing, uint32_t number, uint64_t octets,
                              struct error *error) MUST_CHECK;
int remote_listing_add_id(struct remote_listing *listing, uint32_t number, struct bytes unique_id,
                          struct error *error) MUST_CHECK;
/* Sorts, joins, counts what is odd. Ids are in place from here on. */
void remote_listing_finish(struct remote_listing *listing);
/* Index of the message of that number; listing->count: there is none. */
size_t remote_listing_find(const struct remote_listing *listing, uint32_t number);
/* Empties it and frees its memory. */
void remote_listing_clear(struct remote_listing *listing);

#endif
