/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_TESTS_CRASH_DISK_H
#define RESTANTE_TESTS_CRASH_DISK_H

#include "base/fs.h"

/* A simulated disk, after SQLite's src/test6.c: what was not synced is kept apart, and a crash loses
 * any part of it.
 *
 * A file's octets are durable once the file was synced; a name is durable in its folder once the folder
 * was. A crash takes from each file either what is durable of it or what was written, and from each
 * folder any part of the changes since its last sync, in their order. That is more than a journal loses
 * and as much as POSIX allows.
 *
 * The clock is simulated too: files get the time of the last tick, operations take time, and a test can
 * set the clock back. Any operation can be made to fail, and a test can act as another program before
 * any operation. */

enum disk_operation {
    DISK_OPEN,
    DISK_CLOSE,
    DISK_STAT,
    DISK_STAT_NAME,
    DISK_FACTS,
    DISK_READ,
    DISK_WRITE,
    DISK_LIST,
    DISK_SYNC,
    DISK_RENAME,
    DISK_LINK,
    DISK_UNLINK,
    DISK_MKDIR,
    DISK_LOCK,
    DISK_UNLOCK,
    DISK_MEMORY,
    DISK_WATCH,
    DISK_WATCHED,
    DISK_OPERATIONS
};

struct disk_node;
struct disk_descriptor;

struct disk {
    struct fs fs; /* give this to a store */

    int64_t now_ns;       /* the clock */
    int64_t step_ns;      /* how long an operation takes */
    int64_t tick_ns;      /* of the files' times */
    int64_t told_tick_ns; /* what facts say of it, if not 0 */
    bool remote;          /* facts say so */
    bool cold;            /* nothing is cached: cached_only gets EAGAIN */
    uint64_t cached_most; /* of each file only so many octets are cached, if not 0 */
    bool read_only, full;
    bool no_locks;        /* as NFS does: EBADF */
    bool no_replace_flag; /* rename without replacing is EINVAL */
    bool no_watch;

    uint64_t count;                   /* operations so far */
    uint64_t counts[DISK_OPERATIONS]; /* of each kind */
    uint64_t fail_at;                 /* that operation fails (counted from 1); 0: none */
    int fail_number;                  /* with this errno */
    bool stopped;                     /* after fail_at nothing works any more: the power is gone */
    bool stop_at_failure;
    /* Called before each operation; it may use the functions below, not the store. */
    void (*before)(struct disk *disk, enum disk_operation operation, const char *name);
    void *context;

    struct disk_node *root;
    struct disk_node **nodes;
    size_t node_count;
    struct disk_descriptor *descriptors;
    size_t descriptor_count;
    uint64_t random;
};

struct disk *disk_create(void);
void disk_free(struct disk *disk);

/* What another program does, at once and without counting. All names are absolute; a wrong one stops
 * the test. */
void disk_make_folder(struct disk *disk, const char *path);
void disk_put(struct disk *disk, const char *path, const void *data, size_t size);
void disk_put_text(struct disk *disk, const char *path, const char *text);
void disk_put_link(struct disk *disk, const char *path, const char *target);
void disk_move(struct disk *disk, const char *from, const char *to);
void disk_remove(struct disk *disk, const char *path);
bool disk_exists(const struct disk *disk, const char *path);
/* The octets of a file; NULL if there is none. */
const uint8_t *disk_get(const struct disk *disk, const char *path, size_t *size_out);
size_t disk_count(const struct disk *disk, const char *folder);
/* The name of the `index`th entry of a folder, or NULL. */
const char *disk_name(const struct disk *disk, const char *folder, size_t index);
/* Opening it fails with this errno from now on; reading does. 0: no more. */
void disk_deny(struct disk *disk, const char *path, int open_number, int read_number);
/* Changes a file in place, without changing its folder. */
void disk_overwrite(struct disk *disk, const char *path, const void *data, size_t size);
/* Another program takes the lock; it is free again after a crash. */
void disk_hold_lock(struct disk *disk, const char *path, bool held);
bool disk_is_locked(const struct disk *disk, const char *path);
/* Descriptors that are open; memory files count. */
size_t disk_open_descriptors(const struct disk *disk);

/* Makes all of it durable, as after a long time. */
void disk_settle(struct disk *disk);

enum disk_loss {
    DISK_LOSE_ALL, /* all that is not durable */
    DISK_LOSE_NOTHING,
    DISK_LOSE_SOME /* each change with the chance 1/2, by disk->random */
};

/* The machine goes down and up: descriptors and locks are gone. What is left is durable. */
void disk_crash(struct disk *disk, enum disk_loss loss);

#endif
