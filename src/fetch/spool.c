/* SPDX-License-Identifier: MIT */
#include "fetch/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"

enum { BUFFER_OCTETS = 65536 };

static int open_nameless(int folder)
{
    int descriptor = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor < 0) {
        char path[] = "/tmp/restante-XXXXXX";
        descriptor = mkostemp(path, O_CLOEXEC);
        if (descriptor >= 0) {
            (void)unlink(path); /* if it stays, it is only an empty name */
        }
    }
    return descriptor;
}

int spool_open(struct spool *spool, int folder, struct error *error)
{
    *spool = (struct spool){.descriptor = open_nameless(folder), .buffer = malloc(BUFFER_OCTETS)};
    if (spool->descriptor < 0) {
        int number = errno;
        spool_close(spool);
        return error_from_errno(error, number, "no temporary file can be made");
    }
    if (spool->buffer == NULL) {
        spool_close(spool);
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    return 0;
}

void spool_close(struct spool *spool)
{
    auto_close(&spool->descriptor);
    free(spool->buffer);
    *spool = (struct spool){.descriptor = -1};
}

int spool_truncate(struct spool *spool, uint64_t size, struct error *error)
{
    if (spool_flush(spool, error) < 0) {
        return -1;
    }
    if (ftruncate(spool->descriptor, (off_t)size) < 0) {
        return error_from_errno(error, errno, "a temporary file cannot be shortened");
    }
    spool->size = size;
    return 0;
}

int spool_reset(struct spool *spool, struct error *error)
{
    spool->used = 0;
    spool->size = 0;
    if (ftruncate(spool->descriptor, 0) < 0 || lseek(spool->descriptor, 0, SEEK_SET) < 0) {
        return error_from_errno(error, errno, "a temporary file cannot be emptied");
    }
    return 0;
}

int spool_append(struct spool *spool, struct bytes octets, struct error *error)
{
    while (octets.size != 0) {
        size_t room = BUFFER_OCTETS - spool->used;
        size_t size = octets.size < room ? octets.size : room;
        memcpy(spool->buffer + spool->used, octets.data, size);
        spool->used += size;
        spool->size += size;
        octets = bytes_from(octets, size);
        if (spool->used == BUFFER_OCTETS && spool_flush(spool, error) < 0) {
            return -1;
        }
    }
    return 0;
}

int spool_flush(struct spool *spool, struct error *error)
{
    int result = fs_write_full(&fs_real, spool->descriptor, spool->buffer, spool->used,
                               spool->size - spool->used);
    if (result < 0) {
        return error_from_errno(error, -result, "a temporary file cannot be written");
    }
    spool->used = 0;
    return 0;
}

ssize_t spool_read(const struct spool *spool, void *buffer, size_t size, uint64_t offset,
                   struct error *error)
{
    ssize_t count = fs_read_full(&fs_real, spool->descriptor, buffer, size, offset);
    if (count < 0) {
        return error_from_errno(error, (int)-count, "a temporary file cannot be read");
    }
    return count;
}
