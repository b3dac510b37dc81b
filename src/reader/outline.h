/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_OUTLINE_H
#define RESTANTE_READER_OUTLINE_H

#include <gmime/gmime.h>
#include <stdint.h>

#include "base/error.h"
#include "reader/source.h"

/* The parts of a message, found in one pass over its lines with bounded memory (reader/bounds.h): where each
 * begins and ends. RFC 2045, RFC 2046. */

enum part_kind {
    PART_LEAF,
    PART_MULTIPART,
    PART_MESSAGE /* message/rfc822: the next part is the message in it */
};

struct part {
    enum part_kind kind;
    unsigned parent; /* index; its own for the message itself */
    unsigned depth;
    unsigned number; /* 1 and up, for people; 0 for a multipart */
    uint64_t header_at, body_at, end;
    GMimeContentType *type;
    GMimeContentDisposition *disposition; /* NULL if it has none */
    GMimeContentEncoding encoding;
};

/* What of the message was left out, and why. */
enum outline_cut {
    OUTLINE_CUT_PARTS = 1,
    OUTLINE_CUT_DEPTH = 2,
    OUTLINE_CUT_HEADER = 4,
    OUTLINE_CUT_TIME = 8
};

struct outline {
    GArray *parts; /* of struct part, in the order of the message */
    unsigned cut;
};

/* `seconds`: how long it may take, 0 for as long as it takes. */
int outline_read(const struct source *source, unsigned seconds, struct outline **outline_out,
                 struct error *error) MUST_CHECK;

struct outline *outline_free(struct outline *outline);

static inline struct part *outline_part(const struct outline *outline, unsigned index)
{
    return &g_array_index(outline->parts, struct part, index);
}

/* The part with that number, or NULL. */
struct part *outline_numbered(const struct outline *outline, uint64_t number);

bool part_is(const struct part *part, const char *type, const char *subtype);

/* Is it marked as an attachment? */
bool part_is_attachment(const struct part *part);

/* The file name that it is given, as UTF-8, unchecked; NULL if none. g_free. */
char *part_file_name(const struct part *part);

#endif
