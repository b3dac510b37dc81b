/* SPDX-License-Identifier: MIT */
/* Attachments become files. The folder is opened once and names have no slash, so that whatever a message
 * says and whoever moves folders about meanwhile, nothing lands elsewhere. */
#include "reader/save.h"

#include <errno.h>
#include <langinfo.h>
#include <string.h>

#include "base/fs.h"
#include "reader/content.h"
#include "reader/file_name.h"
#include "reader/text.h"
#include "reader/view.h"

enum { ATTEMPTS_MOST = 10000 };

struct file {
    int descriptor;
    uint64_t at;
};

static int write_piece(void *context, struct bytes octets, struct error *error)
{
    struct file *file = context;
    int result = fs_write_full(&fs_real, file->descriptor, octets.data, octets.size, file->at);
    file->at += octets.size;
    return result < 0 ? error_from_errno(error, -result, "writing the attachment") : 0;
}

/* The name in the charset of this person's files. */
static char *wanted_name(const struct part *part)
{
    g_autofree char *said = part_file_name(part);
    g_autoptr(GString) name = g_string_new(NULL);
    file_name_append(name, said, part->number, view_extension(part));
    g_autoptr(GString) local = text_to_codeset(name, nl_langinfo(CODESET));
    for (size_t i = 0; i < local->len; i++) {
        if (local->str[i] == '?') {
            local->str[i] = '_';
        }
    }
    return g_strdup(local->str);
}

/* A new file with that name, or with a number in it where that exists. `name` becomes what it is called. */
static int create(int folder, GString *name, struct error *error)
{
    g_autofree char *wanted = g_strdup(name->str);
    for (unsigned attempt = 1; attempt < ATTEMPTS_MOST; attempt++) {
        int descriptor = fs_real.operations->open(&fs_real, (struct fs_name){folder, name->str},
                                                  O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0);
        if (descriptor >= 0) {
            return descriptor;
        }
        if (descriptor != -EEXIST) {
            return error_from_errno(error, -descriptor, "a new file for an attachment");
        }
        (void)g_string_truncate(name, 0);
        file_name_append_attempt(name, wanted, attempt);
    }
    return error_set(error, ERROR_PERMANENT, EEXIST, "a new file for an attachment");
}

static int save_part(const struct source *source, const struct part *part, int folder,
                     GString *names_out, struct error *error)
{
    g_autofree char *wanted = wanted_name(part);
    g_autoptr(GString) name = g_string_new(wanted);
    struct file file = {.descriptor = create(folder, name, error)};
    if (file.descriptor < 0) {
        return -1;
    }
    int result = content_decode(source, part, UINT64_MAX, write_piece, &file, error);
    fs_close(&fs_real, &file.descriptor);
    if (result < 0) {
        /* Half an attachment would pass for a whole one. If it stays, the error says enough. */
        (void)fs_real.operations->unlink(&fs_real, (struct fs_name){folder, name->str});
        return -1;
    }
    text_append(names_out, bytes_of(name->str), TEXT_LINE);
    (void)g_string_append_c(names_out, '\n');
    return 0;
}

int save_attachments(const struct source *source, const struct outline *outline, const char *path,
                     GString *names_out, struct error *error)
{
    int folder = fs_real.operations->open(&fs_real, (struct fs_name){AT_FDCWD, path},
                                          O_RDONLY | O_DIRECTORY, 0);
    if (folder < 0) {
        return error_set(error, ERROR_PERMANENT, -folder, "the folder %s", path);
    }
    int result = 0;
    for (unsigned i = 0; i < outline->parts->len && result == 0; i++) {
        if (view_is_saved(outline, i)) {
            result = save_part(source, outline_part(outline, i), folder, names_out, error);
        }
    }
    fs_close(&fs_real, &folder);
    return result;
}
