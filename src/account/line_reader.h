/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_ACCOUNT_LINE_READER_H
#define RESTANTE_ACCOUNT_LINE_READER_H

/* Lines of a file, one after the other, in memory that is wiped afterwards. */

#include <sodium.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

enum { LINE_READER_OCTETS = 64 * 1024 }; /* a longer line comes in pieces */

struct line {
    struct bytes text; /* without LF or CR LF; borrowed until the next call */
    uint64_t offset;   /* of its first octet in the file */
    uint32_t octets;   /* with its line end */
    uint32_t number;   /* from 1 */
    bool is_piece;     /* of a line that is too long: all of its pieces have its number */
};

struct line_reader {
    int descriptor; /* borrowed */
    uint8_t *buffer;
    size_t start, end;
    uint64_t offset; /* of buffer[start] */
    uint32_t number;
    bool is_at_end;
    bool is_inside;                  /* of a line that is too long */
    crypto_generichash_state digest; /* of all that was read */
};

int line_reader_init(struct line_reader *reader, int descriptor, struct error *error) MUST_CHECK;
/* 1 and a line, 0 at the end, or -1. */
int line_reader_next(struct line_reader *reader, struct line *line_out,
                     struct error *error) MUST_CHECK;
/* Wipes and frees the buffer; a reader that failed to init may be finished too. */
void line_reader_finish(struct line_reader *reader);

#endif
