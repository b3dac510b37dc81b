/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_BASE64_H
#define RESTANTE_BASE_BASE64_H

#include "base/buffer.h"

/* Base64 as SASL messages have it (RFC 5034 section 4, RFC 4954 section 4): the alphabet of RFC 4648 section 4,
 * padded, and nothing else. */

/* Decodes where it stands. 0, or -1 where it is no base64. */
int base64_decode(uint8_t *data, size_t size, size_t *size_out) MUST_CHECK;

/* Octets that the code of `size` octets takes. */
static inline size_t base64_encoded_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

void base64_encode(struct buffer *out, struct bytes octets);

#endif
