/* SPDX-License-Identifier: MIT */
#include "base/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int folder_walk(const char *path, size_t from, int (*visit)(void *owner, const char *path),
                void *owner)
{
    AUTO_FREE char *copy = strdup(path);
    if (copy == NULL) {
        return -ENOMEM;
    }
    size_t size = strlen(path);
    int result = 0;
    for (size_t end = from == 0 ? 1 : from; end <= size && result >= 0; end++) {
        bool ends = path[end] == '/' || path[end] == '\0' || end == from;
        bool is_root = end == 1 && from == 1; /* only where it is asked for */
        if (ends && (path[end - 1] != '/' || is_root)) {
            copy[end] = '\0';
            result = visit(owner, copy);
            copy[end] = path[end];
        }
    }
    return result < 0 ? result : 0;
}

static int make(void *owner, const char *path)
{
    struct error *error = owner;
    return mkdir(path, 0700) < 0 && errno != EEXIST ? error_from_errno(error, errno, "%s", path)
                                                    : 0;
}

int folder_make(const char *path, struct error *error)
{
    int result = folder_walk(path, 0, make, error);
    return result == -ENOMEM ? error_from_errno(error, ENOMEM, "%s", path) : result;
}

int folder_make_for(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *folder = strndup(path, slash == NULL ? 0 : (size_t)(slash - path));
    return folder == NULL ? error_from_errno(error, ENOMEM, "%s", path)
                          : folder_make(folder, error);
}
