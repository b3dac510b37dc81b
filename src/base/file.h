/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_FILE_H
#define RESTANTE_BASE_FILE_H

#include "base/attributes.h"
#include "base/bytes.h"

/* All octets of a file, or of a pipe, malloc'ed: the caller's. 0 or a negated errno: -EFBIG if there are `most`
 * or more. Blocks. */
int file_read(const char *path, size_t most, struct bytes *out) MUST_CHECK;

/* Replaces a file, or makes it, so that whoever reads finds the old octets or the new ones, all of them, also after a
 * loss of power. One caller at a time for a path: PATH.new is written first. 0 or a negated errno. Blocks. */
int file_replace(const char *path, struct bytes octets, unsigned mode) MUST_CHECK;

#endif
