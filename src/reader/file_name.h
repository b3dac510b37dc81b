/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_FILE_NAME_H
#define RESTANTE_READER_FILE_NAME_H

#include <glib.h>

/* Appends a name for a file in some folder, made of what a stranger calls it (UTF-8; NULL: nothing): one part
 * of a path, with no slash, no control character and none that a terminal obeys, no dot, dash or blank at its
 * beginning, at most READER_FILE_NAME_OCTETS long, never empty. `number` and `extension` ("" or ".txt") make
 * a name where none is left. */
void file_name_append(GString *out, const char *said, unsigned number, const char *extension);

/* The same name with "-ATTEMPT" before its extension, no longer than that either. */
void file_name_append_attempt(GString *out, const char *name, unsigned attempt);

#endif
