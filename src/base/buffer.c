/* SPDX-License-Identifier: MIT */
#include "base/buffer.h"

#include <assert.h>

#include "base/number.h"

void buffer_append(struct buffer *buffer, struct bytes octets)
{
    if (octets.size > buffer_room(buffer)) {
        buffer->overflow = true;
        return;
    }
    if (octets.size != 0) {
        memcpy(buffer->data + buffer->written, octets.data, octets.size);
        buffer->written += octets.size;
    }
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, bytes_of(text));
}

void buffer_append_octet(struct buffer *buffer, uint8_t octet)
{
    buffer_append(buffer, (struct bytes){.data = &octet, .size = 1});
}

void buffer_append_number(struct buffer *buffer, uint64_t value)
{
    uint8_t digits[20];
    size_t size = number_format(value, digits);
    buffer_append(buffer, (struct bytes){.data = digits, .size = size});
}

void buffer_consume(struct buffer *buffer, size_t size)
{
    assert(size <= buffer->written - buffer->read);
    buffer->read += size;
    if (buffer->read == buffer->written) {
        buffer->read = 0;
        buffer->written = 0;
    }
}
