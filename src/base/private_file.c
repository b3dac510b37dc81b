/* SPDX-License-Identifier: MIT */
#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"

/* A file that others may read is no place for a secret. */
static int check(const char *path, int file, struct error *error)
{
    struct stat facts;
    if (fstat(file, &facts) < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s", path);
    }
    if (!S_ISREG(facts.st_mode)) {
        return error_set(error, ERROR_CONFIGURATION, 0, "%s: it is no regular file", path);
    }
    if (facts.st_uid != geteuid() && facts.st_uid != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s: it belongs to somebody else; make it yours", path);
    }
    if ((facts.st_mode & 077) != 0) {
        return error_set(error, ERROR_CONFIGURATION, 0,
                         "%s: others may read it; run `chmod 600' on it", path);
    }
    return 0;
}

static int open_in(int folder, const char *path)
{
    const char *slash = strrchr(path, '/');
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    return folder < 0 ? open(path, flags)
                      : openat(folder, slash == NULL ? path : slash + 1, flags | O_NOFOLLOW);
}

ssize_t private_file_read(int folder, const char *path, uint8_t *memory, size_t capacity,
                          struct error *error)
{
    AUTO_CLOSE int file = open_in(folder, path);
    if (file < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s", path);
    }
    if (check(path, file, error) < 0) {
        return -1;
    }
    ssize_t size = fs_read_full(&fs_real, file, memory, capacity, 0);
    return size < 0 ? error_set(error, ERROR_CONFIGURATION, (int)-size, "%s", path) : size;
}
