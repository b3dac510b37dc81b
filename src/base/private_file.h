/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_PRIVATE_FILE_H
#define RESTANTE_BASE_PRIVATE_FILE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/error.h"

enum { PRIVATE_FILE_ANYWHERE = -1 };

/* Up to `capacity` octets of a file that holds a secret into `memory`, which the caller wipes; how many. `folder`: a
 * descriptor of the folder that `path` lies in: then a symbolic link is not followed; PRIVATE_FILE_ANYWHERE: where `path`
 * leads. ERROR_CONFIGURATION: it is missing (its number is ENOENT), is no regular file, belongs to somebody else than us
 * and root, or may be read by others; the text names it, and the remedy. */
ssize_t private_file_read(int folder, const char *path, uint8_t *memory, size_t capacity,
                          struct error *error) MUST_CHECK;

#endif
