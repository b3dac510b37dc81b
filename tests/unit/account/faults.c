/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

/* NOLINTBEGIN: these names are the linker's */
int __real_open64(const char *path, int flags, ...);
int __real_openat64(int folder, const char *path, int flags, ...);
int __real_flock(int descriptor, int operation);
int __real_unlinkat(int folder, const char *path, int flags);
int __real_fchmod(int descriptor, mode_t mode);
int __real_fchown(int descriptor, uid_t uid, gid_t gid);
ssize_t __real_sendfile64(int to, int from, off_t *offset, size_t count);
ssize_t __real_write(int descriptor, const void *octets, size_t size);
int __real_fsync(int descriptor);
int __real_renameat(int from_folder, const char *from, int to_folder, const char *to);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int folder, const char *path, int flags, ...);
int __wrap_flock(int descriptor, int operation);
int __wrap_unlinkat(int folder, const char *path, int flags);
int __wrap_fchmod(int descriptor, mode_t mode);
int __wrap_fchown(int descriptor, uid_t uid, gid_t gid);
ssize_t __wrap_sendfile64(int to, int from, off_t *offset, size_t count);
ssize_t __wrap_write(int descriptor, const void *octets, size_t size);
int __wrap_fsync(int descriptor);
int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to);

static bool armed;
static unsigned left;
static int errno_of_fault;
static const char *failed;
static char trace[512];

void faults_arm(unsigned n, int number)
{
    armed = true;
    left = n;
    errno_of_fault = number;
    failed = NULL;
    trace[0] = '\0';
}

const char *faults_disarm(void)
{
    armed = false;
    return failed;
}

const char *faults_trace(void)
{
    return trace;
}

static bool fails(const char *call)
{
    if (!armed) {
        return false;
    }
    size_t used = strlen(trace);
    (void)snprintf(trace + used, sizeof trace - used, "%s ", call);
    if (failed != NULL || left == 0 || --left > 0) {
        return false;
    }
    failed = call;
    errno = errno_of_fault;
    return true;
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails("open") ? -1 : __real_open64(path, flags, mode);
}

int __wrap_openat64(int folder, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails("create") ? -1 : __real_openat64(folder, path, flags, mode);
}

int __wrap_flock(int descriptor, int operation)
{
    return fails("flock") ? -1 : __real_flock(descriptor, operation);
}

/* Clearing up is allowed to work once something else failed. */
int __wrap_unlinkat(int folder, const char *path, int flags)
{
    return fails("unlink") ? -1 : __real_unlinkat(folder, path, flags);
}

int __wrap_fchmod(int descriptor, mode_t mode)
{
    return fails("chmod") ? -1 : __real_fchmod(descriptor, mode);
}

int __wrap_fchown(int descriptor, uid_t uid, gid_t gid)
{
    return fails("chown") ? -1 : __real_fchown(descriptor, uid, gid);
}

ssize_t __wrap_sendfile64(int to, int from, off_t *offset, size_t count)
{
    return fails("sendfile") ? -1 : __real_sendfile64(to, from, offset, count);
}

ssize_t __wrap_write(int descriptor, const void *octets, size_t size)
{
    return fails("write") ? -1 : __real_write(descriptor, octets, size);
}

int __wrap_fsync(int descriptor)
{
    struct stat status;
    bool is_folder = fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
    return fails(is_folder ? "fsync of the folder" : "fsync") ? -1 : __real_fsync(descriptor);
}

int __wrap_renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return fails("rename") ? -1 : __real_renameat(from_folder, from, to_folder, to);
}
/* NOLINTEND */
