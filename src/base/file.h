/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_FILE_H
#define RESTANTE_BASE_FILE_H

#include "base/attributes.h"
#include "base/bytes.h"

/* All octets of a file, or of a pipe, malloc'ed: the caller's. 0 or a negated errno: -EFBIG if there are `most`
 * or more. Blocks. */
int file_read(const char *path, size_t most, struct bytes *out) MUST_CHECK;

#endif
