/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_SERVER_PREFLIGHT_H
#define RESTANTE_SERVER_PREFLIGHT_H

#include "server/configuration.h"

/* Reads a configuration and looks at what it names on this machine, changing nothing: the accounts file, the
 * users, the folders. All that is wrong is in `notes`, with file, line and remedy. 0 if nothing is; then
 * *text_out (NULL: not wanted) is the file's content, malloc'ed, the caller's. */
int preflight_load(const char *path, struct configuration *out, struct configuration_notes *notes,
                   struct bytes *text_out) MUST_CHECK;

#endif
