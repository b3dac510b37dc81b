/* SPDX-License-Identifier: MIT */
/* Delivery: a file in tmp/, fsynced, renamed into new/, new/ fsynced, and every folder that may have
 * been made so lately that it is not durable yet. Whatever fails before that takes the file away again. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/folder.h"
#include "maildrop/maildir/keep.h"
#include "maildrop/maildir/maildir.h"
#include "maildrop/maildir/message_file.h"

/* A folder that is older is on the disk: the kernel writes metadata within a minute. */
#define YOUNG_NS (INT64_C(24) * 3600 * 1000000000)

struct maildir_delivery {
    struct maildrop_delivery delivery;
    const struct fs *fs;
    struct maildrop_path place;
    int root, tmp, new_folder;
    struct error failure; /* sticky */
    struct message_file file;
};

static struct maildir_delivery *delivery_of(struct maildrop_delivery *delivery)
{
    return (struct maildir_delivery *)(void *)delivery;
}

static int fail(struct maildir_delivery *delivery, int number, const char *what,
                struct error *error)
{
    if (number == EACCES || number == EPERM) {
        (void)error_set(&delivery->failure, ERROR_TEMPORARY, number, "%s: %s", delivery->place.path,
                        what);
    } else {
        (void)error_from_errno(&delivery->failure, number, "%s: %s", delivery->place.path, what);
    }
    *error = delivery->failure;
    return -1;
}

static int make_folder(void *owner, const char *path)
{
    struct maildir_delivery *delivery = owner;
    int flags = O_PATH;
    struct fs_name name = {AT_FDCWD, path};
    bool fixed = strlen(path) <= delivery->place.fixed;
    int descriptor = fixed ? fs_open(delivery->fs, name, flags | O_DIRECTORY, 0)
                           : message_file_folder(delivery->fs, name, flags);
    if (descriptor < 0) {
        return descriptor;
    }
    fs_close(delivery->fs, &delivery->root);
    delivery->root = descriptor;
    return 0;
}

static int sync_folder(void *owner, const char *path)
{
    const struct maildir_delivery *delivery = owner;
    const struct fs *fs = delivery->fs;
    int descriptor = fs_open(fs, (struct fs_name){AT_FDCWD, path}, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0) {
        /* What we may not read we did not make: its entries are another's. */
        return descriptor == -EACCES ? 0 : descriptor;
    }
    int result = fs->operations->sync(fs, descriptor);
    fs_close(fs, &descriptor);
    return result;
}

static int open_folders(struct maildir_delivery *delivery)
{
    const struct fs *fs = delivery->fs;
    int result = folder_walk(delivery->place.path, delivery->place.fixed, make_folder, delivery);
    if (result < 0) {
        return result;
    }
    int flags = O_RDONLY | O_NOFOLLOW;
    delivery->tmp = message_file_folder(fs, (struct fs_name){delivery->root, "tmp"}, flags);
    int cur = message_file_folder(fs, (struct fs_name){delivery->root, "cur"}, flags);
    delivery->new_folder = message_file_folder(fs, (struct fs_name){delivery->root, "new"}, flags);
    result = delivery->tmp < 0 ? delivery->tmp : cur < 0 ? cur : delivery->new_folder;
    fs_close(fs, &cur);
    return result < 0 ? result : 0;
}

void maildir_deliver_abort(struct maildrop_delivery *base)
{
    struct maildir_delivery *delivery = delivery_of(base);
    const struct fs *fs = delivery->fs;
    if (delivery->file.base[0] != '\0') {
        /* If even this fails, the file stays in tmp/, where it is no mail. */
        (void)fs->operations->unlink(fs, (struct fs_name){delivery->tmp, delivery->file.base});
    }
    fs_close(fs, &delivery->file.descriptor);
    fs_close(fs, &delivery->tmp);
    fs_close(fs, &delivery->new_folder);
    fs_close(fs, &delivery->root);
    free(delivery->place.path);
    free(delivery);
}

int maildir_deliver_begin(struct maildrop_store *base, const struct maildrop_owner *owner,
                          struct maildrop_delivery **delivery_out, struct error *error)
{
    const struct maildir_store *store = (const struct maildir_store *)(const void *)base;
    struct maildir_delivery *delivery = malloc(sizeof *delivery);
    if (delivery == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    memset(delivery, 0, offsetof(struct maildir_delivery, file));
    delivery->delivery.store = base;
    delivery->fs = store->fs;
    delivery->root = delivery->tmp = delivery->new_folder = delivery->file.descriptor = -1;
    delivery->file.base[0] = '\0';
    if (maildrop_path_expand(store->pattern, owner, &delivery->place, error) < 0) {
        free(delivery);
        return -1;
    }
    int result = open_folders(delivery);
    if (result == 0) {
        result = message_file_create(&delivery->file, delivery->fs, delivery->tmp, "");
    }
    if (result < 0) {
        if (result == -ENOENT) {
            (void)error_set(error, ERROR_TEMPORARY, ENOENT,
                            "%s: %.*s is not there; is a disk not mounted?", delivery->place.path,
                            (int)delivery->place.fixed, delivery->place.path);
        } else {
            (void)fail(delivery, -result, "no file can be made in it", error);
        }
        maildir_deliver_abort(&delivery->delivery);
        return -1;
    }
    *delivery_out = &delivery->delivery;
    return 0;
}

int maildir_deliver_append(struct maildrop_delivery *base, struct bytes octets, struct error *error)
{
    struct maildir_delivery *delivery = delivery_of(base);
    if (delivery->failure.kind == ERROR_NONE) {
        int result = message_file_append(&delivery->file, octets);
        if (result < 0) {
            return fail(delivery, -result, "the message cannot be written", error);
        }
    }
    if (delivery->failure.kind != ERROR_NONE) {
        *error = delivery->failure;
        return -1;
    }
    return 0;
}

/* Makes durable that new/ and what it is in are there. */
static int sync_young_folders(struct maildir_delivery *delivery)
{
    struct fs_stat stat;
    int result = fs_stat_descriptor(delivery->fs, delivery->new_folder, &stat);
    if (result < 0) {
        return result;
    }
    int64_t now = delivery->fs->operations->clock(delivery->fs);
    if (stat.born_ns != 0 && stat.born_ns <= now && now - stat.born_ns > YOUNG_NS) {
        return 0;
    }
    return folder_walk(delivery->place.path, delivery->place.fixed, sync_folder, delivery);
}

/* The file whole and durable, and its `name` with the sizes. */
static int finish_file(struct maildir_delivery *delivery, char name[MESSAGE_FILE_NAME_OCTETS])
{
    const struct fs *fs = delivery->fs;
    int result = message_file_finish(&delivery->file, name);
    if (result == 0) {
        result = fs->operations->sync(fs, delivery->file.descriptor);
    }
    return result;
}

/* The name in new/, durably; what is then not durable is taken away again. */
static int publish(struct maildir_delivery *delivery, const char *name)
{
    const struct fs *fs = delivery->fs;
    int result = message_file_publish(fs, (struct fs_name){delivery->tmp, delivery->file.base},
                                      (struct fs_name){delivery->new_folder, name});
    if (result < 0) {
        return result;
    }
    delivery->file.base[0] = '\0';
    result = fs->operations->sync(fs, delivery->new_folder);
    if (result == 0) {
        result = sync_young_folders(delivery);
    }
    if (result < 0) {
        /* Not durable, so not delivered: the sender tries again. */
        (void)fs->operations->unlink(fs, (struct fs_name){delivery->new_folder, name});
    }
    return result;
}

/* For an index that knows it of all messages. What fails here is done by the next login. */
static void examine(const struct maildir_delivery *delivery, struct index_row *row)
{
    struct octets_counted counted;
    AUTO_FREE uint8_t *buffer = malloc(OCTETS_BUFFER);
    struct octets_file file = {.fs = delivery->fs,
                               .descriptor = delivery->file.descriptor,
                               .buffer = buffer,
                               .examine = true};
    if (buffer != NULL && octets_count(&file, &counted) == 0) {
        row->flags |= counted.flags;
        row->surrogate = counted.surrogate;
    }
}

/* Delivers, and adds the message to the index if that is valid. */
static int deliver(struct maildir_delivery *delivery)
{
    char name[MESSAGE_FILE_NAME_OCTETS];
    struct keep_index index;
    int result = finish_file(delivery, name);
    if (result < 0) {
        return result;
    }
    keep_index_begin(&index, delivery->fs, delivery->root, delivery->new_folder);
    result = publish(delivery, name);
    if (result == 0) {
        struct index_row row = {
            .name = bytes_of(name),
            .octets = pop3_octet_count_end(&delivery->file.count),
            .size = delivery->file.written,
            .flags = INDEX_ROW_NEW,
        };
        if (index.examined) {
            examine(delivery, &row);
        }
        keep_index_extend(&index, &row);
    }
    keep_index_finish(&index);
    return result;
}

int maildir_deliver_finish(struct maildrop_delivery *base, struct error *error)
{
    struct maildir_delivery *delivery = delivery_of(base);
    int result = 0;
    if (delivery->failure.kind != ERROR_NONE) {
        *error = delivery->failure;
        result = -1;
    } else {
        int failure = deliver(delivery);
        result =
            failure < 0 ? fail(delivery, -failure, "the message cannot be made durable", error) : 0;
    }
    maildir_deliver_abort(base);
    return result;
}
