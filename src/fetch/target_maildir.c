/* SPDX-License-Identifier: MIT */
/* Into a Maildir, in batches: files in tmp/, synced together; then renamed into new/, and new/ synced. A name in
 * tmp/ that a power cut takes away is fetched again: nobody was told that it is stored.
 *
 * The names carry a mark of this machine and account, so that what a killed run left in tmp/ is known as ours
 * and removed. The account's lock says that no other run is at it. */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/folder.h"
#include "fetch/target.h"
#include "maildrop/maildir/message_file.h"

/* A folder that is older is on the disk: the kernel writes metadata within a minute. */
#define YOUNG_NS (INT64_C(24) * 3600 * 1000000000)

enum {
    MARK_OCTETS = 10,
    LIST_OCTETS = 32768,
    MANY = 8 /* messages that are worth it to sync what others have written, too */
};

struct waiting {
    int descriptor;
    char base[MESSAGE_FILE_BASE_OCTETS], name[MESSAGE_FILE_NAME_OCTETS];
};

struct names {
    char **list;
    size_t count;
};

struct maildir {
    struct target target;
    const struct fs *fs;
    char *path;
    int tmp, new_folder, cur;
    char mark[MARK_OCTETS];
    struct message_file file;
    struct waiting *batch;
    size_t count, room;
    struct names seen; /* of ours in cur/, sorted; while recovering */
    bool looked;
};

static struct maildir *maildir_of(struct target *target)
{
    return (struct maildir *)(void *)target;
}

static int fail(const struct maildir *maildir, int result, const char *what, struct error *error)
{
    return error_from_errno(error, -result, "%s: %s", maildir->path, what);
}

static int make_folder(void *owner, const char *path)
{
    const struct maildir *maildir = owner;
    int descriptor = message_file_folder(maildir->fs, (struct fs_name){AT_FDCWD, path}, O_PATH);
    int result = descriptor < 0 ? descriptor : 0;
    fs_close(maildir->fs, &descriptor);
    return result;
}

static int sync_folder(void *owner, const char *path)
{
    const struct maildir *maildir = owner;
    const struct fs *fs = maildir->fs;
    int descriptor = fs_open(fs, (struct fs_name){AT_FDCWD, path}, O_RDONLY | O_DIRECTORY, 0);
    if (descriptor < 0) {
        /* What we may not read we did not make. */
        return descriptor == -EACCES ? 0 : descriptor;
    }
    int result = fs->operations->sync(fs, descriptor);
    fs_close(fs, &descriptor);
    /* Nor what cannot be synced, as /proc or a read-only place above. */
    return result == -EINVAL || result == -EROFS ? 0 : result;
}

static int open_folders(struct maildir *maildir)
{
    const struct fs *fs = maildir->fs;
    int result = folder_walk(maildir->path, 0, make_folder, maildir);
    if (result < 0) {
        return result;
    }
    int root = fs_open(fs, (struct fs_name){AT_FDCWD, maildir->path}, O_PATH | O_DIRECTORY, 0);
    if (root < 0) {
        return root;
    }
    struct {
        const char *name;
        int *descriptor;
    } folders[] = {{"tmp", &maildir->tmp}, {"cur", &maildir->cur}, {"new", &maildir->new_folder}};
    for (size_t i = 0; i < 3 && result >= 0; i++) {
        result =
            message_file_folder(fs, (struct fs_name){root, folders[i].name}, O_RDONLY | O_NOFOLLOW);
        *folders[i].descriptor = result < 0 ? -1 : result;
    }
    fs_close(fs, &root);
    return result < 0 ? result : 0;
}

/* Makes durable that the folders are there, unless they have been for long. */
static int sync_young_folders(struct maildir *maildir)
{
    struct fs_stat stat;
    int result = fs_stat_descriptor(maildir->fs, maildir->new_folder, &stat);
    if (result < 0) {
        return result;
    }
    int64_t now = maildir->fs->operations->clock(maildir->fs);
    if (stat.born_ns != 0 && stat.born_ns <= now && now - stat.born_ns > YOUNG_NS) {
        return 0;
    }
    return folder_walk(maildir->path, 0, sync_folder, maildir);
}

static int maildir_begin(struct target *target, const struct target_message *message,
                         struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    (void)message;
    if (maildir->count == maildir->room) {
        size_t room = maildir->room == 0 ? 64 : 2 * maildir->room;
        struct waiting *batch = realloc(maildir->batch, room * sizeof *batch);
        if (batch == NULL) {
            return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        }
        maildir->batch = batch;
        maildir->room = room;
    }
    int result = message_file_create(&maildir->file, maildir->fs, maildir->tmp, maildir->mark);
    return result < 0 ? fail(maildir, result, "no file can be made in it", error) : 0;
}

static int maildir_append(struct target *target, struct bytes octets, struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    int result = message_file_append(&maildir->file, octets);
    return result < 0 ? fail(maildir, result, "a message cannot be written", error) : 0;
}

static void maildir_abort(struct target *target)
{
    struct maildir *maildir = maildir_of(target);
    fs_close(maildir->fs, &maildir->file.descriptor);
    if (maildir->file.base[0] != '\0') {
        /* If even this fails, the file stays in tmp/, where it is no mail, until the next start. */
        (void)maildir->fs->operations->unlink(maildir->fs,
                                              (struct fs_name){maildir->tmp, maildir->file.base});
        maildir->file.base[0] = '\0';
    }
}

static enum target_outcome maildir_end(struct target *target, struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    struct waiting *waiting = &maildir->batch[maildir->count];
    int result = message_file_finish(&maildir->file, waiting->name);
    if (result < 0) {
        (void)fail(maildir, result, "a message cannot be written", error);
        maildir_abort(target);
        return TARGET_FAILED;
    }
    memcpy(waiting->base, maildir->file.base, sizeof waiting->base);
    waiting->descriptor = maildir->file.descriptor;
    maildir->file.descriptor = -1;
    maildir->file.base[0] = '\0';
    maildir->count++;
    return TARGET_WAITS;
}

static int sync_each(const struct maildir *maildir)
{
    const struct fs *fs = maildir->fs;
    int result = 0;
    for (size_t i = 0; i < maildir->count && result == 0; i++) {
        result = fs->operations->sync(fs, maildir->batch[i].descriptor);
    }
    return result;
}

static int maildir_prepare(struct target *target, struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    const struct fs *fs = maildir->fs;
    int result = maildir->count < MANY ? -EOPNOTSUPP : fs->operations->sync_all(fs, maildir->tmp);
    if (result == -EOPNOTSUPP) {
        result = sync_each(maildir);
    }
    for (size_t i = 0; i < maildir->count; i++) {
        fs_close(fs, &maildir->batch[i].descriptor);
    }
    return result < 0 ? fail(maildir, result, "a message cannot be made durable", error) : 0;
}

static void maildir_place(const struct target *target, size_t index,
                          char place_out[TARGET_PLACE_OCTETS])
{
    const struct maildir *maildir = (const struct maildir *)(const void *)target;
    (void)snprintf(place_out, TARGET_PLACE_OCTETS, "%s", maildir->batch[index].name);
}

static int maildir_publish(struct target *target, struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    const struct fs *fs = maildir->fs;
    int result = 0;
    for (size_t i = 0; i < maildir->count && result == 0; i++) {
        result =
            message_file_publish(fs, (struct fs_name){maildir->tmp, maildir->batch[i].base},
                                 (struct fs_name){maildir->new_folder, maildir->batch[i].name});
    }
    if (result == 0) {
        result = fs->operations->sync(fs, maildir->new_folder);
    }
    maildir->count = 0;
    return result < 0 ? fail(maildir, result, "a message cannot be put into new/", error) : 0;
}

static int by_text(const void *a, const void *b)
{
    const char *const *one = a;
    const char *const *other = b;
    return strcmp(*one, *other);
}

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->list[i]);
    }
    free(names->list);
    *names = (struct names){0};
}

static bool is_ours(const struct maildir *maildir, const char *name)
{
    const char *dot = strchr(name, '.');
    dot = dot == NULL ? NULL : strchr(dot + 1, '.');
    size_t size = strlen(maildir->mark);
    return dot != NULL && (size_t)(dot - name) > size &&
           memcmp(dot - size, maildir->mark, size) == 0;
}

static int names_add(struct names *names, const char *name, size_t size)
{
    if ((names->count & (names->count - 1)) == 0) {
        size_t room = names->count == 0 ? 1 : 2 * names->count;
        char **list = realloc(names->list, room * sizeof *list);
        if (list == NULL) {
            return -ENOMEM;
        }
        names->list = list;
    }
    char *copy = strndup(name, size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    names->list[names->count++] = copy;
    return 0;
}

/* The names in a folder that are ours, without flags. */
static int list_ours(const struct maildir *maildir, int folder, struct names *names)
{
    const struct fs *fs = maildir->fs;
    AUTO_FREE uint8_t *buffer = malloc(LIST_OCTETS);
    int descriptor = buffer == NULL ? -ENOMEM : fs_reopen_folder(fs, folder);
    ssize_t size = descriptor < 0 ? descriptor : 1;
    while (descriptor >= 0 && size > 0) {
        size = fs->operations->list(fs, descriptor, buffer, LIST_OCTETS);
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            size_t length = strcspn(entry->d_name, ":");
            int result =
                is_ours(maildir, entry->d_name) ? names_add(names, entry->d_name, length) : 0;
            at = result < 0 ? size : at + entry->d_reclen;
            size = result < 0 ? result : size;
        }
    }
    fs_close(fs, &descriptor);
    return (int)size;
}

static int is_in_cur(struct maildir *maildir, const char *name, bool *there_out)
{
    if (!maildir->looked) {
        int result = list_ours(maildir, maildir->cur, &maildir->seen);
        if (result < 0) {
            return result;
        }
        if (maildir->seen.count != 0) {
            qsort(maildir->seen.list, maildir->seen.count, sizeof *maildir->seen.list, by_text);
        }
        maildir->looked = true;
    }
    *there_out = maildir->seen.count != 0 && bsearch(&name, maildir->seen.list, maildir->seen.count,
                                                     sizeof *maildir->seen.list, by_text) != NULL;
    return 0;
}

/* Gives it its place, if it is still in tmp/ for want of that. -ENOENT: it is not in tmp/. */
static int finish_move(struct maildir *maildir, struct fs_name from, const char *place)
{
    const struct fs *fs = maildir->fs;
    struct fs_name to = {maildir->new_folder, place};
    struct fs_stat stat;
    bool in_cur = false;
    int result = fs_stat_name(fs, from, FS_STAT_LINK, &stat);
    result = result < 0 ? result : is_in_cur(maildir, place, &in_cur);
    if (result < 0) {
        return result;
    }
    result = in_cur ? -EEXIST : message_file_publish(fs, from, to);
    /* Where a rename is two changes, only the one may have been made, or come through a power cut. */
    return result == -EEXIST ? fs->operations->unlink(fs, from) : result;
}

static int find(struct maildir *maildir, const char *place, bool recent, bool *there_out)
{
    char base[MESSAGE_FILE_BASE_OCTETS];
    const char *end = strstr(place, ",S=");
    size_t size = end == NULL ? strlen(place) : (size_t)(end - place);
    if (size >= sizeof base || strchr(place, '/') != NULL) {
        *there_out = false;
        return 0;
    }
    memcpy(base, place, size);
    base[size] = '\0';
    *there_out = true;
    int result = finish_move(maildir, (struct fs_name){maildir->tmp, base}, place);
    if (result != -ENOENT || recent) {
        /* Gone from tmp/, so renamed, wherever the person's mail client moved it on since. */
        return result == -ENOENT ? 0 : result;
    }
    struct fs_stat stat;
    result = fs_stat_name(maildir->fs, (struct fs_name){maildir->new_folder, place}, FS_STAT_LINK,
                          &stat);
    return result == -ENOENT ? is_in_cur(maildir, place, there_out) : result;
}

static int maildir_recover(struct target *target, const char *place, bool recent, bool *there_out,
                           struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    int result = find(maildir, place, recent, there_out);
    return result < 0 ? fail(maildir, result, "what was fetched cannot be looked for", error) : 0;
}

static int maildir_recovered(struct target *target, struct error *error)
{
    struct maildir *maildir = maildir_of(target);
    const struct fs *fs = maildir->fs;
    struct names left = {0};
    names_free(&maildir->seen);
    maildir->looked = false;
    int result = fs->operations->sync(fs, maildir->new_folder);
    if (result == 0) {
        result = list_ours(maildir, maildir->tmp, &left);
    }
    for (size_t i = 0; i < left.count && result >= 0; i++) {
        result = fs->operations->unlink(fs, (struct fs_name){maildir->tmp, left.list[i]});
    }
    names_free(&left);
    return result < 0
               ? fail(maildir, result, "what a killed run left cannot be put in order", error)
               : 0;
}

static void maildir_free(struct target *target)
{
    struct maildir *maildir = maildir_of(target);
    const struct fs *fs = maildir->fs;
    maildir_abort(target);
    for (size_t i = 0; i < maildir->count; i++) {
        /* What was not published is not recorded, or the next start looks for it. */
        fs_close(fs, &maildir->batch[i].descriptor);
    }
    fs_close(fs, &maildir->tmp);
    fs_close(fs, &maildir->cur);
    fs_close(fs, &maildir->new_folder);
    names_free(&maildir->seen);
    free(maildir->batch);
    free(maildir->path);
    free(maildir);
}

static const struct target_operations operations = {
    .batched = true,
    .begin = maildir_begin,
    .append = maildir_append,
    .abort = maildir_abort,
    .end = maildir_end,
    .prepare = maildir_prepare,
    .place = maildir_place,
    .publish = maildir_publish,
    .recover = maildir_recover,
    .recovered = maildir_recovered,
    .free = maildir_free,
};

static void make_mark(struct maildir *maildir, const char *account)
{
    char host[65] = "";
    uint8_t hash[crypto_generichash_BYTES_MIN];
    char digits[9];
    crypto_generichash_state state;
    (void)gethostname(host, sizeof host - 1); /* without it, accounts of a name share the mark */
    (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
    (void)crypto_generichash_update(&state, (const uint8_t *)host, strlen(host) + 1);
    (void)crypto_generichash_update(&state, (const uint8_t *)account, strlen(account));
    (void)crypto_generichash_final(&state, hash, sizeof hash);
    (void)sodium_bin2hex(digits, sizeof digits, hash, 4);
    (void)snprintf(maildir->mark, sizeof maildir->mark, "F%s", digits);
}

int target_maildir_create(const struct target_options *options, struct target **target_out,
                          struct error *error)
{
    struct maildir *maildir = malloc(sizeof *maildir);
    char *path = strdup(options->place);
    if (maildir == NULL || path == NULL || path[0] == '\0') {
        free(maildir);
        free(path);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    memset(maildir, 0, sizeof *maildir);
    maildir->target.operations = &operations;
    maildir->fs = options->fs;
    maildir->path = path;
    maildir->tmp = maildir->new_folder = maildir->cur = maildir->file.descriptor = -1;
    make_mark(maildir, options->account);
    int result = open_folders(maildir);
    if (result == 0) {
        result = sync_young_folders(maildir);
    }
    if (result < 0) {
        (void)fail(maildir, result, "no Maildir can be made there", error);
        maildir_free(&maildir->target);
        return -1;
    }
    *target_out = &maildir->target;
    return 0;
}
