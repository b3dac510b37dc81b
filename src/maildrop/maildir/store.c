/* SPDX-License-Identifier: MIT */
/* The Maildir store: real Maildirs with LF line ends, as MTAs write them and mail readers read them. */
#include <stdlib.h>

#include "maildrop/maildir/maildir.h"

static void store_free(struct maildrop_store *base)
{
    struct maildir_store *store = (struct maildir_store *)(void *)base;
    free(store->pattern);
    free(store);
}

static void identity(const struct maildrop *maildrop, uint64_t *device_out, uint64_t *inode_out)
{
    const struct maildir_maildrop *opened = (const struct maildir_maildrop *)(const void *)maildrop;
    bool locked = opened->folders.cur >= 0;
    *device_out = locked ? opened->folders.cur_stat.device : 0;
    *inode_out = locked ? opened->folders.cur_stat.inode : 0;
}

static bool has_marks(const struct maildir_maildrop *opened, const uint8_t *marks)
{
    uint32_t count = opened->snapshot.header.count;
    for (uint32_t i = 0; marks != NULL && i < (count + 7) / 8; i++) {
        if (marks[i] != 0) {
            return true;
        }
    }
    return false;
}

static int perform_last(struct maildir_maildrop *opened, const struct fs *fs,
                        struct maildrop_operation *operation)
{
    bool removes =
        operation->kind == MAILDROP_COMMIT && has_marks(opened, operation->request.commit.marks);
    if (!removes && opened->note_count == 0) {
        return 0;
    }
    if (fs->cached_only) {
        return MAILDIR_WOULD_BLOCK;
    }
    if (removes) {
        return maildir_commit(opened, operation);
    }
    maildir_write_index(opened, NULL, NULL);
    return 0;
}

static void rest(struct maildrop *maildrop)
{
    struct maildir_maildrop *opened = maildir_of(maildrop);
    fs_close_now(opened->fs, &maildir_store_of(opened)->closing);
}

static bool perform(struct maildrop *maildrop, struct maildrop_operation *operation, bool may_block)
{
    struct maildir_maildrop *opened = maildir_of(maildrop);
    const struct fs cached = fs_cached(opened->fs);
    const struct fs *fs = may_block ? opened->fs : &cached;
    int result = 0;
    switch (operation->kind) {
    case MAILDROP_ROWS:
        result = maildir_rows(opened, fs, operation);
        break;
    case MAILDROP_READ:
        result = maildir_read(opened, fs, operation);
        break;
    case MAILDROP_CHECK:
        result = maildir_check(opened, fs, operation);
        break;
    case MAILDROP_COMMIT:
    case MAILDROP_RELEASE:
        result = perform_last(opened, fs, operation);
        break;
    case MAILDROP_OPEN:
        break;
    }
    if (result == MAILDIR_WOULD_BLOCK) {
        rest(maildrop); /* a disk may take its time */
    }
    return result != MAILDIR_WOULD_BLOCK;
}

static int descriptor(const struct maildrop *maildrop, uint64_t *octets_out)
{
    const struct maildir_maildrop *opened = (const struct maildir_maildrop *)(const void *)maildrop;
    *octets_out = opened->message.size;
    return opened->message.descriptor;
}

static bool sent(struct maildrop *maildrop, uint64_t octets)
{
    return maildir_sent(maildir_of(maildrop), octets);
}

static void read_close(struct maildrop *maildrop)
{
    maildir_read_close(maildir_of(maildrop));
}

static void read_done(struct maildrop *maildrop)
{
    struct maildir_maildrop *opened = maildir_of(maildrop);
    fs_close_later(opened->fs, &maildir_store_of(opened)->closing, &opened->message.descriptor);
}

static void unlock(struct maildrop *maildrop)
{
    folders_unlock(&maildir_of(maildrop)->folders, maildir_of(maildrop)->fs);
}

static const struct maildrop_type maildir_type = {
    .store_free = store_free,
    .open = maildir_open,
    .cancel_open = maildir_cancel_open,
    .identity = identity,
    .perform = perform,
    .descriptor = descriptor,
    .sent = sent,
    .read_close = read_close,
    .read_done = read_done,
    .rest = rest,
    .unlock = unlock,
    .free = maildir_free,
    .deliver_begin = maildir_deliver_begin,
    .deliver_append = maildir_deliver_append,
    .deliver_finish = maildir_deliver_finish,
    .deliver_abort = maildir_deliver_abort,
};

int maildir_create(const struct fs *fs, const struct maildrop_options *options,
                   struct maildrop_executor *executor, struct maildrop_store **store_out,
                   struct error *error)
{
    if (maildrop_path_check(options->path, error) < 0) {
        return -1;
    }
    struct maildir_store *store = calloc(1, sizeof *store);
    char *pattern = strdup(options->path);
    if (store == NULL || pattern == NULL) {
        free(store);
        free(pattern);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    store->store = (struct maildrop_store){.type = &maildir_type, .executor = executor};
    store->fs = fs;
    store->pattern = pattern;
    *store_out = &store->store;
    return 0;
}

int maildrop_maildir_create(const struct maildrop_options *options,
                            struct maildrop_executor *executor, struct maildrop_store **store_out,
                            struct error *error)
{
    return maildir_create(&fs_real, options, executor, store_out, error);
}
