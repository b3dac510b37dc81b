/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_BASE_FS_H
#define RESTANTE_BASE_FS_H

/* The file operations of the store, as a table, so that tests can put a simulated disk beneath it.
 *
 * Every operation returns 0 or more for success and a negated errno for failure; errno itself means
 * nothing. Interrupted calls are repeated. With `cached_only` set, an operation that might wait for a
 * disk or a network fails with -EAGAIN instead and has done nothing: that is how the same code runs on
 * an event loop first and on a thread only where it must. */

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fs_stat {
    uint64_t device, inode;
    uint64_t size;
    uint32_t mode;       /* as st_mode */
    int64_t modified_ns; /* since the epoch */
    int64_t changed_ns;
    int64_t born_ns; /* 0 if the file system does not say */
};

/* What the store must know of the file system that a descriptor is on. */
struct fs_facts {
    bool local; /* its metadata is in this machine's memory: what is cached cannot block */
    /* Two changes that are further apart than this have different times; 0: any two changes between
     * which the file's times were read have. Negative: this machine's clock says nothing about it. */
    int64_t tick_ns;
};

/* A name in a folder. */
struct fs_name {
    int directory;
    const char *name;
};

enum fs_stat_flags {
    FS_STAT_LINK = 0,   /* the name itself, if it is a symbolic link */
    FS_STAT_FOLLOW = 1, /* what it leads to */
    /* The name was walked a moment ago and an open descriptor pins what it leads through, so that the
     * look-up cannot wait: allowed with cached_only. */
    FS_STAT_PINNED = 2
};

struct fs;

struct fs_operations {
    /* `resolve`: RESOLVE_ flags of openat2. New files are 0600. Always O_CLOEXEC and O_NOCTTY. */
    int (*open)(const struct fs *fs, struct fs_name name, int flags, uint64_t resolve);
    /* `first` to `last`, which must all be the caller's. */
    int (*close)(const struct fs *fs, int first, int last);
    int (*stat)(const struct fs *fs, int descriptor, struct fs_stat *stat_out);
    int (*stat_name)(const struct fs *fs, struct fs_name name, enum fs_stat_flags flags,
                     struct fs_stat *stat_out);
    int (*facts)(const struct fs *fs, int descriptor, struct fs_facts *facts_out);
    ssize_t (*read)(const struct fs *fs, int descriptor, void *buffer, size_t size,
                    uint64_t offset);
    ssize_t (*write)(const struct fs *fs, int descriptor, const void *data, size_t size,
                     uint64_t offset);
    /* The next entries of a folder as struct linux_dirent64; 0 at the end. */
    ssize_t (*list)(const struct fs *fs, int descriptor, void *buffer, size_t size);
    int (*sync)(const struct fs *fs, int descriptor);
    /* Syncs all that has been written on the descriptor's file system, by whomever: for many files much
     * cheaper than each of them (2 000 of 10 KB on ext4: 0.06 s instead of 0.6). Fails if anything that was
     * written since the descriptor was opened could not be. -EOPNOTSUPP where that cannot be relied on. */
    int (*sync_all)(const struct fs *fs, int descriptor);
    int (*rename)(const struct fs *fs, struct fs_name from, struct fs_name to, bool replace);
    int (*link)(const struct fs *fs, struct fs_name from, struct fs_name to);
    int (*unlink)(const struct fs *fs, struct fs_name name);
    int (*mkdir)(const struct fs *fs, struct fs_name name); /* 0700 */
    /* Exclusively, without waiting: -EBUSY if another holds it. */
    int (*lock)(const struct fs *fs, int descriptor);
    int (*unlock)(const struct fs *fs, int descriptor);
    /* A file in memory, without a name. */
    int (*memory)(const struct fs *fs, const char *label);
    int64_t (*clock)(const struct fs *fs); /* ns since the epoch */
    void (*sleep)(const struct fs *fs, int64_t nanoseconds);
    /* A descriptor that counts what happens in folders from now on, and how many entries were made,
     * removed or renamed since it was asked last (-EOVERFLOW: unknown). */
    int (*watch)(const struct fs *fs, const struct fs_name *folders, unsigned count);
    int (*watched)(const struct fs *fs, int descriptor);
};

struct fs {
    const struct fs_operations *operations;
    void *disk; /* the simulated disk's own */
    bool cached_only;
};

extern const struct fs fs_real;

/* The same file system, so that nothing waits. */
static inline struct fs fs_cached(const struct fs *fs)
{
    return (struct fs){.operations = fs->operations, .disk = fs->disk, .cached_only = true};
}

static inline int fs_open(const struct fs *fs, struct fs_name name, int flags, uint64_t resolve)
{
    return fs->operations->open(fs, name, flags, resolve);
}

/* Closes if it is open, and forgets it. What was written is synced before or is of no worth. */
static inline void fs_close(const struct fs *fs, int *descriptor)
{
    if (*descriptor >= 0) {
        (void)fs->operations->close(fs, *descriptor, *descriptor);
        *descriptor = -1;
    }
}

static inline int fs_stat_descriptor(const struct fs *fs, int descriptor, struct fs_stat *stat_out)
{
    return fs->operations->stat(fs, descriptor, stat_out);
}

static inline int fs_stat_name(const struct fs *fs, struct fs_name name, enum fs_stat_flags flags,
                               struct fs_stat *stat_out)
{
    return fs->operations->stat_name(fs, name, flags, stat_out);
}

/* Closes those that are open, at most FS_CLOSE_MOST: what was opened one after the other mostly takes one system
 * call. `descriptors` is changed. */
enum { FS_CLOSE_MOST = 8 };
void fs_close_all(const struct fs *fs, int *descriptors, size_t count);

/* Descriptors that nobody needs any more and that are closed together. Zeroed, it has none. */
struct fs_closing {
    unsigned count;
    int descriptors[FS_CLOSE_MOST];
};

/* Takes `descriptor`, if it is open, and closes all that there are once they are FS_CLOSE_MOST. */
void fs_close_later(const struct fs *fs, struct fs_closing *closing, int *descriptor);
void fs_close_now(const struct fs *fs, struct fs_closing *closing);

/* Reads until `size` octets are there or the file ends; how many. */
ssize_t fs_read_full(const struct fs *fs, int descriptor, void *buffer, size_t size,
                     uint64_t offset);

/* Writes all of it. */
int fs_write_full(const struct fs *fs, int descriptor, const void *data, size_t size,
                  uint64_t offset);

/* The same folder, for listing or syncing from its beginning. */
static inline int fs_reopen_folder(const struct fs *fs, int directory)
{
    return fs->operations->open(fs, (struct fs_name){directory, "."}, O_RDONLY | O_DIRECTORY, 0);
}

#endif
