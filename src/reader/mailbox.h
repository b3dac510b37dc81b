/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_MAILBOX_H
#define RESTANTE_READER_MAILBOX_H

#include "base/error.h"
#include "reader/source.h"

/* A folder of mail on this machine, Maildir or mbox, as a list in the order of arrival. Messages are numbered
 * from 1; a number stays while nothing is added before it or removed. */

enum mailbox_type { MAILBOX_MAILDIR, MAILBOX_MBOX };

struct mailbox;

int mailbox_open(enum mailbox_type type, const char *path, struct mailbox **mailbox_out,
                 struct error *error) MUST_CHECK;

struct mailbox *mailbox_close(struct mailbox *mailbox);

uint64_t mailbox_count(const struct mailbox *mailbox);

bool mailbox_is_unread(const struct mailbox *mailbox, uint64_t number);

/* The name of the message's file below the folder; NULL in an mbox. Borrowed. */
const char *mailbox_file(const struct mailbox *mailbox, uint64_t number);

/* How many octets the message has in the file; for a list, so that it need not be copied. */
int mailbox_head(struct mailbox *mailbox, uint64_t number, void *buffer, size_t capacity,
                 size_t *got_out, uint64_t *size_out, struct error *error) MUST_CHECK;

/* Opens the message; an mbox's is copied to a file without a name, in the form that it came in. */
int mailbox_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                    struct error *error) MUST_CHECK;

/* Marks it as read, as mail clients do (Maildir: cur/ and S). Nothing to do in an mbox, whose messages could
 * be marked only by writing all of it again. */
int mailbox_mark_read(struct mailbox *mailbox, uint64_t number, struct error *error) MUST_CHECK;

#endif
