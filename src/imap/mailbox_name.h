/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_IMAP_MAILBOX_NAME_H
#define RESTANTE_IMAP_MAILBOX_NAME_H

#include "base/attributes.h"
#include "base/bytes.h"

/* Mailbox names in modified UTF-7 (RFC 3501 section 5.1.3), which every server understands from who has not asked
 * for UTF8=ACCEPT. `name`: UTF-8. NUL-terminated. -1: it is empty, no UTF-8, has control characters, or is
 * longer than fits. */
int imap_mailbox_name_encode(const char *name, char *out, size_t capacity) MUST_CHECK;

#endif
