/* SPDX-License-Identifier: MIT */
/* A Maildir, as its reader sees it. The order is that of the server (src/maildrop/maildir/name.c), so that
 * a message has the same number here and over POP3. Other programs may deliver into it and mark messages
 * meanwhile: nothing is locked, and a name that changed is looked for. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "maildrop/maildir/name.h"
#include "reader/mailbox_types.h"

/* Characters of flags are letters; more than these no client writes. */
enum { FLAGS_MOST = 52 };

static struct bytes base_of(const char *file)
{
    struct bytes name = bytes_of(file + 4); /* after "new/" or "cur/" */
    name.size = bytes_find(name, ':');
    return name;
}

/* The flags behind ":2,", or NULL. */
static const char *flags_of(const char *file)
{
    const char *colon = strchr(file, ':');
    return colon != NULL && strncmp(colon, ":2,", 3) == 0 ? colon + 3 : NULL;
}

static bool is_seen(const char *file)
{
    const char *flags = flags_of(file);
    return strncmp(file, "cur/", 4) == 0 && flags != NULL && strchr(flags, 'S') != NULL;
}

static int list_folder(struct mailbox *mailbox, const char *folder, struct error *error)
{
    int descriptor = fs_real.operations->open(
        &fs_real, (struct fs_name){mailbox->descriptor, folder}, O_RDONLY | O_DIRECTORY, 0);
    DIR *directory = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (directory == NULL) {
        int number = descriptor < 0 ? -descriptor : errno;
        fs_close(&fs_real, &descriptor);
        return error_set(error, ERROR_PERMANENT, number, "the folder %s of the Maildir", folder);
    }
    const struct dirent *entry;
    errno = 0;
    while ((entry = readdir(directory)) != NULL) {
        bool may_be_mail = entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
        if (entry->d_name[0] != '.' && may_be_mail) {
            struct mailbox_message message = {.file =
                                                  g_strdup_printf("%s/%s", folder, entry->d_name)};
            message.is_unread = !is_seen(message.file);
            (void)g_array_append_val(mailbox->messages, message);
        }
        errno = 0;
    }
    int number = errno;
    (void)closedir(directory); /* it was only read */
    return number == 0 ? 0
                       : error_from_errno(error, number, "the folder %s of the Maildir", folder);
}

/* In the order of arrival; of equal ones that of cur/ first. */
static int compare(const void *a, const void *b)
{
    const char *first = ((const struct mailbox_message *)a)->file;
    const char *second = ((const struct mailbox_message *)b)->file;
    int order = maildir_name_compare(base_of(first), base_of(second));
    return order != 0 ? order : strcmp(first, second);
}

/* A message that moved from new/ to cur/ meanwhile was seen twice. */
static void drop_doubles(GArray *messages)
{
    guint kept = 0;
    for (guint i = 0; i < messages->len; i++) {
        struct mailbox_message *message = &g_array_index(messages, struct mailbox_message, i);
        struct mailbox_message *last =
            kept == 0 ? NULL : &g_array_index(messages, struct mailbox_message, kept - 1);
        if (last != NULL && bytes_equal(base_of(last->file), base_of(message->file))) {
            g_free(message->file);
        } else {
            g_array_index(messages, struct mailbox_message, kept++) = *message;
        }
    }
    (void)g_array_set_size(messages, kept);
}

int maildir_list(struct mailbox *mailbox, const char *path, struct error *error)
{
    mailbox->descriptor = fs_real.operations->open(&fs_real, (struct fs_name){AT_FDCWD, path},
                                                   O_RDONLY | O_DIRECTORY, 0);
    if (mailbox->descriptor < 0) {
        return error_set(error, ERROR_PERMANENT, -mailbox->descriptor, "the Maildir %s", path);
    }
    if (list_folder(mailbox, "new", error) < 0 || list_folder(mailbox, "cur", error) < 0) {
        return -1;
    }
    g_array_sort(mailbox->messages, compare);
    drop_doubles(mailbox->messages);
    return 0;
}

/* Another program has marked the message since: finds it by its base name. */
static int find_again(struct mailbox *mailbox, struct mailbox_message *message, struct error *error)
{
    struct mailbox now = {.descriptor = mailbox->descriptor,
                          .messages = g_array_new(FALSE, FALSE, sizeof(struct mailbox_message))};
    int result =
        list_folder(&now, "new", error) < 0 || list_folder(&now, "cur", error) < 0 ? -1 : 0;
    bool is_found = false;
    for (guint i = 0; i < now.messages->len; i++) {
        struct mailbox_message *other = &g_array_index(now.messages, struct mailbox_message, i);
        if (!is_found && bytes_equal(base_of(other->file), base_of(message->file))) {
            char *file = other->file;
            other->file = message->file;
            message->file = file;
            message->is_unread = other->is_unread;
            is_found = true;
        }
        g_free(other->file);
    }
    (void)g_array_free(now.messages, TRUE);
    if (result == 0 && !is_found) {
        return error_set(error, ERROR_GONE, 0, "the message is gone: another program removed it");
    }
    return result;
}

static int open_file(const struct mailbox *mailbox, const struct mailbox_message *message)
{
    /* O_NONBLOCK: what is no file must not hold us up. */
    return fs_real.operations->open(&fs_real, (struct fs_name){mailbox->descriptor, message->file},
                                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
}

int maildir_open_message(struct mailbox *mailbox, uint64_t number, struct source *source_out,
                         struct error *error)
{
    struct mailbox_message *message = mailbox_entry(mailbox, number);
    struct fs_stat stat;
    int descriptor = open_file(mailbox, message);
    if (descriptor == -ENOENT) {
        if (find_again(mailbox, message, error) < 0) {
            return -1;
        }
        descriptor = open_file(mailbox, message);
    }
    if (descriptor < 0) {
        return error_set(error, ERROR_UNREADABLE, -descriptor, "message %llu",
                         (unsigned long long)number);
    }
    int result = fs_stat_descriptor(&fs_real, descriptor, &stat);
    if (result < 0 || !S_ISREG(stat.mode)) {
        fs_close(&fs_real, &descriptor);
        return error_set(error, ERROR_UNREADABLE, result < 0 ? -result : 0,
                         "message %llu is no file", (unsigned long long)number);
    }
    *source_out = (struct source){.descriptor = descriptor, .size = stat.size};
    return 0;
}

/* "cur/BASE:2,FLAGS" with S among the flags, which are in the order of ASCII; NULL where the name has
 * something else behind the base. */
static char *seen_name(const char *file)
{
    struct bytes base = base_of(file);
    const char *flags = flags_of(file);
    if (flags == NULL) {
        if (file[4 + base.size] != '\0') {
            return NULL;
        }
        flags = "";
    }
    if (strlen(flags) > FLAGS_MOST) {
        return NULL;
    }
    size_t before = 0;
    while (flags[before] != '\0' && flags[before] < 'S') {
        before++;
    }
    return g_strdup_printf("cur/%.*s:2,%.*s%s%s", (int)base.size, file + 4, (int)before, flags,
                           flags[before] == 'S' ? "" : "S", flags + before);
}

int maildir_mark_read(struct mailbox *mailbox, uint64_t number, struct error *error)
{
    struct mailbox_message *message = mailbox_entry(mailbox, number);
    char *name = seen_name(message->file);
    if (name == NULL) {
        return 0;
    }
    int result =
        fs_real.operations->rename(&fs_real, (struct fs_name){mailbox->descriptor, message->file},
                                   (struct fs_name){mailbox->descriptor, name}, false);
    if (result == -ENOENT) {
        result = 0; /* another program was quicker: what it says of the message counts */
    }
    if (result < 0) {
        g_free(name);
        return error_from_errno(error, -result, "marking message %llu as read",
                                (unsigned long long)number);
    }
    g_free(message->file);
    message->file = name;
    message->is_unread = false;
    return 0;
}
