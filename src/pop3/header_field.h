/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_POP3_HEADER_FIELD_H
#define RESTANTE_POP3_HEADER_FIELD_H

#include "base/bytes.h"

/* Header fields as RFC 5322 and RFC 2045 write them: as far as surrogates need it. A field is all its lines, as
 * stored, the name in front. */

/* Behind what begins at `at`: a quoted string, a comment, or one octet. */
size_t header_skip(struct bytes text, size_t at);

/* Where the first of `delimiters` stands from `at` on, outside of quoted strings and comments; text.size if
 * nowhere. What is not closed goes on to the end. With `addresses`, nor within angle brackets or a domain in
 * brackets. */
size_t header_find(struct bytes text, size_t at, const char *delimiters, bool addresses);

/* The name, and what stands behind the colon; both empty if it is no field. */
struct bytes header_name(struct bytes field);
struct bytes header_value(struct bytes field);

bool header_is_ascii(struct bytes octets);
bool header_is_blank(uint8_t octet); /* space, tab, or of a line end */

/* Without blank octets at its ends. */
struct bytes header_trim(struct bytes text);
struct bytes header_trim_end(struct bytes text);

enum { CONTENT_BOUNDARY_OCTETS = 128 };

enum content_kind {
    CONTENT_OTHER,
    CONTENT_MULTIPART,
    CONTENT_DIGEST, /* multipart/digest: its parts are messages where they do not say else */
    CONTENT_MESSAGE /* message/rfc822, message/global */
};

struct content {
    enum content_kind kind;
    size_t boundary_size; /* 0: there is none that could be used */
    uint8_t boundary[CONTENT_BOUNDARY_OCTETS];
};

/* What the value of a Content-Type says to who is shown no parameter that is not ASCII. False: nothing, for the
 * type itself is not. */
bool header_content(struct bytes value, struct content *content_out);

#endif
