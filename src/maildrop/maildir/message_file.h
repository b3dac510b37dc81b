/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_MESSAGE_FILE_H
#define RESTANTE_MAILDROP_MAILDIR_MESSAGE_FILE_H

#include <pop3/server.h>

#include "base/fs.h"
#include "maildrop/line_ends.h"

/* A new message in a Maildir: a file in tmp/ with a name that no other has, filled with LF line ends, then to
 * be synced and moved into new/. Functions return 0 or a negated errno. */

enum {
    MESSAGE_FILE_BUFFER_OCTETS = 65536,
    MESSAGE_FILE_BASE_OCTETS = 160,
    MESSAGE_FILE_NAME_OCTETS = 256
};

struct message_file {
    const struct fs *fs;
    int descriptor;                      /* -1: none */
    char base[MESSAGE_FILE_BASE_OCTETS]; /* its name in tmp/; empty: there is no file */
    struct line_ends line_ends;
    struct pop3_octet_count count;
    uint64_t written;
    size_t used;
    uint8_t buffer[MESSAGE_FILE_BUFFER_OCTETS + 1];
};

/* Opens a folder, making it if it is missing. */
int message_file_folder(const struct fs *fs, struct fs_name name, int flags);

/* `mark`: letters and digits that its name shall have; may be empty. */
int message_file_create(struct message_file *file, const struct fs *fs, int tmp, const char *mark);
int message_file_append(struct message_file *file, struct bytes octets);
/* All of it is in the file, not yet durable; `name` is the one for new/, with its sizes. */
int message_file_finish(struct message_file *file, char name[MESSAGE_FILE_NAME_OCTETS]);
/* tmp/`base` becomes new/`name`, if nothing has that name. */
int message_file_publish(const struct fs *fs, struct fs_name base, struct fs_name name);

#endif
