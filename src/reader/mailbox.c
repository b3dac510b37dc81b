/* SPDX-License-Identifier: MIT */
/* Mail on this machine, whatever form it is kept in. */
#include "reader/mailbox.h"

#include "base/fs.h"
#include "reader/mailbox_types.h"

int mailbox_open(enum mailbox_type type, const char *path, struct mailbox **mailbox_out,
                 struct error *error)
{
    struct mailbox *mailbox = g_new0(struct mailbox, 1);
    mailbox->type = type;
    mailbox->descriptor = -1;
    mailbox->messages = g_array_new(FALSE, FALSE, sizeof(struct mailbox_message));
    int result = type == MAILBOX_MAILDIR ? maildir_list(mailbox, path, error)
                                         : mbox_list(mailbox, path, error);
    if (result < 0) {
        (void)mailbox_close(mailbox);
        return -1;
    }
    *mailbox_out = mailbox;
    return 0;
}

struct mailbox *mailbox_close(struct mailbox *mailbox)
{
    if (mailbox == NULL) {
        return NULL;
    }
    for (uint64_t number = 1; number <= mailbox_count(mailbox); number++) {
        g_free(mailbox_entry(mailbox, number)->file);
    }
    (void)g_array_free(mailbox->messages, TRUE);
    fs_close(&fs_real, &mailbox->descriptor);
    g_free(mailbox);
    return NULL;
}

uint64_t mailbox_count(const struct mailbox *mailbox)
{
    return mailbox->messages->len;
}

bool mailbox_is_unread(const struct mailbox *mailbox, uint64_t number)
{
    return mailbox_entry(mailbox, number)->is_unread;
}

const char *mailbox_file(const struct mailbox *mailbox, uint64_t number)
{
    return mailbox_entry(mailbox, number)->file;
}

int mailbox_head(struct mailbox *mailbox, uint64_t number, void *buffer, size_t capacity,
                 size_t *got_out, uint64_t *size_out, struct error *error)
{
    struct source source = {.descriptor = mailbox->descriptor};
    uint64_t at = 0;
    if (mailbox->type == MAILBOX_MBOX) {
        at = mailbox_entry(mailbox, number)->at;
        source.size = at + mailbox_entry(mailbox, number)->size;
    } else if (maildir_open_message(mailbox, number, &source, error) < 0) {
        return -1;
    }
    ssize_t got = source_read(&source, at, buffer, capacity, error);
    if (mailbox->type == MAILBOX_MAILDIR) {
        source_close(&source);
    }
    *got_out = got < 0 ? 0 : (size_t)got;
    *size_out = source.size - at;
    return got < 0 ? -1 : 0;
}

int mailbox_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                    struct error *error)
{
    if (mailbox->type == MAILBOX_MBOX) {
        return mbox_copy_message(mailbox, number, source_out, error);
    }
    return maildir_open_message(mailbox, number, source_out, error);
}

int mailbox_mark_read(struct mailbox *mailbox, uint64_t number, struct error *error)
{
    if (mailbox->type == MAILBOX_MBOX || !mailbox_is_unread(mailbox, number)) {
        return 0;
    }
    return maildir_mark_read(mailbox, number, error);
}
