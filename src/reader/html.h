/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_HTML_H
#define RESTANTE_READER_HTML_H

#include <glib.h>

#include "base/bytes.h"

/* Appends what an HTML document (UTF-8) says, as text: paragraphs, list items, link targets and images' texts
 * stay, everything else goes. One pass, bounded by the size of the input; nothing is ever loaded. What comes
 * out has not been made harmless for a terminal yet. */
void html_append_text(GString *out, struct bytes html);

/* The charset that a <meta> of the document names, or NULL. g_free. */
char *html_charset(struct bytes html);

#endif
