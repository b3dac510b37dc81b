/* SPDX-License-Identifier: MIT */
#include "fetch/mbox_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"

enum { RETRY_MS = 100, STALE_S = 300, LOCK_TEXT_OCTETS = 32 };

/* As liblockfile has it: a lock of a process that lives is good, of one that does not it is not; one that names no
 * process is stale when it is old. */
static bool is_stale(const char *path)
{
    char text[LOCK_TEXT_OCTETS + 1];
    struct stat stat;
    AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || fstat(file, &stat) < 0) {
        return false;
    }
    ssize_t size = pread(file, text, LOCK_TEXT_OCTETS, 0);
    size_t digits = 0;
    while (size > 0 && digits < (size_t)size && text[digits] >= '0' && text[digits] <= '9') {
        digits++;
    }
    uint64_t process = 0;
    struct bytes number = {.data = (const uint8_t *)text, .size = digits};
    if (number_parse(number, INT32_MAX, &process) == 0 && process != 0) {
        return kill((pid_t)process, 0) < 0 && errno == ESRCH;
    }
    return time(NULL) - stat.st_mtime > STALE_S;
}

/* The lock appears with its owner's number in it, or not at all: a file of its own is linked there. 1: it is
 * another's; 0: done, or impossible here; else a negated errno. */
static int make_dotlock(struct mbox_lock *lock, const char *path)
{
    char text[LOCK_TEXT_OCTETS];
    size_t size = strlen(path) + sizeof ".lock" + 2 * LOCK_TEXT_OCTETS;
    AUTO_FREE char *own = malloc(size);
    char *dotlock = malloc(size);
    if (own == NULL || dotlock == NULL) {
        free(dotlock);
        return -ENOMEM;
    }
    (void)snprintf(dotlock, size, "%s.lock", path);
    (void)snprintf(own, size, "%s.lock.%ld.%p", path, (long)getpid(), (void *)lock);
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    int file = open(own, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    if (file < 0) {
        int number = errno;
        free(dotlock);
        /* /var/mail is often not ours to write in: then fcntl must do. */
        return number == EACCES || number == EPERM || number == EROFS ? 0 : -number;
    }
    bool written = write(file, text, (size_t)length) == length;
    int result = !written ? -ENOSPC : link(own, dotlock) < 0 ? -errno : 0;
    (void)close(file); /* a lock need not be durable */
    (void)unlink(own);
    if (result == 0) {
        lock->dotlock = dotlock;
        return 0;
    }
    if (result == -EEXIST && is_stale(dotlock)) {
        (void)unlink(
            dotlock); /* if another has just done the same, its new lock goes: it has fcntl too */
    }
    free(dotlock);
    return result == -EEXIST ? 1 : result;
}

static int lock_file(int file)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file, F_OFD_SETLK, &whole) < 0) {
        return errno == EAGAIN || errno == EACCES ? 1 : -errno;
    }
    return 0;
}

/* Is the path still the file that is locked? A mail client may have replaced it. */
static bool is_same(int file, const char *path)
{
    struct stat locked;
    struct stat named;
    return fstat(file, &locked) == 0 && stat(path, &named) == 0 && locked.st_dev == named.st_dev &&
           locked.st_ino == named.st_ino;
}

/* 0: locked; 1: not now; else a negated errno. */
static int try_lock(struct mbox_lock *lock, const char *path)
{
    int result = make_dotlock(lock, path);
    if (result != 0) {
        return result;
    }
    lock->file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat stat;
    if (lock->file < 0 || fstat(lock->file, &stat) < 0) {
        result = -errno;
    } else if (!S_ISREG(stat.st_mode)) {
        result = -EISDIR;
    } else {
        result = lock_file(lock->file);
        result = result == 0 && !is_same(lock->file, path) ? 1 : result;
    }
    if (result != 0) {
        mbox_unlock(lock);
    }
    return result;
}

int mbox_lock(struct mbox_lock *lock, const char *path, unsigned limit_s, int cancel,
              struct error *error)
{
    *lock = (struct mbox_lock){.file = -1};
    struct pollfd polled = {.fd = cancel, .events = POLLIN};
    for (uint64_t waited_ms = 0;; waited_ms += RETRY_MS) {
        int result = try_lock(lock, path);
        if (result == 0) {
            return 0;
        }
        if (result == -EISDIR) {
            return error_set(error, ERROR_CONFIGURATION, 0, "%s is no mbox: not a plain file",
                             path);
        }
        if (result < 0) {
            return error_from_errno(error, -result, "%s cannot be locked", path);
        }
        if (waited_ms >= (uint64_t)limit_s * 1000 || poll(&polled, 1, RETRY_MS) > 0) {
            return error_set(error, ERROR_IN_USE, 0, "%s is locked by another program", path);
        }
    }
}

void mbox_unlock(struct mbox_lock *lock)
{
    auto_close(&lock->file);
    lock->file = -1;
    if (lock->dotlock != NULL) {
        (void)unlink(lock->dotlock); /* if it stays, it is stale when this process has ended */
        free(lock->dotlock);
        lock->dotlock = NULL;
    }
}
