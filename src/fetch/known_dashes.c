/* SPDX-License-Identifier: MIT */
#include "fetch/known_dashes.h"

#include <stdlib.h>
#include <string.h>

struct found {
    size_t count;
    int64_t id;
    bool is_taken_over; /* it was never fetched by this program */
};

static int note_row(void *owner, const struct state_row *row)
{
    struct found *found = owner;
    found->count++;
    found->id = row->id;
    found->is_taken_over = !row->has_digest && row->deleted == 0 &&
                           (row->status == STATE_STORED || row->status == STATE_SEEN);
    return 0;
}

static int by_octets(const void *a, const void *b)
{
    const struct bytes *one = a;
    const struct bytes *other = b;
    size_t least = one->size < other->size ? one->size : other->size;
    int order = least == 0 ? 0 : memcmp(one->data, other->data, least);
    return order != 0 ? order : one->size < other->size ? -1 : one->size > other->size;
}

/* `listed` is sorted. A dashed id that another message has is that message's. */
static int resolve(struct state *state, struct bytes id, const struct bytes *listed, size_t count,
                   struct error *error)
{
    struct found exact = {0}, dashed = {0};
    if (state_each_of_id(state, id, note_row, &exact, error) < 0) {
        return -1;
    }
    AUTO_FREE uint8_t *octets = malloc(id.size + 1);
    if (octets == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    for (size_t i = 0; i < id.size; i++) {
        octets[i] = id.data[i] == '/' ? '-' : id.data[i];
    }
    struct bytes alias = {octets, id.size};
    if (exact.count != 0 || bsearch(&alias, listed, count, sizeof *listed, by_octets) != NULL) {
        return 0;
    }
    if (state_each_of_id(state, alias, note_row, &dashed, error) < 0) {
        return -1;
    }
    return dashed.count == 1 && dashed.is_taken_over ? state_rename(state, dashed.id, id, error)
                                                     : 0;
}

int known_dashes_resolve(struct state *state, const struct storer_message *messages, size_t count,
                         struct error *error)
{
    char value[8];
    if (state_fact(state, STATE_FACT_DASHED, value, sizeof value, error) < 0) {
        return -1;
    }
    if (value[0] == '\0') {
        return 0;
    }
    AUTO_FREE struct bytes *listed = calloc(count + 1, sizeof *listed);
    if (listed == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        listed[i] = messages[i].unique_id;
    }
    qsort(listed, count, sizeof *listed, by_octets);
    for (size_t i = 0; i < count; i++) {
        struct bytes id = messages[i].unique_id;
        if (bytes_find(id, '/') < id.size && resolve(state, id, listed, count, error) < 0) {
            return -1;
        }
    }
    return state_set_fact(state, STATE_FACT_DASHED, "", error);
}
