/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_MAILBOX_TYPES_H
#define RESTANTE_READER_MAILBOX_TYPES_H

/* Within the room: what mailbox.c, maildir.c and mbox.c share. */
#include <glib.h>

#include "reader/mailbox.h"

struct mailbox_message {
    char *file;        /* Maildir: "new/NAME" or "cur/NAME" */
    uint64_t at, size; /* mbox: without the From_ line */
    bool is_unread;
};

struct mailbox {
    enum mailbox_type type;
    int descriptor;   /* the Maildir, or the mbox file */
    GArray *messages; /* of struct mailbox_message */
};

static inline struct mailbox_message *mailbox_entry(const struct mailbox *mailbox, uint64_t number)
{
    return &g_array_index(mailbox->messages, struct mailbox_message, number - 1);
}

int maildir_list(struct mailbox *mailbox, const char *path, struct error *error) MUST_CHECK;
int maildir_open_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                         struct error *error) MUST_CHECK;
int maildir_mark_read(struct mailbox *mailbox, uint64_t number, struct error *error) MUST_CHECK;

int mbox_list(struct mailbox *mailbox, const char *path, struct error *error) MUST_CHECK;
int mbox_copy_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                      struct error *error) MUST_CHECK;

#endif
