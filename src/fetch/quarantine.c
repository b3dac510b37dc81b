/* SPDX-License-Identifier: MIT */
#include "fetch/quarantine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "fetch/state_name.h"

enum { COPY_OCTETS = 65536, NOTE_OCTETS = 2048, NAME_OCTETS = 64 };

static int open_folder(int state_folder, const char *account, struct error *error)
{
    AUTO_FREE char *name = state_name_of(account);
    char path[256];
    if (name == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    (void)snprintf(path, sizeof path, "%s.quarantine", name);
    if (mkdirat(state_folder, path, 0700) < 0 && errno != EEXIST) {
        return error_from_errno(error, errno, "%s", path);
    }
    int folder = openat(state_folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0 || fsync(state_folder) < 0) {
        int number = errno;
        auto_close(&folder);
        return error_from_errno(error, number, "%s", path);
    }
    return folder;
}

static int copy(int descriptor, const struct spool *spool, struct error *error)
{
    AUTO_FREE uint8_t *buffer = malloc(COPY_OCTETS);
    if (buffer == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    for (uint64_t at = 0; at < spool->size;) {
        ssize_t count = spool_read(spool, buffer, COPY_OCTETS, at, error);
        if (count <= 0) {
            return -1;
        }
        int result = fs_write_full(&fs_real, descriptor, buffer, (size_t)count, at);
        if (result < 0) {
            return error_from_errno(error, -result, "a message cannot be put into quarantine");
        }
        at += (uint64_t)count;
    }
    return 0;
}

static int put_file(int folder, const char *name, const struct spool *spool, const char *note,
                    struct error *error)
{
    /* A file of that name is what a killed run left, of the same message. */
    AUTO_CLOSE int descriptor =
        openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) {
        return error_from_errno(error, errno, "%s cannot be put into quarantine", name);
    }
    if (spool != NULL) {
        if (copy(descriptor, spool, error) < 0) {
            return -1;
        }
    } else {
        struct bytes text = bytes_of(note);
        int result = fs_write_full(&fs_real, descriptor, text.data, text.size, 0);
        if (result < 0) {
            return error_from_errno(error, -result, "%s cannot be put into quarantine", name);
        }
    }
    return fsync(descriptor) < 0
               ? error_from_errno(error, errno, "%s cannot be put into quarantine", name)
               : 0;
}

int quarantine_put(int state_folder, const char *account, const struct state_row *row,
                   struct spool *spool, struct error *error)
{
    AUTO_CLOSE int folder = open_folder(state_folder, account, error);
    if (folder < 0) {
        return -1;
    }
    char id[NOTE_OCTETS / 2];
    char note[NOTE_OCTETS];
    char name[NAME_OCTETS];
    (void)snprintf(note, sizeof note,
                   "The message in %lld.eml was refused %u times; it is still on the server.\n"
                   "Account: %s\nUnique id: %s\nOctets: %llu\nLast reason: %s\n",
                   (long long)row->id, row->refusals, account,
                   bytes_escape(row->unique_id, id, sizeof id),
                   (unsigned long long)row->digest.octets, row->reason);
    (void)snprintf(name, sizeof name, "%lld.eml", (long long)row->id);
    if (put_file(folder, name, spool, NULL, error) < 0) {
        return -1;
    }
    (void)snprintf(name, sizeof name, "%lld.txt", (long long)row->id);
    if (put_file(folder, name, NULL, note, error) < 0) {
        return -1;
    }
    return fsync(folder) < 0 ? error_from_errno(error, errno, "the quarantine cannot be synced")
                             : 0;
}
