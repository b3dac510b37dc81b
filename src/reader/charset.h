/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_CHARSET_H
#define RESTANTE_READER_CHARSET_H

#include <glib.h>

#include "base/bytes.h"

/* Appends `octets`, which are in `charset` (as mail says it; NULL: it does not), as UTF-8. Octets that the
 * charset does not have become U+FFFD. Where the charset is not known or is US-ASCII: UTF-8 if they are
 * that, else Windows-1252. What is said to be UTF-8 is appended as it is, valid or not. */
void charset_append(GString *out, struct bytes octets, const char *charset);

#endif
