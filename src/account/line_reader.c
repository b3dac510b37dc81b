/* SPDX-License-Identifier: MIT */
#include "account/line_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int line_reader_init(struct line_reader *reader, int descriptor, struct error *error)
{
    *reader = (struct line_reader){.descriptor = descriptor};
    reader->buffer = malloc(LINE_READER_OCTETS);
    if (reader->buffer == NULL) {
        return error_set(error, ERROR_TEMPORARY, ENOMEM, "no memory to read a file");
    }
    return crypto_generichash_init(&reader->digest, NULL, 0, crypto_generichash_BYTES);
}

/* Moves what is left to the front and reads behind it. */
static int fill(struct line_reader *reader, struct error *error)
{
    size_t left = reader->end - reader->start;
    memmove(reader->buffer, reader->buffer + reader->start, left);
    reader->start = 0;
    reader->end = left;
    ssize_t got;
    do {
        got = pread(reader->descriptor, reader->buffer + left, LINE_READER_OCTETS - left,
                    (off_t)(reader->offset + left));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return error_from_errno(error, errno, "cannot read");
    }
    (void)crypto_generichash_update(&reader->digest, reader->buffer + left,
                                    (size_t)got); /* always 0 */
    reader->end += (size_t)got;
    reader->is_at_end = got == 0;
    return 0;
}

int line_reader_next(struct line_reader *reader, struct line *line_out, struct error *error)
{
    struct bytes rest;
    size_t searched = 0;
    size_t size;
    for (;;) {
        rest = (struct bytes){reader->buffer + reader->start, reader->end - reader->start};
        size = searched + bytes_find(bytes_from(rest, searched), '\n');
        if (size < rest.size || reader->is_at_end || rest.size == LINE_READER_OCTETS) {
            break;
        }
        searched = rest.size;
        if (fill(reader, error) < 0) {
            return -1;
        }
    }
    if (rest.size == 0) {
        return 0;
    }
    bool is_ended = size < rest.size || reader->is_at_end;
    size_t octets = size < rest.size ? size + 1 : size;
    if (size < rest.size && size > 0 && rest.data[size - 1] == '\r') {
        size--;
    }
    reader->number += reader->is_inside ? 0 : 1;
    *line_out = (struct line){.text = {rest.data, size},
                              .offset = reader->offset,
                              .octets = (uint32_t)octets,
                              .number = reader->number,
                              .is_piece = reader->is_inside || !is_ended};
    reader->is_inside = !is_ended;
    reader->start += octets;
    reader->offset += octets;
    return 1;
}

void line_reader_finish(struct line_reader *reader)
{
    if (reader->buffer != NULL) {
        sodium_memzero(reader->buffer, LINE_READER_OCTETS);
        free(reader->buffer);
        reader->buffer = NULL;
    }
    sodium_memzero(&reader->digest, sizeof reader->digest);
}
