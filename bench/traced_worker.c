/* SPDX-License-Identifier: MIT */
/* Preloaded into `restante serve` by scripts/check-instructions, so that one of its workers runs under
 * callgrind as it runs without it.
 *
 * The master starts its children from /proc/self/exe, which would be callgrind, were the master under it too: only
 * a worker is, by the words in RESTANTE_TRACER_0 and so on. Debian 12's callgrind does not know openat2, and
 * not every kernel reads a tmpfs with RWF_NOWAIT: in the worker both are what they come to where all is
 * cached, which here it is. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define REPLACES __attribute__((visibility("default")))

enum { WORDS_MOST = 32 };

REPLACES int execvp(const char *file, char *const argv[])
{
    char *words[WORDS_MOST] = {NULL};
    int count = 0;
    if (strcmp(file, "/proc/self/exe") != 0 || argv[0] == NULL || argv[1] == NULL ||
        strcmp(argv[1], "worker") != 0) {
        return execvpe(file, argv, environ);
    }
    for (; count < WORDS_MOST - 2; count++) {
        char name[32];
        (void)snprintf(name, sizeof name, "RESTANTE_TRACER_%d", count);
        words[count] = getenv(name);
        if (words[count] == NULL) {
            break;
        }
    }
    if (count == 0) {
        errno = ENOENT;
        return -1;
    }
    words[count] = argv[1];
    return execvpe(words[0], words, environ);
}

static long open_cached(int directory, const char *name, const struct open_how *how)
{
    return openat(directory, name, (int)how->flags, (mode_t)how->mode);
}

REPLACES long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long words[6];
    va_list list;
    va_start(list, number);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        words[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_openat2) {
        return open_cached((int)words[0], (const char *)words[1],
                           (const struct open_how *)words[2]);
    }
    if (real == NULL) {
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    }
    return real(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

REPLACES ssize_t preadv2(int descriptor, const struct iovec *parts, int count, off_t offset,
                         int flags)
{
    (void)flags;
    return preadv(descriptor, parts, count, offset);
}

REPLACES ssize_t preadv64v2(int descriptor, const struct iovec *parts, int count, off64_t offset,
                            int flags)
{
    return preadv2(descriptor, parts, count, offset, flags);
}
