/* SPDX-License-Identifier: MIT */
#ifndef RESTANTE_MAILDROP_MAILDIR_FOLDERS_H
#define RESTANTE_MAILDROP_MAILDIR_FOLDERS_H

#include <pthread.h>

#include "base/error.h"
#include "base/fs.h"
#include "maildrop/path.h"

/* What functions of this room return where `fs->cached_only` forbids to go on. */
enum { MAILDIR_WOULD_BLOCK = 1 };

/* The folders of a Maildir, locked, and what is known of the file system that they are on. */
struct maildir_folders {
    struct maildrop_path place;
    int cur;         /* holds the lock; -1: the maildrop does not exist yet */
    int new_folder;  /* a path descriptor; -1: there is none */
    bool locked_out; /* the lock is another's: `cur_stat` says what is locked */
    struct fs_stat cur_stat, new_stat;
    struct fs_facts facts;

    /* The lock can be taken away by another thread than the one that works under it. */
    pthread_mutex_t mutex;
    int locked; /* `cur`, while it is locked; under the mutex */
    bool unwanted;
    bool writing;
};

/* Takes `place`. */
int folders_init(struct maildir_folders *folders, struct maildrop_path *place,
                 struct error *error) MUST_CHECK;
/* Its descriptors are closed already. */
void folders_finish(struct maildir_folders *folders);

/* What a store knows of the devices that maildrops are on. NULL: nothing. */
typedef const struct fs_facts *folders_facts(void *context, uint64_t device);

struct folders_devices {
    folders_facts *find;
    void *context;
};

/* Locks cur/ and looks at both folders. 0, -1, or MAILDIR_WOULD_BLOCK; then it can be called again.
 * ERROR_IN_USE: `cur_stat` says what is locked. Success with `cur` -1: there is no maildrop yet. */
int folders_lock(struct maildir_folders *folders, const struct fs *fs,
                 const struct folders_devices *devices, struct error *error) MUST_CHECK;

/* Looks at both folders again. 0 or a negated errno. */
int folders_look(const struct maildir_folders *folders, const struct fs *fs,
                 struct fs_stat *cur_out, struct fs_stat *new_out);

/* The folder that cur/ is in, if its path still leads there; a negated errno. */
int folders_open_root(const struct maildir_folders *folders, const struct fs *fs);

/* The path of something in the maildrop; free() it. */
char *folders_path(const struct maildir_folders *folders, const char *name);

/* Frees the lock now, or when the writing under way is done. From any thread. */
void folders_unlock(struct maildir_folders *folders, const struct fs *fs);

/* Between these the lock stays. False: it is gone, nothing may be written. */
bool folders_begin_writing(struct maildir_folders *folders);
void folders_end_writing(struct maildir_folders *folders, const struct fs *fs);

#endif
