/* SPDX-License-Identifier: MIT */
/* Reading a message piece by piece, so that none is ever in memory. */
#include "reader/source.h"

#include "base/fs.h"

ssize_t source_read(const struct source *source, uint64_t at, void *buffer, size_t size,
                    struct error *error)
{
    if (at >= source->size) {
        return 0;
    }
    if (size > source->size - at) {
        size = (size_t)(source->size - at);
    }
    ssize_t got = fs_read_full(&fs_real, source->descriptor, buffer, size, at);
    if (got < 0) {
        return error_from_errno(error, (int)-got, "reading the message");
    }
    return got;
}

void source_close(struct source *source)
{
    fs_close(&fs_real, &source->descriptor);
}
