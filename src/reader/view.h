/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_VIEW_H
#define RESTANTE_READER_VIEW_H

#include <glib.h>

#include "reader/outline.h"

/* What a person sees of a message. All of it is harmless for a terminal (reader/text.h). */

/* One line of a list. */
struct summary {
    char *from, *subject; /* never NULL */
    bool has_date;
    int64_t date; /* seconds since the epoch */
};

void summary_read(struct summary *summary, struct bytes header);
void summary_finish(struct summary *summary);

/* Appends the message: the headers that matter, its text, a line for each attachment, and a line for each
 * thing that was left out because it is too much. */
int view_append(GString *out, const struct source *source, const struct outline *outline,
                struct error *error) MUST_CHECK;

/* Does --save take it? Attachments, named texts, and forwarded messages that are attached. */
bool view_is_saved(const struct outline *outline, unsigned index);

/* An extension for a part without a name: ".txt"; "" if its type says none. */
const char *view_extension(const struct part *part);

#endif
