/* SPDX-License-Identifier: MIT */
#include "maildrop/maildir/message_file.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { HOST_OCTETS = 64, NAME_ATTEMPTS = 10 };

int message_file_folder(const struct fs *fs, struct fs_name name, int flags)
{
    int descriptor = fs_open(fs, name, flags | O_DIRECTORY, 0);
    if (descriptor == -ENOENT) {
        int result = fs->operations->mkdir(fs, name);
        if (result < 0 && result != -EEXIST) {
            return result;
        }
        descriptor = fs_open(fs, name, flags | O_DIRECTORY, 0);
    }
    return descriptor;
}

/* This machine's name as it may stand in a file's name: '/' and ':' as Maildir writes them. */
static void host_name(char out[HOST_OCTETS])
{
    char name[HOST_OCTETS] = "localhost";
    (void)gethostname(name, sizeof name - 1); /* the name only helps a reader */
    size_t used = 0;
    for (size_t i = 0; name[i] != '\0' && used + 5 < HOST_OCTETS; i++) {
        bool plain = name[i] > 0x20 && name[i] < 0x7F && strchr("/:,\\", name[i]) == NULL;
        if (plain) {
            out[used++] = name[i];
        } else {
            used += (size_t)snprintf(out + used, HOST_OCTETS - used, "\\%03o", (uint8_t)name[i]);
        }
    }
    out[used] = '\0';
}

/* time.MusecPpidQn.host, as https://cr.yp.to/proto/maildir.html wants it. */
static void make_name(struct message_file *file, const char *mark)
{
    static atomic_uint counter;
    char host[HOST_OCTETS];
    host_name(host);
    int64_t now = file->fs->operations->clock(file->fs);
    unsigned number = atomic_fetch_add(&counter, 1);
    (void)snprintf(file->base, sizeof file->base, "%lld.M%06lldP%ldQ%u%s.%s",
                   (long long)(now / 1000000000), (long long)(now / 1000 % 1000000), (long)getpid(),
                   number, mark, host);
}

int message_file_create(struct message_file *file, const struct fs *fs, int tmp, const char *mark)
{
    memset(file, 0, offsetof(struct message_file, buffer));
    file->fs = fs;
    file->descriptor = -1;
    for (int attempt = 0; file->descriptor < 0; attempt++) {
        make_name(file, mark);
        int result = fs_open(fs, (struct fs_name){tmp, file->base},
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0);
        if (result < 0 && (result != -EEXIST || attempt == NAME_ATTEMPTS)) {
            file->base[0] = '\0';
            return result;
        }
        file->descriptor = result < 0 ? -1 : result;
    }
    return 0;
}

static int flush(struct message_file *file)
{
    pop3_octet_count_feed(&file->count, file->buffer, file->used);
    int result = fs_write_full(file->fs, file->descriptor, file->buffer, file->used, file->written);
    file->written += file->used;
    file->used = 0;
    return result;
}

int message_file_append(struct message_file *file, struct bytes octets)
{
    while (octets.size != 0) {
        size_t room = MESSAGE_FILE_BUFFER_OCTETS - file->used;
        struct bytes part = {.data = octets.data, .size = octets.size < room ? octets.size : room};
        file->used += line_ends_feed(&file->line_ends, part, file->buffer + file->used);
        octets = bytes_from(octets, part.size);
        int result = file->used >= MESSAGE_FILE_BUFFER_OCTETS ? flush(file) : 0;
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

int message_file_finish(struct message_file *file, char name[MESSAGE_FILE_NAME_OCTETS])
{
    file->used += line_ends_finish(&file->line_ends, file->buffer + file->used);
    int result = flush(file);
    (void)snprintf(name, MESSAGE_FILE_NAME_OCTETS, "%s,S=%llu,W=%llu", file->base,
                   (unsigned long long)file->written,
                   (unsigned long long)pop3_octet_count_end(&file->count));
    return result;
}

int message_file_publish(const struct fs *fs, struct fs_name base, struct fs_name name)
{
    int result = fs->operations->rename(fs, base, name, false);
    if (result == -EINVAL || result == -ENOSYS) {
        /* A file system that does not know RENAME_NOREPLACE. */
        result = fs->operations->link(fs, base, name);
        if (result == 0) {
            (void)fs->operations->unlink(fs, base); /* a name in tmp/ is no mail */
        }
    }
    return result;
}
