/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_CONTENT_H
#define RESTANTE_READER_CONTENT_H

#include <glib.h>

#include "reader/outline.h"

/* What is in a part, with its transfer encoding undone. */

/* Takes octets as they come; -1 with an error ends it. */
typedef int content_sink(void *context, struct bytes octets, struct error *error);

/* Gives the octets of a part, piece by piece, to `sink`. Of the part as it is in the message, at most `most`
 * octets are read. */
int content_decode(const struct source *source, const struct part *part, uint64_t most,
                   content_sink *sink, void *context, struct error *error) MUST_CHECK;

/* Appends the text of a text part as UTF-8, HTML as text, without what could harm a terminal; no more than
 * `most` octets of it. `is_cut_out`: there is more. */
int content_text(const struct source *source, const struct part *part, size_t most, GString *out,
                 bool *is_cut_out, struct error *error) MUST_CHECK;

/* About how many octets a part has when decoded. */
uint64_t content_size(const struct part *part);

#endif
