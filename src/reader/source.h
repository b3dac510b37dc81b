/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_READER_SOURCE_H
#define RESTANTE_READER_SOURCE_H

#include <sys/types.h>

#include "base/attributes.h"
#include "base/bytes.h"
#include "base/error.h"

/* The octets of one message, in a file that is open. */
struct source {
    int descriptor;
    uint64_t size;
};

/* Reads up to `size` octets from `at` on; how many, 0 at the end, -1 with an error. */
ssize_t source_read(const struct source *source, uint64_t at, void *buffer, size_t size,
                    struct error *error) MUST_CHECK;

void source_close(struct source *source);

#endif
