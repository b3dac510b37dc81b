/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_HTTP_FORM_H
#define RESTANTE_HTTP_FORM_H

#include "base/buffer.h"

/* Appends `octets` with everything but the unreserved characters of RFC 3986 as %HH: for a query, or for
 * application/x-www-form-urlencoded. */
void http_append_encoded(struct buffer *out, struct bytes octets);

/* Appends NAME=VALUE, encoded, with a & before it unless `out` is empty or ends in ?. */
void http_append_pair(struct buffer *out, const char *name, struct bytes value);

/* Finds the first NAME=VALUE of a query or a form and decodes its value into `out`, NUL-terminated. False: it is not
 * there, does not fit, or has a NUL or a code that is none. */
bool http_find_pair(struct bytes text, const char *name, char *out, size_t capacity);

#endif
