/* SPDX-License-Identifier: MIT */
/* A status on the disk. Its lock is on the folder, so that it dies with its holder and leaves nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"
#include "fetch/state_name.h"
#include "fetch/status.h"

int status_lock(const char *folder, struct error *error)
{
    AUTO_FREE char *path = state_folder_of(folder, error);
    if (path == NULL || folder_make(path, error) < 0) {
        return -1;
    }
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return error_from_errno(error, errno, "%s", path);
    }
    while (flock(descriptor, LOCK_EX) < 0) {
        if (errno != EINTR) {
            int number = errno;
            (void)close(descriptor);
            return error_from_errno(error, number, "%s cannot be locked", path);
        }
    }
    return descriptor;
}

/* 0; 1: there is no file; -1: `error`. */
static int read_path(const char *path, struct fetch_status *out, struct error *error)
{
    struct bytes text;
    int result = file_read(path, 2 * STATUS_TEXT_SIZE, &text);
    *out = (struct fetch_status){0};
    if (result == -ENOENT) {
        return 1;
    }
    if (result < 0) {
        return error_from_errno(error, -result, "%s", path);
    }
    result = status_parse(text, out);
    free((void *)(uintptr_t)text.data);
    if (result < 0) {
        *out = (struct fetch_status){0};
        return error_set(error, ERROR_CORRUPT, 0, "%s: it is no status; remove it", path);
    }
    return 0;
}

/* Of `path`, or of what replaces it; malloc'ed. */
static char *path_of(const char *folder, const char *account, struct error *error)
{
    char *path = NULL;
    AUTO_FREE char *place = state_folder_of(folder, error);
    AUTO_FREE char *name = place == NULL ? NULL : state_name_of(account);
    if (place != NULL && (name == NULL || asprintf(&path, "%s/%s.status", place, name) < 0)) {
        (void)error_set(error, ERROR_TEMPORARY, 0, "out of memory");
        return NULL;
    }
    return path;
}

int status_read(const char *folder, const char *account, struct fetch_status *out,
                struct error *error)
{
    AUTO_FREE char *path = path_of(folder, account, error);
    *out = (struct fetch_status){0};
    return path == NULL || read_path(path, out, error) < 0 ? -1 : 0;
}

int status_update(const char *folder, const char *account, status_change *change, void *owner,
                  struct error *error)
{
    struct fetch_status status;
    struct error ignored; /* what cannot be read is replaced */
    char text[STATUS_TEXT_SIZE];
    AUTO_FREE char *path = path_of(folder, account, error);
    AUTO_CLOSE int lock = path == NULL ? -1 : status_lock(folder, error);
    if (lock < 0) {
        return -1;
    }
    (void)read_path(path, &status, &ignored);
    change(owner, &status);
    struct bytes octets = {(const uint8_t *)text, status_format(&status, text)};
    int result = file_replace(path, octets, 0600);
    return result < 0 ? error_from_errno(error, -result, "%s", path) : 0;
}
