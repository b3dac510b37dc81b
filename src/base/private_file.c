/* SPDX-License-Identifier: MIT */
#include "base/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

int private_file_read(const char *path, uint8_t *memory, size_t capacity, struct bytes *out,
                      struct error *error)
{
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    size_t size = 0;
    if (file < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s", path);
    }
    if (check(path, file, error) < 0) {
        return -1;
    }
    ssize_t got = 1;
    while (got > 0 && size < capacity) {
        got = read(file, memory + size, capacity - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got < 0) {
        return error_set(error, ERROR_CONFIGURATION, errno, "%s", path);
    }
    *out = (struct bytes){memory, size};
    return 0;
}
