/* SPDX-License-Identifier: MIT */
/* The file operations of the real system. What cannot wait for a disk by construction is done with
 * cached_only too: RESOLVE_CACHED walks only names in the kernel's cache, RWF_NOWAIT reads only pages
 * there, and what needs only a descriptor of a local file system is in memory. */
#include "base/fs.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { NEW_FILE_MODE = 0600, NEW_FOLDER_MODE = 0700 };

static int open_without_openat2(struct fs_name name, int flags, uint64_t resolve)
{
    if ((resolve & RESOLVE_NO_SYMLINKS) != 0) {
        flags |= O_NOFOLLOW; /* the store's names below a maildrop have one component */
    }
    int descriptor;
    do {
        descriptor = openat(name.directory, name.name, flags, NEW_FILE_MODE);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

static int real_open(const struct fs *fs, struct fs_name name, int flags, uint64_t resolve)
{
    flags |= O_CLOEXEC;
    if ((flags & O_PATH) == 0) {
        flags |= O_NOCTTY; /* openat2 wants them apart */
    }
    if (fs->cached_only) {
        if ((flags & (O_CREAT | O_TRUNC)) != 0) {
            return -EAGAIN;
        }
        resolve |= RESOLVE_CACHED;
    }
    if (resolve == 0) {
        return open_without_openat2(name, flags, resolve);
    }
    struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = resolve};
    if ((flags & O_CREAT) != 0) {
        how.mode = NEW_FILE_MODE;
    }
    long descriptor;
    do {
        descriptor = syscall(SYS_openat2, name.directory, name.name, &how, sizeof how);
    } while (descriptor < 0 && errno == EINTR);
    if (descriptor >= 0) {
        return (int)descriptor;
    }
    if (errno == ENOSYS || (fs->cached_only && errno == EINVAL)) {
        /* Linux before 5.6, a sandbox, or RESOLVE_CACHED before 5.12. */
        return fs->cached_only ? -EAGAIN : open_without_openat2(name, flags, resolve);
    }
    return -errno;
}

static int real_close(const struct fs *fs, int first, int last)
{
    (void)fs;
    if (first != last && close_range((unsigned)first, (unsigned)last, 0) == 0) {
        return 0;
    }
    int result = 0; /* one, or before Linux 5.9 */
    for (int descriptor = first; descriptor <= last; descriptor++) {
        result = close(descriptor) < 0 ? -errno : result;
    }
    return result;
}

static int64_t nanoseconds(struct statx_timestamp time)
{
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static int real_statx(struct fs_name name, int flags, struct fs_stat *stat_out)
{
    struct statx found;
    int result;
    do {
        result = statx(name.directory, name.name, flags | AT_NO_AUTOMOUNT,
                       STATX_BASIC_STATS | STATX_BTIME, &found);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return -errno;
    }
    *stat_out = (struct fs_stat){
        .device = makedev(found.stx_dev_major, found.stx_dev_minor),
        .inode = found.stx_ino,
        .size = found.stx_size,
        .mode = found.stx_mode,
        .modified_ns = nanoseconds(found.stx_mtime),
        .changed_ns = nanoseconds(found.stx_ctime),
        .born_ns = (found.stx_mask & STATX_BTIME) != 0 ? nanoseconds(found.stx_btime) : 0,
    };
    return 0;
}

static int real_stat(const struct fs *fs, int descriptor, struct fs_stat *stat_out)
{
    /* Without asking a server: whether the file system is local shows in the answer's device. */
    int sync = fs->cached_only ? AT_STATX_DONT_SYNC : AT_STATX_SYNC_AS_STAT;
    return real_statx((struct fs_name){descriptor, ""}, AT_EMPTY_PATH | sync, stat_out);
}

static int real_stat_name(const struct fs *fs, struct fs_name name, enum fs_stat_flags flags,
                          struct fs_stat *stat_out)
{
    if (fs->cached_only && (flags & FS_STAT_PINNED) == 0) {
        return -EAGAIN;
    }
    int sync = fs->cached_only ? AT_STATX_DONT_SYNC : AT_STATX_SYNC_AS_STAT;
    int follow = (flags & FS_STAT_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW;
    return real_statx(name, follow | sync, stat_out);
}

/* File systems whose look-ups, times and locks this kernel alone decides. */
static bool is_local(unsigned long type)
{
    static const unsigned long local[] = {
        0xEF53,     /* ext2, ext3, ext4 */
        0x58465342, /* xfs */
        0x9123683E, /* btrfs */
        0x01021994, /* tmpfs */
        0xF2F52010, /* f2fs */
        0x2FC12FC1, /* zfs */
        0xCA451A4E, /* bcachefs */
    };
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
        if (type == local[i]) {
            return true;
        }
    }
    return false;
}

/* Their times come from other machines' clocks, or from a program's. */
static bool is_remote(unsigned long type)
{
    static const unsigned long remote[] = {
        0x6969,     /* nfs */
        0xFF534D42, /* cifs */
        0xFE534D42, /* smb2 */
        0x517B,     /* smb */
        0x65735546, /* fuse */
        0x01021997, /* 9p */
        0x00C36400, /* ceph */
        0x0BD00BD0, /* lustre */
        0x5346414F, /* afs */
        0x01161970, /* gfs2 */
        0x7461636F, /* ocfs2 */
        0x73757245, /* coda */
    };
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++) {
        if (type == remote[i]) {
            return true;
        }
    }
    return false;
}

static bool kernel_is_at_least(unsigned major, unsigned minor)
{
    struct utsname name;
    unsigned its_major = 0;
    unsigned its_minor = 0;
    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &its_major, &its_minor) == 2 &&
           (its_major > major || (its_major == major && its_minor >= minor));
}

/* Since Linux 6.13 ext4, xfs, btrfs and tmpfs give a change a time of its own if anybody looked at the
 * time before it (multigrain timestamps). */
static bool has_multigrain_times(unsigned long type)
{
    return (type == 0xEF53 || type == 0x58465342 || type == 0x9123683E || type == 0x01021994) &&
           kernel_is_at_least(6, 13);
}

static int real_facts(const struct fs *fs, int descriptor, struct fs_facts *facts_out)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    struct statfs found;
    struct timespec tick;
    if (fstatfs(descriptor, &found) < 0 || clock_getres(CLOCK_REALTIME_COARSE, &tick) < 0) {
        return -errno;
    }
    unsigned long type = (unsigned long)found.f_type & 0xFFFFFFFF;
    *facts_out = (struct fs_facts){.local = is_local(type)};
    if (is_remote(type)) {
        facts_out->tick_ns = -1;
    } else if (!has_multigrain_times(type)) {
        facts_out->tick_ns = tick.tv_sec * 1000000000 + tick.tv_nsec;
    }
    return 0;
}

static ssize_t real_read(const struct fs *fs, int descriptor, void *buffer, size_t size,
                         uint64_t offset)
{
    ssize_t result;
    do {
        if (fs->cached_only) {
            struct iovec part = {.iov_base = buffer, .iov_len = size};
            result = preadv2(descriptor, &part, 1, (off_t)offset, RWF_NOWAIT);
        } else {
            result = pread(descriptor, buffer, size, (off_t)offset);
        }
    } while (result < 0 && errno == EINTR);
    if (result < 0 && fs->cached_only && errno == EOPNOTSUPP) {
        return -EAGAIN;
    }
    return result < 0 ? -errno : result;
}

static ssize_t real_write(const struct fs *fs, int descriptor, const void *data, size_t size,
                          uint64_t offset)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    ssize_t result;
    do {
        result = pwrite(descriptor, data, size, (off_t)offset);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

static ssize_t real_list(const struct fs *fs, int descriptor, void *buffer, size_t size)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    ssize_t result = getdents64(descriptor, buffer, size);
    return result < 0 ? -errno : result;
}

static int real_sync(const struct fs *fs, int descriptor)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    int result;
    do {
        result = fsync(descriptor);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

/* syncfs tells of errors since Linux 5.8; for a network's or a user's file system it may do less than fsync. */
static bool is_sync_all_reliable(int descriptor)
{
    struct statfs found;
    return kernel_is_at_least(5, 8) && fstatfs(descriptor, &found) == 0 &&
           is_local((unsigned long)found.f_type & 0xFFFFFFFF);
}

static int real_sync_all(const struct fs *fs, int descriptor)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    if (!is_sync_all_reliable(descriptor)) {
        return -EOPNOTSUPP;
    }
    return syncfs(descriptor) < 0 ? -errno : 0;
}

static int real_rename(const struct fs *fs, struct fs_name from, struct fs_name to, bool replace)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    return renameat2(from.directory, from.name, to.directory, to.name, flags) < 0 ? -errno : 0;
}

static int real_link(const struct fs *fs, struct fs_name from, struct fs_name to)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    return linkat(from.directory, from.name, to.directory, to.name, 0) < 0 ? -errno : 0;
}

static int real_unlink(const struct fs *fs, struct fs_name name)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    return unlinkat(name.directory, name.name, 0) < 0 ? -errno : 0;
}

static int real_mkdir(const struct fs *fs, struct fs_name name)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    return mkdirat(name.directory, name.name, NEW_FOLDER_MODE) < 0 ? -errno : 0;
}

static int real_lock(const struct fs *fs, int descriptor)
{
    (void)fs;
    int result;
    do {
        result = flock(descriptor, LOCK_EX | LOCK_NB);
    } while (result < 0 && errno == EINTR);
    if (result < 0) {
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    }
    return 0;
}

static int real_unlock(const struct fs *fs, int descriptor)
{
    (void)fs;
    return flock(descriptor, LOCK_UN) < 0 ? -errno : 0;
}

static int real_memory(const struct fs *fs, const char *label)
{
    (void)fs;
    int descriptor = memfd_create(label, MFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

static int64_t real_clock(const struct fs *fs)
{
    (void)fs;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail for this clock */
    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static void real_sleep(const struct fs *fs, int64_t duration_ns)
{
    (void)fs;
    struct timespec left = {.tv_sec = duration_ns / 1000000000,
                            .tv_nsec = duration_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

static int real_watch(const struct fs *fs, const struct fs_name *folders, unsigned count)
{
    if (fs->cached_only) {
        return -EAGAIN;
    }
    int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor < 0) {
        return -errno;
    }
    for (unsigned i = 0; i < count; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", folders[i].directory);
        if (inotify_add_watch(descriptor, path, IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR) < 0) {
            int number = errno;
            (void)close(descriptor); /* only an instance without watches */
            return -number;
        }
    }
    return descriptor;
}

static int real_watched(const struct fs *fs, int descriptor)
{
    (void)fs;
    int events = 0;
    for (;;) {
        _Alignas(struct inotify_event) char buffer[4096];
        ssize_t size = read(descriptor, buffer, sizeof buffer);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return errno == EAGAIN ? events : -errno;
        }
        for (ssize_t at = 0; at < size;) {
            struct inotify_event event;
            memcpy(&event, buffer + at, sizeof event);
            if ((event.mask & (IN_Q_OVERFLOW | IN_UNMOUNT | IN_IGNORED)) != 0) {
                return -EOVERFLOW;
            }
            events++;
            at += (ssize_t)(sizeof event + event.len);
        }
    }
}

static const struct fs_operations real_operations = {
    .open = real_open,
    .close = real_close,
    .stat = real_stat,
    .stat_name = real_stat_name,
    .facts = real_facts,
    .read = real_read,
    .write = real_write,
    .list = real_list,
    .sync = real_sync,
    .sync_all = real_sync_all,
    .rename = real_rename,
    .link = real_link,
    .unlink = real_unlink,
    .mkdir = real_mkdir,
    .lock = real_lock,
    .unlock = real_unlock,
    .memory = real_memory,
    .clock = real_clock,
    .sleep = real_sleep,
    .watch = real_watch,
    .watched = real_watched,
};

const struct fs fs_real = {.operations = &real_operations};

void fs_close_all(const struct fs *fs, int *descriptors, size_t count)
{
    assert(count <= FS_CLOSE_MOST);
    for (size_t i = 1; i < count; i++) {
        int descriptor = descriptors[i];
        size_t at = i;
        for (; at > 0 && descriptors[at - 1] > descriptor; at--) {
            descriptors[at] = descriptors[at - 1];
        }
        descriptors[at] = descriptor;
    }
    for (size_t i = 0; i < count; i++) {
        size_t first = i;
        while (i + 1 < count && descriptors[i] + 1 == descriptors[i + 1]) {
            i++;
        }
        if (descriptors[i] >= 0) {
            int from = descriptors[first] < 0 ? 0 : descriptors[first];
            (void)fs->operations->close(fs, from, descriptors[i]); /* nothing was written on them */
        }
    }
}

void fs_close_now(const struct fs *fs, struct fs_closing *closing)
{
    fs_close_all(fs, closing->descriptors, closing->count);
    closing->count = 0;
}

void fs_close_later(const struct fs *fs, struct fs_closing *closing, int *descriptor)
{
    if (*descriptor < 0) {
        return;
    }
    closing->descriptors[closing->count++] = *descriptor;
    *descriptor = -1;
    if (closing->count == FS_CLOSE_MOST) {
        fs_close_now(fs, closing);
    }
}

ssize_t fs_read_full(const struct fs *fs, int descriptor, void *buffer, size_t size,
                     uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = fs->operations->read(fs, descriptor, (uint8_t *)buffer + done, size - done,
                                             offset + done);
        if (count < 0) {
            return count;
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done;
}

int fs_write_full(const struct fs *fs, int descriptor, const void *data, size_t size,
                  uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = fs->operations->write(fs, descriptor, (const uint8_t *)data + done,
                                              size - done, offset + done);
        if (count < 0) {
            return (int)count;
        }
        if (count == 0) {
            return -EIO;
        }
        done += (size_t)count;
    }
    return 0;
}
