/* SPDX-License-Identifier: MIT */
/* Each row of LIST and of UIDL becomes an entry; at the end they are sorted by number and the entries of one
 * number become one. Until then an id is an offset, since the memory of ids may move. */
#include "fetch/remote_listing.h"

#include <stdlib.h>

static int grow(void **memory, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity) {
        return 0;
    }
    size_t wanted = *capacity == 0 ? 1024 : *capacity * 2;
    wanted = wanted < needed ? needed : wanted;
    void *grown = reallocarray(*memory, wanted, size);
    if (grown == NULL) {
        return -1;
    }
    *memory = grown;
    *capacity = wanted;
    return 0;
}

static int add(struct remote_listing *listing, const struct storer_message *message,
               struct error *error)
{
    /* two rows for each message, LIST's and UIDL's */
    if (listing->count == (size_t)LISTING_MESSAGES_MOST * 2) {
        return error_set(error, ERROR_LIMIT, 0, "the server lists over %d messages",
                         LISTING_MESSAGES_MOST);
    }
    void *memory = listing->messages;
    if (grow(&memory, &listing->capacity, listing->count + 1, sizeof *message) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for the server's listing");
    }
    listing->messages = memory;
    listing->messages[listing->count++] = *message;
    return 0;
}

int remote_listing_add_octets(struct remote_listing *listing, uint32_t number, uint64_t octets,
                              struct error *error)
{
    struct storer_message message = {.number = number, .octets = octets};
    if (octets == STORER_OCTETS_UNKNOWN) {
        message.octets--;
    }
    return add(listing, &message, error);
}

int remote_listing_add_id(struct remote_listing *listing, uint32_t number, struct bytes unique_id,
                          struct error *error)
{
    if (unique_id.size > LISTING_ID_OCTETS_MOST - listing->ids_size) {
        return error_set(error, ERROR_LIMIT, 0, "the server's unique ids are over %d octets",
                         LISTING_ID_OCTETS_MOST);
    }
    void *memory = listing->ids;
    if (grow(&memory, &listing->ids_capacity, listing->ids_size + unique_id.size + 1, 1) < 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for the server's unique ids");
    }
    listing->ids = memory;
    struct storer_message message = {
        .number = number, .octets = STORER_OCTETS_UNKNOWN, .unique_id.size = unique_id.size};
    message.first_seen_s = (int64_t)listing->ids_size; /* its offset, until the end */
    if (add(listing, &message, error) < 0) {
        return -1;
    }
    if (unique_id.size != 0) {
        memcpy(listing->ids + listing->ids_size, unique_id.data, unique_id.size);
    }
    listing->ids_size += unique_id.size;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct storer_message *left = a, *right = b;
    if (left->number != right->number) {
        return left->number < right->number ? -1 : 1;
    }
    /* LIST's row is the first; among equals, the order of memory does not matter */
    bool left_listed = left->octets != STORER_OCTETS_UNKNOWN;
    bool right_listed = right->octets != STORER_OCTETS_UNKNOWN;
    if (left_listed != right_listed) {
        return left_listed ? -1 : 1;
    }
    return left->first_seen_s < right->first_seen_s ? -1 : left->first_seen_s > right->first_seen_s;
}

/* What row says, added to what is known of the same message. */
static void join(struct remote_listing *listing, struct storer_message *message,
                 const struct storer_message *row)
{
    bool row_has_octets = row->octets != STORER_OCTETS_UNKNOWN;
    if (row_has_octets || message->unique_id.size != 0 || row->unique_id.size == 0) {
        listing->repeated++;
        return;
    }
    message->unique_id = row->unique_id;
}

void remote_listing_finish(struct remote_listing *listing)
{
    if (listing->count == 0) {
        return;
    }
    qsort(listing->messages, listing->count, sizeof *listing->messages, compare);
    size_t kept = 0;
    for (size_t i = 0; i < listing->count; i++) {
        struct storer_message *row = &listing->messages[i];
        row->unique_id.data = row->unique_id.size == 0 ? NULL : listing->ids + row->first_seen_s;
        row->first_seen_s = 0;
        if (kept != 0 && listing->messages[kept - 1].number == row->number) {
            join(listing, &listing->messages[kept - 1], row);
        } else {
            listing->messages[kept++] = *row;
        }
    }
    listing->count = kept;
    for (size_t i = 0; i < kept; i++) {
        listing->unlisted += listing->messages[i].octets == STORER_OCTETS_UNKNOWN;
        listing->without_id += listing->messages[i].unique_id.size == 0;
    }
}

size_t remote_listing_find(const struct remote_listing *listing, uint32_t number)
{
    size_t low = 0, high = listing->count;
    if (number != 0 && number <= high && listing->messages[number - 1].number == number) {
        return number - 1; /* all but odd servers */
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (listing->messages[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < listing->count && listing->messages[low].number == number ? low : listing->count;
}

void remote_listing_clear(struct remote_listing *listing)
{
    free(listing->messages);
    free(listing->ids);
    *listing = (struct remote_listing){0};
}
