/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int file_read(const char *path, size_t most, struct bytes *out)
{
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0) {
        return -errno;
    }
    uint8_t *data = malloc(most);
    if (data == NULL) {
        return -ENOMEM;
    }
    size_t size = 0;
    ssize_t got = 1;
    while (got > 0 && size < most) {
        got = read(file, data + size, most - size);
        size += got > 0 ? (size_t)got : 0;
    }
    if (got != 0) {
        int result = got < 0 ? -errno : -EFBIG;
        free(data);
        return result;
    }
    *out = (struct bytes){.data = data, .size = size};
    return 0;
}

static int write_all(int file, struct bytes octets)
{
    while (octets.size != 0) {
        ssize_t put = write(file, octets.data, octets.size);
        if (put < 0 && errno != EINTR) {
            return -errno;
        }
        octets = bytes_from(octets, put < 0 ? 0 : (size_t)put);
    }
    return 0;
}

int file_replace(const char *path, struct bytes octets, unsigned mode)
{
    AUTO_FREE char *fresh = NULL;
    if (asprintf(&fresh, "%s.new", path) < 0) {
        fresh = NULL;
        return -ENOMEM;
    }
    AUTO_CLOSE int file =
        open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, (mode_t)mode);
    if (file < 0) {
        return -errno;
    }
    int result = fchmod(file, (mode_t)mode) < 0 ? -errno : write_all(file, octets);
    if (result == 0 && (fsync(file) < 0 || rename(fresh, path) < 0)) {
        result = -errno;
    }
    if (result < 0) {
        (void)unlink(fresh);
    }
    return result;
}
