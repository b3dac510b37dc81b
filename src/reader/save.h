/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_SAVE_H
#define RESTANTE_READER_SAVE_H

#include <glib.h>

#include "reader/outline.h"

/* Saves every attachment in the folder `path`, which exists, as new files that only their owner may read; a
 * file that is there is never written to, and nothing is made outside the folder. `names_out`: a line for
 * each file, harmless for a terminal, also where it ended with an error. */
int save_attachments(const struct source *source, const struct outline *outline, const char *path,
                     GString *names_out, struct error *error) MUST_CHECK;

#endif
