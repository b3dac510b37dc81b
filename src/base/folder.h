/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_FOLDER_H
#define RESTANTE_BASE_FOLDER_H

#include <stddef.h>

#include "base/attributes.h"
#include "base/error.h"

/* Makes the folder `path` and what is missing on the way to it, each 0700. The text names the one that could not be made.
 * Durable only when whoever needs that has synced them. */
int folder_make(const char *path, struct error *error) MUST_CHECK;

/* The same for the folder that the file `path` lies in. */
int folder_make_for(const char *path, struct error *error) MUST_CHECK;

/* Calls `visit` with the path of each folder on the way to `path`, from the one that its first `from` octets name (0: the
 * first component; the root is none), to `path` itself. Ends with the first result below 0, which it returns, else 0;
 * -ENOMEM. */
int folder_walk(const char *path, size_t from, int (*visit)(void *owner, const char *path),
                void *owner) MUST_CHECK;

#endif
