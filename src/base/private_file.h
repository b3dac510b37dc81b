/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_PRIVATE_FILE_H
#define RESTANTE_BASE_PRIVATE_FILE_H

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

/* Up to `capacity` octets of a file that holds a secret into `memory`, which the caller wipes. ERROR_CONFIGURATION: it
 * is missing, is no regular file, belongs to somebody else than us and root, or may be read by others; the text names it,
 * and the remedy. */
int private_file_read(const char *path, uint8_t *memory, size_t capacity, struct bytes *out,
                      struct error *error) MUST_CHECK;

#endif
