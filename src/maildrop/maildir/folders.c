/* SPDX-License-Identifier: MIT */
/* The folders of a Maildir and its lock: flock on cur/, where all names of one maildrop meet, on a
 * read-only file system and over quota too. Only the user's own folder may be missing: what all users
 * share must be there, or a disk that is not mounted would look like mail that was deleted. */
#include "maildrop/maildir/folders.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ATTEMPTS = 10, RETRY = 2 };

int folders_init(struct maildir_folders *folders, struct maildrop_path *place, struct error *error)
{
    *folders = (struct maildir_folders){.cur = -1, .new_folder = -1, .locked = -1};
    if (pthread_mutex_init(&folders->mutex, NULL) != 0) {
        return error_set(error, ERROR_TEMPORARY, 0, "no memory for a mutex");
    }
    folders->place = *place;
    *place = (struct maildrop_path){0};
    return 0;
}

void folders_finish(struct maildir_folders *folders)
{
    free(folders->place.path);
    (void)pthread_mutex_destroy(&folders->mutex); /* nobody holds it */
}

char *folders_path(const struct maildir_folders *folders, const char *name)
{
    size_t size = strlen(folders->place.path);
    char *path = malloc(size + 1 + strlen(name) + 1);
    if (path != NULL) {
        memcpy(path, folders->place.path, size);
        path[size] = '/';
        memcpy(path + size + 1, name, strlen(name) + 1);
    }
    return path;
}

static int set_error(const struct maildir_folders *folders, int number, const char *what,
                     struct error *error)
{
    if (number == EACCES || number == EPERM) {
        return error_set(error, ERROR_TEMPORARY, number, "%s: %s", folders->place.path, what);
    }
    return error_from_errno(error, number, "%s: %s", folders->place.path, what);
}

void folders_unlock(struct maildir_folders *folders, const struct fs *fs)
{
    (void)pthread_mutex_lock(&folders->mutex); /* a plain mutex: cannot fail */
    folders->unwanted = true;
    if (folders->locked >= 0 && !folders->writing) {
        (void)fs->operations->unlock(fs, folders->locked); /* closing frees it at the latest */
        folders->locked = -1;
    }
    (void)pthread_mutex_unlock(&folders->mutex);
}

bool folders_begin_writing(struct maildir_folders *folders)
{
    (void)pthread_mutex_lock(&folders->mutex);
    folders->writing = !folders->unwanted;
    bool granted = folders->writing;
    (void)pthread_mutex_unlock(&folders->mutex);
    return granted;
}

void folders_end_writing(struct maildir_folders *folders, const struct fs *fs)
{
    (void)pthread_mutex_lock(&folders->mutex);
    folders->writing = false;
    if (folders->unwanted && folders->locked >= 0) {
        (void)fs->operations->unlock(fs, folders->locked);
        folders->locked = -1;
    }
    (void)pthread_mutex_unlock(&folders->mutex);
}

/* Tells who may take the lock away that there is one. */
static int publish_lock(struct maildir_folders *folders, struct error *error)
{
    (void)pthread_mutex_lock(&folders->mutex);
    bool unwanted = folders->unwanted;
    if (!unwanted) {
        folders->locked = folders->cur;
    }
    (void)pthread_mutex_unlock(&folders->mutex);
    return unwanted ? error_set(error, ERROR_TEMPORARY, 0, "the operation was cancelled") : 0;
}

static int find_facts(struct maildir_folders *folders, const struct fs *fs, int cur,
                      const struct folders_devices *devices)
{
    if (!fs->cached_only) {
        return fs->operations->facts(fs, cur, &folders->facts);
    }
    const struct fs_facts *known = devices->find(devices->context, folders->cur_stat.device);
    if (known == NULL || !known->local) {
        return -EAGAIN; /* on a network file system even flock waits */
    }
    folders->facts = *known;
    return 0;
}

static bool is_same(const struct fs_stat *a, const struct fs_stat *b)
{
    return a->device == b->device && a->inode == b->inode;
}

/* Locks `cur`, which was just opened; RETRY if its name leads to another folder by now. */
static int lock_folder(struct maildir_folders *folders, const struct fs *fs, int cur,
                       const char *path, struct error *error)
{
    struct fs_stat named;
    int result = fs->operations->lock(fs, cur);
    if (result == -EBUSY) {
        folders->locked_out = true;
        return error_set(error, ERROR_IN_USE, 0, "%s: another session or program holds the lock",
                         folders->place.path);
    }
    if (result < 0) {
        return error_set(error, ERROR_PERMANENT, -result,
                         "%s: cur/ cannot be locked with flock on this file system",
                         folders->place.path);
    }
    result = fs_stat_name(fs, (struct fs_name){AT_FDCWD, path}, FS_STAT_PINNED, &named);
    if (result == -ENOENT || (result == 0 && !is_same(&named, &folders->cur_stat))) {
        return RETRY;
    }
    if (result < 0) {
        return set_error(folders, -result, "cur/ cannot be looked at", error);
    }
    folders->cur_stat = named; /* as it is under the lock */
    return 0;
}

static int open_cur(struct maildir_folders *folders, const struct fs *fs, const char *path,
                    const struct folders_devices *devices, struct error *error)
{
    int cur = fs_open(fs, (struct fs_name){AT_FDCWD, path},
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK, 0);
    int result = cur < 0 ? cur : fs_stat_descriptor(fs, cur, &folders->cur_stat);
    if (result == 0) {
        result = find_facts(folders, fs, cur, devices);
    }
    if (result < 0) {
        fs_close(fs, &cur);
        return result;
    }
    result = lock_folder(folders, fs, cur, path, error);
    if (result != 0) {
        fs_close(fs, &cur);
        return result == RETRY ? RETRY : -ECANCELED; /* `error` is filled */
    }
    folders->cur = cur;
    return 0;
}

static int open_new(struct maildir_folders *folders, const struct fs *fs, struct error *error)
{
    AUTO_FREE char *path = folders_path(folders, "new");
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int result =
        fs_open(fs, (struct fs_name){AT_FDCWD, path}, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
    if (result == -ENOENT) {
        folders->new_stat = (struct fs_stat){0};
        return 0;
    }
    if (result >= 0) {
        folders->new_folder = result;
        result = fs_stat_descriptor(fs, folders->new_folder, &folders->new_stat);
    }
    if (result == -EAGAIN) {
        fs_close(fs, &folders->new_folder);
        return MAILDIR_WOULD_BLOCK;
    }
    if (result == 0 && folders->new_stat.device != folders->cur_stat.device) {
        return error_set(error, ERROR_PERMANENT, 0, "%s: new/ and cur/ are on different devices",
                         folders->place.path);
    }
    return result < 0 ? set_error(folders, -result, "new/ cannot be opened", error) : 0;
}

/* What all users share, and whatever else is there of the path, is in order. `path` is changed. */
static int check_ancestors(const struct maildir_folders *folders, const struct fs *fs, char *path,
                           struct error *error)
{
    struct fs_stat stat;
    size_t end = strlen(path);
    for (;;) {
        struct fs_name name = {AT_FDCWD, path};
        bool fixed = end <= folders->place.fixed;
        int result = fs_stat_name(fs, name, FS_STAT_LINK, &stat);
        if (result == 0) {
            result = fs_stat_name(fs, name, FS_STAT_FOLLOW, &stat);
            if (result == 0 && S_ISDIR(stat.mode)) {
                return 0;
            }
            result = result < 0 ? result : -ENOTDIR;
        }
        if (result != -ENOENT || fixed || fs_stat_name(fs, name, FS_STAT_LINK, &stat) == 0) {
            return error_set(error, ERROR_TEMPORARY, -result,
                             "%s: %s is not there or not as it should be; is a disk not mounted?",
                             folders->place.path, path);
        }
        while (end > folders->place.fixed && path[end - 1] != '/') {
            end--;
        }
        while (end > folders->place.fixed && path[end - 1] == '/') {
            end--;
        }
        path[end] = '\0';
    }
}

/* new/ without cur/, as some deliver: cur/ is made. RETRY, 0 if there is no new/, or -1. */
static int make_cur(const struct maildir_folders *folders, const struct fs *fs, struct error *error)
{
    struct fs_stat stat;
    AUTO_FREE char *named_new = folders_path(folders, "new");
    AUTO_FREE char *named_cur = folders_path(folders, "cur");
    if (named_new == NULL || named_cur == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int result = fs_stat_name(fs, (struct fs_name){AT_FDCWD, named_new}, FS_STAT_LINK, &stat);
    if (result < 0 || !S_ISDIR(stat.mode)) {
        return 0;
    }
    result = fs->operations->mkdir(fs, (struct fs_name){AT_FDCWD, named_cur});
    if (result == 0 || result == -EEXIST) {
        return RETRY;
    }
    return set_error(folders, -result, "cur/ cannot be made", error);
}

/* There is no cur/. RETRY: it was made; 0: there is no maildrop yet. */
static int look_at_missing(const struct maildir_folders *folders, const struct fs *fs,
                           struct error *error)
{
    int result = make_cur(folders, fs, error);
    if (result != 0) {
        return result;
    }
    AUTO_FREE char *path = strdup(folders->place.path);
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    return check_ancestors(folders, fs, path, error);
}

static int lock_once(struct maildir_folders *folders, const struct fs *fs,
                     const struct folders_devices *devices, struct error *error)
{
    AUTO_FREE char *path = folders_path(folders, "cur");
    if (path == NULL) {
        return error_set(error, ERROR_TEMPORARY, 0, "out of memory");
    }
    int result = open_cur(folders, fs, path, devices, error);
    if (result == -EAGAIN || (result == -ENOENT && fs->cached_only)) {
        return MAILDIR_WOULD_BLOCK;
    }
    if (result == -ENOENT) {
        return look_at_missing(folders, fs, error);
    }
    if (result == -ECANCELED || result == RETRY) {
        return result == RETRY ? RETRY : -1;
    }
    return result < 0 ? set_error(folders, -result, "cur/ cannot be opened", error)
                      : publish_lock(folders, error);
}

int folders_lock(struct maildir_folders *folders, const struct fs *fs,
                 const struct folders_devices *devices, struct error *error)
{
    for (int attempt = 0; folders->cur < 0; attempt++) {
        int result = lock_once(folders, fs, devices, error);
        if (result == 0) {
            break;
        }
        if (result != RETRY) {
            return result;
        }
        if (attempt == ATTEMPTS) {
            return error_set(error, ERROR_TEMPORARY, 0, "%s: cur/ is replaced again and again",
                             folders->place.path);
        }
    }
    return folders->cur < 0 || folders->new_folder >= 0 ? 0 : open_new(folders, fs, error);
}

int folders_look(const struct maildir_folders *folders, const struct fs *fs,
                 struct fs_stat *cur_out, struct fs_stat *new_out)
{
    *new_out = (struct fs_stat){0};
    int result = folders->new_folder < 0 ? 0 : fs_stat_descriptor(fs, folders->new_folder, new_out);
    return result < 0 ? result : fs_stat_descriptor(fs, folders->cur, cur_out);
}

int folders_open_root(const struct maildir_folders *folders, const struct fs *fs)
{
    int root =
        fs_open(fs, (struct fs_name){AT_FDCWD, folders->place.path}, O_PATH | O_DIRECTORY, 0);
    struct fs_stat stat;
    if (root >= 0) {
        int result = fs_stat_name(fs, (struct fs_name){root, "cur"}, FS_STAT_LINK, &stat);
        if (result < 0 || !is_same(&stat, &folders->cur_stat)) {
            fs_close(fs, &root);
            return result < 0 ? result : -ESTALE;
        }
    }
    return root;
}
