/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_FETCH_SPOOL_H
#define RESTANTE_FETCH_SPOOL_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

/* Octets that wait in a file without a name, which is gone with the process. */
struct spool {
    int descriptor; /* -1: none */
    uint64_t size;  /* of what was appended, and of the file once flushed */
    size_t used;    /* in the buffer */
    uint8_t *buffer;
};

/* In `folder`, or where temporary files go if that file system knows no nameless files. */
int spool_open(struct spool *spool, int folder, struct error *error) MUST_CHECK;
void spool_close(struct spool *spool);
/* Empty again. */
int spool_reset(struct spool *spool, struct error *error) MUST_CHECK;
int spool_append(struct spool *spool, struct bytes octets, struct error *error) MUST_CHECK;
/* All of it is in the file. */
int spool_flush(struct spool *spool, struct error *error) MUST_CHECK;
/* Forgets what lies behind `size`. */
int spool_truncate(struct spool *spool, uint64_t size, struct error *error);
/* Up to `size` octets from `offset` on of what was flushed; how many, or -1. */
ssize_t spool_read(const struct spool *spool, void *buffer, size_t size, uint64_t offset,
                   struct error *error);

#endif
