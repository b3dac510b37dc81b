/* SPDX-License-Identifier: MIT */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
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
