/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_TRACE_H
#define RESTANTE_FETCH_TRACE_H

#include "base/buffer.h"

enum { TRACE_OCTETS = 2048 };

/* `Delivered-To:` and `Received:` (RFC 5321 section 4.4) with CR LF, as a retriever puts them before a message.
 * What could break a header's line is left out of names. Empty if it does not fit. */
void trace_write(struct buffer *out, const char *host, const char *user, int64_t now_s);

#endif
