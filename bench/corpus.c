/* SPDX-License-Identifier: MIT */
/* Reads what bench/corpus.py wrote; see corpus.h. */
#include "corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/number.h"

static int map_file(const char *path, struct bytes *content_out, struct error *error)
{
    AUTO_CLOSE int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    *content_out = (struct bytes){0};
    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        return error_from_errno(error, errno, "%s", path);
    }
    if (status.st_size == 0) {
        return 0;
    }
    void *memory =
        mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    if (memory == MAP_FAILED) {
        return error_from_errno(error, errno, "%s", path);
    }
    *content_out = (struct bytes){memory, (size_t)status.st_size};
    return 0;
}

/* Takes the number before `end` off the front of `text`. */
static int take_number(struct bytes *text, uint8_t end, uint64_t *value_out)
{
    const uint8_t *found = text->size > 0 ? memchr(text->data, end, text->size) : NULL;

    if (found == NULL) {
        return -1;
    }
    size_t size = (size_t)(found - text->data);
    struct bytes digits = {text->data, size};
    *text = (struct bytes){found + 1, text->size - size - 1};
    return number_parse(digits, SIZE_MAX, value_out);
}

static int read_sizes(struct bytes text, struct corpus *corpus)
{
    if (take_number(&text, ' ', &corpus->count) != 0 ||
        take_number(&text, '\n', &corpus->octets) != 0) {
        return -1;
    }
    if (text.size == 0) {
        return 0;
    }
    corpus->ends = calloc(corpus->count, sizeof *corpus->ends);
    if (corpus->ends == NULL) {
        return -1;
    }
    for (size_t end = 0; corpus->messages < corpus->count; corpus->messages++) {
        uint64_t size;
        if (take_number(&text, '\n', &size) != 0) {
            return -1;
        }
        end += size;
        corpus->ends[corpus->messages] = end;
    }
    return text.size == 0 ? 0 : -1;
}

int corpus_load(const char *folder, const char *name, struct corpus *corpus_out,
                struct error *error)
{
    char path[4096];
    struct bytes sizes, wire;
    struct corpus corpus = {0};

    if (snprintf(corpus.name, sizeof corpus.name, "%s", name) >= (int)sizeof corpus.name ||
        snprintf(path, sizeof path, "%s/%s.sizes", folder, name) >= (int)sizeof path) {
        return error_set(error, ERROR_LIMIT, 0, "the name %s is too long", name);
    }
    if (map_file(path, &sizes, error) != 0) {
        return -1;
    }
    if (read_sizes(sizes, &corpus) != 0) {
        return error_set(error, ERROR_CORRUPT, 0, "%s is not what bench/corpus.py writes", path);
    }
    if (corpus.messages > 0) {
        snprintf(path, sizeof path, "%s/%s.wire", folder, name);
        if (map_file(path, &wire, error) != 0) {
            return -1;
        }
        corpus.wire = wire.data;
        corpus.wire_size = wire.size;
        if (corpus.ends[corpus.messages - 1] != wire.size) {
            return error_set(error, ERROR_CORRUPT, 0, "%s does not belong to its sizes", path);
        }
    }
    *corpus_out = corpus;
    return 0;
}
