/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_HEADER_H
#define RESTANTE_READER_HEADER_H

#include <glib.h>
#include <stdint.h>

#include "base/bytes.h"

/* Fields of a header, whose octets are as the message has them. What comes out is harmless for a terminal
 * (reader/text.h), save header_raw's. */

/* The value of the first field of that name: unfolded, without blanks at its ends, NUL replaced, at most
 * READER_FIELD_OCTETS. NULL if there is none; g_free. */
char *header_raw(struct bytes header, const char *name);

/* As header_raw, with encoded words decoded (RFC 2047). */
char *header_text(struct bytes header, const char *name);

/* Addresses: "Name <address>, ..."; or, `names_only`, the names of those that have one. */
char *header_addresses(struct bytes header, const char *name, bool names_only);

/* Seconds since the epoch of the Date field; false if it says none. */
bool header_date(struct bytes header, int64_t *seconds_out);

/* How many octets the header at the beginning of `message` has, with the empty line that ends it; all of
 * `message` if there is none. */
size_t header_size(struct bytes message);

/* Is this line, without its end, a header field's first line? */
bool header_is_field(struct bytes line);

#endif
