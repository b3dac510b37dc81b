/* SPDX-License-Identifier: MIT */
#include "server/generations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int generations_create(int *writable_out, int *readable_out, struct error *error)
{
    AUTO_CLOSE int writable = memfd_create("restante-generations", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (writable < 0 || ftruncate(writable, sizeof(struct generations)) < 0 ||
        fcntl(writable, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory for the generations");
    }
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", writable);
    int readable = open(path, O_RDONLY | O_CLOEXEC);
    if (readable < 0) {
        return error_set(error, ERROR_TEMPORARY, errno, "shared memory for the generations");
    }
    *readable_out = readable;
    *writable_out = writable;
    writable = -1;
    return 0;
}

static struct generations *map(int descriptor, int protection)
{
    void *memory = mmap(NULL, sizeof(struct generations), protection, MAP_SHARED, descriptor, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

struct generations *generations_map_writable(int descriptor)
{
    return map(descriptor, PROT_READ | PROT_WRITE);
}

const struct generations *generations_map(int descriptor)
{
    return map(descriptor, PROT_READ);
}
