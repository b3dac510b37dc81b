/* SPDX-License-Identifier: MIT */
#include "fetch/put_off.h"

#include <stdlib.h>

static int compare(const void *left, const void *right)
{
    const struct bytes *a = left, *b = right;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->data, b->data, size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

void put_off_add(struct put_off *put_off, struct bytes unique_id)
{
    uint8_t *copy = unique_id.size == 0 ? NULL : malloc(unique_id.size);
    if (copy != NULL && put_off->count == put_off->capacity) {
        size_t capacity = put_off->capacity == 0 ? 64 : put_off->capacity * 2;
        struct bytes *ids = reallocarray(put_off->ids, capacity, sizeof *ids);
        if (ids == NULL) {
            free(copy);
            copy = NULL;
        } else {
            put_off->ids = ids;
            put_off->capacity = capacity;
        }
    }
    if (copy == NULL) {
        put_off->has_unknown = true;
        return;
    }
    memcpy(copy, unique_id.data, unique_id.size);
    put_off->ids[put_off->count++] = (struct bytes){copy, unique_id.size};
    put_off->is_sorted = false;
}

bool put_off_has(struct put_off *put_off, struct bytes unique_id)
{
    if (put_off->count == 0 || unique_id.size == 0) {
        return false;
    }
    if (!put_off->is_sorted) {
        qsort(put_off->ids, put_off->count, sizeof *put_off->ids, compare);
        put_off->is_sorted = true;
    }
    return bsearch(&unique_id, put_off->ids, put_off->count, sizeof *put_off->ids, compare) != NULL;
}

void put_off_clear(struct put_off *put_off)
{
    for (size_t i = 0; i < put_off->count; i++) {
        free((void *)(uintptr_t)put_off->ids[i].data);
    }
    free(put_off->ids);
    *put_off = (struct put_off){0};
}
