/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_BUFFER_H
#define RESTANTE_BASE_BUFFER_H

#include "base/attributes.h"
#include "base/bytes.h"

/* Octets of fixed capacity with a read and a write cursor; the memory is the caller's. An append that
 * does not fit appends nothing and sets `overflow`, which stays: check it once, at the end. */
struct buffer {
    uint8_t *data;
    size_t capacity;
    size_t read;    /* octets before it have been taken */
    size_t written; /* octets before it are filled */
    bool overflow;
};

static inline void buffer_init(struct buffer *buffer, void *memory, size_t capacity)
{
    *buffer = (struct buffer){.data = memory, .capacity = capacity};
}

/* What was appended and not yet taken; valid until the next append or consume. */
static inline struct bytes buffer_pending(const struct buffer *buffer)
{
    return (struct bytes){.data = buffer->data + buffer->read,
                          .size = buffer->written - buffer->read};
}

static inline size_t buffer_room(const struct buffer *buffer)
{
    return buffer->capacity - buffer->written;
}

void buffer_append(struct buffer *buffer, struct bytes octets);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_octet(struct buffer *buffer, uint8_t octet);
void buffer_append_number(struct buffer *buffer, uint64_t value);

/* Takes `size` octets from the front; an empty buffer starts anew at its beginning. */
void buffer_consume(struct buffer *buffer, size_t size);

#endif
